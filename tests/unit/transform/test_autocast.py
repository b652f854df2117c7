"""Automatic mixed precision: element types by autocast's lists, casts where they change; bytes by hand."""

import onnx
import pytest
from support.graphs import model, node, resolved, scalar, value, weight

from simulator.dtypes import BFLOAT16, FLOAT16, FLOAT32
from simulator.graph.graph import Graph
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.prediction import Prepared
from simulator.transform.autocast import autocast

ADDS = ("batch_norm", "bias", "casts")


def mixed(graph: Graph, *fusion: str, precision: str = "amp_fp16") -> Prepared:
    return prepare(Model(graph), precision, fusion, (), ADDS)


def casts(prepared: Prepared) -> dict[str, tuple[float, float]]:
    """Bytes read and written by every kernel that is one cast."""
    graph, work = prepared.graph, prepared.work
    rows = [i for i, k in enumerate(prepared.kernels) if [graph.ops[j].op_type for j in k.ops] == ["Cast"]]
    return {work.names[i]: (work.input_bytes[i] + work.weight_bytes[i], work.output_bytes[i]) for i in rows}


def chain() -> Graph:
    """Convolution → softmax → power → convolution."""
    nodes = [node("Conv", "x w", "c"), node("Softmax", "c", "s", axis=1), node("Conv", "s v", "y")]
    return resolved(model(nodes, [value("x", 1, 4, 8, 8)], ["y"], [weight("w", 16, 4, 1, 1), weight("v", 2, 16, 1, 1)]))


def test_every_change_of_type_is_a_kernel() -> None:
    assert casts(mixed(chain())) == {
        "x/float16/cast": (4 * 256, 2 * 256),
        "w/float16/cast": (4 * 64, 2 * 64),
        "c/float32/cast": (2 * 1024, 4 * 1024),
        "s/float16/cast": (4 * 1024, 2 * 1024),
        "v/float16/cast": (4 * 32, 2 * 32),
    }


def test_types_by_the_lists() -> None:
    prepared = mixed(chain())
    found = {n: prepared.graph.tensors[n].dtype for n in ("c", "s", "y")}
    assert found == {"c": FLOAT16, "s": FLOAT32, "y": FLOAT16}
    rates = dict(zip(prepared.work.names, prepared.work.rates, strict=True))
    assert (rates["conv_c"], rates["softmax_s"], rates["conv_y"]) == ("fp16", "fp32", "fp16")
    assert mixed(chain(), precision="amp_bf16").graph.tensors["y"].dtype is BFLOAT16


def test_weights_are_read_in_fp32_and_written_in_half_each_time() -> None:
    prepared = mixed(chain())
    convolution = prepared.work.names.index("conv_c")
    assert prepared.work.weight_bytes[convolution] == 2 * 64
    assert prepared.work.footprint.weight_bytes == (4 + 2) * (64 + 32)  # both copies lie in memory
    assert "w/float16" not in {t.name for t in prepared.occupancy.culprits}


def test_macs_and_order_stay() -> None:
    network = Model(chain())
    prepared = mixed(network.graph)
    assert prepared.work.macs.sum() == network.macs
    made: set[str] = set()
    for kernel in prepared.kernels:
        reads = {t.name for t in (*kernel.inputs, *kernel.weights)}
        assert reads & prepared.graph.producer.keys() <= made
        made |= {t.name for t in kernel.outputs}


def test_casts_are_marked() -> None:
    prepared = mixed(chain())
    marked = {op.name for op in prepared.graph.ops if op.added}
    assert marked == set(casts(prepared))
    assert all(op.origin for op in prepared.graph.ops)


def test_generated_kernels_cast_as_they_read_and_write() -> None:
    """The softmax reads 16 bit; what a convolution reads is written in 16 bit by the kernel before it."""
    prepared = mixed(chain(), "norm", "pointwise_chain", "free_casts")
    kernel = next(k for k in prepared.kernels if k.name == "softmax_s")
    assert [t.dtype for t in kernel.inputs] == [FLOAT16]
    assert [t.dtype for t in kernel.outputs] == [FLOAT16]
    assert set(casts(prepared)) == {"x/float16/cast", "w/float16/cast", "v/float16/cast"}


@pytest.mark.parametrize(
    ("table", "expected"),
    [(weight("p", 8, 4), FLOAT32), (weight("p", 4), FLOAT32), (scalar("p", 0.5, "float32"), FLOAT16), (weight("p", 1), FLOAT32)],
)
def test_fp32_parameters_promote_and_scalars_do_not(table: object, expected: object) -> None:
    graph = resolved(model([node("MatMul", "x w", "m"), node("Mul", "m p", "y")], [value("x", 8, 4)], ["y"],
                           [weight("w", 4, 4), table]))  # fmt: skip
    prepared = mixed(graph)
    assert prepared.graph.tensors["y"].dtype is expected
    assert not any("p/" in name for name in casts(prepared))


def test_a_number_that_an_exporter_wrote_with_a_dimension_is_a_number() -> None:
    """PyTorch promotes by what has dimensions: a parameter of one element has one, the half of a GELU has none."""
    half = node("Constant", "", "p", value=onnx.helper.make_tensor("p", onnx.TensorProto.FLOAT, [1], [0.5]))
    graph = resolved(model([half, node("MatMul", "x w", "m"), node("Mul", "m p", "y")], [value("x", 8, 4)], ["y"],
                           [weight("w", 4, 4)]))  # fmt: skip
    assert mixed(graph).graph.tensors["y"].dtype is FLOAT16


def test_a_linear_layers_bias_is_half() -> None:
    graph = resolved(model([node("MatMul", "x w", "m"), node("Add", "m b", "y")], [value("x", 8, 4)], ["y"],
                           [weight("w", 4, 4), weight("b", 4)]))  # fmt: skip
    prepared = mixed(graph, "linear_bias")
    assert prepared.graph.tensors["y"].dtype is FLOAT16
    (product,) = [k for k in prepared.kernels if k.kind == "gemm"]
    assert {t.name for t in product.weights} == {"w/float16", "b/float16"}
    assert len(prepared.kernels) == 4  # x, w and b are cast


def test_a_batch_norm_keeps_the_type_of_its_data() -> None:
    nodes = [node("Conv", "x w", "c"), node("BatchNormalization", "c g b m v", "y")]
    weights = [weight("w", 4, 4, 1, 1), *(weight(n, 4) for n in "gbmv")]
    prepared = mixed(resolved(model(nodes, [value("x", 1, 4, 8, 8)], ["y"], weights)))
    assert prepared.graph.tensors["y"].dtype is FLOAT16
    assert {prepared.graph.tensors[n].dtype for n in "gbmv"} == {FLOAT32}


def test_gelu_keeps_its_type_though_it_has_a_power() -> None:
    """The tanh form as PyTorch exports it: one function of the framework, which is on no list."""
    three, half = scalar("three", 3.0, "float32"), scalar("half", 0.5, "float32")
    nodes = [
        node("MatMul", "x w", "m"), node("Pow", "m three", "p"), node("Add", "m p", "a"), node("Tanh", "a", "t"),
        node("Mul", "m t", "u"), node("Mul", "u half", "y"),
    ]  # fmt: skip
    prepared = mixed(resolved(model(nodes, [value("x", 8, 4)], ["y"], [weight("w", 4, 4), three, half])))
    assert prepared.graph.tensors["y"].dtype is FLOAT16
    assert set(casts(prepared)) == {"x/float16/cast", "w/float16/cast"}


def attention() -> Graph:
    nodes = [node("MatMul", "q k", "s"), node("Softmax", "s", "p"), node("MatMul", "p v", "y")]
    inputs = [value("q", 2, 64, 32), value("k", 2, 32, 64), value("v", 2, 64, 32)]
    return resolved(model(nodes, inputs, ["y"]))


def test_attention_is_half_where_it_is_one_function() -> None:
    fused, explicit = mixed(attention(), "attention"), mixed(attention())
    assert fused.graph.tensors["p"].dtype is FLOAT16
    assert explicit.graph.tensors["p"].dtype is FLOAT32
    assert len(fused.kernels) == 1 + 3
    assert len(explicit.kernels) == 3 + 3 + 2  # and the scores to fp32 and back


def test_without_casts_the_runtime_has_16_bit_throughout() -> None:
    work = prepare(Model(chain()), "amp_fp16", (), (), ()).work
    assert len(work) == 3
    assert set(work.rates) == {"fp16"}


def test_a_tensor_is_cast_once_for_all_its_readers() -> None:
    nodes = [node("Softmax", "x", "s"), node("MatMul", "s w", "a"), node("MatMul", "s v", "b")]
    graph = resolved(model(nodes, [value("x", 8, 4)], ["a", "b"], [weight("w", 4, 4), weight("v", 4, 4)]))
    mixed_graph = autocast(graph, FLOAT16)
    assert [op.name for op in mixed_graph.ops if op.added] == ["s/float16/cast", "w/float16/cast", "v/float16/cast"]
