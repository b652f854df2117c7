"""What time and energy are made of: a bar an estimate, cut into parts, with the total behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.patches import Patch
from matplotlib.text import Text

from simulator.errors import UsageError, did_you_mean
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity, Scale, legend_look, scale_of, set_axis, set_title, shortened
from simulator.report.plots.labels import Placer
from simulator.report.plots.registry import plot
from simulator.report.plots.series import figure_of, memory_name, names
from simulator.result.estimate import Estimate
from simulator.study.parts import BREAKDOWNS, OUTSIDE

_COLORS: Final[Mapping[str, str]] = {
    **{name: look[0] for name, look in style.BOUND_LOOK.items()}, "transfer": style.PALETTE[4], "static": "#b3b3b3",
    "active": style.PALETTE[3], OUTSIDE: "#d4d4d4", "other": "#ebebeb",
}  # fmt: skip
_MORE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7f6d2f", "#8a8ac9")  # classes, memories
_WORDS: Final[Mapping[str, str]] = {
    OUTSIDE: "outside kernels", "active": "measured as a whole", "static": "static power", "depthwise_conv": "depthwise conv",
}  # fmt: skip
_MOST: Final = 8  # parts with a colour of their own
_ROW_IN: Final = 0.30
_BAR: Final = 0.66
_NAME_WIDE, _NAME_NARROW = 34, 20
_LEGEND_ROW_IN: Final = 0.165


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar: its name and its parts in SI units, in the order they stand; None where they are not known."""

    name: str
    parts: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class BreakdownArtists:
    """What was drawn: the bars of each part (one an estimate that has it), shares in them, totals behind them."""

    bars: dict[str, BarContainer]
    shares: dict[tuple[str, str], Text]
    totals: dict[str, Text]
    legend: Legend
    title: Text
    scale: Scale


def stacks(estimates: Sequence[Estimate], what: str = "time") -> tuple[Stack, ...]:
    """The parts of some estimates: `time`, `time by class`, `energy` or `energy by class`.

    Raises:
        UsageError: no such breakdown, or no estimates.
    """
    if what not in BREAKDOWNS:
        raise UsageError(f"no breakdown '{what}'{did_you_mean(what, BREAKDOWNS)} (known: {', '.join(BREAKDOWNS)})")
    if not estimates:
        raise UsageError("a breakdown needs at least one estimate")
    return tuple(Stack(name, BREAKDOWNS[what](est)) for name, est in zip(names(estimates), estimates, strict=True))


def quantity(what: str) -> Quantity:
    """What the axis of a breakdown shows."""
    return Quantity("Energy", "J", log=False) if what.startswith("energy") else Quantity("Latency", "s", log=False)


def figure(
    estimates: Sequence[Estimate], what: str = "time", *, title: str = "", width_in: float = style.DOUBLE_IN[0],
    relative: bool = False,
) -> tuple[Figure, BreakdownArtists]:  # fmt: skip
    """A figure of its own, as high as its bars need and with room for their names."""
    found = stacks(estimates, what)
    return stacked_figure(found, value=quantity(what), title=title, width_in=width_in, relative=relative)


def stacked_figure(
    found: Sequence[Stack], *, value: Quantity, title: str = "", width_in: float = style.DOUBLE_IN[0], relative: bool = False
) -> tuple[Figure, BreakdownArtists]:
    """The same of plain numbers."""
    with style.context():
        fig, ax = style.new_axes((width_in, 2.0))
        pt = style.font_pt(fig)
        widest = max((Placer(ax).size_px(n, FontProperties(size=pt - 0.5))[0] / fig.dpi for n in _short(found, pt)), default=0.0)
        parts = _parts(found)
        rows = -(-len(parts) // _columns(ax, parts, pt))
        left, right, low, high = widest + 0.16, 0.12, 0.44, 0.32 + _LEGEND_ROW_IN * rows
        height = low + high + max(len(found), 1) * _ROW_IN * pt / 8 + 0.06
        fig.set_size_inches(width_in, height)
        ax.set_position((left / width_in, low / height, (width_in - left - right) / width_in, 1 - (low + high) / height))
    return fig, stacked(found, ax, value=value, title=title, relative=relative)


@plot("breakdown", needs="estimates")
def breakdown(
    estimates: Sequence[Estimate], ax: Axes, what: str = "time", *, title: str = "", relative: bool = False
) -> BreakdownArtists:
    """Draw what the time or the energy of some estimates is made of; see `stacks` and `stacked`."""
    return stacked(stacks(estimates, what), ax, value=quantity(what), title=title, relative=relative)


def stacked(found: Sequence[Stack], ax: Axes, *, value: Quantity, title: str = "", relative: bool = False) -> BreakdownArtists:
    """Draw bars cut into parts, with their shares where there is room, and the totals; the legend is above the axes.

    `relative` makes all bars as long as each other: then only the shares are compared.

    Raises:
        UsageError: nothing known, two of one name, or a part that is negative.
    """
    with style.context():
        _check(found)
        pt = style.font_pt(figure_of(ax))
        parts, merged = _parts(found), [_merged(one, _parts(found)) for one in found]
        wholes = [sum(own.values()) for own in merged]
        scale = scale_of(Quantity("Share", "%", log=False), [100.0]) if relative else scale_of(value, wholes)
        shown = np.array([[own.get(p, 0.0) * (100.0 / (whole or 1.0) if relative else 1 / scale.factor) for p in parts]
                          for own, whole in zip(merged, wholes, strict=True)])  # fmt: skip
        _prepare(ax, found, scale, float(shown.sum(axis=1).max()), pt)
        bars, shares = _bars(ax, found, parts, shown, pt)
        totals = _totals(ax, found, wholes, shown, value, pt)
        legend = _legend(ax, parts, pt)
        rows = -(-len(parts) // _columns(ax, parts, pt))
        heading = set_title(ax, title, pt, pad_pt=5.0 + 72 * _LEGEND_ROW_IN * rows)
        return BreakdownArtists(bars, shares, totals, legend, heading, scale)


def _check(found: Sequence[Stack]) -> None:
    if not any(one.parts for one in found) or len({one.name for one in found}) < len(found):
        raise UsageError("a breakdown needs parts that are known, of things of different names")
    for one in found:
        wrong = [name for name, part in (one.parts or {}).items() if not (0 <= part < np.inf)]
        if wrong:
            raise UsageError(
                f"part '{wrong[0]}' of '{one.name}' is {(one.parts or {})[wrong[0]]:g}; parts are positive and finite"
            )


def _parts(found: Sequence[Stack]) -> list[str]:
    """All parts in the order they are met, what is left over at the end; the smallest together where these are many."""
    largest: dict[str, float] = {}
    for one in found:
        whole = sum((one.parts or {}).values()) or 1.0
        for name, part in (one.parts or {}).items():
            largest[name] = max(largest.get(name, 0.0), part / whole)
    keep = sorted(largest, key=lambda name: -largest[name])[: _MOST if len(largest) <= _MOST else _MOST - 1]
    ordered = [name for name in largest if name in keep and name != OUTSIDE]
    return [*ordered, *(["other"] if len(keep) < len(largest) else []), *([OUTSIDE] if OUTSIDE in keep else [])]


def _merged(one: Stack, parts: Sequence[str]) -> dict[str, float]:
    own: dict[str, float] = {}
    for name, part in (one.parts or {}).items():
        key = name if name in parts else "other"
        own[key] = own.get(key, 0.0) + part
    return own


def _color(part: str, parts: Sequence[str]) -> str:
    """Of a bound, always the same; of classes and memories, in order, none that a bound beside it has."""
    if part in _COLORS:
        return _COLORS[part]
    taken = {_COLORS[p] for p in parts if p in _COLORS}
    free = [color for color in _MORE if color not in taken]
    others = [p for p in parts if p not in _COLORS]
    return free[others.index(part) % len(free)]


def _short(found: Sequence[Stack], pt: float) -> list[str]:
    return shortened([one.name for one in found], _NAME_WIDE if pt >= 8 else _NAME_NARROW)


def _word(part: str) -> str:
    return _WORDS.get(part, memory_name(part) if part in ("l1", "l2", "l3", "sram", "dram", "hbm", "gddr", "pcie") else part)


def _prepare(ax: Axes, found: Sequence[Stack], scale: Scale, longest: float, pt: float) -> None:
    style.dress(ax, pt)
    ax.grid(visible=False, axis="y")
    room = 0.62 * pt / 72 * 8 / (ax.bbox.width / figure_of(ax).dpi)  # the width of a total over that of the axes
    set_axis(ax, "x", scale, (0.0, longest / (1 - min(room, 0.4))))
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set_yticks(range(len(found)), _short(found, pt))
    ax.tick_params(axis="y", length=0, labelsize=pt - 0.5)


def _bars(
    ax: Axes, found: Sequence[Stack], parts: Sequence[str], shown: Any, pt: float
) -> tuple[dict[str, BarContainer], dict[tuple[str, str], Text]]:
    """Parts side by side; the share of each is written inside where it fits."""
    placer, font = Placer(ax), FontProperties(size=pt - 1.5)
    per_unit = placer.pixel(1.0, 0.0)[0] - placer.pixel(0.0, 0.0)[0]
    bars: dict[str, BarContainer] = {}
    shares: dict[tuple[str, str], Text] = {}
    left = np.zeros(len(found))
    for column, part in enumerate(parts):
        width, color = shown[:, column], _color(part, parts)
        bars[part] = ax.barh(range(len(found)), width, _BAR, left=left, color=color, edgecolor="white", linewidth=0.5, zorder=2)
        for row, one in enumerate(found):
            text = f"{100 * width[row] / (shown[row].sum() or 1.0):.0f} %"
            if placer.size_px(text, font)[0] + 4 * placer.px_per_pt < width[row] * per_unit:
                ink = "white" if _is_dark(color) else style.INK
                shares[one.name, part] = ax.text(
                    left[row] + width[row] / 2, row, text, fontproperties=font, color=ink, ha="center", va="center", zorder=3
                )
        left = left + width
    return bars, shares


def _is_dark(color: str) -> bool:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.55


def _totals(ax: Axes, found: Sequence[Stack], wholes: Sequence[float], shown: Any, value: Quantity, pt: float) -> dict[str, Text]:
    """Behind each bar; where nothing is known, that."""
    return {
        one.name: ax.annotate(
            "not known" if one.parts is None else value.text(whole), (float(shown[row].sum()), row), xytext=(3, 0),
            textcoords="offset points", ha="left", va="center", fontsize=pt - 0.5, zorder=4,
            color=style.FAINT if one.parts is None else style.INK,
        )
        for row, (one, whole) in enumerate(zip(found, wholes, strict=True))
    }  # fmt: skip


def _columns(ax: Axes, parts: Sequence[str], pt: float) -> int:
    """Of the legend: as many as fit side by side across the figure."""
    placer, font, em_px = Placer(ax), FontProperties(size=pt - 1), (pt - 1) * figure_of(ax).dpi / 72
    widths = [placer.size_px(_word(p), font)[0] + 2.9 * em_px for p in parts]
    room = figure_of(ax).bbox.width - 0.2 * figure_of(ax).dpi
    fits = (n for n in range(len(parts), 1, -1) if sum(max(own) for own in np.array_split(widths, n)) <= room)
    return next(fits, 1)


def _legend(ax: Axes, parts: Sequence[str], pt: float) -> Legend:
    """Above the axes, from the left edge of the figure on: outside of the data."""
    fig = figure_of(ax)
    frame = ax.get_position()
    handles = [Patch(facecolor=_color(part, parts)) for part in parts]
    columns = _columns(ax, parts, pt)
    look = {**legend_look(pt), "handlelength": 1.0, "columnspacing": 1.2, "borderpad": 0.0, "borderaxespad": 0.0}
    x = (0.08 / fig.get_figwidth() - frame.x0) / frame.width if columns < len(parts) or frame.width < 0.7 else 0.0
    y = 1 + 0.05 / (frame.height * fig.get_figheight())
    return ax.legend(handles, [_word(p) for p in parts], loc="lower left", bbox_to_anchor=(x, y), ncols=columns, **look)
