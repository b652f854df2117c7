"""How long flows keep the levels of memory busy, and how these times combine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from simulator.cost.traffic import Flow
from simulator.machine.figures import Number
from simulator.machine.params import MemoryParams

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """All flows over the same levels: the bytes that cross each, read and written; empty where nothing goes that way."""

    levels: tuple[MemoryParams, ...]
    read: tuple[Array, ...]
    written: tuple[Array, ...]

    def crossing(self, place: int, ratio: Number) -> Array:
        """Bytes that cross a level, a written one counted as `ratio` read ones."""
        if not self.written:
            return self.read[place]
        if not self.read:
            return self.written[place] * ratio
        if isinstance(ratio, float) and ratio == 1.0:
            return self._both[place]
        return self.read[place] + self.written[place] * ratio

    def served(self, place: int, ratio: Number) -> Array:
        """Of them those that the level has itself: all but those of the next one out."""
        here = self.crossing(place, ratio)
        return here if place + 1 == len(self.levels) else here - self.crossing(place + 1, ratio)

    @cached_property
    def _both(self) -> tuple[Array, ...]:
        return tuple(read + written for read, written in zip(self.read, self.written, strict=True))


@dataclass(frozen=True)
class Times:
    """How long flows keep the levels busy: bytes over the rates that are reached, times the share that shows.

    `rates` are B/s read and written by level, `shown` the share of a level's time that does not hide behind arithmetic.
    Memories mostly write as fast as they read: a written byte counts as the read ones that take as long.
    """

    flows: tuple[Flow, ...]
    rates: Mapping[str, tuple[Number, Number]]
    shown: Mapping[str, Number]

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """The flows, those over the same levels put together."""
        found: dict[tuple[str, ...], list[Flow]] = {}
        for flow in self.flows:
            found.setdefault(tuple(level.id for level in flow.levels), []).append(flow)
        return tuple(
            Way(flows[0].levels, *(_together([f for f in flows if f.written is written]) for written in (False, True)))
            for flows in found.values()
        )

    @cached_property
    def _read_s(self) -> Mapping[str, Number]:
        """Seconds that show of a byte read from each level."""
        return {level: self.shown[level] / read for level, (read, _) in self.rates.items()}

    @cached_property
    def _ratios(self) -> Mapping[str, Number]:
        """Bytes read in the time of one written; 1.0 where it is so on all machines, which then costs nothing."""
        found = {level: read / written for level, (read, written) in self.rates.items()}
        return {level: 1.0 if np.all(ratio == 1.0) else ratio for level, ratio in found.items()}

    @cached_property
    def by_level(self) -> Mapping[str, Array]:
        """Seconds of every kernel on each level while data crosses it."""
        found: dict[str, Array] = {}
        for way in self.ways:
            for place, level in enumerate(way.levels):
                seconds = np.asarray(way.crossing(place, self._ratios[level.id]) * self._read_s[level.id])
                found[level.id] = found[level.id] + seconds if level.id in found else seconds
        return found

    @property
    def one_after_another_s(self) -> Array:
        """Every byte takes the time of the level that has it."""
        return reduce(
            np.add,
            (
                way.served(place, self._ratios[level.id]) * self._read_s[level.id]
                for way in self.ways
                for place, level in enumerate(way.levels)
            ),
        )

    def combined_s(self, theta: Number) -> Array:
        """All levels together: the longest + (1 − θ) · what all add one after the other beyond it."""
        if isinstance(theta, float) and theta == 1.0:
            return reduce(np.maximum, self.by_level.values())
        together = self.one_after_another_s
        if isinstance(theta, float) and theta == 0.0 and all(m.is_staging for f in self.flows for m in f.levels[:-1]):
            return together  # the time of a byte grows outward, so that no level takes longer than all
        longest = reduce(np.maximum, self.by_level.values())
        return np.asarray(longest + (1.0 - theta) * (np.maximum(together, longest) - longest))


def _together(flows: Sequence[Flow]) -> tuple[Array, ...]:
    """Bytes that cross each level in all flows of one direction."""
    return tuple(reduce(np.add, crossings) for crossings in zip(*(flow.crossing for flow in flows), strict=True))
