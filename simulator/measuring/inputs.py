"""What to feed a network: random values of the right type, whole numbers within what they index."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.errors import ModelError
from simulator.graph.graph import Graph
from simulator.graph.raw import numpy_dtype
from simulator.graph.types import Op, TensorSpec

# operators whose output holds the same whole numbers as their first input
_CARRY: Final = frozenset(
    {"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Expand", "Concat", "Split", "Tile"}
)
# operators that look rows up: position of the indices → position of the rows; along `axis`, where they have one
_LOOKUPS: Final[Mapping[str, Mapping[int, int]]] = {
    "Gather": {1: 0},
    "GatherElements": {1: 0},
    "GatherND": {1: 0},
    "EmbedLayerNormalization": {0: 2, 1: 4},
}
_BYTES: Final = {"uint8": 256, "int8": 128}
_ONE: Final = 1  # masks, lengths, flags: what lets everything through


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input: values of a float are standard normal, whole numbers from `low` up to below `high`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    low: int = 0
    high: int = 0

    def array(self) -> np.ndarray:
        """The values: always the same for the same name."""
        generator = np.random.default_rng(zlib.crc32(self.name.encode()))
        if self.high:
            return generator.integers(self.low, self.high, self.shape).astype(self.dtype)
        if self.dtype.startswith("float"):
            return generator.standard_normal(self.shape, dtype=np.float32).astype(self.dtype)
        return np.full(self.shape, _ONE, self.dtype)


def input_specs(graph: Graph) -> tuple[InputSpec, ...]:
    """Specs of all inputs of a graph.

    Raises:
        ModelError: an input whose type or shape nothing can be made up for.
    """
    return tuple(_spec(graph, graph.tensors[name]) for name in graph.inputs)


def _spec(graph: Graph, tensor: TensorSpec) -> InputSpec:
    dtype = numpy_dtype(tensor.dtype)
    if dtype is None or tensor.shape is None or dtype.kind == "c":
        raise ModelError(f"input '{tensor.name}' of type {tensor.dtype} cannot be made up: the network cannot be run")
    bound = index_bound(graph, tensor.name) if tensor.dtype.is_int else None
    if bound is None and tensor.dtype.name in _BYTES:
        bound = _BYTES[tensor.dtype.name]
    return InputSpec(tensor.name, dtype.name, tensor.shape, 0, bound or 0)


def index_bound(graph: Graph, name: str) -> int | None:
    """The smallest number of rows that a tensor of whole numbers looks up; None where it looks up nothing."""
    found: list[int] = []
    waiting, seen = [name], {name}
    while waiting:
        tensor = waiting.pop()
        for index in graph.consumers.get(tensor, ()):
            op = graph.ops[index]
            rows = _rows(graph, op, tensor)
            if rows:
                found.append(rows)
            elif op.op_type in _CARRY:
                fresh = [n for n in op.outputs if n and n not in seen]
                seen.update(fresh)
                waiting += fresh
    return min(found, default=None)


def _rows(graph: Graph, op: Op, tensor: str) -> int | None:
    """The smallest number of rows that an operator looks up by a tensor."""
    found = []
    for place, rows in _LOOKUPS.get(op.op_type, {}).items():
        if rows < len(op.inputs) and op.inputs[place] == tensor and op.inputs[rows]:
            shape, axis = graph.tensors[op.inputs[rows]].shape, op.attrs.get("axis", 0)
            if shape and isinstance(axis, int) and -len(shape) <= axis < len(shape):
                found.append(shape[axis])
    return min(found, default=None)
