"""The runtime file: what software makes of a machine. Its constants hold for every chip of an engine kind."""

from typing import Literal, Self

from pydantic import Field, model_validator

from simulator.machine import figures as f
from simulator.machine.spec import EngineKind, Identifier, Strict
from simulator.ops.work import Kind

EfficiencyKey = Kind | Literal["default"]


class RuntimeSpec(Strict):
    """How a runtime cuts the graph into kernels, how well they use the machine, and what each launch costs.

    `fusion` names rules of `simulator/kernels`. `overlap` is the share θ of the shorter of compute and memory time that
    hides behind the longer one within a kernel: t = max + (1 − θ)·min. `efficiency` is the fraction of an engine's
    peak by engine kind and kernel class, `bandwidth` the achieved fraction of a memory's bandwidth.
    """

    schema_version: Literal[1] = Field(alias="schema")
    id: Identifier
    name: str
    description: str
    classes: tuple[str, ...] = ()  # hardware classes it runs on; empty: all
    fusion: tuple[str, ...] = ()
    overlap: f.Fraction
    efficiency: dict[EngineKind, dict[EfficiencyKey, f.Ratio]] = {}
    vector_efficiency: f.Ratio
    bandwidth: f.Ratio
    kernel_overhead: f.Seconds
    inference_overhead: f.Seconds
    asynchronous: bool = False  # launches hide behind a busy device: a kernel takes at least its launch
    measured_limits: bool = True  # fractions of peak and bandwidth that a machine file states as measured apply
    sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _fractions(self) -> Self:
        faults = [
            f"{path} is above 1: an efficiency counts against the peak at the highest clock"
            for path, figure in self.figures()
            if path.startswith(("efficiency", "vector_efficiency", "bandwidth", "overlap")) and figure.value > 1
        ]
        faults += [
            f"{path}: source '{figure.source}' is not under 'sources'"
            for path, figure in self.figures()
            if figure.source is not None and figure.source not in self.sources
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def efficiency_of(self, engine_kind: str, kind: Kind) -> float:
        """Fraction of the peak that kernels of this class reach; 1 where the profile says nothing (the ideal one)."""
        table = self.efficiency.get(engine_kind, {})  # type: ignore[call-overload]
        figure = table.get(kind) or table.get("default")
        return figure.value if figure else 1.0
