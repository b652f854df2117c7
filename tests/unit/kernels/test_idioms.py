"""What exporters took apart is one kernel again, whatever the exporter, and only where it really is that function."""

import onnx
import pytest
from support.graphs import anything, model, node, resolved, scalar, value, weight

from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.ops.work import Kind

ALL = ("attention", "normalization", "activation_function")


def kernels(
    nodes: list[onnx.NodeProto], *inputs: onnx.ValueInfoProto, weights: tuple[onnx.TensorProto, ...] = ()
) -> tuple[Kernel, ...]:
    last = nodes[-1].output[0]
    made, _ = partition(resolved(model(nodes, list(inputs), [anything(last)], list(weights))), ALL)
    return made


X = value("x", 2, 8, 16)
GELU_ERF = [
    node("Div", "x root2", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"), node("Mul", "x c", "d"),
    node("Mul", "d half", "y"),
]  # fmt: skip
GELU_HALF_FIRST = [
    node("Mul", "x half", "h"), node("Mul", "x rroot2", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"),
    node("Mul", "h c", "y"),
]  # fmt: skip
GELU_TANH = [
    node("Mul", "x half", "h"), node("Pow", "x three", "p"), node("Mul", "p cubic", "q"), node("Add", "x q", "r"),
    node("Mul", "r scale", "t"), node("Tanh", "t", "u"), node("Add", "u one", "v"), node("Mul", "h v", "y"),
]  # fmt: skip
SILU = [node("Sigmoid", "x", "s1"), node("Mul", "x s1", "y")]
HARD_SWISH = [node("Add", "x three", "a"), node("Clip", "a zero six", "b"), node("Mul", "x b", "c"), node("Div", "c six", "y")]
SCALARS = tuple(
    scalar(n, v, "float32")
    for n, v in (("root2", 1.414), ("rroot2", 0.707), ("one", 1), ("half", 0.5), ("three", 3), ("cubic", 0.0447),
                 ("scale", 0.798),
                 ("zero", 0), ("six", 6), ("eps", 1e-5), ("two", 2))
)  # fmt: skip


@pytest.mark.parametrize(
    "form", [GELU_ERF, GELU_HALF_FIRST, GELU_TANH, SILU, HARD_SWISH], ids=["erf", "half first", "tanh", "silu", "hard swish"]
)
def test_an_activation_function_is_one_pointwise_kernel(form: list[onnx.NodeProto]) -> None:
    source = node("MaxPool", "i", "x", kernel_shape=[1])
    first, second = kernels([source, *form], value("i", 2, 8, 16), weights=SCALARS)
    assert first.kind is Kind.POOL
    assert second.kind is Kind.POINTWISE
    assert len(second.ops) == len(form)
    assert [t.name for t in second.inputs] == ["x"]


LAYER_NORM = [
    node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d"), node("Pow", "d two", "p"),
    node("ReduceMean", "p", "w", axes=[-1]), node("Add", "w eps", "e"), node("Sqrt", "e", "s1"), node("Div", "d s1", "n"),
    node("Mul", "n gamma", "g"), node("Add", "g beta", "y"),
]  # fmt: skip
RMS_NORM = [
    node("Pow", "x two", "p"), node("ReduceMean", "p", "w", axes=[-1]), node("Add", "w eps", "e"), node("Sqrt", "e", "s1"),
    node("Reciprocal", "s1", "r"), node("Mul", "x r", "n"), node("Mul", "gamma n", "y"),
]  # fmt: skip


@pytest.mark.parametrize("form", [LAYER_NORM, RMS_NORM], ids=["layer", "rms"])
def test_a_norm_is_one_kernel(form: list[onnx.NodeProto]) -> None:
    source = node("MaxPool", "i", "x", kernel_shape=[1])
    made = kernels([source, *form], value("i", 2, 8, 16), weights=(*SCALARS, weight("gamma", 16), weight("beta", 16)))
    assert [k.kind for k in made] == [Kind.POOL, Kind.NORM]
    assert len(made[1].ops) == len(form)
    assert made[1].outputs[0].name == "y"


def test_a_residual_sum_after_a_norm_is_not_part_of_it() -> None:
    nodes = [node("MaxPool", "i", "x", kernel_shape=[1]), *RMS_NORM, node("Add", "y x", "z")]
    made = kernels(nodes, value("i", 2, 8, 16), weights=(*SCALARS, weight("gamma", 16)))
    assert [len(k.ops) for k in made] == [1, len(RMS_NORM), 1]


def attention(*between: onnx.NodeProto, scores: str = "s") -> list[onnx.NodeProto]:
    """q·kᵀ → `between` → softmax → ·v."""
    return [node("MatMul", "q k", "s"), *between, node("Softmax", scores, "p"), node("MatMul", "p v", "y")]


Q, K, V = value("q", 1, 4, 32, 16), value("k", 1, 4, 16, 32), value("v", 1, 4, 32, 16)
MASK = value("mask", 1, 1, 32, 32)


@pytest.mark.parametrize(
    "form",
    [
        attention(),
        attention(node("Mul", "s half", "t"), scores="t"),
        attention(node("Div", "s two", "t"), node("Add", "t mask", "u"), scores="u"),
    ],
    ids=["plain", "scaled", "masked"],
)
def test_attention_is_one_kernel_whose_scores_never_travel(form: list[onnx.NodeProto]) -> None:
    (kernel,) = kernels(form, Q, K, V, MASK, weights=SCALARS)
    assert kernel.kind is Kind.ATTENTION
    assert {t.name for t in kernel.inputs} - {"mask"} == {"q", "k", "v"}
    assert [t.name for t in kernel.outputs] == ["y"]


def test_attention_with_the_guard_of_torch_export() -> None:
    nodes = [
        node("MatMul", "q k", "s"), node("Softmax", "s", "p"), node("IsNaN", "p", "n"), node("Where", "n zero p", "w"),
        node("MatMul", "w v", "y"),
    ]  # fmt: skip
    (kernel,) = kernels(nodes, Q, K, V, weights=SCALARS)
    assert kernel.kind is Kind.ATTENTION
    assert len(kernel.ops) == 5


def test_scores_that_are_read_elsewhere_are_written() -> None:
    nodes = [*attention(), node("ReduceMax", "p", "z", keepdims=0)]
    made, _ = partition(resolved(model(nodes, [Q, K, V], ["y", "z"])), ALL)
    assert Kind.ATTENTION not in {k.kind for k in made}


def test_values_computed_after_the_scores_still_come_first() -> None:
    nodes = [
        node("MatMul", "q k", "s"),
        node("MaxPool", "i", "v", kernel_shape=[1, 1]),
        node("Softmax", "s", "p"),
        node("MatMul", "p v", "y"),
    ]
    made = kernels(nodes, Q, K, value("i", 1, 4, 32, 16))
    assert [k.kind for k in made] == [Kind.POOL, Kind.ATTENTION]
