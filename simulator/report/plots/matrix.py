"""Things by things: a number in every cell, coloured by how far it is from the best of its row, the best in bold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity, set_title, shortened
from simulator.report.plots.labels import Placer
from simulator.report.plots.series import figure_of

Array = NDArray[np.float64]

_COLORS: Final = "YlGnBu"  # even for colour-blind eyes
_LIGHTEST, _DARKEST = 0.02, 0.88  # of the colour map: text stays readable
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # how bright red, green and blue are to the eye (ITU-R BT.601)
_DARK: Final = 0.5
_ROW_IN: Final = 0.26
_CELL_IN: Final = 1.1  # width, at most
_LEAST_IN: Final = 3.5  # of a figure: the title and the words below the cells
_NAME: Final = 24
_BAR_IN: Final = 0.11
_LEAST_RATIO: Final = 2.0  # span of colours where all are alike


@dataclass(frozen=True, slots=True)
class MatrixArtists:
    """What was drawn: `numbers` by row and column, None cells among them as '–'; `best` the cells framed, one or more a row."""

    cells: QuadMesh
    numbers: dict[tuple[int, int], Text]
    best: dict[tuple[int, int], Rectangle]
    missing: dict[tuple[int, int], Rectangle]
    bar: Colorbar
    title: Text


def figure(
    values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str], *, value: Quantity, title: str = "",
    width_in: float = style.DOUBLE_IN[0],
) -> tuple[Figure, MatrixArtists]:  # fmt: skip
    """A figure of its own, as high as its rows and the names of its columns need, and no wider than its cells do."""
    with style.context():
        fig, ax = style.new_axes((width_in, 2.0))
        pt = style.font_pt(fig)
        placer, font = Placer(ax), FontProperties(size=pt - 0.5)
        widths = {n: placer.size_px(n, font)[0] / fig.dpi for n in shortened([*rows, *columns], _NAME)}
        left = 0.08 + max(widths[n] for n in shortened(rows, _NAME))
        wide = max(widths[n] for n in shortened(columns, _NAME))
        cell = min((width_in - left - 0.12) / len(columns), _CELL_IN)
        is_turned = wide > cell - 0.06
        right = 0.12 + (max(0.72 * wide + 0.08 - cell / 2, 0.0) if is_turned else 0.0)
        inner = min(width_in - left - right, cell * len(columns))
        top = 0.34 + (0.08 + 0.75 * wide if is_turned else 0.18)
        bottom, row = 0.62, _ROW_IN * pt / 8
        width_in = min(width_in, max(left + inner + right, _LEAST_IN))
        height = top + bottom + row * len(rows)
        fig.set_size_inches(width_in, height)
        ax.set_position((left / width_in, bottom / height, inner / width_in, row * len(rows) / height))
    return fig, matrix(values, ax, rows, columns, value=value, title=title)


def matrix(
    values: Sequence[Sequence[float | None]], ax: Axes, rows: Sequence[str], columns: Sequence[str], *, value: Quantity,
    title: str = "",
) -> MatrixArtists:  # fmt: skip
    """Draw SI values by row and column; less is better unless `value` says otherwise. None and NaN are hatched.

    Raises:
        UsageError: no cells, a row of another length, or values that are not positive.
    """
    with style.context():
        cells = _checked(values, rows, columns)
        pt = style.font_pt(figure_of(ax))
        ratios = _ratios(cells, is_more=value.better == "more")
        mesh = _mesh(ax, ratios)
        _names(ax, rows, columns, pt)
        missing = {at: _frame(ax, at, hatched=True) for at in zip(*map(list, np.nonzero(np.isnan(cells))), strict=True)}
        best = {at: _frame(ax, at, hatched=False) for at in zip(*map(list, np.nonzero(ratios == 1.0)), strict=True)}
        numbers = _numbers(ax, cells, mesh, value, best, pt)
        bar = _bar(ax, mesh, value, pt)
        heading = set_title(ax, title, pt, pad_pt=7.0)
        return MatrixArtists(mesh, numbers, best, missing, bar, heading)


def _checked(values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Array:
    if not rows or not columns or len(values) != len(rows) or any(len(row) != len(columns) for row in values):
        raise UsageError(f"a matrix of {len(rows)} rows and {len(columns)} columns needs a value or None for each cell")
    cells = np.array([[math.nan if v is None else v for v in row] for row in values], np.float64)
    if not (cells > 0).any() or (cells <= 0).any() or np.isinf(cells).any():
        raise UsageError("a matrix compares positive finite values, one at least; write None where there is none")
    return cells


def _ratios(cells: Array, *, is_more: bool) -> Array:
    """How many times worse than the best of its row each cell is, 1 at best; NaN where there is none."""
    sortable = np.where(np.isnan(cells), -np.inf if is_more else np.inf, cells)
    best = (sortable.max if is_more else sortable.min)(axis=1, keepdims=True)
    return np.asarray(best / cells if is_more else cells / best)


def _mesh(ax: Axes, ratios: Array) -> QuadMesh:
    """Colours by the logarithm of the ratio."""
    logs = np.ma.masked_invalid(np.log10(ratios))
    norm = Normalize(0.0, max(float(logs.max()), math.log10(_LEAST_RATIO)))
    shades = colormaps[_COLORS](np.linspace(_LIGHTEST, _DARKEST, 256))
    colors = LinearSegmentedColormap.from_list(_COLORS, shades.tolist())
    height, width = ratios.shape
    look: dict[str, Any] = {"norm": norm, "cmap": colors, "edgecolors": "white", "linewidth": 0.8}
    return ax.pcolormesh(np.arange(width + 1), np.arange(height + 1), logs, **look)


def _names(ax: Axes, rows: Sequence[str], columns: Sequence[str], pt: float) -> None:
    """Rows at the left, columns on top, turned where they are wider than their cells."""
    ax.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    placer, font = Placer(ax), FontProperties(size=pt - 0.5)
    short = shortened(columns, _NAME)
    room = ax.bbox.width / len(columns) - 0.06 * figure_of(ax).dpi
    is_turned = max(placer.size_px(name, font)[0] for name in short) > room
    look: dict[str, Any] = (
        {"rotation": 45, "ha": "left", "rotation_mode": "anchor"} if is_turned else {"rotation": 0, "ha": "center"}
    )
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(columns)) + 0.5, short, **look)
    ax.set_yticks(np.arange(len(rows)) + 0.5, shortened(rows, _NAME))
    ax.tick_params(length=0, labelsize=pt - 0.5, labelcolor=style.INK, pad=2)
    ax.spines[:].set_visible(False)


def _frame(ax: Axes, at: tuple[int, int], *, hatched: bool) -> Rectangle:
    """The frame of a best cell, or the hatching of an empty one."""
    row, column = at
    box = Rectangle((column, row), 1, 1, facecolor="none", zorder=3 if hatched else 3.5, clip_on=False)
    if hatched:
        box.set(facecolor="#f6f6f6", hatch="////", edgecolor="#cfcfcf", linewidth=0.0)
    else:
        box.set(edgecolor=style.PALETTE[1], linewidth=1.2)
    ax.add_patch(box)
    return box


def _numbers(
    ax: Axes, cells: Array, mesh: QuadMesh, value: Quantity, best: dict[tuple[int, int], Rectangle], pt: float
) -> dict[tuple[int, int], Text]:
    """In all cells at one size, the largest at which the longest fits."""
    texts = {(r, c): "–" if np.isnan(v) else value.text(float(v)) for (r, c), v in np.ndenumerate(cells)}
    placer, size = Placer(ax), pt - 0.5
    room = 0.92 * ax.bbox.width / cells.shape[1]
    bold = {at: FontProperties(size=size, weight="bold") for at in texts}
    longest = max(placer.size_px(text, bold[at])[0] for at, text in texts.items())
    size *= min(1.0, room / longest)
    colors = mesh.to_rgba(np.ma.filled(np.ma.asarray(mesh.get_array()), 0.0).reshape(cells.shape))
    light = np.asarray(colors)[..., :3] @ _LUMA
    found = {}
    for (row, column), text in texts.items():
        is_dark = not np.isnan(cells[row, column]) and light[row, column] < _DARK
        found[row, column] = ax.text(
            column + 0.5, row + 0.5, text, ha="center", va="center_baseline", fontsize=size, zorder=4,
            color="white" if is_dark else style.INK, fontweight="bold" if (row, column) in best else "normal",
        )  # fmt: skip
    return found


def _bar(ax: Axes, mesh: QuadMesh, value: Quantity, pt: float) -> Colorbar:
    """Below the cells: times the best of the row."""
    fig = figure_of(ax)
    place, height_in = ax.get_position(), fig.get_figheight()
    cax = fig.add_axes((place.x0, place.y0 - 0.22 / height_in, min(place.width, 2.2 / fig.get_figwidth()), _BAR_IN / height_in))
    bar = fig.colorbar(mesh, cax=cax, orientation="horizontal")
    high = 10.0 ** mesh.get_clim()[1]
    steps = (1, 1.5, 2, 3, 5, 7) if high < 10 else (1, 3, 10, 30, 100, 300) if high < 1e3 else tuple(10.0**n for n in range(9))
    at = [s for s in steps if s <= high * 1.0001]
    bar.ax.xaxis.set_major_locator(FixedLocator([math.log10(s) for s in at]))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.set_xticklabels([f"{s:g}×" for s in at])
    bar.ax.tick_params(labelsize=pt - 1, width=0.5, length=2, color=style.INK, labelcolor=style.INK, pad=1.5)
    bar.outline.set(linewidth=0.4, edgecolor=style.INK)
    best, name = "row's best (framed)", value.name
    label = f"The {best} ÷ {name[:1].lower()}{name[1:]}" if value.better == "more" else f"{name} ÷ the {best}"
    bar.set_label(label, fontsize=pt - 0.5, color=style.INK, labelpad=1.5, loc="left")
    return bar
