"""Bytes of encoded weights as Arm's own coder makes them.

`mlw_codec` of ethos-u-vela 4.2.0 (PyPI, Apache-2.0) was run on weights made here, with the ublocks of U55-128 (8 channels) and
output blocks of 16 channels, and on layers of MLPerf Tiny's visual wake words (mlcommons/tiny), whose values are listed.
"""

import numpy as np
import pytest

from simulator.cost import weight_code
from simulator.cost.block_npu import BlockOps, stored_words
from simulator.machine.geometry import BlockNpu

U55_128 = BlockNpu(
    ublock_h=1.0, ublock_w=2.0, ublock_c=8.0, cores=1.0, banks=20.0, ifm_granule=4.0, acc_granule=8.0, stall_cycles=2.0
)


def laplace(count: int, scale: float) -> np.ndarray:
    """The quantiles of a Laplace distribution, rounded."""
    u = (np.arange(count) + 0.5) / count - 0.5
    return np.clip(np.round(-scale * np.sign(u) * np.log(1 - 2 * np.abs(u))), -127, 127).astype(int)


def sparse(count: int, share: float) -> np.ndarray:
    return np.where(np.arange(count) * 7 % 10000 >= share * 10000, 0, laplace(count, 20))


VALUES = {
    "uniform": lambda n: np.arange(n) * 255 // n - 127,
    "laplace 20": lambda n: laplace(n, 20),
    "laplace 4": lambda n: laplace(n, 4),
    "sparse 0.1": lambda n: sparse(n, 0.1),
    "sparse 0.4": lambda n: sparse(n, 0.4),
    "few": lambda n: np.arange(n) * 9 // n - 4,
}

# values, output channels, kernel, input channels (0: depthwise), bytes of the coder. The values stand in the order of the
# numbers 1103515245·x + 12345 mod 2^31 from x = 1: zeros lie anywhere, as the model takes them to
CODED = [
    ("uniform", 64, 1, 64, 4112),
    ("uniform", 32, 3, 32, 9232),
    ("uniform", 16, 3, 3, 608),
    ("uniform", 40, 5, 24, 27376),
    ("uniform", 128, 1, 512, 65552),
    ("uniform", 64, 3, 0, 688),
    ("laplace 20", 64, 1, 64, 3760),
    ("laplace 20", 32, 3, 32, 8416),
    ("laplace 20", 16, 3, 3, 576),
    ("laplace 20", 40, 5, 24, 24768),
    ("laplace 20", 128, 1, 512, 59616),
    ("laplace 20", 64, 3, 0, 640),
    ("laplace 4", 64, 1, 64, 2432),
    ("laplace 4", 32, 3, 32, 5408),
    ("laplace 4", 16, 3, 3, 416),
    ("laplace 4", 40, 5, 24, 14464),
    ("laplace 4", 128, 1, 512, 38288),
    ("laplace 4", 64, 3, 0, 432),
    ("sparse 0.1", 64, 1, 64, 640),
    ("sparse 0.1", 32, 3, 32, 1360),
    ("sparse 0.1", 16, 3, 3, 240),
    ("sparse 0.1", 40, 5, 24, 3344),
    ("sparse 0.1", 128, 1, 512, 9440),
    ("sparse 0.1", 64, 3, 0, 240),
    ("sparse 0.4", 64, 1, 64, 2000),
    ("sparse 0.4", 32, 3, 32, 4528),
    ("sparse 0.4", 16, 3, 3, 576),
    ("sparse 0.4", 40, 5, 24, 11488),
    ("sparse 0.4", 128, 1, 512, 30928),
    ("sparse 0.4", 64, 3, 0, 640),
    ("few", 64, 1, 64, 1840),
    ("few", 32, 3, 32, 4112),
    ("few", 16, 3, 3, 320),
    ("few", 40, 5, 24, 11152),
    ("few", 128, 1, 512, 29152),
    ("few", 64, 3, 0, 336),
]


def operator(channels: int, kernel: int, deep: int) -> BlockOps:
    def column(value: float) -> np.ndarray:
        return np.array([float(value)])

    def mask(value: bool) -> np.ndarray:
        return np.array([value])

    return BlockOps(
        ofm_h=column(9), ofm_w=column(9), ofm_c=column(channels), ifm_h=column(9), ifm_w=column(9),
        ifm_c=column(deep or channels), kernel_h=column(kernel), kernel_w=column(kernel), stride_h=column(1), stride_w=column(1),
        depthwise=mask(deep == 0), pooling=mask(False), vector=mask(False), elementwise=mask(False), inputs=column(1),
        bias=mask(True), ifm_linear=mask(False), ofm_linear=mask(False), output_cycles=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(("values", "channels", "kernel", "deep", "expected"), CODED)
def test_bytes_of_the_coder(values: str, channels: int, kernel: int, deep: int, expected: int) -> None:
    """Within 10 % or three of the 16 bytes that streams are aligned to: one set of parameters for all weights."""
    words = channels * kernel**2 * (deep or 1)
    counts = np.bincount(VALUES[values](words) + 128, minlength=256).astype(float)
    padding = stored_words(operator(channels, kernel, deep), U55_128).item() - words
    weights = weight_code.stored_bytes(weight_code.coded_bits(counts, padding), 0, 1)
    assert weights == pytest.approx(expected, rel=0.1, abs=48)


@pytest.mark.parametrize(("channels", "kernel", "deep", "expected"), [row[1:] for row in CODED if row[0] == "uniform"])
def test_bytes_of_weights_that_nothing_is_known_of(channels: int, kernel: int, deep: int, expected: int) -> None:
    """Those of uniform ones."""
    words = channels * kernel**2 * (deep or 1)
    padding = stored_words(operator(channels, kernel, deep), U55_128).item() - words
    weights = weight_code.stored_bytes(weight_code.incompressible_bits(words, padding), 0, 1)
    assert weights == pytest.approx(expected, rel=0.1, abs=48)


# how often the values −127 to 127 occur in two 1 × 1 convolutions of visual wake words, 128 channels to 128; bytes of both
# weights and biases that Vela 4.2.0 encodes for U55-128
LAYERS = [
    (9024, """
     16 1 2 5 2 4 4 1 2 2 3 1 0 2 1 3 2 3 1 4 1 4 4 5 3 6 5 4 9 4 7 6 2 4 5 4 6 4 13 6 10 4 10 7 10 10 11 11 14 10 12 11
     12 12 10 8 11 10 17 12 12 16 22 20 23 23 17 15 23 21 16 26 17 25 31 20 23 29 22 19 27 25 36 37 27 36 42 34 37 30 39
     43 43 37 37 45 34 42 38 36 39 48 40 43 42 36 59 50 40 55 50 44 66 53 52 63 46 53 49 50 59 65 58 69 70 85 82 10440 75
     62 55 58 58 55 50 57 58 51 52 50 38 43 45 53 49 50 45 53 41 38 48 45 33 40 46 49 51 43 44 25 43 38 41 34 36 30 46 29
     24 24 34 34 33 39 28 27 24 28 28 22 22 25 23 22 22 12 28 13 23 29 21 16 16 23 16 18 12 22 11 18 11 12 9 15 9 9 10 8
     14 6 11 11 12 9 7 7 8 6 8 8 7 4 6 6 5 8 5 6 7 5 4 4 6 6 3 3 1 3 1 3 4 0 6 6 4 3 1 6 1 2 2 2 1 3 42
     """),
    (2032, """
     7 0 1 0 0 0 0 0 1 0 0 0 0 0 0 1 0 0 1 0 0 1 0 0 0 1 0 0 2 0 0 2 1 0 0 0 0 0 1 0 1 1 0 0 0 1 1 1 2 0 1 1 3 0 0 0 1 2
     0 2 1 1 3 1 1 0 1 2 1 0 0 2 3 1 1 1 0 1 2 0 1 1 1 0 1 4 2 1 0 0 2 3 2 1 1 4 2 3 3 1 1 3 5 3 1 0 2 1 1 1 1 4 1 2 2 2
     5 2 6 2 5 1 2 5 8 5 7 16043 5 5 5 5 4 7 5 3 4 2 3 1 1 1 4 4 1 5 4 1 0 2 2 1 1 0 3 0 1 3 2 1 4 0 0 1 0 1 3 3 1 1 2 1
     1 1 1 2 1 5 0 0 0 0 2 0 2 1 1 3 1 0 0 1 0 2 0 1 0 1 0 1 2 2 1 0 2 2 0 0 0 0 0 1 1 0 1 0 3 0 0 0 2 1 1 0 1 0 0 1 0 0
     0 2 0 1 0 0 1 0 2 0 1 0 0 0 0 0 0 0 0 0 0 1 0 0 13
     """),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "listed"), LAYERS)
def test_bytes_of_layers(expected: int, listed: str) -> None:
    counts = np.array([0, *map(int, listed.split())], float)
    assert counts.sum() == 128 * 128
    assert weight_code.stored_bytes(weight_code.coded_bits(counts, 0), 128, 1) == pytest.approx(expected, rel=0.1, abs=48)
