"""Builds catalogue networks once and counts them from the definitions of the operators, apart from the simulator."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import onnx
import pytest

from simulator import zoo

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A model without weights, and what follows from its shapes."""

    model: onnx.ModelProto

    @cached_property
    def inferred(self) -> onnx.ModelProto:
        return onnx.shape_inference.infer_shapes(self.model, check_type=True, strict_mode=True, data_prop=True)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        graph = self.inferred.graph
        values = [*graph.input, *graph.value_info, *graph.output]
        shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
        return shapes | {w.name: tuple(w.dims) for w in graph.initializer}

    @cached_property
    def node_macs(self) -> dict[str, int]:
        """Output elements times contracted elements, of convolutions and matrix products."""
        contracted: dict[str, Callable[[onnx.NodeProto], int]] = {
            "Conv": lambda node: math.prod(self.shapes[node.input[1]][1:]),
            "Gemm": lambda node: self.shapes[node.input[0]][1],
            "MatMul": lambda node: self.shapes[node.input[0]][-1],
        }
        return {
            node.name: math.prod(self.shapes[node.output[0]]) * contracted[node.op_type](node)
            for node in self.model.graph.node
            if node.op_type in contracted
        }

    @property
    def macs(self) -> int:
        return sum(self.node_macs.values())

    @property
    def params(self) -> int:
        """Elements of all weights but the running statistics of batch norms."""
        norms = [node for node in self.model.graph.node if node.op_type == "BatchNormalization"]
        statistics = {name for node in norms for name in node.input[3:5]}
        return sum(math.prod(w.dims) for w in self.model.graph.initializer if w.name not in statistics)

    @property
    def norm_params(self) -> int:
        """Elements of scales and shifts of batch norms."""
        norms = [node for node in self.model.graph.node if node.op_type == "BatchNormalization"]
        return sum(math.prod(self.shapes[name]) for node in norms for name in node.input[1:3])


@cache
def _network(reference: str) -> Network:
    recipe_id, parameters = zoo.parse_reference(reference)
    return Network(zoo.build(recipe_id, **parameters))


@pytest.fixture(scope="session")
def network() -> Callable[[str], Network]:
    """`network("mobilenet_v2:width=0.5")`, built once a session."""
    return _network
