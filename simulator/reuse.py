"""Reuse distances: how many distinct bytes a run touches between two uses of a tensor.

A memory of that capacity still holds the tensor, so one pass over the schedule answers for every capacity at once
(Mattson et al. 1970: least recently used memories include one another). Tensors are touched as a whole, kernel after
kernel; the run before was the same one, so that a weight's distance is all that a run touches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.graph.graph import Graph
from simulator.graph.types import Role, TensorSpec
from simulator.kernels.types import Kernel

Column = NDArray[np.float64]
ROLES: Final = ("weights", "inputs", "outputs")
GATHERED = 1e30  # rows picked by data: no run touches the same ones again


@dataclass(frozen=True)
class Touches:
    """Tensors that kernels touch in one way, in the order of the kernels; columns of shape (n_touches,).

    `kernel` is the row of the work table. `bytes` cross from outside unless a memory holds `distance_bytes`; what a kernel
    touches at one distance is one row, the longest distance first. A kernel that repeats has a further row for its later
    rounds.
    """

    kernel: NDArray[np.intp]
    bytes: Column
    distance_bytes: Column

    @cached_property
    def distances(self) -> tuple[Column, NDArray[np.intp]]:
        """The distances that occur, the longest first, and for every touch which of them it has."""
        found, which = np.unique(-self.distance_bytes, return_inverse=True)
        return -found, np.asarray(which, np.intp)

    @cached_property
    def by_distance(self) -> Column:
        """Bytes as a table of (n_distances, n_kernels), for kernels up to the last that touches anything."""
        distances, which = self.distances
        table = np.zeros((len(distances), int(self.kernel.max(initial=-1)) + 1))
        table[which, self.kernel] = self.bytes
        return table

    @cached_property
    def longest_first(self) -> Column:
        """Sums of the rows of `by_distance` before each row: (n_distances + 1, n_kernels)."""
        table = self.by_distance
        return np.add.accumulate(np.vstack([np.zeros((1, table.shape[1])), table]), axis=0)

    def of_kernels(self, chosen: NDArray[np.intp]) -> "Touches":
        """Those of some kernels, which are numbered anew in their order."""
        place = np.full(int(max(self.kernel.max(initial=-1), chosen.max(initial=-1))) + 1, -1)
        place[chosen] = np.arange(len(chosen))
        kept = np.flatnonzero(place[self.kernel] >= 0)
        return Touches(place[self.kernel[kept]], self.bytes[kept], self.distance_bytes[kept])


@dataclass(frozen=True)
class Operands:
    """All that the kernels of a schedule touch."""

    weights: Touches
    inputs: Touches
    outputs: Touches

    @cached_property
    def reads(self) -> Touches:
        """Weights and inputs together."""
        rows: dict[tuple[int, float], float] = {}
        for part in (self.weights, self.inputs):
            for kernel, size, far in zip(part.kernel.tolist(), part.bytes.tolist(), part.distance_bytes.tolist(), strict=True):
                rows[kernel, far] = rows.get((kernel, far), 0.0) + size
        return _table(rows)

    def of_kernels(self, chosen: NDArray[np.intp]) -> "Operands":
        """Those of some kernels, which are numbered anew in their order."""
        return Operands(*(part.of_kernels(chosen) for part in (self.weights, self.inputs, self.outputs)))

    def keys(self, count: int) -> list[tuple[object, ...]]:
        """For each of `count` kernels what it touches; kernels with the same key move the same bytes."""
        keys: list[list[object]] = [[] for _ in range(count)]
        for number, part in enumerate((self.weights, self.inputs, self.outputs)):
            for kernel, size, far in zip(part.kernel.tolist(), part.bytes.tolist(), part.distance_bytes.tolist(), strict=True):
                keys[kernel].append((number, size, far))
        return [tuple(key) for key in keys]


class _Sums:
    """Amounts at times; sums up to a time in O(log n) (Fenwick tree)."""

    def __init__(self, size: int) -> None:
        self._tree = [0.0] * (size + 1)
        self.total = 0.0

    def add(self, time: int, amount: float) -> None:
        """Add `amount` at `time`."""
        self.total += amount
        time += 1
        while time < len(self._tree):
            self._tree[time] += amount
            time += time & -time

    def before(self, time: int) -> float:
        """Sum of the amounts before `time`."""
        found = 0.0
        while time > 0:
            found += self._tree[time]
            time -= time & -time
        return found


class _Recency:
    """What was touched when last: each tensor's bytes count at the time of its last touch only."""

    def __init__(self, size: int) -> None:
        self._bytes = {True: _Sums(size), False: _Sums(size)}  # kept from run to run, not
        self._last: dict[str, tuple[int, int]] = {}  # tensor → time, bytes

    def touch(self, touched: Iterable["_Touch"], time: int) -> None:
        """Move the tensors to `time`."""
        for touch in touched:
            if touch.name in self._last:
                before, size = self._last[touch.name]
                self._bytes[touch.kept].add(before, -size)
            self._bytes[touch.kept].add(time, touch.size_bytes)
            self._last[touch.name] = (time, touch.size_bytes)

    def last(self, name: str) -> int:
        """When the tensor was touched last."""
        return self._last[name][0]

    def since(self, time: int, *, kept: bool) -> float:
        """Distinct bytes touched from `time` on."""
        return self._bytes[kept].total - self._bytes[kept].before(time)


@dataclass(frozen=True, slots=True)
class Touch:
    """A tensor that a kernel touches in one role: all of its bytes, or those of its first or its `later` rounds."""

    name: str
    role: str
    bytes: float
    distance_bytes: float
    later: bool = False


@dataclass(frozen=True, slots=True)
class _Touch:
    name: str
    size_bytes: int
    weight: bool
    written: bool
    kept: bool  # weights and caches: they share no buffers with what lives for a part of a run


def operands(graph: Graph, kernels: Sequence[Kernel], peak_bytes: float) -> Operands:
    """Operands of a schedule with their reuse distances.

    `peak_bytes` is the most that is alive at once: activations share buffers, so they never spread over more. A result
    is written out when it is not held until its last use: it has the longest distance of those that read it.
    """
    rows: dict[str, dict[tuple[int, float], float]] = {role: {} for role in ROLES}  # (kernel, distance) → bytes
    for number, touched in enumerate(touches_of(graph, kernels, peak_bytes)):
        for touch in touched:
            part, key = rows[touch.role], (number, touch.distance_bytes)
            part[key] = part.get(key, 0.0) + touch.bytes
    return Operands(*(_table(rows[role]) for role in ROLES))


def touches_of(graph: Graph, kernels: Sequence[Kernel], peak_bytes: float) -> list[list[Touch]]:
    """For every kernel what it touches, tensor by tensor; see `operands`."""
    touches = [_touches(kernel) for kernel in kernels]
    distances = _distances(touches, peak_bytes)
    written = _longest(touches, distances)
    repeats = [graph.ops[kernel.main].repeat for kernel in kernels]
    result = []
    for repeat, touched, far, round_bytes in zip(repeats, touches, distances, _round_bytes(repeats, touches), strict=True):
        found = []
        for touch, distance in zip(touched, far, strict=True):
            away = written[touch.name] if touch.written else distance
            if touch.weight and touch.size_bytes < graph.tensors[touch.name].size_bytes:
                away = GATHERED
            role = "outputs" if touch.written else "weights" if touch.weight else "inputs"
            found.append(Touch(touch.name, role, touch.size_bytes, away))
            if repeat > 1:
                found.append(Touch(touch.name, role, touch.size_bytes * (repeat - 1), round_bytes, later=True))
        result.append(found)
    return result


def _table(rows: Mapping[tuple[int, float], float]) -> Touches:
    order = sorted(rows, key=lambda key: (key[0], -key[1]))
    kernels = np.array([kernel for kernel, _ in order], np.intp)
    distances = np.array([distance for _, distance in order], np.float64)
    return Touches(kernels, np.array([rows[key] for key in order], np.float64), distances)


def _touches(kernel: Kernel) -> tuple[_Touch, ...]:
    return (
        *(_touch(spec, weight=True, written=False) for spec in kernel.weights),
        *(_touch(spec, weight=False, written=False) for spec in kernel.inputs),
        *(_touch(spec, weight=spec.role is Role.WEIGHT, written=True) for spec in kernel.outputs),
    )


def _touch(spec: TensorSpec, *, weight: bool, written: bool) -> _Touch:
    return _Touch(spec.name, spec.size_bytes, weight, written, kept=weight or spec.role is Role.STATE)


def _distances(touches: Sequence[Sequence[_Touch]], peak_bytes: float) -> list[list[float]]:
    """For every touch the distinct bytes since the tensor's last one, the tensors of its own kernel included."""
    count = len(touches)
    recency = _Recency(2 * count)
    for time, touched in enumerate(touches):  # the run before
        recency.touch(touched, time)
    result: list[list[float]] = []
    for time, touched in enumerate(touches, start=count):
        before = [recency.last(touch.name) for touch in touched]
        recency.touch(touched, time)
        spans = {
            last: recency.since(last + 1, kept=True) + min(recency.since(last + 1, kept=False), peak_bytes)
            for last in set(before)
        }
        result.append([spans[last] for last in before])
    return result


def _longest(touches: Sequence[Sequence[_Touch]], distances: Sequence[Sequence[float]]) -> dict[str, float]:
    """For every result the longest distance at which it is read; its own, from run to run, where nothing reads it."""
    read: dict[str, float] = {}
    made: dict[str, float] = {}
    caches: set[str] = set()  # the next run reads them
    for touched, distance in zip(touches, distances, strict=True):
        for touch, far in zip(touched, distance, strict=True):
            found = made if touch.written else read
            found[touch.name] = max(found.get(touch.name, 0.0), far)
            if touch.written and touch.kept and not touch.weight:
                caches.add(touch.name)
    return {name: far if name in caches else read.get(name, far) for name, far in made.items()}


def _round_bytes(repeats: Sequence[int], touches: Sequence[Sequence[_Touch]]) -> list[float]:
    """Distinct bytes of one round of the loop that each kernel is in: of the kernels beside it that repeat as often."""
    result: list[float] = []
    for _, group in groupby(range(len(repeats)), key=lambda number: repeats[number]):
        members = list(group)
        sizes = {t.name: t.size_bytes for number in members for t in touches[number]}
        result += [float(sum(sizes.values()))] * len(members)
    return result
