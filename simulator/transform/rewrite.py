"""Operators put in the place of others: names, weights and shapes of what is new. Graph → Graph."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from simulator.dtypes import DType
from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import NO_ATTRS, Op, Role, Shape, TensorSpec
from simulator.transform.infer import with_shapes
from simulator.transform.select import matches, nothing_fits


@dataclass
class Draft:
    """What takes the place of one operator: operators so far, and the weights that they read."""

    graph: Graph
    op: Op
    ops: list[Op] = field(default_factory=list)
    weights: dict[str, TensorSpec] = field(default_factory=dict)

    def weight(self, name: str, shape: Shape, dtype: DType) -> str:
        """A weight of a name that the graph does not have; layers that share a weight share what comes of it."""
        self.weights[name] = TensorSpec(name, shape, dtype, Role.WEIGHT)
        return name

    def add(
        self, part: str, op_type: str, inputs: tuple[str, ...], attrs: Mapping[str, object] = NO_ATTRS, output: str = ""
    ) -> str:
        """Append an operator called after the one it stands for; the name of what it makes."""
        made = output or f"{self.op.outputs[0]}/{part}"
        name, origin, repeat = f"{self.op.name}/{part}", self.op.origin, self.op.repeat
        self.ops.append(Op(name, op_type, "", self.graph.opset, inputs, (made,), attrs, origin, repeat))
        return made


Replace = Callable[[Draft], None]


def replaced(graph: Graph, drafts: Mapping[str, Draft]) -> Graph:
    """The graph with the operators of these names replaced; shapes that change are inferred again.

    Raises:
        UsageError: an operator that cannot take what comes instead.
    """
    ops = tuple(new for op in graph.ops for new in (drafts[op.name].ops if op.name in drafts else [op]))
    weights = {name: spec for draft in drafts.values() for name, spec in draft.weights.items()}
    made = replace(
        graph,
        ops=ops,
        tensors={**graph.tensors, **weights},
        stored={**graph.stored, **{name: (name,) for name in weights}},
        initializers=graph.initializers | weights.keys(),
    )
    return with_shapes(made, graph)


def replaced_layers(
    graph: Graph, change: str, text: str, pattern: str, what: str, fits: Callable[[Graph, Op], bool], rewrite: Replace
) -> Graph:
    """The graph with every layer that `fits`, and whose name fits the pattern, rewritten.

    Raises:
        UsageError: there is no such layer; `what` says which ones could be replaced.
    """
    possible = [op for op in graph.ops if not op.constant and fits(graph, op)]
    chosen = {op.name: Draft(graph, op) for op in possible if matches(op, pattern)}
    if not chosen:
        raise nothing_fits(change, text, pattern, what, (op.name for op in possible))
    for draft in chosen.values():
        rewrite(draft)
    return replaced(graph, chosen)


def plain_weight(graph: Graph, op: Op, position: int = 1) -> TensorSpec | None:
    """The weight that an operator reads there, None where an operator makes it (a dequantization) or it is no weight."""
    name = op.inputs[position] if position < len(op.inputs) else ""
    spec = graph.tensors[name] if name else None
    if spec is None or spec.role is not Role.WEIGHT or spec.shape is None or name in graph.producer:
        return None
    return spec if spec.dtype.is_float else None


def is_convolution(graph: Graph, op: Op, *, groups: int | None = 1) -> bool:
    """Whether an operator is a plain convolution with weights of the file, of so many groups (any, where None)."""
    if op.op_type != "Conv" or op.domain or plain_weight(graph, op) is None:
        return False
    return groups is None or op.attrs.get("group", 1) == groups


def bias_of(op: Op) -> tuple[str, ...]:
    """The bias that an operator reads as its third input, if any."""
    return op.inputs[2:3] if len(op.inputs) > 2 and op.inputs[2] else ()


def shape_of(graph: Graph, name: str) -> Shape:
    """Shape of a tensor; UsageError where it is not known."""
    shape = graph.tensors[name].shape
    if shape is None:
        raise UsageError(f"the shape of '{name}' is not known, so its layer cannot be replaced; leave it out by @PATTERN")
    return shape


def readers(graph: Graph, name: str) -> Iterator[Op]:
    """The operators that read a tensor."""
    return (graph.ops[i] for i in graph.consumers.get(name, ()))
