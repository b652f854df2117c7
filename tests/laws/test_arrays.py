"""One machine and many: a Machine whose fields are columns of design points gives each row bit by bit."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from support.strategies import block_geometries, block_machines, machines, networks, pruned_networks, runtimes

from simulator.cost.bound import bound_s
from simulator.cost.limits import limits_of
from simulator.cost.table import CostTable, cost_table
from simulator.errors import PrecisionError
from simulator.estimator import estimate, totals
from simulator.machine.geometry import BlockNpu, Geometry, OutputCycles, shape_of
from simulator.machine.params import EngineParams, Machine, MemoryParams, machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.prediction import Prepared
from simulator.schedule.overlap import POLICIES, Terms
from simulator.schedule.placement import place

few = settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False)
Scale = Callable[[float], Any]
_NUMBERS: dict[type, tuple[str, ...]] = {
    EngineParams: ("macs_per_s", "vector_ops_per_s", "special_ops_per_s", "sustained", "achieved", "j_per_mac", "sparsity"),
    MemoryParams: (
        "read_bytes_per_s",
        "write_bytes_per_s",
        "capacity_bytes",
        "achieved",
        "read_j_per_byte",
        "write_j_per_byte",
        "double_buffer_bytes",
        "latency_s",
    ),
}


def swept(machine: Machine, chosen: frozenset[str], factors: np.ndarray | float) -> Machine:
    """The machine with the chosen fields times factors: a column of them, or one."""
    below_one = 1 / (1 + np.asarray(factors)) if isinstance(factors, np.ndarray) else 1 / (1 + factors)

    def number(name: str, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {k: number(name, v) for k, v in value.items()}
        return value * (below_one if name in ("sustained", "achieved") else factors)

    def part(old: Any) -> Any:
        wanted = [f.name for f in fields(old) if f.name in _NUMBERS[type(old)] and f"{type(old).__name__}.{f.name}" in chosen]
        return replace(old, **{name: number(name, getattr(old, name)) for name in wanted})

    return replace(machine, engines=tuple(map(part, machine.engines)), memories=tuple(map(part, machine.memories)))


ALL = sorted(f"{t.__name__}.{n}" for t, names in _NUMBERS.items() for n in names)


def costs(prepared: Prepared, machine: Machine, software: RuntimeSpec) -> tuple[CostTable, Any]:
    limits = limits_of(software, machine)
    placement = place(prepared.work, machine, limits.profiles)
    return cost_table(prepared.work, machine, limits, placement), bound_s(prepared.work, machine, placement)


def assert_rows_equal(
    network: Model, spec: HardwareSpec, software: RuntimeSpec, chosen: frozenset[str], factors: list[float]
) -> None:
    prepared, base = prepare(network, None, software.fusion), machine_of(spec)
    column = np.array(factors)[:, np.newaxis]
    many, many_bound = costs(prepared, swept(base, chosen, column), software)
    for row, factor in enumerate(factors):
        one, one_bound = costs(prepared, swept(base, chosen, factor), software)
        for name in ("compute_s", "memory_s", "overhead_s", "compute_j", "memory_j"):
            theirs, ours = getattr(many, name), getattr(one, name)
            assert (theirs is None) == (ours is None), name
            if ours is not None:
                shape = np.broadcast_shapes(np.shape(theirs), (len(factors), len(prepared.work)))
                assert np.array_equal(np.broadcast_to(theirs, shape)[row], ours), name
        for level, moved in one.bytes_by_level.items():
            assert np.array_equal(np.broadcast_to(many.bytes_by_level[level], (len(factors), len(prepared.work)))[row], moved), (
                level
            )
        assert np.shape(many_bound) in ((), (len(factors),))
        assert np.broadcast_to(many_bound, (len(factors),))[row] == one_bound
        live = prepared.occupancy.live_bytes
        for name, policy in POLICIES.items():
            rows = policy(Terms.in_order(many, live))[1]
            alone = policy(Terms.in_order(one, live))[1]
            assert np.broadcast_to(rows, (len(factors),))[row] == alone, name


@few
@given(
    networks(most=8),
    machines(energy=True),
    runtimes(),
    st.sampled_from(sorted(POLICIES)),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
)
def test_the_totals_of_many_are_those_of_estimates(
    network: Model, spec: HardwareSpec, software: RuntimeSpec, policy: str, factors: list[float]
) -> None:
    prepared = prepare(network, None, software.fusion)
    column = np.array(factors)[:, np.newaxis]
    try:
        one = estimate(network, spec, software, overlap=policy)
    except PrecisionError:
        return
    alone = totals(prepared, machine_of(spec), software, policy)
    assert alone.latency_s == one.latency_s
    assert alone.energy_j == one.energy_j
    many = totals(prepared, swept(machine_of(spec), frozenset(ALL), column), software, policy)
    for row, factor in enumerate(factors):
        single = totals(prepared, swept(machine_of(spec), frozenset(ALL), factor), software, policy)
        assert np.broadcast_to(many.latency_s, len(factors))[row] == single.latency_s
        if single.energy_j is not None:
            assert np.broadcast_to(many.energy_j, len(factors))[row] == single.energy_j


scales = st.lists(st.floats(0.1, 10), min_size=1, max_size=5)


@few
@given(pruned_networks(st.just("2:4"), most=6), machines(energy=True), runtimes(), scales)
def test_sparse_rates_swept(network: Model, spec: HardwareSpec, software: RuntimeSpec, factors: list[float]) -> None:
    assert_rows_equal(network, spec, software, frozenset(["EngineParams.sparsity", "EngineParams.macs_per_s"]), factors)


@few
@given(networks(most=6), machines(energy=True), runtimes(), scales)
def test_all_fields_swept(network: Model, spec: HardwareSpec, software: RuntimeSpec, factors: list[float]) -> None:
    assert_rows_equal(network, spec, software, frozenset(ALL), factors)


@few
@given(networks(most=6), machines(energy=True), runtimes(), st.frozensets(st.sampled_from(ALL), min_size=1), scales)
def test_some_fields_swept(
    network: Model, spec: HardwareSpec, software: RuntimeSpec, chosen: frozenset[str], factors: list[float]
) -> None:
    assert_rows_equal(network, spec, software, chosen, factors)


@few
@given(networks(most=6), block_machines(energy=True), runtimes(), scales)
def test_engines_that_work_by_blocks(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, factors: list[float]
) -> None:
    assert_rows_equal(network, HardwareSpec.model_validate(machine), software, frozenset(ALL), factors)


def column_of(shapes: list[BlockNpu]) -> BlockNpu:
    """Geometries as one whose numbers are columns of design points."""

    def column(numbers: list[float]) -> np.ndarray:
        return np.array(numbers, float)[:, np.newaxis]

    output = {f.name: column([getattr(s.output, f.name) for s in shapes]) for f in fields(OutputCycles)}
    own = {f.name: column([getattr(s, f.name) for s in shapes]) for f in fields(BlockNpu) if f.name != "output"}
    return BlockNpu(**own, output=OutputCycles(**output))


def shaped(machine: Machine, shape: BlockNpu) -> Machine:
    return replace(machine, engines=tuple(replace(e, shape=shape) for e in machine.engines))


@few
@given(
    networks(most=6), block_machines(energy=True), runtimes(), st.sampled_from(sorted(POLICIES)),
    st.sampled_from([None, "int8"]), st.lists(block_geometries(), min_size=1, max_size=4), st.integers(0, 3),
)  # fmt: skip
def test_geometry_of_blocks_swept(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str, precision: str | None,
    geometries: list[dict[str, Any]], again: int,
) -> None:  # fmt: skip
    """Ublocks, banks, granules and output stages as columns, one geometry maybe twice."""
    adapter: TypeAdapter[Geometry] = TypeAdapter(Geometry)
    shapes = [shape for g in geometries if isinstance(shape := shape_of(adapter.validate_python(g)), BlockNpu)]
    shapes.append(shapes[again % len(shapes)])
    base = machine_of(HardwareSpec.model_validate(machine))
    prepared = prepare(network, precision, software.fusion)
    many = totals(prepared, shaped(base, column_of(shapes)), software, policy)
    for row, shape in enumerate(shapes):
        one = totals(prepared, shaped(base, shape), software, policy)
        assert np.broadcast_to(many.latency_s, len(shapes))[row] == one.latency_s
        assert (many.energy_j is None) == (one.energy_j is None)
        if one.energy_j is not None:
            assert np.broadcast_to(many.energy_j, len(shapes))[row] == one.energy_j


@pytest.mark.parametrize("field", ALL)
@settings(few, max_examples=8)
@given(network=networks(most=6), spec=machines(energy=True), software=runtimes(), factors=scales)
def test_one_field_swept(field: str, network: Model, spec: HardwareSpec, software: RuntimeSpec, factors: list[float]) -> None:
    assert_rows_equal(network, spec, software, frozenset({field}), factors)
