"""What an engine refuses, operator by operator: its list, its limits, its element types."""

from typing import Any

import onnx
import pytest
from support.graphs import model as model_of
from support.graphs import node as node_of
from support.graphs import op_of, resolved, value, weight

from simulator.kernels.partition import partition
from simulator.kernels.support import kernel_refusals, op_refusals, refusal
from simulator.machine.spec import Supports


def refused(
    nodes: onnx.NodeProto | list[onnx.NodeProto], given: list[onnx.ValueInfoProto], weights: list[onnx.TensorProto], **limits: Any
) -> str | None:
    """Why the last node is refused."""
    chain = nodes if isinstance(nodes, list) else [nodes]
    graph = resolved(model_of(chain, given, [chain[-1].output[0]], weights))
    return refusal(graph, op_of(graph, chain[-1].name), Supports(**limits))


def conv(window: int, *, given: bool = True, stride: int = 1, channels: int = 8, batch: int = 1, **limits: int) -> str | None:
    attrs: dict[str, object] = {"kernel_shape": [1, window]} if given else {}
    made = node_of("Conv", "x w", "y", strides=[stride, 1], **attrs)
    return refused(made, [value("x", batch, channels, 64, 64)], [weight("w", 4, channels, 1, window)], **limits)


def pool(window: int, **limits: int) -> str | None:
    return refused(node_of("MaxPool", "x", "y", kernel_shape=[window, window]), [value("x", 1, 8, 64, 64)], [], **limits)


def test_nothing_is_refused_without_a_list() -> None:
    assert conv(33) is None
    assert pool(33) is None


def test_an_operator_must_be_in_the_list() -> None:
    made = node_of("Softmax", "x", "y", axis=-1)
    assert refused(made, [value("x", 4, 8)], [], operators=("Conv",)) == "Softmax"
    assert refused(made, [value("x", 4, 8)], [], operators=("Conv", "Softmax")) is None


@pytest.mark.parametrize("given", [True, False])
def test_the_largest_window_counts_given_or_from_the_weights(given: bool) -> None:
    assert conv(32, given=given, max_kernel=32) is None
    assert conv(33, given=given, max_kernel=32) == "Conv (kernel 33)"


def test_windows_of_pools_have_a_limit_of_their_own() -> None:
    assert pool(9, max_kernel=8) is None
    assert pool(9, max_pool=8) == "MaxPool (pool 9)"
    assert conv(9, max_pool=8) is None


def test_strides_channels_batch_and_rank() -> None:
    assert conv(3, stride=4, max_stride=3) == "Conv (stride 4)"
    assert conv(3, stride=3, max_stride=3) is None
    assert conv(3, channels=16, max_channels=8) == "Conv (channels 16)"
    assert conv(3, batch=2, max_batch=1) == "Conv (batch 2)"
    add = node_of("Add", "x x", "y")
    assert refused(add, [value("x", 128, 64)], [], max_batch=1) is None  # rows, not images
    assert refused(add, [value("x", 1, 2, 3, 4, 5)], [], max_rank=4) == "Add (rank 5)"


def test_products_of_two_activations() -> None:
    product = node_of("MatMul", "x w", "y")
    given, constant = [value("x", 4, 8)], [weight("w", 8, 8)]
    assert refused(product, given, constant, constant_weights=True) is None
    assert refused(product, [*given, value("w", 8, 8)], [], constant_weights=True) == "MatMul (of activations)"
    assert refused(node_of("Add", "x w", "y"), [*given, value("w", 4, 8)], [], constant_weights=True) is None


def test_weights_behind_a_dequantization_are_constant() -> None:
    nodes = [node_of("DequantizeLinear", "q s", "w"), node_of("MatMul", "x w", "y")]
    weights = [weight("q", 8, 8, dtype=3), weight("s")]
    assert refused(nodes, [value("x", 4, 8)], weights, constant_weights=True) is None


def test_rounding_is_never_refused() -> None:
    made = node_of("QuantizeLinear", "x s", "y")
    assert refused(made, [value("x", 4, 8)], [weight("s")], operators=("Conv",)) is None


def test_a_kernel_is_refused_for_any_of_its_operators_and_for_its_type() -> None:
    nodes = [node_of("MatMul", "x w", "h"), node_of("Erf", "h", "y")]
    graph = resolved(model_of(nodes, [value("x", 4, 8)], ["y"], [weight("w", 8, 8)]))
    supported = (("npu", Supports(operators=("MatMul",), dtypes=("int8",))), ("gpu", Supports()))
    by_op = op_refusals(graph, supported)
    assert [dict(reasons) for reasons in by_op] == [{}, {"npu": "Erf"}]
    fused, _ = partition(graph, ("activation",))
    assert kernel_refusals(fused, ["int8"], by_op, supported) == ({"npu": ("Erf",)},)
    apart, _ = partition(graph, ("activation",), by_op)
    assert len(apart) == 2
    assert kernel_refusals(apart, ["int8", "fp32"], by_op, supported) == ({}, {"npu": ("Erf", "fp32")})


def test_an_idiom_that_two_engines_share_is_taken_apart() -> None:
    nodes = [
        node_of("Div", "x c", "a"), node_of("Erf", "a", "b"), node_of("Add", "b one", "d"), node_of("Mul", "x d", "e"),
        node_of("Mul", "e half", "y"),
    ]  # fmt: skip
    weights = [weight(name) for name in ("c", "one", "half")]
    graph = resolved(model_of(nodes, [value("x", 4, 8)], ["y"], weights))
    rules = ("activation_function", "pointwise")
    assert len(partition(graph, rules)[0]) == 1
    kernels, _ = partition(graph, rules, op_refusals(graph, (("npu", Supports(operators=("Div", "Add", "Mul"))),)))
    assert [len(k.ops) for k in kernels] == [1, 1, 3]
