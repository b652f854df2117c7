"""The runtime catalogue: sources for every figure, and microcontroller libraries that differ for a reason.

A row of `NEIGHBOURS` names a kernel of a catalogue network that two libraries run differently, and by what: a fusion rule,
or one figure of their profiles that alone moves the kernel's time when it is swapped.
"""

from functools import cache
from typing import Any

import pytest

import simulator as sim
from simulator.estimator import estimate
from simulator.io.hardware_reader import load_runtime, runtime_ids
from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.machine.runtime import RuntimeSpec
from simulator.result.estimate import Estimate

IDS = sorted(runtime_ids())
LIBRARIES = sorted(i for i in IDS if load_runtime(i).classes == ("mcu",))
PLANNED = {
    "tflite", "tflm", "tflm_cmsis_nn", "x_cube_ai_7_1", "x_cube_ai_7_3", "x_cube_ai_8", "x_cube_ai_9", "x_cube_ai_10",
    "tinyengine", "microtvm_native", "microtvm_cmsis_nn", "plumerai_2022", "plumerai_2023", "hale",
}  # fmt: skip

# library, its neighbour, network, kernel, the figure that makes the first one slower there
BY_FIGURE = [
    ("tflm", "tflm_cmsis_nn", "ds_cnn", "block1.0.pointwise", "instructions"),
    ("tflm", "tflm_cmsis_nn", "mobilenet_v2", "stage2.0.depthwise", "issue"),
    ("tflm_cmsis_nn", "microtvm_cmsis_nn", "ds_cnn", "block1.0.pointwise", "instructions"),
    ("tflm_cmsis_nn", "microtvm_cmsis_nn", "autoencoder", "bottleneck", "kernel_overhead"),
    ("microtvm_native", "microtvm_cmsis_nn", "autoencoder", "encoder1", "instructions"),
    ("microtvm_native", "microtvm_cmsis_nn", "ds_cnn", "stem", "input_multiple"),
    ("x_cube_ai_7_1", "x_cube_ai_7_3", "ds_cnn", "block1.0.depthwise", "instructions"),
    ("x_cube_ai_7_3", "x_cube_ai_7_1", "ds_cnn", "block1.0.pointwise", "output_instructions"),
    ("x_cube_ai_7_3", "x_cube_ai_8", "mobilenet_v2", "stage2.0.expand", "output_instructions"),
    ("x_cube_ai_8", "x_cube_ai_7_3", "ds_cnn", "stem", "input_multiple"),
    ("x_cube_ai_8", "x_cube_ai_9", "resnet8", "layer1.0.conv1", "instructions"),
    ("x_cube_ai_10", "x_cube_ai_9", "mobilenet_v2", "stage2.0.expand", "output_instructions"),
    ("x_cube_ai_9", "x_cube_ai_10", "ds_cnn", "stem", "input_multiple"),
    ("plumerai_2022", "plumerai_2023", "mobilenet_v2", "stage2.0.depthwise", "instructions"),
    ("plumerai_2023", "plumerai_2022", "ds_cnn", "stem", "input_multiple"),
    ("plumerai_2023", "x_cube_ai_9", "resnet8", "layer1.0.conv1", "weight_places"),
    ("x_cube_ai_8", "x_cube_ai_10", "ds_cnn", "stem", "narrow_instructions"),
    ("x_cube_ai_8", "x_cube_ai_10", "resnet8", "layer1.0.conv1", "column_instructions"),
    ("hale", "plumerai_2023", "ds_cnn", "block1.0.pointwise", "output_instructions"),
    ("tflm_cmsis_nn", "tinyengine", "autoencoder", "bottleneck", "kernel_overhead"),
    ("tinyengine", "x_cube_ai_7_3", "resnet8", "layer1.0.conv1", "issue"),
]
# library, its neighbour, network, kernel, the rule, what is in the kernel of the first one only
BY_RULE = [
    ("x_cube_ai_7_3", "tinyengine", "squeezenet1_1", "conv1", "pool", "MaxPool"),
    ("x_cube_ai_10", "plumerai_2023", "squeezenet1_1", "conv1", "pool", "MaxPool"),
    ("microtvm_native", "microtvm_cmsis_nn", "resnet8", "layer1.0.conv2", "residual", "Add"),
    ("onnxruntime", "tflite", "resnet18", "layer1.0.conv2", "convolution_sum", "Add"),
]


def calculated(spec: RuntimeSpec, network: str, machine: str = "stm32h743", precision: str = "int8") -> Estimate:
    return estimate(sim.load_model(network), sim.load_hardware(machine), spec, precision=precision)


@cache
def run(library: str, network: str, machine: str = "stm32h743", precision: str = "int8") -> Estimate:
    return calculated(load_runtime(library), network, machine, precision)


def kernel(found: Estimate, name: str) -> int:
    return next(i for i, k in enumerate(found.prepared.kernels) if k.name == name)


def seconds(found: Estimate, name: str) -> float:
    return float(found.kernel_s[kernel(found, name)])


def swapped(library: str, neighbour: str, figure: str) -> RuntimeSpec:
    """A library with one figure of its neighbour."""
    spec, other = load_runtime(library), load_runtime(neighbour)
    profile = spec.profiles["simd"].model_copy(update={figure: getattr(other.profiles["simd"], figure)})
    return spec.model_copy(update={"profiles": {**spec.profiles, "simd": profile}})


def test_the_planned_runtimes_are_there() -> None:
    assert set(IDS) >= PLANNED


@pytest.mark.parametrize("name", IDS)
def test_every_figure_says_where_it_comes_from_and_why(name: str) -> None:
    spec = load_runtime(name)
    assert spec.id == name
    assert spec.unsourced() == []
    assert [path for path, f in spec.figures() if f.kind in ("derived", "estimated") and not f.note] == []
    used = {f.source for _, f in spec.figures() if f.source}
    priors = {key for key in spec.sources if any(f"prior from {key}" in (f.note or "") for _, f in spec.figures())}
    assert set(spec.sources) == used | priors


@pytest.mark.parametrize(("library", "neighbour", "network", "name", "figure"), BY_FIGURE)
def test_neighbours_differ_by_a_figure(library: str, neighbour: str, network: str, name: str, figure: str) -> None:
    own, changed = run(library, network), calculated(swapped(library, neighbour, figure), network)
    assert seconds(own, name) > 1.01 * seconds(changed, name)


@pytest.mark.parametrize(("library", "neighbour", "network", "name", "rule", "joined"), BY_RULE)
def test_neighbours_differ_by_a_rule(library: str, neighbour: str, network: str, name: str, rule: str, joined: str) -> None:
    graph = sim.load_model(network).graph
    rules = load_runtime(library).fusion

    def types(fusion: tuple[str, ...]) -> list[str]:
        found: list[Kernel] = [k for k in partition(graph, fusion)[0] if k.name == name]
        return [graph.ops[i].op_type for i in found[0].ops]

    assert joined in types(rules)
    assert joined not in types(load_runtime(neighbour).fusion)
    assert joined not in types(tuple(r for r in rules if r not in (rule, "pointwise", "gate")))


@pytest.mark.parametrize("one", LIBRARIES)
def test_no_two_libraries_are_the_same(one: str) -> None:
    """Apart from their names, on a convolutional network for a microphone."""
    mine = run(one, "ds_cnn").kernel_s.tolist()
    assert all(run(other, "ds_cnn").kernel_s.tolist() != mine for other in LIBRARIES if other != one)


CHIPS = ("stm32h743", "stm32h7a3", "stm32l4r5", "stm32u575", "stm32f746")


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("network", ["ds_cnn", "resnet8", "mobilenet_v2:width=0.35,resolution=96"])
def test_reference_kernels_are_slowest_and_the_newest_fastest(chip: str, network: str) -> None:
    order = ("tflm", "tflm_cmsis_nn", "x_cube_ai_7_3", "x_cube_ai_9")
    times = [run(name, network, chip).latency_s for name in order]
    assert times == sorted(times, reverse=True)
    assert times[0] > 5 * times[1]


@pytest.mark.parametrize("library", [*LIBRARIES, "ideal"])
def test_nothing_is_faster_than_the_bound(library: str) -> None:
    found = run(library, "ds_cnn")
    assert found.latency_s >= found.bound_latency_s


@pytest.mark.parametrize("library", LIBRARIES)
def test_floating_point_takes_longer_than_integers_where_they_are_paired(library: str) -> None:
    """Two products an instruction and a quarter of the bytes; portable kernels gain nothing but the bytes."""
    ratio = run(library, "resnet8", "stm32l4r5", "fp32").latency_s / run(library, "resnet8", "stm32l4r5").latency_s
    assert (0.8 if library == "tflm" else 1.0) < ratio < (1.2 if library == "tflm" else 13)


def test_depthwise_convolutions_in_place_take_less_memory() -> None:
    """MobileNetV2: its depthwise layers of stride 1 write over their input with one channel as scratch."""
    peaks: dict[str, Any] = {name: run(name, "mobilenet_v2").prepared.occupancy.peak_bytes for name in ("tflm", "tinyengine")}
    assert peaks["tinyengine"] < peaks["tflm"]
    copied = load_runtime("tinyengine").in_place.model_copy(update={"depthwise": "copy"})
    without = calculated(load_runtime("tinyengine").model_copy(update={"in_place": copied}), "mobilenet_v2")
    assert peaks["tinyengine"] < without.prepared.occupancy.peak_bytes
