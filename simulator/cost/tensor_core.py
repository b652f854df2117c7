"""Matrix units of GPUs: a product is cut into tiles, tiles run in waves over the multiprocessors.

Products are C[m, n] += A[m, k] · B[k, n], `groups` times (a batched product counts its batch there, so that every one of
its members is padded to whole tiles). The library is taken to know its kernels: the best of a fixed list of tiles and
splits, so that more multiprocessors of the same kind are never slower.
"""

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number

Array = NDArray[np.float64]

# rows × columns of C of one thread block; the large ones load fewest bytes per MAC, 16 is one instruction's width
TILES = ((256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64), (128, 32), (32, 128), (64, 16), (16, 64))
ATTENTION_BLOCK = 64.0  # queries and keys of fused attention come in blocks of it
SPLITS = (1, 2, 4, 8, 16, 32)  # ways of cutting k, each with its own partial result
GROUP_WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # channels of a group, as many in as out, that grouped convolutions have kernels for
# outputs and inputs of a group that kernels for any width work on at once: inferred from the times of networks with groups
# 24, 48 and 128 wide on an RTX 3090 and 4090, no vendor says
GROUP_TILE = (64.0, 32.0)
LOAD_BYTES = 16.0  # of the widest load instruction: rows of other multiples come in smaller pieces


def tiles(m: Number, n: Number, groups: Number, tile_m: Number, tile_n: Number) -> Array:
    """Thread blocks = groups · ⌈m / tile_m⌉ · ⌈n / tile_n⌉. Source: NVIDIA deep learning performance guide."""
    return np.asarray(groups * np.ceil(m / tile_m) * np.ceil(n / tile_n))


def waves(blocks: Number, multiprocessors: Number, resident: Number = 1.0) -> Array:
    """⌈blocks / (multiprocessors · resident)⌉: rounds until every block has run. Source: as `tiles`."""
    return np.asarray(np.ceil(blocks / (multiprocessors * resident)))


def tile_efficiency(m: Number, n: Number, tile_m: Number, tile_n: Number) -> Array:
    """Share of the tiles' area that is result = m·n / (⌈m/tm⌉·tm · ⌈n/tn⌉·tn), in (0, 1]; 1 without a product."""
    useful = np.asarray(m * n, np.float64)
    return np.where(useful > 0, useful / np.maximum(tiles(m, n, 1.0, tile_m, tile_n) * (tile_m * tile_n), 1.0), 1.0)


def wave_efficiency(blocks: Number, multiprocessors: Number, resident: Number = 1.0) -> Array:
    """Share of slots that hold a block = blocks / (waves · multiprocessors · resident), in (0, 1]; 1 without blocks."""
    slots = waves(blocks, multiprocessors, resident) * multiprocessors * resident
    return np.where(np.asarray(blocks) > 0, blocks / np.maximum(slots, 1.0), 1.0)


def idle_slots(blocks: Number, multiprocessors: Number, resident: Number = 1.0) -> Array:
    """Slots of the last wave without a block = waves · multiprocessors · resident − blocks."""
    return np.asarray(waves(blocks, multiprocessors, resident) * multiprocessors * resident - blocks)


def slowdown(
    m: Number, n: Number, k: Number, groups: Number, multiprocessors: Number,
    k0: Number = 0.0, operand_cost: Number = 16.0, wave_cap: Number = np.inf,
) -> Array:  # fmt: skip
    """Time over MACs / peak, ≥ 1: the least over tiles and splits of waves · SM · tm·tn · (k/s + fixed) / (m·n·k · groups).

    A tile takes tm·tn · (k/s + k0) steps of its multiprocessor, k0 for prologue and epilogue (the factor 1 + k0/K), twice
    that if k is split s ways and partial sums are added. Small tiles load more operands per MAC: the rate of a tile is
    1 / (1 + `operand_cost` · (1/tm + 1/tn)), as a share of the best tile's. `wave_cap` ≥ 1 bounds the loss to the last
    wave where a library balances it (stream-K).

    Validity: peak = multiprocessors · rate of one; then time never rises with their number (the least of functions that
    fall with it). At a constant peak, more and smaller multiprocessors can be slower. 1 without a product.
    Source: NVIDIA guide (tiles, waves); k0 fitted, a cap of 8 as libraries reach it; `operand_cost` estimated (64 × 64 a quarter
    below 256 × 128, as in CUTLASS's profiles).
    """
    best = np.min(tile_steps(m, n, k, groups, multiprocessors, k0, operand_cost, wave_cap), axis=(0, 1))
    useful = m * n * k * groups / multiprocessors
    return np.where(useful > 0, np.maximum(best / np.where(useful > 0, useful, 1.0), 1.0), 1.0)


def tile_steps(
    m: Number, n: Number, k: Number, groups: Number, multiprocessors: Number,
    k0: Number = 0.0, operand_cost: Number = 16.0, wave_cap: Number = np.inf,
) -> Array:  # fmt: skip
    """MACs for which every multiprocessor is busy with each of the tiles and splits, shape (tiles, splits, ...).

    waves · tm·tn · relative cost of the tile · (⌈k/s⌉ + k0, or + 2·k0 if split), as in `slowdown`.
    """
    shape = np.broadcast_shapes(*(np.shape(x) for x in (m, n, k, groups, multiprocessors, k0)))
    axes = (1,) * len(shape)
    tile_m, tile_n = (np.array(side, np.float64).reshape(-1, 1, *axes) for side in zip(*TILES, strict=True))
    split = np.array(SPLITS, np.float64).reshape(1, -1, *axes)
    cost = tile_cost(tile_m, tile_n, operand_cost)
    even = tiles(m, n, groups, tile_m, tile_n) * split / multiprocessors
    rounds = np.minimum(np.ceil(even), np.maximum(even, 1e-9) * wave_cap)
    steps = np.ceil(k / split) + np.where(split == 1.0, 1.0, 2.0) * k0
    return np.asarray(rounds * steps * (tile_m * tile_n * (cost / cost.min())))


def tile_cost(tile_m: Number, tile_n: Number, operand_cost: Number = 16.0) -> Array:
    """1 + `operand_cost` · (1/tm + 1/tn): time per MAC of a tile, operands loaded."""
    return np.asarray(1.0 + operand_cost * (1.0 / tile_m + 1.0 / tile_n))


def attention_slowdown(queries: Number, keys: Number, block: Number = ATTENTION_BLOCK) -> Array:
    """Time over MACs / peak of fused attention, ≥ 1: queries and keys are padded to whole blocks.

    ⌈Lq / b⌉·b · ⌈Lk / b⌉·b / (Lq · Lk). Both products stay in registers, so that the head's width, a short k, costs no
    prologue. Validity: blocks of 64 are the smallest that FlashAttention-2 takes; what its softmax leaves of the peak
    belongs to the efficiency. Source: Dao, FlashAttention-2, ICLR 2024, section 3.3. 1 without a product.
    """
    return 1.0 / np.maximum(tile_efficiency(queries, keys, block, block), 1e-30)


def is_group_width(outputs: Number, inputs: Number) -> NDArray[np.bool_]:
    """Whether libraries have kernels for convolutions whose groups have so many channels: powers of two up to 64, in and out."""
    return np.asarray(np.isin(outputs, GROUP_WIDTHS) & np.isin(inputs, GROUP_WIDTHS))


def full_rate_multiple(full_bytes: Number, element_bytes: Number) -> Array:
    """Elements of which k and n must be multiples for the full rate: alignment in bytes / bytes of an element.

    16 B on V100, 128 B on A100 (fp16: 8 and 64). Source: NVIDIA deep learning performance guide.
    """
    return np.asarray(full_bytes / element_bytes)


def alignment_share(
    n: Number, k: Number, element_bytes: Number, full_bytes: Number,
    aligned_share: Number, misaligned_share: Number, least_bytes: Number = 16.0,
) -> Array:  # fmt: skip
    """Share of the full rate by how rows of A and B lie in memory, from n and k in bytes.

    1 where both are multiples of `full_bytes`, `aligned_share` of `least_bytes` (vector loads, tensor cores used),
    `misaligned_share` otherwise. Validity: a step, not monotone in n or k: padding by hand pays. Source: as above; the
    shares belong to a runtime.
    """
    full = _is_multiple(n * element_bytes, full_bytes) & _is_multiple(k * element_bytes, full_bytes)
    some = _is_multiple(n * element_bytes, least_bytes) & _is_multiple(k * element_bytes, least_bytes)
    return np.where(full, 1.0, np.where(some, aligned_share, misaligned_share))


def _is_multiple(value: Number, of: Number) -> NDArray[np.bool_]:
    return np.asarray(np.floor(value / of) * of == value)
