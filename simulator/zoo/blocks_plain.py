"""Single layers as rows of a table."""

from typing import Literal

from simulator.errors import UsageError
from simulator.zoo import layers
from simulator.zoo.blocks import block
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.layers import Pair
from simulator.zoo.style import Activation

Scale = Literal["width", "up", "never"]


def scaled(net: GraphBuilder, channels: int, scale: Scale) -> int:
    """Channels of a row under the width multiplier: `up` never narrows, `never` takes the table's number."""
    if scale == "never":
        return channels
    return net.style.scaled_up(channels) if scale == "up" else net.style.scaled(channels)


@block("conv")
def conv(
    net: GraphBuilder, x: Tensor, name: str, *, channels: int, kernel: Pair = 1, stride: Pair = 1,
    padding: Pair | None = None, groups: int = 1, norm: bool = True, bias: bool | None = None,
    act: Activation | None = None, scale: Scale = "width",
) -> Tensor:  # fmt: skip
    """Convolution, batch norm, activation; without norm it has a bias, unless `bias` says otherwise."""
    channels = scaled(net, channels, scale)
    bias = not norm if bias is None else bias
    append = layers.conv_norm if norm else layers.conv
    x = append(net, x, name, channels, kernel=kernel, stride=stride, padding=padding, groups=groups, bias=bias)
    return layers.activation(net, x, f"{name}.act", act)


@block("conv_stage")
def conv_stage(net: GraphBuilder, x: Tensor, name: str, *, channels: int, repeat: int, norm: bool, kernel: int = 3) -> Tensor:
    """`repeat` convolutions with bias and ReLU, and one 2 × 2 max pool (VGG)."""
    for i in range(1, repeat + 1):
        x = conv(net, x, f"{name}.conv{i}", channels=channels, kernel=kernel, norm=norm, bias=True)
    return layers.max_pool(net, x, f"{name}.pool", 2, 2)


@block("batch_norm")
def batch_norm(net: GraphBuilder, x: Tensor, name: str, *, act: Activation = "none") -> Tensor:
    """Batch norm on its own, and activation."""
    return layers.activation(net, layers.batch_norm(net, x, name), f"{name}.act", act)


@block("max_pool")
def max_pool(
    net: GraphBuilder, x: Tensor, name: str, *, kernel: int, stride: int, padding: int | None = 0, ceil: bool = False
) -> Tensor:
    """Maximum over a window."""
    return layers.max_pool(net, x, name, kernel, stride, padding, ceil)


@block("adaptive_pool")
def adaptive_pool(net: GraphBuilder, x: Tensor, name: str, *, size: int) -> Tensor:
    """Mean pool to `size` × `size`; nothing to do where the map has that size already."""
    height, width = x.shape[2:]
    if (height, width) == (size, size):
        return x
    if height % size or width % size:
        raise UsageError(f"{net.name}: '{name}' pools {height}x{width} to {size}x{size}: pick a resolution it divides")
    kernel = [height // size, width // size]
    return layers.avg_pool(net, x, name, kernel, kernel)


@block("global_pool")
def global_pool(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Mean of each channel, then a row of features an image."""
    return layers.flatten(net, layers.global_pool(net, x, name), f"{name}.flatten")


@block("flatten")
def flatten(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """One row of features an image."""
    return layers.flatten(net, x, name)


@block("linear")
def linear(
    net: GraphBuilder, x: Tensor, name: str, *, features: int, bias: bool = True, act: Activation = "none",
    scale: Scale = "never",
) -> Tensor:  # fmt: skip
    """Fully connected layer on rows, and activation; a folded batch norm sits in weight and bias."""
    x = layers.gemm(net, x, name, scaled(net, features, scale), bias)
    return layers.activation(net, x, f"{name}.act", act)


@block("matmul")
def matmul(net: GraphBuilder, x: Tensor, name: str, *, features: int) -> Tensor:
    """A bare product with a weight on the last axis."""
    weight = net.weight(f"{name}.weight", (x.shape[-1], features))
    return layers.matmul(net, x, weight, name)
