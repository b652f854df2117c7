"""Makes a network runnable: weights that its file lacks are made up, and a batch that it has built in is changed."""

import importlib
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from simulator import zoo
from simulator.dtypes import BY_CODE, storage_bytes
from simulator.errors import ModelError, UsageError
from simulator.graph.graph import Graph
from simulator.measuring.host import free_memory_bytes
from simulator.measuring.madeup import Use, made_up
from simulator.model import Model
from simulator.units import format_bytes

_WEIGHTS: Final = "weights.bin"
_INLINE_BYTES: Final = 1024  # smaller tensors stay in the model: shape inference reads some of them
_ALIGNMENT: Final = 4096  # so that the runtime can map the file
_RUNTIME_BYTES: Final = 200 << 20  # what the interpreter and the runtime take for themselves
_FUNCTIONS_VERSION: Final = 8  # of the file format that brought functions
_SHAPED: Final = ("Reshape", "Expand")


@dataclass(frozen=True, slots=True)
class Runnable:
    """A file that can be run, and how much of it is made up."""

    path: Path
    made_up_tensors: int = 0
    made_up_bytes: int = 0


@dataclass
class _Copy:
    """State of one copy: where the model lies, the file that its weights go to, what reads them."""

    folder: Path
    weights: BinaryIO
    uses: dict[str, Use]
    made_up_tensors: int = 0
    made_up_bytes: int = 0
    offset: int = 0


def check_memory(model: Model, free_bytes: int | None) -> None:
    """Refuse a network that would not fit the memory, before any of it is allocated.

    Raises:
        UsageError: twice its weights (as stored, and as the runtime packs them) and its activations need more than is free.
    """
    need = 2 * model.weight_bytes + 2 * 4 * model.activation_elements_peak + _RUNTIME_BYTES
    if free_bytes is not None and need > free_bytes:
        raise UsageError(
            f"{model.name} needs about {format_bytes(need)} of memory to be run ({format_bytes(model.weight_bytes)} of weights, "
            f"held twice), and {format_bytes(free_bytes)} are free"
        )


def make_runnable(reference: str, model: Model, folder: Path, *, batch: int | None = None) -> Runnable:
    """A runnable file of the network: its own, where nothing is missing, else a copy in `folder`.

    Raises:
        UsageError: it is too large for the memory or for the disk.
        ModelError: values are missing that cannot be made up.
    """
    check_memory(model, free_memory_bytes())
    path = Path(reference)
    is_file = path.suffix == ".onnx" or path.is_file()
    proto = _loaded(path) if is_file else _recipe(reference)
    home = path.parent if is_file else folder
    rebatched = batch is not None and _is_batch_fixed(proto.graph, model.graph)
    missing = [t for t in _tensors(proto.graph) if _is_missing(t, home)]
    if is_file and not missing and not rebatched:
        return Runnable(path.resolve())
    if (needed := sum(_bytes(t) for t in _tensors(proto.graph))) > (free := shutil.disk_usage(folder).free):
        raise UsageError(f"{model.name} has {format_bytes(needed)} of weights, and {folder} has room for {format_bytes(free)}")
    if rebatched:
        _rebatch(proto.graph, model.graph)
    proto.ir_version = _oldest_version(proto)
    target = folder / "model.onnx"
    with (folder / _WEIGHTS).open("wb") as weights:
        copy = _Copy(home, weights, uses_of(proto.graph))
        for tensor in _initializers(proto.graph):
            _settle(tensor, copy)
        for tensor in _constants(proto.graph):
            _settle(tensor, copy, inline=True)
    target.write_bytes(proto.SerializeToString())
    return Runnable(target, copy.made_up_tensors, copy.made_up_bytes)


def _oldest_version(proto: ModelProto) -> int:
    """The oldest version of the file format that has the model's operators: runtimes refuse versions newer than they are."""
    needed = onnx.helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True)
    return min(proto.ir_version, max(needed, _FUNCTIONS_VERSION if proto.functions else 0))


def _loaded(path: Path) -> ModelProto:
    decode_error: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError
    try:
        return onnx.load(path, load_external_data=False)
    except (decode_error, OSError) as error:
        raise ModelError(f"{path} cannot be read by onnx: {error}") from error


def _recipe(reference: str) -> ModelProto:
    recipe, parameters = zoo.parse_reference(reference)
    return zoo.build(recipe, **parameters)


# ---- tensors ----------------------------------------------------------------------------------------------------------


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and the graphs in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.type == AttributeProto.GRAPH else [])):
                yield from _graphs(inner)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All tensors with values."""
    yield from _initializers(graph)
    yield from _constants(graph)


def _initializers(graph: GraphProto) -> Iterator[TensorProto]:
    """Initializers, of subgraphs too."""
    for one in _graphs(graph):
        yield from one.initializer


def _constants(graph: GraphProto) -> Iterator[TensorProto]:
    """Tensors in attributes of nodes: values of Constant, mostly."""
    for one in _graphs(graph):
        for node in one.node:
            yield from (a.t for a in node.attribute if a.type == AttributeProto.TENSOR)


def uses_of(graph: GraphProto) -> dict[str, Use]:
    """How each tensor is read first."""
    found: dict[str, Use] = {}
    for one in _graphs(graph):
        for node in one.node:
            for index, name in enumerate(node.input):
                found.setdefault(name, Use(node.op_type, node.domain, index, _is_transposed(node)))
    return found


def _is_transposed(node: NodeProto) -> bool:
    return any(a.name == "transB" and a.i == 1 for a in node.attribute)


def _bytes(tensor: TensorProto) -> int:
    dtype = BY_CODE.get(tensor.data_type)
    return storage_bytes(math.prod(tensor.dims), dtype) if dtype else 0


def _external(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _offset(entry: dict[str, str]) -> int:
    text = entry.get("offset", "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_missing(tensor: TensorProto, home: Path) -> bool:
    """Whether the values of a tensor are nowhere: not in the model, nor in the file that it names."""
    if not math.prod(tensor.dims):
        return False
    if tensor.data_location == TensorProto.EXTERNAL:
        entry = _external(tensor)
        file = home / entry.get("location", "")
        return not file.is_file() or file.stat().st_size < _offset(entry) + _bytes(tensor)
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    return not tensor.HasField("raw_data") and not tensor.string_data and not any(len(f) for f in fields)


def _settle(tensor: TensorProto, copy: _Copy, *, inline: bool = False) -> None:
    """Give a tensor its values: made up, or where they lie; large ones go to the file of weights, unless `inline`."""
    pieces: Iterator[bytes]
    if _is_missing(tensor, copy.folder):
        pieces = (_encoded(piece, tensor) for piece in made_up(
            tensor.name, BY_CODE[tensor.data_type].name, tuple(tensor.dims), copy.uses.get(tensor.name)))  # fmt: skip
        copy.made_up_tensors += 1
        copy.made_up_bytes += _bytes(tensor)
    elif tensor.data_location == TensorProto.EXTERNAL:
        pieces = _read_external(tensor, copy.folder)
    elif len(tensor.raw_data) >= _INLINE_BYTES and not inline:
        pieces = iter((tensor.raw_data,))
    else:
        return
    if inline or _bytes(tensor) < _INLINE_BYTES:
        tensor.raw_data = b"".join(pieces)
        _forget_location(tensor)
    else:
        _write(tensor, pieces, copy)


def _forget_location(tensor: TensorProto) -> None:
    del tensor.external_data[:]
    tensor.data_location = TensorProto.DEFAULT


def _write(tensor: TensorProto, pieces: Iterator[bytes], copy: _Copy) -> None:
    start = -(-copy.offset // _ALIGNMENT) * _ALIGNMENT
    copy.weights.seek(start)
    length = sum(copy.weights.write(piece) for piece in pieces)
    copy.offset = start + length
    tensor.ClearField("raw_data")
    _forget_location(tensor)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", _WEIGHTS), ("offset", start), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _read_external(tensor: TensorProto, home: Path) -> Iterator[bytes]:
    entry, left = _external(tensor), _bytes(tensor)
    with (home / entry["location"]).open("rb") as file:
        file.seek(_offset(entry))
        while left:
            piece = file.read(min(left, 1 << 24))
            left -= len(piece)
            yield piece


def _encoded(values: np.ndarray, tensor: TensorProto) -> bytes:
    """Numbers as they lie in a file, little-endian, two to a byte below 8 bits."""
    dtype = BY_CODE[tensor.data_type]
    if dtype.name == "bfloat16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    if dtype.name in ("int4", "uint4"):
        nibbles = np.append(values, np.zeros(len(values) % 2, values.dtype)) & 15
        return (nibbles[::2] | nibbles[1::2] << 4).astype("u1").tobytes()
    if dtype.name not in ("float16", "float32", "float64", "bool") and not dtype.is_int:
        raise ModelError(f"'{tensor.name}' has no values in the file, and none can be made up for the type {dtype}")
    return values.astype(np.dtype(dtype.name).newbyteorder("<")).tobytes()


# ---- another batch ----------------------------------------------------------------------------------------------------


def _is_batch_fixed(graph: GraphProto, wanted: Graph) -> bool:
    """Whether the file declares shapes of inputs that differ from the wanted ones."""
    for value in graph.input:
        spec = wanted.tensors.get(value.name) if value.name in wanted.inputs else None
        declared = zip(value.type.tensor_type.shape.dim, (spec.shape if spec else None) or (), strict=False)
        if any(dim.HasField("dim_value") and dim.dim_value != size for dim, size in declared):
            return True
    return False


def _rebatch(graph: GraphProto, wanted: Graph) -> None:
    """Declare the inputs at their wanted shapes, and put those of the resolved graph where constants have a batch baked in."""
    for value in graph.input:
        spec = wanted.tensors.get(value.name)
        for dim, size in zip(value.type.tensor_type.shape.dim, (spec.shape if spec else None) or (), strict=False):
            dim.dim_value = size
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    constants = {t.name for t in graph.initializer} | {n.output[0] for n in graph.node if n.op_type == "Constant"}
    for node in graph.node:
        made = wanted.tensors.get(node.output[0]) if node.op_type in _SHAPED else None
        if made is not None and made.shape is not None and node.input[1] in constants:
            shape = numpy_helper.from_array(np.array(made.shape, np.int64), f"{node.output[0]}.shape_at_batch")
            graph.initializer.append(shape)
            node.input[1] = shape.name
