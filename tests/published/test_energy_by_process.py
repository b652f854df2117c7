"""Default energies against published ones: Horowitz' 45 nm table, and what the catalogue cites at 7 nm."""

import pytest
from support.graphs import INT8, loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate
from simulator.io.hardware_reader import load_spec
from simulator.machine import technology
from simulator.machine.spec import HardwareSpec

NM = 1e-9
HOROWITZ = "Horowitz, ISSCC 2014, 45 nm, 0.9 V"


@pytest.mark.parametrize(
    ("row", "rate", "pj"),
    [
        ("energy-003", "int8", 0.1),  # a vector operation on integers is a 32-bit addition
        ("energy-006", "fp16", 0.4),
        ("energy-007", "fp32", 0.9),
    ],
)
def test_an_addition(row: str, rate: technology.Rate, pj: float) -> None:
    assert technology.vector_op_j(rate, 45 * NM) == pytest.approx(pj * 1e-12, rel=1e-12), (row, HOROWITZ)


@pytest.mark.parametrize(
    ("rows", "rate", "multiply_pj", "add_pj"),
    [
        # energy-014 adds up in 8 bits (0.23 pJ); a product of 8-bit numbers does not fit there, so 32 bits here
        (("energy-003", "energy-004"), "int8", 0.2, 0.1),
        (("energy-006", "energy-008"), "fp16", 1.1, 0.4),
        (("energy-007", "energy-009", "energy-015"), "fp32", 3.7, 0.9),
    ],
)
def test_a_mac(rows: tuple[str, ...], rate: technology.Rate, multiply_pj: float, add_pj: float) -> None:
    assert technology.mac_j(rate, 45 * NM) == pytest.approx((multiply_pj + add_pj) * 1e-12, rel=1e-12), (rows, HOROWITZ)


@pytest.mark.parametrize(
    ("row", "kib", "pj_per_64_bit"), [("energy-010", 8, 10), ("energy-011", 32, 20), ("energy-012", 1024, 100)]
)
def test_an_sram_access(row: str, kib: int, pj_per_64_bit: float) -> None:
    found = technology.sram_j_per_byte(kib * 2.0**10, 45 * NM)
    assert found * 8 == pytest.approx(pj_per_64_bit * 1e-12, rel=1e-12), (row, HOROWITZ)


def test_a_dram_access() -> None:
    """energy-013: 1.3 to 2.6 nJ for 64 bits."""
    assert technology.dram_j_per_byte("dram") * 8 * (1 + 1e-12) >= 1.3e-9
    assert technology.dram_j_per_byte("dram") * 8 == pytest.approx(1950e-12, rel=0.34)


@pytest.mark.parametrize("machine", ["a100_sxm_80", "tpu_v4"])
def test_the_defaults_at_7_nm_are_what_the_catalogue_cites(machine: str) -> None:
    """Both derive from Jouppi et al., ISCA 2021, table 2."""
    spec = load_spec(machine)
    assert spec.process is not None
    energy = spec.engines[0].energy
    for rate, figure in energy.mac.items():
        assert technology.mac_j(rate, spec.process.value) == pytest.approx(figure.value, rel=1e-12), rate
    for rate, figure in energy.vector.items():
        assert technology.vector_op_j(rate, spec.process.value) == pytest.approx(figure.value, rel=1e-12), rate


def test_a_default_device_is_below_what_a_system_measures() -> None:
    """Antepara et al., SC'25: HBM 13.11 and L2 4.71 pJ/bit on an A100, about three times the device and its array."""
    spec = load_spec("a100_sxm_80")
    l2, hbm = spec.memories[-2:]
    assert l2.energy is not None
    assert hbm.energy is not None
    assert l2.capacity is not None
    assert 2 < hbm.energy.read.value / technology.dram_j_per_byte("hbm") < 4
    assert technology.sram_j_per_byte(l2.capacity.value, 7 * NM) < l2.energy.read.value


def test_a_product_on_a_machine_that_gives_nothing_but_its_process() -> None:
    """64³ int8 MACs and 3 · 64² bytes over DDR: 64³ · 0.3 pJ + 3 · 64² · 162.5 pJ."""
    product = loaded(
        model([node("MatMul", "x w", "y")], [value("x", 64, 64, dtype=INT8)], ["y"], [weight("w", 64, 64, dtype=INT8)])
    )
    machine = hardware(engines=[{"id": "core", "kind": "simd", "peak": {"int8": "1 TOP/s"}}], process="45 nm")
    est = estimate(product, machine, runtime())
    assert est.energy_parts_j == {
        "compute": pytest.approx(64**3 * 0.3e-12, rel=1e-12),
        "memory": pytest.approx(3 * 64**2 * 162.5e-12, rel=1e-12),
        "static": None,
    }
    assert est.energy_by_class_j == {"gemm": pytest.approx(est.energy_j, rel=1e-12)}
    assert est.energy_by_memory_j == {"dram": est.energy_parts_j["memory"]}
    assert est.energy_defaults == ("engines.core.energy.mac.int8", "memories.dram.energy.read")


@pytest.mark.parametrize(
    ("sections", "defaults"),
    [
        ({}, ("engines.core.energy.mac.fp32", "engines.core.energy.vector.fp32", "memories.dram.energy.read")),
        ({"memories": {"energy": {"read": "5 pJ/bit"}}}, ("engines.core.energy.mac.fp32", "engines.core.energy.vector.fp32")),
        ({"engines": {"energy": {"mac": {"fp32": "1 pJ"}}}}, ("memories.dram.energy.read",)),
        ({"engines": {"energy": {"vector": {"fp32": "1 pJ"}}}}, ("engines.core.energy.mac.fp32", "memories.dram.energy.read")),
        ({"power": {"active": "3 W"}}, ()),
    ],
)
def test_only_what_is_missing_is_assumed(sections: dict[str, dict[str, object]], defaults: tuple[str, ...]) -> None:
    data = hardware(process="16 nm").model_dump(by_alias=True, exclude_none=True)
    for name, section in sections.items():
        data[name] = section if name == "power" else [{**data[name][0], **section}]
    network = loaded(model([node("MatMul", "x w", "y"), node("Relu", "y", "z")], [value("x", 8, 8)], ["z"], [weight("w", 8, 8)]))
    est = estimate(network, HardwareSpec.model_validate(data), runtime())
    assert est.energy_defaults == defaults
    assert est.energy_j is not None


@pytest.mark.parametrize("kind", ["flash", "link", "scratchpad"])
def test_what_no_source_has_is_not_assumed(kind: str) -> None:
    """Flash, a link of unknown standard, an array of unknown size: no energy, and a warning."""
    memory = {"id": "usb", "kind": kind, "bandwidth": "1 GB/s"}
    network = loaded(model([node("Relu", "x", "y")], [value("x", 8, 8)], ["y"]))
    est = estimate(network, hardware(memories=[memory], process="16 nm"), runtime())
    assert est.energy_j is None
    assert any("no energy figures" in warning for warning in est.warnings)


@pytest.mark.parametrize(
    ("row", "kib", "times_mac"),
    [("energy-019", 108, 6), ("energy-020", None, 200)],  # the global buffer (108 KiB in the chip), DRAM
)
def test_the_order_of_magnitude_of_eyeriss(row: str, kib: int | None, times_mac: float) -> None:
    """Chen et al., ISCA 2016, table IV: 16 bits against a 16-bit MAC at 65 nm. Within a factor of two."""
    node_m = 65 * NM
    per_byte = technology.dram_j_per_byte("dram") if kib is None else technology.sram_j_per_byte(kib * 2.0**10, node_m)
    found = 2 * per_byte / technology.mac_j("int16", node_m)
    assert times_mac / 2 < found < times_mac * 2, row


@pytest.mark.parametrize(
    ("row", "watts", "frames_per_s", "joules", "tolerance"),
    [
        ("energy-024", 0.278, 35, 7.94e-3, 0.01),  # Eyeriss, AlexNet's convolutions
        ("energy-030", 0.236, 0.7, 337e-3, 0.02),  # Eyeriss, VGG-16
        ("energy-042", 0.600, 18800, 31.9e-6, 0.01),  # EIE, AlexNet's fully connected layers
    ],
)
def test_measured_power_over_the_measured_rate(
    row: str, watts: float, frames_per_s: float, joules: float, tolerance: float
) -> None:
    product = loaded(model([node("MatMul", "x w", "y")], [value("x", 64, 64)], ["y"], [weight("w", 64, 64)]))
    engine = {"id": "core", "kind": "simd", "peak": {"fp32": f"{64**3 * frames_per_s!r} MAC/s"}}
    est = estimate(product, hardware(engines=[engine], power={"active": f"{watts} W"}), runtime())
    assert est.energy_j == pytest.approx(joules, rel=tolerance), row
