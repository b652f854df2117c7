"""Energy: operations times energy per operation, bytes times energy per byte, and power times time."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import by_engine, engine_types
from simulator.cost.traffic import Moved
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable

Array = NDArray[np.float64]


def defaults_used(
    work: WorkTable, machine: Machine, placement: tuple[EngineParams, ...], levels: Mapping[str, Array]
) -> tuple[str, ...]:
    """Paths of the figures that this work's energy rests on and the machine's file does not give, in the file's order.

    `levels` are the bytes over each memory.
    """
    if not machine.default_j:
        return ()
    used = {f"memories.{level}.energy.read" for level, moved in levels.items() if np.any(moved)}
    for kind, engine, rate in _figures_needed(work, placement):
        used.add(f"engines.{engine.id}.energy.{kind}.{engine.native(rate) or rate}")
    return tuple(path for path in machine.default_j if path in used)


def arithmetic_j(work: WorkTable, placement: tuple[EngineParams, ...]) -> Array | None:
    """MACs · energy per MAC + other operations · energy per vector operation, each in the kernel's element type."""
    for kind, engine, rate in _figures_needed(work, placement):
        if (mac_j if kind == "mac" else vector_j)(engine, rate) is None:
            return None
    other = work.vector_ops + work.special_ops
    macs_j = work.macs * by_engine(placement, work, lambda e, rate: _or_zero(mac_j(e, rate)))
    return np.asarray(macs_j + other * by_engine(placement, work, lambda e, rate: _or_zero(vector_j(e, rate))))


def _figures_needed(work: WorkTable, placement: tuple[EngineParams, ...]) -> list[tuple[str, EngineParams, str]]:
    """Which energies the work rests on: `mac` or `vector`, of which engine, in which element type."""
    types, codes = engine_types(placement, work)
    counted = (("mac", work.macs), ("vector", work.vector_ops + work.special_ops))
    return [(kind, *types[place]) for kind, counts in counted for place in sorted(set(codes[counts > 0].tolist()))]


def mac_j(engine: EngineParams, rate: str) -> Number | None:
    """Energy of one MAC in the element type it is computed in."""
    return engine.j_per_mac.get(engine.native(rate) or rate)


def vector_j(engine: EngineParams, rate: str) -> Number | None:
    """Energy of one vector operation; that of a MAC where the spec gives no own figure (a vector operation is less)."""
    known = engine.j_per_vector_op.get(engine.native(rate) or rate)
    return mac_j(engine, rate) if known is None else known


def _or_zero(value: Number | None) -> Number:
    return 0.0 if value is None else value


def movement_j(machine: Machine, moved: Moved) -> Mapping[str, Array] | None:
    """Bytes times energy per byte, by memory; of caches and staging memories only where the machine gives figures for them."""
    found = {}
    for memory in machine.memories:
        if memory.id not in moved or (memory.is_staging and memory.read_j_per_byte is None):
            continue
        if memory.read_j_per_byte is None or memory.write_j_per_byte is None:
            return None
        read, written = moved[memory.id]
        found[memory.id] = np.asarray(read * memory.read_j_per_byte + written * memory.write_j_per_byte)
    return found


def movement_total_j(machine: Machine, moved: Moved, total: Callable[[Array], Array]) -> Array | None:
    """The same over all kernels and levels; `total` sums bytes over the kernels, which takes less than to sum energies."""
    sums = {level: (_row(total(read)), _row(total(written))) for level, (read, written) in moved.items()}
    found = movement_j(machine, sums)
    return None if found is None else np.asarray(sum(found.values(), np.zeros(())))[..., 0]


def _row(sums: Array) -> Array:
    """Sums over kernels as a column of one kernel, for figures that may be columns of design points."""
    return sums[..., np.newaxis]
