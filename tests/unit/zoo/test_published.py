"""Published counts of networks, transcribed here once more with their sources, apart from the recipes' own figures."""

import math
from itertools import pairwise

import pytest

from simulator import zoo

# torchvision 0.29.2 (PyPI), Weights metadata: num_params, and _ops in GMAC with three decimals
TORCHVISION = {
    "alexnet": (61_100_840, 0.714),
    "vgg11": (132_863_336, 7.609),
    "vgg13": (133_047_848, 11.308),
    "vgg16": (138_357_544, 15.47),
    "vgg19": (143_667_240, 19.632),
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "resnet101": (44_549_160, 7.801),
    "resnet152": (60_192_808, 11.514),
    "resnext50_32x4d": (25_028_904, 4.23),
    "resnext101_32x8d": (88_791_336, 16.414),
    "resnext101_64x4d": (83_455_272, 15.46),
    "wide_resnet50_2": (68_883_240, 11.398),
    "wide_resnet101_2": (126_886_696, 22.753),
    "squeezenet1_0": (1_248_424, 0.819),
    "squeezenet1_1": (1_235_496, 0.349),
    "mobilenet_v3_large": (5_483_032, 0.217),
    "mobilenet_v3_small": (2_542_856, 0.057),
    "efficientnet_b0": (5_288_548, 0.386),
    "efficientnet_b1": (7_794_184, 0.687),
    "efficientnet_b2": (9_109_994, 1.088),
    "efficientnet_b3": (12_233_232, 1.827),
    "efficientnet_b4": (19_341_616, 4.394),
    "efficientnet_b5": (30_389_784, 10.266),
    "efficientnet_b6": (43_040_704, 19.068),
    "efficientnet_b7": (66_347_960, 37.746),
    "mnasnet0_5": (2_218_512, 0.104),
    "mnasnet0_75": (3_170_208, 0.215),
    "mnasnet1_0": (4_383_312, 0.314),
    "mnasnet1_3": (6_282_256, 0.526),
    "shufflenet_v2_x0_5": (1_366_792, 0.04),
    "shufflenet_v2_x1_0": (2_278_604, 0.145),
    "shufflenet_v2_x1_5": (3_503_624, 0.296),
    "shufflenet_v2_x2_0": (7_393_996, 0.583),
    "densenet121": (7_978_856, 2.834),
    "densenet169": (14_149_480, 3.36),
    "densenet201": (20_013_928, 4.291),
    "densenet161": (28_681_000, 7.728),
    "mobilenet_v2": (3_504_872, 0.301),
    "vit_b_16": (86_567_656, 17.564),
    "vit_b_32": (88_224_232, 4.409),
    "vit_l_16": (304_326_632, 61.555),
    "vit_l_32": (306_535_400, 15.378),
    "vit_h_14": (632_045_800, 167.295),
    "vgg11_bn": (132_868_840, 7.609),
    "vgg13_bn": (133_053_736, 11.308),
    "vgg16_bn": (138_365_992, 15.47),
    "vgg19_bn": (143_678_248, 19.632),
}


@pytest.mark.parametrize(("name", "params", "gmacs"), [(name, *counts) for name, counts in TORCHVISION.items()])
def test_torchvision(name, params, gmacs, network):
    assert network(name).params == params
    assert network(name).macs / 1e9 == pytest.approx(gmacs, abs=0.0005)


# mlcommons/tiny reference networks (TensorFlow Lite), parsed: MACs, parameters with batch norms folded
MLPERF_TINY = {
    "ds_cnn": (2_656_768, 22_604),
    "resnet8": (12_501_632, 77_706),
    "mobilenet_v1_025_vww": (7_489_664, 210_850),
    "autoencoder": (264_192, 265_864),
}


@pytest.mark.parametrize(("name", "macs", "params"), [(name, *counts) for name, counts in MLPERF_TINY.items()])
def test_mlperf_tiny(name, macs, params, network):
    assert (network(name).macs, network(name).params) == (macs, params)


def test_visual_wake_words_is_mobilenet_v1_with_parameters(network):
    """The general recipe has the same convolutions; its batch norms stand apart and count a scale more a channel."""
    general = network("mobilenet_v1:width=0.25,resolution=96,classes=2")
    special = network("mobilenet_v1_025_vww")
    assert general.macs == special.macs
    assert general.params == special.params + general.norm_params // 2


# transformers' BertModel with pooler: parameters of the module, MACs counted by PyTorch while it ran
BERT = {
    "bert_base": (109_482_240, 11_174_215_680),
    "bert_base:seq=384": (109_482_240, 35_333_406_720),
    "bert_large": (335_141_888, 39_461_060_608),
}


@pytest.mark.parametrize(("reference", "params", "macs"), [(name, *counts) for name, counts in BERT.items()])
def test_bert(reference, params, macs, network):
    assert (network(reference).params, network(reference).macs) == (params, macs)


def test_bert_macs_by_symbol(network):
    """Per layer: four hidden × hidden projections, two attention products, two MLP products; and the pooler."""
    seq, hidden, mlp, layers = 96, 768, 3072, 12
    layer = 4 * seq * hidden**2 + 2 * seq**2 * hidden + 2 * seq * hidden * mlp
    assert network(f"bert_base:seq={seq}").macs == layers * layer + hidden**2


# MIT 6.5940, fall 2023, lecture 2: AlexNet layer by layer, parameters and MACs
LECTURE = {
    "conv1": (34_848, 105_415_200),
    "conv2": (307_200, 223_948_800),
    "conv3": (884_736, 149_520_384),
    "conv4": (663_552, 112_140_288),
    "conv5": (442_368, 74_760_192),
    "fc6": (37_748_736, 37_748_736),
    "fc7": (16_777_216, 16_777_216),
    "fc8": (4_096_000, 4_096_000),
}


def test_lecture_alexnet_layers(network):
    net = network("alexnet_lecture")
    params = {name: math.prod(net.shapes[f"{name}.weight"]) for name in LECTURE}
    assert {name: (params[name], net.node_macs[name]) for name in LECTURE} == LECTURE
    assert set(net.node_macs) == set(LECTURE)
    assert (net.params, net.macs) == (60_954_656, 724_406_816)


def test_lecture_alexnet_activations(network):
    """Input and outputs of convolutions, pools and linear layers; the peak is conv1's input and output."""
    net = network("alexnet_lecture")
    layers = [node for node in net.model.graph.node if node.op_type in {"Conv", "MaxPool", "Gemm"}]
    sizes = [math.prod(net.shapes[name]) for name in ["input", *(node.output[0] for node in layers)]]
    assert sum(sizes) == 932_264
    assert max(a + b for a, b in pairwise(sizes)) == 440_928 == 150_528 + 290_400


# tensorflow/models@02c04f49, research/slim/nets/mobilenet_v1.md: million MACs, million parameters (1001 classes).
# Its rows at width 0.75 (317, 233, 162, 104) and at 0.25-192 (34) contradict the network; Keras' table has 325 at 0.75.
SLIM_V1 = [
    (1.0, 224, 569, 4.24), (1.0, 192, 418, 4.24), (1.0, 160, 291, 4.24), (1.0, 128, 186, 4.24), (0.75, 224, 325, 2.59),
    (0.5, 224, 150, 1.34), (0.5, 192, 110, 1.34), (0.5, 160, 77, 1.34), (0.5, 128, 49, 1.34), (0.25, 224, 41, 0.47),
    (0.25, 160, 21, 0.47), (0.25, 128, 14, 0.47),
]  # fmt: skip


@pytest.mark.parametrize(("width", "resolution", "million_macs", "million_params"), SLIM_V1)
def test_mobilenet_v1_multipliers(width, resolution, million_macs, million_params, network):
    net = network(f"mobilenet_v1:width={width},resolution={resolution},classes=1001")
    assert net.macs / 1e6 == pytest.approx(million_macs, abs=0.7)
    assert net.params / 1e6 == pytest.approx(million_params, abs=0.01)


# tensorflow/models@0ba83cf0, research/slim/nets/mobilenet/README.md: million MACs, truncated; million parameters
# with 1001 classes and without batch norms
SLIM_V2 = [
    (1.4, 224, 582, 6.06), (1.3, 224, 509, 5.34), (1.0, 224, 300, 3.47), (1.0, 192, 221, 3.47), (1.0, 160, 154, 3.47),
    (1.0, 128, 99, 3.47), (1.0, 96, 56, 3.47), (0.75, 224, 209, 2.61), (0.75, 192, 153, 2.61), (0.75, 160, 107, 2.61),
    (0.75, 128, 69, 2.61), (0.75, 96, 39, 2.61), (0.5, 224, 97, 1.95), (0.5, 192, 71, 1.95), (0.5, 160, 50, 1.95),
    (0.5, 128, 32, 1.95), (0.5, 96, 18, 1.95), (0.35, 224, 59, 1.66), (0.35, 192, 43, 1.66), (0.35, 160, 30, 1.66),
    (0.35, 128, 20, 1.66), (0.35, 96, 11, 1.66),
]  # fmt: skip


@pytest.mark.parametrize(("width", "resolution", "million_macs", "million_params"), SLIM_V2)
def test_mobilenet_v2_multipliers(width, resolution, million_macs, million_params, network):
    net = network(f"mobilenet_v2:width={width},resolution={resolution},classes=1001")
    assert net.macs // 1_000_000 == million_macs
    assert (net.params - net.norm_params) / 1e6 == pytest.approx(million_params, abs=0.005)


# Tan & Le 2019 (arXiv:1905.11946), Table 2: million parameters, billion multiply-adds; B2 at the paper's resolution.
# Its B4 and B5 say 4.2 and 9.9, 4 % below the network.
EFFICIENTNET = {
    "efficientnet_b0": (5.3, 0.39),
    "efficientnet_b1": (7.8, 0.70),
    "efficientnet_b2:resolution=260": (9.2, 1.0),
    "efficientnet_b3": (12, 1.8),
    "efficientnet_b4": (19, 4.2),
    "efficientnet_b5": (30, 9.9),
    "efficientnet_b6": (43, 19),
    "efficientnet_b7": (66, 37),
}


@pytest.mark.parametrize(("reference", "millions", "gmacs"), [(name, *v) for name, v in EFFICIENTNET.items()])
def test_efficientnet_compound_scaling(reference, millions, gmacs, network):
    assert network(reference).params / 1e6 == pytest.approx(millions, rel=0.025)
    assert network(reference).macs / 1e9 == pytest.approx(gmacs, rel=0.05)


# Zhang et al. 2018 (arXiv:1707.01083), Table 1: million MACs at 1x by groups
@pytest.mark.parametrize(("groups", "million_macs"), [(1, 143), (2, 140), (3, 137), (4, 133), (8, 137)])
def test_shufflenet_v1_groups(groups, million_macs, network):
    assert network(f"shufflenet_v1_g{groups}").macs / 1e6 == pytest.approx(million_macs, rel=0.012)


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (1024, 1024, 4096), (7, 5, 3)])
def test_gemm(m, n, k, network):
    net = network(f"gemm:m={m},n={n},k={k}")
    assert (net.macs, net.params) == (m * n * k, n * k)
    assert net.shapes["input"] == (1, m, k)
    assert net.shapes["logits"] == (1, m, n)
    assert [node.op_type for node in net.model.graph.node] == ["MatMul"]


def test_efficientnet_edgetpu_is_timms_efficientnet_es(network):
    """timm's efficientnet_es has 5,438,392 parameters."""
    assert zoo.parse_reference("efficientnet_es") == ("efficientnet_edgetpu_s", {})
    assert network("efficientnet_edgetpu_s").params == 5_438_392
