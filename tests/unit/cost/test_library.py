"""What a library on blocks of channels is slow at: columns, transpositions, single operators, copies of one thread; by hand."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime_data

from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.result.estimate import Estimate

CLOCK = 100e6
SIDE, OUT, TAPS, LANES = 16, 32, 9, 4
CACHES = [
    {"id": "l2", "kind": "cache", "capacity": "1 GiB", "bandwidth": "40 GB/s"},
    {"id": "dram", "kind": "dram", "bandwidth": "30 GB/s"},
]


def run(nodes: list[Any], weights: list[Any], shape: tuple[int, ...], *, units: int = 1, **profile: Any) -> Estimate:
    engine = {
        "id": "core", "kind": "simd", "clock": "100 MHz", "units": units, "peak": {"fp32": "1 MAC/cycle"},
        "vector": {"fp32": "1e6 TOP/s"}, "geometry": {"kind": "core", "lanes": {"fp32": LANES}},
    }  # fmt: skip
    spec = hardware(engines=[engine], memories=CACHES)
    adds = ["blocks"] if profile.get("channel_blocks") else []
    software = RuntimeSpec.model_validate({**runtime_data(**profile), "adds": adds})
    return estimate(loaded(model(nodes, [value("x", *shape)], ["y"], weights)), spec, software)


def conv_cycles(channels: int, groups: int = 1, **profile: Any) -> float:
    nodes = [node("Conv", "x w", "y", pads=[1, 1, 1, 1], group=groups)]
    found = run(nodes, [weight("w", OUT, channels // groups, 3, 3)], (1, channels, SIDE, SIDE), **profile)
    (row,) = [i for i, count in enumerate(found.work.macs) if count]
    return float(found.cost.compute_s[row]) * CLOCK


def macs(channels: int, groups: int = 1) -> int:
    return SIDE * SIDE * OUT * TAPS * channels // groups


BLOCKS = {"channel_blocks": True, "column_instructions": {"default": 2}}


@pytest.mark.parametrize(("channels", "groups"), [(3, 1), (20, 1), (32, 1), (32, 2), (32, 32)])
def test_convolutions_on_blocks_make_no_columns(channels: int, groups: int) -> None:
    assert conv_cycles(channels, groups, **BLOCKS) == pytest.approx(macs(channels, groups))


@pytest.mark.parametrize(("channels", "groups"), [(18, 1), (32, 4), (32, 16)])
def test_others_copy_the_image_and_have_places_along_the_lanes(channels: int, groups: int) -> None:
    """m = 256 places fill the lanes of 4 whole, whatever few channels a group makes."""
    columns = SIDE * SIDE * TAPS * channels
    assert conv_cycles(channels, groups, **BLOCKS) == pytest.approx(macs(channels, groups) + 2 * columns)


def test_what_the_library_runs_without_blocks_copies_the_image() -> None:
    """Only convolutions of images work on blocks: as the reorders beside them say, no rule of their own."""
    nodes, weights, shape = [node("Conv", "x w", "y", pads=[1, 1])], [weight("w", OUT, 32, 3)], (1, 32, SIDE)
    with_columns, without = (run(nodes, weights, shape, channel_blocks=True, column_instructions=t) for t in ({"default": 2}, {}))
    assert with_columns.latency_s > without.latency_s
    assert with_columns.work.blocked is None


def test_without_blocks_every_window_is_copied_and_channels_lie_along_the_lanes() -> None:
    columns = SIDE * SIDE * TAPS * 32
    assert conv_cycles(32, 16, column_instructions={"default": 2}) == pytest.approx(2 * macs(32, 16) + 2 * columns)


ELEMENTS = 8 * SIDE * SIDE


def test_blocks_are_what_the_runtime_adds() -> None:
    with pytest.raises(ValidationError, match="channel_blocks: 'adds' must have 'blocks'"):
        RuntimeSpec.model_validate(runtime_data(channel_blocks=True))


def test_an_operator_may_have_instructions_of_its_own() -> None:
    nodes = [node("Conv", "x w", "c"), node("Clip", "c", "y")]
    weights, shape = [weight("w", 8, 8, 1, 1)], (1, 8, SIDE, SIDE)
    plain, slow = (
        run(nodes, weights, shape, fusion=["activation"], operator_instructions=t) for t in ({}, {"Clip": 3, "Pow": 9})
    )
    beyond = float(slow.cost.compute_s.sum() - plain.cost.compute_s.sum())
    assert beyond * CLOCK == pytest.approx(3 * ELEMENTS)


def test_of_a_reduction_what_it_reads_counts() -> None:
    found = run([node("ReduceL2", "x", "y", axes=[2, 3])], [], (1, 8, SIDE, SIDE), operator_instructions={"ReduceL2": 5})
    assert float(found.cost.compute_s[0]) * CLOCK == pytest.approx(5 * ELEMENTS, rel=1e-3)


def test_a_norm_with_its_sum_is_known_by_the_name_of_the_joined_operator() -> None:
    nodes = [node("Relu", "x", "r"), node("Add", "r x", "a"), node("LayerNormalization", "a g", "y")]
    found = run(nodes, [weight("g", SIDE)], (1, 8, SIDE, SIDE), fusion=["skip_norm"],
                operator_instructions={"SkipLayerNormalization": 7})  # fmt: skip
    assert float(found.cost.compute_s.max()) * CLOCK == pytest.approx(7 * ELEMENTS, rel=1e-3)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValidationError, match="no operator is called 'Clipp'"):
        RuntimeSpec.model_validate(runtime_data(operator_instructions={"Clipp": 1}))


def copy_s(perm: list[int], shape: tuple[int, ...], **profile: Any) -> float:
    return float(run([node("Transpose", "x", "y", perm=perm)], [], shape, bandwidth=1, **profile).cost.memory_s[0])


def test_short_pieces_are_transposed_at_a_share_of_the_rate() -> None:
    shape = (4, 8, 300)
    assert copy_s([0, 2, 1], shape, strided=0.25) == pytest.approx(4 * copy_s([0, 2, 1], shape))
    assert copy_s([1, 0, 2], shape, strided=0.25) == copy_s([1, 0, 2], shape)  # 1200 bytes stay beside each other
    assert copy_s([1, 0, 2], (4, 8, 200), strided=0.25) == pytest.approx(4 * copy_s([1, 0, 2], (4, 8, 200)))


def test_one_unit_copies_at_its_part_of_the_caches_and_starts_no_others() -> None:
    profile = {"bandwidth": 1, "fork_overhead": "3 us", "kernel_overhead": "1 us"}
    nodes = [node("Relu", "x", "r"), node("Concat", "x r", "y", axis=1)]
    alone, all_of_them = (
        run(nodes, [], (1, 8, SIDE, SIDE), units=4, serial_copies=serial, **profile) for serial in (True, False)
    )
    assert alone.cost.memory_s[0] == all_of_them.cost.memory_s[0]
    assert alone.cost.overhead_s.tolist() == pytest.approx([7e-6, 1e-6])
    moved = 4 * 4 * ELEMENTS
    assert float(alone.cost.memory_s[1]) == pytest.approx(moved / 10e9)
    assert float(all_of_them.cost.memory_s[1]) == pytest.approx(moved / 40e9)
