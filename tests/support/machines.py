"""Small machines and runtimes, given in few words."""

from typing import Any

from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec

MACHINE_FILE = """schema: 1
id: mine
name: Mine
class: cpu
engines:
  - {id: core, kind: simd, peak: {fp32: 1 TFLOP/s}}
memories:
  - {id: dram, kind: dram, capacity: 1 GiB, bandwidth: 10 GB/s}
"""
EVERYTHING = ("batch_norm", "activation", "residual", "gate", "pointwise", "quantize")


def hardware_data(*, peak: str = "1 TFLOP/s", bandwidth: str = "100 GB/s", **sections: Any) -> dict[str, Any]:
    """A minimal machine: one engine, one memory. `sections` are laid over it."""
    return {
        "schema": 1, "id": "test", "name": "Test", "class": "cpu",
        "engines": [{"id": "core", "kind": "simd", "peak": {"fp32": peak}}],
        "memories": [{"id": "dram", "kind": "dram", "bandwidth": bandwidth}],
        **sections,
    }  # fmt: skip


def hardware(**sections: Any) -> HardwareSpec:
    """See `hardware_data`."""
    return HardwareSpec.model_validate(hardware_data(**sections))


def device_data(**supports: Any) -> dict[str, Any]:
    """A device behind a bus with a memory of its own, `supports` being what it runs, and a host that runs everything."""
    return hardware_data(
        engines=[
            {"id": "device", "kind": "npu", "peak": {"fp32": "1 TFLOP/s"}, "memories": ["tcm", "bus"], "supports": supports},
            {"id": "host", "kind": "simd", "peak": {"fp32": "1 GFLOP/s"}, "memories": ["sram", "flash"]},
        ],
        memories=[
            {"id": "tcm", "kind": "scratchpad", "capacity": "1 MiB", "bandwidth": "10 GB/s", "holds": ["weights", "activations"]},
            {"id": "sram", "kind": "scratchpad", "capacity": "1 KiB", "bandwidth": "1 GB/s", "holds": ["activations"]},
            {"id": "flash", "kind": "flash", "capacity": "4 MiB", "bandwidth": "100 MB/s", "holds": ["weights"]},
            {"id": "bus", "kind": "link", "bandwidth": "1 GB/s", "holds": ["weights"]},
        ],
    )


def runtime_data(
    *,
    overlap: float = 1.0,
    fusion: tuple[str, ...] = (),
    kernel_overhead: str = "0 s",
    asynchronous: bool = False,
    **profile: Any,
) -> dict[str, Any]:
    """A runtime without any loss, unless told otherwise; `profile` is laid over its only profile."""
    return {
        "schema": 1, "id": "test", "name": "Test", "description": "A runtime of the tests.", "fusion": fusion,
        "profiles": {"default": {
            "overlap": overlap, "efficiency": {"default": 1}, "vector_efficiency": 1, "bandwidth": 1,
            "kernel_overhead": kernel_overhead, "inference_overhead": "0 s", "asynchronous": asynchronous, **profile,
        }},
    }  # fmt: skip


def runtime(**given: Any) -> RuntimeSpec:
    """See `runtime_data`."""
    return RuntimeSpec.model_validate(runtime_data(**given))
