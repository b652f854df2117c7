"""Expected cost of a network with early exits: what each way costs, by how often it is taken.

BranchyNet (Teerapittayanon, McDanel & Kung 2016, arXiv:1709.01686): samples that an exit is sure of leave there. How many
do is measured on the network's task; here it is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.errors import UsageError
from simulator.result.prediction import Prediction

_SLACK = 1e-9  # of a sum of decimal fractions


@dataclass(frozen=True, slots=True)
class ExpectedRun:
    """Mean latency in s and energy in J of one inference; None where the machine has no figures for energy."""

    latency_s: float
    energy_j: float | None


def expected_run(exits: Sequence[tuple[float, Prediction]], whole: Prediction) -> ExpectedRun:
    """The mean over all ways through a network.

    Args:
        exits: for each exit the share of samples that leave there, and the estimate of what runs until then
            (`transform.exits.until_exit`).
        whole: the estimate of the network with all its exits, which the rest run to the end.

    Raises:
        UsageError: shares that are none, or that add up to more than 1.
    """
    energies = [(share, est.energy_j) for share, est in exits]
    latency = expected_total([(share, est.latency_s) for share, est in exits], whole.latency_s)
    known = [(share, energy) for share, energy in energies if energy is not None]
    if whole.energy_j is None or len(known) < len(energies):
        return ExpectedRun(latency, None)
    return ExpectedRun(latency, expected_total(known, whole.energy_j))


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
