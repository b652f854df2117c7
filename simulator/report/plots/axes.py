"""Axes of studies: what is shown, in which unit, linear or logarithmic, and which way is better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.labels import Box, Placer
from simulator.report.plots.series import figure_of
from simulator.study.fronts import Better
from simulator.units import format_bytes, format_si

Array = NDArray[np.float64]

_PREFIXES: Final = (("f", 1e-15), ("p", 1e-12), ("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0), ("k", 1e3), ("M", 1e6),
                    ("G", 1e9), ("T", 1e12), ("P", 1e15))  # fmt: skip
_BINARY: Final = (("", 1.0), ("Ki", 2.0**10), ("Mi", 2.0**20), ("Gi", 2.0**30), ("Ti", 2.0**40))
_PREFIXED: Final = frozenset(
    ("s", "J", "W", "Hz", "m", "V", "A", "B", "B/s", "MAC", "MAC/s", "FLOP", "FLOP/s", "OP", "OP/s", "J/MAC", "J/OP", "OP/J")
)
_DECADE: Final = 10.0
_MARGIN: Final = 0.06  # of the span, free at either end
_FEW: Final = 1.2  # decades, below which a logarithmic axis has ticks within them
_FEW_PLACES: Final = 14  # values, up to which each may have a tick
_LEGEND_SPOTS: Final = ("upper right", "upper left", "lower right", "lower left", "upper center", "lower center")


@dataclass(frozen=True, slots=True)
class Quantity:
    """What an axis or a colour shows. Values are in the SI `unit`; prefixes are added for the picture.

    `better` says which way is better, if any; `log` None takes logarithms where all values are positive and span a decade.
    """

    name: str
    unit: str = ""
    better: Better | None = None
    log: bool | None = None

    def text(self, value: float) -> str:
        """`12.3 ms`, `1.5 MiB`, `42 %`: one value with its unit."""
        if not math.isfinite(value):
            return "∞" if value > 0 else "–"
        if self.unit == "B":
            return format_bytes(value)
        if self.unit in _PREFIXED or (not self.unit and abs(value) >= 1e4):
            return format_si(value, self.unit)
        number = format_si(value, "") if abs(value) >= 1e4 else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Scale:
    """A quantity on an axis: values divided by `factor` are in `unit`."""

    quantity: Quantity
    unit: str
    factor: float
    log: bool

    def shown(self, values: Any) -> Array:
        """SI values as they stand on the axis."""
        return np.asarray(values, np.float64) / self.factor

    @property
    def label(self) -> str:
        """`Latency (ms)`."""
        return f"{self.quantity.name} ({self.unit})" if self.unit else self.quantity.name

    @property
    def axis_label(self) -> str:
        """The label with an arrow that points where it gets better: `← better   Latency (ms)`."""
        if self.quantity.better is None:
            return self.label
        return f"← better   {self.label}" if self.quantity.better == "less" else f"{self.label}   better →"


def scale_of(quantity: Quantity, values: Any, *, log: bool | None = None) -> Scale:
    """The unit and the kind of axis that suit some SI values.

    Raises:
        UsageError: no finite value, or a logarithmic axis asked for values that are not positive.
    """
    found = np.asarray(values, np.float64).ravel()
    found = found[np.isfinite(found)]
    if not len(found):
        raise UsageError(f"there is no value of {quantity.name or 'the quantity'} to draw")
    wanted = quantity.log if log is None else log
    positive = bool((found > 0).all())
    if wanted and not positive:
        raise UsageError(f"a logarithmic axis needs positive values; {quantity.name} goes down to {found.min():g}")
    is_log = bool(positive and found.max() >= _DECADE * found.min()) if wanted is None else wanted
    # the largest value has one to three digits before the point, on a logarithmic axis up to four
    largest = float(np.abs(found).max())
    unit, factor = _unit(quantity.unit, largest / _DECADE if is_log else largest)
    return Scale(quantity, unit, factor, is_log)


def _unit(unit: str, value: float) -> tuple[str, float]:
    """The unit in which a value has one to three digits before the point."""
    if unit not in _PREFIXED or not value:
        return unit, 1.0
    table = _BINARY if unit == "B" else _PREFIXES
    prefix, factor = next((p for p in reversed(table) if value >= p[1] * 0.9999999), table[0])
    return prefix + unit, factor


def padded(scale: Scale, values: Any, *, low: float = _MARGIN, high: float = _MARGIN) -> tuple[float, float]:
    """Limits of an axis around SI values, with shares of the span free at the ends; linear ones do not cross zero for it."""
    shown = scale.shown(values)
    shown = shown[np.isfinite(shown)]
    first, last = float(shown.min()), float(shown.max())
    if scale.log:
        a, b = math.log10(first), math.log10(last)
        span = (b - a) or 0.6
        return 10.0 ** (a - low * span), 10.0 ** (b + high * span)
    span = (last - first) or abs(last) or 1.0
    bottom = first - low * span
    return (0.0 if first >= 0 > bottom else bottom), last + high * span


def set_axis(ax: Axes, which: str, scale: Scale, limits: tuple[float, float], values: Any = ()) -> None:
    """Scale, limits, ticks and label of `x` or `y`; ticks at SI `values` where their numbers have room beside each other."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    (ax.set_xscale if which == "x" else ax.set_yscale)("log" if scale.log else "linear")
    (ax.set_xlim if which == "x" else ax.set_ylim)(*limits)
    (ax.set_xlabel if which == "x" else ax.set_ylabel)(scale.axis_label)
    is_wide = figure_of(ax).get_figwidth() > 5
    if scale.log:
        decades = math.log10(limits[1] / limits[0])
        subs = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > _FEW else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=8 if is_wide else 6))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=7 if is_wide else 5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    places = np.unique(scale.shown(values))
    if _have_room(ax, which, places):
        axis.set_major_locator(FixedLocator(places.tolist()))


def _have_room(ax: Axes, which: str, places: Array) -> bool:
    """Whether the numbers of ticks at some places keep clear of each other."""
    if not 1 < len(places) <= _FEW_PLACES:
        return False
    placer = Placer(ax)
    font = FontProperties(size=style.font_pt(figure_of(ax)) - 1)
    side = 0 if which == "x" else 1
    xy = np.tile([ax.get_xlim()[0], ax.get_ylim()[0]], (len(places), 1))
    xy[:, side] = places
    at = placer.to_px(xy)[:, side]
    sizes = np.array([placer.size_px(tick(place), font)[side] for place in places])
    return bool((np.diff(at) > (sizes[1:] + sizes[:-1]) / 2 + 4 * placer.px_per_pt).all())


def tick(value: float) -> str:
    """A number on an axis: `0.02`, `300`, `50 k`."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:g}".replace("-", "−")
    return style.readable(value, "").replace("-", "−")


def make_room(ax: Axes, legend: Legend, xy: Array, lines: Sequence[Array] = (), radius_pt: float = 3.0) -> None:
    """Put a legend where it covers none of some points, shape (n, 2) in data coordinates, nor of lines between such points.

    If there is no such place, the upper end of y is raised until there is room above all of them.
    """
    placer = Placer(ax)
    known = xy[np.isfinite(xy).all(axis=1)]
    placer.avoid_markers(known, radius_pt)
    for line in lines:
        placer.avoid_line(line)
    for spot in _LEGEND_SPOTS:
        legend.set_loc(spot)
        if not placer.cost(window(placer, legend)):
            return
    legend.set_loc("upper right")
    frame, pad = ax.bbox, (radius_pt + 3.0) * placer.px_per_pt
    free = float(window(placer, legend).corners[:, 1].min()) - pad - frame.y0  # below the legend
    highest = float(placer.to_px(known)[:, 1].max()) - frame.y0
    raised = frame.y0 + frame.height * max(highest / max(free, 1.0), 1.0)
    ax.set_ylim(top=float(ax.transData.inverted().transform((frame.x0, raised))[1]))


def window(placer: Placer, legend: Legend) -> Box:
    """The rectangle of a legend in pixels."""
    extent = legend.get_window_extent(placer.renderer)
    return Box((extent.x0, extent.y0), 0, 0, extent.width, extent.height)


def set_title(ax: Axes, title: str, pt: float, pad_pt: float = 4.0) -> Text:
    """As many of the comma-separated facts of a title as fit above the axes."""
    placer, facts, font = Placer(ax), title.split(", "), FontProperties(size=pt)
    while len(facts) > 1 and placer.size_px(", ".join(facts), font)[0] > ax.bbox.width:
        facts.pop()
    return ax.set_title(", ".join(facts), loc="left", fontsize=pt, color=style.INK, pad=pad_pt)


def shortened(texts: Sequence[str], length: int) -> list[str]:
    """Names no longer than `length`, cut in the middle, where the least of their sense is."""
    half = (length - 1) // 2
    return [t if len(t) <= length else f"{t[: length - 1 - half]}…{t[-half:]}" for t in texts]


def legend_look(pt: float) -> dict[str, Any]:
    """What all legends of studies share."""
    return {
        "fontsize": pt - 1, "title_fontsize": pt - 1, "framealpha": 0.9, "edgecolor": "none", "borderpad": 0.3,
        "handletextpad": 0.4, "handlelength": 1.6, "labelspacing": 0.25, "borderaxespad": 0.4, "alignment": "left",
    }  # fmt: skip
