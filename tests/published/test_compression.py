"""Published and cited sizes of pruned and grouped weights."""

from fractions import Fraction

import pytest
from support.graphs import loaded, model, node, value, weight

import simulator as sim
from simulator.graph.packing import Packing, Zeros, relative_bits
from simulator.io.hardware_reader import hardware_ids, load_spec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.transform.change import change_of
from simulator.transform.precision import with_precision

WEIGHTS = 2**20


@pytest.mark.parametrize(("bits", "share"), [(16, 0.5625), (8, 0.625)])
def test_two_of_four(bits: int, share: float) -> None:
    """Half the values with two bits each (NVIDIA A100 white paper, sparse matrix format): (0.5 · b + 0.5 · 2) / b."""
    dense = WEIGHTS * bits // 8
    assert Packing(Zeros.TWO_OF_FOUR, Fraction(1, 2)).size_bytes(WEIGHTS, bits) == share * dense


@pytest.mark.parametrize(
    ("density", "index_bits", "share"), [("0.1", 4, 0.15), ("0.2", 4, 0.30), ("0.5", 4, 0.75), ("0.1", 16, 0.30)]
)
def test_values_with_relative_indices(density: str, index_bits: int, share: float) -> None:
    """density · (value + index) / value for int8 (EIE, 4 bits of index)."""
    assert relative_bits(10**6, 8, Fraction(density), index_bits) == pytest.approx(share * 8 * 10**6, rel=1e-12)


@pytest.mark.parametrize(("bits", "group", "expected"), [(4, 128, 4.125), (4, 32, 4.5), (8, 128, 8.125), (3, 128, 3.125)])
def test_bits_of_a_weight_in_groups(bits: int, group: int, expected: float) -> None:
    """b + 16/g with one fp16 scale a group (GPTQ and AWQ: 128; llama.cpp Q4_0: 32)."""
    packing = Packing(group=group, group_bits=16, row=4096)
    assert packing.size_bytes(4096 * 4096, bits) * 8 / 4096**2 == expected


@pytest.mark.parametrize(
    ("text", "bits"),
    [("w4a16:group=128", 4.125), ("w4a16:group=32", 4.5), ("w8a16:group=128", 8.125), ("w4a16:group=128:zero", 4.15625)],
)
def test_a_linear_layer_in_groups(text: str, bits: float) -> None:
    graph = loaded(model([node("MatMul", "x w", "y")], [value("x", 1, 512)], ["y"], [weight("w", 512, 256)])).graph
    assert with_precision(graph, text).tensors["w"].size_bytes * 8 == bits * 512 * 256


def nvidia() -> list[HardwareSpec]:
    specs = [load_spec(machine) for machine in hardware_ids()]
    return [spec for spec in specs if spec.vendor == "NVIDIA"]


def test_sparse_tensor_cores_double_the_peak_since_ampere() -> None:
    """2:4 math at twice the dense rate on Ampere and later, in all types but those of the CUDA cores; none on Turing."""
    found = {spec.id: {e.id: e.sparsity for e in spec.engines} for spec in nvidia()}
    assert found.pop("t4") == {"tensor": {}}
    assert found
    for machine, engines in found.items():
        for name, sparsity in engines.items():
            assert set(sparsity) == {"2:4"}, machine
            assert {f.value for f in sparsity["2:4"].values()} == {2.0}
            peaks = {rate for rate in load_spec(machine).engine(name).peak if rate not in ("fp32", "fp64")}
            assert set(sparsity["2:4"]) == peaks, machine


def test_others_have_no_sparse_rate() -> None:
    assert [m for m in hardware_ids() if load_spec(m).vendor != "NVIDIA" and any(e.sparsity for e in load_spec(m).engines)] == []


def test_resnet_50_on_the_dla_gains_what_sparse_networks_gain_there() -> None:
    """1.24 to 1.47 times as fast end to end (NVIDIA, Deep-Learning-Accelerator-SW, README.md, sparse networks on Orin's DLA)."""
    dense = sim.load_model("resnet50")
    sparse = Model(change_of("sparsity").apply(dense.graph, "2:4"))
    found = [sim.estimate(m, "jetson_agx_orin64", precision="int8", runtime="tensorrt_dla").latency_s for m in (dense, sparse)]
    assert 1.24 <= found[0] / found[1] <= 1.47
