"""Results of studies as figures: which plot shows what, and what its axes are called."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure

from simulator.errors import UsageError
from simulator.report.cells import UNITS, dimension_of
from simulator.report.plots import breakdown, change, heatmap, lines, matrix, pareto, tornado
from simulator.report.plots.axes import Quantity
from simulator.result.quantities import NEED_STATIC_POWER, TOTALS, total_of
from simulator.study.axes import Axis
from simulator.study.result import SweepResult, better_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.result.estimate import Estimate
    from simulator.study.compare import Comparison
    from simulator.study.pareto import Front
    from simulator.study.sensitivity import Sensitivity
    from simulator.study.whatif import WhatIf

MOST_POINTS: Final = 200_000  # of a sweep in one picture
_MOST_SERIES: Final = 8
_FEW: Final = 6  # values of an axis that are drawn as lines


def of_estimates(estimates: "Sequence[Estimate]") -> Figure:
    """Where the time goes, by kernel class."""
    return breakdown.figure(estimates, "time by class")[0]


def of_sweep(found: SweepResult, key: str) -> Figure:
    """A column against what varies: lines over one axis of numbers, a map over two; other axes are series of lines.

    Raises:
        UsageError: no axis of numbers, too many axes, or more series than can be told apart.
    """
    varied = [axis for axis in found.axes if len(axis) > 1]
    numeric = [axis for axis in varied if _numbers(found, axis) is not None]
    others = [axis for axis in varied if axis not in numeric]
    if len(numeric) == 2 and not others and min(map(len, numeric)) > _FEW:
        return _map(found, key, numeric[1], numeric[0])
    numeric.sort(key=len)
    numeric, others = numeric[-1:], [*others, *numeric[:-1]]
    if not numeric:
        raise UsageError("a picture needs an axis of numbers: --vary 'memories.dram.bandwidth=10GB/s..1TB/s'")
    return _lines(found, key, numeric[0], others)


def _numbers(found: SweepResult, axis: Axis) -> Any:
    """The values of an axis for every row; None where they are words."""
    values = found.columns[axis.key]
    if axis.numbers is not None:
        return values
    try:
        return np.array([float(text) for text in values.tolist()])
    except ValueError:
        return None


def _lines(found: SweepResult, key: str, along: Axis, others: list[Axis]) -> Figure:
    x, y, bounds = _numbers(found, along), _values(found, key), found.columns["bound"]
    names = np.array(["  ".join(row) for row in zip(*(_words(found, axis) for axis in others), strict=True)] or [""] * len(x))
    series = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(x[rows], kind="stable")]
        if (np.diff(x[rows]) <= 0).any():
            raise UsageError(
                "a picture of lines needs one point a place; a sample of several axes has no lines (pareto draws it)"
            )
        series.append(lines.Series(name or "sweep", x[rows], y[rows], tuple(bounds[rows].tolist())))
    if len(series) > _MOST_SERIES:
        raise UsageError(
            f"{len(series)} lines cannot be told apart; at most {_MOST_SERIES} values on the axes beside {along.name}"
        )
    return lines.figure(series, x=_axis_quantity(along), y=quantity(key), title=_title(found))[0]


def _words(found: SweepResult, axis: Axis) -> list[str]:
    """Values of an axis as the names of series have them."""
    if axis.numbers is None:
        short = axis.name not in ("model", "hardware", "precision", "runtime")
        return [f"{axis.name.split('.')[-1]} {text}" if short else text for text in found.columns[axis.key].tolist()]
    shown = _axis_quantity(axis)
    return [f"{axis.name.split('.')[-1]} {shown.text(value)}" for value in found.columns[axis.key].tolist()]


def _map(found: SweepResult, key: str, across: Axis, up: Axis) -> Figure:
    x, y = _numbers(found, across), _numbers(found, up)
    columns, rows = np.unique(x), np.unique(y)
    cells = np.full((len(rows), len(columns)), np.nan)
    bounds = np.full(cells.shape, "", object)
    places = np.searchsorted(rows, y), np.searchsorted(columns, x)
    cells[places], bounds[places] = _values(found, key), found.columns["bound"]
    if len(x) != len(set(zip(*places, strict=True))) or len(x) < 0.2 * cells.size:
        raise UsageError("a map needs a grid of points; a sample has none")
    known = [[str(name) or "compute" for name in row] for row in bounds]
    drawn = heatmap.figure(
        cells, columns, rows, x=_axis_quantity(across), y=_axis_quantity(up), value=quantity(key),
        bounds=known if (bounds != "").all() else None, title=_title(found),
    )  # fmt: skip
    return drawn[0]


def _values(found: SweepResult, key: str) -> Any:
    values = found.columns[key]
    if values.dtype.kind != "f" or not np.isfinite(values).any():
        raise UsageError(f"{key} has no numbers to draw")
    return values


def _title(found: SweepResult) -> str:
    """What all points have in common."""
    alone = [axis.texts[0] for axis in found.axes if axis.numbers is None and len(axis) == 1]
    return ", ".join([*alone, *found.study.settings])


def quantity(key: str) -> Quantity:
    """A column as an axis shows it."""
    total = next((total for total in TOTALS.values() if total.key == key), None)
    if total is not None:
        name, unit = ("throughput", "1/s") if total.name == "throughput" else (total.header, total.unit)
        return Quantity(name, unit, total.better)
    if key == "accuracy":
        return Quantity(key, "%", "more")
    dimension = dimension_of(key)
    unit = "B" if dimension == "bytes" else UNITS.get(dimension, "")
    return Quantity(_without_unit(key) if dimension else key.replace("_", " "), unit, better_of(key) if dimension else None)


def _without_unit(key: str) -> str:
    """A column's name without its unit: the last two parts of a path."""
    words = {"bytes": "bytes"}
    unit = next((f"_{word}" for word in (*UNITS, *words) if key.endswith(f"_{word}")), "")
    return ".".join(key.removesuffix(unit).split(".")[-2:])


def _axis_quantity(axis: Axis) -> Quantity:
    name = ".".join(axis.name.split(".")[-2:])
    unit = "B" if axis.dimension == "bytes" else UNITS.get(axis.dimension, "")
    return Quantity(name, f"{unit[:-2]}/cycle" if axis.per_cycle and unit.endswith("/s") else unit)


def of_sensitivity(found: "Sensitivity", top: int) -> Figure:
    """Latency at half and at twice every figure."""
    effects = [
        tornado.Effect(effect.name, effect.halved and effect.halved[0], effect.doubled and effect.doubled[0])
        for effect in found.effects
        if effect.latency or (effect.halved and effect.halved[0] != 1.0)
    ]
    if not effects:
        raise UsageError("no figure of the machine has an effect on latency: there is nothing to draw")
    est = found.estimate
    title = f"{est.model.name} on {est.hardware.name}, batch {est.batch}"
    return tornado.figure(effects, value=Quantity("latency", "s", "less"), top=top or len(effects), title=title)[0]


def of_comparison(found: "Comparison", metric: str) -> Figure:
    """A figure of every network on every machine."""
    total = total_of(metric)
    rows, machines, cells = found.matrix()
    several = len({precision for _, precision in rows}) > 1
    names = [f"{model} {precision}" if several else model for model, precision in rows]
    least = {run.station.name for run in found.runs if run.estimate is not None and run.estimate.energy_is_least}
    if metric in NEED_STATIC_POWER and least != set(machines):  # what lacks static power is no better for being less
        cells = [[None if m in least else v for m, v in zip(machines, row, strict=True)] for row in cells]
    shown = Quantity(total.header, total.unit, total.better)
    return matrix.figure(cells, names, machines, value=shown, title=f"{total.header} by network and machine")[0]


def of_what_if(found: "WhatIf") -> Figure:
    """The roofline before and after."""
    before, after = found.before.estimate, [outcome.estimate for outcome in found.after if outcome.estimate is not None]
    assert before is not None, "a base that cannot be estimated raises"
    if not after:
        raise UsageError("none of the scenarios is possible: there is nothing to draw")
    return change.figure([before] * len(after), after)[0]


def of_front(found: "Front") -> Figure:
    """All points by the first two objectives, and the front over these."""
    groups = np.array(found.groups or ("points",) * len(found.points))
    clouds = []
    for group in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero((groups == group) & ~np.isnan(found.points).any(axis=1))
        names = tuple(found.names[row] for row in rows) if found.names else ()
        clouds.append(pareto.Cloud(group, found.points[rows, 0], found.points[rows, 1], names))
    x, y = ((quantity(objective.key), objective.better) for objective in found.objectives[:2])
    shown = [Quantity(q.name, q.unit, way) for q, way in (x, y)]
    return pareto.figure(clouds, x=shown[0], y=shown[1], joint=len(clouds) == 1)[0]
