"""What of the bytes that kernels touch has to come from further out, for no level on the way still holds it.

The bytes of a kernel add up from the longest distance to the shortest, one by one, however many machines there are: so one
and many agree in every bit.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number
from simulator.machine.params import MemoryParams
from simulator.reuse import Touches

Array = NDArray[np.float64]
_ROOMY = 1e29  # bytes: room for all but rows that no run touches twice
_LARGE = 4_000_000  # entries of a table of distances by kernels: beyond it, one machine after another


def held_share(distance_bytes: Array, level: MemoryParams, resident_share: Number) -> Array:
    """Share of a tensor that a level still has after `distance_bytes` of other data have passed.

    Software that manages a scratchpad keeps capacity / distance of everything. A cache drops what is oldest: all of it
    at 1.5 times its room, none below half, for sets fill unevenly and code of several threads does not run in step.
    """
    return _held(distance_bytes, _room_bytes(level, resident_share), is_cache=level.kind == "cache")


def _room_bytes(level: MemoryParams, resident_share: Number) -> Number:
    return np.minimum(level.capacity_bytes, _ROOMY) * resident_share


def _held(distance_bytes: Array, room_bytes: Number, *, is_cache: bool) -> Array:
    if is_cache:
        return np.minimum(np.maximum(1.5 - distance_bytes / np.maximum(room_bytes, 1e-30), 0.0), 1.0)
    return np.minimum(room_bytes / np.maximum(distance_bytes, 1e-30), 1.0)


@dataclass(frozen=True)
class MissedByTouch:
    """One machine, or engines that use their memories differently: `missed[..., which]` is the share of each touch."""

    count: int
    touches: Touches
    distances: Array
    which: NDArray[np.intp]
    resident_share: Number
    missed: Array

    def by_kernel(self) -> Array:
        """Bytes of every kernel that are missed."""
        if self.missed.ndim > 1:
            rows = [replace(self, missed=row).by_kernel() for row in self.missed.reshape(-1, self.missed.shape[-1])]
            return np.array(rows).reshape(*self.missed.shape[:-1], self.count)
        moved = self.touches.bytes * self.missed[self.which]
        return np.asarray(np.bincount(self.touches.kernel, moved, minlength=self.count), np.float64)

    def behind(self, level: MemoryParams) -> Self:
        """What is missed behind a further level; LRU levels include one another."""
        missed = 1.0 - held_share(self.distances, level, self.resident_share)
        return replace(self, missed=np.minimum(self.missed, missed))


@dataclass(frozen=True)
class MissedByDistance:
    """Many machines: of the distances, the longest first, all miss what lies before `first` and hold what lies behind the
    `shares` (..., n) that follow. Only these few cost anything.
    """

    count: int
    touches: Touches
    resident_share: Number
    first: int
    shares: Array

    def by_kernel(self) -> Array:
        """Bytes of every kernel that are missed; of shape (n_kernels,) where all machines miss the same."""
        table, result = self.touches.by_distance, self.touches.longest_first[self.first]
        width = len(result)
        if self.shares.size:
            result = np.broadcast_to(result, (*self.shares.shape[:-1], width)).copy()
            for place, bytes_of in enumerate(table[self.first : self.first + self.shares.shape[-1]]):
                kernels = np.flatnonzero(bytes_of)
                here = slice(0, width) if 4 * len(kernels) > width else kernels
                result[..., here] += self.shares[..., place : place + 1] * bytes_of[here]
        if width == self.count:
            return np.asarray(result)
        return np.concatenate([result, np.zeros((*result.shape[:-1], self.count - width))], axis=-1)

    def behind(self, level: MemoryParams) -> Self:
        """What is missed behind a further level; LRU levels include one another."""
        room, is_cache, distances = _room_bytes(level, self.resident_share), level.kind == "cache", self.touches.distances[0]
        most, least = (1.0 - _held(distances, at(room), is_cache=is_cache) for at in (np.min, np.max))
        first = min(self.first, int(np.count_nonzero(least == 1.0)))
        stop = max(first, min(self.first + self.shares.shape[-1], int(np.count_nonzero(most))))
        missed = 1.0 - _held(distances[first:stop], room, is_cache=is_cache)
        return replace(self, first=first, shares=np.minimum(self._from(first, stop), missed))

    def _from(self, first: int, stop: int) -> Array:
        """The shares of the distances from `first` to `stop`, those that all miss among them."""
        ones = np.ones((*self.shares.shape[:-1], max(min(self.first, stop) - first, 0)))
        return np.concatenate([ones, self.shares[..., max(first - self.first, 0) : max(stop - self.first, 0)]], axis=-1)


def all_missed(
    count: int, touches: Touches, levels: tuple[MemoryParams, ...], resident_share: Number
) -> MissedByTouch | MissedByDistance:
    """Nothing is held yet: what the engine itself asks for, on its way over `levels`."""
    distances, which = touches.distances
    if isinstance(resident_share, np.ndarray):  # engines differ: each touch has the share of its own
        share, own = resident_share[touches.kernel], np.arange(len(touches.bytes))
        return MissedByTouch(count, touches, touches.distance_bytes, own, share, np.ones(len(own)))
    if any(np.ndim(level.capacity_bytes) for level in levels) and len(distances) * count <= _LARGE:
        return MissedByDistance(count, touches, resident_share, len(distances), np.ones(0))
    return MissedByTouch(count, touches, distances, which, resident_share, np.ones(len(distances)))
