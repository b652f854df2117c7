"""Grids by their artists: cells are the values, borders are where the bound changes, numbers sit on their contours."""

import numpy as np
import pytest
from support.figures import assert_apart

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity
from simulator.report.plots.heatmap import figure

X, Y = np.geomspace(5e10, 3e12, 24), np.geomspace(5e12, 4e14, 18)
TIMES = (1.6e10 / Y[:, None], 3e8 / X[None])
VALUES = np.maximum(*np.broadcast_arrays(*TIMES))
BOUNDS = np.where(TIMES[0] > TIMES[1], "compute", "memory").tolist()
AXES = {"x": Quantity("Bandwidth", "B/s"), "y": Quantity("Peak", "FLOP/s"), "value": Quantity("Latency", "s", "less")}


@pytest.mark.parametrize("size_in", [style.SINGLE_IN, style.DOUBLE_IN])
def test_cells_borders_and_labels(size_in) -> None:
    fig, artists = figure(VALUES, X, Y, **AXES, bounds=BOUNDS, title="machines", size_in=size_in)
    ax, bar = fig.axes
    assert np.asarray(artists.cells.get_array()) * artists.value.factor == pytest.approx(VALUES)
    names = np.array(BOUNDS)
    edges = (names[:, 1:] != names[:, :-1]).sum() + (names[1:] != names[:-1]).sum()
    assert len(artists.borders.get_segments()) == edges
    assert {t.get_text() for t in artists.labels} == {"memory bound", "compute bound"}
    assert artists.contours is not None
    numbers = [float(t.get_text()) for t in artists.contour_labels]
    assert set(numbers) <= {round(float(level), 9) for level in artists.contours.levels}
    assert ax.get_xlabel() == "Bandwidth (GB/s)"
    assert ax.get_ylabel() == "Peak (TFLOP/s)"
    assert bar.get_ylabel() == "← better   Latency (µs)"
    assert ax.get_xscale() == ax.get_yscale() == "log"
    words = [*artists.labels, *artists.contour_labels, artists.title, ax.xaxis.label, ax.yaxis.label, bar.yaxis.label]
    assert_apart(fig, words)
    low, high = ax.get_xlim()
    assert low * artists.x.factor < X[0]
    assert high * artists.x.factor > X[-1]


def test_cells_are_centred_on_their_values() -> None:
    _, artists = figure(np.add.outer(np.arange(3.0), np.arange(4.0)), [1, 2, 3, 4], [10, 20, 30], **{**AXES, "x": Quantity("n")})
    corners = artists.cells.get_coordinates()
    assert corners[0, :, 0].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert (corners[:, 0, 1] * artists.y.factor).tolist() == pytest.approx([5, 15, 25, 35])


def test_unknown_cells_are_hatched_and_all_alike_is_drawn() -> None:
    values = np.ones((2, 2))
    values[0, 1] = np.nan
    fig, artists = figure(values, [1, 2], [1, 2], **AXES)
    assert np.ma.getmaskarray(artists.cells.get_array()).sum() == 1
    assert fig.axes[0].patch.get_hatch() == "///"
    assert artists.contours is None
    assert artists.borders is None


@pytest.mark.parametrize(
    ("values", "x", "y", "bounds", "words"),
    [
        (np.ones((2, 3)), [1, 2], [1, 2], None, "a grid of shape"),
        (np.ones((1, 2)), [1, 2], [1], None, "two at least"),
        (np.ones((2, 2)), [2, 1], [1, 2], None, "must rise"),
        (np.ones((2, 2)), [1, 2], [1, 2], [["memory"]], "bounds of shape"),
        (np.full((2, 2), np.nan), [1, 2], [1, 2], None, "no value of Latency"),
    ],
)
def test_bad_input_is_named(values, x, y, bounds, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        figure(values, x, y, **AXES, bounds=bounds)
