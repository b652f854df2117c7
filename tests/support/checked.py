"""A graph held against itself and against ONNX: every input made by something, shapes as the rules and ONNX infer them."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role
from simulator.transform.infer import inferred


def check(graph: Graph) -> None:
    """Every operator reads what there is by then, and makes the shapes that its rule says."""
    there = {*graph.inputs, *(n for n, t in graph.tensors.items() if t.role is Role.WEIGHT and n not in graph.producer)}
    assert len({op.name for op in graph.ops}) == len(graph.ops)
    for op in graph.ops:
        assert {n for n in op.inputs if n} <= there, op.name
        there |= {n for n in op.outputs if n}
        shapes = [out.shape for out in inferred(graph, graph.tensors, op)][: len(op.outputs)]
        assert [graph.tensors[n].shape for n in op.outputs if n] == [s for s, n in zip(shapes, op.outputs, strict=False) if n], op
    assert set(graph.outputs) <= there
    for name in {n for op in graph.ops for n in op.inputs if n}:
        assert name not in graph.values or graph.values[name].shape == graph.tensors[name].shape


def onnx_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors as ONNX's own inference has them, of a graph of standard operators."""
    read = {n for op in graph.ops for n in op.inputs if n} - graph.producer.keys() - set(graph.inputs)
    inputs = [_declared(graph, n) for n in graph.inputs]
    outputs = [helper.make_empty_tensor_value_info(n) for n in graph.outputs]
    made = helper.make_graph([_node(op) for op in graph.ops], "g", inputs, outputs, [_header(graph, n) for n in sorted(read)])
    opset = max((op.opset for op in graph.ops), default=17)
    proto = helper.make_model(made, opset_imports=[helper.make_operatorsetid("", opset)])
    found = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True).graph
    return {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in (*found.value_info, *found.output)}


def _declared(graph: Graph, name: str) -> onnx.ValueInfoProto:
    spec = graph.tensors[name]
    return helper.make_tensor_value_info(name, spec.dtype.code, spec.shape)


def _header(graph: Graph, name: str) -> onnx.TensorProto:
    if name in graph.values:
        return numpy_helper.from_array(np.asarray(graph.values[name]), name)
    spec = graph.tensors[name]
    return onnx.TensorProto(name=name, data_type=spec.dtype.code, dims=spec.shape)


def _node(op: Op) -> onnx.NodeProto:
    attrs = {key: list(value) if isinstance(value, tuple) else value for key, value in op.attrs.items()}
    return helper.make_node(op.op_type, op.inputs, op.outputs, name=op.name, **attrs)
