"""Where activations live when engines work from memories of their own, and when they cross from one to another.

Engines that share a memory of activations are one place. A tensor lives where it was made until its last reader there
and until it has crossed to wherever else it is read; there it lives from its first reader to its last. So it is in both
places while the kernel runs that it crosses for. Crossings are those that cost/transfer.py charges: the network's
inputs come from the host and its outputs go there, and from one device to another data goes by the host.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from simulator.graph.graph import Graph
from simulator.graph.types import TensorSpec
from simulator.kernels.operators import view_source
from simulator.kernels.types import Kernel
from simulator.machine.params import EngineParams, Machine
from simulator.schedule.conventions import Stay, Tenant, everything
from simulator.schedule.memory import activations_of


@dataclass(frozen=True)
class Place:
    """Engines that share their memories, by their ids; `machine` has no memories but these."""

    engines: tuple[str, ...]
    machine: Machine
    is_host: bool

    @property
    def memory(self) -> str:
        """The innermost memory that holds activations."""
        return self.machine.homes(weights=False)[0].id


@dataclass(frozen=True, slots=True)
class Crossing:
    """A tensor on its way before a kernel (for the network's outputs: after it), between places by their positions.

    None is the host where no kernel runs on it.
    """

    spec: TensorSpec
    source: int | None
    target: int | None
    kernel: int


def places_of(machine: Machine, engines: Sequence[EngineParams]) -> tuple[Place, ...]:
    """The places of the engines that run anything, in the order of the machine's file; with none, that of its first."""
    ids = {e.id for e in engines}
    used = [e for e in machine.engines if e.id in ids] or [machine.engines[0]]
    groups: list[list[EngineParams]] = []
    for engine in used:
        homes = _homes(machine, engine)
        near = [g for g in groups if any(homes & _homes(machine, other) for other in g)]
        groups = [g for g in groups if g not in near] + [[*(e for g in near for e in g), engine]]
    groups.sort(key=lambda g: used.index(g[0]))
    host = next((g for g in reversed(groups) if any(machine.link_of(e) is None for e in g)), None)
    return tuple(Place(tuple(e.id for e in g), _seen_by(machine, g), g is host) for g in groups)


def _homes(machine: Machine, engine: EngineParams) -> set[str]:
    return {m.id for m in machine.seen_by(engine).homes(weights=False)}


def _seen_by(machine: Machine, engines: Sequence[EngineParams]) -> Machine:
    """The machine with the memories that any of some engines works from."""
    seen = {m.id for e in engines for m in machine.seen_by(e).memories}
    return replace(machine, memories=tuple(m for m in machine.memories if m.id in seen))


def residence(
    graph: Graph, kernels: Sequence[Kernel], places: Sequence[Place], where: Sequence[int]
) -> tuple[tuple[Stay, ...], tuple[Crossing, ...]]:
    """What lives in each place when, and what crosses; `where` is the place of each kernel."""
    if len(places) == 1:
        return (everything(graph, kernels),), ()
    record = _Record(graph, next((i for i, place in enumerate(places) if place.is_host), None))
    for index, (kernel, place) in enumerate(zip(kernels, where, strict=True)):
        for spec in kernel.inputs:
            record.bring(spec.name, place, index)
        for spec in activations_of(kernel):
            record.spans[spec.name] = {place: (index, index)}
            record.maker[spec.name] = index
    for output in graph.outputs:
        record.hand_over(view_source(graph, output), len(kernels) - 1)
    stays = []
    for number in range(len(places)):
        mine = {n: Tenant(graph.tensors[n], *spans[number]) for n, spans in record.spans.items() if number in spans}
        stays.append(Stay(mine, frozenset(i for i, place in enumerate(where) if place == number)))
    return tuple(stays), tuple(record.crossed)


@dataclass
class _Record:
    """First and last kernel for which each tensor is in each place, kernel by kernel; the host may be no place."""

    graph: Graph
    host: int | None
    spans: dict[str, dict[int | None, tuple[int, int]]] = field(default_factory=dict)
    maker: dict[str, int] = field(default_factory=dict)
    crossed: list[Crossing] = field(default_factory=list)

    def bring(self, name: str, to: int | None, kernel: int) -> None:
        """Make a tensor present in a place for a kernel; from one device to another it goes by the host."""
        there = self._known(name, to, kernel)
        if to not in there:
            if self.host not in there and to != self.host:
                self.bring(name, self.host, kernel)
            source = self.host if to != self.host else next(iter(there))
            there[source] = _until(there[source], kernel)
            there[to] = (kernel, kernel)
            self.crossed.append(Crossing(self.graph.tensors[name], source, to, kernel))
        there[to] = _until(there[to], kernel)

    def hand_over(self, name: str, last: int) -> None:
        """Bring an output of the network to the host once it is made, where it stays to the end."""
        if name in self.spans:
            self.bring(name, self.host, self.maker.get(name, 0))
            there = self.spans[name]
            there[self.host] = _until(there[self.host], last)

    def _known(self, name: str, to: int | None, kernel: int) -> dict[int | None, tuple[int, int]]:
        """Where a tensor is so far: inputs of the network with the host from the start, what nothing makes where it is read."""
        if name not in self.spans:
            self.spans[name] = {self.host: (0, 0)} if name in self.graph.inputs else {to: (kernel, kernel)}
        return self.spans[name]


def _until(span: tuple[int, int], kernel: int) -> tuple[int, int]:
    return span[0], max(span[1], kernel)
