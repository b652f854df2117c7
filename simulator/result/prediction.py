"""What an estimate knows: arrays by kernel, totals, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.cost.table import BOUNDS, Bound, CostTable
from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.schedule.memory import Fit, Occupancy
from simulator.workload import WorkTable

Array = NDArray[np.float64]
_ROUNDING: Final = 1e-12  # of a total: what a sum of its parts may lose


@dataclass(frozen=True)
class Prepared:
    """A network cut into kernels for a runtime and a precision: all that does not depend on the machine."""

    graph: Graph
    kernels: tuple[Kernel, ...]
    work: WorkTable
    occupancy: Occupancy


@dataclass(frozen=True)
class Prediction:
    """What one inference of the whole batch takes. Arrays have shape (n_kernels,); totals are floats.

    `waiting_s` is how long the device waits for the host that launches kernels; no kernel's time has it.
    `energy_j` is None where the machine has no energy figures, `energy_parts_j` says which part is known, and
    `energy_defaults` on which figures it rests that are not the machine's own but those of its process node.
    """

    model: Model
    hardware: HardwareSpec
    runtime: RuntimeSpec
    precision: str | None
    overlap: str
    prepared: Prepared
    engines: tuple[str, ...]
    cost: CostTable
    kernel_s: Array
    kernel_j: Array | None
    waiting_s: float
    latency_s: float
    bound_latency_s: float
    energy_j: float | None
    energy_parts_j: Mapping[str, float | None]
    energy_defaults: tuple[str, ...]
    memory_fit: tuple[Fit, ...]
    warnings: tuple[str, ...]

    @property
    def work(self) -> WorkTable:
        """The work of every kernel."""
        return self.prepared.work

    @property
    def batch(self) -> int:
        """Inferences in one run."""
        return self.model.graph.batch

    @property
    def throughput_per_s(self) -> float | None:
        """Inferences per second; None where there is nothing to do."""
        return self.batch / self.latency_s if self.latency_s else None

    @property
    def latency_interval_s(self) -> tuple[float, float] | None:
        """Where 9 of 10 measured runs would lie; None where the runtime was not held against any, another overlap is asked,
        or the device waits for the host: hosts differ, and the runs were of large batches.

        The quantiles of measured / predicted that its calibration found, times the latency.
        """
        residuals = self.runtime.residuals
        if residuals is None or self.overlap != "runtime" or self.waiting_s:
            return None
        return self.latency_s * residuals.p5, self.latency_s * residuals.p95

    @property
    def energy_is_least(self) -> bool:
        """Whether the energy is known to lack something: power that flows always, of which the machine's file says nothing."""
        power = self.hardware.power
        return self.energy_j is not None and power.active is None and power.static is None

    @property
    def energy_by_class_j(self) -> dict[str, float] | None:
        """Energy by kernel class, and under `outside` that of the time which no kernel takes; the parts add up to all."""
        if self.energy_j is None or self.kernel_j is None:
            return None
        found: dict[str, float] = {}
        for kind, energy in zip(self.work.kinds, self.kernel_j, strict=True):
            found[str(kind)] = found.get(str(kind), 0.0) + float(energy)
        outside = self.energy_j - sum(found.values())
        return {**found, "outside": outside} if outside > _ROUNDING * self.energy_j else found

    @property
    def energy_by_memory_j(self) -> dict[str, float | None]:
        """Energy of data movement by memory or link; None where power was measured as a whole, or without figures."""
        known = None if "active" in self.energy_parts_j else self.cost.j_by_level
        return {level: float(known[level].sum()) if known and level in known else None for level in self.cost.bytes_by_level}

    @property
    def fits(self) -> bool:
        """Whether every memory holds what it must."""
        return all(f.fits for f in self.memory_fit)

    @property
    def main_rate(self) -> str:
        """The element type in which most arithmetic is done."""
        totals: dict[str, float] = {}
        for rate, ops in zip(self.work.rates, self.work.ops, strict=True):
            totals[rate] = totals.get(rate, 0.0) + float(ops)
        return max(totals, key=lambda r: totals[r]) if totals else "fp32"

    @property
    def busiest_engine(self) -> str | None:
        """Id of the engine that does most arithmetic in the main element type; None without kernels."""
        totals: dict[str, float] = {}
        for engine, rate, ops in zip(self.engines, self.work.rates, self.work.ops, strict=True):
            if rate == self.main_rate:
                totals[engine] = totals.get(engine, 0.0) + float(ops)
        return max(totals, key=lambda e: totals[e]) if totals else None

    @property
    def ridge_op_per_byte(self) -> float:
        """Peak OP/s in the main element type over the bandwidth of the outermost memory that activations live in.

        Networks and kernels of lower arithmetic intensity are bound by memory, those of higher by compute.
        """
        machine = machine_of(self.hardware)
        busiest = self.busiest_engine
        engine = next((e for e in machine.engines if e.id == busiest), machine.engines[0])
        machine = machine.seen_by(engine)
        peak = engine.macs_per_s[engine.native(self.main_rate) or next(iter(engine.macs_per_s))]
        return float(2 * np.max(peak) / np.max(machine.homes(weights=False)[-1].read_bytes_per_s))

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """What bounds each kernel: the largest of its compute, memory and overhead, transfers between engines among it."""
        return tuple(BOUNDS[i] for i in np.stack(self.cost.resources_s).argmax(axis=0))

    @property
    def bound(self) -> Bound:
        """What bounds the network: the kind of kernel that takes most of the time; waiting for launches is overhead."""
        kinds = np.stack(self.cost.resources_s).argmax(axis=0)
        seconds = [float(np.sum(np.where(kinds == kind, self.kernel_s, 0.0))) for kind in range(len(BOUNDS))]
        seconds[BOUNDS.index("overhead")] += self.waiting_s
        return BOUNDS[int(np.argmax(seconds))]
