"""Default energies by process node: the anchors as published, monotone between and beyond them, never zero."""

import math
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.machine import technology
from simulator.machine.spec import Rate

NM = 1e-9
RATES = get_args(Rate)
nodes_m = st.floats(0.5, 1000).map(lambda nm: nm * NM)
capacities = st.floats(1, 1e10)


@given(st.sampled_from(RATES), nodes_m, nodes_m)
def test_a_finer_process_takes_no_more(rate: Rate, one_m: float, other_m: float) -> None:
    fine, coarse = sorted((one_m, other_m))
    for energy in (technology.mac_j, technology.vector_op_j):
        assert 0 < energy(rate, fine) <= energy(rate, coarse)
    assert 0 < technology.sram_j_per_byte(2.0**15, fine) <= technology.sram_j_per_byte(2.0**15, coarse) * (1 + 1e-12)


@given(nodes_m, capacities, capacities)
def test_a_larger_array_takes_no_less(node_m: float, one_bytes: float, other_bytes: float) -> None:
    small, large = sorted((one_bytes, other_bytes))
    assert 0 < technology.sram_j_per_byte(small, node_m) <= technology.sram_j_per_byte(large, node_m) * (1 + 1e-12)


@given(nodes_m)
def test_wider_types_take_more(node_m: float) -> None:
    for order in (("int4", "int8", "int16"), ("bf16", "fp16", "tf32", "fp32", "fp64")):
        energies = [technology.mac_j(rate, node_m) for rate in order]
        assert all(narrow < wide for narrow, wide in pairwise(energies))
    for rate in RATES:
        assert technology.vector_op_j(rate, node_m) < technology.mac_j(rate, node_m)


@pytest.mark.parametrize("rate", RATES)
def test_the_node_is_a_straight_line_in_log_log_between_the_anchors(rate: Rate) -> None:
    """A line from 7 to 45 nm: halfway in the logarithm of the node is the geometric mean."""
    ends = [technology.mac_j(rate, nm * NM) for nm in (7, 45)]
    assert technology.mac_j(rate, math.sqrt(7 * 45) * NM) == pytest.approx(math.sqrt(ends[0] * ends[1]), rel=1e-12)


@pytest.mark.parametrize("rate", RATES)
def test_beyond_the_table_it_is_flat(rate: Rate) -> None:
    for beyond, end in ((3, 7), (5, 7), (180, 130), (1000, 130)):
        assert technology.mac_j(rate, beyond * NM) == pytest.approx(technology.mac_j(rate, end * NM), rel=1e-12)


@pytest.mark.parametrize(("nm", "factor"), [(65, 2.41), (90, 3.71), (130, 7.41)])
def test_older_nodes_follow_the_gate_equations(nm: float, factor: float) -> None:
    """E(V) = a V² + b V + c of Stillmaker & Baas 2017, over 45 nm HP at 0.9 V."""
    coefficients = {
        65: (3.755, -4.398, 1.975, 1.1), 90: (4.762, -4.781, 2.092, 1.1), 130: (7.171, -6.709, 2.904, 1.2),
        45: (1.018, -0.3107, 0.1539, 0.9),
    }  # fmt: skip
    energy = {node: a * v * v + b * v + c for node, (a, b, c, v) in coefficients.items()}
    assert energy[int(nm)] / energy[45] == pytest.approx(factor, rel=0.01)
    assert technology.mac_j("fp32", nm * NM) == pytest.approx(factor * technology.mac_j("fp32", 45 * NM), rel=1e-12)


def test_small_arrays_are_flat_and_large_ones_go_on() -> None:
    kib = 2.0**10
    assert technology.sram_j_per_byte(kib, 7 * NM) == technology.sram_j_per_byte(8 * kib, 7 * NM)
    growth = [technology.sram_j_per_byte(size * kib, 45 * NM) for size in (32, 1024, 32 * 1024)]
    assert growth[2] / growth[1] == pytest.approx(growth[1] / growth[0], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "pj_per_bit"),
    [
        ("hbm", 3.97),
        ("hbm HBM3e", 3.97),
        ("gddr GDDR6X", 7.5),
        ("dram LPDDR5, 128 bits", 9.0),
        ("dram DDR5-4800", 20.3125),
        ("d", 20.3125),
    ],
)
def test_dram_by_its_name(name: str, pj_per_bit: float) -> None:
    assert technology.dram_j_per_byte(name) == pytest.approx(8e-12 * pj_per_bit, rel=1e-12)


def test_links_by_their_name() -> None:
    assert technology.link_j_per_byte("pcie PCIe Gen3 x4") == pytest.approx(48e-12)
    assert technology.link_j_per_byte("usb USB 3.1 Gen 1") is None
