"""Traffic under limited on-chip memory: I/O lower bounds, re-reads of tiles, halo, and patches of MobileNetV2.

Smith et al. arXiv:1702.02017 (matrix product), Dao et al. 2022 (attention), Chen et al. HPCA 2020 (convolution); patches
are a computed halo model, clipped at borders, without reuse between patches.
"""

from typing import NamedTuple

import numpy as np
import pytest

from simulator.cost import tiling


@pytest.mark.parametrize(
    ("row", "m", "n", "k", "words", "bound", "tile", "tiled"),
    [
        (1, 1024, 1024, 1024, 16384, 16744448.0, 127, 17957896.062992126),
        (3, 4096, 4096, 4096, 262144, 267911168.0, 511, 285737986.0039139),
        (5, 512, 2048, 1024, 65536, 8257536.0, 255, 9470080.501960784),
    ],
)
def test_products(row: int, m: int, n: int, k: int, words: int, bound: float, tile: int, tiled: float) -> None:
    """Rows io_bounds-001 to 006; the tile is the largest square one that fits."""
    assert tiling.gemm_bound_words(m, n, k, words) == bound, f"io_bounds-{row:03}"
    assert tiling.square_tile(words) == tile
    assert tiling.output_tiled_words(m, n, k, tile, tile) == pytest.approx(tiled, rel=1e-15), f"io_bounds-{row + 1:03}"
    assert bound <= tiling.gemm_words(m, n, k, 1, words) <= tiled
    assert tiling.output_stationary(m, n, k, 1, words).words == pytest.approx(tiled, rel=0.01)


@pytest.mark.parametrize(
    ("row", "length", "dim", "standard", "words", "flash"),
    [
        (7, 1024, 64, 4456448, 102400, 524288),
        (9, 4096, 64, 68157440, 102400, 6291456),
        (11, 4096, 128, 69206016, 102400, 23068672),
        (13, 16384, 128, 1082130432, 116736, 306184192),
    ],
)
def test_attention(row: int, length: int, dim: int, standard: int, words: int, flash: int) -> None:
    assert tiling.standard_attention_words(length, length, dim, 1, 1) == standard, f"io_bounds-{row:03}"
    assert tiling.flash_attention_words(length, length, dim, 1, 1, words) == flash, f"io_bounds-{row + 1:03}"


def test_keys_and_values_are_read_once_where_all_rows_fit() -> None:
    once = 2 * 1024 * 64 + 2 * 1024 * 64
    assert tiling.flash_attention_words(1024, 1024, 64, 1, 1, 4 * 64 * 1024) == once
    assert tiling.flash_attention_words(1024, 1024, 64, 1, 1, np.inf) == once
    assert tiling.flash_rows(64, 4 * 64 * 1024) == 1024


def test_scores_of_attention() -> None:
    """Read Q and K, write S, two bytes an element."""
    assert 2 * tiling.compulsory_words(4096, 4096, 128, 1) == 35651584, "io_bounds-015"


def test_shared_keys_are_read_once_for_their_heads() -> None:
    grouped = tiling.flash_attention_words(1.0, 4096.0, 128.0, 32, 8, 1e5)
    assert grouped == 32 * 2 * 128 + 8 * 2 * 4096 * 128


@pytest.mark.parametrize(
    ("row", "k", "stride", "factor"), [(16, 3, 1, 9.0), (17, 5, 1, 25.0), (18, 7, 1, 49.0), (19, 3, 2, 2.25), (20, 1, 1, 1.0)]
)
def test_im2col(row: int, k: int, stride: int, factor: float) -> None:
    assert tiling.im2col_expansion(k, k, stride, stride) == factor, f"io_bounds-{row:03}"


@pytest.mark.parametrize(
    ("row", "k", "stride", "reuse"), [(21, 3, 1, 9.0), (22, 5, 1, 25.0), (23, 3, 2, 2.25), (24, 11, 4, 7.5625)]
)
def test_window_reuse(row: int, k: int, stride: int, reuse: float) -> None:
    assert tiling.window_reuse(k, k, stride, stride) == reuse, f"io_bounds-{row:03}"


@pytest.mark.parametrize(
    ("row", "tile", "k", "factor"),
    [(25, 8, 3, 1.5625), (26, 16, 3, 1.265625), (27, 28, 3, 1.1479591836734693), (28, 14, 5, 1.6530612244897962)],
)
def test_halo(row: int, tile: int, k: int, factor: float) -> None:
    assert tiling.halo_factor(tile, tile, k, k, 1, 1) == pytest.approx(factor, rel=1e-15), f"io_bounds-{row:03}"


def test_halo_never_saves() -> None:
    """A stride beyond the kernel leaves input unread, which is no reason for tiles."""
    assert tiling.halo_factor(8, 8, 1, 1, 2, 2) == 1


def test_convolution_meets_its_bound() -> None:
    """A 3 × 3 layer of VGG at 64 Ki words: at most a tenth above the leading term."""
    m, n, k, reuse = 112 * 112, 128, 128 * 9, 9
    words = 65536
    bound = tiling.conv_bound_words(m * n * k, m * n, reuse, words)
    found = tiling.output_stationary(m, n, k, 1, words, m * k / reuse).words
    assert bound <= found <= 1.1 * bound
    assert found < 0.4 * tiling.output_stationary(m, n, k, 1, words).words  # √9 below a product of that shape


def test_depthwise_is_compulsory_from_the_start() -> None:
    """Channels share nothing: in + out + k²·c at 64 words already."""
    least = tiling.gemm_words(56 * 56, 1, 9, 144, 64, 56 * 56)
    assert least == pytest.approx(tiling.compulsory_words(56 * 56, 1, 9, 144, 56 * 56))


@pytest.mark.parametrize(("m", "n", "k"), [(4096, 64, 64), (64, 4096, 64), (64, 64, 4096)])
def test_the_small_operand_stays(m: int, n: int, k: int) -> None:
    """Whichever of the three is 64 × 64, a little more than its size gives the compulsory traffic."""
    floor = tiling.compulsory_words(m, n, k, 1)
    assert tiling.gemm_words(m, n, k, 1, 64 * 64 + 128) == pytest.approx(floor)
    assert tiling.gemm_words(m, n, k, 1, 64 * 64 / 4) > 1.2 * floor


def test_no_product_moves_nothing() -> None:
    nothing = np.zeros(2)
    assert tiling.gemm_words(nothing, nothing, nothing, nothing, 1024.0).tolist() == [0, 0]


# ---- patches of MobileNetV2 -------------------------------------------------------------------------------------------


class Conv(NamedTuple):
    kernel: int
    stride: int
    cin: int
    cout: int
    is_depthwise: bool

    @property
    def macs_per_pixel(self) -> int:
        return self.kernel**2 * self.cout * (1 if self.is_depthwise else self.cin)


def mobilenet_v2() -> list[Conv]:
    """Sandler et al. 2018 table 2, its convolutions."""
    layers, c = [Conv(3, 2, 3, 32, is_depthwise=False)], 32
    for expansion, cout, blocks, first_stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        for block in range(blocks):
            wide = c * expansion
            if expansion > 1:
                layers.append(Conv(1, 1, c, wide, is_depthwise=False))
            layers.append(Conv(3, first_stride if block == 0 else 1, wide, wide, is_depthwise=True))
            layers.append(Conv(1, 1, wide, cout, is_depthwise=False))
            c = cout
    return [*layers, Conv(1, 1, 320, 1280, is_depthwise=False)]


LAYERS = mobilenet_v2()
SIZES = [224]
for layer in LAYERS:
    SIZES.append((SIZES[-1] - 1) // layer.stride + 1)
NET_MACS = sum(size**2 * x.macs_per_pixel for size, x in zip(SIZES[1:], LAYERS, strict=True)) + 1280 * 1000

# row of the ratio (the peak is the next), layers, patches a side, rows of the output, ratio, the same as computed, peak bytes
PATCHES = [
    (1, 3, 2, 112, 0.001298, 0.0012984089, 204320),
    (3, 3, 3, 112, 0.00262, 0.0026197985, 97408),
    (5, 3, 4, 112, 0.003964, 0.0039641689, 53888),
    (7, 6, 2, 56, 0.003704, 0.003703721, 387168),
    (9, 6, 3, 56, 0.007475, 0.0074746819, 180672),
    (11, 6, 4, 56, 0.011313, 0.011312883, 99552),
    (13, 9, 2, 56, 0.018559, 0.018559034, 414912),
    (15, 9, 3, 56, 0.037964, 0.037964098, 199776),
    (17, 9, 4, 56, 0.058215, 0.058215192, 129120),
    (19, 12, 2, 28, 0.029264, 0.029264152, 443616),
    (21, 12, 3, 28, 0.060206, 0.060205788, 262848),
    (23, 12, 4, 28, 0.092825, 0.092824908, 145344),
    (25, 15, 2, 28, 0.078569, 0.078568582, 503904),
    (27, 15, 3, 28, 0.166136, 0.1661357, 360384),
    (29, 15, 4, 28, 0.262701, 0.26270135, 219840),
    (31, 18, 2, 28, 0.136539, 0.13653886, 568032),
    (33, 18, 3, 28, 0.296291, 0.29629066, 473280),
    (35, 18, 4, 28, 0.479255, 0.47925541, 309696),
    (37, 21, 2, 14, 0.169543, 0.16954259, 636000),
    (39, 21, 3, 14, 0.372223, 0.37222333, 414912),
    (41, 21, 4, 14, 0.608042, 0.60804222, 309696),
    (43, 24, 2, 14, 0.319271, 0.31927071, 783456),
    (45, 24, 3, 14, 0.732436, 0.73243626, 671424),
    (47, 24, 4, 14, 1.239497, 1.2394967, 535488),
]


@pytest.mark.parametrize(("row", "depth", "grid", "rows", "ratio", "computed", "peak"), PATCHES)
def test_patches(row: int, depth: int, grid: int, rows: int, ratio: float, computed: float, peak: int) -> None:
    """Rows of recomputed MACs over those of the network, and of the largest input + output of a layer's patch in int8."""
    chain = LAYERS[:depth]
    assert SIZES[depth] == rows
    steps = [(x.kernel, x.stride, (x.kernel - 1) // 2, size) for x, size in zip(chain, SIZES, strict=False)]
    height = [stop - start for start, stop in tiling.patch_rows(tiling.patch_bounds(rows, grid), steps)]
    again = sum((h.sum() ** 2 - size**2) * x.macs_per_pixel for h, size, x in zip(height[1:], SIZES[1:], chain, strict=False))
    assert again / NET_MACS == pytest.approx(ratio, rel=0.01), f"patch_halo-{row:03}"
    assert again / NET_MACS == pytest.approx(computed, rel=1e-7)
    held = [a.max() ** 2 * x.cin + b.max() ** 2 * x.cout for a, b, x in zip(height, height[1:], chain, strict=False)]
    assert max(held) == peak, f"patch_halo-{row + 1:03}"


def test_the_net_is_mobilenet_v2() -> None:
    assert NET_MACS == 300_774_272


def test_one_patch_recomputes_nothing() -> None:
    steps = [(x.kernel, x.stride, (x.kernel - 1) // 2, size) for x, size in zip(LAYERS, SIZES, strict=False)]
    height = [stop - start for start, stop in tiling.patch_rows(tiling.patch_bounds(7, 1), steps)]
    assert [float(h[0]) for h in height] == SIZES
