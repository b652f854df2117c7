"""A graph under construction: nodes, headers of weights and the shape of every tensor, without any weight."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from simulator.errors import ShapeError
from simulator.zoo.style import Style

OPSET = 17
IR_VERSION = 8  # the IR version of ONNX 1.12, which brought opset 17
FLOAT_BYTES = 4

_DTYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph: its name and its shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Axis 1: the channels of a feature map."""
        return self.shape[1]


class GraphBuilder:
    """Collects nodes and weight headers; every method takes and returns `Tensor`, so a block always knows its input.

    Weights are declared external: name, type, dims, and where in `<name>.weights` they would lie. That file does not
    exist. Small constants (shapes, axes, scalars) are Constant nodes, as exporters write them, one a value.
    """

    def __init__(self, name: str, style: Style) -> None:
        self.name = name
        self.style = style
        self.inputs: dict[str, Tensor] = {}
        self._nodes: list[NodeProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._weights: list[TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], tuple[float, ...]], str] = {}
        self._offset_bytes = 0
        self._names: set[str] = set()

    def input(self, name: str, shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
        """Declares a graph input."""
        self._inputs.append(helper.make_tensor_value_info(name, _DTYPES[dtype], shape))
        self.inputs[name] = Tensor(name, shape)
        return self.inputs[name]

    def weight(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Declares a learned float32 tensor whose values lie outside the model."""
        self._claim(name)
        length = math.prod(shape) * FLOAT_BYTES
        proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", f"{self.name}.weights"), ("offset", self._offset_bytes), ("length", length)):
            proto.external_data.add(key=key, value=str(value))
        self._offset_bytes += length
        self._weights.append(proto)
        return Tensor(name, shape)

    def constant(self, values: Iterable[float], shape: tuple[int, ...] | None = None, dtype: str = "int64") -> Tensor:
        """A small constant, 1-D unless `shape` says otherwise; equal constants share one node."""
        data = tuple(values)
        dims = (len(data),) if shape is None else shape
        key = (dtype, dims, data)
        if key not in self._constants:
            name = f"constant.{len(self._constants)}"
            proto = helper.make_tensor(name, _DTYPES[dtype], dims, data)
            self._nodes.append(helper.make_node("Constant", [], [f"{name}.out"], name, value=proto))
            self._constants[key] = f"{name}.out"
        return Tensor(self._constants[key], dims)

    def scalar(self, value: float, dtype: str = "float32") -> Tensor:
        """A constant without axes."""
        return self.constant([value], (), dtype)

    def node(self, op_type: str, inputs: Sequence[Tensor], name: str, shape: tuple[int, ...], **attributes: Any) -> Tensor:
        """Appends an operator with one output of the given shape."""
        return self.node_many(op_type, inputs, name, [shape], **attributes)[0]

    def node_many(
        self, op_type: str, inputs: Sequence[Tensor], name: str, shapes: Sequence[tuple[int, ...]], **attributes: Any
    ) -> list[Tensor]:
        """Appends an operator with one output a shape."""
        self._claim(name)
        if any(dim < 1 for shape in shapes for dim in shape):
            raise ShapeError(f"{self.name}: the output of '{name}' would be empty; the input is too small")
        suffixes = [""] if len(shapes) == 1 else [f".{i}" for i in range(len(shapes))]
        outputs = [Tensor(f"{name}.out{suffix}", shape) for suffix, shape in zip(suffixes, shapes, strict=True)]
        names = [tensor.name for tensor in inputs]
        self._nodes.append(helper.make_node(op_type, names, [t.name for t in outputs], name, **attributes))
        return outputs

    def finish(self, output: Tensor, metadata: dict[str, str]) -> onnx.ModelProto:
        """The model; `output`, made by the last node, becomes the graph output `logits`."""
        last = self._nodes[-1]
        if list(last.output) != [output.name]:
            raise ShapeError(f"{self.name}: the network's output is not made by its last node '{last.name}'")
        last.output[0] = "logits"
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, output.shape)
        graph = helper.make_graph(self._nodes, self.name, self._inputs, [logits], self._weights)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="nn-simulator")
        helper.set_model_props(model, metadata)
        return model

    def _claim(self, name: str) -> None:
        """Refuses a name that a node or a weight already has."""
        if name in self._names:
            raise ShapeError(f"{self.name}: two parts of the network are called '{name}'")
        self._names.add(name)
