"""Energy: operations times energy per operation, bytes times energy per byte, and power times time."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import gather
from simulator.cost.traffic import Moved
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable

Array = NDArray[np.float64]


def kernel_energy(
    work: WorkTable, machine: Machine, placement: tuple[EngineParams, ...], moved: Moved
) -> tuple[Array | None, Mapping[str, Array] | None]:
    """Energy of arithmetic of every kernel, and of data movement by memory; None where the machine gives no figures."""
    return _arithmetic_j(work, placement), _movement_j(machine, moved)


def total_j(by_level: Mapping[str, Array] | None) -> Array | None:
    """The energies of all memories together."""
    return None if by_level is None else np.asarray(sum(by_level.values(), np.zeros(())))


def defaults_used(
    work: WorkTable, machine: Machine, placement: tuple[EngineParams, ...], levels: Mapping[str, Array]
) -> tuple[str, ...]:
    """Paths of the figures that this work's energy rests on and the machine's file does not give, in the file's order.

    `levels` are the bytes over each memory.
    """
    other = work.vector_ops + work.special_ops
    used = {f"memories.{level}.energy.read" for level, moved in levels.items() if np.any(moved)}
    for engine, rate, macs, ops in zip(placement, work.rates, work.macs, other, strict=True):
        kinds = [kind for kind, count in (("mac", macs), ("vector", ops)) if count]
        used |= {f"engines.{engine.id}.energy.{kind}.{engine.native(rate) or rate}" for kind in kinds}
    return tuple(path for path in machine.default_j if path in used)


def _arithmetic_j(work: WorkTable, placement: tuple[EngineParams, ...]) -> Array | None:
    """MACs · energy per MAC + other operations · energy per vector operation, each in the kernel's element type."""
    other = work.vector_ops + work.special_ops
    for engine, rate, macs, ops in zip(placement, work.rates, work.macs, other, strict=True):
        if (macs and mac_j(engine, rate) is None) or (ops and vector_j(engine, rate) is None):
            return None
    macs_j = work.macs * gather(placement, work, lambda e, rate, _: _or_zero(mac_j(e, rate)))
    return np.asarray(macs_j + other * gather(placement, work, lambda e, rate, _: _or_zero(vector_j(e, rate))))


def mac_j(engine: EngineParams, rate: str) -> Number | None:
    """Energy of one MAC in the element type it is computed in."""
    return engine.j_per_mac.get(engine.native(rate) or rate)


def vector_j(engine: EngineParams, rate: str) -> Number | None:
    """Energy of one vector operation; that of a MAC where the spec gives no own figure (a vector operation is less)."""
    known = engine.j_per_vector_op.get(engine.native(rate) or rate)
    return mac_j(engine, rate) if known is None else known


def _or_zero(value: Number | None) -> Number:
    return 0.0 if value is None else value


def _movement_j(machine: Machine, moved: Moved) -> Mapping[str, Array] | None:
    """Bytes times energy per byte; of caches and staging memories only where the machine gives figures for them."""
    found = {}
    for memory in machine.memories:
        if memory.id not in moved or (memory.is_staging and memory.read_j_per_byte is None):
            continue
        if memory.read_j_per_byte is None or memory.write_j_per_byte is None:
            return None
        read, written = moved[memory.id]
        found[memory.id] = np.asarray(read * memory.read_j_per_byte + written * memory.write_j_per_byte)
    return found
