"""The numeric part of a hardware spec: what cost formulas read. Every field is a scalar or an array of design points.

Arrays of design points have shape (n_points, 1), so that they broadcast against columns of shape (n_kernels,).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from operator import is_
from types import MappingProxyType

import numpy as np

from simulator.errors import PrecisionError
from simulator.machine.defaults import default_energies
from simulator.machine.figures import Figure, Number
from simulator.machine.geometry import Shape, shape_of
from simulator.machine.spec import Engine, HardwareSpec, Memory, Rate

# what a machine without a native rate computes in instead: the next wider type that holds every value
_WIDER: Mapping[str, tuple[str, ...]] = {
    "int4": ("int8", "int16", "fp16", "fp32"),
    "int8": ("int16", "fp16", "fp32"),
    "int16": ("fp32",),
    "fp8": ("fp16", "bf16", "fp32"),
    "fp16": ("fp32",),
    "bf16": ("fp32",),
    "tf32": ("fp32",),
    "fp32": ("fp64",),
    "fp64": (),
}
_WIDEST_FIRST = ("fp64", "fp32", "tf32", "bf16", "fp16", "int16", "fp8", "int8", "int4")
SPECIAL_SHARE = 0.25  # of the fp32 vector rate, where the spec says nothing: 16 to 64 lanes in GV100 and GA100
_VECTOR_FROM = ("fp32", "fp16", "bf16", "int8", "int16", "tf32", "fp8", "int4", "fp64")


@dataclass(frozen=True, slots=True)
class EngineParams:
    """Rates at the highest clock, by element type; `sustained` is the share of it that is kept under load, `even_split`
    the share of that which is left when work is split evenly over unlike units. `sparsity` are multiples of `macs_per_s` by
    pattern of zeros among the weights, then by element type.
    """

    id: str
    kind: str
    macs_per_s: Mapping[str, Number]
    vector_ops_per_s: Mapping[str, Number]
    special_ops_per_s: Number
    sustained: Number
    achieved: Mapping[str, Number]
    j_per_mac: Mapping[str, Number]
    j_per_vector_op: Mapping[str, Number]
    units: Number
    clock_hz: Number | None
    shape: Shape
    memories: tuple[str, ...] = ()  # ids of those it works from; empty: all
    even_split: Number = 1.0
    overlap: Number = 0.0
    sparsity: Mapping[str, Mapping[str, Number]] = field(default_factory=lambda: MappingProxyType({}))

    def native(self, rate: str) -> str | None:
        """The rate a kernel of element type `rate` runs at: its own or the next wider one; None without any."""
        return _native(self.macs_per_s, rate)

    def sparse_factor(self, pattern: str, rate: str) -> Number:
        """Multiple of the peak that MACs reach whose weights have this pattern of zeros; 1 where the engine has no use for it."""
        return self.sparsity.get(pattern, {}).get(self.native(rate) or rate, 1.0)

    def native_vector(self, rate: str) -> str | None:
        """The same for vector operations."""
        return _native(self.vector_ops_per_s, rate)

    def vector_rate(self, rate: str) -> Number:
        """Vector operations per second for an element type: its own rate, the next wider one's, else the widest there is."""
        return _vector_rate(self.vector_ops_per_s, rate)


@dataclass(frozen=True, slots=True)
class MemoryParams:
    """One level or link: rates in bytes per second, capacity in bytes (infinite where the spec gives none)."""

    id: str
    kind: str
    read_bytes_per_s: Number
    write_bytes_per_s: Number
    capacity_bytes: Number
    achieved: Number | None
    latency_s: Number
    read_j_per_byte: Number | None
    write_j_per_byte: Number | None
    holds_weights: bool
    holds_activations: bool
    is_staging: bool
    double_buffer_bytes: Number | None = None
    burst_bytes: Number = 1.0
    holds_boundary: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """All numbers of a machine. Memories run from the innermost outward.

    `default_j` are the energies that stand in for figures its file leaves out, by their path in it. `whole_weights`: memories
    further in hold all weights or none, never a part of them (cost/pipeline.py). `activations_pass`: activations leave weights
    all the room there, for software can stream an image through in rows.
    """

    id: str
    engines: tuple[EngineParams, ...]
    memories: tuple[MemoryParams, ...]
    static_w: Number | None
    active_w: Number | None
    inference_overhead_s: Number
    clock_hz: Number | None
    default_j: Mapping[str, Number] = field(default_factory=lambda: MappingProxyType({}))
    whole_weights: bool = False
    activations_pass: bool = False

    def homes(self, weights: bool) -> tuple[MemoryParams, ...]:
        """Memories that hold weights (or activations), the innermost first; the outermost level if none says so."""
        found = tuple(m for m in self.memories if (m.holds_weights if weights else m.holds_activations))
        return found or self.memories[-1:]

    def seen_by(self, engine: EngineParams) -> "Machine":
        """The machine with no memories but those that an engine works from."""
        if not engine.memories:
            return self
        return replace(self, memories=tuple(m for m in self.memories if m.id in engine.memories))

    def link_of(self, engine: EngineParams) -> MemoryParams | None:
        """The link that an engine's data comes over; None where it works from the memory that holds the data."""
        return next((m for m in self.seen_by(engine).memories if m.kind == "link"), None)


def engines_of(placement: Sequence[EngineParams]) -> dict[str, EngineParams]:
    """The engines that a placement uses, by id. Most use one, and this is asked for often."""
    if placement and all(map(is_, placement, repeat(placement[0]))):
        return {placement[0].id: placement[0]}
    return {engine.id: engine for engine in placement}


def machine_of(spec: HardwareSpec) -> Machine:
    """The numbers of a spec."""
    clocks = [e.clock.value for e in spec.engines if e.clock]
    defaults = default_energies(spec)
    held = {data for memory in spec.memories for data in memory.holds}
    home = None if held >= {"weights", "activations"} else spec.memories[-1]  # of what no memory says it holds
    return Machine(
        id=spec.id,
        engines=tuple(_engine(e, defaults) for e in spec.engines),
        memories=tuple(_memory(m, defaults, staging=m.is_staging and m is not home) for m in spec.memories),
        static_w=_optional(spec.power.static),
        active_w=_optional(spec.power.active),
        inference_overhead_s=spec.overheads.inference.value if spec.overheads.inference else 0.0,
        clock_hz=clocks[0] if clocks else None,
        default_j=defaults,
    )


def _native(rates: Mapping[str, Number], rate: str) -> str | None:
    return next((r for r in (rate, *_WIDER[rate]) if r in rates), None)


def _vector_rate(rates: Mapping[str, Number], rate: str) -> Number:
    name = _native(rates, rate) or next((r for r in _WIDEST_FIRST if r in rates), None)
    assert name is not None, "an engine has at least one vector rate"
    return rates[name]


def _optional(figure: Figure | None) -> float | None:
    return figure.value if figure else None


def _energies(given: Mapping[Rate, Figure], defaults: Mapping[str, Number], path: str) -> dict[str, Number]:
    """Energies by element type: those of the file, else the defaults under `path`."""
    assumed: dict[str, Number] = {p.removeprefix(path): value for p, value in defaults.items() if p.startswith(path)}
    return assumed | {rate: figure.value for rate, figure in given.items()}


def _engine(engine: Engine, defaults: Mapping[str, Number]) -> EngineParams:
    clock = engine.clock.value if engine.clock else None
    peaks: dict[str, Number] = {rate: figure.rate(clock) for rate, figure in engine.peak.items()}
    vector: dict[str, Number] = {rate: figure.rate(clock) for rate, figure in engine.vector.items()}
    if not vector:  # one lane operation in the place of one MAC
        rate = next(r for r in _VECTOR_FROM if r in peaks)
        vector = {rate: peaks[rate]}
    special = engine.special.rate(clock) if engine.special else SPECIAL_SHARE * _vector_rate(vector, "fp32")
    sustained = engine.sustained_clock.value / clock if engine.sustained_clock and clock is not None else 1.0
    return EngineParams(
        engine.id, engine.kind, peaks, vector, special, sustained,
        {r: f.value for r, f in engine.achieved.items()},
        _energies(engine.energy.mac, defaults, f"engines.{engine.id}.energy.mac."),
        _energies(engine.energy.vector, defaults, f"engines.{engine.id}.energy.vector."),
        engine.units.value if engine.units else 1.0, clock, shape_of(engine.geometry), engine.memories,
        engine.even_split.value if engine.even_split else 1.0,
        engine.overlap.value if engine.overlap else 0.0,
        {pattern: {r: f.value for r, f in factors.items()} for pattern, factors in engine.sparsity.items()},
    )  # fmt: skip


def _memory(memory: Memory, defaults: Mapping[str, Number], *, staging: bool) -> MemoryParams:
    clock = memory.clock.value if memory.clock else None
    energy, default = memory.energy, defaults.get(f"memories.{memory.id}.energy.read")
    return MemoryParams(
        memory.id, memory.kind, memory.read.rate(clock), memory.write.rate(clock),
        memory.capacity.value if memory.capacity else np.inf, _optional(memory.achieved),
        memory.latency.seconds(clock) if memory.latency else 0.0,
        energy.read.value if energy else default, (energy.write or energy.read).value if energy else default,
        "weights" in memory.holds, "activations" in memory.holds, staging, _optional(memory.double_buffer),
        memory.burst.value if memory.burst else 1.0, "boundary" in memory.holds,
    )  # fmt: skip


def require_rate(machine: Machine, rates: Iterable[str], asked: str | None) -> dict[str, str]:
    """For each element type the one it is computed in; PrecisionError where the machine has none.

    Returns:
        Only those that differ: {"int4": "int8"}.
    """
    widened = {}
    for rate in dict.fromkeys(rates):
        native = any(rate in e.macs_per_s for e in machine.engines)
        found = rate if native else next((n for e in machine.engines if (n := e.native(rate))), None)
        if found is None:
            has = ", ".join(dict.fromkeys(r for e in machine.engines for r in e.macs_per_s))
            how = f"--precision {asked} asks for it" if asked else "the model computes in it"
            hint = f"try --precision {has.split(', ')[0]}"
            raise PrecisionError(f"{machine.id} has no {rate} rate, and {how}; it has {has} ({hint})")
        if found != rate:
            widened[rate] = found
    return widened
