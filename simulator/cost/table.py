"""WorkTable × Machine × Runtime → CostTable, written once for columns.

Kernels lie along the last axis, design points along the first: one machine gives arrays of shape (n_kernels,), an array
of machines (n_points, n_kernels). Only element-wise arithmetic here, so that both run the same code, bit by bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import compute_s
from simulator.cost.double_buffer import fewest_tiles
from simulator.cost.energy import kernel_energy, total_j
from simulator.cost.limits import Limits
from simulator.cost.parts import Part, flows_of, rates_of
from simulator.cost.streams import Streamed, streamed
from simulator.cost.traffic import Flow, memory_times, moved_bytes
from simulator.cost.transfer import Crossings, link_s, switch_s
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable

Array = NDArray[np.float64]
NOTHING_CROSSED: Mapping[str, Crossings] = MappingProxyType({})


@dataclass(frozen=True)
class CostTable:
    """Times in s and energies in J of every kernel, shape (..., n_kernels).

    `overlap` is the runtime's share θ of hidden time, `asynchronous` whether launches hide behind a busy device.
    `bytes_by_level`, `s_by_level` and `j_by_level` are keyed by memory id. `memory_s` combines the levels with the
    runtime's overlap; `streamed` is the part of it that weights from outside the chip take, `tiles` how many tiles pass
    through the machine's double buffers (infinite without one). `transfer_s` is what coming from another engine costs,
    `crossing_s` the part of it on each link, `crossed` the bytes that it carries then.
    Energies are None where the machine gives no figures for them.
    """

    compute_s: Array
    memory_s: Array
    overhead_s: Array
    overlap: Array
    asynchronous: NDArray[np.bool_]
    bytes_by_level: Mapping[str, Array]
    s_by_level: Mapping[str, Array]
    compute_j: Array | None
    memory_j: Array | None
    j_by_level: Mapping[str, Array] | None
    streamed: Streamed
    tiles: Array
    transfer_s: Array
    crossing_s: Mapping[str, Array]
    crossed: Mapping[str, Crossings]


@dataclass(frozen=True)
class Traffic:
    """Bytes on their ways; B/s read and written that each level reaches; the share of its time that shows."""

    moving: tuple[Flow, ...]
    rates: Mapping[str, tuple[Number, Number]]
    shown: Mapping[str, Number]


def traffic_of(
    work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...], parts: Sequence[Part]
) -> Traffic:
    """What all kernels move, over which levels, at which rates."""
    profiles = [limits.of(engine) for engine in placement]
    moving = flows_of(parts, np.array([p.resident_share for p in profiles], np.float64))
    exposed = np.array([p.cache_exposed_of(kind) for p, kind in zip(profiles, work.kinds, strict=True)], np.float64)
    shown: dict[str, Number] = {m.id: exposed if m.is_staging else 1.0 for m in machine.memories}
    rates = rates_of(parts, limits, np.array([p.bandwidth.value for p in profiles], np.float64))
    return Traffic(moving, rates, shown)


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
    profiles = [limits.of(engine) for engine in placement]
    theta = np.array([p.overlap.value for p in profiles], np.float64)
    traffic = traffic or traffic_of(work, machine, limits, placement, parts)
    moving, rates, shown = traffic.moving, traffic.rates, traffic.shown
    times = memory_times(moving, rates, shown)
    memory_s = times.combined_s(theta)
    moved = moved_bytes(moving, len(work))
    crossing = link_s(crossed, machine, limits, placement)
    overhead_s = work.launches * np.array([p.kernel_overhead.seconds(machine.clock_hz) for p in profiles], np.float64)
    busy_s = compute_s(work, limits, placement)
    compute_j, j_by_level = kernel_energy(work, machine, placement, moved)
    shape = np.broadcast_shapes(busy_s.shape, memory_s.shape, overhead_s.shape)
    return CostTable(
        compute_s=np.broadcast_to(busy_s, shape),
        memory_s=np.broadcast_to(memory_s, shape),
        overhead_s=np.broadcast_to(overhead_s, shape),
        overlap=theta,
        asynchronous=np.array([p.asynchronous for p in profiles], np.bool_),
        bytes_by_level={level: read + written for level, (read, written) in moved.items()},
        s_by_level=times.by_level,
        compute_j=compute_j,
        memory_j=total_j(j_by_level),
        j_by_level=j_by_level,
        streamed=streamed(parts, moving, rates, shown, theta),
        tiles=fewest_tiles(work, machine),
        transfer_s=reduce(np.add, crossing.values(), switch_s(machine, limits, placement)),
        crossing_s=crossing,
        crossed=crossed,
    )
