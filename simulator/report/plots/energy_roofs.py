"""The numbers of an energy roofline: what a machine allows per joule, and what a network's kernels get."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.cost.energy import mac_j, vector_j
from simulator.errors import UsageError
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams, machine_of
from simulator.report.plots.roofs import Roof, Roofs, machine_name, roofs
from simulator.result.estimate import Estimate

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class EnergyRoof:
    """What a machine takes at best: E = W · op_j + Q · byte_j + constant_w · T, with T = max(W / peak, Q / bandwidth).

    Choi, Bedard, Fowler, Vuduc, "A roofline model of energy", IPDPS 2013. Where active power was measured, it is the
    constant one and nothing else counts. `rate` is the one that most time goes to, `memory` the one nearest to the engine.
    """

    machine: str
    rate: str
    memory: str
    op_j: float
    byte_j: float
    constant_w: float
    peak_ops_per_s: float
    bytes_per_s: float

    def ops_per_j(self, op_per_byte: Array) -> Array:
        """Operations per joule at an arithmetic intensity."""
        seconds_per_op = np.maximum(1 / self.peak_ops_per_s, 1 / (self.bytes_per_s * op_per_byte))
        return np.asarray(1 / (self.op_j + self.byte_j / op_per_byte + self.constant_w * seconds_per_op))

    @property
    def balance_op_per_byte(self) -> float | None:
        """Arithmetic intensity at which arithmetic and data movement take the same energy; None where either is not known."""
        return self.byte_j / self.op_j if self.byte_j and self.op_j else None


@dataclass(frozen=True, slots=True)
class EnergyPoints:
    """The kernels of one estimate that have arithmetic and take energy, as columns; and the network as a whole.

    `largest` names what takes most of each: `compute`, `memory`, `static`, or `active` where that was measured.
    """

    index: Array
    op_per_byte: Array
    ops_per_j: Array
    share: Array
    largest: Array
    total_op_per_byte: float
    total_ops_per_j: float


def energy_roof(estimates: Sequence[Estimate]) -> EnergyRoof:
    """The roof of the machine that all `estimates` are for.

    Raises:
        UsageError: the energy of one of them is not known.
    """
    for est in estimates:
        if est.energy_j is None:
            raise UsageError(f"{est.hardware.id} has no energy figures for {est.model.name}: no energy roofline of it")
    machine, found = machine_of(estimates[0].hardware), roofs(estimates)
    memory = _nearest(machine, estimates, found)
    known = machine.active_w is None
    return EnergyRoof(
        machine_name(estimates[0]), found.peak.names[0], memory.id,
        op_j=_op_j(machine, found.peak) if known else 0.0,
        byte_j=_number(memory.read_j_per_byte) if known else 0.0,
        constant_w=_number(machine.static_w if known else machine.active_w),
        peak_ops_per_s=found.peak.per_s, bytes_per_s=_number(memory.read_bytes_per_s),
    )  # fmt: skip


def _number(value: Number | None) -> float:
    return 0.0 if value is None else float(np.max(value))


def _nearest(machine: Machine, estimates: Sequence[Estimate], found: Roofs) -> MemoryParams:
    """Of the memories that data crosses the one that takes least for a byte: no kernel takes less for its compulsory bytes.

    Where no energy is known, the one that most time goes to.
    """
    used = {level for est in estimates for level, moved in est.cost.bytes_by_level.items() if moved.any()}
    known = [m for m in machine.memories if m.id in used and m.read_j_per_byte is not None]
    if known:
        return min(known, key=lambda m: _number(m.read_j_per_byte))
    return next(m for m in machine.memories if m.id == found.stream.names[0])


def _op_j(machine: Machine, peak: Roof) -> float:
    """Energy of one operation, half a MAC, in the element type that most time goes to."""
    rate = peak.names[0].partition(" ")[0]  # sparse MACs count as many as dense ones
    engine = next(e for e in machine.engines if rate in e.macs_per_s)
    mac = mac_j(engine, rate)
    return _number(vector_j(engine, rate)) if mac is None else float(np.max(mac)) / 2


def energy_points(est: Estimate) -> EnergyPoints:
    """Where the kernels of an estimate lie."""
    work, energy = est.work, np.zeros(len(est.work)) if est.kernel_j is None else est.kernel_j
    index = np.flatnonzero((work.ops > 0) & (work.total_bytes > 0) & (energy > 0))
    moved, total = float(work.total_bytes.sum()), est.energy_j or 0.0
    return EnergyPoints(
        index,
        op_per_byte=work.ops[index] / work.total_bytes[index],
        ops_per_j=work.ops[index] / energy[index],
        share=energy[index] / (total or 1.0),
        largest=_largest(est, energy)[index],
        total_op_per_byte=float(work.ops.sum()) / moved if moved else 0.0,
        total_ops_per_j=float(work.ops.sum()) / total if total else 0.0,
    )


def _largest(est: Estimate, energy: Array) -> Array:
    compute, memory = est.cost.compute_j, est.cost.memory_j
    if "active" in est.energy_parts_j or compute is None or memory is None:
        return np.full(len(energy), "active")
    parts = np.stack(np.broadcast_arrays(compute, memory, energy - compute - memory))
    return np.asarray(np.array(["compute", "memory", "static"])[parts.argmax(axis=0)])
