"""The energy roofline by its artists: the curve is Choi's formula, points are the estimate's, no text lies on another."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.figures import drawn_at
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

import simulator as sim
from simulator.errors import UsageError
from simulator.estimator import estimate
from simulator.machine.params import machine_of
from simulator.report.plots import style
from simulator.report.plots.energy_roofline import EnergyArtists, energy_roofline, figure
from simulator.report.plots.energy_roofs import energy_points, energy_roof
from simulator.report.plots.labels import Box, overlap
from simulator.report.plots.registry import plots
from simulator.result.estimate import Estimate
from tests.cli.command import good
from tests.cli.command import sim as command

CASES = {
    "gpu": [("resnet50", "a100_sxm_80", "fp16")],
    "defaults": [("bert_base", "rtx4090", "fp16")],
    "measured": [("ds_cnn", "stm32l4r5", "int8")],
    "models": [(m, "a100_sxm_80", "fp16") for m in ("resnet50", "mobilenet_v2", "bert_base")],
    "machines": [("resnet50", h, "fp16") for h in ("a100_sxm_80", "rtx4090", "jetson_orin_nano")],
}
SIZES = {"single": style.SINGLE_IN, "double": style.DOUBLE_IN}


def estimates(case: str) -> list[Estimate]:
    return [sim.estimate(network, machine, precision=precision) for network, machine, precision in CASES[case]]


@pytest.fixture(scope="module", params=[(c, s) for c in CASES for s in SIZES], ids="-".join)
def drawn(request) -> tuple[list[Estimate], Figure, EnergyArtists]:
    case, size = request.param
    found = estimates(case)
    return found, *figure(found, size_in=SIZES[size])


def test_points_are_the_numbers_of_the_estimate(drawn):
    found, _, artists = drawn
    expected = set()
    for est in found:
        for i in np.flatnonzero((est.work.ops > 0) & (est.kernel_j > 0)):
            expected.add((float(est.work.ops[i] / est.work.total_bytes[i]), float(est.work.ops[i] / est.kernel_j[i])))
    assert {(float(x), float(y)) for dots in artists.points.values() for x, y in dots.get_offsets()} == expected


def test_totals_are_the_networks(drawn):
    found, _, artists = drawn
    for est, star in zip(found, artists.totals.values(), strict=True):
        ((x, y),) = star.get_xydata()
        assert x == est.work.ops.sum() / est.work.total_bytes.sum()
        assert y == est.work.ops.sum() / est.energy_j


def test_the_curve_is_the_formula(drawn):
    """E = W ε + Q ε + π₀ T, T = max(W / peak, Q / bandwidth), from the machine's own numbers."""
    found, _, artists = drawn
    for machine_id, line in artists.roofs.items():
        est = next(e for e in found if e.hardware.id == machine_id)
        machine = machine_of(est.hardware)
        rate = est.main_rate
        engine = next(e for e in machine.engines if rate in e.macs_per_s)
        alike = [e for e in found if e.hardware.id == machine_id]  # one curve for all of them
        memory = next(m for m in machine.memories if m.id == energy_roof(alike).memory)
        peak, bandwidth = 2 * engine.macs_per_s[rate], memory.read_bytes_per_s
        measured = machine.active_w is not None
        op_j, byte_j = (0, 0) if measured else (engine.j_per_mac[rate] / 2, memory.read_j_per_byte)
        power_w = machine.active_w if measured else machine.static_w or 0
        for x, y in line.get_xydata():
            joules = op_j + byte_j / x + power_w * max(1 / peak, 1 / (bandwidth * x))
            assert y == pytest.approx(1 / joules, rel=1e-12)


def test_no_network_and_no_product_is_above_its_curve(drawn):
    """A vector operation may take less than the half MAC that the curve counts; products do not."""
    found, _, _ = drawn
    for est in found:
        roof, points = energy_roof([e for e in found if e.hardware.id == est.hardware.id]), energy_points(est)
        products = est.work.macs[points.index] * 2 > 0.9 * est.work.ops[points.index]
        allowed = roof.ops_per_j(points.op_per_byte[products]) * (1 / 0.9)
        assert products.any()
        assert (points.ops_per_j[products] <= allowed).all()
        assert points.total_ops_per_j <= roof.ops_per_j(np.array([points.total_op_per_byte]))[0]


def test_the_balance_is_where_both_take_the_same(drawn):
    found, _, artists = drawn
    for machine_id, mark in artists.balances.items():
        roof = energy_roof([e for e in found if e.hardware.id == machine_id])
        ((x, y),) = mark.get_xydata()
        assert roof.op_j == pytest.approx(roof.byte_j / x, rel=1e-12)
        assert y == pytest.approx(float(roof.ops_per_j(np.array([x]))[0]), rel=1e-12)
    measured = {e.hardware.id for e in found if e.hardware.power.active}
    assert artists.balances.keys() == artists.roofs.keys() - measured


def test_default_figures_are_marked(drawn):
    found, fig, artists = drawn
    assumed = {e.hardware.id for e in found if e.energy_defaults}
    assert (artists.note is not None) == bool(assumed)
    if artists.note is not None and len(artists.roofs) > 1 and fig.get_figwidth() > 5:
        assert all(name in artists.note.get_text() for name in assumed)


def test_asymptotes_are_above_the_curve(drawn):
    _, _, artists = drawn
    if artists.asymptotes:
        (curve,) = artists.roofs.values()
        for line in artists.asymptotes.values():
            x, y = line.get_xydata().T
            assert (np.interp(x, *curve.get_xydata().T) <= y * (1 + 1e-3)).all()


@pytest.mark.parametrize("dpi", [100, 300])
def test_no_text_overlaps_another_or_leaves_the_figure(drawn, dpi):
    _, fig, artists = drawn
    with drawn_at(fig, dpi) as renderer:
        texts = [*artists.labels, artists.title, *([artists.note] if artists.note else [])]
        level = [t for t in texts if not t.get_rotation()]
        extents = {t.get_text(): Text.get_window_extent(t, renderer) for t in level}
        extents["legend"] = artists.legend.get_window_extent(renderer)
    boxes = {name: Box((0, 0), e.x0, e.y0, e.x1, e.y1).grown(-0.5) for name, e in extents.items()}
    assert [(a, b) for a, b in combinations(boxes, 2) if overlap(boxes[a], boxes[b])] == []
    width, height = np.array(fig.get_size_inches()) * dpi
    for name, extent in extents.items():
        assert extent.x0 > -1, name
        assert extent.x1 < width + 1, name
        assert extent.y1 < height + 1, name


def product(n: int) -> sim.Model:
    return loaded(model([node("MatMul", "x w", "y")], [value("x", n, n)], ["y"], [weight("w", n, n)]))


def test_a_kernel_at_the_peaks_lies_on_the_curve():
    """Choi's identities: 2n³ operations over 12n² bytes, with full overlap and no loss."""
    engine = {"id": "core", "kind": "simd", "peak": {"fp32": "1 TFLOP/s"}, "energy": {"mac": {"fp32": "2e-10 J/MAC"}}}
    memory = {"id": "dram", "kind": "dram", "bandwidth": "100 GB/s", "energy": {"read": "5e-10 J/B"}}
    machine = hardware(engines=[engine], memories=[memory], power={"static": "10 W"})
    for n in (16, 60, 240):
        est = estimate(product(n), machine, runtime())
        roof, points = energy_roof([est]), energy_points(est)
        assert roof.balance_op_per_byte == pytest.approx(5.0)
        assert points.ops_per_j == pytest.approx(roof.ops_per_j(points.op_per_byte), rel=1e-12)
        largest = max((p for p in est.energy_parts_j), key=lambda p: est.energy_parts_j[p] or 0)
        assert points.largest.tolist() == [largest]


def test_it_is_a_plot_by_name():
    assert plots()["energy_roofline"].draw is energy_roofline


def test_without_energy_there_is_none():
    with pytest.raises(UsageError, match="no energy figures"):
        figure([sim.estimate("ds_cnn", "stm32h743", precision="int8")])
    with pytest.raises(UsageError, match="at least one"):
        figure([])


def test_the_command_draws_it(tmp_path: Path):
    path = tmp_path / "energy.svg"
    done = good("roofline", "ds_cnn", "--hw", "stm32l4r5", "--precision", "int8", "--energy", "-o", str(path))
    assert done.err == f"wrote {path}\n"
    assert path.read_bytes().startswith(b"<?xml")
    refused = command(
        "roofline", "ds_cnn", "--hw", "stm32h743", "--precision", "int8", "--energy", "-o", str(tmp_path / "no.png")
    )
    assert (refused.code, refused.out) == (2, "")
    assert "stm32h743 has no energy figures" in refused.err
    assert not (tmp_path / "no.png").exists()
