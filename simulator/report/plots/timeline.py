"""The timeline: what every engine and memory does when, and how much of the time it is busy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from simulator.report.plots import style
from simulator.report.plots.labels import Placer
from simulator.report.trace import lane_name
from simulator.result.estimate import Estimate
from simulator.schedule.timeline import Event, EventKind, Lane, Timeline
from simulator.units import format_bytes

# of each kind two shades, so that neighbours can be told apart
_COLORS: Final[dict[EventKind, tuple[str, str]]] = {
    "compute": (style.PALETTE[1], "#ee9a52"), "transfer": (style.PALETTE[0], "#5aa9d6"),
    "early weights": (style.PALETTE[2], "#66c4a8"), "launch": (style.PALETTE[3], "#e3b3d0"),
    "inference": (style.FAINT, style.FAINT), "waiting": (style.PALETTE[3], "#e3b3d0"),
    "crossing": (style.PALETTE[4], "#f3e28a"), "switch": (style.PALETTE[3], "#e3b3d0"),
}  # fmt: skip
_WORDS: Final[dict[EventKind, str]] = {
    "compute": "compute", "transfer": "transfer", "early weights": "weights of the next kernel", "launch": "launch",
    "inference": "once an inference", "waiting": "waiting for the host", "crossing": "between engines",
    "switch": "switch of engines",
}  # fmt: skip
_UNITS: Final = (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0))
_BAR: Final = 0.56  # height of a bar, of a lane's 1
_LANE_IN: Final = 0.52  # height of a lane in inches
_LEGEND: Final = 0.35  # height of a row of the legend, in lanes
_NARROW_COLUMNS: Final = 2  # of the legend, where there is no room for all in one row
_PAD_PT: Final = 1.5  # between a name and the ends of its bar


class TimelineArtists(NamedTuple):
    """What was drawn: a collection of bars a lane, in units of time (`unit_s`) from left to right."""

    bars: Mapping[Lane, PolyCollection]
    captions: Mapping[Lane, Text]
    names: tuple[Text, ...]
    legend: Legend | None
    title: Text
    unit_s: float


def figure(est: Estimate, *, title: str = "", size_in: tuple[float, float] | None = None) -> tuple[Figure, TimelineArtists]:
    """A figure of its own with the timeline; as high as its lanes need, unless told otherwise."""
    lanes = max(len(est.timeline().lanes), 2)
    fig, ax = style.new_axes(size_in or (style.DOUBLE_IN[0], 0.85 + _LANE_IN * (lanes + _LEGEND)))
    return fig, timeline(est, ax, title=title)


def timeline(est: Estimate, ax: Axes, *, title: str = "") -> TimelineArtists:
    """Draw a lane for launches, every engine and every memory; names stand in the bars that are wide enough for them."""
    with style.context():
        line = est.timeline()
        found = ax.get_figure(root=True)
        assert isinstance(found, Figure), "an axes without a figure has no size"
        pt = style.font_pt(found)
        unit, unit_s = next((u for u in reversed(_UNITS) if line.latency_s >= u[1]), _UNITS[0])
        _prepare(ax, line, unit, unit_s, pt)
        placer = Placer(ax)
        bars, captions, names = {}, {}, []
        for row, lane in enumerate(line.lanes):
            events = [e for e in line.events if e.lane == lane]
            bottom = float(len(line.lanes) - 1 - row)
            bars[lane] = _bars(ax, events, bottom, unit_s)
            captions[lane] = _caption(ax, est, line, lane, bottom, pt)
            names += list(_names(placer, est, events, bottom, unit_s, pt))
        legend = _legend(ax, line, pt)
        heading = ax.set_title(_shortened(placer, title, pt), loc="left", fontsize=pt, color=style.INK, pad=4)
        return TimelineArtists(bars, captions, tuple(names), legend, heading, unit_s)


def _prepare(ax: Axes, line: Timeline, unit: str, unit_s: float, pt: float) -> None:
    style.dress(ax, pt)
    ax.grid(visible=False, axis="y")
    ax.set_xlim(0, line.latency_s / unit_s or 1.0)
    kinds = _kinds(line)
    ax.set_ylim(-0.12, max(len(line.lanes), 1) + _LEGEND * -(-len(kinds) // _columns(ax, kinds)))
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))
    ax.set_xlabel(f"Time ({unit})")


def _bars(ax: Axes, events: Sequence[Event], bottom: float, unit_s: float) -> PolyCollection:
    """Neighbours in two shades; the thinnest stay visible."""
    colors = [_COLORS[e.kind][rank % 2] for rank, e in enumerate(events)]
    spans = [(e.start_s / unit_s, e.duration_s / unit_s) for e in events]
    return ax.broken_barh(spans, (bottom, _BAR), facecolors=colors, edgecolors="face", linewidth=0.2, snap=False, zorder=2)


def _caption(ax: Axes, est: Estimate, line: Timeline, lane: Lane, bottom: float, pt: float) -> Text:
    """What the lane is, how long it is busy and what it moves."""
    busy_s = line.busy_s(lane)
    moved = sum(e.moved_bytes for e in line.events if e.lane == lane)
    words = f"{lane_name(est, lane)}: {style.readable(busy_s, 's')}, {100 * busy_s / line.latency_s:.0f} % of the time"
    words += f", {format_bytes(moved)}" if moved else ""
    x, y = 0.0, bottom + _BAR + 0.05
    return ax.text(x, y, words, fontsize=pt - 0.5, color=style.INK, va="bottom", ha="left", zorder=5)


def _names(placer: Placer, est: Estimate, events: Sequence[Event], bottom: float, unit_s: float, pt: float) -> Iterator[Text]:
    """Names of kernels inside their bars: whole, or their last part."""
    font = FontProperties(size=pt - 1.5)
    per_unit = placer.pixel(1.0, 0.0)[0] - placer.pixel(0.0, 0.0)[0]
    for rank, event in enumerate(events):
        room = event.duration_s / unit_s * per_unit - 2 * _PAD_PT * placer.px_per_pt
        if event.kernel is None or room < 2 * font.get_size_in_points() * placer.px_per_pt:
            continue
        name = est.work.names[event.kernel]
        last = name.replace("/", ".").rsplit(".", 1)[-1]
        text = next((t for t in (name, last) if placer.size_px(t, font)[0] <= room), None)
        if text:
            x, y = (event.start_s + event.duration_s / 2) / unit_s, bottom + _BAR / 2
            ink = style.INK if rank % 2 or event.kind == "launch" else "white"
            yield placer.ax.text(x, y, text, fontproperties=font, color=ink, ha="center", va="center", zorder=4)


def _kinds(line: Timeline) -> list[EventKind]:
    """The kinds of events that there are."""
    return [k for k in _COLORS if any(e.kind == k for e in line.events)]


def _columns(ax: Axes, kinds: Sequence[EventKind]) -> int:
    """Of the legend: all in a row on a page-wide figure."""
    wide = ax.bbox.width / ax.figure.dpi > style.SINGLE_IN[0]
    return max(len(kinds), 1) if wide else _NARROW_COLUMNS


def _legend(ax: Axes, line: Timeline, pt: float) -> Legend | None:
    """The kinds of events, at the top."""
    kinds = _kinds(line)
    if not kinds:
        return None
    handles = [Rectangle((0, 0), 1, 1, facecolor=_COLORS[k][0]) for k in kinds]
    return ax.legend(
        handles, [_WORDS[k] for k in kinds], loc="upper right", ncols=_columns(ax, kinds), fontsize=pt - 1, framealpha=1.0,
        edgecolor="none", borderpad=0.2, borderaxespad=0.2, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip


def _shortened(placer: Placer, title: str, pt: float) -> str:
    """As many of the comma-separated facts as fit above the axes."""
    facts, font = title.split(", "), FontProperties(size=pt)
    while len(facts) > 1 and placer.size_px(", ".join(facts), font)[0] > placer.ax.bbox.width:
        facts.pop()
    return ", ".join(facts)
