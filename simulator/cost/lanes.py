"""SIMD lanes: the share of lanes that does useful work. Every share is in (0, 1], and 1 where there is nothing to do."""

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number

Array = NDArray[np.float64]


def lane_utilisation(count: Number, lanes: Number) -> Array:
    """Share = count / (⌈count / lanes⌉ · lanes): work along one dimension is padded to whole vectors.

    `count` is what runs along the lanes: channels of a channels-last kernel, elements of a flat one. Validity: no masked
    second use of idle lanes. Source: arithmetic; MLAS blocks channels by the width of a register.
    """
    spent = np.ceil(count / np.asarray(lanes, np.float64)) * lanes
    return np.where(np.asarray(count) > 0, count / np.maximum(spent, 1.0), 1.0)


def gemm_utilisation(n: Number, k: Number, lanes: Number, dot: Number = 1.0) -> Array:
    """Share of MACs that are useful when n runs along the lanes and k in groups of `dot` products a lane.

    n / ⌈n⌉_lanes · k / ⌈k⌉_dot. `dot` is 2 for SMLAD, 4 for SDOT, DP4A and VNNI, 8 for an Ethos-U cell, 1 for a plain FMA.
    """
    return lane_utilisation(n, lanes) * lane_utilisation(k, dot)


def depthwise_utilisation(channels: Number, taps: Number, lanes: Number, dot: Number = 1.0) -> Array:
    """Share of MACs that are useful in a depthwise convolution.

    Lanes lie along the channels, c / ⌈c⌉_lanes, where the dot product is one wide; a wider one sums over the k² taps of
    one channel only, k² / ⌈k²⌉_dot, for no channel adds to another.
    """
    return lane_utilisation(channels, lanes) * lane_utilisation(taps, dot)


def small_k_share(k: Number, k0: Number) -> Array:
    """Share = k / (k + k0): that of time in the inner loop when its prologue and epilogue take as long as k0 of its steps.

    Validity: k0 > 0 fitted to a runtime (35 to 41 on two GPUs); 1 / (1 + k0/K). Source: arithmetic.
    """
    steps = np.asarray(k, np.float64)
    return np.where(steps > 0, steps / np.maximum(steps + k0, 1.0), 1.0)
