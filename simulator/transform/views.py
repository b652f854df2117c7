"""Axes through operators that read the same elements as another shape: Reshape, Flatten, Squeeze, Unsqueeze."""

import math
from collections.abc import Sequence

from simulator.graph.types import Shape
from simulator.transform.axes import KNOWN, Axes, Axis, fixed


def reshaped(axes: Axes, given: Sequence[Axis], target: Shape) -> tuple[Axis, ...]:
    """The axes of a tensor read as another shape of as many elements.

    Axes that only meet each other are followed together: an unknown takes the other sizes along as its times
    (C · H · W), or gives them back; it is cut into equal runs where it is split (groups of channels). What is left, two
    unknowns in one axis or one that two axes share, stays as it is.
    """
    sizes = [axes.size(axis) for axis in given]
    if 0 in sizes or 0 in target:
        for axis in given:
            axes.freeze(axis)
        return tuple(fixed(size) for size in target)
    result: dict[int, Axis] = {i: fixed(size) for i, size in enumerate(target)}
    for sources, places in _meetings(sizes, target):
        found = _followed(axes, [given[i] for i in sources], [target[i] for i in places])
        result.update(zip(places, found, strict=True))
    return tuple(result[i] for i in range(len(target)))


def _meetings(sizes: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Axes before and after of the same elements, as few at once as can be; axes of size 1 left out."""
    left = [i for i, size in enumerate(sizes) if size != 1]
    right = [i for i, size in enumerate(target) if size != 1]
    found = []
    while left and right:
        sources, places = [left.pop(0)], [right.pop(0)]
        while (have := math.prod(sizes[i] for i in sources)) != (want := math.prod(target[i] for i in places)):
            (sources if have < want else places).append((left if have < want else right).pop(0))
        found.append((sources, places))
    return found


def _followed(axes: Axes, given: Sequence[Axis], target: Sequence[int]) -> tuple[Axis, ...]:
    """Axes read as others of the same elements; they stay where more than one of them may change."""
    moving = [i for i, axis in enumerate(given) if not axes.stays(axis)]
    if len(moving) == 1:
        pieces = axes.expanded(given[moving[0]])
        factor = math.prod(axes.size(axis) for i, axis in enumerate(given) if i != moving[0])
        if moving == [0]:
            return _cut_up(axes, pieces, factor, target)
        if len(pieces) == 1 and (found := _given_back(_times(pieces, factor), target, range(len(target)))):
            return found
    for axis in given:
        axes.freeze(axis)
    return tuple(fixed(size) for size in target)


def _cut_up(axes: Axes, outermost: Axis, factor: int, target: Sequence[int]) -> tuple[Axis, ...]:
    """The outermost axis of several, `factor` elements to each of its own: the first of others, or equal runs of it."""
    found = _given_back(_times(outermost, factor), target, range(1))
    if found:
        return found
    if len(target) > 1 and axes.size(outermost) % target[0] == 0 and all(unknown != KNOWN for unknown, _ in outermost):
        run = axes.chunk(outermost, target[0])
        return fixed(target[0]), *_cut_up(axes, _times(run, factor), 1, target[1:])
    axes.freeze(outermost)
    return tuple(fixed(size) for size in target)


def _given_back(pieces: Axis, target: Sequence[int], places: Sequence[int]) -> tuple[Axis, ...]:
    """One axis as several, of which the first takes it that has the others' sizes as its times; nothing where none does."""
    whole = math.prod(target)
    for i in places:
        rest = whole // target[i]
        if all(times % rest == 0 for _, times in pieces):
            own = tuple((unknown, times // rest) for unknown, times in pieces)
            return tuple(own if j == i else fixed(size) for j, size in enumerate(target))
    return ()


def _times(pieces: Axis, factor: int) -> Axis:
    return tuple((unknown, times * factor) for unknown, times in pieces)
