"""Recognises files that are not ONNX by their first bytes, to say what to do instead."""

from pathlib import Path

from simulator.errors import ModelError

_ZIP = b"PK\x03\x04"
_EXPORT = "export it with: torch.onnx.export(model, args, 'model.onnx')"
# offset, first bytes, what it is, what to do
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"TFL3", "a TensorFlow Lite model", "convert it with: python -m tf2onnx.convert --tflite FILE --output model.onnx"),
    (0, b"\x89HDF", "an HDF5 file (Keras)", "export it with tf2onnx"),
    (0, b"\x80\x02", "a Python pickle (PyTorch)", _EXPORT),
    (0, b"GGUF", "a GGUF file (llama.cpp)", "use the ONNX export of the same model"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (0, b"\xff\xd8\xff", "a JPEG image", ""),
    (0, b"\x89PNG", "a PNG image", ""),
    (0, b"%PDF", "a PDF document", ""),
    (0, b"PAR1", "a Parquet file", ""),
)


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise ModelError where the first bytes are those of another format, saying what to do instead."""
    if head.startswith(_ZIP):
        if path.suffix in (".pt", ".pth", ".bin", ".ckpt"):
            raise ModelError(f"{path} is a PyTorch checkpoint, not an ONNX model; {_EXPORT}")
        raise ModelError(f"{path} is a zip archive, not an ONNX model; unpack it and name the .onnx file")
    for offset, magic, what, cure in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            raise ModelError(f"{path} is {what}, not an ONNX model{'; ' + cure if cure else ''}")
    if _is_text(head):
        raise ModelError(f"{path} is a text file, not an ONNX model (which is binary)")


def _is_text(head: bytes) -> bool:
    """Printable ASCII and whitespace throughout: no ModelProto starts so, since its fields carry control bytes."""
    return len(head) > 8 and all(byte >= 0x20 or byte in b"\t\n\r" for byte in head)
