"""Compute time: operations over rates. Matrix, vector and special-function work run on different units of an engine."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulator.cost.limits import Limits
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams
from simulator.ops.work import Kind
from simulator.workload import WorkTable

Array = NDArray[np.float64]


def compute_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Compute time of every kernel: the terms of its units add; under ideal limits they run beside each other."""
    matrix, vector, special = compute_parts_s(work, limits, placement)
    if limits.ideal:
        return np.asarray(np.maximum(np.maximum(matrix, vector), special))
    return matrix + vector + special


def compute_parts_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> tuple[Array, Array, Array]:
    """MACs / (peak · efficiency), vector ops / (vector rate · efficiency), special ops / (special rate · efficiency).

    The ideal limits take every efficiency as 1 and the highest clock, others the sustained one.
    """
    matrix = work.macs / gather(placement, work, lambda e, rate, kind: _mac_rate(e, rate, kind, limits))
    vector_rates = gather(placement, work, lambda e, rate, _: e.vector_rate(rate) * _share(e, limits))
    special_rates = gather(placement, work, lambda e, *_: e.special_ops_per_s * _share(e, limits))
    return matrix, work.vector_ops / vector_rates, work.special_ops / special_rates


def _share(engine: EngineParams, limits: Limits) -> Number:
    """Fraction of a vector or special-function peak that is reached."""
    return 1.0 if limits.ideal else engine.sustained * limits.of(engine).vector_efficiency.value


def _mac_rate(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> Number:
    """MACs per second of a kernel class in an element type (the engine's next wider one where it has no own)."""
    native = engine.native(rate) or next(iter(engine.macs_per_s))  # without one there are no MACs: see require_rate
    peak = engine.macs_per_s[native]
    if limits.ideal:
        return peak
    efficiency = limits.of(engine).efficiency_of(kind)
    if not limits.measured:
        return peak * engine.sustained * efficiency
    return peak * np.minimum(engine.sustained * efficiency, engine.achieved.get(native, 1.0))


def gather(placement: tuple[EngineParams, ...], work: WorkTable, number: Callable[[EngineParams, str, Kind], Number]) -> Array:
    """A number of each kernel's engine, element type and class as a column of shape (..., n_kernels)."""
    keys = list(zip((e.id for e in placement), work.rates, work.kinds, strict=True))
    distinct = list(dict.fromkeys(keys))
    engines = {e.id: e for e in placement}
    values = [np.asarray(number(engines[i], rate, kind), np.float64) for i, rate, kind in distinct]
    if not distinct:
        return np.ones(0)
    columns = np.concatenate([np.atleast_1d(v) for v in np.broadcast_arrays(*values)], axis=-1)
    codes = np.array([distinct.index(key) for key in keys], np.intp)
    return np.asarray(columns[..., codes])
