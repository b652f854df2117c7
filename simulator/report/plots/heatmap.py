"""A quantity over two knobs as colours: with contours, and with the border between what bounds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity, Scale, scale_of, set_axis, set_title, tick
from simulator.report.plots.labels import Placer, Spot
from simulator.report.plots.series import figure_of

Array = NDArray[np.float64]

COLORS: Final = "viridis"  # even to the eye and in grey, for colour-blind readers too
_CONTOURS: Final = 6
_BAR_IN, _GAP_IN, _BAR_TEXT_IN = 0.13, 0.10, 0.52  # colour bar: its width, the space before and after it
_BORDER_PT: Final = 1.6


@dataclass(frozen=True, slots=True)
class GridArtists:
    """What was drawn; `labels` are the names of the regions, `borders` the edges of cells between two of them."""

    cells: QuadMesh
    contours: QuadContourSet | None
    contour_labels: tuple[Text, ...]
    borders: LineCollection | None
    labels: tuple[Text, ...]
    bar: Colorbar
    title: Text
    x: Scale
    y: Scale
    value: Scale


def figure(
    values: Any, x_values: Any, y_values: Any, *, x: Quantity, y: Quantity, value: Quantity,
    bounds: Sequence[Sequence[str]] | None = None, title: str = "", size_in: tuple[float, float] = style.DOUBLE_IN,
) -> tuple[Figure, GridArtists]:  # fmt: skip
    """A figure of its own with the grid."""
    fig, ax = style.new_axes(size_in)
    return fig, grid(values, ax, x_values, y_values, x=x, y=y, value=value, bounds=bounds, title=title)


def grid(
    values: Any, ax: Axes, x_values: Any, y_values: Any, *, x: Quantity, y: Quantity, value: Quantity,
    bounds: Sequence[Sequence[str]] | None = None, title: str = "",
) -> GridArtists:  # fmt: skip
    """Draw SI values of shape (n_y, n_x) over rising x and y; cells are centred on these, unknown ones (NaN) stay hatched.

    The colour bar takes its place from the right of `ax`. `bounds`, of the same shape, names what bounds each cell.

    Raises:
        UsageError: shapes that do not fit, fewer than two values on an axis, or values that do not rise.
    """
    with style.context():
        cells, xs, ys = _checked(values, x_values, y_values, bounds)
        pt = style.font_pt(figure_of(ax))
        x_scale, y_scale, scale = scale_of(x, xs), scale_of(y, ys), scale_of(value, cells)
        bar_axes = _split(ax)
        style.dress(ax, pt)
        ax.grid(visible=False)
        x_edges, y_edges = _edges(x_scale, xs), _edges(y_scale, ys)
        set_axis(ax, "x", x_scale, (x_edges[0], x_edges[-1]), xs)
        set_axis(ax, "y", y_scale, (y_edges[0], y_edges[-1]), ys)
        shown = np.ma.masked_invalid(scale.shown(cells))
        mesh = _mesh(ax, x_edges, y_edges, shown, scale)
        placer = Placer(ax)
        contours, numbers = _contours(placer, x_scale.shown(xs), y_scale.shown(ys), shown, scale, pt)
        borders, labels = _bounds(placer, x_edges, y_edges, bounds, pt)
        bar = _bar(mesh, bar_axes, scale, pt)
        return GridArtists(mesh, contours, numbers, borders, labels, bar, set_title(ax, title, pt), x_scale, y_scale, scale)


def _checked(values: Any, x_values: Any, y_values: Any, bounds: Any) -> tuple[Array, Array, Array]:
    cells, xs, ys = (np.asarray(v, np.float64) for v in (values, x_values, y_values))
    if cells.shape != (len(ys), len(xs)) or min(len(xs), len(ys)) < 2:
        raise UsageError(f"a grid of shape {cells.shape} needs as many y and x, two at least; there are {len(ys)} and {len(xs)}")
    if not ((np.diff(xs) > 0).all() and (np.diff(ys) > 0).all()):
        raise UsageError("the x and y of a grid must rise")
    if bounds is not None and np.shape(bounds) != cells.shape:
        raise UsageError(f"bounds of shape {np.shape(bounds)} do not fit a grid of shape {cells.shape}")
    return cells, xs, ys


def _split(ax: Axes) -> Axes:
    """Cut a strip for the colour bar off the right of an axes."""
    fig = figure_of(ax)
    width_in = fig.get_figwidth()
    place = ax.get_position()
    inner = place.width - (_BAR_IN + _GAP_IN + _BAR_TEXT_IN) / width_in
    ax.set_position((place.x0, place.y0, inner, place.height))
    return fig.add_axes((place.x0 + inner + _GAP_IN / width_in, place.y0, _BAR_IN / width_in, place.height))


def _edges(scale: Scale, values: Array) -> Array:
    """Borders of cells halfway between their centres, as they stand on the axis; the outer ones as far out as the next."""
    at = np.log(scale.shown(values)) if scale.log else scale.shown(values)
    inner = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - inner[0]], inner, [2 * at[-1] - inner[-1]]])
    return np.asarray(np.exp(edges) if scale.log else edges)


def _mesh(ax: Axes, x_edges: Array, y_edges: Array, shown: Any, scale: Scale) -> QuadMesh:
    low, high = float(shown.min()), float(shown.max())
    if low == high:
        low, high = (low / 1.1, high * 1.1) if scale.log else (low - 1, high + 1)
    norm = LogNorm(low, high) if scale.log else Normalize(low, high)
    if np.ma.getmaskarray(shown).any():
        ax.patch.set(facecolor="#f4f4f4", hatch="///", edgecolor="#b5b5b5", linewidth=0)
    name = f"{COLORS}_r" if scale.quantity.better == "less" else COLORS  # the best is the brightest
    return ax.pcolormesh(x_edges, y_edges, shown, norm=norm, cmap=name, rasterized=shown.size > 2500, linewidth=0, zorder=1)


def _contours(
    placer: Placer, x: Array, y: Array, shown: Any, scale: Scale, pt: float
) -> tuple[QuadContourSet | None, tuple[Text, ...]]:
    """Lines of equal value at round numbers, each with its number where it is free."""
    locator: Any = LogLocator(base=10, subs=(1, 2, 5)) if scale.log else MaxNLocator(_CONTOURS, steps=[1, 2, 5, 10])
    low, high = float(shown.min()), float(shown.max())
    levels = [v for v in locator.tick_values(low, high) if low < v < high]
    levels = levels[:: max(1, -(-len(levels) // (2 * _CONTOURS)))]
    if not levels:
        return None, ()
    drawn = placer.ax.contour(x, y, shown, levels=levels, colors="white", linewidths=0.7, alpha=0.9, zorder=2)
    found = []
    for level, paths in zip(levels, drawn.get_paths(), strict=True):
        label = _on_line(placer, tick(float(f"{level:.6g}")), [np.asarray(p) for p in paths.to_polygons(closed_only=False)], pt)
        found += [label] if label else []
    return drawn, tuple(found)


def _on_line(placer: Placer, text: str, lines: Sequence[Array], pt: float) -> Text | None:
    """A number upon the longest part of a contour, the nearer its middle the better."""
    if not lines:
        return None
    line = placer.to_px(max(lines, key=lambda p: float(np.hypot(*np.diff(placer.to_px(p), axis=0).T).sum())))
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0.06, 0.94, 23) * along[-1]
    places = np.column_stack([np.interp(at, along, line[:, i]) for i in (0, 1)])
    spots = [Spot((float(px), float(py)), (0.0, 0.0), 0.5, 0.5, abs(rank - 11) / 11) for rank, (px, py) in enumerate(places)]
    label = placer.write(text, spots, size_pt=pt - 1.5, color="white")
    if label is not None:
        label.set_path_effects([withStroke(linewidth=1.8, foreground="#3a3a3a", alpha=0.75)])
    return label


def _bounds(
    placer: Placer, x_edges: Array, y_edges: Array, bounds: Sequence[Sequence[str]] | None, pt: float
) -> tuple[LineCollection | None, tuple[Text, ...]]:
    """Edges of the cells where the bound changes, and the name of each region in its largest part."""
    if bounds is None:
        return None, ()
    names = np.asarray(bounds, object)
    rows, cols = np.nonzero(names[:, 1:] != names[:, :-1])
    upright = [[(x_edges[c + 1], y_edges[r]), (x_edges[c + 1], y_edges[r + 1])] for r, c in zip(rows, cols, strict=True)]
    rows, cols = np.nonzero(names[1:] != names[:-1])
    level = [[(x_edges[c], y_edges[r + 1]), (x_edges[c + 1], y_edges[r + 1])] for r, c in zip(rows, cols, strict=True)]
    borders = LineCollection(
        [*upright, *level], colors=style.INK, linewidths=_BORDER_PT, capstyle="projecting", zorder=3
    )  # fmt: skip
    placer.ax.add_collection(borders, autolim=False)
    for start, end in [*upright, *level]:
        placer.avoid_line(np.array([start, end]), 20.0)
    labels = (_region(placer, x_edges, y_edges, names == name, str(name), pt) for name in dict.fromkeys(names.ravel()))
    return borders, tuple(label for label in labels if label is not None)


def _region(placer: Placer, x_edges: Array, y_edges: Array, mask: NDArray[np.bool_], name: str, pt: float) -> Text | None:
    """The bound's name somewhere inside, the nearer the middle of the region the better; short where there is little room."""
    corners = np.array([[x_edges[0], y_edges[0]]])
    px_x = placer.to_px(np.column_stack([x_edges, np.full(len(x_edges), corners[0, 1])]))[:, 0]
    px_y = placer.to_px(np.column_stack([np.full(len(y_edges), corners[0, 0]), y_edges]))[:, 1]
    centres_x, centres_y = (px_x[1:] + px_x[:-1]) / 2, (px_y[1:] + px_y[:-1]) / 2
    rows, cols = np.nonzero(mask)
    middle = np.array([np.average(centres_x[cols]), np.average(centres_y[rows])])
    size = float(np.hypot(placer.ax.bbox.width, placer.ax.bbox.height))
    spots = []
    for at_x in np.linspace(0.05, 0.95, 25) * placer.ax.bbox.width + placer.ax.bbox.x0:
        for at_y in np.linspace(0.05, 0.95, 25) * placer.ax.bbox.height + placer.ax.bbox.y0:
            row, col = np.searchsorted(px_y, at_y) - 1, np.searchsorted(px_x, at_x) - 1
            if mask[min(row, len(mask) - 1), min(col, mask.shape[1] - 1)]:
                far = float(np.hypot(at_x - middle[0], at_y - middle[1])) / size
                spots.append(Spot((float(at_x), float(at_y)), (0.0, 0.0), 0.5, 0.5, 4 * far))
    look: dict[str, Any] = {"color": style.INK, "bold": True, "limit": 4.0}
    return placer.write(f"{name} bound", spots, size_pt=pt - 0.5, **look) or placer.write(name, spots, size_pt=pt - 1, **look)


def _bar(mesh: QuadMesh, axes: Axes, scale: Scale, pt: float) -> Colorbar:
    bar = figure_of(axes).colorbar(mesh, cax=axes)
    low, high = mesh.get_clim()
    if scale.log:
        subs = (1.0,) if high / low > 1e3 else (1.0, 2.0, 5.0)
        at = [v for v in LogLocator(base=10, subs=subs).tick_values(low, high) if low <= v <= high]
    else:
        at = [v for v in MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= v <= high]
    bar.ax.yaxis.set_major_locator(FixedLocator(at))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    bar.ax.tick_params(labelsize=pt - 1, width=0.5, length=2.5, color=style.INK, labelcolor=style.INK)
    bar.outline.set(linewidth=0.5, edgecolor=style.INK)
    bar.set_label(scale.axis_label, fontsize=pt, color=style.INK)
    return bar
