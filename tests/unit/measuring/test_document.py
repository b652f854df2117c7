"""A probe's figures as files: they load, say where they come from, and an estimate comes of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import simulator as sim
from simulator.fidelity.spread import Load
from simulator.io.hardware_reader import load_runtime, runtime_ids
from simulator.io.yaml_reader import read_document
from simulator.machine.figures import Provenance
from simulator.measuring.host import Cache, Host
from simulator.measuring.probe.bench import Probed
from simulator.measuring.probe.document import hardware_document, runtime_document, total_bytes, yaml_text
from simulator.measuring.probe.networks import attention, convolution, elementwise, integer_product, product, recurrence
from simulator.ops.work import Kind
from tests.support.graphs import loaded

MIB = 1 << 20
HOST = Host("Example CPU 9000", "AMD", 4, 16 << 30, (Cache(1, 32 << 10, 1), Cache(2, MIB, 1), Cache(3, 16 * MIB, 4)))
ONE = Probed(
    threads=1,
    macs_per_s={"fp32": 50e9, "int8": 200e9},
    class_macs_per_s={"conv": 50e9, "gemm": 45e9, "depthwise_conv": 20e9},
    special_per_s=4e9,
    copies={64 << 10: 150e9, 256 << 10: 110e9, 512 << 10: 100e9, 4 * MIB: 80e9, 8 * MIB: 70e9, 256 * MIB: 20e9},
    streams={4 * MIB: 60e9, 8 * MIB: 60e9, 16 * MIB: 30e9, 64 * MIB: 22e9, 256 * MIB: 22e9},
    node_s=0.5e-6,
    run_s=6e-6,
    load=Load(1.0),
)
FOUR = replace(ONE, threads=4, macs_per_s={"fp32": 190e9}, class_macs_per_s={"conv": 190e9}, node_s=2e-6)


def written(tmp_path: Path, host: Host = HOST, flags: tuple[str, ...] = ("avx2",)) -> Path:
    path = tmp_path / "host.yaml"
    path.write_text(yaml_text(hardware_document(host, (ONE, FOUR), flags, "a probe"), ["1 thread: …"]), encoding="utf-8")
    return path


def test_the_file_loads_and_every_figure_has_its_source(tmp_path: Path) -> None:
    path = written(tmp_path)
    spec = sim.load_hardware(path)
    assert (spec.id, spec.hardware_class, spec.runtime) == ("example_cpu_9000", "cpu", "onnxruntime")
    assert spec.unsourced() == []
    assert spec.engine("cores").peak["fp32"].value == pytest.approx(190e9)  # the most threads
    assert {figure.kind for _, figure in spec.figures()} == {Provenance.MEASURED, Provenance.DERIVED}
    one = sim.load_hardware(f"{path}:1t")
    assert one.engine("cores").peak["fp32"].value == pytest.approx(50e9)
    assert [m.id for m in one.memories] == ["l2", "l3", "dram"]
    l2, l3, dram = one.memories
    assert (l2.capacity.value, l3.capacity.value, dram.capacity.value) == (MIB, 16 * MIB, 16 << 30)
    assert (l2.read.value, l3.read.value) == (pytest.approx(110e9), pytest.approx(75e9))
    assert (dram.read.value, dram.write.value) == (pytest.approx(22e9), pytest.approx(20e9))


def test_caches_of_each_core_add_up() -> None:
    private, shared = Cache(2, MIB, 1), Cache(3, 16 * MIB, 4)
    assert [total_bytes(private, n) for n in (1, 2, 4)] == [MIB, 2 * MIB, 4 * MIB]
    assert [total_bytes(shared, n) for n in (1, 4, 5)] == [16 * MIB, 16 * MIB, 32 * MIB]


@pytest.mark.parametrize("flags", [(), ("avx512f", "avx2"), ("asimd",)])
def test_lanes_where_the_processor_tells(tmp_path: Path, flags: tuple[str, ...]) -> None:
    geometry = sim.load_hardware(written(tmp_path, flags=flags)).engine("cores").geometry
    widths = {(): None, ("avx512f", "avx2"): 16, ("asimd",): 4}
    assert (geometry.lanes["fp32"].value if geometry else None) == widths[flags]


def test_a_system_that_tells_nothing_still_makes_a_file(tmp_path: Path) -> None:
    spec = sim.load_hardware(written(tmp_path, Host("CPU", None, 4, None, ()), ()))
    assert [m.id for m in spec.memories] == ["dram"]
    assert spec.memories[0].capacity is None


def test_an_estimate_comes_of_it(tmp_path: Path) -> None:
    path = written(tmp_path)
    one, four = (sim.estimate("resnet50", hw, runtime="onnxruntime").latency_s for hw in (f"{path}:1t", str(path)))
    assert 4.09e9 / 50e9 < one < 4 * 4.09e9 / 50e9
    assert four < one


def test_the_profile_is_in_terms_of_the_probe(tmp_path: Path) -> None:
    base = read_document(runtime_ids()["onnxruntime"]).data
    path = tmp_path / "ort.yaml"
    path.write_text(yaml_text(runtime_document(base, HOST, ONE, "a probe")), encoding="utf-8")
    runtime = load_runtime(str(path))
    profile = runtime.profiles["simd"]
    assert runtime.fusion == tuple(base["fusion"])
    assert runtime.residuals is None  # those of the catalogue's profile belong to its own constants
    assert profile.fork_overhead is None  # in the overhead of a node
    assert profile.efficiency_of(Kind.CONV) == 1.0
    assert profile.efficiency_of(Kind.GEMM) == 0.9
    assert profile.efficiency_of(Kind.DEPTHWISE_CONV) == 0.4
    assert profile.kernel_overhead.value == pytest.approx(0.5e-6)
    assert profile.inference_overhead.value == pytest.approx(6e-6)
    assert 0.7 < profile.resident_share < 1.0  # half way between 60 and 22 GB/s lies near 14 of 16 MiB
    assert runtime.unsourced() == []
    hw = f"{written(tmp_path)}:1t"
    assert (
        sim.estimate("resnet50", hw, runtime=str(path)).latency_s < sim.estimate("resnet50", hw, runtime="onnxruntime").latency_s
    )


def test_several_threads_have_the_start_of_the_others_apart() -> None:
    base = read_document(runtime_ids()["onnxruntime"]).data
    profile = runtime_document(base, HOST, replace(FOUR, fork_s=3e-6), "a probe")["profiles"]["simd"]
    assert (profile["kernel_overhead"]["value"], profile["fork_overhead"]["value"]) == ("2 us", "1.5 us")


def test_instructions_of_outputs_are_no_part_of_an_efficiency() -> None:
    """20 of 50 GMAC/s, of which 9 for each output go with 0.44 instructions at 50 G / 8 lanes."""
    base = read_document(runtime_ids()["onnxruntime"]).data
    profile = runtime_document(base, HOST, ONE, "a probe", ("avx2",))["profiles"]["simd"]
    per_mac_s = 1 / 20e9 - base["profiles"]["simd"]["output_instructions"]["depthwise_conv"]["value"] * 8 / 50e9 / 9
    assert float(profile["efficiency"]["depthwise_conv"]["value"]) == pytest.approx(1 / per_mac_s / 50e9, abs=1e-3)


def test_the_text_is_yaml_with_its_comments() -> None:
    text = yaml_text({"schema": 1, "id": "x"}, ["one", "two"])
    assert text.startswith("# one\n# two\n")
    assert yaml.safe_load(text) == {"schema": 1, "id": "x"}


@pytest.mark.parametrize(
    "probe",
    [convolution(8, 6), convolution(8, 6, groups=8), product(4, 16), attention(2, 6, 4), recurrence(8, 5)],
    ids=["conv", "depthwise", "product", "attention", "lstm"],
)
def test_a_link_has_the_macs_that_it_says(probe: object) -> None:
    """By our own count of the networks that are timed."""
    import onnx

    one, three = (loaded(onnx.load_from_string(probe.chain(n))).macs for n in (1, 3))  # type: ignore[attr-defined]
    assert (three - one) / 2 == probe.macs  # type: ignore[attr-defined]


def test_integer_products_and_functions_count_as_they_say() -> None:
    import onnx

    integers = integer_product(4, 16)
    assert loaded(onnx.load_from_string(integers.chain(3))).macs == 3 * integers.macs
    functions = loaded(onnx.load_from_string(elementwise("Erf", 100).chain(5)))
    assert (functions.macs, sum(w.special_ops for w in functions.works)) == (0, 500)
