"""Which engine runs which kernel."""

from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable


def place(work: WorkTable, machine: Machine) -> tuple[EngineParams, ...]:
    """For each kernel the engine that runs it, by its element type."""
    by_rate = {rate: place_rate(machine, rate) for rate in dict.fromkeys(work.rates)}
    return tuple(by_rate[rate] for rate in work.rates)


def place_rate(machine: Machine, rate: str) -> EngineParams:
    """The first engine with a native rate for an element type, else the first with a wider one, else the first."""
    native = (e for e in machine.engines if rate in e.macs_per_s)
    wider = (e for e in machine.engines if e.native(rate))
    return next(native, None) or next(wider, None) or machine.engines[0]
