"""Walks protobuf's wire format over a mapped file, so that no byte of a weight is ever touched.

The protobuf library copies every bytes field into memory and refuses messages over 2 GiB. This walker yields
(field number, value) pairs; a length-delimited field is a view into the buffer, which costs nothing until it is read.
Format: https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator

from simulator.errors import ModelError

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
_SIGN, _WRAP = 1 << 63, 1 << 64


class WireError(ModelError):
    """The bytes are not a protobuf message."""


def fields(buffer: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message: an int for numbers on the wire, a view for everything with a length.

    Raises:
        WireError: the buffer ends inside a field, or holds a wire type that does not exist.
    """
    position, end = 0, len(buffer)
    while position < end:
        tag = buffer[position]
        position += 1
        if tag >= 0x80:
            tag, position = _varint(buffer, position - 1)
        kind = tag & 7
        if tag < 8:
            raise WireError("not a protobuf message: field number 0")
        if kind == BYTES:
            if position < end and buffer[position] < 0x80:
                length = buffer[position]
                position += 1
            else:
                length, position = _varint(buffer, position)
            if position + length > end:
                raise WireError("the file is truncated: a field runs past its end")
            yield tag >> 3, buffer[position : position + length]
            position += length
        elif kind == VARINT:
            value, position = _varint(buffer, position)
            yield tag >> 3, value
        elif kind in (FIXED32, FIXED64):
            width = 4 if kind == FIXED32 else 8
            if position + width > end:
                raise WireError("the file is truncated: a field runs past its end")
            yield tag >> 3, int.from_bytes(buffer[position : position + width], "little")
            position += width
        else:
            raise WireError(f"not a protobuf message: wire type {kind}")


def _varint(buffer: memoryview, position: int) -> tuple[int, int]:
    """A base-128 integer and the position behind it."""
    result = shift = 0
    while True:
        if position >= len(buffer):
            raise WireError("the file is truncated: it ends inside a number")
        byte = buffer[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & (_WRAP - 1), position
        shift += 7
        if shift > 63:
            raise WireError("not a protobuf message: a number of more than 64 bits")


def signed(value: int | memoryview) -> int:
    """An int64 or int32 field (negative numbers are sent as 64-bit two's complement)."""
    number = expect_int(value)
    return number - _WRAP if number >= _SIGN else number


def expect_int(value: int | memoryview) -> int:
    """The value as a number."""
    if isinstance(value, int):
        return value
    raise WireError("not an ONNX model: text where a number belongs")


def expect_bytes(value: int | memoryview) -> memoryview:
    """The value as a view of bytes."""
    if isinstance(value, int):
        raise WireError("not an ONNX model: a number where text belongs")
    return value


def text(value: int | memoryview) -> str:
    """A string field; invalid UTF-8 is refused."""
    try:
        return str(expect_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"not an ONNX model: a name is not valid UTF-8 ({error.reason})") from error


def integers(value: int | memoryview) -> Iterator[int]:
    """A repeated integer field, packed or not."""
    if isinstance(value, int):
        yield signed(value)
        return
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        yield signed(number)


def floats(value: int | memoryview, code: str = "f") -> tuple[float, ...]:
    """A repeated float (`f`) or double (`d`) field, packed or not."""
    width = struct.calcsize(code)
    if isinstance(value, int) and value >> (8 * width):
        raise WireError("not an ONNX model: a number where a float belongs")
    raw = value.to_bytes(width, "little") if isinstance(value, int) else bytes(value)
    if len(raw) % width:
        raise WireError("not an ONNX model: a list of floats has a broken length")
    return struct.unpack(f"<{len(raw) // width}{code}", raw)


def one_float(value: int | memoryview) -> float:
    """A single float field."""
    numbers = floats(value)
    if len(numbers) != 1:
        raise WireError("not an ONNX model: a float with a broken length")
    return numbers[0]
