"""What the time and the energy of an estimate are made of: parts that add up to the whole."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.result.prediction import Prediction

Array = NDArray[np.float64]
Parts = dict[str, float]

OUTSIDE: Final = "outside"  # of all kernels: what an inference pays once
_ROUNDING: Final = 1e-12  # of a total: what a sum of its parts may lose


def time_by_class_s(est: Prediction) -> Parts:
    """Seconds by kernel class, the longest first, and those outside of kernels. The sum is the latency."""
    found: Parts = {}
    for kind, seconds in zip(est.work.kinds, est.kernel_s, strict=True):
        found[str(kind)] = found.get(str(kind), 0.0) + float(seconds)
    return _with_rest(dict(sorted(found.items(), key=lambda item: -item[1])), est.latency_s)


def time_as_it_shows_s(est: Prediction) -> Parts:
    """Seconds of arithmetic, and what memory, launches and transfers between engines add to it. The sum is the latency.

    Of each kernel's time transfers show in full, arithmetic shows in full, memory as far as the policy does not hide it
    behind arithmetic, and launches in full, or, where the device works on meanwhile, as far as they are longer than its
    work. Parts without time are left out. Engines that run beside each other have their share of the latency only: there a
    part is cut where the share is used up, transfers and arithmetic last. Waiting for the host is a part of launches.
    """
    cost = est.cost
    transfer = np.minimum(cost.transfer_s, est.kernel_s)
    rest = est.kernel_s - transfer
    hidden = np.asarray(cost.asynchronous)  # launches
    compute = np.minimum(cost.compute_s, rest - np.where(hidden, 0.0, np.minimum(cost.overhead_s, rest)))
    is_launching = rest <= cost.overhead_s * (1 + _ROUNDING)
    busy = np.maximum(compute, np.minimum(cost.memory_s, rest))
    launches = np.where(hidden, np.where(is_launching, rest - busy, 0.0), np.minimum(cost.overhead_s, rest))
    found = {"compute": compute, "memory": rest - compute - launches, "overhead": launches, "transfer": transfer}
    parts = {name: float(seconds.sum()) for name, seconds in found.items()}
    return _with_rest({**parts, "overhead": parts["overhead"] + est.waiting_s}, est.latency_s)


def energy_by_part_j(est: Prediction) -> Parts | None:
    """Joules of arithmetic, of each memory and of static power; `active` where power was measured as a whole. None if unknown.

    The sum is the energy.
    """
    if est.energy_j is None:
        return None
    known = {name: joules for name, joules in est.energy_parts_j.items() if joules is not None}
    by_memory = {name: joules for name, joules in est.energy_by_memory_j.items() if joules is not None}
    memory = by_memory if "memory" in known and by_memory else {"memory": known.get("memory", 0.0)}
    parts = {
        "compute": known.get("compute", 0.0),
        **memory,
        "static": known.get("static", 0.0),
        "active": known.get("active", 0.0),
    }
    return _with_rest(parts, est.energy_j)


def energy_by_class_j(est: Prediction) -> Parts | None:
    """Joules by kernel class, the largest first. None if unknown. The sum is the energy."""
    found = est.energy_by_class_j
    return None if found is None else dict(sorted(found.items(), key=lambda item: (item[0] == OUTSIDE, -item[1])))


def _with_rest(parts: Mapping[str, float], whole: float) -> Parts:
    """The parts that are something, and under `outside` what of the whole none of them is."""
    rest = whole - sum(parts.values())
    found = {name: value for name, value in parts.items() if value > _ROUNDING * whole}
    return {**found, OUTSIDE: rest} if rest > _ROUNDING * whole else found


BREAKDOWNS: Final[Mapping[str, Callable[[Prediction], Parts | None]]] = MappingProxyType(
    {
        "time": time_as_it_shows_s,
        "time by class": time_by_class_s,
        "energy": energy_by_part_j,
        "energy by class": energy_by_class_j,
    }
)
