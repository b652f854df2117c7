"""Laws of engines that work by blocks (Ethos-U) within an estimate."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from support.graphs import INT8, loaded, model, node, value, weight
from support.strategies import block_machines, networks, runtimes

from simulator.api import estimate as catalogue_estimate
from simulator.api import load_hardware, load_model
from simulator.cost import blocks
from simulator.cost.limits import limits_of
from simulator.cost.table import cost_table
from simulator.estimator import estimate, totals
from simulator.feature_maps import Form
from simulator.io.hardware_reader import load_runtime
from simulator.machine.geometry import BlockNpu
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepare
from simulator.schedule.overlap import POLICIES
from simulator.schedule.placement import place
from simulator.transform.change import change_of

ROUNDING = 1 + 1e-12
MACHINES = ["ethos_u55_32", "ethos_u55_64", "ethos_u55_128", "ethos_u55_256", "ethos_u65_256", "ethos_u65_512", "corstone_300"]
CHAIN = ("full", "prefetch", "layer", "runtime", "none")
few = settings(max_examples=60, deadline=None)


def clocked(machine: dict[str, Any], sustained: float) -> HardwareSpec:
    """The machine with a share of its clock sustained, which leaves its memories as they are."""
    engine = machine["engines"][0] | {"clock": "1 GHz", "sustained_clock": f"{sustained!r} GHz"}
    return HardwareSpec.model_validate(machine | {"engines": [engine]})


@few
@given(networks(), block_machines(), runtimes(), st.sampled_from(sorted(POLICIES)), st.floats(0.1, 1), st.floats(0.1, 1))
def test_more_clock_is_never_slower(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, policy: str, one: float, other: float
) -> None:
    slow, fast = (estimate(network, clocked(machine, x), software, overlap=policy).latency_s for x in sorted((one, other)))
    assert fast <= slow * ROUNDING


@few
@given(networks(), block_machines(), runtimes(), st.sampled_from([None, "int8"]))
def test_between_the_bound_and_no_overlap(
    network: Model, machine: dict[str, Any], software: RuntimeSpec, precision: str | None
) -> None:
    spec = HardwareSpec.model_validate(machine)
    found = [estimate(network, spec, software, overlap=policy, precision=precision) for policy in CHAIN]
    assert found[0].bound_latency_s <= found[0].latency_s * ROUNDING
    assert all(less.latency_s <= more.latency_s * ROUNDING for less, more in pairwise(found))


@few
@given(networks(), block_machines(), runtimes())
def test_blocks_move_at_least_every_tensor_once(network: Model, machine: dict[str, Any], software: RuntimeSpec) -> None:
    spec = HardwareSpec.model_validate(machine)
    by_blocks = estimate(network, spec, software).cost.bytes_by_level
    plain = estimate(network, spec, software.model_copy(update={"geometry": False})).cost.bytes_by_level
    assert all((by_blocks[level] * ROUNDING >= plain[level]).all() for level in plain)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("network", ["resnet8", "mobilenet_v2", "mobilenet_v3_small"])
def test_every_kernel_takes_time(network: str, machine: str) -> None:
    est = catalogue_estimate(load_model(network), machine, precision="int8")
    assert (est.kernel_s > 0).all()
    assert est.bound_latency_s <= est.latency_s
    assert (est.cost.compute_s[est.work.ops > 0] > 0).all()


def softmax() -> Model:
    nodes = [node("Gemm", "x w", "h"), node("Softmax", "h", "y")]
    return loaded(model(nodes, [value("x", 1, 64)], ["y"], [weight("w", 64, 1000)]))


def test_what_has_no_block_form_goes_by_rates() -> None:
    """Softmax: special functions and other arithmetic at 0.083 of the engine's rates."""
    est = catalogue_estimate(softmax(), "ethos_u55_128", precision="int8")
    (row,) = [i for i, form in enumerate(est.work.maps.forms) if form is Form.NONE]
    cycles = est.work.vector_ops[row] / 16 + est.work.special_ops[row]
    assert est.cost.compute_s[row] == pytest.approx(cycles / 0.083 / 500e6)


def test_images_run_one_after_the_other() -> None:
    one, four = (catalogue_estimate(load_model("ds_cnn", batch=b), "ethos_u55_128", precision="int8") for b in (1, 4))
    assert one.cost.compute_s[:-1] * 4 == pytest.approx(four.cost.compute_s[:-1])  # the classifier is a vector of four columns
    assert one.cost.compute_s[-1] < four.cost.compute_s[-1]


def test_sixteen_bits_take_two_cycles_for_one() -> None:
    spec = load_hardware("ethos_u55_128")
    shape = machine_of(spec).engines[0]
    assert blocks._cycles_per_s(shape, "int8") == 2 * blocks._cycles_per_s(shape, "int16") == 500e6


# ---- encoded weights --------------------------------------------------------------------------------------------------


def quantized(values: np.ndarray | None) -> Model:
    """An image through a 3 × 3 convolution of int8 weights (64, 32, 3, 3), whose values may be nowhere."""
    weights = weight("w", 64, 32, 3, 3, dtype=INT8) if values is None else numpy_helper.from_array(values.astype(np.int8), "w")
    inputs = [value("x", 1, 32, 16, 16, dtype=INT8)]
    return loaded(model([node("ConvInteger", "x w", "y", pads=[1, 1, 1, 1])], inputs, ["y"], [weights]))


def weights_bytes(network: Model, machine: str = "ethos_u55_128") -> float:
    est = catalogue_estimate(network, machine)
    return float(est.cost.bytes_by_level[est.hardware.memories[-1].id].sum())


SPREAD = (np.arange(64 * 32 * 9).reshape(64, 32, 3, 3) * 7919 % 255) - 127


def test_weights_are_read_encoded() -> None:
    """2,304 B of weights for 8 channels; 10 B a channel of bias and scale, headers and alignment."""
    unknown = weights_bytes(quantized(None))
    assert unknown == 64 * 32 * 9 + 64 * 10 + 16
    assert weights_bytes(quantized(SPREAD)) == pytest.approx(unknown, rel=0.01)


@pytest.mark.parametrize("form", ["QDQ", "QLinear"])
def test_values_are_found_behind_scales(form: str) -> None:
    """Whichever way a file is quantized, and with a scale for each channel."""
    tensors = [
        numpy_helper.from_array(SPREAD.astype(np.int8), "w"), numpy_helper.from_array(np.float32(0.1), "s"),
        numpy_helper.from_array(np.int8(0), "z"), numpy_helper.from_array(np.full(64, 0.1, np.float32), "ws"),
        numpy_helper.from_array(np.zeros(64, np.int8), "wz"),
    ]  # fmt: skip
    if form == "QDQ":
        nodes = [
            node("DequantizeLinear", "x s z", "xf"), node("DequantizeLinear", "w ws wz", "wf", axis=0),
            node("Conv", "xf wf", "yf"), node("QuantizeLinear", "yf s z", "y"),
        ]  # fmt: skip
    else:
        nodes = [node("QLinearConv", "x s z w ws wz s z", "y")]
    network = loaded(model(nodes, [value("x", 1, 32, 16, 16, dtype=INT8)], ["y"], tensors))
    est = catalogue_estimate(network, "ethos_u55_128")
    (filters,) = (f for f in est.work.maps.filters if f is not None)
    assert filters.counts is not None
    assert filters.counts.tolist() == np.bincount(SPREAD.ravel() + 128, minlength=256).tolist()
    assert filters.size_bytes == est.work.weight_bytes.max() - filters.others_bytes


def test_zeros_are_hardly_read() -> None:
    some = np.where(np.arange(64 * 32 * 9).reshape(SPREAD.shape) % 16 == 0, SPREAD, 0)
    none = weights_bytes(quantized(np.zeros(SPREAD.shape)))
    assert none < weights_bytes(quantized(some)) < weights_bytes(quantized(SPREAD)) / 4
    assert none == 64 * 10 + 16


def test_pruned_weights_are_encoded_with_their_smallest_values_zero() -> None:
    sparse = {z: weights_bytes(Model(change_of("sparsity").apply(quantized(SPREAD).graph, z))) for z in ("0.5", "0.9")}
    assert sparse["0.9"] < sparse["0.5"] < weights_bytes(quantized(SPREAD))
    by_hand = SPREAD.copy()
    by_hand.reshape(-1)[np.argsort(np.abs(SPREAD), axis=None, kind="stable")[: SPREAD.size * 9 // 10]] = 0
    assert sparse["0.9"] == pytest.approx(weights_bytes(quantized(by_hand)), rel=0.02)


def test_other_machines_read_them_plain() -> None:
    assert weights_bytes(quantized(np.zeros(SPREAD.shape)), "stm32h743") >= SPREAD.size


@pytest.mark.parametrize("values", [None, SPREAD, np.zeros(SPREAD.shape)], ids=["unknown", "spread", "zeros"])
@pytest.mark.parametrize("machine", MACHINES)
def test_encoded_weights_are_above_their_bound(values: np.ndarray | None, machine: str) -> None:
    est = catalogue_estimate(quantized(values), machine, overlap="full")
    assert est.bound_latency_s <= est.latency_s


def test_it_is_said_what_is_not_known() -> None:
    unknown, known = (catalogue_estimate(quantized(v), "ethos_u55_128") for v in (None, SPREAD))
    said = "the values of the weights of 1 kernel are not known: taken as incompressible when encoded"
    assert said in unknown.warnings
    assert not any("incompressible" in warning for warning in known.warnings)


def test_dilation_is_that_of_the_hardware() -> None:
    """4 is 2 of a kernel of 5 × 5, which the array goes through tap by tap."""
    found = []
    for kernel, dilation in ((3, 4), (5, 2)):
        weights, pads = weight("w", 32, 32, kernel, kernel), [4] * 4
        convolution = node("Conv", "x w", "y", dilations=[dilation] * 2, pads=pads)
        network = loaded(model([convolution], [value("x", 1, 32, 40, 40)], ["y"], [weights]))
        found.append(catalogue_estimate(network, "ethos_u55_128", precision="int8").cost.compute_s)
    assert found[0].tolist() == found[1].tolist()


def test_blocks_are_chosen_once_for_a_sweep() -> None:
    """They depend on shapes and geometry, not on bandwidths."""
    machine, software = machine_of(load_hardware("ethos_u55_128")), load_runtime("ethosu")
    work = prepare(load_model("resnet8"), "int8", software.fusion).work
    limits = limits_of(software, machine)
    blocks._plan.cache_clear()
    for factor in np.linspace(1, 2, 5):
        near, far = machine.memories
        faster = replace(near, read_bytes_per_s=near.read_bytes_per_s * factor)
        swept = replace(machine, memories=(faster, far))
        cost_table(work, swept, limits, place(work, swept, limits.profiles))
    assert blocks._plan.cache_info().misses == 1


def test_blocks_are_chosen_once_for_each_geometry_of_a_sweep() -> None:
    machine, software = machine_of(load_hardware("ethos_u55_128")), load_runtime("ethosu")
    prepared, (engine,) = prepare(load_model("resnet8"), "int8", software.fusion), machine.engines
    assert isinstance(engine.shape, BlockNpu)
    banks = np.array([14.0, 20.0, 44.0, 20.0, 14.0, 14.0])[:, np.newaxis]
    blocks._plan.cache_clear()
    swept = replace(machine, engines=(replace(engine, shape=replace(engine.shape, banks=banks)),))
    latency_s = totals(prepared, swept, software).latency_s
    assert blocks._plan.cache_info().misses == 3
    assert latency_s[0] == latency_s[4] == latency_s[5] != latency_s[1] == latency_s[3]
