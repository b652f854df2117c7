"""Convolutions, plain, transposed, integer, quantized and fused."""

import math

from simulator.dtypes import INT32, DType
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.registry import MS, NCHWC, Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Gemm, Kind, Window, Work


def window_output(op: OpView, spatial: Shape, kernel: Shape, *, ceil: bool = False) -> Shape:
    """Output size of a sliding window: floor((in + pads − dilated kernel) / stride) + 1, or by `auto_pad`.

    With `ceil`, a last window that starts inside the padding behind the input is dropped (ONNX MaxPool-22).
    """
    rank = len(spatial)
    strides = op.attr_ints("strides") or (1,) * rank
    dilations = op.attr_ints("dilations") or (1,) * rank
    pads = op.attr_ints("pads") or (0,) * 2 * rank
    auto = op.attr("auto_pad", "NOTSET")
    for name, given, wanted in (("strides", strides, rank), ("dilations", dilations, rank), ("pads", pads, 2 * rank)):
        if len(given) != wanted:
            raise ShapeError(f"attribute '{name}' has {len(given)} numbers, not {wanted}")
    if len(kernel) != rank or min(strides, default=1) < 1 or min(dilations, default=1) < 1:
        raise ShapeError(f"a window of {list(kernel)} with strides {list(strides)} over {list(spatial)}")
    result = []
    for i, size in enumerate(spatial):
        reach = dilations[i] * (kernel[i] - 1) + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            result.append(-(-size // strides[i]))
            continue
        before, after = (0, 0) if auto == "VALID" else (pads[i], pads[rank + i])
        room = size + before + after - reach
        if room < 0 and not (ceil and room > -strides[i]):
            raise ShapeError(f"a window of {reach} does not fit into {size} + padding {before + after}")
        count = (-(-room // strides[i]) if ceil else room // strides[i]) + 1
        if ceil and (count - 1) * strides[i] >= size + before:
            count -= 1
        result.append(count)
    return tuple(result)


def _kernel(op: OpView, weight: Shape) -> Shape:
    return op.attr_ints("kernel_shape") or weight[2:]


def _conv_out(op: OpView, data: Shape, weight: Shape) -> Shape:
    groups = op.attr("group", 1)
    if len(data) < 3 or len(weight) != len(data):
        raise ShapeError(f"a convolution of {list(data)} with weights {list(weight)}")
    if groups < 1 or data[1] != weight[1] * groups or weight[0] % groups:
        raise ShapeError(
            f"a convolution of {data[1]} channels with weights for {weight[1]} × {groups} group(s), {weight[0]} outputs"
        )
    return (data[0], weight[0], *window_output(op, data[2:], _kernel(op, weight)))


def conv_kind(channels_in: int, channels_out: int, groups: int) -> Kind:
    """Depthwise where every group has one input channel, grouped where there is more than one group."""
    if groups == 1:
        return Kind.CONV
    return Kind.DEPTHWISE_CONV if channels_in == groups and channels_out % groups == 0 else Kind.GROUPED_CONV


def window(op: OpView, output: Shape, data: Shape, kernel: Shape) -> Window:
    """The window of an operator with these spatial sizes, and the strides of its attribute."""
    return Window(output, data, kernel, op.attr_ints("strides") or (1,) * len(kernel))


def conv_work(op: OpView, data: Shape, weight: Shape, out: Shape, *, vector_ops: int = 0) -> Work:
    """Every output element takes (input channels / groups) · kernel volume MACs. As a GEMM: m = batch · positions.

    Shapes with the channels first, whatever the layout.
    """
    groups, k = op.attr("group", 1), math.prod(weight[1:])
    gemm = Gemm(out[0] * math.prod(out[2:]), weight[0] // groups, k, groups, math.prod(weight[2:]))
    slid = window(op, out[2:], data[2:], weight[2:])
    kind = conv_kind(data[1], weight[0], groups)
    return Work(macs=math.prod(out) * k, vector_ops=vector_ops, gemm=gemm, kind=kind, window=slid)


_WEIGHTS = {1: Input.WEIGHT, 2: Input.BIAS}
_PADS = {"pads": (1, 1, 1, 1)}
_EXAMPLE = Example((t(1, 3, 8, 8), t(4, 3, 3, 3), t(4)), ((1, 4, 8, 8),),
                   Work(macs=4 * 64 * 27, vector_ops=256, gemm=Gemm(64, 4, 27), kind=Kind.CONV), _PADS)  # fmt: skip


def _conv_shape(op: OpView) -> list[Out]:
    return [Out(_conv_out(op, op.shape(0), op.shape(1)), op.dtype(0))]


@rule("Conv", kind=Kind.CONV, shape=_conv_shape, roles=_WEIGHTS, example=_EXAMPLE)
def conv(op: OpView) -> Work:
    """Out · (channels in / groups) · kernel volume MACs, one addition an output for the bias (ONNX Conv-22)."""
    bias = op.out_elements() if op.has(2) else 0
    return conv_work(op, op.shape(0), op.shape(1), op.out_shape(), vector_ops=bias)


@rule("FusedConv", "NhwcFusedConv", domain=MS, kind=Kind.CONV, shape=_conv_shape, roles=_WEIGHTS,
      example=Example((t(1, 3, 8, 8), t(4, 3, 3, 3), t(4), t(1, 4, 8, 8)), ((1, 4, 8, 8),),
                      Work(macs=4 * 64 * 27, vector_ops=512, gemm=Gemm(64, 4, 27), kind=Kind.CONV), _PADS))  # fmt: skip
def fused_conv(op: OpView) -> Work:
    """A convolution with bias, residual addition (input 3) and activation: one operation an output each."""
    extra = op.has(2) + op.has(3) + bool(op.attr("activation", ""))
    return conv_work(op, op.shape(0), op.shape(1), op.out_shape(), vector_ops=extra * op.out_elements())


def _blocked_shape(op: OpView) -> list[Out]:
    """NCHWc weights are padded to the block; groups see the padded channels."""
    data, weight = op.shape(0), op.shape(1)
    return [Out((data[0], weight[0], *window_output(op, data[2:], _kernel(op, weight))), op.dtype(0))]


@rule("Conv", domain=NCHWC, kind=Kind.CONV, shape=_blocked_shape, roles=_WEIGHTS,
      example=Example((t(1, 3, 8, 8), t(16, 3, 3, 3), t(16)), ((1, 16, 8, 8),),
                      Work(macs=16 * 64 * 27, vector_ops=1024, gemm=Gemm(64, 16, 27), kind=Kind.CONV), _PADS))  # fmt: skip
def blocked_conv(op: OpView) -> Work:
    """Onnxruntime's convolution in blocked layout, with bias, residual addition and activation fused."""
    return fused_conv(op)


def _nhwc_shape(op: OpView) -> list[Out]:
    data, weight = op.shape(0), op.shape(1)
    spatial = window_output(op, data[1:-1], _kernel(op, weight))
    return [Out((data[0], *spatial, weight[0]), op.dtype(0))]


@rule("NhwcConv", domain=MS, kind=Kind.CONV, shape=_nhwc_shape, roles=_WEIGHTS,
      example=Example((t(1, 8, 8, 3), t(4, 3, 3, 3)), ((1, 8, 8, 4),),
                      Work(macs=4 * 64 * 27, gemm=Gemm(64, 4, 27), kind=Kind.CONV), _PADS))  # fmt: skip
def nhwc_conv(op: OpView) -> Work:
    """A convolution over channels-last data; the weights keep the standard layout."""
    data, out = op.shape(0), op.out_shape()
    bias = op.out_elements() if op.has(2) else 0
    return conv_work(op, (data[0], data[-1], *data[1:-1]), op.shape(1), (out[0], out[-1], *out[1:-1]), vector_ops=bias)


@rule("ConvInteger", kind=Kind.CONV, shape=lambda op: [Out(_conv_out(op, op.shape(0), op.shape(1)), INT32)],
      roles={1: Input.WEIGHT, 2: Input.SCALE, 3: Input.SCALE},
      example=Example((t(1, 3, 8, 8, dtype="uint8"), t(4, 3, 3, 3, dtype="int8")), ((1, 4, 6, 6),),
                      Work(macs=4 * 36 * 27, gemm=Gemm(36, 4, 27), kind=Kind.CONV)))  # fmt: skip
def conv_integer(op: OpView) -> Work:
    """An integer convolution with 32-bit sums (ONNX ConvInteger-10)."""
    return conv_work(op, op.shape(0), op.shape(1), op.out_shape())


def _qlinear_out_dtype(op: OpView) -> DType:
    return op.dtype(7) if op.has(7) else op.dtype(0)


_QLINEAR_ROLES = {1: Input.SCALE, 2: Input.SCALE, 3: Input.WEIGHT, 4: Input.SCALE, 5: Input.SCALE, 6: Input.SCALE,
                  7: Input.SCALE, 8: Input.BIAS}  # fmt: skip
_QLINEAR_EXAMPLE = Example(
    (t(1, 3, 8, 8, dtype="uint8"), t(), t(dtype="uint8"), t(4, 3, 3, 3, dtype="int8"), t(), t(dtype="int8"), t(),
     t(dtype="uint8"), t(4, dtype="int32")), ((1, 4, 6, 6),),
    Work(macs=4 * 36 * 27, vector_ops=288, gemm=Gemm(36, 4, 27), kind=Kind.CONV))  # fmt: skip


def _qlinear_shape(op: OpView) -> list[Out]:
    return [Out(_conv_out(op, op.shape(0), op.shape(3)), _qlinear_out_dtype(op))]


@rule("QLinearConv", kind=Kind.CONV, shape=_qlinear_shape, roles=_QLINEAR_ROLES, example=_QLINEAR_EXAMPLE)
def qlinear_conv(op: OpView) -> Work:
    """A quantized convolution: bias and requantization are one operation an output each (ONNX QLinearConv-10)."""
    extra = (1 + op.has(8)) * op.out_elements()
    return conv_work(op, op.shape(0), op.shape(3), op.out_shape(), vector_ops=extra)


def _ms_qlinear_shape(op: OpView) -> list[Out]:
    if not op.attr("channels_last", 0):
        return _qlinear_shape(op)
    data, weight = op.shape(0), op.shape(3)
    return [Out((data[0], *window_output(op, data[1:-1], _kernel(op, weight)), weight[0]), _qlinear_out_dtype(op))]


@rule("QLinearConv", domain=MS, kind=Kind.CONV, shape=_ms_qlinear_shape, roles=_QLINEAR_ROLES, example=_QLINEAR_EXAMPLE)
def ms_qlinear_conv(op: OpView) -> Work:
    """Onnxruntime's QLinearConv, optionally over channels-last data."""
    if not op.attr("channels_last", 0):
        return qlinear_conv(op)
    data, out = op.shape(0), op.out_shape()
    extra = (1 + op.has(8)) * op.out_elements()
    return conv_work(op, (data[0], data[-1], *data[1:-1]), op.shape(3), (out[0], out[-1], *out[1:-1]), vector_ops=extra)


def _transpose_spatial(op: OpView, spatial: Shape, kernel: Shape) -> Shape:
    """Output size of a transposed convolution: stride·(in − 1) + output padding + dilated kernel − pads."""
    rank = len(spatial)
    strides = op.attr_ints("strides") or (1,) * rank
    dilations = op.attr_ints("dilations") or (1,) * rank
    extra = op.attr_ints("output_padding") or (0,) * rank
    pads = op.attr_ints("pads") or (0,) * 2 * rank
    given = op.attr_ints("output_shape")
    if given:
        return given[-rank:]
    if op.attr("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return tuple(size * stride for size, stride in zip(spatial, strides, strict=True))
    return tuple(
        strides[i] * (spatial[i] - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1 - pads[i] - pads[rank + i]
        for i in range(rank)
    )


def _conv_transpose_shape(op: OpView) -> list[Out]:
    data, weight = op.shape(0), op.shape(1)
    if len(data) != len(weight) or data[1] != weight[0]:
        raise ShapeError(f"a transposed convolution of {list(data)} with weights {list(weight)}")
    channels = weight[1] * op.attr("group", 1)
    return [Out((data[0], channels, *_transpose_spatial(op, data[2:], _kernel(op, weight))), op.dtype(0))]


@rule("ConvTranspose", kind=Kind.CONV, shape=_conv_transpose_shape, roles=_WEIGHTS,
      example=Example((t(1, 3, 4, 4), t(3, 5, 2, 2)), ((1, 5, 8, 8),),
                      Work(macs=48 * 20, gemm=Gemm(16, 20, 3), kind=Kind.CONV), {"strides": (2, 2)}))  # fmt: skip
def conv_transpose(op: OpView) -> Work:
    """Every input element is spread over (output channels / groups) · kernel volume MACs (ONNX ConvTranspose-22)."""
    data, weight, groups = op.shape(0), op.shape(1), op.attr("group", 1)
    spread = math.prod(weight[1:])
    gemm = Gemm(data[0] * math.prod(data[2:]), spread, data[1] // groups, groups)
    bias = op.out_elements() if op.has(2) else 0
    image = op.out_shape()[2:]
    spread_image = Window(image, image, weight[2:], (1,) * len(image))
    kind = conv_kind(data[1], weight[1] * groups, groups)
    return Work(macs=math.prod(data) * spread, vector_ops=bias, gemm=gemm, kind=kind, window=spread_image)


def _deform_shape(op: OpView) -> list[Out]:
    return [Out(_conv_out(op, op.shape(0), op.shape(1)), op.dtype(0))]


@rule("DeformConv", kind=Kind.CONV, shape=_deform_shape, roles={1: Input.WEIGHT, 3: Input.BIAS},
      example=Example((t(1, 2, 3, 3), t(4, 2, 2, 2), t(1, 8, 2, 2)), ((1, 4, 2, 2),),
                      Work(macs=4 * 4 * 8, vector_ops=8 * 32, gemm=Gemm(4, 4, 8), kind=Kind.CONV)))  # fmt: skip
def deform_conv(op: OpView) -> Work:
    """A convolution over samples at learned offsets; each sample is interpolated from four (8 operations)."""
    out, weight = op.out_shape(), op.shape(1)
    samples = out[0] * math.prod(out[2:]) * op.shape(0)[1] * math.prod(weight[2:])
    return conv_work(op, op.shape(0), weight, out, vector_ops=8 * samples)


@rule("CausalConvWithState", kind=Kind.DEPTHWISE_CONV, roles=_WEIGHTS,
      shape=lambda op: [Out(op.shape(0), op.dtype(0)), Out((*op.shape(0)[:2], op.shape(1)[-1] - 1), op.dtype(0))],
      example=Example((t(1, 4, 8), t(4, 1, 3), t(4)), ((1, 4, 8), (1, 4, 2)),
                      Work(macs=96, vector_ops=32, gemm=Gemm(8, 1, 3, 4))))  # fmt: skip
def causal_conv(op: OpView) -> Work:
    """A causal depthwise convolution along the last axis; the last k − 1 inputs are the next state."""
    batch, channels, *length = op.out_shape()
    k = op.shape(1)[-1]
    bias = op.out_elements() if op.has(2) else 0
    gemm = Gemm(batch * math.prod(length), 1, k, channels)
    return Work(macs=gemm.macs, vector_ops=bias, gemm=gemm)
