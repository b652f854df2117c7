"""A batch of N is N inferences: for the catalogue, and for files exported at batch 1 with it baked into constants."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.graphs import anything, ints, loaded, model, node, scalar, value, weight

from simulator import api, zoo
from simulator.errors import ShapeError

RECIPES = [r.id for r in zoo.list_recipes()]


@pytest.mark.parametrize("name", RECIPES)
def test_every_network_of_the_catalogue(name: str) -> None:
    one, three = api.load_model(name), api.load_model(name, batch=3)
    assert three.macs == 3 * one.macs
    assert three.params == one.params
    assert three.weight_bytes == one.weight_bytes
    assert three.graph.batch == 3 * one.graph.batch
    assert three.activation_elements_total == 3 * one.activation_elements_total
    assert three.activation_elements_peak == 3 * one.activation_elements_peak
    for name_of, spec in one.graph.tensors.items():
        if spec.role in ("input", "output") and spec.shape:
            assert three.graph.tensors[name_of].elements == 3 * spec.elements, name_of


SOME = ["alexnet", "mobilenet_v2", "efficientnet_b0", "densenet121", "shufflenet_v2_x1_0", "vit_b_32", "bert_base", "gemm"]


@pytest.mark.parametrize("name", SOME)
def test_the_option_and_the_recipes_own_parameter_agree(name: str) -> None:
    option, parameter = api.load_model(name, batch=4), api.load_model(f"{name}:batch=4")
    assert option.macs == parameter.macs
    assert option.flops == parameter.flops
    assert {n: t.shape for n, t in option.graph.tensors.items() if t.role != "weight"} == {
        n: t.shape for n, t in parameter.graph.tensors.items() if t.role != "weight"
    }


# ---- exported with a fixed batch ----------------------------------------------------------------------------------


def class_token() -> onnx.ModelProto:
    """A vision transformer's front: patches, a class token expanded to the batch, one attention with baked shapes."""
    nodes = [
        node("Conv", "image patches", "c", kernel_shape=[4, 4], strides=[4, 4]),
        node("Reshape", "c to_tokens", "t"),
        node("Transpose", "t", "tokens", perm=[0, 2, 1]),
        node("Expand", "token one", "cls"),
        node("Concat", "cls tokens", "s", axis=1),
        node("Add", "s position", "x"),
        node("MatMul", "x wq", "q0"),
        node("Reshape", "q0 to_heads", "q1"),
        node("Transpose", "q1", "q", perm=[0, 2, 1, 3]),
        node("MatMul", "x wk", "k0"),
        node("Reshape", "k0 to_heads", "k1"),
        node("Transpose", "k1", "k", perm=[0, 2, 3, 1]),
        node("MatMul", "x wv", "v0"),
        node("Reshape", "v0 to_heads", "v1"),
        node("Transpose", "v1", "v", perm=[0, 2, 1, 3]),
        node("MatMul", "q k", "scores"),
        node("Softmax", "scores", "p", axis=-1),
        node("MatMul", "p v", "o"),
        node("Transpose", "o", "o1", perm=[0, 2, 1, 3]),
        node("Reshape", "o1 to_hidden", "o2"),
        node("MatMul", "o2 wo", "o3"),
        node("Gather", "o3 zero", "first", axis=1),
        node("Gemm", "first head", "y"),
    ]
    weights = [
        weight("patches", 32, 3, 4, 4),
        ints("to_tokens", 1, 32, 16),
        weight("token", 1, 1, 32),
        ints("one", 1, 1, 32),
        weight("position", 1, 17, 32),
        *(weight(f"w{n}", 32, 32) for n in "qkvo"),
        ints("to_heads", 1, 17, 4, 8),
        ints("to_hidden", 1, 17, 32),
        scalar("zero", 0),
        weight("head", 32, 10),
    ]
    return model(nodes, [value("image", 1, 3, 16, 16)], ["y"], weights)


def multihead_attention() -> onnx.ModelProto:
    """nn.MultiheadAttention, batch second: (seq, batch, dim) reshaped to (seq, batch · heads, d), all constants baked."""
    nodes = [
        node("Transpose", "image", "x", perm=[1, 0, 2]),
        node("MatMul", "x wq", "q0"),
        node("Reshape", "q0 heads", "q1"),
        node("Transpose", "q1", "q", perm=[1, 0, 2]),
        node("MatMul", "x wk", "k0"),
        node("Reshape", "k0 heads", "k1"),
        node("Transpose", "k1", "k", perm=[1, 2, 0]),
        node("MatMul", "x wv", "v0"),
        node("Reshape", "v0 heads", "v1"),
        node("Transpose", "v1", "v", perm=[1, 0, 2]),
        node("MatMul", "q k", "scores"),
        node("Softmax", "scores", "p", axis=-1),
        node("MatMul", "p v", "o"),
        node("Transpose", "o", "o1", perm=[1, 0, 2]),
        node("Reshape", "o1 flat", "o2"),
        node("Gemm", "o2 wo", "o3"),
        node("Reshape", "o3 back", "o4"),
        node("Transpose", "o4", "y", perm=[1, 0, 2]),
    ]
    weights = [*(weight(f"w{n}", 32, 32) for n in "qkvo"), ints("heads", 17, 4, 8), ints("flat", 17, 32), ints("back", 17, 1, 32)]
    return model(nodes, [value("image", 1, 17, 32)], ["y"], weights)


def flattened_by_constant() -> onnx.ModelProto:
    nodes = [
        node("Conv", "image w", "c"),
        node("GlobalAveragePool", "c", "p"),
        node("Reshape", "p flat", "f"),
        node("Gemm", "f head", "y"),
    ]
    return model(
        nodes, [value("image", 1, 3, 8, 8)], ["y"], [weight("w", 32, 3, 1, 1), ints("flat", 1, 32), weight("head", 32, 10)]
    )


def flattened_by_minus_one_first() -> onnx.ModelProto:
    nodes = [node("Conv", "image w", "c"), node("Reshape", "c flat", "f"), node("Gemm", "f head", "y")]
    return model(
        nodes,
        [value("image", 1, 3, 8, 8)],
        ["y"],
        [weight("w", 32, 3, 1, 1), ints("flat", -1, 32 * 64), weight("head", 32 * 64, 10)],
    )


def flattened_by_minus_one_last() -> onnx.ModelProto:
    """Reshape to (1, −1): read literally, a batch would become features."""
    nodes = [node("Conv", "image w", "c"), node("Reshape", "c flat", "f"), node("Gemm", "f head", "y")]
    return model(
        nodes, [value("image", 1, 3, 8, 8)], ["y"], [weight("w", 32, 3, 1, 1), ints("flat", 1, -1), weight("head", 32 * 64, 10)]
    )


def channel_shuffle() -> onnx.ModelProto:
    nodes = [
        node("Conv", "image w", "c"),
        node("Reshape", "c groups", "g"),
        node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t back", "b"),
        node("Conv", "b v", "y"),
    ]
    weights = [weight("w", 32, 3, 1, 1), ints("groups", 1, 2, 16, 8, 8), ints("back", 1, 32, 8, 8), weight("v", 8, 32, 1, 1)]
    return model(nodes, [value("image", 1, 3, 8, 8)], ["y"], weights)


def windows() -> onnx.ModelProto:
    """Swin: windows join the batch, (1, 8, 8, C) → (1, 2, 4, 2, 4, C) → (4, 16, C), and back."""
    nodes = [
        node("Reshape", "image split", "a"),
        node("Transpose", "a", "b", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", "b windows", "w"),
        node("MatMul", "w qk", "q"),
        node("Transpose", "q", "k", perm=[0, 2, 1]),
        node("MatMul", "q k", "s"),
        node("MatMul", "s q", "o"),
        node("Reshape", "o split2", "c"),
        node("Transpose", "c", "d", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", "d whole", "e"),
        node("MatMul", "e head", "y"),
    ]
    weights = [
        ints("split", 1, 2, 4, 2, 4, 16),
        ints("windows", 4, 16, 16),
        weight("qk", 16, 16),
        ints("split2", 1, 2, 2, 4, 4, 16),
        ints("whole", 1, 8, 8, 16),
        weight("head", 16, 10),
    ]
    return model(nodes, [value("image", 1, 8, 8, 16)], ["y"], weights)


def queries() -> onnx.ModelProto:
    """A detector's learned queries, tiled to the batch by a constant Tile, attending to the image."""
    nodes = [
        node("Reshape", "image tokens", "t"),
        node("Transpose", "t", "k", perm=[0, 2, 1]),
        node("Tile", "query repeats", "q"),
        node("MatMul", "q t", "s"),
        node("MatMul", "s k", "y"),
    ]
    weights = [ints("tokens", 1, 32, 64), weight("query", 1, 10, 32), ints("repeats", 1, 1, 1)]
    return model(nodes, [value("image", 1, 32, 8, 8)], ["y"], weights)


def recurrent_state() -> onnx.ModelProto:
    """An LSTM whose zero state was folded at batch 1."""
    nodes = [node("Transpose", "image", "x", perm=[1, 0, 2]), node("LSTM", "x w r _ _ h c", "y _ _", hidden_size=16)]
    weights = [weight("w", 1, 64, 8), weight("r", 1, 64, 16), weight("h", 1, 1, 16), weight("c", 1, 1, 16)]
    return model(nodes, [value("image", 1, 20, 8)], ["y"], weights)


def decoder_resize() -> onnx.ModelProto:
    """Upsampling to constant sizes, joined with a skip connection."""
    nodes = [
        node("Conv", "image w", "c", strides=[2, 2]),
        node("Resize", "c _ _ sizes", "u", mode="nearest"),
        node("Concat", "u image", "j", axis=1),
        node("Conv", "j v", "y"),
    ]
    return model(
        nodes,
        [value("image", 1, 3, 8, 8)],
        ["y"],
        [weight("w", 32, 3, 1, 1), ints("sizes", 1, 32, 8, 8), weight("v", 8, 35, 1, 1)],
    )


def zeros_of_the_batch() -> onnx.ModelProto:
    """A first state that ConstantOfShape makes from a baked shape."""
    nodes = [
        node("ConstantOfShape", "shape", "zeros", value=numpy_helper.from_array(np.zeros(1, np.float32))),
        node("Concat", "zeros image", "x", axis=1),
        node("MatMul", "x w", "y"),
    ]
    return model(nodes, [value("image", 1, 7, 16)], ["y"], [ints("shape", 1, 1, 16), weight("w", 16, 8)])


EXPORTS = [
    class_token,
    multihead_attention,
    flattened_by_constant,
    flattened_by_minus_one_first,
    flattened_by_minus_one_last,
    channel_shuffle,
    windows,
    queries,
    recurrent_state,
    decoder_resize,
    zeros_of_the_batch,
]


@pytest.mark.parametrize("batch", [2, 3, 8])
@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.__name__)
def test_a_file_with_its_batch_baked_in(export: Callable[[], onnx.ModelProto], batch: int) -> None:
    one, many = loaded(export()), loaded(export(), batch=batch)
    assert many.macs == batch * one.macs
    assert many.params == one.params
    (output,) = one.graph.outputs
    assert many.graph.tensors[output].elements == batch * one.graph.tensors[output].elements


@pytest.mark.parametrize("export", [class_token, multihead_attention, channel_shuffle], ids=lambda e: e.__name__)
def test_a_file_of_another_batch_than_one(export: Callable[[], onnx.ModelProto]) -> None:
    """Exported at 4: its multiples are counted; another batch is counted right or refused, never counted wrong."""
    one = loaded(export())
    proto = export()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    for tensor in proto.graph.initializer:
        if tensor.name in ("to_tokens", "one", "to_heads", "to_hidden", "groups", "back"):
            values = numpy_helper.to_array(tensor).copy()
            place = 1 if tensor.name == "back" and export is multihead_attention else 0
            values[place] *= 4
            tensor.CopyFrom(ints(tensor.name, *values.tolist()))
        if tensor.name == "heads":
            tensor.CopyFrom(ints("heads", 17, 16, 8))
        if tensor.name == "flat":
            tensor.CopyFrom(ints("flat", 68, 32))
    assert loaded(proto).macs == 4 * one.macs
    assert loaded(proto, batch=8).macs == 8 * one.macs
    for other in (1, 2, 6):
        try:
            assert loaded(proto, batch=other).macs == other * one.macs
        except ShapeError as error:
            assert f"not at batch {other}: the file has its batch of 4 built in" in str(error)  # noqa: PT017


def test_a_symbolic_batch_inside_shape_arithmetic() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axis", "n1"),
        node("Concat", "n1 rest", "t", axis=0),
        node("Reshape", "x t", "f"),
        node("MatMul", "f w", "y"),
    ]
    weights = [scalar("zero", 0), ints("axis", 0), ints("rest", -1), weight("w", 24, 5)]
    proto = model(nodes, [value("x", "N", 4, 6)], [anything("y")], weights)
    assert loaded(proto, batch=5).macs == 5 * loaded(proto).macs


def test_two_inputs_both_have_the_batch() -> None:
    nodes = [node("Concat", "a b", "c", axis=1), node("MatMul", "c w", "y")]
    proto = model(nodes, [value("a", 1, 8), value("b", 1, 8)], ["y"], [weight("w", 16, 4)])
    assert loaded(proto, batch=6).macs == 6 * loaded(proto).macs
