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
        merged = _merged(axes, [given[i] for i in sources])
        result.update(zip(places, _spread(axes, merged, [target[i] for i in places]), strict=True))
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


def _merged(axes: Axes, given: Sequence[Axis]) -> Axis:
    """Axes as one; where more than one of them may change, or one of several pieces is not the outermost, all stay."""
    pieces = [axes.expanded(axis) for axis in given]
    moving = [i for i, axis in enumerate(pieces) if not axes.stays(axis)]
    if len(moving) == 1 and (moving[0] == 0 or len(pieces[moving[0]]) == 1):
        factor = math.prod(axes.size(axis) for i, axis in enumerate(pieces) if i not in moving)
        return tuple((unknown, times * factor) for unknown, times in pieces[moving[0]])
    for axis in pieces:
        axes.freeze(axis)
    return fixed(math.prod(axes.size(axis) for axis in pieces))


def _spread(axes: Axes, merged: Axis, target: Sequence[int]) -> tuple[Axis, ...]:
    """One axis as several: the first whose unknowns have the others' sizes as their times takes them."""
    pieces = axes.expanded(merged)
    whole = math.prod(target)
    for i, size in enumerate(target):
        rest = whole // size
        if all(times % rest == 0 for _, times in pieces) and not axes.stays(pieces):
            own = tuple((unknown, times // rest) for unknown, times in pieces)
            return tuple(own if j == i else fixed(other) for j, other in enumerate(target))
    if len(target) > 1 and not axes.stays(pieces) and all(unknown != KNOWN for unknown, _ in pieces):
        return fixed(target[0]), *_spread(axes, axes.chunk(merged, target[0]), target[1:])
    axes.freeze(pieces)
    return tuple(fixed(size) for size in target)
