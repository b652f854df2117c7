"""Structured pruning and the width multiplier: counts from symbols, published networks, what is left alone."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.checked import check
from support.graphs import ints, loaded, model, node, value, weight

from simulator.api import load_model
from simulator.errors import UsageError
from simulator.model import Model
from simulator.transform import structure
from simulator.transform.change import CHANGES, change_of
from simulator.transform.groups import channel_groups
from simulator.transform.rounding import kept_channels, scaled_channels


def changed(network: Model, *changes: str) -> Model:
    graph = network.graph
    for text in changes:
        name, _, value_ = text.partition("=")
        graph = change_of(name).apply(graph, value_)
    check(graph)
    return Model(graph)


def chain() -> Model:
    """Image 3 × 8 × 8 → 16 → 32 channels, mean, 10 classes."""
    nodes = [
        node("Conv", "x w1 b1", "a", pads=[1] * 4, name="first"),
        node("Relu", "a", "r"),
        node("Conv", "r w2 b2", "c", pads=[1] * 4, name="second"),
        node("GlobalAveragePool", "c", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f w3 b3", "y", transB=1, name="last"),
    ]
    weights = [
        weight("w1", 16, 3, 3, 3), weight("b1", 16), weight("w2", 32, 16, 3, 3), weight("b2", 32),
        weight("w3", 10, 32), weight("b3", 10),
    ]  # fmt: skip
    return loaded(model(nodes, [value("x", 1, 3, 8, 8)], ["y"], weights))


def counts(one: int, two: int) -> tuple[int, int]:
    """Parameters and MACs of the chain with so many channels."""
    params = 27 * one + one + 9 * one * two + two + 10 * two + 10
    return params, 64 * (27 * one + 9 * one * two) + 10 * two


def of(network: Model) -> tuple[int, int]:
    return network.params, network.macs


def test_all_changes_of_structure_are_registered() -> None:
    assert set(structure.__all__) <= CHANGES.keys()
    assert all(change.help.endswith(".") and change.caveat and change.values for change in CHANGES.values())


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [
        ("channels=0", 16, 32),
        ("channels=0.5", 8, 16),
        ("channels=25%", 12, 24),
        ("channels=0.3", 11, 22),  # 11.2 and 22.4
        ("channels=0.3:divisor=8", 8, 24),
        ("channels=0.99", 1, 1),
        ("channels=0.99:divisor=4", 4, 4),
        ("channels=0.5@first", 8, 32),
        ("channels=0.5@sec*:divisor=5", 16, 15),
        ("width=0.75", 16, 24),  # 12 would be rounded to 16
        ("width=0.5", 8, 16),
        ("width=0.05", 8, 8),
        ("width=1", 16, 32),
        ("width=2", 32, 64),
        ("width=1.4@second", 16, 48),  # 44.8
    ],
)
def test_counts_of_a_chain(text: str, one: int, two: int) -> None:
    assert of(chain()) == counts(16, 32)
    assert of(changed(chain(), text)) == counts(one, two)


def test_nothing_removed_is_the_same_graph() -> None:
    network = chain()
    assert change_of("channels").apply(network.graph, "0") is network.graph


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channels=", "write channels=VALUE or channels=VALUE@PATTERN"),
        ("channels=0.5@", "write channels=VALUE or channels=VALUE@PATTERN"),
        ("channels=half", "channels=half: write a number from 0 to 0.99"),
        ("channels=1", "channels=1: must be from 0 to 0.99"),
        ("channels=-0.1", "must be from 0 to 0.99"),
        ("channels=nan", "must be from 0 to 0.99"),
        ("channels=0.5:divisor=0", "the divisor must be a whole number from 1"),
        ("channels=0.5:divisor=x", "the divisor must be a whole number from 1"),
        ("channels=0.5@frist", "'frist' fits no channels that could be changed.*; did you mean 'first'"),
        ("channels=0.5@last", "'last' fits no channels"),
        ("width=0", "must be from 0.05 to 8"),
        ("width=9", "must be from 0.05 to 8"),
        ("width=wide", "write a number from 0.05 to 8"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed(chain(), text)


def test_patterns_are_of_names_or_of_nodes_of_the_file() -> None:
    graph = chain().graph
    ops = tuple(replace(op, origin=("conv_of_the_file",)) if op.name == "second" else op for op in graph.ops)
    by_node = changed(Model(replace(graph, ops=ops)), "channels=0.5@conv_of*")
    assert by_node.params == changed(chain(), "channels=0.5@second").params < chain().params


def test_a_network_without_hidden_channels_is_refused() -> None:
    with pytest.raises(UsageError, match="the network has no channels that could be changed"):
        changed(load_model("gemm"), "width=0.5")


@pytest.mark.parametrize(
    ("channels", "share", "divisor", "kept"), [(10, 0.0, 8, 10), (10, 0.1, 8, 8), (3, 0.9, 8, 3), (7, 0.5, 1, 4)]
)
def test_channels_left(channels: int, share: float, divisor: int, kept: int) -> None:
    assert kept_channels(channels, share, divisor) == kept


@pytest.mark.parametrize(
    ("channels", "width", "scaled"), [(24, 0.5, 16), (4, 0.5, 4), (4, 1.0, 4), (12, 1.0, 12), (24, 1.4, 32), (7, 2, 16)]
)
def test_channels_scaled(channels: int, width: float, scaled: int) -> None:
    assert scaled_channels(channels, width) == scaled


# ---- against the catalogue and what is published -------------------------------------------------------------------


@pytest.mark.parametrize("width", ["0.25", "0.5", "0.75", "2"])
def test_mobilenet_v1_is_the_recipe_at_every_width(width: str) -> None:
    assert of(changed(load_model("mobilenet_v1"), f"width={width}")) == of(load_model(f"mobilenet_v1:width={width}"))


@pytest.mark.parametrize("width", ["2", "3"])
def test_mobilenet_v2_is_the_recipe_where_nothing_is_rounded(width: str) -> None:
    """Below 1 the recipe keeps its last convolution, and makes a block's hidden channels from rounded ones."""
    assert of(changed(load_model("mobilenet_v2"), f"width={width}")) == of(load_model(f"mobilenet_v2:width={width}"))


# tensorflow/models@02c04f49, research/slim/nets/mobilenet_v1.md; Keras for 0.75 at 224: million MACs, million parameters
SLIM = [
    ("0.75", 224, 325, 2.59), ("0.5", 224, 150, 1.34), ("0.5", 192, 110, 1.34), ("0.5", 160, 77, 1.34), ("0.5", 128, 49, 1.34),
    ("0.25", 224, 41, 0.47), ("0.25", 160, 21, 0.47),
]  # fmt: skip


@pytest.mark.parametrize(("width", "resolution", "macs", "params"), SLIM)
def test_mobilenet_v1_has_the_published_counts(width: str, resolution: int, macs: float, params: float) -> None:
    found = changed(load_model(f"mobilenet_v1:classes=1001,resolution={resolution}"), f"width={width}")
    assert found.macs / 1e6 == pytest.approx(macs, rel=0.012)
    assert found.params / 1e6 == pytest.approx(params, rel=0.007)


def test_a_wide_resnet_is_the_resnet_with_wider_bottlenecks() -> None:
    """Zagoruyko & Komodakis 2016; 68,883,240 parameters in torchvision."""
    found = changed(load_model("resnet50"), "width=2@layer*.conv[12]")
    assert of(found) == of(load_model("wide_resnet50_2"))
    assert found.params == 68_883_240


def test_a_resnext_is_the_resnet_with_wider_bottlenecks_in_groups() -> None:
    """Xie et al. 2017; 25,028,904 parameters in torchvision."""
    found = changed(load_model("resnet50"), "width=2@layer*.conv[12]", "grouped=32@layer*.conv2")
    assert of(found) == of(load_model("resnext50_32x4d"))
    assert found.params == 25_028_904


def test_resnet50_at_half_the_width() -> None:
    """All channels are multiples of 16 and halve exactly: every convolution but the first has a quarter of the MACs."""
    plain = load_model("resnet50")
    half = changed(plain, "width=0.5")
    stem, last = 112 * 112 * 64 * 147, 2048 * 1000
    assert half.macs == (plain.macs - stem - last) // 4 + stem // 2 + last // 2
    assert changed(plain, "channels=0.5").macs == half.macs


def test_groups_of_a_convolution_stay_as_many() -> None:
    half = changed(load_model("resnext50_32x4d"), "width=0.5").graph
    assert {op.attrs.get("group", 1) for op in half.ops if op.op_type == "Conv"} == {1, 32}


def test_heads_of_attention_stay() -> None:
    network = load_model("vit_b_32")
    groups = channel_groups(network.graph).groups
    assert {group.channels for group in groups} == {768, 3072}  # the stream and the hidden layers
    qkv = [g for g in groups if any(maker.endswith(".attention.qkv") for maker in g.makers)]
    assert qkv == []


# ---- single operators ----------------------------------------------------------------------------------------------


def shapes(network: Model) -> dict[str, tuple[int, ...] | None]:
    return {name: spec.shape for name, spec in network.graph.tensors.items()}


def test_split_and_concat_follow() -> None:
    nodes = [
        node("Conv", "x w", "a"), node("Split", "a sizes", "l r", axis=1), node("Relu", "l", "l2"),
        node("Concat", "r l2", "j", axis=1), node("Conv", "j v", "y"),
    ]  # fmt: skip
    weights = [weight("w", 12, 3, 1, 1), ints("sizes", 4, 8), weight("v", 2, 12, 1, 1)]
    found = shapes(changed(loaded(model(nodes, [value("x", 1, 3, 4, 4)], ["y"], weights)), "channels=0.5"))
    assert found["w"] == (6, 3, 1, 1)
    assert found["l"] == (1, 2, 4, 4)
    assert found["r"] == (1, 4, 4, 4)
    assert found["v"] == (2, 6, 1, 1)


def test_a_residual_sum_keeps_both_sides_alike() -> None:
    nodes = [node("Conv", "x w", "a"), node("Conv", "a u", "b", name="inner"), node("Add", "a b", "s"), node("Conv", "s v", "y")]
    weights = [weight("w", 8, 3, 1, 1), weight("u", 8, 8, 1, 1), weight("v", 2, 8, 1, 1)]
    found = shapes(changed(loaded(model(nodes, [value("x", 1, 3, 4, 4)], ["y"], weights)), "channels=0.5@inner"))
    assert (found["w"], found["u"], found["v"]) == ((4, 3, 1, 1), (4, 4, 1, 1), (2, 4, 1, 1))


def test_a_depthwise_multiplier_stays() -> None:
    nodes = [node("Conv", "x w", "a"), node("Conv", "a d", "b", group=8), node("Conv", "b v", "y")]
    weights = [weight("w", 8, 3, 1, 1), weight("d", 16, 1, 3, 3), weight("v", 2, 16, 1, 1)]
    found = changed(loaded(model(nodes, [value("x", 1, 3, 4, 4)], ["y"], weights)), "channels=0.5")
    assert (shapes(found)["d"], shapes(found)["v"]) == ((8, 1, 3, 3), (2, 8, 1, 1))
    assert found.graph.ops[1].attrs["group"] == 4


def test_a_transposed_convolution_has_its_filters_second() -> None:
    nodes = [node("Conv", "x w", "a"), node("ConvTranspose", "a u b", "c"), node("Conv", "c v", "y")]
    weights = [weight("w", 8, 3, 1, 1), weight("u", 8, 6, 2, 2), weight("b", 6), weight("v", 2, 6, 1, 1)]
    found = shapes(changed(loaded(model(nodes, [value("x", 1, 3, 4, 4)], ["y"], weights)), "channels=0.5"))
    assert (found["u"], found["b"], found["v"]) == ((4, 3, 2, 2), (3,), (2, 3, 1, 1))


@pytest.mark.parametrize(
    "between",
    [
        [node("Pad", "a pads", "b")],  # channels grow
        [node("Slice", "a one four axis", "b")],
        [node("DepthToSpace", "a", "b", blocksize=2)],
        [node("TopK", "a one", "b i", axis=1)],
        [node("Transpose", "a", "t", perm=[0, 1, 3, 2]), node("MatMul", "a t", "b")],
    ],
)
def test_what_cannot_be_followed_stays(between: list[onnx.NodeProto]) -> None:
    nodes = [node("Conv", "x w", "a", name="first"), *between]
    weights = [
        weight("w", 8, 3, 1, 1), ints("pads", 0, 2, 0, 0, 0, 0, 0, 0), ints("one", 1), ints("four", 4), ints("axis", 1),
    ]  # fmt: skip
    network = loaded(model([*nodes, node("Relu", "b", "y")], [value("x", 1, 3, 4, 4)], ["y"], weights))
    with pytest.raises(UsageError, match="the network has no channels that could be changed"):
        changed(network, "channels=0.5")


def test_a_tied_table_changes_once() -> None:
    """The embedding is the last layer, transposed: rows stay, entries shrink on both sides."""
    nodes = [
        node("Gather", "table ids", "e"), node("MatMul", "e w", "h"), node("Relu", "h", "r"), node("MatMul", "r v", "g"),
        node("Add", "e g", "s"), node("Transpose", "table", "turned", perm=[1, 0]), node("MatMul", "s turned", "y"),
    ]  # fmt: skip
    weights = [weight("table", 100, 16), weight("w", 16, 64), weight("v", 64, 16)]
    network = loaded(model(nodes, [value("ids", 1, 5, dtype=7)], ["y"], weights))
    found = changed(network, "channels=0.5")
    assert shapes(found)["table"] == (100, 8)
    assert found.params == 100 * 8 + 2 * 8 * 32


def test_values_of_changed_weights_are_forgotten() -> None:
    nodes = [node("Conv", "x w b", "a"), node("Relu", "a", "r"), node("Conv", "r v", "y")]
    weights = [weight("w", 8, 3, 1, 1), numpy_helper.from_array(np.ones(8, np.float32), "b"), weight("v", 2, 8, 1, 1)]
    found = changed(loaded(model(nodes, [value("x", 1, 3, 4, 4)], ["y"], weights)), "channels=0.5").graph
    assert found.tensors["b"].shape == (4,)
    assert "b" not in found.values
