"""Sweeps by their artists: lines are the values, regions are the bounds, words keep apart."""

import numpy as np
import pytest
from support.figures import assert_apart

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity
from simulator.report.plots.lines import Mark, Series, figure

BANDWIDTH, LATENCY = Quantity("Bandwidth", "B/s"), Quantity("Latency", "s", "less")
X = np.geomspace(1e9, 1e12, 50)
Y = np.maximum(1e-3, 1e8 / X)
BOUNDS = tuple("memory" if 1e8 / x > 1e-3 else "compute" for x in X)
MARKS = (Mark("x", 1e11, "knee 100 GB/s"), Mark("y", 5e-3, "deadline 5 ms"))
SIZES = pytest.mark.parametrize("size_in", [style.SINGLE_IN, style.DOUBLE_IN])


@SIZES
def test_one_line_with_its_regions(size_in) -> None:
    fig, artists = figure([Series("net", X, Y, BOUNDS)], x=BANDWIDTH, y=LATENCY, marks=MARKS, title="t", size_in=size_in)
    (ax,) = fig.axes
    xy = np.asarray(artists.lines["net"].get_xydata())
    assert xy[:, 0] * artists.x.factor == pytest.approx(X)
    assert xy[:, 1] * artists.y.factor == pytest.approx(Y)
    (first, left), (second, right) = artists.regions
    assert (first, second) == ("memory", "compute")
    border = left.get_x() + left.get_width()
    assert border == pytest.approx(right.get_x())
    assert X[BOUNDS.index("compute") - 1] < border * artists.x.factor < X[BOUNDS.index("compute")]
    assert (left.get_x(), right.get_x() + right.get_width()) == pytest.approx(ax.get_xlim())
    assert [t.get_text() for t in artists.labels][-2:] == [m.text for m in MARKS]
    assert artists.marks[0].get_xdata()[0] * artists.x.factor == pytest.approx(1e11)
    assert artists.marks[1].get_ydata()[0] * artists.y.factor == pytest.approx(5e-3)
    assert ax.get_xlabel() == "Bandwidth (GB/s)"
    assert ax.get_ylabel() == "← better   Latency (ms)"
    assert artists.legend is None
    assert_apart(fig, [*artists.labels, artists.title, ax.xaxis.label, ax.yaxis.label])


@SIZES
def test_several_lines_with_signs(size_in) -> None:
    series = [Series(f"net {i}", X, Y * (1 + i), BOUNDS) for i in range(3)]
    fig, artists = figure(series, x=BANDWIDTH, y=LATENCY, size_in=size_in)
    assert not artists.regions
    assert len({(line.get_color(), line.get_linestyle()) for line in artists.lines.values()}) == 3
    for one in series:
        for bound in ("memory", "compute"):
            for x, y in artists.signs[one.name, bound].get_offsets():
                row = int(np.argmin(np.abs(X - x * artists.x.factor)))
                assert one.bounds[row] == bound
                assert y * artists.y.factor == pytest.approx(one.y[row])
    words = [t.get_text() for t in artists.legend.get_texts()]
    assert words == ["net 0", "net 1", "net 2", "compute bound", "memory bound"]
    (ax,) = fig.axes
    assert_apart(fig, [*artists.labels, artists.legend, ax.xaxis.label, ax.yaxis.label])


def test_bounds_that_come_back_have_regions_of_their_own() -> None:
    bounds = ("memory",) * 20 + ("compute",) * 10 + ("memory",) * 20
    _, artists = figure([Series("", X, Y, bounds)], x=BANDWIDTH, y=LATENCY)
    assert [name for name, _ in artists.regions] == ["memory", "compute", "memory"]


def test_gaps_stay_gaps() -> None:
    y = Y.copy()
    y[10:20] = np.nan
    _, artists = figure([Series("", X, y)], x=BANDWIDTH, y=LATENCY)
    assert np.isnan(np.asarray(artists.lines[""].get_ydata())).sum() == 10


def test_one_point() -> None:
    fig, _ = figure([Series("a", np.array([4.0]), np.array([0.5]), ("compute",))], x=Quantity("Cores"), y=Quantity("Share"))
    assert fig.axes[0].get_xlim()[0] < 4 < fig.axes[0].get_xlim()[1]


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ([], "needs series"),
        ([Series("a", X, Y), Series("a", X, Y)], "different names"),
        ([Series("a", X, Y[:3])], "one y for each x"),
        ([Series("a", X[::-1], Y)], "the x of 'a' must rise"),
        ([Series("a", X, Y, ("memory",))], "'a' has 1 bounds for 50 points"),
        ([Series("a", X[:1], Y[:1], ("cache",))], "'cache' is not a bound; write compute, memory, overhead"),
    ],
)
def test_bad_input_is_named(series, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        figure(series, x=BANDWIDTH, y=LATENCY)
