"""How products fill a GPU, by hand: one machine with `tiles`, one without."""

import numpy as np
import pytest
from support.graphs import model, node, resolved, value, weight
from support.machines import hardware, runtime

from simulator.cost.tensor_core import attention_slowdown, slowdown
from simulator.estimator import estimate
from simulator.explanation.layer import explain_layer
from simulator.machine.spec import HardwareSpec
from simulator.model import Model


def gpu(**geometry: str) -> HardwareSpec:
    """Eight multiprocessors that together do 0.5 TMAC/s, and 0.1 Top/s beside them."""
    engine = {"id": "sm", "kind": "tensor", "units": 8, "peak": {"fp32": "1 TFLOP/s"}, "vector": {"fp32": "0.1 TOP/s"}}
    return hardware(engines=[engine | ({"geometry": geometry} if geometry else {})], bandwidth="1 PB/s")


def product(m: int, n: int, k: int) -> Model:
    return Model(resolved(model([node("MatMul", "x w", "y")], [value("x", m, k)], ["y"], [weight("w", k, n)])))


def depthwise() -> Model:
    nodes = [node("Conv", "x w", "y", group=64)]
    return Model(resolved(model(nodes, [value("x", 1, 64, 18, 18)], ["y"], [weight("w", 64, 1, 3, 3)])))


def attention(length: int) -> Model:
    nodes = [node("MatMul", "q k", "s"), node("Softmax", "s", "p"), node("MatMul", "p v", "y")]
    inputs = [value("q", 8, length, 64), value("k", 8, 64, length), value("v", 8, length, 64)]
    return Model(resolved(model(nodes, inputs, ["y"])))


@pytest.mark.parametrize(("m", "n", "k"), [(2048, 128, 512), (100, 100, 30), (17, 1000, 2048)])
def test_a_product_takes_its_tiles(m: int, n: int, k: int) -> None:
    """Tiles count the prologue by themselves; without a shape, every output has it besides its own k."""
    given = runtime(prologue_k=35)
    plain, tiled = (estimate(product(m, n, k), machine, given) for machine in (gpu(), gpu(kind="tiles")))
    slower = float(slowdown(float(m), float(n), float(k), 1.0, 8.0, 35.0))
    assert plain.cost.compute_s.sum() == pytest.approx(m * n * (k + 35) / 0.5e12)
    assert tiled.cost.compute_s.sum() == pytest.approx(m * n * k / 0.5e12 * slower)


def test_a_depthwise_convolution_runs_on_the_vector_unit() -> None:
    """Its groups fill no tile, which costs nothing there."""
    est = estimate(depthwise(), gpu(kind="tiles"), runtime(on_vector=["depthwise_conv"], prologue_k=35))
    assert est.cost.compute_s.sum() == pytest.approx(64 * 16 * 16 * 9 / 0.1e12)


def grouped(inputs: int, outputs: int) -> Model:
    """Four groups of so many channels, windows of 3 × 3 over 16 × 16 places."""
    nodes = [node("Conv", "x w", "y", group=4)]
    weights = [weight("w", 4 * outputs, inputs, 3, 3)]
    return Model(resolved(model(nodes, [value("x", 1, 4 * inputs, 18, 18)], ["y"], weights)))


@pytest.mark.parametrize(
    ("inputs", "outputs", "wide", "deep", "share"),
    [
        (32, 32, 32, 32, 1.0),  # kernels of their own
        (8, 16, 16, 8, 0.4),  # as many outputs as inputs they want
        (24, 24, 64, 32, 0.4),  # for any width: whole tiles of 64 outputs, 32 inputs
        (128, 128, 128, 128, 0.4),
        (112, 112, 128, 128, 0.4),
    ],
)
def test_groups_that_no_kernel_is_made_for(inputs: int, outputs: int, wide: int, deep: int, share: float) -> None:
    network = grouped(inputs, outputs)
    est = estimate(network, gpu(kind="tiles"), runtime(prologue_k=35, odd_groups=share))
    padded = 256.0 * wide * 9 * deep * 4
    slower = float(slowdown(256.0, float(wide), 9.0 * deep, 4.0, 8.0, 35.0))
    assert est.cost.compute_s.sum() == pytest.approx(padded / 0.5e12 * slower / share)
    terms = {t.key: t.value for t in explain_layer(est, est.work.names[0]).terms}
    assert terms["compute_s"] == pytest.approx(est.cost.compute_s.sum())
    without = estimate(network, gpu(kind="tiles"), runtime(prologue_k=35))
    assert without.cost.compute_s.sum() <= est.cost.compute_s.sum()


@pytest.mark.parametrize(("length", "padded"), [(64, 64), (65, 128), (197, 256), (512, 512)])
def test_fused_attention_is_padded_to_blocks(length: int, padded: int) -> None:
    fused = runtime(fusion=("attention",), prologue_k=35)
    est = estimate(attention(length), gpu(kind="tiles"), fused)
    (work,) = est.work.macs
    softmax = (est.work.vector_ops / 0.1e12 + est.work.special_ops / 0.025e12).sum()
    assert est.cost.compute_s.sum() - softmax == pytest.approx(work / 0.5e12 * (padded / length) ** 2)


def test_attention_without_scores() -> None:
    assert attention_slowdown(np.zeros(2), np.ones(2)).tolist() == [1.0, 1.0]
    assert attention_slowdown(65.0, 64.0) == pytest.approx(128 / 65)
