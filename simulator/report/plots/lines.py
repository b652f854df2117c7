"""A sweep: a quantity against one knob, for one or several series, with limits marked and what bounds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity, Scale, legend_look, make_room, padded, scale_of, set_axis, set_title, window
from simulator.report.plots.labels import Box, Placer, Spot
from simulator.report.plots.series import figure_of

Array = NDArray[np.float64]

_SHADE: Final = 0.10  # opacity of a region
_SIGNS: Final = 9  # markers along a line, at most, that say what bounds it
_DOTS: Final = 40  # points of a line, up to which each has a marker
_SIGN_PT: Final = 4.5
_BAND: Final = 0.085  # of the height of the axes, for the words over regions


@dataclass(frozen=True, slots=True)
class Series:
    """y against x in SI units, shape (n,), x rising; `bounds` says what bounds each point. Where y is NaN the line is broken."""

    name: str
    x: Array
    y: Array
    bounds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A straight line at an SI value of an axis, with a word to it: a knee, a limit, the machine as it is."""

    axis: Literal["x", "y"]
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LinesArtists:
    """What was drawn. `regions` are the spans of x that one bound holds (one series), `signs` the markers of bounds (several)."""

    lines: dict[str, Line2D]
    regions: tuple[tuple[str, Rectangle], ...]
    signs: dict[tuple[str, str], PathCollection]
    marks: tuple[Line2D, ...]
    labels: tuple[Text, ...]
    legend: Legend | None
    title: Text
    x: Scale
    y: Scale


def figure(
    series: Sequence[Series], *, x: Quantity, y: Quantity, marks: Sequence[Mark] = (), title: str = "",
    size_in: tuple[float, float] = style.DOUBLE_IN,
) -> tuple[Figure, LinesArtists]:  # fmt: skip
    """A figure of its own with the sweep."""
    fig, ax = style.new_axes(size_in)
    return fig, lines(series, ax, x=x, y=y, marks=marks, title=title)


def lines(
    series: Sequence[Series], ax: Axes, *, x: Quantity, y: Quantity, marks: Sequence[Mark] = (), title: str = ""
) -> LinesArtists:
    """Draw y against x. What bounds one series is shaded behind it, what bounds several is a marker on each line.

    Raises:
        UsageError: nothing to draw, lengths that differ, x that does not rise, or a bound that is none.
    """
    with style.context():
        pt = style.font_pt(figure_of(ax))
        _check(series)
        y_values = np.concatenate([s.y for s in series] + [[m.at] for m in marks if m.axis == "y"])
        x_values = np.concatenate([s.x for s in series] + [[m.at] for m in marks if m.axis == "x"])
        x_scale, y_scale = scale_of(x, x_values), scale_of(y, y_values)
        is_shaded = len(series) == 1 and bool(series[0].bounds)
        style.dress(ax, pt)
        set_axis(ax, "x", x_scale, padded(x_scale, x_values, low=0.02, high=0.02), np.concatenate([one.x for one in series]))
        set_axis(ax, "y", y_scale, padded(y_scale, y_values, high=0.06 + 1.6 * _BAND * is_shaded))
        drawn = {s.name: _line(ax, s, place, x_scale, y_scale) for place, s in enumerate(series)}
        legend = _legend(ax, series, drawn, pt)
        if legend:
            paths = [_path(s, x_scale, y_scale) for s in series]
            make_room(ax, legend, np.concatenate(paths), paths)
        regions = _regions(ax, series[0], x_scale) if is_shaded else ()
        signs = _signs(ax, series, x_scale, y_scale)
        ruled = tuple(_rule(ax, mark, x_scale, y_scale) for mark in marks)
        labels = _labels(ax, series, regions, ruled, marks, legend, (x_scale, y_scale), pt)
        return LinesArtists(drawn, regions, signs, ruled, labels, legend, set_title(ax, title, pt), x_scale, y_scale)


def _check(series: Sequence[Series]) -> None:
    if not series or len({s.name for s in series}) < len(series):
        raise UsageError("a sweep needs series, of different names")
    for one in series:
        if np.ndim(one.x) != 1 or np.shape(one.x) != np.shape(one.y) or not len(one.x):
            raise UsageError(f"'{one.name}' has values of shapes {np.shape(one.x)} and {np.shape(one.y)}: one y for each x")
        if not (np.diff(one.x) > 0).all():
            raise UsageError(f"the x of '{one.name}' must rise")
        if one.bounds and len(one.bounds) != len(one.x):
            raise UsageError(f"'{one.name}' has {len(one.bounds)} bounds for {len(one.x)} points")
        wrong = [b for b in one.bounds if b not in style.BOUND_LOOK]
        if wrong:
            raise UsageError(f"'{wrong[0]}' is not a bound; write {', '.join(style.BOUND_LOOK)}")


def _path(one: Series, x: Scale, y: Scale) -> Array:
    xy = np.column_stack([x.shown(one.x), y.shown(one.y)])
    return np.asarray(xy[np.isfinite(xy).all(axis=1)])


def _line(ax: Axes, one: Series, place: int, x: Scale, y: Scale) -> Line2D:
    """A dot a point where these are few and carry no other marker."""
    plain = not one.bounds and len(one.x) <= _DOTS
    (line,) = ax.plot(
        x.shown(one.x), y.shown(one.y), color=style.PALETTE[place % len(style.PALETTE)] if one.name or place else style.INK,
        linestyle=style.DASHES[place % len(style.DASHES)], linewidth=1.2, label=one.name,
        marker=style.MARKERS[place % len(style.MARKERS)] if plain else "", markersize=3.2, zorder=3,
    )  # fmt: skip
    return line


def _legend(ax: Axes, series: Sequence[Series], drawn: dict[str, Line2D], pt: float) -> Legend | None:
    """Which line is which, and which marker is which bound."""
    if len(series) == 1:
        return None
    handles: list[Any] = list(drawn.values())
    met = [name for name in style.BOUND_LOOK if any(name in s.bounds for s in series)]
    look: dict[str, Any] = {"linestyle": "", "markersize": _SIGN_PT, "color": "white", "markeredgecolor": style.INK}
    handles += [Line2D([], [], marker=style.BOUND_LOOK[name][1], label=f"{name} bound", **look) for name in met]
    return ax.legend(handles=handles, **{**legend_look(pt), "handlelength": 2.4})


def _regions(ax: Axes, one: Series, x: Scale) -> tuple[tuple[str, Rectangle], ...]:
    """Spans of x under one bound; they meet halfway between points."""
    shown = x.shown(one.x)
    halfway = np.sqrt(shown[1:] * shown[:-1]) if x.log else (shown[1:] + shown[:-1]) / 2
    edges = np.concatenate([[ax.get_xlim()[0]], halfway, [ax.get_xlim()[1]]])
    found, first = [], 0
    for name, run in groupby(one.bounds):
        last = first + len(list(run))
        color = style.BOUND_LOOK[name][0]
        span = ax.axvspan(edges[first], edges[last], facecolor=color, alpha=_SHADE, linewidth=0, zorder=0.5)
        found.append((name, span))
        first = last
    return tuple(found)


def _signs(ax: Axes, series: Sequence[Series], x: Scale, y: Scale) -> dict[tuple[str, str], PathCollection]:
    """Hollow markers along each of several lines, evenly spread: the shape is the bound."""
    found = {}
    for place, one in enumerate(series if len(series) > 1 else ()):
        if not one.bounds:
            continue
        rows = np.unique(np.linspace(0, len(one.x) - 1, min(_SIGNS, len(one.x))).round().astype(int))
        for name in style.BOUND_LOOK:
            own = [row for row in rows if one.bounds[row] == name]
            if own:
                found[one.name, name] = ax.scatter(
                    x.shown(one.x[own]), y.shown(one.y[own]), s=_SIGN_PT**2, marker=style.BOUND_LOOK[name][1], facecolor="white",
                    edgecolor=style.PALETTE[place % len(style.PALETTE)], linewidth=0.9, zorder=4,
                )  # fmt: skip
    return found


def _rule(ax: Axes, mark: Mark, x: Scale, y: Scale) -> Line2D:
    look: dict[str, Any] = {"color": style.INK, "linewidth": 0.8, "linestyle": (0, (4, 2)), "zorder": 2}
    return ax.axvline(float(x.shown(mark.at)), **look) if mark.axis == "x" else ax.axhline(float(y.shown(mark.at)), **look)


def _labels(
    ax: Axes, series: Sequence[Series], regions: Sequence[tuple[str, Rectangle]], ruled: Sequence[Line2D],
    marks: Sequence[Mark], legend: Legend | None, scales: tuple[Scale, Scale], pt: float,
) -> tuple[Text, ...]:  # fmt: skip
    """Words of regions at the top of each, words of marks along their lines."""
    placer = Placer(ax)
    if legend:
        placer.taken.append(window(placer, legend))
    for one in series:
        path = _path(one, *scales)
        placer.avoid_line(path, 6.0)
        placer.avoid_markers(path[:: max(1, len(path) // _DOTS)], 2.0)
    for line in ruled:
        placer.avoid_line(_across(ax, line), 12.0)
    found = [_region_label(placer, name, span, pt) for name, span in regions]
    for mark, line in zip(marks, ruled, strict=True):
        found.append(placer.write(mark.text, _beside(placer, mark, line), size_pt=pt - 0.5, color=style.INK))
    return tuple(label for label in found if label is not None)


def _across(ax: Axes, line: Line2D) -> Array:
    """The ends of a straight line from edge to edge, in data coordinates; its own are shares of the axes on one of them."""
    x, y = np.asarray(line.get_xdata(), np.float64), np.asarray(line.get_ydata(), np.float64)
    return np.column_stack([x, ax.get_ylim()] if x[0] == x[1] else [ax.get_xlim(), y])


def _region_label(placer: Placer, name: str, span: Rectangle, pt: float) -> Text | None:
    """At the top, where the region is wide enough for its name, or below it if a mark is there."""
    frame = placer.ax.bbox
    (left, right) = (placer.pixel(x, placer.ax.get_ylim()[0])[0] for x in (span.get_x(), span.get_x() + span.get_width()))
    spots = [
        Spot((left + t * (right - left), frame.y1 - drop * placer.px_per_pt), (0.0, 0.0), 0.5, 1.0, abs(t - 0.5) + drop / 20)
        for t in (0.5, 0.35, 0.65, 0.2, 0.8)
        for drop in (3.0, 14.0)
    ]
    color = style.BOUND_LOOK[name][0]
    walls = [Box((left, frame.y0), -1e4, -1e4, 0, 1e4), Box((right, frame.y0), 0, -1e4, 1e4, 1e4)]
    placer.taken += walls
    label = placer.write(f"{name} bound", spots, size_pt=pt - 0.5, color=color, limit=2.0)
    label = label or placer.write(name, spots, size_pt=pt - 1, color=color)
    for wall in walls:
        placer.taken.remove(wall)
    return label


def _beside(placer: Placer, mark: Mark, line: Line2D) -> list[Spot]:
    """Along a mark's line, on both sides: upright lines have words across or, where there is no room, along them."""
    frame, gap = placer.ax.bbox, 3.0 * placer.px_per_pt
    px = placer.to_px(_across(placer.ax, line))
    spots = []
    for rank, t in enumerate(np.linspace(0.0, 1.0, 21)):
        if mark.axis == "x":
            anchor = (float(px[0, 0]), frame.y0 + (0.03 + 0.94 * (1 - t)) * frame.height)
            spots += [Spot(anchor, (gap, 0.0), 0.0, 0.5, 0.1 * rank), Spot(anchor, (-gap, 0.0), 1.0, 0.5, 0.1 * rank + 0.05)]
            turned = ((-gap / 2, 0.0), (gap / 2, 1.0))
            spots += [Spot(anchor, (x, 0.0), 1.0, v_align, 0.1 * rank + 2.5, 90.0) for x, v_align in turned]
        else:
            anchor = (frame.x0 + (0.01 + 0.98 * (1 - t)) * frame.width, float(px[0, 1]))
            align = 1.0 if t < 0.4 else 0.0 if t > 0.6 else 0.5
            spots += [Spot(anchor, (0.0, gap), align, 0.0, 0.1 * rank), Spot(anchor, (0.0, -gap), align, 1.0, 0.1 * rank + 0.3)]
    return spots
