"""Laws of traffic: less outside for more inside, never below what must cross, nothing lost on the way."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime
from support.strategies import machines, networks, runtimes

from simulator.cost.tiling import conv_bound_words, gemm_bound_words
from simulator.cost.traffic import flows, path, reread_bytes
from simulator.estimator import estimate
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepare
from simulator.reuse import GATHERED

few = settings(max_examples=60, deadline=None)


@few
@given(networks(), machines(), runtimes())
def test_less_crosses_further_out(network: Model, spec: HardwareSpec, software: RuntimeSpec) -> None:
    work = prepare(network, None, software.fusion).work
    for flow in flows(work, machine_of(spec), software.profiles["default"].resident_share):
        for inner, outer in pairwise(flow.crossing):
            assert (outer <= inner * (1 + 1e-12) + 1e-9).all()
        assert all((bytes_ >= 0).all() for bytes_ in flow.crossing)


@few
@given(networks(), machines(), runtimes())
def test_all_of_it_crosses_the_innermost_level(network: Model, spec: HardwareSpec, software: RuntimeSpec) -> None:
    work = prepare(network, None, software.fusion).work
    weights, inputs, outputs, *_ = flows(work, machine_of(spec), 1.0, apart=True)
    for flow, bytes_ in ((weights, work.weight_bytes), (inputs, work.input_bytes), (outputs, work.output_bytes)):
        assert np.allclose(flow.crossing[0], bytes_, rtol=1e-12, atol=0)


def cached(capacity: str, **sections: Any) -> HardwareSpec:
    return hardware(
        memories=[
            {"id": "cache", "kind": sections.pop("kind", "cache"), "capacity": capacity, "bandwidth": "1 TB/s"},
            {"id": "dram", "kind": "dram", "bandwidth": "100 GB/s"},
        ],
        **sections,
    )


@few
@given(networks(), runtimes(), st.lists(st.floats(1, 1e9), min_size=2, max_size=8), st.sampled_from(["cache", "scratchpad"]))
def test_traffic_falls_with_capacity(network: Model, software: RuntimeSpec, sizes: list[float], kind: str) -> None:
    moved = [
        estimate(network, cached(f"{size!r} B", kind=kind), software).cost.bytes_by_level["dram"].sum() for size in sorted(sizes)
    ]
    assert all(more <= less * (1 + 1e-12) for less, more in pairwise(moved))


@few
@given(networks())
def test_what_fits_never_leaves(network: Model) -> None:
    """The floor: with room for everything, only rows gathered by data come from outside."""
    est = estimate(network, cached("1 EB"), runtime())
    weights = est.work.operands.weights
    gathered = weights.bytes[weights.distance_bytes == GATHERED].sum()
    assert est.cost.bytes_by_level["dram"].sum() == pytest.approx(gathered, abs=1e-6)


def product(m: int, n: int, k: int) -> Model:
    return loaded(model([node("MatMul", "x w", "y")], [value("x", m, k)], ["y"], [weight("w", k, n)]))


@few
@given(*(st.integers(1, 600) for _ in range(3)), st.floats(64, 1e6))
def test_never_below_the_bound_of_a_product(m: int, n: int, k: int, capacity: float) -> None:
    work = prepare(product(m, n, k), None, ()).work
    moved = work.total_bytes + reread_bytes(work, capacity)
    assert (moved * (1 + 1e-9) >= 4 * gemm_bound_words(m, n, k, capacity / 4)).all()


def test_a_large_product_reads_again() -> None:
    """Known by hand: 1024³ in fp32 through 12 KiB: an output tile of 54 × 54 or so, some 40 million words."""
    work = prepare(product(1024, 1024, 1024), None, ()).work
    moved = float((work.total_bytes + reread_bytes(work, 12288.0)).sum()) / 4
    assert 2 * 1024**3 / 3072**0.5 < moved < 1.1 * 2 * 1024**3 / 3072**0.5 + 3 * 1024**2


def test_a_convolution_reads_again_but_its_windows_only_once() -> None:
    nodes = [node("Conv", "x w", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])]
    network = loaded(model(nodes, [value("x", 1, 512, 56, 56)], ["y"], [weight("w", 512, 512, 3, 3)]))
    work = prepare(network, None, ()).work
    moved = float((work.total_bytes + reread_bytes(work, 64 * 1024.0)).sum()) / 4
    macs, outputs = float(work.macs.sum()), 512 * 56 * 56
    assert conv_bound_words(macs, outputs, 9.0, 16384.0) <= moved < 0.5 * (2 * macs / 16384**0.5)  # less than as a product


def test_weights_in_flash_do_not_cross_the_sram_of_activations() -> None:
    spec = hardware(
        memories=[
            {"id": "sram", "kind": "scratchpad", "capacity": "1 MiB", "bandwidth": "1 GB/s", "holds": ["activations"]},
            {"id": "flash", "kind": "flash", "bandwidth": "2 GB/s", "holds": ["weights"]},
        ]
    )
    machine = machine_of(spec)
    assert [m.id for m in path(machine, weights=True)] == ["flash"]
    assert [m.id for m in path(machine, weights=False)] == ["sram"]
    est = estimate(product(8, 16, 32), spec, runtime())
    assert {k: float(v.sum()) for k, v in est.cost.bytes_by_level.items()} == {"flash": 4 * 512, "sram": 4 * (256 + 128)}


def test_a_cache_slower_than_what_lies_behind_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'cache' is slower \(read\) than 'dram' behind it"):
        hardware(
            memories=[
                {"id": "cache", "kind": "cache", "capacity": "1 MiB", "bandwidth": "1 GB/s"},
                {"id": "dram", "kind": "dram", "bandwidth": "2 GB/s"},
            ]
        )
