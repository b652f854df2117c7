"""An explanation follows from its own numbers, and they are the estimate's: over networks × machines × runtimes."""

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.strategies import hardware_dicts, machines, networks, pruned_networks, runtime_dicts, runtimes

from simulator.api import estimate as catalogue_estimate
from simulator.api import load_model
from simulator.estimator import estimate
from simulator.explanation.layer import explain_layer
from simulator.explanation.reasons import Case, reasons_of
from simulator.explanation.run import explain_run
from simulator.explanation.terms import LayerExplanation
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.schedule.overlap import POLICIES

policies = st.sampled_from(sorted(POLICIES))
few = settings(max_examples=60, deadline=None)


def one_of(est: Estimate, data: st.DataObject) -> int:
    """A kernel whose name no other has."""
    names = [k.name for k in est.prepared.kernels]
    alone = [i for i, name in enumerate(names) if names.count(name) == 1]
    assume(alone)
    return data.draw(st.sampled_from(alone))


def values(found: LayerExplanation) -> dict[str, float]:
    return {term.key: term.value for term in found.terms}


def checked(est: Estimate, index: int) -> None:
    """Every formula comes to its value, and each value is that of the estimate."""
    found = explain_layer(est, est.prepared.kernels[index].name)
    assert [t for t in found.terms if not t.follows] == []
    terms, cost, work = values(found), est.cost, est.work
    assert len(terms) == len(found.terms)
    expected = {
        "compute_s": cost.compute_s[index], "memory_s": cost.memory_s[index], "overhead_s": cost.overhead_s[index],
        "transfer_s": cost.transfer_s[index],
        **{f"bytes.{level}": moved[index] for level, moved in cost.bytes_by_level.items()},
        **{f"memory_s.{level}": seconds[index] for level, seconds in cost.s_by_level.items()},
        **({} if est.kernel_j is None else {"energy_j": est.kernel_j[index]}),
    }  # fmt: skip
    for key, value in expected.items():
        assert terms.get(key, 0.0) == pytest.approx(value, rel=1e-12), key
    last = terms.get("kernel_s", terms["own_s"])
    assert last == pytest.approx(est.kernel_s[index], rel=1e-12)
    for name, column in (("macs", work.macs), ("vector_ops", work.vector_ops), ("special_ops", work.special_ops)):
        assert sum(getattr(o, name) for o in found.operators) == column[index]
    for level, moved in cost.bytes_by_level.items():
        crossing = math.fsum(o.crossing_bytes.get(level, 0.0) for o in found.operands)
        again = terms.get(f"bytes.{level}.again", 0.0)
        assert crossing + again == pytest.approx(moved[index], rel=1e-9, abs=1e-9)


@few
@given(networks(), machines(), runtimes(), policies, st.data())
def test_the_terms_are_the_estimates(
    network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str, data: st.DataObject
) -> None:
    est = estimate(network, machine, software, overlap=policy)
    checked(est, one_of(est, data))


@few
@given(pruned_networks(), machines(), runtimes(), st.data())
def test_of_pruned_weights(network: Model, machine: HardwareSpec, software: RuntimeSpec, data: st.DataObject) -> None:
    est = estimate(network, machine, software)
    checked(est, one_of(est, data))
    reasons, together_s = reasons_of(est)
    assert est.bound_latency_s * (1 - 1e-9) <= together_s <= min([est.latency_s, *(r.latency_s for r in reasons)]) * (1 + 1e-9)


@few
@given(networks(), machines(energy=True), runtimes(), st.data())
def test_with_energies(network: Model, machine: HardwareSpec, software: RuntimeSpec, data: st.DataObject) -> None:
    est = estimate(network, machine, software)
    checked(est, one_of(est, data))


counts = st.integers(1, 40)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    """Any shape of an engine."""
    kind = draw(st.sampled_from(["systolic", "parallel", "core", "tiles"]))
    if kind == "systolic":
        flow = draw(st.sampled_from(["weight", "output", "input"]))
        return {"kind": kind, "rows": draw(st.integers(2, 40)), "columns": draw(st.integers(2, 40)), "dataflow": flow,
                "hidden_fill": draw(st.booleans())}  # fmt: skip
    if kind == "parallel":
        return {"kind": kind, "pixels": draw(counts), "inputs": draw(counts), "outputs": draw(counts)}
    if kind == "core":
        lanes = {"lanes": {"fp32": draw(counts)}, "dot": {"fp32": draw(st.integers(1, 8))}}
        return {"kind": kind, "issue": draw(st.integers(1, 4)), "width": f"{draw(st.sampled_from([4, 16]))} B", **lanes}
    return {"kind": kind}


@st.composite
def shaped(draw: st.DrawFn) -> tuple[HardwareSpec, RuntimeSpec]:
    """A machine whose engines must be filled, and a runtime that pads, unrolls and issues."""
    machine, software = draw(hardware_dicts()), draw(runtime_dicts())
    for engine in machine["engines"]:
        engine |= {"geometry": draw(geometries()), "units": draw(st.integers(1, 5)), "clock": "3 GHz", "even_split": 0.6}
    profile = software["profiles"]["default"]
    profile |= {
        "instructions": {"default": draw(st.floats(0, 9)), "conv": 2},
        "output_instructions": {"gemm": draw(st.floats(0, 99))},
        "column_instructions": {"conv": draw(st.floats(0, 9))},
    }
    if draw(st.booleans()):
        profile["weight_places"] = draw(counts)
    if draw(st.booleans()):
        profile |= {
            "prologue_k": draw(counts),
            "input_multiple": draw(counts),
            "misaligned": 0.5,
            "on_vector": ["depthwise_conv"],
        }
    profile |= {"misaligned": 0.5, "odd_groups": 0.4, "static_split": True, "streaming": {"default": 0.9, "conv": 0.7}}
    profile["kernel_overhead"] = draw(st.sampled_from(["900 cycles", "2 us"]))
    profile["fork_overhead"] = draw(st.sampled_from(["0 s", "70 cycles", "3 us"]))
    if draw(st.booleans()):
        profile |= {"parallel_elements": draw(counts), "weight_copies": 2, "page_fault": "1 us"}
    if draw(st.booleans()):
        profile |= {"loop_overhead": "500 ns", "weight_reorders": 2, "reorder_above": draw(counts)}
    return HardwareSpec.model_validate(machine), RuntimeSpec.model_validate(software)


@settings(max_examples=150, deadline=None)
@given(networks(), shaped(), st.data())
def test_on_engines_of_every_shape(network: Model, both: tuple[HardwareSpec, RuntimeSpec], data: st.DataObject) -> None:
    est = estimate(network, *both)
    checked(est, one_of(est, data))


@pytest.mark.parametrize("software", ["x_cube_ai_8", "plumerai_2023", "hale", "tflm_cmsis_nn"])
@pytest.mark.parametrize("network", ["ds_cnn", "mobilenet_v1_025_vww", "autoencoder"])
def test_on_cores_with_columns_narrow_images_and_weights_read_again(network: str, software: str) -> None:
    est = catalogue_estimate(load_model(network), "stm32h7a3", precision="int8", runtime=software)
    names = [k.name for k in est.prepared.kernels]
    for index in (i for i, name in enumerate(names) if names.count(name) == 1):
        checked(est, index)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_on_cores_with_vector_registers(precision: str) -> None:
    est = catalogue_estimate(load_model("ds_cnn"), "ra8d1", precision=precision, runtime="tflm_cmsis_nn")
    names = [k.name for k in est.prepared.kernels]
    for index in (i for i, name in enumerate(names) if names.count(name) == 1):
        checked(est, index)


@pytest.mark.parametrize("machine", ["ethos_u55_128", "ethos_u65_512"])
@pytest.mark.parametrize("network", ["mobilenet_v1_025_vww", "mobilenet_v3_small"])
def test_on_engines_that_work_by_blocks(network: str, machine: str) -> None:
    """Inputs and outputs of the network in DRAM (U65), weights encoded, and kernels without a block form."""
    est = catalogue_estimate(load_model(network), machine, precision="int8")
    for index in range(len(est.work)):
        checked(est, index)


@few
@given(networks(), shaped(), policies)
def test_every_reason_is_an_estimate_between_bound_and_latency(
    network: Model, both: tuple[HardwareSpec, RuntimeSpec], policy: str
) -> None:
    est = estimate(network, *both, overlap=policy)
    assert Case.of(est).latency_s() == est.latency_s
    reasons, together_s = reasons_of(est)
    assert [r.saved_s for r in reasons] == sorted((r.saved_s for r in reasons), reverse=True)
    for reason in reasons:
        assert reason.saved_s > 0
        assert reason.latency_s == pytest.approx(est.latency_s - reason.saved_s)
        assert reason.latency_s >= est.bound_latency_s * (1 - 1e-9)
    assert est.bound_latency_s * (1 - 1e-9) <= together_s <= min([est.latency_s, *(r.latency_s for r in reasons)]) * (1 + 1e-9)


@few
@given(networks(), machines(), runtimes())
def test_the_run_follows_from_its_terms(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    est = estimate(network, machine, software)
    found = explain_run(est)
    assert [t for t in found.terms if not t.follows] == []
    terms = {t.key: t.value for t in found.terms}
    assert (terms["latency_s"], terms["bound_s"]) == (est.latency_s, est.bound_latency_s)
    assert found.gap_s == est.latency_s - est.bound_latency_s
