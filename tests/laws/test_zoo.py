"""Laws on every network of the catalogue, on a machine of every class with its own runtime."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

import simulator as sim
from simulator.cost.limits import limits_of
from simulator.cost.table import cost_table
from simulator.estimator import estimate
from simulator.graph.graph import Graph
from simulator.io.hardware_reader import load_runtime
from simulator.kernels.types import Kernel
from simulator.machine.params import Machine, machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.model import Model
from simulator.preparation import prepared_for
from simulator.result.prediction import Prepared
from simulator.schedule.placement import place
from simulator.zoo.recipe import all_recipes

NETWORKS = sorted(all_recipes())
MACHINES = {
    "cpu": "rpi4", "gpu": "a100_sxm_80", "tpu": "tpu_v5e", "npu": "edgetpu_usb", "ethosu": "ethos_u55_128", "mcu": "stm32h743",
    "fpga": "zcu102",
}  # fmt: skip
RUNTIMES = ("ideal", "pytorch_compile", "pytorch_eager", "tensorrt", "onnxruntime", "tflm_cmsis_nn", "x_cube_ai_9", "ethosu")
CHAIN = ("full", "prefetch", "layer", "runtime", "none")
ROUNDING = 1 + 1e-9


@lru_cache(maxsize=2)
def network(name: str) -> Model:
    return sim.load_model(name)


def precision_of(machine: str) -> str | None:
    return {"npu": "int8", "ethosu": "int8", "fpga": "int8", "tpu": "bf16"}.get(machine)


@pytest.mark.parametrize("name", NETWORKS)
def test_policies_are_ordered_above_the_bound(name: str) -> None:
    for kind, machine_id in MACHINES.items():
        spec = sim.load_hardware(machine_id)
        runtime = load_runtime(spec.runtime or "ideal")
        found = [estimate(network(name), spec, runtime, precision=precision_of(kind), overlap=p) for p in CHAIN]
        times = [est.latency_s for est in found]
        assert all(one <= other * ROUNDING for one, other in pairwise(times)), (machine_id, times)
        assert found[0].bound_latency_s <= times[0] * ROUNDING, machine_id
        assert all(np.isfinite(est.kernel_s).all() for est in found)


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_are_homes_of_all_operators_and_need_nobody_who_needs_them(name: str) -> None:
    for runtime in RUNTIMES:
        prepared = prepared_for(network(name), load_runtime(runtime))
        graph, kernels = prepared.graph, prepared.kernels
        homes = [op for kernel in kernels for op in (*kernel.ops, *kernel.views)]
        assert len(homes) == len(set(homes))
        assert {i for i, op in enumerate(graph.ops) if not op.constant} - set(homes) <= free_views(
            graph, kernels, casts="free_casts" in load_runtime(runtime).fusion
        )
        made: set[str] = {*graph.inputs}
        for kernel in kernels:
            assert {t.name for t in kernel.inputs} <= made, kernel.name
            made |= {t.name for t in kernel.outputs}


def free_views(graph: Graph, kernels: tuple[Kernel, ...], *, casts: bool) -> set[int]:
    """Views of inputs and weights, which no kernel makes."""
    homed = {op for kernel in kernels for op in (*kernel.ops, *kernel.views)}
    return {i for i, op in enumerate(graph.ops) if i not in homed and op.op_type in (VIEWS | {"Cast"} if casts else VIEWS)}


VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Transpose", "Slice", "Split", "Expand", "Dropout"}


@pytest.mark.parametrize("name", NETWORKS)
def test_fused_traffic_is_no_more_than_unfused(name: str) -> None:
    ideal = load_runtime("ideal")
    spec = sim.load_hardware("rpi4")
    fused, apart = (estimate(network(name), spec, ideal.model_copy(update={"fusion": f})) for f in (ideal.fusion, ()))
    assert fused.work.total_bytes.sum() <= apart.work.total_bytes.sum() * ROUNDING
    innermost = spec.memories[0].id
    assert fused.cost.bytes_by_level[innermost].sum() <= apart.cost.bytes_by_level[innermost].sum() * ROUNDING


def traffic(prepared: Prepared, machine: Machine, runtime: RuntimeSpec) -> float:
    limits = limits_of(runtime, machine)
    cost = cost_table(prepared.work, machine, limits, place(prepared.work, machine, limits.profiles))
    return float(cost.bytes_by_level[machine.memories[-1].id].sum())


@pytest.mark.parametrize("name", NETWORKS)
def test_traffic_outside_falls_with_what_fits_inside(name: str) -> None:
    runtime = load_runtime("onnxruntime")
    prepared = prepared_for(network(name), runtime)
    base = machine_of(sim.load_hardware("rpi4"))
    moved = []
    for factor in (1e-6, 1e-3, 0.1, 1.0, 10.0, 100.0, 1e4):
        cache = replace(base.memories[0], capacity_bytes=base.memories[0].capacity_bytes * factor)
        moved.append(traffic(prepared, replace(base, memories=(cache, *base.memories[1:])), runtime))
    assert all(more <= less * ROUNDING for less, more in pairwise(moved))
    weights = prepared.work.operands.weights
    floor = weights.bytes[weights.distance_bytes >= 1e30].sum()
    assert moved[-1] == pytest.approx(floor, abs=1.0)
