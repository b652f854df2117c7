"""Branches of a network beside each other, on a machine with several engines.

Every engine runs its kernels one after another, a kernel waits for those that make its inputs, and the memories and what
launches kernels serve one kernel at a time, in the order they start. So the schedule is never longer than one kernel after
another, and never shorter than the critical path, the busiest engine, or the total of memories or launches. The order is
fixed beforehand, without a look at times: what gets faster then never makes the whole slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.kernels.types import Kernel

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Branches:
    """For every kernel the id of its engine and the kernels that it waits for."""

    engines: tuple[str, ...]
    waits_for: tuple[tuple[int, ...], ...]

    def orders(self) -> tuple[tuple[int, ...], ...]:
        """Orders worth trying: as given, and by depth, so that branches take turns."""
        depth: list[int] = []
        for before in self.waits_for:
            depth.append(1 + max((depth[k] for k in before), default=-1))
        given = tuple(range(len(depth)))
        return tuple(dict.fromkeys([given, tuple(sorted(given, key=lambda k: depth[k]))]))

    def by_engine(self) -> tuple[NDArray[np.bool_], ...]:
        """For every engine which kernels are its own."""
        return tuple(np.array([e == engine for e in self.engines], np.bool_) for engine in dict.fromkeys(self.engines))


def branches_of(kernels: Sequence[Kernel], engines: Sequence[str]) -> Branches | None:
    """What may run beside what; None where one engine runs everything, one kernel after another."""
    if len(set(engines)) < 2:
        return None
    maker = {t.name: i for i, kernel in enumerate(kernels) for t in kernel.outputs}
    waits = (sorted({maker[t.name] for t in k.inputs if maker.get(t.name, i) < i}) for i, k in enumerate(kernels))
    return Branches(tuple(engines), tuple(map(tuple, waits)))


def starts_s(kernel_s: Array, shared_s: Array, branches: Branches, order: Sequence[int]) -> Array:
    """When each kernel starts: once its engine, its inputs, the memories and the launcher are free. Columns are in `order`.

    `shared_s` counts from the start of a kernel until what all engines share can serve the next one, at most its `kernel_s`.
    """
    start = np.zeros(kernel_s.shape)
    end: dict[int, Array] = {}
    engine_free: dict[str, Array] = {}
    shared = np.zeros(kernel_s.shape[:-1])
    for position, kernel in enumerate(order):
        engine = branches.engines[kernel]
        ready = np.maximum(shared, engine_free.get(engine, np.zeros(())))
        for before in branches.waits_for[kernel]:
            ready = np.maximum(ready, end[before])
        start[..., position] = ready
        end[kernel] = engine_free[engine] = ready + kernel_s[..., position]
        shared = ready + shared_s[..., position]
    return start


def one_after_another_s(kernel_s: Array) -> Array:
    """When each kernel starts where one runs after another."""
    return np.concatenate([np.zeros_like(kernel_s[..., :1]), np.cumsum(kernel_s[..., :-1], axis=-1)], axis=-1)
