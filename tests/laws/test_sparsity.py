"""Laws of pruned weights and of precisions mixed by name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import hardware_dicts, machines, networks, pruned_networks, runtime_dicts, runtimes

import simulator as sim
from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepare
from simulator.schedule.overlap import POLICIES
from simulator.transform.change import change_of
from simulator.transform.precision import PRECISIONS

prunable = networks(prunable=True)
few = settings(max_examples=60, deadline=None)
plain = st.sampled_from(sorted(set(PRECISIONS) - {"amp_fp16", "amp_bf16"}))
shares = st.floats(0.0, 0.99).map(lambda x: round(x, 3))


def pruned(network: Model, text: str) -> Model:
    """The network with pruned weights."""
    return Model(change_of("sparsity").apply(network.graph, text))


def without_blocks(machine: dict[str, Any]) -> HardwareSpec:
    """Engines that read weights encoded take no notice of how they are stored."""
    for engine in machine["engines"]:
        if engine.get("geometry", {}).get("kind") == "block":
            del engine["geometry"]
    return HardwareSpec.model_validate(machine)


@few
@given(prunable, hardware_dicts(), runtimes(), st.tuples(shares, shares), st.sampled_from(["", ":block=8"]))
def test_sparser_is_never_more_bytes_and_never_slower(
    network: Model, data: dict[str, Any], software: RuntimeSpec, zeros: tuple[float, float], block: str
) -> None:
    machine = without_blocks(data)
    sparse, dense = (estimate(pruned(network, f"{z}{block}"), machine, software) for z in sorted(zeros, reverse=True))
    assert np.all(sparse.work.weight_bytes <= dense.work.weight_bytes)
    assert sparse.work.footprint.weight_bytes <= dense.work.footprint.weight_bytes
    assert sparse.latency_s <= dense.latency_s * (1 + 1e-9)
    assert sparse.bound_latency_s <= dense.bound_latency_s * (1 + 1e-9)
    assert sparse.work.macs.tolist() == dense.work.macs.tolist()


@few
@given(prunable, hardware_dicts(), runtime_dicts())
def test_two_of_four_is_never_slower_than_dense(network: Model, data: dict[str, Any], software: dict[str, Any]) -> None:
    machine = without_blocks(data)
    sparse = pruned(network, "2:4")
    used, unused = (RuntimeSpec.model_validate(software | {"sparsity": s}) for s in (["2:4"], []))
    dense = estimate(network, machine, used)
    assert estimate(sparse, machine, unused).cost.compute_s.tolist() == dense.cost.compute_s.tolist()
    found = estimate(sparse, machine, used)
    assert np.all(found.cost.compute_s <= dense.cost.compute_s)
    assert found.latency_s <= dense.latency_s * (1 + 1e-9)
    bare = machine.model_copy(update={"engines": tuple(e.model_copy(update={"sparsity": {}}) for e in machine.engines)})
    assert estimate(sparse, bare, used).cost.compute_s.tolist() == dense.cost.compute_s.tolist()


@few
@given(pruned_networks(), machines(), runtimes(), st.sampled_from(sorted(POLICIES)))
def test_the_bound_holds(network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str) -> None:
    est = estimate(network, machine, software, overlap=policy)
    assert est.bound_latency_s <= est.latency_s * (1 + 1e-9)


@few
@given(prunable, machines(), runtimes())
def test_no_zeros_is_the_network(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    same, dense = estimate(pruned(network, "0"), machine, software), estimate(network, machine, software)
    assert (same.latency_s, same.bound_latency_s, same.energy_j) == (dense.latency_s, dense.bound_latency_s, dense.energy_j)


@few
@given(networks(), plain, plain)
def test_a_pattern_for_all_is_the_plain_precision(network: Model, base: str, name: str) -> None:
    """Whatever stands before it; what nothing reads or writes does not count."""
    mixed, alone = (prepare(network, text, ()).work for text in (f"{base},{name}@*", name))
    assert mixed.rates == alone.rates
    for column in ("macs", "vector_ops", "special_ops", "weight_bytes", "input_bytes", "output_bytes", "element_bytes"):
        assert getattr(mixed, column).tolist() == getattr(alone, column).tolist(), column
    assert mixed.footprint.weight_bytes == alone.footprint.weight_bytes


@few
@given(networks(), st.sampled_from(["w8a16", "w4a16"]), st.integers(1, 64))
def test_groups_only_add_bytes(network: Model, name: str, size: int) -> None:
    found = [prepare(network, text, ()).work.weight_bytes for text in (name, f"{name}:group={2 * size}", f"{name}:group={size}")]
    assert np.all(found[0] <= found[1])
    assert np.all(found[1] <= found[2])


def test_twice_the_rate_is_less_of_the_whole() -> None:
    """Launches and bytes stay: nothing is gained where these bound every kernel, less than twice where the arithmetic does."""
    gains = {}
    for batch in (1, 64):
        dense = sim.load_model("resnet50", batch=batch)
        sparse = pruned(dense, "2:4")
        found = [sim.estimate(m, "a100_sxm_80", precision="int8", runtime="tensorrt").latency_s for m in (dense, sparse)]
        gains[batch] = found[0] / found[1]
    assert 1.0 <= gains[1] < gains[64] < 2.0


@pytest.mark.parametrize("runtime", ["pytorch_compile", "pytorch_eager", "vllm"])
def test_runtimes_without_sparse_kernels_gain_nothing_in_arithmetic(runtime: str) -> None:
    dense = sim.load_model("resnet50", batch=64)
    found = [sim.estimate(m, "h100_sxm", precision="fp16", runtime=runtime) for m in (dense, pruned(dense, "2:4"))]
    assert found[0].cost.compute_s.tolist() == found[1].cost.compute_s.tolist()
    assert found[1].bound_latency_s < found[0].bound_latency_s


def test_turing_gains_nothing() -> None:
    dense = sim.load_model("resnet50")
    found = [sim.estimate(m, "t4", precision="int8", runtime="tensorrt") for m in (dense, pruned(dense, "2:4"))]
    assert found[0].cost.compute_s.tolist() == found[1].cost.compute_s.tolist()
