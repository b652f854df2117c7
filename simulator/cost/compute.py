"""Compute time: operations over rates. Matrix, vector and special-function work run on different units of an engine."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.cost.geometry import column_elements, is_narrow, padded_share, utilisation
from simulator.cost.limits import Limits
from simulator.machine.figures import Number
from simulator.machine.geometry import Core
from simulator.machine.params import EngineParams, engines_of
from simulator.machine.runtime import Beside, Profile
from simulator.ops.work import Kind
from simulator.workload import WorkTable, distinct

Array = NDArray[np.float64]
GENERAL_BYTES: Final = 4.0  # of a general register of a 32-bit core, for which instructions are counted


def compute_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Compute time of every kernel: the terms of its units add; under ideal limits they run beside each other."""
    counts = (work.macs, work.vector_ops, work.special_ops)
    units = compute_parts_s(work, limits, placement)
    found = [seconds for seconds, count in zip(units, counts, strict=True) if count.any()]
    if limits.ideal:
        return np.asarray(reduce(np.maximum, found, np.zeros(len(work))))
    if work.steps is not None:
        found.append(steps_s(work, limits, placement))
    if any(_has_instructions(profile) for profile in limits.profiles.values()):
        found.append(instructions_s(work, limits, placement, units[0]))
    return reduce(np.add, found) if found else np.zeros(len(work))


def _has_instructions(profile: Profile) -> bool:
    counts = (profile.instructions, profile.output_instructions, profile.column_instructions, profile.narrow_instructions)
    return any(counts) or bool(profile.by_type or profile.operator_instructions or profile.vector)


def compute_parts_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> tuple[Array, Array, Array]:
    """MACs / (peak · efficiency · utilisation), vector and special operations / (their rate · efficiency).

    The ideal limits take every share as 1 and the highest clock, others the sustained one.
    """
    none = np.zeros(len(work))
    matrix = vector = special = none
    if work.macs.any():
        share = by_class(placement, work, lambda e, rate, kind: _mac_share(e, rate, kind, limits))
        if limits.geometry and not limits.ideal:
            share = share * filled_share(work, limits, placement)
        macs = dense_macs(work, limits, placement)
        matrix = macs / share / by_class(placement, work, lambda e, rate, kind: _mac_peak(e, rate, kind, limits))
    if work.vector_ops.any():
        vector = work.vector_ops * _over(work, limits, placement, lambda e, rate: e.vector_rate(rate))
    if work.special_ops.any():
        special = work.special_ops * _over(work, limits, placement, lambda e, _: e.special_ops_per_s)
    return matrix, vector, special


def dense_macs(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """MACs at the dense rate that take as long as all: MACs − sparse MACs · (1 − 1 / factor of the engine's sparse rate)."""
    if work.sparse_macs is None:
        return work.macs
    saved = by_class(placement, work, lambda e, rate, kind: 1.0 - 1.0 / sparse_factor(e, rate, kind, limits))
    return np.asarray(work.macs - work.sparse_macs * saved)


def sparse_factor(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> Number:
    """Multiple of the dense rate at which weights with two zeros in four are multiplied: 1 on the vector unit, and where the
    engine has no such rate or the runtime no kernels for it.
    """
    on_vector = not limits.ideal and kind in limits.of(engine).on_vector
    return 1.0 if on_vector or "2:4" not in limits.sparsity else engine.sparse_factor("2:4", rate)


def filled_share(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Share of the engine that each kernel's product fills; 1 where its MACs run on the vector unit."""
    result: Array | float = 1.0
    types, codes = engine_types(placement, work)
    for place, (engine, rate) in enumerate(types):
        profile, rows = limits.of(engine), codes == place
        if profile.on_vector:
            rows &= np.array([kind not in profile.on_vector for kind in work.kinds], np.bool_)
        if work.macs[rows].any():
            found = utilisation(work, engine, profile, engine.native(rate) or rate)
            result = found if rows.all() else np.where(rows, found, result)
    return np.asarray(result)


def steps_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Rounds of loops whose threads wait for each load · the runtime's `loop_step`; 0 where it gives none."""

    def step(engine: EngineParams) -> Number:
        figure = limits.of(engine).loop_step
        return 0.0 if figure is None else figure.seconds(engine.clock_hz)

    steps = np.zeros(len(work)) if work.steps is None else work.steps
    return np.asarray(steps * by_engine(placement, work, lambda engine, _: step(engine)))


def instructions_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...], matrix_s: Array) -> Array:
    """Seconds that the instructions beside the arithmetic add: loads and unpacking for MACs, loop ends for output elements.

    (MACs · i · 4 B / register width + outputs · o + columns · c) / (issue · clock · cores), i, o and c those of the runtime,
    which may also leave issue slots empty. Padded input channels are loaded like others. A core that issues several
    instructions a cycle issues some beside those that multiply: these keep 1/issue of the slots of the cycles `matrix_s` that
    they take.
    """

    def per(which: Callable[[Beside], Number]) -> Number:
        return by_class(placement, work, lambda e, rate, kind: which(_instructions_s(e, rate, kind, limits)))

    multiple = by_engine(placement, work, lambda e, _: _input_multiple(e, limits))
    beside = matrix_s * by_engine(placement, work, lambda e, _: 1.0 - 1.0 / issue_of(e, limits))
    per_mac = per(lambda found: found.mac)
    narrow = is_narrow(work)
    if narrow.any():
        per_mac = np.where(narrow, per(lambda found: found.narrow), per_mac)
    loads = work.macs / padded_share(work, multiple) * per_mac
    columns = column_elements(work) * per(lambda found: found.column)
    slow = operator_instructions_s(work, limits, placement)
    return np.asarray(np.maximum(loads - beside, 0.0) + work.outputs * per(lambda found: found.output) + columns + slow)


def operator_instructions_s(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Number:
    """Seconds of the instructions that a runtime has by type of operator: elements · instructions / (issue · clock · cores)."""
    if work.counted_elements is None or not work.counted_elements.any():
        return 0.0

    def seconds(name: str) -> Number:
        def each(engine: EngineParams, _: str) -> Number:
            figure = limits.of(engine).operator_instructions.get(name)
            return 0.0 if figure is None else figure.value * _instruction_s(engine, limits)

        return by_engine(placement, work, each)

    found = np.zeros(len(work))
    for column, name in zip(work.counted_elements.T, work.counted, strict=True):
        found = np.asarray(found + column * seconds(name))
    return found


def _instruction_s(engine: EngineParams, limits: Limits) -> Number:
    """Seconds of one instruction on all units; 0 on engines that are no cores or whose clock is not given."""
    if not isinstance(engine.shape, Core) or engine.clock_hz is None:
        return 0.0
    return 1.0 / (issue_of(engine, limits) * engine.clock_hz * kept_share(engine, limits.of(engine)) * engine.units)


def issue_of(engine: EngineParams, limits: Limits) -> Number:
    """Instructions a cycle: of the core, and at most what the order of the runtime's code allows."""
    profile, shape = limits.of(engine), engine.shape
    if not isinstance(shape, Core):
        return 1.0
    return np.minimum(shape.issue, profile.issue.value) if profile.issue else shape.issue


def _input_multiple(engine: EngineParams, limits: Limits) -> Number:
    """What the runtime pads input channels to."""
    figure = limits.of(engine).input_multiple
    return figure.value if figure else 1.0


def _instructions_s(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> Beside:
    """Seconds for each of what has instructions; none on engines that are no cores or whose clock is not given."""
    profile, shape = limits.of(engine), engine.shape
    if not isinstance(shape, Core) or engine.clock_hz is None:
        return Beside(0.0, 0.0, 0.0, 0.0)
    count = _counts(profile, kind, engine.native(rate) or rate, shape.width_bytes)
    per_s = issue_of(engine, limits) * engine.clock_hz * kept_share(engine, profile) * engine.units
    wide = GENERAL_BYTES / shape.width_bytes / per_s
    return Beside(count.mac * wide, count.output / per_s, count.column * wide, count.narrow * wide)


def _counts(profile: Profile, kind: Kind, rate: str, width_bytes: Number) -> Beside:
    """Counts of a kernel class for registers of this width, which may be a column of design points."""
    narrow, wide = (profile.counts(rate, on_vectors=vectors)[1].beside(kind) for vectors in (False, True))
    if np.ndim(width_bytes):
        return Beside(*(np.where(on_vectors(width_bytes), w, n) for w, n in zip(wide, narrow, strict=True)))
    return wide if on_vectors(width_bytes) else narrow


def on_vectors(width_bytes: Number) -> Any:
    """Whether registers are wider than the general ones of 32-bit cores, so that kernels of vector instructions run."""
    return width_bytes > GENERAL_BYTES


def _over(
    work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...], rate_of: Callable[[EngineParams, str], Number]
) -> Number:
    """Seconds of an operation at the share of a vector or special-function peak that is reached."""
    if limits.ideal or not any(p.vector_share for p in limits.profiles.values()):
        return by_engine(placement, work, lambda e, rate: 1.0 / (rate_of(e, rate) * _share(e, limits)))
    return by_class(placement, work, lambda e, rate, kind: 1.0 / (rate_of(e, rate) * _share(e, limits, kind)))


def _share(engine: EngineParams, limits: Limits, kind: Kind | None = None) -> Number:
    """Fraction of a vector or special-function peak that is reached, by a kernel class where classes differ."""
    if limits.ideal:
        return 1.0
    profile = limits.of(engine)
    reached = profile.vector_efficiency.value if kind is None else profile.vector_efficiency_of(kind)
    return kept_share(engine, profile) * reached


def kept_share(engine: EngineParams, profile: Profile) -> Number:
    """Share of the peak that its clock under load leaves, and the way that the runtime splits work over its units."""
    return engine.sustained * engine.even_split if profile.static_split else engine.sustained


def _mac_peak(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> Number:
    """MACs per second at the highest clock in an element type (the engine's next wider one where it has no own)."""
    native = engine.native(rate) or next(iter(engine.macs_per_s))  # without one there are no MACs: see require_rate
    peak = engine.macs_per_s[native]
    on_vector = not limits.ideal and kind in limits.of(engine).on_vector
    return np.minimum(engine.vector_rate(rate), peak) if on_vector else peak


def _mac_share(engine: EngineParams, rate: str, kind: Kind, limits: Limits) -> Number:
    """Fraction of it that a kernel class reaches on the unit that it runs on."""
    if limits.ideal:
        return 1.0
    profile = limits.of(engine)
    reached = kept_share(engine, profile) * profile.efficiency_of(kind)
    if kind in profile.on_vector or not limits.measured:
        return reached
    return np.minimum(reached, engine.achieved.get(engine.native(rate) or rate, 1.0))


def by_class(placement: tuple[EngineParams, ...], work: WorkTable, number: Callable[[EngineParams, str, Kind], Number]) -> Number:
    """A number of each kernel's engine, element type and class as a column of shape (..., n_kernels), or one for all."""
    engines = engines_of(placement)
    if len(engines) == 1:
        (engine,) = engines.values()
        found, codes = work.classes
        return _column([number(engine, rate, kind) for rate, kind in found], codes)
    keys, codes = distinct(zip((e.id for e in placement), work.rates, work.kinds, strict=True))
    return _column([number(engines[name], rate, kind) for name, rate, kind in keys], codes)


def by_engine(placement: tuple[EngineParams, ...], work: WorkTable, number: Callable[[EngineParams, str], Number]) -> Number:
    """A number of each kernel's engine and element type as a column of shape (..., n_kernels), or one for all."""
    types, codes = engine_types(placement, work)
    return _column([number(engine, rate) for engine, rate in types], codes)


def engine_types(placement: tuple[EngineParams, ...], work: WorkTable) -> tuple[list[tuple[EngineParams, str]], NDArray[np.intp]]:
    """The pairs of engine and element type that occur, and which of them each kernel has."""
    engines = engines_of(placement)
    if len(engines) == 1:
        (engine,) = engines.values()
        rates, codes = work.element_types
        return [(engine, rate) for rate in rates], codes
    keys, codes = distinct(zip((e.id for e in placement), work.rates, strict=True))
    return [(engines[name], rate) for name, rate in keys], codes


def _column(values: Sequence[Number], codes: NDArray[np.intp]) -> Number:
    """One value for each code; a single one where all are the same number."""
    first = values[0] if values else 1.0
    if all(value is first or (isinstance(value, float) and isinstance(first, float) and value == first) for value in values):
        return first
    columns = np.concatenate([np.atleast_1d(v) for v in np.broadcast_arrays(*values)], axis=-1)
    return np.asarray(columns[..., codes], np.float64)
