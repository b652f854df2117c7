"""Inputs and outputs of a network that stay in a memory further out (`holds: [boundary]`)."""

from typing import Any

import numpy as np
import pytest
from support.graphs import loaded, model, node, value
from support.machines import hardware, runtime

from simulator.estimator import estimate, totals
from simulator.machine.params import machine_of
from simulator.machine.spec import HardwareSpec, Memory
from simulator.preparation import prepare
from simulator.result.estimate import Estimate

BYTES = 4 * 1000  # of every tensor


def chain() -> Any:
    """An input through three functions; only the middle one has neither."""
    nodes = [node("Relu", "x", "a"), node("Sigmoid", "a", "b"), node("Relu", "b", "y")]
    return loaded(model(nodes, [value("x", 1, 1000)], ["y"]))


def machine(*outer: str, capacity: str = "1 MB") -> HardwareSpec:
    return hardware(memories=[
        {"id": "sram", "kind": "scratchpad", "capacity": capacity, "bandwidth": "2 GB/s", "holds": ["activations"]},
        {"id": "dram", "kind": "dram", "bandwidth": "1 GB/s", "holds": ["weights", "activations", *outer]},
    ])  # fmt: skip


def found(spec: HardwareSpec) -> Estimate:
    return estimate(chain(), spec, runtime())


def test_they_cross_every_level_up_to_their_memory() -> None:
    moved = found(machine("boundary")).cost.moved
    assert [side.tolist() for side in moved["dram"]] == [[BYTES, 0, 0], [0, 0, BYTES]]
    assert [side.tolist() for side in moved["sram"]] == [[BYTES] * 3, [BYTES] * 3]


def test_without_a_memory_of_their_own_they_are_like_others() -> None:
    moved = found(machine()).cost.moved
    assert not np.any(moved["dram"])


@pytest.mark.parametrize("capacity", ["2 kB", "6 kB"])
def test_what_does_not_fit_is_out_there_anyhow(capacity: str) -> None:
    """Two tensors alive at once, of which `capacity` holds a share: the rest of what others have is in DRAM too."""
    inside = min(float(capacity.split()[0]) * 1000 / (2 * BYTES), 1.0)
    read, written = found(machine("boundary", capacity=capacity)).cost.moved["dram"]
    assert read == pytest.approx([BYTES, BYTES * (1 - inside), BYTES * (1 - inside)])
    assert written == pytest.approx([BYTES * (1 - inside), BYTES * (1 - inside), BYTES])


def test_caches_in_between_keep_what_they_can() -> None:
    """What a cache behind the scratchpad holds is the same as if there were no scratchpad."""
    network = loaded(model([node("Relu", "x", "y"), node("Sigmoid", "x", "z")], [value("x", 1, 1000)], ["y", "z"]))
    sram, dram = machine("boundary").memories
    cache = Memory.model_validate({"id": "cache", "kind": "cache", "capacity": "9 kB", "bandwidth": "1.5 GB/s"})
    moved = [
        estimate(network, hardware(memories=list(levels)), runtime(resident=1.0)).cost.moved
        for levels in ([sram, cache, dram], [cache, dram])
    ]
    for level in ("cache", "dram"):
        assert [side.tolist() for side in moved[0][level]] == [side.tolist() for side in moved[1][level]]
    assert 0 < moved[0]["dram"][0].sum() < 2 * BYTES


def test_the_totals_are_those_of_an_estimate() -> None:
    alone = totals(prepare(chain(), None, runtime().fusion), machine_of(machine("boundary")), runtime())
    assert alone.latency_s == found(machine("boundary")).latency_s


def test_one_memory_has_them() -> None:
    inner = {"id": "sram", "kind": "dram", "bandwidth": "2 GB/s", "holds": ["activations", "boundary"]}
    outer = {"id": "dram", "kind": "dram", "bandwidth": "1 GB/s", "holds": ["weights", "activations", "boundary"]}
    with pytest.raises(ValueError, match="two memories hold the network's inputs and outputs"):
        hardware(memories=[inner, outer])
