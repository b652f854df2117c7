"""Data movement: how many bytes cross which level of memory, and how long that takes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.workload import WorkTable

Array = NDArray[np.float64]
Moved = Mapping[str, tuple[Array, Array]]  # memory id → bytes read, bytes written, each (..., n_kernels)


def level_bytes(work: WorkTable, machine: Machine) -> Moved:
    """Compulsory traffic: every kernel reads its weights and inputs once and writes its outputs once.

    Weights and activations live in the innermost memory that holds them. Weights that do not fit there stay in the
    next one out and are streamed every time; the resident share is the same for every kernel.
    """
    zero = np.zeros(len(work))
    read = {m.id: zero for m in machine.memories}
    written = dict(read)
    for memory, share in _weight_shares(work, machine):
        read[memory.id] = read[memory.id] + work.weight_bytes * share
    home = machine.homes(weights=False)[0]
    read[home.id] = read[home.id] + work.input_bytes
    written[home.id] = written[home.id] + work.output_bytes
    used = [m.id for m in machine.memories if m.holds_weights or m.holds_activations] or [home.id]
    return {level: (read[level], written[level]) for level in used}


def _weight_shares(work: WorkTable, machine: Machine) -> list[tuple[MemoryParams, Number]]:
    """Memories that hold weights and the share of all weights in each; the outermost takes what is left."""
    homes = machine.homes(weights=True)
    total = np.maximum(work.weight_bytes.sum(), 1.0)
    activations = work.activation_bytes.max(initial=0.0)
    shares: list[tuple[MemoryParams, Number]] = []
    left: Number = 1.0
    for memory in homes[:-1]:
        room = np.maximum(memory.capacity_bytes - (activations if memory.holds_activations else 0.0), 0.0)
        share = np.minimum(left, room / total)
        shares.append((memory, share))
        left = left - share
    return [*shares, (homes[-1], left)]


def level_s(moved: Moved, machine: Machine, limits: Limits) -> dict[str, Array]:
    """Seconds each level is busy: bytes over bandwidth times the achieved fraction."""
    memories = {m.id: m for m in machine.memories}
    result = {}
    for level, (read, written) in moved.items():
        memory = memories[level]
        share = 1.0 if limits.ideal else _achieved(memory, limits)
        result[level] = read / (memory.read_bytes_per_s * share) + written / (memory.write_bytes_per_s * share)
    return result


def _achieved(memory: MemoryParams, limits: Limits) -> Number:
    """Fraction of the bandwidth that is reached: the memory's own measured one, else the runtime's."""
    if memory.achieved is not None and limits.measured:
        return memory.achieved
    return limits.profile.bandwidth.value
