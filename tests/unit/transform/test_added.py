"""Operators that a framework runs beside the file: batch norms unfolded, biases of convolutions."""

import pytest
from support.graphs import model, node, resolved, value, weight

from simulator.graph.graph import Graph
from simulator.kernels.partition import partition
from simulator.kernels.rules import FUSION_RULES
from simulator.model import Model
from simulator.preparation import prepare
from simulator.transform.added import with_added

BOTH = ("batch_norm", "bias")
SIZE = 8 * 16 * 16  # elements of the convolution's result
# what exporters call the weight and the bias of a convolution: whose batch norm they folded, or not
FOLDED = [("onnx::Conv_7", "onnx::Conv_8"), ("stem.weight", "stem.weight_bias")]
OWN = [("stem.weight", "stem.bias"), ("onnx::Conv_7", "stem.bias")]  # the second: weights standardised by the exporter


def conv_relu(names: tuple[str, str], op_type: str = "Conv") -> Graph:
    weights, bias = names
    nodes = [node(op_type, f"x {weights} {bias}", "c", pads=[1, 1, 1, 1], name="conv"), node("Relu", "c", "y", name="relu")]
    shape = (8, 3, 3, 3) if op_type == "Conv" else (3, 8, 3, 3)
    return resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], [weight(weights, *shape), weight(bias, 8)]))


def types(graph: Graph, *fusion: str) -> list[list[str]]:
    kernels, _ = partition(graph, fusion)
    return [[graph.ops[i].op_type for i in k.ops] for k in kernels]


@pytest.mark.parametrize("names", FOLDED)
def test_a_folded_batch_norm_runs_as_a_pass(names: tuple[str, str]) -> None:
    network = Model(conv_relu(names))
    work = prepare(network, None, (), (), BOTH).work
    assert work.names == ("conv", "conv/batch_norm", "relu")
    assert work.weight_bytes.tolist() == [4 * 8 * 27, 4 * 4 * 8, 0]  # the bias has become scale, shift, mean and variance
    assert work.input_bytes.tolist() == [4 * 3 * 256, 4 * SIZE, 4 * SIZE]
    assert work.output_bytes.tolist() == [4 * SIZE] * 3
    assert work.macs.sum() == network.macs
    assert work.vector_ops.tolist() == [0, 2 * SIZE, SIZE]


@pytest.mark.parametrize(("names", "op_type"), [*((n, "Conv") for n in OWN), (OWN[0], "ConvTranspose")])
def test_a_bias_runs_as_a_pass(names: tuple[str, str], op_type: str) -> None:
    graph = with_added(conv_relu(names, op_type), BOTH)
    assert types(graph) == [[op_type], ["Add"], ["Relu"]]
    assert [op.added for op in graph.ops] == [False, True, False]
    assert graph.ops[1].origin == graph.ops[0].origin
    (add,) = [k for k in partition(graph, ())[0] if graph.ops[k.main].op_type == "Add"]
    assert sum(t.size_bytes for t in add.weights) == 4 * 8
    assert add.inputs[0].elements == add.outputs[0].elements


@pytest.mark.parametrize("names", [*FOLDED, *OWN])
def test_the_pass_takes_the_activation_along_where_kernels_are_generated(names: tuple[str, str]) -> None:
    found = types(with_added(conv_relu(names), BOTH), "pointwise_chain")
    assert found == [["Conv"], [found[1][0], "Relu"]]


@pytest.mark.parametrize("names", FOLDED)
def test_folded_again_it_is_as_in_the_file(names: tuple[str, str]) -> None:
    graph = with_added(conv_relu(names), BOTH)
    assert types(graph, "batch_norm", "activation") == [["Conv", "BatchNormalization", "Relu"]]


def test_both_exporters_names_give_the_same_kernels() -> None:
    one, other = (prepare(Model(conv_relu(names)), None, ("pointwise_chain",), (), BOTH).work for names in FOLDED)
    assert one.kinds == other.kinds
    assert one.total_bytes.tolist() == other.total_bytes.tolist()


def test_only_what_the_runtime_adds() -> None:
    graph = conv_relu(FOLDED[0])
    assert with_added(graph, ()).ops == graph.ops
    assert types(with_added(graph, ("bias",))) == [["Conv"], ["Add"], ["Relu"]]
    assert types(with_added(conv_relu(OWN[0]), ("batch_norm",))) == [["Conv"], ["Relu"]]


def test_counts_stay() -> None:
    network = Model(conv_relu(FOLDED[0]))
    added = Model(with_added(network.graph, BOTH))
    assert added.macs == network.macs
    assert added.activation_elements_total == network.activation_elements_total
    assert network.graph.outputs == added.graph.outputs


def linear(*dims: int, bias: tuple[int, ...] = (16,), read_twice: bool = False) -> Graph:
    nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "s"), node("Erf", "s", "y")]
    nodes += [node("Neg", "p", "z")] if read_twice else []
    weights = [weight("w", dims[-1], 16), weight("b", *bias)]
    return resolved(model(nodes, [value("x", *dims)], ["y", "z"] if read_twice else ["y"], weights))


def test_a_linear_layers_bias_is_free() -> None:
    assert types(linear(4, 8), "linear_bias") == [["MatMul", "Add"], ["Erf"]]
    assert types(linear(4, 8), "linear_bias", "pointwise_chain") == [["MatMul", "Add"], ["Erf"]]
    assert types(linear(4, 8), "pointwise_chain") == [["MatMul"], ["Add", "Erf"]]


@pytest.mark.parametrize("graph", [linear(4, 8, bias=(4, 16)), linear(4, 8, read_twice=True)])
def test_what_is_no_bias_of_a_linear_layer(graph: Graph) -> None:
    """A table of positions, and a sum that is read before the bias too."""
    assert ["MatMul", "Add"] not in types(graph, "linear_bias")
    assert "linear_bias" in FUSION_RULES


def test_a_max_pool_writes_the_places_too() -> None:
    nodes = [node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2], name="pool"), node("Relu", "p", "y")]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], []))
    plain, found = (prepare(Model(graph), None, (), (), adds) for adds in ((), ("pool_indices",)))
    size = 3 * 8 * 8
    assert plain.work.output_bytes.tolist() == [4 * size, 4 * size]
    assert found.work.output_bytes.tolist() == [(4 + 8) * size, 4 * size]
    assert found.work.input_bytes.tolist() == plain.work.input_bytes.tolist()
    assert (found.work.ops - plain.work.ops).tolist() == [3 * size, 0]  # of the four places of a window three are dropped
    assert not any(op.added for op in found.graph.ops)


def test_standardised_weights_may_all_be_made_first() -> None:
    made = [node("Mul", f"w{n} gain", f"s{n}") for n in "ab"]
    convs = [
        node("Conv", "x sa", "c", name="first"),
        node("Relu", "c", "r", name="relu"),
        node("Conv", "r sb", "y", name="second"),
    ]
    weights = [weight("wa", 8, 8, 1, 1), weight("wb", 8, 8, 1, 1), weight("gain", 8, 1, 1, 1)]
    graph = resolved(model([*made, *convs], [value("x", 1, 8, 4, 4)], ["y"], weights))
    there, ahead = (prepare(Model(graph), None, (), (), (name,)) for name in ("weight_norm", "weight_norm_first"))
    assert there.work.names == ("first/weight_norm", "first", "relu", "second/weight_norm", "second")
    assert ahead.work.names == ("first/weight_norm", "second/weight_norm", "first", "relu", "second")
    assert sorted(ahead.work.total_bytes) == sorted(there.work.total_bytes)
    assert ahead.occupancy.peak_bytes >= there.occupancy.peak_bytes


@pytest.mark.parametrize(("gain", "added"), [("gain", 1), (None, 0)])
def test_standardised_weights_are_standardised_in_every_run(gain: str | None, added: int) -> None:
    """A weight that the file computes from several tensors; one that stands there as it is stays as it is."""
    made = [node("Mul", "w gain", "ws", name="standardise")] if gain else []
    nodes = [*made, node("Conv", f"x {'ws' if gain else 'w'}", "y", pads=[1, 1, 1, 1], name="conv")]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], [weight("w", 8, 3, 3, 3), weight("gain", 8, 1, 1, 1)]))
    plain, found = (prepare(Model(graph), None, (), (), adds) for adds in ((), ("weight_norm",)))
    own = [op for op in found.graph.ops if op.name == "conv/weight_norm"]
    assert len(own) == len(found.work) - len(plain.work) == added
    assert found.work.macs.sum() == plain.work.macs.sum()
    if added:
        assert found.work.output_bytes.tolist() == [4 * 8 * 27, *plain.work.output_bytes.tolist()]
        assert own[0].origin == ("conv",)
        assert own[0].added
