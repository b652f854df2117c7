"""Networks laid out over a chip as a pipeline, and those that are cut into contexts; the share of an output's own steps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import INT8, loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate, totals
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepared_for
from simulator.result.estimate import Estimate

KIB = 1024
LAUNCH_S = 3e-6


def chain(batch: int = 1, width: int = 64) -> Model:
    """Two int8 products, a row of `width` elements a sample; 2 · width² bytes of weights."""
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "h v", "y")]
    weights = [weight(name, width, width, dtype=INT8) for name in "wv"]
    return loaded(model(nodes, [value("x", batch, width, dtype=INT8)], ["y"], weights))


def products_of_activations(batch: int = 1, width: int = 64) -> Model:
    """A product with weights, and one of its result with another input."""
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "h z", "y")]
    inputs = [value("x", batch, 2, width, dtype=INT8), value("z", batch, width, width, dtype=INT8)]
    return loaded(model(nodes, inputs, ["y"], [weight("w", width, width, dtype=INT8)]))


def chip(capacity: str = "1 MiB") -> HardwareSpec:
    sram = {
        "id": "sram",
        "kind": "scratchpad",
        "capacity": capacity,
        "bandwidth": "1000 TB/s",
        "holds": ["weights", "activations"],
    }
    pcie = {"id": "pcie", "kind": "link", "bandwidth": "1 GB/s", "holds": ["weights"]}
    return hardware(
        engines=[{"id": "array", "kind": "npu", "peak": {"int8": "1 TMAC/s"}}],
        memories=[sram, pcie],
    )


def software(execution: str = "pipeline", **profile: Any) -> RuntimeSpec:
    return runtime(overlap=0.0, execution=execution, kernel_overhead=f"{LAUNCH_S} s", **profile)


def run(network: Model, capacity: str = "1 MiB", execution: str = "pipeline", **profile: Any) -> Estimate:
    return estimate(network, chip(capacity), software(execution, **profile))


def pcie_bytes(est: Estimate) -> float:
    return float(np.sum(est.cost.bytes_by_level["pcie"]))


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_laid_out_an_image_takes_the_sum_of_the_kernels_on_the_whole_chip(batch: int) -> None:
    est = run(chain(batch))
    assert est.cost.overhead_s.tolist() == [0.0, 0.0]
    assert pcie_bytes(est) == 0
    assert est.cost.compute_s.sum() == pytest.approx(batch * 2 * 64 * 64 / 1e12)


def test_one_after_the_other_the_same_kernels_are_launched() -> None:
    assert run(chain(), execution="sequence").cost.overhead_s.tolist() == [LAUNCH_S, LAUNCH_S]


def test_what_does_not_fit_is_set_up_in_every_run_with_all_of_its_weights() -> None:
    """8 KiB of weights, 7 KiB of room: in sequence one more KiB is streamed, in contexts all of them."""
    est, in_sequence = run(chain(), "7 KiB"), run(chain(), "7 KiB", "sequence")
    assert pcie_bytes(est) == 8 * KIB
    assert 0 < pcie_bytes(in_sequence) < 8 * KIB
    assert est.cost.overhead_s.tolist() == [LAUNCH_S, LAUNCH_S]
    assert pcie_bytes(run(chain(), "8 KiB")) == 0  # activations pass through: they take no room


def test_a_product_of_activations_ends_a_context() -> None:
    est = run(products_of_activations())
    assert pcie_bytes(est) == 4 * KIB
    assert est.cost.overhead_s.tolist() == [LAUNCH_S, LAUNCH_S]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["1 KiB", "8 KiB", "1 MiB"]), st.booleans())
def test_a_larger_batch_is_never_slower_per_sample(small: int, more: int, capacity: str, is_chain: bool) -> None:
    network = chain if is_chain else products_of_activations
    few, many = (run(network(batch), capacity).latency_s / batch for batch in (small, small + more))
    assert many <= few * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([chain, products_of_activations]), st.integers(1, 12), st.floats(0.1, 1.0))
def test_never_below_the_bound(network: Any, batch: int, efficiency: float) -> None:
    est = run(network(batch), efficiency={"default": efficiency}, prologue_k=30)
    assert est.latency_s >= est.bound_latency_s * (1 - 1e-9)
    assert est.latency_s >= est.prepared.work.macs.sum() / 1e12


def test_capacities_as_a_column_give_each_machine_bit_by_bit() -> None:
    capacities = [1 * KIB, 8 * KIB - 1, 8 * KIB, 64 * KIB]
    network, how = chain(8), software(inference_overhead="1 us")
    machine, prepared = machine_of(chip()), prepared_for(network, how)

    def holding(capacity: Any) -> Any:
        return replace(machine, memories=(replace(machine.memories[0], capacity_bytes=capacity), *machine.memories[1:]))

    column = totals(prepared, holding(np.array(capacities, np.float64).reshape(-1, 1)), how, verdict=True)
    alone = [totals(prepared, holding(float(c)), how, verdict=True) for c in capacities]
    assert column.latency_s.tolist() == [float(found.latency_s) for found in alone]
    assert len(set(column.latency_s.tolist())) == 2


def test_a_chip_that_keeps_weights_in_one_place_only_launches_nothing() -> None:
    one = hardware(engines=[{"id": "array", "kind": "npu", "peak": {"int8": "1 TMAC/s"}}])
    assert estimate(chain(), one, software()).cost.overhead_s.tolist() == [0.0, 0.0]


def test_an_output_takes_the_prologue_besides_its_own_steps() -> None:
    """k of k + k0 steps are useful, on an engine without a shape: 64 of 96."""
    plain, padded = run(chain()), run(chain(), prologue_k=32)
    assert padded.cost.compute_s.tolist() == pytest.approx((plain.cost.compute_s * 96 / 64).tolist())


def test_a_class_reaches_its_share_of_the_vector_rate() -> None:
    nodes = [node("Add", "x x", "h", name="sum"), node("Sigmoid", "h", "y", name="sigmoid")]
    network = loaded(model(nodes, [value("x", 1, 1000)], ["y"]))
    machine = hardware(engines=[{"id": "array", "kind": "npu", "peak": {"fp32": "1 TMAC/s"}, "vector": {"fp32": "1 GOP/s"}}])
    whole = estimate(network, machine, runtime(vector_efficiency=0.5))
    shared = estimate(network, machine, runtime(vector_efficiency=0.5, vector_share={"pointwise": 0.25}))
    assert whole.cost.compute_s[0] == pytest.approx(1000 / 0.5e9)
    assert shared.cost.compute_s.tolist() == pytest.approx((whole.cost.compute_s * 4).tolist())
