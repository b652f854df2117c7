"""Sizes of axes as unknowns: which have to be equal, which are made of which, which must stay.

An axis is a row of pieces, each an unknown times a whole number: the channels of a Concat are two unknowns side by side,
those of a flattened image one unknown times the pixels. Two axes that an operator joins are made equal piece by piece; where
their pieces differ, an unknown is cut into smaller ones, or becomes a multiple of another.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

Piece = tuple[int, int]  # unknown, times
Axis = tuple[Piece, ...]
KNOWN = 0  # the unknown of size 1 that never changes: a size of its own, n times


def fixed(size: int) -> Axis:
    """An axis whose size stays."""
    return ((KNOWN, size),)


class Axes:
    """The unknowns found so far: a union-find in which an unknown may also be a row of others."""

    def __init__(self) -> None:
        self._sizes = [1]
        self._parent = [KNOWN]
        self._made_of: dict[int, Axis] = {}
        self._frozen = {KNOWN}

    def new(self, size: int) -> Axis:
        """An axis of an unknown of its own; one of size 0 or 1 is taken as it is, for it may be there to be broadcast."""
        return fixed(size) if size < 2 else ((self._unknown(size), 1),)

    def expanded(self, axis: Iterable[Piece]) -> Axis:
        """The axis in unknowns that are nothing else any more; those that stay are one piece each time."""
        found: list[Piece] = []
        left = [*axis][::-1]
        while left:
            unknown, times = left.pop()
            root = self._find(unknown)
            if root in self._made_of:
                left += ((part, count * times) for part, count in reversed(self._made_of[root]))
            elif root in self._frozen:
                found.append((KNOWN, self._sizes[root] * times))
            else:
                found.append((root, times))
        return tuple(found)

    def size(self, axis: Iterable[Piece], sizes: Mapping[int, int] | None = None) -> int:
        """Elements along an axis, with other `sizes` of some unknowns where they are given."""
        given = sizes or {}
        return sum(given.get(unknown, self._sizes[unknown]) * times for unknown, times in self.expanded(axis))

    def freeze(self, axis: Iterable[Piece]) -> None:
        """Let an axis stay as it is."""
        self._frozen.update(unknown for unknown, _ in self.expanded(axis))

    def stays(self, axis: Iterable[Piece]) -> bool:
        """Whether nothing along an axis can change."""
        return all(unknown == KNOWN for unknown, _ in self.expanded(axis))

    def unify(self, one: Axis, other: Axis) -> None:
        """Let two axes of one size be the same from now on."""
        left, right = deque(one), deque(other)
        while left and right:
            a, b = self._next(left), self._next(right)
            if self._length(a) > self._length(b):
                left, right, a, b = right, left, b, a
            if self._length(a) < self._length(b):
                left.appendleft(a)
                right.extendleft(reversed(self._cut(b, self._length(a))))
            elif KNOWN in (a[0], b[0]):
                self.freeze((a, b))
            else:
                self._equate(a, b)

    def cut(self, axis: Axis, sizes: Sequence[int]) -> tuple[Axis, ...]:
        """An axis cut into runs of the given sizes, which add up to its own."""
        rest, runs = deque(axis), []
        for size in sizes:
            run: list[Piece] = []
            while size:
                piece = self._next(rest)
                if self._length(piece) > size:
                    rest.extendleft(reversed(self._cut(piece, size)))
                    continue
                run.append(piece)
                size -= self._length(piece)
            runs.append(tuple(run))
        return tuple(self.expanded(run) or fixed(0) for run in runs)

    def chunk(self, axis: Axis, count: int) -> Axis:
        """One of `count` runs of an axis that are alike from now on, as the groups of a convolution are."""
        runs = self.cut(axis, [self.size(axis) // count] * count)
        for run in runs[1:]:
            self.unify(runs[0], run)
        return self.expanded(runs[0])

    def _unknown(self, size: int) -> int:
        self._sizes.append(size)
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def _find(self, unknown: int) -> int:
        while self._parent[unknown] != unknown:
            self._parent[unknown] = self._parent[self._parent[unknown]]
            unknown = self._parent[unknown]
        return unknown

    def _next(self, pieces: deque[Piece]) -> Piece:
        """The first piece taken off, expanded: what was one unknown may be a row of them by now."""
        first, *others = self.expanded([pieces.popleft()])
        pieces.extendleft(reversed(others))
        return first

    def _length(self, piece: Piece) -> int:
        return self._sizes[piece[0]] * piece[1]

    def _cut(self, piece: Piece, size: int) -> Axis:
        """A piece in two, the first of that size; where neither the unknown nor its times can be cut there, it stays."""
        unknown, times = piece
        rest = self._length(piece) - size
        if unknown != KNOWN and times == 1:
            self._made_of[unknown] = (*self.new(size), *self.new(rest))
            return self._made_of[unknown]
        if size % self._sizes[unknown]:
            self.freeze((piece,))
            return (KNOWN, size), (KNOWN, rest)
        return (unknown, size // self._sizes[unknown]), (unknown, rest // self._sizes[unknown])

    def _equate(self, a: Piece, b: Piece) -> None:
        """Two pieces of one length: the larger unknown is the smaller one so many times."""
        (one, times), (other, others) = sorted((a, b), key=lambda piece: self._sizes[piece[0]], reverse=True)
        if one == other:
            return
        if self._sizes[one] == self._sizes[other]:
            self._parent[one] = other
        elif others % times == 0:
            self._made_of[one] = ((other, others // times),)
        else:
            self.freeze((a, b))
