"""Control flow and functions, flattened and counted."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.graphs import BOOL, INT64, anything, ints, loaded, model, node, resolved, scalar, shape_of, value, weight

from simulator.errors import ModelError
from simulator.model import Model


def flag(name: str, given: bool) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(given), name)


def branches(condition: list[onnx.TensorProto]) -> onnx.ModelProto:
    """If: a product of 4·8·16 MACs against one of 4·8·2."""
    small = model([node("MatMul", "x small", "r", name="m")], [], ["r"], [weight("small", 8, 2)]).graph
    large = model([node("MatMul", "x large", "r", name="m")], [], ["r"], [weight("large", 8, 16)]).graph
    inputs = [value("x", 4, 8)] + ([] if condition else [value("c", dtype=BOOL)])
    return model([node("If", "c", "y", name="choice", then_branch=small, else_branch=large)], inputs, ["y"], condition)


@pytest.mark.parametrize(("taken", "macs", "width"), [(True, 64, 2), (False, 512, 16)])
def test_if_of_a_known_condition_takes_its_branch(taken: bool, macs: int, width: int) -> None:
    network = loaded(branches([flag("c", taken)]))
    assert network.macs == macs
    assert network.graph.tensors[network.graph.outputs[0]].shape == (4, width)
    assert network.graph.notes == ()


def test_if_of_an_unknown_condition_counts_the_larger_branch_and_says_so() -> None:
    network = loaded(branches([]))
    assert network.macs == 512
    assert network.graph.notes == ("If 'choice': the condition depends on data; counted else_branch, the larger branch",)


def test_weights_of_the_branch_not_taken_are_parameters_too() -> None:
    assert loaded(branches([])).params == 8 * 2 + 8 * 16


def test_outputs_keep_the_names_of_the_file() -> None:
    graph = resolved(branches([]))
    assert graph.output_names == ("y",)


def test_same_names_in_both_branches_do_not_collide() -> None:
    graph = resolved(branches([]))
    assert [op.name for op in graph.ops] == ["choice/else_branch/m"]


def test_a_branch_that_cannot_run_is_left_out() -> None:
    """torch.squeeze exports an If whose other branch is invalid at these shapes."""
    bad = model([node("Squeeze", "x axes", "r", name="s")], [], ["r"]).graph
    good = model([node("Identity", "x", "r")], [], ["r"]).graph
    nodes = [node("If", "c", "y", name="choice", then_branch=bad, else_branch=good)]
    graph = resolved(model(nodes, [value("x", 4, 8), value("c", dtype=BOOL)], ["y"], [ints("axes", 1)]))
    assert graph.tensors[graph.outputs[0]].shape == (4, 8)
    assert any("then_branch cannot run" in note for note in graph.notes)


def loop(trips: list[onnx.TensorProto], trips_name: str = "n") -> onnx.ModelProto:
    body = model(
        [node("MatMul", "s w", "t", name="m"), node("Identity", "c", "go"), node("Relu", "t", "scanned")],
        [value("i", dtype=INT64), value("c", dtype=BOOL), value("s", 4, 8)],
        ["go", "t", "scanned"],
    ).graph
    inputs = [value("x", 4, 8)] + ([] if trips or trips_name == "_" else [value("n", dtype=INT64)])
    nodes = [node("Loop", f"{trips_name} _ x", "last all", name="loop", body=body)]
    return model(nodes, inputs, ["last", "all"], [weight("w", 8, 8), *trips])


@pytest.mark.parametrize("trips", [0, 1, 7])
def test_loop_of_a_known_trip_count(trips: int) -> None:
    network = loaded(loop([scalar("n", trips)]))
    assert network.macs == trips * 4 * 8 * 8
    assert network.params == 64
    assert shape_of(network.graph, "last") == (4, 8)
    assert shape_of(network.graph, "all") == (trips, 4, 8)
    assert network.graph.notes == ()


def test_loop_of_an_unknown_trip_count_counts_once_and_says_so() -> None:
    network = loaded(loop([]))
    assert network.macs == 4 * 8 * 8
    assert "the trip count depends on data; its body is counted once" in network.graph.notes[0]
    assert network.graph.coverage.data_dependent_shapes > 0


@pytest.mark.parametrize("endless", [2**31, 2**63 - 1])
def test_loop_as_long_as_a_condition_holds_is_unknown(endless: int) -> None:
    network = loaded(loop([scalar("n", endless)]))
    assert network.macs == 4 * 8 * 8
    assert network.graph.notes


def test_loops_within_loops_multiply() -> None:
    inner = model(
        [node("MatMul", "s w", "t"), node("Identity", "c", "go")],
        [value("i", dtype=INT64), value("c", dtype=BOOL), value("s", 4, 8)],
        ["go", "t"],
    ).graph
    outer = model(
        [node("Loop", "three _ s", "t", body=inner), node("Identity", "c", "go")],
        [value("i", dtype=INT64), value("c", dtype=BOOL), value("s", 4, 8)],
        ["go", "t"],
    ).graph
    nodes = [node("Loop", "five _ x", "y", body=outer)]
    network = loaded(model(nodes, [value("x", 4, 8)], ["y"], [weight("w", 8, 8), scalar("three", 3), scalar("five", 5)]))
    assert network.macs == 15 * 4 * 8 * 8


def test_a_carried_tensor_that_grows() -> None:
    """A decoder's cache: one row more a trip."""
    body = model(
        [node("Concat", "s row", "t", axis=0), node("Identity", "c", "go")],
        [value("i", dtype=INT64), value("c", dtype=BOOL), value("s", "n", 8)],
        ["go", "t"],
    ).graph
    nodes = [node("Loop", "ten _ x", "y", body=body)]
    graph = resolved(model(nodes, [value("x", 3, 8), value("row", 1, 8)], ["y"], [scalar("ten", 10)]))
    assert shape_of(graph, "y") == (13, 8)


def test_scan_repeats_by_the_length_of_its_axis() -> None:
    body = model(
        [node("MatMul", "step w", "m"), node("Add", "state m", "next"), node("Identity", "next", "out")],
        [value("state", 4, 8), value("step", 4, 6)],
        ["next", "out"],
    ).graph
    nodes = [node("Scan", "h xs", "last all", body=body, num_scan_inputs=1)]
    network = loaded(model(nodes, [value("h", 4, 8), value("xs", 20, 4, 6)], ["last", "all"], [weight("w", 6, 8)]))
    assert network.macs == 20 * 4 * 6 * 8
    assert network.params == 48
    assert shape_of(network.graph, "last") == (4, 8)
    assert shape_of(network.graph, "all") == (20, 4, 8)


def test_scan_along_other_axes() -> None:
    body = model([node("Relu", "step", "out")], [value("step", 4, 6)], ["out"]).graph
    nodes = [node("Scan", "xs", "all", body=body, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[2])]
    graph = resolved(model(nodes, [value("xs", 4, 20, 6)], ["all"]))
    assert shape_of(graph, "all") == (4, 6, 20)


def test_scan_along_a_negative_axis() -> None:
    body = model([node("Relu", "step", "out")], [value("step", 4, 6)], ["out"]).graph
    nodes = [node("Scan", "xs", "all", body=body, num_scan_inputs=1, scan_input_axes=[-2], scan_output_axes=[-1])]
    graph = resolved(model(nodes, [value("xs", 4, 20, 6)], ["all"]))
    assert shape_of(graph, "all") == (4, 6, 20)


def test_a_control_node_without_its_body_is_refused() -> None:
    with pytest.raises(ModelError, match="Loop 'loop_y' has no body"):
        resolved(model([node("Loop", "_ _ x", "y")], [value("x", 4)], ["y"]))


# ---- functions ----------------------------------------------------------------------------------------------------


def function(name: str, nodes: list, attributes: tuple = (), defaults: tuple = (), overload: str = "") -> onnx.FunctionProto:
    opsets = [helper.make_operatorsetid("", 17), helper.make_operatorsetid("my", 1)]
    made = helper.make_function("my", name, ["a", "b"], ["c"], nodes, opsets, list(attributes), list(defaults))
    made.overload = overload
    return made


def with_reference(made: onnx.NodeProto, attr: str, refers: str, kind: int) -> onnx.NodeProto:
    """The node with one attribute that takes the caller's value."""
    made.attribute.append(onnx.AttributeProto(name=attr, ref_attr_name=refers, type=kind))
    return made


def test_a_function_is_inlined() -> None:
    body = [node("MatMul", "a b", "t", name="m"), node("Relu", "t", "c", name="r")]
    nodes = [node("Dense", "x w1", "h", name="one", domain="my"), node("Dense", "h w2", "y", name="two", domain="my")]
    weights = [weight("w1", 8, 16), weight("w2", 16, 4)]
    network = loaded(model(nodes, [value("x", 2, 8)], ["y"], weights, functions=[function("Dense", body)], domains=["my"]))
    assert [op.name for op in network.graph.ops] == ["one/m", "one/r", "two/m", "two/r"]
    assert network.macs == 2 * 8 * 16 + 2 * 16 * 4
    assert network.params == 8 * 16 + 16 * 4
    assert network.graph.output_names == ("y",)


def test_a_function_takes_attributes_from_its_caller_and_its_defaults() -> None:
    body = [with_reference(node("Concat", "a b", "c"), "axis", "along", onnx.AttributeProto.INT)]
    joined = function("Join", body, defaults=(helper.make_attribute("along", 0),))
    nodes = [node("Join", "x z", "p", domain="my"), node("Join", "x z", "q", domain="my", along=1)]
    graph = resolved(model(nodes, [value("x", 2, 8), value("z", 2, 8)], ["p", "q"], functions=[joined], domains=["my"]))
    assert [graph.tensors[n].shape for n in graph.outputs] == [(4, 8), (2, 16)]


def test_an_attribute_the_caller_omits_is_absent() -> None:
    body = [with_reference(node("Flatten", "a", "c"), "axis", "start", onnx.AttributeProto.INT)]
    flat = function("Flat", body, attributes=("start",))
    nodes = [node("Flat", "x z", "y", domain="my")]
    graph = resolved(model(nodes, [value("x", 2, 3, 4), value("z", 1)], ["y"], functions=[flat], domains=["my"]))
    assert graph.tensors[graph.outputs[0]].shape == (2, 12)


def test_references_reach_into_subgraphs_of_a_function() -> None:
    branch = model([with_reference(node("Concat", "a b", "r"), "axis", "along", onnx.AttributeProto.INT)], [], ["r"]).graph
    other = model([node("Identity", "a", "r")], [], ["r"]).graph
    body = [
        node("Constant", "", "yes", value=numpy_helper.from_array(np.array(True))),
        node("If", "yes", "c", then_branch=branch, else_branch=other),
    ]
    nodes = [node("F", "x z", "y", domain="my", along=1)]
    graph = resolved(
        model(
            nodes,
            [value("x", 2, 8), value("z", 2, 8)],
            ["y"],
            functions=[function("F", body, attributes=("along",))],
            domains=["my"],
        )
    )
    assert graph.tensors[graph.outputs[0]].shape == (2, 16)


def test_overloads_are_told_apart() -> None:
    plain = function("F", [node("Add", "a b", "c")], overload="plain")
    product = function("F", [node("MatMul", "a b", "c")], overload="product")
    nodes = [
        node("F", "x z", "p", domain="my", overload="plain"),
        node("F", "x z", "q", domain="my", overload="product"),
    ]
    graph = resolved(model(nodes, [value("x", 4, 4), value("z", 4, 4)], ["p", "q"], functions=[plain, product], domains=["my"]))
    assert [op.op_type for op in graph.ops] == ["Add", "MatMul"]


def test_functions_within_functions() -> None:
    inner = function("Inner", [node("MatMul", "a b", "c", name="m")])
    outer = function(
        "Outer", [node("Inner", "a b", "t", name="i", domain="my"), node("Inner", "t b", "c", name="j", domain="my")]
    )
    network = loaded(
        model(
            [node("Outer", "x w", "y", name="o", domain="my")],
            [value("x", 2, 8)],
            ["y"],
            [weight("w", 8, 8)],
            functions=[inner, outer],
            domains=["my"],
        )
    )
    assert network.macs == 2 * 2 * 64
    assert network.params == 64
    assert [op.name for op in network.graph.ops] == ["o/i/m", "o/j/m"]


def test_a_function_uses_its_own_operator_set() -> None:
    """Squeeze took its axes as an attribute before operator set 13."""
    old = helper.make_function(
        "my", "S", ["a"], ["c"], [node("Squeeze", "a", "c", axes=[0])], [helper.make_operatorsetid("", 11)]
    )
    graph = resolved(model([node("S", "x", "y", domain="my")], [value("x", 1, 1, 4)], ["y"], functions=[old], domains=["my"]))
    assert graph.tensors[graph.outputs[0]].shape == (1, 4)
    assert graph.ops[0].opset == 11


def test_a_function_that_calls_an_operator_of_its_own_name_from_outside_shadows_it() -> None:
    """A model-local function of the standard domain takes the place of the operator."""
    made = helper.make_function(
        "",
        "Gelu",
        ["a"],
        ["c"],
        [node("Sigmoid", "a", "s"), node("Mul", "a s", "c")],
        [helper.make_operatorsetid("", 17)],
    )
    graph = resolved(model([node("Gelu", "x", "y")], [value("x", 4)], [anything("y")], functions=[made]))
    assert [op.op_type for op in graph.ops] == ["Sigmoid", "Mul"]


def test_an_omitted_input_of_a_function() -> None:
    body = [node("Clip", "a b", "c")]
    graph = resolved(
        model([node("F", "x", "y", domain="my")], [value("x", 4)], ["y"], functions=[function("F", body)], domains=["my"])
    )
    assert graph.tensors[graph.outputs[0]].shape == (4,)


def test_nodes_are_counted_as_the_file_has_them() -> None:
    assert Model(resolved(branches([flag("c", True)]))).graph.node_count == 3  # the If and both branches


def test_two_loops_of_the_same_name_keep_their_own_tensors() -> None:
    from onnx import helper

    def loop(source: str, made: str, size: int) -> onnx.NodeProto:
        body = helper.make_graph(
            [node("MatMul", f"c w{size}", "d")],
            "body",
            [value("i", dtype=INT64), value("k", dtype=BOOL), value("c", 1, size)],
            [value("k", dtype=BOOL), value("d", 1, size)],
            [weight(f"w{size}", size, size)],
        )
        return node("Loop", f"trips _ {source}", made, body=body, name="L")

    graph = resolved(
        model(
            [loop("x", "y", 100), loop("z", "v", 10)], [value("x", 1, 100), value("z", 1, 10)], ["y", "v"], [scalar("trips", 5)]
        )
    )
    assert sum(op.repeat for op in graph.ops if op.op_type == "MatMul") == 10
    assert {shape_of(graph, n) for op in graph.ops if op.op_type == "MatMul" for n in op.outputs} == {(1, 100), (1, 10)}
    assert len({op.name for op in graph.ops}) == len(graph.ops)
