"""The builder, the layers and the registry of blocks."""

import pytest

from simulator.errors import ModelError, ShapeError
from simulator.transform.rounding import make_divisible
from simulator.zoo import layers
from simulator.zoo.blocks import block, find_block
from simulator.zoo.builder import GraphBuilder
from simulator.zoo.style import Style


@pytest.fixture
def net():
    return GraphBuilder("net", Style())


@pytest.mark.parametrize(
    ("value", "divisor", "expected"),
    [(32 * 0.35, 8, 16), (32 * 1.4, 8, 48), (24 * 1.3, 8, 32), (1.0, 8, 8), (57.5, 1, 58)],
)
def test_make_divisible_never_loses_more_than_a_tenth(value, divisor, expected):
    assert make_divisible(value, divisor) == expected


def test_scaling_of_a_style():
    style = Style(width=0.5, depth=1.1, divisor=8)
    assert (style.scaled(32), style.scaled_up(1280), style.repeated(3)) == (16, 1280, 4)
    assert Style(width=0.3).scaled(33) == 9


def test_same_padding_is_tensorflows():
    """DS-CNN: 49 x 10 under a 10 x 4 kernel of stride 2 gives 25 x 5, the odd row of padding at the end."""
    net = GraphBuilder("net", Style(padding="same"))
    y = layers.conv(net, net.input("input", (1, 1, 49, 10)), "conv", 64, kernel=[10, 4], stride=2)
    assert y.shape == (1, 64, 25, 5)
    node = net.finish(y, {}).graph.node[-1]
    assert next(list(a.ints) for a in node.attribute if a.name == "pads") == [4, 1, 5, 1]


@pytest.mark.parametrize(("size", "ceil", "expected"), [(109, False, 54), (109, True, 54), (56, False, 27), (56, True, 28)])
def test_pools_round_down_or_up(net, size, ceil, expected):
    assert layers.max_pool(net, net.input("input", (1, 1, size, size)), "pool", 3, 2, ceil=ceil).shape[2] == expected


def test_equal_constants_share_a_node(net):
    assert net.constant([1, 2]).name == net.constant([1, 2]).name
    assert net.constant([1, 2]).name != net.constant([1, 2], dtype="float32").name
    assert net.scalar(6.0).shape == ()


def test_groups_must_divide(net):
    with pytest.raises(ShapeError, match="cannot split 4 → 6 channels into 4 groups"):
        layers.conv(net, net.input("input", (1, 4, 8, 8)), "conv", 6, groups=4)


def test_a_layer_without_output_is_named(net):
    x = net.input("input", (1, 3, 4, 4))
    with pytest.raises(ShapeError, match="net: the output of 'conv' would be empty; the input is too small"):
        layers.conv(net, x, "conv", 8, kernel=5, padding=0)


def test_output_must_come_last(net):
    x = layers.flatten(net, net.input("input", (1, 4)), "a")
    layers.flatten(net, x, "b")
    with pytest.raises(ShapeError, match="not made by its last node 'b'"):
        net.finish(x, {})


def test_a_kernel_is_a_number_or_a_pair(net):
    with pytest.raises(ShapeError, match="not a number or a pair"):
        layers.conv(net, net.input("input", (1, 4, 8, 8)), "conv", 4, kernel=[1, 2, 3])


def test_kinds_are_registered_once():
    with pytest.raises(ValueError, match="two blocks are called 'linear'"):
        block("linear")(find_block("linear").function)


def test_unknown_block_is_refused():
    with pytest.raises(ModelError, match="no block 'fires'; did you mean 'fire'"):
        find_block("fires")
