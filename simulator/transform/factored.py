"""Layers replaced by cheaper ones of the same shape: depthwise separable, grouped, of low rank."""

import math
from dataclasses import replace

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import Op, TensorSpec
from simulator.transform.change import change, number_of
from simulator.transform.rewrite import Draft, bias_of, is_convolution, plain_weight, replaced_layers
from simulator.transform.select import parted

_RETRAIN = "the network must be trained again in this form"
_MOST = 2**31


@change("separable", values="*, layer3.*, layer*.conv2", caveat=f"no norm or activation comes between the two; {_RETRAIN}")
def separable(graph: Graph, text: str) -> Graph:
    """Replace k × k convolutions by a depthwise k × k and a 1 × 1 one: 1/N + 1/k² of the MACs (Howard et al. 2017)."""
    if not text.strip():
        raise UsageError("separable=: write separable=PATTERN, as in separable=layer3.*, or separable=* for every layer")
    what = "convolution of one group with a window and float weights of its own"
    return replaced_layers(graph, "separable", text, text.strip(), what, _has_window, _separable)


@change("grouped", values="4, 32@layer*.conv2", caveat=_RETRAIN)
def grouped(graph: Graph, text: str) -> Graph:
    """Give convolutions this many groups where their channels divide: 1/g of the MACs and weights."""
    value, pattern = parted("grouped", text)
    groups = _whole("grouped", value, 2)

    def divides(graph: Graph, op: Op) -> bool:
        shape = (_weight(graph, op).shape if is_convolution(graph, op) else None) or (1, 1)
        return not (shape[0] % groups or shape[1] % groups)

    def rewrite(draft: Draft) -> None:
        op, weight = draft.op, _weight(draft.graph, draft.op)
        filters, depth, *window = weight.shape or ()
        name = draft.weight(f"{weight.name}/grouped{groups}", (filters, depth // groups, *window), weight.dtype)
        inputs, attrs = (op.inputs[0], name, *op.inputs[2:]), {**op.attrs, "group": groups}
        draft.ops.append(replace(op, inputs=inputs, attrs=attrs))

    what = f"convolution of one group and float weights whose channels divide by {groups}"
    return replaced_layers(graph, "grouped", text, pattern, what, divides, rewrite)


@change("low_rank", values="0.25, 64, 0.5@*fc*", caveat=f"a rank is taken for every layer alike; {_RETRAIN}")
def low_rank(graph: Graph, text: str) -> Graph:
    """Replace products with weights by two of this rank (or share of the full one), where that takes fewer MACs."""
    value, pattern = parted("low_rank", text)
    if value.isdecimal():
        rank, share = _whole("low_rank", value), 0.0
    else:
        rank, share = 0, number_of("low_rank", value, low=0.0, high=1.0)

    def of(graph: Graph, op: Op) -> int:
        full = min(_matrix(graph, op))
        return rank or max(1, int(full * share + 0.5))

    def saves(graph: Graph, op: Op) -> bool:
        inner, columns = _matrix(graph, op)
        return inner * columns > of(graph, op) * (inner + columns)

    what = f"layer with float weights of its own that rank {value} would make smaller"
    return replaced_layers(graph, "low_rank", text, pattern, what, saves, lambda draft: _low_rank(draft, of(graph, draft.op)))


def _whole(name: str, text: str, least: int = 1) -> int:
    if not text.isdecimal() or not least <= int(text) < _MOST:
        raise UsageError(f"{name}={text}: must be a whole number from {least}")
    return int(text)


def _weight(graph: Graph, op: Op) -> TensorSpec:
    spec = plain_weight(graph, op)
    if spec is None:
        raise UsageError(f"{op.op_type} '{op.name}' has no weights of its own")
    return spec


def _has_window(graph: Graph, op: Op) -> bool:
    return is_convolution(graph, op) and math.prod((_weight(graph, op).shape or ())[2:]) > 1


def _separable(draft: Draft) -> None:
    op, weight = draft.op, _weight(draft.graph, draft.op)
    filters, depth, *window = weight.shape or ()
    ones = (1,) * len(window)
    each = draft.weight(f"{weight.name}/depthwise", (depth, 1, *window), weight.dtype)
    mixed = draft.weight(f"{weight.name}/pointwise", (filters, depth, *ones), weight.dtype)
    sums = draft.add("depthwise", "Conv", (op.inputs[0], each), {**op.attrs, "group": depth})
    draft.add("pointwise", "Conv", (sums, mixed, *bias_of(op)), {"kernel_shape": ones}, op.outputs[0])


def _matrix(graph: Graph, op: Op) -> tuple[int, int]:
    """Rows and columns of a layer's weights as one matrix; 0, 0 where it is none that can be factored."""
    spec = plain_weight(graph, op) if not op.domain else None
    shape = spec.shape or () if spec else ()
    if op.op_type == "Conv" and spec is not None and op.attrs.get("group", 1) == 1:
        return math.prod(shape[1:]), shape[0]
    if op.op_type == "Gemm" and len(shape) == 2:
        return shape[::-1] if op.attrs.get("transB", 0) else (shape[0], shape[1])
    if op.op_type == "MatMul" and len(shape) == 2:
        return shape[0], shape[1]
    return 0, 0


def _low_rank(draft: Draft, rank: int) -> None:
    """The window, the stride and the transposition of the input stay with the first, the bias with the second."""
    op, weight = draft.op, _weight(draft.graph, draft.op)
    inner, columns = _matrix(draft.graph, op)
    if op.op_type == "Conv":
        filters, *rest = weight.shape or ()
        ones = (1,) * (len(rest) - 1)
        shapes: tuple[tuple[int, ...], tuple[int, ...]] = (rank, *rest), (filters, rank, *ones)
        attrs: tuple[dict[str, object], dict[str, object]] = _without(op), {"kernel_shape": ones}
    else:
        turned = bool(op.attrs.get("transB", 0))
        shapes = ((rank, inner), (columns, rank)) if turned else ((inner, rank), (rank, columns))
        attrs = _without(op, "beta"), _without(op, "transA", "alpha")
    one, two = (
        draft.weight(f"{weight.name}/{part}", shape, weight.dtype) for part, shape in zip(("down", "up"), shapes, strict=True)
    )
    sums = draft.add("down", op.op_type, (op.inputs[0], one), attrs[0])
    draft.add("up", op.op_type, (sums, two, *bias_of(op)), attrs[1], op.outputs[0])


def _without(op: Op, *names: str) -> dict[str, object]:
    """The attributes of an operator but those."""
    return {name: value for name, value in op.attrs.items() if name not in names}
