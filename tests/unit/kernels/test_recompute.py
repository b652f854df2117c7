"""Values computed again in each kernel that reads them: which, what they count, and where they are at home."""

import onnx
import pytest
from support.graphs import FLOAT16, ints, model, node, resolved, scalar, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate
from simulator.kernels.types import Kernel
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.metrics import rows
from simulator.result.prediction import Prepared

Nodes = list[onnx.NodeProto]
X = value("x", 4, 8, 16, 16)
SIZE = 4 * 8 * 16 * 16
WEIGHTS = [weight("w", 8, 8, 1, 1), scalar("one", 1.5, "float32"), *(weight(f"v{i}", 8, 1, 1) for i in range(5))]
# two kernels of generated code: neither rule joins a reduction to what makes its input
ROWS, COLUMNS = node("ReduceMax", "r", "p", axes=[3]), node("ReduceMax", "r", "q", axes=[1])
RULES = ("pointwise_chain", "recompute")


def network(nodes: Nodes, *outputs: str) -> Model:
    used = {n for op in nodes for n in op.input}
    return Model(resolved(model(nodes, [X], list(outputs), [w for w in WEIGHTS if w.name in used])))


def made(nodes: Nodes, *outputs: str, fusion: tuple[str, ...] = RULES) -> Prepared:
    return prepare(network(nodes, *outputs), None, fusion)


def names(found: Prepared, kernel: Kernel) -> tuple[list[str], list[str]]:
    """Types of the operators at home in a kernel, and of those that it computes again."""
    own, again = ([found.graph.ops[i].op_type for i in part] for part in (kernel.ops, kernel.recomputed))
    return own, again


def test_a_cheap_value_is_computed_in_each_kernel_that_reads_it() -> None:
    nodes = [node("Exp", "x", "e"), node("Mul", "e one", "r"), ROWS, COLUMNS]
    found, stored = made(nodes, "p", "q"), made(nodes, "p", "q", fusion=RULES[:1])
    assert [names(found, k) for k in found.kernels] == [(["Exp", "Mul", "ReduceMax"], []), (["ReduceMax"], ["Exp", "Mul"])]
    assert [[t.name for t in k.inputs] for k in found.kernels] == [["x"], ["x"]]
    assert len(stored.kernels) == 3
    assert stored.work.total_bytes.sum() - found.work.total_bytes.sum() == 2 * 4 * SIZE - 4  # the factor is read twice
    assert found.work.special_ops.tolist() == [SIZE, SIZE]
    assert found.work.ops.sum() - stored.work.ops.sum() == 2 * SIZE
    assert found.work.footprint.activation_bytes < stored.work.footprint.activation_bytes


def test_what_a_library_or_the_user_reads_is_written() -> None:
    read_by_conv = [node("Exp", "x", "r"), ROWS, node("Conv", "r w", "y")]
    assert all(not k.recomputed for k in made(read_by_conv, "p", "y").kernels)
    assert len(made(read_by_conv, "p", "y").kernels) == 3
    assert len(made([node("Exp", "x", "r"), ROWS, COLUMNS], "p", "q", "r").kernels) == 3


@pytest.mark.parametrize(("vectors", "again"), [(3, True), (4, False)])
def test_a_value_of_more_than_four_tensors_is_written(vectors: int, again: bool) -> None:
    chain = [node("Mul", f"{'x' if not i else f's{i - 1}'} v{i}", f"s{i}") for i in range(vectors)]
    found = made([*chain, node("Exp", f"s{vectors - 1}", "r"), ROWS, COLUMNS], "p", "q")
    assert any(k.recomputed for k in found.kernels) is again


@pytest.mark.parametrize(("steps", "again"), [(29, True), (30, False)])
def test_a_value_of_more_than_thirty_operators_is_written(steps: int, again: bool) -> None:
    chain = [node("Mul", f"{'x' if not i else f's{i - 1}'} one", f"s{i}") for i in range(steps)]
    found = made([*chain, node("Exp", f"s{steps - 1}", "r"), ROWS, COLUMNS], "p", "q")
    assert any(k.recomputed for k in found.kernels) is again


def test_a_value_that_costs_more_to_read_again_is_written() -> None:
    """Of the sum of two tensors, a reader takes one row in sixteen: writing and reading it moves less."""
    nodes = [
        node("Conv", "x w", "a"), node("Conv", "x w", "b"), node("Add", "a b", "r"), ROWS,
        *(node("ReduceMax", "r", f"q{i}", axes=[i]) for i in range(3)),
    ]  # fmt: skip
    found = made(nodes, "p", "q0", "q1", "q2")
    assert all(not k.recomputed for k in found.kernels)


def test_a_small_factor_is_computed_where_it_is_used() -> None:
    """The gate of squeeze and excitation: one reader of another size, so that no rule of joining sees it."""
    nodes = [
        node("Conv", "x w", "a"), node("GlobalAveragePool", "a", "g"), node("Conv", "g w", "c"), node("Sigmoid", "c", "s"),
        node("Mul", "a s", "y"),
    ]  # fmt: skip
    found = made(nodes, "y")
    assert [names(found, k) for k in found.kernels][-1] == (["Sigmoid", "Mul"], [])
    assert len(found.kernels) == 4
    assert len(made(nodes, "y", fusion=RULES[:1]).kernels) == 5


def test_rows_name_what_is_computed_again_and_explain_counts_it() -> None:
    from simulator import explain

    nodes = [node("Exp", "x", "r", name="exponential"), ROWS, COLUMNS]
    est = estimate(network(nodes, "p", "q"), hardware(), runtime(fusion=RULES))
    assert [row["recomputed"] for row in rows(est)] == [[], ["exponential"]]
    assert [row["origin"] for row in rows(est)] == [["exponential", "reducemax_p"], ["reducemax_q"]]
    layer = explain(est, layer="reducemax_q")
    assert [(op.name, op.note) for op in layer.operators if op.note] == [("exponential", "computed again")]
    assert est.bound_latency_s <= est.latency_s


# ---- norms in fp32 before functions of two uses ------------------------------------------------------------------------

NORM = [weight(name, 8, dtype=FLOAT16) for name in ("scale", "shift", "mean", "variance")]
WIDE = ("pointwise_chain", "activation_function", "generated_pad", "merge", "recompute", "wide_norms")
SILU = [node("Sigmoid", "n", "s"), node("Mul", "n s", "a")]
GATE = [node("ReduceMean", "a", "m", axes=[2, 3]), node("Mul", "a m", "y")]


def gated(function: Nodes, after: Nodes, dtype: int = FLOAT16, fusion: tuple[str, ...] = WIDE) -> Prepared:
    nodes = [node("BatchNormalization", "x scale shift mean variance", "n"), *function, *after]
    weights = [weight(w.name, 8, dtype=dtype) for w in NORM] + [ints("pads", 0, 0, 0, 0, 0, 0, 1, 1)]
    used = {n for op in nodes for n in op.input}
    image = value("x", 4, 8, 16, 16, dtype=dtype)
    graph = resolved(model(nodes, [image], ["y"], [w for w in weights if w.name in used]))
    return prepare(Model(graph), None, fusion)


def activations(found: Prepared) -> list[tuple[float, float]]:
    """Bytes read and written by each kernel, in elements of the image."""
    work = found.work
    return [(i // SIZE, o // SIZE) for i, o in zip(work.input_bytes, work.output_bytes, strict=True)]


def test_a_norm_is_written_in_fp32_before_a_function_of_two_uses() -> None:
    """As Inductor does with SiLU before a mean and a gate: the norm in fp32, the function in both kernels that read it."""
    found = gated(SILU, GATE)
    own_and_again = [names(found, k) for k in found.kernels]
    assert own_and_again[0] == (["BatchNormalization"], [])
    assert own_and_again[1] == (["ReduceMean"], ["Sigmoid", "Mul"])
    assert own_and_again[2] == (["Sigmoid", "Mul", "Mul"], [])
    assert activations(found) == [(2, 4), (4, 0), (4, 2)]


@pytest.mark.parametrize("function", [[node("HardSwish", "n", "a")], [node("Elu", "n", "a")]])
def test_functions_that_read_their_argument_twice(function: Nodes) -> None:
    assert activations(gated(function, GATE)) == [(2, 4), (4, 0), (4, 2)]


def test_other_functions_are_written_as_they_are() -> None:
    assert activations(gated([node("Relu", "n", "a")], GATE)) == [(2, 2), (2, 0), (2, 2)]
    assert activations(gated(SILU, GATE, dtype=onnx.TensorProto.FLOAT)) == [(4, 4), (4, 0), (4, 4)]
    narrow = tuple(name for name in WIDE if name != "wide_norms")
    assert activations(gated(SILU, GATE, fusion=narrow)) == [(2, 2), (2, 0), (2, 2)]


def test_padding_is_generated_code() -> None:
    """ReLU is padded where it is computed; SiLU is computed where it is padded, and its argument written."""
    pad = [node("Pad", "a pads", "y")]
    relu, silu = gated([node("Relu", "n", "a")], pad), gated(SILU, pad)
    padded = 4 * 8 * 17 * 17
    assert [names(relu, k)[0] for k in relu.kernels] == [["BatchNormalization", "Relu", "Pad"]]
    assert relu.work.output_bytes.tolist() == [2 * padded]
    assert [names(silu, k)[0] for k in silu.kernels] == [["BatchNormalization"], ["Sigmoid", "Mul", "Pad"]]
    assert silu.work.output_bytes.tolist() == [4 * SIZE, 2 * padded]
    assert silu.work.input_bytes.tolist() == [2 * SIZE, 4 * SIZE]
