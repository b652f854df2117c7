"""Events of Chrome's trace format, as profilers write them: reading, and the time that is an event's own.

Format: "Trace Event Format", Google (complete events: `ph` X, `ts` and `dur` in microseconds).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.errors import UsageError


@dataclass(frozen=True, slots=True)
class Event:
    """A complete event: category, name, start and duration in microseconds, the thread it ran in, its arguments."""

    category: str
    name: str
    start_us: float
    duration_us: float
    thread: tuple[object, object]
    args: Mapping[str, Any]

    @property
    def end_us(self) -> float:
        """When it ended."""
        return self.start_us + self.duration_us


def complete_events(raw: Iterable[object], where: str) -> list[Event]:
    """The complete events of a trace, in their order; other kinds (metadata, flows, counters) are left out.

    Raises:
        UsageError: an entry that is no event, or a complete one without times.
    """
    found = []
    for index, entry in enumerate(raw):
        if not isinstance(entry, dict):
            raise UsageError(f"{where}: entry {index} of the trace is no event")
        if entry.get("ph") != "X":
            continue
        start, duration = entry.get("ts"), entry.get("dur", 0)
        if not isinstance(start, int | float) or not isinstance(duration, int | float) or duration < 0:
            raise UsageError(f"{where}: event {index} ({entry.get('name')}) has no start or duration")
        args = entry.get("args")
        category, name = str(entry.get("cat", "")), str(entry.get("name", ""))
        thread = (entry.get("pid"), entry.get("tid"))
        found.append(Event(category, name, float(start), float(duration), thread, args if isinstance(args, dict) else {}))
    return found


def own_us(events: Sequence[Event]) -> list[float]:
    """Microseconds of each event without the events inside it (same thread, begun and ended within it)."""
    own = [e.duration_us for e in events]
    open_: dict[tuple[object, object], list[int]] = {}
    for index in sorted(range(len(events)), key=lambda i: (events[i].start_us, -events[i].duration_us, i)):
        event = events[index]
        stack = open_.setdefault(event.thread, [])
        while stack and not _inside(event, events[stack[-1]]):
            stack.pop()
        if stack:
            own[stack[-1]] -= event.duration_us
        stack.append(index)
    return [max(value, 0.0) for value in own]


def _inside(inner: Event, outer: Event) -> bool:
    """Whether an event that began later lies within another: one that only touches its end or has no length does not."""
    return inner.start_us < outer.end_us and inner.end_us <= outer.end_us
