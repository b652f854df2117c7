"""Channels that have to change together: one walk over the operators joins the axes of all tensors into groups."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.dtypes import DType
from simulator.errors import ShapeError
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, Shape
from simulator.ops.registry import find_rule
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError
from simulator.ops.work import Kind
from simulator.transform.axes import Axes, Axis, fixed
from simulator.transform.follow import FOLLOWED, Follow, Tensor, broadcast, frozen


@dataclass(frozen=True)
class Group:
    """Channels that change together: `size` of them, in each of `alike` runs (the groups of a convolution).

    `makers` names the operators whose weights decide how many there are; `alike` counts the runs in the widest of them.
    """

    unknown: int
    size: int
    alike: int
    makers: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Channels of all runs together."""
        return self.size * self.alike


@dataclass(frozen=True)
class ChannelGroups:
    """The axes of every tensor that an operator reads or writes, and the groups of those that may change."""

    axes: Axes
    tensors: Mapping[str, Tensor]
    groups: tuple[Group, ...]

    def shape_of(self, name: str, sizes: Mapping[int, int]) -> Shape:
        """Shape of a tensor once groups have other sizes (by `Group.unknown`)."""
        return tuple(self.axes.size(axis, sizes) for axis in self.tensors[name])


def channel_groups(graph: Graph) -> ChannelGroups:
    """The groups of channels of a network, in the order in which they are made.

    Inputs and outputs of the network stay, and so does all that an operator touches of which it is not known how its axes
    go together: heads of attention, recurrent cells, bodies of loops.
    """
    walk = _Walk(graph)
    for op in graph.ops:
        walk.step(op)
    for name in (*graph.outputs, *(n for op in graph.dormant for n in op.inputs if n and n in graph.tensors)):
        walk.freeze(name)
    return ChannelGroups(walk.axes, walk.tensors, tuple(_groups(walk.axes, walk.made)))


@dataclass
class _Walk:
    """State of the walk: axes of the tensors so far, and which operators make them."""

    graph: Graph
    axes: Axes = field(default_factory=Axes)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    made: list[tuple[Op, Axis]] = field(default_factory=list)

    def of(self, name: str) -> Tensor:
        """Axes of a tensor: unknowns for weights, the sizes of what comes in."""
        if name not in self.tensors:
            spec = self.graph.tensors[name]
            weight = spec.role is Role.WEIGHT
            self.tensors[name] = tuple(self.axes.new(d) if weight else fixed(d) for d in spec.shape or ())
            for source in self.graph.stored.get(name, ()) if weight else ():
                self._tie(name, source)
        return self.tensors[name]

    def makes(self, op: Op, axis: Axis) -> None:
        """Note that an operator's weights decide how long an axis is."""
        self.made.append((op, axis))

    def freeze(self, name: str) -> None:
        """Let a tensor stay as it is."""
        for axis in self.of(name):
            self.axes.freeze(axis)

    def step(self, op: Op) -> None:
        """The axes of an operator's outputs, checked against the shapes that the graph has."""
        view = OpView(op, self.graph.inputs_of(op), self.graph.outputs_of(op), self.graph.values.get)
        try:
            outs = self._follow_of(op)(self, view)
        except (UnknownShapeError, ShapeError, *MALFORMED):
            outs = frozen(self, view)
        for name, axes in zip(op.outputs, outs, strict=False):
            if not name:
                continue
            shape = self.graph.tensors[name].shape or ()
            if tuple(self.axes.size(axis) for axis in axes) != shape:
                self._give_up(op, axes)
                axes = tuple(fixed(size) for size in shape)
            self.tensors[name] = tuple(axes)
            if self.graph.tensors[name].role is Role.STATE:
                self.freeze(name)
        for name in op.outputs[len(outs) :]:
            self.tensors[name] = tuple(fixed(size) for size in self.graph.tensors[name].shape or ())

    def _follow_of(self, op: Op) -> Follow:
        if op.repeat != 1 or op.constant:
            return frozen  # a loop carries tensors round, which the flat graph does not show
        rule = find_rule(op.domain, op.op_type)
        default = broadcast if rule is not None and rule.kind is Kind.POINTWISE and not op.domain else frozen
        return FOLLOWED.get((op.domain, op.op_type), default)

    def _give_up(self, op: Op, axes: Iterable[Axis]) -> None:
        for name in op.inputs:
            if name:
                self.freeze(name)
        for axis in axes:
            self.axes.freeze(axis)

    def _tie(self, name: str, source: str) -> None:
        """A weight that was computed before the run has the axes of the tensors of the file that it comes from."""
        held = self.graph.tensors.get(source)
        if source == name or held is None or held.shape is None or _picks(held.dtype):
            return
        own, shape = self.of(source), self.graph.tensors[name].shape or ()
        if held.rank == 2 and held.elements != math.prod(shape) and held.shape[-1:] == shape[-1:]:
            self.axes.freeze(own[0])  # rows picked from a table
            self.axes.unify(own[1], self.tensors[name][-1])
            return
        places = _places(held.shape, shape)
        if places is None:
            self.freeze(name)
            self.freeze(source)
            return
        for axis, place in zip(own, places, strict=True):
            if self.axes.size(axis) > 1:
                self.axes.unify(axis, self.tensors[name][place])


def _picks(dtype: DType) -> bool:
    """Whether elements of this type are positions in a table, and no part of what is computed from it."""
    return dtype.is_int and dtype.bits > 8


def _places(source: Shape, shape: Shape) -> Sequence[int] | None:
    """Which axis of a computed weight each axis of its source is: the same, transposed, or broadcast from the right."""
    if source == shape:
        return range(len(shape))
    if len(shape) == 2 and source == shape[::-1]:
        return (1, 0)
    if len(source) == 1 and len(shape) > 2 and shape[0] == source[0]:
        return (0,)  # an element a filter
    lead = len(shape) - len(source)
    if lead >= 0 and all(a in (1, b) for a, b in zip(source, shape[lead:], strict=True)):
        return range(lead, len(shape))
    wide = [i for i, size in enumerate(shape) if size != 1]
    if [size for size in source if size != 1] == [shape[i] for i in wide]:
        rest = iter(wide)
        return [next(rest) if size != 1 else 0 for size in source]
    alike = [i for i in wide if len(source) == 1 and shape[i] == source[0]]
    return alike if len(alike) == 1 else None


def _groups(axes: Axes, made: Sequence[tuple[Op, Axis]]) -> Iterable[Group]:
    """A group an unknown that some operator makes; what is read as configuration never is one."""
    makers: dict[int, dict[str, int]] = {}
    for op, axis in made:
        for unknown, times in axes.expanded(axis):
            if not axes.stays(((unknown, 1),)):
                counts = makers.setdefault(unknown, {})
                counts[op.name] = counts.get(op.name, 0) + times
    for unknown, counts in makers.items():
        yield Group(unknown, axes.size(((unknown, 1),)), max(counts.values()), tuple(counts))
