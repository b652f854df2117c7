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
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class SystolicGeometry(_Section):
    """An array of rows × columns cells; `units` of the engine counts such arrays.

    `dataflow` says which operand stays in the cells. `hidden_fill`: the next one loads while the array computes.
    """

    kind: Literal["systolic"]
    rows: f.Count
    columns: f.Count
    dataflow: Dataflow = "weight"
    hidden_fill: bool = True


class ParallelGeometry(_Section):
    """Multipliers in parallel over output positions, input channels and output channels, in each of the engine's units."""

    kind: Literal["parallel"]
    pixels: f.Count
    inputs: f.Count
    outputs: f.Count


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


Geometry = Annotated[SystolicGeometry | ParallelGeometry | CoreGeometry | TilesGeometry, Field(discriminator="kind")]


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


Shape = Systolic | Parallel | Core | Tiles
_SCALAR = Core(1.0, 4.0, {}, {})


def shape_of(geometry: Geometry | None) -> Shape:
    """The numbers of a geometry; an engine without one counts as a scalar core that nothing must fill."""
    if isinstance(geometry, SystolicGeometry):
        return Systolic(geometry.rows.value, geometry.columns.value, geometry.dataflow, geometry.hidden_fill)
    if isinstance(geometry, ParallelGeometry):
        return Parallel(geometry.pixels.value, geometry.inputs.value, geometry.outputs.value)
    if isinstance(geometry, TilesGeometry):
        return Tiles()
    if geometry is None:
        return _SCALAR
    return Core(
        geometry.issue.value if geometry.issue else _SCALAR.issue,
        geometry.width.value if geometry.width else _SCALAR.width_bytes,
        _values(geometry.lanes), _values(geometry.dot),
    )  # fmt: skip


def _values(figures: Mapping[_Rate, Figure]) -> dict[str, Number]:
    return {rate: figure.value for rate, figure in figures.items()}
