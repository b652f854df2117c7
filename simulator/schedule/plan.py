"""The memory plan: what each memory must hold, where every activation lies, and what would take less."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.machine.params import EngineParams, Machine
from simulator.schedule.arena import HEURISTICS, Arena, arena
from simulator.schedule.conventions import CONVENTIONS, IN_PLACE, NO_ALIASING, Aliasing, Convention, Peak, Stay, buffers, peak
from simulator.schedule.memory import Fit, fit, together
from simulator.schedule.patches import PatchPlan, patch_plan, suggest
from simulator.schedule.reorder import STATES, Reordering, reorder, reordered
from simulator.schedule.residence import Crossing, Place, places_of, residence
from simulator.workload import Footprint, footprint

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
class PlacePlan:
    """What lives in the memories that some engines share; bytes of one run of the whole batch.

    Of the `memories`, `memory` is the innermost that holds activations, of `capacity_bytes`; `here` are the kernels that run
    there, `peaks` go by the three conventions and `arenas` by convention and heuristic. `weight_bytes` are those of the
    weights that these kernels read.
    """

    engines: tuple[str, ...]
    memories: tuple[str, ...]
    memory: str
    here: frozenset[int]
    weight_bytes: float
    capacity_bytes: float
    peaks: Mapping[Convention, Peak]
    arenas: Mapping[Convention, Mapping[str, Arena]]

    def best(self, convention: Convention) -> Arena:
        """The smallest arena under a convention; the simpler heuristic where equal."""
        return min(self.arenas[convention].values(), key=lambda a: a.size_bytes)


@dataclass(frozen=True)
class MemoryPlan:
    """What a network needs of a machine's memories; bytes of one run of the whole batch.

    `kernels` in the order planned, a plan for each of the `places` whose engines run any of them, and what crosses between
    these. `fits` sets what the liveness arenas (or, with `patches`, the peak with the whole image held) and the weights
    need against the capacities. `reordering` is applied where `reorder` was asked for, else what it would give. Where
    the activations are too large for the innermost memory that holds them, `suggestion` is the cheapest patch stage that
    would fit; there are patches only where all kernels run in one place.
    """

    graph: Graph
    kernels: tuple[Kernel, ...]
    options: PlanOptions
    places: tuple[PlacePlan, ...]
    crossings: tuple[Crossing, ...]
    fits: tuple[Fit, ...]
    reordering: Reordering
    patches: PatchPlan | None
    suggestion: PatchPlan | None

    @property
    def fit_all(self) -> bool:
        """Whether every memory holds what it must."""
        return all(f.fits for f in self.fits)

    @property
    def peaks(self) -> Mapping[Convention, Peak]:
        """The peaks in the first place."""
        return self.places[0].peaks

    @property
    def arenas(self) -> Mapping[Convention, Mapping[str, Arena]]:
        """The arenas of the first place."""
        return self.places[0].arenas

    @property
    def capacity_bytes(self) -> float:
        """Of the innermost memory that holds activations, in the first place."""
        return self.places[0].capacity_bytes

    @property
    def weight_bytes(self) -> float:
        """Weights of the kernels in the first place."""
        return self.places[0].weight_bytes

    @property
    def activation_bytes(self) -> int:
        """What activations need in the first place: the smallest arena found for liveness, or the peak with patches."""
        return self.patches.peak_bytes(image=True) if self.patches else self.best("liveness").size_bytes

    def best(self, convention: Convention) -> Arena:
        """The smallest arena of the first place under a convention."""
        return self.places[0].best(convention)


def plan_memory(
    graph: Graph,
    kernels: Sequence[Kernel],
    machine: Machine,
    weight_bytes: float,
    options: PlanOptions = PlanOptions(),
    engines: Sequence[EngineParams] = (),
) -> MemoryPlan:
    """Plan the memory of a network's kernels on a machine, `weight_bytes` of all its weights beside the activations.

    `engines` runs each kernel; empty: the machine's first runs all.

    Raises:
        UsageError: patches that the network does not allow (NotLocalError) or of kernels that run in several places, or
            an alignment below 1 or above 1 GiB.
    """
    places = places_of(machine, engines)
    if options.patches and len(places) > 1:
        raise UsageError(_no_patches(places))
    quick = _QUICK_STATES if len(kernels) <= _QUICK_KERNELS else 0
    reordering = reorder(graph, kernels, STATES if options.reorder else quick)
    positions = reordering.order if options.reorder else tuple(range(len(kernels)))
    order = reordered(kernels, reordering) if options.reorder else tuple(kernels)
    where = [_place_of(places, engines[i].id) if engines else 0 for i in positions]
    stays, crossings = residence(graph, order, places, where)
    weights = [weight_bytes] if len(places) == 1 else [_weight_bytes(graph, order, stay) for stay in stays]
    plans = tuple(
        _planned(graph, order, place, stay, held, options.alignment_bytes)
        for place, stay, held in zip(places, stays, weights, strict=True)
    )
    patches = patch_plan(graph, order, *options.patches) if options.patches else None
    needs = [float(plan.best("liveness").size_bytes) for plan in plans]
    if patches:
        needs = [float(patches.peak_bytes(image=True))]
    fits = together(f for place, plan, need in zip(places, plans, needs, strict=True) for f in _fit(place, plan, need))
    wants_patches = len(plans) == 1 and not patches and needs[0] > plans[0].capacity_bytes
    suggestion = suggest(graph, order, plans[0].capacity_bytes) if wants_patches else None
    return MemoryPlan(graph, order, options, plans, crossings, fits, reordering, patches, suggestion)


def _no_patches(places: Sequence[Place]) -> str:
    homes = ", ".join(f"{' and '.join(p.engines)} in {p.memory}" for p in places)
    return f"patches need all activations in one place, and these live in several: {homes}"


def _place_of(places: Sequence[Place], engine: str) -> int:
    return next(i for i, place in enumerate(places) if engine in place.engines)


def _weight_bytes(graph: Graph, kernels: Sequence[Kernel], stay: Stay) -> float:
    """Weights that the kernels of a place read, each once."""
    return footprint(graph, [kernels[i] for i in sorted(stay.here)], 0.0).weight_bytes


def _planned(
    graph: Graph, kernels: Sequence[Kernel], place: Place, stay: Stay, weight_bytes: float, alignment_bytes: int
) -> PlacePlan:
    """Peaks and arenas of what lives in one place."""
    arenas = {
        convention: {h: arena(buffers(graph, kernels, aliasing, stay), h, alignment_bytes) for h in HEURISTICS}
        for convention, aliasing in ALIASINGS.items()
    }
    capacity = float(np.min(place.machine.homes(weights=False)[0].capacity_bytes))
    peaks = {c: peak(graph, kernels, c, stay) for c in CONVENTIONS}
    memories = tuple(m.id for m in place.machine.memories)
    return PlacePlan(place.engines, memories, place.memory, stay.here, weight_bytes, capacity, peaks, arenas)


def _fit(place: Place, plan: PlacePlan, need_bytes: float) -> tuple[Fit, ...]:
    return fit(place.machine, Footprint(plan.weight_bytes, plan.weight_bytes, need_bytes, 0.0))
