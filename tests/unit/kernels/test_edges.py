"""Padding and pools that become part of a convolution."""

import pytest
from support.graphs import FLOAT, INT8, ints, model, node, resolved, value, weight

from simulator.graph.graph import Graph
from simulator.kernels.partition import partition
from simulator.ops.work import Kind

QUANTIZED = ("pad", "quantize")


def cut(graph: Graph, *fusion: str) -> list[list[str]]:
    """Operator types of each kernel."""
    kernels, _ = partition(graph, fusion)
    return [[graph.ops[i].op_type for i in k.ops] for k in kernels]


def padded(*, outputs: str = "y", reader: str = "Conv", **attrs: str) -> Graph:
    """x padded by one on each side, then a 3 × 3 window."""
    last = node("Conv", "p w", "y") if reader == "Conv" else node(reader, "p", "y", kernel_shape=[3, 3])
    nodes = [node("Pad", "x pads", "p", **attrs), last]
    weights = [weight("w", 8, 3, 3, 3), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)]
    return resolved(model(nodes, [value("x", 1, 3, 16, 16)], outputs.split(), weights))


def test_zero_padding_joins_the_convolution_that_alone_reads_it() -> None:
    graph = padded()
    assert cut(graph, "pad") == [["Pad", "Conv"]]
    (kernel,) = partition(graph, ("pad",))[0]
    assert kernel.kind is Kind.CONV
    assert graph.ops[kernel.main].op_type == "Conv"
    assert [t.name for t in kernel.inputs] == ["x"]  # the padded copy is never made


def test_padding_stays_a_kernel_without_the_rule() -> None:
    assert cut(padded(), "batch_norm", "activation") == [["Pad"], ["Conv"]]


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_mirrored_padding_is_no_zero(mode: str) -> None:
    assert cut(padded(mode=mode), "pad") == [["Pad"], ["Conv"]]


def test_padding_that_leaves_the_graph_is_made() -> None:
    assert cut(padded(outputs="p y"), "pad") == [["Pad"], ["Conv"]]


def test_padding_of_a_pool_is_not_zero_to_it() -> None:
    """A maximum over a zero is not one over nothing."""
    assert cut(padded(reader="MaxPool"), "pad") == [["Pad"], ["MaxPool"]]


def test_padding_of_two_convolutions_is_made_once() -> None:
    nodes = [node("Pad", "x pads", "p"), node("Conv", "p w1", "a"), node("Conv", "p w2", "b")]
    weights = [weight("w1", 8, 3, 3, 3), weight("w2", 8, 3, 3, 3), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["a", "b"], weights))
    assert cut(graph, "pad") == [["Pad"], ["Conv"], ["Conv"]]


def test_padding_behind_the_activation_of_another_convolution_joins_the_second() -> None:
    nodes = [node("Conv", "x w1", "a"), node("Relu", "a", "r"), node("Pad", "r pads", "p"), node("Conv", "p w2", "y")]
    weights = [weight("w1", 8, 3, 1, 1), weight("w2", 8, 8, 3, 3), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], weights))
    assert cut(graph, "activation", "pad") == [["Conv", "Relu"], ["Pad", "Conv"]]


def test_padding_that_is_rounded_once_more() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "d"), node("Pad", "d pads", "p"),
        node("QuantizeLinear", "p s z", "q2"), node("DequantizeLinear", "q2 s z", "d2"), node("Conv", "d2 w", "y"),
    ]  # fmt: skip
    weights = [weight("s", dtype=FLOAT), weight("z", dtype=INT8), weight("w", 8, 3, 3, 3), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1)]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], weights))
    assert cut(graph, *QUANTIZED) == [["QuantizeLinear"], ["Pad", "QuantizeLinear", "Conv"]]


def pooled(*between: str, op: str = "MaxPool", outputs: str = "y", first: str = "Conv") -> Graph:
    """A product, element-wise operators, a 2 × 2 pool."""
    names = [f"t{i}" for i in range(len(between) + 1)]
    start = node("Conv", "x w", names[0]) if first == "Conv" else node("MatMul", "x m", names[0])
    steps = [node(b, names[i], names[i + 1]) for i, b in enumerate(between)]
    nodes = [start, *steps, node(op, names[-1], "y", kernel_shape=[2, 2], strides=[2, 2])]
    return resolved(model(nodes, [value("x", 1, 3, 16, 16)], outputs.split(), [weight("w", 8, 3, 1, 1), weight("m", 16, 16)]))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_pool_joins_the_convolution_before_it(op: str) -> None:
    graph = pooled("Relu", op=op)
    assert cut(graph, "activation", "pool") == [["Conv", "Relu", op]]
    (kernel,) = partition(graph, ("activation", "pool"))[0]
    assert kernel.kind is Kind.CONV
    assert [t.name for t in kernel.outputs] == ["y"]  # the convolution's own result is never whole


def test_an_activation_behind_a_pool_joins_as_well() -> None:
    nodes = [node("Conv", "x w", "c"), node("MaxPool", "c", "p", kernel_shape=[2, 2]), node("Relu", "p", "y")]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], [weight("w", 8, 3, 1, 1)]))
    assert cut(graph, "activation", "pool") == [["Conv", "MaxPool", "Relu"]]


def test_a_pool_of_what_is_read_elsewhere_stays_out() -> None:
    assert cut(pooled(outputs="t0 y"), "pool") == [["Conv"], ["MaxPool"]]


def test_a_pool_joins_no_matrix_product() -> None:
    assert cut(pooled(first="MatMul"), "pool") == [["MatMul"], ["MaxPool"]]


def test_one_pool_a_kernel() -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("MaxPool", "c", "p", kernel_shape=[2, 2]),
        node("MaxPool", "p", "y", kernel_shape=[2, 2]),
    ]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], [weight("w", 8, 3, 1, 1)]))
    assert cut(graph, "pool") == [["Conv", "MaxPool"], ["MaxPool"]]
