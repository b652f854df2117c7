"""What one launch executes: fusion rules on the smallest graphs that show them."""

import pytest
from support.graphs import FLOAT16, INT4, INT8, INT32, ints, model, node, resolved, value, weight
from support.machines import EVERYTHING, hardware, runtime

from simulator.errors import HardwareError
from simulator.estimator import estimate
from simulator.graph.graph import Graph
from simulator.kernels.partition import partition
from simulator.kernels.rules import FUSION_RULES
from simulator.kernels.types import Kernel
from simulator.model import Model
from simulator.ops.work import Kind
from simulator.workload import footprint, work_table


def cut(graph: Graph, *fusion: str) -> list[list[str]]:
    """Operator types of each kernel."""
    kernels, _ = partition(graph, fusion)
    return [[graph.ops[i].op_type for i in k.ops] for k in kernels]


def names(specs: tuple) -> set[str]:
    return {s.name for s in specs}


def kernel(graph: Graph, *fusion: str) -> Kernel:
    """The only kernel there is."""
    kernels, _ = partition(graph, fusion)
    assert len(kernels) == 1
    return kernels[0]


def conv_bn_relu() -> Graph:
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c g b m v", "n"),
        node("Relu", "n", "y"),
    ]
    weights = [weight("w", 8, 3, 3, 3), *(weight(n, 8) for n in "gbmv")]
    return resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["y"], weights))


def test_conv_batch_norm_relu_are_one_kernel() -> None:
    graph = conv_bn_relu()
    fused = kernel(graph, "batch_norm", "activation")
    assert fused.kind is Kind.CONV
    assert graph.ops[fused.main].op_type == "Conv"
    assert names(fused.inputs) == {"x"}
    assert names(fused.weights) == {"w", "b"}  # scale and statistics are in the weights now, the shift is the bias
    assert dict(fused.folded) == {1: graph.tensors["y"].elements}
    assert names(fused.outputs) == {"y"}


def test_without_rules_every_operator_is_its_own_kernel() -> None:
    assert cut(conv_bn_relu()) == [["Conv"], ["BatchNormalization"], ["Relu"]]


def test_each_rule_alone() -> None:
    assert cut(conv_bn_relu(), "batch_norm") == [["Conv", "BatchNormalization"], ["Relu"]]
    assert cut(conv_bn_relu(), "activation") == [["Conv"], ["BatchNormalization"], ["Relu"]]  # the norm stands between
    assert cut(conv_bn_relu(), "pointwise") == [["Conv", "BatchNormalization", "Relu"]]


def test_batch_norm_with_a_second_reader_before_it_stays_out() -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("BatchNormalization", "c g b m v", "n"),
        node("GlobalAveragePool", "c", "p"),
    ]
    weights = [weight("w", 8, 3, 1, 1), *(weight(n, 8) for n in "gbmv")]
    graph = resolved(model(nodes, [value("x", 1, 3, 16, 16)], ["n", "p"], weights))
    assert cut(graph, "batch_norm") == [["Conv"], ["BatchNormalization"], ["GlobalAveragePool"]]


def test_activation_of_a_graph_output_stays_out() -> None:
    """The convolution's result must be written anyway."""
    graph = resolved(
        model(
            [node("Conv", "x w", "c"), node("Relu", "c", "y")],
            [value("x", 1, 3, 8, 8)],
            ["c", "y"],
            [weight("w", 8, 3, 1, 1)],
        )
    )
    assert cut(graph, "activation") == [["Conv"], ["Relu"]]


def residual_block() -> Graph:
    nodes = [
        node("Conv", "x w1", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "r"),
        node("Conv", "r w2", "b", pads=[1, 1, 1, 1]),
        node("Add", "b x", "s"),
        node("Relu", "s", "y"),
    ]
    return resolved(model(nodes, [value("x", 1, 8, 8, 8)], ["y"], [weight("w1", 8, 8, 3, 3), weight("w2", 8, 8, 3, 3)]))


def test_residual_addition_joins_the_convolution() -> None:
    graph = residual_block()
    kernels, _ = partition(graph, ("activation", "residual"))
    assert [[graph.ops[i].op_type for i in k.ops] for k in kernels] == [["Conv", "Relu"], ["Conv", "Add", "Relu"]]
    assert names(kernels[1].inputs) == {"r", "x"}
    assert names(kernels[1].outputs) == {"y"}


def test_residual_of_two_convolutions_joins_the_later() -> None:
    nodes = [node("Conv", "x w1", "a"), node("Conv", "x w2", "b"), node("Add", "a b", "y")]
    graph = resolved(model(nodes, [value("x", 1, 8, 8, 8)], ["y"], [weight("w1", 4, 8, 1, 1), weight("w2", 4, 8, 1, 1)]))
    kernels, _ = partition(graph, ("residual",))
    assert [k.ops for k in kernels] == [(0,), (1, 2)]
    assert names(kernels[1].inputs) == {"x", "a"}


@pytest.mark.parametrize("fusion", [("gate",), EVERYTHING])
def test_silu_stays_in_the_kernel_of_its_convolution(fusion: tuple[str, ...]) -> None:
    nodes = [node("Conv", "x w", "c"), node("Sigmoid", "c", "g"), node("Mul", "c g", "y")]
    graph = resolved(model(nodes, [value("x", 1, 3, 8, 8)], ["y"], [weight("w", 8, 3, 1, 1)]))
    fused = kernel(graph, *fusion)
    assert [graph.ops[i].op_type for i in fused.ops] == ["Conv", "Sigmoid", "Mul"]
    assert names(fused.inputs) == {"x"}
    assert names(fused.outputs) == {"y"}


def test_squeeze_excite_does_not_close_a_circle() -> None:
    """The scaling needs the pool, and the pool needs the convolution: it cannot be in the convolution's kernel."""
    nodes = [
        node("Conv", "x w", "c"),
        node("GlobalAveragePool", "c", "p"),
        node("Sigmoid", "p", "g"),
        node("Mul", "c g", "y"),
    ]
    graph = resolved(model(nodes, [value("x", 1, 3, 8, 8)], ["y"], [weight("w", 8, 3, 1, 1)]))
    for fusion in ((), *((rule,) for rule in FUSION_RULES), EVERYTHING):
        kernels, _ = partition(graph, fusion)
        conv = next(k for k in kernels if 0 in k.ops)
        assert 3 not in conv.ops, fusion
        assert names(conv.outputs) == {"c"}


def test_kernels_come_in_an_order_in_which_they_can_run() -> None:
    """The convolution's kernel still grows after the pool that reads it was placed: it must come first all the same."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Sigmoid", "c", "g"),
        node("GlobalAveragePool", "c", "p"),
        node("Relu", "g", "r"),
    ]
    graph = resolved(model(nodes, [value("x", 1, 3, 8, 8)], ["p", "r"], [weight("w", 8, 3, 1, 1)]))
    assert cut(graph, "gate") == [["Conv", "Sigmoid", "Relu"], ["GlobalAveragePool"]]


def test_pointwise_chain_is_one_kernel_and_reductions_start_their_own() -> None:
    nodes = [
        node("Add", "x z", "a"),
        node("Relu", "a", "b"),
        node("Mul", "b x", "c"),
        node("ReduceMean", "c", "d", axes=[1], keepdims=1),
        node("Sub", "c d", "y"),
    ]
    graph = resolved(model(nodes, [value("x", 4, 8), value("z", 4, 8)], ["y"]))
    kernels, _ = partition(graph, ("pointwise",))
    assert kernels[0].ops == (0, 1, 2)
    assert names(kernels[0].inputs) == {"x", "z"}
    assert names(kernels[0].outputs) == {"c"}


def test_broadcasting_up_does_not_join_a_smaller_producer() -> None:
    """A bias row made by a small product does not carry the large addition in its kernel."""
    nodes = [node("MatMul", "x w", "a"), node("Add", "a z", "y")]
    graph = resolved(model(nodes, [value("x", 1, 8), value("z", 64, 8)], ["y"], [weight("w", 8, 8)]))
    assert cut(graph, *EVERYTHING) == [["MatMul"], ["Add"]]


# ---- views --------------------------------------------------------------------------------------------------------


def test_views_are_free_and_looked_through() -> None:
    nodes = [
        node("MatMul", "x w1", "a"),
        node("Reshape", "a s", "b"),
        node("Unsqueeze", "b axes", "c"),
        node("Relu", "c", "y"),
    ]
    weights = [weight("w1", 8, 16), ints("s", 2, 2, 16), ints("axes", 0)]
    graph = resolved(model(nodes, [value("x", 4, 8)], ["y"], weights))
    assert cut(graph) == [["MatMul"], ["Relu"]]
    kernels, _ = partition(graph, ())
    assert names(kernels[0].outputs) == {"a"}
    assert names(kernels[1].inputs) == {"a"}
    assert cut(graph, "activation") == [["MatMul", "Relu"]]


def test_a_view_of_the_input_is_no_kernel() -> None:
    graph = resolved(model([node("Flatten", "x", "f"), node("Relu", "f", "y")], [value("x", 2, 3, 4)], ["y"]))
    kernels, _ = partition(graph, ())
    assert cut(graph) == [["Relu"]]
    assert names(kernels[0].inputs) == {"x"}


def test_a_view_that_is_the_output_leaves_the_kernel_that_made_its_bytes() -> None:
    graph = resolved(model([node("Relu", "x", "r"), node("Flatten", "r", "y")], [value("x", 2, 3, 4)], ["y"]))
    assert kernel(graph).outputs[0].size_bytes == 2 * 3 * 4 * 4


def test_transposing_only_ones_is_a_view() -> None:
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1, 3]), node("Relu", "t", "y")]
    moved = resolved(model(nodes, [value("x", 1, 4, 8, 16)], ["y"]))
    still = resolved(model(nodes, [value("x", 1, 1, 8, 16)], ["y"]))
    assert cut(moved) == [["Transpose"], ["Relu"]]
    assert cut(still) == [["Relu"]]


def test_a_tensor_read_twice_crosses_the_boundary_once() -> None:
    graph = resolved(model([node("Mul", "x x", "y")], [value("x", 4, 8)], ["y"]))
    assert [s.name for s in kernel(graph).inputs] == ["x"]


# ---- quantization -------------------------------------------------------------------------------------------------


def quantized_conv() -> Graph:
    nodes = [
        node("DequantizeLinear", "xq xs xz", "x"),
        node("DequantizeLinear", "wq ws wz", "w", axis=0),
        node("DequantizeLinear", "bq bs bz", "b", axis=0),
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("QuantizeLinear", "r ys yz", "y"),
    ]
    weights = [
        weight("wq", 8, 4, 3, 3, dtype=INT8), weight("ws", 8), weight("wz", 8, dtype=INT8),
        weight("bq", 8, dtype=INT32), weight("bs", 8), weight("bz", 8, dtype=INT32),
        weight("xs"), weight("xz", dtype=INT8), weight("ys"), weight("yz", dtype=INT8),
    ]  # fmt: skip
    return resolved(model(nodes, [value("xq", 1, 4, 16, 16, dtype=INT8)], ["y"], weights))


def test_quantize_dequantize_convolution_is_an_int8_kernel() -> None:
    graph = quantized_conv()
    fused = kernel(graph, "activation", "quantize")
    assert fused.rate == "int8"
    assert fused.kind is Kind.CONV
    assert [(t.name, t.dtype.name, t.size_bytes) for t in fused.inputs] == [("xq", "int8", 4 * 16 * 16)]
    assert [(t.name, t.dtype.name, t.size_bytes) for t in fused.outputs] == [("y", "int8", 8 * 16 * 16)]
    held = {t.name: t for t in fused.weights}
    assert held["wq"].size_bytes == 8 * 4 * 9
    assert held["bq"].size_bytes == 8 * 4


def test_quantized_traffic_is_one_byte_an_element() -> None:
    graph = quantized_conv()
    kernels, works = partition(graph, ("activation", "quantize"))
    work = work_table(graph, kernels, works, footprint(graph, kernels, 0))
    assert work.input_bytes.sum() == 4 * 16 * 16
    assert work.output_bytes.sum() == 8 * 16 * 16
    assert work.macs.sum() == 8 * 16 * 16 * 4 * 9


def test_quantized_weights_count_as_parameters_but_scales_do_not() -> None:
    assert Model(quantized_conv()).params == 8 * 4 * 9 + 8


def test_without_the_quantize_rule_dequantization_is_work() -> None:
    types = [t for ops in cut(quantized_conv(), "activation") for t in ops]
    assert "DequantizeLinear" in types


@pytest.mark.parametrize(("dtype", "bits"), [(INT8, 8), (INT4, 4)])
def test_weight_only_quantization_computes_in_the_activations_type(dtype: int, bits: int) -> None:
    nodes = [node("DequantizeLinear", "wq s z", "w", axis=0), node("MatMul", "x w", "y")]
    weights = [weight("wq", 64, 32, dtype=dtype), weight("s", 64, dtype=FLOAT16), weight("z", 64, dtype=dtype)]
    graph = resolved(model(nodes, [value("x", 4, 64, dtype=FLOAT16)], ["y"], weights, opset=21))
    fused = kernel(graph, *EVERYTHING)
    assert fused.rate == "fp16"
    assert {t.name: t.size_bytes for t in fused.weights}["wq"] == 64 * 32 * bits // 8
    assert [t.size_bytes for t in fused.inputs] == [4 * 64 * 2]
    assert [t.size_bytes for t in fused.outputs] == [4 * 32 * 2]


# ---- constants ----------------------------------------------------------------------------------------------------


def constant_product() -> Graph:
    nodes = [node("MatMul", "w1 w2", "w"), node("MatMul", "x w", "y")]
    return resolved(model(nodes, [value("x", 2, 8)], ["y"], [weight("w1", 8, 16), weight("w2", 16, 4)]))


def test_a_product_of_weights_runs_before_the_inference() -> None:
    graph = constant_product()
    fused = kernel(graph)
    assert [graph.ops[i].outputs for i in fused.ops] == [("y",)]
    assert names(fused.weights) == {"w"}
    assert fused.weights[0].elements == 8 * 4


def test_a_product_of_weights_is_counted_and_reported() -> None:
    network = Model(constant_product())
    assert network.params == 8 * 16 + 16 * 4
    est = estimate(network, hardware(), runtime())
    assert any(f"{8 * 16 * 4:,} MACs on weights alone" in w for w in est.warnings)


def test_shape_arithmetic_is_no_kernel() -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s i", "n"),
        node("Concat", "n rest", "t", axis=0),
        node("Reshape", "x t", "r"),
        node("Relu", "r", "y"),
    ]
    graph = resolved(model(nodes, [value("x", 4, 2, 8)], ["y"], [ints("i", 0), ints("rest", -1)]))
    assert cut(graph) == [["Relu"]]
    assert graph.tensors["y"].shape == (4, 16)


# ---- rules by name ------------------------------------------------------------------------------------------------


def test_an_unknown_rule_is_refused_with_a_hint() -> None:
    with pytest.raises(HardwareError, match="no fusion rule 'pointwize'; did you mean 'pointwise'"):
        partition(conv_bn_relu(), ("pointwize",))


def test_dropout_and_identity_are_views() -> None:
    nodes = [node("Relu", "x", "a"), node("Identity", "a", "b"), node("Dropout", "b", "c"), node("Relu", "c", "y")]
    graph = resolved(model(nodes, [value("x", 4)], ["y"]))
    assert cut(graph) == [["Relu"], ["Relu"]]


def test_a_gather_reads_only_the_rows_it_picks() -> None:
    graph = resolved(model([node("Gather", "table ids", "y")], [value("ids", 1, 5, dtype=7)], ["y"], [weight("table", 1000, 8)]))
    assert kernel(graph).weights[0].elements == 40


def test_loops_multiply_a_kernels_work() -> None:
    body = model(
        [node("MatMul", "s w", "t"), node("Identity", "c", "c2")],
        [value("i", dtype=7), value("c", dtype=9), value("s", 4, 4)],
        ["c2", "t"],
    ).graph
    nodes = [node("Loop", "n _ x", "y", body=body)]
    graph = resolved(model(nodes, [value("x", 4, 4)], ["y"], [ints("n", 5), weight("w", 4, 4)]))
    kernels, works = partition(graph, ())
    work = work_table(graph, kernels, works, footprint(graph, kernels, 0))
    assert work.macs.sum() == 5 * 64
    assert work.launches.sum() == 5


def test_a_code_generator_leaves_products_to_the_library() -> None:
    graph = conv_bn_relu()
    assert cut(graph, "pointwise_chain") == [["Conv"], ["BatchNormalization", "Relu"]]


def test_strided_views_are_read_in_place_but_not_by_convolutions() -> None:
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 1]), node("Split", "t", "a b", axis=2, num_outputs=2),
        node("Add", "a b", "y"),
    ]  # fmt: skip
    graph = resolved(model(nodes, [value("x", 2, 6, 5)], ["y"], opset=18))
    fused = kernel(graph, "strided_views")
    assert [graph.ops[i].op_type for i in fused.ops] == ["Add"]
    assert {t.name: t.elements for t in fused.inputs} == {"x": 60}  # two halves of one tensor

    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Conv", "t w", "y")]
    graph = resolved(model(nodes, [value("x", 2, 6, 5)], ["y"], [weight("w", 4, 5, 1)]))
    assert cut(graph, "strided_views") == [["Transpose"], ["Conv"]]


def test_a_slice_is_read_as_far_as_it_goes() -> None:
    nodes = [node("Slice", "x from to axis", "s"), node("Relu", "s", "y")]
    graph = resolved(model(nodes, [value("x", 10, 8)], ["y"], [ints("from", 0), ints("to", 3), ints("axis", 0)]))
    fused = kernel(graph, "strided_views")
    assert {t.name: t.elements for t in fused.inputs} == {"x": 24}


def rotary() -> Graph:
    """Rotary positions: x · cos + (−x2, x1) · sin."""
    nodes = [
        node("MatMul", "a w", "x"), node("Mul", "x cos", "c"), node("Split", "x", "x1 x2", axis=-1), node("Neg", "x2", "n"),
        node("Concat", "n x1", "r", axis=-1), node("Mul", "r sin", "s"), node("Add", "c s", "y"),
    ]  # fmt: skip
    weights = [weight("w", 8, 8), weight("cos", 4, 8), weight("sin", 4, 8)]
    return resolved(model(nodes, [value("a", 4, 8)], ["y"], weights, opset=13))


def test_a_code_generator_writes_rotary_positions_as_one_kernel() -> None:
    generated = ("pointwise_chain", "strided_views", "concat", "merge")
    assert cut(rotary(), *generated) == [["MatMul"], ["Mul", "Neg", "Concat", "Mul", "Add"]]
    assert len(cut(rotary(), "pointwise_chain", "strided_views")) == 5


def test_kernels_merge_unless_one_waits_for_the_other() -> None:
    """Both sides of an addition join; not where a product lies between them."""
    joined = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Add", "a b", "y")]
    graph = resolved(model(joined, [value("x", 4, 4)], ["y"]))
    assert cut(graph, "pointwise_chain", "merge") == [["Relu", "Neg", "Add"]]
    between = [node("Relu", "x", "a"), node("MatMul", "a w", "m"), node("Neg", "m", "b"), node("Add", "a b", "y")]
    graph = resolved(model(between, [value("x", 4, 4)], ["y"], [weight("w", 4, 4)]))
    assert cut(graph, "pointwise_chain", "merge") == [["Relu"], ["MatMul"], ["Neg", "Add"]]


def test_a_concatenation_of_many_parts_is_a_copy() -> None:
    parts = [node("Relu", f"x{i}", f"r{i}") for i in range(9)]
    for count in (8, 9):
        nodes = [*parts[:count], node("Concat", " ".join(f"r{i}" for i in range(count)), "c", axis=0), node("Neg", "c", "y")]
        graph = resolved(model(nodes, [value(f"x{i}", 2) for i in range(count)], ["y"]))
        assert (["Concat"] in cut(graph, "pointwise_chain", "concat")) == (count == 9)
