"""Data movement: how many bytes cross which level of memory, and how long that takes.

Data lives in a home (docs/hardware.md: `holds`) and crosses every cache and staging memory between its home and the
engine. What these still hold from its last use does not cross what lies behind them.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.cost.tiling import compulsory_words, flash_attention_words, gemm_words
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.ops.work import CONVOLUTIONS, Kind
from simulator.reuse import Touches
from simulator.workload import Footprint, WorkTable

Array = NDArray[np.float64]
Moved = Mapping[str, tuple[Array, Array]]  # memory id → bytes read, bytes written, each (..., n_kernels)
_ROOMY = 1e29  # bytes: room for all but rows that no run touches twice
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

    def without(self, outside: Container[str]) -> "Flow":
        """The flow if nothing came from the memories `outside`."""
        pairs = zip(self.levels, self.crossing, strict=True)
        return replace(self, crossing=tuple(np.zeros_like(c) if level.id in outside else c for level, c in pairs))

    def served(self) -> Iterator[tuple[MemoryParams, Array]]:
        """For every level the bytes that it had itself."""
        for place, level in enumerate(self.levels):
            beyond = self.crossing[place + 1] if place + 1 < len(self.crossing) else 0.0
            yield level, self.crossing[place] - beyond


@dataclass(frozen=True)
class Times:
    """Seconds of every kernel: of each level while data crosses it, of the longest, and of all levels one after the other.

    One after the other means from the level that has a byte to the engine, so no byte counts twice.
    """

    by_level: Mapping[str, Array]
    longest: Array
    total: Array

    def combined_s(self, theta: Array) -> Array:
        """The longest level + (1 − θ) · what the others add."""
        return np.asarray(self.longest + (1.0 - theta) * (self.total - self.longest))


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

    Activations cannot be streamed, so they take the room they need; the outermost home takes what is left.
    """
    weight_homes, activation_homes = machine.homes(weights=True), machine.homes(weights=False)
    left_weights: Number = 1.0
    left_activations: Number = 1.0
    result: list[tuple[MemoryParams, Number, Number]] = []
    for memory in machine.memories:
        activations = _share(memory, activation_homes, left_activations, memory.capacity_bytes, touched.activation_bytes)
        room = np.maximum(memory.capacity_bytes - activations * touched.activation_bytes, 0.0)
        weights = _share(memory, weight_homes, left_weights, room, touched.weight_bytes)
        left_activations, left_weights = left_activations - activations, left_weights - weights
        result.append((memory, weights, activations))
    return [(m, w, a) for m, w, a in result if m in weight_homes or m in activation_homes]


def _share(memory: MemoryParams, homes: tuple[MemoryParams, ...], left: Number, room: Number, need: float) -> Number:
    """How much of what is left goes into a memory with `room` bytes, for data of `need` bytes in all."""
    if memory not in homes:
        return 0.0
    return left if memory is homes[-1] else np.minimum(left, room / (need + (need == 0.0)))


# ---- bytes ------------------------------------------------------------------------------------------------------------


def flows(work: WorkTable, machine: Machine, resident_share: Number) -> tuple[Flow, ...]:
    """Weights, inputs and results of all kernels, and what tiles read again, on their ways.

    `resident_share` is the part of each cache and staging memory in which tensors stay, shape (n_kernels,).
    """
    placed = {m.id: (weights, activations) for m, weights, activations in placed_shares(work.footprint, machine)}
    weight_shares = {level: weights for level, (weights, _) in placed.items()}
    activation_shares = {level: activations for level, (_, activations) in placed.items()}
    parts = (
        (work.operands.weights, weight_shares, True, False),
        (work.operands.inputs, activation_shares, False, False),
        (work.operands.outputs, activation_shares, False, True),
    )
    found = []
    for touches, shares, weights, written in parts:
        levels = path(machine, weights=weights)
        found.append(Flow(levels, _crossing(len(work), touches, levels, shares, resident_share), weights, written))
    return (*found, _reread(work, machine))


def path(machine: Machine, *, weights: bool) -> tuple[MemoryParams, ...]:
    """The levels that weights (or activations) cross, from the engine to their outermost home."""
    homes = machine.homes(weights)
    outermost = machine.memories.index(homes[-1])
    return tuple(m for m in machine.memories[: outermost + 1] if m in homes or m.is_staging)


def _crossing(
    count: int, touches: Touches, levels: tuple[MemoryParams, ...], placed: Mapping[str, Number], resident_share: Number
) -> tuple[Array, ...]:
    """Bytes that cross each level: those that no level further in holds, LRU levels including one another."""
    share = np.repeat(np.broadcast_to(resident_share, count)[touches.kernels], _lengths(touches))
    missed: Number = 1.0
    outside: Number = 1.0
    result = []
    for level in levels:
        result.append(_by_kernel(count, touches, touches.bytes * missed * outside))
        if level.id in placed:
            outside = outside - placed[level.id]
        else:
            missed = np.minimum(missed, 1.0 - held_share(touches.distance_bytes, level, share))
    return tuple(result)


def held_share(distance_bytes: Array, level: MemoryParams, resident_share: Array) -> Array:
    """Share of a tensor that a level still has after `distance_bytes` of other data have passed.

    Software that manages a scratchpad keeps capacity / distance of everything. A cache drops what is oldest: all of it
    at 1.5 times its room, none below half, for sets fill unevenly and code of several threads does not run in step.
    """
    room = np.minimum(level.capacity_bytes, _ROOMY) * resident_share
    if level.kind == "cache":
        return np.clip(1.5 - distance_bytes / np.maximum(room, 1e-30), 0.0, 1.0)
    return np.minimum(room / np.maximum(distance_bytes, 1e-30), 1.0)


def _lengths(touches: Touches) -> NDArray[np.intp]:
    return np.diff(touches.starts, append=len(touches.bytes))


def _by_kernel(count: int, touches: Touches, values: Array) -> Array:
    """Sums over the touches of every kernel."""
    result = np.zeros((*values.shape[:-1], count))
    if len(touches.kernels):
        result[..., touches.kernels] = np.add.reduceat(values, touches.starts, axis=-1)
    return result


def _reread(work: WorkTable, machine: Machine) -> Flow:
    """What kernels read again because their tiles must fit the memories further in; it crosses these on its way."""
    levels = tuple(m for m in path(machine, weights=False) if m in path(machine, weights=True))
    crossing: list[Array] = []
    inside: Number = np.inf
    for level in levels:
        crossing.append(reread_bytes(work, inside))
        inside = level.capacity_bytes if inside is np.inf else np.maximum(inside, level.capacity_bytes)
    for place in reversed(range(len(crossing) - 1)):
        crossing[place] = np.maximum(crossing[place], crossing[place + 1])
    return Flow(levels, tuple(crossing))


def reread_bytes(work: WorkTable, capacity_bytes: Number) -> Array:
    """Bytes beyond the compulsory ones when tiles of a product must fit `capacity_bytes`: the best of three dataflows.

    Source: cost/tiling.py. Kernels that fit as a whole read nothing again.
    """
    m, n, k, groups = work.gemm.T
    whole = compulsory_words(m, n, k, groups, work.input_words) * work.element_bytes
    large = np.flatnonzero(whole > np.min(capacity_bytes))
    shape = np.shape(capacity_bytes)[:-1]
    result = np.zeros((*shape, len(work)))
    if not len(large):
        return result
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


# ---- time -------------------------------------------------------------------------------------------------------------


def moved_bytes(found: Sequence[Flow], count: int) -> Moved:
    """Bytes read from and written to each level."""
    read: dict[str, Array] = {}
    written: dict[str, Array] = {}
    for flow in found:
        for level, crossing in zip(flow.levels, flow.crossing, strict=True):
            into, other = (written, read) if flow.written else (read, written)
            into[level.id] = into.get(level.id, np.zeros(count)) + crossing
            other.setdefault(level.id, np.zeros(count))
    return {level: (read[level], written[level]) for level in read}


def memory_times(found: Sequence[Flow], rates: Mapping[str, tuple[Number, Number]], shown: Mapping[str, Number]) -> Times:
    """Seconds of the levels: bytes over the rates that are reached, times the share of it that shows.

    `rates` are B/s read and written by level, `shown` the share of a level's time that does not hide behind arithmetic.
    """
    by_level: dict[str, Array] = {}
    total: Array | float = 0.0
    for flow in found:
        for (level, served), crossing in zip(flow.served(), flow.crossing, strict=True):
            per_byte = shown[level.id] / rates[level.id][flow.written]
            by_level[level.id] = by_level.get(level.id, 0.0) + crossing * per_byte
            total = total + served * per_byte
    longest = reduce(np.maximum, by_level.values())
    return Times(by_level, longest, np.maximum(total, longest))


def achieved_rates(machine: Machine, limits: Limits, bandwidth_share: Number) -> dict[str, tuple[Number, Number]]:
    """B/s read and written that each level reaches: its own measured share, else the runtime's.

    A level that others are read through is at least as fast as they are.
    """
    result: dict[str, tuple[Number, Number]] = {}
    for memory in machine.memories:
        share = bandwidth_share if memory.achieved is None or not limits.measured else memory.achieved
        result[memory.id] = (memory.read_bytes_per_s * share, memory.write_bytes_per_s * share)
    for weights in (True, False):
        levels = path(machine, weights=weights)
        for inner, outer in zip(reversed(levels[:-1]), reversed(levels), strict=False):
            pairs = zip(result[inner.id], result[outer.id], strict=True)
            read, written = (np.maximum(own, through) for own, through in pairs)
            result[inner.id] = (read, written)
    return result
