"""What changing engines costs: tensors that cross the link between them, and the switch itself.

Data lies with the host; an engine behind a link has its own. A tensor crosses the link of the engine that made it, on its
way out, and that of the engine that reads it, on its way in, once each, however many kernels there read it. So inputs and
outputs of the network cross too. Engines that share their memory pay the switch alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.graph.graph import Graph
from simulator.kernels.operators import view_source
from simulator.kernels.types import Kernel
from simulator.machine.params import EngineParams, Machine, engines_of
from simulator.workload import Column

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crossings:
    """What crosses a link for each kernel: bytes towards its engine, bytes away from it, and how many tensors that is."""

    inward: Column
    outward: Column
    tensors: Column

    @property
    def all_bytes(self) -> Column:
        """Bytes both ways, for each kernel."""
        return self.inward + self.outward

    def bytes(self, kernel: int) -> float:
        """Bytes both ways, for one kernel."""
        return float(self.inward[kernel] + self.outward[kernel])


@dataclass
class _Tally:
    """Tensors that cross, counted kernel by kernel. `places` says behind which links (None: with the host) each lies."""

    size: int
    found: dict[str, Crossings] = field(default_factory=dict)
    places: dict[str, set[str | None]] = field(default_factory=dict)

    def bring(self, name: str, size_bytes: float, kernel: int, to: str | None) -> None:
        """Make a tensor present behind the link `to` for a kernel; from one link to another it goes by the host."""
        places = self.places.setdefault(name, {None})
        if to in places:
            return
        if None not in places:
            crossing = self._of(str(next(iter(places))))
            crossing.outward[kernel] += size_bytes
            crossing.tensors[kernel] += 1
        if to is not None:
            crossing = self._of(to)
            crossing.inward[kernel] += size_bytes
            crossing.tensors[kernel] += 1
        places.update((None, to))

    def _of(self, link: str) -> Crossings:
        return self.found.setdefault(link, Crossings(*(np.zeros(self.size) for _ in range(3))))


def crossings(
    graph: Graph, kernels: Sequence[Kernel], machine: Machine, placement: tuple[EngineParams, ...]
) -> Mapping[str, Crossings]:
    """What crosses each link, by its id; nothing where no engine is behind one."""
    links = {e.id: link.id if (link := machine.link_of(e)) else None for e in engines_of(placement).values()}
    if not any(links.values()):
        return {}
    tally = _Tally(len(kernels))
    maker: dict[str, int] = {}
    for index, (kernel, engine) in enumerate(zip(kernels, placement, strict=True)):
        for spec in kernel.inputs:
            size_bytes = spec.size_bytes * _times(graph, kernels, maker, spec.name, index)
            tally.bring(spec.name, float(size_bytes), index, links[engine.id])
        for spec in kernel.outputs:
            tally.places[spec.name] = {links[engine.id]}
            maker[spec.name] = index
    for output in graph.outputs:
        name = view_source(graph, output)
        if name in maker:
            tally.bring(name, float(graph.tensors[name].size_bytes), maker[name], None)
    return tally.found


def _times(graph: Graph, kernels: Sequence[Kernel], maker: Mapping[str, int], name: str, reader: int) -> int:
    """How often a tensor is made and read anew: the fewer of both."""
    made = graph.ops[kernels[maker[name]].main].repeat if name in maker else 1
    return min(made, graph.ops[kernels[reader].main].repeat)


def switch_s(machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Seconds that each kernel waits because another engine ran before it."""
    if len(engines_of(placement)) < 2:
        return np.zeros(len(placement))
    costs = [0.0 if (own := limits.of(engine).switch) is None else own.seconds(machine.clock_hz) for engine in placement]
    before = (placement[0], *placement[:-1]) if placement else ()
    switched = [one.id != other.id for one, other in zip(before, placement, strict=True)]
    columns = np.concatenate([np.atleast_1d(cost) for cost in np.broadcast_arrays(*costs)], axis=-1)
    return np.asarray(columns * np.array(switched, np.float64), np.float64)


def link_s(
    crossed: Mapping[str, Crossings], machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]
) -> Mapping[str, Array]:
    """Seconds on each link before (or, for outputs, after) each kernel: a latency for every tensor, and bytes."""
    if not crossed:
        return {}
    result: dict[str, Array] = {}
    shares = np.broadcast_arrays(*(limits.of(engine).bandwidth.value for engine in placement))
    runtime_share = np.concatenate([np.atleast_1d(share) for share in shares], axis=-1)
    for link in machine.memories:
        if link.id in crossed:
            found = crossed[link.id]
            share = runtime_share if link.achieved is None or not limits.measured else link.achieved
            moved = found.inward / (link.read_bytes_per_s * share) + found.outward / (link.write_bytes_per_s * share)
            result[link.id] = np.asarray(found.tensors * link.latency_s + moved)
    return result
