"""Energies that a machine's file leaves out, from the table of its process node (technology.py)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import get_args

from simulator.machine import technology
from simulator.machine.figures import Number
from simulator.machine.spec import Engine, HardwareSpec, Memory, Rate

_NONE: Mapping[str, Number] = MappingProxyType({})
_WITHOUT = ("mcu", "fpga")


def default_energies(spec: HardwareSpec) -> Mapping[str, Number]:
    """Path of the missing figure → J: `engines.tensor.energy.mac.fp16`, `memories.dram.energy.read`.

    Nothing without a `process`. Nothing for microcontrollers: flash, supply and instructions take nearly all of their
    energy, 300 to 3000 times that of the MACs (MLPerf Tiny), so that a sum of operations would be no estimate; theirs
    is active power × time. Nothing for FPGAs: the table holds fixed cells, and programmable ones take many times as much.
    Nothing where power was measured (`power.active`): it is used instead.
    """
    if spec.process is None or spec.hardware_class in _WITHOUT or spec.power.active is not None:
        return _NONE
    node_m, found = spec.process.value, dict[str, Number]()
    for engine in spec.engines:
        found.update(_of_engine(engine, node_m))
    for memory in spec.memories:
        value = None if memory.energy else _of_memory(memory, node_m)
        if value is not None:
            found[f"memories.{memory.id}.energy.read"] = value
    return found


def energy_source(spec: HardwareSpec, path: str) -> str:
    """Where the default at a path of `default_energies` comes from."""
    match path.split("."):
        case ["engines", _, "energy", kind, rate]:
            return (technology.mac_source if kind == "mac" else technology.vector_source)(rate)  # type: ignore[arg-type]
        case _:
            memory = next(m for m in spec.memories if path == f"memories.{m.id}.energy.read")
            return _memory_source(memory)


def _memory_source(memory: Memory) -> str:
    name = f"{memory.id} {memory.name or ''}"
    if memory.kind == "dram":
        return technology.dram_per_bit(name).source
    link = technology.link_per_bit(name) if memory.kind == "link" else None
    return link.source if link else technology.sram_source()


def _of_engine(engine: Engine, node_m: float) -> Iterator[tuple[str, float]]:
    """What an engine lacks. A vector operation of an element type with a given MAC costs that MAC, as ever."""
    path, given = f"engines.{engine.id}.energy", engine.energy
    for rate in get_args(Rate):
        if rate in given.mac:
            continue
        yield f"{path}.mac.{rate}", technology.mac_j(rate, node_m)
        if rate not in given.vector:
            yield f"{path}.vector.{rate}", technology.vector_op_j(rate, node_m)


def _of_memory(memory: Memory, node_m: float) -> Number | None:
    """What a byte of a memory costs; None where nobody says: flash, on-chip memory of unknown size, some links."""
    name = f"{memory.id} {memory.name or ''}"
    if memory.kind == "dram":
        return technology.dram_j_per_byte(name)
    if memory.kind == "link":
        return technology.link_j_per_byte(name)
    if memory.kind == "flash" or memory.capacity is None:
        return None
    return technology.sram_j_per_byte(memory.capacity.value, node_m)
