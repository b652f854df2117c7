"""What a profile says: a time for each operator, and one for the whole run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator of a profile: `latency_s` in one run (all its `calls` in it); quantiles over the runs where known."""

    name: str
    op_type: str
    latency_s: float
    calls: float = 1.0
    p10_s: float | None = None
    p90_s: float | None = None


@dataclass(frozen=True, slots=True)
class RunProfile:
    """A whole profile. `latency_s` is that of a run where the tool timed it, else None; `source` says which tool wrote it."""

    source: str
    operators: tuple[OperatorTime, ...]
    latency_s: float | None = None
    p10_s: float | None = None
    p90_s: float | None = None
    runs: int | None = None
    peak_memory_bytes: int | None = None

    @property
    def operators_s(self) -> float:
        """All operators of a run together, in seconds."""
        return sum(o.latency_s for o in self.operators)

    @property
    def total_s(self) -> float:
        """The run in seconds: as timed, else the sum of its operators."""
        return self.operators_s if self.latency_s is None else self.latency_s


def grouped_times(timed: Iterable[tuple[str, str, int, float]]) -> tuple[OperatorTime, ...]:
    """Operators from (name, type, number of the run, seconds) of every call: the median over runs of the sum in a run."""
    per_run: dict[tuple[str, str], dict[int, list[float]]] = {}
    for name, op_type, run, seconds in timed:
        per_run.setdefault((name, op_type), {}).setdefault(run, []).append(seconds)
    return tuple(_one(name, op_type, runs) for (name, op_type), runs in per_run.items())


def _one(name: str, op_type: str, runs: Mapping[int, Sequence[float]]) -> OperatorTime:
    sums = [sum(calls) for calls in runs.values()]
    p10, median, p90 = (float(q) for q in np.quantile(sums, (0.1, 0.5, 0.9)))
    calls = sum(len(c) for c in runs.values()) / len(runs)
    return OperatorTime(name, op_type, median, calls, p10, p90)
