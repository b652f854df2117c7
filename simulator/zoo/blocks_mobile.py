"""Depthwise networks: MobileNet v1 to v3, MnasNet, EfficientNet and its EdgeTPU variant."""

from typing import Literal

from simulator.errors import ModelError
from simulator.transform.rounding import make_divisible
from simulator.zoo import layers
from simulator.zoo.blocks import block, units
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.layers import conv_norm
from simulator.zoo.style import Activation, Strict


class Squeeze(Strict):
    """Squeeze and excitation: a quarter (`ratio`) of the block's input or of its expanded channels, two activations."""

    of: Literal["input", "hidden"]
    ratio: int = 4
    divisor: int = 1
    act: Activation
    gate: Activation

    def channels(self, x: Tensor, hidden: int) -> int:
        """Width of the squeezed layer."""
        width = (x.channels if self.of == "input" else hidden) // self.ratio
        return max(1, width if self.divisor == 1 else make_divisible(width, self.divisor))


@block("separable")
def separable(
    net: GraphBuilder, x: Tensor, name: str, *, channels: int, kernel: int = 3, stride: int = 1, repeat: int = 1,
    act: Activation | None = None,
) -> Tensor:  # fmt: skip
    """Depthwise and 1 × 1 convolution, each with norm and activation (Howard et al. 2017)."""
    for unit, step in units(name, repeat, stride):
        x = conv_norm(net, x, f"{unit}.depthwise", x.channels, kernel=kernel, stride=step, groups=x.channels, act=act)
        x = conv_norm(net, x, f"{unit}.pointwise", net.style.scaled(channels), act=act)
    return x


@block("inverted_residual")
def inverted_residual(
    net: GraphBuilder, x: Tensor, name: str, *, channels: int, expand: float | None = None, hidden: int | None = None,
    kernel: int = 3, stride: int = 1, repeat: int = 1, act: Activation | None = None, squeeze: Squeeze | None = None,
) -> Tensor:  # fmt: skip
    """Expand, depthwise, squeeze, project (Sandler et al. 2018); `expand` times the input or `hidden` channels."""
    out = net.style.scaled(channels)
    for unit, step in units(name, net.style.repeated(repeat), stride):
        inner = _hidden(net, x, name, expand, hidden)
        y = conv_norm(net, x, f"{unit}.expand", inner, act=act) if inner != x.channels else x
        y = conv_norm(net, y, f"{unit}.depthwise", inner, kernel=kernel, stride=step, groups=inner, act=act)
        if squeeze is not None:
            y = _squeeze_excite(net, y, f"{unit}.se", squeeze.channels(x, inner), squeeze)
        y = conv_norm(net, y, f"{unit}.project", out)
        x = layers.add(net, y, x, f"{unit}.add") if y.shape == x.shape and step == 1 else y
    return x


@block("edge_residual")
def edge_residual(
    net: GraphBuilder, x: Tensor, name: str, *, channels: int, expand: int, expand_from: int | None = None,
    kernel: int = 3, stride: int = 1, repeat: int = 1, act: Activation | None = None, skip: bool = True,
) -> Tensor:  # fmt: skip
    """A full convolution that expands and a 1 × 1 that projects (Gupta & Tan 2019, EfficientNet-EdgeTPU)."""
    for unit, step in units(name, repeat, stride):
        inner = (expand_from or x.channels) * expand
        y = conv_norm(net, x, f"{unit}.expand", inner, kernel=kernel, stride=step, act=act)
        y = conv_norm(net, y, f"{unit}.project", channels)
        x = layers.add(net, y, x, f"{unit}.add") if skip and y.shape == x.shape and step == 1 else y
    return x


def _hidden(net: GraphBuilder, x: Tensor, name: str, expand: float | None, hidden: int | None) -> int:
    """Expanded channels of a unit, from the factor or from the table's own number."""
    if hidden is not None and expand is None:
        return net.style.scaled(hidden)
    if expand is not None and hidden is None:
        return round(x.channels * expand)
    raise ModelError(f"{net.name}: block '{name}' needs one of 'expand' and 'hidden'")


def _squeeze_excite(net: GraphBuilder, x: Tensor, name: str, squeezed: int, squeeze: Squeeze) -> Tensor:
    """Channels weighted by two 1 × 1 convolutions on their means (Hu et al. 2018)."""
    y = layers.global_pool(net, x, f"{name}.pool")
    y = layers.conv(net, y, f"{name}.fc1", squeezed, bias=True)
    y = layers.activation(net, y, f"{name}.act", squeeze.act)
    y = layers.conv(net, y, f"{name}.fc2", x.channels, bias=True)
    y = layers.activation(net, y, f"{name}.gate", squeeze.gate)
    return layers.mul(net, x, y, f"{name}.mul")
