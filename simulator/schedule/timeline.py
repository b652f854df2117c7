"""What happens when: events on one lane an engine, one a memory or link, one for launches, one for switches of engines.

Within a kernel's window, after a launch that waits, transfers begin at once and the computation ends last: so much of the
two overlaps as the policy hides. What `prefetch` loads early follows the transfers of the kernel before. Under `full` there
is no such order: it is a bound, and each lane spreads its own work over the whole run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.cost.table import CostTable
from simulator.schedule.overlap import POLICIES, WINDOWS, Run, Terms, runs

Array = NDArray[np.float64]
LaneKind = Literal["launch", "engine", "memory"]
EventKind = Literal["inference", "waiting", "launch", "compute", "transfer", "early weights", "crossing", "switch"]


@dataclass(frozen=True, slots=True)
class Lane:
    """What can do one thing at a time: an engine or a memory, by its id, or whatever launches kernels."""

    kind: LaneKind
    id: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that takes time. `kernel` counts from 0 (None: what every inference pays once, and waiting)."""

    lane: Lane
    kind: EventKind
    kernel: int | None
    start_s: float
    duration_s: float
    moved_bytes: float = 0.0

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class Timeline:
    """Lanes in the order they are shown, events by start. The last one ends at `latency_s`."""

    lanes: tuple[Lane, ...]
    events: tuple[Event, ...]
    latency_s: float

    def busy_s(self, lane: Lane) -> float:
        """How long a lane has something to do."""
        return sum(e.duration_s for e in self.events if e.lane == lane)


LAUNCHES: Final = Lane("launch", "launches")
SWITCHES: Final = Lane("launch", "switches of engines")


def timeline(
    cost: CostTable, terms: Terms, engines: Sequence[str], policy: str, latency_s: float, waiting_s: float = 0.0
) -> Timeline:
    """The events of one run under a policy; of one machine. `engines` are the ids of those that run the kernels.

    What the latency is longer than the policy's own, every inference pays before its first kernel. So is drawn as one piece,
    behind it, how long the device waits for the host in all: between which kernels, no estimate says.
    """
    network_s = float(POLICIES[policy](terms)[1])
    fixed_s = max(latency_s - network_s, 0.0)
    made = _in_windows(cost, terms, engines, policy) if policy in WINDOWS else _spread(cost, terms, engines, policy)
    once = Event(LAUNCHES, "inference", None, -fixed_s, max(fixed_s - waiting_s, 0.0))
    found = [once, Event(LAUNCHES, "waiting", None, -waiting_s, waiting_s), *made]
    events = [
        Event(e.lane, e.kind, e.kernel, fixed_s + e.start_s, e.duration_s, e.moved_bytes) for e in found if e.duration_s > 0
    ]
    working = (*(Lane("engine", e) for e in dict.fromkeys(engines)), *(Lane("memory", level) for level in _levels(cost)))
    lanes = (LAUNCHES, SWITCHES, *working)
    used = {e.lane for e in events}
    shown = tuple(lane for lane in lanes if lane in used)
    return Timeline(shown, tuple(sorted(events, key=lambda e: (e.start_s, lanes.index(e.lane)))), latency_s)


def _levels(cost: CostTable) -> tuple[str, ...]:
    """Memories and links that kernels or crossings use."""
    return tuple(dict.fromkeys((*cost.s_by_level, *cost.crossing_s)))


def _in_windows(cost: CostTable, terms: Terms, engines: Sequence[str], policy: str) -> Iterator[Event]:
    """Kernel by kernel, in the order that takes the least time."""
    run = min(runs(WINDOWS[policy], terms), key=lambda r: float(r.latency_s))
    early = np.broadcast_to(run.windows.early, run.start_s.shape)
    for place, kernel in enumerate(run.order):
        launch_s, busy_s = float(run.terms.overhead_s[place]), float(run.windows.busy_s[place])
        start_s = float(run.start_s[place])
        yield from _crossings(cost, kernel, start_s)
        start_s += float(run.terms.transfer_s[place])
        yield Event(LAUNCHES, "launch", kernel, start_s, launch_s)
        begin_s = start_s if run.terms.asynchronous[place] else start_s + launch_s
        compute_s = float(run.terms.compute_s[place])
        yield Event(Lane("engine", engines[kernel]), "compute", kernel, begin_s + max(busy_s - compute_s, 0.0), compute_s)
        memory_s = float(run.terms.memory_s[place] - early[place] * run.terms.weight_s[place])
        yield from _transfers(cost, kernel, float(early[place]), begin_s, memory_s)
        if place + 1 < len(run.order):
            yield from _early(cost, run, place + 1, float(early[place + 1]), begin_s + memory_s)


def _crossings(cost: CostTable, kernel: int, start_s: float) -> Iterator[Event]:
    """What a kernel needs from another engine: the switch, then the links, one after another."""
    switch_s = float(cost.transfer_s[kernel] - sum(column[kernel] for column in cost.crossing_s.values()))
    yield Event(SWITCHES, "switch", kernel, start_s, max(switch_s, 0.0))
    start_s += max(switch_s, 0.0)
    for link, column in cost.crossing_s.items():
        yield Event(Lane("memory", link), "crossing", kernel, start_s, float(column[kernel]), cost.crossed[link].bytes(kernel))
        start_s += float(column[kernel])


def _transfers(cost: CostTable, kernel: int, early: float, begin_s: float, memory_s: float) -> Iterator[Event]:
    """What a kernel moves itself: the outermost memory begins first, the innermost ends last."""
    own = []
    for level, column in reversed(tuple(cost.s_by_level.items())):
        weight_s, weight_bytes = _weights(cost, level, kernel)
        seconds, moved = float(column[kernel]) - early * weight_s, float(cost.bytes_by_level[level][kernel])
        if seconds > 0:
            own.append((level, seconds, moved - early * weight_bytes))
    for rank, (level, seconds, moved) in enumerate(own):
        wait_s = max(memory_s - seconds, 0.0) * rank / max(len(own) - 1, 1)
        yield Event(Lane("memory", level), "transfer", kernel, begin_s + wait_s, seconds, moved)


def _early(cost: CostTable, run: Run, place: int, early: float, begin_s: float) -> Iterator[Event]:
    """Weights of the next kernel, once the memories have served this one."""
    kernel = run.order[place]
    for level in cost.streamed.s_by_level:
        weight_s, weight_bytes = _weights(cost, level, kernel)
        yield Event(Lane("memory", level), "early weights", kernel, begin_s, early * weight_s, early * weight_bytes)


def _weights(cost: CostTable, level: str, kernel: int) -> tuple[float, float]:
    """Seconds and bytes of a kernel's weights that come from a level outside the chip."""
    if level not in cost.streamed.s_by_level:
        return 0.0, 0.0
    return float(cost.streamed.s_by_level[level][kernel]), float(cost.streamed.bytes_by_level[level][kernel])


def _spread(cost: CostTable, terms: Terms, engines: Sequence[str], policy: str) -> Iterator[Event]:
    """Each lane's work one after another, its idle time in between as the kernels' shares of the latency go by."""
    shares, latency = POLICIES[policy](terms)
    passed = np.cumsum(shares) - shares
    last_s = float(passed[shares > 0].max(initial=0.0))
    progress = passed / last_s if last_s > 0 else np.ones(len(shares))
    yield from _lane(LAUNCHES, "launch", terms.overhead_s, progress, float(latency))
    switch_s = np.maximum(terms.transfer_s - sum(cost.crossing_s.values(), np.zeros(())), 0.0)
    yield from _lane(SWITCHES, "switch", switch_s, progress, float(latency))
    for engine in dict.fromkeys(engines):
        here = np.array([e == engine for e in engines], np.bool_)
        yield from _lane(Lane("engine", engine), "compute", np.where(here, cost.compute_s, 0.0), progress, float(latency))
    for level in _levels(cost):
        zero = np.zeros(len(progress))
        moved = cost.bytes_by_level.get(level, zero) + (cost.crossed[level].all_bytes if level in cost.crossed else zero)
        seconds = cost.s_by_level.get(level, zero) + cost.crossing_s.get(level, zero)
        yield from _lane(Lane("memory", level), "transfer", seconds, progress, float(latency), moved)


def _lane(
    lane: Lane, kind: EventKind, durations_s: Array, progress: Array, latency_s: float, moved: Array | None = None
) -> Iterator[Event]:
    """One event a kernel; the gaps before it are `progress` of all that the lane idles."""
    idle_s = max(latency_s - float(durations_s.sum()), 0.0)
    starts = np.cumsum(durations_s) - durations_s + idle_s * np.minimum(progress, 1.0)
    for kernel, (start, duration) in enumerate(zip(starts, durations_s, strict=True)):
        yield Event(lane, kind, kernel, float(start), float(duration), 0.0 if moved is None else float(moved[kernel]))
