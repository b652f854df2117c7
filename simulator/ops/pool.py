"""Pooling over windows and over whole images, its inverse, and the layout changes of onnxruntime's blocked pools.

A window of k elements (those in the padding too) takes k − 1 comparisons for its maximum, with the index as many
selections more; k − 1 additions and a division for its average; for its Lp norm a power an element (p = 1: absolute
value, p = 2: square), k − 1 additions and a root. A requantization is one operation an output.
"""

import math

from simulator.dtypes import INT64
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.conv import window, window_output
from simulator.ops.elementwise import same_shape
from simulator.ops.registry import MS, NCHWC, Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import NOTHING, Kind, Window, Work

# AVX-512 and NEON; onnxruntime takes 8 on AVX2. The file does not say for which it was made.
BLOCK_CHANNELS = 16

_QLINEAR_ROLES = dict.fromkeys(range(1, 5), Input.SCALE)


def _kernel(op: OpView) -> Shape:
    kernel = op.attr_ints("kernel_shape")
    if not kernel:
        raise ShapeError("attribute 'kernel_shape' is missing")
    return kernel


def _pooled(op: OpView, *, channels_last: bool = False) -> Shape:
    """Shape after pooling: batch and channels stay."""
    data = op.shape(0)
    if len(data) < 3:
        raise ShapeError(f"a pooling of a tensor of shape {list(data)}")
    spatial = data[1:-1] if channels_last else data[2:]
    size = window_output(op, spatial, _kernel(op), ceil=bool(op.attr("ceil_mode", 0)))
    return (data[0], *size, data[-1]) if channels_last else (*data[:2], *size)


def _pool_shape(op: OpView) -> list[Out]:
    return [Out(_pooled(op, channels_last=bool(op.attr("channels_last", 0))), op.dtype(0))]


def _max_pool_shape(op: OpView) -> list[Out]:
    shape = _pooled(op)
    return [Out(shape, op.dtype(0)), Out(shape, INT64)]


def _spatial(op: OpView, shape: Shape) -> Shape:
    last = op.attr("channels_last", 0) or op.op.op_type.startswith("Nhwc")
    return shape[1:-1] if last else shape[2:]


def _window(op: OpView, *, whole: bool = False) -> Window:
    """The window of a pool; over the whole image it has one place."""
    output, data = _spatial(op, op.out_shape()), _spatial(op, op.shape(0))
    return Window(output, data, data, (1,) * len(data)) if whole else window(op, output, data, _kernel(op))


_WINDOW = {"kernel_shape": (2, 2), "strides": (2, 2)}


@rule("MaxPool", kind=Kind.POOL, shape=_max_pool_shape,
      example=Example((t(1, 3, 4, 4),), ((1, 3, 2, 2), (1, 3, 2, 2)), Work(vector_ops=72), _WINDOW))  # fmt: skip
@rule("MaxPool", domain=NCHWC, kind=Kind.POOL, shape=_pool_shape,
      example=Example((t(1, 8, 4, 4),), ((1, 8, 2, 2),), Work(vector_ops=96), _WINDOW))  # fmt: skip
@rule("NhwcMaxPool", domain=MS, kind=Kind.POOL,
      shape=lambda op: [Out(_pooled(op, channels_last=True), op.dtype(0))],
      example=Example((t(1, 4, 4, 3, dtype="int8"),), ((1, 2, 2, 3),), Work(vector_ops=36), _WINDOW))  # fmt: skip
def max_pool(op: OpView) -> Work:
    """Comparisons of a window, and selections where the indices are wanted (ONNX MaxPool-22)."""
    per_comparison = 2 if len(op.op.outputs) > 1 and op.op.outputs[1] else 1
    return Work(vector_ops=per_comparison * (math.prod(_kernel(op)) - 1) * op.out_elements(), window=_window(op))


@rule("AveragePool", kind=Kind.POOL, shape=_pool_shape,
      example=Example((t(1, 3, 5, 5),), ((1, 3, 3, 3),), Work(vector_ops=108), _WINDOW | {"ceil_mode": 1}))  # fmt: skip
@rule("AveragePool", domain=NCHWC, kind=Kind.POOL, shape=_pool_shape,
      example=Example((t(1, 8, 4, 4),), ((1, 8, 2, 2),), Work(vector_ops=128), _WINDOW))  # fmt: skip
def average_pool(op: OpView) -> Work:
    """Sum and division of a window (ONNX AveragePool-22)."""
    return Work(vector_ops=math.prod(_kernel(op)) * op.out_elements(), window=_window(op))


@rule("QLinearAveragePool", domain=MS, kind=Kind.POOL, shape=_pool_shape, roles=_QLINEAR_ROLES,
      example=Example((t(1, 4, 4, 3, dtype="uint8"), t(), t(dtype="uint8"), t(), t(dtype="uint8")), ((1, 2, 2, 3),),
                      Work(vector_ops=60), _WINDOW | {"channels_last": 1}))  # fmt: skip
def qlinear_average_pool(op: OpView) -> Work:
    """Sum, division and requantization of a window."""
    return Work(vector_ops=average_pool(op).vector_ops + op.out_elements(), window=_window(op))


def _lp_work(op: OpView, window: int) -> Work:
    p = op.attr("p", 2.0)  # a real number in operator set 1
    powers = 0 if p in (1, 2) else window
    roots = 0 if p == 1 else 1
    return Work(vector_ops=(2 * window - 1) * op.out_elements(), special_ops=(powers + roots) * op.out_elements())


@rule("LpPool", kind=Kind.POOL, shape=_pool_shape,
      example=Example((t(1, 3, 4, 4),), ((1, 3, 2, 2),), Work(vector_ops=84, special_ops=12), _WINDOW))  # fmt: skip
def lp_pool(op: OpView) -> Work:
    """Lp norm of a window; a p other than 1 and 2 takes a power of each absolute value (ONNX LpPool-22)."""
    return _lp_work(op, math.prod(_kernel(op)))


def _global_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    if len(shape) < 2:
        raise ShapeError(f"a pooling of a tensor of shape {list(shape)}")
    ones = (1,) * (len(shape) - 2)
    pooled = (shape[0], *ones, shape[-1]) if op.attr("channels_last", 0) else (*shape[:2], *ones)
    return [Out(pooled, op.dtype(0))]


_GLOBAL_MAX = Example((t(1, 3, 4, 4),), ((1, 3, 1, 1),), Work(vector_ops=45))
_GLOBAL_AVERAGE = Example((t(1, 3, 4, 4),), ((1, 3, 1, 1),), Work(vector_ops=48))


@rule("GlobalMaxPool", kind=Kind.POOL, shape=_global_shape, example=_GLOBAL_MAX)
@rule("GlobalMaxPool", domain=NCHWC, kind=Kind.POOL, shape=_global_shape, example=_GLOBAL_MAX)
def global_max_pool(op: OpView) -> Work:
    """The maximum of each channel (ONNX GlobalMaxPool-22)."""
    return _over_all(op, max(op.elements(0) - op.out_elements(), 0))


def _over_all(op: OpView, vector_ops: int) -> Work:
    """A pool over all of an image; of a signal it is the reduction of rows that ReduceMean and ReduceMax are."""
    kind = Kind.REDUCTION if len(op.shape(0)) < 4 else None
    return Work(vector_ops=vector_ops, kind=kind, window=None if kind else _window(op, whole=True))


@rule("GlobalAveragePool", kind=Kind.POOL, shape=_global_shape, example=_GLOBAL_AVERAGE)
@rule("GlobalAveragePool", domain=NCHWC, kind=Kind.POOL, shape=_global_shape, example=_GLOBAL_AVERAGE)
def global_average_pool(op: OpView) -> Work:
    """The average of each channel (ONNX GlobalAveragePool-22)."""
    return _over_all(op, op.elements(0))


@rule("QLinearGlobalAveragePool", domain=MS, kind=Kind.POOL, shape=_global_shape, roles=_QLINEAR_ROLES,
      example=Example((t(1, 4, 4, 3, dtype="uint8"), t(), t(dtype="uint8"), t(), t(dtype="uint8")), ((1, 1, 1, 3),),
                      Work(vector_ops=51), {"channels_last": 1}))  # fmt: skip
def qlinear_global_average_pool(op: OpView) -> Work:
    """The average of each channel, requantized."""
    return Work(vector_ops=op.elements(0) + op.out_elements(), window=_window(op, whole=True))


@rule("GlobalLpPool", kind=Kind.POOL, shape=_global_shape,
      example=Example((t(1, 3, 4, 4),), ((1, 3, 1, 1),), Work(vector_ops=93, special_ops=3)))  # fmt: skip
def global_lp_pool(op: OpView) -> Work:
    """The Lp norm of each channel (ONNX GlobalLpPool-22)."""
    return _lp_work(op, math.prod(op.shape(0)[2:]))


def _unpool_shape(op: OpView) -> list[Out]:
    data, kernel = op.shape(0), _kernel(op)
    rank = len(data) - 2
    if op.has(2):
        return [Out(op.ints(2), op.dtype(0))]
    strides, pads = op.attr_ints("strides") or (1,) * rank, op.attr_ints("pads") or (0,) * 2 * rank
    if not len(kernel) == len(strides) == len(pads) / 2 == rank:
        raise ShapeError(f"windows {list(kernel)}, strides {list(strides)}, pads {list(pads)} over {list(data)}")
    size = ((data[i + 2] - 1) * strides[i] + kernel[i] - pads[i] - pads[rank + i] for i in range(rank))
    return [Out((*data[:2], *size), op.dtype(0))]


@rule("MaxUnpool", kind=Kind.COPY, shape=_unpool_shape, roles={2: Input.CONFIG},
      example=Example((t(1, 3, 2, 2), t(1, 3, 2, 2, dtype="int64")), ((1, 3, 4, 4),), attrs=_WINDOW))  # fmt: skip
def max_unpool(op: OpView) -> Work:  # noqa: ARG001
    """Every input element goes to the place its index names, zeros elsewhere (ONNX MaxUnpool-22)."""
    return NOTHING


def _reorder_input_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    if len(shape) < 3:
        raise ShapeError(f"an image of shape {list(shape)}")
    channels, spatial = (shape[-1], shape[1:-1]) if op.attr("channels_last", 0) else (shape[1], shape[2:])
    blocked = -(-channels // BLOCK_CHANNELS) * BLOCK_CHANNELS
    return [Out((shape[0], blocked, *spatial), op.dtype(0))]


def _reorder_output_shape(op: OpView) -> list[Out]:
    shape, channels = op.shape(0), op.attr("channels", 0)
    if len(shape) < 3 or not 0 < channels <= shape[1]:
        raise ShapeError(f"an image of shape {list(shape)} with {channels} channels")
    channels_last = op.attr("channels_last", 0)
    return [Out((shape[0], *shape[2:], channels) if channels_last else (shape[0], channels, *shape[2:]), op.dtype(0))]


@rule("ReorderInput", domain=NCHWC, kind=Kind.COPY, shape=_reorder_input_shape,
      example=Example((t(1, 4, 4, 20),), ((1, 32, 4, 4),), attrs={"channels_last": 1}))  # fmt: skip
@rule("ReorderOutput", domain=NCHWC, kind=Kind.COPY, shape=_reorder_output_shape,
      example=Example((t(1, 32, 4, 4),), ((1, 20, 4, 4),), attrs={"channels": 20}))  # fmt: skip
def reorder(op: OpView) -> Work:  # noqa: ARG001
    """From and to onnxruntime's layout of blocked channels, whose number is padded to whole blocks."""
    return NOTHING


def _upsample_shape(op: OpView) -> list[Out]:
    scales = op.attr_ints("scales")
    if scales is None:
        return same_shape(op)
    if len(scales) != len(op.shape(0)) or min(scales) < 1:
        raise ShapeError(f"scales {list(scales)} for an image of shape {list(op.shape(0))}")
    return [Out(tuple(size * scale for size, scale in zip(op.shape(0), scales, strict=True)), op.dtype(0))]


@rule("Upsample", domain=NCHWC, kind=Kind.COPY, shape=_upsample_shape,
      example=Example((t(1, 16, 2, 2),), ((1, 16, 4, 4),), Work(vector_ops=2048),
                      {"scales": (1, 1, 2, 2), "mode": "linear"}))  # fmt: skip
def blocked_upsample(op: OpView) -> Work:
    """Repeats pixels, or interpolates each from four (8 operations)."""
    return Work(vector_ops=8 * op.out_elements() if op.attr("mode", "nearest") == "linear" else 0)
