"""The numbers of a roofline: a machine's ceilings and a network's kernels, before anything is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulator.machine.params import Machine, machine_of
from simulator.machine.spec import PATTERNS, Pattern
from simulator.ops.work import Kind
from simulator.result.estimate import Estimate

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Roof:
    """One ceiling: `per_s` is operations per second of element types, or bytes per second of memories.

    Names that share a value share a roof. `used` says whether any kernel comes under it.
    """

    names: tuple[str, ...]
    per_s: float
    used: bool


@dataclass(frozen=True, slots=True)
class Roofs:
    """The ceilings of one machine, the lowest first. `peak` and `stream` are those that most of the time is under."""

    machine: str
    compute: tuple[Roof, ...]
    memory: tuple[Roof, ...]
    peak: Roof
    stream: Roof

    @property
    def ridge_op_per_byte(self) -> float:
        """Arithmetic intensity from which on arithmetic is the limit: peak over bandwidth."""
        return self.peak.per_s / self.stream.per_s


@dataclass(frozen=True, slots=True)
class Points:
    """The kernels of one estimate that have arithmetic, as columns; and the network as a whole.

    `op_per_byte` counts 2 OP a MAC over compulsory bytes, as the report does; `share` is of the time of all kernels.
    """

    index: Array
    op_per_byte: Array
    ops_per_s: Array
    share: Array
    total_op_per_byte: float
    total_ops_per_s: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Kernels that have no place on a logarithmic axis: their number, share of the time, and what they are."""

    count: int
    share: float
    copies: bool


def machine_name(est: Estimate) -> str:
    """Catalogue name of the machine, with its mode: `jetson_orin_nano:15W`."""
    return f"{est.hardware.id}:{est.hardware.mode}" if est.hardware.mode else est.hardware.id


def roofs(estimates: Sequence[Estimate]) -> Roofs:
    """Ceilings of the machine that all `estimates` are for. A roof is at the nominal peak: 2 × MACs per second.

    Where sparse weights are multiplied faster, their rate is a roof of its own (`int8 2:4`) over which the dense MACs count.
    The ridge is where that of the busiest home meets it: intensities count bytes as if no cache held any.
    """
    machine = machine_of(estimates[0].hardware)
    peaks: dict[str, float] = {}
    for engine in machine.engines:
        for rate, macs_per_s in engine.macs_per_s.items():
            peaks[rate] = max(peaks.get(rate, 0.0), 2 * float(np.max(macs_per_s)))
            for pattern in _patterns_used(estimates):
                factor = float(np.max(engine.sparse_factor(pattern, rate)))
                if factor > 1.0:
                    peaks[f"{rate} {pattern}"] = max(peaks.get(f"{rate} {pattern}", 0.0), 2 * factor * float(np.max(macs_per_s)))
    bandwidths = {m.id: float(np.max(m.read_bytes_per_s)) for m in machine.memories}
    compute, peak = _ceilings(peaks, _seconds_by_rate(estimates, machine))
    seconds = _seconds_by_level(estimates)
    memory, _ = _ceilings(bandwidths, seconds)
    _, stream = _ceilings(bandwidths, {m.id: seconds.get(m.id, 0.0) for m in machine.memories if not m.is_staging})
    return Roofs(machine_name(estimates[0]), compute, memory, peak, stream)


def _patterns_used(estimates: Sequence[Estimate]) -> list[Pattern]:
    """Patterns of zeros for which a runtime of these has kernels, and a network weights."""
    used = [e for e in estimates if e.work.sparse_macs is not None and e.work.sparse_macs.any()]
    return [pattern for pattern in PATTERNS if any(pattern in e.runtime.sparsity for e in used)]


def _ceilings(per_s: Mapping[str, float], seconds: Mapping[str, float]) -> tuple[tuple[Roof, ...], Roof]:
    """One roof a distinct value, and the roof that most of the time is spent under."""
    named: dict[float, list[str]] = {}
    for name in sorted(per_s, key=lambda n: n not in seconds):  # those in use are named first
        if np.isfinite(per_s[name]):
            named.setdefault(per_s[name], []).append(name)
    found = tuple(Roof(tuple(named[v]), v, any(n in seconds for n in named[v])) for v in sorted(named))
    return found, max(found, key=lambda roof: sum(seconds.get(n, 0.0) for n in roof.names))


def _seconds_by_rate(estimates: Sequence[Estimate], machine: Machine) -> dict[str, float]:
    """Time of the kernels that multiply, by the element type they are computed in; of all kernels if none does."""
    engines = {e.id: e for e in machine.engines}
    seconds: dict[str, float] = {}
    for est in estimates:
        counts = est.work.macs if est.work.macs.any() else np.ones(len(est.work))
        sparse = est.work.sparse_macs if est.work.sparse_macs is not None and _patterns_used([est]) else np.zeros(len(est.work))
        for engine, rate, weight, zeros, kernel_s in zip(est.engines, est.work.rates, counts, sparse, est.kernel_s, strict=True):
            native = engines[engine].native(rate)
            if weight and native:
                faster = zeros and np.max(engines[engine].sparse_factor("2:4", native)) > 1.0
                name = f"{native} 2:4" if faster else native
                seconds[name] = seconds.get(name, 0.0) + float(kernel_s)
    return seconds


def _seconds_by_level(estimates: Sequence[Estimate]) -> dict[str, float]:
    """Time that each memory is busy, of those that carry anything."""
    seconds: dict[str, float] = {}
    for est in estimates:
        for level, busy_s in est.cost.s_by_level.items():
            if busy_s.any():
                seconds[level] = seconds.get(level, 0.0) + float(busy_s.sum())
    return seconds


def points(est: Estimate) -> Points:
    """Where the kernels of an estimate lie."""
    work = est.work
    index = np.flatnonzero(_has_place(est))
    moved, seconds = float(work.total_bytes.sum()), float(est.kernel_s.sum())
    return Points(
        index,
        op_per_byte=work.ops[index] / work.total_bytes[index],
        ops_per_s=work.ops[index] / est.kernel_s[index],
        share=est.kernel_s[index] / (seconds or 1.0),
        total_op_per_byte=float(work.ops.sum()) / moved if moved else 0.0,
        total_ops_per_s=float(work.ops.sum()) / est.latency_s if est.latency_s else 0.0,
    )


def rest(estimates: Sequence[Estimate]) -> Rest:
    """What `points` leaves out."""
    seconds = sum(float(est.kernel_s.sum()) for est in estimates)
    out = [~_has_place(est) & (est.kernel_s > 0) for est in estimates]
    lost = sum(float(est.kernel_s[mask].sum()) for est, mask in zip(estimates, out, strict=True))
    kinds = {est.work.kinds[i] for est, mask in zip(estimates, out, strict=True) for i in np.flatnonzero(mask)}
    return Rest(sum(int(mask.sum()) for mask in out), lost / (seconds or 1.0), copies=kinds <= {Kind.COPY, Kind.VIEW, Kind.CAST})


def _has_place(est: Estimate) -> Array:
    return np.asarray((est.work.ops > 0) & (est.work.total_bytes > 0) & (est.kernel_s > 0))
