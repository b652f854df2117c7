"""Protobuf's wire format, against the protobuf library and against damage."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto

from simulator.errors import ModelError
from simulator.io import wire

int64 = st.integers(-(2**63), 2**63 - 1)


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def read(data: bytes) -> list[tuple[int, object]]:
    return [(n, bytes(v) if isinstance(v, memoryview) else v) for n, v in wire.fields(memoryview(data))]


@given(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1))
def test_a_number(number: int, value: int) -> None:
    assert read(field(number, wire.VARINT) + varint(value)) == [(number, value)]


@given(st.integers(1, 2**29 - 1), st.binary(max_size=300))
def test_bytes(number: int, value: bytes) -> None:
    assert read(field(number, wire.BYTES) + varint(len(value)) + value) == [(number, value)]


def test_fixed_widths() -> None:
    data = field(1, wire.FIXED32) + struct.pack("<f", 1.5) + field(2, wire.FIXED64) + struct.pack("<d", 2.5)
    (_, single), (_, double) = wire.fields(memoryview(data))
    assert wire.floats(single) == (1.5,)
    assert wire.floats(double, "d") == (2.5,)


def test_fields_keep_their_order_and_repeat() -> None:
    data = b"".join(field(n, wire.VARINT) + varint(v) for n, v in ((3, 1), (1, 2), (3, 3)))
    assert read(data) == [(3, 1), (1, 2), (3, 3)]


@given(st.lists(int64, max_size=20), st.lists(st.floats(width=32, allow_nan=False), max_size=20), st.text(max_size=20))
def test_agrees_with_the_protobuf_library(integers: list[int], floats: list[float], text: str) -> None:
    attribute = AttributeProto(name=text, ints=integers, floats=floats, i=integers[0] if integers else 7)
    found: dict[int, list] = {}
    for number, value in wire.fields(memoryview(attribute.SerializeToString())):
        if number == 1:
            found.setdefault(number, []).append(wire.text(value))
        elif number == 3:
            found.setdefault(number, []).append(wire.signed(value))
        elif number == 7:
            found.setdefault(number, []).extend(wire.floats(value))
        elif number == 8:
            found.setdefault(number, []).extend(wire.integers(value))
    assert found.get(1, [""]) == [text]
    assert found[3] == [attribute.i]
    assert found.get(7, []) == floats
    assert found.get(8, []) == integers


@given(st.lists(int64, max_size=20))
def test_packed_integers(integers: list[int]) -> None:
    tensor = TensorProto(dims=[len(integers)], int64_data=integers)
    for number, value in wire.fields(memoryview(tensor.SerializeToString())):
        if number == 7:
            assert list(wire.integers(value)) == integers


@given(int64)
def test_signed_numbers(number: int) -> None:
    assert wire.signed(number % 2**64) == number


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    with suppress(wire.WireError):
        read(data)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_truncated_message_is_refused(value: bytes, data: st.DataObject) -> None:
    whole = field(9, wire.BYTES) + varint(len(value)) + value
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(wire.WireError, match="truncated"):
        read(whole[:cut])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x00", "field number 0"),
        (b"\x0b", "wire type 3"),
        (b"\x0e\x00", "wire type 6"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "more than 64 bits"),
        (b"\x0d\x00\x00", "truncated"),
        (b"\x09\x00\x00\x00\x00", "truncated"),
        (b"\x08\x80", "ends inside a number"),
    ],
)
def test_damage(data: bytes, message: str) -> None:
    with pytest.raises(wire.WireError, match=message):
        read(data)


def test_a_value_of_the_wrong_kind() -> None:
    with pytest.raises(wire.WireError, match="a number where text belongs"):
        wire.text(3)
    with pytest.raises(wire.WireError, match="text where a number belongs"):
        wire.signed(memoryview(b"x"))
    with pytest.raises(wire.WireError, match="not valid UTF-8"):
        wire.text(memoryview(b"\xff"))
    with pytest.raises(wire.WireError, match="broken length"):
        wire.floats(memoryview(b"abc"))


def test_damage_is_the_users_to_mend() -> None:
    assert issubclass(wire.WireError, ModelError)


def test_nothing_is_copied() -> None:
    data = field(9, wire.BYTES) + varint(1000) + bytes(1000)
    ((_, value),) = wire.fields(memoryview(data))
    assert isinstance(value, memoryview)
    assert value.obj is data
