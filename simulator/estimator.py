"""One run: WorkTable × Machine × Runtime × policy → Estimate."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.cost.bound import bound_s
from simulator.cost.boundary import boundary_home
from simulator.cost.compute import engine_types
from simulator.cost.energy import defaults_used
from simulator.cost.limits import Limits, limits_of, works_by_blocks
from simulator.cost.parts import Part, parts_of
from simulator.cost.pipeline import has_pipelines, laid_out, set_up_share, weights_outside
from simulator.cost.table import CostTable, Traffic, cost_table, traffic_of
from simulator.cost.transfer import Crossings, crossings
from simulator.errors import UsageError, did_you_mean
from simulator.kernels.partition import EVERY_FUSION
from simulator.machine.figures import Number
from simulator.machine.geometry import BlockNpu
from simulator.machine.params import SPECIAL_SHARE, Machine, machine_of, require_rate
from simulator.machine.points import lots_of, reuse_freed_memory
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepare, prepared_for, supported_by
from simulator.result.estimate import Estimate
from simulator.result.prediction import Prepared
from simulator.schedule.branches import Branches, branches_of
from simulator.schedule.code import code_bytes, code_home, with_code
from simulator.schedule.memory import fit, fits_at, together
from simulator.schedule.overlap import IN_ORDER, POLICIES, Terms
from simulator.schedule.placement import Placement, engine_sets, fallback_notes, place, placements
from simulator.transform.precision import precision_of
from simulator.units import format_si
from simulator.workload import WorkTable

Array = NDArray[np.float64]
_LOT_ENTRIES = 2**17  # design points times kernels of one array: 1 MiB


@dataclass(frozen=True)
class Setting:
    """One network on one machine under one runtime: what its costs are computed from."""

    prepared: Prepared
    machine: Machine
    limits: Limits
    placement: Placement
    parts: tuple[Part, ...]
    crossed: Mapping[str, Crossings]

    @property
    def traffic(self) -> Traffic:
        """Bytes on their ways, each kind of data apart, and the rates that they meet."""
        found = traffic_of(self.prepared.work, self.machine, self.limits, self.placement, self.parts)
        return replace(found, moving=found.apart())

    def cost(self, traffic: Traffic | None = None) -> CostTable:
        """Cost of every kernel; `traffic` in the place of what the kernels cause."""
        return cost_table(self.prepared.work, self.machine, self.limits, self.placement, self.parts, self.crossed, traffic)


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
    policy = known_policy(overlap)
    if precision is not None:
        precision_of(precision)
    machine = machine_of(hardware)
    limits = limits_of(runtime, machine)
    prepared = prepared_for(model, runtime, precision, hardware, limits.profiles)
    widened = require_rate(machine, prepared.work.mac_rates, precision)
    setting = _setting(prepared, machine, limits, runtime)
    placement, parts = setting.placement, setting.parts
    engines = tuple(e.id for e in placement)
    cost = setting.cost()
    kernel_s, waiting, latency = timed(setting, cost, policy)
    bound = _bound_s(model, hardware, machine, precision)
    energy, energy_parts, kernel_j = _energy(cost, machine, kernel_s, latency)
    fits = together(f for part in parts for f in fit(part.machine, part.work.footprint))
    fits = with_code(fits, machine, float(code_bytes(prepared.work, runtime.code))) if runtime.code else fits
    fallback = fallback_notes(prepared.work, placement, runtime.fallback)
    assumed = () if energy is None else defaults_used(prepared.work, machine, placement, cost.bytes_by_level)
    coded = _weight_notes(prepared.work, limits, placement)
    streamed = _pipeline_notes(hardware, setting)
    notes = (*fallback, *coded, *streamed, *_energy_notes(hardware, machine, energy, assumed))
    return Estimate(
        model, hardware, runtime, precision, policy, prepared, engines, cost, kernel_s, kernel_j,
        waiting, latency, bound, energy, energy_parts, assumed, fits,
        _warnings(model, hardware, machine, runtime, prepared.work, placement, widened, notes),
    )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Whether every memory holds what it must, what bounds the network, as a place in `BOUNDS`, and bytes across the outermost
    memory or link; shape (...).
    """

    fits: NDArray[np.bool_]
    bound: NDArray[np.intp]
    traffic_bytes: Array


@dataclass(frozen=True)
class Totals:
    """Latency in s and energy in J (None where the machine has no figures for it) of one inference, shape (...)."""

    latency_s: Array
    energy_j: Array | None
    verdict: Verdict | None = None


def totals(
    prepared: Prepared, machine: Machine, runtime: RuntimeSpec, policy: str = "runtime", *, verdict: bool = False
) -> Totals:
    """The totals of `estimate` for a machine or for many: fields of `machine` may be columns of design points, (n_points, 1).

    Bit by bit what `estimate` finds for each of them. What does not depend on the order of the kernels is reckoned once
    for those that are alike. Where the machine's power was measured, energy is that times the latency. Any number of points
    will do: they are taken in lots that the processor's cache holds. With `verdict`, also what fits and what bounds.
    """
    reuse_freed_memory()
    lots = lots_of(machine, max(_LOT_ENTRIES // max(len(prepared.work.alike.firsts), 1), 1))
    found = [(count, _totals(prepared, lot, runtime, policy, verdict=verdict)) for count, lot in lots]
    if len(found) == 1:
        return found[0][1]
    energy = [(one.energy_j, count) for count, one in found if one.energy_j is not None]
    verdicts = [(one.verdict, count) for count, one in found if one.verdict is not None]
    return Totals(
        _joined((one.latency_s, count) for count, one in found),
        _joined(energy) if energy else None,
        Verdict(*(_joined((getattr(v, f.name), n) for v, n in verdicts) for f in fields(Verdict))) if verdicts else None,
    )


def _joined(lots: Iterable[tuple[NDArray[Any], int]]) -> NDArray[Any]:
    """What lots of so many points came to, one behind the other."""
    return np.concatenate([np.broadcast_to(values, count) for values, count in lots])


def _totals(prepared: Prepared, machine: Machine, runtime: RuntimeSpec, policy: str, *, verdict: bool) -> Totals:
    """The totals of as many points as one array holds."""
    limits, work = limits_of(runtime, machine), prepared.work
    machine = laid_out(machine, limits, work)
    placement = place(work, machine, limits.profiles, runtime.fallback)
    crossed = crossings(prepared.graph, prepared.kernels, machine, placement)
    by_kernel = works_by_blocks(limits, placement) or boundary_home(machine) is not None or crossed
    if policy in IN_ORDER or len({e.id for e in placement}) > 1 or by_kernel:
        parts = _parts(prepared, machine, placement)
        cost = cost_table(work, machine, limits, placement, parts, crossed)
    else:
        firsts = tuple(placement[i] for i in work.alike.firsts)
        parts = (Part(machine.seen_by(firsts[0]) if firsts else machine, work.distinct),)
        cost = cost_table(work.distinct, machine, limits, firsts, parts)
    branches = branches_of(prepared.kernels, tuple(e.id for e in placement))
    kernel_s, total = POLICIES[policy](_terms(cost, prepared, policy, branches))
    waiting = _waiting_s(cost, total)
    latency = total + waiting + _fixed_s(machine, limits)
    beside = {code_home(machine): code_bytes(work, runtime.code)} if runtime.code else {}
    return Totals(
        latency, _total_j(cost, machine, latency), _verdict(cost, kernel_s, waiting, parts, beside) if verdict else None
    )


def _verdict(
    cost: CostTable, kernel_s: Array, waiting_s: Number, parts: tuple[Part, ...], beside: Mapping[str, Number]
) -> Verdict:
    compute, memory, overhead = cost.resources_s
    by_compute = (compute >= memory) & (compute >= overhead)
    by_memory = ~by_compute & (memory >= overhead)
    compute_s, memory_s = cost.total(kernel_s * by_compute), cost.total(kernel_s * by_memory)
    rest_s = cost.total(kernel_s * ~(by_compute | by_memory)) + waiting_s
    bound = np.where((compute_s >= memory_s) & (compute_s >= rest_s), 0, np.where(memory_s >= rest_s, 1, 2))
    fits = fits_at(((part.machine, part.work.footprint) for part in parts), beside)
    return Verdict(fits, bound, cost.total(outermost_bytes(cost)))


def outermost_bytes(cost: CostTable) -> Array:
    """Bytes of every kernel across the outermost memory, or link, that it uses: what leaves the chip, where something does."""
    level = next((memory.id for memory in reversed(cost.machine.memories) if memory.id in cost.moved), None)
    return np.zeros(()) if level is None else np.asarray(cost.bytes_by_level[level])


def _total_j(cost: CostTable, machine: Machine, latency_s: Array) -> Array | None:
    if machine.active_w is not None:
        return np.asarray(_of_points(machine.active_w) * latency_s)
    compute, memory = cost.energy_j
    if compute is None or memory is None:
        return None
    static = 0.0 if machine.static_w is None else _of_points(machine.static_w) * latency_s
    return np.asarray(compute + memory + static)


def _of_points(value: Number) -> Number:
    """A field of design points (n, 1) beside sums over kernels (n,)."""
    return value[..., 0] if isinstance(value, np.ndarray) and value.ndim else value


def _terms(cost: CostTable, prepared: Prepared, policy: str, branches: Branches | None) -> Terms:
    """The costs as a policy needs them."""
    if policy in IN_ORDER or branches is not None:
        return Terms.in_order(cost, prepared.occupancy.live_bytes, branches)
    return Terms.of(cost)


def setting_of(
    model: Model, hardware: HardwareSpec, runtime: RuntimeSpec, precision: str | None, *, once: bool = False
) -> Setting:
    """What `estimate` computes its costs from; `once`: see `prepare`."""
    machine = machine_of(hardware)
    limits = limits_of(runtime, machine)
    prepared = prepared_for(model, runtime, precision, hardware, limits.profiles, once=once)
    return _setting(prepared, machine, limits, runtime)


def _setting(prepared: Prepared, machine: Machine, limits: Limits, runtime: RuntimeSpec) -> Setting:
    machine = laid_out(machine, limits, prepared.work)
    placement = place(prepared.work, machine, limits.profiles, runtime.fallback)
    parts = _parts(prepared, machine, placement)
    crossed = crossings(prepared.graph, prepared.kernels, machine, placement)
    return Setting(prepared, machine, limits, placement, parts, crossed)


def timed(setting: Setting, cost: CostTable, policy: str) -> tuple[Array, float, float]:
    """Each kernel's time under an overlap policy, how long the device waits for the host that launches them, and the
    latency with that and with what every inference pays once.
    """
    prepared, engines = setting.prepared, tuple(e.id for e in setting.placement)
    kernel_s, total = POLICIES[policy](_terms(cost, prepared, policy, branches_of(prepared.kernels, engines)))
    waiting = _waiting_s(cost, total)
    return kernel_s, float(waiting), float(total + waiting + _fixed_s(setting.machine, setting.limits))


def _waiting_s(cost: CostTable, network_s: Array) -> Number:
    """By how much the host takes longer to launch all kernels than the device to run them: launches run ahead of it, but the
    last kernel runs once all are launched. max(device, host) is at most the time of a queue in which both take turns.
    """
    host_s = cost.host_s
    return 0.0 if host_s is None else np.maximum(host_s - network_s, 0.0)


def known_policy(overlap: str | None) -> str:
    """The overlap policy of that name, the runtime's own where none is given; UsageError with suggestions otherwise."""
    policy = overlap or "runtime"
    if policy not in POLICIES:
        raise UsageError(f"no overlap policy '{policy}'{did_you_mean(policy, POLICIES)} (known: {', '.join(POLICIES)})")
    return policy


def _parts(prepared: Prepared, machine: Machine, placement: Placement) -> tuple[Part, ...]:
    return parts_of(prepared.graph, prepared.kernels, prepared.work, machine, placement, prepared.occupancy.live_bytes)


def _bound_s(model: Model, hardware: HardwareSpec, machine: Machine, precision: str | None) -> float:
    """The lowest bound of all ways in which a runtime may share the kernels out among engines."""
    ways = bound_ways(model, hardware, machine, precision)
    return min((float(bound_s(p.work, machine, placement, parts)) for p, placement, parts in ways), default=0.0)


def bound_ways(
    model: Model, hardware: HardwareSpec, machine: Machine, precision: str | None
) -> Iterator[tuple[Prepared, Placement, tuple[Part, ...]]]:
    """The network with everything fused, on every set of engines that a runtime may use, either way to fall back.

    Activations leave weights all the room on chip, for a pipeline streams images through it; or weights come from outside.
    """
    passing = replace(machine, activations_pass=True)
    ways = (passing, weights_outside(passing)) if len(machine.homes(weights=True)) > 1 else (passing,)
    for usable in engine_sets(machine):
        fused = prepare(model, precision, EVERY_FUSION, supported_by(hardware, usable), once=True)
        for own, placement in product(ways, placements(fused.work, machine, usable)):
            parts = _parts(fused, own, placement)
            if any(isinstance(e.shape, BlockNpu) for e in placement):
                from simulator.cost.blocks import with_least_weights

                parts = with_least_weights(parts, placement)
            yield fused, placement, parts


def _fixed_s(machine: Machine, limits: Limits) -> Number:
    """What every inference pays once, whatever the network: on the machine, and on the first engine that the runtime uses."""
    profile = next(iter(limits.profiles.values()))
    return _of_points(machine.inference_overhead_s) + _of_points(profile.inference_overhead.seconds(machine.clock_hz))


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
    compute, memory = (None if joules is None else float(joules) for joules in cost.energy_j)
    parts: dict[str, float | None] = {"compute": compute, "memory": memory, "static": static}
    if compute is None or memory is None or cost.compute_j is None or cost.memory_j is None:
        return None, parts, None
    per_kernel = cost.compute_j + cost.memory_j + kernel_s * float(np.min(machine.static_w or 0.0))
    return compute + memory + (static or 0.0), parts, per_kernel


def _warnings(
    model: Model,
    hardware: HardwareSpec,
    machine: Machine,
    runtime: RuntimeSpec,
    work: WorkTable,
    placement: Placement,
    widened: Mapping[str, str],
    notes: Sequence[str],
) -> tuple[str, ...]:
    """What a reader must know beside the numbers, the most important first."""
    found = [*model.graph.notes, *_gaps(model)]
    found += [f"{hardware.id} has no {narrow} rate: computed in {wide}" for narrow, wide in widened.items()]
    if hardware.runtime is None and runtime.id == "ideal":
        found.append(f"{hardware.id} names no runtime: the ideal one, at data-sheet rates without overhead")
    homes = {m.id for weights in (True, False) for m in machine.homes(weights)}
    unlimited = [m.id for m in hardware.memories if m.capacity is None and m.id in homes]
    if unlimited:
        found.append(f"capacity of {', '.join(unlimited)} is not given: taken as enough")
    found += notes
    found += _assumed_rates(hardware, work, placement)
    unsourced = hardware.unsourced()
    if unsourced:
        found.append(f"{len(unsourced)} figure(s) of {hardware.id} have no source: {_some(unsourced)}")
    return tuple(dict.fromkeys(found))


def _weight_notes(work: WorkTable, limits: Limits, placement: Placement) -> list[str]:
    """What is not known of weights that an engine reads encoded."""
    if not works_by_blocks(limits, placement):
        return []
    from simulator.cost.blocks import unread_weights

    count = unread_weights(work, limits, placement)
    kernels = f"{count} kernel{'s' if count > 1 else ''}"
    return [f"the values of the weights of {kernels} are not known: taken as incompressible when encoded"] if count else []


def _pipeline_notes(hardware: HardwareSpec, setting: Setting) -> list[str]:
    """That the time of a network laid out over the chip is one of the steady state."""
    work, machine, limits = setting.prepared.work, setting.machine, setting.limits
    engines = {engine.id: engine for engine in setting.placement}.values()
    if not has_pipelines(limits) or all(np.any(set_up_share(work, machine, limits, engine)) for engine in engines):
        return []
    return [
        f"{hardware.id} runs the network as a pipeline: the time is that from one result to the next; an image alone takes longer"
    ]


def _energy_notes(hardware: HardwareSpec, machine: Machine, energy: float | None, assumed: Sequence[str]) -> list[str]:
    """What the energy leaves out, and what stands in for figures that the machine's file leaves out."""
    if energy is None:
        missing = f"{hardware.id} has no energy figures for all of this work: energy is not estimated"
        advice = " (a microcontroller takes its power.active: its operations alone are less than a hundredth of it)"
        return [missing + (advice if hardware.hardware_class == "mcu" else "")]
    found = []
    if assumed and hardware.process is not None:
        node = format_si(hardware.process.value, "m")
        parts = dict.fromkeys(path.split(".")[1] for path in assumed)
        found.append(
            f"energy from default figures of a {node} process for {', '.join(parts)}: arithmetic and memory arrays only, "
            "without control, wires and clock, which can take ten times as much"
        )
    silent = [m.id for m in machine.memories if m.is_staging and m.read_j_per_byte is None]
    if silent and hardware.power.active is None:
        found.append(f"{hardware.id} has no energy figures for {', '.join(silent)}: what crosses it is not counted")
    if hardware.power.active is None and hardware.power.static is None:
        found.append(f"{hardware.id} has no static power: energy is arithmetic and data movement only")
    return found


def _assumed_rates(hardware: HardwareSpec, work: WorkTable, placement: Placement) -> list[str]:
    """What stands in for rates that the machine's file leaves out and this work needs."""
    found = []
    vector, special = work.vector_ops > 0, work.special_ops > 0
    rates, codes = engine_types(placement, work)
    used = [rates[place] for place in set(codes[vector].tolist())]
    strange = {rate for engine, rate in used if engine.native_vector(rate) is None}
    if strange:
        types = ", ".join(sorted(strange))
        found.append(f"{hardware.id} has no rate for element-wise work in {types}: taken at that of its widest type")
    for engine in hardware.engines:
        if engine.vector and engine.special is not None:
            continue
        who = hardware.id if len(hardware.engines) == 1 else f"engine {engine.id} of {hardware.id}"
        here = np.array([e.id == engine.id for e in placement], bool)
        if not engine.vector and vector[here].any():
            found.append(f"{who} gives no vector rate: an element-wise operation is taken to cost a MAC")
        if engine.special is None and special[here].any():
            assumed = f"{SPECIAL_SHARE:.0%} of its fp32 vector rate"
            found.append(f"{who} gives no rate of special functions (exp, erf, …): taken as {assumed}")
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
    if model.constant_macs:
        found.append(f"{model.constant_macs:,} MACs on weights alone run once, before the first inference")
    return found


def _some(names: Sequence[str]) -> str:
    """The first three of a list of names."""
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
