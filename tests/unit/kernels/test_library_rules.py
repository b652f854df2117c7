"""What a library of convolutions on blocks fuses: functions in registers, sums, norms; and what it runs by itself."""

import pytest
from support.graphs import ints, model, node, resolved, scalar, value, weight

from simulator.graph.graph import Graph
from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel

FUSION = (
    "convolution_norm", "register_function", "product_scale", "linear_bias", "convolution_sum", "layer_normalization",
    "skip_norm", "activation_function",
)  # fmt: skip
WEIGHTS = [
    weight("w", 8, 8, 3, 3), weight("m", 16, 16), weight("gain", 16), weight("shift", 16),
    *(weight(f"n{i}", 8) for i in range(4)),
    scalar("two", 2, "float32"), scalar("three", 3, "float32"), scalar("six", 6, "float32"), scalar("none", 0, "float32"),
    scalar("eps", 1e-6, "float32"), ints("last", -1),
]  # fmt: skip


def graph(*nodes: object) -> Graph:
    used = {name for op in nodes for name in op.input}  # type: ignore[attr-defined]
    weights = [w for w in WEIGHTS if w.name in used]
    return resolved(model(list(nodes), [value("x", 1, 8, 16, 16)], ["y"], weights, opset=17))  # type: ignore[arg-type]


def kernels(*nodes: object) -> list[Kernel]:
    return list(partition(graph(*nodes), FUSION)[0])


def conv(target: str = "c") -> object:
    return node("Conv", "x w", target, pads=[1, 1, 1, 1])


NORM = [node("BatchNormalization", "c n0 n1 n2 n3", "b"), node("Relu", "b", "y")]
HARD_SWISH = [node("Add", "c three", "p"), node("Clip", "p none six", "q"), node("Mul", "c q", "h"), node("Div", "h six", "y")]
SILU = [node("Sigmoid", "c", "s"), node("Mul", "c s", "y")]


@pytest.mark.parametrize(
    ("after", "count"),
    [
        ([node("Relu", "c", "y")], 1), ([node("Clip", "c none six", "y")], 1), ([node("HardSwish", "c", "y")], 1), (NORM, 1),
        (HARD_SWISH, 1), ([node("Mul", "c two", "y")], 1), ([node("Add", "c x", "y")], 1), (SILU, 2),
        ([node("Softplus", "c", "y")], 2), ([node("Mul", "c x", "y")], 2),
    ],
    ids=["relu", "clip", "hard swish", "norm", "hard swish taken apart", "factor", "sum", "silu", "softplus", "product"],
)  # fmt: skip
def test_what_joins_a_convolution(after: list[object], count: int) -> None:
    assert len(kernels(conv(), *after)) == count


def test_a_function_joins_only_what_nothing_else_reads() -> None:
    assert len(kernels(conv(), node("Relu", "c", "r"), node("Softmax", "c", "s"), node("Concat", "r s", "y", axis=1))) == 4


def test_a_linear_layer_takes_its_bias_but_no_norm_and_no_sum() -> None:
    assert len(kernels(node("MatMul", "x m", "c"), node("Add", "c shift", "d"), node("Relu", "d", "y"))) == 1
    assert len(kernels(node("MatMul", "x m", "c"), node("Add", "c x", "y"))) == 2
    assert len(kernels(node("MatMul", "x m", "c"), *NORM)) == 2  # the image's norm takes the function


def test_a_product_of_activations_takes_one_factor_and_no_mask() -> None:
    scores = [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "p")]
    assert len(kernels(*scores, node("Mul", "p two", "y"))) == 2
    assert len(kernels(*scores, node("Mul", "p gain", "y"))) == 3
    assert len(kernels(*scores, node("Add", "p x", "y"))) == 3


def test_a_layer_norm_is_one_kernel_and_the_norm_of_squares_is_not() -> None:
    means = [node("Relu", "x", "r"), node("ReduceMean", "r", "mu", axes=[-1]), node("Sub", "r mu", "o")]
    norm = [
        node("Pow", "o two", "p"), node("ReduceMean", "p", "v", axes=[-1]), node("Add", "v eps", "e"), node("Sqrt", "e", "s"),
        node("Div", "o s", "y"),
    ]  # fmt: skip
    assert len(kernels(*means, *norm)) == 2
    assert len(kernels(node("Relu", "x", "o"), *norm)) == 6


def test_a_norm_joins_the_sum_that_it_alone_reads() -> None:
    relu, total, norm = node("Relu", "x", "r"), node("Add", "r x", "a"), node("LayerNormalization", "a gain shift", "n")
    assert len(kernels(relu, total, norm, node("Relu", "n", "y"))) == 3
    assert len(kernels(relu, total, norm, node("Add", "n a", "y"))) == 4
