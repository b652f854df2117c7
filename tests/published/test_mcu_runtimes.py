"""Published latencies of microcontroller libraries: 25 % is allowed, a tolerance set before any figure was compared.

How independent these are differs. Row 061 checks arithmetic only: the reference kernels' 45 instructions come from that table.
The constants for X-CUBE-AI, Plumerai, HALE and microTVM started from a rough fit over MLPerf Tiny results, so `BENCHMARKS` asks
whether they still describe the data they came from. That compiled code does not fill the issue slots of a Cortex-M7 was added
when CMSIS-NN came out at 0.69 of row 063; its 1.5 is from CoreMark, not from that row. TinyEngine's constants were set to the
middle of the paper's range. Rows 065 and the ratios to it took no part in any of this.

TinyEngine's table has networks that are not in the catalogue. ProxylessNAS of width 0.3 at 176 (38.3 MMAC) is stood in for by
MobileNetV2 of width 0.35 at the same resolution (38.8 MMAC): the same blocks, cycles for each MAC are compared. Its clock is
not stated: 480 MHz, the board's highest.
"""

import pytest

import simulator as sim

TOLERANCE = 0.25
TINYENGINE = "mit-han-lab/tinyengine@47bb283c README (STM32H743, -Ofast)"
MLPERF = "MLCommons, MLPerf Tiny v1.2 results, closed/STMicroelectronics, X-CUBE-AI 9"
MLPERF_V11 = "MLCommons, MLPerf Tiny v1.1 results, closed, microTVM with CMSIS-NN on nRF5340"
MCUNET = "MCUNet 2020 (arXiv:2007.10319), abstract: 1.7 to 3.3 times as fast as TF-Lite Micro and CMSIS-NN"
STAND_IN = "mobilenet_v2:width=0.35,resolution=176"

# published figures that are left aside: row of the table, and why
NOT_COMPARED = {
    "069": ("CMSIS-NN of 2018, 5 x 5 x 3 x 32", "kernels that shift where today's rescale each channel; not a library here"),
    "070": ("CMSIS-NN of 2018, 5 x 5 x 32 x 32", "the same"),
    "071": ("CMSIS-NN of 2018, 5 x 5 x 32 x 64", "the same"),
    "072": ("CMSIS-NN of 2018, whole network", "the same"),
    "073": ("4.6 times as fast as a baseline", "the baseline is the authors' own, not TensorFlow Lite Micro"),
}


def milliseconds(runtime: str, network: str, machine: str) -> float:
    return 1e3 * sim.estimate(sim.load_model(network), sim.load_hardware(machine), runtime=runtime, precision="int8").latency_s


def cycles_a_mac(runtime: str) -> float:
    return milliseconds(runtime, STAND_IN, "stm32h743") * 480e3 / sim.load_model(STAND_IN).macs


# row, library, milliseconds for 38.3 MMAC
PROXYLESS = [("061", "tflm", 3801.0), ("063", "tflm_cmsis_nn", 380.0), ("065", "x_cube_ai_7_3", 205.0)]


@pytest.mark.parametrize(("row", "runtime", "published_ms"), PROXYLESS)
def test_cycles_of_a_mobile_network(row: str, runtime: str, published_ms: float) -> None:
    assert cycles_a_mac(runtime) == pytest.approx(published_ms * 480e3 / 38.3e6, rel=TOLERANCE), f"{TINYENGINE}, row {row}"


# rows, slower library, faster one, least and most of the ratio over the networks of the table
RATIOS = [
    ("001/003 to 061/063", "tflm", "tflm_cmsis_nn", 3801 / 380, 1227 / 103),
    ("027/029 to 063/065", "tflm_cmsis_nn", "x_cube_ai_7_3", 51 / 35, 770 / 414),
    ("001/005 to 053", "tflm", "x_cube_ai_7_3", 586 / 35, 1120 / 57),
]


@pytest.mark.parametrize(("rows", "slow", "fast", "least", "most"), RATIOS)
def test_ratio_of_two_libraries(rows: str, slow: str, fast: str, least: float, most: float) -> None:
    ratio = cycles_a_mac(slow) / cycles_a_mac(fast)
    assert least / (1 + TOLERANCE) <= ratio <= most * (1 + TOLERANCE), f"{TINYENGINE}, rows {rows}"


def test_generated_code_against_an_interpreter() -> None:
    assert 1.7 <= cycles_a_mac("tflm_cmsis_nn") / cycles_a_mac("tinyengine") <= 3.3, MCUNET


# machine, network, milliseconds
BENCHMARKS = [
    ("x_cube_ai_9", "stm32l4r5", "ds_cnn", 43.187, MLPERF), ("x_cube_ai_9", "stm32l4r5", "resnet8", 165.125, MLPERF),
    ("x_cube_ai_9", "stm32h7a3", "ds_cnn", 11.318, MLPERF), ("x_cube_ai_9", "stm32h7a3", "resnet8", 40.845, MLPERF),
    ("microtvm_cmsis_nn", "nrf5340", "ds_cnn", 76.488, MLPERF_V11),
    ("microtvm_cmsis_nn", "nrf5340", "resnet8", 317.864, MLPERF_V11),
]  # fmt: skip


@pytest.mark.parametrize(("runtime", "machine", "network", "published_ms", "source"), BENCHMARKS)
def test_benchmarks(runtime: str, machine: str, network: str, published_ms: float, source: str) -> None:
    assert milliseconds(runtime, network, machine) == pytest.approx(published_ms, rel=TOLERANCE), source


def test_rows_left_aside_say_why() -> None:
    assert all(what and why for what, why in NOT_COMPARED.values())
