"""The runtime file: what software makes of a machine. Its constants hold for every chip of an engine kind."""

from typing import Literal, Self

from pydantic import Field, model_validator

from simulator.machine import figures as f
from simulator.machine.spec import EngineKind, HardwareClass, Identifier, Strict
from simulator.ops.work import Kind

Fallback = Literal["per_op", "first_unsupported"]


class Profile(Strict):
    """How a runtime uses one kind of engine.

    `overlap` is the share θ of the shorter of compute and memory time that hides behind the longer one within a
    kernel: t = max + (1 − θ)·min. `efficiency` is the fraction of the peak that a kernel class reaches,
    `vector_efficiency` that of other arithmetic, `bandwidth` the achieved fraction of a memory's bandwidth.
    """

    overlap: f.Fraction
    efficiency: dict[Kind | Literal["default"], f.Ratio]
    vector_efficiency: f.Ratio
    bandwidth: f.Ratio
    kernel_overhead: f.Seconds
    inference_overhead: f.Seconds
    switch: f.Seconds | None = None  # of coming to this engine from another within an inference
    asynchronous: bool = False  # launches hide behind a busy device: a kernel takes at least its launch

    @model_validator(mode="after")
    def _fractions(self) -> Self:
        overheads = ("kernel_overhead", "inference_overhead", "switch")
        above = [path for path, figure in self.figures() if figure.value > 1 and path not in overheads]
        if above:
            raise ValueError(f"{', '.join(above)} above 1: efficiencies count against the peak at the highest clock")
        if "default" not in self.efficiency:
            raise ValueError("efficiency needs a 'default' for kernel classes it does not name")
        return self

    def efficiency_of(self, kind: Kind) -> float:
        """Fraction of the peak that kernels of this class reach."""
        figure = self.efficiency.get(kind) or self.efficiency["default"]
        return figure.value


class RuntimeSpec(Strict):
    """How a runtime cuts the graph into kernels (`fusion` names rules of simulator/kernels), and its profiles.

    `profiles` are keyed by engine kind; `default` stands for all kinds not named. With `measured_limits`, fractions of
    peak and bandwidth that a machine file states as measured apply. `fallback` is what follows an operator that an engine
    does not run: `per_op`, only that one goes to the next engine; `first_unsupported`, it and all that runs after it.
    """

    schema_version: Literal[1] = Field(alias="schema")
    id: Identifier
    name: str
    description: str
    classes: tuple[HardwareClass, ...] = ()  # hardware classes it runs on; empty: all
    fusion: tuple[str, ...] = ()
    measured_limits: bool = True
    fallback: Fallback = "per_op"
    profiles: dict[EngineKind | Literal["default"], Profile] = Field(min_length=1)
    sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        missing = [
            f"{path}: source '{figure.source}' is not under 'sources'"
            for path, figure in self.figures()
            if figure.source is not None and figure.source not in self.sources
        ]
        if missing:
            raise ValueError("; ".join(missing))
        return self

    def unsourced(self) -> list[str]:
        """Paths of the figures that do not say where they come from."""
        return [path for path, figure in self.figures() if not figure.is_sourced]

    def profile(self, engine_kind: str) -> Profile | None:
        """The profile for an engine kind; None where the runtime does not run on it."""
        return next((p for kind, p in self.profiles.items() if kind == engine_kind), self.profiles.get("default"))
