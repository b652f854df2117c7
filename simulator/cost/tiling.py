"""Traffic of one kernel across a level of memory whose inner side holds `capacity_words`, in words (elements).

Products are C[m, n] += A[m, k] · B[k, n], `groups` times, one group after the other. A convolution is one with A the
input, B the weights; its input has only `input_words` ≤ m·k words a group, for windows overlap. Tiles are real numbers,
so that traffic is a continuous, never rising function of capacity; whole tiles cost at most one more pass of an operand.
A matrix that stays is read once, a tile of it at a time, while the other two pass: x·y + x + y ≤ S words for an x × y tile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number

Array = NDArray[np.float64]


# ---- lower bounds and floors ------------------------------------------------------------------------------------------


def compulsory_words(m: Number, n: Number, k: Number, groups: Number, input_words: Number | None = None) -> Array:
    """Q = groups · (input + k·n + m·n): every operand once; input is m·k, or `input_words` a group."""
    return np.asarray(groups * (_input_words(m, k, input_words) + k * n + m * n))


def gemm_bound_words(m: Number, n: Number, k: Number, capacity_words: Number) -> Array:
    """Q ≥ 2·m·n·k/√S − 2S, for one product; holds together with `compulsory_words`, negative where it says nothing.

    Source: Smith et al. 2017/2019, arXiv:1702.02017 (leading term from its abstract).
    """
    return np.asarray(2.0 * m * n * k / np.sqrt(capacity_words) - 2.0 * capacity_words)


def window_reuse(kernel_h: Number, kernel_w: Number, stride_h: Number, stride_w: Number) -> Array:
    """R = kh·kw / (sh·sw): windows that read one input element. Source: Chen et al. HPCA 2020."""
    return np.asarray(kernel_h * kernel_w / (stride_h * stride_w))


def conv_bound_words(macs: Number, outputs: Number, reuse: Number, capacity_words: Number) -> Array:
    """Q ≥ 2·MACs/√(R·S) + outputs. Validity: leading term; tiles smaller than the tensors. Source: Chen et al. HPCA 2020."""
    return np.asarray(2.0 * macs / np.sqrt(reuse * capacity_words) + outputs)


def im2col_expansion(kernel_h: Number, kernel_w: Number, stride_h: Number, stride_w: Number) -> Array:
    """kh·kw / (sh·sw): words of the unrolled input over those of the input; 1 if implicit. Validity: large maps."""
    return window_reuse(kernel_h, kernel_w, stride_h, stride_w)


# ---- products ---------------------------------------------------------------------------------------------------------


def square_tile(capacity_words: Number) -> Array:
    """Tile b = ⌊√(S + 1)⌋ − 1: the largest b × b tile with a row and a column beside it, b² + 2b ≤ S; at least 1."""
    return np.maximum(np.floor(np.sqrt(capacity_words + 1.0)) - 1.0, 1.0)


def output_tiled_words(m: Number, n: Number, k: Number, tile_m: Number, tile_n: Number) -> Array:
    """Q = m·n·k · (1/bm + 1/bn) + m·n for tiles of C that stay: A is read n/bn times, B m/bm times, C written once."""
    return np.asarray(m * n * k * (1.0 / tile_m + 1.0 / tile_n) + m * n)


@dataclass(frozen=True)
class Dataflow:
    """One order of a product's loops: a tile of `stationary` stays while the others pass; `words` is its traffic.

    Beyond once each, A is read n/bn − 1 times again, B m/bm − 1 times, and C's partial sums are written and read again
    k/bk − 1 times: `tile_m`, `tile_n`, `tile_k` are bm, bn, bk, the whole dimension where nothing is repeated along it.
    The tile takes up `room_words` together with a row and a column beside it; where both its dimensions are free, the
    first is to the second as `ratio` (outputs bm : bn, weights bk : bn, inputs bk : bm).
    """

    stationary: Literal["outputs", "weights", "inputs"]
    words: Array
    tile_m: Number
    tile_n: Number
    tile_k: Number
    room_words: Number
    ratio: Number


def output_stationary(
    m: Number, n: Number, k: Number, groups: Number, capacity_words: Number, input_words: Number | None = None
) -> Dataflow:
    """Q = groups · (input · n/bn + k·n · m/bm + m·n): a tile of C stays until its sum is done.

    bm/bn = m·k/input where both are free, √(S·R) and √(S/R); a dimension that fits gives its room to the other.
    Source: counting; meets the bounds above up to the tile's border.
    """
    fed = _input_words(m, k, input_words)
    ratio = m * k / np.maximum(fed, 1.0)
    tile_n, tile_m = _tiles(n, m, ratio, capacity_words)
    words = np.asarray(groups * fed * n / tile_n + groups * k * n * m / tile_m + groups * m * n)
    return Dataflow("outputs", words, tile_m, tile_n, k, capacity_words, ratio)


def weight_stationary(
    m: Number, n: Number, k: Number, groups: Number, capacity_words: Number, input_words: Number | None = None
) -> Dataflow:
    """Q = groups · (k·n + input · n/bn + m·n · (2k/bk − 1)): a tile of B stays while A and the partial sums pass.

    bk/bn = 2·m·k/input where both are free: a partial sum is written and read again.
    """
    fed = _input_words(m, k, input_words)
    ratio = 2.0 * m * k / np.maximum(fed, 1.0)
    tile_n, tile_k = _tiles(n, k, ratio, capacity_words)
    words = np.asarray(groups * fed * n / tile_n + 2.0 * groups * m * n * k / tile_k + groups * (k * n - m * n))
    return Dataflow("weights", words, m, tile_n, tile_k, capacity_words, ratio)


def input_stationary(
    m: Number, n: Number, k: Number, groups: Number, capacity_words: Number, input_words: Number | None = None
) -> Dataflow:
    """Q = groups · (input + k·n · m/bm + m·n · (2k/bk − 1)): a tile of A stays while B and the partial sums pass.

    A convolution keeps input/(m·k) words for an element of the tile.
    """
    fed = _input_words(m, k, input_words)
    room = capacity_words * np.maximum(m * k / np.maximum(fed, 1.0), 1.0)
    tile_m, tile_k = _tiles(m, k, 2.0, room)
    words = np.asarray(groups * k * n * m / tile_m + 2.0 * groups * m * n * k / tile_k + groups * (fed - m * n))
    return Dataflow("inputs", words, tile_m, n, tile_k, room, 2.0)


def dataflows(
    m: Number, n: Number, k: Number, groups: Number, capacity_words: Number, input_words: Number | None = None
) -> tuple[Dataflow, Dataflow, Dataflow]:
    """Output, weight and input stationary; the one of least words is taken, the first of equals."""
    arguments = (m, n, k, groups, capacity_words, input_words)
    return output_stationary(*arguments), weight_stationary(*arguments), input_stationary(*arguments)


def gemm_words(
    m: Number, n: Number, k: Number, groups: Number, capacity_words: Number, input_words: Number | None = None
) -> Array:
    """The least of output-, weight- and input-stationary traffic.

    Never rises with capacity; never below `compulsory_words` nor the bounds; the floor once an operand fits on chip with
    a row of each other one beside it. 0 without a product.
    """
    outputs, weights, inputs = dataflows(m, n, k, groups, capacity_words, input_words)
    return np.minimum(np.minimum(outputs.words, weights.words), inputs.words)


def _input_words(m: Number, k: Number, input_words: Number | None) -> Number:
    return m * k if input_words is None else np.minimum(input_words, m * k)


def _tiles(first: Number, second: Number, ratio: Number, capacity_words: Number) -> tuple[Array, Array]:
    """The x × y tile, second/first = ratio where both are free, with (x + 1)(y + 1) = S + 1; each from 1 to its dimension.

    Validity: ratio ≥ 1. Few operations, for this is what a sweep over capacities spends its time on.
    """
    room = np.maximum(capacity_words + 1.0, 4.0)
    most_x, most_y = np.maximum(first, 1.0) + 1.0, np.maximum(second, 1.0) + 1.0
    x = np.minimum(np.maximum(np.sqrt(room) * np.sqrt(1.0 / np.maximum(ratio, 1.0)), 2.0), most_x)
    y = np.minimum(room / x, most_y)
    x = np.minimum(room / y, most_x)
    return x - 1.0, y - 1.0


# ---- attention --------------------------------------------------------------------------------------------------------


def standard_attention_words(queries: Number, keys: Number, head_dim: Number, heads: Number, kv_heads: Number) -> Array:
    """Q = heads · (2·Nq·d + 4·Nq·Nk) + kv_heads · 2·Nk·d: Q, K, V, O once, scores and probabilities written and read.

    Validity: three kernels, scores do not fit. Source: Dao et al. 2022.
    """
    return np.asarray(heads * (2.0 * queries * head_dim + 4.0 * queries * keys) + kv_heads * 2.0 * keys * head_dim)


def flash_rows(head_dim: Number, capacity_words: Number) -> Array:
    """⌊S/4d⌋ rows of queries to a block, at least 1: a quarter each for Q, K, V and O. Source: Dao et al. 2022."""
    return np.maximum(np.floor(capacity_words / (4.0 * head_dim)), 1.0)


def flash_attention_words(
    queries: Number, keys: Number, head_dim: Number, heads: Number, kv_heads: Number, capacity_words: Number
) -> Array:
    """Q = heads · 2·Nq·d + kv_heads · 2·Nk·d · ⌈Nq / ⌊S/4d⌋⌉: K and V are read for every block of S/4d query rows.

    Θ(N²d²/S), K and V once where all rows fit. Validity: heads that share keys run beside each other; at least one row
    fits. Source: Dao et al. 2022.
    """
    passes = np.maximum(np.ceil(queries / flash_rows(head_dim, capacity_words)), 1.0)
    return np.asarray(heads * 2.0 * queries * head_dim + kv_heads * 2.0 * keys * head_dim * passes)


# ---- halo and patches -------------------------------------------------------------------------------------------------


def halo_factor(tile_h: Number, tile_w: Number, kernel_h: Number, kernel_w: Number, stride_h: Number, stride_w: Number) -> Array:
    """((th − 1)·sh + kh)((tw − 1)·sw + kw) / (th·sh · tw·sw): input read for tiles of the output over input read once.

    Validity: tiles inside the map (a border reads less); at stride 1 it is ((t + k − 1)/t)². At least 1.
    """
    rows = ((tile_h - 1.0) * stride_h + kernel_h) / (tile_h * stride_h)
    columns = ((tile_w - 1.0) * stride_w + kernel_w) / (tile_w * stride_w)
    return np.maximum(rows, 1.0) * np.maximum(columns, 1.0)


def patch_bounds(size: float, patches: float) -> tuple[Array, Array]:
    """Rows [start, stop) of each of `patches` cuts of a map of `size` rows, at i·size/p rounded (half to even)."""
    index = np.arange(patches)
    return np.rint(index * size / patches), np.rint((index + 1.0) * size / patches)


def needed_rows(start: Number, stop: Number, kernel: Number, stride: Number, pad: Number, size: Number) -> tuple[Array, Array]:
    """Input rows [start·s − p, (stop − 1)·s − p + k) of output rows [start, stop), clipped to the `size` rows there are."""
    first = np.maximum(start * stride - pad, 0.0)
    last = np.minimum((stop - 1.0) * stride - pad + kernel, size)
    return np.asarray(first), np.asarray(last)


def patch_rows(
    bounds: tuple[Array, Array], layers: Sequence[tuple[float, float, float, float]]
) -> tuple[tuple[Array, Array], ...]:
    """Rows of every map of a chain that each patch needs, from the chain's input to its output.

    `bounds` are the patches of the chain's output, `layers` its (kernel, stride, pad, input rows) from first to last. A
    patch computes all its rows itself: what overlaps with a neighbour is computed again.
    """
    found = [bounds]
    for kernel, stride, pad, size in reversed(layers):
        found.append(needed_rows(*found[-1], kernel, stride, pad, size))
    return tuple(reversed(found))
