"""The roofline's identities, on minimal machines and models of a known intensity.

Williams, Waterman, Patterson 2009, Roofline: attainable = min(peak, bandwidth · intensity).
Choi, Bedard, Fowler, Vuduc 2013, A roofline model of energy: E = W·ε_flop + Q·ε_mem + π₀·T.
"""

from pathlib import Path

import numpy as np
import pytest
from support.graphs import FLOAT16, INT8, loaded, model, node, value, weight
from support.machines import hardware, runtime

import simulator as sim
from simulator.estimator import estimate
from simulator.model import Model
from simulator.schedule.overlap import POLICIES, Terms

WILLIAMS = "Williams 2009"
CHOI = "Choi 2013: E=W eps+Q eps_mem+pi0 T"


def written(folder: Path, peak: float, bandwidth: float, extra: str = "") -> Path:
    """A machine of a peak in FLOP/s and a bandwidth in B/s, as a file."""
    path = folder / "machine.yaml"
    rates = ", ".join(f"{rate}: {peak!r} OP/s" for rate in ("fp32", "fp16", "int8"))
    path.write_text(
        f"schema: 1\nid: machine\nname: Machine\nclass: cpu\n"
        f"engines:\n  - id: core\n    kind: simd\n    peak: {{{rates}}}\n"
        f"    vector: {{{rates}}}\n{extra}"
    )
    text = path.read_text()
    if "memories:" not in text:
        path.write_text(text + f"memories:\n  - {{id: dram, kind: dram, bandwidth: {bandwidth!r} B/s}}\n")
    return path


def chain_of(intensity: int) -> Model:
    """Element-wise int8 work of `intensity` operations a byte, in one kernel: 2 bytes moved and 2·I operations an element."""
    nodes = [node("Relu", f"t{i}", f"t{i + 1}") for i in range(2 * intensity)]
    return loaded(model(nodes, [value("t0", 1000, 1000, dtype=INT8)], [f"t{2 * intensity}"]))


def product_of(n: int) -> Model:
    """A square int8 product: 2n³ operations over 3n² bytes."""
    return loaded(model([node("MatMul", "x w", "y")], [value("x", n, n, dtype=INT8)], ["y"], [weight("w", n, n, dtype=INT8)]))


@pytest.mark.parametrize(
    ("row", "peak", "bandwidth", "intensity", "attainable"),
    [
        ("roofline_identities-001", 1e12, 1e11, 2, 200000000000.0),
        ("roofline_identities-003", 1e12, 1e11, 50, 1000000000000.0),
        ("roofline_identities-005", 3.12e14, 1.555e12, 200, 311000000000000.0),
        ("roofline_identities-007", 3.12e14, 1.555e12, 300, 312000000000000.0),
        ("roofline_identities-009", 6.4e08, 2e08, 1, 200000000.0),
    ],
)
def test_attainable(tmp_path: Path, row: str, peak: float, bandwidth: float, intensity: int, attainable: float) -> None:
    network = chain_of(intensity)
    est = sim.estimate(network, written(tmp_path, peak, bandwidth), runtime="ideal")
    totals = est.to_dict()["totals"]
    assert totals["arithmetic_intensity_op_per_byte"] == intensity, row
    assert network.flops / est.latency_s == pytest.approx(attainable, rel=1e-12)
    assert network.flops / est.bound_latency_s == pytest.approx(attainable, rel=1e-12)
    assert est.bound == ("memory" if bandwidth * intensity < peak else "compute")


def test_attainable_of_a_product(tmp_path: Path) -> None:
    """1536³ in int8: 1024 operations a byte, right of every ridge here; 96³: 64."""
    for n, peak, bandwidth in ((1536, 3.12e14, 1.555e12), (96, 3.12e14, 1.555e12), (96, 1e12, 1e11)):
        network = product_of(n)
        est = sim.estimate(network, written(tmp_path, peak, bandwidth), runtime="ideal")
        intensity = 2 * n / 3
        assert est.to_dict()["totals"]["arithmetic_intensity_op_per_byte"] == pytest.approx(intensity)
        assert network.flops / est.latency_s == pytest.approx(min(peak, bandwidth * intensity), rel=1e-12)


@pytest.mark.parametrize(
    ("row", "peak", "bandwidth", "ridge"),
    [
        ("roofline_identities-002", 1e12, 1e11, 10.0),
        ("roofline_identities-004", 1e12, 1e11, 10.0),
        ("roofline_identities-006", 3.12e14, 1.555e12, 200.64308681672026),
        ("roofline_identities-008", 3.12e14, 1.555e12, 200.64308681672026),
        ("roofline_identities-010", 6.4e08, 2e08, 3.2),
    ],
)
def test_ridge(tmp_path: Path, row: str, peak: float, bandwidth: float, ridge: float) -> None:
    """Left of the ridge memory bounds, right of it compute; the ridge is where their times are equal."""
    machine = written(tmp_path, peak, bandwidth)
    left, right = int(ridge), int(ridge) + 1
    below = sim.estimate(chain_of(left), machine, runtime="ideal")
    above = sim.estimate(chain_of(right), machine, runtime="ideal")
    if left < ridge:
        assert below.bound == "memory", row
    assert above.bound == "compute", row
    ratio = float(below.cost.compute_s.sum() / below.cost.memory_s.sum())
    assert left / ratio == pytest.approx(ridge, rel=1e-12)


OVERLAP = [
    ("roofline_identities-011", "none", 1.0, 10.0, 4.0, 14.0),
    ("roofline_identities-012", "layer", 1.0, 10.0, 4.0, 10.0),
    ("roofline_identities-014", "runtime", 0.5, 10.0, 4.0, 12.0),
    ("roofline_identities-015", "none", 1.0, 4.0, 10.0, 14.0),
    ("roofline_identities-016", "layer", 1.0, 4.0, 10.0, 10.0),
    ("roofline_identities-018", "runtime", 0.5, 4.0, 10.0, 12.0),
    ("roofline_identities-019", "none", 1.0, 5.0, 5.0, 10.0),
    ("roofline_identities-020", "layer", 1.0, 5.0, 5.0, 5.0),
    ("roofline_identities-022", "runtime", 0.5, 5.0, 5.0, 7.5),
    # the ends of partial overlap are the other two
    ("theta=0", "runtime", 0.0, 10.0, 4.0, 14.0),
    ("theta=1", "runtime", 1.0, 10.0, 4.0, 10.0),
    ("one kernel: full = layer", "full", 0.5, 10.0, 4.0, 10.0),
]


@pytest.mark.parametrize(("row", "policy", "theta", "compute", "memory", "expected"), OVERLAP)
def test_overlap(row: str, policy: str, theta: float, compute: float, memory: float, expected: float) -> None:
    terms = Terms(np.array([compute]), np.array([memory]), np.zeros(1), np.array([theta]), np.array([False]))
    kernels, total = POLICIES[policy](terms)
    assert float(total) == expected, row
    assert float(kernels[0]) == expected


@pytest.mark.parametrize(("row", "policy", "theta", "compute", "memory", "expected"), OVERLAP)
def test_overlap_of_an_estimate(row: str, policy: str, theta: float, compute: float, memory: float, expected: float) -> None:
    """1e9 MACs and 3e6 bytes at the rates that take just these times."""
    network = product_of(1000)
    machine = hardware(
        engines=[{"id": "core", "kind": "simd", "peak": {"int8": f"{1e9 / compute!r} MAC/s"}}],
        memories=[{"id": "dram", "kind": "dram", "bandwidth": f"{3e6 / memory!r} B/s"}],
    )
    est = estimate(network, machine, runtime(overlap=theta), overlap=policy)
    assert est.latency_s == pytest.approx(expected, rel=1e-12), row


# n tiles through a double buffer: Tm/n + (n-1) max(Tc, Tm)/n + Tc/n = max + min/n
TILES = [
    ("roofline_identities-013", 10.0, 4.0, 8, 10.5),
    ("roofline_identities-017", 4.0, 10.0, 8, 10.5),
    ("roofline_identities-021", 5.0, 5.0, 4, 6.25),
    ("one tile: nothing overlaps", 10.0, 4.0, 1, 14.0),
]


@pytest.mark.parametrize("policy", ["layer", "prefetch", "runtime"])
@pytest.mark.parametrize(("row", "compute", "memory", "tiles", "expected"), TILES)
def test_double_buffer_of_an_estimate(row: str, compute: float, memory: float, tiles: int, expected: float, policy: str) -> None:
    """3e6 bytes through a buffer of which half is a tile; the runtime would hide everything (θ = 1)."""
    sram = {"id": "sram", "kind": "scratchpad", "bandwidth": "1 PB/s", "double_buffer": f"{2 * 3e6 / tiles!r} B"}
    machine = hardware(
        engines=[{"id": "core", "kind": "simd", "peak": {"int8": f"{1e9 / compute!r} MAC/s"}}],
        memories=[sram, {"id": "dram", "kind": "dram", "bandwidth": f"{3e6 / memory!r} B/s"}],
    )
    est = estimate(product_of(1000), machine, runtime(overlap=1.0, resident=0), overlap=policy)
    assert est.latency_s == pytest.approx(expected, rel=1e-12), row
    assert estimate(product_of(1000), machine, runtime(overlap=0.0, resident=0)).latency_s == pytest.approx(compute + memory)


# kernels as (compute, activations, weights) in s, room for early weights in s of transfer, expected time of each kernel:
# T_i = max(Tc_i, Tact_i + r_i), r_1 = Tw_1, r_{i+1} = Tw_{i+1} - min(Tw_{i+1}, link slack of i, free bytes / bandwidth)
PREFETCH = [
    ("all of it hidden", [(10, 1, 2), (3, 1, 5)], [9, 9], [10, 3]),
    ("as much as the link is idle", [(5, 1, 2), (1, 1, 5)], [9, 9], [5, 4]),
    ("as much as there is room", [(10, 1, 2), (1, 1, 5)], [3, 9], [10, 3]),
    ("no room: layer", [(10, 1, 2), (1, 1, 5)], [0, 0], [10, 6]),
    ("what came early leaves the link idle again", [(10, 1, 2), (4, 1, 5), (0, 0, 4)], [9, 9, 9], [10, 4, 1]),
    ("bound by memory: nothing to hide under", [(1, 4, 4), (1, 1, 5)], [9, 9], [8, 6]),
    ("the first loads its own", [(1, 1, 5)], [9], [6]),
]


@pytest.mark.parametrize(("case", "kernels", "room", "expected"), PREFETCH, ids=[p[0] for p in PREFETCH])
def test_prefetch_recurrence(case: str, kernels: list[tuple[float, ...]], room: list[float], expected: list[float]) -> None:
    compute, activations, weights = np.array(kernels, float).T
    nothing = np.zeros(len(kernels))
    terms = Terms(
        compute, activations + weights, nothing, nothing, np.zeros(len(kernels), bool), weight_s=weights, link_s=weights,
        weight_bytes=1e3 * weights, room_bytes=1e3 * np.array(room, float),
    )  # fmt: skip
    found, total = POLICIES["prefetch"](terms)
    assert found.tolist() == pytest.approx(expected), case
    assert float(total) == pytest.approx(sum(expected))


# W operations, Q bytes, ε of each, static power π₀, τ of each
ENERGY = [
    ("roofline_identities-023", 10**9, 10**8, 1e-10, 5e-10, 50, 1e-12, 1e-11, 0.2),
    ("roofline_identities-026", 10**9, 10**9, 1e-10, 5e-10, 50, 1e-12, 1e-11, 1.1),
]


def energy_network(operations: int, moved: int) -> Model:
    """Element-wise int8: each byte in and out once, operations a byte in between."""
    if operations == 10 * moved:
        nodes = [node("Relu", f"t{i}", f"t{i + 1}") for i in range(20)]
        return loaded(model(nodes, [value("t0", moved // 2, dtype=INT8)], ["t20"]))
    assert operations == moved
    nodes = [node("Relu", "t0", "t1"), node("Relu", "t1", "t2")]
    return loaded(model(nodes, [value("t0", moved // 2, dtype=INT8)], ["t2"]))


@pytest.mark.parametrize(("row", "w", "q", "ef", "em", "pi0", "tf", "tb", "expected"), ENERGY)
def test_energy(
    tmp_path: Path, row: str, w: int, q: int, ef: float, em: float, pi0: float, tf: float, tb: float, expected: float
) -> None:
    """T = max(W τ_flop, Q τ_mem), as in a roofline with full overlap."""
    network = energy_network(w, q)
    extra = (
        f"    energy: {{mac: {{int8: {2 * ef!r} J/MAC}}, vector: {{int8: {ef!r} J/OP}}}}\n"
        f"memories:\n  - {{id: dram, kind: dram, bandwidth: {1 / tb!r} B/s, energy: {{read: {em!r} J/B}}}}\n"
        f"power: {{static: {pi0} W}}\n"
    )
    est = sim.estimate(network, written(tmp_path, 1 / tf, 1 / tb, extra), runtime="ideal")
    assert (network.flops, est.to_dict()["totals"]["traffic_bytes"]) == (w, {"dram": q})
    assert est.latency_s == pytest.approx(max(w * tf, q * tb), rel=1e-12)
    assert est.energy_j == pytest.approx(expected, rel=1e-12), row
    assert est.energy_parts_j["compute"] == pytest.approx(w * ef)
    assert est.energy_parts_j["memory"] == pytest.approx(q * em)
    assert est.energy_parts_j["static"] == pytest.approx(pi0 * max(w * tf, q * tb))


@pytest.mark.parametrize(("rows", "expected"), [(("roofline_identities-024", "roofline_identities-027"), 5.0)])
def test_energy_balance(rows: tuple[str, str], expected: float) -> None:
    """B_ε = ε_mem / ε_flop: the intensity at which arithmetic and data movement take the same energy."""
    nodes = [node("Relu", f"t{i}", f"t{i + 1}") for i in range(2 * int(expected))]
    network = loaded(model(nodes, [value("t0", 10**6, dtype=INT8)], [f"t{2 * int(expected)}"]))
    machine = hardware(
        engines=[
            {
                "id": "c",
                "kind": "simd",
                "peak": {"int8": "1 TOP/s"},
                "energy": {"mac": {"int8": "2e-10 J/MAC"}, "vector": {"int8": "1e-10 J/OP"}},
            }
        ],
        memories=[{"id": "m", "kind": "dram", "bandwidth": "100 GB/s", "energy": {"read": "5e-10 J/B"}}],
    )
    parts = estimate(network, machine, runtime(fusion=("pointwise",))).energy_parts_j
    assert parts["compute"] == pytest.approx(parts["memory"], rel=1e-12), rows


@pytest.mark.parametrize(("rows", "expected"), [(("roofline_identities-025", "roofline_identities-028"), 10.0)])
def test_time_balance(tmp_path: Path, rows: tuple[str, str], expected: float) -> None:
    """B_τ = τ_mem / τ_flop is the ridge: 1e-11 s a byte against 1e-12 s a flop."""
    est = sim.estimate(chain_of(int(expected)), written(tmp_path, 1e12, 1e11), runtime="ideal")
    assert float(est.cost.compute_s.sum()) == pytest.approx(float(est.cost.memory_s.sum()), rel=1e-12), rows


def test_half_precision_halves_the_traffic(tmp_path: Path) -> None:
    network = loaded(
        model([node("MatMul", "x w", "y")], [value("x", 64, 64, dtype=FLOAT16)], ["y"], [weight("w", 64, 64, dtype=FLOAT16)])
    )
    est = sim.estimate(network, written(tmp_path, 1e12, 1e11), runtime="ideal")
    assert est.to_dict()["totals"]["traffic_bytes"] == {"dram": 3 * 64 * 64 * 2}
