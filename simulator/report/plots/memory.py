"""The memory plan: which bytes each tensor holds, from which kernel to which, under the peak and the capacity."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from simulator.report.plots import style
from simulator.report.plots.labels import Box, Placer, Spot
from simulator.schedule.arena import Arena, Placement
from simulator.schedule.plan import MemoryPlan, PlacePlan
from simulator.units import format_bytes

_COLORS: Final = (style.PALETTE[0], style.PALETTE[4], style.PALETTE[2], style.PALETTE[3], style.PALETTE[5])
_OTHERS: Final = "#c8d3df"
_NAMED: Final = 4  # culprits that are named, at most
_LEAST: Final = 0.04  # of the peak, for a culprit to be named
_HEADROOM: Final = 1.28  # room above the highest line, for names and the legend
_NARROW_HEADROOM: Final = 1.55  # where the legend takes three rows
_IN_SIGHT: Final = 2.5  # a capacity so many times the peak would flatten all else: it is written, not drawn
_NAME_LENGTH: Final = 34
_NARROW_NAME_LENGTH: Final = 18
_PANEL: Final = 0.75  # of the height of a picture with one panel, for each of several
_MANY: Final = 120  # kernels, from which on the step line is thinner
_UNITS: Final = (("B", 1.0), ("KiB", 2.0**10), ("MiB", 2.0**20), ("GiB", 2.0**30), ("TiB", 2.0**40))


class MemoryArtists(NamedTuple):
    """What was drawn: rectangles in kernels (x) and units of bytes (y); `unit_bytes` is one unit."""

    others: PatchCollection
    culprits: Mapping[str, Rectangle]
    alive: Line2D
    peak: Line2D
    capacity: Line2D | None
    labels: tuple[Text, ...]
    legend: Legend
    title: Text
    unit_bytes: float


def figure(
    plan: MemoryPlan, *, title: str = "", size_in: tuple[float, float] = style.DOUBLE_IN
) -> tuple[Figure, tuple[MemoryArtists, ...]]:
    """A figure of its own with the memory plan: a panel a place, the first engine's on top, kernels in line."""
    many = len(plan.places)
    if many == 1:
        fig, ax = style.new_axes(size_in)
        return fig, (memory(plan, ax, title=title),)
    width, height = size_in
    fig, axes = style.new_panels(many, (width, _PANEL * height * many))
    found = []
    for number, ax in enumerate(axes):
        whose = f"{' and '.join(plan.places[number].engines)} in {plan.places[number].memory}"
        found.append(memory(plan, ax, title=f"{whose}: {title}" if title and number == 0 else whose, place=number))
        ax.set_xlabel(ax.get_xlabel() if number == many - 1 else "")
    return fig, tuple(found)


def memory(plan: MemoryPlan, ax: Axes, *, title: str = "", place: int = 0) -> MemoryArtists:
    """Draw the smallest arena found for liveness: a rectangle a tensor, kernels across, addresses up.

    The step line is what is alive at each kernel, whatever its address; where it stays below the rectangles' top the
    arena has gaps. Tensors alive at the peak are coloured, the largest of them named. `place` is that of the plan's.
    """
    with style.context():
        own = plan.places[place]
        arena = own.best("liveness")
        pt = style.font_pt(_figure_of(ax))
        limit = own.capacity_bytes if own.capacity_bytes <= _IN_SIGHT * max(arena.size_bytes, 1) else 0.0
        unit, scale = _unit(max(arena.size_bytes, limit))
        _prepare(ax, len(plan.kernels), max(arena.size_bytes, limit) / scale, unit, pt)
        others, culprits = _rectangles(ax, own, arena, scale)
        alive = _alive(ax, own, scale)
        peak = ax.axhline(arena.size_bytes / scale, color=style.INK, linewidth=0.9, linestyle="--", zorder=4)
        capacity = ax.axhline(limit / scale, color=style.PALETTE[1], linewidth=1.4, zorder=4) if limit else None
        placer = Placer(ax)
        legend = _legend(ax, placer, culprits, alive, pt)
        _avoid(placer, own, arena, scale)
        labels = [*_line_labels(placer, own, arena, scale, limit, pt), *_names(placer, own, culprits, pt)]
        heading = ax.set_title(_shortened(placer, title, pt), loc="left", fontsize=pt, color=style.INK, pad=4)
        return MemoryArtists(others, culprits, alive, peak, capacity, tuple(labels), legend, heading, scale)


def _figure_of(ax: Axes) -> Figure:
    found = ax.get_figure(root=True)
    assert isinstance(found, Figure), "an axes without a figure has no size"
    return found


def _is_wide(ax: Axes) -> bool:
    return bool(_figure_of(ax).get_figwidth() > 1.5 * style.SINGLE_IN[0])


def _unit(most_bytes: float) -> tuple[str, float]:
    """The binary unit in which the largest address has one to three digits before the point."""
    return next((u for u in reversed(_UNITS) if most_bytes >= u[1]), _UNITS[0])


def _prepare(ax: Axes, n_kernels: int, highest: float, unit: str, pt: float) -> None:
    style.dress(ax, pt)
    ax.grid(visible=False, axis="x")
    ax.set_xlim(0.5, max(n_kernels, 1) + 0.5)
    ax.set_ylim(0, (_HEADROOM if _is_wide(ax) else _NARROW_HEADROOM) * max(highest, 1e-9))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))
    ax.set_xlabel("Kernel, in the order they run")
    ax.set_ylabel(f"Address ({unit})")


def _rectangles(ax: Axes, plan: PlacePlan, arena: Arena, scale: float) -> tuple[PatchCollection, dict[str, Rectangle]]:
    """All tensors; of those alive at the peak the largest in colours of their own, the others in one."""
    by_name = {p.buffer.name: p for p in arena.placements}
    chosen = [t.spec.name for t in plan.peaks["liveness"].culprits if t.spec.name in by_name]
    rest = [_rectangle(p, scale) for name, p in by_name.items() if name not in chosen]
    others = PatchCollection(rest, facecolor=_OTHERS, edgecolor="white", linewidth=0.3, zorder=2)
    ax.add_collection(others, autolim=False)
    culprits = {}
    for rank, name in enumerate(chosen):
        rectangle = _rectangle(by_name[name], scale)
        rectangle.set(facecolor=_COLORS[min(rank, len(_COLORS) - 1)], edgecolor="white", linewidth=0.5, zorder=3)
        culprits[name] = rectangle
        ax.add_patch(rectangle)
    return others, culprits


def _rectangle(placement: Placement, scale: float) -> Rectangle:
    (span,) = placement.buffer.spans
    return Rectangle((span.first + 0.5, placement.address_bytes / scale), span.last - span.first + 1, span.size_bytes / scale)


def _alive(ax: Axes, plan: PlacePlan, scale: float) -> Line2D:
    live = plan.peaks["liveness"].live_bytes / scale
    edges = np.arange(len(live) + 1) + 0.5
    width = 0.8 if len(live) <= _MANY else 0.5
    (line,) = ax.plot(np.repeat(edges, 2)[1:-1], np.repeat(live, 2), color=style.INK, linewidth=width, zorder=3.5)
    return line


def _legend(ax: Axes, placer: Placer, culprits: Mapping[str, Rectangle], alive: Line2D, pt: float) -> Legend:
    """One row at the top; coloured squares stand for whatever is alive at the peak."""
    squares = tuple(Rectangle((0, 0), 1, 1, facecolor=_COLORS[i]) for i in range(min(len(culprits), 3)))
    handles: list[Any] = [squares or alive, Rectangle((0, 0), 1, 1, facecolor=_OTHERS), alive]
    names = ["tensors alive at the peak", "other tensors", "bytes alive at each kernel"]
    legend = ax.legend(
        handles[0 if culprits else 1 :], names[0 if culprits else 1 :], loc="upper right", ncols=3 if _is_wide(ax) else 1,
        fontsize=pt - 1, framealpha=1.0, edgecolor="none", borderpad=0.2, borderaxespad=0.2, handlelength=2.0,
        columnspacing=1.4, handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)},
    )  # fmt: skip
    extent = legend.get_window_extent(placer.renderer)
    placer.taken.append(Box((extent.x0, extent.y0), 0, 0, extent.width, extent.height))
    return legend


def _avoid(placer: Placer, plan: PlacePlan, arena: Arena, scale: float) -> None:
    """Names are better off the coloured rectangles and the step line."""
    live = plan.peaks["liveness"].live_bytes / scale
    edges = np.arange(len(live) + 1) + 0.5
    placer.avoid_line(np.column_stack([np.repeat(edges, 2)[1:-1], np.repeat(live, 2)]), 3.0)
    placer.avoid_line(np.array([[0.5, arena.size_bytes / scale], [len(live) + 0.5, arena.size_bytes / scale]]), 8.0)


def _line_labels(placer: Placer, plan: PlacePlan, arena: Arena, scale: float, limit: float, pt: float) -> list[Text]:
    """What the horizontal lines are; a capacity far above has none."""
    home = plan.memory if plan.memory == "flash" else plan.memory.upper()
    peak = plan.peaks["liveness"]
    size, highest = format_bytes(arena.size_bytes), ""
    if arena.size_bytes > arena.lower_bound_bytes:
        highest = f" of {format_bytes(peak.peak_bytes)}"
    far = f" ({home} holds {format_bytes(plan.capacity_bytes)})" if not limit and np.isfinite(plan.capacity_bytes) else ""
    at = f"peak{highest} at kernel {peak.at + 1}"
    found = [_written(placer, plan, arena.size_bytes / scale, (f"arena {size}{far}, {at}", f"arena {size}, {at}"), style.INK, pt)]
    if limit:
        found.append(_written(placer, plan, limit / scale, (f"{home} {format_bytes(limit)}",), style.PALETTE[1], pt))
    return [label for label in found if label is not None]


def _written(placer: Placer, plan: PlacePlan, height: float, texts: Sequence[str], color: str, pt: float) -> Text | None:
    """The first of the texts that finds room along a line."""
    spots = _on_line(placer, plan, height)
    labels = (placer.write(text, spots, size_pt=pt, color=color, bold=True) for text in texts)
    return next((label for label in labels if label is not None), None)


def _on_line(placer: Placer, plan: PlacePlan, height: float) -> list[Spot]:
    """Along a horizontal line, from the right end to the left, above before below."""
    spots = []
    for rank, x in enumerate(np.linspace(len(plan.peaks["liveness"].live_bytes) + 0.5, 0.5, 9)):
        anchor = placer.pixel(x, height)
        gap = 2.5 * placer.px_per_pt
        align = 1.0 if rank == 0 else 0.0 if rank == 8 else 0.5
        spots += [Spot(anchor, (0.0, gap), align, 0.0, 0.1 * rank), Spot(anchor, (0.0, -gap), align, 1.0, 0.6 + 0.1 * rank)]
    return spots


def _names(placer: Placer, plan: PlacePlan, culprits: Mapping[str, Rectangle], pt: float) -> list[Text]:
    """The largest tensors at the peak, named beside or above their rectangles."""
    peak = plan.peaks["liveness"]
    labels = []
    sizes = {t.spec.name: t.spec for t in peak.culprits}
    length = _NAME_LENGTH if _is_wide(placer.ax) else _NARROW_NAME_LENGTH
    big = [n for n in culprits if sizes[n].size_bytes >= _LEAST * peak.peak_bytes][:_NAMED]
    for name in big:
        spec, box = sizes[name], culprits[name]
        shape = "×".join(map(str, spec.shape or ()))
        words = f"{_tail(name, length)}  {shape}, {format_bytes(spec.size_bytes)}"
        labels.append(placer.write(words, _beside(placer, box), size_pt=pt - 0.5, color=style.INK))
    return [label for label in labels if label is not None]


def _beside(placer: Placer, box: Rectangle) -> list[Spot]:
    """Right or left of a rectangle with a thin line to it, at several heights."""
    (x0, y0), (x1, y1) = placer.pixel(box.get_x(), box.get_y()), placer.pixel(*_opposite(box))
    middle = (y0 + y1) / 2
    spots = []
    for rank, lift in enumerate((0.0, 12.0, -12.0, 24.0, -24.0, 40.0, -40.0, 60.0, 80.0, 100.0)):
        for anchor_x, side, align in ((x1, 1.0, 0.0), (x0, -1.0, 1.0)):
            for reach in (8.0, 30.0, 60.0):
                offset = (side * reach * placer.px_per_pt, lift * placer.px_per_pt)
                taste = 0.15 * rank + 0.01 * reach + (0.3 if side < 0 else 0.0)
                spots.append(Spot((anchor_x - side * 1.5 * placer.px_per_pt, middle), offset, align, 0.5, taste, leader=True))
    return spots


def _opposite(box: Rectangle) -> tuple[float, float]:
    return box.get_x() + box.get_width(), box.get_y() + box.get_height()


def _tail(name: str, length: int) -> str:
    return name if len(name) <= length else "…" + name[-(length - 1) :]


def _shortened(placer: Placer, title: str, pt: float) -> str:
    """As many of the comma-separated facts as fit above the axes."""
    facts, font = title.split(", "), FontProperties(size=pt)
    while len(facts) > 1 and placer.size_px(", ".join(facts), font)[0] > placer.ax.bbox.width:
        facts.pop()
    return ", ".join(facts)
