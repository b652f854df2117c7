"""Arm Ethos-U by blocks: cycles of the MLPerf Tiny networks as Vela 4.2.0 reports them.

Vela 4.2.0 (PyPI ethos-u-vela, Apache-2.0) was run on the MLPerf Tiny int8 networks (mlcommons/tiny), U55 with system
config Ethos_U55_High_End_Embedded and Shared_Sram at 500 MHz, U65 with Ethos_U65_Client_Server and Dedicated_Sram_384KB
at 1 GHz. Geometry and rates are from its architecture_features.py and vela.ini. The layers are those Vela schedules: its
softmax is 30 small operators (about 3 % of the cycles) of which the two with MACs are listed, and the encoded bytes of
weights and biases are its weight coder's result, an input of the model (they depend on the values).

Not answered by formulas of one operator: rows of "sram_used" (memory plan).

Then the same networks as recipes of the zoo, estimated on the machines of the catalogue: layers, shapes and fusion come
from the graph, no figure from the lists above. Kernels are held against Vela's operators to the cycle, totals against its
cycles_total within the 25 % that the rows ask. One difference is known and taken out: Vela encodes weights by their values,
which recipes have not. As incompressible they are 1.0 to 3.2 times as many bytes (visual wake words), so the flash of U55 is
made as much faster; the DRAM of U65 stays as it is. `test_ethosu_weights.py` has the share of the values.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from onnx import numpy_helper
from support.graphs import loaded, model, node, value

from simulator.api import estimate, load_hardware, load_model
from simulator.cost import block_npu as npu_model
from simulator.cost.block_npu import Block, BlockOps, Port
from simulator.cost.blocks import plan_of
from simulator.machine.geometry import BlockNpu
from simulator.machine.params import machine_of
from simulator.result.estimate import Estimate

RELU, PLAIN = 1, 2


class Layer(NamedTuple):
    kind: str
    ofm: tuple[int, int, int]
    ifm: tuple[int, int, int]
    kernel: tuple[int, int, int, int] = (1, 1, 1, 1)  # height, width, strides
    activation: int = PLAIN
    encoded_bytes: int = 0


def conv(size: int, cin: int, cout: int, encoded: int, k: int = 1, s: int = 1, activation: int = RELU) -> Layer:
    return Layer("dense", (size // s, size // s, cout), (size, size, cin), (k, k, s, s), activation, encoded)


def depthwise(size: int, c: int, encoded: int, s: int = 1) -> Layer:
    return Layer("depthwise", (size // s, size // s, c), (size, size, c), (3, 3, s, s), RELU, encoded)


def fc(cin: int, cout: int, encoded: int, activation: int = RELU) -> Layer:
    return Layer("vector", (1, 1, cout), (1, 1, cin), (1, 1, 1, 1), activation, encoded)


def add(size: int, c: int) -> Layer:
    return Layer("add", (size, size, c), (size, size, c), activation=RELU)


def tail(h: int, w: int, c: int, classes: int, encoded: int) -> list[Layer]:
    """Average pool, fully connected, and the maximum that Vela's softmax begins with."""
    return [
        Layer("pool", (1, 1, c), (h, w, c), (h, w, 1, 1)),
        fc(c, classes, encoded, PLAIN),
        Layer("maxpool", (1, 1, 1), (1, classes, 1), (1, classes, 1, 1)),
    ]


def kws() -> list[Layer]:
    layers = [Layer("dense", (25, 5, 64), (49, 5, 2), (10, 3, 2, 1), RELU, 4432)]
    for _ in range(4):
        layers.append(Layer("depthwise", (25, 5, 64), (25, 5, 64), (3, 3, 1, 1), RELU, 1328))
        layers.append(Layer("dense", (25, 5, 64), (25, 5, 64), (1, 1, 1, 1), RELU, 4752))
    return layers + tail(25, 5, 64, 12, 1040)


def vww() -> list[Layer]:
    pairs = [
        (48, 8, 16, 1, 208, 384), (48, 16, 32, 2, 368, 976), (24, 32, 32, 1, 672, 1328), (24, 32, 64, 2, 672, 2704),
        (12, 64, 64, 1, 1328, 4896), (12, 64, 128, 2, 1328, 8576), (6, 128, 128, 1, 2640, 9024), (6, 128, 128, 1, 2656, 3968),
        (6, 128, 128, 1, 2704, 2352), (6, 128, 128, 1, 2624, 2032), (6, 128, 128, 1, 2624, 2128),
        (6, 128, 256, 2, 2624, 4192), (3, 256, 256, 1, 5072, 4576),
    ]  # fmt: skip
    layers = [Layer("dense", (48, 48, 8), (96, 48, 6), (3, 2, 2, 1), RELU, 368)]
    for size, cin, cout, stride, first, second in pairs:
        layers += [depthwise(size, cin, first, stride), conv(size // stride, cin, cout, second)]
    return layers + tail(3, 3, 256, 2, 704)


def resnet() -> list[Layer]:
    return [
        conv(32, 3, 16, 768, 3),
        conv(32, 16, 16, 2720, 3), conv(32, 16, 16, 2688, 3, activation=PLAIN), add(32, 16),
        conv(32, 16, 32, 5472, 3, 2), conv(16, 32, 32, 9008, 3, activation=PLAIN),
        conv(32, 16, 32, 992, 1, 2, PLAIN), add(16, 32),
        conv(16, 32, 64, 18048, 3, 2), conv(8, 64, 64, 34928, 3, activation=PLAIN),
        conv(16, 32, 64, 2688, 1, 2, PLAIN), add(8, 64),
        *tail(8, 8, 64, 10, 848),
    ]  # fmt: skip


def autoencoder() -> list[Layer]:
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    encoded = [53776, 9616, 8784, 8336, 864, 2784, 12192, 13600, 14976]
    layers = [fc(cin, cout, size) for cin, cout, size in zip(widths, widths[1:], encoded, strict=False)]
    return [*layers, fc(128, 640, 76320, PLAIN)]


NETWORKS = {"ad01_int8": autoencoder(), "kws_ref_model": kws(), "pretrainedResnet_quant": resnet(), "vww_96_int8": vww()}
SOFTMAX_SUM_MACS = {"ad01_int8": 0, "kws_ref_model": 12, "pretrainedResnet_quant": 10, "vww_96_int8": 2}

# ublock h, w, c, cores, banks free, granules of inputs and sums, stall; output stage: add, maxpool, other; ReLU; cycles/elem
CONFIGS = {
    "U55_32": ((1, 1, 4, 1, 14, 2, 4, 3), (6, 1, 2), 1),
    "U55_64": ((1, 1, 8, 1, 14, 2, 4, 2), (3, 0.5, 1), 1),
    "U55_128": ((1, 2, 8, 1, 20, 4, 8, 2), (1.5, 0.25, 0.5), 0.5),
    "U55_256": ((2, 2, 8, 1, 44, 8, 16, 2), (0.75, 0.125, 0.25), 0.25),
    "U65_256": ((2, 2, 8, 1, 44, 8, 16, 2), (0.75, 0.125, 0.25), 0.25),
    "U65_512": ((2, 2, 8, 2, 44, 8, 16, 2), (0.375, 0.0625, 0.125), 0.125),
}
FIELDS = ("ublock_h", "ublock_w", "ublock_c", "cores", "banks", "ifm_granule", "acc_granule", "stall_cycles")


def machine(config: str) -> BlockNpu:
    return BlockNpu(**dict(zip(FIELDS, CONFIGS[config][0], strict=True)))


def columns(layers: list[Layer], config: str) -> BlockOps:
    def column(values: list[float]) -> np.ndarray:
        return np.array(values, np.float64)

    def is_kind(*kinds: str) -> np.ndarray:
        return np.array([layer.kind in kinds for layer in layers])

    _, (of_add, of_max, other), relu = CONFIGS[config]
    stage = {"add": of_add, "maxpool": of_max}
    first = np.arange(len(layers)) == 0
    last = np.array([layer is layers[-1] and layer.kind == "vector" for layer in layers])
    before_softmax = np.array([following.kind == "maxpool" for following in [*layers[1:], layers[0]]])
    return BlockOps(
        **{f"ofm_{axis}": column([layer.ofm[i] for layer in layers]) for i, axis in enumerate("hwc")},
        **{f"ifm_{axis}": column([layer.ifm[i] for layer in layers]) for i, axis in enumerate("hwc")},
        **{name: column([layer.kernel[i] for layer in layers])
           for i, name in enumerate(("kernel_h", "kernel_w", "stride_h", "stride_w"))},
        depthwise=is_kind("depthwise"), pooling=is_kind("pool", "maxpool"), vector=is_kind("vector"), elementwise=is_kind("add"),
        inputs=np.where(is_kind("add"), 2.0, 1.0), bias=is_kind("dense", "depthwise", "vector"),
        ifm_linear=first | is_kind("maxpool"), ofm_linear=last | before_softmax,
        output_cycles=column([max(stage.get(x.kind, other), relu if x.activation == RELU else 0) for x in layers]),
    )  # fmt: skip


class Ports(NamedTuple):
    ifm: Port
    ofm: Port
    constants: Port
    far: Port


def ports(op: BlockOps, config: str) -> Ports:
    """U55: feature maps in SRAM, weights in flash; U65: the network's input, output and weights in DRAM."""
    if config.startswith("U55"):
        sram = Port(bytes_per_cycle=8.0, burst_bytes=32.0, read_cycles=32.0, write_cycles=32.0)
        flash = Port(bytes_per_cycle=1.0, burst_bytes=128.0, read_cycles=64.0, write_cycles=0.0)
        return Ports(sram, sram, mixed(op.vector, flash, sram), flash)
    sram = Port(bytes_per_cycle=16.0, burst_bytes=32.0, read_cycles=32.0, write_cycles=32.0)
    dram = Port(bytes_per_cycle=12.0, burst_bytes=128.0, read_cycles=500.0, write_cycles=250.0)
    first, last = is_first(op), is_network_output(op)
    return Ports(mixed(first, dram, sram), mixed(last, dram, sram), mixed(op.vector, dram, sram), dram)


def mixed(where: np.ndarray, a: Port, b: Port) -> Port:
    names = ("bytes_per_cycle", "burst_bytes", "read_cycles", "write_cycles")
    return Port(**{name: np.where(where, getattr(a, name), getattr(b, name)) for name in names})


def is_first(op: BlockOps) -> np.ndarray:
    return np.arange(len(op.ofm_h)) == 0


def is_network_output(op: BlockOps) -> np.ndarray:
    """Of networks without a softmax."""
    last = np.arange(len(op.ofm_h)) == len(op.ofm_h) - 1
    return last & op.vector


def operators(network: str, config: str) -> tuple[BlockOps, BlockNpu, Block, Ports]:
    op, npu = columns(NETWORKS[network], config), machine(config)
    return op, npu, npu_model.choose_block(op, npu), ports(op, config)


def parts(network: str, config: str) -> dict[str, np.ndarray]:
    """Cycles of every operator on the NPU (weights prefetched), in SRAM and in the second memory."""
    op, npu, block, (ifm, ofm, constants, far) = operators(network, config)
    encoded = np.array([layer.encoded_bytes for layer in NETWORKS[network]], np.float64)
    alone = npu_model.npu_cycles(op, npu, block, ifm, ofm, constants)
    buffered = np.where(op.vector, 0.0, encoded)
    arrival = np.where(buffered > 0, buffered / far.bytes_per_cycle + far.read_cycles, 0.0)
    busy = npu_model.prefetched_cycles(alone, arrival, np.concatenate(([0.0], alone[:-1])))
    read, written = npu_model.input_bytes(op, block, ifm), npu_model.output_bytes(op, npu, block, ofm)
    u65 = config.startswith("U65")
    far_in, far_out = u65 & is_first(op), u65 & is_network_output(op)
    sram = (np.where(far_in, 0, read) + np.where(far_out, 0, written)) / (16.0 if u65 else 8.0)
    streamed = (encoded - buffered) * npu_model.spatial_blocks(op, block)
    second = (np.where(far_in, read, 0) + np.where(far_out, written, 0) + streamed) / far.bytes_per_cycle
    return {"alone": alone, "npu": busy, "sram": sram, "far": second}


def total(network: str, config: str) -> float:
    found = parts(network, config)
    return float(np.maximum(np.maximum(found["npu"], found["sram"]), found["far"]).sum())


# row, network, configuration, MACs (row), cycles_total (row + 1), cycles of the NPU alone (note of row + 1)
ROWS = [
    (1, "ad01_int8", "U55_128", 264192, 201248.0, 40748.0),
    (5, "kws_ref_model", "U55_128", 2824792, 84604.5, 82918.0),
    (9, "pretrainedResnet_quant", "U55_128", 12505748, 201794.0, 200296.0),
    (13, "vww_96_int8", "U55_128", 7657860, 220831.5, 208960.0),
    (17, "ad01_int8", "U55_256", 264192, 201248.0, 40748.0),
    (21, "kws_ref_model", "U55_256", 2824792, 51430.0, 49484.0),
    (25, "pretrainedResnet_quant", "U55_256", 12505748, 141623.5, 138502.0),
    (29, "vww_96_int8", "U55_256", 7657860, 158938.0, 137508.0),
    (33, "ad01_int8", "U55_32", 264192, 200992.0, 40774.0),
    (37, "kws_ref_model", "U55_32", 2824792, 318699.6666666667, 316429.0),
    (41, "pretrainedResnet_quant", "U55_32", 12505748, 791834.6666666666, 789655.0),
    (45, "vww_96_int8", "U55_32", 7657860, 716157.0, 713866.0),
    (49, "ad01_int8", "U55_64", 264192, 201248.0, 40784.0),
    (53, "kws_ref_model", "U55_64", 2824792, 161265.5, 159618.0),
    (57, "pretrainedResnet_quant", "U55_64", 12505748, 397870.0, 396408.0),
    (61, "vww_96_int8", "U55_64", 7657860, 361629.5, 360020.0),
    (65, "ad01_int8", "U65_256", 264192, 58961.0, 58961.0),
    (69, "kws_ref_model", "U65_256", 2824792, 46866.583333333365, 46810.0),
    (73, "pretrainedResnet_quant", "U65_256", 12505748, 98314.58333333327, 98257.0),
    (77, "vww_96_int8", "U65_256", 7657860, 152439.25000000015, 125280.0),
    (81, "ad01_int8", "U65_512", 264192, 45723.0, 45723.0),
    (85, "kws_ref_model", "U65_512", 2824792, 24397.583333333318, 24224.0),
    (89, "pretrainedResnet_quant", "U65_512", 12505748, 52124.583333333365, 50877.0),
    (93, "vww_96_int8", "U65_512", 7657860, 103120.24999999993, 70947.0),
]


@pytest.mark.parametrize(("row", "network", "macs"), [(row, network, macs) for row, network, _, macs, *_ in ROWS])
def test_macs(row: int, network: str, macs: int) -> None:
    """Rows ethosu_vela-001, 005, …: exact."""
    count = SOFTMAX_SUM_MACS[network]
    for layer in NETWORKS[network]:
        h, w, *_ = layer.kernel
        deep = layer.ifm[2] if layer.kind in ("dense", "vector") else 1
        count += 0 if layer.kind == "add" else h * w * deep * int(np.prod(layer.ofm))
    assert count == macs, f"ethosu_vela-{row:03}"


@pytest.mark.parametrize(("row", "network", "config", "cycles", "npu"), [(r, n, c, cy, npu) for r, n, c, _, cy, npu in ROWS])
def test_cycles(row: int, network: str, config: str, cycles: float, npu: float) -> None:
    """Rows ethosu_vela-002, 006, …, ± 25 %, and the NPU's share of them from the rows' notes.

    Nearer than the rows ask: what is missing is the softmax, and that a weight transfer may find the link busy.
    """
    assert total(network, config) == pytest.approx(cycles, rel=0.25), f"ethosu_vela-{row + 1:03}"
    assert total(network, config) == pytest.approx(cycles, rel=0.13)
    assert parts(network, config)["npu"].sum() == pytest.approx(npu, rel=0.25)


@pytest.mark.parametrize(("row", "network", "config"), [row[:3] for row in ROWS])
def test_the_total_is_at_least_every_component(row: int, network: str, config: str) -> None:
    """Rows ethosu_vela-003, 007, …"""
    found = parts(network, config)
    assert all(total(network, config) >= found[name].sum() for name in ("npu", "sram", "far")), f"ethosu_vela-{row + 2:03}"


# Vela's own figures for single operators, --verbose-performance and the queries behind it: exact
SINGLE = [
    ("kws_ref_model", "U55_128", "alone", [20810] + [8624, 5904] * 4 + [1356, 185, 43]),
    ("kws_ref_model", "U55_128", "sram", [3560] + [2280, 3160] * 4 + [1288, 11, 12]),
    ("ad01_int8", "U55_128", "alone", [12901, 2661, 2661, 2661, 192, 832, 2661, 2661, 2661, 10857]),
    ("ad01_int8", "U65_256", "alone", [13562, 4548, 4548, 4548, 292, 3271, 4548, 4548, 4548, 14548]),
    ("pretrainedResnet_quant", "U55_128", "alone",
     [13312, 27639, 27639, 24576, 12992, 19284, 4240, 12288, 10112, 19824, 2336, 6144, 794, 183, 43]),
    ("pretrainedResnet_quant", "U55_128", "sram",
     [4352, 5576, 5576, 6144, 5632, 4224, 2048, 3072, 2816, 2560, 1280, 1536, 520, 10.5, 12]),
    ("vww_96_int8", "U65_512", "alone",
     [15170, 4160, 4912, 2499, 2536, 5096, 2560, 1906, 1792, 2016, 1536, 628, 864, *[1188, 1440] * 5, 1641, 2382, 1820, 4686, 202,
      196, 34]),
]  # fmt: skip


@pytest.mark.parametrize(("network", "config", "part", "expected"), SINGLE)
def test_single_operators(network: str, config: str, part: str, expected: list[float]) -> None:
    assert parts(network, config)[part].tolist() == expected


def test_blocks() -> None:
    """Rows, columns and channels of the blocks Vela chooses for the keyword spotter on U55-128."""
    _, _, block, _ = operators("kws_ref_model", "U55_128")
    chosen = [[int(h), int(w), int(c)] for h, w, c in zip(block.ofm_h, block.ofm_w, block.ofm_c, strict=True)]
    assert chosen == [[13, 6, 16]] + [[14, 6, 16], [9, 6, 32]] * 4 + [[1, 2, 64], [1, 2, 16], [1, 2, 8]]


def test_large_input_in_dram_is_read_in_bursts() -> None:
    """6 channels are a row of 8 bytes of a burst of 128: the first layer is 44,064 cycles of DRAM alone."""
    assert parts("vww_96_int8", "U65_512")["far"][0] == 44064


@pytest.mark.parametrize("config", ["U65_256", "U65_512"])
def test_estimated_input_in_dram_is_read_in_bursts(config: str) -> None:
    """As in the list: the bytes of the first kernel of visual wake words over DRAM, weights apart."""
    est = of_the_zoo("vww_96_int8", config)
    inputs = est.cost.moving[1]
    assert [level.id for level in inputs.levels] == ["sram", "dram"]
    assert inputs.crossing[1].tolist() == [12 * parts("vww_96_int8", config)["far"][0], *[0.0] * (len(est.work) - 1)]


def test_first_convolution_of_stride_two_is_folded() -> None:
    assert npu_model.folded_kernel_w(1.0) == 2  # 3 × 3 on 96 columns
    assert npu_model.folded_kernel_w(2.0) == 3  # 10 × 4 on 10 columns


# Vela 4.2.0's find_block_config, measure_cycle_cost and measure_element_access of single convolutions on 33 × 33 maps with
# bricks in SRAM: kind, channels in and out, kernel, dilation; rows, columns, channels of the output block, cycles, bytes read
DILATED = [
    ("U55_128", "dense", 64, 3, 2, [5, 12, 16], 364270, 774144),
    ("U55_128", "dense", 24, 3, 2, [5, 12, 16], 91534, 193536),
    ("U55_128", "depthwise", 96, 3, 2, [8, 8, 16], 115712, 345600),
    ("U55_128", "dense", 64, 5, 2, [5, 8, 16], 1122308, 1720320),
    ("U55_128", "dense", 64, 7, 1, [6, 10, 16], 2264158, 1179648),
    ("U65_512", "dense", 64, 3, 2, [10, 12, 16], 104438, 688128),
    ("U65_512", "dense", 24, 3, 2, [10, 12, 16], 26380, 172032),
    ("U65_512", "depthwise", 96, 3, 2, [12, 12, 16], 23624, 221184),
    ("U65_512", "dense", 64, 5, 2, [10, 12, 16], 289786, 1105920),
    ("U65_512", "dense", 64, 7, 1, [10, 12, 16], 567670, 884736),
]


@pytest.mark.parametrize(("config", "kind", "channels", "kernel", "dilation", "sides", "cycles", "read_bytes"), DILATED)
def test_dilated_convolutions(
    config: str, kind: str, channels: int, kernel: int, dilation: int, sides: list[int], cycles: int, read_bytes: int
) -> None:
    """Exact."""
    size = (33, 33, channels)
    apart = np.array([float(dilation)])
    op = columns([Layer(kind, size, size, (kernel, kernel, 1, 1), RELU)], config)
    op = replace(op, dilation_h=apart, dilation_w=apart, ifm_linear=np.array([False]))
    npu, sram = machine(config), ports(op, config).ofm
    block = npu_model.choose_block(op, npu)
    assert [block.ofm_h.item(), block.ofm_w.item(), block.ofm_c.item()] == sides
    assert npu_model.npu_cycles(op, npu, block, sram, sram, sram).tolist() == [cycles]
    assert npu_model.input_bytes(op, block, sram).tolist() == [read_bytes]


@pytest.mark.parametrize(("dilation", "kernel", "by_hardware"), [(1, 3, 1), (2, 3, 2), (3, 7, 1), (4, 5, 2), (6, 7, 2)])
def test_dilation_beyond_two_spreads_the_kernel(dilation: int, kernel: int, by_hardware: int) -> None:
    """3 × 3; Vela's fixup_dilation_gt2."""
    found = npu_model.hardware_kernel(np.array([3.0]), np.array([float(dilation)]))
    assert [side.item() for side in found] == [kernel, by_hardware]


# find_block_config and measure_* of element-wise operators on 14 × 14 × 96: operator, second operand; output cycles, block
BINARY = [
    ("U55_128", "add", 96, [8, 8, 64], 28224, 2 * 18816), ("U55_128", "mul", 96, [8, 8, 64], 14112, 2 * 18816),
    ("U55_128", "mul", 1, [9, 14, 80], 14112, 18816), ("U65_512", "add", 96, [12, 14, 48], 7056, 2 * 18816),
    ("U65_512", "mul", 96, [12, 14, 48], 3528, 2 * 18816), ("U65_512", "mul", 1, [14, 14, 96], 3528, 18816),
]  # fmt: skip
PRODUCT = {"U55_32": 3, "U55_64": 1.5, "U55_128": 0.75, "U55_256": 0.375, "U65_256": 0.375, "U65_512": 0.1875}


@pytest.mark.parametrize(("config", "kind", "second", "sides", "cycles", "read_bytes"), BINARY)
def test_sums_and_products(config: str, kind: str, second: int, sides: list[int], cycles: int, read_bytes: int) -> None:
    """Exact; a second operand of 1 × 1 × 96 is broadcast, one of a single element is no operand."""
    a, b = value("a", 1, 96, 14, 14), value("b", 1, second, 1, 1)
    nodes = [node("Relu", "a", "x"), node("Relu", "b", "y"), node(kind.title(), "x y", "z"), node("Relu", "z", "w")]
    est = estimate(loaded(model(nodes, [a, b], ["w"])), f"ethos_{config.lower()}", precision="int8")
    (row,) = (i for i, name in enumerate(est.work.names) if name == f"{kind}_z")
    plan = plan_of(est.work.maps, machine_of(est.hardware).engines[0].shape)
    assert [getattr(plan.block, side)[row] for side in ("ofm_h", "ofm_w", "ofm_c")] == sides
    assert est.cost.compute_s[row] * hertz(est) == pytest.approx(cycles)
    assert est.cost.moved["sram"][0][row] == pytest.approx(read_bytes, abs=1)


# the same of a pool of 1 × 1 on maps made twice as large by nearest neighbours: sides of the output and channels; block,
# cycles, bytes read
UPSCALED = [
    ("U55_128", (28, 96), [7, 18, 16], 48888, 30720), ("U55_128", (52, 24), [7, 18, 16], 48888, 30720),
    ("U55_128", (26, 128), [7, 18, 16], 65016, 40960), ("U65_512", (28, 96), [14, 18, 16], 12384, 30720),
    ("U65_512", (52, 24), [14, 18, 16], 12384, 30720), ("U65_512", (26, 128), [14, 18, 16], 16416, 40960),
]  # fmt: skip


@pytest.mark.parametrize(("config", "size", "sides", "cycles", "read_bytes"), UPSCALED)
@pytest.mark.parametrize("op_type", ["Resize", "Upsample"])
def test_nearest_neighbours(
    op_type: str, config: str, size: tuple[int, int], sides: list[int], cycles: int, read_bytes: int
) -> None:
    """Exact."""
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")
    resize = node(op_type, "a s" if op_type == "Upsample" else "a _ s", "b", mode="nearest")
    nodes = [node("Relu", "x", "a"), resize, node("Relu", "b", "y")]
    inputs = [value("x", 1, size[1], size[0] // 2, size[0] // 2)]
    network = loaded(model(nodes, inputs, ["y"], [scales], opset=9 if op_type == "Upsample" else 17))
    est = estimate(network, f"ethos_{config.lower()}", precision="int8")
    (row,) = (i for i, kernel in enumerate(est.prepared.kernels) if est.prepared.graph.ops[kernel.main].op_type == op_type)
    plan = plan_of(est.work.maps, machine_of(est.hardware).engines[0].shape)
    assert [getattr(plan.block, side)[row] for side in ("ofm_h", "ofm_w", "ofm_c")] == sides
    assert est.cost.compute_s[row] * hertz(est) == pytest.approx(cycles, abs=1)
    assert est.cost.moved["sram"][0][row] == read_bytes


def test_many_machines_as_one_by_one() -> None:
    """A column of geometries gives every row bit by bit."""
    layers = NETWORKS["vww_96_int8"]
    names = ["U55_32", "U55_64", "U55_128", "U55_256", "U65_512"]
    op = columns(layers, "U55_128")
    sram, _, constants, _ = ports(op, "U55_128")
    fields = {f: np.array([[getattr(machine(n), f)] for n in names], np.float64) for f in FIELDS}
    many = BlockNpu(**fields)
    block = npu_model.choose_block(op, many)
    rows = npu_model.npu_cycles(op, many, block, sram, sram, constants)
    for row, name in enumerate(names):
        one = machine(name)
        chosen = npu_model.choose_block(op, one)
        assert np.array_equal(rows[row], npu_model.npu_cycles(op, one, chosen, sram, sram, constants))
        assert np.array_equal(block.ofm_h[row], chosen.ofm_h)
        assert np.array_equal(npu_model.input_bytes(op, block, sram)[row], npu_model.input_bytes(op, chosen, sram))


# ---- the catalogue's machines and the zoo's networks ------------------------------------------------------------------

RECIPES = {
    "ad01_int8": "autoencoder", "kws_ref_model": "ds_cnn", "pretrainedResnet_quant": "resnet8",
    "vww_96_int8": "mobilenet_v1_025_vww",
}  # fmt: skip


def of_the_zoo(network: str, config: str) -> Estimate:
    """With weights that load from flash as fast as Vela's encoded ones."""
    model, spec = load_model(RECIPES[network]), load_hardware(f"ethos_{config.lower()}")
    near, far = spec.memories
    if far.kind != "flash":
        return estimate(model, spec, precision="int8", overlap="prefetch")
    weights = next(flow for flow in estimate(model, spec, precision="int8").cost.moving if flow.weights)
    encoded = sum(layer.encoded_bytes for layer in NETWORKS[network])
    assert far.bandwidth is not None
    faster = replace(far.bandwidth, value=far.bandwidth.value * float(weights.crossing[-1].sum()) / encoded)
    scaled = spec.model_copy(update={"memories": (near, far.model_copy(update={"bandwidth": faster}))})
    return estimate(model, scaled, precision="int8", overlap="prefetch")


def hertz(est: Estimate) -> float:
    clock_hz = machine_of(est.hardware).clock_hz
    assert isinstance(clock_hz, float)
    return clock_hz


@pytest.mark.parametrize(("row", "network", "config", "cycles"), [(r, n, c, cy) for r, n, c, _, cy, _ in ROWS])
def test_estimates(row: int, network: str, config: str, cycles: float) -> None:
    """Rows ethosu_vela-002, 006, …, ± 25 %; without what an inference pays once, which Vela does not count."""
    est = of_the_zoo(network, config)
    assert est.kernel_s.sum() * hertz(est) == pytest.approx(cycles, rel=0.25), f"ethosu_vela-{row + 1:03}"


@pytest.mark.parametrize(("network", "config"), [row[1:3] for row in ROWS])
def test_kernels_of_the_graph_are_the_operators_of_the_list(network: str, config: str) -> None:
    """To the cycle, which Vela rounds; not the last on U65, whose output Vela writes with half the latency of a read.

    The list ends with a maximum of the softmax.
    """
    est = of_the_zoo(network, config)
    listed = parts(network, config)["alone"][[layer.kind != "maxpool" for layer in NETWORKS[network]]]
    found = est.cost.compute_s * hertz(est)
    same = slice(None, -1 if config.startswith("U65") else None)
    assert found[same] == pytest.approx(listed[same], abs=1)


@pytest.mark.parametrize(("network", "config"), [row[1:3] for row in ROWS if row[2].startswith("U55")])
def test_kernels_move_the_bytes_of_the_list(network: str, config: str) -> None:
    """In SRAM, bit by bit; a 1 × 1 convolution of stride 2 reads half the rows there, here every tensor is read once."""
    layers = [layer for layer in NETWORKS[network] if layer.kind != "maxpool"]
    dense = [layer.kernel[0] >= layer.kernel[2] for layer in layers]
    listed = 8 * parts(network, config)["sram"][: len(layers)]
    found = of_the_zoo(network, config).cost.bytes_by_level["sram"]
    assert found[dense].tolist() == listed[dense].tolist()
    assert (found >= listed).all()


@pytest.mark.parametrize("config", CONFIGS)
def test_geometry_of_the_catalogue(config: str) -> None:
    shape = machine_of(load_hardware(f"ethos_{config.lower()}")).engines[0].shape
    assert isinstance(shape, BlockNpu)
    numbers, (of_sum, of_maximum, other), clip = CONFIGS[config]
    assert tuple(getattr(shape, name) for name in FIELDS) == numbers
    assert (shape.output.sum, shape.output.maximum, shape.output.other, shape.output.clip) == (of_sum, of_maximum, other, clip)
    assert shape.output.product == PRODUCT[config]
    assert shape.macs_per_cycle == int(config.split("_")[1])
