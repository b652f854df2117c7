"""Fronts over any columns: designs of a sweep, networks of a comparison, a table of accuracies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError, did_you_mean
from simulator.result.quantities import TOTALS, Better
from simulator.study.fronts import front, hypervolume
from simulator.study.records import html_of

Columns = Mapping[str, NDArray[Any]]
SCHEMA: Final = 1
MORE: Final = ("accuracy", "top1_percent", "auc", "fps")  # columns of which more is better, beside totals that say so
_MOST_VOLUME: Final = 2000  # points of a front of more than three objectives whose volume is reckoned


@dataclass(frozen=True, slots=True)
class Objective:
    """A column, and which way is better."""

    key: str
    better: Better


@dataclass(frozen=True)
class Front:
    """Points by objectives, shape (n, d), and which of them no other beats in all of them.

    `names` and `groups` say what each point is, empty where nothing does. `unknown` points lack a value and are on no front.
    `volume` is what the front dominates up to `reference`, None for fronts too large to tell.
    """

    columns: Columns
    objectives: tuple[Objective, ...]
    points: NDArray[np.float64]
    mask: NDArray[np.bool_]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    unknown: int
    reference: tuple[float, ...]
    volume: float | None
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """The front, the best by the first objective first, all columns of each point."""
        best = self.points[:, 0] if self.objectives[0].better == "less" else -self.points[:, 0]
        places = [int(i) for i in np.argsort(best, kind="stable") if self.mask[i]]
        return [{key: _plain(values[i]) for key, values in self.columns.items()} for i in places]

    def _repr_html_(self) -> str:
        """The front, in notebooks."""
        return html_of(self.rows(), self.notes)

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON."""
        return {
            "schema": SCHEMA, "objectives": [{"key": o.key, "better": o.better} for o in self.objectives],
            "points": len(self.points), "unknown": self.unknown, "reference": list(self.reference), "hypervolume": self.volume,
            "front": self.rows(), "notes": list(self.notes),
        }  # fmt: skip


def _plain(value: object) -> Any:
    """A cell as JSON has it; None for what is no finite number."""
    own = getattr(value, "item", lambda: value)()
    return None if isinstance(own, float) and not math.isfinite(own) else own


def objective_of(text: str, columns: Columns) -> Objective:
    """The column that `latency`, `latency_s` or `accuracy:more` means; totals know which way is better.

    Raises:
        UsageError: no such column, or a word that is neither `less` nor `more`.
    """
    name, _, way = text.partition(":")
    total = TOTALS.get(name) or next((total for total in TOTALS.values() if total.key == name), None)
    key = name if name in columns or total is None else total.key
    if key not in columns:
        known = [*columns, *(total.name for total in TOTALS.values() if total.key in columns)]
        raise UsageError(f"no column '{name}'{did_you_mean(name, known)} (known: {', '.join(columns)})")
    if way not in ("", "less", "more"):
        raise UsageError(f"'{text}': write {name}, {name}:less or {name}:more")
    if columns[key].dtype.kind not in "fiub":
        raise UsageError(f"column '{key}' has words; objectives are numbers")
    own: Better = total.better if total else "more" if any(word in key for word in MORE) else "less"
    return Objective(key, own if not way else "more" if way == "more" else "less")


def front_of(
    columns: Columns, objectives: Sequence[str], *, names: Sequence[str] = (), groups: Sequence[str] = (),
    reference: Sequence[float] | None = None,
) -> Front:  # fmt: skip
    """The front of the rows of a table.

    Args:
        columns: arrays of one length by name.
        objectives: texts as of `objective_of`, two or more.
        names: what each row is.
        groups: what it is of, such as its machine.
        reference: the corner up to which the front's volume is reckoned; None for the worst value of each objective.

    Raises:
        UsageError: fewer than two objectives, no rows with values, a reference of another length.
    """
    found = tuple(objective_of(text, columns) for text in objectives)
    if len({objective.key for objective in found}) < max(len(found), 2):
        raise UsageError("a front takes two objectives or more, each once: --objective latency --objective accuracy")
    points = np.stack([np.asarray(columns[objective.key], np.float64) for objective in found], axis=1)
    better = tuple(objective.better for objective in found)
    known = ~np.isnan(points).any(axis=1)
    if not known.any():
        raise UsageError(f"no row has a value of {' and of '.join(objective.key for objective in found)}")
    if reference is not None and len(reference) != len(found):
        raise UsageError(f"a reference has a value for each objective: {len(found)}, not {len(reference)}")
    for values, objective in zip(points[known].T, found, strict=True):
        if not np.isfinite(values).all():
            raise UsageError(f"column '{objective.key}' has infinite values; leave their rows out, or their cells empty")
    worst = [(np.nanmax if way == "less" else np.nanmin)(points[known, d]) for d, way in enumerate(better)]
    corner = tuple(float(value) for value in (worst if reference is None else reference))
    mask = front(points, better)
    few = len(found) <= 3 or int(mask.sum()) <= _MOST_VOLUME
    volume = hypervolume(points[mask], corner, better) if few else None
    return Front(columns, found, points, mask, tuple(names), tuple(groups), int((~known).sum()), corner, volume)
