"""Layers replaced by others: each by its closed form, and all else as it was."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from support.checked import check, onnx_shapes
from support.graphs import loaded, model, node, value, weight

from simulator.api import load_model
from simulator.errors import UsageError
from simulator.graph.types import Role
from simulator.kernels.operators import work_of
from simulator.model import Model
from simulator.transform import structure
from simulator.transform.change import change_of

assert structure


def changed(network: Model, text: str) -> Model:
    name, _, value_ = text.partition("=")
    graph = change_of(name).apply(network.graph, value_)
    check(graph)
    for tensor, spec in network.graph.tensors.items():
        if spec.role is not Role.WEIGHT:
            assert graph.tensors[tensor] == spec  # boundaries keep their names, shapes and types
    for tensor, shape in onnx_shapes(graph).items():
        assert graph.tensors[tensor].shape == shape
    return Model(graph)


def macs_by_op(network: Model) -> Mapping[str, int]:
    return {op.name: work_of(network.graph, op).macs for op in network.graph.ops}


def convolution(depth: int, filters: int, kernel: int, *, bias: bool = True, stride: int = 1, groups: int = 1) -> Model:
    """A 1 × 1 convolution, the one in question on 16 × 16, and a 1 × 1 one behind it."""
    nodes = [
        node("Conv", "x before", "a", name="before"),
        node("Conv", "a w b" if bias else "a w", "c", name="conv", pads=[kernel // 2] * 4, strides=[stride] * 2, group=groups),
        node("Conv", "c after", "y", name="after"),
    ]
    weights = [
        weight("before", depth, 3, 1, 1), weight("w", filters, depth // groups, kernel, kernel), weight("b", filters),
        weight("after", 5, filters, 1, 1),
    ]  # fmt: skip
    return loaded(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], weights[: 4 if bias else 2] + ([] if bias else weights[3:])))


def linear(inner: int, columns: int, op_type: str, **attrs: object) -> Model:
    shape = (columns, inner) if attrs.get("transB") else (inner, columns)
    reads = "x w b" if op_type == "Gemm" else "x w"
    weights = [weight("w", *shape), *([weight("b", columns)] if op_type == "Gemm" else [])]
    return loaded(model([node(op_type, reads, "y", name="fc", **attrs)], [value("x", 4, inner)], ["y"], weights))


# ---- depthwise separable -------------------------------------------------------------------------------------------

# 1/N + 1/k² of the cost (Howard et al. 2017, section 3.1)
SEPARABLE = [
    (64, 3, 0.1267361111111111), (128, 3, 0.1189236111111111), (256, 3, 0.1150173611111111), (512, 3, 0.1130642361111111),
    (512, 5, 0.041953125),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "kernel", "ratio"), SEPARABLE)
def test_a_separable_convolution_costs_as_published(filters: int, kernel: int, ratio: float) -> None:
    plain = convolution(32, filters, kernel)
    found = macs_by_op(changed(plain, "separable=conv"))
    pixels = 16 * 16
    assert found["conv/depthwise"] == pixels * 32 * kernel**2
    assert found["conv/pointwise"] == pixels * 32 * filters
    assert (found["conv/depthwise"] + found["conv/pointwise"]) / macs_by_op(plain)["conv"] == pytest.approx(ratio, rel=1e-15)


@pytest.mark.parametrize(("bias", "stride"), [(True, 1), (False, 2)])
def test_a_separable_convolution_keeps_bias_and_stride(bias: bool, stride: int) -> None:
    plain = convolution(16, 24, 3, bias=bias, stride=stride)
    found = changed(plain, "separable=*")
    assert found.params == plain.params - 24 * 16 * 9 + 16 * 9 + 24 * 16
    first, second = (op for op in found.graph.ops if op.name.startswith("conv/"))
    assert first.attrs["strides"] == (stride, stride)
    assert len(first.inputs) == 2
    assert len(second.inputs) == 2 + bias
    assert found.graph.ops[0] is plain.graph.ops[0]  # the 1 × 1 convolutions are left alone


# ---- grouped -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [2, 4, 8, 32])
def test_groups_divide_macs_and_weights(groups: int) -> None:
    plain = convolution(64, 96, 3)
    found = changed(plain, f"grouped={groups}@conv")
    assert macs_by_op(found)["conv"] * groups == macs_by_op(plain)["conv"]
    assert found.params == plain.params - 96 * 64 * 9 + 96 * 64 * 9 // groups


def test_only_what_divides_is_grouped() -> None:
    found = changed(convolution(64, 96, 3), "grouped=4")  # before reads 3 channels, after makes 5
    assert [op.attrs.get("group", 1) for op in found.graph.ops] == [1, 4, 1]


# ---- low rank ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op_type", "attrs"), [("Gemm", {}), ("Gemm", {"transB": 1}), ("MatMul", {})])
@pytest.mark.parametrize(("text", "rank"), [("8", 8), ("0.25", 10), ("10%", 4)])
def test_a_linear_layer_of_low_rank(op_type: str, attrs: dict[str, object], text: str, rank: int) -> None:
    plain = linear(64, 40, op_type, **attrs)
    found = changed(plain, f"low_rank={text}")
    assert found.macs == 4 * rank * (64 + 40)
    assert found.params == rank * (64 + 40) + (40 if op_type == "Gemm" else 0)


@pytest.mark.parametrize(("kernel", "text", "rank"), [(1, "8", 8), (3, "0.25", 12), (3, "16", 16)])
def test_a_convolution_of_low_rank(kernel: int, text: str, rank: int) -> None:
    plain = convolution(64, 48, kernel)
    found = changed(plain, f"low_rank={text}@conv")
    parts = macs_by_op(found)
    assert parts["conv/down"] == 256 * rank * 64 * kernel**2
    assert parts["conv/up"] == 256 * rank * 48
    assert found.params == plain.params - 48 * 64 * kernel**2 + rank * (64 * kernel**2 + 48)


def test_what_a_rank_would_not_make_smaller_stays() -> None:
    """64 × 48 at rank r takes r · 112 in the place of 3072: 27 and fewer are less."""
    plain = convolution(64, 48, 1)
    assert changed(plain, "low_rank=27@conv").macs < plain.macs
    with pytest.raises(UsageError, match="no layer with float weights of its own that rank 28 would make smaller"):
        changed(linear(64, 48, "MatMul"), "low_rank=28")


# ---- squeeze and excitation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", [1, 4, 16, 100])
def test_squeeze_and_excitation_behind_a_depthwise_convolution(reduction: int) -> None:
    channels, squeezed = 64, max(1, 64 // reduction)
    plain = convolution(channels, channels, 3, groups=channels)
    found = changed(plain, f"squeeze_excite={reduction}")
    assert found.params - plain.params == 2 * channels * squeezed + squeezed + channels
    assert found.macs - plain.macs == 2 * channels * squeezed
    (after,) = [op for op in found.graph.ops if op.name == "after"]
    assert found.graph.ops[found.graph.producer[after.inputs[0]]].name == "conv/scale"


def test_a_squeeze_and_excitation_resnet_has_the_published_size() -> None:
    """SE-ResNet-50 (Hu et al. 2018, r = 16) has 28,088,024 parameters in timm (seresnet50, 28.09 M)."""
    assert changed(load_model("resnet50"), "squeeze_excite=16").params == 28_088_024


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v1", "resnet18", "mnasnet1_0"])
def test_every_block_gets_one(name: str) -> None:
    plain = load_model(name)
    found = changed(plain, "squeeze_excite=4")
    made = [op for op in found.graph.ops if op.name.endswith("/scale")]
    depthwise = [op for op in plain.graph.ops if op.attrs.get("group", 1) != 1]
    assert len(made) == (len(depthwise) or 8)
    for op in made:
        fed = {found.graph.ops[i].op_type for i in found.graph.consumers[op.outputs[0]]}
        assert "BatchNormalization" not in fed  # it comes behind norm and activation


@pytest.mark.parametrize("name", ["efficientnet_b0", "vgg11", "vit_b_32", "densenet121"])
def test_none_is_added_where_there_is_one_or_no_place_for_it(name: str) -> None:
    with pytest.raises(UsageError, match="no depthwise convolution, or else end of a residual branch, without squeeze"):
        changed(load_model(name), "squeeze_excite=4")


def test_blocks_that_have_one_are_left_out() -> None:
    plain = load_model("mobilenet_v3_large")
    once = changed(plain, "squeeze_excite=4")
    assert len([op for op in once.graph.ops if op.name.endswith("/scale")]) == 15 - 8
    with pytest.raises(UsageError, match="squeeze"):
        changed(once, "squeeze_excite=4")


# ---- shared by all -------------------------------------------------------------------------------------------------


def test_layers_that_share_weights_still_share_them() -> None:
    nodes = [node("Conv", "x w", "a", pads=[1] * 4), node("Conv", "a w", "y", pads=[1] * 4)]
    network = loaded(model(nodes, [value("x", 1, 16, 8, 8)], ["y"], [weight("w", 16, 16, 3, 3)]))
    assert changed(network, "grouped=4").params == 16 * 4 * 9
    assert changed(network, "separable=*").params == 16 * 9 + 16 * 16
    assert changed(network, "low_rank=8").params == 8 * 16 * 9 + 16 * 8


def test_quantized_weights_are_not_replaced() -> None:
    nodes = [node("DequantizeLinear", "w s", "wd"), node("Conv", "x wd", "y")]
    weights = [weight("w", 16, 16, 3, 3, dtype=3), weight("s")]
    network = loaded(model(nodes, [value("x", 1, 16, 8, 8)], ["y"], weights))
    for text in ("grouped=4", "separable=*", "low_rank=2"):
        with pytest.raises(UsageError, match="float weights"):
            changed(network, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("separable=", "write separable=PATTERN"),
        ("separable=cnov", "'cnov' fits no convolution of one group with a window.*; did you mean 'conv'"),
        ("separable=after", "'after' fits no convolution.*; the first of them is 'conv'"),
        ("grouped=1", "grouped=1: must be a whole number from 2"),
        ("grouped=two", "must be a whole number from 2"),
        ("grouped=4@", "write grouped=VALUE or grouped=VALUE@PATTERN"),
        ("grouped=7", "the network has no convolution of one group and float weights whose channels divide by 7"),
        ("low_rank=0", "must be a whole number from 1"),
        ("low_rank=1.5", "must be from 0 to 1"),
        ("low_rank=low", "write a number from 0 to 1"),
        ("low_rank=99999999999999", "must be a whole number from 1"),
        ("squeeze_excite=0", "the reduction must be a whole number from 1"),
        ("squeeze_excite=0.5", "the reduction must be a whole number from 1"),
        ("squeeze_excite=4@x", "has no depthwise convolution"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed(convolution(64, 96, 3), text)


@pytest.mark.parametrize("text", ["separable={}", "grouped=4@{}", "low_rank=2@{}", "squeeze_excite=4@{}"])
def test_patterns_are_of_names_or_of_nodes_of_the_file(text: str) -> None:
    groups = 8 if text.startswith("squeeze") else 1
    plain = convolution(8, 8, 3, groups=groups)
    ops = tuple(replace(op, origin=("node_of_the_file",)) if op.name == "conv" else op for op in plain.graph.ops)
    by_node = changed(Model(replace(plain.graph, ops=ops)), text.format("node_of*"))
    assert by_node.params == changed(plain, text.format("conv")).params != plain.params
