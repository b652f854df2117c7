"""Writes the ONNX files that the benchmarks read: real structures with random weights, also beyond 2 GiB.

The protobuf library refuses to serialize more than 2 GiB, so the weights are written field by field: a ModelProto is a
sequence of (tag, length, bytes), and all lengths are known beforehand.
Format: https://protobuf.dev/programming-guides/encoding/; field numbers: onnx.proto.

    python benchmarks/onnx_files.py FOLDER [--quick]
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from simulator import zoo
from simulator.zoo.builder import FLOAT_BYTES, GraphBuilder
from simulator.zoo.style import Style

MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA = 7, 5, 9  # field numbers of onnx.proto
_LENGTH_DELIMITED = 2
_CHUNK_BYTES = 1 << 24

GROWTH = (1_000, 10_000, 100_000)  # nodes of the graphs that show how time grows


def varint(number: int) -> bytes:
    """A number in base 128, lowest digits first; every byte but the last has its top bit set."""
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def field_head(number: int, length: int) -> bytes:
    """What stands before the bytes of a length-delimited field."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(length)


def write_embedded(model: onnx.ModelProto, path: Path) -> None:
    """Write `model`, whose weights are external headers, with random float32 weights inside the file."""
    shell, graph = onnx.ModelProto(), onnx.GraphProto()
    shell.CopyFrom(model)
    shell.ClearField("graph")
    graph.CopyFrom(model.graph)
    graph.ClearField("initializer")
    structure = graph.SerializeToString()
    tensors = [_embedded_head(tensor) for tensor in model.graph.initializer]
    total = len(structure) + sum(len(head) + length for head, length in tensors)
    with path.open("wb") as file:
        file.write(shell.SerializeToString())
        file.write(field_head(MODEL_GRAPH, total) + structure)
        for head, length in tensors:
            file.write(head)
            file.writelines(random_floats(length))


def _embedded_head(tensor: onnx.TensorProto) -> tuple[bytes, int]:
    """All bytes of an initializer in front of its values, and how many bytes of values follow."""
    length = int(np.prod(tensor.dims, dtype=np.int64)) * FLOAT_BYTES
    header = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims).SerializeToString()
    header += field_head(TENSOR_RAW_DATA, length)
    return field_head(GRAPH_INITIALIZER, len(header) + length) + header, length


def random_floats(length_bytes: int) -> Iterator[bytes]:
    """So many bytes of random float32 values, a chunk at a time."""
    random = np.random.default_rng(0)
    for start in range(0, length_bytes, _CHUNK_BYTES):
        yield random.random(min(_CHUNK_BYTES, length_bytes - start) // FLOAT_BYTES, np.float32).tobytes()


def write_external(model: onnx.ModelProto, path: Path) -> None:
    """Write `model` with its weights in the file beside it that their headers name, as a hole on the disk."""
    path.write_bytes(model.SerializeToString())
    entries = [{e.key: e.value for e in tensor.external_data} for tensor in model.graph.initializer]
    with (path.parent / entries[0]["location"]).open("wb") as file:
        file.truncate(max(int(e["offset"]) + int(e["length"]) for e in entries))


def mlp_stack(name: str, blocks: int, width: int, hidden: int) -> onnx.ModelProto:
    """Residual MLP blocks of four nodes: x + relu(x · W1) · W2."""
    net = GraphBuilder(name, Style())
    x = net.input("tokens", (1, 16, width))
    for index in range(blocks):
        block = f"block{index}"
        y = net.node("MatMul", [x, net.weight(f"{block}.up.weight", (width, hidden))], f"{block}.up", (1, 16, hidden))
        y = net.node("Relu", [y], f"{block}.relu", y.shape)
        y = net.node("MatMul", [y, net.weight(f"{block}.down.weight", (hidden, width))], f"{block}.down", x.shape)
        x = net.node("Add", [x, y], f"{block}.add", x.shape)
    return net.finish(x, {})


def write_all(folder: Path, *, quick: bool) -> None:
    """Write every file of the benchmarks that is not there yet; `quick` leaves out what takes gigabytes."""
    for name in ("resnet50", "bert_base"):
        _write_once(folder / f"{name}.onnx", write_embedded, partial(zoo.build, name))
    for nodes in GROWTH:
        _write_once(folder / f"nodes_{nodes}.onnx", write_embedded, partial(mlp_stack, "nodes", nodes // 4, width=8, hidden=32))
    if not quick:
        large = partial(mlp_stack, "large", blocks=6, width=4096, hidden=16384)  # 12 matrices of 256 MiB
        _write_once(folder / "large_embedded.onnx", write_embedded, large)
        _write_once(folder / "large_external.onnx", write_external, large)


def _write_once(path: Path, write: Callable[[onnx.ModelProto, Path], None], build: Callable[[], onnx.ModelProto]) -> None:
    """Write a model under another name first, so that an interrupted run leaves no half of a file behind."""
    if not path.exists():
        unfinished = path.with_suffix(".part")
        write(build(), unfinished)
        unfinished.rename(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files into a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="without the files of 3 GB")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    write_all(options.folder, quick=options.quick)


if __name__ == "__main__":
    main()
