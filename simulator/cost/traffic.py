"""Data movement: how many bytes cross which level of memory, and how long that takes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.workload import Footprint, WorkTable

Array = NDArray[np.float64]
Moved = Mapping[str, tuple[Array, Array]]  # memory id → bytes read, bytes written, each (..., n_kernels)


def level_bytes(work: WorkTable, machine: Machine) -> Moved:
    """Compulsory traffic: every kernel reads its weights and inputs once and writes its outputs once.

    Weights and activations live in the innermost memory that holds them. What does not fit there lives in the next one
    out; its share is the same for every kernel.
    """
    zero = np.zeros(len(work))
    read: dict[str, Array] = {}
    written: dict[str, Array] = {}
    for memory, weights, activations in placed_shares(work.footprint, machine):
        read[memory.id] = zero + work.weight_bytes * weights + work.input_bytes * activations
        written[memory.id] = zero + work.output_bytes * activations
    return {level: (read[level], written[level]) for level in read}


def placed_shares(touched: Footprint, machine: Machine) -> list[tuple[MemoryParams, Number, Number]]:
    """For each memory the shares of all weights and of all activations that live in it, activations first.

    Activations cannot be streamed, so they take the room they need; the outermost home takes what is left.
    """
    weight_homes, activation_homes = machine.homes(weights=True), machine.homes(weights=False)
    left_weights: Number = 1.0
    left_activations: Number = 1.0
    result: list[tuple[MemoryParams, Number, Number]] = []
    for memory in machine.memories:
        activations = _share(memory, activation_homes, left_activations, memory.capacity_bytes, touched.activation_bytes)
        room = np.maximum(memory.capacity_bytes - activations * touched.activation_bytes, 0.0)
        weights = _share(memory, weight_homes, left_weights, room, touched.weight_bytes)
        left_activations, left_weights = left_activations - activations, left_weights - weights
        result.append((memory, weights, activations))
    return [(m, w, a) for m, w, a in result if m in weight_homes or m in activation_homes]


def _share(memory: MemoryParams, homes: tuple[MemoryParams, ...], left: Number, room: Number, need: float) -> Number:
    """How much of what is left goes into a memory with `room` bytes, for data of `need` bytes in all."""
    if memory not in homes:
        return 0.0
    return left if memory is homes[-1] else np.minimum(left, room / (need + (need == 0.0)))


def level_s(moved: Moved, machine: Machine, limits: Limits, bandwidth_share: Number) -> dict[str, Array]:
    """Seconds each level is busy: bytes over bandwidth times the achieved fraction.

    That is the memory's own measured one, else `bandwidth_share`, the runtime's.
    """
    memories = {m.id: m for m in machine.memories}
    result = {}
    for level, (read, written) in moved.items():
        memory = memories[level]
        share = bandwidth_share if memory.achieved is None or not limits.measured else memory.achieved
        result[level] = read / (memory.read_bytes_per_s * share) + written / (memory.write_bytes_per_s * share)
    return result
