"""GPU tiles and waves, and how much of a data sheet's rate a matrix product reaches.

Tiles and waves: NVIDIA deep learning performance guide, matrix multiplication; worked examples of
stas00/ml-engineering@744d01e1 training/performance/README.md. Highest fractions measured: the same book's
compute/accelerator/README.md, table of maximum achievable matrix-multiplication FLOPS.
"""

import numpy as np
import pytest

import simulator as sim
from simulator.cost import tensor_core
from simulator.cost.tensor_core import slowdown, tile_efficiency, tiles, wave_efficiency, waves
from simulator.io.hardware_reader import load_runtime

# rows of tiles, waves, wave efficiency, tile efficiency; m, n, tile, multiprocessors
PRODUCTS = [
    (1, 1792, 1792, 256, 128, 108, 98, 1, 0.9074074074074074, 1.0),
    (5, 1793, 1793, 256, 128, 108, 120, 2, 0.5555555555555556, 0.817578379313151),
    (9, 8192, 14336, 128, 256, 148, 3584, 25, 0.9686486486486486, 1.0),
    (13, 8192, 14336, 128, 256, 152, 3584, 24, 0.9824561403508771, 1.0),
]


@pytest.mark.parametrize(("row", "m", "n", "tm", "tn", "sm", "blocks", "rounds", "in_waves", "in_tiles"), PRODUCTS)
def test_tiles_and_waves(
    row: int, m: int, n: int, tm: int, tn: int, sm: int, blocks: int, rounds: int, in_waves: float, in_tiles: float
) -> None:
    assert tiles(m, n, 1, tm, tn) == blocks, f"gpu_tile_wave-{row:03}"
    assert waves(blocks, sm) == rounds, f"gpu_tile_wave-{row + 1:03}"
    assert wave_efficiency(blocks, sm) == in_waves, f"gpu_tile_wave-{row + 2:03}"
    assert tile_efficiency(m, n, tm, tn) == pytest.approx(in_tiles, rel=1e-15), f"gpu_tile_wave-{row + 3:03}"


@pytest.mark.parametrize(
    ("row", "blocks", "speedup"),
    [(17, 148, 1.0), (18, 152, 2.0), (19, 296, 1.0), (20, 304, 1.5), (21, 3584, 1.042), (22, 50000, 1.027)],
)
def test_speed_up_by_four_multiprocessors(row: int, blocks: int, speedup: float) -> None:
    assert waves(blocks, 148) / waves(blocks, 152) == pytest.approx(speedup, rel=0.001), f"gpu_tile_wave-{row:03}"


def test_tail() -> None:
    assert waves(109, 108) == 2, "gpu_tile_wave-023"
    blocks, slots = 192, 84 * 2
    assert blocks / slots == pytest.approx(1.14, abs=0.005)
    assert tensor_core.idle_slots(192, 84, 2) == 144, "gpu_tile_wave-024"


@pytest.mark.parametrize(("row", "aligned_bytes", "elements"), [(25, 16, 8), (26, 128, 64)])
def test_alignment(row: int, aligned_bytes: int, elements: int) -> None:
    """V100 and A100, two bytes an element."""
    assert tensor_core.full_rate_multiple(aligned_bytes, 2) == elements, f"gpu_tile_wave-{row:03}"


def test_alignment_is_a_step() -> None:
    n = np.array([64.0, 72.0, 65.0])
    share = tensor_core.alignment_share(n, 4096.0, 2.0, 128.0, aligned_share=0.8, misaligned_share=0.25)
    assert share.tolist() == [1.0, 0.8, 0.25]


def test_a_product_of_odd_rows_is_slower_by_the_misaligned_share() -> None:
    """GPT-2's 50,257 tokens against 50,304: padding the vocabulary pays."""
    spec, runtime = sim.load_hardware("a100_sxm_80"), load_runtime("pytorch_eager")
    odd, even = (
        sim.estimate(sim.load_model(f"gemm:m=8192,n={n},k=768"), spec, runtime="pytorch_eager", precision="fp16")
        for n in (50257, 50304)
    )
    misaligned = runtime.profiles["tensor"].misaligned
    assert misaligned is not None
    assert odd.cost.compute_s[0] == pytest.approx(even.cost.compute_s[0] / misaligned.value, rel=0.01)
    assert odd.latency_s > even.latency_s


# row, accelerator, element type, TFLOP/s measured and of the data sheet, percent
ACHIEVED = [
    (1, "Gaudi2", "bf16", 418.7, 432, 96.9),
    (2, "A100 SXM", "bf16", 271.2, 312, 86.9),
    (3, "GH200", "bf16", 828.6, 989, 83.8),
    (4, "A100 PCIe", "bf16", 252.9, 312, 81.1),
    (5, "H100 SXM", "bf16", 794.5, 989, 80.3),
    (6, "B300", "bf16", 1769, 2250, 78.6),
    (7, "B200", "bf16", 1745, 2250, 77.6),
    (8, "Gaudi3", "bf16", 1243, 1677, 74.1),
    (9, "GB200", "bf16", 1822, 2500, 72.9),
    (10, "MI355X", "bf16", 1565, 2300, 68.0),
    (11, "MI325X", "bf16", 784.9, 1300, 60.4),
    (12, "MI300X", "bf16", 668.4, 1300, 51.4),
    (13, "Gaudi2", "fp8", 826.5, 865, 95.5),
    (14, "GH200", "fp8", 1535, 1979, 77.6),
    (15, "Gaudi3", "fp8", 1289.5, 1677, 76.9),
    (16, "B200", "fp8", 3432.5, 4500, 76.3),
    (17, "B300", "fp8", 3353.3, 4500, 74.5),
    (18, "H200", "fp8", 1453.4, 1979, 73.4),
    (19, "GB200", "fp8", 3615.6, 5000, 72.3),
    (20, "H100", "fp8", 1402.6, 1979, 70.9),
]


@pytest.mark.parametrize(("row", "name", "rate", "measured", "datasheet", "percent"), ACHIEVED)
def test_achieved_fractions(row: int, name: str, rate: str, measured: float, datasheet: float, percent: float) -> None:
    """Measured data; below one, and by arithmetic of the two rates."""
    assert 100 * measured / datasheet == pytest.approx(percent, rel=0.003), f"gpu_peak_fraction-{row:03}: {name} {rate}"
    assert percent < 100


@pytest.mark.parametrize(
    ("name", "multiprocessors", "percent"), [("A100", 108.0, 86.9), ("H100 SXM", 132.0, 80.3), ("B200", 148.0, 77.6)]
)
def test_the_best_product_is_not_limited_by_its_shape(name: str, multiprocessors: float, percent: float) -> None:
    """What is measured of a peak is due to clocks and power: shapes alone reach over 95 %."""
    side = np.arange(2048.0, 16384.0, 512.0)
    share = 1 / slowdown(side, side, side, 1.0, multiprocessors, k0=35.0)
    assert share.max() > 0.95
    assert share.max() * 100 > percent, name


def test_small_k() -> None:
    """1 + k0/K where nothing else is lost."""
    full = 1.0 * 108 * 256
    for k in (32.0, 64.0, 128.0, 1024.0):
        assert slowdown(full, 128.0, k, 1.0, 108.0, k0=35.0) == pytest.approx(1 + 35 / k)


def test_splitting_k_relieves_few_tiles() -> None:
    """One tile of a long sum: 32 multiprocessors of 108 instead of one."""
    split = slowdown(128.0, 128.0, 16384.0, 1.0, 108.0, k0=35.0)
    assert 1 < split < 108 / 8
    short = slowdown(128.0, 128.0, 64.0, 1.0, 108.0, k0=35.0)
    assert short > split  # nothing to split


def test_the_wave_cap_balances_the_last_wave() -> None:
    """109 tiles on 108 multiprocessors: two waves, or little more than one where the library evens it out."""
    shape = (109 * 256.0, 128.0, 4096.0, 1.0, 108.0)
    assert slowdown(*shape, wave_cap=1.0) == pytest.approx(1.0)
    assert 1 < slowdown(*shape, wave_cap=1.2) <= slowdown(*shape)


def test_batched_products_pad_every_member() -> None:
    """1000 products of 17 rows each take 32-row tiles, one of 17,000 rows does not."""
    alone, together = slowdown(17.0, 64.0, 64.0, 1000.0, 108.0), slowdown(17000.0, 64.0, 64.0, 1.0, 108.0)
    assert alone > 1.3 * together


def test_no_product() -> None:
    assert slowdown(np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2), 108.0, k0=35.0).tolist() == [1.0, 1.0]
