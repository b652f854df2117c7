"""The hardware catalogue: every file loads, every figure has a source, and the figures are the published ones."""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator import api
from simulator.estimator import totals
from simulator.io.hardware_reader import hardware_ids, load_spec
from simulator.machine.figures import Figure
from simulator.machine.params import machine_of
from simulator.machine.spec import Engine, HardwareSpec, Memory, Supports

IDS = sorted(hardware_ids())
MODES = [f"{i}:{mode}" for i in IDS for mode in load_spec(i).modes]
GIB, MIB, KIB = 2.0**30, 2.0**20, 2.0**10

# default runtime of each class; GAP9 has none, its own tool chain is not described; one NPU, one tool chain
RUNTIMES = {
    "cpu": {"onnxruntime"}, "gpu": {"pytorch_compile"}, "tpu": {"xla"}, "mcu": {"tflm_cmsis_nn", None},
    "npu": {"edgetpu", "ethosu", "rknn", "hailort", "qnn"}, "fpga": {"vitis_ai"},
}  # fmt: skip
ENGINES = {"cpu": "cores", "gpu": "tensor", "tpu": "mxu", "mcu": "core", "npu": "npu", "fpga": "dpu"}
# machines of several engines, in the order in which kernels are offered to them
SEVERAL = {
    "edgetpu_usb": ["npu", "cores"], "edgetpu_pcie": ["npu", "cores"], "corstone_300": ["npu", "core"],
    "jetson_agx_orin64": ["dla", "tensor"],
}  # fmt: skip

# FLOP (or OP) a byte of the outermost memory that holds weights, at the best type: what the chips of a class, and those
# that stream weights over a link, lie between
RIDGE = {
    "cpu": (5, 2000), "gpu": (150, 2000), "tpu": (150, 600), "mcu": (0.3, 60), "npu": (40, 2000), "fpga": (100, 400),
    "link": (4000, 60000),
}  # fmt: skip


def raw(machine: str) -> dict[str, Any]:
    """The file as it stands, without what it extends."""
    data = yaml.safe_load(hardware_ids()[machine].read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def named_sources(node: object) -> set[str]:
    """Source keys that figures anywhere below `node` name, modes included."""
    if isinstance(node, dict):
        own = {node["source"]} if isinstance(node.get("source"), str) else set()
        return own.union(*(named_sources(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(named_sources(item) for item in node))
    return set()


def macs_per_s(engine: Engine, rate: str) -> float:
    figure: Figure = engine.peak[rate]  # type: ignore[index]
    return figure.rate(engine.clock.value if engine.clock else None)


def bytes_per_s(memory: Memory) -> float:
    return memory.read.rate(memory.clock.value if memory.clock else None)


def main_engine(spec: HardwareSpec) -> Engine:
    """The engine that the machine is known for."""
    return next(e for e in spec.engines if e.id == ENGINES[spec.hardware_class] or len(spec.engines) == 1)


def memory_of(spec: HardwareSpec, memory_id: str) -> Memory:
    return next(m for m in spec.memories if m.id == memory_id)


def outermost(spec: HardwareSpec) -> Memory:
    """The last memory that holds weights: where they come from when nothing is resident."""
    return [m for m in spec.memories if "weights" in m.holds][-1]


# --- every file ---------------------------------------------------------------------------------------------------


def test_the_planned_machines_are_there() -> None:
    assert {
        "stm32f746", "stm32h743", "stm32l4r5", "rpi4", "i7_12700h", "xeon_8480p", "rtx3090", "rtx4090", "a100_sxm_80",
        "h100_sxm", "jetson_orin_nano", "tpu_v4", "tpu_v5e", "edgetpu_usb", "ethos_u55_128", "zcu102",
    } <= set(IDS)  # fmt: skip


@pytest.mark.parametrize("machine", IDS)
def test_id_is_the_file_name_and_class_the_folder(machine: str) -> None:
    path: Path = hardware_ids()[machine]
    spec = load_spec(machine)
    assert spec.id == path.stem == machine
    assert spec.hardware_class == path.parent.name
    assert raw(machine)["class"] == path.parent.name


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_every_figure_says_where_it_comes_from(machine: str) -> None:
    assert load_spec(machine).unsourced() == []


@pytest.mark.parametrize("machine", IDS)
def test_every_source_is_used(machine: str) -> None:
    data = raw(machine)
    assert set(data.get("sources", {})) <= named_sources({k: v for k, v in data.items() if k != "sources"})


@pytest.mark.parametrize("machine", IDS)
def test_sources_name_a_document(machine: str) -> None:
    for key, text in load_spec(machine).sources.items():
        assert len(text) > 20, key
        assert not any(word in text for word in ("/work", "shared", "repository unnamed", "unsourced", "mem.")), key


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_derived_and_estimated_figures_show_how(machine: str) -> None:
    bare = [path for path, f in load_spec(machine).figures() if f.kind in ("derived", "estimated") and not f.note]
    assert bare == []


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_nothing_of_a_machine_is_fitted(machine: str) -> None:
    """What is fitted belongs to a runtime and holds for every machine; a machine's file has what its makers say."""
    assert [path for path, f in load_spec(machine).figures() if f.kind == "calibrated"] == []


@pytest.mark.parametrize("machine", IDS)
def test_engine_and_runtime_follow_the_conventions(machine: str) -> None:
    spec = load_spec(machine)
    expected = "npu" if machine == "gap9" else ENGINES[spec.hardware_class]
    assert [e.id for e in spec.engines] == SEVERAL.get(machine, [expected])
    assert spec.runtime in RUNTIMES[spec.hardware_class]


@pytest.mark.parametrize("machine", MODES)
def test_a_mode_changes_the_machine(machine: str) -> None:
    base_id, _, mode = machine.rpartition(":")
    base, changed = load_spec(base_id), load_spec(machine)
    assert changed.mode == mode
    siblings = [load_spec(f"{base_id}:{other}") for other in base.modes if other != mode]
    values = [{path: f.value for path, f in spec.figures()} for spec in (base, changed, *siblings)]
    assert values[1] not in values[2:]  # no two modes are the same
    if not siblings:
        assert values[1] != values[0]


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_numbers_are_usable(machine: str) -> None:
    numbers = machine_of(load_spec(machine))
    assert all(rate > 0 for e in numbers.engines for rate in (*e.macs_per_s.values(), *e.vector_ops_per_s.values()))
    assert all(0 < e.sustained <= 1 and e.special_ops_per_s > 0 for e in numbers.engines)
    assert all(m.latency_s < 1e-3 for m in numbers.memories)
    assert numbers.homes(weights=True)
    assert numbers.homes(weights=False)


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_ridge_point_is_plausible(machine: str) -> None:
    spec = load_spec(machine)
    best = max(2 * macs_per_s(e, rate) for e in spec.engines for rate in e.peak)
    outer = outermost(spec)
    low, high = RIDGE["link" if outer.kind == "link" else spec.hardware_class]
    assert low < best / bytes_per_s(outer) < high


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_inner_memories_are_faster(machine: str) -> None:
    rates = [bytes_per_s(m) for m in load_spec(machine).memories]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("machine", [*IDS, *MODES])
def test_narrower_types_are_not_slower(machine: str) -> None:
    for engine in load_spec(machine).engines:
        order = [rate for rate in ("fp64", "fp32", "fp16", "fp8", "int8", "int4") if rate in engine.peak]
        rates = [macs_per_s(engine, rate) for rate in order]
        assert all(wide <= narrow * 1.001 for wide, narrow in pairwise(rates)), order


@pytest.mark.parametrize("machine", [i for i in IDS if load_spec(i).hardware_class == "gpu"])
def test_vector_rate_is_half_the_fma_rate(machine: str) -> None:
    engine = main_engine(load_spec(machine))
    clock = engine.clock.value if engine.clock else None
    assert engine.vector["fp32"].rate(clock) == pytest.approx(macs_per_s(engine, "fp32"), rel=0.01)


# --- units x operations a cycle x clock ---------------------------------------------------------------------------

# operations (2 a MAC) that one unit does in a cycle
GEOMETRY = [
    ("a100_sxm_80", "fp16", 2048), ("a100_sxm_80", "int8", 4096), ("a100_sxm_80", "fp32", 128),
    ("rtx3090", "fp16", 512), ("rtx3090", "int8", 2048), ("rtx3090", "fp32", 256),
    ("rtx4090", "fp16", 512), ("rtx4090", "fp8", 1024), ("rtx4090", "int8", 2048), ("rtx4090", "fp32", 256),
    ("rtx5090", "fp16", 512), ("rtx5090", "int8", 2048), ("rtx5090", "fp32", 256),
    ("rtxpro6000_maxq", "fp16", 1024), ("rtxpro6000_maxq", "fp32", 256),
    ("h100_sxm", "fp16", 4096), ("h100_sxm", "fp8", 8192), ("h200_sxm", "bf16", 4096),
    ("l40s", "fp16", 1024), ("l40s", "int8", 2048), ("l40s", "fp32", 256),
    ("t4", "fp16", 1024), ("t4", "int8", 2048), ("t4", "fp32", 128),
    ("jetson_orin_nano", "fp16", 2048), ("jetson_orin_nano", "int8", 4096), ("jetson_orin_nano", "fp32", 256),
    ("tpu_v4", "bf16", 2 * 128 * 128), ("tpu_v5e", "bf16", 2 * 128 * 128), ("tpu_v5e", "int8", 4 * 128 * 128),
    ("zcu102", "int8", 4096), ("rk3588_npu", "int8", 2048), ("edgetpu_usb", "int8", 2 * 64 * 64),
    ("edgetpu_pcie", "int8", 2 * 64 * 64), ("ethos_u55_128", "int8", 256),
    ("ethos_u55_256", "int8", 512), ("ethos_u65_512", "int8", 512),
    ("rpi4", "fp32", 8), ("rpi4", "int8", 16), ("rpi5", "fp32", 16), ("rpi5", "int8", 64),
    ("i9_10940x", "fp32", 64), ("i9_10940x", "int8", 256),
    ("xeon_8480p", "fp32", 64), ("xeon_8480p", "bf16", 1024), ("xeon_8480p", "int8", 2048),
    ("stm32f746", "int8", 4), ("stm32h743", "int8", 4), ("stm32h7a3", "int8", 4), ("stm32h747", "fp32", 2),
    ("stm32l4r5", "int8", 4), ("stm32l4r5", "fp32", 1), ("psoc62", "fp32", 1), ("stm32u575", "int8", 4),
    ("stm32g0b1", "int8", 1), ("ra8d1", "int8", 16), ("ra8d1", "fp32", 4),
]  # fmt: skip


@pytest.mark.parametrize(("machine", "rate", "operations"), GEOMETRY)
def test_peak_is_units_times_operations_times_clock(machine: str, rate: str, operations: int) -> None:
    engine = main_engine(load_spec(machine))
    assert engine.units is not None
    assert engine.clock is not None
    expected = engine.units.value * operations * engine.clock.value
    assert 2 * macs_per_s(engine, rate) == pytest.approx(expected, rel=0.03)


def test_two_kinds_of_core_add_up() -> None:
    (engine,) = load_spec("i7_12700h").engines
    assert 2 * macs_per_s(engine, "fp32") == pytest.approx(6 * 4.7e9 * 32 + 8 * 3.5e9 * 16, rel=0.01)
    assert 2 * macs_per_s(engine, "int8") == pytest.approx(6 * 4.7e9 * 128 + 8 * 3.5e9 * 64, rel=0.01)


# --- published figures ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """What a source prints: peaks in TFLOP/s or TOP/s (at `clock_mhz` where per cycle), GB/s, bytes, W."""

    id: str
    source: str
    peak: dict[str, float]
    bandwidth: tuple[str, float]
    capacity: tuple[str, float]
    tdp: float | None = None
    clock_mhz: float | None = None
    more: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)  # memory: GB/s, bytes


def gpu(
    machine: str, source: str, peak: dict[str, float], gb_s: float, gib: float, tdp: float, rated_mhz: float | None = None
) -> Published:
    memory = "hbm" if machine.startswith(("a100", "h100", "h200")) else "gddr"
    return Published(machine, source, peak, (memory, gb_s), (memory, gib * GIB), tdp, clock_mhz=rated_mhz)


PUBLISHED = [
    gpu("rtx3090", "GA102 white paper, appendix A",
        {"fp32": 35.58, "tf32": 35.6, "fp16": 71, "bf16": 71, "int8": 284, "int4": 568}, 936, 24, 350, 1695),
    gpu("rtx4090", "Ada white paper, appendix A",
        {"fp32": 82.6, "tf32": 82.6, "fp16": 165.2, "bf16": 165.2, "fp8": 330.3, "int8": 660.6, "int4": 1321},
        1008, 24, 450, 2520),
    gpu("rtx5090", "RTX Blackwell white paper, appendix A",
        {"fp32": 104.8, "tf32": 104.8, "fp16": 209.5, "bf16": 209.5, "fp8": 419, "int8": 838}, 1792, 32, 575, 2407),
    gpu("rtxpro6000_maxq", "RTX PRO 6000 Blackwell Max-Q data sheet: 110 TFLOP/s, 3511 sparse FP4 TOP/s",
        {"fp32": 110, "fp8": 3511 / 4, "int8": 3511 / 4}, 1792, 96, 300),
    gpu("a100_sxm_80", "A100 data sheet; stas00/ml-engineering",
        {"fp32": 19.5, "tf32": 156, "fp16": 312, "bf16": 312, "int8": 624, "int4": 1248}, 2039, 80, 400),
    gpu("h100_sxm", "H100 data sheet; stas00/ml-engineering",
        {"fp32": 67, "tf32": 494.5, "fp16": 989, "bf16": 989, "fp8": 1979, "int8": 1979}, 3350, 80, 700),
    gpu("h200_sxm", "H200 data sheet; stas00/ml-engineering",
        {"fp32": 67, "tf32": 494.5, "fp16": 989, "bf16": 989, "fp8": 1979, "int8": 1979}, 4800, 141, 700),
    gpu("l40s", "L40S data sheet (350 W; secondary lists say 300)",
        {"fp32": 91.6, "tf32": 183, "fp16": 362, "bf16": 362, "fp8": 733, "int8": 733, "int4": 733}, 864, 48, 350),
    gpu("t4", "T4 data sheet", {"fp32": 8.1, "fp16": 65, "int8": 130, "int4": 260}, 320, 16, 70),
    Published("jetson_orin_nano", "Orin Nano data sheet: 20 dense INT8 TOPS",
              {"fp32": 1.28, "fp16": 10.2, "bf16": 10.2, "int8": 20}, ("dram", 68), ("dram", 8 * GIB), 15),
    Published("jetson_agx_orin64", "NVIDIA/Deep-Learning-Accelerator-SW: 171 sparse INT8 TOPS of the GPU; technical brief",
              {"fp32": 5.33, "fp16": 42.75, "bf16": 42.75, "int8": 85.5}, ("dram", 204.8), ("dram", 64 * GIB), 60,
              more={"l2": (None, 4 * MIB)}),
    Published("tpu_v4", "Google Cloud TPU v4; 1200 GB/s there, 1228 in stas00/ml-engineering",
              {"bf16": 275, "int8": 275}, ("hbm", 1200), ("hbm", 32 * GIB), 192),
    Published("tpu_v5e", "Google Cloud TPU v5e", {"bf16": 197, "int8": 394}, ("hbm", 819), ("hbm", 16 * GIB)),
    Published("edgetpu_usb", "Coral USB Accelerator data sheet v1.4", {"int8": 4}, ("usb", 0.5), ("sram", 8 * MIB), 2),
    Published("edgetpu_pcie", "Coral M.2 data sheet v1.0", {"int8": 4}, ("pcie", 0.5), ("sram", 8 * MIB), 2),
    Published("rk3588_npu", "RK3588 data sheet", {"int8": 6}, ("dram", 34.1), ("cbuf", 3 * 384 * KIB)),
    Published("hailo8", "product brief; 25.6 M weights fit, 30 M do not", {"int8": 26}, ("pcie", 3.9), ("sram", 28e6), 2.5),
    Published("sd8gen3", "branes-ai/embodied-schemas; Snapdragon 8 Gen 3 brief",
              {"fp16": 22.5, "int8": 45, "int4": 73}, ("dram", 76.8), ("dram", 12 * GIB)),
    Published("zcu102", "UG1354: 3.45 TOPS; UG1182", {"int8": 3.45}, ("dram", 17.1), ("dram", 4 * GIB)),
    Published("rpi4", "Cortex-A72 optimisation guide, product brief", {"fp32": 0.0576, "int8": 0.115},
              ("dram", 12.8), ("dram", 8 * GIB), more={"l2": (None, 1 * MIB)}),
    Published("rpi5", "Cortex-A76 optimisation guide, product brief", {"fp32": 0.1536, "fp16": 0.307, "int8": 0.614},
              ("dram", 17.1), ("dram", 8 * GIB), more={"l2": (None, 2 * MIB), "l3": (None, 2 * MIB)}),
    Published("i7_12700h", "Intel ARK", {"fp32": 1.35, "int8": 5.4}, ("dram", 76.8), ("dram", 64 * GIB), 45,
              more={"l3": (None, 24 * MIB)}),
    Published("epyc_9004_vm2", "118 GFLOP/s a core, copies of 256 MB", {"fp32": 0.236, "int8": 0.944}, ("dram", 32.6),
              ("dram", 24 * GIB), more={"l2": (None, 2 * MIB), "l3": (None, 32 * MIB)}),
    Published("i9_10940x", "Intel ARK, peaks at the base clock", {"fp32": 2.96, "int8": 11.8}, ("dram", 94),
              ("dram", 256 * GIB), 165, 3300, more={"l3": (None, 19.25 * MIB)}),
    Published("xeon_8480p", "Intel ARK and AMX brief, peaks at the base clock",
              {"fp32": 7.17, "bf16": 114.7, "int8": 229}, ("dram", 307.2), ("dram", 4096 * GIB), 350, 2000,
              more={"l2": (None, 112 * MIB), "l3": (None, 105 * MIB)}),
    Published("stm32f746", "DS10916, RM0385", {"fp32": 0.000432, "int8": 0.000864}, ("sram", 1.73),
              ("sram", 320 * KIB), more={"flash": (0.864, 1 * MIB)}),
    Published("stm32h743", "DS12110, RM0433", {"fp32": 0.00096, "int8": 0.00192}, ("sram", 1.92),
              ("sram", 512 * KIB), more={"flash": (None, 2 * MIB)}),
    Published("stm32h747", "DS12930", {"fp32": 0.00096, "int8": 0.00192}, ("sram", 1.92), ("sram", 512 * KIB),
              more={"flash": (None, 2 * MIB)}),
    Published("stm32h7a3", "DS13195", {"fp32": 0.00056, "int8": 0.00112}, ("sram", 2.24), ("sram", 1 * MIB),
              more={"flash": (None, 2 * MIB)}),
    Published("stm32l4r5", "DS12023, RM0432", {"fp32": 0.00012, "int8": 0.00048}, ("sram", 0.48),
              ("sram", 640 * KIB), more={"flash": (0.32, 2 * MIB)}),
    Published("stm32u575", "DS13737", {"fp32": 0.00032, "int8": 0.00064}, ("sram", 0.64), ("sram", 768 * KIB),
              more={"flash": (None, 2 * MIB)}),
    Published("stm32u585", "DS13086", {"fp32": 0.00032, "int8": 0.00064}, ("sram", 0.64), ("sram", 768 * KIB),
              more={"flash": (None, 2 * MIB)}),
    Published("stm32g0b1", "DS13560; MLPerf Tiny v1.2 system", {"int8": 0.000064}, ("sram", 0.256),
              ("sram", 144 * KIB), more={"flash": (None, 512 * KIB)}),
    Published("nrf5340", "nRF5340 product specification", {"fp32": 0.000256, "int8": 0.000512}, ("sram", 0.512),
              ("sram", 512 * KIB), more={"flash": (None, 1 * MIB)}),
    Published("psoc62", "CY8C62xA data sheet; MLPerf Tiny v1.2 system", {"fp32": 0.00015, "int8": 0.0006},
              ("sram", 0.6), ("sram", 1 * MIB), more={"flash": (None, 2 * MIB)}),
    Published("ra6m4", "RA6M4 data sheet", {"fp32": 0.0004, "int8": 0.0008}, ("sram", 0.8), ("sram", 256 * KIB),
              more={"flash": (None, 1 * MIB)}),
    Published("ra8d1", "RA8D1 data sheet; MLPerf Tiny v1.2 system", {"fp32": 0.00192, "int8": 0.0077},
              ("sram", 1.92), ("sram", 896 * KIB), more={"flash": (None, 2 * MIB)}),
    Published("gap9", "GreenWaves: 150.4 GOPS; MLPerf Tiny v1.0 system", {"int8": 0.1504}, ("l2", 2.96),
              ("l2", 1.5 * MIB), more={"l1": (None, 128 * KIB)}),
    Published("corstone_300", "ethos-u-vela 5.2.0, high end embedded", {"int8": 0.128}, ("sram", 4.0),
              ("sram", 0), more={"flash": (0.5, None)}),
    *(Published(f"ethos_u55_{macs}", "ethos-u-vela, high end embedded", {"int8": macs / 1000}, ("sram", 4.0), ("sram", 0),
                more={"flash": (0.5, None)}) for macs in (32, 64, 128, 256)),
    *(Published(f"ethos_u65_{macs}", "ethos-u-vela 4.2.0, client server, 384 KB", {"int8": 2 * macs / 1000}, ("sram", 16.0),
                ("sram", 384 * KIB), more={"dram": (12.0, None)}) for macs in (256, 512)),
]  # fmt: skip


def test_every_machine_is_held_against_a_source() -> None:
    assert sorted(p.id for p in PUBLISHED) == IDS


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.id)
def test_peaks_are_the_published_ones(published: Published) -> None:
    engine = main_engine(load_spec(published.id))
    clock = published.clock_mhz * 1e6 if published.clock_mhz else engine.clock.value if engine.clock else None
    for rate, tera in published.peak.items():
        value = 2 * engine.peak[rate].rate(clock) / 1e12  # type: ignore[index]
        assert value == pytest.approx(tera, rel=0.03), f"{rate} ({published.source})"


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.id)
def test_memories_and_power_are_the_published_ones(published: Published) -> None:
    spec = load_spec(published.id)
    memory_id, gb_s = published.bandwidth
    assert bytes_per_s(memory_of(spec, memory_id)) == pytest.approx(gb_s * 1e9, rel=0.02), published.source
    for name, size in [published.capacity, *((m, c) for m, (_, c) in published.more.items() if c)]:
        if size:
            capacity = memory_of(spec, name).capacity
            assert capacity is not None
            assert capacity.value == pytest.approx(size, rel=1e-6), f"{name} ({published.source})"
    for name, (rate, _) in published.more.items():
        if rate:
            assert bytes_per_s(memory_of(spec, name)) == pytest.approx(rate * 1e9, rel=0.02), name
    assert (spec.power.tdp.value if spec.power.tdp else None) == published.tdp, published.source


MODE_FIGURES = [
    ("stm32l4r5:1.8V", "power.active", 0.0447), ("stm32l4r5:3.0V", "power.active", 0.0748),
    ("jetson_orin_nano:7W", "power.tdp", 7), ("jetson_orin_nano:15W", "power.tdp", 15),
    ("jetson_orin_nano:25W", "power.tdp", 25), ("jetson_orin_nano:25W", "memories.dram.bandwidth", 102.4e9),
    ("ethos_u55_128:deep_embedded", "memories.flash.bandwidth", 0.1e9),
    ("ethos_u55_128:deep_embedded", "engines.npu.clock", 200e6),
    ("rk3588_npu:1core", "engines.npu.peak.int8", 1e12), ("stm32h747:400MHz", "engines.core.clock", 400e6),
    ("gap9:0.65V", "engines.npu.clock", 240e6), ("hailo8:pcie_x1", "memories.pcie.bandwidth", 0.985e9),
]  # fmt: skip


@pytest.mark.parametrize(("machine", "path", "value"), MODE_FIGURES)
def test_modes_carry_their_figures(machine: str, path: str, value: float) -> None:
    assert dict(load_spec(machine).figures())[path].value == pytest.approx(value)


def test_power_of_a_linear_regulator_follows_the_supply() -> None:
    at = {v: dict(load_spec(f"stm32l4r5:{v}").figures())["power.active"].value for v in ("1.8V", "3.0V")}
    assert at["3.0V"] / at["1.8V"] == pytest.approx(3.0 / 1.8, rel=0.1)


def test_vela_bandwidths() -> None:
    for mode, sram, flash in (("high_end_embedded", 4e9, 0.5e9), ("deep_embedded", 1.6e9, 0.1e9)):
        spec = load_spec(f"ethos_u55_128:{mode}")
        assert bytes_per_s(memory_of(spec, "sram")) == pytest.approx(sram)
        assert bytes_per_s(memory_of(spec, "flash")) == pytest.approx(flash)


def test_orin_nano_super_peak() -> None:
    (engine,) = load_spec("jetson_orin_nano:MAXN_SUPER").engines
    assert 2 * macs_per_s(engine, "int8") == pytest.approx(67e12 / 2, rel=0.01)  # 67 TOPS count 2:4 sparsity


def test_edge_tpu_streams_what_was_measured() -> None:
    for machine in ("edgetpu_usb", "edgetpu_pcie"):
        link = outermost(load_spec(machine))
        assert link.achieved is not None
        assert bytes_per_s(link) * link.achieved.value == pytest.approx(0.35e9)


@pytest.mark.parametrize("machine", SEVERAL)
def test_of_several_engines_the_last_runs_everything(machine: str) -> None:
    *first, last = load_spec(machine).engines
    assert last.supports is None
    for engine in first:
        assert engine.supports is not None
        assert engine.supports.source
        assert set(engine.supports.dtypes) <= set(engine.peak)


def test_both_edge_tpus_are_the_same_chip() -> None:
    usb, pcie = (load_spec(f"edgetpu_{bus}").engines[0] for bus in ("usb", "pcie"))
    assert usb.supports == pcie.supports
    assert macs_per_s(usb, "int8") == macs_per_s(pcie, "int8")


@pytest.mark.parametrize(("accelerator", "board"), [("edgetpu_usb", "rpi4"), ("edgetpu_pcie", "rpi5")])
def test_the_hosts_of_the_edge_tpus_are_those_boards(accelerator: str, board: str) -> None:
    host, own = load_spec(accelerator).engine("cores"), load_spec(board).engine("cores")
    assert all(host.peak[rate] == own.peak[rate] or macs_per_s(host, rate) == macs_per_s(own, rate) for rate in host.peak)
    assert memory_of(load_spec(accelerator), "dram").read.value == memory_of(load_spec(board), "dram").read.value


def test_a_dla_core_has_half_of_what_both_have() -> None:
    assert 2 * macs_per_s(load_spec("jetson_agx_orin64").engine("dla"), "int8") == pytest.approx(105e12 / 4)  # dense


# --- docs/hardware.md -----------------------------------------------------------------------------------------------

DOCS = Path(__file__).parent.parent / "docs" / "hardware.md"
EXAMPLES = re.findall(r"```yaml\n(schema: .*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=["minimal", "full", "extends"])
def test_examples_of_the_documentation_load(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text, encoding="utf-8")
    spec = load_spec(path)
    assert machine_of(spec).id == spec.id
    for mode in spec.modes:
        assert load_spec(f"{path}:{mode}").mode == mode


def test_minimal_example_has_eight_lines() -> None:
    assert len(EXAMPLES[0].splitlines()) == 8


def test_full_example_is_sourced_and_names_every_field(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(EXAMPLES[1], encoding="utf-8")
    assert load_spec(path).unsourced() == []
    text = DOCS.read_text(encoding="utf-8")
    for section in (HardwareSpec, Engine, Supports, Memory):
        for name, info in section.model_fields.items():
            assert name == "mode" or f"`{info.alias or name}" in text, name


def test_documented_modes_exist() -> None:
    text = DOCS.read_text(encoding="utf-8")
    named = [m for m in re.findall(r"([a-z0-9_]+:[\w.]+)", text) if m.partition(":")[0] in IDS]
    assert named
    assert set(named) <= set(MODES)


@pytest.mark.parametrize("machine", IDS)
def test_totals_are_those_of_the_estimate(machine: str) -> None:
    """The fast way that sweeps and fits take, on every machine as it is: links, blocks, several engines."""
    precision = None if load_spec(machine).hardware_class in ("cpu", "gpu") else "int8"
    est = api.estimate("resnet8", machine, precision=precision)
    found = totals(est.prepared, machine_of(est.hardware), est.runtime)
    assert found.latency_s == est.latency_s
    assert found.energy_j == est.energy_j
