"""Which engine runs which kernel. It depends on what the engines run, not on how fast they are."""

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from itertools import combinations
from typing import Final, get_args

from simulator.errors import HardwareError
from simulator.kernels.support import NONE_REFUSED, Refusals
from simulator.machine.params import EngineParams, Machine
from simulator.machine.runtime import Fallback
from simulator.workload import WorkTable

Placement = tuple[EngineParams, ...]
FALLBACKS: Final[tuple[Fallback, ...]] = get_args(Fallback)


def place(work: WorkTable, machine: Machine, usable: Container[str] | None = None, fallback: Fallback = "per_op") -> Placement:
    """For each kernel the engine that runs it: the first that does not refuse it; `usable` are the ids a runtime runs on.

    With `first_unsupported`, all from the first kernel on that is not for the first engine is for the ones behind it.

    Raises:
        HardwareError: no engine runs a kernel.
    """
    engines = [e for e in machine.engines if usable is None or e.id in usable]
    placed = _firsts(engines, work)
    if fallback == "first_unsupported":
        start = next((i for i, engine in enumerate(placed) if engine is not engines[0]), len(placed))
        placed[start:] = _firsts(engines[1:], work)[start:] if start < len(placed) else []
    found = tuple(engine for engine in placed if engine is not None)
    if len(found) < len(placed):
        stuck = [i for i, engine in enumerate(placed) if engine is None]
        refused = [work.refused[i] if work.refused else NONE_REFUSED for i in stuck]
        raise HardwareError(_nowhere(machine, work, refused, work.names[stuck[0]]))
    return found


def _firsts(engines: Sequence[EngineParams], work: WorkTable) -> list[EngineParams | None]:
    """The engine of each kernel; those without a refusal are decided once for each element type."""
    demands, codes = work.demands
    willing = [_first(engines, rate, multiplies, NONE_REFUSED) for rate, multiplies in demands]
    found = [willing[place] for place in codes.tolist()]
    for row, refused in enumerate(work.refused):
        if refused:
            rate, multiplies = demands[codes[row]]
            found[row] = _first(engines, rate, multiplies, refused)
    return found


def _first(engines: Sequence[EngineParams], rate: str, multiplies: bool, refused: Refusals) -> EngineParams | None:
    """Of the engines that do not refuse: the first with a native rate, else with a wider one, else (no MACs) the first."""
    willing = [e for e in engines if e.id not in refused]
    native = (e for e in willing if rate in e.macs_per_s)
    wider = (e for e in willing if e.native(rate))
    return next(native, None) or next(wider, None) or (None if multiplies else next(iter(willing), None))


def _nowhere(machine: Machine, work: WorkTable, refused: Sequence[Refusals], name: str) -> str:
    reasons = {engine: _reasons(refused, engine) for engine in dict.fromkeys(e for r in refused for e in r)}
    told = "; ".join(f"{engine}: {', '.join(why)}" for engine, why in reasons.items())
    count = f"{len(refused)} of {len(work)} kernels, the first '{name}'"
    return f"no engine of {machine.id} that the runtime uses runs {count} (not supported: {told or 'its element type'})"


def _reasons(refused: Sequence[Refusals], engine: str) -> list[str]:
    """Why an engine refuses kernels, each reason once."""
    return list(dict.fromkeys(reason for r in refused for reason in r.get(engine, ())))


def engine_sets(machine: Machine) -> Iterator[frozenset[str]]:
    """Every set of engines that a runtime may use, by their ids."""
    ids = [e.id for e in machine.engines]
    for count in range(len(ids), 0, -1):
        yield from map(frozenset, combinations(ids, count))


def placements(work: WorkTable, machine: Machine, usable: frozenset[str]) -> list[Placement]:
    """The placements on these engines, either way to fall back; none where they do not run everything."""
    found = []
    for fallback in FALLBACKS if len(usable) > 1 else FALLBACKS[:1]:
        with suppress(HardwareError):
            found.append(place(work, machine, usable, fallback))
    return found[:1] if len(found) > 1 and [e.id for e in found[0]] == [e.id for e in found[1]] else found


def fallback_notes(work: WorkTable, placement: Placement, fallback: Fallback) -> list[str]:
    """Which kernels an engine of the runtime does not run, where they run, and for which operators."""
    notes = []
    for engine in dict.fromkeys(engine for reasons in work.refused for engine in reasons):
        rows = [i for i, reasons in enumerate(work.refused) if engine in reasons]
        after = list(range(rows[0], len(work))) if fallback == "first_unsupported" else rows
        share = 100 * float(work.macs[after].sum()) / (float(work.macs.sum()) or 1.0)
        where = " and ".join(dict.fromkeys(placement[i].id for i in after))
        many = "s" if len(after) > 1 else ""
        count = f"{len(after)} kernel{many} ({share:.0f} % of the MACs) {'fall' if many else 'falls'} back to {where}"
        why = f"{engine} does not run {_some(_reasons([work.refused[i] for i in rows], engine))}"
        notes.append(f"{count}: {why}" + (", and all that follows stays there" if len(after) > len(rows) else ""))
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
