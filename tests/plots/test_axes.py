"""Axes of studies: units, scales, limits, and the room that a legend finds."""

import math

import numpy as np
import pytest
from matplotlib.lines import Line2D
from support.figures import drawn_at, ticks_of

from simulator.errors import UsageError
from simulator.report.plots import style
from simulator.report.plots.axes import Quantity, make_room, padded, scale_of, set_axis, shortened, tick


@pytest.mark.parametrize(
    ("quantity", "values", "unit", "factor", "log"),
    [
        (Quantity("Latency", "s"), [2e-3, 8e-3], "ms", 1e-3, False),
        (Quantity("Latency", "s"), [5e-6, 6e-2], "ms", 1e-3, True),
        (Quantity("Bandwidth", "B/s"), [1e9, 2e12], "GB/s", 1e9, True),
        (Quantity("Capacity", "B"), [2**20, 8 * 2**20], "MiB", 2.0**20, False),
        (Quantity("Accuracy", "%"), [70, 80], "%", 1.0, False),
        (Quantity("Batch"), [1, 2, 4, 64], "", 1.0, True),
        (Quantity("Saved", "J"), [-1e-3, 5e-2], "mJ", 1e-3, False),
        (Quantity("Latency", "s", log=False), [1e-3, 1.0], "s", 1.0, False),
        (Quantity("Latency", "s"), [0.0, math.nan], "s", 1.0, False),
    ],
)
def test_scales(quantity, values, unit: str, factor: float, log: bool) -> None:
    scale = scale_of(quantity, values)
    assert (scale.unit, scale.factor, scale.log) == (unit, factor, log)
    assert scale.label == (f"{quantity.name} ({unit})" if unit else quantity.name)
    known = [v for v in values if math.isfinite(v)]
    low, high = padded(scale, values)
    assert low <= min(known) / factor
    assert high > max(known) / factor


def test_labels_point_where_it_gets_better() -> None:
    for better, label in (("less", "← better   Time (s)"), ("more", "Time (s)   better →"), (None, "Time (s)")):
        assert scale_of(Quantity("Time", "s", better), [1.0, 2.0]).axis_label == label


@pytest.mark.parametrize(
    ("value", "quantity", "text"),
    [
        (1.234e-3, Quantity("", "s"), "1.23 ms"),
        (3 * 2**19, Quantity("", "B"), "1.5 MiB"),
        (76.13, Quantity("", "%"), "76.1 %"),
        (23456.0, Quantity("", "1/s"), "23.5 k 1/s"),
        (12.0, Quantity(""), "12"),
        (math.inf, Quantity("", "s"), "∞"),
        (math.nan, Quantity("", "s"), "–"),
    ],
)
def test_values_as_text(value: float, quantity: Quantity, text: str) -> None:
    assert quantity.text(value) == text


def test_ticks_are_readable() -> None:
    assert [tick(v) for v in (0, 0.02, 300, 50_000, -5)] == ["0", "0.02", "300", "50 k", "−5"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scale_of(Quantity("Latency", "s"), [math.nan]), "no value of Latency"),
        (lambda: scale_of(Quantity("Latency", "s", log=True), [0.0, 1.0]), "needs positive values; Latency goes down to 0"),
    ],
)
def test_bad_values_are_named(call, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()


@pytest.mark.parametrize("size_in", [style.SINGLE_IN, style.DOUBLE_IN])
def test_few_values_have_a_tick_each(size_in) -> None:
    fig, ax = style.new_axes(size_in)
    values = [1, 2, 4, 8, 16, 32]
    scale = scale_of(Quantity("Batch"), values)
    set_axis(ax, "x", scale, padded(scale, values), values)
    with drawn_at(fig, 100):
        assert [t.get_text() for t in ticks_of(ax)][:6] == [str(v) for v in values]


@pytest.mark.parametrize("log", [False, True])
def test_a_legend_finds_or_makes_room(log: bool) -> None:
    """Points everywhere: then the axis grows until all of them are below the legend."""
    fig, ax = style.new_axes(style.SINGLE_IN)
    xy = np.stack(np.meshgrid(np.linspace(1, 10, 20), np.geomspace(1, 100, 20)), axis=-1).reshape(-1, 2)
    ax.set(yscale="log" if log else "linear", xlim=(1, 10), ylim=(1, 100))
    legend = ax.legend(handles=[Line2D([], [], label=f"series {i}") for i in range(4)])
    make_room(ax, legend, xy)
    with drawn_at(fig, 100) as renderer:
        box = legend.get_window_extent(renderer)
        px = ax.transData.transform(xy)
    assert not ((px > [box.x0, box.y0]) & (px < [box.x1, box.y1])).all(axis=1).any()
    assert ax.get_ylim()[1] > 100


def test_names_are_cut_in_the_middle() -> None:
    assert shortened(["short", "a_very_long_name_of_it"], 11) == ["short", "a_ver…of_it"]
