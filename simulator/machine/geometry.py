"""The shape of an engine: what a kernel must fill to reach the peak. In the file under `engines[].geometry`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.machine import figures as f
from simulator.machine.figures import Figure, Number

Dataflow = Literal["weight", "output", "input"]
_Rate = Literal["int4", "int8", "int16", "fp8", "fp16", "bf16", "tf32", "fp32", "fp64"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)


class SystolicGeometry(_Section):
    """An array of rows × columns cells; `units` of the engine counts such arrays.

    `dataflow` says which operand stays in the cells. `hidden_fill`: the next one loads while the array computes.
    """

    kind: Literal["systolic"]
    rows: f.Whole
    columns: f.Whole
    dataflow: Dataflow = "weight"
    hidden_fill: bool = True


class ParallelGeometry(_Section):
    """Multipliers in parallel over output positions, input channels and output channels, in each of the engine's units."""

    kind: Literal["parallel"]
    pixels: f.Whole
    inputs: f.Whole
    outputs: f.Whole


class CoreGeometry(_Section):
    """A processor core: `issue` instructions a cycle, registers of `width`.

    `lanes` are the output channels that one instruction works on, `dot` the products that it adds up in each, by element
    type.
    """

    kind: Literal["core"]
    issue: f.Count | None = None
    width: f.Bytes | None = None
    lanes: dict[_Rate, f.Count] = {}
    dot: dict[_Rate, f.Count] = {}


class TilesGeometry(_Section):
    """Multiprocessors (`units` of the engine) that each work on tiles of a product: GPUs. The tiles are the library's."""

    kind: Literal["tiles"]


class OutputGeometry(_Section):
    """Cycles that the output stage takes for an element: by what it makes, and by the activation function behind it.

    A `product` left out takes what `other` results take.
    """

    sum: f.Count
    product: f.Count | None = None
    maximum: f.Count
    other: f.Count
    clip: f.Count
    table: f.Count


class BlockGeometry(_Section):
    """An array that computes an output block by block (Arm Ethos-U); `rows` × `columns` × `channels` outputs at once.

    Each of them takes 8 products a cycle. `cores` share a block. Two input blocks and two blocks of sums must fit
    `banks` of 1 KiB, in multiples of the granules. `stall`: cycles lost between the steps of a block of one such step.
    """

    kind: Literal["block"]
    rows: f.Whole
    columns: f.Whole
    channels: f.Whole
    cores: f.Whole
    banks: f.Whole
    input_granule: f.Whole
    sum_granule: f.Whole
    stall: f.Count
    output: OutputGeometry


Geometry = Annotated[
    SystolicGeometry | ParallelGeometry | CoreGeometry | TilesGeometry | BlockGeometry, Field(discriminator="kind")
]


@dataclass(frozen=True, slots=True)
class Systolic:
    """Numbers of a `SystolicGeometry`."""

    rows: Number
    columns: Number
    dataflow: Dataflow
    hidden_fill: bool


@dataclass(frozen=True, slots=True)
class Parallel:
    """Numbers of a `ParallelGeometry`."""

    pixels: Number
    inputs: Number
    outputs: Number


@dataclass(frozen=True, slots=True)
class Core:
    """Numbers of a `CoreGeometry`: one instruction a cycle and 4-byte registers where the file says nothing."""

    issue: Number
    width_bytes: Number
    lanes: Mapping[str, Number]
    dot: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Tiles:
    """A `TilesGeometry`."""


@dataclass(frozen=True, slots=True)
class OutputCycles:
    """Numbers of an `OutputGeometry`."""

    sum: Number
    product: Number
    maximum: Number
    other: Number
    clip: Number
    table: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockNpu:
    """Numbers of a `BlockGeometry`; a ublock is what the array computes at once, granules count banks.

    `stall_cycles` is lost between steps of a block of a single ublock: 3 on U55-32, 2 on the others.
    """

    ublock_h: Number
    ublock_w: Number
    ublock_c: Number
    cores: Number
    banks: Number
    ifm_granule: Number
    acc_granule: Number
    stall_cycles: Number
    bank_bytes: Number = 1024.0
    output: OutputCycles = OutputCycles(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

    @property
    def macs_per_cycle(self) -> Number:
        """Products of all cores in a cycle, of 8-bit operands."""
        return self.ublock_h * self.ublock_w * self.ublock_c * 8.0 * self.cores


Shape = Systolic | Parallel | Core | Tiles | BlockNpu
_SCALAR = Core(1.0, 4.0, {}, {})


def shape_of(geometry: Geometry | None) -> Shape:
    """The numbers of a geometry; an engine without one counts as a scalar core that nothing must fill."""
    if isinstance(geometry, SystolicGeometry):
        return Systolic(geometry.rows.value, geometry.columns.value, geometry.dataflow, geometry.hidden_fill)
    if isinstance(geometry, ParallelGeometry):
        return Parallel(geometry.pixels.value, geometry.inputs.value, geometry.outputs.value)
    if isinstance(geometry, TilesGeometry):
        return Tiles()
    if isinstance(geometry, BlockGeometry):
        return _blocks(geometry)
    if geometry is None:
        return _SCALAR
    return Core(
        geometry.issue.value if geometry.issue else _SCALAR.issue,
        geometry.width.value if geometry.width else _SCALAR.width_bytes,
        _values(geometry.lanes), _values(geometry.dot),
    )  # fmt: skip


def _blocks(geometry: BlockGeometry) -> BlockNpu:
    stage = geometry.output
    product = stage.product or stage.other
    return BlockNpu(
        ublock_h=geometry.rows.value, ublock_w=geometry.columns.value, ublock_c=geometry.channels.value,
        cores=geometry.cores.value, banks=geometry.banks.value, ifm_granule=geometry.input_granule.value,
        acc_granule=geometry.sum_granule.value, stall_cycles=geometry.stall.value,
        output=OutputCycles(
            stage.sum.value, product.value, stage.maximum.value, stage.other.value, stage.clip.value, stage.table.value
        ),
    )  # fmt: skip


def _values(figures: Mapping[_Rate, Figure]) -> dict[str, Number]:
    return {rate: figure.value for rate, figure in figures.items()}
