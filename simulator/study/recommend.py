"""Which of many runs meet limits, with how much to spare; and of those that do not, what stands in the way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Final, Literal

from simulator.errors import UnitError, UsageError
from simulator.result.quantities import NEED_STATIC_POWER, Better, total_of
from simulator.study.compare import ACCURACY, SCHEMA, accuracy_notes, better, key_of, row_of, value_of
from simulator.study.records import csv_of, frame_of, html_of
from simulator.study.runs import Run
from simulator.units import parse

CAPACITY: Final = "capacity"  # what every machine limits by itself: its memories
Choice = Literal["models", "machines"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a total of `simulator.result.quantities`, or on `accuracy`; `value` in SI units, or in the accuracy's own.

    `given` is how it was written.
    """

    name: str
    value: float
    given: str

    @property
    def better(self) -> Better:
        """`less` for upper bounds, `more` for lower ones."""
        return better(self.name)

    @property
    def text(self) -> str:
        """`latency ≤ 100ms`."""
        return f"{self.name} {'≤' if self.better == 'less' else '≥'} {self.given}"

    def margin(self, value: float | None) -> float | None:
        """What a value leaves of the limit, as a share of it: 0.2 is 20 % to spare, negative does not meet it."""
        if value is None:
            return None
        return (self.value - value if self.better == "less" else value - self.value) / self.value


def limit_of(name: str, text: str | float) -> Limit:
    """The limit that `text` states, read in the unit of the figure: `100ms`, `320KiB`, `2mJ`, `30/s`, `70`.

    Raises:
        UnitError: not a number, no unit, or a unit of something else.
        UsageError: no such figure, or a limit that is not above 0.
    """
    try:
        if name == ACCURACY:
            value = parse(str(text).removesuffix("%").strip(), "count").value
        else:
            quantity = parse(text, total_of(name).dimension)
            value = quantity.value
            if quantity.per_cycle:
                raise UnitError(f"'{text}' is in cycles; a limit is for any machine")
    except UnitError as error:
        raise UnitError(f"limit of {name}: {error}") from None
    if not value > 0:
        raise UsageError(f"limit of {name}: {text} is not above 0")
    return Limit(name, value, str(text).strip())


@dataclass(frozen=True, slots=True)
class Judged:
    """A run with the margin to every limit, `capacity` among them; None where the figure is not known."""

    run: Run
    margins: Mapping[str, float | None]

    @property
    def missed(self) -> tuple[str, ...]:
        """Limits that are not met. One whose figure is not known is not met."""
        return tuple(name for name, margin in self.margins.items() if margin is None or margin < 0)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Limits on figures that are not known."""
        return tuple(name for name, margin in self.margins.items() if margin is None)

    @property
    def tightest(self) -> tuple[str, float] | None:
        """The limit with the least margin of those that are known; None without any."""
        known = [(name, margin) for name, margin in self.margins.items() if margin is not None]
        return min(known, key=lambda item: item[1]) if known else None


def judge(run: Run, limits: Sequence[Limit]) -> Judged:
    """A run held against limits and the capacities of its machine.

    Raises:
        ValueError: the run could not be estimated.
    """
    est = run.estimate
    if est is None:
        raise ValueError(f"{run.network.name} on {run.station.name} has no estimate")
    left = [(f.capacity_bytes - f.needs_bytes) / f.capacity_bytes if f.capacity_bytes else -inf
            for f in est.memory_fit if isfinite(f.capacity_bytes)]  # fmt: skip
    margins = {limit.name: _margin(run, limit) for limit in limits}
    return Judged(run, {**margins, **({CAPACITY: min(left)} if left else {})})


def _margin(run: Run, limit: Limit) -> float | None:
    """The margin to a limit; not known where the figure is at least so much, and that would meet it."""
    margin = limit.margin(value_of(run, limit.name))
    least = limit.name in NEED_STATIC_POWER and run.estimate is not None and run.estimate.energy_is_least
    return None if least and margin is not None and margin >= 0 else margin


@dataclass(frozen=True)
class Recommendation:
    """What meets the limits, best first; what does not, the nearest first; and what could not be run at all.

    `choice` says between what: `models` for a machine, by accuracy, or `machines` for a network, by power.
    """

    choice: Choice
    subject: str
    limits: tuple[Limit, ...]
    met: tuple[Judged, ...]
    missed: tuple[Judged, ...]
    impossible: tuple[Run, ...]

    @property
    def missed_by(self) -> dict[str, int]:
        """How many miss each limit, most first; one may miss several."""
        counts = {
            name: sum(name in judged.missed for judged in self.missed) for name in (*(x.name for x in self.limits), CAPACITY)
        }
        return dict(sorted(((n, c) for n, c in counts.items() if c), key=lambda item: -item[1]))

    @property
    def alone(self) -> dict[str, int]:
        """How many more each limit lets through if it alone is dropped."""
        counts = {name: sum(judged.missed == (name,) for judged in self.missed) for name in self.missed_by}
        return {name: count for name, count in counts.items() if count}

    @property
    def unknown(self) -> dict[str, int]:
        """Of how many a figure that is limited is not known."""
        counts = {limit.name: sum(limit.name in judged.unknown for judged in self.missed) for limit in self.limits}
        return {name: count for name, count in counts.items() if count}

    @property
    def nearest(self) -> Judged | None:
        """The one that comes nearest to the limits without meeting them."""
        return self.missed[0] if self.missed else None

    def notes(self, shown: int | None = None) -> list[str]:
        """Whose accuracy the first `shown` rows have."""
        return accuracy_notes([judged.run for judged in self.met[:shown]])

    def rows(self) -> list[dict[str, object]]:
        """One mapping a candidate: those of `sim compare`, `meets`, `missed` and the margin to each limit as a share of it."""
        found = [self._row(judged.run, judged) for judged in (*self.met, *self.missed)]
        return found + [self._row(run, None) for run in self.impossible]

    def _row(self, run: Run, judged: Judged | None) -> dict[str, object]:
        names = [*(limit.name for limit in self.limits), CAPACITY]
        margins = {f"margin_{name}": _finite(judged.margins.get(name)) if judged else None for name in names}
        meets = None if judged is None else not judged.missed
        missed = " ".join(judged.missed) if judged else None
        return {**row_of(run), "power_limit_w": run.station.power_w, "meets": meets, "missed": missed, **margins}

    def to_dict(self) -> dict[str, object]:
        """The JSON object."""
        nearest = self.nearest
        return {
            "schema": SCHEMA, "choice": self.choice, "subject": self.subject,
            "limits": [{"figure": key_of(x.name), "better": x.better, "value": x.value} for x in self.limits],
            "counts": {"met": len(self.met), "missed": len(self.missed), "impossible": len(self.impossible),
                       "missed_by": self.missed_by, "missed_alone": self.alone},
            "nearest_miss": nearest and self._row(nearest.run, nearest),
            "rows": self.rows(), "notes": self.notes(),
        }  # fmt: skip

    def to_csv(self) -> str:
        """One line a candidate under the keys of `rows`."""
        return csv_of(self.rows())

    def to_frame(self) -> Any:
        """One row a candidate, as a pandas DataFrame (extra `pandas`)."""
        return frame_of(self.rows())

    def _repr_html_(self) -> str:
        """Those that meet the limits as a table, for notebooks."""
        return html_of([self._row(judged.run, judged) for judged in self.met], self.notes())


def recommend(choice: Choice, subject: str, runs: Iterable[Run], limits: Mapping[str, str | float]) -> Recommendation:
    """The runs that meet all limits and fit into their machine.

    Args:
        choice: `models` ranks by accuracy, `machines` by power; then the faster first.
        subject: the machine, or the network, that is chosen for.
        runs: the candidates.
        limits: by figure: `{"latency": "100ms", "accuracy": 70}`; see `limit_of`.

    Raises:
        UnitError, UsageError: a limit that cannot be read, or of no figure.
    """
    bounds = tuple(limit_of(name, text) for name, text in limits.items())
    found = tuple(runs)
    _check_accuracy(bounds, found)
    judged = [judge(run, bounds) for run in found if run.estimate is not None]
    rank = _by_accuracy if choice == "models" else _by_power
    met = sorted((j for j in judged if not j.missed), key=lambda j: rank(j.run))
    missed = sorted((j for j in judged if j.missed), key=lambda j: (*_distance(j), *rank(j.run)))
    return Recommendation(choice, subject, bounds, tuple(met), tuple(missed), tuple(r for r in found if r.estimate is None))


def _check_accuracy(limits: Sequence[Limit], runs: Sequence[Run]) -> None:
    """Refuse a share where per cent are meant, which every network would meet, and the reverse, which none would."""
    metrics = {run.accuracy.metric for run in runs if run.accuracy is not None}
    for limit in limits:
        if limit.name == ACCURACY and metrics == {"top1_percent"} and limit.value <= 1:
            raise UsageError(f"limit of accuracy: top-1 is in per cent; for {limit.value:g} write {100 * limit.value:g}")
        if limit.name == ACCURACY and metrics == {"auc"} and limit.value > 1:
            raise UsageError(f"limit of accuracy: {limit.value:g} is no area under a curve; write a number from 0 to 1")


def _distance(judged: Judged) -> tuple[int, float]:
    """How far a run is from meeting the limits: first what is not known at all, then the largest shortfall."""
    tightest = judged.tightest
    return len(judged.unknown), -tightest[1] if tightest else 0.0


def _by_accuracy(run: Run) -> tuple[float, float]:
    return (inf if run.accuracy is None else -run.accuracy.value, _latency_s(run))


def _by_power(run: Run) -> tuple[float, float]:
    return (inf if run.station.power_w is None else run.station.power_w, _latency_s(run))


def _latency_s(run: Run) -> float:
    return inf if run.estimate is None else run.estimate.latency_s


def _finite(margin: float | None) -> float | None:
    return margin if margin is not None and isfinite(margin) else None
