"""Shapes that the file computes come out as numbers; what depends on data is bounded and counted."""

import numpy as np
import onnx
import pytest
from support.graphs import BOOL, FLOAT, INT64, anything, ints, model, node, resolved, scalar, shape_of, value, weight

from simulator.errors import ModelError, ShapeError, UnknownOperatorError


def test_shape_gather_concat_reshape() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axis", "n1"),
        node("Concat", "n1 rest", "target", axis=0),
        node("Reshape", "x target", "y"),
    ]
    weights = [scalar("zero", 0), ints("axis", 0), ints("rest", 4, -1)]
    graph = resolved(model(nodes, [value("x", "N", 8, 6)], ["y"], weights), dims={"N": 3})
    assert shape_of(graph, "y") == (3, 4, 12)
    assert [op.op_type for op in graph.ops] == ["Reshape"]
    assert graph.coverage.tensors_without_shape == 0


def test_constant_nodes_feed_shapes_too() -> None:
    nodes = [
        node("Constant", "", "target", value=onnx.numpy_helper.from_array(np.array([2, -1], np.int64))),
        node("Reshape", "x target", "y"),
    ]
    assert shape_of(resolved(model(nodes, [value("x", 4, 6)], ["y"])), "y") == (2, 12)


@pytest.mark.parametrize(("attr", "given"), [("value_ints", [2, 12]), ("value", ints("c", 2, 12))])
def test_forms_of_constants(attr: str, given: object) -> None:
    nodes = [node("Constant", "", "target", **{attr: given}), node("Reshape", "x target", "y")]
    assert shape_of(resolved(model(nodes, [value("x", 4, 6)], ["y"])), "y") == (2, 12)


def test_shape_arithmetic_slice_mul_div_cast_squeeze() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s two four", "hw"),
        node("Mul", "hw double", "hw2"),
        node("Div", "hw2 double", "back"),
        node("Cast", "back", "f", to=FLOAT),
        node("Floor", "f", "f2"),
        node("Cast", "f2", "i", to=INT64),
        node("ReduceProd", "i", "p", keepdims=1),
        node("Concat", "one p", "target", axis=0),
        node("Reshape", "x target", "y"),
    ]
    weights = [ints("two", 2), ints("four", 4), ints("double", 2, 2), ints("one", -1)]
    assert shape_of(resolved(model(nodes, [value("x", 2, 3, 5, 7)], ["y"], weights)), "y") == (6, 35)


def test_range_of_a_shape() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s one", "n"),
        node("Range", "zero n step", "r"),
        node("Gather", "table r", "y"),
    ]
    weights = [scalar("one", 1), scalar("zero", 0), scalar("step", 1), weight("table", 512, 16)]
    graph = resolved(model(nodes, [value("x", 1, "seq")], ["y"], weights), dims={"seq": 77})
    assert shape_of(graph, "r") == (77,)
    assert shape_of(graph, "y") == (77, 16)


@pytest.mark.parametrize(("start", "limit", "step", "length"), [(0, 10, 3, 4), (10, 0, -3, 4), (5, 5, 1, 0), (3, 1, 1, 0)])
def test_range(start: int, limit: int, step: int, length: int) -> None:
    nodes = [node("Range", "a b c", "r"), node("Cast", "r", "y", to=FLOAT)]
    weights = [scalar("a", start), scalar("b", limit), scalar("c", step)]
    assert shape_of(resolved(model(nodes, [value("x", 1)], ["y"], weights)), "y") == (length,)


def test_constant_of_shape_and_where_and_expand() -> None:
    """torch.Tensor.expand with -1: ConstantOfShape of ones, Equal, Where, Expand."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Concat", "n minus", "wanted", axis=0),
        node("Shape", "wanted", "rank"),
        node("ConstantOfShape", "rank", "ones", value=ints("", 1)),
        node("Mul", "ones minus1", "negative"),
        node("Equal", "wanted negative", "keep"),
        node("Where", "keep ones wanted", "target"),
        node("Expand", "token target", "y"),
    ]
    weights = [ints("zero", 0), ints("minus", -1, -1), ints("minus1", -1), weight("token", 1, 1, 16)]
    graph = resolved(model(nodes, [value("x", 5, 3)], ["y"], weights))
    assert shape_of(graph, "y") == (5, 1, 16)


def test_pad_by_computed_amounts() -> None:
    """torch.nn.functional.pad: the pads are reversed, transposed and cast before they reach Pad."""
    nodes = [
        node("ConstantOfShape", "four", "zeros"),
        node("Cast", "zeros", "zeros64", to=INT64),
        node("Concat", "pads zeros64", "all", axis=0),
        node("Reshape", "all two", "pairs"),
        node("Slice", "pairs minus1 least zero minus1", "flipped"),
        node("Transpose", "flipped", "columns", perm=[1, 0]),
        node("Reshape", "columns flat", "amounts"),
        node("Pad", "x amounts", "y"),
    ]
    weights = [
        ints("four", 4),
        ints("pads", 1, 2, 3, 4),
        ints("two", -1, 2),
        ints("minus1", -1),
        ints("least", -(2**63)),
        ints("zero", 0),
        ints("flat", -1),
    ]
    graph = resolved(model(nodes, [value("x", 1, 3, 10, 20)], ["y"], weights))
    assert shape_of(graph, "y") == (1, 3, 10 + 3 + 4, 20 + 1 + 2)


def test_resize_to_computed_sizes() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s zero two", "nc"),
        node("Shape", "other", "so"),
        node("Slice", "so two four", "hw"),
        node("Concat", "nc hw", "sizes", axis=0),
        node("Resize", "x _ _ sizes", "y", mode="linear"),
    ]
    weights = [ints("zero", 0), ints("two", 2), ints("four", 4)]
    graph = resolved(model(nodes, [value("x", 2, 3, 8, 8), value("other", 2, 5, 31, 17)], ["y"], weights))
    assert shape_of(graph, "y") == (2, 3, 31, 17)


def test_resize_by_scales() -> None:
    nodes = [node("Resize", "x _ scales", "y", mode="nearest")]
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 1.5], np.float32), "scales")
    assert shape_of(resolved(model(nodes, [value("x", 1, 3, 8, 7)], ["y"], [scales])), "y") == (1, 3, 16, 10)


def test_tile_and_split_by_computed_values() -> None:
    nodes = [node("Tile", "x repeats", "t"), node("Split", "t sizes", "a b", axis=1)]
    graph = resolved(model(nodes, [value("x", 2, 3)], ["a", "b"], [ints("repeats", 1, 4), ints("sizes", 5, 7)]))
    assert (shape_of(graph, "a"), shape_of(graph, "b")) == ((2, 5), (2, 7))


# ---- values that arrive through subgraphs and functions -----------------------------------------------------------


def test_a_shape_from_outside_is_known_in_a_branch() -> None:
    then = model([node("Reshape", "x target", "r")], [], ["r"]).graph
    other = model([node("Identity", "x", "r")], [], ["r"]).graph
    nodes = [node("Shape", "z", "target"), node("If", "c", "y", then_branch=then, else_branch=other)]
    weights = [onnx.numpy_helper.from_array(np.array(True), "c")]
    graph = resolved(model(nodes, [value("x", 4, 6), value("z", 3, 8)], ["y"], weights))
    assert graph.tensors[graph.outputs[0]].shape == (3, 8)


# ---- what depends on data -----------------------------------------------------------------------------------------


def test_nonzero_is_bounded_and_counted() -> None:
    nodes = [node("NonZero", "x", "i"), node("Transpose", "i", "t", perm=[1, 0]), node("GatherND", "x t", "y")]
    graph = resolved(model(nodes, [value("x", 4, 6)], ["y"]))
    assert shape_of(graph, "i") == (2, 24)
    assert shape_of(graph, "y") == (24,)
    assert graph.coverage.data_dependent_shapes == 1
    assert graph.coverage.tensors_without_shape == 0


def test_nonzero_of_known_values_is_no_bound() -> None:
    nodes = [node("NonZero", "mask", "i"), node("Cast", "i", "y", to=FLOAT)]
    graph = resolved(model(nodes, [value("x", 1)], ["y"], [ints("mask", 0, 1, 1, 0, 1)]))
    assert shape_of(graph, "y") == (1, 3)
    assert graph.coverage.data_dependent_shapes == 0


def test_a_slice_by_data_keeps_its_axis_whole() -> None:
    graph = resolved(
        model(
            [node("Slice", "x a b", "y")],
            [value("x", 8, 4), value("a", 1, dtype=INT64), value("b", 1, dtype=INT64)],
            ["y"],
        )
    )
    assert shape_of(graph, "y") == (8, 4)
    assert graph.coverage.data_dependent_shapes == 1


def test_compress_by_data() -> None:
    graph = resolved(model([node("Compress", "x c", "y", axis=0)], [value("x", 8, 4), value("c", 8, dtype=BOOL)], ["y"]))
    assert shape_of(graph, "y") == (8, 4)
    assert graph.coverage.data_dependent_shapes == 1


def test_a_declared_shape_helps_where_none_can_be_inferred() -> None:
    nodes = [node("Reshape", "x target", "y"), node("Relu", "y", "z")]
    inputs = [value("x", 4, 6), value("target", 2, dtype=INT64)]
    unknown = resolved(model(nodes, inputs, ["z"]))
    known = resolved(model(nodes, inputs, [value("z", 3, 8)]))
    assert unknown.coverage.tensors_without_shape == 2
    assert shape_of(known, "z") == (3, 8)
    assert known.coverage.tensors_without_shape == 1


# ---- operators without a rule -------------------------------------------------------------------------------------


def test_unknown_operators_are_refused_all_at_once() -> None:
    nodes = [
        node("Rellu", "x", "a", name="one"),
        node("Frobnicate", "a", "b", name="two", domain="my.ops"),
        node("Rellu", "b", "y", name="three"),
    ]
    with pytest.raises(UnknownOperatorError) as caught:
        resolved(model(nodes, [value("x", 4)], ["y"], domains=["my.ops"]))
    text = str(caught.value)
    assert "Rellu (2 ×): one, three; did you mean 'Relu'?" in text
    assert "my.ops:Frobnicate (1 ×): two" in text
    assert "--allow-unknown" in text


def test_unknown_operators_are_counted_where_allowed() -> None:
    nodes = [node("Rellu", "x", "a"), node("Relu", "a", "y")]
    graph = resolved(model(nodes, [value("x", 4)], ["y"]), allow_unknown=True)
    assert graph.coverage.ops_without_rule == {"Rellu": 1}
    assert graph.coverage.tensors_without_shape == 2


# ---- folding ------------------------------------------------------------------------------------------------------


def test_arithmetic_on_weights_leaves_the_graph_but_keeps_the_parameters() -> None:
    nodes = [node("Transpose", "w", "t", perm=[1, 0]), node("Mul", "t half", "u"), node("MatMul", "x u", "y")]
    graph = resolved(model(nodes, [value("x", 2, 8)], ["y"], [weight("w", 4, 8), scalar("half", 0.5, "float32")]))
    assert [op.op_type for op in graph.ops] == ["MatMul"]
    assert graph.tensors["u"].role == "weight"
    assert graph.tensors["u"].shape == (8, 4)
    assert "w" in graph.stored["u"]


def test_random_numbers_are_not_folded() -> None:
    graph = resolved(model([node("RandomNormal", "", "r", shape=[4]), node("Add", "x r", "y")], [value("x", 4)], ["y"]))
    assert [op.op_type for op in graph.ops] == ["RandomNormal", "Add"]


def test_a_contradiction_of_shapes_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"Reshape 'reshape_y': \[4, 6\] cannot be reshaped to \[5, 5\]"):
        resolved(model([node("Reshape", "x t", "y")], [value("x", 4, 6)], ["y"], [ints("t", 5, 5)]))


def test_a_loop_of_functions_is_refused() -> None:
    function = onnx.helper.make_function(
        "my",
        "F",
        ["a"],
        ["b"],
        [node("F", "a", "b", domain="my")],
        [onnx.helper.make_operatorsetid("", 17), onnx.helper.make_operatorsetid("my", 1)],
    )
    with pytest.raises(ModelError, match="nested more than"):
        resolved(
            model(
                [node("F", "x", "y", domain="my")],
                [value("x", 4)],
                [anything("y")],
                functions=[function],
                domains=["my"],
            )
        )
