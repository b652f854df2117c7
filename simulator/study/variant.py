"""A network on a machine, cut into kernels once, and its totals at columns of figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import limits_of
from simulator.cost.table import BOUNDS
from simulator.errors import UsageError
from simulator.estimator import Totals, known_policy, outermost_bytes, totals
from simulator.fidelity.constants import in_columns
from simulator.machine.changed import with_columns
from simulator.machine.params import machine_of, require_rate
from simulator.preparation import prepared_for
from simulator.result.estimate import Estimate
from simulator.result.prediction import Prepared
from simulator.result.quantities import power_w
from simulator.study.scenario import Case, require_figure

Array = NDArray[np.float64]
_BOUNDS: Final = np.array(BOUNDS, object)
Fault = tuple[str, NDArray[np.bool_]]  # what figures contradict each other in, and at which points


@dataclass(frozen=True)
class Variant:
    """One network, cut into kernels, on one machine: what points share that differ in figures alone."""

    case: Case
    prepared: Prepared

    @property
    def batch(self) -> int:
        """Inferences in one run."""
        return self.case.model.graph.batch

    def rows(self, figures: Mapping[str, Array]) -> tuple[dict[str, NDArray[Any]], list[Fault]]:
        """The results at columns of figures by the names of their columns, NaN without figures for them; and what is wrong.

        Raises:
            UsageError: the network has exits, whose ways are estimated one by one.
        """
        if self.case.exits and not figures:
            return _of_estimate(self.case.estimate()), []
        found, faults = self.totals(figures)
        count = max((len(column) for column in figures.values()), default=1)
        nothing = np.full(count, np.nan)
        latency = np.broadcast_to(found.latency_s, count)
        energy = nothing if found.energy_j is None else np.broadcast_to(found.energy_j, count)
        assert found.verdict is not None, "asked for"
        columns = {
            "latency_s": latency, "energy_j": energy, "throughput_per_s": self.batch / latency, "power_w": energy / latency,
            "peak_activation_bytes": np.full(count, float(self.prepared.occupancy.peak_bytes)),
            "weight_bytes": np.full(count, float(self.prepared.work.footprint.weight_bytes)),
            "traffic_bytes": np.broadcast_to(found.verdict.traffic_bytes, count),
            "bound": _BOUNDS[np.broadcast_to(found.verdict.bound, count)], "fits": np.broadcast_to(found.verdict.fits, count),
        }  # fmt: skip
        return columns, faults

    def totals(self, figures: Mapping[str, Array]) -> tuple[Totals, list[Fault]]:
        """The totals at columns of figures by name, each of shape (n_points,), and what is wrong at some of the points.

        Raises:
            UsageError: the network has exits, whose ways are estimated one by one.
        """
        require_one_way(self.case)
        case, count = self.case, max((len(column) for column in figures.values()), default=1)
        hardware, runtime = case.hardware, case.runtime
        for name, column in figures.items():
            file = require_figure(case, name)
            if file[0] is case.hardware:
                hardware = with_columns(hardware, {file[1]: column[:, None]})
            else:
                runtime = with_columns(in_columns(runtime, count), {file[1]: column[:, None]})
        faults = []
        if hardware is not case.hardware:
            there = ((fault, np.broadcast_to(np.ravel(found), count)) for fault, found in hardware.conflicts)
            faults = [(fault, found) for fault, found in there if found.any()]
        policy = known_policy(case.overlap)
        return totals(self.prepared, machine_of(hardware), runtime, policy, verdict=True), faults


def _of_estimate(est: Estimate) -> dict[str, NDArray[Any]]:
    """The results of one estimate, as `rows` has them."""
    floats = {
        "latency_s": est.latency_s, "energy_j": est.energy_j, "throughput_per_s": est.throughput_per_s, "power_w": power_w(est),
        "peak_activation_bytes": est.prepared.occupancy.peak_bytes, "weight_bytes": est.work.footprint.weight_bytes,
        "traffic_bytes": est.cost.total(outermost_bytes(est.cost)),
    }  # fmt: skip
    columns: dict[str, NDArray[Any]] = {name: np.array([np.nan if v is None else v], np.float64) for name, v in floats.items()}
    return {**columns, "bound": np.array([est.bound], object), "fits": np.array([est.fits])}


def require_one_way(case: Case) -> None:
    """UsageError for a network with exits: its totals are means over several ways, no columns."""
    if case.exits:
        raise UsageError("exits are weighed by whatif and sweep alone; take them out of the settings")


def variant_of(case: Case) -> Variant:
    """A case cut into kernels.

    Raises:
        PrecisionError, UsageError: the machine has no rate for the element type, or the runtime does not run on it.
    """
    machine = machine_of(case.hardware)
    usable = limits_of(case.runtime, machine).profiles
    prepared = prepared_for(case.model, case.runtime, case.precision, case.hardware, usable)
    require_rate(machine, prepared.work.mac_rates, case.precision)
    return Variant(case, prepared)
