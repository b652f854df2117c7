"""How compute and memory time combine into latency. To add a policy, decorate a function of columns here.

Laws, held by tests: full ≤ prefetch ≤ layer ≤ runtime ≤ none, and no policy beats any single resource's total.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from simulator.cost.double_buffer import double_buffered_s, partly_overlapped_s
from simulator.cost.table import CostTable
from simulator.machine.figures import Number
from simulator.schedule.branches import Branches, one_after_another_s, starts_s
from simulator.workload import Alike, total

Array = NDArray[np.float64]


def _none() -> Array:
    return np.zeros(())


@dataclass(frozen=True)
class Terms:
    """Columns of shape (..., n_kernels): compute, memory, overhead in s; `theta` is the runtime's overlap, `asynchronous`
    whether launches hide behind a busy device, `tiles` how many pass through a double buffer.

    Of the memory time `weight_s` is added by weights from outside the chip, which keep the links busy for `link_s`;
    `weight_bytes` are their bytes, `room_bytes` what the next kernel's may take on chip while this one runs. Before a
    kernel starts, what it needs from another engine takes `transfer_s`. `branches` says what may run beside what, where
    the network runs on several engines, `alike` which kernels are the same. Columns broadcast; `spread` makes them equal.
    """

    compute_s: Array
    memory_s: Array
    overhead_s: Array
    theta: Number
    asynchronous: NDArray[np.bool_]
    tiles: Array = field(default_factory=lambda: np.full((), np.inf))
    weight_s: Array = field(default_factory=_none)
    link_s: Array = field(default_factory=_none)
    weight_bytes: Array = field(default_factory=_none)
    room_bytes: Array = field(default_factory=_none)
    branches: Branches | None = None
    transfer_s: Array = field(default_factory=_none)
    alike: Alike | None = None

    @classmethod
    def of(cls, cost: CostTable, branches: Branches | None = None) -> Self:
        """What a policy that loads nothing early needs of the costs."""
        return cls(
            cost.compute_s, cost.memory_s, cost.overhead_s, cost.overlap, cost.asynchronous, cost.tiles,
            branches=branches, transfer_s=cost.transfer_s, alike=cost.alike,
        )  # fmt: skip

    @classmethod
    def in_order(cls, cost: CostTable, live_bytes: Array, branches: Branches | None = None) -> Self:
        """What any policy needs: also the weights from outside, and the activations alive while each kernel runs."""
        weights = cost.streamed
        terms = replace(
            cls.of(cost, branches), alike=None, weight_s=weights.added_s, link_s=weights.link_s, weight_bytes=weights.bytes,
            room_bytes=weights.room_bytes(live_bytes),
        )  # fmt: skip
        return terms.spread()

    def spread(self) -> Self:
        """Every column of the same shape."""
        columns = self._columns()
        shape = np.broadcast_shapes(*(np.shape(column) for column in columns.values()))
        spread: dict[str, Any] = {name: np.broadcast_to(column, shape) for name, column in columns.items()}
        return replace(self, **spread)

    def _columns(self) -> dict[str, Array]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("branches", "alike")}

    def ordered(self, order: tuple[int, ...]) -> Self:
        """The kernels in another order: nothing is loaded early in it, for what is alive in it is not known."""
        columns: dict[str, Any] = {name: column[..., list(order)] for name, column in self._columns().items()}
        return replace(self, **{**columns, "room_bytes": np.zeros_like(columns["room_bytes"])})

    def total(self, columns: Array) -> Array:
        """Sum over the kernels of the network, of which only one of those alike may be in the columns."""
        return self.alike.total(columns) if self.alike else total(columns)


@dataclass(frozen=True)
class Windows:
    """Seconds that each kernel keeps its engine; of them those in which it computes or its memories move; the share of its
    streamed weights that the kernel before it loads.
    """

    kernel_s: Array
    busy_s: Array
    early: Array = field(default_factory=_none)


@dataclass(frozen=True)
class Run:
    """Kernels in the order they run, from when on, and the latency, under one policy. Columns are in that order."""

    order: tuple[int, ...]
    terms: Terms
    windows: Windows
    start_s: Array
    latency_s: Array


Policy = Callable[[Terms], tuple[Array, Array]]
POLICIES: Final[dict[str, Policy]] = {}
WINDOWS: Final[dict[str, Callable[[Terms], Windows]]] = {}
IN_ORDER: Final[set[str]] = set()  # policies that look at the kernel before, or at weights apart: for `Terms.in_order`


def policy(name: str, *, in_order: bool = False) -> Callable[[Callable[[Terms], Windows]], Callable[[Terms], Windows]]:
    """Register an overlap policy, how long each kernel takes, under the name that `--overlap` takes."""

    def register(function: Callable[[Terms], Windows]) -> Callable[[Terms], Windows]:
        WINDOWS[name] = function
        POLICIES[name] = lambda terms: _shares(function, terms)
        if in_order:
            IN_ORDER.add(name)
        return function

    return register


def runs(windows_of: Callable[[Terms], Windows], terms: Terms) -> list[Run]:
    """The network in each order worth trying: one after another on one engine, branches beside each other on several."""
    terms = terms.spread()
    if terms.branches is None:
        windows = windows_of(terms)
        order = tuple(range(terms.compute_s.shape[-1]))
        return [Run(order, terms, windows, one_after_another_s(windows.kernel_s), terms.total(windows.kernel_s))]
    found = []
    for number, order in enumerate(terms.branches.orders()):
        columns = terms if number == 0 else terms.ordered(order)
        windows = windows_of(columns)
        starts = starts_s(windows.kernel_s, _shared_s(columns, windows), terms.branches, order)
        latency = (starts + windows.kernel_s).max(axis=-1, initial=0.0)
        found.append(Run(order, columns, windows, starts, latency))
    return found


def _shares(windows_of: Callable[[Terms], Windows], terms: Terms) -> tuple[Array, Array]:
    """Each kernel's time and the latency; where branches run beside each other, kernels get their share of it."""
    kernels = windows_of(terms).kernel_s
    if terms.branches is None:
        return kernels, terms.total(kernels)
    latency = np.full(kernels.shape[:-1], np.inf)
    for run in runs(windows_of, terms):
        latency = np.minimum(latency, run.latency_s)
    return _scaled(kernels, total(kernels), latency), latency


def _scaled(kernels: Array, old: Array, new: Array) -> Array:
    share = np.divide(new, old, out=np.ones_like(new), where=old > 0)
    return np.asarray(kernels * share[..., np.newaxis])


def _shared_s(terms: Terms, windows: Windows) -> Array:
    """From the start of a kernel until it needs no more of what the engines share: what launches kernels, and the memories,
    once they have moved what is its own and what the next kernel has loaded early.
    """
    own = terms.memory_s - windows.early * terms.weight_s
    ahead = windows.early * terms.link_s
    moved = own + np.concatenate([ahead[..., 1:], np.zeros_like(ahead[..., :1])], axis=-1)
    served = np.where(terms.asynchronous, np.maximum(moved, terms.overhead_s), terms.overhead_s + moved)
    return np.asarray(terms.transfer_s + served)


def _windows(busy: Array, terms: Terms, early: Array | None = None) -> Windows:
    """With the transfer, and the launch: asynchronous launches hide behind a busy device, others add."""
    if terms.asynchronous.all():
        launched = np.maximum(busy, terms.overhead_s)
    elif not terms.asynchronous.any():
        launched = busy + terms.overhead_s
    else:
        launched = np.where(terms.asynchronous, np.maximum(busy, terms.overhead_s), busy + terms.overhead_s)
    kernel_s = terms.transfer_s + launched if terms.transfer_s.any() else launched
    return Windows(kernel_s, busy, _none() if early is None else early)


def _side_by_side(terms: Terms) -> Array:
    """The longer of compute and memory, + the shorter / tiles."""
    if _untiled(terms):
        return np.maximum(terms.compute_s, terms.memory_s)
    return double_buffered_s(terms.compute_s, terms.memory_s, terms.tiles)


def _untiled(terms: Terms) -> bool:
    """Whether no kernel passes through a double buffer."""
    return bool(np.isinf(terms.tiles).all())


@policy("runtime")
def runtime(terms: Terms) -> Windows:
    """T = max + (1 − θ)·min of compute and memory in each kernel, θ being the runtime's overlap; at least that of `layer`."""
    if isinstance(terms.theta, float) and terms.theta == 1.0:
        return _windows(_side_by_side(terms), terms)
    busy = partly_overlapped_s(terms.compute_s, terms.memory_s, terms.theta)
    return _windows(busy if _untiled(terms) else np.maximum(busy, _side_by_side(terms)), terms)


@policy("none")
def none(terms: Terms) -> Windows:
    """T = compute + memory in each kernel."""
    return _windows(terms.compute_s + terms.memory_s, terms)


@policy("layer")
def layer(terms: Terms) -> Windows:
    """T = the longer of compute and memory in each kernel: double buffering within it, + the shorter / tiles."""
    return _windows(_side_by_side(terms), terms)


@policy("prefetch", in_order=True)
def prefetch(terms: Terms) -> Windows:
    """As `layer`, and weights of the next kernel load while the links are idle, as far as there is room on chip.

    T_i = max(Tc_i, Tact_i + r_i), r_1 = Tw_1, r_{i+1} = Tw_{i+1} − min(Tw_{i+1}, link slack of i, free bytes / bandwidth):
    what could not be loaded earlier is loaded in its own kernel. Launches that wait load nothing.
    """
    early = _loaded_early(terms)
    memory = terms.memory_s - early * terms.weight_s
    return _windows(double_buffered_s(terms.compute_s, memory, terms.tiles), terms, early)


def _loaded_early(terms: Terms) -> Array:
    """The share of each kernel's streamed weights that the kernel before it, on the same engine, can load."""
    terms = terms.spread()
    early: Array = np.zeros(terms.compute_s.shape)
    engines = terms.branches.engines if terms.branches else None
    for i in range(1, terms.compute_s.shape[-1]):
        if engines is not None and engines[i] != engines[i - 1]:
            continue
        transfer = terms.memory_s[..., i - 1] - early[..., i - 1] * terms.weight_s[..., i - 1]
        slack = double_buffered_s(terms.compute_s[..., i - 1], transfer, terms.tiles[..., i - 1]) - transfer
        link_s, weight_bytes = terms.link_s[..., i], terms.weight_bytes[..., i]
        in_time = np.minimum(slack, link_s) / (link_s + (link_s == 0.0))
        in_room = np.minimum(terms.room_bytes[..., i - 1], weight_bytes) / (weight_bytes + (weight_bytes == 0.0))
        early[..., i] = np.minimum(in_time, in_room)
    return early


def full(terms: Terms) -> tuple[Array, Array]:
    """The longest of the totals: everything overlaps with everything. Kernels get their share of it."""
    kernels, layers = POLICIES["layer"](terms)
    latency = np.maximum(terms.total(terms.memory_s + np.zeros_like(kernels)), terms.total(terms.overhead_s))
    for here in terms.branches.by_engine() if terms.branches else (np.ones(kernels.shape[-1], np.bool_),):
        busy = np.maximum(terms.total(np.where(here, terms.compute_s, 0.0)), terms.total(np.where(here, terms.memory_s, 0.0)))
        hidden = terms.total(np.where(here & terms.asynchronous, terms.overhead_s, 0.0))
        waited = terms.total(np.where(here & ~terms.asynchronous, terms.overhead_s, 0.0))
        latency = np.maximum(latency, np.maximum(busy + waited, hidden))
    if terms.transfer_s.any():
        latency = np.maximum(latency, terms.total(terms.transfer_s))
    return _scaled(kernels, layers, latency), latency


POLICIES["full"] = full
