"""Which engine runs which kernel."""

from collections.abc import Container

from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable


def place(work: WorkTable, machine: Machine, usable: Container[str] | None = None) -> tuple[EngineParams, ...]:
    """For each kernel the engine that runs it, by its element type; `usable` are the ids a runtime runs on (None: all)."""
    by_rate = {rate: place_rate(machine, rate, usable) for rate in dict.fromkeys(work.rates)}
    return tuple(by_rate[rate] for rate in work.rates)


def place_rate(machine: Machine, rate: str, usable: Container[str] | None = None) -> EngineParams:
    """The first engine with a native rate for an element type, else the first with a wider one, else the first."""
    engines = [e for e in machine.engines if usable is None or e.id in usable]
    native = (e for e in engines if rate in e.macs_per_s)
    wider = (e for e in engines if e.native(rate))
    return next(native, None) or next(wider, None) or engines[0]
