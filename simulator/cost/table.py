"""WorkTable × Machine × Runtime → CostTable, written once for columns.

Kernels lie along the last axis, design points along the first: one machine gives arrays of shape (n_kernels,), an array
of machines (n_points, n_kernels). Only element-wise arithmetic here, so that both run the same code, bit by bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.cost.alone import (
    alone_rates,
    copies_alone,
    copies_weights,
    fresh_pages,
    has_small,
    made_pages,
    runs_alone,
    slowdown,
)  # fmt: skip
from simulator.cost.boundary import boundary_home
from simulator.cost.compute import by_class, by_engine, compute_s
from simulator.cost.double_buffer import fewest_tiles
from simulator.cost.energy import arithmetic_j, movement_j, movement_total_j
from simulator.cost.limits import Limits, works_by_blocks
from simulator.cost.parts import Part, flows_of, rates_of
from simulator.cost.pipeline import has_pipelines, set_up_share
from simulator.cost.readings import passes, readings, reads_again, reorders, with_passes, with_readings
from simulator.cost.times import Times
from simulator.cost.traffic import Flow, Moved, moved_bytes
from simulator.cost.transfer import Crossings, link_s, switch_s
from simulator.machine.figures import Figure, Number
from simulator.machine.params import EngineParams, Machine, engines_of
from simulator.workload import Alike, WorkTable, total

if TYPE_CHECKING:
    from simulator.cost.streams import Streamed

Array = NDArray[np.float64]
Bound = Literal["compute", "memory", "overhead"]
BOUNDS: Final[tuple[Bound, ...]] = ("compute", "memory", "overhead")  # what may bound a kernel: the first of equals does
NOTHING_CROSSED: Mapping[str, Crossings] = MappingProxyType({})


@dataclass(frozen=True)
class CostTable:
    """Times in s and energies in J of every kernel, shape (..., n_kernels).

    `overlap` is the runtime's share θ of hidden time, `asynchronous` whether launches hide behind a busy device.
    `alike` says which kernels cost the same (None: no two). `moving` are the bytes on their way, `times` how long that takes
    on each level. `memory_s` combines the levels with the runtime's overlap; `tiles` is how many tiles pass through the
    machine's double buffers (infinite without one).
    `dispatch_s` is what the host takes to launch each kernel, while the device works on those before (None: not counted).
    `transfer_s` is what coming from another engine costs, `crossing_s` the part of it on each link, `crossed` the bytes
    that it carries then.
    Energies are None where the machine gives no figures for them.
    """

    work: WorkTable
    alike: Alike | None
    machine: Machine
    placement: tuple[EngineParams, ...]
    compute_s: Array
    memory_s: Array
    overhead_s: Array
    dispatch_s: Array | None
    overlap: Number
    asynchronous: NDArray[np.bool_]
    moving: tuple[Flow, ...]
    times: Times
    streams: "Callable[[], Streamed]"
    tiles: Array
    transfer_s: Array
    crossing_s: Mapping[str, Array]
    crossed: Mapping[str, Crossings]

    @property
    def s_by_level(self) -> Mapping[str, Array]:
        """Seconds of every kernel on each level while data crosses it."""
        return self.times.by_level

    @cached_property
    def moved(self) -> Moved:
        """Bytes read from and written to each level."""
        return moved_bytes(self.moving, len(self.work))

    @cached_property
    def bytes_by_level(self) -> Mapping[str, Array]:
        """Bytes that cross each level, both ways."""
        return {level: read + written for level, (read, written) in self.moved.items()}

    @cached_property
    def compute_j(self) -> Array | None:
        """Energy of the arithmetic of every kernel."""
        return arithmetic_j(self.work, self.placement)

    @cached_property
    def j_by_level(self) -> Mapping[str, Array] | None:
        """Energy of the data movement of every kernel, by level."""
        return movement_j(self.machine, self.moved)

    @cached_property
    def memory_j(self) -> Array | None:
        """Energy of the data movement of every kernel."""
        return None if self.j_by_level is None else np.asarray(sum(self.j_by_level.values(), np.zeros(len(self.work))))

    @cached_property
    def streamed(self) -> "Streamed":
        """Weights from outside the chip; only a policy that loads them early asks."""
        return self.streams()

    def total(self, columns: Array) -> Array:
        """Sum over the kernels of the network."""
        return self.alike.total(columns) if self.alike else total(columns)

    @property
    def host_s(self) -> Array | None:
        """Seconds that the host takes to launch all kernels; None where the runtime does not count them."""
        return None if self.dispatch_s is None else self.total(self.dispatch_s)

    @property
    def resources_s(self) -> tuple[Array, Array, Array]:
        """Seconds of compute, of memory, and of overhead with transfers between engines among it: in the order of `BOUNDS`."""
        return self.compute_s, self.memory_s, np.asarray(self.overhead_s + self.transfer_s)

    @property
    def energy_j(self) -> tuple[Array | None, Array | None]:
        """Energy of all arithmetic and of all data movement, shape (...)."""
        compute = None if self.compute_j is None else self.total(self.compute_j)
        return compute, movement_total_j(self.machine, self.moved, self.total)


@dataclass(frozen=True)
class Traffic:
    """Bytes on their ways; B/s read and written that each level reaches; the share of its time that shows.

    `apart` has weights, inputs, results and what is read again of each part as flows of their own.
    """

    moving: tuple[Flow, ...]
    rates: Mapping[str, tuple[Number, Number]]
    shown: Mapping[str, Number]
    apart: Callable[[], tuple[Flow, ...]]


def traffic_of(
    work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...], parts: Sequence[Part]
) -> Traffic:
    """What all kernels move, over which levels, at which rates."""
    resident = by_engine(placement, work, lambda engine, _: limits.of(engine).resident_share)
    bandwidth = by_engine(placement, work, lambda engine, _: limits.of(engine).bandwidth.value)
    streaming = by_class(placement, work, lambda engine, _, kind: limits.of(engine).streaming_of(kind))
    if work.pieces is not None and any(profile.strided for profile in limits.profiles.values()):
        share = by_engine(placement, work, lambda engine, _: figure.value if (figure := limits.of(engine).strided) else 1.0)
        streaming = streaming * np.where(work.pieces > 1.0, share, 1.0)
    exposed = by_class(placement, work, lambda engine, _, kind: limits.of(engine).cache_exposed_of(kind))
    shown: dict[str, Number] = {m.id: exposed if m.is_staging else 1.0 for m in machine.memories}

    by_blocks, again, copied = works_by_blocks(limits, placement), reads_again(limits), reorders(limits)

    def flows(*, apart: bool) -> tuple[Flow, ...]:
        found = flows_of(parts, resident, apart=apart)
        if again:
            found = with_readings(found, readings(work, limits, placement))
        if copied:
            found = with_passes(found, passes(work, limits, placement))
        if not by_blocks:
            return found
        from simulator.cost.blocks import with_blocks_bytes

        return with_blocks_bytes(found, work, limits, placement)

    moving = flows(apart=by_blocks or again or copied)
    alone, rates = copies_alone(work, limits, placement), rates_of(parts, limits, bandwidth, streaming)
    if alone.any():
        rates = alone_rates(
            rates, machine, np.where(alone, by_engine(placement, work, lambda engine, _: 1.0 / engine.units), 1.0)
        )
    return Traffic(moving, rates, shown, lambda: flows(apart=True))


def cost_table(
    work: WorkTable,
    machine: Machine,
    limits: Limits,
    placement: tuple[EngineParams, ...],
    parts: Sequence[Part] = (),
    crossed: Mapping[str, Crossings] = NOTHING_CROSSED,
    traffic: Traffic | None = None,
) -> CostTable:
    """Cost of every kernel. `placement` is the engine that runs each of them, `parts` those that have memories of their own,
    `crossed` what the links between them carry, `traffic` what stands in for the bytes that the kernels move.
    """
    parts = parts or (Part(machine, work),)
    theta = by_engine(placement, work, lambda engine, _: limits.hidden_share(engine))
    traffic = traffic or traffic_of(work, machine, limits, placement, parts)
    times = Times(traffic.moving, traffic.rates, traffic.shown)
    crossing = link_s(crossed, machine, limits, placement)
    return CostTable(
        work,
        _alike(work, machine, limits, placement),
        machine,
        placement,
        compute_s=_compute_s(work, machine, limits, placement),
        memory_s=times.combined_s(theta),
        overhead_s=_overhead_s(work, machine, limits, placement),
        dispatch_s=_dispatch_s(work, machine, limits, placement),
        overlap=theta,
        asynchronous=_asynchronous(limits, placement),
        moving=traffic.moving,
        times=times,
        streams=_streams(parts, traffic, theta),
        tiles=fewest_tiles(work, machine),
        transfer_s=reduce(np.add, crossing.values(), switch_s(machine, limits, placement)),
        crossing_s=crossing,
        crossed=crossed,
    )


def _overhead_s(work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Launches of every kernel, each as long as the runtime takes on its engine: launch + fork · log2(units), where it is split;
    and pages of copies of its weights. Units that copy the parts of a concatenation wait for each other after each. A network
    that stays laid out launches nothing.
    """

    def seconds(engine: EngineParams) -> Number:
        return limits.of(engine).kernel_overhead.seconds(machine.clock_hz)

    def doubled(engine: EngineParams, figure: Figure | None) -> Number:
        return 0.0 if figure is None else figure.seconds(machine.clock_hz) * np.log2(engine.units)

    def fault(engine: EngineParams) -> Number:
        found = limits.of(engine).page_fault
        return 0.0 if found is None else found.seconds(machine.clock_hz)

    def copies(engine: EngineParams) -> Number:
        found = limits.of(engine).weight_copies
        return found.value if found else 1.0

    forks = by_engine(placement, work, lambda engine, _: doubled(engine, limits.of(engine).fork_overhead))
    if work.joined is not None and any(profile.loop_overhead for profile in limits.profiles.values()):
        loops = by_engine(placement, work, lambda engine, _: doubled(engine, limits.of(engine).loop_overhead))
        forks = forks + loops * work.joined / np.maximum(work.launches, 1.0)
    if has_small(limits):
        forks = np.where(runs_alone(work, limits, placement), 0.0, forks)
    found = work.launches * (by_engine(placement, work, lambda engine, _: seconds(engine)) + forks)
    if copies_weights(limits):
        pages = fresh_pages(work) * by_engine(placement, work, lambda engine, _: copies(engine)) + made_pages(work)
        found = found + pages * by_engine(placement, work, lambda engine, _: fault(engine))
    return np.asarray(found * _set_up(work, machine, limits, placement))


def _set_up(work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> Number:
    """The share of its launches that each kernel needs: none where the network stays laid out over the chip."""
    if not has_pipelines(limits):
        return 1.0
    return by_engine(placement, work, lambda engine, _: set_up_share(work, machine, limits, engine))


def _dispatch_s(work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> Array | None:
    """What the host takes to launch each kernel; None where no runtime's engine counts it."""

    def seconds(engine: EngineParams) -> Number:
        figure = limits.of(engine).dispatch
        return 0.0 if figure is None else figure.seconds(machine.clock_hz)

    if limits.ideal or not any(profile.dispatch for profile in limits.profiles.values()):
        return None
    each = by_engine(placement, work, lambda engine, _: seconds(engine))
    return np.asarray(work.launches * each * _set_up(work, machine, limits, placement))


def _alike(work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> Alike | None:
    """Which kernels cost the same; None where the images that they work on tell them apart."""
    by_images = works_by_blocks(limits, placement) or boundary_home(machine) is not None
    return None if by_images else work.alike


def _streams(parts: Sequence[Part], traffic: Traffic, theta: Number) -> "Callable[[], Streamed]":
    """What finds the weights from outside the chip; loaded only for a policy that asks."""

    def streams() -> "Streamed":
        from simulator.cost.streams import streamed

        return streamed(parts, traffic.apart(), traffic.rates, traffic.shown, theta)

    return streams


def _asynchronous(limits: Limits, placement: tuple[EngineParams, ...]) -> NDArray[np.bool_]:
    """Whether the launch of each kernel hides behind a busy device."""
    found = {limits.of(engine).asynchronous for engine in engines_of(placement).values()}
    if len(found) == 1:
        return np.full(len(placement), found.pop(), np.bool_)
    return np.array([limits.of(engine).asynchronous for engine in placement], np.bool_)


def _compute_s(work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Compute time of every kernel, by blocks where engines work so."""
    found = compute_s(work, limits, placement)
    if has_small(limits):
        found = found * slowdown(work, limits, placement)
    if not works_by_blocks(limits, placement):
        return found
    from simulator.cost.blocks import with_blocks_s

    return with_blocks_s(found, work, machine, limits, placement)
