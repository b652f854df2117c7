"""What one operator is to the partition: its work, its kernel class, its element type."""

from simulator.dtypes import DType
from simulator.errors import ShapeError
from simulator.graph.graph import Graph
from simulator.graph.types import Op
from simulator.ops.registry import find_rule
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError
from simulator.ops.work import NOTHING, Kind, Work

_RATES = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int16": "int16", "uint16": "int16",
    "int8": "int8", "uint8": "int8", "int4": "int4", "uint4": "int4", "bool": "int8",
}  # fmt: skip


def rate_of(dtype: DType) -> str:
    """Name of the rate at which an engine works on elements of this type: `fp32`, `int8`, …"""
    if dtype.name.startswith("float8"):
        return "fp8"
    return _RATES.get(dtype.name, "int4" if dtype.bits and dtype.bits < 8 else "fp32")


def work_of(graph: Graph, op: Op) -> Work:
    """Work of one operator; nothing where its rule or a shape is missing (both are counted in `graph.coverage`)."""
    rule = find_rule(op.domain, op.op_type)
    if rule is None:
        return NOTHING
    try:
        work = rule.work(OpView(op, graph.inputs_of(op), graph.outputs_of(op), graph.values.get))
    except UnknownShapeError:
        return NOTHING
    except MALFORMED as error:
        raise ShapeError(f"{op.op_type} '{op.name}': its inputs or attributes do not fit it ({error})") from error
    if min(work.macs, work.vector_ops, work.special_ops) < 0:
        raise ShapeError(f"{op.op_type} '{op.name}': its attributes give a negative amount of work")
    return work


def kind_of(op: Op, work: Work) -> Kind:
    """Kernel class of one operator."""
    rule = find_rule(op.domain, op.op_type)
    return work.kind or (rule.kind if rule else Kind.OTHER)


def view_source(graph: Graph, name: str) -> str:
    """The tensor whose bytes a tensor is a view of: itself, where no view made it."""
    index = graph.producer.get(name)
    while index is not None:
        op = graph.ops[index]
        if not op.inputs or kind_of(op, work_of(graph, op)) is not Kind.VIEW:
            break
        name = op.inputs[0]
        index = graph.producer.get(name)
    return name
