"""The bound: no software makes this machine run the network faster.

Peak rates at the highest clock, full overlap of everything with everything, no overhead, and of the traffic only what
must cross each level when whatever fits on chip is still there from the last run.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import compute_parts_s
from simulator.cost.limits import IDEAL
from simulator.cost.parts import Part, home_bytes_of
from simulator.cost.traffic import with_read_through
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine, engines_of
from simulator.workload import WorkTable, total

Array = NDArray[np.float64]
Unit = Literal["matrix", "vector", "special"]
UNITS: Final[tuple[Unit, ...]] = ("matrix", "vector", "special")


def bound_s(work: WorkTable, machine: Machine, placement: tuple[EngineParams, ...], parts: Sequence[Part] = ()) -> Array:
    """Lower bound of the latency, shape (...).

    `work` must be that of the graph with everything fused that any runtime fuses, so that the bound does not depend on
    the runtime.
    """
    longest: Array = np.zeros(())
    for seconds in units_s(work, placement).values():
        longest = np.maximum(longest, seconds)
    for part in parts or (Part(machine, work),):
        longest = np.maximum(longest, minimal_memory_s(part))
    return np.asarray(longest)


def units_s(work: WorkTable, placement: tuple[EngineParams, ...]) -> dict[tuple[str, Unit], Array]:
    """Seconds that each unit of each engine needs for all its work at its peak."""
    found: dict[tuple[str, Unit], Array] = {}
    parts_s = compute_parts_s(work, IDEAL, placement)
    engines = engines_of(placement)
    for engine in engines:
        here = np.array([e.id == engine for e in placement], np.bool_) if len(engines) > 1 else True
        for unit, seconds in zip(UNITS, parts_s, strict=True):
            found[engine, unit] = total(np.where(here, seconds, 0.0))
    return found


def minimal_memory_s(part: Part) -> Array:
    """Seconds that the busiest level needs for the bytes that must cross it."""
    longest: Array = np.zeros(())
    for moved_bytes, fastest in least_traffic(part).values():
        longest = np.maximum(longest, moved_bytes / fastest)
    return longest


def least_traffic(part: Part) -> dict[str, tuple[Number, Number]]:
    """Bytes that must cross each level, and the B/s of the faster of its two ways.

    Behind caches and staging memories that is at most what a run touches at all, less what they keep from the last run.
    """
    work, machine = part.work, part.machine
    touched = work.footprint.least_touched_bytes
    found: dict[str, tuple[Number, Number]] = {}
    kept: Number = 0.0
    moved = home_bytes_of(part)
    rates = with_read_through(machine, {m.id: (m.read_bytes_per_s, m.write_bytes_per_s) for m in machine.memories})
    for memory in machine.memories:
        if memory.is_staging:
            kept = kept + memory.capacity_bytes
        if memory.id in moved:
            read, written = moved[memory.id]
            compulsory = total(read + written)
            least = np.minimum(compulsory, np.maximum(touched - _column(kept), 0.0))
            fastest = np.maximum(*rates[memory.id])
            found[memory.id] = (np.where(_column(kept) > 0.0, least, compulsory), _column(fastest))
    return found


def _column(value: Number) -> Number:
    """A field of design points (n, 1) against sums over kernels (n,)."""
    return value[..., 0] if isinstance(value, np.ndarray) and value.ndim else value
