"""How much memory the schedule needs: lifetimes of the tensors between kernels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.graph.graph import Graph
from simulator.graph.types import TensorSpec
from simulator.kernels.types import Kernel
from simulator.machine.params import Machine


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


def lifetimes(graph: Graph, kernels: Sequence[Kernel]) -> dict[str, tuple[TensorSpec, int, int]]:
    """Every activation that travels between kernels: tensor, first and last kernel that needs it.

    Inputs of the graph live from the start, its outputs to the end.
    """
    last, inputs = len(kernels) - 1, frozenset(graph.inputs)
    spans: dict[str, tuple[TensorSpec, int, int]] = {}
    for index, kernel in enumerate(kernels):
        for spec in (*kernel.inputs, *kernel.outputs):
            whole = graph.tensors[spec.name]
            first = spans[spec.name][1] if spec.name in spans else (0 if spec.name in inputs else index)
            spans[spec.name] = (whole, first, index)
    for name in graph.outputs:
        if name in spans:
            whole, first, _ = spans[name]
            spans[name] = (whole, first, last)
    return spans


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
    """What one memory must hold, and what it can."""

    memory: str
    needs_bytes: float
    capacity_bytes: float
    holds: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it is enough."""
        return self.needs_bytes <= self.capacity_bytes


def fit(machine: Machine, weight_bytes: float, activation_bytes: float) -> tuple[Fit, ...]:
    """Need and capacity of every memory that holds weights or activations.

    What does not fit into an inner one spills to the next that holds the same; only the outermost must take the rest.
    """
    needs: Mapping[str, float] = {"weights": weight_bytes, "activations": activation_bytes}
    left = dict(needs)
    outermost = {"weights": machine.homes(weights=True)[-1].id, "activations": machine.homes(weights=False)[-1].id}
    result = []
    for memory in machine.memories:
        kinds = [k for k in left if memory in machine.homes(weights=k == "weights")]
        if not kinds:
            continue
        capacity = float(np.min(memory.capacity_bytes))
        room, need = capacity, 0.0
        for kind in sorted(kinds):  # activations first: they cannot be streamed
            taken = left[kind] if outermost[kind] == memory.id else min(left[kind], max(room, 0.0))
            left[kind] -= taken
            room -= taken
            need += taken
        result.append(Fit(memory.id, need, capacity, tuple(sorted(kinds))))
    return tuple(result)
