"""An order of the kernels that needs less memory (Liberis & Lane, arXiv:1910.05110; SERENITY, arXiv:2003.02369).

Exact: the state of a run is the set of kernels that ran; what is in memory follows from the set alone, whatever the
order was. So the best order is a path through these sets whose largest step is smallest: Dijkstra's search with the
maximum in place of the sum, each set met once. Two bounds keep it short. No order is below the largest input + output
of one kernel, so that is where the search starts. And a kernel that fits below the peak so far and leaves no more than
it found is run at once: whatever order follows without it, running it now makes no step larger.

Beyond a budget of sets: the better of a greedy order with look-ahead and a beam search over the same sets. The order
given is kept where none is better.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.graph.graph import Graph
from simulator.kernels.operators import view_source
from simulator.kernels.types import Kernel
from simulator.schedule.memory import activations_of, lifetimes

STATES: Final = 20_000  # sets that the exact search may open
_CHOICES: Final = 4  # ready kernels that the greedy order looks behind, by what they need and by what they leave
_BEAM_STATES: Final = 100_000  # steps of a beam search, about: its width falls with the square of the number of kernels
_BEAM_KERNELS: Final = 2000
_WIDTH: Final = 32  # ready kernels looked at, the youngest


@dataclass(frozen=True)
class Reordering:
    """Positions of the kernels in their new order, the peaks of the old and the new one, whether it is the best."""

    order: tuple[int, ...]
    given_bytes: int
    peak_bytes: int
    exact: bool

    @property
    def saved_bytes(self) -> int:
        """How much smaller the peak is."""
        return self.given_bytes - self.peak_bytes


def reorder(graph: Graph, kernels: Sequence[Kernel], states: int = STATES) -> Reordering:
    """An order with the lowest liveness peak found, after at most so many sets of kernels; valid, and never worse."""
    problem = _Problem.of(graph, kernels)
    given = problem.peak_of(range(len(kernels)))
    found = problem.exact(given, states)
    if found is not None:
        order, peak = found
        return Reordering(order if peak < given else tuple(range(len(kernels))), given, min(peak, given), exact=True)
    orders = [problem.greedy()]
    if len(kernels) <= _BEAM_KERNELS:
        orders.append(problem.beam(max(1, min(64, _BEAM_STATES // len(kernels) ** 2))))
    peak, order = min((problem.peak_of(o), o) for o in orders)
    if peak < given:
        return Reordering(order, given, peak, exact=peak == problem.floor)
    return Reordering(tuple(range(len(kernels))), given, given, exact=given == problem.floor)


def reordered(kernels: Sequence[Kernel], reordering: Reordering) -> tuple[Kernel, ...]:
    """The kernels in the new order."""
    return tuple(kernels[i] for i in reordering.order)


@dataclass(frozen=True)
class _Step:
    """What running a kernel does to memory."""

    during: int  # bytes while it runs
    after: int  # bytes once it ran


@dataclass(frozen=True)
class _Problem:
    """Kernels as bits of a set: who waits for whom, what each makes and what may be freed after it."""

    waits_for: tuple[int, ...]
    followers: tuple[tuple[int, ...], ...]
    makes_bytes: tuple[int, ...]
    fleeting_bytes: tuple[int, ...]  # made but read by nobody
    reads: tuple[tuple[tuple[int, int], ...], ...]  # of each input that can be freed: set of its readers, bytes
    start_bytes: int
    floor: int

    @classmethod
    def of(cls, graph: Graph, kernels: Sequence[Kernel]) -> "_Problem":
        """Read off the kernels' inputs and outputs."""
        spans = lifetimes(graph, kernels)
        size = {name: spec.size_bytes for name, (spec, _, _) in spans.items()}
        maker = {t.name: i for i, k in enumerate(kernels) for t in k.outputs}
        readers: dict[str, int] = {}
        for index, kernel in enumerate(kernels):
            for tensor in kernel.inputs:
                readers[tensor.name] = readers.get(tensor.name, 0) | 1 << index
        kept = {view_source(graph, name) for name in graph.outputs}
        read = [(*k.inputs, *k.weights) for k in kernels]  # a weight that is cast first waits for that
        parents = [{maker[t.name] for t in tensors if maker.get(t.name, i) != i} for i, tensors in enumerate(read)]
        followers: list[list[int]] = [[] for _ in kernels]
        for index, before in enumerate(parents):
            for parent in before:
                followers[parent].append(index)
        names = [dict.fromkeys(t.name for t in k.inputs) for k in kernels]
        made = [dict.fromkeys(t.name for t in activations_of(k)) for k in kernels]
        return cls(
            tuple(sum(1 << p for p in before) for before in parents),
            tuple(map(tuple, followers)),
            tuple(sum(size[n] for n in outs) for outs in made),
            tuple(sum(size[n] for n in outs if n not in readers and n not in kept) for outs in made),
            tuple(tuple((readers[n], size[n]) for n in ins if n not in kept) for ins in names),
            sum(size[n] for n in size if n not in maker),
            max((sum(size[n] for n in {**i, **o}) for i, o in zip(names, made, strict=True)), default=0),
        )

    def step(self, done: int, live: int, kernel: int) -> _Step:
        """Bytes while a kernel runs and after it, where `done` ran before and `live` bytes are there."""
        during = live + self.makes_bytes[kernel]
        ran = done | 1 << kernel
        freed = sum(size for readers, size in self.reads[kernel] if not readers & ~ran)
        return _Step(during, during - freed - self.fleeting_bytes[kernel])

    def ready_after(self, done: int, ready: Sequence[int], kernel: int) -> tuple[int, ...]:
        """What can run next; `done` includes the kernel."""
        woken = (k for k in self.followers[kernel] if not self.waits_for[k] & ~done)
        return (*(k for k in ready if k != kernel), *woken)

    def first(self) -> tuple[int, ...]:
        """What can run at the start."""
        return tuple(k for k, before in enumerate(self.waits_for) if not before)

    def peak_of(self, order: Sequence[int]) -> int:
        """Liveness peak of an order."""
        done, live, peak = 0, self.start_bytes, 0
        for kernel in order:
            step = self.step(done, live, kernel)
            done, live, peak = done | 1 << kernel, step.after, max(peak, step.during)
        return peak

    def exact(self, given: int, states: int) -> tuple[tuple[int, ...], int] | None:
        """The best order and its peak; None where it takes more sets than allowed. Orders no better than given are cut."""
        total = len(self.waits_for)
        start = self._run_free(_State(0, self.start_bytes, self.first(), None, 0), self.floor)
        queue = [(self.floor, -start.count, 0, start)]
        lowest, opened = {start.done: self.floor}, 0
        while queue:
            peak, _, _, state = heapq.heappop(queue)
            if state.count == total:
                return state.order(), peak
            for kernel in state.ready:
                reached = max(peak, self.step(state.done, state.live, kernel).during)
                if reached >= given:
                    continue
                following = self._run_free(self._run(state, kernel), reached)
                if lowest.get(following.done, given) <= reached:
                    continue
                lowest[following.done] = reached
                opened += 1
                if opened > states:
                    return None
                heapq.heappush(queue, (reached, -following.count, opened, following))
        return tuple(range(total)), given

    def greedy(self) -> tuple[int, ...]:
        """Of what is ready, the kernel after which the peak so far, its own step and the best step behind it are lowest."""
        state = self._run_free(_State(0, self.start_bytes, self.first(), None, 0), self.floor)
        peak = self.floor
        while state.ready:
            steps = [(self.step(state.done, state.live, k), k) for k in state.ready[-_WIDTH:]]
            near = sorted(steps, key=lambda pair: (pair[0].during, pair[0].after, pair[1]))[:_CHOICES]
            near += sorted(steps, key=lambda pair: (pair[0].after, pair[0].during, pair[1]))[:_CHOICES]
            _, _, _, chosen = min(self._outlook(state, peak, step, kernel) for step, kernel in near)
            peak = max(peak, self.step(state.done, state.live, chosen).during)
            state = self._run_free(self._run(state, chosen), peak)
        return state.order()

    def beam(self, width: int) -> tuple[int, ...]:
        """Of the sets of as many kernels, the best few by peak and bytes left go on; the best order that comes through."""
        start = self._run_free(_State(0, self.start_bytes, self.first(), None, 0), self.floor)
        levels: dict[int, dict[int, tuple[int, _State]]] = {start.count: {start.done: (self.floor, start)}}
        for count in range(len(self.waits_for)):
            level = levels.pop(count, {})
            for peak, state in sorted(level.values(), key=lambda entry: (entry[0], entry[1].live))[:width]:
                for kernel in state.ready[-_WIDTH:]:
                    reached = max(peak, self.step(state.done, state.live, kernel).during)
                    following = self._run_free(self._run(state, kernel), reached)
                    there = levels.setdefault(following.count, {})
                    if following.done not in there or there[following.done][0] > reached:
                        there[following.done] = (reached, following)
        ((_, last),) = levels[len(self.waits_for)].values()
        return last.order()

    def _outlook(self, state: "_State", peak: int, step: _Step, kernel: int) -> tuple[int, int, int, int]:
        """How good a choice looks: the peak with the best step behind it, its own step, what it leaves, itself."""
        reached = max(peak, step.during)
        after = self._run_free(self._run(state, kernel), reached)
        behind = (self.step(after.done, after.live, k).during for k in after.ready[-_WIDTH:])
        return max(reached, min(behind, default=0)), after.live, step.during, kernel

    def _run(self, state: "_State", kernel: int) -> "_State":
        done = state.done | 1 << kernel
        live = self.step(state.done, state.live, kernel).after
        return _State(done, live, self.ready_after(done, state.ready, kernel), (state.trail, kernel), state.count + 1)

    def _run_free(self, state: "_State", peak: int) -> "_State":
        """Run every ready kernel that neither passes the peak nor leaves more than it found."""
        while True:
            for kernel in state.ready[-_WIDTH:]:
                step = self.step(state.done, state.live, kernel)
                if step.during <= peak and step.after <= state.live:
                    state = self._run(state, kernel)
                    break
            else:
                return state


@dataclass(frozen=True, slots=True)
class _State:
    """A set of kernels that ran, what is in memory then, what can run next, and one way there."""

    done: int
    live: int
    ready: tuple[int, ...]
    trail: Any  # (trail before, kernel), None at the start
    count: int

    def order(self) -> tuple[int, ...]:
        """The kernels in the order they ran."""
        found, trail = [], self.trail
        while trail is not None:
            trail, kernel = trail
            found.append(kernel)
        return tuple(reversed(found))
