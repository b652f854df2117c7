"""Predicted against measured latency: a marker a row, bands of 10 and 25 % about the diagonal, names of those far off."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from simulator.fidelity.scores import grouped
from simulator.fidelity.validate import Predicted, Validation
from simulator.report.plots import style
from simulator.report.plots.labels import Placer, around
from simulator.report.plots.series import decades, figure_of

SIZE_IN: Final = (5.6, 5.2)
BANDS: Final = (0.25, 0.10)  # the wider first: the narrower lies on it
_SHADES: Final = ("#eef2f6", "#d9e2ec")
_UNITS: Final = (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0))
_RADIUS_PT: Final = 1.8
_MOST: Final = len(style.PALETTE)  # series with a look of their own
_DIAGONAL_WEIGHT: Final = 8.0
_NAME: Final = 28  # characters


class ScatterArtists(NamedTuple):
    """What was drawn, in units of `unit_s`: markers by machine and runtime, bands the wider first, names of outliers."""

    points: Mapping[str, PathCollection]
    diagonal: Line2D
    bands: tuple[PolyCollection, ...]
    outliers: Mapping[str, Text]
    legend: Legend
    title: Text
    unit_s: float


def figure(
    found: Validation, *, title: str = "", size_in: tuple[float, float] = SIZE_IN, labelled: int = 8
) -> tuple[Figure, ScatterArtists]:
    """A figure of its own with the scatter plot."""
    fig, ax = style.new_axes(size_in)
    return fig, scatter(found, ax, title=title, labelled=labelled)


def scatter(found: Validation, ax: Axes, *, title: str = "", labelled: int = 8) -> ScatterArtists:
    """Draw measured latency across and predicted up, both logarithmic; of the rows outside the wider band name the
    `labelled` farthest off.
    """
    with style.context():
        pt = style.font_pt(figure_of(ax))
        seconds = [s for row in found.rows for s in (row.latency_s, row.measured.latency_s)]
        unit, unit_s = next((u for u in reversed(_UNITS) if max(seconds) >= u[1]), _UNITS[0])
        limits = decades(min(seconds) / unit_s, max(seconds) / unit_s)
        style.dress(ax, pt)
        style.log_decades(ax, limits, limits)
        ax.set_xlabel(f"Measured latency ({unit})")
        ax.set_ylabel(f"Predicted latency ({unit})")
        bands, diagonal = _bands(ax, limits)
        placer = Placer(ax)
        placer.avoid_line(np.array([[limits[0]] * 2, [limits[1]] * 2]), _DIAGONAL_WEIGHT)
        own = series(found.rows)
        points = _points(ax, placer, own, unit_s)
        legend = _legend(ax, own, points, pt)
        placer.place_legend(legend)
        outliers = _outliers(placer, found.rows, labelled, unit_s, pt)
        heading = ax.set_title(title, loc="left", fontsize=pt, color=style.INK, pad=4)
        return ScatterArtists(points, diagonal, bands, outliers, legend, heading, unit_s)


def _bands(ax: Axes, limits: tuple[float, float]) -> tuple[tuple[PolyCollection, ...], Line2D]:
    """Shades where the prediction is within a share of the measurement, and the line where it is right."""
    x = np.array(limits)
    bands = tuple(
        ax.fill_between(x, x * (1 - share), x * (1 + share), color=shade, linewidth=0, zorder=0.5)
        for share, shade in zip(BANDS, _SHADES, strict=True)
    )
    (diagonal,) = ax.plot(x, x, color=style.FAINT, linewidth=0.8, zorder=1)
    return bands, diagonal


def series(rows: Sequence[Predicted]) -> dict[str, list[Predicted]]:
    """Rows by machine and runtime; where these are many, the ones with few rows together."""
    found = {str(name): own for name, own in grouped(rows, lambda r: f"{r.measured.hardware}, {r.measured.runtime}").items()}
    if len(found) <= _MOST:
        return found
    largest = sorted(found, key=lambda name: -len(found[name]))[: _MOST - 1]
    others = [row for name, own in found.items() if name not in largest for row in own]
    return {**{name: found[name] for name in found if name in largest}, f"{len(found) - len(largest)} more": others}


def _points(ax: Axes, placer: Placer, own: Mapping[str, Sequence[Predicted]], unit_s: float) -> dict[str, PathCollection]:
    """The markers of each series, those of the others, where there are some, below and grey."""
    found = {}
    for place, (name, rows) in enumerate(own.items()):
        xy = np.array([(row.measured.latency_s / unit_s, row.latency_s / unit_s) for row in rows])
        is_rest = place == _MOST - 1 and name.endswith(" more")
        found[name] = ax.scatter(
            xy[:, 0], xy[:, 1], s=(2 * _RADIUS_PT) ** 2, marker=style.MARKERS[place],
            facecolor=style.FAINT if is_rest else style.PALETTE[place], edgecolor="white", linewidth=0.3, alpha=0.85,
            zorder=2 if is_rest else 3,
        )  # fmt: skip
        placer.avoid_markers(xy, _RADIUS_PT)
    return found


def _legend(ax: Axes, own: Mapping[str, Sequence[Predicted]], points: Mapping[str, PathCollection], pt: float) -> Legend:
    """Markers with the number of rows and the median error of each series."""
    medians = {name: 100 * float(np.median([abs(row.ratio - 1) for row in rows])) for name, rows in own.items()}
    names = [f"{name}: {len(rows)}, median {medians[name]:.1f} %" for name, rows in own.items()]
    bands = " and ".join(f"{100 * share:.0f} %" for share in sorted(BANDS))
    return ax.legend(
        [points[name] for name in own], names, title=f"bands: within {bands}", loc="upper left", fontsize=pt - 1,
        title_fontsize=pt - 1, framealpha=0.9, edgecolor="none", alignment="left", handletextpad=0.3, borderpad=0.3,
    )  # fmt: skip


def _outliers(placer: Placer, rows: Sequence[Predicted], labelled: int, unit_s: float, pt: float) -> dict[str, Text]:
    """Names of the rows outside the wider band, the farthest off first, each name once."""
    beyond = [row for row in rows if abs(row.ratio - 1) > max(BANDS)]
    found: dict[str, Text] = {}
    for row in sorted(beyond, key=lambda row: -abs(math.log(row.ratio))):
        name = _shortened(row.measured.name)
        if len(found) == labelled or name in found:
            continue
        anchor = placer.pixel(row.measured.latency_s / unit_s, row.latency_s / unit_s)
        crowded = placer.is_crowded(anchor, _RADIUS_PT)
        spots = around(anchor, _RADIUS_PT, placer.px_per_pt, leader=crowded)
        label = placer.write(f"{name} {row.ratio:.2f}×", spots, size_pt=pt - 1.5, color=style.INK)
        if label is not None:
            found[name] = label
    return found


def _shortened(name: str) -> str:
    """The end of a path or of a long name."""
    last = name.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx")
    return last if len(last) <= _NAME else f"…{last[-(_NAME - 1) :]}"
