"""The roofline: what a machine allows at each arithmetic intensity, and where the kernels of a network lie under it.

Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.labels import Placer, along, around
from simulator.report.plots.registry import plot
from simulator.report.plots.roofs import Points, Roof, Roofs, machine_name, points, rest, roofs
from simulator.report.plots.series import areas_pt2, decades, figure_of, looks, memory_name, shared_facts
from simulator.result.estimate import Estimate

_KERNEL_LABEL_PT: Final = 66.0  # a kernel's label farther from its marker says less than none
_STAR_PT: Final = 11.0
_NAME_LENGTH: Final = 24
_LEAST_SHARE: Final = 0.01  # of the time, for a kernel to be named

Key = tuple[str, str]
Array = np.ndarray


class RooflineArtists(NamedTuple):
    """What was drawn. Roofs are keyed by machine and names (`("a100_sxm_80", "fp16, bf16")`), points by series."""

    compute_roofs: Mapping[Key, Line2D]
    memory_roofs: Mapping[Key, Line2D]
    attainable: Mapping[str, Line2D]
    ridges: Mapping[str, Line2D]
    points: Mapping[str, PathCollection]
    totals: Mapping[str, Line2D]
    labels: tuple[Text, ...]
    title: Text
    note: Text | None
    legend: Legend


@dataclass(frozen=True, slots=True)
class _Series:
    """One estimate with its look: colour and marker tell models or machines apart; None where bounds do."""

    est: Estimate
    points: Points
    name: str
    color: str
    marker: str | None
    scale: float

    @property
    def areas_pt2(self) -> Array:
        """Marker areas in proportion to the time of each kernel, none so small that it cannot be seen."""
        return areas_pt2(self.points.share, self.scale)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """What every step of the drawing needs."""

    ax: Axes
    roofs: tuple[Roofs, ...]
    colors: Mapping[str, str]
    unit: str
    pt: float
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]

    @property
    def several(self) -> bool:
        """Whether machines are told apart by colour and dash; then only the roofs most of the time is under are drawn."""
        return len(self.roofs) > 1

    def dash(self, found: Roofs) -> style.Dash:
        """The line style of a machine."""
        return style.DASHES[self.roofs.index(found) % len(style.DASHES)]


def figure(estimates: Sequence[Estimate], *, size_in: tuple[float, float] = style.DOUBLE_IN) -> tuple[Figure, RooflineArtists]:
    """A figure of its own with the roofline of `estimates`."""
    fig, ax = style.new_axes(size_in)
    return fig, roofline(estimates, ax)


@plot("roofline", needs="estimates")
def roofline(estimates: Sequence[Estimate], ax: Axes) -> RooflineArtists:
    """Draw machines' roofs and networks' kernels: x is OP per byte of compulsory traffic, y is OP per expected second.

    One estimate: kernels are coloured by what bounds them. Several: by model, or by machine where there are several.
    Text is laid out for the size that `ax` has now.

    Raises:
        UsageError: no estimates, or none with any arithmetic.
    """
    with style.context():
        series = _series(estimates, marker_scale=(style.font_pt(figure_of(ax)) / 8.0) ** 4)
        canvas = _canvas(series, ax)
        placer = _prepare(canvas)
        compute, memory = _draw_compute(canvas), _draw_memory(canvas)
        attainable, ridges = _draw_attainable(canvas), _draw_ridges(canvas)
        dots, totals = _draw_points(canvas, series), _draw_totals(canvas, series)
        _avoid(placer, canvas, series, [*compute.values(), *memory.values()])
        title, legend = _title(canvas, placer, estimates), _legend(canvas, series)
        placer.place_legend(legend)
        roof_lines = {**compute, **memory}
        labels = [*_label_roofs(canvas, placer, roof_lines, used=True), *_label_ridges(canvas, placer)]
        note = _note(canvas, placer, estimates)
        labels += _label_totals(canvas, placer, series)
        labels += _label_roofs(canvas, placer, roof_lines, used=False)
        labels += _label_kernels(canvas, placer, series)
        return RooflineArtists(compute, memory, attainable, ridges, dots, totals, tuple(labels), title, note, legend)


def _series(estimates: Sequence[Estimate], marker_scale: float) -> tuple[_Series, ...]:
    found = tuple(
        _Series(est, points(est), look.name, look.color, look.marker, marker_scale)
        for est, look in zip(estimates, looks(estimates), strict=True)
    )
    if not any(len(s.points.index) for s in found):
        raise UsageError("a roofline needs at least one kernel with arithmetic")
    return found


def _canvas(series: Sequence[_Series], ax: Axes) -> _Canvas:
    by_machine: dict[str, list[_Series]] = {}
    for one in series:
        by_machine.setdefault(machine_name(one.est), []).append(one)
    found = tuple(roofs([s.est for s in group]) for group in by_machine.values())
    several = len(found) > 1
    colors = {name: group[0].color if several else style.INK for name, group in by_machine.items()}
    integer = any(name.startswith("int") for r in found for name in _active_rates(r))
    xs = [r.ridge_op_per_byte for r in found] + [x for s in series for x in (*s.points.op_per_byte, s.points.total_op_per_byte)]
    ys = [y for s in series for y in (*s.points.ops_per_s, s.points.total_ops_per_s)]
    tops = [roof.per_s for r in found for roof in (r.compute if not several else (r.peak,))]
    lowest = min(y for y in ys if y > 0)
    return _Canvas(
        ax, found, colors, "OP" if integer else "FLOP", style.font_pt(figure_of(ax)),
        decades(min(x for x in xs if x > 0), max(xs)), decades(lowest, max(tops)),
    )  # fmt: skip


def _active_rates(found: Roofs) -> list[str]:
    return [name for roof in found.compute if roof.used for name in roof.names]


def _prepare(canvas: _Canvas) -> Placer:
    ax = canvas.ax
    style.dress(ax, canvas.pt)
    style.log_decades(ax, canvas.x_limits, canvas.y_limits)
    ax.set_xlabel(f"Arithmetic intensity ({canvas.unit}/byte)")
    ax.set_ylabel(f"Performance ({canvas.unit}/s)")
    return Placer(ax)


def _draw_compute(canvas: _Canvas) -> dict[Key, Line2D]:
    """Horizontal roofs, from the fastest memory to the right edge."""
    lines = {}
    for found in canvas.roofs:
        fastest = (found.stream if canvas.several else found.memory[-1]).per_s
        for roof in (found.peak,) if canvas.several else found.compute:
            if roof.per_s > canvas.y_limits[0]:
                x = np.array([roof.per_s / fastest, canvas.x_limits[1]])
                lines[found.machine, ", ".join(roof.names)] = _roof(canvas, found, roof, x, np.full(2, roof.per_s))
    return lines


def _draw_memory(canvas: _Canvas) -> dict[Key, Line2D]:
    """Slanted roofs, from the left edge: the fastest up to the highest roof drawn, the others to the highest in use."""
    lines = {}
    for found in canvas.roofs:
        used = max(roof.per_s for roof in found.compute if roof.used or roof is found.peak)
        for roof in (found.stream,) if canvas.several else found.memory:
            fastest = not canvas.several and roof is found.memory[-1]
            top = found.peak.per_s if canvas.several else found.compute[-1].per_s if fastest else used
            x = np.array([canvas.x_limits[0], top / roof.per_s])
            lines[found.machine, ", ".join(roof.names)] = _roof(canvas, found, roof, x, x * roof.per_s)
    return lines


def _roof(canvas: _Canvas, found: Roofs, roof: Roof, x: Array, y: Array) -> Line2D:
    color, width = (canvas.colors[found.machine], 0.8) if roof.used else (style.FAINT, 0.5)
    dash = canvas.dash(found) if canvas.several else "-" if roof.used else (0, (4, 2))
    (line,) = canvas.ax.plot(x, y, color=color, linewidth=1.4 if canvas.several else width, linestyle=dash, zorder=2)
    return line


def _draw_attainable(canvas: _Canvas) -> dict[str, Line2D]:
    """With one machine, the roof that most of the time is spent under is thick."""
    if canvas.several:
        return {}
    (found,) = canvas.roofs
    (left, right), ridge, peak = canvas.x_limits, found.ridge_op_per_byte, found.peak.per_s
    x, y = [left, ridge, right], [left * found.stream.per_s, peak, peak]
    (line,) = canvas.ax.plot(x, y, color=canvas.colors[found.machine], linewidth=1.6, zorder=2.1)
    return {found.machine: line}


def _draw_ridges(canvas: _Canvas) -> dict[str, Line2D]:
    """Hollow diamonds at the ridge points."""
    marks = {}
    for found in canvas.roofs:
        (marks[found.machine],) = canvas.ax.plot(
            [found.ridge_op_per_byte], [found.peak.per_s], "D", markersize=4.5, markerfacecolor="white",
            markeredgecolor=canvas.colors[found.machine], markeredgewidth=1, zorder=5, clip_on=False,
        )  # fmt: skip
    return marks


def _draw_points(canvas: _Canvas, series: Sequence[_Series]) -> dict[str, PathCollection]:
    """The kernels: one collection a series, or one a bound where there is one estimate."""
    drawn = {}
    for one in series:
        bounds = np.array(one.est.bounds)[one.points.index]
        looks = style.BOUND_LOOK if one.marker is None else {one.name: (one.color, one.marker)}
        for name, (color, marker) in looks.items():
            mask = bounds == name if one.marker is None else np.full(len(bounds), fill_value=True)
            if mask.any():
                drawn[name] = canvas.ax.scatter(
                    one.points.op_per_byte[mask], one.points.ops_per_s[mask], s=one.areas_pt2[mask], color=color,
                    marker=marker, alpha=0.75, edgecolors="white", linewidths=0.4, zorder=3, clip_on=False,
                )  # fmt: skip
    return drawn


def _draw_totals(canvas: _Canvas, series: Sequence[_Series]) -> dict[str, Line2D]:
    """The networks as a whole: a star each."""
    stars = {}
    for one in series:
        if not one.points.total_ops_per_s:
            continue
        (stars[one.name],) = canvas.ax.plot(
            [one.points.total_op_per_byte], [one.points.total_ops_per_s], "*", markersize=_STAR_PT,
            color=one.color if one.marker else "white", markeredgecolor="black", markeredgewidth=0.8, zorder=4, clip_on=False,
        )  # fmt: skip
    return stars


def _avoid(placer: Placer, canvas: _Canvas, series: Sequence[_Series], lines: Sequence[Line2D]) -> None:
    """What text had better not hide."""
    for line in lines:
        placer.avoid_line(np.asarray(line.get_xydata()), weight=1.0 if line.get_color() == style.FAINT else 3.0)
    for one in series:
        kernels = np.column_stack([one.points.op_per_byte, one.points.ops_per_s])
        placer.avoid_markers(kernels, np.sqrt(one.areas_pt2) / 2)
        placer.avoid_markers(_total(one), _STAR_PT / 2)
    for found in canvas.roofs:
        placer.avoid_markers(np.array([[found.ridge_op_per_byte, found.peak.per_s]]), 3.0)


def _total(one: _Series) -> Array:
    return np.array([[one.points.total_op_per_byte, one.points.total_ops_per_s]])


def _title(canvas: _Canvas, placer: Placer, estimates: Sequence[Estimate]) -> Text:
    """What all estimates share, as much of it as fits above the axes."""
    font = FontProperties(size=canvas.pt)
    text = shared_facts(estimates, lambda text: placer.size_px(text, font)[0] <= canvas.ax.bbox.width)
    return canvas.ax.set_title(text, loc="left", fontproperties=font, color=style.INK, pad=4)


def _legend(canvas: _Canvas, series: Sequence[_Series]) -> Legend:
    look: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.4, "markersize": 5.5, "linestyle": ""}
    met = set(series[0].est.bounds)
    entries: list[tuple[str, str, str | None, dict[str, Any]]] = [(s.name, s.color, s.marker, {}) for s in series]
    if series[0].marker is None:
        entries = [(f"{name} bound", *shape, {}) for name, shape in style.BOUND_LOOK.items() if name in met]
    elif canvas.several:
        dashes = {found.machine: canvas.dash(found) for found in canvas.roofs}
        entries = [(*entry[:3], {"linestyle": dashes[machine_name(s.est)]}) for entry, s in zip(entries, series, strict=True)]
    handles = [
        Line2D([], [], color=color, marker=marker or "", label=label, **{**look, **dash})
        for label, color, marker, dash in entries
    ]
    star = {**look, "markeredgecolor": "black", "markersize": 8}
    handles.append(Line2D([], [], color="white", marker="*", label="whole network", **star))
    legend = canvas.ax.legend(
        handles=handles, title="Kernels (area ∝ time)", fontsize=canvas.pt - 1, title_fontsize=canvas.pt - 1,
        framealpha=0.9, edgecolor="none", borderpad=0.3, handletextpad=0.4, handlelength=2.6 if canvas.several else 1.2,
        labelspacing=0.25, borderaxespad=0.4, alignment="left",
    )  # fmt: skip
    legend.set_zorder(5)
    return legend


def _note(canvas: _Canvas, placer: Placer, estimates: Sequence[Estimate]) -> Text | None:
    """How many kernels are not in the picture, and what share of the time they take."""
    out = rest(estimates)
    if not out.count:
        return None
    kind, verb = ("copy kernel" if out.copies else "kernel"), ("has" if out.count == 1 else "have")
    plural = "" if out.count == 1 else "s"
    text = f"{out.count} {kind}{plural} ({_percent(out.share)} of the time) {verb} no arithmetic"
    return placer.write(text, placer.corners(), size_pt=canvas.pt - 1.5, color=style.FAINT)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _label_roofs(canvas: _Canvas, placer: Placer, lines: Mapping[Key, Line2D], *, used: bool) -> list[Text]:
    """Names and values along the roofs: arithmetic from the right edge, memories from the left, the main ones first."""
    labels: list[Text | None] = []
    for found in canvas.roofs:
        for roof in sorted((*found.compute, *found.memory), key=lambda r: r not in (found.peak, found.stream)):
            line = lines.get((found.machine, ", ".join(roof.names)))
            if line is None or roof.used != used:
                continue
            start, end = placer.visible(np.asarray(line.get_xydata()))
            is_compute = roof in found.compute
            spots = along(start, end, 2.0 * placer.px_per_pt, from_end=is_compute)
            text = _compute_text(canvas, roof) if is_compute else _memory_text(roof)
            size_pt, color = (canvas.pt - 1, canvas.colors[found.machine]) if used else (canvas.pt - 1.5, style.FAINT)
            labels.append(placer.write(text, spots, size_pt=size_pt, color=color, limit=np.inf if used else 1.0))
    return _written(labels)


def _written(labels: Iterable[Text | None]) -> list[Text]:
    return [label for label in labels if label is not None]


def _compute_text(canvas: _Canvas, roof: Roof) -> str:
    """`fp16, bf16 312 TFLOP/s`; of several machines only the type in use."""
    unit = "OP/s" if any(name.startswith("int") for name in roof.names) else "FLOP/s"
    return f"{', '.join(roof.names[:1] if canvas.several else roof.names)} {style.readable(roof.per_s, unit)}"


def _memory_text(roof: Roof) -> str:
    names = ", ".join(memory_name(name) for name in roof.names)
    return f"{names} {style.readable(roof.per_s, 'B/s')}"


def _label_ridges(canvas: _Canvas, placer: Placer) -> list[Text]:
    labels: list[Text | None] = []
    for found in canvas.roofs:
        spots = around(placer.pixel(found.ridge_op_per_byte, found.peak.per_s), 3.0, placer.px_per_pt)
        text = f"ridge {found.ridge_op_per_byte:.3g}" + ("" if canvas.several else f" {canvas.unit}/byte")
        labels.append(placer.write(text, spots, size_pt=canvas.pt - 1, color=canvas.colors[found.machine]))
    return _written(labels)


def _label_totals(canvas: _Canvas, placer: Placer, series: Sequence[_Series]) -> list[Text]:
    labels: list[Text | None] = []
    for one in series:
        if not one.points.total_ops_per_s:
            continue
        anchor = placer.pixel(*_total(one)[0])
        spots = around(anchor, _STAR_PT / 2, placer.px_per_pt, leader=placer.is_crowded(anchor, _STAR_PT / 2))
        text = f"{one.name}: {style.readable(one.points.total_ops_per_s, f'{canvas.unit}/s')}"
        color = one.color if one.marker else style.INK
        beside = placer.write(text, spots, size_pt=canvas.pt - 0.5, color=color, bold=True)
        # where the markers crowd, anywhere free: colour and marker still say whose it is
        labels.append(beside or placer.write(text, placer.corners(), size_pt=canvas.pt - 0.5, color=color, bold=True))
    return _written(labels)


def _label_kernels(canvas: _Canvas, placer: Placer, series: Sequence[_Series]) -> list[Text]:
    """Names of the places that most of the time is spent at: few in a column, none where four or more are compared."""
    wanted = (5 if canvas.pt >= 8 else 3) // len(series) if len(series) <= 3 else 0
    labels: list[Text | None] = []
    for one in series:
        radius_pt = np.sqrt(one.areas_pt2) / 2
        for first, count, share in _places(one.points)[:wanted]:
            if share < _LEAST_SHARE:
                break
            anchor = placer.pixel(one.points.op_per_byte[first], one.points.ops_per_s[first])
            radius = float(radius_pt[first])
            crowded = placer.is_crowded(anchor, radius)
            spots = around(anchor, radius, placer.px_per_pt, leader=crowded, farthest_pt=_KERNEL_LABEL_PT)
            times = f" ×{count}" if count > 1 else ""
            text = f"{_short(one.est.work.names[one.points.index[first]])}{times}, {_percent(share)}"
            color = one.color if one.marker else style.INK
            labels.append(placer.write(text, spots, size_pt=canvas.pt - 1.5, color=color, limit=4.0))
    return _written(labels)


def _places(found: Points) -> list[tuple[int, int, float]]:
    """Kernels at the same place taken together: the first, how many, their share; the largest share first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, (x, y) in enumerate(zip(found.op_per_byte, found.ops_per_s, strict=True)):
        groups.setdefault((f"{x:.3g}", f"{y:.3g}"), []).append(i)
    places = [(members[0], len(members), float(found.share[members].sum())) for members in groups.values()]
    return sorted(places, key=lambda place: -place[2])


def _short(name: str) -> str:
    """A kernel's name by its last parts where it is long: `…attention.query`."""
    if len(name) <= _NAME_LENGTH:
        return name
    starts = [i + 1 for i, letter in enumerate(name) if letter in "./" and len(name) - i <= _NAME_LENGTH]
    return f"…{name[starts[0] if starts and starts[0] < len(name) else -_NAME_LENGTH + 1 :]}"
