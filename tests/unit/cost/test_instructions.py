"""Instructions beside the arithmetic: counts worked out by hand on one convolution."""

from typing import Any

import pytest
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate

CLOCK = 100e6
SIDE, OUT, TAPS = 16, 8, 9


def cycles(channels: int, precision: str | None = None, *, core: dict[str, Any] | None = None, **profile: Any) -> float:
    """Cycles of a 3 × 3 convolution to 8 channels of 16 × 16, without memory time."""
    engine = {
        "id": "core", "kind": "simd", "clock": "100 MHz", "peak": {"fp32": "1 MAC/cycle", "int8": "2 MAC/cycle"},
        "vector": {"fp32": "1 TOP/s"}, "geometry": {"kind": "core", **(core or {})},
    }  # fmt: skip
    spec = hardware(bandwidth="1e6 TB/s", engines=[engine])
    nodes = [node("Conv", "x w", "y", pads=[1, 1, 1, 1])]
    network = loaded(model(nodes, [value("x", 1, channels, SIDE, SIDE)], ["y"], [weight("w", OUT, channels, 3, 3)]))
    return float(estimate(network, spec, runtime(**profile), precision=precision).kernel_s.sum()) * CLOCK


def macs(channels: int) -> int:
    return SIDE * SIDE * OUT * TAPS * channels


OUTPUTS = SIDE * SIDE * OUT
COUNTS = {"instructions": {"default": 1.5}, "output_instructions": {"conv": 10}}


def test_instructions_come_beside_the_macs() -> None:
    assert cycles(4, **COUNTS) == pytest.approx(macs(4) * 2.5 + OUTPUTS * 10)


def test_two_issue_slots_hold_both_kinds_and_wide_registers_load_more() -> None:
    assert cycles(4, core={"issue": 2}, **COUNTS) == pytest.approx(macs(4) * (1 + 1.5) / 2 + OUTPUTS * 5)
    assert cycles(4, core={"issue": 2, "width": "8 B"}, **COUNTS) == pytest.approx(macs(4) + OUTPUTS * 5)


def test_no_more_than_one_multiplication_issues_in_a_cycle() -> None:
    assert cycles(4, core={"issue": 4}, **COUNTS) == pytest.approx(macs(4) + OUTPUTS * 10 / 4)


@pytest.mark.parametrize(("issue", "slots"), [(1, 1), (1.5, 1.5), (4, 2)])
def test_code_may_leave_issue_slots_empty_but_gets_no_more(issue: float, slots: float) -> None:
    found = cycles(4, core={"issue": 2}, issue=issue, **COUNTS)
    assert found == pytest.approx((macs(4) * (1 + 1.5) + OUTPUTS * 10) / slots)


def test_an_element_type_may_have_counts_of_its_own() -> None:
    own = {"fp32": {"instructions": {"default": 2}, "output_instructions": {"default": 3}}}
    assert cycles(4, by_type=own, **COUNTS) == pytest.approx(macs(4) * 3 + OUTPUTS * 3)
    assert cycles(4, "int8", by_type=own, **COUNTS) == pytest.approx(macs(4) * 2 + OUTPUTS * 10)
    assert cycles(4, by_type={"fp32": {}}, **COUNTS) == pytest.approx(macs(4))


VECTOR = {"instructions": {"default": 0.5}, "output_instructions": {"conv": 3}, "column_instructions": {"conv": 1}}


@pytest.mark.parametrize("width", ["4 B", "8 B"])
def test_wide_registers_have_kernels_of_their_own(width: str) -> None:
    """Counts of `vector` are for registers of 4 bytes too, but for outputs; a type with counts of its own keeps these."""
    columns, core = SIDE * SIDE * TAPS * 4, {"width": width}
    plain, wide = macs(4) * (1 + 1.5) + OUTPUTS * 10, macs(4) * (1 + 0.5 / 2) + OUTPUTS * 3 + columns / 2
    assert cycles(4, core=core, vector=VECTOR, **COUNTS) == pytest.approx(wide if width == "8 B" else plain)
    own = {"fp32": {"instructions": {"default": 2}}}
    assert cycles(4, core=core, vector=VECTOR, by_type=own, **COUNTS) == cycles(4, core=core, by_type=own, **COUNTS)


@pytest.mark.parametrize(("channels", "paid"), [(1, 4), (3, 4), (4, 4), (6, 8)])
def test_padded_channels_are_loaded_and_multiplied(channels: int, paid: int) -> None:
    assert cycles(channels, input_multiple=4, **COUNTS) == pytest.approx(macs(paid) * 2.5 + OUTPUTS * 10)


def test_columns_are_copied_before_the_product() -> None:
    """Each place of the image copies its window once, whatever the number of output channels."""
    columns = SIDE * SIDE * TAPS * 4
    found = cycles(4, column_instructions={"conv": 3}, **COUNTS)
    assert found == pytest.approx(macs(4) * 2.5 + OUTPUTS * 10 + columns * 3)
    wide = cycles(4, core={"issue": 2, "width": "8 B"}, column_instructions={"conv": 3}, **COUNTS)
    assert wide == pytest.approx(macs(4) + OUTPUTS * 5 + columns * 3 / 4)


def test_a_window_of_one_place_needs_no_columns() -> None:
    nodes = [node("Conv", "x w", "y")]
    network = loaded(model(nodes, [value("x", 1, 4, SIDE, SIDE)], ["y"], [weight("w", OUT, 4, 1, 1)]))
    engine = {"id": "core", "kind": "simd", "clock": "100 MHz", "peak": {"fp32": "1 MAC/cycle"}, "geometry": {"kind": "core"}}
    spec = hardware(bandwidth="1e6 TB/s", engines=[engine])
    found = estimate(network, spec, runtime(column_instructions={"conv": 3})).kernel_s.sum() * CLOCK
    assert found == pytest.approx(SIDE * SIDE * OUT * 4)


@pytest.mark.parametrize(("channels", "per_mac"), [(1, 6), (3, 6), (4, 1.5), (5, 1.5)])
def test_images_of_less_than_a_word_at_each_place_have_kernels_of_their_own(channels: int, per_mac: float) -> None:
    narrow = {"narrow_instructions": {"conv": 6}, **COUNTS}
    assert cycles(channels, "int8", **narrow) == pytest.approx(macs(channels) * (0.5 + per_mac) + OUTPUTS * 10)
    assert cycles(channels, **narrow) == pytest.approx(macs(channels) * 2.5 + OUTPUTS * 10)  # 4 bytes at each place


@pytest.mark.parametrize(("places", "readings"), [(1, SIDE * SIDE), (2, SIDE * SIDE / 2), (1000, 1)])
def test_weights_are_read_again_from_the_memory_next_to_the_core(places: int, readings: float) -> None:
    memories = [
        {"id": "sram", "kind": "scratchpad", "capacity": "1 MiB", "bandwidth": "1e6 TB/s", "holds": ["activations"]},
        {"id": "flash", "kind": "flash", "capacity": "1 MiB", "bandwidth": "1 GB/s", "holds": ["weights"]},
    ]
    spec = hardware(memories=memories)
    nodes = [node("Conv", "x w", "y", pads=[1, 1, 1, 1])]
    network = loaded(model(nodes, [value("x", 1, 4, SIDE, SIDE)], ["y"], [weight("w", OUT, 4, 3, 3)]))
    once = estimate(network, spec, runtime())
    found = estimate(network, spec, runtime(weight_places=places))
    weights = OUT * 4 * TAPS * 4
    assert once.cost.bytes_by_level["flash"].sum() == weights
    assert found.cost.bytes_by_level["flash"].sum() == pytest.approx(weights * readings)
    assert found.cost.bytes_by_level["sram"].sum() == once.cost.bytes_by_level["sram"].sum()
    assert found.bound_latency_s == once.bound_latency_s


def test_groups_are_not_padded() -> None:
    """The one input channel of a depthwise convolution lies beside those of the other groups."""
    engine = {"id": "core", "kind": "simd", "clock": "100 MHz", "peak": {"fp32": "1 MAC/cycle"}, "geometry": {"kind": "core"}}
    spec = hardware(bandwidth="1e6 TB/s", engines=[engine])
    nodes = [node("Conv", "x w", "y", pads=[1, 1, 1, 1], group=8)]
    network = loaded(model(nodes, [value("x", 1, 8, SIDE, SIDE)], ["y"], [weight("w", 8, 1, 3, 3)]))
    found = estimate(network, spec, runtime(input_multiple=4, **COUNTS)).kernel_s.sum() * CLOCK
    assert found == pytest.approx(SIDE * SIDE * 8 * TAPS * 2.5)
