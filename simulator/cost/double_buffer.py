"""Compute and transfer of one kernel side by side, tile by tile. Times in s, shape (..., n_kernels)."""

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number
from simulator.machine.params import Machine
from simulator.workload import WorkTable

Array = NDArray[np.float64]


def double_buffered_s(compute_s: Number, transfer_s: Number, tiles: Number) -> Array:
    """T = Tm/n + (n − 1) · max(Tc, Tm)/n + Tc/n = max(Tc, Tm) + min(Tc, Tm)/n.

    The first tile's transfer and the last one's computation have nothing beside them. Validity: n ≥ 1 equal tiles (one
    tile: no overlap) and room for two. Never rises with n. Source: arithmetic of a pipeline of two stages.
    """
    return np.maximum(compute_s, transfer_s) + np.minimum(compute_s, transfer_s) / np.maximum(tiles, 1.0)


def partly_overlapped_s(compute_s: Number, transfer_s: Number, theta: Number) -> Array:
    """T = max(Tc, Tm) + (1 − θ) · min(Tc, Tm); θ = 0 adds the two, θ = 1 takes the larger.

    n tiles are θ = 1 − 1/n. Validity: 0 ≤ θ ≤ 1. Source: arithmetic.
    """
    if isinstance(theta, float) and theta == 0.0:
        return np.asarray(compute_s + transfer_s)  # the same to the last bit, in a third of the time
    return np.maximum(compute_s, transfer_s) + (1.0 - theta) * np.minimum(compute_s, transfer_s)


def tiles_of(moved_bytes: Number, buffer_bytes: Number) -> Array:
    """⌈2 · bytes / buffer⌉, at least 1: how many tiles pass through a buffer that holds two at a time."""
    return np.maximum(np.ceil(2.0 * moved_bytes / buffer_bytes), 1.0)


def fewest_tiles(work: WorkTable, machine: Machine) -> Array:
    """Tiles of every kernel where the machine has a double buffer (the one of fewest, where several); else infinitely many."""
    fewest: Array = np.full(len(work), np.inf)
    for memory in machine.memories:
        if memory.double_buffer_bytes is not None:
            fewest = np.minimum(fewest, tiles_of(work.total_bytes, memory.double_buffer_bytes))
    return fewest
