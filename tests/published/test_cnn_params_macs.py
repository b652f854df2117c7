"""Published parameter and MAC counts of convolutional networks and vision transformers, through the public API.

Every row of the oracle by its number; those the catalogue has no network for are listed with their reason.
"""

from functools import cache

import pytest

import simulator as sim
from simulator.model import Model
from simulator.preparation import prepare

TORCHVISION = "torchvision 0.29.2 wheel, Weights meta num_params/_ops (PyPI)"
TIMM = "huggingface/pytorch-image-models@aa4b5850 results/benchmark-infer-amp-nhwc-pt113-cu117-rtx3090.csv"
SHUFFLENET = "Zhang et al. 2018 Table 2"
MLPERF_TINY = "MLPerf Tiny reference tflite (mlcommons/tiny), parsed"

# row of the parameters (the row of the MACs is the next), network, parameters (gamma and beta of norms counted, exact),
# GMAC at the network's own resolution (convolutions and linear layers; attention's QK^T and PV too), ± 0.0006
EXACT = [
    (1, "alexnet", 61_100_840, 0.714),
    (3, "vgg11", 132_863_336, 7.609),
    (5, "vgg13", 133_047_848, 11.308),
    (7, "vgg16", 138_357_544, 15.47),
    (9, "vgg19", 143_667_240, 19.632),
    (11, "resnet18", 11_689_512, 1.814),
    (13, "resnet34", 21_797_672, 3.664),
    (15, "resnet50", 25_557_032, 4.089),
    (17, "resnet101", 44_549_160, 7.801),
    (19, "resnet152", 60_192_808, 11.514),
    (21, "resnext50_32x4d", 25_028_904, 4.23),
    (23, "resnext101_32x8d", 88_791_336, 16.414),
    (25, "resnext101_64x4d", 83_455_272, 15.46),
    (27, "wide_resnet50_2", 68_883_240, 11.398),
    (29, "wide_resnet101_2", 126_886_696, 22.753),
    (31, "squeezenet1_0", 1_248_424, 0.819),
    (33, "squeezenet1_1", 1_235_496, 0.349),
    (35, "mobilenet_v3_large", 5_483_032, 0.217),
    (37, "mobilenet_v3_small", 2_542_856, 0.057),
    (39, "efficientnet_b0", 5_288_548, 0.386),
    (41, "efficientnet_b1", 7_794_184, 0.687),
    (43, "efficientnet_b2", 9_109_994, 1.088),
    (45, "efficientnet_b3", 12_233_232, 1.827),
    (47, "efficientnet_b4", 19_341_616, 4.394),
    (49, "efficientnet_b5", 30_389_784, 10.266),
    (51, "efficientnet_b6", 43_040_704, 19.068),
    (53, "efficientnet_b7", 66_347_960, 37.746),
    (55, "mnasnet0_5", 2_218_512, 0.104),
    (57, "mnasnet0_75", 3_170_208, 0.215),
    (59, "mnasnet1_0", 4_383_312, 0.314),
    (61, "mnasnet1_3", 6_282_256, 0.526),
    (63, "shufflenet_v2_x0_5", 1_366_792, 0.04),
    (65, "shufflenet_v2_x1_0", 2_278_604, 0.145),
    (67, "shufflenet_v2_x1_5", 3_503_624, 0.296),
    (69, "shufflenet_v2_x2_0", 7_393_996, 0.583),
    (71, "densenet121", 7_978_856, 2.834),
    (73, "densenet169", 14_149_480, 3.36),
    (75, "densenet201", 20_013_928, 4.291),
    (77, "densenet161", 28_681_000, 7.728),
    (81, "vit_b_16", 86_567_656, 17.564),
    (83, "vit_b_32", 88_224_232, 4.409),
    (85, "vit_l_16", 304_326_632, 61.555),
    (87, "vit_l_32", 306_535_400, 15.378),
    (89, "vit_h_14", 632_045_800, 167.295),
]

NOT_HERE = {
    "095": "NASNet-A mobile: no recipe in the catalogue",
    "096": "NASNet-A mobile: no recipe in the catalogue",
    "097": "NASNet-A mobile: no recipe in the catalogue",
    "106": "ShuffleNetV1 2x g=3, 524 MMAC: no recipe, and reproduces: NO (508M)",
    "108": "Stable Diffusion 1.5 UNet: no recipe in the catalogue",
    "109": "Stable Diffusion 2.1 UNet: no recipe in the catalogue",
    "110": "Stable Diffusion 1.5 UNet: no recipe in the catalogue",
    "111": "Stable Diffusion 1.5 UNet: no recipe in the catalogue",
    "124": "DS-CNN with batch norms unfolded, moving statistics counted: the catalogue has the deployed, folded network",
    "125": "ResNet-8 with batch norms unfolded, moving statistics counted: as 124",
    "126": "MobileNetV1-0.25 with batch norms unfolded, moving statistics counted: as 124",
    "127": "autoencoder with batch norms unfolded, moving statistics counted: as 124",
}


@cache
def network(name: str) -> Model:
    return sim.load_model(name)


@pytest.mark.parametrize("row", NOT_HERE)
def test_rows_that_are_not_computed(row: str) -> None:
    pytest.skip(f"cnn_params_macs-{row}: {NOT_HERE[row]}")


@pytest.mark.parametrize(("row", "name", "params", "gmacs"), EXACT, ids=[f"{r[0]:03}-{r[1]}" for r in EXACT])
def test_torchvision(row: int, name: str, params: int, gmacs: float) -> None:
    assert network(name).params == params, f"{TORCHVISION}, row {row}"
    assert network(name).macs / 1e9 == pytest.approx(gmacs, abs=0.0006), f"{TORCHVISION}, row {row + 1}"


def test_mobilenet_v2() -> None:
    assert network("mobilenet_v2").params == 3504872, "torchvision mobilenet_v2, row 79"
    assert network("mobilenet_v2").macs / 1e9 == pytest.approx(0.301, abs=0.0006), "torchvision; slim README 300M, row 80"


@pytest.mark.parametrize(("row", "name", "params_m", "gmacs"), [(91, "deit_tiny", 5.72, 1.26), (93, "deit_small", 22.05, 4.61)])
def test_timm(row: int, name: str, params_m: float, gmacs: float) -> None:
    assert network(name).params / 1e6 == pytest.approx(params_m, abs=0.01), f"{TIMM}, row {row}"
    assert network(name).macs / 1e9 == pytest.approx(gmacs, abs=0.02), f"{TIMM}, row {row + 1}"


def test_mnasnet_a1() -> None:
    assert network("mnasnet_a1").macs / 1e6 == pytest.approx(312, rel=0.003), "Tan et al. 2019, row 98"
    assert network("mnasnet_a1").params / 1e6 == pytest.approx(3.9, rel=0.01), "Tan et al. 2019, row 99"


@pytest.mark.parametrize(("row", "groups", "mmacs"), [(100, 1, 143), (101, 2, 140), (102, 3, 137), (103, 4, 133), (104, 8, 137)])
def test_shufflenet_v1(row: int, groups: int, mmacs: float) -> None:
    assert network(f"shufflenet_v1_g{groups}").macs / 1e6 == pytest.approx(mmacs, rel=0.012), f"{SHUFFLENET}, row {row}"


def test_shufflenet_v1_params() -> None:
    assert network("shufflenet_v1_g3").params / 1e6 == pytest.approx(1.87, rel=0.005), (
        "mmpretrain readthedocs shufflenet_v1, row 105"
    )


def test_squeezenet_params() -> None:
    assert network("squeezenet1_0").params / 1e6 == pytest.approx(1.24, rel=0.01), "Iandola 2016; torchvision 1,248,424, row 107"


# row of the MACs (parameters and peak are the next two): batch norms folded, biases counted; peak of live int8 bytes
TINY = [
    (112, "ds_cnn", 2656768, 22604, 16000),
    (115, "resnet8", 12501632, 77706, 49152),
    (118, "mobilenet_v1_025_vww", 7489664, 210850, 55296),
    (121, "autoencoder", 264192, 265864, 768),
]


@pytest.mark.parametrize(("row", "name", "macs", "params"), [row[:4] for row in TINY])
def test_mlperf_tiny(row: int, name: str, macs: int, params: int) -> None:
    assert network(name).macs == macs, f"{MLPERF_TINY}, row {row}"
    assert network(name).params == params, f"{MLPERF_TINY}, row {row + 1}"


@pytest.mark.parametrize(("row", "name", "peak"), [(row, name, peak) for row, name, _, _, peak in TINY])
def test_mlperf_tiny_peak_of_live_bytes(row: int, name: str, peak: int) -> None:
    """Convention: liveness over the operators of the TFLite file, no in-place operator.

    TFLite fuses activations into convolutions and linear layers, but a residual addition is an operator of its own:
    that is our partition with the rules `batch_norm` and `activation`.
    """
    prepared = prepare(network(name), "int8", ("batch_norm", "activation"))
    assert prepared.occupancy.peak_bytes == peak, f"{MLPERF_TINY}, row {row + 2}"


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "mobilenet_v2", "vit_b_32", "ds_cnn"])
def test_the_counts_reach_the_estimate(name: str) -> None:
    found = sim.estimate(network(name), "rtx4090", runtime="ideal").to_dict()
    assert (found["model"]["params"], found["model"]["macs"]) == (network(name).params, network(name).macs)
    assert sum(row["macs"] for row in found["layers"]) == network(name).macs
