"""The roofline by its artists: what is drawn is what the estimate says, and nothing is written over anything else."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.figures import drawn_at

import simulator as sim
from simulator.errors import NotFoundError, OutputError, UsageError
from simulator.machine.params import machine_of
from simulator.model import Model
from simulator.report.plots import style
from simulator.report.plots.energy_roofs import energy_roof
from simulator.report.plots.labels import Box, overlap
from simulator.report.plots.registry import find_plot, plot, plots
from simulator.report.plots.roofline import RooflineArtists, figure, roofline
from simulator.report.plots.roofs import points, rest, roofs
from simulator.report.plots.save import save
from simulator.result.estimate import Estimate
from simulator.transform.change import change_of

CASES = {
    "gpu": [("resnet50", "a100_sxm_80", "fp16")],
    "mcu": [("ds_cnn", "stm32h743", "int8")],
    "transformer": [("bert_base", "a100_sxm_80", "fp16")],
    "models": [(m, "a100_sxm_80", "fp16") for m in ("resnet50", "mobilenet_v2", "vit_b_16", "bert_base")],
    "machines": [("resnet50", h, "fp16") for h in ("jetson_orin_nano", "rtx4090", "h100_sxm")],
    "mcus": [("ds_cnn", h, "int8") for h in ("stm32h743", "stm32l4r5", "nrf5340", "ethos_u55_128", "gap9")],
    "grid": [(m, h, "fp16") for m in ("resnet50", "bert_base") for h in ("t4", "a100_sxm_80")],
}
SIZES = {"single": style.SINGLE_IN, "double": style.DOUBLE_IN}


def estimates(case: str) -> list[Estimate]:
    return [sim.estimate(model, machine, precision=precision) for model, machine, precision in CASES[case]]


@pytest.fixture(scope="module", params=[(c, s) for c in CASES for s in SIZES], ids="-".join)
def drawn(request) -> tuple[list[Estimate], Figure, RooflineArtists]:
    case, size = request.param
    found = estimates(case)
    return found, *figure(found, size_in=SIZES[size])


def offsets(collection) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for x, y in collection.get_offsets()}


def test_points_are_the_numbers_of_the_estimate(drawn):
    found, _, artists = drawn
    expected = set()
    for est in found:
        work = est.work
        for i in np.flatnonzero(work.ops > 0):
            ops = 2 * work.macs[i] + work.vector_ops[i] + work.special_ops[i]
            moved = work.weight_bytes[i] + work.input_bytes[i] + work.output_bytes[i]
            expected.add((float(ops / moved), float(ops / est.kernel_s[i])))
    assert set().union(*map(offsets, artists.points.values())) == expected


def test_totals_are_the_networks(drawn):
    found, _, artists = drawn
    assert len(artists.totals) == len(found)
    for est, star in zip(found, artists.totals.values(), strict=True):
        ((x, y),) = star.get_xydata()
        assert x == est.work.ops.sum() / est.work.total_bytes.sum()
        assert y == est.work.ops.sum() / est.latency_s
        assert any(style.readable(y, "").split()[0] in text.get_text() for text in artists.labels)


def test_everything_is_inside_the_limits(drawn):
    _, fig, artists = drawn
    (ax,) = fig.axes
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert np.log10([low, high]) == pytest.approx(np.log10([low, high]).round(), abs=1e-12)
    for artist in (*artists.points.values(), *artists.ridges.values(), *artists.totals.values()):
        xy = np.asarray(artist.get_offsets() if hasattr(artist, "get_offsets") else artist.get_xydata())
        assert (xy[:, 0] >= ax.get_xlim()[0]).all()
        assert (xy[:, 0] <= ax.get_xlim()[1]).all()
        assert (xy[:, 1] >= ax.get_ylim()[0]).all()
        assert (xy[:, 1] <= ax.get_ylim()[1]).all()


def box_of(text: Text, renderer: RendererAgg) -> Box:
    """The turned rectangle that a text fills, from its extent before the turn."""
    angle = text.get_rotation()
    text.set_rotation(0)
    extent = Text.get_window_extent(text, renderer)
    pivot = tuple(text.get_transform().transform(text.get_unitless_position()))
    text.set_rotation(angle)
    return Box(pivot, extent.x0 - pivot[0], extent.y0 - pivot[1], extent.x1 - pivot[0], extent.y1 - pivot[1], angle)


@pytest.mark.parametrize("dpi", [100, 200, 300])
def test_no_text_overlaps_another_or_leaves_the_figure(drawn, dpi):
    _, fig, artists = drawn
    with drawn_at(fig, dpi) as renderer:
        (ax,) = fig.axes
        texts = [*artists.labels, artists.title, ax.xaxis.label, ax.yaxis.label, *([artists.note] if artists.note else [])]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = axis.get_view_interval()
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = {}
        for text in texts:
            plain = text in (ax.yaxis.label,)
            extent = Text.get_window_extent(text, renderer)
            whole = Box((0, 0), extent.x0, extent.y0, extent.x1, extent.y1)
            boxes[text] = whole if plain or not text.get_rotation() else box_of(text, renderer)
        legend = artists.legend.get_window_extent(renderer)
    named = [(text.get_text(), box) for text, box in boxes.items()]
    named.append(("legend", Box((0, 0), legend.x0, legend.y0, legend.x1, legend.y1)))
    clashes = [(a, b) for (a, one), (b, other) in combinations(named, 2) if overlap(one.grown(-0.5), other.grown(-0.5))]
    assert clashes == []
    width, height = np.array(fig.get_size_inches()) * dpi
    for name, box in named:
        corners = box.corners
        assert (corners > -1).all(), name
        assert (corners[:, 0] < width + 1).all(), name
        assert (corners[:, 1] < height + 1).all(), name


@pytest.mark.parametrize(("case", "rate", "memory"), [("gpu", "fp16", "hbm"), ("mcu", "int8", "sram")])
def test_roofs_and_ridge_are_the_machine(case, rate, memory):
    (est,) = estimates(case)
    machine = machine_of(est.hardware)
    peak = 2 * machine.engines[0].macs_per_s[rate]
    bandwidth = next(m for m in machine.memories if m.id == memory).read_bytes_per_s
    fig, artists = figure([est])
    (ax,) = fig.axes
    ((x, y),) = artists.ridges[est.hardware.id].get_xydata()
    assert (x, y) == (peak / bandwidth, peak)
    left, right = ax.get_xlim()
    assert artists.attainable[est.hardware.id].get_xydata().tolist() == [[left, left * bandwidth], [x, y], [right, peak]]
    slant = artists.memory_roofs[est.hardware.id, memory].get_xydata()
    assert (slant[:, 1] / slant[:, 0]) == pytest.approx([bandwidth] * 2, rel=1e-15)
    assert slant[0, 0] == left
    flat = next(line for (_, names), line in artists.compute_roofs.items() if rate in names.split(", ")).get_xydata()
    assert flat[:, 1].tolist() == [peak, peak]
    assert flat[1, 0] == right


def test_every_peak_and_bandwidth_of_the_machine_has_a_roof():
    (est,) = estimates("gpu")
    machine = machine_of(est.hardware)
    found = roofs([est])
    assert {r.per_s for r in found.compute} == {2 * v for v in machine.engines[0].macs_per_s.values()}
    assert {n for r in found.compute for n in r.names} == set(machine.engines[0].macs_per_s)
    assert {r.per_s for r in found.memory} == {m.read_bytes_per_s for m in machine.memories}
    assert [r.per_s for r in found.compute] == sorted(r.per_s for r in found.compute)
    assert [r.names for r in found.memory if r.used] == [("hbm",), ("l2",)]


def test_sparse_weights_have_a_roof_of_their_own_where_they_are_multiplied_faster():
    dense = sim.load_model("bert_base", batch=32)
    sparse = Model(change_of("sparsity").apply(dense.graph, "2:4"))
    found = {rt: sim.estimate(sparse, "a100_sxm_80", precision="fp16", runtime=rt) for rt in ("tensorrt", "pytorch_compile")}
    own, other = (roofs([found[rt]]) for rt in ("tensorrt", "pytorch_compile"))
    assert own.peak.names[0] == "fp16 2:4"
    assert own.peak.per_s == 2 * 312e12
    assert points(found["tensorrt"]).ops_per_s.max() <= own.peak.per_s
    assert other.peak.names[0] == "fp16"
    assert not any("2:4" in name for roof in other.compute for name in roof.names)
    assert energy_roof([found["tensorrt"]]).op_j == energy_roof([found["pytorch_compile"]]).op_j


def test_labels_name_roofs_with_units():
    texts = [t.get_text() for t in figure(estimates("gpu"))[1].labels]
    assert {"HBM 2.04 TB/s", "fp16, bf16 312 TFLOP/s", "int8 624 TOP/s", "ridge 153 FLOP/byte"} <= set(texts)
    texts = [t.get_text() for t in figure(estimates("mcu"), size_in=style.SINGLE_IN)[1].labels]
    assert {"SRAM 1.92 GB/s", "flash 1.54 GB/s", "int8, int16 1.92 GOP/s", "fp32 960 MFLOP/s"} <= set(texts)


def test_the_note_and_every_network_keep_their_text_in_a_column():
    artists = figure(estimates("grid"), size_in=style.SINGLE_IN)[1]
    assert artists.note is not None
    texts = [t.get_text() for t in artists.labels]
    assert all(any(text.startswith(f"{name}: ") for text in texts) for name in artists.totals)


def test_axes_have_units():
    for case, unit in (("gpu", "FLOP"), ("mcu", "OP")):
        (ax,) = figure(estimates(case))[0].axes
        assert (ax.get_xlabel(), ax.get_ylabel()) == (f"Arithmetic intensity ({unit}/byte)", f"Performance ({unit}/s)")


def test_one_estimate_is_coloured_by_bound():
    (est,) = estimates("mcu")
    artists = figure([est])[1]
    ops = est.work.ops > 0
    assert set(artists.points) == {b for b, shown in zip(est.bounds, ops, strict=True) if shown}
    for bound, collection in artists.points.items():
        assert to_rgba(collection.get_facecolor()[0], alpha=1) == to_rgba(style.BOUND_LOOK[bound][0])
        mask = ops & (np.array(est.bounds) == bound)
        assert len(collection.get_offsets()) == mask.sum()
    colors = {tuple(c.get_facecolor()[0]) for c in artists.points.values()}
    assert len(colors) == len(artists.points) > 1


def test_marker_area_is_in_proportion_to_time():
    (est,) = estimates("mcu")
    found = points(est)
    area = np.concatenate([c.get_sizes() for c in figure([est])[1].points.values()])
    assert area.max() / np.sort(area)[-2] == pytest.approx(found.share.max() / np.sort(found.share)[-2])
    assert found.share.sum() == pytest.approx(1)


@pytest.mark.parametrize("case", ["models", "machines"])
def test_several_estimates_differ_in_colour_and_marker(case):
    found = estimates(case)
    artists = figure(found)[1]
    names = [e.model.name if case == "models" else e.hardware.id for e in found]
    assert list(artists.points) == list(artists.totals) == names
    assert len({tuple(c.get_facecolor()[0]) for c in artists.points.values()}) == len(names)
    assert len({c.get_paths()[0].vertices.tobytes() for c in artists.points.values()}) == len(names)
    assert [t.get_text() for t in artists.legend.get_texts()] == [*names, "whole network"]


def test_several_machines_show_only_the_roofs_in_use_in_their_own_look():
    found = estimates("machines")
    artists = figure(found)[1]
    assert [machine for machine, _ in artists.compute_roofs] == [e.hardware.id for e in found]
    assert len({line.get_color() for line in artists.compute_roofs.values()}) == len(found)
    assert len({line.get_linestyle() for line in artists.compute_roofs.values()}) == len(found)
    assert artists.attainable == {}
    assert set(artists.ridges) == {e.hardware.id for e in found}


def test_estimates_that_differ_in_overlap_only_keep_apart():
    found = [sim.estimate("ds_cnn", "stm32h743", precision="int8", overlap=o) for o in ("none", "full")]
    assert list(figure(found)[1].totals) == ["overlap none", "overlap full"]
    assert list(figure([found[0], found[0]])[1].totals) == ["ds_cnn (1)", "ds_cnn (2)"]


def test_kernels_without_arithmetic_are_counted_in_a_note():
    (est,) = estimates("transformer")
    out = (est.work.ops == 0) & (est.kernel_s > 0)
    share = est.kernel_s[out].sum() / est.kernel_s.sum()
    assert rest([est]).count == out.sum() > 0
    assert rest([est]).share == pytest.approx(share)
    note = figure([est])[1].note
    assert note is not None
    assert note.get_text() == f"{out.sum()} copy kernels ({100 * share:.2g} % of the time) have no arithmetic"
    assert figure(estimates("mcu"))[1].note is None


def tiny(tmp_path: Path, op: str = "Relu", shape: tuple[int, ...] = (1, 4)) -> Path:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(shape)) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name="only")], "tiny", ends[:1], ends[1:])
    path = tmp_path / f"tiny_{op}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_a_network_of_one_kernel(tmp_path):
    est = sim.estimate(tiny(tmp_path), "a100_sxm_80")
    fig, artists = figure([est], size_in=style.SINGLE_IN)
    assert sum(len(c.get_offsets()) for c in artists.points.values()) == 1
    save(fig, tmp_path / "tiny.png")


def test_a_network_without_arithmetic_is_refused(tmp_path):
    est = sim.estimate(tiny(tmp_path, "Transpose", (4, 4)), "a100_sxm_80")
    with pytest.raises(UsageError, match="at least one kernel with arithmetic"):
        figure([est])
    with pytest.raises(UsageError, match="at least one"):
        figure([])


def test_a_machine_without_capacities(tmp_path):
    path = tmp_path / "plain.yaml"
    path.write_text(
        "schema: 1\nid: plain\nname: Plain\nclass: cpu\nvendor: none\n"
        "engines:\n  - {id: core, kind: simd, peak: {fp32: 100 GFLOP/s}}\n"
        "memories:\n  - {id: dram, kind: dram, bandwidth: 10 GB/s}\n"
    )
    est = sim.estimate("ds_cnn", path)
    artists = figure([est])[1]
    ((x, _),) = artists.ridges["plain"].get_xydata()
    assert x == 10.0


def test_an_axes_of_ones_own_and_nothing_else_changes():
    fig = Figure(figsize=(5, 3))
    left, right = fig.subplots(1, 2)
    before, canvas = dict(mpl.rcParams), fig.canvas
    artists = roofline(estimates("mcu"), right)
    assert dict(mpl.rcParams) == before
    assert fig.canvas is canvas
    assert not left.has_data()
    assert all(text.axes is right for text in artists.labels)


def test_pyplot_is_never_imported(tmp_path):
    code = (
        "import sys, simulator as sim\n"
        "from simulator.report.plots.roofline import figure\n"
        "from simulator.report.plots.save import save\n"
        "fig, _ = figure([sim.estimate('ds_cnn', 'stm32h743', precision='int8')])\n"
        "save(fig, sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.pdf")], check=True)


def test_registry():
    assert plots()["roofline"].draw is roofline
    assert find_plot("roofline").needs == "estimates"
    with pytest.raises(NotFoundError, match="did you mean 'roofline'"):
        find_plot("rofline")
    with pytest.raises(ValueError, match="two plots"):
        plot("roofline", needs="estimates")(roofline)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_estimate_gives_the_same_file(tmp_path, suffix):
    found = estimates("mcu")
    first, second = (save(figure(found)[0], tmp_path / f"{n}.{suffix}").read_bytes() for n in "ab")
    assert first == second
    assert len(first) > 5000
    if suffix == "pdf":
        assert b"/CreationDate" not in first
        assert b"/Type3" not in first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", r"'.jpg' is not a picture format; did you mean '.png'\? \(known: .png, .svg, .pdf\)"),
        ("a", "needs a suffix"),
        ("nowhere/a.png", "there is no folder"),
        ("folder.png", "cannot be written"),
    ],
)
def test_save_says_what_is_wrong(tmp_path, name, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match=message):
        save(Figure(), tmp_path / name)
