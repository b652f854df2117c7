"""Reorders into blocks of channels and back: which tensors, worked out by hand."""

import pytest
from support.graphs import INT8, ints, model, node, resolved, scalar, value, weight

from simulator.graph.graph import Graph
from simulator.model import Model
from simulator.preparation import prepare
from simulator.transform.blocks import with_reorders

SIDE = 16
PADS = {"pads": [1, 1, 1, 1]}


def reordered(nodes: list[object], *weights: object, channels: int = 32, dtype: int = 1) -> list[str]:
    found = with_reorders(*_with_kinds(graph(nodes, *weights, channels=channels, dtype=dtype)))
    return [op.op_type for op in found.ops]


def graph(nodes: list[object], *weights: object, channels: int = 32, dtype: int = 1) -> Graph:
    return resolved(model(nodes, [value("x", 1, channels, SIDE, SIDE, dtype=dtype)], ["y"], list(weights)))  # type: ignore[arg-type]


def _with_kinds(found: Graph) -> tuple[Graph, list[object]]:
    from simulator.kernels.operators import kind_of, work_of

    return found, [kind_of(op, work_of(found, op)) for op in found.ops]


def conv(source: str, target: str, name: str = "w", group: int = 1) -> object:
    return node("Conv", f"{source} {name}", target, group=group, **PADS)


W = weight("w", 32, 32, 3, 3)


def test_a_convolution_stands_between_two_reorders() -> None:
    assert reordered([conv("x", "y")], W) == ["ReorderInput", "Conv", "ReorderOutput"]


def test_few_channels_are_read_as_they_lie() -> None:
    assert reordered([conv("x", "y")], weight("w", 32, 3, 3, 3), channels=3) == ["Conv", "ReorderOutput"]


@pytest.mark.parametrize(
    ("shape", "group", "blocked"),
    [
        ((32, 30, 3, 3), 1, False), ((32, 28, 3, 3), 1, True), ((30, 1, 3, 3), 30, False), ((28, 1, 3, 3), 28, True),
        ((64, 8, 3, 3), 4, False), ((64, 16, 3, 3), 4, True), ((32, 16, 3, 3), 4, False),
    ],
)  # fmt: skip
def test_which_convolutions_have_blocks(shape: tuple[int, ...], group: int, blocked: bool) -> None:
    found = reordered([conv("x", "y", group=group)], weight("w", *shape), channels=shape[1] * group)
    assert found == (["ReorderInput", "Conv", "ReorderOutput"] if blocked else ["Conv"])


def test_what_works_on_blocks_is_not_reordered() -> None:
    nodes = [
        conv("x", "a"), node("Relu", "a", "b"), conv("b", "c"), node("Add", "b c", "d"), node("Sigmoid", "d", "s"),
        node("Mul", "d s", "e"), node("Concat", "d e", "f", axis=1), node("GlobalAveragePool", "f", "y"),
    ]  # fmt: skip
    found = reordered(nodes, W)
    assert found == ["ReorderInput", *(n.op_type for n in nodes), "ReorderOutput"]  # type: ignore[attr-defined]


def test_a_gate_of_one_number_a_channel_reads_the_plain_tensor_once() -> None:
    nodes = [conv("x", "a"), node("GlobalAveragePool", "a", "g"), node("Mul", "a g", "b"), conv("b", "y")]
    assert reordered(nodes, W) == [
        "ReorderInput", "Conv", "GlobalAveragePool", "ReorderOutput", "ReorderOutput", "Mul", "ReorderInput", "Conv",
        "ReorderOutput",
    ]  # fmt: skip


def test_transpositions_of_channels_are_done_by_the_reorder() -> None:
    nodes = [conv("x", "a"), node("Transpose", "a", "t", perm=[0, 2, 3, 1]), node("Softmax", "t", "s", axis=-1),
             node("Transpose", "s", "b", perm=[0, 3, 1, 2]), conv("b", "y")]  # fmt: skip
    assert reordered(nodes, W) == ["ReorderInput", "Conv", "Transpose", "Softmax", "Transpose", "Conv", "ReorderOutput"]


def test_integer_convolutions_have_no_blocks() -> None:
    nodes = [node("DequantizeLinear", "x scale point", "d"), conv("d", "y")]
    found = reordered(nodes, W, scalar("scale", 0.1, "float32"), scalar("point", 0, "int8"), dtype=INT8)
    assert found == ["DequantizeLinear", "Conv"]


def test_work_and_boundary_stay_and_reorders_are_marked() -> None:
    network = Model(graph([conv("x", "a"), node("Relu", "a", "b"), node("Reshape", "b flat", "y")], W, ints("flat", 1, -1)))
    plain, found = prepare(network, None, ("register_function",)), prepare(network, None, ("register_function",), (), ("blocks",))
    assert found.work.macs.sum() == plain.work.macs.sum() == network.macs
    assert found.graph.outputs == plain.graph.outputs
    assert [op.op_type for op in found.graph.ops if op.added] == ["ReorderInput", "ReorderOutput"]
    assert found.work.total_bytes.sum() == plain.work.total_bytes.sum() + 4 * 4 * 32 * SIDE * SIDE  # both read and write it
