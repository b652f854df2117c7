"""How pruned and grouped elements are stored: bits from symbols."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import dtypes
from simulator.graph.packing import BLOCK_INDEX_BITS, Packing, Zeros, bitmap_bits, relative_bits
from simulator.graph.types import TensorSpec

elements = st.integers(0, 10**6)
bits = st.sampled_from([4, 8, 16, 32])
shares = st.fractions(0, 1, max_denominator=1000)


def whole_bytes(count: int) -> int:
    return math.ceil(Fraction(count, 8))


@given(elements, bits, shares)
def test_scattered_zeros_take_the_smallest_of_three(n: int, b: int, kept: Fraction) -> None:
    values = math.ceil(n * kept)
    dense, bitmap, relative = n * b, values * b + n, max(values, math.ceil(n / 16)) * (b + 4)
    assert bitmap_bits(n, b, kept) == bitmap
    assert relative_bits(n, b, kept) == relative
    assert Packing(Zeros.SCATTERED, kept).size_bytes(n, b) == whole_bytes(min(dense, bitmap, relative))


@given(elements, bits)
def test_two_of_four(n: int, b: int) -> None:
    stored = math.ceil(n / 2) * (b + 2)
    assert Packing(Zeros.TWO_OF_FOUR, Fraction(1, 2)).size_bytes(n, b) == whole_bytes(min(stored, n * b))


@given(elements, bits, shares, st.integers(1, 512))
def test_blocks(n: int, b: int, kept: Fraction, block: int) -> None:
    blocks = math.ceil(math.ceil(Fraction(n, block)) * kept)
    stored = blocks * (block * b + BLOCK_INDEX_BITS)
    assert Packing(Zeros.BLOCKS, kept, block).size_bytes(n, b) == whole_bytes(min(stored, n * b))


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 600), st.sampled_from([16, 20, 32]), bits)
def test_groups(rows: int, row: int, group: int, group_bits: int, b: int) -> None:
    """Every row has ⌈row / group⌉ groups, the last of which may be shorter."""
    packing = Packing(group=group, group_bits=group_bits, row=row)
    groups = rows * math.ceil(row / group)
    assert packing.groups(rows * row) == groups
    assert packing.size_bytes(rows * row, b) == whole_bytes(rows * row * b + groups * group_bits)


@given(elements, bits, shares, shares, st.sampled_from([Zeros.SCATTERED, Zeros.BLOCKS]), st.integers(1, 64))
def test_less_kept_is_never_more_bytes(n: int, b: int, one: Fraction, other: Fraction, zeros: Zeros, block: int) -> None:
    few, many = sorted((one, other))
    packing = Packing(zeros, many, block, group=32, group_bits=16, row=64)
    assert replace(packing, kept=few).size_bytes(n, b) <= packing.size_bytes(n, b)
    assert packing.size_bytes(n, b) <= Packing(group=32, group_bits=16, row=64).size_bytes(n, b)


@given(elements, st.sampled_from([dtypes.INT4, dtypes.INT8, dtypes.FLOAT16, dtypes.FLOAT32]))
def test_nothing_pruned_is_the_plain_tensor(n: int, dtype: dtypes.DType) -> None:
    plain = TensorSpec("w", (n,), dtype)
    assert plain.packing is None
    for zeros in (None, Zeros.SCATTERED, Zeros.BLOCKS):
        assert replace(plain, packing=Packing(zeros)).size_bytes == plain.size_bytes


@pytest.mark.parametrize(("dtype", "expected"), [(dtypes.FLOAT32, 36), (dtypes.FLOAT16, 20), (dtypes.INT8, 12)])
def test_the_type_at_that_time_counts(dtype: dtypes.DType, expected: int) -> None:
    """1000 elements, a tenth of them kept, with four bits of index each."""
    spec = TensorSpec("w", (10, 100), dtype, packing=Packing(Zeros.SCATTERED, Fraction(1, 10)))
    assert spec.size_bytes == 100 * expected // 8
