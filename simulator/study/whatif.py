"""Before and after: a scenario beside the same with some things changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulator.errors import SimulatorError
from simulator.result.estimate import Estimate
from simulator.result.quantities import TOTALS
from simulator.study.records import html_of
from simulator.study.scenario import Case, Scenario, Sources, case_of, with_settings

SCHEMA: Final = 1
SHOWN: Final = ("latency", "bound_latency", "throughput", "energy", "power", "memory", "size", "macs", "params")


@dataclass(frozen=True)
class Outcome:
    """One scenario by name, what was changed for it, and its estimate; or the reason why there is none."""

    name: str
    settings: tuple[str, ...]
    estimate: Estimate | None
    notes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Change:
    """A figure before and after; None where the machine has no figures for it."""

    name: str
    before: float | None
    after: float | None

    @property
    def ratio(self) -> float | None:
        """After over before; None where either is not known, or before is 0."""
        return self.after / self.before if self.after is not None and self.before else None


@dataclass(frozen=True)
class KernelChange:
    """Seconds of a kernel before and after; 0 where it is only in the other."""

    name: str
    before_s: float
    after_s: float

    @property
    def saved_s(self) -> float:
        """What it takes less."""
        return self.before_s - self.after_s


@dataclass(frozen=True)
class WhatIf:
    """What scenarios come to beside the one they start from."""

    before: Outcome
    after: tuple[Outcome, ...]

    def _repr_html_(self) -> str:
        """A row a scenario, in notebooks."""
        notes = [note for outcome in (self.before, *self.after) for note in outcome.notes]
        return html_of([_row(outcome) for outcome in (self.before, *self.after)], list(dict.fromkeys(notes)))

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON: totals of every scenario as `sim estimate` has them, and what they are multiples of."""
        scenarios = [_outcome_dict(self.before, self.before), *(_outcome_dict(outcome, self.before) for outcome in self.after)]
        return {"schema": SCHEMA, "scenarios": scenarios}


def what_if(base: Scenario, scenarios: Sequence[tuple[str, Sequence[str]]], sources: Sources) -> WhatIf:
    """The base, and each of the scenarios by name and `NAME=VALUE` settings on top of it.

    A scenario that cannot be (no such rate, a change that does not fit the network) keeps its place, with the reason.

    Raises:
        SimulatorError: the base cannot be estimated; a setting that does not exist.
    """
    built = [(name, tuple(settings), with_settings(base, settings, sources)) for name, settings in scenarios]
    case = case_of(base, sources)
    before = _estimated("before", (), case)
    return WhatIf(before, tuple(_outcome(name, settings, scenario, sources) for name, settings, scenario in built))


def _outcome(name: str, settings: tuple[str, ...], scenario: Scenario, sources: Sources) -> Outcome:
    try:
        return _estimated(name, settings, case_of(scenario, sources))
    except SimulatorError as error:
        return Outcome(name, settings, None, reason=str(error))


def _estimated(name: str, settings: tuple[str, ...], case: Case) -> Outcome:
    """The outcome of a case, with what its changes and its energies leave out."""
    est = case.estimate()
    least = (f"{case.hardware.id} has no static power: energy is at least what is shown",) if est.energy_is_least else ()
    return Outcome(name, settings, est, (*case.notes, *least))


def changes(before: Estimate, after: Estimate) -> list[Change]:
    """Totals of both, the ones that everybody asks for first, then the bytes that cross each memory."""
    totals = [Change(TOTALS[name].header, TOTALS[name].of(before), TOTALS[name].of(after)) for name in SHOWN]
    own = [_traffic(est) for est in (before, after)]
    levels = dict.fromkeys([*own[0], *own[1]])
    return totals + [Change(f"{level} traffic", own[0].get(level), own[1].get(level)) for level in levels]


def _traffic(est: Estimate) -> dict[str, float]:
    return {level: float(moved.sum()) for level, moved in est.cost.bytes_by_level.items()}


def kernel_changes(before: Estimate, after: Estimate) -> list[KernelChange]:
    """Kernels by how much their time changed, the largest change first; those only one of the networks has among them."""
    own = [_named_seconds(est) for est in (before, after)]
    found = [KernelChange(name, own[0].get(name, 0.0), own[1].get(name, 0.0)) for name in dict.fromkeys([*own[0], *own[1]])]
    return sorted(found, key=lambda kernel: -abs(kernel.saved_s))


def _named_seconds(est: Estimate) -> dict[str, float]:
    """Seconds of every kernel; the second one of a name is `NAME#2`."""
    found: dict[str, float] = {}
    counts: dict[str, int] = {}
    for kernel, seconds in zip(est.prepared.kernels, est.kernel_s, strict=True):
        counts[kernel.name] = counts.get(kernel.name, 0) + 1
        name = kernel.name if counts[kernel.name] == 1 else f"{kernel.name}#{counts[kernel.name]}"
        found[name] = float(seconds)
    return found


def _row(outcome: Outcome) -> dict[str, object]:
    """A scenario's totals by their keys; the reason where there are none."""
    est = outcome.estimate
    totals = {TOTALS[name].key: None if est is None else TOTALS[name].of(est) for name in SHOWN}
    return {"scenario": outcome.name, **totals, "bound": None if est is None else est.bound, "reason": outcome.reason or None}


def _outcome_dict(outcome: Outcome, before: Outcome) -> dict[str, object]:
    about: dict[str, object] = {"name": outcome.name, "changes": list(outcome.settings), "notes": list(outcome.notes)}
    if outcome.estimate is None or before.estimate is None:
        return {**about, "error": outcome.reason, "totals": None, "ratios": None}
    document = outcome.estimate.to_dict()
    ratios = {change.name: change.ratio for change in changes(before.estimate, outcome.estimate)}
    own = {key: document[key] for key in ("model", "hardware", "settings", "totals", "warnings")}
    return {**about, "error": None, **own, "ratios": ratios}
