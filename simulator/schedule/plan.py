"""The memory plan: what each memory must hold, where every activation lies, and what would take less."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.machine.params import Machine
from simulator.schedule.arena import HEURISTICS, Arena, arena
from simulator.schedule.conventions import CONVENTIONS, IN_PLACE, NO_ALIASING, Aliasing, Convention, Peak, buffers, peak
from simulator.schedule.memory import Fit, fit
from simulator.schedule.patches import PatchPlan, patch_plan, suggest
from simulator.schedule.reorder import STATES, Reordering, reorder, reordered
from simulator.workload import Footprint

ALIASINGS: Final[Mapping[Convention, Aliasing]] = {"liveness": NO_ALIASING, "liveness_in_place": IN_PLACE}
_QUICK_STATES: Final = 2_000  # of the search that only tells what another order would give
_QUICK_KERNELS: Final = 1_000


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """`alignment_bytes` of every address; `reorder` runs the kernels in the best order found.

    `patches` runs the first kernels, so many, on a grid of rows × columns: ((4, 4), 12).
    """

    alignment_bytes: int = 16
    reorder: bool = False
    patches: tuple[tuple[int, int], int] | None = None


@dataclass(frozen=True)
class MemoryPlan:
    """What a network needs of a machine's memories; bytes of one run of the whole batch.

    `kernels` in the order planned, `peaks` under the three conventions, `arenas` by convention and heuristic. `fits`
    sets what the liveness arena (or, with `patches`, the peak with the whole image held) and the weights need against
    the capacities. `reordering` is applied where `reorder` was asked for, else what it would give. Where the activations
    are too large for the innermost memory that holds them, `suggestion` is the cheapest patch stage that would fit.
    """

    graph: Graph
    kernels: tuple[Kernel, ...]
    options: PlanOptions
    weight_bytes: float
    peaks: Mapping[Convention, Peak]
    arenas: Mapping[Convention, Mapping[str, Arena]]
    fits: tuple[Fit, ...]
    capacity_bytes: float  # of the innermost memory that holds activations
    reordering: Reordering
    patches: PatchPlan | None
    suggestion: PatchPlan | None

    @property
    def fit_all(self) -> bool:
        """Whether every memory holds what it must."""
        return all(f.fits for f in self.fits)

    @property
    def activation_bytes(self) -> int:
        """What activations need: the smallest arena found for liveness, or the peak with patches."""
        return self.patches.peak_bytes(image=True) if self.patches else self.best("liveness").size_bytes

    def best(self, convention: Convention) -> Arena:
        """The smallest arena under a convention; the simpler heuristic where equal."""
        return min(self.arenas[convention].values(), key=lambda a: a.size_bytes)


def plan_memory(
    graph: Graph,
    kernels: Sequence[Kernel],
    machine: Machine,
    weight_bytes: float,
    options: PlanOptions = PlanOptions(),
) -> MemoryPlan:
    """Plan the memory of a network's kernels on a machine, `weight_bytes` beside the activations.

    Raises:
        UsageError: patches that the network does not allow (NotLocalError), or an alignment below 1.
    """
    machine = machine.seen_by(machine.engines[0])
    quick = _QUICK_STATES if len(kernels) <= _QUICK_KERNELS else 0
    reordering = reorder(graph, kernels, STATES if options.reorder else quick)
    order = reordered(kernels, reordering) if options.reorder else tuple(kernels)
    patches = patch_plan(graph, order, *options.patches) if options.patches else None
    arenas = {
        convention: {h: arena(buffers(graph, order, aliasing), h, options.alignment_bytes) for h in HEURISTICS}
        for convention, aliasing in ALIASINGS.items()
    }
    need = min(a.size_bytes for a in arenas["liveness"].values())
    if patches:
        need = patches.peak_bytes(image=True)
    capacity = float(np.min(machine.homes(weights=False)[0].capacity_bytes))
    return MemoryPlan(
        graph, order, options, weight_bytes, {c: peak(graph, order, c) for c in CONVENTIONS}, arenas,
        fit(machine, Footprint(weight_bytes, weight_bytes, float(need), 0.0)), capacity, reordering, patches,
        None if patches or need <= capacity else suggest(graph, order, capacity),
    )  # fmt: skip
