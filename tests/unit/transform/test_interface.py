"""Casts of inputs and outputs that are 32 bit wide in the file and 16 bit in the run."""

import pytest
from support.graphs import FLOAT16, INT64, model, node, resolved, value, weight

from simulator.graph.graph import Graph
from simulator.graph.types import Role
from simulator.model import Model
from simulator.preparation import prepare

CASTS = ("interface_casts",)


def convolution(dtype: int = 1) -> Graph:
    """Two convolutions; what the first makes is also a result."""
    nodes = [node("Conv", "x w", "a", name="first"), node("Conv", "a v", "y", name="second")]
    weights = [weight("w", 8, 3, 1, 1, dtype=dtype), weight("v", 4, 8, 1, 1, dtype=dtype)]
    return resolved(model(nodes, [value("x", 1, 3, 16, 16, dtype=dtype)], ["a", "y"], weights))


def test_what_the_file_hands_over_in_32_bits_is_converted() -> None:
    found = prepare(Model(convolution()), "fp16", (), (), CASTS)
    graph, places = found.graph, 16 * 16
    assert [op.op_type for op in graph.ops] == ["Cast", "Conv", "Conv", "Cast", "Cast"]
    assert [op.added for op in graph.ops] == [True, False, False, True, True]
    assert found.work.input_bytes.tolist() == [4 * 3 * places, 2 * 3 * places, 2 * 8 * places, 2 * 8 * places, 2 * 4 * places]
    assert found.work.output_bytes.tolist() == [2 * 3 * places, 2 * 8 * places, 2 * 4 * places, 4 * 8 * places, 4 * 4 * places]
    assert [graph.tensors[name].dtype.name for name in ("x", "a", "y")] == ["float32"] * 3
    assert [graph.tensors[name].role for name in ("x", "a", "y")] == [Role.INPUT, Role.OUTPUT, Role.OUTPUT]
    assert graph.ops[2].inputs[0] == graph.ops[1].outputs[0] != "a"  # the second reads the narrow one


def test_macs_and_parameters_stay() -> None:
    network = Model(convolution())
    found = prepare(network, "fp16", (), (), CASTS)
    assert found.work.macs.sum() == network.macs
    assert {t.name for t in found.graph.weights()} == {t.name for t in network.graph.weights()}


@pytest.mark.parametrize("precision", [None, "int8", "fp32"])
def test_nothing_is_converted_where_types_are_those_of_the_file_or_integers(precision: str | None) -> None:
    network = Model(convolution())
    with_casts, without = (prepare(network, precision, (), (), adds) for adds in (CASTS, ()))
    assert [op.op_type for op in with_casts.graph.ops] == [op.op_type for op in without.graph.ops] == ["Conv", "Conv"]


def test_a_file_in_16_bits_takes_and_gives_16_bits() -> None:
    found = prepare(Model(convolution(FLOAT16)), "fp16", (), (), CASTS)
    assert [op.op_type for op in found.graph.ops] == ["Conv", "Conv"]


def test_integers_are_handed_over_as_they_are() -> None:
    nodes = [node("Gather", "table ids", "y")]
    graph = resolved(model(nodes, [value("ids", 1, 5, dtype=INT64)], ["y"], [weight("table", 10, 4)]))
    found = prepare(Model(graph), "fp16", (), (), CASTS)
    assert [op.op_type for op in found.graph.ops] == ["Gather", "Cast"]
