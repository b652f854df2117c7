"""Weights that come from outside the chip: the transfers that may run ahead of the kernel that needs them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.cost.parts import Part
from simulator.cost.times import Times
from simulator.cost.traffic import Flow, moved_bytes, placed_shares
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams

Array = NDArray[np.float64]
_ON_CHIP = ("registers", "scratchpad", "cache")


@dataclass(frozen=True)
class Buffer:
    """An on-chip memory that weights can be loaded into early: what the weights that stay there leave of it.

    `here` is 1 for the kernels that can use it, else 0.
    """

    free_bytes: Number
    beside_activations: bool
    here: Array | float


@dataclass(frozen=True)
class Streamed:
    """Weights from outside the chip, columns of shape (..., n_kernels).

    `added_s` is what they add to the memory time of their kernel, `link_s` how long they keep the links busy (never less
    than `added_s`); the mappings are keyed by the id of the memory they come from.
    """

    added_s: Array
    link_s: Array
    s_by_level: Mapping[str, Array]
    bytes_by_level: Mapping[str, Array]
    buffers: tuple[Buffer, ...]

    @property
    def bytes(self) -> Array:
        """Bytes from all levels."""
        return np.asarray(sum(self.bytes_by_level.values(), np.zeros(np.shape(self.added_s))))

    def room_bytes(self, live_bytes: Array) -> Array:
        """Room for the weights of the next kernel, beside a kernel's own and the activations alive: in the roomiest buffer."""
        room = np.zeros(np.shape(live_bytes))
        for buffer in self.buffers:
            free = buffer.free_bytes - live_bytes * buffer.beside_activations - self.bytes
            room = np.maximum(room, np.where(buffer.here, free, 0.0))
        return room


def streamed(
    parts: Sequence[Part],
    moving: Sequence[Flow],
    rates: Mapping[str, tuple[Number, Number]],
    shown: Mapping[str, Number],
    theta: Number,
) -> Streamed:
    """What weights from outside the chip take of the time of all flows: loaded early, they would come from on chip."""
    outside = {m.id for part in parts for m in _outside(part.machine)}
    rest = [flow.without(outside) if flow.weights else flow for flow in moving]
    before, after = Times(tuple(moving), rates, shown), Times(tuple(rest), rates, shown)
    added = np.maximum(before.combined_s(theta) - after.combined_s(theta), 0.0)
    alone = {level: before.by_level[level] - after.by_level[level] for level in before.by_level if level in outside}
    link = added
    for seconds in alone.values():
        link = np.maximum(link, seconds)
    count = len(parts[0].work)
    moved, less = moved_bytes(moving, count), moved_bytes(rest, count)
    bytes_by_level = {level: moved[level][0] - less[level][0] for level in alone}
    buffers = tuple(buffer for part in parts for buffer in _buffers(part))
    return Streamed(added, link, alone, bytes_by_level, buffers)


def _buffers(part: Part) -> Iterator[Buffer]:
    """On-chip memories that the kernels of a part can load weights into early."""
    footprint = part.work.footprint
    kept = {m.id: weights * footprint.weight_bytes for m, weights, _ in placed_shares(footprint, part.machine)}
    here = 1.0 if part.here is None else part.here
    for memory in _inside(part.machine, _outside(part.machine)):
        # activations take no room in a memory that the machine keeps for weights
        beside = memory.holds_activations or not memory.holds_weights
        yield Buffer(memory.capacity_bytes - kept.get(memory.id, 0.0), beside, here)


def _outside(machine: Machine) -> tuple[MemoryParams, ...]:
    """Where weights come from: their homes that are not on chip, and the outermost one, which other memories lie before."""
    homes = machine.homes(weights=True)
    return tuple(m for m in homes if m.kind not in _ON_CHIP or m is homes[-1])


def _inside(machine: Machine, homes: tuple[MemoryParams, ...]) -> tuple[MemoryParams, ...]:
    """On-chip memories before the first of these homes."""
    end = machine.memories.index(homes[0])
    return tuple(m for m in machine.memories[:end] if m.kind in _ON_CHIP)
