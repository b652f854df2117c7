"""Control flow, counted and flattened.

If: the branch that a known condition takes; otherwise the one with more MACs (the upper bound), with a note.
Loop: its body once, repeated by its trip count; an unknown trip count counts once, and says so.
Scan: its body once, repeated by the length of the scanned axis.
"""

from collections.abc import Callable, Sequence
from typing import Final

from simulator.dtypes import BOOL, INT64, SEQUENCE, UNDEFINED
from simulator.errors import ModelError, ShapeError
from simulator.graph.raw import RawGraph, RawNode
from simulator.graph.types import Op, Role, Shape, TensorSpec
from simulator.ops.registry import find_rule
from simulator.ops.view import OpView, UnknownShapeError
from simulator.resolve.scope import Scope, Walker

_UNBOUNDED = 2**31  # exporters write the largest integer for "as long as the condition holds"


def _body(node: RawNode, name: str, label: str) -> RawGraph:
    graph = node.attrs.get(name)
    if not isinstance(graph, RawGraph):
        raise ModelError(f"{node.op_type} '{label}' has no {name}")
    return graph


def _enter(resolver: Walker, graph: RawGraph, scope: Scope, label: str) -> Scope:
    inner = Scope(f"{label}/", scope)
    resolver.declare_weights(graph, inner)
    return inner


def branch(resolver: Walker, node: RawNode, scope: Scope, repeat: int, depth: int, label: str) -> None:
    """If: see the module's docstring."""
    condition = resolver.value(scope.find(node.inputs[0])) if node.inputs else None
    known = None
    if condition is not None and condition.size:
        known = "then_branch" if condition.ravel()[0] else "else_branch"
    branches: list[tuple[tuple[int, int], list[Op], list[str], str]] = []
    for name in ("then_branch", "else_branch"):
        try:
            branches.append(_resolved_branch(resolver, node, name, scope, repeat, depth, label))
        except ShapeError as error:
            if name == known:
                raise
            if known is None:
                resolver.notes.append(f"If '{label}': {name} cannot run on these inputs: {error}")
    if not branches:
        for name in node.outputs:
            _define(resolver, scope, name, TensorSpec(name, None, UNDEFINED), None)
        return
    _, ops, outputs, taken = max(branches, key=lambda b: (b[3] == known, b[0]))
    resolver.ops += ops
    resolver.dormant += [op for branch in branches if branch[3] != taken for op in branch[1]]
    if known is None and len(branches) > 1 and ops:
        resolver.notes.append(f"If '{label}': the condition depends on data; counted {taken}, the larger branch")
    for name, inner_name in zip(node.outputs, outputs, strict=False):
        scope.names[name] = inner_name


def _resolved_branch(
    resolver: Walker, node: RawNode, name: str, scope: Scope, repeat: int, depth: int, label: str
) -> tuple[tuple[int, int], list[Op], list[str], str]:
    """(MACs, operators), operators, outputs and name of one branch, resolved apart from the graph around it."""
    graph = _body(node, name, label)
    outside, resolver.ops = resolver.ops, []
    try:
        inner = _enter(resolver, graph, scope, f"{label}/{name}")
        resolver.walk(graph.nodes, inner, repeat, depth + 1, f"{name} of '{label}'")
        ops = resolver.ops
    finally:
        resolver.ops = outside
    return _size(resolver, ops), ops, [inner.find(v.name) for v in graph.outputs], name


def _size(resolver: Walker, ops: list[Op]) -> tuple[int, int]:
    """MACs and number of operators of a branch."""
    macs = 0
    for op in ops:
        rule = find_rule(op.domain, op.op_type)
        if rule is not None:
            view = OpView(
                op,
                [resolver.tensors[n] if n else None for n in op.inputs],
                [resolver.tensors[n] for n in op.outputs],
                resolver.value,
            )
            try:
                macs += rule.work(view).macs * op.repeat
            except UnknownShapeError:
                continue  # counted as a tensor without a shape
    return macs, len(ops)


def loop(resolver: Walker, node: RawNode, scope: Scope, repeat: int, depth: int, label: str) -> None:
    """Loop: see the module's docstring."""
    graph = _body(node, "body", label)
    trips = _trip_count(resolver, node, scope, label)
    inner = _enter(resolver, graph, scope, label)
    carried = [scope.find(n) if n else "" for n in node.inputs[2:]]
    for value, (dtype, shape) in zip(graph.inputs[:2], ((INT64, ()), (BOOL, ())), strict=False):
        name = inner.define(value.name)
        resolver.tensors[name] = TensorSpec(name, shape, dtype)
    _bind(resolver, inner, graph, carried, start=2)
    resolver.walk(graph.nodes, inner, repeat * trips, depth + 1, f"body of '{label}'")
    results = [inner.find(v.name) for v in graph.outputs[1:]]
    for index, name in enumerate(node.outputs):
        if not name:
            continue
        spec = resolver.tensors[results[index]]
        if index < len(carried):
            before = resolver.tensors[carried[index]].shape if carried[index] else spec.shape
            grown = spec.shape if results[index] in resolver.bounded else _grown(before, spec.shape, trips)
            _result(resolver, scope, name, results[index], grown, repeat)
        else:
            stacked = None if spec.shape is None else (trips, *spec.shape)
            _result(resolver, scope, name, results[index], stacked, repeat)


def _trip_count(resolver: Walker, node: RawNode, scope: Scope, label: str) -> int:
    name = node.inputs[0] if node.inputs else ""
    value = resolver.value(scope.find(name)) if name else None
    if value is not None and value.size and 0 <= int(value.ravel()[0]) < _UNBOUNDED:
        return int(value.ravel()[0])
    resolver.notes.append(f"Loop '{label}': the trip count depends on data; its body is counted once")
    resolver.bounds.update(scope.prefix + n for n in node.outputs if n)
    return 1


def _grown(before: Shape | None, after: Shape | None, trips: int) -> Shape | None:
    """Shape of a carried tensor after all trips: what grows in the first grows as much in every one."""
    if before is None or after is None or len(before) != len(after):
        return after
    return tuple(a + (b - a) * trips for a, b in zip(before, after, strict=True))


def _bind(resolver: Walker, inner: Scope, graph: RawGraph, outer: Sequence[str], *, start: int) -> None:
    """Give the body's inputs from `start` on the shapes of tensors outside (their values change from trip to trip)."""
    for value, name in zip(graph.inputs[start:], outer, strict=False):
        spec = resolver.tensors[name] if name else TensorSpec("", None, SEQUENCE)
        unique = inner.define(value.name)
        resolver.tensors[unique] = TensorSpec(unique, spec.shape, spec.dtype)


def _define(resolver: Walker, scope: Scope, name: str, like: TensorSpec, shape: Shape | None) -> None:
    unique = scope.define(name)
    resolver.tensors[unique] = TensorSpec(unique, shape, like.dtype, Role.ACTIVATION)


def _result(resolver: Walker, scope: Scope, name: str, made: str, shape: Shape | None, repeat: int) -> None:
    """An output of a loop, made from what its body makes: the last one as it is, or all of them stacked."""
    like = resolver.tensors[made]
    _define(resolver, scope, name, like, shape)
    label = f"{scope.find(name)}/result"
    stacked = shape != like.shape
    op_type, domain = ("LoopResult", "simulator") if stacked else ("Identity", "")
    resolver.ops.append(Op(label, op_type, domain, resolver.standard_opset, (made,), (scope.find(name),), repeat=repeat))


def scan(resolver: Walker, node: RawNode, scope: Scope, repeat: int, depth: int, label: str) -> None:
    """Scan: see the module's docstring. Operator set 8 has a batch in front and the sequence lengths as first input."""
    graph = _body(node, "body", label)
    old = resolver.standard_opset < 9
    inputs = [scope.find(n) if n else "" for n in (node.inputs[1:] if old else node.inputs)]
    count = node.attrs.get("num_scan_inputs")
    scanned = count if isinstance(count, int) else 1
    states = len(inputs) - scanned
    axes = _axes(node, "scan_input_axes", scanned, 1 if old else 0)
    trips, batch = 1, 1
    inner = _enter(resolver, graph, scope, label)
    for index, (value, name) in enumerate(zip(graph.inputs, inputs, strict=False)):
        spec = resolver.tensors[name]
        shape = spec.shape
        if shape is not None and old:
            batch, shape = shape[0], shape[1:]
        if index >= states and shape is not None:
            axis = axes[index - states] - old
            axis = axis + len(shape) if axis < 0 else axis
            trips, shape = shape[axis], shape[:axis] + shape[axis + 1 :]
        unique = inner.define(value.name)
        resolver.tensors[unique] = TensorSpec(unique, shape, spec.dtype)
    resolver.walk(graph.nodes, inner, repeat * trips * batch, depth + 1, f"body of '{label}'")
    out_axes = _axes(node, "scan_output_axes", len(node.outputs) - states, 0)
    for index, (name, value) in enumerate(zip(node.outputs, graph.outputs, strict=False)):
        if not name:
            continue
        made = inner.find(value.name)
        shape = resolver.tensors[made].shape
        if shape is not None and index >= states:
            axis = out_axes[index - states] % (len(shape) + 1)
            shape = (*shape[:axis], trips, *shape[axis:])
        _result(resolver, scope, name, made, (batch, *shape) if old and shape is not None else shape, repeat)


def _axes(node: RawNode, name: str, count: int, default: int) -> tuple[int, ...]:
    given = node.attrs.get(name)
    return given if isinstance(given, tuple) and len(given) == count else (default,) * count


ControlFlow = Callable[[Walker, RawNode, Scope, int, int, str], None]
CONTROL_FLOW: Final[dict[str, ControlFlow]] = {"If": branch, "Loop": loop, "Scan": scan}
