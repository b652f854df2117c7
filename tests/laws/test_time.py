"""Laws of time: monotone in every resource, never below any of them, ordered by overlap."""

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, hardware_data, runtime
from support.strategies import hardware_dicts, machines, networks, ordered, runtime_dicts, runtimes

from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.schedule.overlap import POLICIES

ROUNDING = 1 + 1e-12
CHAIN = ("full", "prefetch", "layer", "runtime", "none")
policies = st.sampled_from(sorted(POLICIES))
few = settings(max_examples=60, deadline=None)


def times(text: str, factor: float) -> str:
    """A quantity multiplied."""
    number, _, unit = text.partition(" ")
    return f"{float(number) * factor!r} {unit}"


def seconds(network: Model, machine: dict[str, Any], software: dict[str, Any] | RuntimeSpec, policy: str) -> Estimate:
    spec = software if isinstance(software, RuntimeSpec) else RuntimeSpec.model_validate(software)
    return estimate(network, HardwareSpec.model_validate(machine), spec, overlap=policy)


@few
@given(networks(), hardware_dicts(), runtimes(), policies, st.floats(1, 100), st.data())
def test_more_bandwidth_is_never_slower(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str, factor: float, data: st.DataObject
) -> None:
    faster = copy.deepcopy(machine)
    level = data.draw(st.sampled_from(faster["memories"]))
    key = data.draw(st.sampled_from([k for k in level if k.endswith("bandwidth")]))
    level[key] = times(level[key], factor)
    ordered(faster["memories"])
    before, after = seconds(network, machine, software, policy), seconds(network, faster, software, policy)
    assert after.latency_s <= before.latency_s * ROUNDING
    assert after.bound_latency_s <= before.bound_latency_s * ROUNDING


@few
@given(networks(), hardware_dicts(), runtimes(), policies, st.floats(1, 1e4), st.data())
def test_more_capacity_is_never_slower(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str, factor: float, data: st.DataObject
) -> None:
    larger = copy.deepcopy(machine)
    inner = [m for m in larger["memories"] if "capacity" in m]
    if inner:
        level = data.draw(st.sampled_from(inner))
        level["capacity"] = times(level["capacity"], factor)
    before, after = seconds(network, machine, software, policy), seconds(network, larger, software, policy)
    assert after.latency_s <= before.latency_s * ROUNDING
    assert after.bound_latency_s <= before.bound_latency_s * ROUNDING


@few
@given(networks(), hardware_dicts(most_engines=1), runtimes(), policies, st.floats(1, 100), st.data())
def test_more_peak_is_never_slower(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str, factor: float, data: st.DataObject
) -> None:
    faster = copy.deepcopy(machine)
    engine = faster["engines"][0]
    table = data.draw(st.sampled_from([engine[k] for k in ("peak", "vector") if k in engine]))
    rate = data.draw(st.sampled_from(sorted(table)))
    table[rate] = times(table[rate], factor)
    before, after = seconds(network, machine, software, policy), seconds(network, faster, software, policy)
    assert after.latency_s <= before.latency_s * ROUNDING
    assert after.bound_latency_s <= before.bound_latency_s * ROUNDING


@few
@given(networks(), machines(), runtime_dicts(), policies, st.data())
def test_higher_efficiency_is_never_slower(
    network: Model, machine: HardwareSpec, software: dict[str, Any], policy: str, data: st.DataObject
) -> None:
    better = copy.deepcopy(software)
    profile = better["profiles"]["default"]
    table, key = data.draw(
        st.sampled_from(
            [
                (profile, "vector_efficiency"),
                (profile, "bandwidth"),
                (profile, "overlap"),
                *((profile["efficiency"], k) for k in profile["efficiency"]),
            ]
        )
    )
    table[key] = data.draw(st.floats(table[key], 1))
    before = estimate(network, machine, RuntimeSpec.model_validate(software), overlap=policy)
    after = estimate(network, machine, RuntimeSpec.model_validate(better), overlap=policy)
    assert after.latency_s <= before.latency_s * ROUNDING
    assert after.bound_latency_s == before.bound_latency_s  # the bound knows no software but what it fuses


def doubled(machine: dict[str, Any]) -> dict[str, Any]:
    """Every rate of the machine twice, every latency half: exact in floating point."""
    faster = copy.deepcopy(machine)
    for engine in faster["engines"]:
        for table in (engine["peak"], engine.get("vector", {})):
            table.update({r: times(q, 2) for r, q in table.items()})
        if "special" in engine:
            engine["special"] = times(engine["special"], 2)
    for level in faster["memories"]:
        level.update({k: times(q, 2) for k, q in level.items() if k.endswith("bandwidth")})
        level.update({k: times(q, 0.5) for k, q in level.items() if k == "latency"})
    return faster | {"overheads": {}}


@few
@given(networks(), hardware_dicts(), runtimes(overheads=False), policies)
def test_doubling_every_rate_halves_the_time(network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str) -> None:
    before = seconds(network, machine | {"overheads": {}}, software, policy)
    after = seconds(network, doubled(machine), software, policy)
    assert after.latency_s == before.latency_s / 2
    assert after.bound_latency_s == before.bound_latency_s / 2


@few
@given(networks(), machines(), runtimes(), policies)
def test_no_policy_beats_any_single_resource(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    est = estimate(network, machine, software, overlap=policy)
    assert est.latency_s * ROUNDING >= est.cost.compute_s.sum()
    assert est.latency_s * ROUNDING >= est.cost.memory_s.sum()
    assert est.latency_s * ROUNDING >= est.cost.overhead_s.sum()
    for level in est.cost.s_by_level.values():
        assert est.latency_s * ROUNDING >= level.sum()


@few
@given(networks(), machines(), runtimes(), policies)
def test_nothing_is_faster_than_the_bound(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    est = estimate(network, machine, software, overlap=policy)
    assert 0 <= est.bound_latency_s <= est.latency_s * ROUNDING


@few
@given(networks(), machines(), runtimes())
def test_more_overlap_is_never_slower(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    found = [estimate(network, machine, software, overlap=p).latency_s for p in CHAIN]
    for less, more in pairwise(found):
        assert less <= more * ROUNDING


def two_sided() -> Model:
    """One kernel bound by compute, one by memory."""
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "v u", "y")]
    return loaded(
        model(
            nodes, [value("x", 4096, 4096), value("v", 1, 4096)], ["h", "y"], [weight("w", 4096, 4096), weight("u", 4096, 4096)]
        )
    )


def test_the_policies_differ_where_they_should() -> None:
    """The weights of the second kernel come while the first computes: all five policies differ."""
    scratchpad = {"id": "sram", "kind": "scratchpad", "capacity": "200 MiB", "bandwidth": "10 TB/s"}
    network, software = two_sided(), runtime(overlap=0.5, resident=0)
    machine = hardware(memories=[scratchpad, *hardware_data()["memories"]])
    found = [estimate(network, machine, software, overlap=p).latency_s for p in CHAIN]
    assert found == sorted(set(found))
    assert estimate(network, machine, software).latency_s == found[CHAIN.index("runtime")]


def test_without_memory_on_chip_nothing_is_loaded_early() -> None:
    found = [estimate(two_sided(), hardware(), runtime(), overlap=p).latency_s for p in ("prefetch", "layer")]
    assert found[0] == found[1]


def test_early_weights_need_room_beside_the_activations() -> None:
    """64 MiB each of x and h, 64 MiB of the first kernel's weights; of those of the second, what is left fits."""
    found = []
    for capacity in (100, 224, 240, 257, 512):
        memories = [{"id": "sram", "kind": "scratchpad", "capacity": f"{capacity} MiB", "bandwidth": "10 TB/s"}]
        machine = hardware(peak="10 TFLOP/s", memories=[*memories, *hardware_data()["memories"]])
        found.append(estimate(two_sided(), machine, runtime(resident=0), overlap="prefetch").latency_s)
        if capacity == 100:
            layers = estimate(two_sided(), machine, runtime(resident=0), overlap="layer").latency_s
    assert found[0] == layers
    assert found[0] > found[1] > found[2] > found[3] == found[4]


@pytest.mark.parametrize(("theta", "like"), [(0, "none"), (1, "layer")])
def test_the_ends_of_theta_are_policies(theta: float, like: str) -> None:
    network, machine = two_sided(), hardware()
    assert estimate(network, machine, runtime(overlap=theta)).latency_s == pytest.approx(
        estimate(network, machine, runtime(overlap=0.3), overlap=like).latency_s, rel=1e-12
    )


@few
@given(networks(), machines(), runtimes(), policies)
def test_the_shares_of_the_kernels_add_up(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    est = estimate(network, machine, software, overlap=policy)
    fixed = software.profiles["default"].inference_overhead.value + (
        machine.overheads.inference.value if machine.overheads.inference else 0
    )
    assert est.kernel_s.sum() + est.waiting_s + fixed == pytest.approx(est.latency_s, rel=1e-9)
    assert (est.kernel_s >= 0).all()
    assert est.throughput_per_s == (est.batch / est.latency_s if est.latency_s else None)  # a view alone takes no time


@few
@given(networks(), machines(), runtimes())
def test_an_asynchronous_launch_is_never_slower_than_a_waiting_one(
    network: Model, machine: HardwareSpec, software: RuntimeSpec
) -> None:
    def launched(asynchronous: bool) -> float:
        profile = software.profiles["default"].model_copy(update={"asynchronous": asynchronous})
        return estimate(network, machine, software.model_copy(update={"profiles": {"default": profile}})).latency_s

    assert launched(True) <= launched(False) * ROUNDING


@few
@given(networks(), machines(), runtimes())
def test_estimates_repeat(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    first, second = (estimate(network, machine, software).to_dict() for _ in range(2))
    assert first == second
    np.testing.assert_equal(first["totals"], second["totals"])
