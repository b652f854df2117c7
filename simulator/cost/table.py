"""WorkTable × Machine × Runtime → CostTable, written once for columns.

Kernels lie along the last axis, design points along the first: one machine gives arrays of shape (n_kernels,), an array
of machines (n_points, n_kernels). Only element-wise arithmetic here, so that both run the same code, bit by bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import compute_s
from simulator.cost.energy import kernel_energy
from simulator.cost.limits import Limits
from simulator.cost.parts import Part, moved_bytes
from simulator.cost.traffic import level_s
from simulator.cost.transfer import Crossings, transfer_s
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable

Array = NDArray[np.float64]
NOTHING_CROSSED: Mapping[str, Crossings] = MappingProxyType({})


@dataclass(frozen=True)
class CostTable:
    """Times in s and energies in J of every kernel, shape (..., n_kernels).

    `overlap` is the runtime's share θ of hidden time, `asynchronous` whether launches hide behind a busy device.
    `bytes_by_level` and `s_by_level` are keyed by memory id. `memory_s` combines the levels with the runtime's overlap.
    `transfer_s` is what coming from another engine costs, `crossed` the bytes that its link carries then.
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
    transfer_s: Array
    crossed: Mapping[str, Crossings]


def cost_table(
    work: WorkTable,
    machine: Machine,
    limits: Limits,
    placement: tuple[EngineParams, ...],
    parts: Sequence[Part] = (),
    crossed: Mapping[str, Crossings] = NOTHING_CROSSED,
) -> CostTable:
    """Cost of every kernel. `placement` is the engine that runs each of them, `parts` those that have memories of their own,
    `crossed` what the links between them carry.
    """
    moved = moved_bytes(parts or (Part(machine, work),))
    profiles = [limits.of(engine) for engine in placement]
    theta = np.array([p.overlap.value for p in profiles], np.float64)
    seconds = level_s(moved, machine, limits, np.array([p.bandwidth.value for p in profiles], np.float64))
    longest = np.zeros(len(work))
    total = np.zeros(len(work))
    for level in seconds.values():
        longest, total = np.maximum(longest, level), total + level
    memory_s = longest + (1.0 - theta) * (total - longest)
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
        transfer_s=transfer_s(crossed, machine, limits, placement),
        crossed=crossed,
    )
