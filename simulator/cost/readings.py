"""Weights of convolutions that are read again for other places of the image, from the memory that the core reads, or copied
into another order in every run.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulator.cost.compute import by_engine
from simulator.cost.geometry import operand_bytes
from simulator.cost.limits import Limits
from simulator.cost.traffic import Flow
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams
from simulator.ops.work import CONVOLUTIONS, Kind
from simulator.workload import WorkTable

Array = NDArray[np.float64]
_SMALL_WINDOW = 9.0  # places
_READERS = frozenset({Kind.CONV, Kind.GROUPED_CONV})  # those of depthwise ones are few, and stay in registers


def reads_again(limits: Limits) -> bool:
    """Whether the runtime has kernels that read weights more than once."""
    return not limits.ideal and any(profile.weight_places for profile in limits.profiles.values())


def readings(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """How often each kernel reads what it reads of weights: 1 + (places / those that one reading serves − 1) · share.

    Shape (..., n_kernels). Without blocks that keep weights in registers or in RAM, each group of outputs that is computed
    together loads the matrix again; the share of it leaves out what is read once, biases and scales. Source: CMSIS-NN's
    matrix kernels compute two places at a time (Lai et al., arXiv 1801.06601).
    """

    def places(engine: EngineParams) -> Number:
        figure = limits.of(engine).weight_places
        return figure.value if figure else np.inf

    again = np.array([kind in _READERS for kind in work.kinds], np.bool_)
    served = by_engine(placement, work, lambda engine, _: places(engine))
    return np.where(again, 1.0 + (np.maximum(work.gemm[:, 0] / served, 1.0) - 1.0) * matrix_share(work), 1.0)


def reorders(limits: Limits) -> bool:
    """Whether the runtime copies weights of convolutions into another order in every run."""
    return not limits.ideal and any(profile.weight_reorders for profile in limits.profiles.values())


def passes(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> Array:
    """How often the weights of each kernel cross the levels on their way: once, and once for each copy that is written.

    Shape (..., n_kernels). Copies are as large as what they are made of, and fall out of the caches as it does. Source: oneDNN's
    verbose mode under TorchInductor 2.13 without freezing: one reorder for each convolution, of 1 × 1 too, in each run. Dense
    convolutions of small images with windows of at most 3 × 3 are not oneDNN's (aten/src/ATen/native/Convolution.cpp,
    ConvParams::use_mkldnn, for one image).
    """

    def copies(engine: EngineParams) -> Number:
        figure = limits.of(engine).weight_reorders
        return figure.value if figure else 0.0

    def least(engine: EngineParams) -> Number:
        figure = limits.of(engine).reorder_above
        return figure.value if figure else 0.0

    copied = np.array([kind in CONVOLUTIONS for kind in work.kinds], np.bool_)
    dense = np.array([kind is Kind.CONV for kind in work.kinds], np.bool_) & (work.gemm[:, 2] <= _SMALL_WINDOW * work.channels)
    small = dense & (work.input_words <= by_engine(placement, work, lambda engine, _: least(engine)))
    return np.where(copied & ~small, 1.0 + by_engine(placement, work, lambda engine, _: copies(engine)), 1.0)


def with_passes(moving: Sequence[Flow], count: Array) -> tuple[Flow, ...]:
    """The flows with weights that cross every level `count` times."""
    return tuple(replace(f, crossing=tuple(c * count for c in f.crossing)) if f.weights else f for f in moving)


def matrix_share(work: WorkTable) -> Array:
    """Share of each kernel's weights that its largest product multiplies: n · k · groups operands."""
    _, n, k, groups = work.gemm.T
    return np.asarray(np.minimum(n * k * groups * operand_bytes(work) / np.maximum(work.weight_bytes, 1.0), 1.0))


def with_readings(moving: Sequence[Flow], count: Array) -> tuple[Flow, ...]:
    """The flows with weights that cross the level next to the core `count` times; it has them, so levels further out do not."""
    return tuple(replace(f, crossing=(f.crossing[0] * count, *f.crossing[1:])) if f.weights else f for f in moving)
