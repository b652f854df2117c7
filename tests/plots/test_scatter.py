"""The scatter plot by its artists: markers are the rows, bands are the shares, names are those of the rows far off."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from support.figures import drawn_at

from simulator.fidelity.measurement import Measurement
from simulator.fidelity.validate import Predicted, Validation
from simulator.report.plots import style
from simulator.report.plots.save import save
from simulator.report.plots.scatter import figure, scatter, series


def validation(n_series: int, n_rows: int, scale: float = 1e-2, spread: float = 0.3) -> Validation:
    """Rows whose ratios scatter by a fixed seed; the first of each series is twice as slow as measured."""
    rng, rows = np.random.default_rng(1), []
    for number in range(n_series):
        for row in range(n_rows + number % 3):
            measured_s = scale * 10 ** rng.uniform(-1, 1)
            ratio = 2.2 if row == 0 else float(np.exp(spread * rng.uniform(-1, 1)))
            measured = Measurement("net", f"machine{number}", "runtime", measured_s, label=f"network_{number}_{row}")
            rows.append(Predicted(measured, measured_s * ratio, None, 0.0))
    return Validation(tuple(rows), ())


CASES = {"one": (1, 40), "three": (3, 60), "many": (12, 10), "single row": (1, 1), "slow": (2, 10, 50.0), "fast": (2, 10, 1e-7)}


@pytest.fixture(scope="module", params=CASES)
def drawn(request):
    found = validation(*CASES[request.param])
    fig, artists = figure(found, title="runs.csv")
    return found, fig, artists


def test_markers_are_the_rows(drawn) -> None:
    found, _, artists = drawn
    own = series(found.rows)
    assert list(artists.points) == list(own)
    assert sum(map(len, own.values())) == len(found.rows)
    for name, rows in own.items():
        expected = [(row.measured.latency_s / artists.unit_s, row.latency_s / artists.unit_s) for row in rows]
        assert artists.points[name].get_offsets().tolist() == pytest.approx(np.array(expected))


def test_everything_is_inside_the_axes(drawn) -> None:
    found, fig, artists = drawn
    (ax,) = fig.axes
    assert ax.get_xlim() == ax.get_ylim()
    low, high = ax.get_xlim()
    for row in found.rows:
        assert low < row.measured.latency_s / artists.unit_s < high
        assert low < row.latency_s / artists.unit_s < high
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_bands_and_the_diagonal(drawn) -> None:
    _, fig, artists = drawn
    (ax,) = fig.axes
    assert artists.diagonal.get_xdata().tolist() == artists.diagonal.get_ydata().tolist() == list(ax.get_xlim())
    for band, share in zip(artists.bands, (0.25, 0.10), strict=True):
        (path,) = band.get_paths()
        ratios = {round(y / x, 9) for x, y in path.vertices}
        assert ratios <= {1 - share, 1 + share, 1.0}
        assert {1 - share, 1 + share} <= ratios


def test_axes_have_units_and_the_legend_its_errors(drawn) -> None:
    found, fig, artists = drawn
    (ax,) = fig.axes
    unit = {1e-9: "ns", 1e-6: "µs", 1e-3: "ms", 1.0: "s"}[artists.unit_s]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (f"Measured latency ({unit})", f"Predicted latency ({unit})")
    words = [text.get_text() for text in artists.legend.get_texts()]
    own = series(found.rows)
    for word, (name, rows) in zip(words, own.items(), strict=True):
        median = np.median([abs(row.ratio - 1) for row in rows])
        assert word == f"{name}: {len(rows)}, median {100 * median:.1f} %"
    assert artists.legend.get_title().get_text() == "bands: within 10 % and 25 %"
    assert artists.title.get_text() == "runs.csv"


def test_the_rows_farthest_off_are_named(drawn) -> None:
    found, _, artists = drawn
    far = sorted(found.rows, key=lambda row: -abs(np.log(row.ratio)))
    beyond = [row for row in far if abs(row.ratio - 1) > 0.25]
    assert list(artists.outliers) == [row.measured.name for row in beyond[:8]]
    for row in beyond[:8]:
        assert artists.outliers[row.measured.name].get_text() == f"{row.measured.name} {row.ratio:.2f}×"


def test_many_series_share_a_look() -> None:
    own = series(validation(12, 10).rows)
    assert len(own) == len(style.PALETTE)
    *named, rest = own
    assert rest == "6 more"
    assert min(len(own[name]) for name in named) >= max(10, 12 - 2)
    _, artists = figure(validation(12, 10))
    colors = {tuple(points.get_facecolor()[0]) for points in artists.points.values()}
    assert len(colors) == len(own)


def test_no_text_overlaps_another_or_leaves_the_figure(drawn) -> None:
    _, fig, artists = drawn
    with drawn_at(fig, 150) as renderer:
        (ax,) = fig.axes
        texts = [*artists.outliers.values(), artists.title, ax.xaxis.label, ax.yaxis.label]
        extents = [Text.get_window_extent(text, renderer) for text in texts]
        extents.append(artists.legend.get_window_extent(renderer))
    for box in extents:
        assert min(box.x0, box.y0) >= -1
        assert box.x1 <= fig.get_figwidth() * 150 + 1
        assert box.y1 <= fig.get_figheight() * 150 + 1
    for one, other in combinations(extents, 2):
        assert min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)) <= 1.5


def test_it_draws_into_axes_that_are_there() -> None:
    fig, (upper, lower) = style.new_panels(2, (5.0, 8.0))
    artists = scatter(validation(2, 10), lower, labelled=2)
    assert len(artists.outliers) == 2
    assert not upper.collections
    assert set(artists.points.values()) <= set(lower.collections)
    assert fig.axes == [upper, lower]


def test_paths_are_named_by_their_file() -> None:
    measured = Measurement("/data/nets/" + "long_" * 10 + "name.onnx", "a", "b", 1.0)
    _, artists = figure(Validation((Predicted(measured, 3.0, None, 0.0),), ()))
    (name,) = artists.outliers
    assert name == "…" + ("long_" * 10 + "name")[-27:]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_rows_give_the_same_file(tmp_path: Path, suffix: str) -> None:
    files = [save(figure(validation(2, 20))[0], tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2)]
    assert files[0] == files[1]
