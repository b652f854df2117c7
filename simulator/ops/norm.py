"""Normalizations and softmax.

Vector operations per element, by what the definition computes (a row is what one mean or sum is taken over):

    mean 1, subtract 1, square and sum 2, divide by the deviation 1, scale 1, shift 1       layer normalization: 7
    the same with scale and deviation merged, being constant along a row                    instance, group: 6
    square and sum 2, divide 1, scale 1                                                     RMS: 4
    the statistics are known before the run and fold into scale and shift                   batch: 2
    maximum 1, subtract 1, sum 1, divide 1, and one exponential an element                  softmax: 4

The square root (or logarithm) of a row is one special operation.
"""

import math

from simulator.dtypes import BY_CODE, FLOAT32, DType
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.elementwise import same_shape
from simulator.ops.registry import MS, Example, Input, Out, rule, t
from simulator.ops.view import OpView, broadcast, normal_axis
from simulator.ops.work import Kind, Work

_SCALE_SHIFT = {1: Input.WEIGHT, 2: Input.WEIGHT}


def _check_lengths(op: OpView, length: int, *positions: int) -> None:
    """ShapeError where one of the inputs is known not to have `length` elements."""
    for position in positions:
        if op.has(position) and op.tensor(position).shape is not None and op.elements(position) != length:
            raise ShapeError(f"input {position} has {op.elements(position)} elements, not {length}")


def _channels(op: OpView) -> int:
    shape = op.shape(0)
    if len(shape) < 2:
        raise ShapeError(f"a normalization by channels of a tensor of shape {list(shape)}")
    return shape[1]


def _batch_shape(op: OpView) -> list[Out]:
    """Y, then the statistics: two running ones, and two saved ones before operator set 14."""
    if op.attr("spatial", 1):
        _check_lengths(op, _channels(op) if len(op.shape(0)) > 1 else 1, 1, 2, 3, 4)
    return [Out(op.shape(0), op.dtype(0)), *(Out(op.shape(i), op.dtype(i)) for i in (3, 4, 3, 4))]


def _trains(op: OpView) -> bool:
    """Before operator set 14, a batch normalization trains where it has more than one output."""
    if op.opset >= 14:
        return bool(op.attr("training_mode", 0))
    return sum(1 for name in op.op.outputs if name) > 1


@rule("BatchNormalization", kind=Kind.NORM, shape=_batch_shape,
      roles={1: Input.WEIGHT, 2: Input.WEIGHT, 3: Input.STATISTIC, 4: Input.STATISTIC},
      example=Example((t(2, 3, 4), t(3), t(3), t(3), t(3)), ((2, 3, 4),), Work(vector_ops=48)))  # fmt: skip
def batch_norm(op: OpView) -> Work:
    """A multiplication and an addition an element; training adds the statistics (ONNX BatchNormalization-15)."""
    if _trains(op):
        return Work(vector_ops=6 * op.elements(0), special_ops=op.elements(1))
    return Work(vector_ops=2 * op.elements(0))


# as element-wise code of PyTorch: offsets of six operands by divisions, the four parameters loaded for every element.
# Instructions an element: VGG-13 and VGG-19 with batch norms on an RTX 3090 take some 50 ms for 3.3e9 elements
_GENERAL_INSTRUCTIONS = 220

rule("batch_norm_any", domain="aten", kind=Kind.NORM, shape=_batch_shape,
     roles={1: Input.WEIGHT, 2: Input.WEIGHT, 3: Input.STATISTIC, 4: Input.STATISTIC},
     example=Example((t(2, 3, 4), t(3), t(3), t(3), t(3)), ((2, 3, 4),), Work(vector_ops=220 * 24)))(
         lambda op: Work(vector_ops=_GENERAL_INSTRUCTIONS * op.elements(0)))  # fmt: skip

# means and deviations of the groups of each sample, as a kernel of its own (simulator/transform/added.py)
rule("moments", domain="aten", kind=Kind.POOL, shape=lambda op: [Out(op.shape(0)[:1], op.dtype(0))],
     example=Example((t(2, 3, 4),), ((2,),), Work(vector_ops=72)))(lambda op: Work(vector_ops=3 * op.elements(0)))  # fmt: skip


def _instance_shape(op: OpView) -> list[Out]:
    _check_lengths(op, _channels(op), 1, 2)
    return same_shape(op)


@rule("InstanceNormalization", kind=Kind.NORM, shape=_instance_shape, roles=_SCALE_SHIFT,
      example=Example((t(2, 3, 4), t(3), t(3)), ((2, 3, 4),), Work(vector_ops=144, special_ops=6)))  # fmt: skip
def instance_norm(op: OpView) -> Work:
    """Statistics of each channel of each sample (ONNX InstanceNormalization-22)."""
    return Work(vector_ops=6 * op.elements(0), special_ops=math.prod(op.shape(0)[:2]))


def _group_shape(op: OpView) -> list[Out]:
    channels, groups = _channels(op), op.attr("num_groups", 1)
    if groups < 1 or channels % groups:
        raise ShapeError(f"{channels} channels do not divide into {groups} groups")
    _check_lengths(op, groups if op.opset < 21 else channels, 1, 2)
    return same_shape(op)


@rule("GroupNormalization", kind=Kind.NORM, shape=_group_shape, roles=_SCALE_SHIFT,
      example=Example((t(2, 4, 3), t(4), t(4)), ((2, 4, 3),), Work(vector_ops=144, special_ops=4),
                      {"num_groups": 2}))  # fmt: skip
def group_norm(op: OpView) -> Work:
    """Statistics of each group of channels; scale and shift of each channel (ONNX GroupNormalization-21)."""
    return Work(vector_ops=6 * op.elements(0), special_ops=op.shape(0)[0] * op.attr("num_groups", 1))


def _ms_group_shape(op: OpView) -> list[Out]:
    shape, groups = op.shape(0), op.attr("groups", 1)
    channels = shape[-1] if op.attr("channels_last", 1) else _channels(op)
    if groups < 1 or channels % groups:
        raise ShapeError(f"{channels} channels do not divide into {groups} groups")
    _check_lengths(op, channels, 1, 2)
    return [Out(shape, op.dtype(0)), Out(shape, op.dtype(0))]


@rule("GroupNorm", domain=MS, kind=Kind.NORM, shape=_ms_group_shape, roles=_SCALE_SHIFT,
      example=Example((t(2, 3, 1, 4), t(4), t(4)), ((2, 3, 1, 4),), Work(vector_ops=216, special_ops=28),
                      {"groups": 2, "activation": 1}))  # fmt: skip
def ms_group_norm(op: OpView) -> Work:
    """As GroupNormalization; `activation` 1 is a SiLU, three vector operations and an exponential an element."""
    elements, activation = op.elements(0), op.attr("activation", 0)
    rows = op.shape(0)[0] * op.attr("groups", 1)
    return Work(vector_ops=(6 + 3 * activation) * elements, special_ops=rows + activation * elements)


@rule("SkipGroupNorm", domain=MS, kind=Kind.NORM, shape=_ms_group_shape,
      roles={1: Input.WEIGHT, 2: Input.WEIGHT, 4: Input.WEIGHT},
      example=Example((t(2, 3, 1, 4), t(4), t(4), t(2, 3, 1, 4), t(4)), ((2, 3, 1, 4), (2, 3, 1, 4)),
                      Work(vector_ops=192, special_ops=4), {"groups": 2}))  # fmt: skip
def skip_group_norm(op: OpView) -> Work:
    """GroupNorm of input + skip + bias; output 1 is that sum."""
    norm = ms_group_norm(op)
    return Work(vector_ops=norm.vector_ops + (1 + op.has(4)) * op.elements(0), special_ops=norm.special_ops)


def _row_shape(shape: Shape, axis: int) -> Shape:
    """Shape of a row's statistics: 1 from `axis` on."""
    return shape[:axis] + (1,) * (len(shape) - axis)


def _stash(op: OpView) -> DType:
    """Element type of the statistics (attribute `stash_type`, float32 unless given)."""
    code = op.attr("stash_type", 1)
    if code not in BY_CODE:
        raise ShapeError(f"attribute 'stash_type' names no element type: {code}")
    return BY_CODE[code]


def _check_scale(op: OpView) -> None:
    if op.tensor(1).shape is not None:
        broadcast(op.shape(0), op.shape(1))


def _layer_shape(op: OpView) -> list[Out]:
    _check_scale(op)
    rows = Out(_row_shape(op.shape(0), op.axis(default=-1)), _stash(op))
    return [Out(op.shape(0), op.dtype(0)), rows, rows]


@rule("LayerNormalization", kind=Kind.NORM, shape=_layer_shape, roles=_SCALE_SHIFT,
      example=Example((t(2, 3, 4), t(4), t(4)), ((2, 3, 4), (2, 3, 1), (2, 3, 1)),
                      Work(vector_ops=168, special_ops=6)))  # fmt: skip
def layer_norm(op: OpView) -> Work:
    """Statistics over the axes from `axis` on; outputs 1, 2 are mean and 1/deviation (ONNX LayerNormalization-17)."""
    rows = math.prod(op.shape(0)[: op.axis(default=-1)])
    return Work(vector_ops=(6 + op.has(2)) * op.elements(0), special_ops=rows)


def _rms_shape(op: OpView) -> list[Out]:
    _check_scale(op)
    return [Out(op.shape(0), op.dtype(1)), Out(_row_shape(op.shape(0), op.axis(default=-1)), _stash(op))]


_RMS_EXAMPLE = Example((t(2, 3, 4), t(4)), ((2, 3, 4),), Work(vector_ops=96, special_ops=6))


@rule("RMSNormalization", "SimplifiedLayerNormalization", kind=Kind.NORM, shape=_rms_shape, roles={1: Input.WEIGHT},
      example=_RMS_EXAMPLE)  # fmt: skip
@rule("SimplifiedLayerNormalization", domain=MS, kind=Kind.NORM, shape=_rms_shape, roles={1: Input.WEIGHT},
      example=_RMS_EXAMPLE)  # fmt: skip
def rms_norm(op: OpView) -> Work:
    """Layer normalization without mean and shift (ONNX RMSNormalization-23).

    onnxruntime emits SimplifiedLayerNormalization in the standard domain; its output 1 is 1/deviation.
    """
    return Work(vector_ops=4 * op.elements(0), special_ops=math.prod(op.shape(0)[: op.axis(default=-1)]))


def _skip_layer_shape(op: OpView) -> list[Out]:
    """Output, mean, 1/deviation, input + skip + bias."""
    shape = op.shape(0)
    if not shape:
        raise ShapeError("a layer normalization of a scalar")
    _check_lengths(op, shape[-1], *range(2, 5))
    broadcast(shape, op.shape(1))
    rows = Out(_row_shape(shape, len(shape) - 1), FLOAT32)
    return [Out(shape, op.dtype(0)), rows, rows, Out(shape, op.dtype(0))]


_SKIP_ROLES = {2: Input.WEIGHT, 3: Input.WEIGHT, 4: Input.WEIGHT}


@rule("SkipLayerNormalization", domain=MS, kind=Kind.NORM, shape=_skip_layer_shape, roles=_SKIP_ROLES,
      example=Example((t(2, 3, 4), t(2, 3, 4), t(4), t(4), t(4)), ((2, 3, 4), (2, 3, 1), (2, 3, 1), (2, 3, 4)),
                      Work(vector_ops=216, special_ops=6)))  # fmt: skip
def skip_layer_norm(op: OpView) -> Work:
    """Layer normalization of input + skip + bias (input 4); output 3 is that sum."""
    elements = op.elements(0)
    return Work(vector_ops=(1 + op.has(4) + 6 + op.has(3)) * elements, special_ops=math.prod(op.shape(0)[:-1]))


@rule("SkipSimplifiedLayerNormalization", domain=MS, kind=Kind.NORM, shape=_skip_layer_shape, roles=_SKIP_ROLES,
      example=Example((t(2, 3, 4), t(2, 3, 4), t(4)), ((2, 3, 4), (2, 3, 1), (2, 3, 1), (2, 3, 4)),
                      Work(vector_ops=120, special_ops=6)))  # fmt: skip
def skip_rms_norm(op: OpView) -> Work:
    """RMS normalization of input + skip + bias (input 3); output 3 is that sum."""
    return Work(vector_ops=(1 + op.has(3) + 4) * op.elements(0), special_ops=math.prod(op.shape(0)[:-1]))


def _embed_outs(op: OpView, dtype: DType) -> list[Out]:
    """Normalized embeddings, mask index, sum of the embeddings."""
    tokens, table = op.shape(0), op.shape(2)
    if len(tokens) != 2 or len(table) != 2:
        raise ShapeError(f"an embedding of tokens {list(tokens)} in a table {list(table)}")
    _check_lengths(op, table[1], 5, 6)
    out = Out((*tokens, table[1]), dtype)
    return [out, Out(tokens[:1], op.dtype(0)), out]


def _embed_work(op: OpView, position_rows: int, vector_ops: int) -> Work:
    """Of each table only the rows picked are read, at most the whole table; a given mask's lengths are counted."""
    picked = {2: op.elements(0), 3: position_rows, 4: op.elements(0) if op.has(4) else 0}
    width = op.shape(2)[1]
    reads = {i: min(rows * width, op.elements(i)) for i, rows in picked.items() if rows}
    vector = vector_ops * op.out_elements() + op.elements(7)
    return Work(vector_ops=vector, special_ops=op.elements(0), read_elements=reads)


_EMBED_ROLES = dict.fromkeys(range(2, 7), Input.WEIGHT)


@rule("EmbedLayerNormalization", domain=MS, kind=Kind.NORM, shape=lambda op: _embed_outs(op, op.dtype(2)),
      roles=_EMBED_ROLES,
      example=Example((t(2, 3, dtype="int32"), t(2, 3, dtype="int32"), t(50, 4), t(9, 4), t(2, 4), t(4), t(4),
                       t(2, 3, dtype="int32")), ((2, 3, 4), (2,), (2, 3, 4)),
                      Work(vector_ops=9 * 24 + 6, special_ops=6, read_elements={2: 24, 3: 12, 4: 8})))  # fmt: skip
def embed_layer_norm(op: OpView) -> Work:
    """Sum of word, position and segment embeddings, layer normalized. Input 8: position of each token."""
    positions = op.elements(8) if op.has(8) else op.shape(0)[1]
    return _embed_work(op, positions, vector_ops=1 + op.has(4) + 7)


@rule("QEmbedLayerNormalization", domain=MS, kind=Kind.NORM, shape=lambda op: _embed_outs(op, op.dtype(8)),
      roles=_EMBED_ROLES | dict.fromkeys(range(8, 18), Input.SCALE),
      example=Example((t(2, 3, dtype="int32"), None, t(50, 4, dtype="int8"), t(9, 4, dtype="int8"), None,
                       t(4, dtype="int8"), t(4, dtype="int8"), None, t()), ((2, 3, 4), (2,)),
                      Work(vector_ops=10 * 24, special_ops=6, read_elements={2: 24, 3: 12})))  # fmt: skip
def quantized_embed_layer_norm(op: OpView) -> Work:
    """As EmbedLayerNormalization over 8-bit tables, each picked element dequantized (one operation)."""
    return _embed_work(op, op.shape(0)[1], vector_ops=1 + op.has(4) + 7 + 2 + op.has(4))


def _axis_rows(op: OpView) -> int:
    shape = op.shape(0)
    return math.prod(shape) // max(shape[op.axis(default=-1)], 1) if shape else 1


def _axis_shape(op: OpView) -> list[Out]:
    op.axis(default=-1)
    return same_shape(op)


@rule("LpNormalization", kind=Kind.NORM, shape=_axis_shape,
      example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=18, special_ops=2)))  # fmt: skip
def lp_norm(op: OpView) -> Work:
    """Absolute value or square, sum, divide; p = 2 takes a root a row (ONNX LpNormalization-22)."""
    return Work(vector_ops=3 * op.elements(0), special_ops=_axis_rows(op) if op.attr("p", 2) == 2 else 0)


@rule("MeanVarianceNormalization", kind=Kind.NORM, shape=same_shape,
      example=Example((t(2, 3, 4, 4),), ((2, 3, 4, 4),), Work(vector_ops=480, special_ops=3),
                      {"axes": (0, 2, 3)}))  # fmt: skip
def mean_variance_norm(op: OpView) -> Work:
    """Layer normalization over any axes, without scale and shift (ONNX MeanVarianceNormalization-13)."""
    shape = op.shape(0)
    axes = {normal_axis(axis, len(shape)) for axis in op.attr_ints("axes") or (0, 2, 3)}
    rows = math.prod(size for axis, size in enumerate(shape) if axis not in axes)
    return Work(vector_ops=5 * op.elements(0), special_ops=rows)


@rule("LRN", kind=Kind.NORM, shape=same_shape,
      example=Example((t(1, 8, 2, 2),), ((1, 8, 2, 2),), Work(vector_ops=256, special_ops=32),
                      {"size": 5}))  # fmt: skip
def lrn(op: OpView) -> Work:
    """Square, size − 1 additions, alpha, bias, a power, divide: x / (bias + alpha/size · Σ x²)^beta (ONNX LRN-13)."""
    return Work(vector_ops=(op.attr("size", 1) + 3) * op.elements(0), special_ops=op.elements(0))


def _softmax_rows(op: OpView) -> int:
    """Number of sums: before operator set 13 the axes from `axis` (1) on were one row, since then `axis` (−1) alone."""
    shape = op.shape(0)
    if op.opset < 13:
        return math.prod(shape[: op.attr("axis", 1)])
    return _axis_rows(op)


def _softmax_shape(op: OpView) -> list[Out]:
    return same_shape(op) if op.opset < 13 else _axis_shape(op)


@rule("Softmax", kind=Kind.SOFTMAX, shape=_softmax_shape, in_place=True,
      example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=24, special_ops=6)))  # fmt: skip
def softmax(op: OpView) -> Work:
    """Maximum, subtract, exponential, sum, divide (ONNX Softmax-13)."""
    return Work(vector_ops=4 * op.elements(0), special_ops=op.elements(0))


@rule("LogSoftmax", kind=Kind.SOFTMAX, shape=_softmax_shape, in_place=True,
      example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=24, special_ops=8)))  # fmt: skip
def log_softmax(op: OpView) -> Work:
    """Maximum, subtract, exponential, sum, subtract the logarithm of each row (ONNX LogSoftmax-13)."""
    return Work(vector_ops=4 * op.elements(0), special_ops=op.elements(0) + _softmax_rows(op))


@rule("Hardmax", kind=Kind.SOFTMAX, shape=_softmax_shape,
      example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=12)))  # fmt: skip
def hardmax(op: OpView) -> Work:
    """Maximum and compare: 1 at the first maximum of a row, 0 elsewhere (ONNX Hardmax-13)."""
    return Work(vector_ops=2 * op.elements(0))
