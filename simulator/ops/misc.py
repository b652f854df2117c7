"""Operators of no family."""

import math

from simulator.dtypes import INT64
from simulator.errors import ShapeError
from simulator.ops.generate import named_dtype
from simulator.ops.registry import Example, Out, rule, t
from simulator.ops.shape import nothing
from simulator.ops.view import OpView
from simulator.ops.work import Kind, Work


def _unique_shape(op: OpView) -> list[Out]:
    """At most all elements, or all slices along the axis, differ."""
    shape = op.shape(0) if "axis" in op.op.attrs else (op.elements(0),)
    count = shape[op.axis()] if "axis" in op.op.attrs else op.elements(0)
    indices = Out((count,), INT64, bound=True)
    return [Out(shape, op.dtype(0), bound=True), indices, Out((count,), INT64), indices]


@rule("Unique", kind=Kind.OTHER, shape=_unique_shape,
      example=Example((t(2, 8),), ((16,), (16,), (16,), (16,)), Work(vector_ops=16 * 4)))  # fmt: skip
def unique(op: OpView) -> Work:
    """Sorting: n·⌈log2 n⌉ comparisons, each of a whole slice along the axis (ONNX Unique-11)."""
    count = op.shape(0)[op.axis()] if "axis" in op.op.attrs else op.elements(0)
    return Work(vector_ops=op.elements(0) * math.ceil(math.log2(max(count, 1))))


def _bit_cast_shape(op: OpView) -> list[Out]:
    source, target = op.dtype(0), named_dtype(op, "to", 0)
    if source.bits != target.bits:
        raise ShapeError(f"{source} of {source.bits} bits read as {target} of {target.bits} bits")
    return [Out(op.shape(0), target)]


rule("BitCast", kind=Kind.VIEW, shape=_bit_cast_shape,
     example=Example((t(2, 3),), ((2, 3),), attrs={"to": 6}))(nothing)  # fmt: skip
