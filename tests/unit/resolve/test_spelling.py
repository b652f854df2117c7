"""What is cut and joined in one way, and what only looks like it."""

import onnx
import pytest
from support.graphs import ints, model, node, op_of, resolved, scalar, value

from simulator.graph.graph import Graph

X = value("x", 2, 8, 6)
WEIGHTS = [ints(f"i{n}", n) for n in (0, 1, 2, 4, 5, 8)] + [ints("end", 2**62), ints("back", -1), scalar("one", 1, "float32")]


def graph(nodes: list[onnx.NodeProto], *outputs: str) -> Graph:
    return resolved(model(nodes, [X], list(outputs), WEIGHTS, opset=18))


def cut(target: str, low: str, high: str, axis: str = "i1", step: str = "_") -> onnx.NodeProto:
    return node("Slice", f"x {low} {high} {axis} {step}", target, name=target)


def types(found: Graph) -> list[str]:
    return [op.op_type for op in found.ops]


def test_slices_that_cut_up_a_tensor_are_a_split() -> None:
    found = graph([cut("b", "i4", "end"), cut("a", "i0", "i4")], "a", "b")
    (split,) = found.ops
    assert (split.op_type, split.name, split.origin) == ("Split", "b", ("a", "b"))
    assert (split.outputs, split.attrs) == (("a", "b"), {"axis": 1, "split": (4, 4)})
    assert found.node_count == 2


@pytest.mark.parametrize(
    "second",
    [
        cut("b", "i5", "i8"),
        cut("b", "i2", "i8"),
        cut("b", "i4", "i8", "i1", "i2"),
        cut("b", "i4", "i5", "i2"),
        cut("b", "i4", "i5"),
    ],
    ids=["a gap", "an overlap", "every other", "another axis", "not to the end"],
)
def test_other_slices_stay(second: onnx.NodeProto) -> None:
    assert types(graph([cut("a", "i0", "i4"), second], "a", "b")) == ["Slice", "Slice"]


def joined(axis: int, *readers: onnx.NodeProto) -> list[onnx.NodeProto]:
    return [node("Concat", "x x", "a", axis=1, name="a"), node("Concat", "a x", "y", axis=axis, name="y"), *readers]


def test_a_concat_takes_in_those_that_only_it_reads() -> None:
    (concat,) = graph(joined(-2), "y").ops
    assert (concat.inputs, concat.origin) == (("x", "x", "x"), ("a", "y"))


def test_a_concat_that_others_read_stays() -> None:
    assert types(graph(joined(1, node("Relu", "a", "z")), "y", "z")) == ["Concat", "Concat", "Relu"]
    assert types(graph(joined(1), "y", "a")) == ["Concat", "Concat"]
    nodes = [node("Concat", "x x", "a", axis=2), node("Concat", "a a", "y", axis=1)]
    assert types(graph(nodes, "y")) == ["Concat", "Concat"]


def test_chains_of_concats_are_one() -> None:
    nodes = [node("Concat", "x x", "a", axis=1), node("Concat", "x a", "b", axis=1), node("Concat", "b x a1", "y", axis=1)]
    nodes.insert(2, node("Concat", "x x", "a1", axis=1))
    (concat,) = graph(nodes, "y").ops
    assert concat.inputs == ("x",) * 6


def test_a_concat_read_twice_by_another_is_taken_in_twice() -> None:
    nodes = [node("Concat", "x x", "a", axis=1), node("Concat", "a a", "y", axis=1)]
    (concat,) = graph(nodes, "y").ops
    assert concat.inputs == ("x",) * 4


def test_a_scalar_of_the_file_is_known() -> None:
    found = graph([node("Mul", "x one", "y", name="scaled")], "y")
    assert found.values[op_of(found, "scaled").inputs[1]] == 1
