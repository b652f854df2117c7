"""Sizes of the inputs: what the file fixes, what the user fixes, what is assumed and said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.graphs import INT64, model, node, resolved, shape_of, value, weight

from simulator.errors import ShapeError, UsageError
from simulator.graph.graph import Graph
from simulator.resolve.dims import default_dim


def relu(*dims: int | str | None, **options: object) -> Graph:
    return resolved(model([node("Relu", "x", "y")], [value("x", *dims)], ["y"]), **options)


def test_fixed_sizes_need_no_note() -> None:
    graph = relu(2, 3, 4)
    assert shape_of(graph, "y") == (2, 3, 4)
    assert graph.notes == ()


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        (("batch", 3, "height", "width"), (1, 3, 224, 224)),
        (("N", "C", "H", "W"), (1, 3, 224, 224)),
        (("batch_size", "sequence_length"), (1, 128)),
        (("batch", "seq", 768), (1, 128, 768)),
        (("batch", "past_sequence_length", 64), (1, 128, 64)),
        (("batch", "num_samples"), (1, 16000)),
        ((None, 3, None, None), (1, 3, 224, 224)),
        ((None, 10), (1, 10)),
        ((0, 3, 8, 8), (1, 3, 8, 8)),  # exporters write 0 and −1 for "any"
        ((-1, 3, 8, 8), (1, 3, 8, 8)),
    ],
)
def test_defaults(dims: tuple, expected: tuple[int, ...]) -> None:
    assert shape_of(relu(*dims), "x") == expected


def test_every_assumption_is_said_once() -> None:
    nodes = [node("Add", "a b", "y")]
    graph = resolved(model(nodes, [value("a", "batch", "seq"), value("b", "batch", "seq")], ["y"]))
    assert graph.notes == ("assumed batch = 1", "assumed seq = 128")


def test_an_unnamed_dimension_is_named_by_its_place() -> None:
    assert relu(None, 3, 8, None).notes == ("assumed x[0] = 1", "assumed x[3] = 224")


def test_a_symbol_given_by_name() -> None:
    graph = relu("batch", "seq", 8, dims={"seq": 77, "batch": 2})
    assert shape_of(graph, "y") == (2, 77, 8)
    assert graph.notes == ()


def test_a_symbol_has_one_size_everywhere() -> None:
    graph = resolved(model([node("Add", "a b", "y")], [value("a", "n", 4), value("b", "n", 4)], ["y"]), dims={"n": 5})
    assert shape_of(graph, "y") == (5, 4)


def test_an_unknown_symbol_is_refused_with_a_hint() -> None:
    with pytest.raises(
        UsageError, match=r"no dimension 'sequence'; did you mean 'seqence'\? \(symbolic dimensions: batch, seqence\)"
    ):
        relu("batch", "seqence", dims={"sequence": 5})


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(UsageError, match="dimension 'seq' is -1"):
        relu("batch", "seq", dims={"seq": -1})


def test_batch_of_a_symbol() -> None:
    graph = relu("N", 3, 8, 8, batch=16)
    assert shape_of(graph, "y") == (16, 3, 8, 8)
    assert graph.batch == 16
    assert graph.notes == ()


def test_batch_of_a_fixed_dimension() -> None:
    assert shape_of(relu(1, 3, 8, 8, batch=16), "y") == (16, 3, 8, 8)


def test_batch_leaves_inputs_alone_that_do_not_have_it() -> None:
    nodes = [node("MatMul", "x w", "y")]
    graph = resolved(model(nodes, [value("x", 1, 8), value("w", 8, 4)], ["y"]), batch=4)
    assert shape_of(graph, "w") == (8, 4)
    assert shape_of(graph, "y") == (4, 4)


@pytest.mark.parametrize("batch", [0, -3])
def test_a_batch_below_one_is_refused(batch: int) -> None:
    with pytest.raises(UsageError, match=f"the batch must be 1 or more, not {batch}"):
        relu(1, 3, batch=batch)


def test_a_whole_shape_given() -> None:
    assert shape_of(relu("N", 3, "H", "W", input_shapes={"x": (2, 3, 32, 48)}), "y") == (2, 3, 32, 48)


def test_a_given_shape_of_another_rank_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"input 'x' has 2 dimensions, the given shape \[1, 2, 3\] has 3"):
        relu(1, 3, input_shapes={"x": (1, 2, 3)})


def test_a_shape_for_an_unknown_input_is_refused_with_a_hint() -> None:
    nodes = [node("Relu", "pixels", "y")]
    with pytest.raises(UsageError, match=r"no input 'pixel'; did you mean 'pixels'\? \(inputs: pixels\)"):
        resolved(model(nodes, [value("pixels", 1, 3)], ["y"]), input_shapes={"pixel": (1, 3)})


def test_an_absurd_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="absurd shape"):
        relu("N", 8, dims={"N": 2**53})


def test_a_weight_listed_among_the_inputs_is_no_input() -> None:
    """Files of IR version 3 list their initializers as inputs too."""
    proto = model([node("MatMul", "x w", "y")], [value("x", 1, 8), value("w", 8, 4)], ["y"], [weight("w", 8, 4)])
    graph = resolved(proto)
    assert graph.inputs == ("x",)


def test_integer_inputs_keep_their_type() -> None:
    graph = resolved(model([node("Identity", "ids", "y")], [value("ids", "batch", "seq", dtype=INT64)], ["y"]))
    assert graph.tensors["ids"].dtype.name == "int64"
    assert shape_of(graph, "ids") == (1, 128)


@given(st.text(max_size=12), st.integers(0, 4), st.integers(1, 5))
def test_a_default_exists_for_any_symbol(symbol: str, axis: int, rank: int) -> None:
    assert default_dim(symbol, min(axis, rank - 1), rank) >= 1
