"""The energy roofline: how many operations a joule pays for at each arithmetic intensity, and what kernels get of it.

J. Choi, D. Bedard, R. Fowler, R. Vuduc, "A roofline model of energy", IPDPS 2013.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

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
from simulator.report.plots.energy_roofs import EnergyPoints, EnergyRoof, energy_points, energy_roof
from simulator.report.plots.labels import Placer, along, around
from simulator.report.plots.registry import plot
from simulator.report.plots.roofs import machine_name
from simulator.report.plots.series import Look, areas_pt2, decades, figure_of, looks, memory_name, shared_facts
from simulator.result.estimate import Estimate

_STAR_PT: Final = 11.0
_LOOKS: Final = {
    "compute": ("mostly arithmetic", style.PALETTE[1], "s"),
    "memory": ("mostly data movement", style.PALETTE[0], "o"),
    "static": ("mostly static power", style.PALETTE[2], "^"),
    "active": ("measured power × time", style.PALETTE[0], "o"),
}


class EnergyArtists(NamedTuple):
    """What was drawn. Curves and balance points are keyed by machine, asymptotes by what they stand for."""

    roofs: Mapping[str, Line2D]
    asymptotes: Mapping[str, Line2D]
    balances: Mapping[str, Line2D]
    points: Mapping[str, PathCollection]
    totals: Mapping[str, Line2D]
    labels: tuple[Text, ...]
    title: Text
    note: Text | None
    legend: Legend


@dataclass(frozen=True, slots=True)
class _Series:
    est: Estimate
    points: EnergyPoints
    look: Look
    areas_pt2: np.ndarray

    @property
    def total(self) -> np.ndarray:
        return np.array([[self.points.total_op_per_byte, self.points.total_ops_per_j]])


@dataclass(frozen=True, slots=True)
class _Canvas:
    ax: Axes
    roofs: tuple[EnergyRoof, ...]
    colors: Mapping[str, str]
    unit: str
    pt: float
    x_limits: tuple[float, float]
    single: bool

    def part_color(self, name: str) -> str:
        """The colour of what takes energy; grey where colours tell models apart."""
        return _LOOKS[name][1] if self.single else style.FAINT


def figure(estimates: Sequence[Estimate], *, size_in: tuple[float, float] = style.DOUBLE_IN) -> tuple[Figure, EnergyArtists]:
    """A figure of its own with the energy roofline of `estimates`."""
    fig, ax = style.new_axes(size_in)
    return fig, energy_roofline(estimates, ax)


@plot("energy_roofline", needs="estimates")
def energy_roofline(estimates: Sequence[Estimate], ax: Axes) -> EnergyArtists:
    """Draw what machines allow per joule and what networks' kernels get: x is OP per byte, y is OP per joule.

    The curve is the machine at its peaks, W · ε + Q · ε + π₀ · T; kernels take their expected time. One estimate:
    kernels are coloured by what takes most of their energy. Text is laid out for the size that `ax` has now.

    Raises:
        UsageError: no estimates, none with any arithmetic, or one whose energy is not known.
    """
    with style.context():
        series = _series(estimates, (style.font_pt(figure_of(ax)) / 8.0) ** 4)
        canvas = _canvas(series, ax)
        placer = Placer(ax)
        curves, asymptotes = _draw_roofs(canvas), _draw_asymptotes(canvas)
        balances, dots, totals = _draw_balances(canvas), _draw_points(ax, series), _draw_totals(ax, series)
        _avoid(placer, series, [*curves.values(), *asymptotes.values()])
        title, legend = _title(canvas, placer, estimates), _legend(canvas, series)
        placer.place_legend(legend)
        note = _note(canvas, placer, estimates)
        labels = [*_label_asymptotes(canvas, placer, asymptotes), *_label_balances(canvas, placer)]
        labels += [*_label_power(canvas, placer), *_label_totals(canvas, placer, series)]
        return EnergyArtists(curves, asymptotes, balances, dots, totals, tuple(labels), title, note, legend)


def _series(estimates: Sequence[Estimate], scale: float) -> tuple[_Series, ...]:
    found = []
    for est, look in zip(estimates, looks(estimates), strict=True):
        points = energy_points(est)
        found.append(_Series(est, points, look, areas_pt2(points.share, scale)))
    if any(one.est.energy_j is not None for one in found) and not any(len(one.points.index) for one in found):
        raise UsageError("an energy roofline needs at least one kernel with arithmetic")
    if not found:
        raise UsageError("an energy roofline needs at least one estimate")
    return tuple(found)


def _canvas(series: Sequence[_Series], ax: Axes) -> _Canvas:
    """Axes with their scales: wide enough for all kernels, networks and balance points."""
    by_machine: dict[str, list[_Series]] = {}
    for one in series:
        by_machine.setdefault(machine_name(one.est), []).append(one)
    roofs = tuple(energy_roof([one.est for one in group]) for group in by_machine.values())
    colors = {name: group[0].look.color if len(roofs) > 1 else style.INK for name, group in by_machine.items()}
    unit = "OP" if any(roof.rate.startswith("int") for roof in roofs) else "FLOP"
    balances = [b for roof in roofs if (b := roof.balance_op_per_byte) is not None]
    xs = [x for one in series for x in (*one.points.op_per_byte, *one.total[:, 0])] + balances
    x_limits = decades(min(x for x in xs if x > 0), max(xs))
    ys = [y for one in series for y in (*one.points.ops_per_j, *one.total[:, 1])]
    tops = [float(roof.ops_per_j(np.array([x_limits[1]]))[0]) for roof in roofs] + [1 / roof.op_j for roof in roofs if roof.op_j]
    pt = style.font_pt(figure_of(ax))
    style.dress(ax, pt)
    style.log_decades(ax, x_limits, decades(min(y for y in ys if y > 0), max(*ys, *tops)))
    ax.set_xlabel(f"Arithmetic intensity ({unit}/byte)")
    ax.set_ylabel(f"Operations per joule ({unit}/J)")
    return _Canvas(ax, roofs, colors, unit, pt, x_limits, single=len(series) == 1)


def _draw_roofs(canvas: _Canvas) -> dict[str, Line2D]:
    lines = {}
    for position, roof in enumerate(canvas.roofs):
        ridge = np.clip(roof.peak_ops_per_s / roof.bytes_per_s, *canvas.x_limits)
        x = np.unique([*np.geomspace(*canvas.x_limits, 201), ridge])
        dash = style.DASHES[position % len(style.DASHES)]
        (lines[roof.machine],) = canvas.ax.plot(
            x, roof.ops_per_j(x), color=canvas.colors[roof.machine], linewidth=1.6, linestyle=dash, zorder=2.1
        )
    return lines


def _draw_asymptotes(canvas: _Canvas) -> dict[str, Line2D]:
    """With one machine, what arithmetic, data movement and static power would allow alone."""
    if len(canvas.roofs) > 1 or not canvas.roofs[0].op_j:
        return {}
    (roof,), x = canvas.roofs, np.geomspace(*canvas.x_limits, 201)
    alone = {"compute": np.full(x.shape, 1 / roof.op_j)}
    if roof.byte_j:
        alone["memory"] = x / roof.byte_j
    if roof.constant_w:
        alone["static"] = np.minimum(roof.peak_ops_per_s, roof.bytes_per_s * x) / roof.constant_w
    drawn = {}
    for name, y in alone.items():
        (drawn[name],) = canvas.ax.plot(x, y, color=canvas.part_color(name), linewidth=0.8, linestyle=(0, (4, 2)), zorder=1.9)
    return drawn


def _draw_balances(canvas: _Canvas) -> dict[str, Line2D]:
    """Hollow diamonds where arithmetic and data movement take the same energy."""
    marks = {}
    for roof in canvas.roofs:
        balance = roof.balance_op_per_byte
        if balance is not None:
            (marks[roof.machine],) = canvas.ax.plot(
                [balance], roof.ops_per_j(np.array([balance])), "D", markersize=4.5, markerfacecolor="white",
                markeredgecolor=canvas.colors[roof.machine], markeredgewidth=1, zorder=5, clip_on=False,
            )  # fmt: skip
    return marks


def _draw_points(ax: Axes, series: Sequence[_Series]) -> dict[str, PathCollection]:
    """The kernels: one collection a series, or one a largest part where there is one estimate."""
    drawn = {}
    for one in series:
        marker = one.look.marker
        shapes = {one.look.name: (one.look.color, marker)} if marker else {n: (c, m) for n, (_, c, m) in _LOOKS.items()}
        for name, (color, shape) in shapes.items():
            mask = np.full(len(one.points.index), fill_value=True) if marker else one.points.largest == name
            if mask.any():
                drawn[name] = ax.scatter(
                    one.points.op_per_byte[mask], one.points.ops_per_j[mask], s=one.areas_pt2[mask], color=color,
                    marker=shape, alpha=0.75, edgecolors="white", linewidths=0.4, zorder=3, clip_on=False,
                )  # fmt: skip
    return drawn


def _draw_totals(ax: Axes, series: Sequence[_Series]) -> dict[str, Line2D]:
    """The networks as a whole: a star each."""
    stars = {}
    for one in series:
        if one.points.total_ops_per_j:
            (stars[one.look.name],) = ax.plot(
                *one.total.T, "*", markersize=_STAR_PT, color=one.look.color if one.look.marker else "white",
                markeredgecolor="black", markeredgewidth=0.8, zorder=4, clip_on=False,
            )  # fmt: skip
    return stars


def _avoid(placer: Placer, series: Sequence[_Series], lines: Sequence[Line2D]) -> None:
    """What text had better not hide."""
    for line in lines:
        placer.avoid_line(np.asarray(line.get_xydata()), weight=2.0)
    for one in series:
        kernels = np.column_stack([one.points.op_per_byte, one.points.ops_per_j])
        placer.avoid_markers(kernels, np.sqrt(one.areas_pt2) / 2)
        placer.avoid_markers(one.total, _STAR_PT / 2)


def _title(canvas: _Canvas, placer: Placer, estimates: Sequence[Estimate]) -> Text:
    font = FontProperties(size=canvas.pt)
    text = shared_facts(estimates, lambda text: placer.size_px(text, font)[0] <= canvas.ax.bbox.width)
    return canvas.ax.set_title(text, loc="left", fontproperties=font, color=style.INK, pad=4)


def _legend(canvas: _Canvas, series: Sequence[_Series]) -> Legend:
    met = set(series[0].points.largest)
    entries = [(one.look.name, one.look.color, one.look.marker) for one in series]
    if series[0].look.marker is None:
        entries = [shape for name, shape in _LOOKS.items() if name in met]
    handles = [
        Line2D([], [], color=color, marker=marker or "", label=label, linestyle="", markersize=5.5, markeredgecolor="white")
        for label, color, marker in entries
    ]
    star = Line2D([], [], color="white", marker="*", label="whole network", linestyle="", markersize=8, markeredgecolor="black")
    legend = canvas.ax.legend(
        handles=[*handles, star], title="Kernels (area ∝ energy)", fontsize=canvas.pt - 1, title_fontsize=canvas.pt - 1,
        framealpha=0.9, edgecolor="none", borderpad=0.3, handletextpad=0.4, handlelength=1.2, labelspacing=0.25,
        borderaxespad=0.4, alignment="left",
    )  # fmt: skip
    legend.set_zorder(5)
    return legend


def _label_asymptotes(canvas: _Canvas, placer: Placer, lines: Mapping[str, Line2D]) -> list[Text]:
    """What each part would allow alone, along its line."""
    labels: list[Text | None] = []
    for name, line in lines.items():
        (roof,), xy = canvas.roofs, np.asarray(line.get_xydata())
        per = {"compute": (roof.op_j, canvas.unit), "memory": (roof.byte_j, "B")}
        what = {"compute": roof.rate, "memory": memory_name(roof.memory), "static": "static"}[name]
        value = style.readable(roof.constant_w, "W") if name == "static" else style.readable(per[name][0], f"J/{per[name][1]}")
        straight = xy[[0, -1]] if name == "compute" else xy[xy[:, 0] <= roof.peak_ops_per_s / roof.bytes_per_s][[0, -1]]
        spots = along(*placer.visible(straight), 2.0 * placer.px_per_pt, from_end=name == "compute")
        labels.append(placer.write(f"{what} {value}", spots, size_pt=canvas.pt - 1, color=canvas.part_color(name), limit=4.0))
    return [label for label in labels if label is not None]


def _label_power(canvas: _Canvas, placer: Placer) -> list[Text]:
    """The measured power that a machine's curve is its time roofline over; of one machine only."""
    roof = canvas.roofs[0]
    if len(canvas.roofs) > 1 or roof.op_j or not roof.constant_w:
        return []
    ends = np.array(canvas.x_limits)
    spots = along(*placer.visible(np.column_stack([ends, roof.ops_per_j(ends[[1, 1]])])), 2.0 * placer.px_per_pt, from_end=True)
    text = f"{roof.rate} at the measured {style.readable(roof.constant_w, 'W')}"
    label = placer.write(text, spots, size_pt=canvas.pt - 1, color=canvas.colors[roof.machine])
    return [] if label is None else [label]


def _note(canvas: _Canvas, placer: Placer, estimates: Sequence[Estimate]) -> Text | None:
    """Whose energies are those of a process node, not of the machine: they are not to be compared with measured ones."""
    assumed = dict.fromkeys(machine_name(est) for est in estimates if est.energy_defaults)
    if not assumed:
        return None
    who = "" if len(canvas.roofs) == 1 else f" of {', '.join(assumed)}"
    texts = (f"default figures{who}: arithmetic and memory arrays only", f"default figures{who}", "with default figures")
    notes = (placer.write(text, placer.corners(), size_pt=canvas.pt - 1.5, color=style.FAINT) for text in texts)
    return next((note for note in notes if note is not None), None)


def _label_balances(canvas: _Canvas, placer: Placer) -> list[Text]:
    labels: list[Text | None] = []
    for roof in canvas.roofs:
        balance = roof.balance_op_per_byte
        if balance is not None:
            anchor = placer.pixel(balance, float(roof.ops_per_j(np.array([balance]))[0]))
            unit = "" if len(canvas.roofs) > 1 else f" {canvas.unit}/byte"
            text, spots = f"balance {balance:.3g}{unit}", around(anchor, 3.0, placer.px_per_pt)
            labels.append(placer.write(text, spots, size_pt=canvas.pt - 1, color=canvas.colors[roof.machine]))
    return [label for label in labels if label is not None]


def _label_totals(canvas: _Canvas, placer: Placer, series: Sequence[_Series]) -> list[Text]:
    labels: list[Text | None] = []
    for one in series:
        if one.points.total_ops_per_j:
            anchor = placer.pixel(*one.total[0])
            spots = around(anchor, _STAR_PT / 2, placer.px_per_pt, leader=placer.is_crowded(anchor, _STAR_PT / 2))
            text = f"{one.look.name}: {style.readable(one.points.total_ops_per_j, f'{canvas.unit}/J')}"
            color = one.look.color if one.look.marker else style.INK
            beside = placer.write(text, spots, size_pt=canvas.pt - 0.5, color=color, bold=True)
            labels.append(beside or placer.write(text, placer.corners(), size_pt=canvas.pt - 0.5, color=color, bold=True))
    return [label for label in labels if label is not None]
