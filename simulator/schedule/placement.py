"""Which engine runs which kernel."""

from simulator.machine.params import EngineParams, Machine
from simulator.workload import WorkTable


def place(work: WorkTable, machine: Machine) -> tuple[EngineParams, ...]:
    """For each kernel the first engine with a native rate for its element type, else the first with a wider one."""
    by_rate: dict[str, EngineParams] = {}
    for rate in dict.fromkeys(work.rates):
        native = (e for e in machine.engines if rate in e.macs_per_s)
        wider = (e for e in machine.engines if e.native(rate))
        by_rate[rate] = next(native, None) or next(wider)
    return tuple(by_rate[rate] for rate in work.rates)
