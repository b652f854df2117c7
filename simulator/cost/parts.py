"""A machine in parts: engines that work from memories of their own, each with the kernels that run there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.cost.traffic import Moved, level_bytes
from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable, footprint

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """`machine` with the memories of this part, `work` with its footprint; `here` is 1 for the kernels that run in it.

    `here` is None where all do.
    """

    machine: Machine
    work: WorkTable
    here: Array | None = None


def parts_of(
    graph: Graph, kernels: Sequence[Kernel], work: WorkTable, machine: Machine, placement: tuple[EngineParams, ...], live: Array
) -> tuple[Part, ...]:
    """The parts that a placement uses; one where all engines share all memories. `live` is what each kernel finds alive."""
    groups = {e.memories: machine.seen_by(e) for e in {e.id: e for e in placement}.values()}
    if len(groups) < 2:
        return (Part(next(iter(groups.values()), machine), work),)
    found = []
    for memories, seen in groups.items():
        mine = [e.memories == memories for e in placement]
        own = [k for k, is_here in zip(kernels, mine, strict=True) if is_here]
        touched = footprint(graph, own, float(live[mine].max(initial=0)))
        found.append(Part(seen, replace(work, footprint=touched), np.array(mine, np.float64)))
    return tuple(found)


def moved_bytes(parts: Sequence[Part]) -> Moved:
    """Bytes that every kernel reads and writes at each level of the part it runs in."""
    total: dict[str, tuple[Array, Array]] = {}
    for part in parts:
        for level, (read, written) in level_bytes(part.work, part.machine).items():
            if part.here is not None:
                read, written = read * part.here, written * part.here
            before = total.get(level)
            total[level] = (read, written) if before is None else (before[0] + read, before[1] + written)
    return total
