"""The bound: no software makes this machine run the network faster.

Peak rates at the highest clock, full overlap of everything with everything, no overhead, and of the traffic only what
must cross each level when whatever fits on chip is still there from the last run.
"""

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import compute_s
from simulator.cost.limits import Limits
from simulator.cost.traffic import level_bytes
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.machine.runtime import Profile
from simulator.workload import WorkTable, total

Array = NDArray[np.float64]


def bound_s(
    work: WorkTable, machine: Machine, profile: Profile, placement: tuple[EngineParams, ...], footprint_bytes: float
) -> Array:
    """Lower bound of the latency, shape (...).

    `footprint_bytes` is what a run must touch at least once: weights, inputs and outputs of the network. Of it, all but
    what the on-chip memories in front of a level hold must cross that level.
    """
    compute = total(compute_s(work, Limits(profile, ideal=True), placement))
    return np.asarray(np.maximum(compute, minimal_memory_s(work, machine, footprint_bytes)))


def minimal_memory_s(work: WorkTable, machine: Machine, footprint_bytes: float) -> Array:
    """Seconds that the busiest level needs for the bytes that must cross it."""
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
                compulsory = np.minimum(compulsory, np.maximum(footprint_bytes - _column(kept), 0.0))
            fastest = np.maximum(memory.read_bytes_per_s, memory.write_bytes_per_s)
            longest = np.maximum(longest, compulsory / _column(fastest))
    return longest


def _column(value: Number) -> Number:
    """A field of design points (n, 1) against sums over kernels (n,)."""
    return value[..., 0] if isinstance(value, np.ndarray) and value.ndim else value
