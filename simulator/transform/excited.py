"""Squeeze and excitation added to a network that has none: Hu et al. 2018, arXiv:1709.01507."""

from collections.abc import Iterator
from dataclasses import replace

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role
from simulator.ops.registry import find_rule
from simulator.ops.work import Kind
from simulator.transform.change import change
from simulator.transform.rewrite import Draft, is_convolution, readers, replaced, shape_of
from simulator.transform.select import matches, nothing_fits, parted

_WHAT = "depthwise convolution, or else end of a residual branch, without squeeze and excitation"
_POOLS = frozenset({"GlobalAveragePool", "ReduceMean"})


@change(
    "squeeze_excite",
    values="4, 16, 4@features.*",
    caveat="ReLU and sigmoid inside, biases on both layers; the network must be trained again",
)
def squeeze_excite(graph: Graph, text: str) -> Graph:
    """Weigh channels by two layers on their means, C → C/r → C, behind depthwise convolutions or residual branches."""
    value, pattern = parted("squeeze_excite", text)
    if not value.isdecimal() or not 0 < int(value) < 2**31:
        raise UsageError(f"squeeze_excite={text}: the reduction must be a whole number from 1, as in squeeze_excite=4")
    places = [(op, end) for op, end in _places(graph) if not _excited(graph, end.outputs[0])]
    chosen = {end.name: end for op, end in places if matches(op, pattern)}
    if not chosen:
        raise nothing_fits("squeeze_excite", text, pattern, _WHAT, (op.name for op, _ in places))
    drafts = {name: Draft(graph, end) for name, end in chosen.items()}
    for draft in drafts.values():
        _excite(draft, int(value))
    return replaced(graph, drafts)


def _excite(draft: Draft, reduction: int) -> None:
    """The operator under another name of its result, and behind it what gives the result its own name again."""
    op, graph = draft.op, draft.graph
    spec, shape = graph.tensors[op.outputs[0]], shape_of(graph, op.outputs[0])
    channels, ones = shape[1], (1,) * (len(shape) - 2)
    squeezed = max(1, channels // reduction)
    plain = f"{op.outputs[0]}/plain"
    draft.ops.append(replace(op, outputs=(plain, *op.outputs[1:])))
    x = draft.add("squeeze", "GlobalAveragePool", (plain,))
    for part, before, after, act in (("fc1", channels, squeezed, "Relu"), ("fc2", squeezed, channels, "Sigmoid")):
        weights = draft.weight(f"{op.name}/{part}.weight", (after, before, *ones), spec.dtype)
        bias = draft.weight(f"{op.name}/{part}.bias", (after,), spec.dtype)
        x = draft.add(part, "Conv", (x, weights, bias), {"kernel_shape": ones})
        x = draft.add(f"{part}.{act.lower()}", act, (x,))
    draft.add("scale", "Mul", (plain, x), output=op.outputs[0])


def _places(graph: Graph) -> Iterator[tuple[Op, Op]]:
    """Convolutions that are followed by squeeze and excitation, each with the operator behind whose result it comes."""
    depthwise = [op for op in graph.ops if _is_depthwise(graph, op)]
    if depthwise:
        ends = ((op, _activated(graph, op)) for op in depthwise)
    else:
        ends = (found for op in graph.ops if op.op_type == "Add" and not op.domain for found in _branch_end(graph, op))
    for op, end in ends:
        if (
            op.repeat == 1
            and len(end.outputs) == 1
            and end.outputs[0] not in graph.outputs
            and graph.tensors[end.outputs[0]].shape
        ):
            yield op, end


def _is_depthwise(graph: Graph, op: Op) -> bool:
    shape = graph.tensors[op.inputs[0]].shape if is_convolution(graph, op, groups=None) else None
    return shape is not None and len(shape) > 2 and 1 < shape[1] == op.attrs.get("group", 1)


def _activated(graph: Graph, op: Op) -> Op:
    """The last of the norm and the activation that follow an operator, and nothing but each other: itself where none does."""
    while True:
        after = list(readers(graph, op.outputs[0]))
        if op.outputs[0] in graph.outputs:
            return op
        if len(after) == 1 and (after[0].op_type == "BatchNormalization" or _is_unary(graph, after[0])):
            op = after[0]
        elif len(after) == 2 and (gated := _gated(graph, *after)) is not None:
            op = gated
        else:
            return op


def _gated(graph: Graph, one: Op, other: Op) -> Op | None:
    """The product in x · sigmoid(x) and its like, as exporters write them: its other side is a function of x alone."""
    for gate, product in ((one, other), (other, one)):
        last = _activated(graph, gate) if _is_unary(graph, gate) else gate
        if product.op_type == "Mul" and last.outputs[0] in product.inputs and gate is not product:
            return product
    return None


def _is_unary(graph: Graph, op: Op) -> bool:
    """Whether an operator computes element by element from one activation."""
    rule = find_rule(op.domain, op.op_type)
    given = {name for name in op.inputs if name and graph.tensors[name].role is not Role.WEIGHT}
    return rule is not None and rule.kind is Kind.POINTWISE and len(given) == 1 and len(op.outputs) == 1


def _branch_end(graph: Graph, add: Op) -> Iterator[tuple[Op, Op]]:
    """The last convolution of a residual branch and what ends the branch.

    Both sides come from one tensor; of the two, the branch is the one of more convolutions.
    """
    shape = graph.tensors[add.outputs[0]].shape
    sides = [_back(graph, name) for name in add.inputs]
    if len({fork for _, fork in sides}) != 1 or shape is None or len(shape) < 3:
        return
    ranked = sorted(zip((found for found, _ in sides), add.inputs, strict=True), key=lambda side: len(side[0]))
    (others, _), (convolutions, name) = ranked[-2:]
    if len(convolutions) > len(others):
        yield convolutions[0], graph.ops[graph.producer[name]]


def _back(graph: Graph, name: str) -> tuple[list[Op], str]:
    """The convolutions before a tensor, the last first, and the tensor where something else reads along or branches join."""
    found: list[Op] = []
    while name in graph.producer and len(list(readers(graph, name))) == 1:
        op = graph.ops[graph.producer[name]]
        if is_convolution(graph, op, groups=None):
            found.append(op)
        elif op.op_type != "BatchNormalization" and not _is_unary(graph, op):
            break
        name = next(n for n in op.inputs if n and graph.tensors[n].role is not Role.WEIGHT)
    return found, name


def _excited(graph: Graph, name: str) -> bool:
    """Whether the channels of a tensor are weighed by their means already."""
    after = {op.op_type for op in readers(graph, name)}
    return bool(after & _POOLS) and "Mul" in after
