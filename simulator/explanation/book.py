"""Figures of a machine and a runtime by their path, as quantities with their sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.explanation.expression import Expression, FigureUse, Quantity, number_text
from simulator.machine.assumed import LIKE_GPUS, LIKE_MACS
from simulator.machine.defaults import energy_source
from simulator.machine.figures import Figure, Number
from simulator.machine.params import SPECIAL_SHARE, EngineParams
from simulator.machine.runtime import Profile, RuntimeSpec
from simulator.machine.spec import Engine, HardwareSpec
from simulator.machine.technology import CELLS, CITATION

DEFAULT: Final = "default"  # the kind of what no file states


@dataclass(frozen=True, slots=True)
class Book:
    """Looks figures up."""

    hardware: HardwareSpec
    runtime: RuntimeSpec

    def figure(self, path: str, figure: Figure, *, runtime: bool = False) -> FigureUse:
        """A figure of one of the files, its source spelled out."""
        owner: HardwareSpec | RuntimeSpec = self.runtime if runtime else self.hardware
        source = owner.sources.get(figure.source) if figure.source else None
        return FigureUse(path, figure.text, figure.kind and str(figure.kind), source, figure.note, owner.id)

    def assumed(self, path: str, text: str, note: str, source: str | None = None, *, runtime: bool = False) -> FigureUse:
        """What stands in for a figure that a file leaves out."""
        return FigureUse(path, text, DEFAULT, source, note, (self.runtime if runtime else self.hardware).id)

    def of_machine(self, symbol: str, path: str, figure: Figure, unit: str = "") -> Quantity:
        """A figure of the machine's file."""
        return Quantity(symbol, figure.value, unit, (self.figure(path, figure),))

    def of_profile(self, symbol: str, engine: EngineParams, name: str, figure: Figure, unit: str = "") -> Quantity:
        """A figure of the runtime's profile for an engine."""
        return Quantity(symbol, figure.value, unit, (self.profile_use(engine, name, figure),))

    def profile_use(self, engine: EngineParams, name: str, figure: Figure) -> FigureUse:
        """The use of it alone."""
        kind = engine.kind if engine.kind in self.runtime.profiles else "default"
        return self.figure(f"profiles.{kind}.{name}", figure, runtime=True)

    def by_kind(
        self, symbol: str, engine: EngineParams, name: str, table: Mapping[str, Figure], kind: str, otherwise: float = 1.0
    ) -> Quantity:
        """A figure of the profile that a kernel class has, `default` where it has none of its own."""
        key = kind if kind in table else "default"
        if key not in table:
            return Quantity(symbol, otherwise)
        return self.of_profile(symbol, engine, f"{name}.{key}", table[key])

    def rate(self, symbol: str, path: str, figure: Figure, clock: Expression | None, unit: str) -> Expression:
        """A rate: as it stands, or per cycle times the clock."""
        quantity = self.of_machine(symbol, path, figure, unit)
        if not figure.per_cycle or clock is None:
            return quantity
        return Quantity(f"{symbol} per cycle", figure.value, f"{unit.removesuffix('/s')}/cycle", quantity.figures) * clock

    def clock(self, engine: Engine) -> Expression | None:
        """The highest clock of an engine."""
        path = f"engines.{engine.id}.clock"
        return self.of_machine("clock", path, engine.clock, "Hz") if engine.clock else None

    def sustained(self, engine: Engine) -> list[Expression]:
        """The shares of its peak that an engine keeps under load, where they are less than all: of its clock, and of its units
        if the runtime splits work evenly over unlike ones.
        """
        clock, profile, path = self.clock(engine), self.runtime.profile(engine.kind), f"engines.{engine.id}"
        found: list[Expression] = []
        if engine.sustained_clock is not None and clock is not None:
            found.append(self.of_machine("sustained clock", f"{path}.sustained_clock", engine.sustained_clock, "Hz") / clock)
        if engine.even_split is not None and profile is not None and profile.static_split:
            found.append(self.of_machine("even split", f"{path}.even_split", engine.even_split))
        return found

    def hidden_share(self, engine: Engine, params: EngineParams) -> Expression:
        """θ: of the runtime's code, or of the core's caches if that is more."""
        profile = self.runtime.profile(engine.kind)
        assert profile is not None
        theta = self.of_profile("θ", params, "overlap", profile.overlap)
        if engine.overlap is None or engine.overlap.value <= profile.overlap.value:
            return theta
        return self.of_machine("θ", f"engines.{engine.id}.overlap", engine.overlap)

    def peak(self, engine: Engine, native: str) -> Expression:
        """MACs per second in an element type that the engine has."""
        return self.rate("peak", f"engines.{engine.id}.peak.{native}", engine.peak[native], self.clock(engine), "MAC/s")  # type: ignore[index]

    def vector(self, engine: Engine, params: EngineParams, rate: str) -> Expression:
        """Vector operations per second in an element type."""
        wanted, path = float(params.vector_rate(rate)), f"engines.{engine.id}.vector"
        like = (name for name in params.vector_ops_per_s if params.vector_ops_per_s[name] == wanted)
        native = params.native_vector(rate) or next(like)
        figure = engine.vector.get(native)  # type: ignore[call-overload]
        if figure is not None:
            return self.rate("vector rate", f"{path}.{native}", figure, self.clock(engine), "OP/s")
        uses = self.peak(engine, native).figures
        text = f"that of MACs in {native}"
        return Quantity("vector rate", wanted, "OP/s", (self.assumed(path, text, LIKE_MACS), *uses))

    def special(self, engine: Engine, params: EngineParams) -> Expression:
        """Special functions per second."""
        path = f"engines.{engine.id}.special"
        if engine.special:
            return self.rate("special rate", path, engine.special, self.clock(engine), "OP/s")
        use = self.assumed(path, f"{SPECIAL_SHARE:.0%} of the fp32 vector rate", LIKE_GPUS)
        vector = self.vector(engine, params, "fp32")
        share = Quantity("special share", SPECIAL_SHARE, "", (use,))
        return share * vector

    def seconds(self, symbol: str, quantity: Quantity, figure: Figure, clock_hz: float | None) -> Expression:
        """A time: as it stands, or in cycles over the machine's clock."""
        if not figure.per_cycle or clock_hz is None:
            return Quantity(symbol, quantity.number, "s", quantity.figures)
        first = next(e for e in self.hardware.engines if e.clock)
        assert first.clock is not None
        clock = self.of_machine("clock", f"engines.{first.id}.clock", first.clock, "Hz")
        return Quantity(f"{symbol} in cycles", quantity.number, "", quantity.figures) / clock

    def energy(self, path: str, figure: Figure | None, default_j: Mapping[str, Number], unit: str, value: float) -> Quantity:
        """An energy of the file, or of the table of its process node; `value` is what the estimate takes."""
        symbol = path.rpartition("energy.")[2]
        if figure is not None:
            return Quantity(symbol, value, unit, (self.figure(path, figure),))
        if path not in default_j:
            return Quantity(symbol, value, unit)
        node = self.hardware.process
        note = "stands in for what the file leaves out" + (f"; process {node.text}" if node else "")
        source = energy_source(self.hardware, path).replace(CELLS, CITATION)
        return Quantity(symbol, value, unit, (self.assumed(path, number_text(value, unit), note, source),))


def vector_efficiency(book: Book, engine: EngineParams, profile: Profile) -> Quantity:
    """What the runtime reaches of vector rates."""
    return book.of_profile("vector efficiency", engine, "vector_efficiency", profile.vector_efficiency)
