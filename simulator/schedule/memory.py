"""How much memory the schedule needs: lifetimes of the tensors between kernels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.cost.traffic import placed_shares
from simulator.graph.graph import Graph
from simulator.graph.types import Role, TensorSpec
from simulator.kernels.operators import view_source
from simulator.kernels.types import Kernel
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.workload import Footprint


@dataclass(frozen=True)
class Occupancy:
    """Bytes of activations alive while each kernel runs; `peak` is where they are most, `culprits` what lives there."""

    live_bytes: NDArray[np.float64]
    peak: int
    culprits: tuple[TensorSpec, ...]

    @property
    def peak_bytes(self) -> int:
        """Most bytes alive at once."""
        return int(self.live_bytes.max(initial=0))


def activations_of(kernel: Kernel) -> tuple[TensorSpec, ...]:
    """The results of a kernel; not those that are weights in another element type."""
    return tuple(spec for spec in kernel.outputs if spec.role is not Role.WEIGHT)


def lifetimes(graph: Graph, kernels: Sequence[Kernel]) -> dict[str, tuple[TensorSpec, int, int]]:
    """Every activation that travels between kernels: tensor, first and last kernel that needs it.

    Inputs of the graph live from the start, its outputs to the end. A cache that grows in place lives all the time: what was
    there, and from then on what is new.
    """
    last, inputs = len(kernels) - 1, frozenset(graph.inputs)
    spans: dict[str, tuple[TensorSpec, int, int]] = {}
    for index, kernel in enumerate(kernels):
        for spec in (*kernel.inputs, *activations_of(kernel)):
            whole = spec if spec.role is Role.STATE and spec.name not in inputs else graph.tensors[spec.name]
            first = spans[spec.name][1] if spec.name in spans else (0 if spec.name in inputs else index)
            spans[spec.name] = (whole, first, index)
    caches = [name for name in graph.inputs if graph.tensors[name].role is Role.STATE] if _grow_in_place(graph, kernels) else []
    for output in (*graph.outputs, *caches):
        name = view_source(graph, output)
        if name in spans:
            whole, first, _ = spans[name]
            spans[name] = (whole, first, last)
    return spans


def _grow_in_place(graph: Graph, kernels: Sequence[Kernel]) -> bool:
    """Whether caches of keys and values are made longer where they are, and not copied."""
    made = (spec for kernel in kernels for spec in kernel.outputs if spec.role is Role.STATE)
    return any(spec.elements < graph.tensors[spec.name].elements for spec in made)


def occupancy(graph: Graph, kernels: Sequence[Kernel]) -> Occupancy:
    """Liveness convention: at each kernel, its inputs, its outputs, and everything still needed later."""
    spans = lifetimes(graph, kernels)
    change = np.zeros(len(kernels) + 1)
    for spec, first, end in spans.values():
        change[first] += spec.size_bytes
        change[end + 1] -= spec.size_bytes
    live = np.cumsum(change)[:-1]
    peak = int(live.argmax()) if live.size else 0
    culprits = [spec for spec, first, end in spans.values() if first <= peak <= end]
    return Occupancy(live, peak, tuple(sorted(culprits, key=lambda s: -s.size_bytes)))


@dataclass(frozen=True)
class Fit:
    """What one memory must hold, of it `activation_bytes` of activations and `code_bytes` of code, and what it can."""

    memory: str
    weight_bytes: float
    activation_bytes: float
    capacity_bytes: float
    holds: tuple[str, ...]
    code_bytes: float = 0.0

    @property
    def needs_bytes(self) -> float:
        """All that must be in it."""
        return self.weight_bytes + self.activation_bytes + self.code_bytes

    @property
    def fits(self) -> bool:
        """Whether it is enough."""
        return self.needs_bytes <= self.capacity_bytes


def needs(machine: Machine, touched: Footprint) -> list[tuple[MemoryParams, Number, Number]]:
    """Bytes of weights and of activations in every memory that holds some, as the traffic places them."""
    shares = placed_shares(touched, machine)
    alive_bytes = 0.0 if machine.activations_pass else touched.activation_bytes  # a pipeline keeps a few rows of an image
    return [(m, weights * touched.weight_bytes, alive * alive_bytes) for m, weights, alive in shares]


def fit(machine: Machine, touched: Footprint) -> tuple[Fit, ...]:
    """Need and capacity of every memory that holds weights or activations."""
    homes = {"activations": machine.homes(weights=False), "weights": machine.homes(weights=True)}
    found = []
    for memory, weights, alive in needs(machine, touched):
        holds = tuple(data for data, memories in homes.items() if memory in memories)
        found.append(Fit(memory.id, float(weights), float(alive), float(memory.capacity_bytes), holds))
    return tuple(found)


def together(fits: Iterable[Fit]) -> tuple[Fit, ...]:
    """One entry a memory. The weights that several parts of a machine keep in it add up; activations do not, for each part
    counts all of the network that are alive while its own kernels run.
    """
    found: dict[str, Fit] = {}
    for one in fits:
        before = found.get(one.memory)
        if before is not None:
            alive = max(one.activation_bytes, before.activation_bytes)
            one = replace(one, weight_bytes=before.weight_bytes + one.weight_bytes, activation_bytes=alive)
        found[one.memory] = one
    return tuple(found.values())


def fits_at(parts: Iterable[tuple[Machine, Footprint]], beside: Mapping[str, Number]) -> NDArray[np.bool_]:
    """Whether every memory holds what it must, at each design point, shape (...): `fit`, `together` and `fits` for columns.

    `beside` are bytes that a memory holds beside weights and activations, by its id.
    """
    found: dict[str, tuple[Number, Number, Number]] = {}
    for machine, touched in parts:
        for memory, weights, alive in needs(machine, touched):
            if memory.id in found:
                weights = found[memory.id][0] + weights
                alive = np.maximum(found[memory.id][1], alive)
            found[memory.id] = weights, alive, memory.capacity_bytes
    enough: NDArray[np.bool_] = np.ones((), np.bool_)
    for memory_id, (weights, alive, capacity) in found.items():
        enough = enough & (weights + alive + beside.get(memory_id, 0.0) <= capacity)
    return enough[..., 0] if enough.ndim else enough
