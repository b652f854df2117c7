"""Kernels too small to be split, and pages of copies of weights: counts worked out by hand."""

from typing import Any

import onnx
import pytest
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate
from simulator.result.estimate import Estimate

UNITS, LEAST = 4, 100
LAUNCH_S, FORK_S, FAULT_S = 2e-6, 3e-6, 1e-6
FORKS = {"kernel_overhead": "2 us", "fork_overhead": "3 us"}


def run(
    nodes: list[onnx.NodeProto], weights: list[Any], shape: tuple[int, ...], units: int = UNITS, *,
    clocks: dict[str, str] | None = None, adds: tuple[str, ...] = (), **profile: Any,
) -> Estimate:  # fmt: skip
    engine = {
        "id": "cores", "kind": "simd", "units": units, "even_split": 0.6, **(clocks or {}),
        "peak": {"fp32": "1 TFLOP/s"}, "vector": {"fp32": "1 GOP/s"},
    }  # fmt: skip
    spec = hardware(bandwidth="1e6 TB/s", engines=[engine])
    software = runtime(**FORKS, **profile).model_copy(update={"adds": adds})
    return estimate(loaded(model(nodes, [value("x", *shape)], ["y"], weights)), spec, software)


def relu(elements: int, **profile: Any) -> Estimate:
    return run([node("Relu", "x", "y")], [], (1, elements), **profile)


def test_one_unit_runs_loops_of_few_elements_and_starts_no_others() -> None:
    few, enough = (relu(n, parallel_elements=LEAST) for n in (LEAST * UNITS - 1, LEAST * UNITS))
    assert float(few.cost.compute_s[0]) == pytest.approx((LEAST * UNITS - 1) * UNITS / 1e9)
    assert float(few.cost.overhead_s[0]) == LAUNCH_S
    assert float(enough.cost.compute_s[0]) == pytest.approx(LEAST * UNITS / 1e9)
    assert float(enough.cost.overhead_s[0]) == pytest.approx(LAUNCH_S + 2 * FORK_S)


def test_one_of_units_that_are_not_alike_is_as_fast_as_their_mean() -> None:
    few, all_of_them = relu(40, parallel_elements=LEAST, static_split=True), relu(40, static_split=True)
    assert float(few.cost.compute_s[0]) == pytest.approx(float(all_of_them.cost.compute_s[0]) * UNITS * 0.6)
    assert float(few.cost.compute_s[0]) == pytest.approx(float(relu(40, parallel_elements=LEAST).cost.compute_s[0]))


def test_one_alone_runs_at_the_highest_clock() -> None:
    """Four units that keep half of it take half as long as one that keeps all; at a fifth of it they are no faster than one."""
    for kept, slower in (("2 GHz", UNITS / 2), ("800 MHz", 1)):
        clocks = {"clock": "4 GHz", "sustained_clock": kept}
        few, all_of_them = (relu(40, clocks=clocks, **least) for least in ({"parallel_elements": LEAST}, {}))
        assert float(few.cost.compute_s[0]) == pytest.approx(float(all_of_them.cost.compute_s[0]) * slower)


@pytest.mark.parametrize(("elements", "loops"), [(LEAST * UNITS, 3), (LEAST, 0)])
def test_units_wait_for_each_other_after_every_part_of_a_concatenation(elements: int, loops: int) -> None:
    found = run([node("Concat", "x x x", "y", axis=1)], [], (1, elements // 3 + 1), parallel_elements=LEAST, loop_overhead="1 us")
    assert float(found.cost.overhead_s[0]) == pytest.approx(LAUNCH_S + (2 * FORK_S + loops * 2e-6 if loops else 0.0))
    bare = run([node("Concat", "x x x", "y", axis=1)], [], (1, elements // 3 + 1), parallel_elements=LEAST)
    assert float(bare.cost.overhead_s[0]) == pytest.approx(LAUNCH_S + (2 * FORK_S if loops else 0.0))


@pytest.mark.parametrize(("side", "pages"), [(8, 9 * 64 * 64 // 1024), (64, 0)])
def test_computed_weights_are_new_pages_where_they_are_more_than_twice_the_largest_buffer(side: int, pages: int) -> None:
    """Three weights of 147 kB together are more than two images of 16 kB or weights, not more than two images of 1 MB."""
    names = "abc"
    made = [node("Mul", f"w{n} gain", f"s{n}") for n in names]
    ends = ("x", "u", "v", "y")
    convs = [node("Conv", f"{ends[i]} s{n}", ends[i + 1], pads=[1, 1, 1, 1], name=f"conv_{n}") for i, n in enumerate(names)]
    weights = [*(weight(f"w{n}", 64, 64, 3, 3) for n in names), weight("gain", 64, 1, 1, 1)]
    faults, bare = (
        run([*made, *convs], weights, (1, 64, side, side), adds=("weight_norm",), weight_copies=2, **fault).cost.overhead_s
        for fault in ({"page_fault": "1 us"}, {})
    )
    assert sorted((faults - bare).tolist()) == pytest.approx([0.0] * 3 + [pages * FAULT_S] * 3)


def test_where_there_is_one_unit_or_no_figure_nothing_changes() -> None:
    assert relu(40, units=1, parallel_elements=LEAST).latency_s == relu(40, units=1).latency_s
    assert float(relu(40).cost.overhead_s[0]) == pytest.approx(LAUNCH_S + 2 * FORK_S)


def test_a_reduction_loops_over_what_it_reads() -> None:
    nodes = [node("ReduceSum", "x", "y", keepdims=1)]
    few, enough = (run(nodes, [], (1, n), parallel_elements=LEAST) for n in (LEAST * UNITS - 1, LEAST * UNITS))
    assert float(few.cost.overhead_s[0]) == LAUNCH_S
    assert float(enough.cost.overhead_s[0]) == pytest.approx(LAUNCH_S + 2 * FORK_S)


def test_products_are_always_split() -> None:
    found = run([node("MatMul", "x w", "y")], [weight("w", 8, 8)], (1, 8), parallel_elements=LEAST)
    assert float(found.cost.overhead_s[0]) == pytest.approx(LAUNCH_S + 2 * FORK_S)


@pytest.mark.parametrize(
    ("channels", "side", "pages"),
    [(1024, 3, 9 * 1024 * 1024 * 4 // 4096), (1025, 3, -(-9 * 1025 * 1024 * 4 // 4096)), (9000, 1, 0), (512, 3, 0), (2048, 2, 0)],
)
def test_copies_of_weights_above_32_mib_are_new_pages_in_every_run(channels: int, side: int, pages: int) -> None:
    """2048 → 1024 channels of 2 × 2 are 32 MiB, which are used again; 1 × 1 has no order of its own."""
    wide = [weight("w", 1024, channels, side, side)]
    conv = [node("Conv", "x w", "y")]
    found = run(conv, wide, (1, channels, 4, 4), page_fault="1 us", weight_copies=2)
    assert float(found.cost.overhead_s[0]) == pytest.approx(LAUNCH_S + 2 * FORK_S + 2 * pages * FAULT_S)
    assert run(conv, wide, (1, channels, 4, 4), weight_copies=2).cost.overhead_s[0] == pytest.approx(LAUNCH_S + 2 * FORK_S)
