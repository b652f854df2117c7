"""Expected cost of a network with early exits: what each way costs, by how often it is taken.

BranchyNet (Teerapittayanon, McDanel & Kung 2016, arXiv:1709.01686): samples that an exit is sure of leave there. How many
do is measured on the network's task; here it is given.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.result.estimate import Estimate
from simulator.transform.exits import until_exit, with_exit

_SLACK = 1e-9  # of a sum of decimal fractions


def expected_total(exits: Sequence[tuple[float, float]], whole: float) -> float:
    """Σ pᵢ·cᵢ + (1 − Σ pᵢ)·whole, in the unit of the costs.

    Args:
        exits: share of samples (0 to 1) and cost of each exit; the shares add up to 1 at most.
        whole: cost of those that no exit takes.

    Raises:
        UsageError: a share outside of 0 to 1, or shares that add up to more than 1.
    """
    shares = [share for share, _ in exits]
    for share in shares:
        if not 0.0 <= share <= 1.0:
            raise UsageError(f"the share of samples that leave at an exit must be from 0 to 1, not {share:g}")
    taken = math.fsum(shares)
    if taken > 1.0 + _SLACK:
        raise UsageError(f"the shares of samples that leave at exits add up to {taken:g}, more than 1")
    rest = max(0.0, 1.0 - taken)
    return math.fsum([*(share * cost for share, cost in exits), rest * whole])


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit behind an operator, the share of samples that leave there, and the classes of its head (None: the network's)."""

    at: str
    share: float
    classes: int | None = None


def exit_of(text: str) -> Exit:
    """What `layer2.1.relu:0.6` means, or `layer2.1.relu:0.6:10` with ten classes.

    Raises:
        UsageError: no operator, no share from 0 to 1.
    """
    at, *numbers = text.split(":")
    try:
        share = float(numbers[0])
        classes = int(numbers[1]) if len(numbers) == 2 else None
    except (ValueError, IndexError):
        share, classes = math.nan, None
    if not at or len(numbers) > 2 or not 0.0 <= share <= 1.0 or (classes is not None and classes < 1):
        raise UsageError(f"exit={text}: write OPERATOR:SHARE, the share of samples that leave there, as in layer2.1.relu:0.6")
    return Exit(at, share, classes)


def with_exits(graph: Graph, exits: Sequence[Exit]) -> tuple[Graph, tuple[tuple[float, Graph], ...]]:
    """The network with heads at all exits, and for each exit the share of samples and what runs of the network until then.

    Raises:
        UsageError: no such operator, no features there, shares that add up to more than 1.
    """
    expected_total([(one.share, 0.0) for one in exits], 0.0)
    own = graph.tensors[graph.outputs[0]].shape or (1,)
    for one in exits:
        graph = with_exit(graph, one.at, one.classes or own[-1])
    return graph, tuple((one.share, until_exit(graph, one.at)) for one in exits)


def expected_estimate(exits: Sequence[tuple[float, Estimate]], whole: Estimate) -> Estimate:
    """The estimate of the whole network with latency, bound, energy and its parts in the mean over all ways through it.

    Kernels take their time as often as they run: those behind an exit less.
    """

    def mean(of: Callable[[Estimate], float | None]) -> float | None:
        values = [(share, of(est)) for share, est in exits]
        last = of(whole)
        known = [(share, value) for share, value in values if value is not None]
        return None if last is None or len(known) < len(values) else expected_total(known, last)

    runs = np.array([1.0 - math.fsum(s for s, est in exits if not _has(est, k.main, whole)) for k in whole.prepared.kernels])
    latency, bound = mean(lambda est: est.latency_s), mean(lambda est: est.bound_latency_s)
    waiting = mean(lambda est: est.waiting_s)
    assert latency is not None
    assert bound is not None
    assert waiting is not None
    return replace(
        whole, latency_s=latency, waiting_s=waiting, bound_latency_s=bound,
        energy_j=mean(lambda est: est.energy_j), kernel_s=whole.kernel_s * runs,
        kernel_j=None if whole.kernel_j is None else whole.kernel_j * runs,
        energy_parts_j={part: mean(lambda est, part=part: est.energy_parts_j[part]) for part in whole.energy_parts_j},  # type: ignore[misc]
    )  # fmt: skip


def _has(early: Estimate, main: int, whole: Estimate) -> bool:
    """Whether an operator of the whole network runs until an exit."""
    name = whole.prepared.graph.ops[main].name
    return any(op.name == name for op in early.prepared.graph.ops)
