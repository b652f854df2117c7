"""What of a runtime may be fitted, and columns of constants: the same as one after another, bit by bit."""

import numpy as np
import pytest
from support.machines import runtime

import simulator as sim
from simulator.errors import UsageError
from simulator.estimator import totals
from simulator.fidelity.constants import CYCLES, RANGES, constants_of, in_columns, with_constants
from simulator.fidelity.measurement import Measurement, sample_of
from simulator.io.hardware_reader import load_runtime, runtime_ids
from simulator.units import parse

ALL_KINDS = frozenset({"tensor", "systolic", "simd", "scalar", "npu", "dpu"})
# a machine of one engine for runtimes of each kind
MACHINES = {
    "rtx3090": ("pytorch_eager", "pytorch_compile", "pytorch_eager_nhwc", "tensorrt", "vllm", "llama_cpp"),
    "i7_12700h": ("onnxruntime", "pytorch_compile"),
    "stm32h743": ("tflm_cmsis_nn", "x_cube_ai_9", "tinyengine", "microtvm_native"),
    "stm32g0b1": ("tflm_cmsis_nn",),
    "ra8d1": ("tflm_cmsis_nn", "microtvm_cmsis_nn"),  # vector registers
    "tpu_v5e": ("xla",),
    "ethos_u55_128": ("ethosu",),
    "zcu102": ("vitis_ai",),
    "hailo8": ("hailort",),  # behind a link
}
WORK = {"rtx3090": ("shufflenet_v1_g3", "amp_fp16"), "i7_12700h": ("resnet18", None), "tpu_v5e": ("resnet18", "bf16")}
PAIRS = [(machine, name) for machine, names in MACHINES.items() for name in names]


@pytest.mark.parametrize("name", sorted(runtime_ids()))
def test_every_prior_lies_within_its_bounds(name: str) -> None:
    for constant in constants_of(load_runtime(name), ALL_KINDS):
        assert constant.range.low <= constant.prior <= constant.range.high
        assert constant.range.spread > 0


@pytest.mark.parametrize("name", sorted(runtime_ids()))
def test_a_constant_is_written_as_it_is_read(name: str) -> None:
    for constant in constants_of(load_runtime(name), ALL_KINDS):
        for value in (constant.prior, constant.prior / 3):
            read = parse(constant.text(value), constant.quantity)
            assert (read.value, read.per_cycle) == (value, constant.per_cycle)


def test_overheads_in_cycles_have_bounds_in_cycles() -> None:
    given = runtime(kernel_overhead="8000 cycles")
    (found,) = constants_of(given, frozenset({"simd"}), ("kernel_overhead",))
    assert (found.per_cycle, found.prior) == (True, 8000)
    assert found.range == CYCLES["kernel_overhead"]
    (seconds,) = constants_of(runtime(kernel_overhead="8 us"), frozenset({"simd"}), ("kernel_overhead",))
    assert seconds.range == RANGES["kernel_overhead"]


def test_what_can_be_asked_for() -> None:
    spec = load_runtime("pytorch_eager")
    everything = constants_of(spec, frozenset({"tensor"}))
    assert {c.path.split(".")[2] for c in everything} <= set(RANGES)
    assert [c.path for c in constants_of(spec, frozenset({"tensor"}), ("efficiency.conv",))] == [
        "profiles.tensor.efficiency.conv"
    ]
    whole = constants_of(spec, frozenset({"tensor"}), ("efficiency",))
    assert {c.path for c in whole} == {c.path for c in everything if ".efficiency." in c.path}
    with pytest.raises(UsageError, match="no constant 'bandwith'; did you mean 'bandwidth'"):
        constants_of(spec, frozenset({"tensor"}), ("bandwith",))


def test_zero_is_no_prior() -> None:
    """Nothing is known of a figure of 0 but that somebody left it out: it has no logarithm."""
    paths = [c.path for c in constants_of(runtime(kernel_overhead="0 s"), frozenset({"simd"}))]
    assert "profiles.default.kernel_overhead" not in paths
    assert "profiles.default.bandwidth" in paths


def test_other_figures_stay() -> None:
    spec = load_runtime("tflm_cmsis_nn")
    changed = with_constants(spec, {"profiles.simd.instructions.conv": 5.0, "profiles.scalar.bandwidth": 0.5})
    before, after = dict(spec.figures()), dict(changed.figures())
    assert {path for path in before if before[path] != after[path]} == {
        "profiles.simd.instructions.conv",
        "profiles.scalar.bandwidth",
    }
    assert (after["profiles.simd.instructions.conv"].value, after["profiles.scalar.bandwidth"].value) == (5.0, 0.5)


def test_counts_of_vector_kernels_are_constants_too() -> None:
    spec = load_runtime("tflm_cmsis_nn")
    (constant,) = constants_of(spec, frozenset({"simd"}), ("vector.instructions.gemm",))
    assert (constant.path, constant.range.spread) == ("profiles.simd.vector.instructions.gemm", RANGES["instructions"].spread)
    changed = with_constants(spec, {constant.path: 0.7})
    before, after = dict(spec.figures()), dict(changed.figures())
    assert {path for path in before if before[path] != after[path]} == {constant.path}
    assert after[constant.path].value == 0.7


@pytest.mark.parametrize(("machine", "name"), PAIRS, ids=lambda x: x)
def test_columns_are_the_same_as_one_after_another(machine: str, name: str) -> None:
    spec, hardware = load_runtime(name), sim.load_hardware(machine)
    network, precision = WORK.get(machine, ("ds_cnn", "int8"))
    sample = sample_of(Measurement(network, machine, name, 1.0, precision), sim.load_model(network), hardware, spec)
    constants = constants_of(spec, frozenset(e.kind for e in hardware.engines))
    prior = np.array([c.prior for c in constants])
    points = np.vstack([prior, prior * (1 - 0.1 * np.eye(len(prior)))])
    columns = with_constants(in_columns(spec, len(points)), {c.path: points[:, [i]] for i, c in enumerate(constants)})
    together = totals(sample.prepared, sample.machine, columns).latency_s
    for point, latency_s in zip(points, together, strict=True):
        one = with_constants(spec, {c.path: float(v) for c, v in zip(constants, point, strict=True)})
        assert float(totals(sample.prepared, sample.machine, one).latency_s) == latency_s
    assert len(set(together.tolist())) > 1
