"""Why the expected time lies above the bound: the same estimate with one thing at its best at a time."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np

from simulator.cost.bound import least_traffic
from simulator.cost.table import Traffic
from simulator.cost.traffic import Flow
from simulator.errors import SimulatorError
from simulator.estimator import Setting, setting_of, timed
from simulator.explanation.terms import Reason
from simulator.kernels.partition import EVERY_FUSION
from simulator.machine.figures import Figure
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import PATTERNS, HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.schedule.placement import FALLBACKS

_ALL: Final = Figure(1.0, text="1")
_NOTHING: Final = Figure(0.0, text="0 s")
_LEAST: Final = 1e-9  # of the latency: less is no reason


@dataclass(frozen=True)
class Case:
    """An estimate to be: one that differs from the real one in what is at its best."""

    model: Model
    hardware: HardwareSpec
    runtime: RuntimeSpec
    precision: str | None
    policy: str
    least_moved: bool = False
    links_free: bool = False
    once: bool = False

    @classmethod
    def of(cls, est: Estimate) -> "Case":
        """The case of the estimate itself."""
        return cls(est.model, est.hardware, est.runtime, est.precision, est.overlap)

    def with_profiles(self, **update: Any) -> "Case":
        """Every profile of the runtime with other fields."""
        profiles = {kind: profile.model_copy(update=update) for kind, profile in self.runtime.profiles.items()}
        return replace(self, runtime=self.runtime.model_copy(update={"profiles": profiles}))

    def with_runtime(self, **update: Any) -> "Case":
        """The runtime with other fields."""
        return replace(self, runtime=self.runtime.model_copy(update=update))

    def with_engines(self, **update: Any) -> "Case":
        """Every engine with other fields."""
        engines = tuple(engine.model_copy(update=update) for engine in self.hardware.engines)
        return replace(self, hardware=self.hardware.model_copy(update={"engines": engines}))

    def with_memories(self, **update: Any) -> "Case":
        """Every memory with other fields."""
        memories = tuple(memory.model_copy(update=update) for memory in self.hardware.memories)
        return replace(self, hardware=self.hardware.model_copy(update={"memories": memories}))

    def latency_s(self) -> float:
        """What the estimator makes of it."""
        setting = setting_of(self.model, self.hardware, self.runtime, self.precision, once=self.once)
        if self.links_free:
            setting = replace(setting, crossed={})
        traffic = _least(setting) if self.least_moved else None
        return timed(setting, setting.cost(traffic), self.policy)[-1]


def _least(setting: Setting) -> Traffic:
    """Traffic with nothing read twice, and over each home no more than the bound counts."""
    found = setting.traffic
    moving: list[Flow] = []
    for place, part in enumerate(setting.parts):
        operands = [*found.moving[4 * place : 4 * place + 3]]
        again = found.moving[4 * place + 3]
        floor = least_traffic(part)
        for memory in part.machine.memories:  # from the innermost out; others' data crosses staging memories too
            least = floor[memory.id][0] if memory.id in floor and not memory.is_staging else np.inf
            operands = _at_most(operands, memory.id, float(np.max(least)))
        moving += [*operands, replace(again, crossing=tuple(np.zeros_like(c) for c in again.crossing))]
    return replace(found, moving=tuple(moving), apart=lambda: tuple(moving))


def _at_most(flows: list[Flow], level: str, most_bytes: float) -> list[Flow]:
    """Flows that bring no more than so many bytes over a level, and each no more than over the one further in."""
    capped = [_capped(flow, level) for flow in flows]
    moved = sum(float(c.sum()) for flow in capped for m, c in zip(flow.levels, flow.crossing, strict=True) if m.id == level)
    return [_scaled(flow, level, most_bytes / moved) for flow in capped] if moved > most_bytes else capped


def _capped(flow: Flow, level: str) -> Flow:
    crossing = [*flow.crossing]
    for place in range(1, len(crossing)):
        if flow.levels[place].id == level:
            crossing[place] = np.minimum(crossing[place], crossing[place - 1])
    return replace(flow, crossing=tuple(crossing))


def _scaled(flow: Flow, level: str, share: float) -> Flow:
    pairs = zip(flow.levels, flow.crossing, strict=True)
    return replace(flow, crossing=tuple(c * share if m.id == level else c for m, c in pairs))


@dataclass(frozen=True)
class WhatIf:
    """A reason: its name, what would have to be so, and the case in which it is."""

    key: str
    name: str
    what_if: str
    change: Callable[[Case], Case]


def _ungoverned(case: Case) -> Case:
    """Arithmetic at the whole peak."""
    full = case.with_profiles(efficiency={"default": _ALL}, vector_efficiency=_ALL, vector_share={}, on_vector=())
    return full.with_engines(achieved={})


WHAT_IFS: Final[tuple[WhatIf, ...]] = (
    WhatIf("efficiency", "efficiency of the kernels", "if they reached the full rate of the units", _ungoverned),
    WhatIf(
        "geometry", "shapes that do not fill the engine", "if every product filled it", lambda c: c.with_runtime(geometry=False)
    ),
    WhatIf(
        "sparsity", "2:4 weights that are multiplied like dense ones", "if the runtime used the engine's sparse rate",
        lambda c: c.with_runtime(sparsity=PATTERNS),
    ),
    WhatIf(
        "instructions", "instructions beside the arithmetic", "if loads, loop ends and scaling cost nothing",
        lambda c: c.with_profiles(
            instructions={}, output_instructions={}, column_instructions={}, narrow_instructions={}, by_type={}, vector=None,
            operator_instructions={},
        ),
    ),
    WhatIf(
        "loop", "loops that wait for their loads", "if loads came at once", lambda c: c.with_profiles(loop_step=None)
    ),
    WhatIf(
        "split", "the even split", "if each unit took as much work as it can do",
        lambda c: c.with_profiles(static_split=False),
    ),
    WhatIf(
        "alone", "kernels that one unit runs", "if all units shared them",
        lambda c: c.with_profiles(parallel_elements=None, serial_copies=False),
    ),
    WhatIf("clock", "the sustained clock", "at the highest clock all the time", lambda c: c.with_engines(sustained_clock=None)),
    WhatIf(
        "launch", "launches of kernels", "if they cost nothing",
        lambda c: c.with_profiles(kernel_overhead=_NOTHING, fork_overhead=None, loop_overhead=None, page_fault=None),
    ),
    WhatIf(
        "dispatch", "a host that launches no faster", "if it launched kernels at once", lambda c: c.with_profiles(dispatch=None)
    ),
    WhatIf(
        "once", "what every inference pays once", "if it cost nothing",
        lambda c: replace(
            c.with_profiles(inference_overhead=_NOTHING),
            hardware=c.hardware.model_copy(update={"overheads": c.hardware.overheads.model_copy(update={"inference": None})}),
        ),
    ),
    WhatIf(
        "overlap", "compute and memory that wait for each other", "if all resources worked beside each other all the time",
        lambda c: replace(c.with_profiles(overlap=_ALL), policy="full"),
    ),
    WhatIf(
        "fusion", "operators that are kernels of their own", "with everything fused that any runtime fuses",
        lambda c: replace(c.with_runtime(fusion=EVERY_FUSION), once=True),
    ),
    WhatIf(
        "traffic", "data that moves more than once", "if nothing were read again and caches held all they can",
        lambda c: replace(c, least_moved=True),
    ),
    WhatIf(
        "bandwidth", "the bandwidth that is reached", "if memories reached their full bandwidth",
        lambda c: c.with_memories(achieved=None).with_profiles(bandwidth=_ALL),
    ),
    WhatIf(
        "transfer", "transfers between engines", "if switches and links cost nothing",
        lambda c: replace(c.with_profiles(switch=None), links_free=True),
    ),
)  # fmt: skip


def reasons_of(est: Estimate) -> tuple[tuple[Reason, ...], float]:
    """Everything that saves time if it alone is at its best, the largest first; and the latency with all at their best."""
    base, found = Case.of(est), []
    best = base
    for what in WHAT_IFS:
        best = what.change(best)
        found.append(Reason(what.key, what.name, what.what_if, what.change(base).latency_s(), 0.0))
    others = [seconds for case in _shared_out(base) if (seconds := _seconds(case)) is not None]
    if others:
        found.append(Reason("engines", "which engine runs what", "with the best way to share the kernels out", min(others), 0.0))
    together = [s for case in (best, *_shared_out(best)) if (s := _seconds(case)) is not None]
    saving = [replace(r, saved_s=est.latency_s - r.latency_s) for r in found]
    kept = sorted((r for r in saving if r.saved_s > _LEAST * est.latency_s), key=lambda r: -r.saved_s)
    return tuple(kept), min(together)


def _shared_out(case: Case) -> Iterator[Case]:
    """The kernels on every set of engines, with either way to fall back; nothing on one engine."""
    engines = case.hardware.engines
    for count in range(len(engines), 0, -1) if len(engines) > 1 else ():
        for some in combinations(engines, count):
            for fallback in FALLBACKS:
                fewer = replace(case, hardware=case.hardware.model_copy(update={"engines": some}))
                yield fewer.with_runtime(fallback=fallback)


def _seconds(case: Case) -> float | None:
    """The latency of a case; None where these engines do not run the network."""
    with suppress(SimulatorError):
        return case.latency_s()
    return None
