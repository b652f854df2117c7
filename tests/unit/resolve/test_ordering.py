"""The wiring of a graph: order, names made twice, names never made, cycles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.graphs import model, node, resolved, shape_of, value, weight

from simulator.errors import ModelError, ShapeError


def chain(order: list[int]) -> list:
    nodes = [node("Relu", f"t{i}", f"t{i + 1}", name=f"r{i}") for i in range(len(order))]
    return [nodes[i] for i in order]


@given(st.permutations(range(7)))
def test_nodes_in_any_order_run_in_an_order_that_works(order: list[int]) -> None:
    graph = resolved(model(chain(order), [value("t0", 4)], ["t7"]))
    assert [op.name for op in graph.ops] == [f"r{i}" for i in range(7)]


def test_order_of_a_valid_file_is_kept() -> None:
    nodes = [node("Relu", "x", "b", name="second"), node("Relu", "x", "a", name="first"), node("Add", "a b", "y")]
    assert [op.name for op in resolved(model(nodes, [value("x", 4)], ["y"])).ops] == ["second", "first", "add_y"]


def test_a_cycle_is_refused_and_shown() -> None:
    nodes = [node("Add", "x b", "a", name="one"), node("Relu", "a", "b", name="two")]
    with pytest.raises(ModelError, match=r"the nodes form a cycle: .*'one' → .*'two'|the nodes form a cycle: .*'two' → .*'one'"):
        resolved(model(nodes, [value("x", 4)], ["b"]))


def test_a_node_that_feeds_itself_is_a_cycle() -> None:
    with pytest.raises(ModelError, match="cycle"):
        resolved(model([node("Add", "x y", "y")], [value("x", 4)], ["y"]))


def test_a_name_made_twice_is_refused() -> None:
    nodes = [node("Relu", "x", "y", name="one"), node("Sigmoid", "x", "y", name="two")]
    with pytest.raises(ModelError, match="the name 'y' is produced twice, by Relu 'one' and Sigmoid 'two'"):
        resolved(model(nodes, [value("x", 4)], ["y"]))


def test_a_name_made_over_an_input_is_refused() -> None:
    """ONNX is in static single assignment form: an input may not be written again."""
    nodes = [node("Relu", "x", "a", name="one"), node("Sigmoid", "a", "x", name="two")]
    with pytest.raises(ModelError, match="'x'"):
        resolved(model(nodes, [value("x", 4)], ["x"]))


def test_two_initializers_of_one_name_are_refused() -> None:
    with pytest.raises(ModelError, match="two initializers have the name 'w'"):
        resolved(model([node("MatMul", "x w", "y")], [value("x", 1, 8)], ["y"], [weight("w", 8, 4), weight("w", 8, 4)]))


def test_two_inputs_of_one_name_are_refused() -> None:
    with pytest.raises(ModelError, match="two inputs have the name 'x'"):
        resolved(model([node("Relu", "x", "y")], [value("x", 1), value("x", 1)], ["y"]))


def test_a_name_never_made_is_refused_with_a_hint() -> None:
    nodes = [node("Relu", "x", "hidden"), node("Relu", "hiden", "y", name="second")]
    with pytest.raises(ModelError, match=r"Relu 'second' reads 'hiden', which nothing produces; did you mean 'hidden'\?"):
        resolved(model(nodes, [value("x", 4)], ["y"]))


def test_the_hint_also_knows_inputs_and_weights() -> None:
    nodes = [node("Conv", "pixls kernel", "y")]
    with pytest.raises(ModelError, match=r"reads 'pixls', which nothing produces; did you mean 'pixels'\?"):
        resolved(model(nodes, [value("pixels", 1, 3, 8, 8)], ["y"], [weight("kernel", 4, 3, 1, 1)]))


def test_an_output_never_made_is_refused_with_a_hint() -> None:
    with pytest.raises(ModelError, match=r"the output 'logit' is never produced; did you mean 'logits'\?"):
        resolved(model([node("Relu", "x", "logits")], [value("x", 4)], ["logit"]))


def test_a_node_without_a_name_is_named_by_its_output() -> None:
    bare = node("Relu", "nothing", "y")
    bare.name = ""
    with pytest.raises(ModelError, match=r"Relu \(making 'y'\) reads 'nothing'"):
        resolved(model([bare], [value("x", 4)], ["y"]))


def test_errors_of_shape_name_the_node() -> None:
    with pytest.raises(ShapeError, match=r"MatMul 'product': a matrix product of \[2, 3\] and \[4, 5\]: 3 columns meet 4 rows"):
        resolved(model([node("MatMul", "a b", "y", name="product")], [value("a", 2, 3), value("b", 4, 5)], ["y"]))


def test_an_omitted_optional_input_is_not_missing() -> None:
    graph = resolved(model([node("Clip", "x _ high", "y")], [value("x", 4)], ["y"], [weight("high")]))
    assert shape_of(graph, "y") == (4,)


def test_an_input_that_is_the_output() -> None:
    graph = resolved(model([], [value("x", 4)], [value("x", 4)]))
    assert graph.outputs == ("x",)
    assert graph.ops == ()
