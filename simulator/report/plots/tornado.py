"""Which parameter matters: the effect of half and of twice each figure on the result, the strongest on top."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity, legend_look, set_title, shortened
from simulator.report.plots.labels import Placer
from simulator.report.plots.series import figure_of

_HALF, _TWICE = style.PALETTE[4], style.PALETTE[0]
_BAR: Final = 0.66  # height of a row's bars, of the row's 1
_ROW_IN: Final = 0.22
_NAME_WIDE, _NAME_NARROW = 30, 22
_LEAST_SPAN: Final = 1.05  # of the axis to either side, where nothing has an effect
_GAP_PT: Final = 2.5
_TICKS: Final = (
    0.01, 100, 0.02, 50, 0.05, 20, 0.1, 10, 0.2, 5, 0.3, 3, 0.5, 2, 0.7, 1.5, 0.8, 1.2, 0.9, 1.1, 0.95, 1.05, 0.98, 1.02,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effect:
    """Result with half and with twice a parameter, each over the result as it is; None where it could not be found."""

    name: str
    half: float | None
    twice: float | None

    @property
    def strength(self) -> float:
        """How far the result moves at most, in octaves or parts of one."""
        return max((abs(math.log2(r)) for r in (self.half, self.twice) if r is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class TornadoArtists:
    """What was drawn, from the top down: `effects` in order, a bar and a number for each known end of them."""

    effects: tuple[Effect, ...]
    half: BarContainer
    twice: BarContainer
    numbers: dict[tuple[str, str], Text]
    middle: Line2D
    legend: Legend
    title: Text
    left_out: int


def figure(
    effects: Sequence[Effect], *, value: Quantity, top: int = 12, title: str = "", width_in: float = style.DOUBLE_IN[0]
) -> tuple[Figure, TornadoArtists]:
    """A figure of its own, as high as its rows need and with room for their names."""
    with style.context():
        rows = min(len(effects), top)
        fig, ax = style.new_axes((width_in, 2.0))
        pt = style.font_pt(fig)
        names = _short(effects, pt)
        widest = max((Placer(ax).size_px(n, FontProperties(size=pt - 0.5))[0] / fig.dpi for n in names), default=0.0)
        left, right, low, high = widest + 0.16, 0.12, 0.44, 0.52
        height = low + high + max(rows, 2) * _ROW_IN * pt / 8
        fig.set_size_inches(width_in, height)
        ax.set_position((left / width_in, low / height, (width_in - left - right) / width_in, 1 - (low + high) / height))
    return fig, tornado(effects, ax, value=value, top=top, title=title)


def tornado(effects: Sequence[Effect], ax: Axes, *, value: Quantity, top: int = 12, title: str = "") -> TornadoArtists:
    """Draw bars from 1 to the ratio at half and at twice each parameter, the `top` strongest, on a logarithmic axis.

    Raises:
        UsageError: no effects, two of one name, or a ratio that is not positive.
    """
    with style.context():
        _check(effects, top)
        chosen = tuple(sorted(effects, key=lambda e: -e.strength)[:top])
        pt = style.font_pt(figure_of(ax))
        _prepare(ax, chosen, value, pt)
        half, twice = _bars(ax, chosen, "half"), _bars(ax, chosen, "twice")
        middle = ax.axvline(1.0, color=style.INK, linewidth=0.8, zorder=4)
        numbers = _numbers(ax, chosen, pt)
        handles = [Rectangle((0, 0), 1, 1, facecolor=color) for color in (_HALF, _TWICE)]
        legend = ax.legend(
            handles, ["parameter at half", "at twice"], ncols=2, **{**legend_look(pt), "borderaxespad": 0.1, "borderpad": 0.1},
            loc="lower right", bbox_to_anchor=(1.0, 1.0),
        )  # fmt: skip
        heading = set_title(ax, title, pt, pad_pt=pt + 8)
        return TornadoArtists(chosen, half, twice, numbers, middle, legend, heading, len(effects) - len(chosen))


def _check(effects: Sequence[Effect], top: int) -> None:
    if not effects or top < 1 or len({e.name for e in effects}) < len(effects):
        raise UsageError("a tornado needs effects, of different names, and at least one row")
    for effect in effects:
        for ratio in (effect.half, effect.twice):
            if ratio is not None and not (0 < ratio < math.inf):
                raise UsageError(f"the effect of '{effect.name}' is {ratio:g} times; a ratio is positive and finite")


def _prepare(ax: Axes, chosen: Sequence[Effect], value: Quantity, pt: float) -> None:
    """As much to the left of 1 as to the right where both are needed, with room for the numbers."""
    style.dress(ax, pt)
    ax.grid(visible=False, axis="y")
    ratios = [r for e in chosen for r in (e.half, e.twice) if r is not None] or [1.0]
    low, high = math.log(min(*ratios, 1 / _LEAST_SPAN)), math.log(max(*ratios, _LEAST_SPAN))
    room = min(max(pt * 4.2 / 72 / (ax.bbox.width / figure_of(ax).dpi), 0.06), 0.3)  # a number's width over the axis'
    span = (high - low) / (1 - 2 * room)
    ax.set(xscale="log", xlim=(math.exp(low - room * span), math.exp(high + room * span)), ylim=(len(chosen) - 0.5, -0.5))
    wanted = _ticks(*ax.get_xlim(), 7 if pt >= 8 else 5)
    ax.xaxis.set_major_locator(FixedLocator(wanted))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: _times(ratio)))
    ax.set_yticks(range(len(chosen)), _short(chosen, pt))
    ax.tick_params(axis="y", length=0, labelsize=pt - 0.5)
    words = {"less": "   ← better", "more": "   better →", None: ""}[value.better]
    ax.set_xlabel(f"Relative {value.name[:1].lower()}{value.name[1:]} (×){words}")


def _short(effects: Sequence[Effect], pt: float) -> list[str]:
    return shortened([e.name for e in effects], _NAME_WIDE if pt >= 8 else _NAME_NARROW)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """1, and round ratios to both sides, the farthest first; none so near another that their numbers meet."""
    both = [ratio for ratio in _TICKS if low < ratio < high]
    found, apart = [1.0], math.log(high / low) / (1.5 * most)
    for ratio in both:
        if all(abs(math.log(ratio / other)) >= apart for other in found):
            found.append(ratio)
    return sorted(found)


def _times(ratio: float) -> str:
    return f"{ratio:.3g}×" if ratio >= 0.01 else f"1/{1 / ratio:.3g}"


def _place(effect: Effect, which: str, row: int) -> tuple[float, float]:
    """Middle and height of a bar: the whole row, or half of it where both bars point the same way."""
    half, twice = effect.half or 1.0, effect.twice or 1.0
    if (half - 1) * (twice - 1) <= 0:
        return float(row), _BAR
    return row + (-_BAR / 4 if which == "half" else _BAR / 4), _BAR / 2


def _ratio(effect: Effect, which: str) -> float | None:
    return effect.half if which == "half" else effect.twice


def _bars(ax: Axes, chosen: Sequence[Effect], which: str) -> BarContainer:
    places = [_place(e, which, row) for row, e in enumerate(chosen)]
    ends = np.array([_ratio(e, which) or 1.0 for e in chosen])
    return ax.barh(
        [y for y, _ in places], ends - 1.0, [h for _, h in places], left=1.0, color=_HALF if which == "half" else _TWICE,
        linewidth=0, zorder=3,
    )  # fmt: skip


def _numbers(ax: Axes, chosen: Sequence[Effect], pt: float) -> dict[tuple[str, str], Text]:
    """At the ends of the bars; none where a bar has no length, but for one where neither has."""
    found: dict[tuple[str, str], Text] = {}
    for row, effect in enumerate(chosen):
        for which in ("half", "twice"):
            ratio = _ratio(effect, which)
            is_flat = ratio is None or round(ratio, 3) == 1.0
            if ratio is None or (is_flat and (which == "half" or effect.strength > 1e-3)):
                continue
            y, height = _place(effect, which, row)
            side = -1 if ratio < 1 and not is_flat else 1
            found[effect.name, which] = ax.annotate(
                _times(ratio), (ratio, y), xytext=(side * _GAP_PT, 0), textcoords="offset points", color=style.INK, zorder=5,
                ha="right" if side < 0 else "left", va="center", fontsize=pt - 1 if height == _BAR else pt - 2.5,
            )  # fmt: skip
    return found
