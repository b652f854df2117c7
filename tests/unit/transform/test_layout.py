"""Where a framework copies: orders of dimensions followed through views, by hand."""

import pytest
from support.graphs import FLOAT16, ints, model, node, resolved, value, weight

from simulator.graph.graph import Graph
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.prediction import Prepared
from simulator.transform.layout import Strides, view_order

LAST, FIRST = "channels_last", "channels_first"
FUSION = ("linear_bias", "attention", "normalization", "activation_function", "views")


def eager(graph: Graph, layout: str, *fusion: str) -> Prepared:
    return prepare(Model(graph), None, fusion or FUSION, (), ("copies",), layout)


def copies(prepared: Prepared) -> list[tuple[str, float]]:
    """What is copied, and the bytes read and written for it."""
    graph, work = prepared.graph, prepared.work
    rows = [i for i, k in enumerate(prepared.kernels) if graph.ops[k.main].op_type == "contiguous"]
    return [(graph.ops[prepared.kernels[i].main].inputs[0], work.input_bytes[i] + work.output_bytes[i]) for i in rows]


def tokens(norm: bool = True) -> Graph:
    """A patch embedding: convolution → flatten → transpose → norm of the channels."""
    nodes = [
        node("Conv", "x w", "c", strides=[4, 4]), node("Reshape", "c shape", "f"), node("Transpose", "f", "t", perm=[0, 2, 1]),
        node("LayerNormalization", "t g", "y") if norm else node("Relu", "t", "y"),
    ]  # fmt: skip
    weights = [weight("w", 16, 3, 4, 4), ints("shape", 1, 16, -1), weight("g", 16)]
    return resolved(model(nodes, [value("x", 1, 3, 32, 32)], ["y"], weights))


def test_tokens_of_a_channels_last_image_are_a_view() -> None:
    assert copies(eager(tokens(), LAST)) == []
    assert copies(eager(tokens(), FIRST)) == [("t", 2 * 4 * 16 * 64)]
    assert copies(eager(tokens(norm=False), FIRST)) == []  # element by element strides do not matter
    assert [op.op_type for op in eager(tokens(), FIRST).graph.ops if op.added] == ["contiguous"]


def channel_norm() -> Graph:
    """ConvNeXt's: convolution → channels to the back → norm → linear → channels to the front → convolution."""
    nodes = [
        node("Conv", "x w", "c"), node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("LayerNormalization", "t g", "n"),
        node("MatMul", "n l", "m"), node("Transpose", "m", "u", perm=[0, 3, 1, 2]), node("Conv", "u v", "y"),
    ]  # fmt: skip
    weights = [weight("w", 8, 3, 1, 1), weight("g", 8), weight("l", 8, 8), weight("v", 4, 8, 1, 1)]
    return resolved(model(nodes, [value("x", 1, 3, 6, 6)], ["y"], weights))


def test_norms_of_channels() -> None:
    assert copies(eager(channel_norm(), LAST)) == []
    assert [name for name, _ in copies(eager(channel_norm(), FIRST))] == ["t"]  # behind the norm the image lies channels last


def gated(first: str, second: str) -> Graph:
    """An image that a norm left channels last, `u`, and one that a convolution left channels first, `c`, in one operator."""
    nodes = [
        node("Conv", "x w", "c"), node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("LayerNormalization", "t g", "n"),
        node("Transpose", "n", "u", perm=[0, 3, 1, 2]), node("Add", f"{first} {second}", "s"), node("Conv", "s v", "y"),
    ]  # fmt: skip
    weights = [weight("w", 8, 3, 1, 1), weight("g", 8), weight("v", 4, 8, 1, 1)]
    return resolved(model(nodes, [value("x", 1, 3, 6, 6, dtype=FLOAT16)], ["y"], weights))


def test_a_sum_lies_as_its_first_operand() -> None:
    copied = {order: [name for name, _ in copies(eager(gated(*order), FIRST))] for order in (("u", "c"), ("c", "u"))}
    assert copied["u", "c"] == ["x", "c/channels_last", "t"]
    assert copied["c", "u"] == ["x", "c/channels_last", "t", "s", "y/channels_last"]


def heads(fused: bool = True) -> Prepared:
    """Three heads of width 4 out of 12 channels, their attention, and back."""
    nodes, weights = [], [ints("split", 2, 10, 3, 4), ints("join", 2, 10, 12)]
    for name in "qkv":
        nodes += [node("MatMul", f"x w{name}", f"p{name}"), node("Reshape", f"p{name} split", f"r{name}")]
        nodes += [node("Transpose", f"r{name}", name, perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3])]
        weights.append(weight(f"w{name}", 12, 12))
    nodes += [
        node("MatMul", "q k", "s"), node("Softmax", "s", "p"), node("MatMul", "p v", "o"),
        node("Transpose", "o", "t", perm=[0, 2, 1, 3]), node("Reshape", "t join", "y"),
    ]  # fmt: skip
    graph = resolved(model(nodes, [value("x", 2, 10, 12)], ["y"], weights))
    return eager(graph, FIRST, *(f for f in FUSION if fused or f != "attention"))


def test_fused_attention_reads_and_writes_heads_where_they_lie() -> None:
    assert copies(heads()) == []


def test_batched_products_need_one_stride_over_their_batch() -> None:
    """Heads lie between tokens and channels: q, k and v are copied, and the result before it is joined."""
    assert [name for name, _ in copies(heads(fused=False))] == ["q", "k", "v", "t"]


def image(bits16: bool, groups: int = 1) -> Graph:
    dtype = {"dtype": FLOAT16} if bits16 else {}
    nodes = [node("Conv", "x w", "c", group=groups), node("Relu", "c", "y")]
    return resolved(model(nodes, [value("x", 1, 8, 6, 6, **dtype)], ["y"], [weight("w", 16, 8 // groups, 1, 1, **dtype)]))


def test_tensor_cores_convert_channels_first() -> None:
    """Before and after a dense convolution in 16 bit; not in fp32, not by groups, not with channels last."""
    assert copies(eager(image(True), FIRST)) == [("x", 2 * 2 * 8 * 36), ("c/channels_last", 2 * 2 * 16 * 36)]
    for graph, layout in ((image(False), FIRST), (image(True, groups=8), FIRST), (image(True), LAST)):
        assert copies(eager(graph, layout)) == []


@pytest.mark.parametrize(
    ("size", "window", "attrs", "converts"),
    [
        (8, 1, {}, False),  # rows of 64 elements of 2 bytes
        (6, 1, {}, True),  # 72 bytes: loads of 16 do not fit
        (8, 3, {"pads": [1, 1, 1, 1]}, True),
        (8, 1, {"strides": [2, 2]}, True),
        (8, 1, {"pads": [1, 1, 1, 1]}, True),
    ],
)
def test_a_convolution_that_is_a_product_as_it_lies_converts_nothing(
    size: int, window: int, attrs: dict[str, list[int]], converts: bool
) -> None:
    inputs, weights = [value("x", 1, 8, size, size, dtype=FLOAT16)], [weight("w", 16, 8, window, window, dtype=FLOAT16)]
    graph = resolved(model([node("Conv", "x w", "c", **attrs), node("Relu", "c", "y")], inputs, ["y"], weights))
    assert [name for name, _ in copies(eager(graph, FIRST))] == (["x", "c/channels_last"] if converts else [])
    assert copies(eager(graph, LAST)) == []


def test_a_shuffle_of_channels_copies() -> None:
    """ShuffleNet's reshape → transpose → reshape; the first one is a view."""
    nodes = [
        node("Relu", "x", "r"), node("Reshape", "r five", "f"), node("Transpose", "f", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t four", "y"),
    ]  # fmt: skip
    weights = [ints("five", 1, 2, 4, 6, 6), ints("four", 1, 8, 6, 6)]
    graph = resolved(model(nodes, [value("x", 1, 8, 6, 6)], ["y"], weights))
    assert [name for name, _ in copies(eager(graph, FIRST))] == ["t"]
    assert [name for name, _ in copies(eager(graph, LAST))] == ["t"]


@pytest.mark.parametrize(
    ("shape", "target", "order", "expected"),
    [
        ((2, 3, 4), (6, 4), (0, 1, 2), (0, 1)),
        ((2, 3, 4), (2, 12), (0, 2, 1), None),  # the last two lie the other way round
        ((2, 3, 4), (6, 4), (2, 0, 1), (1, 0)),
        ((2, 12), (2, 3, 4), (1, 0), (1, 2, 0)),
        ((2, 3, 4), (2, 3, 1, 4), (0, 2, 1), (0, 3, 1, 2)),
        ((1, 3, 4), (3, 4), (0, 1, 2), (0, 1)),
        ((2, 3, 4), (24,), (0, 1, 2), (0,)),
        ((2, 3, 4), (4, 6), (0, 1, 2), (0, 1)),
        ((2, 3, 4), (4, 6), (0, 2, 1), None),
    ],
)
def test_reshapes(shape: tuple[int, ...], target: tuple[int, ...], order: tuple[int, ...], expected: object) -> None:
    found = view_order(shape, target, Strides(order))
    ones = [d for d, size in enumerate(target) if size != 1]
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert sorted(found.order) == list(range(len(target)))
        assert [d for d in found.order if d in ones] == [d for d in expected if d in ones]  # type: ignore[attr-defined]


def test_part_of_a_tensor_does_not_merge() -> None:
    assert view_order((2, 3, 4), (6, 4), Strides((0, 1, 2), dense=False)) is None
    assert view_order((2, 12), (2, 3, 4), Strides((0, 1), dense=False)) is not None
