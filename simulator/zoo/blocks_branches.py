"""Networks whose units branch and join by concatenation: DenseNet, SqueezeNet, ShuffleNet."""

from simulator.zoo import layers
from simulator.zoo.blocks import block, units
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.layers import conv_norm

SHUFFLE_V1_BOTTLENECK = 4  # a unit's inner channels are a quarter of its outputs


def _norm_relu(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Batch norm and ReLU before a convolution."""
    return layers.activation(net, layers.batch_norm(net, x, name), f"{name}.act", "relu")


@block("dense")
def dense(net: GraphBuilder, x: Tensor, name: str, *, growth: int, repeat: int, bottleneck: int = 4) -> Tensor:
    """`repeat` layers that each append `growth` channels to all before (Huang et al. 2017)."""
    features = [x]
    for unit, _ in units(name, repeat, 1):
        y = layers.concat(net, features, f"{unit}.concat") if len(features) > 1 else x
        y = layers.conv(net, _norm_relu(net, y, f"{unit}.norm1"), f"{unit}.conv1", bottleneck * growth)
        y = layers.conv(net, _norm_relu(net, y, f"{unit}.norm2"), f"{unit}.conv2", growth, kernel=3)
        features.append(y)
    return layers.concat(net, features, f"{name}.concat")


@block("dense_transition")
def dense_transition(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Half of the channels, half of the size."""
    x = layers.conv(net, _norm_relu(net, x, f"{name}.norm"), f"{name}.conv", x.channels // 2)
    return layers.avg_pool(net, x, f"{name}.pool", 2, 2)


@block("fire")
def fire(net: GraphBuilder, x: Tensor, name: str, *, squeeze: int, expand: int) -> Tensor:
    """A 1 × 1 squeeze, then 1 × 1 and 3 × 3 expansions side by side (Iandola et al. 2016)."""
    x = layers.conv(net, x, f"{name}.squeeze", squeeze, bias=True)
    x = layers.activation(net, x, f"{name}.squeeze.act", "relu")
    branches = [
        layers.activation(
            net, layers.conv(net, x, f"{name}.{part}", expand, kernel=kernel, bias=True), f"{name}.{part}.act", "relu"
        )
        for part, kernel in (("expand1x1", 1), ("expand3x3", 3))
    ]
    return layers.concat(net, branches, f"{name}.concat")


@block("shuffle_v2")
def shuffle_v2(net: GraphBuilder, x: Tensor, name: str, *, channels: int, repeat: int) -> Tensor:
    """A stage whose first unit strides and doubles, the others convolve half of the channels (Ma et al. 2018)."""
    half = channels // 2
    for unit, stride in units(name, repeat, 2):
        if stride == 1:
            left, right = layers.split(net, x, f"{unit}.split", 2, axis=1)
        else:
            left = _depthwise(net, x, f"{unit}.left.depthwise", stride)
            left, right = conv_norm(net, left, f"{unit}.left.pointwise", half, act="relu"), x
        right = conv_norm(net, right, f"{unit}.right.pointwise1", half, act="relu")
        right = _depthwise(net, right, f"{unit}.right.depthwise", stride)
        right = conv_norm(net, right, f"{unit}.right.pointwise2", half, act="relu")
        x = _shuffle(net, layers.concat(net, [left, right], f"{unit}.concat"), f"{unit}.shuffle", 2)
    return x


@block("shuffle_v1")
def shuffle_v1(
    net: GraphBuilder, x: Tensor, name: str, *, channels: int, repeat: int, groups: int, first_groups: int | None = None
) -> Tensor:
    """Grouped bottlenecks; the first unit pools its input and appends to it, the others add (Zhang et al. 2018)."""
    inner = channels // SHUFFLE_V1_BOTTLENECK
    for unit, stride in units(name, repeat, 2):
        out = channels - x.channels if stride == 2 else channels
        squeeze = first_groups or groups if stride == 2 else groups
        y = conv_norm(net, x, f"{unit}.squeeze", inner, groups=squeeze, act="relu")
        y = _shuffle(net, y, f"{unit}.shuffle", groups) if groups > 1 else y
        y = _depthwise(net, y, f"{unit}.depthwise", stride)
        y = conv_norm(net, y, f"{unit}.expand", out, groups=groups)
        if stride == 2:
            pooled = layers.avg_pool(net, x, f"{unit}.pool", 3, 2, 1)
            y = layers.concat(net, [pooled, y], f"{unit}.concat")
        else:
            y = layers.add(net, y, x, f"{unit}.add")
        x = layers.activation(net, y, f"{unit}.act", "relu")
    return x


def _depthwise(net: GraphBuilder, x: Tensor, name: str, stride: int) -> Tensor:
    """3 × 3 depthwise convolution and norm."""
    return conv_norm(net, x, name, x.channels, kernel=3, stride=stride, groups=x.channels)


def _shuffle(net: GraphBuilder, x: Tensor, name: str, groups: int) -> Tensor:
    """Channels dealt out of their groups in turn."""
    channels, height, width = x.shape[1:]
    x = layers.reshape(net, x, f"{name}.split", [0, groups, channels // groups, height, width])
    x = layers.transpose(net, x, f"{name}.transpose", [0, 2, 1, 3, 4])
    return layers.reshape(net, x, f"{name}.merge", [0, channels, height, width])
