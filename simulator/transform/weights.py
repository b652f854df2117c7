"""Which constants of an operator are multiplied with its data, and along which elements of them is summed."""

from dataclasses import dataclass

from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role
from simulator.ops.registry import Input, Rule, find_rule
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError
from simulator.ops.work import MAC_KINDS, Gemm, Kind


@dataclass(frozen=True, slots=True)
class Multiplied:
    """A constant: `row` elements of it are summed over, `channels` of these lie side by side at one place of a window."""

    name: str
    row: int
    channels: int


def is_multiplied(rule: Rule, position: int) -> bool:
    """Whether a constant at this position of an operator is an operand of its convolution or matrix product."""
    part = rule.role(position)
    return (rule.kind in MAC_KINDS and part is Input.WEIGHT) or (
        rule.kind in (Kind.GEMM, Kind.BATCHED_GEMM) and part is Input.DATA
    )


def multiplied(graph: Graph, op: Op) -> tuple[Multiplied, ...]:
    """The constants of at least two dimensions that an operator multiplies with its data; none where it runs once, before."""
    rule = find_rule(op.domain, op.op_type)
    if rule is None or op.constant:
        return ()
    names = [
        n for i, n in enumerate(op.inputs)
        if n and graph.tensors[n].role is Role.WEIGHT and graph.tensors[n].rank >= 2 and is_multiplied(rule, i)
    ]  # fmt: skip
    gemm = _gemm(graph, op, rule) if len(names) == 1 else None  # of several matrices a rule sums up the shapes
    return tuple(_multiplied(graph, name, gemm) for name in names)


def _multiplied(graph: Graph, name: str, gemm: Gemm | None) -> Multiplied:
    spec = graph.tensors[name]
    if gemm is not None and gemm.k and spec.elements % gemm.k == 0:
        return Multiplied(name, gemm.k, gemm.k // max(gemm.taps, 1))
    last = (spec.shape or (1,))[-1]
    return Multiplied(name, last, last)


def _gemm(graph: Graph, op: Op, rule: Rule) -> Gemm | None:
    try:
        return rule.work(OpView(op, graph.inputs_of(op), graph.outputs_of(op), graph.values.get)).gemm
    except (UnknownShapeError, *MALFORMED):
        return None


def sources(graph: Graph, name: str) -> tuple[str, ...]:
    """A constant and the tensors of at least two dimensions of the file that it comes from."""
    return (name, *(n for n in graph.stored.get(name, ()) if n != name and graph.tensors[n].rank >= 2))
