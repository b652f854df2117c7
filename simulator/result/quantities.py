"""What comparisons, targets and fronts are about: the totals of an estimate by name, one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from simulator.errors import UsageError, did_you_mean
from simulator.result.prediction import Prediction

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Total:
    """A figure of a whole run: `key` names it in files, with its unit, `name` where people type it.

    `dimension` is that of simulator/units.py, `unit` its SI unit as axes show it; `of` gives None where the machine has no
    figures for it.
    """

    name: str
    key: str
    header: str
    dimension: str
    unit: str
    better: Better
    of: Callable[[Prediction], float | None]


def power_w(est: Prediction) -> float | None:
    """Mean power of runs back to back."""
    return None if est.energy_j is None or not est.latency_s else est.energy_j / est.latency_s


NEED_STATIC_POWER: Final = frozenset({"energy", "power"})  # at least what is shown, where a machine's file has none


TOTALS: Final[dict[str, Total]] = {
    total.name: total
    for total in (
        Total("latency", "latency_s", "latency", "seconds", "s", "less", lambda est: est.latency_s),
        Total("bound_latency", "bound_latency_s", "bound", "seconds", "s", "less", lambda est: est.bound_latency_s),
        Total("throughput", "throughput_per_s", "inferences/s", "per_second", "/s", "more", lambda est: est.throughput_per_s),
        Total("energy", "energy_j", "energy", "joules", "J", "less", lambda est: est.energy_j),
        Total("power", "power_w", "power", "watts", "W", "less", power_w),
        Total(
            "memory", "peak_activation_bytes", "activations (peak)", "bytes", "B", "less",
            lambda est: float(est.prepared.occupancy.peak_bytes),
        ),
        Total("size", "weight_bytes", "weights", "bytes", "B", "less", lambda est: float(est.work.footprint.weight_bytes)),
        Total("macs", "macs", "MACs", "count", "MAC", "less", lambda est: float(est.model.macs)),
        Total("params", "params", "parameters", "count", "", "less", lambda est: float(est.model.params)),
    )
}  # fmt: skip


def total_of(name: str) -> Total:
    """The total of that name, or of that key; UsageError with suggestions otherwise."""
    found = TOTALS.get(name) or next((total for total in TOTALS.values() if total.key == name), None)
    if found is None:
        raise UsageError(f"no figure '{name}'{did_you_mean(name, TOTALS)} (known: {', '.join(TOTALS)})")
    return found
