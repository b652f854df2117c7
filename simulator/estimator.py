"""One run: WorkTable × Machine × Runtime × policy → Estimate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulator.cost.bound import bound_s
from simulator.cost.limits import Limits, limits_of
from simulator.cost.table import CostTable, cost_table
from simulator.errors import UsageError, did_you_mean
from simulator.kernels.partition import EVERY_FUSION, partition
from simulator.machine.params import SPECIAL_SHARE, EngineParams, Machine, machine_of, require_rate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.result.prediction import Prepared
from simulator.schedule.branches import branches_of
from simulator.schedule.memory import fit, occupancy
from simulator.schedule.overlap import POLICIES, Terms
from simulator.schedule.placement import place
from simulator.transform.precision import PRECISIONS, precision_of, with_precision
from simulator.workload import WorkTable, footprint, work_table

Array = NDArray[np.float64]


@lru_cache(maxsize=32)
def prepare(model: Model, precision: str | None, fusion: tuple[str, ...]) -> Prepared:
    """Kernels and work of a model; kept, since the same model is often held against several machines."""
    graph = with_precision(model.graph, precision) if precision else model.graph
    kernels, works = partition(graph, fusion)
    live = occupancy(graph, kernels)
    work = work_table(graph, kernels, works, footprint(graph, kernels, live.peak_bytes))
    if precision and PRECISIONS[precision].math:
        work = _with_math(work, PRECISIONS[precision].math or "")
    return Prepared(graph, kernels, work, live)


def _with_math(work: WorkTable, math: str) -> WorkTable:
    rates = tuple(math if rate == "fp32" and macs else rate for rate, macs in zip(work.rates, work.macs, strict=True))
    return replace(work, rates=rates)


def estimate(
    model: Model,
    hardware: HardwareSpec,
    runtime: RuntimeSpec,
    *,
    precision: str | None = None,
    overlap: str | None = None,
) -> Estimate:
    """Predict one inference of `model` on `hardware` under `runtime`.

    Raises:
        PrecisionError: the machine has no rate for an element type.
        UsageError: no such overlap policy.
    """
    policy = overlap or "runtime"
    if policy not in POLICIES:
        raise UsageError(f"no overlap policy '{policy}'{did_you_mean(policy, POLICIES)} (known: {', '.join(POLICIES)})")
    if precision is not None:
        precision_of(precision)
    prepared = prepare(model, precision, runtime.fusion)
    machine = machine_of(hardware)
    widened = require_rate(machine, prepared.work.mac_rates, precision)
    limits = limits_of(runtime, machine)
    placement = place(prepared.work, machine, limits.profiles)
    cost = cost_table(prepared.work, machine, limits, placement)
    engines = tuple(e.id for e in placement)
    terms = Terms.of(cost, prepared.occupancy.live_bytes, branches_of(prepared.kernels, engines))
    kernel_s, total = POLICIES[policy](terms)
    latency = float(total) + _fixed_s(machine, limits)
    fused = prepare(model, precision, EVERY_FUSION).work
    bound = float(bound_s(fused, machine, place(fused, machine)))
    energy, parts, kernel_j = _energy(cost, machine, kernel_s, latency)
    fits = fit(machine, prepared.work.footprint)
    return Estimate(
        model, hardware, runtime, precision, policy, prepared, engines, cost, kernel_s, kernel_j,
        latency, bound, energy, parts, fits,
        _warnings(model, hardware, runtime, prepared.work, placement, widened, energy),
    )  # fmt: skip


def _fixed_s(machine: Machine, limits: Limits) -> float:
    """What every inference pays once, whatever the network: on the machine, and on the first engine that the runtime uses."""
    profile = next(iter(limits.profiles.values()))
    return float(machine.inference_overhead_s) + float(profile.inference_overhead.seconds(machine.clock_hz))


def _energy(
    cost: CostTable, machine: Machine, kernel_s: Array, latency_s: float
) -> tuple[float | None, dict[str, float | None], Array | None]:
    """Total energy, its parts, and the energy of each kernel.

    Where the active power of a part was measured, that times the time; else arithmetic + data movement + static power.
    """
    if machine.active_w is not None:
        power = float(np.min(machine.active_w))
        return (
            power * latency_s,
            {"compute": None, "memory": None, "static": None, "active": power * latency_s},
            kernel_s * power,
        )
    static = None if machine.static_w is None else float(np.min(machine.static_w)) * latency_s
    compute = None if cost.compute_j is None else float(cost.compute_j.sum(axis=-1))
    memory = None if cost.memory_j is None else float(cost.memory_j.sum(axis=-1))
    parts: dict[str, float | None] = {"compute": compute, "memory": memory, "static": static}
    if compute is None or memory is None or cost.compute_j is None or cost.memory_j is None:
        return None, parts, None
    per_kernel = cost.compute_j + cost.memory_j + kernel_s * float(np.min(machine.static_w or 0.0))
    return compute + memory + (static or 0.0), parts, per_kernel


def _warnings(
    model: Model,
    hardware: HardwareSpec,
    runtime: RuntimeSpec,
    work: WorkTable,
    placement: tuple[EngineParams, ...],
    widened: Mapping[str, str],
    energy: float | None,
) -> tuple[str, ...]:
    """What a reader must know beside the numbers, the most important first."""
    found = [*model.graph.notes, *_gaps(model)]
    found += [f"{hardware.id} has no {narrow} rate: computed in {wide}" for narrow, wide in widened.items()]
    if hardware.runtime is None and runtime.id == "ideal":
        found.append(f"{hardware.id} names no runtime: the ideal one, at data-sheet rates without overhead")
    machine = machine_of(hardware)
    homes = {m.id for weights in (True, False) for m in machine.homes(weights)}
    unlimited = [m.id for m in hardware.memories if m.capacity is None and m.id in homes]
    if unlimited:
        found.append(f"capacity of {', '.join(unlimited)} is not given: taken as enough")
    if energy is None:
        found.append(f"{hardware.id} has no energy figures for all of this work: energy is not estimated")
    elif hardware.power.active is None and hardware.power.static is None:
        found.append(f"{hardware.id} has no static power: energy is arithmetic and data movement only")
    found += _assumed_rates(hardware, work, placement)
    unsourced = hardware.unsourced()
    if unsourced:
        found.append(f"{len(unsourced)} figure(s) of {hardware.id} have no source: {_some(unsourced)}")
    return tuple(dict.fromkeys(found))


def _assumed_rates(hardware: HardwareSpec, work: WorkTable, placement: tuple[EngineParams, ...]) -> list[str]:
    """What stands in for rates that the machine's file leaves out and this work needs."""
    found = []
    vector, special = work.vector_ops > 0, work.special_ops > 0
    strange = {r for r, n, e in zip(work.rates, vector, placement, strict=True) if n and e.native_vector(r) is None}
    if strange:
        types = ", ".join(sorted(strange))
        found.append(f"{hardware.id} has no rate for element-wise work in {types}: taken at that of its widest type")
    for engine in hardware.engines:
        here = np.array([e.id == engine.id for e in placement], bool)
        if not engine.vector and vector[here].any():
            found.append(f"{hardware.id} gives no vector rate: an element-wise operation is taken to cost a MAC")
        if engine.special is None and special[here].any():
            assumed = f"{SPECIAL_SHARE:.0%} of its fp32 vector rate"
            found.append(f"{hardware.id} gives no rate of special functions (exp, erf, …): taken as {assumed}")
    return found


def _gaps(model: Model) -> list[str]:
    """What the graph does not know."""
    graph, found = model.graph, []
    coverage = graph.coverage
    if coverage.ops_without_rule:
        found.append(f"operators without a rule, counted by their bytes only: {', '.join(coverage.ops_without_rule)}")
    if coverage.tensors_without_shape:
        unknown = [op.name for op in graph.ops if any(graph.tensors[n].shape is None for n in op.outputs if n)]
        found.append(f"{coverage.tensors_without_shape} tensor(s) without a known shape count nothing: {_some(unknown)}")
    if coverage.data_dependent_shapes:
        found.append(f"{coverage.data_dependent_shapes} shape(s) depend on data: taken at their upper bound")
    constant = sum(w.macs for w, op in zip(model.works, graph.ops, strict=True) if op.constant)
    if constant:
        found.append(f"{constant:,} MACs on weights alone run once, before the first inference")
    return found


def _some(names: Sequence[str]) -> str:
    """The first three of a list of names."""
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
