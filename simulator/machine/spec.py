"""The hardware file: what a machine is, as its data sheet says it.

Every figure may be written plainly (`bandwidth: 3.35 TB/s`) or with its provenance
(`bandwidth: {value: 3.35 TB/s, kind: datasheet, source: nvidia-h100-ds}`). docs/hardware.md explains every field.
"""

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.errors import did_you_mean
from simulator.machine import figures as f
from simulator.machine.figures import Figure
from simulator.machine.geometry import Geometry
from simulator.ops.registry import all_rules

SCHEMA = 1
HardwareClass = Literal["cpu", "gpu", "tpu", "npu", "mcu", "fpga"]
EngineKind = Literal["tensor", "systolic", "simd", "scalar", "npu", "dpu"]
MemoryKind = Literal["registers", "scratchpad", "cache", "dram", "flash", "link"]
Data = Literal["weights", "activations", "boundary"]
# names of element types on the compute side, widest last: what a missing rate falls back to, see params.py
Rate = Literal["int4", "int8", "int16", "fp8", "fp16", "bf16", "tf32", "fp32", "fp64"]
Pattern = Literal["2:4"]  # of zeros among the weights that engines have a rate for
PATTERNS: Final[tuple[Pattern, ...]] = ("2:4",)
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Limit = Annotated[int, Field(ge=1)]
Conflict = tuple[str, bool | NDArray[np.bool_]]  # a fault, and whether it is there; with columns, at which design points
_SUSTAINED_ABOVE: Final = "sustained_clock needs a clock that is not lower"
_OUTWARD: Final = "levels are listed from the innermost outward"


class Strict(BaseModel):
    """Base of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    def figures(self, prefix: str = "") -> Iterator[tuple[str, Figure]]:
        """Every figure of this section with its path: `memories.dram.bandwidth`."""
        for name in type(self).model_fields:
            yield from _figures(getattr(self, name), f"{prefix}{name}")


def _figures(value: object, path: str) -> Iterator[tuple[str, Figure]]:
    if value is None or isinstance(value, str):  # most of what there is
        return
    if isinstance(value, Figure):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _figures(item, f"{path}.{key}")
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _figures(item, f"{path}.{getattr(item, 'id', '')}")
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _figures(getattr(value, name), f"{path}.{name}")


class EngineEnergy(Strict):
    """Energy of one operation, by element type."""

    mac: dict[Rate, f.JoulesPerMac] = {}
    vector: dict[Rate, f.JoulesPerOp] = {}


class Supports(Strict):
    """What an engine runs, as its maker lists it; a field left out limits nothing.

    `operators` are ONNX types, `dtypes` the element types they compute in. `constant_weights`: matrix products and
    convolutions of two activations are left out. `max_kernel` and `max_pool` bound the window of convolutions and pools
    along an axis, `max_stride` and `max_channels` theirs, `max_batch` the leading dimension of tensors of four or more.
    """

    operators: tuple[str, ...] = ()
    dtypes: tuple[Rate, ...] = ()
    constant_weights: bool = False
    max_kernel: Limit | None = None
    max_pool: Limit | None = None
    max_stride: Limit | None = None
    max_channels: Limit | None = None
    max_batch: Limit | None = None
    max_rank: Limit | None = None
    source: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.operators:
            known = {f"{r.domain}:{r.op_type}" if r.domain else r.op_type for r in all_rules()}
            faults = [f"no operator '{name}'{did_you_mean(name, known)}" for name in self.operators if name not in known]
            if faults:
                raise ValueError("; ".join(faults))
        return self


class Engine(Strict):
    """What computes: matrix products at `peak`, other arithmetic at `vector`, special functions at `special`.

    `geometry` is what a kernel must fill to reach the peak. `clock` is the highest the part reaches, which its peaks
    refer to; `sustained_clock` what it keeps under load; `even_split`, where its units are of several kinds, the share of
    the peak that work in equal parts reaches, for it ends with the slowest; `overlap` the share of the time of loads that it
    works through whatever the code (a data cache that fills while the core goes on). `supports` is what it runs (left out: all),
    `memories` the ids of those it works from (left out: all). `sparsity` has for each pattern of zeros among the weights how many
    times the peak of an element type is reached then.
    """

    id: Identifier
    kind: EngineKind
    name: str | None = None
    units: f.Whole | None = None
    clock: f.Hertz | None = None
    sustained_clock: f.Hertz | None = None
    even_split: f.Fraction | None = None
    overlap: f.Fraction | None = None
    peak: dict[Rate, f.MacsPerS] = Field(min_length=1)
    vector: dict[Rate, f.OpsPerS] = {}
    special: f.OpsPerS | None = None
    achieved: dict[Rate, f.Ratio] = {}
    sparsity: dict[Pattern, dict[Rate, f.Ratio]] = {}
    geometry: Geometry | None = None
    energy: EngineEnergy = EngineEnergy()
    supports: Supports | None = None
    memories: tuple[Identifier, ...] = ()

    @model_validator(mode="after")
    def _clocks(self) -> Self:
        rates = [*self.peak.values(), *self.vector.values(), *([self.special] if self.special else [])]
        if self.clock is None and any(rate.per_cycle for rate in rates):
            raise ValueError(f"engine '{self.id}' has rates per cycle, but no clock")
        if self.sustained_clock and (self.clock is None or self.conflicts[0][1]):
            raise ValueError(f"engine '{self.id}': {_SUSTAINED_ABOVE}")
        for name, share in (("even_split", self.even_split), ("overlap", self.overlap)):
            if share is not None and share.value > 1:
                raise ValueError(f"engine '{self.id}': {name} is above 1")
        for rate, fraction in self.achieved.items():
            if fraction.value > 1:
                raise ValueError(f"engine '{self.id}': achieved.{rate} is above 1")
        for pattern, factors in self.sparsity.items():
            for rate, factor in factors.items():
                self._check_factor(f"sparsity.{pattern}.{rate}", rate, factor)
        return self

    @property
    def conflicts(self) -> list[Conflict]:
        """What its figures may contradict each other in, and whether they do."""
        if self.sustained_clock is None or self.clock is None:
            return []
        return [(f"engine '{self.id}': {_SUSTAINED_ABOVE}", self.sustained_clock.value > self.clock.value)]

    def _check_factor(self, path: str, rate: str, factor: Figure) -> None:
        if factor.value < 1:
            raise ValueError(f"engine '{self.id}': {path} is below 1: it says how many times the dense peak is reached")
        if rate not in self.peak:
            raise ValueError(f"engine '{self.id}': {path}, but there is no peak of {rate} (it has: {', '.join(self.peak)})")


_PASSED_THROUGH: Final = ("cache", "registers")  # kinds of memory that are nobody's home


class MemoryEnergy(Strict):
    """Energy of moving one byte."""

    read: f.JoulesPerByte
    write: f.JoulesPerByte | None = None


class Memory(Strict):
    """One level of memory, or a link that data is streamed over. Levels are listed from the innermost outward.

    `burst` is the length of a transfer: an engine that works by blocks moves shorter rows in as many bytes. What is the
    `boundary` of the network, its inputs and outputs, lives with other activations where no memory says that it holds it.
    """

    id: Identifier
    kind: MemoryKind
    name: str | None = None
    capacity: f.Bytes | None = None
    bandwidth: f.BytesPerS | None = None
    read_bandwidth: f.BytesPerS | None = None
    write_bandwidth: f.BytesPerS | None = None
    clock: f.Hertz | None = None
    latency: f.Seconds | None = None
    achieved: f.Ratio | None = None
    holds: tuple[Data, ...] = ()
    double_buffer: f.Bytes | None = None
    burst: f.Bytes | None = None
    energy: MemoryEnergy | None = None

    @model_validator(mode="after")
    def _bandwidths(self) -> Self:
        if self.bandwidth is None and self.read_bandwidth is None:
            raise ValueError(f"memory '{self.id}' needs a bandwidth, or a read_bandwidth")
        if self.bandwidth is not None and self.read_bandwidth is not None:
            raise ValueError(f"memory '{self.id}' has both bandwidth and read_bandwidth; give one")
        given = [b for b in (self.bandwidth, self.read_bandwidth, self.write_bandwidth) if b is not None]
        if self.clock is None and any(b.per_cycle for b in given):
            raise ValueError(f"memory '{self.id}' has a bandwidth per cycle, but no clock")
        if self.achieved is not None and self.achieved.value > 1:
            raise ValueError(f"memory '{self.id}': achieved is above 1")
        if self.holds and self.kind in _PASSED_THROUGH:
            raise ValueError(f"memory '{self.id}' of kind {self.kind} keeps what passes through; a scratchpad can hold tensors")
        if "boundary" in self.holds and "activations" not in self.holds:
            raise ValueError(f"memory '{self.id}' holds the network's inputs and outputs (boundary), but no activations")
        for fault, found in self.conflicts:
            if found:
                raise ValueError(fault)
        return self

    @property
    def conflicts(self) -> list[Conflict]:
        """What its figures may contradict each other in, and whether they do."""
        if self.double_buffer is None or self.capacity is None:
            return []
        fault = f"memory '{self.id}': double_buffer is larger than its capacity"
        return [(fault, self.double_buffer.value > self.capacity.value)]

    @property
    def read(self) -> Figure:
        """Read bandwidth."""
        figure = self.read_bandwidth or self.bandwidth
        assert figure is not None
        return figure

    @property
    def write(self) -> Figure:
        """Write bandwidth; the read bandwidth where it is not given apart."""
        return self.write_bandwidth or self.read

    @property
    def is_staging(self) -> bool:
        """Whether data of other memories passes through: caches, registers, scratchpads that are no home of their own."""
        return self.kind in _PASSED_THROUGH or (self.kind == "scratchpad" and not self.holds)


class Power(Strict):
    """Power at the boundary that `boundary` names. `active` is measured while inferring; `static` flows always."""

    tdp: f.Watts | None = None
    idle: f.Watts | None = None
    static: f.Watts | None = None
    active: f.Watts | None = None
    boundary: Literal["chip", "module", "board", "wall"] = "chip"


class Overheads(Strict):
    """Fixed times of the machine itself, whatever the runtime: a transfer of inputs over a bus, a wake-up."""

    inference: f.Seconds | None = None


class HardwareSpec(Strict):
    """A machine. `id` is the name of its file; `runtime` the software it is estimated with by default."""

    schema_version: Literal[1] = Field(alias="schema")
    id: Identifier
    name: str
    hardware_class: HardwareClass = Field(alias="class")
    vendor: str | None = None
    year: int | None = None
    process: f.Metres | None = None
    description: str | None = None
    extends: str | None = None
    runtime: str | None = None
    engines: tuple[Engine, ...] = Field(min_length=1)
    memories: tuple[Memory, ...] = Field(min_length=1)
    power: Power = Power()
    overheads: Overheads = Overheads()
    modes: dict[str, dict[str, object]] = {}
    sources: dict[str, str] = {}
    mode: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *_duplicates("engine", [e.id for e in self.engines]),
            *_duplicates("memory", [m.id for m in self.memories]),
        ]
        if sum("boundary" in m.holds for m in self.memories) > 1:
            faults.append("two memories hold the network's inputs and outputs (boundary)")
        for path, figure in self.figures():
            if figure.source is not None and figure.source not in self.sources:
                faults.append(f"{path}: source '{figure.source}' is not under 'sources'")
        faults += self._engine_faults()
        if not any("activations" in m.holds or not m.holds for m in self.memories[-1:]) and not any(
            "activations" in m.holds for m in self.memories
        ):
            faults.append("no memory holds activations")
        faults += [fault for fault, found in _slower_inside(self.memories, self.engines) if found]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _engine_faults(self) -> list[str]:
        """Memories and sources that engines name and the file does not have."""
        known = [m.id for m in self.memories]
        faults = []
        for engine in self.engines:
            faults += [
                f"engines.{engine.id}.memories: no memory '{m}'{did_you_mean(m, known)}"
                for m in engine.memories
                if m not in known
            ]
            source = engine.supports.source if engine.supports else None
            if source is not None and source not in self.sources:
                faults.append(f"engines.{engine.id}.supports: source '{source}' is not under 'sources'")
        return faults

    @property
    def conflicts(self) -> list[Conflict]:
        """What figures may contradict each other in, and whether they do; with columns of design points, at which of them."""
        within = [conflict for engine in self.engines for conflict in engine.conflicts]
        within += [conflict for memory in self.memories for conflict in memory.conflicts]
        return within + _slower_inside(self.memories, self.engines)

    def unsourced(self) -> list[str]:
        """Paths of the figures and support lists that do not say where they come from."""
        lists = [f"engines.{e.id}.supports" for e in self.engines if e.supports and not e.supports.source]
        return [path for path, figure in self.figures() if not figure.is_sourced] + lists

    def engine(self, engine_id: str) -> Engine:
        """The engine of that id."""
        return next(e for e in self.engines if e.id == engine_id)


def _slower_inside(memories: tuple[Memory, ...], engines: tuple[Engine, ...]) -> list[Conflict]:
    """Caches and staging memories slower than what an engine reads through them: they could not pass it on."""
    seen = [set(e.memories) or {m.id for m in memories} for e in engines]
    clocked = {m.id: m.clock.value if m.clock else None for m in memories}
    rates = {m.id: (m.read.rate(clocked[m.id]), m.write.rate(clocked[m.id])) for m in memories}
    return [
        (f"memory '{inner.id}' is slower ({what}) than '{outer.id}' behind it: {_OUTWARD}", own < through)
        for place, inner in enumerate(memories[:-1])
        if inner.is_staging
        for outer in memories[place + 1 :]
        if outer.kind != "link" and any({inner.id, outer.id} <= ids for ids in seen)
        for what, own, through in zip(("read", "write"), rates[inner.id], rates[outer.id], strict=True)
    ]


def _duplicates(what: str, ids: list[str]) -> list[str]:
    return [f"two {what} entries have the id '{x}'" for x in sorted({x for x in ids if ids.count(x) > 1})]
