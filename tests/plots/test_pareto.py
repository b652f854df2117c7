"""The picture of a front by its artists: markers are the front, steps bound what it dominates, names keep apart."""

import numpy as np
import pytest
from support.figures import assert_apart

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity
from simulator.report.plots.pareto import Cloud, figure
from simulator.report.plots.save import save
from simulator.study.fronts import front

LATENCY, ENERGY, ACCURACY = Quantity("Latency", "s", "less"), Quantity("Energy", "J", "less"), Quantity("Accuracy", "%", "more")


def cloud(name: str, n: int, seed: int = 0, *, named: bool = True) -> Cloud:
    rng = np.random.default_rng(seed)
    x = 1e-3 * np.exp(rng.normal(size=n))
    return Cloud(name, x, 1e-6 / x * np.exp(np.abs(rng.normal(size=n))), tuple(f"{name} {i}" for i in range(n)) if named else ())


CASES = {
    "one design": ([cloud("a", 1)], True),
    "one cloud": ([cloud("a", 40)], True),
    "nameless": ([cloud("a", 300, named=False)], True),
    "three clouds": ([cloud("a", 30), cloud("b", 30, 1), cloud("c", 30, 2)], True),
    "own fronts": ([cloud("a", 30), cloud("b", 30, 1)], False),
}


@pytest.fixture(scope="module", params=[(case, size) for case in CASES for size in (style.SINGLE_IN, style.DOUBLE_IN)])
def drawn(request):
    case, size_in = request.param
    clouds, joint = CASES[case]
    return clouds, joint, *figure(clouds, x=LATENCY, y=ENERGY, title=case, joint=joint, size_in=size_in)


def test_markers_are_the_front(drawn) -> None:
    clouds, joint, _, artists = drawn
    everything = np.concatenate([np.column_stack([c.x, c.y]) for c in clouds])
    for c in clouds:
        xy = np.column_stack([c.x, c.y])
        own = front(everything if joint else xy, ("less", "less"))
        chosen = {tuple(p) for p in (everything if joint else xy)[own]} & {tuple(p) for p in xy}
        scaled = {(round(float(artists.x.shown(x)), 9), round(float(artists.y.shown(y)), 9)) for x, y in chosen}
        shown = artists.markers[c.name].get_offsets() if c.name in artists.markers else []
        assert {(round(float(x), 9), round(float(y), 9)) for x, y in shown} == scaled
        assert len(artists.dominated[c.name].get_offsets()) == len(xy) - len(chosen)


def test_steps_bound_what_is_dominated(drawn) -> None:
    """No design lies below the steps; each step is along one axis."""
    clouds, joint, _, artists = drawn
    for name, line in artists.fronts.items():
        x, y = np.asarray(line.get_xydata()).T
        assert ((np.diff(x) == 0) | (np.diff(y) == 0)).all()
        assert (np.diff(x) >= 0).all()
        assert (np.diff(y) <= 0).all()
        for c in clouds:
            if joint or c.name == name:
                below = [y[np.flatnonzero(x <= cx * (1 + 1e-12))[-1]] for cx in artists.x.shown(c.x)]
                assert (artists.y.shown(c.y) >= np.array(below) * (1 - 1e-12)).all()


def test_axes_have_units_and_directions(drawn) -> None:
    _, _, fig, artists = drawn
    (ax,) = fig.axes
    assert ax.get_xlabel() == f"← better   Latency ({artists.x.unit})"
    assert ax.get_ylabel() == f"← better   Energy ({artists.y.unit})"
    assert artists.x.unit.endswith("s")
    assert artists.y.unit.endswith("J")


def test_names_keep_apart(drawn) -> None:
    clouds, _, fig, artists = drawn
    (ax,) = fig.axes
    assert_apart(fig, [*artists.labels.values(), artists.title, ax.xaxis.label, ax.yaxis.label, *filter(None, [artists.legend])])
    known = {(c.name, n) for c in clouds for n in c.names}
    assert set(artists.labels) <= known
    assert bool(artists.labels) == bool(known)
    assert (artists.legend is None) == (len(clouds) == 1)


def test_more_is_better_upwards() -> None:
    """Accuracy against latency: the steps rise."""
    x, y = np.array([1e-3, 2e-3, 3e-3, 4e-3]), np.array([60.0, 70.0, 65.0, 80.0])
    fig, artists = figure([Cloud("nets", x, y, ("a", "b", "c", "d"))], x=LATENCY, y=ACCURACY)
    assert artists.markers["nets"].get_offsets().tolist() == [[1, 60], [2, 70], [4, 80]]
    line = np.asarray(artists.fronts[""].get_xydata())
    bottom = fig.axes[0].get_ylim()[0]
    assert line.tolist()[:3] == [[1, bottom], [1, 60], [2, 60]]
    assert not artists.x.log
    assert {name for _, name in artists.labels} == {"a", "b", "d"}


def test_unknown_designs_are_left_out() -> None:
    x, y = np.array([1e-3, np.nan, 3e-3]), np.array([1.0, 0.1, 2.0])
    _, artists = figure([Cloud("a", x, y, ("p", "q", "r"))], x=LATENCY, y=ENERGY)
    assert len(artists.markers["a"].get_offsets()) == 1
    assert len(artists.dominated["a"].get_offsets()) == 1


def test_many_designs_are_pixels(tmp_path) -> None:
    """A vector file of a hundred thousand designs stays small."""
    many = cloud("many", 100_000, named=False)
    fig, artists = figure([many], x=LATENCY, y=ENERGY)
    assert artists.dominated["many"].get_rasterized()
    assert save(fig, tmp_path / "many.pdf").stat().st_size < 2_000_000


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_designs_give_the_same_file(tmp_path, suffix: str) -> None:
    files = [save(figure([cloud("a", 20)], x=LATENCY, y=ENERGY)[0], tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2)]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("clouds", "words"),
    [
        ([], "needs designs"),
        ([cloud("a", 2), cloud("a", 3)], "different names"),
        ([Cloud("a", np.ones(2), np.ones(3))], "'a' has values of shapes"),
        ([Cloud("a", np.ones(2), np.ones(2), ("x",))], "'a' has 1 names for 2 designs"),
        ([Cloud("a", np.array([np.nan]), np.ones(1))], "no value of Latency"),
    ],
)
def test_bad_input_is_named(clouds, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        figure(clouds, x=LATENCY, y=ENERGY)
