"""Networks of one operator many times over: chains, so that the difference of two lengths is free of the cost of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

_OPSET: Final = 17
_IR: Final = 8
Chain = Callable[[int], bytes]


@dataclass
class _Parts:
    """Nodes and weights of a chain as it grows; weights differ, since runtimes share equal ones."""

    nodes: list[NodeProto]
    weights: list[TensorProto]
    generator: np.random.Generator

    def weight(self, *shape: int, dtype: str = "float32") -> str:
        """A random weight, scaled so that a chain neither dies out nor explodes; its name."""
        if dtype in ("int8", "uint8"):
            values = self.generator.integers(0, 100, shape).astype(dtype)
        else:
            fan_in = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
            values = (self.generator.standard_normal(shape) / np.sqrt(fan_in)).astype(dtype)
        self.weights.append(numpy_helper.from_array(values, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """A node; the name of its output."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], output, **attributes))
        return output

    def model(self, shape: tuple[int, ...], outputs: list[str], dtype: int = TensorProto.FLOAT) -> bytes:
        """The whole model with one input, `x`."""
        made = [helper.make_empty_tensor_value_info(name) for name in outputs]
        inputs = [helper.make_tensor_value_info("x", dtype, shape)]
        graph: GraphProto = helper.make_graph(self.nodes, "probe", inputs, made, self.weights)
        opsets = [helper.make_opsetid("", _OPSET)]
        model: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        return bytes(model.SerializeToString())


def _parts() -> _Parts:
    return _Parts([], [], np.random.default_rng(0))


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of matrix product to time: how to chain it, MACs of a link, the shape and type of its input."""

    chain: Chain
    macs: int
    shape: tuple[int, ...]
    dtype: str = "float32"


def convolution(channels: int, side: int, kernel: int = 3, groups: int = 1) -> Product:
    """Convolutions of as many output as input channels over a square image, padded to keep it."""
    shape = (1, channels, side, side)

    def chain(length: int) -> bytes:
        parts, name = _parts(), "x"
        for _ in range(length):
            weight = parts.weight(channels, channels // groups, kernel, kernel)
            name = parts.node("Conv", name, weight, pads=[kernel // 2] * 4, group=groups)
        return parts.model(shape, [name])

    return Product(chain, channels * side * side * channels // groups * kernel * kernel, shape)


def product(rows: int, width: int, dtype: str = "float32") -> Product:
    """Products of a matrix of so many rows with square weights."""
    code = TensorProto.DOUBLE if dtype == "float64" else TensorProto.FLOAT

    def chain(length: int) -> bytes:
        parts, name = _parts(), "x"
        for _ in range(length):
            name = parts.node("MatMul", name, parts.weight(width, width, dtype=dtype))
        return parts.model((rows, width), [name], code)

    return Product(chain, rows * width * width, (rows, width), dtype)


def integer_product(rows: int, width: int) -> Product:
    """Products of 8-bit numbers (unsigned times signed), each of the same matrix: their sums have 32 bits and do not chain."""

    def chain(length: int) -> bytes:
        parts = _parts()
        made = [parts.node("MatMulInteger", "x", parts.weight(width, width, dtype="int8")) for _ in range(length)]
        return parts.model((rows, width), made, TensorProto.UINT8)

    return Product(chain, rows * width * width, (rows, width), "uint8")


def attention(heads: int, tokens: int, width: int) -> Product:
    """Products of activations with activations, as in attention: scores, then values; a link is both."""
    shape = (heads, tokens, width)

    def chain(length: int) -> bytes:
        parts, name = _parts(), "x"
        keys = parts.node("Transpose", "x", perm=[0, 2, 1])
        scale = numpy_helper.from_array(np.array(1.0 / (tokens * width), np.float32), "scale")
        parts.weights.append(scale)
        small = parts.node("Mul", keys, "scale")
        for _ in range(length):
            name = parts.node("MatMul", parts.node("MatMul", name, small), "x")
        return parts.model(shape, [name])

    return Product(chain, 2 * heads * tokens * tokens * width, shape)


def recurrence(width: int, steps: int) -> Product:
    """LSTM layers, one after another."""
    shape = (steps, 1, width)

    def chain(length: int) -> bytes:
        parts, name = _parts(), "x"
        axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
        parts.weights.append(axes)
        for _ in range(length):
            weight, state = parts.weight(1, 4 * width, width), parts.weight(1, 4 * width, width)
            name = parts.node("Squeeze", parts.node("LSTM", name, weight, state, hidden_size=width), "axes")
        return parts.model(shape, [name])

    return Product(chain, steps * 8 * width * width, shape)


def elementwise(op_type: str, elements: int) -> Product:
    """One operator on one input, over and over; `macs` is 0."""

    def chain(length: int) -> bytes:
        parts, name = _parts(), "x"
        for _ in range(length):
            name = parts.node(op_type, name)
        return parts.model((1, elements), [name])

    return Product(chain, 0, (1, elements))
