"""A machine in parts: engines that work from memories of their own, each with the kernels that run there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.cost.boundary import with_boundary
from simulator.cost.limits import Limits
from simulator.cost.traffic import Flow, Moved, achieved_rates, home_bytes
from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine, engines_of
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
    groups = {e.memories: machine.seen_by(e) for e in engines_of(placement).values()}
    if len(groups) < 2:
        return (Part(next(iter(groups.values()), machine), work),)
    found = []
    for memories, seen in groups.items():
        mine = [e.memories == memories for e in placement]
        own = [k for k, is_here in zip(kernels, mine, strict=True) if is_here]
        touched = footprint(graph, own, float(live[mine].max(initial=0)))
        found.append(Part(seen, replace(work, footprint=touched), np.array(mine, np.float64)))
    return tuple(found)


def home_bytes_of(part: Part) -> Moved:
    """Compulsory bytes that the kernels of a part read and write at each of its homes."""
    found = home_bytes(part.work, part.machine)
    here = 1.0 if part.here is None else part.here
    return {level: (read * here, written * here) for level, (read, written) in found.items()}


def flows_of(parts: Sequence[Part], resident_share: Number, *, apart: bool = False) -> tuple[Flow, ...]:
    """The flows of every part, of its own kernels only; weights and inputs `apart` where that is asked for."""
    found = []
    for part in parts:
        for flow in with_boundary(part.work, part.machine, resident_share, apart=apart):
            crossing = flow.crossing if part.here is None else tuple(moved * part.here for moved in flow.crossing)
            found.append(replace(flow, crossing=crossing))
    return tuple(found)


def rates_of(
    parts: Sequence[Part], limits: Limits, bandwidth_share: Number, streaming: Number
) -> dict[str, tuple[Number, Number]]:
    """B/s read and written that each level of any part reaches."""
    rates: dict[str, tuple[Number, Number]] = {}
    for part in parts:
        rates.update(achieved_rates(part.machine, limits, bandwidth_share, streaming))
    return rates
