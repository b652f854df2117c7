"""Laws of energy: additive over kernels, linear in its figures, absent where a figure is."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.machines import hardware, hardware_data, runtime
from support.strategies import hardware_dicts, machines, networks, runtimes

from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.schedule.overlap import POLICIES

few = settings(max_examples=60, deadline=None)
policies = st.sampled_from(sorted(POLICIES))


@few
@given(networks(), machines(energy=True), runtimes(overheads=False), policies)
def test_the_layers_energies_add_up(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    machine = machine.model_copy(update={"overheads": type(machine.overheads)()})  # nothing outside the kernels
    est = estimate(network, machine, software, overlap=policy)
    assert est.energy_j is not None
    rows: Any = est.to_dict()["layers"]
    assert sum(row["energy_j"] for row in rows) == pytest.approx(est.energy_j, rel=1e-9)


@few
@given(networks(), machines(energy=True), runtimes(), policies)
def test_the_parts_add_up(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    est = estimate(network, machine, software, overlap=policy)
    parts = est.energy_parts_j
    assert est.energy_j == pytest.approx(sum(v for v in parts.values() if v is not None), rel=1e-12)
    if machine.power.static is not None:
        assert parts["static"] == pytest.approx(machine.power.static.value * est.latency_s, rel=1e-12)


@few
@given(networks(), machines(energy=True), runtimes(), policies, st.booleans())
def test_classes_and_memories_add_up(
    network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str, measured: bool
) -> None:
    if measured:
        machine = HardwareSpec.model_validate({**machine.model_dump(by_alias=True), "power": {"active": "2 W"}})
    est = estimate(network, machine, software, overlap=policy)
    by_class, by_memory = est.energy_by_class_j, est.energy_by_memory_j
    assert by_class is not None
    assert sum(by_class.values()) == pytest.approx(est.energy_j, rel=1e-12)
    assert all(value >= 0 for value in by_class.values())
    assert by_memory.keys() == est.cost.bytes_by_level.keys()
    if measured:
        assert set(by_memory.values()) == {None}
    else:
        assert sum(v or 0.0 for v in by_memory.values()) == pytest.approx(est.energy_parts_j["memory"], rel=1e-12)


@few
@given(networks(), hardware_dicts(energy=True), runtimes(), policies)
def test_doubling_every_energy_figure_doubles_the_energy(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str
) -> None:
    double = copy.deepcopy(machine)

    def twice(table: dict[str, str]) -> None:
        for key, text in table.items():
            number, _, unit = text.partition(" ")
            table[key] = f"{float(number) * 2!r} {unit}"

    for engine in double["engines"]:
        twice(engine["energy"]["mac"])
    for level in double["memories"]:
        twice(level["energy"])
    twice(double["power"])
    before, after = (estimate(network, HardwareSpec.model_validate(m), software, overlap=policy) for m in (machine, double))
    assert after.energy_j == 2 * before.energy_j
    assert after.latency_s == before.latency_s


@few
@given(networks(), machines(), runtimes())
def test_without_figures_there_is_no_energy_and_a_warning(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    est = estimate(network, machine, software)
    assert est.energy_j is None
    assert est.to_dict()["totals"]["energy_j"] is None  # type: ignore[index]
    assert any("no energy figures" in w for w in est.warnings)


nodes = st.floats(1, 500).map(lambda nm: f"{nm!r} nm")


@few
@given(networks(), hardware_dicts(), runtimes(), nodes)
def test_a_process_stands_in_for_figures_and_is_named(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, node: str
) -> None:
    """Never a silent zero: a number with its defaults named, or none with a warning."""
    est = estimate(network, HardwareSpec.model_validate({**machine, "process": node}), software)
    unknown = any(level["kind"] == "flash" for level in machine["memories"])
    if machine["class"] in ("mcu", "fpga") or unknown:
        assert est.energy_j is None
        assert est.energy_defaults == ()
        assert any("no energy figures" in w for w in est.warnings)
    else:
        assert est.energy_j is not None
        assert any("default figures" in w for w in est.warnings) == bool(est.energy_defaults)
        moved = any(column.any() for column in est.cost.bytes_by_level.values())  # a view alone moves nothing
        assert bool(est.energy_defaults) == (moved and est.energy_j > 0)


@few
@given(networks(), hardware_dicts(energy=True), runtimes(), nodes)
def test_a_process_changes_no_figure_that_is_given(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, node: str
) -> None:
    plain, named = (estimate(network, HardwareSpec.model_validate(m), software) for m in (machine, {**machine, "process": node}))
    assert named.energy_j == plain.energy_j
    assert named.energy_defaults == ()


@few
@given(networks(), runtimes(), st.floats(1, 500), st.floats(1, 500))
def test_a_finer_process_takes_no_more(network: Model, software: RuntimeSpec, one_nm: float, other_nm: float) -> None:
    fine, coarse = (estimate(network, hardware(process=f"{nm!r} nm"), software).energy_j for nm in sorted((one_nm, other_nm)))
    assert fine is not None
    assert coarse is not None
    assert fine <= coarse * (1 + 1e-12)


@few
@given(networks(), runtimes(), st.floats(0.01, 100))
def test_measured_active_power_times_time(network: Model, software: RuntimeSpec, watts: float) -> None:
    est = estimate(network, hardware(power={"active": f"{watts!r} W"}), software)
    assert est.energy_j == pytest.approx(watts * est.latency_s, rel=1e-12)


def test_faster_machines_of_the_same_figures_spend_less_on_static_power() -> None:
    from support.graphs import loaded, model, node, value, weight

    network = loaded(model([node("MatMul", "x w", "y")], [value("x", 64, 64)], ["y"], [weight("w", 64, 64)]))
    base = hardware_data(peak="100 TFLOP/s", power={"static": "10 W"})
    base["engines"][0]["energy"] = {"mac": {"fp32": "1 pJ"}}
    base["memories"][0]["energy"] = {"read": "10 pJ/B"}
    fast = copy.deepcopy(base)
    fast["memories"][0]["bandwidth"] = "200 GB/s"
    slow_est, fast_est = (estimate(network, HardwareSpec.model_validate(m), runtime()) for m in (base, fast))
    macs, moved = 64**3, 3 * 64 * 64 * 4
    assert slow_est.energy_j == pytest.approx(macs * 1e-12 + moved * 10e-12 + 10 * moved / 100e9, rel=1e-12)
    assert fast_est.energy_j == pytest.approx(macs * 1e-12 + moved * 10e-12 + 10 * moved / 200e9, rel=1e-12)
