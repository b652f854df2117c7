"""Shapes again after a change, by the rules that the resolver uses: Graph → Graph."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from simulator.errors import ShapeError, UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import Op, TensorSpec
from simulator.ops.registry import Out, find_rule
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError


def with_shapes(graph: Graph, before: Graph) -> Graph:
    """The graph with the shapes that its operators give, where they or their inputs are others than `before`.

    Raises:
        UsageError: an operator that cannot take what the change gives it.
    """
    known = {op.name: op for op in before.ops}
    tensors = dict(graph.tensors)
    for op in graph.ops:
        same = all(tensors[name] == before.tensors.get(name) for name in op.inputs if name)
        if same and known.get(op.name) is op:
            continue
        for name, out in zip(op.outputs, inferred(graph, tensors, op), strict=False):
            if name:
                old = tensors.get(name)
                tensors[name] = replace(old, shape=out.shape) if old else TensorSpec(name, out.shape, out.dtype)
    return replace(graph, tensors=tensors)


def inferred(graph: Graph, tensors: Mapping[str, TensorSpec], op: Op) -> Sequence[Out]:
    """What the rule of an operator infers of its outputs.

    Raises:
        UsageError: its inputs contradict each other, or its shape depends on what is not known.
    """
    rule = find_rule(op.domain, op.op_type)
    view = OpView(op, [tensors[name] if name else None for name in op.inputs], (), graph.values.get)
    try:
        if rule is not None:
            return rule.shape(view)
        reason = "there is no rule for it"
    except UnknownShapeError:
        reason = "its shape depends on data"
    except (ShapeError, *MALFORMED) as error:
        reason = str(error)
    raise UsageError(f"{op.op_type} '{op.name}' cannot follow the change: {reason}; leave its layers out by @PATTERN")
