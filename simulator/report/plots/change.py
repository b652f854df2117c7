"""Before and after: where networks lie under the roofs of their machines, and where a change takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import legend_look, make_room, set_title, window
from simulator.report.plots.labels import Placer, along, around
from simulator.report.plots.roofs import Roofs, machine_name, points, roofs
from simulator.report.plots.series import decades, figure_of, memory_name, names
from simulator.result.estimate import Estimate

Array = NDArray[np.float64]

_MARK_PT: Final = 6.0
_LEAST_MOVE_PT: Final = 7.0  # of an arrow: what moves less has none
_LABEL_PT: Final = 60.0


@dataclass(frozen=True, slots=True)
class ChangeArtists:
    """What was drawn: a pair of markers and an arrow a network (None where it stays), a line a machine, all with labels."""

    before: dict[str, Line2D]
    after: dict[str, Line2D]
    arrows: dict[str, FancyArrowPatch | None]
    roofs: dict[str, Line2D]
    labels: dict[str, Text]
    roof_labels: tuple[Text, ...]
    legend: Legend
    title: Text


@dataclass(frozen=True, slots=True)
class _Move:
    """One network: where it was, where it is, in OP/byte and OP/s, and how many times the inferences a second it does."""

    name: str
    start: tuple[float, float]
    end: tuple[float, float]
    gain: float
    color: str
    marker: str


def figure(
    before: Sequence[Estimate], after: Sequence[Estimate], *, title: str = "", size_in: tuple[float, float] = style.DOUBLE_IN
) -> tuple[Figure, ChangeArtists]:
    """A figure of its own with the roofline before and after a change."""
    fig, ax = style.new_axes(size_in)
    return fig, change(before, after, ax, title=title)


def change(before: Sequence[Estimate], after: Sequence[Estimate], ax: Axes, *, title: str = "") -> ChangeArtists:
    """Draw each network as a whole, hollow before and filled after, joined by an arrow, under the roofs of the machines; the
    number is how many times the inferences a second it does.

    Estimates belong together by their order. Roofs of machines that are in `before` only are dashed.

    Raises:
        UsageError: lists of different lengths, nothing in them, or a network without arithmetic.
    """
    with style.context():
        moves = _moves(before, after)
        pt = style.font_pt(figure_of(ax))
        ceilings, is_new = _ceilings(before, after)
        unit = "OP" if any("int" in rate for est in (*before, *after) for rate in (est.main_rate,)) else "FLOP"
        corners = np.array([xy for m in moves for xy in (m.start, m.end)])
        style.dress(ax, pt)
        x_limits = decades(min(corners[:, 0].min(), *(r.ridge_op_per_byte for r in ceilings)), corners[:, 0].max())
        style.log_decades(ax, x_limits, decades(corners[:, 1].min(), max(r.peak.per_s for r in ceilings) * 1.3))
        ax.set_xlabel(f"Arithmetic intensity ({unit}/byte)")
        ax.set_ylabel(f"Performance ({unit}/s)   better →")
        lines = {r.machine: _roof(ax, r, after=r.machine in is_new) for r in ceilings}
        legend = _legend(ax, moves, pt)
        make_room(ax, legend, corners, [np.asarray(line.get_xydata()) for line in lines.values()], _MARK_PT)
        drawn = [_pair(ax, move) for move in moves]
        arrows = {move.name: _arrow(ax, move) for move in moves}
        placer = Placer(ax)
        _avoid(placer, moves, lines.values(), legend)
        roof_labels = _roof_labels(placer, ceilings, lines, unit, pt)
        labels = _labels(placer, moves, pt)
        firsts, seconds = ({m.name: pair[i] for m, pair in zip(moves, drawn, strict=True)} for i in (0, 1))
        return ChangeArtists(firsts, seconds, arrows, lines, labels, roof_labels, legend, set_title(ax, title, pt))


def _moves(before: Sequence[Estimate], after: Sequence[Estimate]) -> tuple[_Move, ...]:
    if not before or len(before) != len(after):
        raise UsageError(
            f"a change needs as many estimates after as before, one at least; there are {len(before)} and {len(after)}"
        )
    found = []
    both = zip(before, after, _pair_names(before, after), strict=True)
    for place, (first, second, name) in enumerate(both):
        ends = [(p.total_op_per_byte, p.total_ops_per_s) for p in (points(first), points(second))]
        if not all(x > 0 and y > 0 for x, y in ends):
            raise UsageError(f"'{name}' has no arithmetic: it has no place under a roof")
        gain = (first.latency_s / first.batch) / (second.latency_s / second.batch)
        color, marker = style.PALETTE[place % len(style.PALETTE)], style.MARKERS[place % len(style.MARKERS)]
        found.append(_Move(name, ends[0], ends[1], gain, color, marker))
    return tuple(found)


def _pair_names(before: Sequence[Estimate], after: Sequence[Estimate]) -> list[str]:
    """Names that tell the pairs apart: those of the estimates before, or where these say nothing, the networks'."""
    found = names(before)
    models = [est.model.name for est in before]
    is_told = len(set(models)) == len(models) and models == [est.model.name for est in after]
    return models if is_told else found


def _ceilings(before: Sequence[Estimate], after: Sequence[Estimate]) -> tuple[tuple[Roofs, ...], set[str]]:
    """The roofs of each machine, and which of them are there after the change."""
    groups: dict[str, list[Estimate]] = {}
    for est in (*before, *after):
        groups.setdefault(machine_name(est), []).append(est)
    return tuple(roofs(group) for group in groups.values()), {machine_name(est) for est in after}


def _roof(ax: Axes, found: Roofs, *, after: bool) -> Line2D:
    """The bandwidth and the peak that most of the time is under."""
    left, right = ax.get_xlim()
    x, y = [left, found.ridge_op_per_byte, right], [left * found.stream.per_s, found.peak.per_s, found.peak.per_s]
    look: dict[str, Any] = {"linestyle": "-", "linewidth": 1.3} if after else {"linestyle": (0, (4, 2)), "linewidth": 1.0}
    (line,) = ax.plot(x, y, color=style.INK if after else style.FAINT, zorder=2, **look)
    return line


def _pair(ax: Axes, move: _Move) -> tuple[Line2D, Line2D]:
    """Hollow and filled."""
    look: dict[str, Any] = {"markersize": _MARK_PT, "markeredgecolor": move.color, "markeredgewidth": 1.1, "linestyle": ""}
    (first,) = ax.plot(*[[v] for v in move.start], marker=move.marker, markerfacecolor="white", zorder=4, **look)
    (second,) = ax.plot(*[[v] for v in move.end], marker=move.marker, markerfacecolor=move.color, zorder=4.5, **look)
    return first, second


def _arrow(ax: Axes, move: _Move) -> FancyArrowPatch | None:
    """From one to the other where they are apart."""
    ends = Placer(ax).to_px(np.array([move.start, move.end]))
    if float(np.hypot(*(ends[1] - ends[0]))) * 72 / figure_of(ax).dpi < _MARK_PT + _LEAST_MOVE_PT:
        return None
    arrow = FancyArrowPatch(
        move.start, move.end, arrowstyle="-|>", mutation_scale=7, color=move.color, linewidth=1.1, shrinkA=_MARK_PT / 2,
        shrinkB=_MARK_PT / 2 + 0.5, zorder=3.5,
    )  # fmt: skip
    ax.add_patch(arrow)
    return arrow


def _legend(ax: Axes, moves: Sequence[_Move], pt: float) -> Legend:
    """What hollow and filled mean, and what the numbers are."""
    marker, color = (moves[0].marker, moves[0].color) if len(moves) == 1 else ("o", style.INK)
    look: dict[str, Any] = {"linestyle": "", "marker": marker, "markersize": _MARK_PT, "markeredgecolor": color}
    handles = [
        Line2D([], [], markerfacecolor="white", label="before", **look),
        Line2D([], [], markerfacecolor=color, label="after", **look),
    ]
    return ax.legend(handles=handles, title="×: inferences/s", **legend_look(pt))


def _avoid(placer: Placer, moves: Sequence[_Move], lines: Any, legend: Legend) -> None:
    placer.taken.append(window(placer, legend))
    for line in lines:
        placer.avoid_line(np.asarray(line.get_xydata()), 5.0)
    for move in moves:
        placer.avoid_markers(np.array([move.start, move.end]), _MARK_PT / 2)
        placer.avoid_line(np.array([move.start, move.end]), 5.0)


def _roof_labels(placer: Placer, ceilings: Sequence[Roofs], lines: dict[str, Line2D], unit: str, pt: float) -> tuple[Text, ...]:
    """The machine and its peak on the level part, the memory and its bandwidth on the slope."""
    found = []
    for one in ceilings:
        xy = np.asarray(lines[one.machine].get_xydata())
        color = str(lines[one.machine].get_color())
        whose = f"{one.machine}, " if len(ceilings) > 1 else ""
        level = f"{whose}{one.peak.names[0]} {style.readable(one.peak.per_s, f'{unit}/s')}"
        slope = f"{memory_name(one.stream.names[0])} {style.readable(one.stream.per_s, 'B/s')}"
        for text, part, from_end in ((level, xy[1:], True), (slope, xy[:2], False)):
            start, end = placer.visible(part)
            spots = along(start, end, 2.0 * placer.px_per_pt, from_end=from_end)
            found.append(placer.write(text, spots, size_pt=pt - 1, color=color))
    return tuple(label for label in found if label is not None)


def _labels(placer: Placer, moves: Sequence[_Move], pt: float) -> dict[str, Text]:
    """At the point after: the network and how many times the inferences a second it does."""
    found: dict[str, Text] = {}
    for move in moves:
        anchor = placer.pixel(*move.end)
        crowded = placer.is_crowded(anchor, _MARK_PT / 2)
        spots = around(anchor, _MARK_PT / 2 + 1, placer.px_per_pt, leader=crowded, farthest_pt=_LABEL_PT)
        text = f"{move.name} {move.gain:.3g}×"
        color = move.color if len(moves) > 1 else style.INK
        label = placer.write(text, spots, size_pt=pt - 0.5, color=color, bold=True)
        label = label or placer.write(text, placer.corners(), size_pt=pt - 0.5, color=color, bold=True)
        if label is not None:
            found[move.name] = label
    return found
