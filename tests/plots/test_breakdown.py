"""Breakdowns by their artists: bars are the parts, totals stand behind them, the legend is above."""

import pytest
from support.figures import assert_apart, ticks_of

import simulator as sim
from simulator.errors import UsageError
from simulator.report.plots.axes import Quantity
from simulator.report.plots.breakdown import Stack, figure, stacked_figure, stacks
from simulator.report.plots.registry import find_plot

CASES = (("resnet50", "a100_sxm_80", "fp16"), ("resnet50", "rpi5", "fp32"), ("resnet50", "edgetpu_usb", "int8"))
KINDS = ("time", "time by class", "energy", "energy by class")


@pytest.fixture(scope="module")
def estimates():
    return [sim.estimate(model, machine, precision=precision) for model, machine, precision in CASES]


@pytest.mark.parametrize("width_in", [3.5, 7.1])
@pytest.mark.parametrize("what", KINDS)
def test_bars_are_the_parts(estimates, what: str, width_in: float) -> None:
    fig, artists = figure(estimates, what, title="resnet50", width_in=width_in)
    (ax,) = fig.axes
    for row, one in enumerate(stacks(estimates, what)):
        lengths = {part: bars.patches[row].get_width() * artists.scale.factor for part, bars in artists.bars.items()}
        assert sum(lengths.values()) == pytest.approx(sum((one.parts or {}).values()))
        for part, value in (one.parts or {}).items():
            assert lengths[part] == pytest.approx(value)
    name = "Energy" if what.startswith("energy") else "Latency"
    assert ax.get_xlabel() == f"{name} ({artists.scale.unit})"
    assert ("not known" in {t.get_text() for t in artists.totals.values()}) == what.startswith("energy")
    texts = [*artists.shares.values(), *artists.totals.values(), artists.title, artists.legend, ax.xaxis.label, *ticks_of(ax)]
    assert_apart(fig, texts)
    assert len(artists.legend.get_texts()) == len(artists.bars)


def test_relative_bars_are_as_long_as_each_other(estimates) -> None:
    fig, artists = figure(estimates, "time", relative=True)
    for row in range(len(estimates)):
        assert sum(bars.patches[row].get_width() for bars in artists.bars.values()) == pytest.approx(100)
    assert fig.axes[0].get_xlabel() == "Share (%)"


def test_many_parts_are_put_together() -> None:
    parts = {f"class {i}": float(20 - i) for i in range(20)}
    _, artists = stacked_figure([Stack("a", parts), Stack("b", {"class 3": 1.0, "outside": 99.0})], value=Quantity("Time", "s"))
    assert len(artists.bars) == 8
    assert list(artists.bars)[-2:] == ["other", "outside"]
    total = sum(bars.patches[0].get_width() for bars in artists.bars.values()) * artists.scale.factor
    assert total == pytest.approx(sum(parts.values()))
    colors = {bars.patches[0].get_facecolor() for bars in artists.bars.values()}
    assert len(colors) == 8


def test_shares_are_percent(estimates) -> None:
    _, artists = figure(estimates[1:2], "time")
    shown = {part: text.get_text() for (_, part), text in artists.shares.items()}
    (one,) = stacks(estimates[1:2], "time")
    assert shown["compute"] == f"{100 * one.parts['compute'] / sum(one.parts.values()):.0f} %"


def test_it_is_registered() -> None:
    assert find_plot("breakdown").needs == "estimates"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stacks([], "time"), "at least one estimate"),
        (lambda: stacks([], "tiem"), "did you mean 'time'"),
        (lambda: stacked_figure([Stack("a", None)], value=Quantity("Time", "s")), "parts that are known"),
        (lambda: stacked_figure([Stack("a", {"x": -1.0})], value=Quantity("Time", "s")), "part 'x' of 'a' is -1"),
        (lambda: stacked_figure([Stack("a", {"x": 1.0})] * 2, value=Quantity("Time", "s")), "different names"),
    ],
)
def test_bad_input_is_named(call, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()
