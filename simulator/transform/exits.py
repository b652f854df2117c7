"""Early exits: a head on a tensor inside the network, and the part that runs when it is taken. Graph → Graph.

BranchyNet: Teerapittayanon, McDanel & Kung 2016, ICPR, arXiv:1709.01686. What runs of several exits costs is in
simulator/study/early_exit.py.
"""

from dataclasses import replace

from simulator.errors import UsageError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, Shape, TensorSpec
from simulator.ops.registry import find_rule
from simulator.ops.work import Kind
from simulator.transform.infer import with_shapes
from simulator.transform.rewrite import Draft

_IMAGE_OPS = frozenset({"Conv", "ConvTranspose", "MaxPool", "AveragePool"})


def with_exit(graph: Graph, at: str, classes: int) -> Graph:
    """The network with an exit on a tensor: the mean of each channel (of each feature over tokens), then a linear layer.

    The head runs right behind the operator that makes the tensor; its scores, shape (batch, classes), are one more output.

    Args:
        graph: the network.
        at: the tensor, or the operator that makes it.
        classes: what the head tells apart.

    Raises:
        UsageError: no such tensor or operator, no floating-point feature maps or features there, or less than one class.
    """
    tensor = _tensor_at(graph, at)
    spec = graph.tensors[tensor]
    exit_name = exit_output(tensor)
    if classes < 1:
        raise UsageError(f"an exit on '{at}' needs one class or more, not {classes}")
    if exit_name in graph.tensors:
        raise UsageError(f"there is an exit on '{at}' already")
    if spec.shape is None or not 2 <= spec.rank <= 5 or not spec.dtype.is_float:
        raise UsageError(f"an exit on '{at}' needs feature maps, tokens or features in floating point, not {_described(spec)}")
    index = graph.producer[tensor]
    head = _head(graph, graph.ops[index], tensor, classes)
    ops = (*graph.ops[: index + 1], *head.ops, *graph.ops[index + 1 :])
    made = replace(
        graph,
        ops=ops,
        tensors={**graph.tensors, **head.weights, exit_name: TensorSpec(exit_name, None, spec.dtype, Role.OUTPUT)},
        outputs=(*graph.outputs, exit_name),
        output_names=(*graph.output_names, exit_name) if graph.output_names else (),
        stored={**graph.stored, **{name: (name,) for name in head.weights}},
        initializers=graph.initializers | head.weights.keys(),
    )
    return with_shapes(made, graph)


def exit_output(tensor: str) -> str:
    """Name of the scores of an exit on a tensor."""
    return f"{tensor}/exit"


def until_exit(graph: Graph, at: str) -> Graph:
    """What runs of a network with exits when this one is taken: all that it and the exits before it need.

    Raises:
        UsageError: there is no exit there.
    """
    name = at if at in graph.outputs else exit_output(_tensor_at(graph, at))
    if name not in graph.producer or name not in graph.outputs:
        known = ", ".join(n for n in graph.outputs if n.endswith(exit_output(""))) or "none"
        raise UsageError(f"there is no exit on '{at}' (exits: {known})")
    last = graph.producer[name]
    outputs = tuple(n for n in graph.outputs if graph.producer.get(n, last + 1) <= last)
    needed, ops = set(outputs), []
    for op in reversed(graph.ops[: last + 1]):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            ops.append(op)
    names = tuple(n for n, output in zip(graph.output_names, graph.outputs, strict=False) if output in outputs)
    inputs = tuple(n for n in graph.inputs if n in needed)
    return replace(graph, ops=tuple(reversed(ops)), inputs=inputs, outputs=outputs, output_names=names, dormant=())


def _tensor_at(graph: Graph, at: str) -> str:
    """The tensor of that name, or the first that the operator of that name makes."""
    made = {op.name: op.outputs[0] for op in graph.ops if op.outputs and not op.constant}
    if at in made:
        return made[at]
    if at in graph.producer:
        return at
    raise UsageError(f"no operator or tensor '{at}' that the network computes{did_you_mean(at, [*made, *graph.producer])}")


def _described(spec: TensorSpec) -> str:
    return f"{list(spec.shape)} of {spec.dtype}" if spec.shape is not None else "a tensor of unknown shape"


def _head(graph: Graph, op: Op, tensor: str, classes: int) -> Draft:
    """Mean and linear layer; features alone need no mean."""
    spec = graph.tensors[tensor]
    shape: Shape = spec.shape or ()
    draft = Draft(graph, replace(op, name=exit_output(op.name), outputs=(exit_output(tensor),), repeat=1))
    x, features = tensor, shape[-1]
    if len(shape) > 3 or (len(shape) == 3 and _is_image(graph, op)):
        features = shape[1]
        x = draft.add("flatten", "Flatten", (draft.add("pool", "GlobalAveragePool", (x,)),), {"axis": 1})
    elif len(shape) == 3:
        attrs = {"keepdims": 0, "axes": (1,)}
        x = draft.add("pool", "ReduceMean", (x,), attrs)
    weights = draft.weight(f"{exit_output(tensor)}/weight", (classes, features), spec.dtype)
    bias = draft.weight(f"{exit_output(tensor)}/bias", (classes,), spec.dtype)
    draft.add("linear", "Gemm", (x, weights, bias), {"transB": 1}, exit_output(tensor))
    return draft


def _is_image(graph: Graph, op: Op | None) -> bool:
    """Whether a sequence has its channels first: a convolution or a pool made it, but for norms and activations."""
    while op is not None and op.op_type not in _IMAGE_OPS:
        rule = find_rule(op.domain, op.op_type)
        passes = op.op_type == "BatchNormalization" or (rule is not None and rule.kind is Kind.POINTWISE)
        before = next((n for n in op.inputs if n in graph.producer), "") if passes else ""
        op = graph.ops[graph.producer[before]] if before else None
    return op is not None
