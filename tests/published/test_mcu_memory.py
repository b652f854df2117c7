"""Activation memory and weights of X-CUBE-AI 7.3 as the STM32 model zoo states them, to the printed digit.

STMicroelectronics/stm32ai-modelzoo, README tables of image classification (fork of November 2023): STM32H747I-DISCO, int8.
"""

from dataclasses import replace

import pytest

import simulator as sim
from simulator.io.hardware_reader import load_runtime
from simulator.ops.work import Window
from simulator.schedule.code import code_bytes
from simulator.schedule.workspace import Convolution, column_bytes, gap_elements, padding_elements

ZOO = [
    ("mobilenet_v1:width=0.5,resolution=224,classes=5", 404.28, 812.61),
    ("mobilenet_v2:width=0.35,resolution=128,classes=5", 224.5, 406.86),
    ("mobilenet_v2:width=0.35,resolution=224,classes=5", 686.5, 406.86),
    ("resnet8", 55.28, 76.9),
    ("squeezenet1_0:resolution=128,classes=5", 450.0, None),  # its table has 535.69 KiB of weights: another network
    ("squeezenet1_1:resolution=128,classes=5", 240.25, 716.7),
    ("squeezenet1_1:resolution=224,classes=5", 756.25, 716.71),
]


@pytest.mark.parametrize(("network", "activations_kib", "weights_kib"), ZOO)
def test_the_zoos_figures(network: str, activations_kib: float, weights_kib: float | None) -> None:
    est = sim.estimate(network, "stm32h747", precision="int8", runtime="x_cube_ai_7_3")
    assert est.prepared.occupancy.peak_bytes / 1024 == pytest.approx(activations_kib, abs=0.005)
    if weights_kib is not None:
        assert est.work.weight_bytes.sum() / 1024 == pytest.approx(weights_kib, abs=0.011)


# X-CUBE-AI 10.0 and 7.3: network, weights and all flash in KiB (README tables of the same model zoo)
FLASH = [
    ("x_cube_ai_10", "mobilenet_v1:width=0.25,resolution=224,classes=5", 214.69, 282.74),
    ("x_cube_ai_10", "mobilenet_v1:width=0.5,resolution=224,classes=5", 812.61, 894.02),
    ("x_cube_ai_10", "mobilenet_v1:width=0.25,resolution=224", 467.33, 537.35),
    ("x_cube_ai_10", "mobilenet_v1:width=0.5,resolution=224", 1314.0, 1397.38),
    ("x_cube_ai_10", "mobilenet_v1:width=1.0,resolution=224", 4157.09, 4267.2),
    ("x_cube_ai_10", "mobilenet_v2:width=0.35,resolution=128,classes=5", 406.86, 515.15),
    ("x_cube_ai_10", "mobilenet_v2:width=0.35,resolution=224", 1654.5, 1762.9),
    ("x_cube_ai_10", "mobilenet_v2:width=1.0,resolution=224", 3458.97, 3616.34),
    ("x_cube_ai_10", "mobilenet_v2:width=1.4,resolution=224", 6015.34, 6206.53),
    ("x_cube_ai_7_3", "mobilenet_v1:width=0.5,resolution=224,classes=5", 812.61, 901.05),
    ("x_cube_ai_7_3", "mobilenet_v2:width=0.35,resolution=128,classes=5", 406.86, 529.2),
    ("x_cube_ai_7_3", "resnet8", 76.9, 123.0),
    ("x_cube_ai_7_3", "squeezenet1_1:resolution=128,classes=5", 716.7, 792.01),
]


@pytest.mark.parametrize(("version", "network", "weights_kib", "flash_kib"), FLASH)
def test_flash(version: str, network: str, weights_kib: float, flash_kib: float) -> None:
    """Weights to the printed digit, all of it within 0.5 %."""
    est = sim.estimate(network, "stm32h747", precision="int8", runtime=version)
    (flash,) = (f for f in est.memory_fit if f.memory == "flash")
    assert est.work.footprint.weight_bytes / 1024 == pytest.approx(weights_kib, abs=0.011)
    assert flash.needs_bytes == est.work.footprint.weight_bytes + flash.code_bytes
    assert flash.needs_bytes / 1024 == pytest.approx(flash_kib, rel=0.005)


def test_code_decides_what_fits() -> None:
    """Weights that just fit leave no room for code; a runtime that does not say what its code takes is taken at its weights."""
    network = "mobilenet_v2:width=0.75,resolution=96,classes=5"
    known, unknown = (sim.estimate(network, "stm32h747", precision="int8", runtime=r) for r in ("x_cube_ai_10", "x_cube_ai_9"))
    of = [next(f for f in est.memory_fit if f.memory == "flash") for est in (known, unknown)]
    assert (of[1].code_bytes, of[1].needs_bytes) == (0, known.work.footprint.weight_bytes)
    tight = replace(of[0], capacity_bytes=of[0].needs_bytes - 1)
    assert not tight.fits
    assert replace(tight, code_bytes=0.0).fits
    assert known.to_dict()["totals"]["memory"]["flash"]["code_bytes"] == round(of[0].code_bytes)


def test_floating_point_has_no_tables_of_scales() -> None:
    code = load_runtime("x_cube_ai_10").code
    assert code is not None
    work = sim.estimate("resnet8", "stm32h747", precision="fp32", runtime="x_cube_ai_10").work
    assert code_bytes(work, code) == code.base.value + len(work) * code.per_kernel.value


def convolution(side: int, inputs: int, outputs: int, taps: int = 3, stride: int = 1, depthwise: bool = False) -> Convolution:
    out = -(-side // stride)
    window = Window((out, out), (side, side), (taps, taps), (stride, stride))
    return Convolution(window, inputs, outputs, depthwise)


def test_scratch_of_generated_sources() -> None:
    assert column_bytes(convolution(32, 16, 16)) == 5344
    assert column_bytes(convolution(32, 3, 16)) == 1196 + 4 * 32 * 16  # and the lines of the image
    assert column_bytes(convolution(64, 8, 48, taps=1)) == 4 * 8 + 10 * 48
    assert column_bytes(convolution(64, 8, 8, depthwise=True)) == 0


def test_padding_reaches_as_far_as_the_windows() -> None:
    assert padding_elements(convolution(32, 16, 16)) == (34 * 34 - 32 * 32) * 16
    assert padding_elements(convolution(112, 32, 32, stride=2, depthwise=True)) == (113 * 113 - 112 * 112) * 32
    assert padding_elements(convolution(32, 16, 64, taps=1)) == 0
    assert padding_elements(convolution(224, 3, 16, stride=2)) == 0  # read line by line
    assert gap_elements(convolution(112, 16, 32, taps=1)) == 113 * 32


def test_mobilenet_peaks_at_its_second_depthwise_convolution() -> None:
    est = sim.estimate(ZOO[0][0], "stm32h747", precision="int8", runtime="x_cube_ai_7_3")
    assert est.prepared.occupancy.peak_bytes == 113 * 113 * 32 + 3 * 56 * 32
