"""Residual networks: He et al. 2016 (arXiv:1512.03385), Xie et al. 2017, Zagoruyko & Komodakis 2016."""

from typing import Literal

from simulator.zoo import layers
from simulator.zoo.blocks import block, units
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.layers import conv_norm
from simulator.zoo.style import Strict

BOTTLENECK_EXPANSION = 4


class Unit(Strict):
    """A residual unit; a bottleneck may have groups (ResNeXt) and another width per 64 planes (Wide ResNet)."""

    kind: Literal["basic", "bottleneck"]
    groups: int = 1
    base_width: int = 64


@block("residual_stage")
def residual_stage(net: GraphBuilder, x: Tensor, name: str, *, unit: Unit, channels: int, repeat: int, stride: int = 1) -> Tensor:
    """`repeat` residual units, the first with the stride; `channels` are the planes before the expansion."""
    out = channels * (BOTTLENECK_EXPANSION if unit.kind == "bottleneck" else 1)
    inner = channels * unit.base_width // 64 * unit.groups
    for part, step in units(name, repeat, stride):
        if unit.kind == "bottleneck":
            y = _bottleneck(net, x, part, (inner, out), step, unit.groups)
        else:
            y = _basic(net, x, part, out, step)
        y = layers.add(net, y, _shortcut(net, x, f"{part}.downsample", out, step), f"{part}.add")
        x = layers.activation(net, y, f"{part}.relu", "relu")
    return x


def _basic(net: GraphBuilder, x: Tensor, name: str, channels: int, stride: int) -> Tensor:
    """Two 3 × 3 convolutions."""
    y = conv_norm(net, x, f"{name}.conv1", channels, kernel=3, stride=stride, act="relu")
    return conv_norm(net, y, f"{name}.conv2", channels, kernel=3)


def _bottleneck(net: GraphBuilder, x: Tensor, name: str, channels: tuple[int, int], stride: int, groups: int) -> Tensor:
    """1 × 1, 3 × 3, 1 × 1; the stride lies on the 3 × 3 convolution, as torchvision has it (v1.5)."""
    inner, out = channels
    y = conv_norm(net, x, f"{name}.conv1", inner, act="relu")
    y = conv_norm(net, y, f"{name}.conv2", inner, kernel=3, stride=stride, groups=groups, act="relu")
    return conv_norm(net, y, f"{name}.conv3", out)


def _shortcut(net: GraphBuilder, x: Tensor, name: str, channels: int, stride: int) -> Tensor:
    """The input itself, or a 1 × 1 projection where its shape changes."""
    if stride == 1 and x.channels == channels:
        return x
    return conv_norm(net, x, name, channels, stride=stride)
