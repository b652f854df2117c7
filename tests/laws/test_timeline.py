"""The timeline: every lane does one thing at a time, its sums are those of the cost table, the last event ends at the end."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import FLOAT, INT8, loaded, model, node, value, weight
from support.machines import hardware, hardware_data, runtime
from support.strategies import machines, networks, runtimes

import simulator as sim
from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.schedule.overlap import POLICIES
from simulator.schedule.timeline import LAUNCHES, Event, Lane

few = settings(max_examples=100, deadline=None)
policies = st.sampled_from(sorted(POLICIES))


def by_lane(est: Estimate) -> dict[Lane, list[Event]]:
    found = defaultdict(list)
    for event in est.timeline().events:
        found[event.lane].append(event)
    return found


def assert_sound(est: Estimate) -> None:
    """All that holds for any timeline."""
    found, cost, slack = by_lane(est), est.cost, 1e-9 * est.latency_s
    line = est.timeline()
    assert line.latency_s == est.latency_s
    assert set(line.lanes) == set(found)
    if est.latency_s:
        assert max(e.end_s for e in line.events) == pytest.approx(est.latency_s, rel=1e-9)
    assert all(e.start_s >= -slack and e.duration_s > 0 for e in line.events)
    for events in found.values():
        assert all(one.end_s <= other.start_s + slack for one, other in pairwise(events))
    for engine in dict.fromkeys(est.engines):
        here = np.array([e == engine for e in est.engines])
        assert line.busy_s(Lane("engine", engine)) == pytest.approx(cost.compute_s[here].sum(), rel=1e-9)
    for level, seconds in cost.s_by_level.items():
        crossing = cost.crossing_s[level].sum() if level in cost.crossing_s else 0.0
        assert line.busy_s(Lane("memory", level)) == pytest.approx(seconds.sum() + crossing, rel=1e-9)
        moved = sum(e.moved_bytes for e in found[Lane("memory", level)])
        crossed = cost.crossed[level].all_bytes.sum() if level in cost.crossed else 0.0
        if seconds.all():  # time in caches may hide altogether: no event then
            assert moved == pytest.approx(cost.bytes_by_level[level].sum() + crossed, rel=1e-9)
    fixed = sum(e.duration_s for e in found[LAUNCHES] if e.kernel is None)
    assert line.busy_s(LAUNCHES) - fixed == pytest.approx(cost.overhead_s.sum(), rel=1e-9, abs=1e-15)


@few
@given(networks(), machines(), runtimes(), policies)
def test_sound(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    assert_sound(estimate(network, machine, software, overlap=policy))


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize(
    ("name", "machine", "precision"),
    [("mobilenet_v2", "edgetpu_usb", "int8"), ("resnet8", "ethos_u55_128", "int8"), ("bert_base", "a100_sxm_80", "fp16")],
)
def test_sound_on_the_catalogue(name: str, machine: str, precision: str, policy: str) -> None:
    assert_sound(sim.estimate(name, machine, precision=precision, overlap=policy))


def two_engines(bandwidth: str = "40 GB/s", lengths: tuple[int, int] = (3, 3), peak: str = "1 TMAC/s", **sections) -> tuple[
    Model, HardwareSpec
]:  # fmt: skip
    """A branch of products in fp32 and one in int8, on engines that have only one of the rates."""
    nodes, weights = [], []
    for start, dtype, length in (("x", FLOAT, lengths[0]), ("q", INT8, lengths[1])):
        for i in range(length):
            nodes.append(node("MatMul", f"{start}{i or ''} w{start}{i}", f"{start}{i + 1}"))
            weights.append(weight(f"w{start}{i}", 256, 256, dtype=dtype))
    inputs = [value("x", 256, 256), value("q", 256, 256, dtype=INT8)]
    network = loaded(model(nodes, inputs, [f"x{lengths[0]}", f"q{lengths[1]}"], weights))
    engines = [
        {"id": "cpu", "kind": "simd", "peak": {"fp32": "1 TMAC/s"}}, {"id": "npu", "kind": "npu", "peak": {"int8": peak}},
    ]  # fmt: skip
    return network, hardware(**{"engines": engines, "bandwidth": bandwidth, **sections})


@few
@given(
    st.floats(1, 1000), st.tuples(st.integers(1, 4), st.integers(1, 4)), st.floats(0.1, 10), st.floats(0, 1), st.floats(0, 100),
    st.booleans(), policies,
)  # fmt: skip
def test_sound_on_any_two_engines(
    bandwidth: float, lengths: tuple[int, int], peak: float, theta: float, launch: float, asynchronous: bool, policy: str
) -> None:
    sram = {"id": "sram", "kind": "scratchpad", "capacity": "4 MiB", "bandwidth": "10 TB/s"}
    memories = [sram, {"id": "dram", "kind": "dram", "bandwidth": f"{bandwidth!r} GB/s"}]
    network, machine = two_engines(lengths=lengths, peak=f"{peak!r} TMAC/s", memories=memories)
    est = estimate(
        network, machine, runtime(overlap=theta, kernel_overhead=f"{launch!r} us", asynchronous=asynchronous), overlap=policy
    )
    assert_sound(est)
    assert est.bound_latency_s <= est.latency_s * (1 + 1e-12)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("asynchronous", [False, True])
def test_sound_on_two_engines(policy: str, asynchronous: bool) -> None:
    software = runtime(overlap=0.5, kernel_overhead="3 us", asynchronous=asynchronous)
    est = estimate(*two_engines(), software, overlap=policy)
    assert set(est.engines) == {"cpu", "npu"}
    assert_sound(est)
    serial = est.cost.compute_s.sum() + est.cost.memory_s.sum() + est.cost.overhead_s.sum()
    assert est.bound_latency_s <= est.latency_s < serial


def test_early_weights_lie_under_the_kernel_before() -> None:
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "h u", "y")]
    network = loaded(model(nodes, [value("x", 2048, 512)], ["y"], [weight("w", 512, 512), weight("u", 512, 512)]))
    sram = {"id": "sram", "kind": "scratchpad", "capacity": "64 MiB", "bandwidth": "10 TB/s"}
    est = estimate(network, hardware(memories=[sram, *hardware_data()["memories"]]), runtime(resident=0), overlap="prefetch")
    (early,) = (e for e in est.timeline().events if e.kind == "early weights")
    (first,) = (e for e in est.timeline().events if e.kind == "compute" and e.kernel == 0)
    assert (early.kernel, early.moved_bytes) == (1, 512 * 512 * 4)
    assert first.start_s <= early.start_s
    assert early.end_s <= first.end_s


def test_what_each_policy_hides() -> None:
    """Compute begins as its policy says: after all transfers (`none`), or beside them (`layer`)."""
    network = loaded(model([node("MatMul", "x w", "y")], [value("x", 512, 512)], ["y"], [weight("w", 512, 512)]))
    found = {}
    for policy in ("none", "layer", "full"):
        est = estimate(network, hardware(), runtime(kernel_overhead="1 us"), overlap=policy)
        found[policy] = {e.kind: e for e in est.timeline().events}
    none, layer = found["none"], found["layer"]
    assert none["launch"].end_s == none["transfer"].start_s == layer["transfer"].start_s
    assert none["transfer"].end_s == pytest.approx(none["compute"].start_s)
    assert layer["compute"].start_s == layer["transfer"].start_s
    assert layer["compute"].end_s > layer["transfer"].end_s
