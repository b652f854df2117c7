"""From a spec to the numbers that cost formulas read."""

import math

import pytest
from support.machines import hardware

from simulator.errors import PrecisionError
from simulator.machine.params import machine_of, require_rate


def engine(**given: object) -> list[dict[str, object]]:
    return [{"id": "core", "kind": "simd", "peak": {"fp32": "1 TFLOP/s"}, **given}]


def test_peaks_are_in_macs() -> None:
    assert machine_of(hardware()).engines[0].macs_per_s == {"fp32": 0.5e12}


def test_rates_per_cycle_take_the_clock() -> None:
    machine = machine_of(hardware(engines=engine(clock="216 MHz", peak={"int8": "2 MAC/cycle"}, vector={"int8": "4 OP/cycle"})))
    assert machine.engines[0].macs_per_s == {"int8": 432e6}
    assert machine.engines[0].vector_ops_per_s == {"int8": 864e6}
    assert machine.clock_hz == 216e6


def test_a_memory_has_its_own_clock() -> None:
    memory = {"id": "sram", "kind": "scratchpad", "clock": "240 MHz", "bandwidth": "8 B/cycle"}
    assert machine_of(hardware(engines=engine(clock="480 MHz"), memories=[memory])).memories[0].read_bytes_per_s == 1.92e9


def test_defaults() -> None:
    machine = machine_of(hardware())
    memory = machine.memories[0]
    assert memory.capacity_bytes == math.inf
    assert memory.achieved is None
    assert memory.latency_s == 0.0
    assert (machine.static_w, machine.active_w, machine.inference_overhead_s, machine.clock_hz) == (None, None, 0.0, None)
    assert machine.engines[0].sustained == 1.0


def test_vector_work_takes_the_place_of_macs_and_special_a_quarter() -> None:
    core = machine_of(hardware()).engines[0]
    assert core.vector_ops_per_s == {"fp32": 0.5e12}
    assert core.special_ops_per_s == 0.125e12


def test_sustained_is_a_share_of_the_clock() -> None:
    assert machine_of(hardware(engines=engine(clock="2 GHz", sustained_clock="1.5 GHz"))).engines[0].sustained == 0.75


def test_written_bytes_may_have_their_own_bandwidth_and_energy() -> None:
    memory = {
        "id": "m",
        "kind": "dram",
        "read_bandwidth": "2 GB/s",
        "write_bandwidth": "1 GB/s",
        "energy": {"read": "4 pJ/bit", "write": "8 pJ/bit"},
    }
    m = machine_of(hardware(memories=[memory])).memories[0]
    assert (m.read_bytes_per_s, m.write_bytes_per_s) == (2e9, 1e9)
    assert (m.read_j_per_byte, m.write_j_per_byte) == (pytest.approx(32e-12), pytest.approx(64e-12))


@pytest.mark.parametrize(
    ("has", "asked", "used"),
    [
        (("fp32",), "fp16", "fp32"),
        (("fp32", "fp16"), "fp16", "fp16"),
        (("fp32", "int8"), "int4", "int8"),
        (("fp32", "fp16"), "int8", "fp16"),
        (("fp64",), "fp32", "fp64"),
        (("fp32", "fp16"), "fp8", "fp16"),
        (("fp32",), "tf32", "fp32"),
    ],
)
def test_a_missing_rate_takes_the_next_wider_one(has: tuple[str, ...], asked: str, used: str) -> None:
    machine = machine_of(hardware(engines=engine(peak=dict.fromkeys(has, "1 TFLOP/s"))))
    assert machine.engines[0].native(asked) == used
    assert require_rate(machine, [asked], None) == ({} if asked == used else {asked: used})


def test_no_narrower_rate_stands_in() -> None:
    machine = machine_of(hardware(engines=engine(peak={"int8": "1 TOP/s"})))
    with pytest.raises(
        PrecisionError, match=r"test has no fp32 rate, and the model computes in it; it has int8 \(try --precision int8\)"
    ):
        require_rate(machine, ["fp32"], None)
    with pytest.raises(PrecisionError, match="--precision fp16 asks for it"):
        require_rate(machine, ["fp16"], "fp16")


def test_any_engine_may_have_the_rate() -> None:
    engines = [*engine(), {"id": "npu", "kind": "npu", "peak": {"int8": "8 TOP/s"}}]
    assert require_rate(machine_of(hardware(engines=engines)), ["int8", "fp32"], None) == {}


def test_homes_run_from_the_innermost() -> None:
    memories = [
        {"id": "sram", "kind": "scratchpad", "bandwidth": "1 GB/s", "holds": ["activations"]},
        {"id": "flash", "kind": "flash", "bandwidth": "1 GB/s", "holds": ["weights"]},
        {"id": "dram", "kind": "dram", "bandwidth": "1 GB/s", "holds": ["weights", "activations"]},
    ]
    machine = machine_of(hardware(memories=memories))
    assert [m.id for m in machine.homes(weights=True)] == ["flash", "dram"]
    assert [m.id for m in machine.homes(weights=False)] == ["sram", "dram"]
    assert [m.id for m in machine_of(hardware()).homes(weights=True)] == ["dram"]
