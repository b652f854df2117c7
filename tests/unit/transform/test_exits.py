"""Early exits: the head by its closed form, and what runs until it."""

import pytest
from support.checked import check
from support.graphs import loaded, model, node, value, weight

from simulator.api import load_model
from simulator.errors import UsageError
from simulator.model import Model
from simulator.transform.exits import exit_output, until_exit, with_exit


def test_a_head_on_feature_maps() -> None:
    plain = load_model("resnet18")
    graph = with_exit(plain.graph, "layer2.1.relu", 100)
    check(graph)
    found = Model(graph)
    assert found.params - plain.params == 128 * 100 + 100
    assert found.macs - plain.macs == 128 * 100
    assert graph.outputs == ("logits", "layer2.1.relu.out/exit")
    assert graph.output_names == graph.outputs
    assert graph.tensors[graph.outputs[1]].shape == (1, 100)


def test_the_head_runs_where_the_tensor_is_made() -> None:
    graph = with_exit(load_model("resnet18").graph, "layer2.1.relu", 100)
    names = [op.name for op in graph.ops]
    at = names.index("layer2.1.relu")
    assert [op.op_type for op in graph.ops[at + 1 : at + 4]] == ["GlobalAveragePool", "Flatten", "Gemm"]


def test_what_runs_until_the_exit() -> None:
    """All that comes before: the stem and two stages of ResNet-18."""
    plain = load_model("resnet18")
    part = Model(until_exit(with_exit(plain.graph, "layer2.1.relu", 1000), "layer2.1.relu"))
    check(part.graph)
    basic = 2 * 9 * 64 * 64 * 56 * 56
    second = (9 * 64 * 128 + 9 * 128 * 128 + 64 * 128) * 28 * 28 + 2 * 9 * 128 * 128 * 28 * 28
    assert part.macs == 147 * 64 * 112 * 112 + 2 * basic + second + 128 * 1000
    assert part.graph.outputs == (exit_output("layer2.1.relu.out"),)


def test_an_exit_pays_for_those_before_it() -> None:
    graph = with_exit(with_exit(load_model("resnet18").graph, "layer1.1.relu", 10), "layer2.1.relu", 20)
    first, second = until_exit(graph, "layer1.1.relu"), until_exit(graph, exit_output("layer2.1.relu.out"))
    assert second.outputs == (*first.outputs, "layer2.1.relu.out/exit")
    names = {op.name for op in second.ops}
    assert {op.name for op in first.ops} < names
    assert Model(first).macs < Model(second).macs < Model(graph).macs


@pytest.mark.parametrize(("at", "features"), [("encoder.layer5.add2", 768), ("patches.conv_proj", 768)])
def test_tokens_and_patches(at: str, features: int) -> None:
    plain = load_model("vit_b_32")
    at = at if any(op.name == at for op in plain.graph.ops) else next(op.name for op in plain.graph.ops if op.op_type == "Conv")
    graph = with_exit(plain.graph, at, 10)
    check(graph)
    assert Model(graph).params - plain.params == features * 10 + 10


def test_features_and_sequences() -> None:
    nodes = [
        node("Conv", "x w", "a", name="conv"), node("Relu", "a", "r", name="relu"), node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f", name="flat"), node("Gemm", "f v", "y", name="last"),
    ]  # fmt: skip
    network = loaded(model(nodes, [value("x", 1, 3, 50)], ["y"], [weight("w", 8, 3, 3), weight("v", 8, 4)]))
    for at, heads in (("relu", 3), ("flat", 1)):
        graph = with_exit(network.graph, at, 6)
        check(graph)
        assert len(graph.ops) == len(network.graph.ops) + heads
        assert Model(graph).params - network.params == 8 * 6 + 6


@pytest.mark.parametrize(
    ("at", "classes", "message"),
    [
        ("layer2.1.rleu", 10, "no operator or tensor 'layer2.1.rleu'.*; did you mean 'layer2.1.relu'"),
        ("input", 10, "no operator or tensor 'input' that the network computes"),
        ("layer2.1.relu", 0, "needs one class or more, not 0"),
    ],
)
def test_errors(at: str, classes: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_exit(load_model("resnet18").graph, at, classes)


def test_two_exits_on_one_tensor_are_refused() -> None:
    graph = with_exit(load_model("resnet18").graph, "layer2.1.relu", 10)
    with pytest.raises(UsageError, match=r"there is an exit on 'layer2\.1\.relu\.out' already"):
        with_exit(graph, "layer2.1.relu.out", 10)


def test_an_exit_needs_features() -> None:
    network = loaded(model([node("ReduceSum", "x", "y", keepdims=0, name="sum")], [value("x", 1, 8)], ["y"]))
    with pytest.raises(UsageError, match=r"needs feature maps, tokens or features in floating point, not \[\] of float32"):
        with_exit(network.graph, "sum", 10)


def test_there_has_to_be_an_exit() -> None:
    graph = load_model("resnet18").graph
    with pytest.raises(UsageError, match=r"there is no exit on 'layer2.1.relu' \(exits: none\)"):
        until_exit(graph, "layer2.1.relu")
    with pytest.raises(UsageError, match=r"exits: layer1.1.relu.out/exit"):
        until_exit(with_exit(graph, "layer1.1.relu", 10), "layer2.1.relu")
