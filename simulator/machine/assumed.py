"""What an estimate takes where a machine's file says nothing: every stand-in by the path of the figure that is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.machine.defaults import default_energies, energy_source
from simulator.machine.figures import Number
from simulator.machine.params import SPECIAL_SHARE, EngineParams, machine_of
from simulator.machine.spec import Engine, HardwareSpec
from simulator.units import format_si

LIKE_MACS = "the file gives none"
LIKE_GPUS = "the file gives none; as on GV100 and GA100"


@dataclass(frozen=True, slots=True)
class Assumption:
    """What stands in for the figure at `path`; `source` says why."""

    path: str
    text: str
    source: str


def assumptions(spec: HardwareSpec) -> tuple[Assumption, ...]:
    """All stand-ins that an estimate may rest on: rates, capacities, then energies of the process node in J.

    An energy in an element type that the engine computes in another one is left out: it is never used.
    """
    machine = machine_of(spec)
    found = [a for engine, params in zip(spec.engines, machine.engines, strict=True) for a in _rates(engine, params)]
    homes = {m.id for weights in (True, False) for m in machine.homes(weights)}
    endless = [m.id for m in spec.memories if m.capacity is None and m.id in homes]
    found += [Assumption(f"memories.{memory}.capacity", "enough", "the file gives none") for memory in endless]
    engines = {e.id: e for e in machine.engines}
    for path, joules in default_energies(spec).items():
        if _is_used(path, engines):
            unit = {"mac": "J/MAC", "vector": "J/OP"}.get(path.split(".")[3], "J/B")
            found.append(Assumption(path, format_si(float(joules), unit), energy_source(spec, path)))
    return tuple(found)


def _rates(engine: Engine, params: EngineParams) -> Iterator[Assumption]:
    """Rates of an engine that its peaks stand in for."""
    path = f"engines.{engine.id}"
    for rate, per_s in params.vector_ops_per_s.items() if not engine.vector else ():
        yield Assumption(f"{path}.vector.{rate}", _per_s(per_s), f"that of MACs: {LIKE_MACS}")
    if engine.special is None:
        share = f"{SPECIAL_SHARE:.0%} of the fp32 vector rate"
        yield Assumption(f"{path}.special", _per_s(params.special_ops_per_s), f"{share}: {LIKE_GPUS}")


def _per_s(rate: Number) -> str:
    return format_si(float(rate), "OP/s")


def _is_used(path: str, engines: dict[str, EngineParams]) -> bool:
    """Whether any work asks for an energy: that of the type in which an engine computes what it is given."""
    match path.split("."):
        case ["engines", name, "energy", kind, rate]:
            native = engines[name].native(rate)
            return native == rate or (native is None and kind == "vector")
        case _:
            return True
