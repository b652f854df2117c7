"""Made-up inputs: types, and whole numbers within what they look up."""

import numpy as np
import pytest

from simulator.errors import ModelError
from simulator.measuring.inputs import InputSpec, index_bound, input_specs
from tests.support.graphs import BOOL, FLOAT16, INT32, INT64, UINT8, anything, ints, model, node, resolved, value, weight


def test_indices_stay_within_the_smallest_table_behind_any_views() -> None:
    nodes = [
        node("Cast", "ids", "cast", to=INT64),
        node("Gather", "words cast", "a"),
        node("Unsqueeze", "cast axes", "wide"),
        node("Squeeze", "wide axes", "narrow"),
        node("Gather", "kinds narrow", "b"),
        node("Add", "a b", "y"),
    ]
    proto = model(nodes, [value("ids", 1, 16, dtype=INT64)], ["y"],
                  [weight("words", 30000, 8), weight("kinds", 2, 8), ints("axes", 0)])  # fmt: skip
    graph = resolved(proto)
    assert index_bound(graph, "ids") == 2
    (spec,) = input_specs(graph)
    assert set(np.unique(spec.array())) == {0, 1}
    assert spec.array().dtype == np.int64


def test_the_axis_of_a_lookup_counts() -> None:
    proto = model([node("Gather", "table i", "y", axis=1)], [value("i", 4, dtype=INT64)], ["y"], [weight("table", 100, 7)])
    assert index_bound(resolved(proto), "i") == 7


def test_each_input_of_an_embedding_has_its_own_table() -> None:
    nodes = [node("EmbedLayerNormalization", "ids kinds words places segments g b", "y m", domain="com.microsoft")]
    inputs = [value("ids", 1, 16, dtype=INT32), value("kinds", 1, 16, dtype=INT32)]
    tables = [weight("words", 300, 8), weight("places", 64, 8), weight("segments", 2, 8), weight("g", 8), weight("b", 8)]
    graph = resolved(model(nodes, inputs, ["y"], tables, domains=["com.microsoft"]))
    assert [index_bound(graph, name) for name in ("ids", "kinds")] == [300, 2]


def test_a_mask_lets_everything_through() -> None:
    nodes = [node("Cast", "mask", "m", to=1), node("Mul", "x m", "y")]
    specs = input_specs(resolved(model(nodes, [value("x", 2, 8), value("mask", 2, 8, dtype=INT64)], ["y"])))
    assert specs[1].array().tolist() == [[1] * 8] * 2
    assert specs[0].array().std() > 0.3


@pytest.mark.parametrize(("dtype", "name", "most"), [(FLOAT16, "float16", 6), (UINT8, "uint8", 255), (BOOL, "bool", 1)])
def test_types(dtype: int, name: str, most: int) -> None:
    (spec,) = input_specs(resolved(model([node("Identity", "x", "y")], [value("x", 3, 50, dtype=dtype)], ["y"])))
    made = spec.array()
    assert (made.dtype.name, made.shape) == (name, (3, 50))
    assert made.max() <= most
    assert np.array_equal(made, spec.array())


def test_two_inputs_differ() -> None:
    assert not np.array_equal(InputSpec("a", "float32", (9,)).array(), InputSpec("b", "float32", (9,)).array())


def test_text_is_refused() -> None:
    proto = model([node("Identity", "x", "y")], [value("x", 3, dtype=8)], [anything("y")])
    with pytest.raises(ModelError, match="'x' of type string cannot be made up"):
        input_specs(resolved(proto))
