"""The picture of the timeline by its artists: bars are the events, names fit their bars, no text covers another."""

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.text import Text
from support.figures import drawn_at
from support.graphs import loaded, model, node, value
from support.machines import hardware, runtime

import simulator as sim
from simulator.estimator import estimate
from simulator.report.plots import style
from simulator.report.plots.save import save
from simulator.report.plots.timeline import figure

CASES = {
    "prefetch": ("resnet8", "ethos_u55_128", "int8", "prefetch"),
    "many kernels": ("bert_base", "a100_sxm_80", "fp16", None),
    "none": ("resnet50", "zcu102", "int8", "none"),
    "full": ("resnet50", "rtx4090", "fp16", "full"),
    "link": ("resnet50", "edgetpu_usb", "int8", "layer"),
    "slow": ("mobilenet_v2", "stm32h743", "int8", None),
}


def estimated(case: str) -> sim.Estimate:
    name, machine, precision, overlap = CASES[case]
    return sim.estimate(name, machine, precision=precision, overlap=overlap)


@pytest.fixture(scope="module", params=[*CASES, "prefetch, narrow", "many kernels, narrow"])
def drawn(request):
    case, _, narrow = request.param.partition(", ")
    est = estimated(case)
    size_in = (style.SINGLE_IN[0], 3.2) if narrow else None
    return est, *figure(est, title=", ".join(map(str, CASES[case])), size_in=size_in)


def test_bars_are_the_events(drawn) -> None:
    est, fig, artists = drawn
    line = est.timeline()
    (ax,) = fig.axes
    assert set(artists.bars) == set(line.lanes)
    assert ax.get_xlim() == (0, pytest.approx(est.latency_s / artists.unit_s))
    for lane, bars in artists.bars.items():
        events = [e for e in line.events if e.lane == lane]
        paths = bars.get_paths()
        assert len(paths) == len(events)
        for event, path in zip(events, paths, strict=True):
            left, right = path.vertices[:, 0].min(), path.vertices[:, 0].max()
            assert left * artists.unit_s == pytest.approx(event.start_s, abs=1e-9 * est.latency_s)
            assert (right - left) * artists.unit_s == pytest.approx(event.duration_s, rel=1e-6, abs=1e-9 * est.latency_s)
        ((low, high),) = {(round(p.vertices[:, 1].min(), 9), round(p.vertices[:, 1].max(), 9)) for p in paths}
        assert low >= 0 and high <= len(line.lanes)  # noqa: PT018


def test_lanes_say_what_they_are(drawn) -> None:
    est, fig, artists = drawn
    (ax,) = fig.axes
    assert ax.get_xlabel() in ("Time (µs)", "Time (ms)", "Time (s)")
    for lane, caption in artists.captions.items():
        assert lane.id in caption.get_text()
        assert "% of the time" in caption.get_text()
    kinds = {e.kind for e in est.timeline().events}
    assert len(artists.legend.get_texts()) == len(kinds)


@pytest.mark.parametrize("dpi", [100, 200])
def test_no_text_overlaps_another_or_leaves_the_figure(drawn, dpi: int) -> None:
    est, fig, artists = drawn
    (ax,) = fig.axes
    with drawn_at(fig, dpi) as renderer:
        texts = [*artists.captions.values(), *artists.names, artists.title, ax.xaxis.label]
        extents = [Text.get_window_extent(text, renderer) for text in texts]
        extents.append(artists.legend.get_window_extent(renderer))
    for box in extents:
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= fig.get_figwidth() * dpi + 1
        assert box.y1 <= fig.get_figheight() * dpi + 1
    for one, other in combinations(extents, 2):
        wide = min(one.x1, other.x1) - max(one.x0, other.x0)
        high = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(wide, high) <= 0.01 * dpi
    words = {part for name in est.work.names for part in (name, name.replace("/", ".").rsplit(".", 1)[-1])}
    assert {t.get_text() for t in artists.names} <= words


def test_names_where_there_is_room() -> None:
    est = estimated("prefetch")
    named = {t.get_text() for t in figure(est)[1].names}
    assert len(named) >= 4


def test_link_is_a_link() -> None:
    _, artists = figure(estimated("link"))
    assert any(c.get_text().startswith("link usb") for c in artists.captions.values())


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_timeline_gives_the_same_file(tmp_path: Path, suffix: str) -> None:
    est = estimated("prefetch")
    files = [save(figure(est, title="a")[0], tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2)]
    assert files[0] == files[1]
    assert len(files[0]) > 2000


def test_nothing_to_do() -> None:
    """A view alone takes no time."""
    est = estimate(loaded(model([node("Flatten", "x", "y")], [value("x", 2, 3)], ["y"])), hardware(), runtime())
    assert est.latency_s == 0
    fig, artists = figure(est)
    assert not artists.bars
    assert artists.legend is None
    assert fig.axes
