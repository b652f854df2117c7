"""Operators of a profile, back to the kernels that they belong to."""

import pytest

from simulator.fidelity.matching import match
from simulator.fidelity.profile import OperatorTime, RunProfile, grouped_times
from simulator.io.hardware_reader import load_runtime
from simulator.preparation import prepared_for
from simulator.result.prediction import Prepared
from tests.support.graphs import loaded, model, node, value, weight


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """Two convolutions with their activations, then a product, named as PyTorch's exporter names them."""
    nodes = [
        node("Conv", "x w1", "/c1/Conv_output_0", name="/c1/Conv", pads=[1, 1, 1, 1]),
        node("Relu", "/c1/Conv_output_0", "/r1/Relu_output_0", name="/r1/Relu"),
        node("Conv", "/r1/Relu_output_0 w2", "/c2/Conv_output_0", name="/c2/Conv", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "/c2/Conv_output_0", "/p/Pool_output_0", name="/p/Pool"),
        node("Flatten", "/p/Pool_output_0", "/f/Flatten_output_0", name="/f/Flatten"),
        node("MatMul", "/f/Flatten_output_0 w3", "/fc/MatMul_output_0", name="/fc/MatMul"),
        node("Softmax", "/fc/MatMul_output_0", "y", name="/s/Softmax", axis=-1),
    ]
    weights = [weight("w1", 8, 3, 3, 3), weight("w2", 8, 8, 3, 3), weight("w3", 8, 10)]
    proto = model(nodes, [value("x", 1, 3, 16, 16)], ["y"], weights)
    return prepared_for(loaded(proto), load_runtime("onnxruntime"))


def names(prepared: Prepared, *operators: OperatorTime) -> list[str | None]:
    found = match(operators, prepared)
    return [prepared.kernels[found.kernels[i]].name if i in found.kernels else None for i in range(len(operators))]


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("/c1/Conv", "/c1/Conv"),
        ("/r1/Relu_output_0_nchwc", "/c1/Conv"),  # a convolution called by the tensor of its activation
        ("/c2/Conv_output_0_nchwc", "/c2/Conv"),
        ("/c2/Conv_token_17", "/c2/Conv"),
        ("/fc/MatMul/MatMulAddFusion", "/fc/MatMul"),
        ("/fc/MatMul/MatmulTransposeFusion//MatMulScaleFusion/", "/fc/MatMul"),
        ("/c2/Conv_output_0_QuantizeLinear", "/c2/Conv"),
        ("/c1/Conv + /r1/Relu", "/c1/Conv"),  # TensorRT
        ("ReorderOutput_token_3", None),
        ("/c9/Conv", None),
    ],
)
def test_names_that_runtimes_make_of_ours(prepared: Prepared, name: str, kernel: str | None) -> None:
    assert names(prepared, OperatorTime(name, "Conv", 1e-3)) == [kernel]


def test_shares_are_of_the_time(prepared: Prepared) -> None:
    found = match([OperatorTime("/c1/Conv", "Conv", 3e-3), OperatorTime("ReorderOutput", "ReorderOutput", 1e-3)], prepared)
    assert (found.by_name, found.by_order, found.matched) == (0.75, 0.0, 0.75)


def test_nameless_operators_go_by_class_and_order(prepared: Prepared) -> None:
    operators = (OperatorTime("/fc/MatMul", "MatMul", 1e-3), OperatorTime("Softmax_token_9", "Softmax", 1e-3))
    assert names(prepared, *operators) == ["/fc/MatMul", "/s/Softmax"]
    found = match(operators, prepared)
    assert found.how == {0: "name", 1: "order"}
    assert (found.by_name, found.by_order) == (0.5, 0.5)


def test_a_kernel_is_given_away_once(prepared: Prepared) -> None:
    twice = [OperatorTime("Softmax_token_1", "Softmax", 1e-3), OperatorTime("Softmax_token_2", "Softmax", 1e-3)]
    assert names(prepared, *twice) == ["/s/Softmax", None]


def test_no_operators_match_nothing(prepared: Prepared) -> None:
    assert match([], prepared).matched == 0.0


def test_calls_of_a_run_add_up_and_runs_have_a_median() -> None:
    timed = [("a", "Conv", 0, 1.0), ("a", "Conv", 0, 2.0), ("a", "Conv", 1, 5.0), ("a", "Conv", 2, 1.0), ("a", "Conv", 2, 3.0)]
    (found,) = grouped_times(timed)
    assert found.latency_s == 4.0  # of 3, 5 and 4
    assert found.calls == pytest.approx(5 / 3)


def test_the_total_is_the_timed_run_where_there_is_one() -> None:
    operators = (OperatorTime("a", "Conv", 1.0), OperatorTime("b", "Conv", 2.0))
    assert RunProfile("t", operators).total_s == 3.0
    assert RunProfile("t", operators, latency_s=3.5).total_s == 3.5
