"""The picture of the memory plan by its artists: the rectangles are the arena, and no text covers another."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.figures import drawn_at
from support.graphs import loaded, model, value

import simulator as sim
from simulator.machine.params import machine_of
from simulator.preparation import prepare
from simulator.report.plots import style
from simulator.report.plots.memory import MemoryArtists, figure
from simulator.report.plots.save import save
from simulator.schedule.plan import MemoryPlan, plan_memory

CASES = {
    "small": ("ds_cnn", "stm32h743", "int8"),
    "fits": ("mobilenet_v2:width=0.35,resolution=144", "stm32h743", "int8"),
    "too large": ("mobilenet_v2", "stm32h743", "int8"),
    "gpu": ("resnet50", "a100_sxm_80", "fp16"),
    "many": ("densenet121", "stm32h743", "int8"),
    "transformer": ("bert_base", "a100_sxm_80", "fp16"),
}
SIZES = {"single": style.SINGLE_IN, "double": style.DOUBLE_IN}


def planned(case: str) -> MemoryPlan:
    name, machine, precision = CASES[case]
    prepared = prepare(sim.load_model(name), precision, ("batch_norm", "activation"))
    return plan_memory(prepared.graph, prepared.kernels, machine_of(sim.load_hardware(machine)), 1e5)


@pytest.fixture(scope="module", params=[(c, s) for c in CASES for s in SIZES], ids="-".join)
def drawn(request) -> tuple[MemoryPlan, Figure, MemoryArtists]:
    case, size = request.param
    plan = planned(case)
    fig, (artists,) = figure(plan, title=", ".join(CASES[case]), size_in=SIZES[size])
    return plan, fig, artists


def test_rectangles_are_the_arena(drawn) -> None:
    plan, _, artists = drawn
    arena = plan.best("liveness")
    boxes = {(box.get_x(), box.get_y(), box.get_width(), box.get_height()) for box in artists.culprits.values()}
    for path in artists.others.get_paths():
        (x0, y0), (x1, y1) = path.vertices.min(axis=0), path.vertices.max(axis=0)
        boxes.add((x0, y0, x1 - x0, y1 - y0))
    assert len(artists.culprits) + len(artists.others.get_paths()) == len(arena.placements)
    for placement in arena.placements:
        (span,) = placement.buffer.spans
        expected = np.array(
            [
                span.first + 0.5,
                placement.address_bytes / artists.unit_bytes,
                span.last - span.first + 1,
                span.size_bytes / artists.unit_bytes,
            ]
        )
        assert any(np.allclose(expected, box, rtol=1e-9, atol=1e-12) for box in boxes)


def test_lines_are_peak_capacity_and_what_is_alive(drawn) -> None:
    plan, fig, artists = drawn
    (ax,) = fig.axes
    assert artists.peak.get_ydata()[0] == plan.best("liveness").size_bytes / artists.unit_bytes
    live = plan.peaks["liveness"].live_bytes / artists.unit_bytes
    assert artists.alive.get_ydata()[::2].tolist() == live.tolist()
    assert live.max() <= artists.peak.get_ydata()[0]
    assert (artists.capacity is None) == (plan.capacity_bytes > 2.5 * plan.best("liveness").size_bytes)
    if artists.capacity is not None:
        assert artists.capacity.get_ydata()[0] == plan.capacity_bytes / artists.unit_bytes
        assert ax.get_ylim()[1] > artists.capacity.get_ydata()[0]
    assert ax.get_xlim() == (0.5, len(plan.kernels) + 0.5)


def test_axes_have_units_and_culprits_names(drawn) -> None:
    plan, fig, artists = drawn
    (ax,) = fig.axes
    assert ax.get_ylabel() in ("Address (KiB)", "Address (MiB)")
    assert ax.get_xlabel() == "Kernel, in the order they run"
    words = " ".join(label.get_text() for label in artists.labels)
    largest = plan.peaks["liveness"].culprits[0]
    assert largest.spec.name in artists.culprits
    assert largest.spec.name[-17:] in words
    assert f" at kernel {plan.peaks['liveness'].at + 1}" in words
    assert artists.title.get_text().startswith("mobilenet_v2") or ", " in artists.title.get_text()


@pytest.mark.parametrize("dpi", [100, 200])
def test_no_text_overlaps_another_or_leaves_the_figure(drawn, dpi) -> None:
    _, fig, artists = drawn
    with drawn_at(fig, dpi) as renderer:
        (ax,) = fig.axes
        texts = [*artists.labels, artists.title, ax.xaxis.label, ax.yaxis.label]
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


def test_a_panel_for_each_place() -> None:
    """Each with its own arena, kernels in line, and no text of one over that of another."""
    plan = sim.plan(sim.estimate("mobilenet_v3_small", "edgetpu_usb", precision="int8"))
    fig, panels = figure(plan, title="mobilenet_v3_small")
    assert len(panels) == len(fig.axes) == len(plan.places) == 2
    for place, artists in zip(plan.places, panels, strict=True):
        assert artists.peak.get_ydata()[0] == place.best("liveness").size_bytes / artists.unit_bytes
        assert artists.alive.get_ydata()[::2].tolist() == (place.peaks["liveness"].live_bytes / artists.unit_bytes).tolist()
    assert [p.title.get_text() for p in panels] == ["npu in sram: mobilenet_v3_small", "cores in dram"]
    assert fig.axes[0].get_xlim() == fig.axes[1].get_xlim()
    assert [ax.get_xlabel() for ax in fig.axes] == ["", "Kernel, in the order they run"]
    with drawn_at(fig, 100) as renderer:
        texts = [t for p in panels for t in (*p.labels, p.title)]
        extents = [Text.get_window_extent(t, renderer) for t in texts] + [p.legend.get_window_extent(renderer) for p in panels]
    for one, other in combinations(extents, 2):
        assert min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)) <= 1


def test_named_culprits_have_colours_of_their_own() -> None:
    _, (artists,) = figure(planned("many"))
    colors = [box.get_facecolor() for box in artists.culprits.values()]
    assert len(set(colors[:4])) == 4
    assert len(artists.culprits) > 5
    assert len(set(colors[4:])) == 1


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_plan_gives_the_same_file(tmp_path: Path, suffix: str) -> None:
    files = [save(figure(planned("small"), title="a")[0], tmp_path / f"{i}.{suffix}").read_bytes() for i in range(2)]
    assert files[0] == files[1]
    assert len(files[0]) > 2000


def test_a_network_without_kernels() -> None:
    prepared = prepare(loaded(model([], [value("x", 3)], ["x"])), None, ())
    plan = plan_memory(prepared.graph, prepared.kernels, machine_of(sim.load_hardware("stm32h743")), 0.0)
    _, (artists,) = figure(plan)
    assert not artists.culprits
