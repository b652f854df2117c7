"""What repeated timings come to, and whether the machine was quiet meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

LEAST_CPU_SHARE: Final = 0.97  # of the wall time that the measuring thread must have had a core
MOST_OTHERS_SHARE: Final = 0.1  # of all cores that other processes may use


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of `n` repeated timings, in seconds."""

    n: int
    median_s: float
    p10_s: float
    p25_s: float
    p90_s: float


def spread_of(seconds: Sequence[float]) -> Spread:
    """The quantiles of some timings, linear between neighbours.

    Raises:
        ValueError: no timings, or one below zero or not finite.
    """
    values = np.asarray(seconds, np.float64)
    if not values.size or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("a spread needs timings, finite and not negative")
    p10, p25, median, p90 = np.quantile(values, (0.1, 0.25, 0.5, 0.9))
    return Spread(values.size, float(median), float(p10), float(p25), float(p90))


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the machine was: shares from 0 to 1.

    `cpu_share` is the processor time of the measuring thread over the wall time, `others_share` the part of all cores that
    went to other processes; None where the system does not say.
    """

    cpu_share: float
    others_share: float | None = None


def busy_note(load: Load) -> str | None:
    """Why timings taken under this load are not to be trusted; None where the machine was quiet."""
    reasons = []
    if load.cpu_share < LEAST_CPU_SHARE:
        reasons.append(f"the measuring thread had a core for {load.cpu_share:.0%} of the time (quiet: {LEAST_CPU_SHARE:.0%})")
    if load.others_share is not None and load.others_share > MOST_OTHERS_SHARE:
        reasons.append(f"other processes used {load.others_share:.0%} of all cores (quiet: {MOST_OTHERS_SHARE:.0%})")
    return f"the host was busy: {'; '.join(reasons)}" if reasons else None
