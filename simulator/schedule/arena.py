"""Addresses for tensors in one block of memory (an arena): dynamic storage allocation, which is NP-hard, by heuristics.

Every heuristic places buffers one after another where they fit between those that are there at the same time; they
differ in the order and in the gap taken. No arena can be smaller than the most bytes alive at once (`lower_bound_bytes`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError, did_you_mean
from simulator.schedule.conventions import Buffer, Span

Ints = NDArray[np.int64]
_PLACEMENTS: Final = 40_000  # budget of the climb: buffers placed, over all orders tried, of up to 2,000 buffers
_MANY_PLACEMENTS: Final = 20_000  # of more buffers: they take longer
_COARSEST: Final = 2**30  # bytes of an alignment: no memory has larger pages
_STALE: Final = 100  # the climb gives up after so many orders without a smaller arena


@dataclass(frozen=True, slots=True)
class Placement:
    """A buffer and the address of its first byte."""

    buffer: Buffer
    address_bytes: int

    @property
    def end_bytes(self) -> int:
        """The first address after it, when it is largest."""
        return self.address_bytes + self.buffer.size_bytes


@dataclass(frozen=True)
class Arena:
    """Where everything lies, the total size, and the most bytes alive at once: no arena is smaller."""

    heuristic: str
    placements: tuple[Placement, ...]
    size_bytes: int
    lower_bound_bytes: int
    alignment_bytes: int

    @property
    def waste(self) -> float:
        """How much larger than the lower bound, as a fraction of it."""
        return self.size_bytes / self.lower_bound_bytes - 1.0 if self.lower_bound_bytes else 0.0


Heuristic = Callable[[Sequence[tuple[Span, ...]], int], list[int]]
HEURISTICS: Final[dict[str, Heuristic]] = {}


def heuristic(name: str) -> Callable[[Heuristic], Heuristic]:
    """Register a function that gives an address for each buffer (its spans over time), knowing the lower bound."""

    def register(function: Heuristic) -> Heuristic:
        HEURISTICS[name] = function
        return function

    return register


def arena(found: Sequence[Buffer], method: str = "hill_climb", alignment_bytes: int = 1) -> Arena:
    """Addresses for all buffers: multiples of the alignment, no two that are needed at once overlap; deterministic.

    Raises:
        UsageError: no such heuristic, or an alignment below 1 or above 1 GiB.
    """
    if method not in HEURISTICS:
        raise UsageError(f"no heuristic '{method}'{did_you_mean(method, HEURISTICS)} (known: {', '.join(HEURISTICS)})")
    if not 1 <= alignment_bytes <= _COARSEST:
        raise UsageError(f"an alignment of {alignment_bytes} bytes: at least 1, at most {_COARSEST}")
    shapes = [tuple(_aligned(s, alignment_bytes) for s in buffer.spans) for buffer in found]
    bound = lower_bound(shapes)
    addresses = HEURISTICS[method](shapes, bound)
    placements = tuple(Placement(b, a) for b, a in zip(found, addresses, strict=True))
    return Arena(method, placements, _size(shapes, addresses), bound, alignment_bytes)


def lower_bound(shapes: Sequence[tuple[Span, ...]]) -> int:
    """Most bytes needed at once."""
    spans = [s for shape in shapes for s in shape]
    change = np.zeros(max((s.last for s in spans), default=0) + 2, np.int64)
    np.add.at(change, [s.first for s in spans], [s.size_bytes for s in spans])
    np.subtract.at(change, [s.last + 1 for s in spans], [s.size_bytes for s in spans])
    return int(np.cumsum(change).max(initial=0))


def _aligned(span: Span, alignment: int) -> Span:
    return Span(-(-span.size_bytes // alignment) * alignment, span.first, span.last)


def _size(shapes: Sequence[tuple[Span, ...]], addresses: Sequence[int]) -> int:
    return max((a + s.size_bytes for shape, a in zip(shapes, addresses, strict=True) for s in shape), default=0)


@heuristic("greedy_by_size")
def greedy_by_size(shapes: Sequence[tuple[Span, ...]], bound: int) -> list[int]:  # noqa: ARG001
    """The largest first, each into the smallest gap it fits, else on top (Pisarchyk & Lee, arXiv:2001.03288, alg. 3)."""
    return _place(shapes, _by_size(shapes), best_fit=True)


@heuristic("hill_climb")
def hill_climb(shapes: Sequence[tuple[Span, ...]], bound: int) -> list[int]:
    """The best of several orders (greedy by size among them), then improved by moving what sticks out forward.

    The orders: by size, best and first fit; by breadth (the kernels with most bytes alive first: Pisarchyk & Lee's
    second heuristic); by bytes × lifetime; by lifetime. The climb is that of the Ethos-U compiler Vela: a buffer that
    reaches the top of the arena changes its turn with one it met. It ends at the lower bound or with its budget.
    """
    budget = max(_PLACEMENTS if len(shapes) <= 2_000 else _MANY_PLACEMENTS, 2 * len(shapes))
    best = greedy_by_size(shapes, bound)
    size, spent, order = _size(shapes, best), len(shapes), _by_size(shapes)
    for candidate in _orders(shapes):
        if size <= bound or spent + len(shapes) > budget:
            break
        addresses = _place(shapes, candidate, best_fit=False)
        spent += len(shapes)
        if _size(shapes, addresses) < size:
            best, size, order = addresses, _size(shapes, addresses), candidate
    return _climb(shapes, order, best, bound, (budget - spent) // max(len(shapes), 1))


def _orders(shapes: Sequence[tuple[Span, ...]]) -> Iterator[list[int]]:
    """Orders worth trying, as positions of buffers."""
    life = [shape[-1].last - shape[0].first + 1 for shape in shapes]
    size = [max(s.size_bytes for s in shape) for shape in shapes]
    everyone = range(len(shapes))
    yield _by_breadth(shapes)
    yield _by_size(shapes)
    yield sorted(everyone, key=lambda i: (-size[i] * life[i], i))
    yield sorted(everyone, key=lambda i: (-life[i], -size[i], i))
    yield sorted(everyone, key=lambda i: (shapes[i][0].first, -size[i], i))


def _by_size(shapes: Sequence[tuple[Span, ...]]) -> list[int]:
    return sorted(range(len(shapes)), key=lambda i: (-max(s.size_bytes for s in shapes[i]), shapes[i][0].first, i))


def _by_breadth(shapes: Sequence[tuple[Span, ...]]) -> list[int]:
    """What is there at the fullest kernel first, then at the next fullest …; the largest of each first."""
    change = np.zeros(max((s.last for shape in shapes for s in shape), default=0) + 2, np.int64)
    for shape in shapes:
        for span in shape:
            change[span.first] += span.size_bytes
            change[span.last + 1] -= span.size_bytes
    rank = np.empty(len(change) - 1, np.int64)
    rank[np.argsort(-np.cumsum(change)[:-1], kind="stable")] = np.arange(len(rank))
    fullest = [min(int(rank[s.first : s.last + 1].min()) for s in shape) for shape in shapes]
    return sorted(range(len(shapes)), key=lambda i: (fullest[i], -max(s.size_bytes for s in shapes[i]), i))


def _climb(shapes: Sequence[tuple[Span, ...]], order: list[int], best: list[int], bound: int, rounds: int) -> list[int]:
    """Exchange turns, keep what makes the arena no larger. `chance` is a fixed sequence: the same every time."""
    size = _size(shapes, best)
    addresses, chance, stale = best, 1, 0
    for _ in range(rounds):
        if size <= bound or stale >= _STALE:
            break
        chance = (1_103_515_245 * chance + 12_345) % 2**31
        candidate = _exchanged(shapes, order, addresses, chance)
        tried = _place(shapes, candidate, best_fit=False)
        reached = _size(shapes, tried)
        stale += 1
        if reached <= _size(shapes, addresses):
            order, addresses = candidate, tried
        if reached < size:
            best, size, stale = tried, reached, 0
    return best


def _exchanged(shapes: Sequence[tuple[Span, ...]], order: Sequence[int], addresses: Sequence[int], chance: int) -> list[int]:
    """The order with a buffer that reaches the top before one that is there at the same time and had its turn earlier."""
    top = _size(shapes, addresses)
    highest = [i for i in order if any(addresses[i] + s.size_bytes == top for s in shapes[i])]
    mover = highest[chance // 64 % len(highest)]
    turn = {buffer: position for position, buffer in enumerate(order)}
    met = [i for i in order if turn[i] < turn[mover] and _meet(shapes[i], shapes[mover])] or list(order)
    target = turn[met[chance // 4096 % len(met)]]
    rest = [i for i in order if i != mover]
    return [*rest[:target], mover, *rest[target:]]


def _meet(one: tuple[Span, ...], other: tuple[Span, ...]) -> bool:
    return any(a.first <= b.last and b.first <= a.last for a in one for b in other)


def _place(shapes: Sequence[tuple[Span, ...]], order: Sequence[int], *, best_fit: bool) -> list[int]:
    """Addresses of the buffers, placed in this order: in the smallest gap that is large enough, or in the lowest."""
    shelf = _Shelf.of(sum(map(len, shapes)))
    addresses = [0] * len(shapes)
    for index in order:
        addresses[index] = shelf.room(shapes[index], best_fit=best_fit)
        for span in shapes[index]:
            shelf.put(span, addresses[index])
    return addresses


@dataclass
class _Shelf:
    """Spans that have an address, sorted by it; columns with room to grow: address, end, first, last kernel."""

    columns: Ints
    count: int = field(default=0)

    @classmethod
    def of(cls, most: int) -> "_Shelf":
        """An empty one for so many spans."""
        return cls(np.zeros((4, most), np.int64))

    def put(self, span: Span, address: int) -> None:
        """Add a span."""
        at = int(np.searchsorted(self.columns[0, : self.count], address))
        self.columns[:, at + 1 : self.count + 1] = self.columns[:, at : self.count].copy()
        self.columns[:, at] = (address, address + span.size_bytes, span.first, span.last)
        self.count += 1

    def room(self, shape: tuple[Span, ...], *, best_fit: bool) -> int:
        """An address at which no span of `shape` meets one that is here.

        Beside a span [a, e) that is there at the same time, a span of s bytes cannot start in (a − s, e). What is left
        between these open intervals are the gaps; the last one has no end.
        """
        low, high = self._forbidden(shape)
        starts = np.concatenate(([0], np.maximum.accumulate(np.maximum(high, 0))))
        slack = low - starts[:-1]
        fits = np.flatnonzero(slack >= 0)
        if not len(fits):
            return int(starts[-1])
        return int(starts[fits[slack[fits].argmin()] if best_fit else fits[0]])

    def _forbidden(self, shape: tuple[Span, ...]) -> tuple[Ints, Ints]:
        """Ends of the open intervals in which it cannot start, sorted by the lower."""
        address, end, first, last = self.columns[:, : self.count]
        lows, highs = [], []
        for span in shape:
            there = np.flatnonzero((first <= span.last) & (last >= span.first))
            lows.append(address[there] - span.size_bytes)
            highs.append(end[there])
        if len(shape) == 1:
            return lows[0], highs[0]
        low, high = np.concatenate(lows), np.concatenate(highs)
        by_low = np.argsort(low, kind="stable")
        return low[by_low], high[by_low]
