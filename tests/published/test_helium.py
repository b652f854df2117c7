"""Counts of CMSIS-NN's kernels for Helium, read off their source, against cycles of another chip that nothing was fitted to.

MobileNetV2 (224 × 224, int8) under ExecuTorch with CMSIS-NN on the Cortex-M55 of an Alif Ensemble E8, its first convolutions:
https://github.com/pytorch/executorch/issues/17651 (comment of 2026-03-03).
"""

from typing import Any

import pytest
from support.machines import hardware

import simulator as sim
from simulator.estimator import estimate
from simulator.io.hardware_reader import load_runtime
from simulator.machine.runtime import RuntimeSpec

CYCLES = {
    "stem": 13_754_047,
    "stage1.0.depthwise": 13_715_766,
    "stage1.0.project": 4_915_937,
    "stage2.0.expand": 24_249_462,
    "stage2.0.depthwise": 10_286_711,
    "stage2.0.project": 2_791_555,
    "stage2.1.expand": 10_329_014,
    "stage2.1.depthwise": 15_319_785,
}
CLOCK = 100e6
CORTEX_M55: dict[str, Any] = {
    "id": "core", "kind": "simd", "clock": "100 MHz", "peak": {"int8": "8 MAC/cycle"}, "vector": {"int8": "8 OP/cycle"},
    "geometry": {"kind": "core", "issue": 1, "width": "8 B"},
}  # fmt: skip


def cycles(runtime: RuntimeSpec) -> dict[str, float]:
    """Cycles of the kernels above; memory as wide as the core works."""
    spec = hardware(bandwidth="0.8 GB/s", engines=[CORTEX_M55])
    found = estimate(sim.load_model("mobilenet_v2"), spec, runtime, precision="int8")
    times = dict(zip(found.work.names, found.kernel_s, strict=True))
    return {name: float(times[name]) * CLOCK for name in CYCLES}


@pytest.fixture(scope="module")
def predicted() -> dict[str, float]:
    return cycles(load_runtime("tflm_cmsis_nn"))


@pytest.mark.parametrize("kernel", CYCLES)
def test_kernels(predicted: dict[str, float], kernel: str) -> None:
    """Within a fifth."""
    assert predicted[kernel] == pytest.approx(CYCLES[kernel], rel=0.2)


def test_their_sum(predicted: dict[str, float]) -> None:
    assert sum(predicted.values()) == pytest.approx(sum(CYCLES.values()), rel=0.1)


def test_without_vector_kernels_it_would_take_twice_as_long() -> None:
    spec = load_runtime("tflm_cmsis_nn")
    scalar = spec.profiles["simd"].model_copy(update={"vector": None})
    found = cycles(spec.model_copy(update={"profiles": {**spec.profiles, "simd": scalar}}))
    assert sum(found.values()) > 2 * sum(CYCLES.values())
