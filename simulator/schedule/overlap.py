"""How compute and memory time combine into latency. To add a policy, decorate a function of columns here.

Laws, held by tests: full ≤ layer ≤ runtime ≤ none, and no policy beats any single resource's total.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from simulator.cost.table import CostTable
from simulator.workload import total

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """Columns of shape (..., n_kernels): compute, memory, overhead in s; `theta` is the runtime's overlap, `asynchronous`
    whether launches hide behind a busy device.
    """

    compute_s: Array
    memory_s: Array
    overhead_s: Array
    theta: Array
    asynchronous: NDArray[np.bool_]

    @classmethod
    def of(cls, cost: CostTable) -> Self:
        """What a policy needs of the costs."""
        return cls(cost.compute_s, cost.memory_s, cost.overhead_s, cost.overlap, cost.asynchronous)


Policy = Callable[[Terms], tuple[Array, Array]]
POLICIES: Final[dict[str, Policy]] = {}


def policy(name: str) -> Callable[[Policy], Policy]:
    """Register an overlap policy under the name that `--overlap` takes."""

    def register(function: Policy) -> Policy:
        POLICIES[name] = function
        return function

    return register


def _launched(busy: Array, terms: Terms) -> Array:
    """With the launch: asynchronous launches hide behind a busy device, others add."""
    return np.where(terms.asynchronous, np.maximum(busy, terms.overhead_s), busy + terms.overhead_s)


@policy("runtime")
def runtime(terms: Terms) -> tuple[Array, Array]:
    """T = max + (1 − θ)·min of compute and memory in each kernel, θ being the runtime's overlap."""
    longer, shorter = np.maximum(terms.compute_s, terms.memory_s), np.minimum(terms.compute_s, terms.memory_s)
    kernels = _launched(longer + (1.0 - terms.theta) * shorter, terms)
    return kernels, total(kernels)


@policy("none")
def none(terms: Terms) -> tuple[Array, Array]:
    """T = compute + memory in each kernel."""
    kernels = _launched(terms.compute_s + terms.memory_s, terms)
    return kernels, total(kernels)


@policy("layer")
def layer(terms: Terms) -> tuple[Array, Array]:
    """T = the longer of compute and memory in each kernel: double buffering within it."""
    kernels = _launched(np.maximum(terms.compute_s, terms.memory_s), terms)
    return kernels, total(kernels)


@policy("full")
def full(terms: Terms) -> tuple[Array, Array]:
    """The longest of the totals: everything overlaps with everything. Kernels get their share of it."""
    kernels, layers = layer(terms)
    busy = np.maximum(total(terms.compute_s), total(terms.memory_s))
    hidden = total(np.where(terms.asynchronous, terms.overhead_s, 0.0))
    waited = total(np.where(terms.asynchronous, 0.0, terms.overhead_s))
    latency = np.maximum(busy + waited, hidden)
    share = np.divide(latency, layers, out=np.ones_like(latency), where=layers > 0)
    return kernels * share[..., np.newaxis], latency
