"""Networks beside each other on machines beside each other: one row a run, the best of each machine, a matrix of one figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.errors import UsageError, did_you_mean
from simulator.result.quantities import TOTALS, Better, total_of
from simulator.study.records import csv_of, frame_of, html_of
from simulator.study.runs import Run

SCHEMA: Final = 1
ACCURACY: Final = "accuracy"
MARKED: Final = ("latency", "energy", "memory", "size", ACCURACY)  # of these the best of a machine is marked
SORTS: Final = (*TOTALS, ACCURACY)


@dataclass(frozen=True)
class Comparison:
    """Runs in the order that they are shown in; `metric` is the figure of the matrix."""

    runs: tuple[Run, ...]
    metric: str = "latency"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the networks, in order of their first row."""
        return tuple(dict.fromkeys(run.network.name for run in self.runs))

    @property
    def machines(self) -> tuple[str, ...]:
        """Names of the machines."""
        return tuple(dict.fromkeys(run.station.name for run in self.runs))

    def of_machine(self, name: str) -> tuple[Run, ...]:
        """The runs on one machine."""
        return tuple(run for run in self.runs if run.station.name == name)

    def best(self, machine: str) -> Mapping[str, float]:
        """The best value of each marked figure on a machine; nothing where there is no choice, or where all are alike.

        Accuracies on different data sets are not comparable, and none of them is the best.
        """
        found: dict[str, float] = {}
        tasks = {run.accuracy.dataset for run in self.of_machine(machine) if run.runs and run.accuracy is not None}
        for name in MARKED if len(tasks) < 2 else [name for name in MARKED if name != ACCURACY]:
            values = [v for run in self.of_machine(machine) if run.runs and (v := value_of(run, name)) is not None]
            if len(values) > 1 and min(values) < max(values):
                found[name] = max(values) if better(name) == "more" else min(values)
        return found

    def matrix(self) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...], list[list[float | None]]]:
        """Rows (model, precision), columns (machines) and `metric` of each, None where it is not known or cannot be."""
        rows = tuple(dict.fromkeys((run.network.name, run.precision) for run in self.runs))
        cells = {(run.network.name, run.precision, run.station.name): value_of(run, self.metric) for run in self.runs}
        return rows, self.machines, [[cells.get((*row, machine)) for machine in self.machines] for row in rows]

    def notes(self) -> list[str]:
        """What the figures leave unsaid: combinations that cannot be, what does not fit, missing energies, whose accuracy."""
        return [*_reasons(self.runs), *energy_notes(self.runs), *accuracy_notes(self.runs)]

    def rows(self) -> list[dict[str, object]]:
        """One mapping a run, keyed as in JSON and CSV; figures in SI units, None where not known."""
        return [row_of(run) for run in self.runs]

    def to_dict(self) -> dict[str, object]:
        """The JSON object: `rows`, the `matrix` of one figure, and `notes`."""
        rows, columns, cells = self.matrix()
        matrix = {
            "metric": key_of(self.metric), "machines": list(columns),
            "rows": [{"model": m, "precision": p, "values": v} for (m, p), v in zip(rows, cells, strict=True)],
        }  # fmt: skip
        return {"schema": SCHEMA, "rows": self.rows(), "matrix": matrix, "notes": self.notes()}

    def to_csv(self) -> str:
        """One line a run under the keys of `rows`."""
        return csv_of(self.rows())

    def to_frame(self) -> Any:
        """One row a run, as a pandas DataFrame (extra `pandas`)."""
        return frame_of(self.rows())

    def _repr_html_(self) -> str:
        """The rows as a table, for notebooks."""
        return html_of(self.rows(), self.notes())


def compare(runs: Iterable[Run], *, sort: str | None = None, metric: str = "latency") -> Comparison:
    """The runs beside each other, machine by machine, best first by `sort`; what cannot be run comes last.

    Args:
        runs: see `simulator.study.runs.runs`.
        sort: a total (`latency`, `energy`, `memory` …) or `accuracy`; None leaves the order of the runs.
        metric: the figure of the matrix, named as in `sort`.

    Raises:
        UsageError: no such figure.
    """
    for name in (metric, *([sort] if sort else [])):
        check_figure(name)
    found = tuple(runs)
    order = {name: place for place, name in enumerate(dict.fromkeys(run.station.name for run in found))}
    return Comparison(tuple(sorted(found, key=lambda run: (order[run.station.name], *_rank(run, sort)))), metric)


def check_figure(name: str) -> None:
    """Refuse what is no figure of a run; UsageError with suggestions."""
    if name not in SORTS:
        raise UsageError(f"no figure '{name}'{did_you_mean(name, SORTS)} (known: {', '.join(SORTS)})")


def _rank(run: Run, sort: str | None) -> tuple[bool, float]:
    """Known values first, the best of them first."""
    if sort is None:
        return (False, 0.0)
    value = value_of(run, sort)
    return (value is None, 0.0 if value is None else -value if better(sort) == "more" else value)


def better(name: str) -> Better:
    """Whether `less` or `more` of a figure is better."""
    return "more" if name == ACCURACY else total_of(name).better


def key_of(name: str) -> str:
    """Key of a figure in files, with its unit."""
    return ACCURACY if name == ACCURACY else total_of(name).key


def value_of(run: Run, name: str) -> float | None:
    """A figure of a run in SI units; None where it is not known or the run cannot be."""
    if name == ACCURACY:
        return None if run.accuracy is None else run.accuracy.value
    return None if run.estimate is None else total_of(name).of(run.estimate)


def row_of(run: Run) -> dict[str, object]:
    """One run as plain data: who, where, how, every total, and why not."""
    est, known = run.estimate, run.accuracy
    return {
        "model": run.network.name, "hardware": run.station.name, "precision": run.precision, "runtime": run.station.runtime.id,
        "batch": run.network.model.graph.batch,
        **{total.key: value_of(run, total.name) for total in TOTALS.values()},
        "bound": None if est is None else est.bound, "fits": None if est is None else est.fits,
        "accuracy": known and known.value, "accuracy_metric": known and known.metric, "accuracy_dataset": known and known.dataset,
        "accuracy_of_float": known and known.of_float, "accuracy_source": known and known.source,
        "reason": run.reason or run.too_large,
    }  # fmt: skip


def _reasons(runs: Sequence[Run]) -> list[str]:
    """Why some cannot be; networks that share a reason on a machine together."""
    shared: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        why = run.reason or run.too_large
        if why:
            shared.setdefault((run.station.name, why), []).append(f"{run.network.name} {run.precision}")
    return [f"{', '.join(names)} on {machine}: {why}" for (machine, why), names in shared.items()]


def energy_notes(runs: Sequence[Run]) -> list[str]:
    """Machines without energy figures, and those whose energy lacks a part that those of others have."""
    known = [(run.station.name, run.estimate) for run in runs if run.estimate is not None]
    none = dict.fromkeys(name for name, est in known if est.energy_j is None)
    least = dict.fromkeys(name for name, est in known if est.energy_is_least)
    found = [f"no energy figures in the file of {', '.join(none)}"] if none else []
    return found + ([f"≥ energy without static power: none in the file of {', '.join(least)}"] if least else [])


def accuracy_notes(runs: Sequence[Run], room: int = 3) -> list[str]:
    """Whose accuracy is shown, where it is not simply that of the run: at most `room` names a note."""
    notes: dict[str, dict[str, None]] = {}
    for run in runs:
        if run.accuracy is not None and run.accuracy.note:
            notes.setdefault(run.accuracy.note, {})[f"{run.network.name} {run.precision}"] = None
    lines = ["~ accuracy of the float network: none is published in this precision, and quantization loses something"]
    lines = lines if any(run.accuracy is not None and run.accuracy.of_float for run in runs) else []
    for note, names in notes.items():
        more = f" and {len(names) - room} more" if len(names) > room else ""
        lines.append(f"accuracy, {note}: {', '.join(list(names)[:room])}{more}")
    return lines
