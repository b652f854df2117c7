"""Kernels that are too small to be split: one unit runs them, and no others are started. Kernels that copy their weights first.

What runs beside a library's matrix products, loops over elements that a compiler writes or a pool of threads shares out, is
split over the units only where each of them gets enough elements.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import by_engine, kept_share
from simulator.cost.geometry import operand_bytes
from simulator.cost.limits import Limits
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.ops.work import MAC_KINDS, Kind
from simulator.workload import WorkTable

Array = NDArray[np.float64]
PAGE_BYTES = 4096.0
# above it glibc asks the system for every buffer and gives it back (M_MMAP_THRESHOLD grows to at most this, mallopt(3))
FRESH_ABOVE_BYTES = 2.0**25
_READS_MORE = frozenset({Kind.REDUCTION, Kind.POOL})  # loops over what they read, not over what they make
_COPIERS = frozenset({Kind.CONV, Kind.GROUPED_CONV})


def loop_elements(work: WorkTable) -> Array:
    """Elements that each kernel's loop runs over, of one launch: of its result; of reductions and pools, of what they read."""
    reads = np.array([kind in _READS_MORE for kind in work.kinds], np.bool_)
    made = np.where(reads, np.maximum(work.outputs, work.input_bytes / work.element_bytes), work.outputs)
    return np.asarray(made / np.maximum(work.launches, 1.0))


def runs_alone(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> NDArray[np.bool_]:
    """Whether one unit runs each kernel: fewer elements for each unit than the runtime's `parallel_elements`.

    Shape (..., n_kernels). Source: TorchInductor, codegen/cpp.py, `decide_parallel_depth`: no loop is split where
    elements // threads < `cpp.min_chunk_size` (4096, from PyTorch 2.6 on 512).
    """

    def least(engine: EngineParams) -> Number:
        figure = limits.of(engine).parallel_elements
        return 0.0 if figure is None else np.where(np.greater(engine.units, 1.0), figure.value * np.asarray(engine.units), 0.0)

    loops = np.array([kind not in MAC_KINDS for kind in work.kinds], np.bool_)
    small = loops & (loop_elements(work) < by_engine(placement, work, lambda engine, _: least(engine)))
    return np.asarray(small | copies_alone(work, limits, placement))


def has_small(limits: Limits) -> bool:
    """Whether the runtime leaves some kernels to one unit."""
    return not limits.ideal and any(p.parallel_elements or p.serial_copies for p in limits.profiles.values())


def copies_alone(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> NDArray[np.bool_]:
    """Whether each kernel brings pieces of a tensor to other places by the calls of one thread. Shape (..., n_kernels).

    Source: ONNX Runtime, providers/cpu/tensor: concat.cc, split.cc, slice.cc, transpose.cc copy piece by piece in a loop of
    their own; with two threads these operators take as long as with one.
    """
    if limits.ideal or work.pieces is None:
        return np.zeros(len(work), np.bool_)
    serial = by_engine(placement, work, lambda engine, _: float(limits.of(engine).serial_copies))
    return np.asarray((work.pieces > 0.0) & (np.asarray(serial) > 0.0))


def alone_rates(
    rates: Mapping[str, tuple[Number, Number]], machine: Machine, part: Number
) -> dict[str, tuple[Number, Number]]:  # fmt: skip
    """B/s read and written where kernels get a `part` of the units: as much of the caches, and of the memories behind them at
    most what these then pass on. `part` is a column (..., n_kernels), 1 where all units work.
    """
    result = dict(rates)
    passed: tuple[Number, Number] | None = None
    for memory in machine.memories:
        if memory.id not in rates:
            continue
        read, written = rates[memory.id]
        if memory.is_staging:
            passed = (read * part, written * part)
            result[memory.id] = passed
        elif passed is not None:
            alone = np.less(part, 1.0)
            result[memory.id] = (
                np.where(alone, np.minimum(read, passed[0]), read),
                np.where(alone, np.minimum(written, passed[1]), written),
            )
    return result


def slowdown(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """Compute time of each kernel on the units that it gets, as a multiple of that on all: their number where one runs it.

    The one runs at the highest clock, which all together do not keep. Of units that are not alike, it is as fast as their
    mean, and all as the slowest of them where work is split evenly.
    """
    others = by_engine(placement, work, lambda engine, _: one_for_all(engine, limits))
    return np.where(runs_alone(work, limits, placement), others, 1.0)


def one_for_all(engine: EngineParams, limits: Limits) -> Number:
    """How much longer one unit takes than all of them: at least as long."""
    return np.maximum(engine.units * kept_share(engine, limits.of(engine)), 1.0)


def copies_weights(limits: Limits) -> bool:
    """Whether the runtime copies weights into another order in every run."""
    return not limits.ideal and any(profile.page_fault for profile in limits.profiles.values())


def fresh_pages(work: WorkTable) -> Array:
    """Pages of a copy of each convolution's matrix that the system hands out anew: those of buffers above 32 MiB.

    Only where a window makes an order of its own; weights of 1 × 1 lie the same way in both.
    """
    _, n, k, groups = work.gemm.T
    copied = np.array([kind in _COPIERS for kind in work.kinds], np.bool_) & (k > work.channels)
    matrix_bytes = n * k * groups * operand_bytes(work)
    return np.where(copied & (matrix_bytes > FRESH_ABOVE_BYTES), np.ceil(matrix_bytes / PAGE_BYTES) * work.launches, 0.0)


def made_pages(work: WorkTable) -> Array:
    """Pages of weights that are computed from others in every run, before anything reads them, so that all live at once.

    The system hands them out anew where their sum is more than glibc keeps at the end of its heap: twice the largest buffer
    that it has seen, at most 64 MiB (M_TRIM_THRESHOLD, mallopt(3)).
    """
    made = np.where((work.input_bytes == 0.0) & (work.weight_bytes > 0.0), work.output_bytes, 0.0)
    largest = np.minimum(np.max(work.output_bytes, initial=0.0), FRESH_ABOVE_BYTES)
    together = float(np.sum(made if work.counts is None else made * work.counts))
    return np.where(together > 2.0 * largest, np.ceil(made / PAGE_BYTES) * work.launches, 0.0)
