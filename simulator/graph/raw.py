"""What an ONNX file says, before anything is inferred: nodes, headers of initializers, declared inputs and outputs.

Weights are not read here: `RawTensor.data` is a view into the mapped file (or None where the values lie elsewhere), and
only `values()` of a small tensor and `byte_counts()` of an 8-bit one touch it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulator import dtypes
from simulator.dtypes import DType
from simulator.errors import ModelError

SMALL_ELEMENTS = 8192  # larger tensors are never decoded: shape arithmetic does not need them
LARGE_BYTES = 1 << 28  # larger tensors are not counted either: no machine that asks for counts holds them
_AT_ONCE = 1 << 20  # bytes counted at once

_NUMPY: Mapping[str, str] = {
    "float32": "<f4", "float64": "<f8", "float16": "<f2", "int8": "i1", "uint8": "u1", "int16": "<i2", "uint16": "<u2",
    "int32": "<i4", "uint32": "<u4", "int64": "<i8", "uint64": "<u8", "bool": "?", "complex64": "<c8", "complex128": "<c16",
}  # fmt: skip


def numpy_dtype(dtype: DType) -> "np.dtype[np.generic] | None":
    """The numpy type of the same layout, or None (bfloat16, float8, 4-bit, strings)."""
    text = _NUMPY.get(dtype.name)
    return np.dtype(text) if text else None


@dataclass(frozen=True, slots=True)
class RawTensor:
    """Header of a tensor in the file. `data` is little-endian raw data, `numbers` values that stood in typed fields."""

    name: str
    dtype: DType
    dims: tuple[int, ...]
    data: memoryview | None = None
    numbers: tuple[float, ...] | None = None
    external: bool = False

    @property
    def elements(self) -> int:
        """Number of elements the header declares."""
        return math.prod(self.dims)

    def values(self) -> np.ndarray | None:
        """The values, shaped, of a tensor of at most `SMALL_ELEMENTS`; None where they are large or not in the file."""
        if self.elements > SMALL_ELEMENTS or self.external:
            return None
        target = numpy_dtype(self.dtype)
        if target is None:
            return None
        if self.numbers is not None and len(self.numbers) == self.elements:
            if self.dtype is dtypes.FLOAT16:  # int32_data holds the bit pattern
                return np.array(self.numbers, np.uint16).view(np.float16).reshape(self.dims)
            return np.array(self.numbers).astype(target).reshape(self.dims)
        if self.data is None or len(self.data) != self.elements * target.itemsize:
            return np.zeros(self.dims, target) if self.elements == 0 else None
        return np.frombuffer(self.data, target).reshape(self.dims)

    def byte_counts(self) -> np.ndarray | None:
        """How often each value from −128 to 127 occurs in an int8 tensor, shape (256,), float64.

        None of other types, beyond `LARGE_BYTES`, and where the values are not in the file.
        """
        if self.dtype is not dtypes.INT8 or self.external or self.elements > LARGE_BYTES:
            return None
        if self.numbers is not None and len(self.numbers) == self.elements:
            return np.bincount(np.array(self.numbers, np.int64) + 128, minlength=256).astype(np.float64)
        if self.data is None or len(self.data) != self.elements:
            return None
        counts = np.zeros(256)
        for start in range(0, self.elements, _AT_ONCE):
            counts += np.bincount(np.frombuffer(self.data[start : start + _AT_ONCE], np.uint8), minlength=256)
        return np.roll(counts, 128)


@dataclass(frozen=True, slots=True)
class RawValue:
    """A declared graph input or output. A dimension is a number, a symbol, or None; `dims` is None without a shape."""

    name: str
    dtype: DType
    dims: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True)
class AttrRef:
    """An attribute of a node in a function body that takes the value of the caller's attribute."""

    name: str


@dataclass(frozen=True, slots=True)
class RawNode:
    """A node as written. Attribute values: int, float, str, bytes, RawTensor, RawGraph, AttrRef, or tuples of these."""

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, object]
    overload: str = ""


@dataclass(frozen=True, slots=True)
class RawGraph:
    """A graph or subgraph as written."""

    name: str
    nodes: tuple[RawNode, ...]
    initializers: tuple[RawTensor, ...]
    inputs: tuple[RawValue, ...]
    outputs: tuple[RawValue, ...]
    value_info: tuple[RawValue, ...] = ()


@dataclass(frozen=True, slots=True)
class RawFunction:
    """A model-local function."""

    name: str
    domain: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[RawNode, ...]
    attr_defaults: Mapping[str, object]
    opsets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RawModel:
    """A whole file: the graph, the operator-set versions by domain, the local functions."""

    name: str
    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    graph: RawGraph
    functions: Mapping[tuple[str, str, str], RawFunction] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """Version of the standard operator set."""
        return self.opsets.get("", 1)


def sized_dims(name: str, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The dims of an initializer, checked: no negative one, fewer than 2^53 elements."""
    if any(d < 0 for d in dims):
        raise ModelError(f"tensor '{name}' has a negative dimension: {list(dims)}")
    if math.prod(dims) >= 2**53:
        raise ModelError(f"tensor '{name}' has an absurd shape {list(dims)}: more than 2^53 elements")
    return dims
