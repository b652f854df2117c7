"""WorkTable × Machine × Runtime → CostTable, written once for columns.

Kernels lie along the last axis, design points along the first: one machine gives arrays of shape (n_kernels,), an array
of machines (n_points, n_kernels). Only element-wise arithmetic here, so that both run the same code, bit by bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import compute_s
from simulator.cost.double_buffer import fewest_tiles
from simulator.cost.energy import kernel_energy
from simulator.cost.limits import Limits
from simulator.cost.streams import Streamed, combined_s, streamed
from simulator.cost.traffic import level_bytes, level_s
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CostTable:
    """Times in s and energies in J of every kernel, shape (..., n_kernels).

    `overlap` is the runtime's share θ of hidden time, `asynchronous` whether launches hide behind a busy device.
    `bytes_by_level` and `s_by_level` are keyed by memory id. `memory_s` combines the levels with the runtime's overlap.
    `streamed` is the part of it that weights from outside the chip take, `tiles` how many tiles pass through the machine's
    double buffers (infinite without one). Energies are None where the machine gives no figures for them.
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
    streamed: Streamed
    tiles: Array


def cost_table(work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> CostTable:
    """Cost of every kernel. `placement` is the engine that runs each of them."""
    moved = level_bytes(work, machine)
    profiles = [limits.of(engine) for engine in placement]
    theta = np.array([p.overlap.value for p in profiles], np.float64)
    shares = np.array([p.bandwidth.value for p in profiles], np.float64)
    seconds = level_s(moved, machine, limits, shares)
    memory_s = combined_s(seconds, theta)
    overhead_s = work.launches * np.array([p.kernel_overhead.seconds(machine.clock_hz) for p in profiles], np.float64)
    busy_s = compute_s(work, limits, placement)
    compute_j, memory_j = kernel_energy(work, machine, placement, moved)
    shape = np.broadcast_shapes(busy_s.shape, memory_s.shape, overhead_s.shape)
    return CostTable(
        compute_s=np.broadcast_to(busy_s, shape),
        memory_s=np.broadcast_to(memory_s, shape),
        overhead_s=np.broadcast_to(overhead_s, shape),
        overlap=theta,
        asynchronous=np.array([p.asynchronous for p in profiles], np.bool_),
        bytes_by_level={level: read + written for level, (read, written) in moved.items()},
        s_by_level=seconds,
        compute_j=compute_j,
        memory_j=memory_j,
        streamed=streamed(work, machine, limits, shares, seconds, theta),
        tiles=fewest_tiles(work, machine),
    )
