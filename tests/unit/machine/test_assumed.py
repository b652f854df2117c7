"""What stands in for figures that a machine's file leaves out: every one, with its source, as the estimate takes it."""

import pytest
from support.machines import hardware

import simulator as sim
from simulator.io.hardware_reader import hardware_ids
from simulator.machine.assumed import assumptions
from simulator.machine.params import machine_of
from simulator.units import format_si


def test_a_file_that_says_little() -> None:
    found = {a.path: (a.text, a.source) for a in assumptions(hardware(process="45 nm"))}
    assert found["engines.core.vector.fp32"] == ("500 GOP/s", "that of MACs: the file gives none")
    assert found["engines.core.special"][0] == "125 GOP/s"
    assert found["memories.dram.capacity"] == ("enough", "the file gives none")
    assert found["engines.core.energy.mac.fp32"] == ("4.6 pJ/MAC", "cells-45-7nm")
    assert found["engines.core.energy.vector.fp32"] == ("900 fJ/OP", "cells-45-7nm · an addition")
    assert found["memories.dram.energy.read"] == ("162 pJ/B", found["memories.dram.energy.read"][1])
    assert found["memories.dram.energy.read"][1].startswith("DDR3 and DDR4: Jouppi et al.")
    assert "engines.core.energy.mac.int8" not in found  # it would compute that in fp32


def test_a_file_that_says_all() -> None:
    engine = {
        "id": "core", "kind": "simd", "peak": {"fp32": "1 TFLOP/s"}, "vector": {"fp32": "1 TOP/s"}, "special": "1 TOP/s",
    }  # fmt: skip
    memory = {"id": "dram", "kind": "dram", "capacity": "1 GiB", "bandwidth": "1 GB/s"}
    assert assumptions(hardware(engines=[engine], memories=[memory])) == ()


@pytest.mark.parametrize("name", hardware_ids())
def test_stand_ins_are_what_the_machine_has(name: str) -> None:
    spec = sim.load_hardware(name)
    machine = machine_of(spec)
    given = {path for path, _ in spec.figures()}
    engines = {e.id: e for e in machine.engines}
    for found in assumptions(spec):
        assert found.path not in given
        assert found.source
        match found.path.split("."):
            case ["engines", engine, "vector", rate]:
                assert found.text == format_si(float(engines[engine].vector_ops_per_s[rate]), "OP/s")
            case ["engines", engine, "special"]:
                assert found.text == format_si(float(engines[engine].special_ops_per_s), "OP/s")
            case ["engines", engine, "energy", kind, rate]:
                table = engines[engine].j_per_mac if kind == "mac" else engines[engine].j_per_vector_op
                assert found.text.startswith(format_si(float(table[rate]), "J"))
            case ["memories", memory, "energy", "read"]:
                assert found.text == format_si(machine.default_j[found.path], "J/B")
                assert next(m for m in machine.memories if m.id == memory).read_j_per_byte == machine.default_j[found.path]
            case ["memories", memory, "capacity"]:
                assert next(m for m in machine.memories if m.id == memory).capacity_bytes == float("inf")
            case path:
                pytest.fail(f"unknown path {path}")
