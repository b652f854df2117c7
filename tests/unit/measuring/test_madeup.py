"""Made-up weights: the same every time, different for every tensor, of a size that keeps activations alive."""

import numpy as np
import pytest

from simulator.errors import ModelError
from simulator.measuring.madeup import Use, content_of, fan_in, made_up

CONV = Use("Conv", "", 1)


def values(name: str, shape: tuple[int, ...], use: Use | None = CONV, dtype: str = "float32") -> np.ndarray:
    return np.concatenate(list(made_up(name, dtype, shape, use)) or [np.zeros(0)])


def test_a_name_always_gives_the_same_values() -> None:
    assert np.array_equal(values("w", (8, 4, 3, 3)), values("w", (8, 4, 3, 3)))


def test_no_two_tensors_are_alike() -> None:
    made = [values(name, (16, 16)) for name in ("a", "b", "layer1.weight", "layer2.weight")]
    assert all(not np.array_equal(x, y) for i, x in enumerate(made) for y in made[:i])


def test_large_tensors_come_in_pieces() -> None:
    pieces = list(made_up("w", "float32", (5, 1 << 20), CONV))
    assert len(pieces) == 2
    assert sum(len(p) for p in pieces) == 5 << 20
    assert not np.array_equal(pieces[0][: len(pieces[1])], pieces[1])


@pytest.mark.parametrize(
    ("shape", "use", "depth"),
    [
        ((64, 32, 3, 3), CONV, 288),
        ((512, 1000), Use("MatMul", "", 1), 512),
        ((1000, 512), Use("Gemm", "", 1, transposed=True), 512),
        ((30000, 768), Use("Gather", "", 0), 768),
        ((1, 1024, 256), Use("LSTM", "", 1), 256),
        ((64, 32, 2, 2), Use("ConvTranspose", "", 1), 64),
        ((7,), CONV, 1),
    ],
)
def test_variance_follows_the_depth_of_the_sum(shape: tuple[int, ...], use: Use, depth: int) -> None:
    assert fan_in(shape, use) == depth
    if len(shape) > 1:
        assert values("w", shape, use).std() == pytest.approx(np.sqrt(2 / depth), rel=0.1)


@pytest.mark.parametrize(
    ("dtype", "shape", "use", "content"),
    [
        ("float32", (64,), Use("Conv", "", 2), "small"),
        ("float32", (64,), Use("BatchNormalization", "", 1), "around_one"),
        ("float32", (64,), Use("BatchNormalization", "", 4), "around_one"),
        ("float32", (64,), Use("LayerNormalization", "", 1), "around_one"),
        ("float32", (64,), Use("Mul", "", 1), "around_one"),
        ("float32", (), Use("DequantizeLinear", "", 1), "scale"),
        ("int8", (64, 3, 3, 3), Use("DequantizeLinear", "", 0), "integer"),
        ("int8", (64,), Use("DequantizeLinear", "", 2), "zero"),
        ("int64", (4, 4), Use("Gather", "", 1), "zero"),
        ("float16", (64, 64), None, "weight"),
    ],
)
def test_content_follows_the_use(dtype: str, shape: tuple[int, ...], use: Use | None, content: str) -> None:
    assert content_of("w", dtype, shape, use) == content


def test_variances_and_scales_are_positive() -> None:
    assert values("v", (1000,), Use("BatchNormalization", "", 4)).min() > 0
    assert values("s", (1000,), Use("DequantizeLinear", "", 1)).min() > 0


def test_eight_bits_stay_within_them() -> None:
    made = values("q", (100, 100), Use("DequantizeLinear", "", 0), "int8")
    assert (made.min(), made.max()) == (-127, 127)


@pytest.mark.parametrize(
    ("dtype", "use", "says"),
    [
        ("int64", Use("Reshape", "", 1), "decides shapes"),
        ("int64", Use("Slice", "", 2), "decides shapes"),
        ("string", Use("Identity", "", 0), "type string"),
        ("complex64", None, "type complex64"),
    ],
)
def test_what_cannot_be_made_up_says_so(dtype: str, use: Use | None, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        content_of("w", dtype, (4,), use)
