"""The roofline: what a machine allows at each arithmetic intensity, and where the kernels of a network lie under it.

Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore architectures", CACM 2009.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from simulator.errors import UsageError
from simulator.estimator import Estimate
from simulator.report.plots import style
from simulator.report.plots.labels import Placer, along, around
from simulator.report.plots.registry import plot
from simulator.report.plots.roofs import Points, Roof, Roofs, machine_name, points, rest, roofs

_AREA_PT2: Final = (7.0, 110.0)  # of a kernel's marker: the least, and that of the longest kernel
_STAR_PT: Final = 11.0
_NAME_LENGTH: Final = 26
_MEMORY_NAMES: Final = {"flash": "flash", "pcie": "PCIe"}  # others are acronyms

Key = tuple[str, str]


class RooflineArtists(NamedTuple):
    """What was drawn. Roofs are keyed by machine and names (`("a100_sxm_80", "fp16, bf16")`), points by series."""

    compute_roofs: Mapping[Key, Line2D]
    memory_roofs: Mapping[Key, Line2D]
    attainable: Mapping[str, Line2D]
    ridges: Mapping[str, Line2D]
    points: Mapping[str, PathCollection]
    totals: Mapping[str, Line2D]
    labels: tuple[Text, ...]
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
        """Whether machines are told apart by colour."""
        return len(self.roofs) > 1


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
        series = _series(estimates)
        canvas = _canvas(series, ax)
        placer = _prepare(canvas)
        compute, memory = _draw_compute(canvas), _draw_memory(canvas)
        attainable, ridges = _draw_ridges(canvas)
        dots, totals = _draw_points(canvas, series), _draw_totals(canvas, series)
        _avoid(placer, canvas, series, [*compute.values(), *memory.values()])
        legend = _legend(canvas, series)
        placer.place_legend(legend)
        note = _note(canvas, placer, estimates)
        labels = [*_label_roofs(canvas, placer, compute, memory, used=True), *_label_ridges(canvas, placer)]
        labels += _label_totals(canvas, placer, series)
        labels += _label_roofs(canvas, placer, compute, memory, used=False)
        labels += _label_kernels(canvas, placer, series)
        return RooflineArtists(compute, memory, attainable, ridges, dots, totals, tuple(labels), note, legend)


def _series(estimates: Sequence[Estimate]) -> tuple[_Series, ...]:
    machines = list(dict.fromkeys(map(machine_name, estimates)))
    models = list(dict.fromkeys(est.model.name for est in estimates))
    found = []
    for position, est in enumerate(estimates):
        machine, model = machines.index(machine_name(est)), models.index(est.model.name)
        look = machine if len(machines) > 1 else model if len(models) > 1 else position
        shape = model if len(models) > 1 else look
        color = style.PALETTE[look % len(style.PALETTE)]
        marker = style.MARKERS[shape % len(style.MARKERS)] if len(estimates) > 1 else None
        found.append(_Series(est, points(est), _series_name(est, estimates), color, marker))
    if not any(len(s.points.index) for s in found):
        raise UsageError("a roofline needs at least one kernel with arithmetic")
    return tuple(found)


def _series_name(est: Estimate, estimates: Sequence[Estimate]) -> str:
    """What tells this estimate from the others: model, machine, precision, batch; the model where there is one only."""
    parts = [
        [str(part) for part in (e.model.name, machine_name(e), e.precision or "as stored", f"batch {e.batch}", e.runtime.id)]
        for e in estimates
    ]
    own = parts[[e is est for e in estimates].index(True)]
    differs = [len({p[i] for p in parts}) > 1 for i in range(len(own))]
    return ", ".join(text for text, shown in zip(own, differs, strict=True) if shown) or own[0]


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
        ax, found, colors, "OP" if integer else "FLOP", style.font_pt(_figure_of(ax)),
        _decades(min(x for x in xs if x > 0), max(xs)), _decades(lowest, max(tops)),
    )  # fmt: skip


def _active_rates(found: Roofs) -> list[str]:
    return [name for roof in found.compute if roof.used for name in roof.names]


def _figure_of(ax: Axes) -> Figure:
    found = ax.get_figure(root=True)
    assert isinstance(found, Figure), "an axes without a figure has no size"
    return found


def _decades(low: float, high: float) -> tuple[float, float]:
    """The powers of ten around a range, with a little room at either end."""
    return 10.0 ** np.floor(np.log10(low / 1.15)), 10.0 ** np.ceil(np.log10(high * 1.35))


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
        for roof in found.compute:
            if (
                (roof.used and not canvas.several)
                or roof is found.peak
                or (not canvas.several and roof.per_s > canvas.y_limits[0])
            ):
                start = roof.per_s / fastest
                lines[found.machine, ", ".join(roof.names)] = _roof(
                    canvas, found, roof, (start, canvas.x_limits[1]), (roof.per_s, roof.per_s)
                )
    return lines


def _draw_memory(canvas: _Canvas) -> dict[Key, Line2D]:
    """Slanted roofs, from the left edge to the highest roof drawn."""
    lines = {}
    for found in canvas.roofs:
        top = found.peak.per_s if canvas.several else found.compute[-1].per_s
        for roof in (found.stream,) if canvas.several else found.memory:
            x = np.array([canvas.x_limits[0], top / roof.per_s])
            lines[found.machine, ", ".join(roof.names)] = _roof(canvas, found, roof, x, x * roof.per_s)
    return lines


def _roof(canvas: _Canvas, found: Roofs, roof: Roof, x: Sequence[float], y: Sequence[float]) -> Line2D:
    color, width = (canvas.colors[found.machine], 0.8) if roof.used else (style.FAINT, 0.5)
    (line,) = canvas.ax.plot(x, y, color=color, linewidth=width, linestyle="-" if roof.used else (0, (4, 2)), zorder=2)
    return line


def _draw_ridges(canvas: _Canvas) -> tuple[dict[str, Line2D], dict[str, Line2D]]:
    """The roof that most of the time is spent under, drawn thick, and its ridge point."""
    thick, marks = {}, {}
    for position, found in enumerate(canvas.roofs):
        ridge, peak, color = found.ridge_op_per_byte, found.peak.per_s, canvas.colors[found.machine]
        left, right = canvas.x_limits
        dash = style.DASHES[position % len(style.DASHES)]
        (thick[found.machine],) = canvas.ax.plot(
            [left, ridge, right],
            [left * found.stream.per_s, peak, peak],
            color=color,
            linewidth=1.6,
            linestyle=dash,
            zorder=2.1,
        )
        (marks[found.machine],) = canvas.ax.plot(
            [ridge],
            [peak],
            "D",
            markersize=4.5,
            markerfacecolor="white",
            markeredgecolor=color,
            markeredgewidth=1,
            zorder=5,
        )
    return thick, marks


def _areas_pt2(series: _Series) -> np.ndarray:
    """Marker areas in proportion to the time of each kernel, none so small that it cannot be seen."""
    least, most = _AREA_PT2
    share = series.points.share
    return np.asarray(np.maximum(least, most * share / share.max(initial=1e-300)))


def _draw_points(canvas: _Canvas, series: Sequence[_Series]) -> dict[str, PathCollection]:
    """The kernels: one collection a series, or one a bound where there is one estimate."""
    drawn = {}
    for one in series:
        bounds = np.array(one.est.bounds)[one.points.index]
        for bound, (color, marker) in style.BOUND_LOOK.items() if one.marker is None else [("", (one.color, one.marker))]:
            mask = bounds == bound if bound else np.ones(len(bounds), bool)
            if mask.any():
                drawn[bound or one.name] = canvas.ax.scatter(
                    one.points.op_per_byte[mask], one.points.ops_per_s[mask], s=_areas_pt2(one)[mask], color=color, marker=marker,
                    alpha=0.75, edgecolors="white", linewidths=0.4, zorder=3,
                )  # fmt: skip
    return drawn


def _draw_totals(canvas: _Canvas, series: Sequence[_Series]) -> dict[str, Line2D]:
    """The networks as a whole: a star each."""
    stars = {}
    for one in series:
        (stars[one.name],) = canvas.ax.plot(
            [one.points.total_op_per_byte], [one.points.total_ops_per_s], "*", markersize=_STAR_PT,
            color=one.color if one.marker else "white", markeredgecolor="black", markeredgewidth=0.8, zorder=4,
        )  # fmt: skip
    return stars


def _avoid(placer: Placer, canvas: _Canvas, series: Sequence[_Series], lines: Sequence[Line2D]) -> None:
    for line in lines:
        placer.avoid_line(np.asarray(line.get_xydata()))
    for one in series:
        placer.avoid_markers(np.column_stack([one.points.op_per_byte, one.points.ops_per_s]), np.sqrt(_areas_pt2(one)) / 2)
        placer.avoid_markers(np.array([[one.points.total_op_per_byte, one.points.total_ops_per_s]]), _STAR_PT / 2)
    for found in canvas.roofs:
        placer.avoid_markers(np.array([[found.ridge_op_per_byte, found.peak.per_s]]), 3.0)


def _legend(canvas: _Canvas, series: Sequence[_Series]) -> Legend:
    look = {"markeredgecolor": "white", "markeredgewidth": 0.4, "markersize": 5.5, "linestyle": ""}
    if series[0].marker is None:
        met = set(series[0].est.bounds)
        entries = [(f"{b} bound", *look_) for b, look_ in style.BOUND_LOOK.items() if b in met]
    else:
        entries = [(s.name, s.color, s.marker) for s in series]
    handles = [Line2D([], [], color=color, marker=marker, label=label, **look) for label, color, marker in entries]
    star = {**look, "markeredgecolor": "black", "markersize": 8}
    handles.append(Line2D([], [], color="white", marker="*", label="whole network", **star))
    legend = canvas.ax.legend(
        handles=handles, title="Kernels (area ∝ time)", fontsize=canvas.pt - 1, title_fontsize=canvas.pt - 1, frameon=True,
        framealpha=0.9, edgecolor="none", borderpad=0.3, handletextpad=0.2, labelspacing=0.25, borderaxespad=0.4, alignment="left",
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


def _label_roofs(
    canvas: _Canvas, placer: Placer, compute: Mapping[Key, Line2D], memory: Mapping[Key, Line2D], *, used: bool
) -> list[Text]:
    """Names and values along the roofs: memories from the left, arithmetic from the right."""
    labels = []
    for found in canvas.roofs:
        for lines, ceilings, from_end in ((compute, found.compute, True), (memory, found.memory, False)):
            for roof in sorted(ceilings, key=lambda r: r not in (found.peak, found.stream)):
                line = lines.get((found.machine, ", ".join(roof.names)))
                if line is None or roof.used != used:
                    continue
                start, end = placer.visible(np.asarray(line.get_xydata()))
                text = _compute_text(canvas, found, roof) if from_end else _memory_text(roof)
                label = placer.write(
                    text, along(start, end, 2.0 * placer.px_per_pt, from_end=from_end),
                    size_pt=canvas.pt - (1 if used else 1.5), color=canvas.colors[found.machine] if used else style.FAINT,
                )  # fmt: skip
                labels += [label] if label else []
    return labels


def _compute_text(canvas: _Canvas, found: Roofs, roof: Roof) -> str:
    integers = [name.startswith("int") for name in roof.names]
    unit = "FLOP/s" if not any(integers) else "OP/s"
    machine = f"{found.machine} " if canvas.several else ""
    return f"{machine}{', '.join(roof.names)} {style.readable(roof.per_s, unit)}"


def _memory_text(roof: Roof) -> str:
    names = ", ".join(_MEMORY_NAMES.get(name, name.upper()) for name in roof.names)
    return f"{names} {style.readable(roof.per_s, 'B/s')}"


def _label_ridges(canvas: _Canvas, placer: Placer) -> list[Text]:
    labels = []
    for found in canvas.roofs:
        (anchor,) = placer.to_px(np.array([found.ridge_op_per_byte, found.peak.per_s]))
        value = f"{found.ridge_op_per_byte:.3g}"
        label = placer.write(
            value if canvas.several else f"ridge {value} {canvas.unit}/byte", around(tuple(anchor), 3.0, placer.px_per_pt),
            size_pt=canvas.pt - 1, color=canvas.colors[found.machine],
        )  # fmt: skip
        labels += [label] if label else []
    return labels


def _label_totals(canvas: _Canvas, placer: Placer, series: Sequence[_Series]) -> list[Text]:
    labels = []
    for one in series:
        if not one.points.total_ops_per_s:
            continue
        (anchor,) = placer.to_px(np.array([one.points.total_op_per_byte, one.points.total_ops_per_s]))
        value = style.readable(one.points.total_ops_per_s, f"{canvas.unit}/s")
        label = placer.write(
            f"{one.name}: {value}", around(tuple(anchor), _STAR_PT / 2, placer.px_per_pt), size_pt=canvas.pt - 0.5,
            color=one.color if one.marker else style.INK, bold=True,
        )  # fmt: skip
        labels += [label] if label else []
    return labels


def _label_kernels(canvas: _Canvas, placer: Placer, series: Sequence[_Series]) -> list[Text]:
    """Names of the places that most of the time is spent at: five in a figure, fewer in a column or of several series."""
    wanted = max(1, (5 if canvas.pt >= 8 else 3) // len(series)) if len(series) <= 3 else 0
    labels = []
    for one in series:
        radius_pt = np.sqrt(_areas_pt2(one)) / 2
        for first, count, share in _places(one.points)[:wanted]:
            (anchor,) = placer.to_px(np.array([one.points.op_per_byte[first], one.points.ops_per_s[first]]))
            times = f" ×{count}" if count > 1 else ""
            text = f"{_short(one.est.work.names[one.points.index[first]])}{times}, {_percent(share)}"
            spots = around(tuple(anchor), float(radius_pt[first]), placer.px_per_pt)
            label = placer.write(text, spots, size_pt=canvas.pt - 1.5, color=one.color if one.marker else style.INK)
            labels += [label] if label else []
    return labels


def _places(found: Points) -> list[tuple[int, int, float]]:
    """Kernels at the same place taken together: the first, how many, their share; the largest share first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, (x, y) in enumerate(zip(found.op_per_byte, found.ops_per_s, strict=True)):
        groups.setdefault((f"{x:.3g}", f"{y:.3g}"), []).append(i)
    places = [(members[0], len(members), float(found.share[members].sum())) for members in groups.values()]
    return sorted(places, key=lambda place: -place[2])


def _short(name: str) -> str:
    """A kernel's name without its middle where it is long."""
    name = name.strip("/")
    half = (_NAME_LENGTH - 1) // 2
    return name if len(name) <= _NAME_LENGTH else f"{name[:half]}…{name[-half:]}"
