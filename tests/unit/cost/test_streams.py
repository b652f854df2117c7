"""Which weights come from outside the chip, what they add, and where they can be loaded early."""

from typing import Any

import numpy as np
import pytest
from support.graphs import INT8, loaded, model, node, value, weight
from support.machines import hardware, runtime

import simulator as sim
from simulator.cost.streams import Streamed
from simulator.estimator import estimate

KIB = 1024


def streamed(*memories: dict[str, Any], overlap: float = 0.0) -> Streamed:
    """One int8 product with 64 KiB of weights, 1 KiB in and 64 B out."""
    network = loaded(
        model([node("MatMul", "x w", "y")], [value("x", 1, KIB, dtype=INT8)], ["y"], [weight("w", KIB, 64, dtype=INT8)])
    )
    machine = hardware(engines=[{"id": "core", "kind": "npu", "peak": {"int8": "1 TMAC/s"}}], memories=list(memories))
    return estimate(network, machine, runtime(overlap=overlap, resident=0)).cost.streamed


def memory(
    name: str, kind: str, capacity: str | None = None, holds: tuple[str, ...] = (), gb_per_s: float = 1.0
) -> dict[str, Any]:
    made = {"id": name, "kind": kind, "bandwidth": f"{gb_per_s!r} GB/s", "holds": holds}
    return made | ({"capacity": capacity} if capacity else {})


BOTH = ("weights", "activations")
WEIGHTS_S = 64 * KIB / 1e9


def test_from_flash_beside_the_activations_in_sram() -> None:
    found = streamed(memory("sram", "scratchpad", "128 KiB", ("activations",)), memory("flash", "flash", None, ("weights",)))
    assert found.bytes.tolist() == [64 * KIB]
    assert found.added_s.tolist() == found.link_s.tolist() == pytest.approx([WEIGHTS_S])
    assert found.room_bytes(np.array([10.0 * KIB])).tolist() == [(128 - 10 - 64) * KIB]
    assert found.room_bytes(np.array([100.0 * KIB])).tolist() == [0]


def test_what_stays_on_chip_is_not_streamed_and_takes_room() -> None:
    """All but 5 KiB of the weights fit beside 1088 B of activations."""
    found = streamed(memory("sram", "scratchpad", "60 KiB", BOTH), memory("usb", "link", None, ("weights",)))
    assert found.bytes.tolist() == pytest.approx([64 * KIB - (60 * KIB - (KIB + 64))])
    assert list(found.s_by_level) == ["usb"]
    assert found.room_bytes(np.zeros(1)).tolist() == [0.0]


def test_a_memory_for_weights_alone_has_no_activations_in_it() -> None:
    inner = memory("wbuf", "scratchpad", "32 KiB", ("weights",))
    found = streamed(inner, memory("dram", "dram", None, BOTH))
    (buffer,) = found.buffers
    assert not buffer.beside_activations
    assert buffer.free_bytes == 0


def test_the_roomiest_of_several_and_no_limit_where_none_is_given() -> None:
    caches = memory("l2", "cache", "100 KiB"), memory("l3", "cache", "1 MiB")
    found = streamed(*caches, memory("dram", "dram", None, BOTH))
    assert found.room_bytes(np.zeros(1)).tolist() == [(1024 - 64) * KIB]
    endless = streamed(memory("sram", "scratchpad"), memory("dram", "dram", None, BOTH))
    assert endless.room_bytes(np.zeros(1)).tolist() == [np.inf]
    assert streamed(memory("dram", "dram", None, BOTH)).room_bytes(np.zeros(1)).tolist() == [0]


@pytest.mark.parametrize(
    ("overlap", "added_bytes"), [(0.0, 64 * KIB), (1.0, 64 * KIB - (KIB + 64)), (0.5, 64 * KIB - (KIB + 64) / 2)]
)
def test_what_weights_add_depends_on_how_levels_overlap(overlap: float, added_bytes: float) -> None:
    """Activations in SRAM and weights in flash at the same rate: beside each other only the longer counts."""
    levels = memory("sram", "scratchpad", "128 KiB", ("activations",)), memory("flash", "flash", None, ("weights",))
    found = streamed(*levels, overlap=overlap)
    assert found.added_s.tolist() == pytest.approx([added_bytes / 1e9])
    assert found.link_s.tolist() == pytest.approx([WEIGHTS_S])


@pytest.mark.parametrize(
    ("machine", "precision", "outside", "inside"),
    [
        ("stm32h743", "int8", ["flash"], 1), ("edgetpu_usb", "int8", ["usb"], 1), ("xeon_8480p", "fp32", ["dram"], 2),
        ("a100_sxm_80", "fp16", ["hbm"], 1), ("gap9", "int8", ["l2"], 1),
    ],
)  # fmt: skip
def test_machines_of_the_catalogue(machine: str, precision: str, outside: list[str], inside: int) -> None:
    found = sim.estimate("resnet8", machine, precision=precision).cost.streamed
    assert list(found.s_by_level) == outside
    assert len(found.buffers) == inside
