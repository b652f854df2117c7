"""Figures drawn at a resolution, so that the extents of their artists can be asked for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from simulator.report.plots import style


@contextmanager
def drawn_at(fig: Figure, dpi: float) -> Iterator[RendererAgg]:
    """Draw `fig` at `dpi` in the plots' own style; its own resolution comes back afterwards."""
    before = fig.dpi
    fig.dpi = dpi
    try:
        renderer = RendererAgg(*fig.bbox.size, dpi)
        with style.context():
            fig.draw(renderer)
            yield renderer
    finally:
        fig.dpi = before


def assert_apart(fig: Figure, texts: Iterable[Artist], dpi: float = 150, slack_px: float = 1.5) -> None:
    """No text leaves the figure or overlaps another (legends and tick labels may be among them)."""
    with drawn_at(fig, dpi) as renderer:
        found = [
            (t, Text.get_window_extent(t, renderer) if isinstance(t, Text) else t.get_window_extent(renderer)) for t in texts
        ]
    shown = [(t, box) for t, box in found if box.width > 0]
    for text, box in shown:
        assert min(box.x0, box.y0) >= -1, text
        assert box.x1 <= fig.get_figwidth() * dpi + 1, text
        assert box.y1 <= fig.get_figheight() * dpi + 1, text
    for (one, a), (other, b) in combinations(shown, 2):
        overlap = min(min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0))
        assert overlap <= slack_px, (one, other)


def ticks_of(ax: Axes) -> list[Text]:
    """Tick labels inside the limits; they have their places and texts only once they are drawn."""
    found = []
    figure = ax.get_figure(root=True)
    with drawn_at(figure, figure.dpi):
        pass
    for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
        found += [
            t.label2 if t.label2.get_visible() and not t.label1.get_visible() else t.label1
            for t in axis.get_major_ticks()
            if low <= t.get_loc() <= high
        ]
    return found
