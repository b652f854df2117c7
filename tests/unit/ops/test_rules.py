"""Every rule runs its worked example, and agrees with ONNX's own shape inference on it."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from simulator.graph.types import Op, Role, TensorSpec
from simulator.ops.registry import Arg, Rule, all_rules
from simulator.ops.view import OpView

RULES = all_rules()
NEWEST = onnx.defs.onnx_opset_version()


def example_view(rule: Rule, *, with_outputs: bool) -> OpView:
    example = rule.example
    names = tuple(f"in{i}" if arg else "" for i, arg in enumerate(example.inputs))
    outs = tuple(f"out{i}" for i in range(len(example.outputs)))
    op = Op("example", rule.op_type, rule.domain, example.opset or NEWEST, names, outs, example.attrs)
    values = {n: a.value for n, a in zip(names, example.inputs, strict=True) if a is not None}
    specs = [TensorSpec(n, a.shape, a.dtype, Role.INPUT) if a else None for n, a in zip(names, example.inputs, strict=True)]
    view = OpView(op, specs, (), values.get)
    if not with_outputs:
        return view
    outputs = [TensorSpec(n, o.shape, o.dtype) for n, o in zip(outs, rule.shape(view), strict=False)]
    return OpView(op, specs, outputs, values.get)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.domain}:{r.op_type}")
def test_example(rule: Rule) -> None:
    shapes = [out.shape for out in rule.shape(example_view(rule, with_outputs=False))]
    assert shapes[: len(rule.example.outputs)] == list(rule.example.outputs)
    assert rule.work(example_view(rule, with_outputs=True)) == rule.example.work


def test_macs_agree_with_the_gemm_shape() -> None:
    for rule in RULES:
        work = rule.example.work
        if work.gemm is not None and rule.kind not in ("attention", "recurrent"):
            assert work.gemm.macs == work.macs, rule.op_type


def _model(rule: Rule) -> onnx.ModelProto:
    view = example_view(rule, with_outputs=False)
    node = helper.make_node(rule.op_type, view.op.inputs, view.op.outputs, **dict(rule.example.attrs))
    inputs, initializers = [], []
    for name, arg in zip(view.op.inputs, rule.example.inputs, strict=True):
        if isinstance(arg, Arg) and arg.value is not None:
            initializers.append(numpy_helper.from_array(np.asarray(arg.value), name))
        elif isinstance(arg, Arg):
            inputs.append(helper.make_tensor_value_info(name, arg.dtype.code, arg.shape))
    outputs = [helper.make_empty_tensor_value_info(name) for name in view.op.outputs]
    graph = helper.make_graph([node], "example", inputs, outputs, initializers)
    opset = helper.make_operatorsetid(rule.domain, rule.example.opset or NEWEST)
    return helper.make_model(graph, opset_imports=[opset])


@pytest.mark.parametrize("rule", [r for r in RULES if r.domain == "" and onnx.defs.has(r.op_type)], ids=lambda r: r.op_type)
def test_agrees_with_onnx(rule: Rule) -> None:
    inferred = onnx.shape_inference.infer_shapes(_model(rule), strict_mode=True, data_prop=True)
    view = example_view(rule, with_outputs=True)
    for ours, theirs in zip(view.outputs, inferred.graph.output, strict=False):
        if theirs.type.HasField("tensor_type"):
            tensor = theirs.type.tensor_type
            if tensor.elem_type:
                assert ours.dtype.code == tensor.elem_type
            dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
            if tensor.HasField("shape") and ours.shape is not None:
                assert len(dims) == len(ours.shape)
                assert all(d is None or d == s for d, s in zip(dims, ours.shape, strict=True))
