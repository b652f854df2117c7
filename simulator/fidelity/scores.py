"""How far predictions are from measurements."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Score:
    """Errors of `n` predictions; all but the counts are shares, `bias` the median of predicted / measured.

    `median` and `p90` are of |predicted / measured − 1|; `within_10` and `within_25` the shares of rows no further off;
    `rank` is Kendall's τ: 1 where the predictions put all networks in the order of the measurements.
    """

    n: int
    median: float
    p90: float
    within_10: float
    within_25: float
    bias: float
    rank: float


def score(predicted: Sequence[float], measured: Sequence[float]) -> Score:
    """The errors of some predictions.

    Raises:
        ValueError: no rows, or not as many predictions as measurements.
    """
    if not predicted or len(predicted) != len(measured):
        raise ValueError("a score needs as many predictions as measurements, and at least one")
    ratios = np.asarray(predicted, np.float64) / np.asarray(measured, np.float64)
    errors = np.sort(np.abs(ratios - 1.0))
    return Score(
        n=len(errors),
        median=float(np.median(errors)),
        p90=float(errors[min(len(errors) - 1, int(0.9 * len(errors)))]),
        within_10=float((errors <= 0.10).mean()),
        within_25=float((errors <= 0.25).mean()),
        bias=float(np.median(ratios)),
        rank=rank_correlation(predicted, measured),
    )


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's τ: pairs in the same order less pairs in the other, over all pairs; NaN below two rows."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if len(a) < 2:
        return math.nan
    first, second = np.triu_indices(len(a), 1)
    return float((np.sign(a[first] - a[second]) * np.sign(b[first] - b[second])).mean())


def grouped(rows: Iterable[T], key: Callable[[T], Hashable]) -> dict[Hashable, list[T]]:
    """Rows by what they have in common, groups in the order in which they first appear."""
    found: dict[Hashable, list[T]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found
