"""Weights that come from outside the chip: the transfers that may run ahead of the kernel that needs them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.cost.traffic import level_s, placed_shares
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.workload import WorkTable

Array = NDArray[np.float64]
_ON_CHIP = ("registers", "scratchpad", "cache")


@dataclass(frozen=True)
class Buffer:
    """An on-chip memory that weights can be loaded into early: what the weights that stay there leave of it."""

    free_bytes: Number
    beside_activations: bool


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
            room = np.maximum(room, buffer.free_bytes - live_bytes * buffer.beside_activations - self.bytes)
        return room


def combined_s(seconds: Mapping[str, Array], theta: Array) -> Array:
    """Time of several levels together: the longest + (1 − θ) · the others."""
    longest = np.zeros(len(theta))
    together = np.zeros(len(theta))
    for level in seconds.values():
        longest, together = np.maximum(longest, level), together + level
    return longest + (1.0 - theta) * (together - longest)


def streamed(
    work: WorkTable, machine: Machine, limits: Limits, bandwidth_share: Array, seconds: Mapping[str, Array], theta: Array
) -> Streamed:
    """What of `seconds`, the time of each level, weights from outside the chip take."""
    shares = placed_shares(work.footprint, machine)
    homes = _outside(machine)
    moved = {m.id: np.zeros(len(work)) + work.weight_bytes * weights for m, weights, _ in shares if m in homes}
    zero = np.zeros(len(work))
    alone = level_s({level: (read, zero) for level, read in moved.items()}, machine, limits, bandwidth_share)
    alone = {level: np.minimum(s, seconds[level]) for level, s in alone.items()}
    rest = {level: s - alone[level] if level in alone else s for level, s in seconds.items()}
    added = np.maximum(combined_s(seconds, theta) - combined_s(rest, theta), 0.0)
    link = added
    for s in alone.values():
        link = np.maximum(link, s)
    kept = {m.id: weights * work.footprint.weight_bytes for m, weights, _ in shares}
    buffers = tuple(_buffer(m, kept.get(m.id, 0.0)) for m in _inside(machine, homes))
    return Streamed(added, link, alone, moved, buffers)


def _outside(machine: Machine) -> tuple[MemoryParams, ...]:
    """Where weights come from: their homes that are not on chip, and the outermost one, which other memories lie before."""
    homes = machine.homes(weights=True)
    return tuple(m for m in homes if m.kind not in _ON_CHIP or m is homes[-1])


def _inside(machine: Machine, homes: tuple[MemoryParams, ...]) -> tuple[MemoryParams, ...]:
    """On-chip memories before the first of these homes."""
    end = machine.memories.index(homes[0])
    return tuple(m for m in machine.memories[:end] if m.kind in _ON_CHIP)


def _buffer(memory: MemoryParams, kept_bytes: Number) -> Buffer:
    """Activations take no room in a memory that the machine keeps for weights."""
    return Buffer(memory.capacity_bytes - kept_bytes, memory.holds_activations or not memory.holds_weights)
