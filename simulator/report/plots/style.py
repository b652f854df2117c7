"""One look for all figures: sizes of a printed page, a palette for every eye, units on every axis, a thin grid."""

from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from simulator.units import format_si

SINGLE_IN: Final = (3.5, 2.9)  # one column of a two-column page
DOUBLE_IN: Final = (7.1, 4.6)  # the whole width of it

# Okabe & Ito's palette without its yellow, which is too pale for lines on white
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")  # every colour has its own marker, for prints without colour
Dash = str | tuple[int, tuple[int, ...]]
DASHES: Final[tuple[Dash, ...]] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
BOUND_LOOK: Final = {"compute": (PALETTE[1], "s"), "memory": (PALETTE[0], "o"), "overhead": (PALETTE[2], "^")}
INK: Final = "#222222"
FAINT: Final = "#8c8c8c"

_RC: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "text.usetex": False,
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,  # embedded TrueType: text stays text
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # outlines: the picture is the same where the font is missing
    "svg.hashsalt": "simulator",  # the same ids in every run
    "text.hinting": "no_hinting",  # widths that do not depend on the resolution
}


def context() -> AbstractContextManager[None]:
    """The settings that matplotlib reads from rcParams when it creates or writes text; undone on leaving."""
    return mpl.rc_context(_RC)


def new_axes(size_in: tuple[float, float] = DOUBLE_IN) -> tuple[Figure, Axes]:
    """A figure of a given size with one axes: margins are constant in inches, so that pictures line up on a page."""
    figure, (axes,) = new_panels(1, size_in)
    return figure, axes


def new_panels(count: int, size_in: tuple[float, float]) -> tuple[Figure, tuple[Axes, ...]]:
    """A figure with axes one below the other, the first on top, each with the margins that one alone has."""
    with context():
        figure = Figure(figsize=size_in, dpi=200)
        pt = font_pt(figure)
        left_in, right_in, bottom_in, top_in = pt * 0.072, pt * 0.022, pt * 0.058, pt * 0.034
        width_in, height_in = size_in[0], size_in[1] / count
        rectangles = [
            (
                left_in / width_in, bottom_in / size_in[1] + (count - 1 - place) / count,
                1 - (left_in + right_in) / width_in, (1 - (bottom_in + top_in) / height_in) / count,
            )
            for place in range(count)
        ]  # fmt: skip
        return figure, tuple(figure.add_axes(rectangle) for rectangle in rectangles)


def font_pt(figure: Figure) -> float:
    """Text size in points: 8 on a page-wide figure, 7 in a column."""
    return 8.0 if figure.get_figwidth() > 5 else 7.0


def dress(ax: Axes, pt: float) -> None:
    """Thin frame and grid, small ticks. Set on the artists, not in rcParams: ticks are created when they are drawn."""
    ax.grid(visible=True, which="major", linewidth=0.4, color="#dddddd")
    ax.set_axisbelow(True)
    ax.tick_params(which="both", labelsize=pt - 1, width=0.5, length=2.5, color=INK, labelcolor=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_linewidth(0.6)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set(fontsize=pt, color=INK)


def log_decades(ax: Axes, x_limits: tuple[float, float], y_limits: tuple[float, float]) -> None:
    """Logarithmic axes that end at full decades; ticks are written with SI prefixes (`100 G`)."""
    ax.set(xscale="log", yscale="log", xlim=x_limits, ylim=y_limits)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(base=10, numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    return f"{value:g}" if 1e-3 <= value < 1e4 else readable(value, "")


def readable(value: float, unit: str) -> str:
    """`63.2 µs`: a number on a figure."""
    text = format_si(value, unit)
    return text.replace(" u", " µ", 1)
