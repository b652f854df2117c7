"""Resizing, sampling and boxes.

Interpolating n axes weighs 2ⁿ samples (linear) or 4ⁿ (cubic): a multiplication each and the additions between them,
2·samples − 1 vector operations an output; nearest copies. The weights are computed once a row or column, for nothing.
"""

import math
from fractions import Fraction

import numpy as np

from simulator.dtypes import INT64, UINT8
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.check import at_least, integers, ranked
from simulator.ops.registry import MS, Example, Input, Out, rule, t, v
from simulator.ops.shape import nothing
from simulator.ops.view import OpView, normal_axis
from simulator.ops.work import Kind, Work

MS_EXTENSIONS = "com.microsoft.extensions"
_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}  # samples an axis
_BOX_OVERLAP_OPS = 12  # corners 4, widths 2, clamps 2, areas 2, union 1, ratio 1


def _taps(op: OpView, default: str) -> int:
    mode = op.attr("mode", default)
    if mode not in _TAPS:
        raise ShapeError(f"{op.op.op_type}: no interpolation is called '{mode}'")
    return _TAPS[mode]


def _weighing(samples: int) -> int:
    """Vector operations of a weighted sum."""
    return 2 * samples - 1 if samples > 1 else 0


# ---- resize ------------------------------------------------------------------------------------------------------


def _scaled(shape: Shape, scales: np.ndarray, axes: tuple[int, ...]) -> Shape:
    """Dimensions times scales, rounded down in single precision as the standard does."""
    if len(scales) != len(axes):
        raise ShapeError(f"{len(scales)} scales for {len(axes)} axes")
    out = list(shape)
    for axis, scale in zip(axes, scales.astype(np.float32), strict=True):
        out[axis] = int(np.floor(np.float32(shape[axis]) * scale))
    return tuple(out)


def _sized(shape: Shape, sizes: tuple[int, ...], axes: tuple[int, ...], policy: str) -> Shape:
    """The sizes asked for, or the nearest of the same aspect ratio that are not larger or not smaller."""
    if len(sizes) != len(axes):
        raise ShapeError(f"{len(sizes)} sizes for {len(axes)} axes")
    out = list(shape)
    ratios = [Fraction(size, max(shape[axis], 1)) for axis, size in zip(axes, sizes, strict=True)]
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    for axis, size in zip(axes, sizes, strict=True):
        out[axis] = size if policy == "stretch" else math.floor(ratio * shape[axis] + Fraction(1, 2))
    return tuple(out)


def _resize_shape(op: OpView) -> list[Out]:
    """`scales` (input 1 before operator set 11, then 2) or `sizes` (3) of the listed axes; an empty input is absent."""
    shape = op.shape(0)
    axes = tuple(normal_axis(axis, len(shape)) for axis in op.attr_ints("axes") or range(len(shape)))
    at = 1 if op.opset < 11 else 2
    if op.has(at) and (op.tensor(at).shape is None or op.elements(at)):
        return [Out(_scaled(shape, op.known(at).ravel(), axes), op.dtype(0))]
    if not op.has(3):
        raise ShapeError("neither scales nor sizes are given")
    return [Out(_sized(shape, op.ints(3), axes, op.attr("keep_aspect_ratio_policy", "stretch")), op.dtype(0))]


def _antialias_ops(data: Shape, out: Shape, taps: int) -> int:
    """One pass an axis, the last first; shrinking an axis widens its filter as much."""
    current, total = list(data), 0
    for axis in reversed(range(len(data))):
        if data[axis] != out[axis]:
            current[axis] = out[axis]
            wide = max(taps, -(-taps * data[axis] // max(out[axis], 1)))
            total += _weighing(wide) * math.prod(current)
    return total


def _interpolation(op: OpView, default: str = "nearest") -> Work:
    taps, data, out = _taps(op, default), op.shape(0), op.out_shape()
    axes = sum(a != b for a, b in zip(data, out, strict=True))
    samples = taps**axes
    if op.attr("antialias", 0) and taps > 1:
        return Work(vector_ops=_antialias_ops(data, out, taps))
    touched = samples * op.out_elements()
    reads = {0: touched} if touched < op.elements(0) else {}
    steps = math.prod(op.out_shape()[:2]) if op.attr("looped", 0) else 0
    kind = None if samples > 1 else Kind.COPY
    return Work(vector_ops=_weighing(samples) * op.out_elements(), kind=kind, read_elements=reads, steps=steps)


_RESIZE_ROLES = {1: Input.CONFIG, 2: Input.CONFIG, 3: Input.CONFIG}


@rule("Resize", kind=Kind.POOL, shape=_resize_shape, roles=_RESIZE_ROLES,
      example=Example((t(1, 2, 4, 4), None, v(1, 1, 2, 2, dtype="float32")), ((1, 2, 8, 8),), Work(vector_ops=7 * 128),
                      {"mode": "linear"}))  # fmt: skip
def resize(op: OpView) -> Work:
    """A weighted sum over the resized axes an output; antialiased, one widened pass an axis (ONNX Resize-19)."""
    return _interpolation(op)


def _upsample_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    if op.has(1):
        scales = op.known(1).ravel()
    elif "scales" in op.op.attrs:
        scales = np.array(op.attr("scales", ()))
    else:  # operator set 1
        scales = np.array([1.0, 1.0, op.attr("height_scale", 1.0), op.attr("width_scale", 1.0)])
    return [Out(_scaled(shape, scales, tuple(range(len(shape)))), op.dtype(0))]


@rule("Upsample", kind=Kind.POOL, shape=_upsample_shape, roles={1: Input.CONFIG},
      example=Example((t(1, 1, 2, 2), v(1, 1, 2, 3, dtype="float32")), ((1, 1, 4, 6),), Work(kind=Kind.COPY),
                      opset=9))  # fmt: skip
def upsample(op: OpView) -> Work:
    """Resize's predecessor (ONNX Upsample-9)."""
    return _interpolation(op)


def _crop_and_resize_shape(op: OpView) -> list[Out]:
    height, width = integers(op, 3, 2)
    return [Out((ranked(op, 1, 2)[0], ranked(op, 0, 4)[1], height, width), op.dtype(0))]


@rule("CropAndResize", domain=MS, kind=Kind.POOL, shape=_crop_and_resize_shape, roles={3: Input.CONFIG},
      example=Example((t(1, 2, 8, 8), t(3, 4), t(3, dtype="int32"), v(4, 4, dtype="int32")), ((3, 2, 4, 4),),
                      Work(vector_ops=7 * 96)))  # fmt: skip
def crop_and_resize(op: OpView) -> Work:
    """Each box becomes an image of the crop size, sampled at its own places."""
    samples = _taps(op, "bilinear") ** 2
    return Work(vector_ops=_weighing(samples) * op.out_elements(), kind=None if samples > 1 else Kind.COPY)


# ---- sampling ----------------------------------------------------------------------------------------------------


def _grid_sample_shape(op: OpView) -> list[Out]:
    data, grid = at_least(op, 0, 3), op.shape(1)
    if len(data) != len(grid) or grid[-1] != len(data) - 2 or grid[0] != data[0]:
        raise ShapeError(f"a grid of {list(grid)} over data of {list(data)}")
    return [Out((*data[:2], *grid[1:-1]), op.dtype(0))]


_GRID_EXAMPLE = Example((t(1, 2, 4, 4), t(1, 3, 3, 2)), ((1, 2, 3, 3),), Work(vector_ops=7 * 18 + 4 * 18))


@rule("GridSample", kind=Kind.POOL, shape=_grid_sample_shape, example=_GRID_EXAMPLE)
@rule("GridSample", domain=MS, kind=Kind.POOL, shape=_grid_sample_shape, example=_GRID_EXAMPLE)
def grid_sample(op: OpView) -> Work:
    """A weighted sum an output; four operations place a coordinate in the image (ONNX GridSample-22)."""
    samples = _taps(op, "linear") ** op.shape(1)[-1]
    return Work(vector_ops=_weighing(samples) * op.out_elements() + 4 * op.elements(1))


def _affine_grid_shape(op: OpView) -> list[Out]:
    size, theta = op.ints(1), ranked(op, 0, 3)
    if len(size) != theta[1] + 2 or theta[2] != theta[1] + 1:
        raise ShapeError(f"affine matrices of {list(theta)} for an image of {list(size)}")
    return [Out((size[0], *size[2:], theta[1]), op.dtype(0))]


@rule("AffineGrid", kind=Kind.POINTWISE, shape=_affine_grid_shape, roles={1: Input.CONFIG},
      example=Example((t(2, 2, 3), v(2, 3, 4, 5)), ((2, 4, 5, 2),), Work(vector_ops=5 * 80)))  # fmt: skip
def affine_grid(op: OpView) -> Work:
    """A coordinate is a row of the matrix times a place: n + 1 products and n additions (ONNX AffineGrid-20)."""
    dims = op.shape(0)[1]
    return Work(vector_ops=(2 * dims + 1) * op.out_elements())


def _roi_align_shape(op: OpView) -> list[Out]:
    height, width = op.attr("output_height", 1), op.attr("output_width", 1)
    return [Out((ranked(op, 1, 2)[0], ranked(op, 0, 4)[1], height, width), op.dtype(0))]


@rule("RoiAlign", kind=Kind.POOL, shape=_roi_align_shape,
      example=Example((t(1, 2, 8, 8), t(3, 4), t(3, dtype="int64")), ((3, 2, 2, 2),), Work(vector_ops=8 * 4 * 24),
                      {"output_height": 2, "output_width": 2, "sampling_ratio": 2}))  # fmt: skip
def roi_align(op: OpView) -> Work:
    """A bin averages ratio² bilinear samples, 8 operations each; an adaptive ratio counts as 2 (ONNX RoiAlign-22)."""
    ratio = op.attr("sampling_ratio", 0) or 2
    return Work(vector_ops=(_weighing(4) + 1) * ratio**2 * op.out_elements())


def _max_roi_pool_shape(op: OpView) -> list[Out]:
    pooled = op.attr_ints("pooled_shape") or ()
    return [Out((ranked(op, 1, 2)[0], at_least(op, 0, 3)[1], *pooled), op.dtype(0))]


@rule("MaxRoiPool", kind=Kind.POOL, shape=_max_roi_pool_shape,
      example=Example((t(1, 2, 8, 8), t(3, 5)), ((3, 2, 2, 2),), Work(vector_ops=3 * 128),
                      {"pooled_shape": (2, 2)}))  # fmt: skip
def max_roi_pool(op: OpView) -> Work:
    """At most every element of the image is compared for each region (ONNX MaxRoiPool-22)."""
    return Work(vector_ops=op.shape(1)[0] * math.prod(op.shape(0)[1:]))


# ---- rearranging -------------------------------------------------------------------------------------------------


def _col2im_shape(op: OpView) -> list[Out]:
    data, image, block = op.shape(0), op.ints(1), op.ints(2)
    volume = math.prod(block)
    if len(data) != 3 or volume < 1 or data[1] % volume:
        raise ShapeError(f"blocks of {list(block)} from columns of {list(data)}")
    return [Out((data[0], data[1] // volume, *image), op.dtype(0))]


@rule("Col2Im", kind=Kind.COPY, shape=_col2im_shape, roles={1: Input.CONFIG, 2: Input.CONFIG},
      example=Example((t(1, 8, 9), v(4, 4), v(2, 2)), ((1, 2, 4, 4),), Work(vector_ops=72)))  # fmt: skip
def col2im(op: OpView) -> Work:
    """Every element of the columns is added to its pixel (ONNX Col2Im-18)."""
    return Work(vector_ops=op.elements(0))


def _center_crop_pad_shape(op: OpView) -> list[Out]:
    shape, target = list(op.shape(0)), op.ints(1)
    axes = [normal_axis(axis, len(shape)) for axis in op.attr_ints("axes") or range(len(shape))]
    if len(axes) != len(target):
        raise ShapeError(f"{len(target)} sizes for {len(axes)} axes")
    for axis, size in zip(axes, target, strict=True):
        shape[axis] = size
    return [Out(tuple(shape), op.dtype(0))]


@rule("CenterCropPad", kind=Kind.COPY, shape=_center_crop_pad_shape, roles={1: Input.CONFIG},
      example=Example((t(10, 8, 3), v(8, 10)), ((8, 10, 3),), Work(read_elements={0: 192}),
                      {"axes": (0, 1)}))  # fmt: skip
def center_crop_pad(op: OpView) -> Work:
    """Copies what lies inside both; the rest is zero (ONNX CenterCropPad-18)."""
    kept = math.prod(min(a, b) for a, b in zip(op.shape(0), op.out_shape(), strict=True))
    return Work(read_elements={0: kept} if kept < op.elements(0) else {})


# ---- boxes -------------------------------------------------------------------------------------------------------


def _selected(op: OpView) -> int:
    """Boxes kept at most, for one class of one image."""
    most = op.ints(2)[:1] if op.has(2) else ()
    return max(min(*most, ranked(op, 0, 3)[1]), 0) if most else 0


def _suppression_shape(op: OpView) -> list[Out]:
    batches, classes, boxes = ranked(op, 1, 3)
    if op.shape(0) != (batches, boxes, 4):
        raise ShapeError(f"boxes of {list(op.shape(0))} with scores of {list(op.shape(1))}")
    return [Out((batches * classes * _selected(op), 3), INT64, bound=True)]


@rule("NonMaxSuppression", kind=Kind.OTHER, shape=_suppression_shape,
      roles={2: Input.CONFIG, 3: Input.CONFIG, 4: Input.CONFIG},
      example=Example((t(1, 100, 4), t(1, 5, 100), v(10)), ((50, 3),),
                      Work(vector_ops=5 * (100 * 7 + 10 * 100 * 12))))  # fmt: skip
def non_max_suppression(op: OpView) -> Work:
    """Boxes are sorted (n·⌈log2 n⌉ compares), and each kept one meets all others (ONNX NonMaxSuppression-11).

    An upper bound twice over: all boxes pass the score threshold, and as many are kept as may be.
    """
    batches, classes, boxes = op.shape(1)
    each = boxes * math.ceil(math.log2(max(boxes, 1))) + _BOX_OVERLAP_OPS * _selected(op) * boxes
    return Work(vector_ops=batches * classes * each)


# ---- coded images ------------------------------------------------------------------------------------------------

# how large the image is, and what decoding costs, depends on the stream
rule("ImageDecoder", kind=Kind.OTHER, shape=lambda _: [Out(None, UINT8)],
     example=Example((t(1024, dtype="uint8"),), (None,)))(nothing)  # fmt: skip
# an encoder is there to make it smaller: at most the bytes of the image itself
rule("EncodeImage", domain=MS_EXTENSIONS, kind=Kind.OTHER, shape=lambda op: [Out((op.elements(0),), UINT8, bound=True)],
     example=Example((t(8, 8, 3, dtype="uint8"),), ((192,),)))(nothing)  # fmt: skip
# a stream has no largest image: an ImageNet-sized one stands in for it, and is counted as depending on data
rule("DecodeImage", domain=MS_EXTENSIONS, kind=Kind.OTHER, shape=lambda _: [Out((224, 224, 3), UINT8, bound=True)],
     example=Example((t(1024, dtype="uint8"),), ((224, 224, 3),)))(nothing)  # fmt: skip
