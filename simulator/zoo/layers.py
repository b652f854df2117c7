"""The layers networks are made of: functions from builder and tensors to a tensor, one or a few nodes each."""

import math
from collections.abc import Callable, Mapping, Sequence

from simulator.errors import ShapeError
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.style import Activation

Pair = int | list[int]


def pair(value: Pair) -> tuple[int, int]:
    """A height and a width from one number or from two."""
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise ShapeError(f"{value} is not a number or a pair of numbers")
    return value[0], value[1]


def _margins(size: int, kernel: int, stride: int, padding: int | None, style: str) -> tuple[int, int]:
    """Padding before and after one axis: as given, half the kernel, or TensorFlow's `same`."""
    if padding is not None:
        return padding, padding
    if style == "symmetric":
        return (kernel - 1) // 2, (kernel - 1) // 2
    total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def _window(
    net: GraphBuilder, x: Tensor, kernel: Pair, stride: Pair, padding: Pair | None, ceil: bool = False
) -> tuple[tuple[int, ...], dict[str, object]]:
    """Spatial output shape and the ONNX attributes of a sliding window."""
    kernels, strides = pair(kernel), pair(stride)
    given = (None, None) if padding is None else pair(padding)
    margins = [_margins(n, k, s, p, net.style.padding) for n, k, s, p in zip(x.shape[2:], kernels, strides, given, strict=True)]
    steps = [
        (n + sum(m) - k + (s - 1 if ceil else 0)) // s for n, m, k, s in zip(x.shape[2:], margins, kernels, strides, strict=True)
    ]
    pads = [m[0] for m in margins] + [m[1] for m in margins]
    return tuple(n + 1 for n in steps), {"kernel_shape": kernels, "strides": strides, "pads": pads}


def conv(
    net: GraphBuilder, x: Tensor, name: str, channels: int, *, kernel: Pair = 1, stride: Pair = 1,
    padding: Pair | None = None, groups: int = 1, bias: bool = False,
) -> Tensor:  # fmt: skip
    """Convolution of a feature map, NCHW."""
    if x.channels % groups or channels % groups:
        raise ShapeError(f"{net.name}: '{name}' cannot split {x.channels} → {channels} channels into {groups} groups")
    spatial, attributes = _window(net, x, kernel, stride, padding)
    parts = [x, net.weight(f"{name}.weight", (channels, x.channels // groups, *pair(kernel)))]
    if bias:
        parts.append(net.weight(f"{name}.bias", (channels,)))
    return net.node("Conv", parts, name, (x.shape[0], channels, *spatial), group=groups, **attributes)


def batch_norm(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Batch normalisation with learned scale and shift and running statistics."""
    parts = ("weight", "bias", "running_mean", "running_var")
    tensors = [net.weight(f"{name}.{part}", (x.channels,)) for part in parts]
    return net.node("BatchNormalization", [x, *tensors], name, x.shape, epsilon=net.style.epsilon)


def conv_norm(
    net: GraphBuilder, x: Tensor, name: str, channels: int, *, kernel: Pair = 1, stride: Pair = 1,
    padding: Pair | None = None, groups: int = 1, bias: bool = False, act: Activation | None = "none",
) -> Tensor:  # fmt: skip
    """Convolution, batch norm (or the bias it folds into) and activation; `None` is the network's own."""
    folded = net.style.norm == "folded"
    x = conv(net, x, name, channels, kernel=kernel, stride=stride, padding=padding, groups=groups, bias=bias or folded)
    if not folded:
        x = batch_norm(net, x, f"{name}.bn")
    return activation(net, x, f"{name}.act", act)


def _relu6(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return net.node("Clip", [x, net.scalar(0.0), net.scalar(6.0)], name, x.shape)


def _silu(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    gate = net.node("Sigmoid", [x], f"{name}.sigmoid", x.shape)
    return net.node("Mul", [x, gate], name, x.shape)


def _gelu(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """X / 2 · (1 + erf(x / √2)), in the nodes exporters write below opset 20."""
    y = net.node("Div", [x, net.scalar(math.sqrt(2))], f"{name}.div", x.shape)
    y = net.node("Erf", [y], f"{name}.erf", x.shape)
    y = net.node("Add", [y, net.scalar(1.0)], f"{name}.add", x.shape)
    y = net.node("Mul", [x, y], f"{name}.mul", x.shape)
    return net.node("Mul", [y, net.scalar(0.5)], name, x.shape)


def _single(op_type: str, **attributes: float) -> Callable[[GraphBuilder, Tensor, str], Tensor]:
    """An activation that is one operator."""
    return lambda net, x, name: net.node(op_type, [x], name, x.shape, **attributes)


_ACTIVATIONS: Mapping[Activation, Callable[[GraphBuilder, Tensor, str], Tensor]] = {
    "none": lambda _net, x, _name: x,
    "relu": _single("Relu"),
    "relu6": _relu6,
    "hard_swish": _single("HardSwish"),
    "hard_sigmoid": _single("HardSigmoid", alpha=1 / 6, beta=0.5),
    "silu": _silu,
    "sigmoid": _single("Sigmoid"),
    "gelu": _gelu,
    "tanh": _single("Tanh"),
}


def activation(net: GraphBuilder, x: Tensor, name: str, kind: Activation | None) -> Tensor:
    """An elementwise non-linearity; `None` is the network's own."""
    return _ACTIVATIONS[kind or net.style.act](net, x, name)


def max_pool(
    net: GraphBuilder, x: Tensor, name: str, kernel: int, stride: int, padding: int | None = 0, ceil: bool = False
) -> Tensor:
    """Maximum over a sliding window."""
    spatial, attributes = _window(net, x, kernel, stride, padding, ceil)
    return net.node("MaxPool", [x], name, (*x.shape[:2], *spatial), ceil_mode=int(ceil), **attributes)


def avg_pool(net: GraphBuilder, x: Tensor, name: str, kernel: Pair, stride: Pair, padding: Pair | None = 0) -> Tensor:
    """Mean over a sliding window, padding counted in."""
    spatial, attributes = _window(net, x, kernel, stride, padding)
    return net.node("AveragePool", [x], name, (*x.shape[:2], *spatial), count_include_pad=1, **attributes)


def global_pool(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Mean of each channel, kept as a 1 × 1 map."""
    return net.node("GlobalAveragePool", [x], name, (*x.shape[:2], 1, 1))


def flatten(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """All axes after the first as one."""
    return net.node("Flatten", [x], name, (x.shape[0], math.prod(x.shape[1:])), axis=1)


def gemm(net: GraphBuilder, x: Tensor, name: str, features: int, bias: bool = True) -> Tensor:
    """Fully connected layer on rows: one Gemm."""
    parts = [x, net.weight(f"{name}.weight", (features, x.shape[1]))]
    if bias:
        parts.append(net.weight(f"{name}.bias", (features,)))
    return net.node("Gemm", parts, name, (x.shape[0], features), transB=1)


def linear(net: GraphBuilder, x: Tensor, name: str, features: int) -> Tensor:
    """Fully connected layer on the last axis of a sequence: MatMul and Add, as exporters write it."""
    shape = (*x.shape[:-1], features)
    y = net.node("MatMul", [x, net.weight(f"{name}.weight", (x.shape[-1], features))], name, shape)
    return net.node("Add", [y, net.weight(f"{name}.bias", (features,))], f"{name}.add", shape)


def matmul(net: GraphBuilder, a: Tensor, b: Tensor, name: str) -> Tensor:
    """Product of the last two axes of two activations; the leading axes are equal."""
    return net.node("MatMul", [a, b], name, (*a.shape[:-1], b.shape[-1]))


def layer_norm(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Layer normalisation over the last axis."""
    scale, shift = (net.weight(f"{name}.{part}", (x.shape[-1],)) for part in ("weight", "bias"))
    return net.node("LayerNormalization", [x, scale, shift], name, x.shape, axis=-1, epsilon=net.style.epsilon)


def add(net: GraphBuilder, a: Tensor, b: Tensor, name: str) -> Tensor:
    """Elementwise sum, `b` broadcast to `a`."""
    return net.node("Add", [a, b], name, a.shape)


def mul(net: GraphBuilder, a: Tensor, b: Tensor, name: str) -> Tensor:
    """Elementwise product, `b` broadcast to `a`."""
    return net.node("Mul", [a, b], name, a.shape)


def concat(net: GraphBuilder, tensors: Sequence[Tensor], name: str, axis: int = 1) -> Tensor:
    """Tensors side by side along an axis."""
    first = tensors[0].shape
    shape = (*first[:axis], sum(t.shape[axis] for t in tensors), *first[axis + 1 :])
    return net.node("Concat", tensors, name, shape, axis=axis)


def split(net: GraphBuilder, x: Tensor, name: str, parts: int, axis: int) -> list[Tensor]:
    """Equal parts along an axis."""
    size = x.shape[axis] // parts
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return net.node_many("Split", [x, net.constant([size] * parts)], name, [shape] * parts, axis=axis)


def reshape(net: GraphBuilder, x: Tensor, name: str, shape: Sequence[int]) -> Tensor:
    """A view of other axes; 0 keeps an axis and one -1 takes the rest, so that a graph holds for every batch."""
    dims = [x.shape[i] if dim == 0 else dim for i, dim in enumerate(shape)]
    rest = math.prod(x.shape) // math.prod(dim for dim in dims if dim != -1)
    full = tuple(rest if dim == -1 else dim for dim in dims)
    return net.node("Reshape", [x, net.constant(shape)], name, full)


def transpose(net: GraphBuilder, x: Tensor, name: str, axes: Sequence[int]) -> Tensor:
    """Axes in another order."""
    return net.node("Transpose", [x], name, tuple(x.shape[axis] for axis in axes), perm=list(axes))
