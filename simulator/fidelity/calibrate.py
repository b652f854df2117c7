"""The constants of a runtime fitted to measurements.

Least squares on ln(predicted / measured), rows far off counting less (soft L1), each constant held to its prior by its
spread and kept within physical bounds. A constant that too few rows show stays where it was.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError, did_you_mean
from simulator.estimator import totals
from simulator.fidelity.constants import Constant, constants_of, in_columns, with_constants
from simulator.fidelity.measurement import Measurement, Sample
from simulator.fidelity.scores import Score, grouped, score
from simulator.fidelity.validate import (
    SCHEMA,
    Load,
    Unpredicted,
    in_good_order,
    name_dict,
    nothing_predicted,
    predict,
    score_dict,
)
from simulator.machine.runtime import RuntimeSpec

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
ROW_SPREAD: Final = 0.1  # ln units: rows within it count by their square, those beyond by their distance
LEAST_EFFECT: Final = 0.05  # |d ln latency / d ln constant| from which on a row shows a constant
LEAST_ROWS: Final = 5  # that must show it
LEAST_FAMILIES: Final = 3  # that these must come from
FOLDS: Final = 10
# what rows have in common that a cross-validation leaves out together
LEAVE_OUT: Final[Mapping[str, Callable[[Measurement], str]]] = {"family": lambda m: m.fold, "hardware": lambda m: m.chip}
QUANTILES: Final = (0.05, 0.5, 0.95)
_STEP: Final = 0.02  # ln units, of the finite differences
_DIGITS: Final = 4  # significant ones of a fitted constant: what is written is what was scored


@dataclass(frozen=True)
class Fitted:
    """A constant after a fit: `shown_by` rows of `families` families depend on it; it was fitted only where `moved`."""

    constant: Constant
    value: float
    shown_by: int
    families: int
    moved: bool
    families_needed: int = LEAST_FAMILIES

    @property
    def at_bound(self) -> bool:
        """Whether it ended where it may not go further: the sign of a missing mechanism."""
        low, high = self.constant.range.low, self.constant.range.high
        return self.moved and (self.value <= low * 1.001 or self.value >= high * 0.999)

    @property
    def kept_because(self) -> str:
        """Why it stayed where it was; empty where it was fitted."""
        if self.moved:
            return ""
        if not self.shown_by:
            return "no row shows it"
        if self.shown_by < LEAST_ROWS:
            return f"too few rows: {LEAST_ROWS} are needed"
        return f"too few families, {self.families}: {self.families_needed} are needed"


@dataclass(frozen=True)
class Calibration:
    """A fitted runtime; `before`, `after` score all rows, `held_out` each row by a fit without what is `left_out` with it.

    `samples` are the rows, `before_s`, `after_s` and `held_out_s` what was predicted for each, in s. `folds` is into how
    many parts the families (or machines: `left_out` is a key of `LEAVE_OUT`) were dealt.
    """

    runtime: RuntimeSpec
    constants: tuple[Fitted, ...]
    samples: tuple[Sample, ...]
    before_s: tuple[float, ...]
    after_s: tuple[float, ...]
    held_out_s: tuple[float, ...]
    folds: int
    left_out: str = "family"
    unpredicted: tuple[Unpredicted, ...] = ()

    @property
    def measured_s(self) -> tuple[float, ...]:
        """Measured latencies."""
        return tuple(s.measured.latency_s for s in self.samples)

    @property
    def before(self) -> Score:
        """As the profile was."""
        return score(self.before_s, self.measured_s)

    @property
    def after(self) -> Score:
        """At the fitted constants."""
        return score(self.after_s, self.measured_s)

    @property
    def held_out(self) -> Score:
        """Each row by constants fitted without its family (or machine: `left_out`)."""
        return score(self.held_out_s, self.measured_s)

    @property
    def values(self) -> Mapping[str, float]:
        """The constants that were fitted, by path."""
        return {f.constant.path: f.value for f in self.constants if f.moved}

    @property
    def residuals(self) -> tuple[float, float, float]:
        """5 %, 50 % and 95 % quantiles of measured / predicted by a fit without what is left out with the row."""
        low, middle, high = np.quantile(np.divide(self.measured_s, self.held_out_s), QUANTILES)
        return float(low), float(middle), float(high)

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON (docs/measurements.md)."""
        low, middle, high = self.residuals
        return {
            "schema": SCHEMA, "runtime": self.runtime.id, "rows": len(self.samples), "folds": self.folds,
            "left_out": self.left_out,
            "constants": [_constant_dict(fitted) for fitted in self.constants],
            "before": score_dict(self.before), "after": score_dict(self.after), "held_out": score_dict(self.held_out),
            "residuals": {"p5": low, "p50": middle, "p95": high, "n": len(self.samples)},
            "predictions": [
                {**name_dict(s.measured), "measured_s": s.measured.latency_s, "before_s": b, "after_s": a, "held_out_s": h}
                for s, b, a, h in zip(self.samples, self.before_s, self.after_s, self.held_out_s, strict=True)
            ],
            "unpredicted": [{**name_dict(u.measured), "reason": u.reason} for u in self.unpredicted],
        }  # fmt: skip


def _constant_dict(fitted: Fitted) -> dict[str, object]:
    constant = fitted.constant
    own = {"path": constant.path, "per_cycle": constant.per_cycle, "prior": constant.prior, "value": fitted.value}
    bounds = {"low": constant.range.low, "high": constant.range.high, "at_bound": fitted.at_bound}
    seen = {"shown_by": fitted.shown_by, "families": fitted.families, "kept_because": fitted.kept_because or None}
    return {**own, "fitted": fitted.moved, **bounds, **seen}


def predictions(samples: Sequence[Sample], runtime: RuntimeSpec) -> Array:
    """Latency of every sample in s."""
    return np.array([float(totals(s.prepared, s.machine, runtime).latency_s) for s in samples])


def calibrate(
    samples: Sequence[Sample],
    runtime: RuntimeSpec,
    wanted: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
    least_families: int = LEAST_FAMILIES,
    leave_out: str = "family",
) -> Calibration:
    """Fit the constants of `runtime` to measurements under it; with `wanted`, only those called so.

    A constant is fitted only where rows of `least_families` model families show it. `leave_out` is what the cross-validation
    leaves out together: rows of a model family, or of a machine in any of its modes.

    Raises:
        UsageError: too few rows to fit anything, no such constant, a row whose measured or predicted time is no time,
            nothing of that name to leave out, rows of one machine where machines are left out, or no scipy.
    """
    if len(samples) < LEAST_ROWS:
        raise UsageError(f"{len(samples)} measurement(s) are too few to fit a constant: at least {LEAST_ROWS}")
    least_squares = _least_squares()
    before = predictions(samples, runtime)
    _checked(samples, before)
    families, apart = np.array([s.measured.fold for s in samples]), _apart(samples, leave_out)
    kinds = frozenset(e.kind for s in samples for e in s.machine.engines)
    everything = _supported(samples, runtime, constants_of(runtime, kinds, wanted), families, least_families)
    chosen = tuple(f.constant for f in everything if f.moved)
    if not chosen:
        needed = f"{LEAST_ROWS} rows of {least_families} families"
        raise UsageError(f"nothing to fit: each of {len(everything)} constant(s) needs {needed} that show it")
    progress(f"{len(samples)} rows, {len(chosen)} of {len(everything)} constants")
    problem = _Problem(samples, runtime, chosen, least_squares)
    solution = problem.solve(problem.now, np.arange(len(samples)))
    values = dict(zip((c.path for c in chosen), problem.rounded(solution), strict=True))
    fitted = with_constants(runtime, values)
    held_out, folds = _held_out(problem, solution, apart, progress)
    constants = tuple(replace(f, value=values.get(f.constant.path, f.value)) for f in everything)
    after = predictions(samples, fitted)
    return Calibration(fitted, constants, tuple(samples), _tuple(before), _tuple(after), _tuple(held_out), folds, leave_out)


def _apart(samples: Sequence[Sample], leave_out: str) -> NDArray[np.str_]:
    """What each row is left out with."""
    if leave_out not in LEAVE_OUT:
        meant = did_you_mean(leave_out, LEAVE_OUT)
        raise UsageError(f"nothing called '{leave_out}' can be left out{meant} (known: {', '.join(LEAVE_OUT)})")
    found = np.array([LEAVE_OUT[leave_out](s.measured) for s in samples])
    if leave_out == "hardware" and len(set(found.tolist())) == 1:
        raise UsageError(f"all rows are of {found[0]}: without it nothing is left to fit; leave out families")
    return found


def calibrate_rows(
    measurements: Sequence[Measurement],
    load: Load,
    runtime: RuntimeSpec,
    wanted: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda _: None,
    least_families: int = LEAST_FAMILIES,
    leave_out: str = "family",
) -> Calibration:
    """Fit the constants of `runtime` to those rows of a measurement file that can be predicted.

    Raises:
        UsageError: see `calibrate`.
    """
    samples, unpredicted = dict[int, Sample](), dict[int, Unpredicted]()
    for number, place in enumerate(in_good_order(measurements), start=1):
        progress(f"row {number} of {len(measurements)}")
        found = predict(measurements[place], load)
        if isinstance(found, Unpredicted):
            unpredicted[place] = found
        else:
            samples[place] = load.sample(measurements[place])[0]
    left_out = tuple(unpredicted[place] for place in sorted(unpredicted))
    if left_out and len(samples) < LEAST_ROWS:
        raise UsageError(f"{len(samples)} measurement(s) are too few to fit a constant; {nothing_predicted(left_out)}")
    fitted = calibrate([samples[place] for place in sorted(samples)], runtime, wanted, progress, least_families, leave_out)
    return replace(fitted, unpredicted=left_out)


def _tuple(values: Array) -> tuple[float, ...]:
    return tuple(values.tolist())


def _checked(samples: Sequence[Sample], predicted: Array) -> None:
    """Refuse rows whose logarithm is no number."""
    for sample, seconds in zip(samples, predicted.tolist(), strict=True):
        for what, value in (("measured", sample.measured.latency_s), ("predicted", seconds)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{sample.measured.name}: {what} latency {value} s: nothing can be fitted to it")


def _supported(
    samples: Sequence[Sample],
    runtime: RuntimeSpec,
    constants: tuple[Constant, ...],
    families: NDArray[np.str_],
    least_families: int,
) -> tuple[Fitted, ...]:
    """Every constant where it is, with the rows that show it there; `moved` where they are enough to fit it."""
    problem = _Problem(samples, runtime, constants)
    effects = problem.latencies_and_slopes(problem.now, np.arange(len(samples)))[1]
    found = []
    for constant, rows in zip(constants, (np.abs(effects) >= LEAST_EFFECT).T, strict=True):
        count, of = int(rows.sum()), len(set(families[rows].tolist()))
        enough = count >= LEAST_ROWS and of >= least_families
        found.append(Fitted(constant, constant.value, count, of, enough, least_families))
    return tuple(found)


def _held_out(
    problem: "_Problem", solution: Array, apart: NDArray[np.str_], progress: Callable[[str], None]
) -> tuple[Array, int]:
    """Latency of every row in s by constants fitted without what is left out with it, and the number of folds."""
    predicted, folds = np.empty(len(apart)), _folds(apart)
    problem.start_from(solution)
    for number, rows in enumerate(folds, start=1):
        progress(f"without fold {number} of {len(folds)}")
        rest = np.setdiff1d(np.arange(len(apart)), rows)
        predicted[rows] = problem.latencies(problem.solve(solution, rest)[None, :], rows)[:, 0]
    return predicted, len(folds)


def _least_squares() -> Callable[..., Any]:
    try:
        from scipy.optimize import least_squares  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError("calibration needs scipy: pip install 'nn-simulator[fit]'") from error
    return least_squares  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Point:
    """What was found at x for some rows, in ascending order."""

    x: Array
    rows: Rows
    seconds: Array
    slopes: Array


class _Problem:
    """Predictions as a function of x, the logarithms of constants."""

    def __init__(
        self, samples: Sequence[Sample], runtime: RuntimeSpec, constants: tuple[Constant, ...],
        least_squares: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.samples, self.runtime, self.constants = samples, runtime, constants
        self.measured = np.log([s.measured.latency_s for s in samples])
        self.prior = np.log([c.prior for c in constants])
        self.now = np.log([c.value for c in constants])
        self.low = np.log([c.range.low for c in constants])
        self.high = np.log([c.range.high for c in constants])
        self._least_squares = least_squares
        self._kept: dict[str, _Point] = {}

    def rounded(self, x: Array) -> list[float]:
        """The constants themselves, to as many digits as are written, within their bounds."""
        exact = np.exp(np.clip(x, self.low, self.high)).tolist()
        short = [float(f"{value:.{_DIGITS}g}") for value in exact]
        return [min(max(v, c.range.low), c.range.high) for v, c in zip(short, self.constants, strict=True)]

    def latencies(self, points: Array, rows: Rows) -> Array:
        """Latencies in s of some rows, (n_rows, n_points), at points of shape (n_points, n_constants).

        All points in one call where a machine has one engine: bit by bit the same as one by one, and much faster.
        """
        values = {c.path: np.exp(np.clip(points[:, i], self.low[i], self.high[i])) for i, c in enumerate(self.constants)}
        together = with_constants(in_columns(self.runtime, len(points)), {path: v[:, None] for path, v in values.items()})
        singly = [with_constants(self.runtime, {path: float(v[i]) for path, v in values.items()}) for i in range(len(points))]
        found = np.empty((len(rows), len(points)))
        for place, row in enumerate(rows):
            sample = self.samples[row]
            if len(sample.machine.engines) == 1:
                found[place] = totals(sample.prepared, sample.machine, together).latency_s
            else:
                found[place] = [float(totals(sample.prepared, sample.machine, runtime).latency_s) for runtime in singly]
        return found

    def latencies_and_slopes(self, x: Array, rows: Rows) -> tuple[Array, Array]:
        """Latencies in s of some rows, and d ln latency / d ln constant, (n_rows, n_constants), by finite differences."""
        for known in self._kept.values():
            if known.x.tobytes() == x.tobytes() and np.isin(rows, known.rows).all():
                kept = np.searchsorted(known.rows, rows)
                return known.seconds[kept], known.slopes[kept]
        steps = np.where(x + _STEP > self.high, -_STEP, _STEP)
        logs = np.log(self.latencies(np.vstack([x, x + np.diag(steps)]), rows))
        self._kept["last"] = _Point(x.copy(), rows, np.exp(logs[:, 0]), (logs[:, 1:] - logs[:, :1]) / steps)
        return self._kept["last"].seconds, self._kept["last"].slopes

    def start_from(self, x: Array) -> None:
        """Keep what is found at `x` for all rows: several fits of some of them will start there."""
        self.latencies_and_slopes(x, np.arange(len(self.samples)))
        self._kept["start"] = self._kept["last"]

    def solve(self, start: Array, rows: Rows) -> Array:
        """The logarithms of the constants that fit some rows best.

        The distance from a prior counts like that of a row, `ROW_SPREAD` for every spread of the constant.
        """
        assert self._least_squares is not None
        weight = ROW_SPREAD / np.array([c.range.spread for c in self.constants])

        def residuals(x: Array) -> Array:
            seconds = self.latencies_and_slopes(x, rows)[0]
            return np.concatenate([np.log(seconds) - self.measured[rows], (x - self.prior) * weight])

        def slopes(x: Array) -> Array:
            return np.vstack([self.latencies_and_slopes(x, rows)[1], np.diag(weight)])

        found = self._least_squares(
            residuals, np.clip(start, self.low, self.high), slopes, bounds=(self.low, self.high), loss="soft_l1",
            f_scale=ROW_SPREAD, xtol=1e-4, ftol=1e-4, max_nfev=25,
        )  # fmt: skip
        return np.asarray(found.x, np.float64)


def _folds(apart: NDArray[np.str_]) -> list[Rows]:
    """Rows in at most `FOLDS` parts that split nothing that is left out together, as even as can be."""
    parts: list[list[int]] = [[] for _ in range(min(FOLDS, len(set(apart.tolist()))))]
    groups = grouped(range(len(apart)), lambda i: apart[i])
    for rows in sorted(groups.values(), key=len, reverse=True):
        min(parts, key=len).extend(rows)
    return [np.array(sorted(part), np.intp) for part in parts]
