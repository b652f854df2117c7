"""Which of many points no other beats, and how much of the space such a front covers.

One point dominates another if it is nowhere worse and somewhere better. The front of two or three objectives is found by one
sweep in lexicographic order (Kung, Luccio, Preparata, "On finding the maxima of a set of vectors", J. ACM 22(4), 1975), that
of more by comparing with the front found so far, in an order in which no point comes before one that dominates it (Chomicki
et al., "Skyline with presorting", ICDE 2003).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.errors import UsageError

Better = Literal["less", "more"]
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CHUNK: Final = 1024  # points that are compared with the front at once
_FRONT: Final = 4096  # points of the front that they are compared with at once: some 4 MB of flags
_WAYS: Final = ("less", "more")


def front(points: ArrayLike, better: Sequence[Better]) -> Mask:
    """Which points no other dominates. Equal points are on the front together.

    Args:
        points: shape (n, d), one objective a column; infinities are the best or the worst there is.
        better: d words, which way is better in each column.

    Returns:
        Flags, shape (n,). A point with an unknown value (NaN) is never on the front and dominates nothing; `count_unknown`
        counts them. O(n log n) for up to three objectives, O(n · front) for more; memory is O(n).

    Raises:
        UsageError: shapes that do not fit, or another word than `less` and `more`.
    """
    least = _least(points, better)
    known = np.flatnonzero(~np.isnan(least).any(axis=1))
    found = np.zeros(len(least), np.bool_)
    if not len(known):
        return found
    distinct, place = _distinct(least[known])
    sweep = {1: _front_of_one, 2: _front_of_two, 3: _front_of_three}.get(distinct.shape[1], _front_of_many)
    found[known] = sweep(distinct)[place]
    return found


def count_unknown(points: ArrayLike) -> int:
    """How many points have a value that is not known (NaN)."""
    return int(np.isnan(np.asarray(points, np.float64)).any(axis=1).sum())


def hypervolume(points: ArrayLike, reference: ArrayLike, better: Sequence[Better]) -> float:
    """The volume that is dominated by some point and dominates `reference`: how much a front is worth, in its units' product.

    Exact but for rounding: two and three objectives by a sweep, more by the exclusive volumes of WFG (While, Bradstreet,
    Barone, "A fast way of calculating exact hypervolumes", IEEE Trans. Evol. Comput. 16(1), 2012), one objective fewer a
    level. Its time grows exponentially with the objectives: some seconds for 300 points of a front in six.

    Args:
        points: shape (n, d); points that do not beat the reference everywhere, and unknown ones (NaN), add nothing.
        reference: shape (d,), finite: the worst that counts.
        better: d words, which way is better in each column.

    Raises:
        UsageError: shapes that do not fit, a reference or a point of the front that is not finite.
    """
    worst = _least(np.asarray(reference, np.float64).reshape(1, -1), better)[0]
    least = _least(points, better)
    if len(worst) != least.shape[1] or not np.isfinite(worst).all():
        raise UsageError(f"the reference of a hypervolume has {least.shape[1]} finite values, one an objective")
    inside = least[(least < worst).all(axis=1)]
    if not len(inside):
        return 0.0
    if not np.isfinite(inside).all():
        raise UsageError("the hypervolume of a point at infinity is infinite: leave such points out")
    return _volume(worst - inside[_own_front(inside)])


def _least(points: ArrayLike, better: Sequence[Better]) -> Array:
    """The points with every objective such that less is better."""
    found = np.asarray(points, np.float64)
    if found.ndim != 2 or found.shape[1] != len(better) or not len(better):
        raise UsageError(f"points of shape {found.shape} need a column for each of {len(better)} objectives, at least one")
    wrong = [word for word in better if word not in _WAYS]
    if wrong:
        raise UsageError(f"'{wrong[0]}' is not a way to be better; write 'less' or 'more'")
    return np.where([word == "more" for word in better], -found, found)


def _own_front(least: Array) -> Mask:
    """The front without its copies: one of each set of equal points."""
    flags = front(least, ("less",) * least.shape[1])
    first = np.zeros(len(least), np.bool_)
    first[np.unique(least, axis=0, return_index=True)[1]] = True
    return flags & first


def _distinct(points: Array) -> tuple[Array, NDArray[np.intp]]:
    """Distinct points in lexicographic order, shape (m, d), and the position among them of each point, shape (n,)."""
    points = points + 0.0  # a zero has one sign
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    is_new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    place = np.empty(len(points), np.intp)
    place[order] = np.cumsum(is_new) - 1
    return ordered[is_new], place


def _front_of_one(distinct: Array) -> Mask:
    return np.asarray(np.arange(len(distinct)) == 0)


def _front_of_two(distinct: Array) -> Mask:
    """Those before a point are no worse in x: it is on the front if all of them are worse in y."""
    y = distinct[:, 1]
    return np.concatenate([[True], y[1:] < np.minimum.accumulate(y)[:-1]])


def _front_of_three(distinct: Array) -> Mask:
    """Of those before a point the front in (y, z) decides: a staircase, y rising and z falling."""
    ys: list[float] = []
    zs: list[float] = []
    found = np.ones(len(distinct), np.bool_)
    for row, (y, z) in enumerate(zip(distinct[:, 1].tolist(), distinct[:, 2].tolist(), strict=True)):
        before = bisect_right(ys, y) - 1
        if before >= 0 and zs[before] <= z:
            found[row] = False
            continue
        start = stop = bisect_left(ys, y)
        while stop < len(ys) and zs[stop] >= z:
            stop += 1
        ys[start:stop], zs[start:stop] = [y], [z]
    return found


def _front_of_many(distinct: Array) -> Mask:
    """By ranks, in order of their sum: whoever dominates a point has a smaller one."""
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in distinct.T], axis=1)
    order = np.argsort(ranks.sum(axis=1), kind="stable")
    best = np.empty((0, ranks.shape[1]), ranks.dtype)
    found = np.zeros(len(distinct), np.bool_)
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        for first in range(0, len(best), _FRONT):
            rows = rows[~_matched(ranks[rows], best[first : first + _FRONT]).any(axis=1)]
        rows = rows[_matched(ranks[rows], ranks[rows]).sum(axis=1) == 1]  # by itself alone
        found[rows] = True
        best = np.concatenate([best, ranks[rows]])
    return found


def _matched(points: NDArray[np.intp], others: NDArray[np.intp]) -> Mask:
    """Shape (points, others): which others are nowhere worse."""
    found = np.ones((len(points), len(others)), np.bool_)
    for mine, theirs in zip(points.T, others.T, strict=True):
        found &= theirs <= mine[:, None]
    return found


# ---- volumes: points are sizes of boxes that share a corner, the reference; all are positive and none holds another -------


def _volume(boxes: Array) -> float:
    """The volume that some boxes cover together."""
    n, d = boxes.shape
    if n == 1 or d == 1:
        return float(boxes.prod(axis=1).max())
    if d == 2:
        return _area(boxes)
    return _volume_of_three(boxes) if d == 3 else _volume_of_many(boxes)


def _area(boxes: Array) -> float:
    """Strips of falling width: in order of width, each adds the height by which it stands out."""
    wide = boxes[np.argsort(-boxes[:, 0])]
    return float((wide[:, 0] * np.diff(wide[:, 1], prepend=0.0)).sum())


def _volume_of_three(boxes: Array) -> float:
    """Slabs from the tallest box down, each as large as the area that the boxes above its floor cover."""
    tall = boxes[np.argsort(-boxes[:, 2], kind="stable")]
    widths: list[float] = []
    depths: list[float] = []
    area = volume = 0.0
    floors = [*tall[1:, 2].tolist(), 0.0]
    for (width, depth, height), floor in zip(tall.tolist(), floors, strict=True):
        area += _stacked(widths, depths, width, depth)
        volume += area * (height - floor)
    return volume


def _stacked(widths: list[float], depths: list[float], width: float, depth: float) -> float:
    """Put a rectangle into a staircase, width rising and depth falling; returns the area by which it grows."""
    start = after = bisect_right(widths, width)
    inner = depths[after] if after < len(depths) else 0.0
    if inner >= depth:
        return 0.0
    grown, right = 0.0, width
    while start and depths[start - 1] <= depth:
        start -= 1
        grown += (right - widths[start]) * (depth - inner)
        right, inner = widths[start], depths[start]
    left = widths[start - 1] if start else 0.0
    widths[start:after], depths[start:after] = [width], [depth]
    return grown + (right - left) * (depth - inner)


def _volume_of_many(boxes: Array) -> float:
    """What each box adds to those longer than it on the last axis: its length there times what it alone covers of the others."""
    rows = boxes[np.argsort(-boxes[:, -1], kind="stable")]
    total = 0.0
    for count, row in enumerate(rows):
        alone = float(row[:-1].prod())
        if count:
            alone -= _volume(_largest(np.minimum(rows[:count, :-1], row[:-1])))
        total += alone * float(row[-1])
    return total


def _largest(boxes: Array) -> Array:
    """Boxes that are in no other, each once."""
    rows = boxes[np.lexsort(boxes.T)[::-1]]  # none is in a later one, but for its copies
    holds = (rows[None, :, :] >= rows[:, None, :]).all(axis=2)  # [i, j]: j holds i
    return rows[~np.tril(holds, -1).any(axis=1)]
