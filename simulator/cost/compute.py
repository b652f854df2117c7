"""Compute time: operations over rates. Matrix, vector and special-function work run on different units of an engine."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulator.cost.geometry import padded_share, utilisation
from simulator.cost.limits import Limits
from simulator.machine.figures import Number
from simulator.machine.geometry import Core
from simulator.machine.params import EngineParams
from simulator.ops.work import Kind
from simulator.workload import WorkTable

Array = NDArray[np.float64]


def compute_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Compute time of every kernel: the terms of its units add; under ideal limits they run beside each other."""
    matrix, vector, special = compute_parts_s(work, limits, placement)
    if limits.ideal:
        return np.asarray(np.maximum(np.maximum(matrix, vector), special))
    return matrix + vector + special + instructions_s(work, limits, placement)


def compute_parts_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> tuple[Array, Array, Array]:
    """MACs / (peak · efficiency · utilisation), vector and special operations / (their rate · efficiency).

    The ideal limits take every share as 1 and the highest clock, others the sustained one.
    """
    matrix = work.macs / gather(placement, work, lambda e, rate, kind: _mac_rate(e, rate, kind, limits))
    if limits.geometry and not limits.ideal:
        matrix = matrix / filled_share(work, limits, placement)
    vector_rates = gather(placement, work, lambda e, rate, _: e.vector_rate(rate) * _share(e, limits))
    special_rates = gather(placement, work, lambda e, *_: e.special_ops_per_s * _share(e, limits))
    return matrix, work.vector_ops / vector_rates, work.special_ops / special_rates


def filled_share(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Share of the engine that each kernel's product fills; 1 where its MACs run on the vector unit."""
    result: Array | float = 1.0
    keys = [(e.id, rate) for e, rate in zip(placement, work.rates, strict=True)]
    engines = {e.id: e for e in placement}
    for name, rate in dict.fromkeys(keys):
        engine = engines[name]
        profile = limits.of(engine)
        rows = [key == (name, rate) and kind not in profile.on_vector for key, kind in zip(keys, work.kinds, strict=True)]
        if any(rows) and work.macs[rows].any():
            result = np.where(rows, utilisation(work, engine, profile, engine.native(rate) or rate), result)
    return np.asarray(result)


def instructions_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Seconds of the instructions beside the arithmetic: loads and unpacking for MACs, loop ends for output elements.

    (MACs · i · 4 B / register width + outputs · o) / (issue · clock · cores), i and o those of the runtime, which may also
    leave issue slots empty. Padded input channels are loaded like others.
    """
    per_mac = gather(placement, work, lambda e, rate, kind: _instructions_s(e, rate, kind, limits)[0])
    per_output = gather(placement, work, lambda e, rate, kind: _instructions_s(e, rate, kind, limits)[1])
    multiple = gather(placement, work, lambda e, *_: _input_multiple(e, limits))
    return np.asarray(work.macs / padded_share(work, multiple) * per_mac + work.outputs * per_output)


def _input_multiple(engine: EngineParams, limits: Limits) -> Number:
    """What the runtime pads input channels to."""
    figure = limits.of(engine).input_multiple
    return figure.value if figure else 1.0


def _instructions_s(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> tuple[Number, Number]:
    """Seconds for a MAC and for an output element; none on engines that are no cores or whose clock is not given."""
    profile, shape = limits.of(engine), engine.shape
    per_mac, per_output = profile.instructions_of(kind, engine.native(rate) or rate)
    if not isinstance(shape, Core) or engine.clock_hz is None:
        return 0.0, 0.0
    issue = np.minimum(shape.issue, profile.issue.value) if profile.issue else shape.issue
    per_s = issue * engine.clock_hz * engine.sustained * engine.units
    return per_mac * 4.0 / shape.width_bytes / per_s, per_output / per_s


def _share(engine: EngineParams, limits: Limits) -> Number:
    """Fraction of a vector or special-function peak that is reached."""
    return 1.0 if limits.ideal else engine.sustained * limits.of(engine).vector_efficiency.value


def _mac_rate(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> Number:
    """MACs per second of a kernel class in an element type (the engine's next wider one where it has no own)."""
    native = engine.native(rate) or next(iter(engine.macs_per_s))  # without one there are no MACs: see require_rate
    peak = engine.macs_per_s[native]
    if limits.ideal:
        return peak
    profile = limits.of(engine)
    efficiency = profile.efficiency_of(kind)
    if kind in profile.on_vector:
        return np.minimum(engine.vector_rate(rate), peak) * engine.sustained * efficiency
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
