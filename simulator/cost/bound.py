"""The bound: no software makes this machine run the network faster.

Peak rates at the highest clock, full overlap of everything with everything, no overhead, and of the traffic only what
must cross each level when whatever fits on chip is still there from the last run.
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import compute_parts_s
from simulator.cost.limits import IDEAL
from simulator.cost.traffic import level_bytes
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable, total

Array = NDArray[np.float64]


def bound_s(work: WorkTable, machine: Machine, placement: tuple[EngineParams, ...]) -> Array:
    """Lower bound of the latency, shape (...).

    `work` must be that of the graph with everything fused that any runtime fuses, so that the bound does not depend on
    the runtime.
    """
    if len(machine.engines) > 1:
        return np.asarray(np.maximum(_side_by_side_s(work, machine), minimal_memory_s(work, machine)))
    units = compute_parts_s(work, IDEAL, placement)
    compute = np.maximum(np.maximum(total(units[0]), total(units[1])), total(units[2]))
    return np.asarray(np.maximum(compute, minimal_memory_s(work, machine)))


def _side_by_side_s(work: WorkTable, machine: Machine) -> Array:
    """What no split of the kernels over the engines beats.

    With busy times T_e ≥ Σ t_ke of the kernels k there, and shares y_e of sum 1: max T_e ≥ Σ y_e T_e ≥ Σ_k min_e y_e t_ke.
    Equal shares, and shares by peak rate, are tried.
    """
    parts = [_alone_s(work, engine) for engine in machine.engines]
    peaks = [_peak(engine) for engine in machine.engines]
    whole = sum(peaks[1:], peaks[0])
    longest: Array = np.zeros(())
    for shares in ([1.0 / len(parts)] * len(parts), [peak / whole for peak in peaks]):
        for unit in range(3):
            least = reduce(np.minimum, (share * part[unit] for share, part in zip(shares, parts, strict=True)))
            longest = np.maximum(longest, total(np.where(np.isinf(least), 0.0, least)))
    return longest


def _alone_s(work: WorkTable, engine: EngineParams) -> tuple[Array, ...]:
    """Times of every kernel's matrix, vector and special-function work on an engine; infinite where it has no rate for it."""
    able = np.array([engine.native(rate) is not None for rate in work.rates], np.bool_) | (work.macs == 0)
    return tuple(np.where(able, part, np.inf) for part in compute_parts_s(work, IDEAL, (engine,) * len(work)))


def _peak(engine: EngineParams) -> Number:
    """The highest rate of an engine, whatever the element type."""
    rates = list(engine.macs_per_s.values())
    highest = rates[0]
    for rate in rates[1:]:
        highest = np.maximum(highest, rate)
    return highest


def minimal_memory_s(work: WorkTable, machine: Machine) -> Array:
    """Seconds that the busiest level needs for the bytes that must cross it.

    Behind caches that is at most what a run touches at all, less what they keep from the last run.
    """
    touched = work.footprint.touched_weight_bytes + work.footprint.boundary_bytes
    longest: Array = np.zeros(())
    kept: Number = 0.0
    moved = level_bytes(work, machine)
    for memory in machine.memories:
        if memory.kind == "cache":
            kept = kept + memory.capacity_bytes
        if memory.id in moved:
            read, written = moved[memory.id]
            compulsory = total(read + written)
            if memory.kind == "dram":
                compulsory = np.minimum(compulsory, np.maximum(touched - _column(kept), 0.0))
            fastest = np.maximum(memory.read_bytes_per_s, memory.write_bytes_per_s)
            longest = np.maximum(longest, compulsory / _column(fastest))
    return longest


def _column(value: Number) -> Number:
    """A field of design points (n, 1) against sums over kernels (n,)."""
    return value[..., 0] if isinstance(value, np.ndarray) and value.ndim else value
