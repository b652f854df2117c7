"""The constants of a runtime fitted to measurements.

Least squares on ln(predicted / measured), rows far off counting less (soft L1), each constant held to its prior by its
spread and kept within physical bounds. A constant that too few rows show stays where it was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.estimator import totals
from simulator.fidelity.constants import Constant, constants_of, with_constants
from simulator.fidelity.measurement import Sample
from simulator.fidelity.scores import Score, grouped, score
from simulator.machine.runtime import RuntimeSpec

Array = NDArray[np.float64]
ROW_SPREAD = 0.1  # ln units: rows within it count by their square, those beyond by their distance
LEAST_EFFECT = 0.05  # d ln latency / d ln constant from which on a row shows a constant
LEAST_ROWS = 5  # that must show it
LEAST_FAMILIES = 3  # that these must come from
FOLDS = 10
_STEP = 0.02  # ln units, of the finite differences


@dataclass(frozen=True)
class Fitted:
    """A constant after a fit: `shown_by` rows depend on it; it moved only where `moved`."""

    constant: Constant
    value: float
    shown_by: int
    moved: bool

    @property
    def at_bound(self) -> bool:
        """Whether it ended where it may not go further: the sign of a missing mechanism."""
        low, high = self.constant.range.low, self.constant.range.high
        return self.moved and (self.value <= low * 1.001 or self.value >= high * 0.999)


@dataclass(frozen=True)
class Calibration:
    """A fitted runtime; `before`, `after` score all rows, `held_out` each row by a fit without its family."""

    runtime: RuntimeSpec
    constants: tuple[Fitted, ...]
    before: Score
    after: Score
    held_out: Score
    predicted_s: tuple[float, ...]
    held_out_s: tuple[float, ...]

    @property
    def values(self) -> Mapping[str, float]:
        """The constants that moved, by path."""
        return {f.constant.path: f.value for f in self.constants if f.moved}


def predictions(samples: Sequence[Sample], runtime: RuntimeSpec) -> Array:
    """Latency of every sample in s."""
    return np.array([float(totals(s.prepared, s.machine, runtime).latency_s) for s in samples])


def calibrate(
    samples: Sequence[Sample],
    runtime: RuntimeSpec,
    wanted: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """Fit the constants of `runtime` to measurements under it.

    Raises:
        UsageError: too few rows to fit anything, or no such constant.
    """
    if len(samples) < LEAST_ROWS:
        raise UsageError(f"{len(samples)} measurement(s) are too few to fit a constant: at least {LEAST_ROWS}")
    kinds = frozenset(e.kind for s in samples for e in s.machine.engines)
    everything = constants_of(runtime, kinds, wanted)
    problem = _Problem(samples, runtime)
    effects = problem.effects(everything, np.log([c.prior for c in everything]))
    shown = (np.abs(effects) >= LEAST_EFFECT).T
    families = np.array([s.measured.family or s.measured.name for s in samples])
    supported = [bool(rows.sum() >= LEAST_ROWS and len(set(families[rows])) >= LEAST_FAMILIES) for rows in shown]
    chosen = tuple(c for c, enough in zip(everything, supported, strict=True) if enough)
    progress(f"{len(samples)} rows, {len(chosen)} of {len(everything)} constants")
    solution = problem.solve(chosen, np.log([c.prior for c in chosen]), np.arange(len(samples)))
    problem.effects(chosen, solution)  # where every fold starts
    held_out_s = np.empty(len(samples))
    for number, rows in enumerate(_folds(families)):
        progress(f"without fold {number + 1} of {min(FOLDS, len(set(families)))}")
        rest = np.setdiff1d(np.arange(len(samples)), rows)
        without = problem.solve(chosen, solution, rest)
        held_out_s[rows] = problem.predicted(chosen, without, rows)
    values = dict(zip((c.path for c in chosen), np.exp(solution).tolist(), strict=True))
    fitted = tuple(
        Fitted(c, values.get(c.path, c.prior), int(rows.sum()), c.path in values)
        for c, rows in zip(everything, shown, strict=True)
    )
    measured = [s.measured.latency_s for s in samples]
    all_rows = np.arange(len(samples))
    after = problem.predicted(chosen, solution, all_rows)
    return Calibration(
        with_constants(runtime, values), fitted,
        score(predictions(samples, runtime).tolist(), measured), score(after.tolist(), measured),
        score(held_out_s.tolist(), measured), tuple(after.tolist()), tuple(held_out_s.tolist()),
    )  # fmt: skip


class _Problem:
    """Predictions as a function of the logarithms of constants."""

    def __init__(self, samples: Sequence[Sample], runtime: RuntimeSpec) -> None:
        self.samples = samples
        self.runtime = runtime
        self.measured = np.log([s.measured.latency_s for s in samples])
        self._kept: dict[tuple[object, ...], Array] = {}

    def predicted(self, constants: Sequence[Constant], x: Array, rows: NDArray[np.intp]) -> Array:
        """Latencies in s of some rows."""
        runtime = with_constants(self.runtime, dict(zip((c.path for c in constants), np.exp(x).tolist(), strict=True)))
        return predictions([self.samples[i] for i in rows], runtime)

    def effects(self, constants: Sequence[Constant], x: Array, rows: NDArray[np.intp] | None = None) -> Array:
        """Slopes d ln latency / d ln constant of some rows or all, shape (n_rows, n_constants); those of all are kept."""
        key = (tuple(c.path for c in constants), x.tobytes())
        if key in self._kept:
            return self._kept[key] if rows is None else self._kept[key][rows]
        chosen = np.arange(len(self.samples)) if rows is None else rows
        here = np.log(self.predicted(constants, x, chosen))
        slopes = np.empty((len(chosen), len(constants)))
        for place, constant in enumerate(constants):
            step = -_STEP if x[place] + _STEP > np.log(constant.range.high) else _STEP
            there = x + step * (np.arange(len(x)) == place)
            slopes[:, place] = (np.log(self.predicted(constants, there, chosen)) - here) / step
        if rows is None:
            self._kept[key] = slopes
        return slopes

    def solve(self, constants: Sequence[Constant], start: Array, rows: NDArray[np.intp]) -> Array:
        """The logarithms of the constants that fit some rows best."""
        if not constants:
            return start
        try:
            from scipy.optimize import least_squares  # type: ignore[import-untyped]
        except ImportError as error:
            raise UsageError("calibration needs scipy: pip install 'nn-simulator[fit]'") from error
        prior = np.log([c.prior for c in constants])
        weight = ROW_SPREAD / np.array([c.range.spread for c in constants])
        low, high = (np.log([getattr(c.range, end) for c in constants]) for end in ("low", "high"))

        def residuals(x: Array) -> Array:
            rows_s = self.predicted(constants, x, rows)
            return np.concatenate([np.log(rows_s) - self.measured[rows], (x - prior) * weight])

        def slopes(x: Array) -> Array:
            return np.vstack([self.effects(constants, x, rows), np.diag(weight)])

        found = least_squares(
            residuals,
            np.clip(start, low, high),
            slopes,
            bounds=(low, high),
            loss="soft_l1",
            f_scale=ROW_SPREAD,
            xtol=1e-4,
            ftol=1e-4,
            max_nfev=25,
        )
        return np.asarray(found.x, np.float64)


def _folds(families: NDArray[np.str_]) -> list[NDArray[np.intp]]:
    """Rows in at most `FOLDS` parts that split no family, as even as can be."""
    parts: list[list[int]] = [[] for _ in range(min(FOLDS, len(set(families.tolist()))))]
    groups = grouped(range(len(families)), lambda i: families[i])
    for rows in sorted(groups.values(), key=len, reverse=True):
        min(parts, key=len).extend(rows)
    return [np.array(sorted(part), np.intp) for part in parts]
