"""Bytes of weights as Ethos-U reads them: Golomb-Rice codes of values or of their places in a palette, and runs of zeros.

Arm's coder (mlw_encode of ethos-u-vela, Apache-2.0) cuts the stream into slices and searches parameters for each; here one
set of parameters codes all weights of a kernel, and zeros lie anywhere among them. What the array needs as padding is
zeros too. A weight v is the number 2·|v|, one more where v is negative. Counts are float64.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_HEADER_BITS = 39.0  # of a slice, with its palette's parameters and the mark of the stream's end
_STREAM_BYTES = 16.0  # what streams are aligned to
_CHANNEL_BYTES = 10.0  # bias of 40 bits, scale and shift
_WORD_BITS = 8.0
_PALETTE = 32
_PALETTE_ENTRY_BITS = 8.0
_DIVISORS = range(6)
_RUN_DIVISORS = range(4)
_LONGEST = {False: 31, True: 2}  # quotient that can be coded, without and with truncated codes


def coded_bits(counts: Array, padding: float) -> float:
    """Bits of a stream of weights that occur `counts` times (−128 to 127, shape (256,)) and `padding` zeros.

    The better of two: zeros are coded like any value, or runs of them between the others.
    """
    found = _by_number(counts)
    zeros = float(found[0]) + padding
    others = found.copy()
    others[0] = 0.0
    found[0] = zeros
    return _HEADER_BITS + min(_value_bits(found), _value_bits(others) + run_bits(zeros, float(others.sum())))


def incompressible_bits(words: float, padding: float) -> float:
    """Bits of a stream of `words` weights of which nothing is known, 8 each, and `padding` zeros."""
    return _HEADER_BITS + _WORD_BITS * words + min(_WORD_BITS * padding, run_bits(padding, words))


def run_bits(zeros: float, others: float) -> float:
    """Bits of the runs before each other weight: n · (1 + d + E⌊run/2^d⌋) for the best d up to 3.

    Runs are geometric: with a share q of zeros, E⌊run/2^d⌋ = q^(2^d) / (1 − q^(2^d)). One run without other weights.
    """
    share = zeros / (zeros + others + 1.0)
    far = [share ** (1 << d) for d in _RUN_DIVISORS]
    return float(others + 1.0) * min(1.0 + d + q / (1.0 - q) for d, q in zip(_RUN_DIVISORS, far, strict=True))


def stored_bytes(bits: float, channels: float, streams: float) -> float:
    """Bytes of a kernel's weights, biases and scales in so many equal streams, each aligned to 16 B."""
    weights = np.ceil(bits / 8.0 / streams / _STREAM_BYTES)
    scales = np.ceil(_CHANNEL_BYTES * np.ceil(channels / streams) / _STREAM_BYTES)
    return float((weights + scales) * _STREAM_BYTES * streams)


def _by_number(counts: Array) -> Array:
    """Counts by number, shape (258,): 2·|v| + (v < 0), up to that of −128."""
    found = np.zeros(258)
    values = np.arange(-128, 128)
    found[2 * np.abs(values) + (values < 0)] = counts
    return found


def _value_bits(counts: Array) -> float:
    """Bits of all values without their runs: as numbers, or as places in a palette with the others behind it."""
    used = np.flatnonzero(counts)
    if not len(used):
        return 0.0
    size = min(_PALETTE, len(used))
    longest_first = np.argsort(-counts, kind="stable")
    places = np.arange(len(counts)) + size
    places[longest_first[:size]] = np.arange(size)
    plain = _golomb_bits(np.arange(len(counts)) - used[0], counts, int(used[-1]).bit_length())
    whole = max((size - 1).bit_length(), 1) if size == len(used) else None
    return min(plain, _golomb_bits(places, counts, whole) + size * _PALETTE_ENTRY_BITS)


def _golomb_bits(numbers: NDArray[np.intp], counts: Array, whole_bits: int | None) -> float:
    """Bits of the cheapest code: quotient in ones, d bits of remainder; or `whole_bits` for each.

    Infinite where no code reaches the largest number.
    """
    best = np.inf if whole_bits is None else float(counts.sum()) * whole_bits
    largest = int(numbers[counts > 0].max())
    for truncated, longest in _LONGEST.items():
        for d in _DIVISORS:
            if largest >> d <= longest:
                ones = (numbers >> d) + 1
                bits = (np.minimum(ones, longest) if truncated else ones) + d
                best = min(best, float((bits * counts).sum()))
    return best
