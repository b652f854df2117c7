"""Small ONNX models in few words, and their way into the pipeline."""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from simulator.graph.graph import Graph
from simulator.graph.raw import RawModel
from simulator.graph.types import Op
from simulator.io.onnx_reader import parse_model
from simulator.model import Model
from simulator.resolve.dims import DimOptions
from simulator.resolve.resolver import resolve

FLOAT, FLOAT16, INT64, INT8, UINT8, INT32, BOOL, INT4 = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32,
    TensorProto.BOOL, TensorProto.INT4,
)  # fmt: skip


def node(op_type: str, inputs: str, outputs: str, /, **attrs: object) -> onnx.NodeProto:
    """A node; names are separated by spaces, `_` stands for an omitted one."""
    reads = ["" if n == "_" else n for n in inputs.split()]
    makes = ["" if n == "_" else n for n in outputs.split()]
    domain = str(attrs.pop("domain", ""))
    name = str(attrs.pop("name", "")) or f"{op_type.lower()}_{makes[0]}"
    overload = attrs.pop("overload", None)
    made = helper.make_node(op_type, reads, makes, name=name, domain=domain, **attrs)
    if overload is not None:
        made.overload = str(overload)
    return made


def value(name: str, *dims: int | str | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    """A graph input or output of known rank."""
    return helper.make_tensor_value_info(name, dtype, list(dims))


def anything(name: str) -> onnx.ValueInfoProto:
    """A graph output of undeclared type."""
    return helper.make_empty_tensor_value_info(name)


def weight(name: str, *dims: int, dtype: int = FLOAT) -> TensorProto:
    """The header of a weight; its values are nowhere."""
    return TensorProto(name=name, data_type=dtype, dims=dims)


def ints(name: str, *numbers: int) -> TensorProto:
    """An int64 vector with its values."""
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def scalar(name: str, number: float, dtype: str = "int64") -> TensorProto:
    """A scalar with its value."""
    return numpy_helper.from_array(np.array(number, dtype), name)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Iterable[str | onnx.ValueInfoProto],
    weights: Sequence[TensorProto] = (),
    *,
    opset: int = 17,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model; outputs may be given by name."""
    made = [anything(o) if isinstance(o, str) else o for o in outputs]
    graph = helper.make_graph(list(nodes), "test", list(inputs), made, list(weights))
    opsets = [helper.make_operatorsetid("", opset), *(helper.make_operatorsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def parsed(proto: onnx.ModelProto, name: str = "test") -> RawModel:
    """Through our own reader."""
    return parse_model(memoryview(proto.SerializeToString()), name)


def resolved(proto: onnx.ModelProto, *, allow_unknown: bool = False, **options: object) -> Graph:
    """Through our own reader and resolver; options are those of DimOptions."""
    return resolve(parsed(proto), DimOptions(**options), allow_unknown=allow_unknown)  # type: ignore[arg-type]


def loaded(proto: onnx.ModelProto, **options: object) -> Model:
    """A Model, as `load_model` makes it from a file."""
    return Model(resolved(proto, **options))  # type: ignore[arg-type]


def shape_of(graph: Graph, name: str) -> tuple[int, ...] | None:
    """Shape of a tensor."""
    return graph.tensors[name].shape


def op_of(graph: Graph, name: str) -> Op:
    """The operator of that name."""
    return next(op for op in graph.ops if op.name == name)
