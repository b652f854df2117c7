"""Figures drawn at a resolution, so that the extents of their artists can be asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

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
