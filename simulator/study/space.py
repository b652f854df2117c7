"""Which points a study looks at: all of a grid, or a sample of it. Any of them can be had by its number alone.

So a study is cut into blocks, taken up again where it stopped, and never held in memory as a whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Method = Literal["grid", "random", "lhs"]
METHODS: Final[tuple[Method, ...]] = ("grid", "random", "lhs")
BLOCK: Final = 2**16  # points that are drawn and reckoned together
_MOST_GRID: Final = 10**9  # points of a grid
_MOST_SAMPLE: Final = 10**9
_ROUNDS: Final = 4  # of the permutation; three make a Feistel network pseudo-random (Luby & Rackoff 1988)


@dataclass(frozen=True)
class Space:
    """Points over axes of so many values each: a grid with the last axis fastest, or `size` points drawn from a `seed`.

    `lhs`: a Latin hypercube (McKay et al. 1979): of `size` equal slices of every axis, each has one point.
    """

    lengths: tuple[int, ...]
    method: Method = "grid"
    size: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        total = math.prod(self.lengths)
        if self.method == "grid" and total > _MOST_GRID:
            product = " × ".join(f"{n:,}" for n in self.lengths)
            raise UsageError(
                f"{product} = {total:,} points are too many for a grid (at 500,000 points/s: {total / 5e5 / 86400:,.1f} days); "
                "draw a sample of them: --sample 100000, or --sample lhs:100000"
            )
        if self.method != "grid" and not 1 <= self.size <= _MOST_SAMPLE:
            raise UsageError(f"a sample of {self.size:,} points: from 1 to {_MOST_SAMPLE:,}")

    def __len__(self) -> int:
        return math.prod(self.lengths) if self.method == "grid" else self.size

    def indices(self, first: int, stop: int) -> tuple[Indices, ...]:
        """Points from number `first` to below `stop` of a grid: for each axis the places of their values."""
        return tuple(np.asarray(i, np.int64) for i in np.unravel_index(np.arange(first, stop), self.lengths))

    def shares(self, block: int) -> Array:
        """A block of a sample: for each axis a row of shares in [0, 1) of the way along it, shape (axes, points)."""
        first, stop = block * BLOCK, min((block + 1) * BLOCK, self.size)
        drawn = np.random.default_rng([self.seed, block]).random((len(self.lengths), stop - first))
        if self.method == "random":
            return drawn
        numbers = np.arange(first, stop, dtype=np.uint64)
        slices = [permuted(numbers, self.size, (self.seed, axis)) for axis in range(len(self.lengths))]
        return np.asarray((np.stack(slices) + drawn) / self.size if slices else drawn)


def permuted(numbers: NDArray[np.uint64], size: int, key: Sequence[int]) -> Array:
    """Where a random permutation of 0 … size − 1 puts each of these numbers.

    A Feistel network over the next power of four, walked until the result is below `size` (Black & Rogaway 2002): nothing
    but the numbers asked for is ever held.
    """
    half = np.uint64(max((size - 1).bit_length() + 1, 2) // 2)
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.random.default_rng([*key, size]).integers(1, 2**63, _ROUNDS, dtype=np.uint64)
    found = numbers.astype(np.uint64)
    outside = np.ones(len(found), bool)
    while outside.any():
        found[outside] = _mixed(found[outside], half, mask, keys)
        outside = found >= size
    return found.astype(np.float64)


def _mixed(numbers: NDArray[np.uint64], half: np.uint64, mask: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One pass of the network: each half in turn changed by a hash of the other."""
    left, right = numbers >> half, numbers & mask
    for key in keys:
        hashed = (right + key) * np.uint64(0x9E3779B97F4A7C15)  # wraps, as a hash may
        hashed = (hashed ^ (hashed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        left, right = right, left ^ ((hashed >> np.uint64(32)) & mask)
    return np.asarray((left << half) | right)
