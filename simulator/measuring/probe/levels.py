"""Levels of memory in a sweep of working sets: where the rate falls, and what it is before. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_FALL: Final = 0.75  # of a plateau's rate: below it, another level has begun
_INSIDE: Final = 0.75  # of a cache that a working set may fill before others take its place


@dataclass(frozen=True, slots=True)
class Level:
    """One level: what fits it (None for the last), and the rate of what does."""

    capacity_bytes: float | None
    bytes_per_s: float


def plateaus(sizes_bytes: Sequence[float], bytes_per_s: Sequence[float]) -> tuple[Level, ...]:
    """Levels that a sweep shows on its own: a plateau ends where the rate falls below three quarters of its median.

    The capacity of a level is the last size on its plateau; sizes that lie between two plateaus belong to none.
    """
    found: list[Level] = []
    start = 0
    for i in range(1, len(sizes_bytes) + 1):
        median = float(np.median(bytes_per_s[start:i]))
        if i < len(sizes_bytes) and bytes_per_s[i] >= _FALL * median:
            continue
        is_last = i == len(sizes_bytes)
        if i - start > 1 or is_last:  # a single size between two plateaus is the way down
            found.append(Level(None if is_last else float(sizes_bytes[i - 1]), median))
        start = i
    return tuple(found)


def rate_within(sizes_bytes: Sequence[float], bytes_per_s: Sequence[float], inner_bytes: float, outer_bytes: float) -> float:
    """Rate of a level whose inner neighbour holds `inner_bytes` and itself `outer_bytes`: median over the sizes between.

    Sizes count from twice the inner neighbour's capacity up to three quarters of its own; where none lies there, the rate is
    read off the line between the two nearest sizes.
    """
    inside = [r for s, r in zip(sizes_bytes, bytes_per_s, strict=True) if 2 * inner_bytes <= s <= _INSIDE * outer_bytes]
    if inside:
        return float(np.median(inside))
    middle = np.log(min(2 * inner_bytes, _INSIDE * outer_bytes) if inner_bytes else _INSIDE * outer_bytes)
    return float(np.interp(middle, np.log(sizes_bytes), bytes_per_s))


def half_way_bytes(sizes_bytes: Sequence[float], bytes_per_s: Sequence[float]) -> float | None:
    """Size at which a byte takes the mean of its times in cache (the smallest size) and outside (the largest).

    That is what of a cache a working set can use. None where the rates do not fall to less than three quarters.
    """
    per_byte = 1.0 / np.asarray(bytes_per_s, np.float64)
    inside, outside = per_byte[: max(len(per_byte) // 3, 1)].min(), per_byte[-1]
    if inside > _FALL * outside:
        return None
    middle = (inside + outside) / 2
    above = int(np.argmax(per_byte >= middle))
    if above == 0:
        return float(sizes_bytes[0])
    part = (middle - per_byte[above - 1]) / (per_byte[above] - per_byte[above - 1])
    low, high = np.log(sizes_bytes[above - 1]), np.log(sizes_bytes[above])
    return float(np.exp(low + part * (high - low)))


def not_slower_inside(rates: Sequence[float]) -> list[float]:
    """Rates from the innermost outward, each at least that of the next: a cache passes on what lies behind it."""
    result = list(rates)
    for i in range(len(result) - 2, -1, -1):
        result[i] = max(result[i], result[i + 1])
    return result
