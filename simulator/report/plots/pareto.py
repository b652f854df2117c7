"""Designs by two objectives: the front that no other design beats, named, and the rest in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import (
    Quantity,
    Scale,
    legend_look,
    make_room,
    padded,
    scale_of,
    set_axis,
    set_title,
    shortened,
    window,
)
from simulator.report.plots.labels import Placer, around
from simulator.report.plots.series import figure_of
from simulator.study.fronts import Better, front

Array = NDArray[np.float64]

_MANY: Final = 2000  # points, from which on dots are pixels also in vector files
_STEPPED: Final = 60  # points of a front, up to which they have markers of their own
_FRONT_PT: Final = 5.0
_NAME: Final = 26
_AVOIDED: Final = 3000  # dominated points that labels keep clear of, at most
_NAME_REACH_PT: Final = 36.0
_HIDDEN: Final = 1.5  # of the picture, that a name may cover at most
_NAMES_WIDE, _NAMES_NARROW = 12, 7  # written on a front, unless told otherwise


@dataclass(frozen=True, slots=True)
class Cloud:
    """Designs of one kind: x and y in SI units, shape (n,), and their names, if they have any. NaN is left out."""

    name: str
    x: Array
    y: Array
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParetoArtists:
    """What was drawn. `fronts` are keyed by cloud, or hold one under '' for all of them; `labels` by cloud and
    design.
    """

    dominated: dict[str, PathCollection]
    fronts: dict[str, Line2D]
    markers: dict[str, PathCollection]
    labels: dict[tuple[str, str], Text]
    legend: Legend | None
    title: Text
    x: Scale
    y: Scale


@dataclass(frozen=True, slots=True)
class _Group:
    """One cloud on the axes: shown values, which of them are on the front, and its look."""

    name: str
    xy: Array
    names: tuple[str, ...]
    on_front: NDArray[np.bool_]
    color: str
    marker: str


def figure(
    clouds: Sequence[Cloud], *, x: Quantity, y: Quantity, title: str = "", joint: bool = True, labelled: int | None = None,
    size_in: tuple[float, float] = style.DOUBLE_IN,
) -> tuple[Figure, ParetoArtists]:  # fmt: skip
    """A figure of its own with the designs and their front."""
    fig, ax = style.new_axes(size_in)
    return fig, pareto(clouds, ax, x=x, y=y, title=title, joint=joint, labelled=labelled)


def pareto(
    clouds: Sequence[Cloud],
    ax: Axes,
    *,
    x: Quantity,
    y: Quantity,
    title: str = "",
    joint: bool = True,
    labelled: int | None = None,
) -> ParetoArtists:
    """Draw designs by two quantities: those on the front large and joined by steps, the others faint.

    The steps bound what the front dominates. `joint` draws one front over all clouds, otherwise each has its own; of the
    named designs on fronts at most `labelled` are written: 12, or 7 in a column.

    Raises:
        UsageError: nothing to draw, or values and names of different lengths.
    """
    with style.context():
        pt = style.font_pt(figure_of(ax))
        x_values, y_values = _checked(clouds)
        x_scale, y_scale = scale_of(x, x_values), scale_of(y, y_values)
        groups = _groups(clouds, x_scale, y_scale, joint=joint)
        style.dress(ax, pt)
        set_axis(ax, "x", x_scale, padded(x_scale, x_values, high=0.1))
        set_axis(ax, "y", y_scale, padded(y_scale, y_values, high=0.1))
        legend = _legend(ax, groups, pt, joint=joint)
        if legend:
            outlines = [xy for _, xy in _outlines(ax, groups, x_scale, y_scale, joint=joint)]
            make_room(ax, legend, _thinned(np.concatenate([g.xy for g in groups])), outlines)
        dominated = {g.name: _dots(ax, g) for g in groups}
        fronts = {
            name: _line(ax, xy, style.INK if joint else next(g.color for g in groups if g.name == name))
            for name, xy in _outlines(ax, groups, x_scale, y_scale, joint=joint)
        }
        size_pt = _FRONT_PT if sum(g.on_front.sum() for g in groups) <= _STEPPED else _FRONT_PT / 2
        markers = {g.name: _markers(ax, g, size_pt) for g in groups if g.on_front.any()}
        placer = Placer(ax)
        most = (_NAMES_WIDE if pt >= 8 else _NAMES_NARROW) if labelled is None else labelled
        labels = _labels(placer, groups, fronts, legend, most, pt)
        return ParetoArtists(dominated, fronts, markers, labels, legend, set_title(ax, title, pt), x_scale, y_scale)


def _checked(clouds: Sequence[Cloud]) -> tuple[Array, Array]:
    """All values of all clouds that have both."""
    for cloud in clouds:
        if np.shape(cloud.x) != np.shape(cloud.y) or np.ndim(cloud.x) != 1:
            raise UsageError(
                f"'{cloud.name}' has values of shapes {np.shape(cloud.x)} and {np.shape(cloud.y)}: one pair a design"
            )
        if cloud.names and len(cloud.names) != len(cloud.x):
            raise UsageError(f"'{cloud.name}' has {len(cloud.names)} names for {len(cloud.x)} designs")
    if not clouds or len({c.name for c in clouds}) < len(clouds):
        raise UsageError("a front needs designs, in clouds of different names")
    both = np.concatenate([np.column_stack([c.x, c.y]) for c in clouds]).astype(np.float64)
    both = both[np.isfinite(both).all(axis=1)]
    return both[:, 0], both[:, 1]


def _groups(clouds: Sequence[Cloud], x: Scale, y: Scale, *, joint: bool) -> tuple[_Group, ...]:
    better: tuple[Better, Better] = (x.quantity.better or "less", y.quantity.better or "less")
    shown = [np.column_stack([x.shown(c.x), y.shown(c.y)]) for c in clouds]
    known = [np.asarray(np.isfinite(xy).all(axis=1)) for xy in shown]
    kept = [xy[mask] for xy, mask in zip(shown, known, strict=True)]
    flags: list[NDArray[np.bool_]]
    if joint:
        flags = np.split(front(np.concatenate(kept), better), np.cumsum([len(xy) for xy in kept])[:-1])
    else:
        flags = [front(xy, better) for xy in kept]
    found = []
    for place, (cloud, xy, mask, on_front) in enumerate(zip(clouds, kept, known, flags, strict=True)):
        names = tuple(n for n, keep in zip(cloud.names, mask, strict=True) if keep) if cloud.names else ()
        color, marker = style.PALETTE[place % len(style.PALETTE)], style.MARKERS[place % len(style.MARKERS)]
        found.append(_Group(cloud.name, xy, names, on_front, color, marker))
    return tuple(found)


def _dots(ax: Axes, group: _Group) -> PathCollection:
    """The dominated designs: the more, the smaller and fainter."""
    xy = group.xy[~group.on_front]
    per_in2 = len(xy) / (ax.bbox.width * ax.bbox.height / figure_of(ax).dpi ** 2)
    crowd = np.clip(np.log10(max(per_in2, 1.0)) - 0.5, 0.0, 3.5)
    return ax.scatter(
        xy[:, 0], xy[:, 1], s=float(14.0 * 0.45**crowd), color=group.color, marker=group.marker if len(xy) < _MANY else "o",
        alpha=float(0.45 * 0.6**crowd), linewidths=0, zorder=2, rasterized=len(xy) > _MANY,
    )  # fmt: skip


def _outlines(ax: Axes, groups: Sequence[_Group], x: Scale, y: Scale, *, joint: bool) -> list[tuple[str, Array]]:
    """Steps through the designs of each front, on to the ends of the axes: on one side lies what they dominate."""
    parts = {"": list(groups)} if joint else {g.name: [g] for g in groups}
    fronts = {name: np.concatenate([g.xy[g.on_front] for g in members]) for name, members in parts.items()}
    better: tuple[Better, Better] = (x.quantity.better or "less", y.quantity.better or "less")
    return [(name, _steps(ax, xy, *better)) for name, xy in fronts.items() if len(xy)]


def _line(ax: Axes, xy: Array, color: str) -> Line2D:
    (line,) = ax.plot(xy[:, 0], xy[:, 1], color=color, linewidth=0.9, alpha=0.8, zorder=2.5)
    return line


def _steps(ax: Axes, xy: Array, x_better: Better, y_better: Better) -> Array:
    """From the worst x on an axis along the best y reached so far: the border of what is dominated."""
    x_sign, y_sign = (-1.0 if x_better == "more" else 1.0), (-1.0 if y_better == "more" else 1.0)
    order = np.lexsort([y_sign * xy[:, 1], x_sign * xy[:, 0]])
    ordered = xy[order]
    right, top = ax.get_xlim()[x_better == "less"], ax.get_ylim()[y_better == "less"]
    x, y = np.repeat(ordered[:, 0], 2), np.repeat(ordered[:, 1], 2)
    return np.column_stack([np.append(x, right), np.concatenate([[top], y])])


def _markers(ax: Axes, group: _Group, size_pt: float) -> PathCollection:
    xy = group.xy[group.on_front]
    return ax.scatter(
        xy[:, 0], xy[:, 1], s=size_pt**2, color=group.color, marker=group.marker, edgecolors="white",
        linewidths=0.4 if size_pt == _FRONT_PT else 0.0, zorder=3, clip_on=False,
    )  # fmt: skip


def _legend(ax: Axes, groups: Sequence[_Group], pt: float, *, joint: bool) -> Legend | None:
    """Which cloud is which; none is needed for one."""
    if len(groups) == 1:
        return None
    look: dict[str, Any] = {"linestyle": "", "markersize": _FRONT_PT, "markeredgecolor": "white", "markeredgewidth": 0.4}
    line: dict[str, Any] = {} if joint else {"linestyle": "-", "linewidth": 0.9}
    handles = [Line2D([], [], color=g.color, marker=g.marker, label=g.name, **{**look, **line}) for g in groups]
    if joint:
        handles.append(Line2D([], [], color=style.INK, linewidth=0.9, label="front of all"))
    return ax.legend(handles=handles, **legend_look(pt))


def _thinned(xy: Array) -> Array:
    return xy[:: max(1, len(xy) // _AVOIDED)]


def _labels(
    placer: Placer, groups: Sequence[_Group], fronts: dict[str, Line2D], legend: Legend | None, labelled: int, pt: float
) -> dict[tuple[str, str], Text]:
    """Names of designs on the front, as many as there is room for, spread over its length."""
    if legend:
        placer.taken.append(window(placer, legend))
    for line in fronts.values():
        placer.avoid_line(np.asarray(line.get_xydata()), 3.0)
    for group in groups:
        placer.avoid_markers(group.xy[group.on_front], _FRONT_PT / 2)
        placer.avoid_markers(_thinned(group.xy[~group.on_front]), 1.5)
    found: dict[tuple[str, str], Text] = {}
    named = [(g, i) for g in groups if g.names for i in np.flatnonzero(g.on_front)]
    named.sort(key=lambda one: float(one[0].xy[one[1], 0]))
    for group, row in _spread(named, labelled):
        anchor = placer.pixel(*group.xy[row])
        spots = around(anchor, _FRONT_PT / 2, placer.px_per_pt, farthest_pt=_NAME_REACH_PT)
        (text,) = shortened([group.names[row]], _NAME)
        color = group.color if len(groups) > 1 else style.INK
        label = placer.write(text, spots, size_pt=pt - 1, color=color, limit=_HIDDEN)
        if label is not None:
            found[group.name, group.names[row]] = label
    return found


def _spread(named: list[tuple[_Group, Any]], most: int) -> list[tuple[_Group, Any]]:
    """The ends first, then in between, `most` in all."""
    if len(named) <= most:
        return named
    return [named[i] for i in np.unique(np.linspace(0, len(named) - 1, most).round().astype(int))]
