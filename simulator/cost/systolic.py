"""Systolic arrays: cycles of a matrix product C[m, n] += A[m, k] · B[k, n], `groups` times, on rows × columns of cells.

All three dataflows lay two of the three dimensions over the array, in folds of rows × columns, and stream the third.
Partial folds take the time of full ones: data still crosses the whole array. Kernels without a product (m = 0) cost
nothing. More rows or columns are NOT always faster: a product smaller than the array pays its longer fill and drain.
"""

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number

Array = NDArray[np.float64]


def cycles_output_stationary(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number) -> Array:
    """Cycles = F · (k + R + C − 2) − 1 with F = ⌈m/R⌉ · ⌈n/C⌉ folds.

    Validity: fill and drain of every fold exposed, no stalls on memory. Source: SCALE-Sim 3.0.0, exact (36 runs).
    """
    return _exposed(groups * np.ceil(m / rows) * np.ceil(n / columns), k + rows + columns - 2.0)


def cycles_weight_stationary(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number) -> Array:
    """Cycles = F · (m + 2R + C − 2) − 1 with F = ⌈k/R⌉ · ⌈n/C⌉ folds; the R more load the weights.

    Validity: weight load, fill and drain of every fold exposed. Source: SCALE-Sim 3.0.0, exact (36 runs).
    """
    return _exposed(groups * np.ceil(k / rows) * np.ceil(n / columns), m + 2.0 * rows + columns - 2.0)


def cycles_input_stationary(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number) -> Array:
    """Cycles = F · (n + 2R + C − 2) − 1 with F = ⌈k/R⌉ · ⌈m/C⌉ folds; the R more load the inputs.

    Validity: input load, fill and drain of every fold exposed. Source: SCALE-Sim 3.0.0, exact (36 runs).
    """
    return _exposed(groups * np.ceil(k / rows) * np.ceil(m / columns), n + 2.0 * rows + columns - 2.0)


def cycles_output_stationary_hidden(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number) -> Array:
    """Cycles = (F − 1) · max(k, R) + k + R + C − 2 − 1: results of a fold drain while the next one runs.

    Validity: double-buffered accumulators; a fold is never shorter than the R cycles of its drain. One fold takes what
    `cycles_output_stationary` says. Source: derived from it, as below.
    """
    folds = groups * np.ceil(m / rows) * np.ceil(n / columns)
    return _hidden(folds, k, rows, rows + columns - 2.0)


def cycles_weight_stationary_hidden(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number) -> Array:
    """Cycles = R + (F − 1) · max(m, R) + m + R + C − 2 − 1: the next weights load while the array computes.

    Validity: a second weight register in every cell (TPU); a fold is never shorter than the R cycles of a load. One fold
    takes what `cycles_weight_stationary` says. Source: Jouppi et al. 2017 (weights double-buffered), derived.
    """
    folds = groups * np.ceil(k / rows) * np.ceil(n / columns)
    return _hidden(folds, m, rows, 2.0 * rows + columns - 2.0)


def cycles_input_stationary_hidden(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number) -> Array:
    """Cycles = R + (F − 1) · max(n, R) + n + R + C − 2 − 1: the next inputs load while the array computes.

    Validity and source: as the weight-stationary one, with inputs and weights in each other's place.
    """
    folds = groups * np.ceil(k / rows) * np.ceil(m / columns)
    return _hidden(folds, n, rows, 2.0 * rows + columns - 2.0)


def cycles_mxu(m: Number, n: Number, k: Number, groups: Number, rows: Number, columns: Number, sublanes: Number = 8.0) -> Array:
    """Cycles of a TPU's matrix unit: weight stationary, load hidden, the m streamed rows padded to `sublanes`.

    Validity: one product after the other on one unit. Source: scaling-book (both weight dimensions padded to the array,
    128 or 256; rows to 8).
    """
    return cycles_weight_stationary_hidden(padded(m, sublanes), n, k, groups, rows, columns)


def mxu_padding_utilisation(m: Number, n: Number, k: Number, rows: Number, columns: Number, sublanes: Number = 8.0) -> Array:
    """Share of useful MACs = m·n·k / (⌈m⌉₈ · ⌈n⌉_C · ⌈k⌉_R), in (0, 1]; 1 without a product.

    Validity: products long enough that fill and drain vanish. Source: scaling-book, as above.
    """
    useful = m * n * k
    spent = padded(m, sublanes) * padded(n, columns) * padded(k, rows)
    return np.where(useful > 0, useful / np.maximum(spent, 1.0), 1.0)


def utilisation(m: Number, n: Number, k: Number, groups: Number, cycles: Number, rows: Number, columns: Number) -> Array:
    """MACs / (cycles · R · C), in (0, 1]; 1 without a product.

    `cycles` by one of the functions above. Validity: R + C ≥ 3, else a fold has no fill and the cycle SCALE-Sim leaves
    out shows. Source: SCALE-Sim 3.0.0 "overall utilization" (36 runs).
    """
    useful = m * n * k * groups
    share = useful / np.maximum(cycles * rows * columns, 1.0)
    return np.where(useful > 0, np.minimum(share, 1.0), 1.0)


def padded(count: Number, multiple: Number) -> Array:
    """⌈count / multiple⌉ · multiple."""
    return np.asarray(np.ceil(count / multiple) * multiple)


def _exposed(folds: Number, cycles_per_fold: Number) -> Array:
    return np.maximum(folds * cycles_per_fold - 1.0, 0.0)


def _hidden(folds: Number, streamed: Number, shadow: Number, ends: Number) -> Array:
    """The first fold in full, every further one as long as the slower of its stream and what it hides."""
    further = np.maximum(folds - 1.0, 0.0) * np.maximum(streamed, shadow)
    return np.where(np.asarray(folds) > 0, np.maximum(further + streamed + ends - 1.0, 0.0), 0.0)
