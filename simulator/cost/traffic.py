"""Data movement: how many bytes cross which level of memory, and how long that takes.

Data lives in a home (docs/hardware.md: `holds`) and crosses every cache and staging memory between its home and the
engine. What these still hold from its last use does not cross what lies behind them.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.cost.missed import all_missed
from simulator.cost.tiling import Dataflow, compulsory_words, dataflows, flash_attention_words, gemm_words
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.ops.work import CONVOLUTIONS, Kind
from simulator.reuse import Touches
from simulator.workload import Footprint, WorkTable

Array = NDArray[np.float64]
Moved = Mapping[str, tuple[Array, Array]]  # memory id → bytes read, bytes written, each (..., n_kernels)
_TILED = CONVOLUTIONS | {Kind.GEMM, Kind.BATCHED_GEMM}


@dataclass(frozen=True)
class Flow:
    """Bytes of one kind of data on its way from its home to the engine, by level from the innermost outward.

    `crossing` bytes pass the level; all but the next level's come from it. `written` flows go the other way.
    """

    levels: tuple[MemoryParams, ...]
    crossing: tuple[Array, ...]
    weights: bool = False
    written: bool = False

    def served(self) -> Iterator[tuple[MemoryParams, Array]]:
        """For every level the bytes that it had itself."""
        for place, level in enumerate(self.levels):
            yield level, self.crossing[place] - sum(self.crossing[place + 1 : place + 2], np.zeros(()))

    def without(self, outside: Container[str]) -> "Flow":
        """The flow if nothing came from the memories `outside`."""
        pairs = zip(self.levels, self.crossing, strict=True)
        return replace(self, crossing=tuple(np.zeros_like(c) if level.id in outside else c for level, c in pairs))


def home_bytes(work: WorkTable, machine: Machine) -> Moved:
    """Compulsory traffic of the homes, nothing held elsewhere: every kernel reads its operands and writes its results once.

    Weights and activations live in the innermost memory that holds them. What does not fit there lives in the next one
    out, and crosses those further in; its share is the same for every kernel.
    """
    zero = np.zeros(len(work))
    outside: dict[bool, Number] = {True: 1.0, False: 1.0}  # weights, activations: share that lives here or further out
    result: dict[str, tuple[Array, Array]] = {}
    for memory, weights, activations in placed_shares(work.footprint, machine):
        read = zero + work.weight_bytes * (outside[True] if memory in machine.homes(weights=True) else 0.0)
        crosses = outside[False] if memory in machine.homes(weights=False) else 0.0
        result[memory.id] = (read + work.input_bytes * crosses, zero + work.output_bytes * crosses)
        outside = {True: outside[True] - weights, False: outside[False] - activations}
    return result


def placed_shares(touched: Footprint, machine: Machine) -> list[tuple[MemoryParams, Number, Number]]:
    """For each memory the shares of all weights and of all activations that live in it, activations first.

    Activations cannot be streamed, so they take the room they need; the outermost home takes what is left. With
    `whole_weights`, a memory takes all weights or none; with `activations_pass`, activations leave weights all the room.
    """
    weight_homes, activation_homes = machine.homes(weights=True), machine.homes(weights=False)
    left_weights: Number = 1.0
    left_activations: Number = 1.0
    result: list[tuple[MemoryParams, Number, Number]] = []
    for memory in machine.memories:
        activations = _share(memory, activation_homes, left_activations, memory.capacity_bytes, touched.activation_bytes)
        alive = 0.0 if machine.activations_pass else activations * touched.activation_bytes
        room = np.maximum(memory.capacity_bytes - alive, 0.0)
        weights = _share(memory, weight_homes, left_weights, room, touched.weight_bytes)
        if machine.whole_weights and memory is not weight_homes[-1]:
            weights = np.floor(weights)
        left_activations, left_weights = left_activations - activations, left_weights - weights
        result.append((memory, weights, activations))
    return [(m, w, a) for m, w, a in result if m in weight_homes or m in activation_homes]


def _share(memory: MemoryParams, homes: tuple[MemoryParams, ...], left: Number, room: Number, need: float) -> Number:
    """How much of what is left goes into a memory with `room` bytes, for data of `need` bytes in all."""
    if memory not in homes:
        return 0.0
    return left if memory is homes[-1] else np.minimum(left, room / (need + (need == 0.0)))


# ---- bytes ------------------------------------------------------------------------------------------------------------


def flows(work: WorkTable, machine: Machine, resident_share: Number, *, apart: bool = False) -> tuple[Flow, ...]:
    """Weights, inputs and results of all kernels, and what tiles read again, on their ways.

    `resident_share` is the part of each cache and staging memory in which tensors stay. Weights and inputs are one flow
    where they go the same way, unless they are wanted `apart`.
    """
    placed = {m.id: (weights, activations) for m, weights, activations in placed_shares(work.footprint, machine)}
    weight_shares = {level: weights for level, (weights, _) in placed.items()}
    activation_shares = {level: activations for level, (_, activations) in placed.items()}
    together = not apart and len(placed) == 1 and path(machine, weights=True) == path(machine, weights=False)
    reads = ((work.operands.reads, weight_shares, True, False),) if together else (
        (work.operands.weights, weight_shares, True, False), (work.operands.inputs, activation_shares, False, False),
    )  # fmt: skip
    parts = (*reads, (work.operands.outputs, activation_shares, False, True))
    found = []
    for touches, shares, weights, written in parts:
        levels = path(machine, weights=weights)
        found.append(Flow(levels, _crossing(len(work), touches, levels, shares, resident_share), weights, written))
    again = _reread(work, machine)
    return (*found, again) if apart or any(crossing.any() for crossing in again.crossing) else tuple(found)


def path(machine: Machine, *, weights: bool) -> tuple[MemoryParams, ...]:
    """The levels that weights (or activations) cross, from the engine to their outermost home."""
    homes = machine.homes(weights)
    outermost = machine.memories.index(homes[-1])
    return tuple(m for m in machine.memories[: outermost + 1] if m in homes or m.is_staging)


def _crossing(
    count: int, touches: Touches, levels: tuple[MemoryParams, ...], placed: Mapping[str, Number], resident_share: Number
) -> tuple[Array, ...]:
    """Bytes that cross each level: those that no level further in holds."""
    missed = all_missed(count, touches, levels, resident_share)
    outside: Number = 1.0
    result = []
    for level in levels:
        crossing = missed.by_kernel()
        result.append(crossing if isinstance(outside, float) and outside == 1.0 else crossing * outside)
        if level.id in placed:
            outside = outside - placed[level.id]
        elif level is not levels[-1]:
            missed = missed.behind(level)
    return tuple(result)


def _reread(work: WorkTable, machine: Machine) -> Flow:
    """What kernels read again because their tiles must fit the memories further in; it crosses these on its way."""
    levels = tiled_levels(machine)
    crossing = [reread_bytes(work, inside) for _, inside in levels]
    for place in reversed(range(len(crossing) - 1)):
        crossing[place] = np.maximum(crossing[place], crossing[place + 1])
    return Flow(tuple(level for level, _ in levels), tuple(crossing))


def tiled_levels(machine: Machine) -> list[tuple[MemoryParams, Number]]:
    """Levels that weights and activations cross alike, each with the bytes that tiles must fit to spare it."""
    found: list[tuple[MemoryParams, Number]] = []
    inside: Number = np.inf
    for level in path(machine, weights=False):
        if level in path(machine, weights=True):
            found.append((level, inside))
            inside = level.capacity_bytes if inside is np.inf else np.maximum(inside, level.capacity_bytes)
    return found


def reread_bytes(work: WorkTable, capacity_bytes: Number) -> Array:
    """Bytes beyond the compulsory ones when tiles of a product must fit `capacity_bytes`: the best of three dataflows.

    Source: cost/tiling.py. Kernels that fit as a whole read nothing again.
    """
    m, n, k, groups = work.gemm.T
    whole = compulsory_words(m, n, k, groups, work.input_words) * work.element_bytes
    large = np.flatnonzero(whole > np.min(capacity_bytes))
    if not len(large):
        return np.zeros(len(work))
    result = np.zeros((*np.shape(capacity_bytes)[:-1], len(work)))
    rows = (m[large], n[large], k[large], groups[large])
    words = capacity_bytes / work.element_bytes[large]
    image = work.input_words[large]
    products = gemm_words(*rows, words, image) - compulsory_words(*rows, image)
    heads = (rows[0], rows[1], rows[2], rows[3], rows[3])
    scores = flash_attention_words(*heads, words) - flash_attention_words(*heads, np.inf)
    kinds = [work.kinds[i] for i in large]
    extra = np.where([kind in _TILED for kind in kinds], products, 0.0)
    extra = np.where([kind is Kind.ATTENTION for kind in kinds], scores, extra)
    result[..., large] = np.maximum(extra, 0.0) * work.element_bytes[large]
    return result


def tiles_of(work: WorkTable, row: int, capacity_bytes: Number) -> Dataflow:
    """The dataflow that `reread_bytes` takes for the product of one kernel."""
    m, n, k, groups = work.gemm[row]
    found = dataflows(m, n, k, groups, capacity_bytes / work.element_bytes[row], work.input_words[row])
    return min(found, key=lambda flow: float(np.min(flow.words)))


# ---- rates ------------------------------------------------------------------------------------------------------------


def moved_bytes(found: Sequence[Flow], count: int) -> Moved:
    """Bytes read from and written to each level."""
    sums: dict[tuple[str, bool], Array] = {}
    for flow in found:
        for level, crossing in zip(flow.levels, flow.crossing, strict=True):
            key = (level.id, flow.written)
            sums[key] = sums[key] + crossing if key in sums else crossing
    zero = np.zeros(count)
    levels = dict.fromkeys(level for level, _ in sums)
    return {level: (sums.get((level, False), zero), sums.get((level, True), zero)) for level in levels}


def achieved_rates(
    machine: Machine, limits: Limits, bandwidth_share: Number, streaming: Number
) -> dict[str, tuple[Number, Number]]:
    """B/s read and written that each level reaches: its own measured share, else the runtime's; `streaming` of that.

    A level that others are read through is at least as fast as they are.
    """
    result: dict[str, tuple[Number, Number]] = {}
    for memory in machine.memories:
        share = bandwidth_share if memory.achieved is None or not limits.measured else memory.achieved
        share = share * streaming
        result[memory.id] = (memory.read_bytes_per_s * share, memory.write_bytes_per_s * share)
    return with_read_through(machine, result)


def with_read_through(machine: Machine, rates: dict[str, tuple[Number, Number]]) -> dict[str, tuple[Number, Number]]:
    """Rates by level, read and written, each at least those of the levels that are read through it."""
    result = dict(rates)
    for weights in (True, False):
        levels = path(machine, weights=weights)
        for inner, outer in zip(reversed(levels[:-1]), reversed(levels), strict=False):
            pairs = zip(result[inner.id], result[outer.id], strict=True)
            read, written = (np.maximum(own, through) for own, through in pairs)
            result[inner.id] = (read, written)
    return result
