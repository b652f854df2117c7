"""Quantization and dequantization, and the operators of onnxruntime that work on quantized tensors.

To quantize, dequantize or requantize an element is one vector operation, like a cast: scale, zero point and saturation
are one fused conversion, as in the quantized convolutions and matrix products. Operators between quantized tensors
dequantize each operand, compute, and quantize the result; finding a range takes a minimum and a maximum an element.
"""

import math

from simulator.dtypes import BY_CODE, BY_NAME, FLOAT32, INT32, UINT8, DType
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.elementwise import UNARY, per_element, same_shape
from simulator.ops.norm import softmax
from simulator.ops.reduction import reduce_shape
from simulator.ops.registry import MS, Arg, Example, Input, Out, rule, t
from simulator.ops.view import OpView, broadcast, normal_axis
from simulator.ops.work import Kind, Work


def _check_granularity(op: OpView) -> None:
    """One scale for all, one for each place along `axis`, or one for each block of `block_size` places."""
    shape, scale = op.shape(0), op.tensor(1).shape
    if scale is None or math.prod(scale) == 1:
        return
    axis = normal_axis(op.attr("axis", 1), len(shape))
    block = op.attr("block_size", 0)
    if block:
        wanted: Shape = (*shape[:axis], -(-shape[axis] // block), *shape[axis + 1 :])
    else:
        wanted = shape[axis : axis + 1]
    if scale != wanted:
        raise ShapeError(f"scales of shape {list(scale)} for {list(shape)} along axis {axis} need {list(wanted)}")


def _named_dtype(op: OpView, default: DType) -> DType:
    """Element type of the attribute `output_dtype`, or the default."""
    code = op.attr("output_dtype", 0)
    if code not in BY_CODE:
        raise ShapeError(f"attribute 'output_dtype' names no element type: {code}")
    return BY_CODE[code] if code else default


def _quantize_shape(op: OpView) -> list[Out]:
    """The zero point gives the type, else `output_dtype`, else it is uint8."""
    _check_granularity(op)
    return [Out(op.shape(0), op.dtype(2) if op.has(2) else _named_dtype(op, UINT8))]


def _dequantize_shape(op: OpView) -> list[Out]:
    """`output_dtype` gives the type, else the scale."""
    _check_granularity(op)
    return [Out(op.shape(0), _named_dtype(op, op.dtype(1)))]


_SCALES = {1: Input.SCALE, 2: Input.SCALE}
_QUANTIZE = Example((t(2, 3), t(3), t(3, dtype="int8")), ((2, 3),), Work(vector_ops=6))
_DEQUANTIZE = Example((t(2, 3, dtype="int8"), t(3), t(3, dtype="int8")), ((2, 3),), Work(vector_ops=6))

# ONNX QuantizeLinear-25 and DequantizeLinear-25; onnxruntime has its own for 16- and 4-bit types
for _domain in ("", MS):
    rule("QuantizeLinear", domain=_domain, kind=Kind.CAST, shape=_quantize_shape, roles=_SCALES,
         example=_QUANTIZE)(per_element(1))  # fmt: skip
    rule("DequantizeLinear", domain=_domain, kind=Kind.CAST, shape=_dequantize_shape, roles=_SCALES,
         example=_DEQUANTIZE)(per_element(1))  # fmt: skip


@rule("DynamicQuantizeLinear", kind=Kind.CAST,
      shape=lambda op: [Out(op.shape(0), UINT8), Out((), FLOAT32), Out((), UINT8)],
      example=Example((t(2, 3),), ((2, 3), (), ()), Work(vector_ops=18)))  # fmt: skip
def dynamic_quantize(op: OpView) -> Work:
    """Minimum, maximum, quantize (ONNX DynamicQuantizeLinear-11)."""
    return Work(vector_ops=3 * op.elements(0))


def _q(*dims: int) -> tuple[Arg, Arg, Arg]:
    """An example's quantized tensor with its scale and zero point."""
    return t(*dims, dtype="uint8"), t(), t(dtype="uint8")


_BINARY_ROLES = dict.fromkeys((1, 2, 4, 5, 6, 7), Input.SCALE)

rule("QLinearAdd", "QLinearMul", domain=MS, kind=Kind.POINTWISE, roles=_BINARY_ROLES,
     shape=lambda op: [Out(broadcast(op.shape(0), op.shape(3)), op.dtype(0))],
     example=Example((*_q(2, 3), *_q(3), t(), t(dtype="uint8")), ((2, 3),),
                     Work(vector_ops=24)))(per_element(4))  # fmt: skip

_UNARY_ROLES = dict.fromkeys(range(1, 5), Input.SCALE)


def _register_unary() -> None:
    for name in ("Sigmoid", "LeakyRelu"):
        vector, special, _ = UNARY[name]
        work = Work(vector_ops=6 * (vector + 2), special_ops=6 * special)
        rule(f"QLinear{name}", domain=MS, kind=Kind.POINTWISE, shape=same_shape, roles=_UNARY_ROLES,
             example=Example((*_q(2, 3), t(), t(dtype="uint8")), ((2, 3),), work))(
            per_element(vector + 2, special))  # fmt: skip


_register_unary()


@rule("QLinearSoftmax", domain=MS, kind=Kind.SOFTMAX, shape=same_shape, roles=_UNARY_ROLES,
      example=Example((*_q(2, 3), t(), t(dtype="uint8")), ((2, 3),), Work(vector_ops=36, special_ops=6)))  # fmt: skip
def qlinear_softmax(op: OpView) -> Work:
    """Dequantize, softmax, quantize."""
    plain = softmax(op)
    return Work(vector_ops=plain.vector_ops + 2 * op.elements(0), special_ops=plain.special_ops)


def _concat_shape(op: OpView) -> list[Out]:
    """Inputs 2, 5, 8, … are joined; each is followed by its scale and zero point."""
    shapes = [op.shape(i) for i in range(2, len(op.inputs), 3)]
    if not shapes:
        raise ShapeError("nothing to concatenate")
    axis = op.axis(default=0, rank=len(shapes[0]))
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        raise ShapeError(f"shapes {' and '.join(str(list(s)) for s in shapes)} do not concatenate along axis {axis}")
    total = sum(s[axis] for s in shapes)
    return [Out((*shapes[0][:axis], total, *shapes[0][axis + 1 :]), op.dtype(1))]


# scales and zero points take the positions between the data; no file joins more than some hundred tensors
_CONCAT_ROLES = {i: Input.SCALE for i in range(3000) if i % 3 != 2}

rule("QLinearConcat", domain=MS, kind=Kind.COPY, shape=_concat_shape, roles=_CONCAT_ROLES,
     example=Example((t(), t(dtype="uint8"), *_q(2, 3), *_q(2, 1)), ((2, 4),), Work(vector_ops=8),
                     {"axis": 1}))(per_element(1))  # fmt: skip

rule("QLinearWhere", domain=MS, kind=Kind.POINTWISE,
     shape=lambda op: [Out(broadcast(op.shape(0), op.shape(1), op.shape(4)), op.dtype(1))],
     roles=dict.fromkeys((2, 3, 5, 6, 7, 8), Input.SCALE),
     example=Example((t(2, 3, dtype="bool"), *_q(2, 3), *_q(3), t(), t(dtype="uint8")), ((2, 3),),
                     Work(vector_ops=12)))(per_element(2))  # fmt: skip


def _attr_reduce_shape(op: OpView, dtype: DType) -> list[Out]:
    """These reductions name their axes by attribute alone: input 1 is a scale, or absent."""
    data_only = OpView(op.op, op.inputs[:1])
    return [Out(reduce_shape(data_only)[0].shape, dtype)]


@rule("QLinearReduceMean", domain=MS, kind=Kind.REDUCTION, shape=lambda op: _attr_reduce_shape(op, op.dtype(0)),
      roles=_UNARY_ROLES,
      example=Example((*_q(2, 3, 4), t(), t(dtype="uint8")), ((2, 3),), Work(vector_ops=30),
                      {"axes": (2,), "keepdims": 0}))  # fmt: skip
def qlinear_reduce_mean(op: OpView) -> Work:
    """Sum of the integers, division and requantization of each result."""
    return Work(vector_ops=op.elements(0) + op.out_elements())


@rule("ReduceSumInteger", domain=MS, kind=Kind.REDUCTION,
      shape=lambda op: _attr_reduce_shape(op, BY_NAME["uint32"] if op.dtype(0) is UINT8 else INT32),
      example=Example((t(2, 3, 4, dtype="int8"),), ((2, 3, 1),), Work(vector_ops=18), {"axes": (2,)}))  # fmt: skip
def reduce_sum_integer(op: OpView) -> Work:
    """Sum of 8-bit integers in 32 bits."""
    return Work(vector_ops=op.elements(0) - op.out_elements())


rule("MulInteger", domain=MS, kind=Kind.POINTWISE, roles={1: Input.SCALE, 3: Input.SCALE},
     shape=lambda op: [Out(broadcast(op.shape(0), op.shape(2)), INT32)],
     example=Example((t(2, 3, dtype="uint8"), t(dtype="uint8"), t(3, dtype="uint8"), t(dtype="uint8")), ((2, 3),),
                     Work(vector_ops=18)))(per_element(3))  # fmt: skip


def _gather_shape(op: OpView) -> list[Out]:
    """As Gather; values of less than 8 bits in a uint8 tensor are packed along the last dimension."""
    data, axis = op.shape(0), op.axis("gather_axis")
    bits = op.attr("bits", 4)
    if bits not in (2, 4, 8):
        raise ShapeError(f"attribute 'bits' is {bits}, not 2, 4 or 8")
    packed = 8 // bits if op.dtype(0) is UINT8 else 1
    rows = (*data[:-1], data[-1] * packed)
    return [Out((*rows[:axis], *op.shape(1), *rows[axis + 1 :]), op.dtype(2))]


@rule("GatherBlockQuantized", domain=MS, kind=Kind.COPY, shape=_gather_shape,
      roles={0: Input.WEIGHT, 2: Input.SCALE, 3: Input.SCALE},
      example=Example((t(50, 32, dtype="uint8"), t(2, 3, dtype="int64"), t(50, 4)), ((2, 3, 64),),
                      Work(vector_ops=384, read_elements={0: 192, 2: 24}), {"block_size": 16}))  # fmt: skip
def gather_block_quantized(op: OpView) -> Work:
    """Picks rows of a table quantized in blocks and dequantizes them; reads those rows and their scales."""
    size = op.shape(0)[op.axis("gather_axis")]
    picked = min(op.elements(1), size)
    reads = {i: op.elements(i) * picked // max(size, 1) for i in (0, 2, 3) if op.has(i)}
    return Work(vector_ops=op.out_elements(), read_elements=reads)
