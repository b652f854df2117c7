"""Predictions of measured runs, how far they are off, and what dominates those that are off most."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from simulator.errors import SimulatorError, UsageError
from simulator.estimator import estimate, totals
from simulator.explanation.reasons import reasons_of
from simulator.fidelity.measurement import Measurement, Sample, sample_of
from simulator.fidelity.scores import Score, grouped, score
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.schedule.memory import fit

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What a row names, from wherever it lies; each raises SimulatorError where it cannot be had."""

    model: Callable[[Measurement], Model]
    hardware: Callable[[Measurement], HardwareSpec]
    runtime: Callable[[Measurement], RuntimeSpec]

    def sample(self, measured: Measurement) -> tuple[Sample, RuntimeSpec]:
        """The run that a row is of, and its runtime."""
        hardware, runtime = self.hardware(measured), self.runtime(measured)
        return sample_of(measured, self.model(measured), hardware, runtime), runtime


@dataclass(frozen=True, slots=True)
class Predicted:
    """A row and what is predicted for it: s and J of a batch (None: the machine has no figures), and `peak_memory_bytes`.

    That is what the memories that activations live in must hold, weights among it where they live there too; None on
    machines of several engines, which may have memories of their own.
    """

    measured: Measurement
    latency_s: float
    energy_j: float | None
    peak_memory_bytes: float | None

    @property
    def ratio(self) -> float:
        """Predicted over measured latency."""
        return self.latency_s / self.measured.latency_s


@dataclass(frozen=True, slots=True)
class Unpredicted:
    """A row that cannot be predicted, and why."""

    measured: Measurement
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """Errors of rows that have machine and runtime (and family) in common.

    `energy` and `memory` are those of the rows where these were measured, None without any; `energy_silent` counts the
    rows whose energy was measured but is not predicted.
    """

    hardware: str
    runtime: str
    family: str | None
    latency: Score
    energy: Score | None
    energy_silent: int
    memory: Score | None


@dataclass(frozen=True, slots=True)
class Worst:
    """A row far off, what bounds its estimate, and the largest reason why that is above its bound.

    `reason_share` is what of the expected time would go with the reason at its best; None without a reason.
    """

    row: Predicted
    bound: str
    reason: str | None
    reason_share: float | None


@dataclass(frozen=True)
class Validation:
    """Rows in the order of their file, those that cannot be predicted, and the worst of all, the farthest off first."""

    rows: tuple[Predicted, ...]
    unpredicted: tuple[Unpredicted, ...]
    worst: tuple[Worst, ...] = ()

    def groups(self, *, by_family: bool = False) -> tuple[Group, ...]:
        """Errors by machine and runtime, and by family where asked, in the order in which they first appear."""
        groups = grouped(self.rows, lambda r: _key(r, by_family=by_family)).values()
        order = {key: place for place, key in enumerate(grouped(self.rows, lambda r: _key(r, by_family=False)))}
        ranked = sorted(groups, key=lambda rows: order[_key(rows[0], by_family=False)])
        return tuple(_group(rows, by_family=by_family) for rows in ranked)

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON (docs/measurements.md)."""
        return {
            "schema": SCHEMA,
            "rows": len(self.rows) + len(self.unpredicted),
            "predicted": len(self.rows),
            "groups": [_as_dict(group) for group in self.groups()],
            "families": [_as_dict(group) for group in self.groups(by_family=True)],
            "worst": [_worst_dict(worst) for worst in self.worst],
            "predictions": [_row_dict(row) for row in self.rows],
            "unpredicted": [{**name_dict(u.measured), "reason": u.reason} for u in self.unpredicted],
        }


def _key(row: Predicted, *, by_family: bool) -> tuple[str, ...]:
    measured = row.measured
    return (measured.hardware, measured.runtime, *([measured.family] if by_family else []))


def _group(rows: Sequence[Predicted], *, by_family: bool) -> Group:
    first = rows[0].measured
    energy = [(r.energy_j, r.measured.energy_j) for r in rows if r.measured.energy_j is not None]
    memory = [(r.peak_memory_bytes, r.measured.peak_memory_bytes) for r in rows]
    return Group(
        first.hardware, first.runtime, first.family if by_family else None,
        score([r.latency_s for r in rows], [r.measured.latency_s for r in rows]),
        _score(energy), sum(predicted is None for predicted, _ in energy), _score(memory),
    )  # fmt: skip


def _score(pairs: Iterable[tuple[float | None, float | None]]) -> Score | None:
    """The score of the pairs of which both are known."""
    known = [(predicted, measured) for predicted, measured in pairs if predicted is not None and measured is not None]
    return score(*zip(*known, strict=True)) if known else None


def predict(measured: Measurement, load: Load) -> Predicted | Unpredicted:
    """What the estimator makes of a row."""
    try:
        sample, runtime = load.sample(measured)
        found = totals(sample.prepared, sample.machine, runtime)
    except SimulatorError as error:
        return Unpredicted(measured, str(error))
    latency_s, energy_j = float(found.latency_s), None if found.energy_j is None else float(found.energy_j)
    if not (math.isfinite(latency_s) and latency_s > 0):
        return Unpredicted(measured, f"the prediction of {latency_s:g} s is no time: nothing in it takes any")
    return Predicted(measured, latency_s, energy_j, _peak_bytes(sample))


def _peak_bytes(sample: Sample) -> float | None:
    """What the memories must hold that activations live in."""
    if len(sample.machine.engines) > 1:
        return None
    return sum(f.needs_bytes for f in fit(sample.machine, sample.prepared.work.footprint) if f.activation_bytes)


def in_good_order(measurements: Sequence[Measurement]) -> list[int]:
    """Positions of rows, those of one network together: it need be loaded only once."""
    return sorted(range(len(measurements)), key=lambda i: (measurements[i].model, measurements[i].batch or 0))


def validate(
    measurements: Sequence[Measurement], load: Load, *, worst: int = 8, progress: Callable[[str], None] = lambda _: None
) -> Validation:
    """Predictions for all rows, and the `worst` of them explained.

    Raises:
        UsageError: none of the rows can be predicted.
    """
    found = dict[int, Predicted | Unpredicted]()
    for number, place in enumerate(in_good_order(measurements), start=1):
        progress(f"row {number} of {len(measurements)}")
        found[place] = predict(measurements[place], load)
    ordered = [found[place] for place in range(len(measurements))]
    rows = tuple(row for row in ordered if isinstance(row, Predicted))
    unpredicted = tuple(row for row in ordered if isinstance(row, Unpredicted))
    if not rows:
        raise UsageError(nothing_predicted(unpredicted))
    farthest = sorted(rows, key=lambda row: -abs(math.log(row.ratio)))[:worst]
    return Validation(rows, unpredicted, tuple(_explained(row, load) for row in farthest))


def nothing_predicted(unpredicted: Sequence[Unpredicted]) -> str:
    """A message for rows of which none, or too few, can be predicted."""
    first = unpredicted[0]
    return f"{len(unpredicted)} row(s) cannot be predicted, the first, {first.measured.name}: {first.reason}"


def _explained(row: Predicted, load: Load) -> Worst:
    """A row with what dominates its estimate."""
    measured = row.measured
    est = estimate(load.model(measured), load.hardware(measured), load.runtime(measured), precision=measured.precision)
    reasons, _ = reasons_of(est)
    if not reasons:
        return Worst(row, est.bound, None, None)
    return Worst(row, est.bound, reasons[0].name, reasons[0].saved_s / est.latency_s)


# ---- as data ----------------------------------------------------------------------------------------------------------


def _as_dict(group: Group) -> dict[str, object]:
    scores = {name: score_dict(getattr(group, name)) for name in ("latency", "energy", "memory")}
    names = {"hardware": group.hardware, "runtime": group.runtime}
    family = {} if group.family is None else {"family": group.family}
    return {**names, **family, **scores, "energy_silent": group.energy_silent}


def score_dict(found: Score | None) -> dict[str, object] | None:
    """A score for JSON; the rank of a single row is null."""
    if found is None:
        return None
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in asdict(found).items()}


def name_dict(measured: Measurement) -> dict[str, object]:
    """What a row is of, for JSON."""
    fields = ("line", "label", "model", "hardware", "runtime", "precision", "batch", "family")
    return {field: getattr(measured, field) for field in fields}


def _row_dict(row: Predicted) -> dict[str, object]:
    measured = row.measured
    return {
        **name_dict(measured),
        "measured_s": measured.latency_s, "predicted_s": row.latency_s, "measured_j": measured.energy_j,
        "predicted_j": row.energy_j, "measured_bytes": measured.peak_memory_bytes, "predicted_bytes": row.peak_memory_bytes,
    }  # fmt: skip


def _worst_dict(worst: Worst) -> dict[str, object]:
    found = {"bound": worst.bound, "reason": worst.reason, "reason_share": worst.reason_share}
    return {**_row_dict(worst.row), "ratio": worst.row.ratio, **found}
