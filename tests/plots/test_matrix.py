"""Matrices by their artists: a number a cell, the best framed, the missing hatched."""

import math

import numpy as np
import pytest
from support.figures import assert_apart, ticks_of

from simulator.errors import UsageError
from simulator.report.plots.axes import Quantity
from simulator.report.plots.matrix import figure

LATENCY, RATE = Quantity("Latency", "s", "less"), Quantity("Throughput", "1/s", "more")
VALUES = [[1e-3, 2e-3, None], [5e-1, 4e-3, 4e-3], [math.nan, 3e-6, 3e-3]]
ROWS, COLUMNS = ("resnet50", "mobilenet_v2_with_a_very_long_name", "c"), ("a100_sxm_80", "jetson_orin_nano:15W", "rpi4")


@pytest.mark.parametrize("width_in", [3.5, 7.1])
def test_numbers_best_and_missing(width_in: float) -> None:
    fig, artists = figure(VALUES, ROWS, COLUMNS, value=LATENCY, title="Latency", width_in=width_in)
    assert set(artists.best) == {(0, 0), (1, 1), (1, 2), (2, 1)}
    assert set(artists.missing) == {(0, 2), (2, 0)}
    assert artists.numbers[0, 1].get_text() == "2 ms"
    assert artists.numbers[0, 2].get_text() == artists.numbers[2, 0].get_text() == "–"
    for at, number in artists.numbers.items():
        assert (number.get_fontweight() == "bold") == (at in artists.best)
    ratios = 10 ** np.ma.filled(artists.cells.get_array(), np.nan)
    assert ratios[0, 1] == pytest.approx(2)
    assert ratios[1, 0] == pytest.approx(125)
    ax, bar = fig.axes
    assert bar.get_xlabel() == "Latency ÷ the row's best (framed)"
    labels = [t for t in ticks_of(ax) if not t.get_rotation()]
    assert_apart(fig, [*artists.numbers.values(), artists.title, *labels, bar.xaxis.label])
    for (_, column), number in artists.numbers.items():
        extent = number.get_window_extent()
        left, right = (ax.transData.transform((column + i, 0))[0] for i in (0, 1))
        assert left <= extent.x0
        assert extent.x1 <= right


def test_more_can_be_better() -> None:
    fig, artists = figure([[3.0, 2.0]], ("net",), ("x", "y"), value=RATE)
    assert set(artists.best) == {(0, 0)}
    assert artists.numbers[0, 1].get_text() == "2 1/s"
    assert 10 ** float(artists.cells.get_array().ravel()[1]) == pytest.approx(1.5)
    assert fig.axes[1].get_xlabel() == "The row's best (framed) ÷ throughput"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0]], "a value or None for each cell"),
        ([[1.0, 2.0], [1.0]], "a value or None for each cell"),
        ([[1.0, 0.0], [1.0, 1.0]], "positive finite values"),
        ([[math.inf, 1.0], [1.0, 1.0]], "positive finite values"),
        ([[None, None], [None, None]], "one at least"),
    ],
)
def test_bad_input_is_named(values, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        figure(values, ("a", "b"), ("c", "d"), value=LATENCY)
