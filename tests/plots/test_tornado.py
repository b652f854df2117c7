"""Effects by their artists: bars from 1 to the ratios, the strongest on top, numbers at their ends."""

import math

import pytest
from support.figures import assert_apart, ticks_of

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity
from simulator.report.plots.tornado import Effect, figure, tornado

LATENCY = Quantity("Latency", "s", "less")
EFFECTS = [
    Effect("bandwidth of hbm", 1.62, 0.78), Effect("peak", 1.31, 0.86), Effect("overhead", 0.81, 1.55),
    Effect("cores", 1.4, None), Effect("a tile width with a very long name indeed", 1.12, 1.2), Effect("static power", 1.0, 1.0),
    Effect("l2", 1.02, 0.99),
]  # fmt: skip


@pytest.mark.parametrize("width_in", [3.5, 7.1])
def test_bars_and_numbers(width_in: float) -> None:
    fig, artists = figure(EFFECTS, value=LATENCY, title="resnet50", width_in=width_in)
    strengths = [e.strength for e in artists.effects]
    assert strengths == sorted(strengths, reverse=True)
    assert artists.left_out == 0
    for which, bars in (("half", artists.half), ("twice", artists.twice)):
        for effect, bar in zip(artists.effects, bars.patches, strict=True):
            assert bar.get_x() + bar.get_width() == pytest.approx(getattr(effect, which) or 1.0)
    assert artists.numbers["bandwidth of hbm", "half"].get_text() == "1.62×"
    assert ("cores", "twice") not in artists.numbers
    assert [key for key in artists.numbers if key[0] == "static power"] == [("static power", "twice")]
    (ax,) = fig.axes
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "Relative latency (×)   ← better"
    assert_apart(fig, [*artists.numbers.values(), *ticks_of(ax), artists.title, artists.legend, ax.xaxis.label])
    low, high = ax.get_xlim()
    assert low < 0.78
    assert high > 1.62


def test_the_strongest_are_shown() -> None:
    _, artists = figure(EFFECTS, value=LATENCY, top=2)
    assert [e.name for e in artists.effects] == ["bandwidth of hbm", "overhead"]
    assert artists.left_out == 5


def test_bars_of_one_side_share_their_row() -> None:
    _, artists = figure([Effect("both", 1.1, 1.2)], value=LATENCY)
    (half,), (twice,) = artists.half.patches, artists.twice.patches
    assert half.get_y() + half.get_height() <= twice.get_y() + 1e-12


@pytest.mark.parametrize("effects", [[Effect("a", 1, 1)], [Effect("a", 1e-3, 500.0)], [Effect("a", None, None)]])
def test_extremes(effects) -> None:
    fig, artists = figure(effects, value=LATENCY, width_in=style.SINGLE_IN[0])
    assert_apart(fig, [*ticks_of(fig.axes[0]), *artists.numbers.values()])


def test_it_draws_into_axes_that_are_there() -> None:
    _, (upper, lower) = style.new_panels(2, (5.0, 6.0))
    artists = tornado(EFFECTS, lower, value=LATENCY)
    assert set(artists.half.patches) <= set(lower.patches)
    assert not upper.patches


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ([], "needs effects"),
        ([Effect("a", 1, 1), Effect("a", 1, 2)], "different names"),
        ([Effect("a", -1.0, 1)], "the effect of 'a' is -1 times"),
        ([Effect("a", math.inf, 1)], "positive and finite"),
    ],
)
def test_bad_input_is_named(effects, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        figure(effects, value=LATENCY)
