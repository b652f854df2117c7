"""Reads the structure of an ONNX file: nodes and headers, never weights.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

import mmap
from collections.abc import Callable
from pathlib import Path

from simulator import dtypes
from simulator.errors import ModelError, NotFoundError
from simulator.graph.raw import (
    SMALL_ELEMENTS,
    AttrRef,
    RawFunction,
    RawGraph,
    RawModel,
    RawNode,
    RawTensor,
    RawValue,
    sized_dims,
)
from simulator.io import wire
from simulator.io.foreign import refuse_foreign

_MAX_DEPTH = 64  # subgraphs within subgraphs; deeper nesting is not a network but an attack on the stack


def read_onnx(path: Path) -> RawModel:
    """The structure of the file at `path`; peak memory does not grow with its weights.

    Raises:
        NotFoundError: no such file.
        ModelError: not an ONNX file, or a broken one.
    """
    try:
        if not path.exists():
            raise NotFoundError(f"no such file: {path}")
        if path.is_dir():
            raise ModelError(f"{path} is a directory; name the .onnx file in it")
        if not path.is_file():
            raise ModelError(f"{path} is not a regular file")
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                raise ModelError(f"{path} is empty")
            buffer = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    refuse_foreign(path, bytes(buffer[:64]))
    try:
        return parse_model(buffer, path.stem)
    except wire.WireError as error:
        raise ModelError(f"{path} is not a readable ONNX file: {error}") from error


def parse_model(buffer: memoryview, name: str) -> RawModel:
    """The structure of a serialized ModelProto."""
    ir_version, producer, graph = 0, "", None
    opsets: dict[str, int] = {}
    functions = {}
    for number, value in wire.fields(buffer):
        if number == 1:
            ir_version = wire.signed(value)
        elif number == 2:
            producer = wire.text(value)
        elif number == 7:
            graph = _graph(wire.expect_bytes(value))
        elif number == 8:
            domain, version = _opset(wire.expect_bytes(value))
            opsets[domain] = version
        elif number == 25:
            function = _function(wire.expect_bytes(value))
            functions[function.domain, function.name, function.overload] = function
    if graph is None:
        raise wire.WireError("it holds no graph")
    if not opsets and ir_version >= 3:
        raise wire.WireError("it declares no operator set")
    return RawModel(name, ir_version, producer, opsets or {"": 1}, graph, functions)


def _opset(buffer: memoryview) -> tuple[str, int]:
    domain, version = "", 1
    for number, value in wire.fields(buffer):
        if number == 1:
            domain = wire.text(value)
        elif number == 2:
            version = wire.signed(value)
    return ("" if domain == "ai.onnx" else domain), version


def _graph(buffer: memoryview, depth: int = 0) -> RawGraph:
    if depth > _MAX_DEPTH:
        raise wire.WireError(f"graphs nested more than {_MAX_DEPTH} deep")
    name = ""
    nodes, initializers, inputs, outputs, infos = [], [], [], [], []
    for number, value in wire.fields(buffer):
        if number == 1:
            nodes.append(_node(wire.expect_bytes(value), depth))
        elif number == 2:
            name = wire.text(value)
        elif number == 5:
            initializers.append(_tensor(wire.expect_bytes(value)))
        elif number == 15:
            initializers.append(_sparse_tensor(wire.expect_bytes(value)))
        elif number == 11:
            inputs.append(_value_info(wire.expect_bytes(value)))
        elif number == 12:
            outputs.append(_value_info(wire.expect_bytes(value)))
        elif number == 13:
            infos.append(_value_info(wire.expect_bytes(value)))
    return RawGraph(name, tuple(nodes), tuple(initializers), tuple(inputs), tuple(outputs), tuple(infos))


def _node(buffer: memoryview, depth: int) -> RawNode:
    inputs, outputs, attrs = [], [], {}
    name = op_type = domain = overload = ""
    for number, value in wire.fields(buffer):
        if number == 1:
            inputs.append(wire.text(value))
        elif number == 2:
            outputs.append(wire.text(value))
        elif number == 3:
            name = wire.text(value)
        elif number == 4:
            op_type = wire.text(value)
        elif number == 5:
            key, attr = _attribute(wire.expect_bytes(value), depth)
            attrs[key] = attr
        elif number == 7:
            domain = wire.text(value)
        elif number == 8:
            overload = wire.text(value)
    domain = "" if domain == "ai.onnx" else domain
    return RawNode(name, op_type, domain, tuple(inputs), tuple(outputs), attrs, overload)


def _attribute(buffer: memoryview, depth: int) -> tuple[str, object]:
    """Name and value; the type field decides which of the value fields counts, the rest is ignored."""
    name, kind, ref = "", 0, ""
    single: dict[int, object] = {}
    many: dict[int, list[object]] = {}
    for number, value in wire.fields(buffer):
        if number == 1:
            name = wire.text(value)
        elif number == 20:
            kind = wire.expect_int(value)
        elif number == 21:
            ref = wire.text(value)
        elif number in _SINGLE:
            single[number] = _SINGLE[number](value, depth)
        elif number in _MANY:
            many.setdefault(number, []).extend(_MANY[number](value, depth))
    if ref:
        return name, AttrRef(ref)
    if kind in _KIND_SINGLE:
        return name, single.get(_KIND_SINGLE[kind], _DEFAULTS.get(kind))
    if kind in _KIND_MANY:
        return name, tuple(many.get(_KIND_MANY[kind], ()))
    if single:  # files older than IR version 2 carry no type
        return name, next(iter(single.values()))
    return name, tuple(next(iter(many.values()), ()))


_Read = Callable[[int | memoryview, int], object]
_ReadMany = Callable[[int | memoryview, int], "list[object]"]

_SINGLE: dict[int, _Read] = {
    2: lambda v, _: wire.one_float(v),
    3: lambda v, _: wire.signed(v),
    4: lambda v, _: _maybe_text(v),
    5: lambda v, _: _tensor(wire.expect_bytes(v)),
    6: lambda v, depth: _graph(wire.expect_bytes(v), depth + 1),
    14: lambda *_: None,  # a type, used by Optional only
    22: lambda v, _: _sparse_tensor(wire.expect_bytes(v)),
}
_MANY: dict[int, _ReadMany] = {
    7: lambda v, _: list(wire.floats(v)),
    8: lambda v, _: list(wire.integers(v)),
    9: lambda v, _: [_maybe_text(v)],
    10: lambda v, _: [_tensor(wire.expect_bytes(v))],
    11: lambda v, depth: [_graph(wire.expect_bytes(v), depth + 1)],
}
_KIND_SINGLE = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 11: 22, 13: 14}
_KIND_MANY = {6: 7, 7: 8, 8: 9, 9: 10, 10: 11}
_DEFAULTS: dict[int, object] = {1: 0.0, 2: 0, 3: ""}


def _maybe_text(value: int | memoryview) -> str | bytes:
    """A string attribute is bytes by its schema: text where it is UTF-8, bytes otherwise."""
    raw = bytes(wire.expect_bytes(value))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _tensor(buffer: memoryview) -> RawTensor:
    name, code, external = "", 0, False
    dims: list[int] = []
    data: memoryview | None = None
    typed: list[tuple[int, int | memoryview]] = []
    for number, value in wire.fields(buffer):
        if number == 1:
            dims.extend(wire.integers(value))
        elif number == 2:
            code = wire.expect_int(value)
        elif number == 8:
            name = wire.text(value)
        elif number == 9:
            data = wire.expect_bytes(value)
        elif number == 14:
            external = wire.expect_int(value) == 1
        elif number in (4, 5, 7, 10, 11):
            typed.append((number, value))
    if code not in dtypes.BY_CODE:
        raise wire.WireError(f"tensor '{name}' has the unknown element type {code}")
    dtype = dtypes.BY_CODE[code]
    shape = sized_dims(name, tuple(dims))
    return RawTensor(name, dtype, shape, data, _numbers(typed, shape), external)


def _numbers(typed: list[tuple[int, int | memoryview]], dims: tuple[int, ...]) -> tuple[float, ...] | None:
    """Values from float_data, int32_data, int64_data, double_data or uint64_data, of small tensors only."""
    elements = 1
    for dim in dims:
        elements *= dim
    if not typed or elements > SMALL_ELEMENTS:
        return None
    numbers: list[float] = []
    for number, value in typed:
        if number in (4, 10):
            numbers.extend(wire.floats(value, "f" if number == 4 else "d"))
        else:
            numbers.extend(wire.integers(value))
    return tuple(numbers)


def _sparse_tensor(buffer: memoryview) -> RawTensor:
    """A sparse tensor counts with its dense shape and the type of its values; its values are not decoded."""
    values = None
    dims: list[int] = []
    for number, value in wire.fields(buffer):
        if number == 1:
            values = _tensor(wire.expect_bytes(value))
        elif number == 3:
            dims.extend(wire.integers(value))
    if values is None:
        raise wire.WireError("a sparse tensor has no values")
    return RawTensor(values.name, values.dtype, sized_dims(values.name, tuple(dims)), external=True)


def _value_info(buffer: memoryview) -> RawValue:
    name, dtype, dims = "", dtypes.UNDEFINED, None
    for number, value in wire.fields(buffer):
        if number == 1:
            name = wire.text(value)
        elif number == 2:
            dtype, dims = _type(wire.expect_bytes(value))
    return RawValue(name, dtype, dims)


def _type(buffer: memoryview) -> tuple[dtypes.DType, tuple[int | str | None, ...] | None]:
    """Element type and dims of a TypeProto; sequences, maps and optionals are opaque."""
    for number, value in wire.fields(buffer):
        if number in (1, 8):  # tensor, sparse tensor
            return _tensor_type(wire.expect_bytes(value))
        if number in (4, 5, 9):
            return dtypes.SEQUENCE, None
    return dtypes.UNDEFINED, None


def _tensor_type(buffer: memoryview) -> tuple[dtypes.DType, tuple[int | str | None, ...] | None]:
    dtype, dims = dtypes.UNDEFINED, None
    for number, value in wire.fields(buffer):
        if number == 1:
            dtype = dtypes.BY_CODE.get(wire.expect_int(value), dtypes.UNDEFINED)
        elif number == 2:
            dims = tuple(_dim(wire.expect_bytes(v)) for n, v in wire.fields(wire.expect_bytes(value)) if n == 1)
    return dtype, dims


def _dim(buffer: memoryview) -> int | str | None:
    for number, value in wire.fields(buffer):
        if number == 1:
            return wire.signed(value)
        if number == 2:
            return wire.text(value) or None
    return None


def _function(buffer: memoryview) -> RawFunction:
    name = domain = overload = ""
    inputs, outputs, nodes = [], [], []
    defaults: dict[str, object] = {}
    opsets: dict[str, int] = {}
    for number, value in wire.fields(buffer):
        if number == 1:
            name = wire.text(value)
        elif number == 4:
            inputs.append(wire.text(value))
        elif number == 5:
            outputs.append(wire.text(value))
        elif number == 7:
            nodes.append(_node(wire.expect_bytes(value), 0))
        elif number == 9:
            key, version = _opset(wire.expect_bytes(value))
            opsets[key] = version
        elif number == 10:
            domain = wire.text(value)
        elif number == 11:
            key, attr = _attribute(wire.expect_bytes(value), 0)
            defaults[key] = attr
        elif number == 13:
            overload = wire.text(value)
    domain = "" if domain == "ai.onnx" else domain
    return RawFunction(name, domain, overload, tuple(inputs), tuple(outputs), tuple(nodes), defaults, opsets)
