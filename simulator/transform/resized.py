"""A graph whose groups of channels have other sizes: weights, attributes and folded constants follow."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from simulator.dtypes import INT64
from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, Shape, TensorSpec
from simulator.transform.groups import ChannelGroups
from simulator.transform.infer import with_shapes

Shapes = Mapping[str, Shape]
Constants = dict[str, np.ndarray]
Adapt = Callable[[Op, Shapes, Shapes], "tuple[Op, Constants]"]


def resized(graph: Graph, found: ChannelGroups, sizes: Mapping[int, int]) -> Graph:
    """The graph with other sizes of groups, by `Group.unknown`; the values of weights that change are forgotten.

    Shapes are inferred twice, from the groups and by the rules of the operators, and must agree.

    Raises:
        UsageError: an operator cannot follow; it is named.
    """
    before = {name: spec.shape for name in found.tensors if (spec := graph.tensors[name]).shape is not None}
    after = {name: found.shape_of(name, sizes) for name in before}
    changed = {name for name, shape in before.items() if after[name] != shape}
    if not changed:
        return graph
    ops, constants = _adapted(graph, {n: s for n, s in before.items() if s is not None}, after, changed)
    tensors = dict(graph.tensors)
    for name in changed:
        if tensors[name].role is Role.WEIGHT:
            tensors[name] = replace(tensors[name], shape=after[name])
    tensors.update({n: TensorSpec(n, value.shape, INT64, Role.WEIGHT) for n, value in constants.items()})
    values = {n: value for n, value in graph.values.items() if n not in changed} | constants
    stored = {n: raw for n, raw in graph.bytes_stored.items() if n not in changed}
    result = with_shapes(replace(graph, ops=ops, tensors=tensors, values=values, bytes_stored=stored), graph)
    _check(result, after)
    return result


def _adapted(graph: Graph, before: Shapes, after: Shapes, changed: set[str]) -> tuple[tuple[Op, ...], Constants]:
    """The operators with the sizes that they state; those that only touch what stays are left as they are."""
    ops, constants = [], Constants()
    for op in graph.ops:
        adapt = _ADAPTED.get(op.op_type) if changed.intersection((*op.inputs, *op.outputs)) else None
        if adapt is not None:
            op, added = adapt(op, before, after)
            constants.update(added)
        ops.append(op)
    return tuple(ops), constants


def _check(graph: Graph, after: Shapes) -> None:
    for op in graph.ops:
        for name in op.outputs:
            if name in after and graph.tensors[name].shape != after[name]:
                raise UsageError(
                    f"{op.op_type} '{op.name}' cannot follow the change: it gives {list(graph.tensors[name].shape or ())}, "
                    f"where its neighbours need {list(after[name])}; leave its layers out by @PATTERN"
                )


def _stated(op: Op, position: int, attribute: str, numbers: Shape) -> tuple[Op, Constants]:
    """The operator with these numbers as its input, or as its attribute where older operator sets have one."""
    if len(op.inputs) <= position or not op.inputs[position]:
        return replace(op, attrs={**op.attrs, attribute: numbers}), {}
    name = f"{op.name}/{attribute}"
    inputs = (*op.inputs[:position], name, *op.inputs[position + 1 :])
    return replace(op, inputs=inputs), {name: np.array(numbers, np.int64)}


def _convolution(op: Op, before: Shapes, after: Shapes) -> tuple[Op, Constants]:
    """A depthwise convolution has as many groups as channels."""
    groups, data = op.attrs.get("group", 1), op.inputs[0]
    if groups == 1 or groups != before[data][1]:
        return op, {}
    return replace(op, attrs={**op.attrs, "group": after[data][1]}), {}


def _split(op: Op, _: Shapes, after: Shapes) -> tuple[Op, Constants]:
    axis = op.attrs.get("axis", 0)
    attrs = {name: value for name, value in op.attrs.items() if name != "num_outputs"}
    sizes = tuple(after[name][axis] for name in op.outputs) if isinstance(axis, int) else ()
    return _stated(replace(op, attrs=attrs), 1, "split", sizes)


def _resize(op: Op, _: Shapes, after: Shapes) -> tuple[Op, Constants]:
    """Sizes are stated whole; factors hold as they are."""
    whole = len(op.inputs) > 3 and op.inputs[3] and "axes" not in op.attrs
    return _stated(op, 3, "sizes", after[op.outputs[0]]) if whole else (op, {})


_ADAPTED: Final[Mapping[str, Adapt]] = {
    **dict.fromkeys(("Conv", "QLinearConv", "ConvInteger", "ConvTranspose", "FusedConv"), _convolution),
    "Reshape": lambda op, _, after: _stated(op, 1, "shape", after[op.outputs[0]]),
    "Expand": lambda op, _, after: _stated(op, 1, "shape", after[op.outputs[0]]),
    "Split": _split,
    "Resize": _resize,
}
