"""Inputs and outputs that the user of a network hands over in the types of its file: Graph → Graph with casts at its edges.

A network that is compiled to 16-bit floating point still takes 32-bit numbers and gives them back, where its file does; the
runtime converts them in every run. Integers are handed over as they are, and so are caches, which stay on the device.
"""

from collections.abc import Iterable
from dataclasses import replace

from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec

_NARROW_BITS = 16


def with_interface_casts(graph: Graph, file: Graph) -> Graph:
    """`graph` with a cast of every input and output that is wider in `file` than the 16-bit floating point it has here."""
    inputs = _widened(graph, file, graph.inputs, Role.INPUT)
    outputs = [n for n in _widened(graph, file, graph.outputs, Role.OUTPUT) if _is_computed(graph, n)]
    if not inputs and not outputs:
        return graph
    inside = {name: f"{name}/{graph.tensors[name].dtype.name}" for name in (*inputs, *outputs)}
    tensors = dict(graph.tensors)
    for name, narrow in inside.items():
        tensors[narrow] = replace(tensors[name], name=narrow, role=Role.ACTIVATION)
        tensors[name] = replace(tensors[name], dtype=file.tensors[name].dtype)

    ops = [replace(op, inputs=_renamed(op.inputs, inside), outputs=_renamed(op.outputs, inside)) for op in graph.ops]
    before = [_cast(graph, name, tensors[inside[name]]) for name in inputs]
    after = [_cast(graph, inside[name], tensors[name]) for name in outputs]
    return replace(graph, ops=(*before, *ops, *after), tensors=tensors)


def _widened(graph: Graph, file: Graph, names: Iterable[str], role: Role) -> list[str]:
    """Those of a role that are 16-bit floating point in the graph, and wider in the file."""
    found = []
    for name in dict.fromkeys(names):
        own, given = graph.tensors[name], file.tensors.get(name)
        is_narrow = own.role is role and own.dtype.is_float and own.dtype.bits == _NARROW_BITS
        is_used = role is not Role.INPUT or bool(graph.consumers.get(name)) or name in graph.outputs
        if is_used and is_narrow and given is not None and given.dtype.is_float and given.dtype.bits > _NARROW_BITS:
            found.append(name)
    return found


def _is_computed(graph: Graph, name: str) -> bool:
    """Whether an operator makes it in every run."""
    made_by = graph.producer.get(name)
    return made_by is not None and not graph.ops[made_by].constant


def _renamed(names: tuple[str, ...], inside: dict[str, str]) -> tuple[str, ...]:
    return tuple(inside.get(name, name) for name in names)


def _cast(graph: Graph, source: str, target: TensorSpec) -> Op:
    return Op(
        f"{target.name}/interface_cast", "Cast", "", graph.opset, (source,), (target.name,), {"to": target.dtype.code}, added=True
    )
