"""Feature maps of kernels: form and sizes of what engines see that work by blocks."""

import numpy as np
import pytest
from onnx import numpy_helper
from support.graphs import loaded, model, node, value, weight

from simulator.feature_maps import FeatureMaps, Form, Function, Stage
from simulator.model import Model
from simulator.preparation import prepare


def conv(shape: tuple[int, ...], kernel: tuple[int, ...], out: int = 8, op_type: str = "Conv", **attrs: object) -> Model:
    group = attrs.get("group", 1)
    assert isinstance(group, int)
    weights = (out, shape[1] // group, *kernel) if op_type == "Conv" else (shape[1], out // group, *kernel)
    return loaded(model([node(op_type, "x w", "y", **attrs)], [value("x", *shape)], ["y"], [weight("w", *weights)]))


def maps(network: Model, *fusion: str) -> FeatureMaps:
    return prepare(network, None, fusion).work.maps


# network, form, images, output, data, kernel, strides
SIZES = [
    (conv((1, 4, 10, 12), (3, 3), strides=[2, 1]), Form.DENSE, 1, [4, 10, 8], [10, 12, 4], [3, 3], [2, 1]),
    (conv((3, 4, 10, 12), (3, 3)), Form.DENSE, 3, [8, 10, 8], [10, 12, 4], [3, 3], [1, 1]),
    (conv((1, 4, 20), (5,)), Form.DENSE, 1, [1, 16, 8], [1, 20, 4], [1, 5], [1, 1]),
    (conv((1, 4, 6, 7, 8), (3, 3, 3)), Form.DENSE, 1, [20, 6, 8], [42, 8, 4], [9, 3], [1, 1]),
    (conv((1, 8, 5, 5), (3, 3), group=8), Form.DEPTHWISE, 1, [3, 3, 8], [5, 5, 8], [3, 3], [1, 1]),
    (conv((1, 8, 5, 5), (3, 3), group=2), Form.DENSE, 2, [3, 3, 4], [5, 5, 4], [3, 3], [1, 1]),
    (conv((1, 4, 5, 5), (2, 2), op_type="ConvTranspose", strides=[2, 2]),
     Form.DENSE, 1, [10, 10, 8], [10, 10, 4], [2, 2], [1, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("network", "form", "images", "output", "data", "kernel", "strides"), SIZES)
def test_convolutions(
    network: Model, form: Form, images: int, output: list[int], data: list[int], kernel: list[int], strides: list[int]
) -> None:
    found = maps(network)
    assert found.forms == (form,)
    assert found.images.tolist() == [images]
    assert found.output.tolist() == [output]
    assert found.data.tolist() == [data]
    assert found.kernel.tolist() == [kernel]
    assert found.strides.tolist() == [strides]


@pytest.mark.parametrize(("rows", "form"), [(1, Form.VECTOR), (4, Form.VECTOR), (5, Form.DENSE)])
def test_products(rows: int, form: Form) -> None:
    found = maps(loaded(model([node("Gemm", "x w", "y")], [value("x", rows, 64)], ["y"], [weight("w", 64, 10)])))
    assert found.forms == (form,)
    assert (found.output.tolist(), found.data.tolist()) == ([[1, rows, 10]], [[1, rows, 64]])
    assert found.data_linear.all()
    assert found.output_linear.all()


def test_pools_sums_and_what_has_no_form() -> None:
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[3, 3], strides=[2, 2]), node("GlobalAveragePool", "p", "g"),
        node("Add", "x x2", "s"), node("Relu", "s", "r"), node("Softmax", "x", "m", axis=-1), node("HardSwish", "x2", "h"),
    ]  # fmt: skip
    ends = ["g", "r", "m", "h"]
    found = maps(loaded(model(nodes, [value("x", 2, 8, 9, 9), value("x2", 2, 8, 9, 9)], ends, [])), "output_stage")
    assert found.forms == (Form.POOL, Form.POOL, Form.ELEMENTWISE, Form.NONE, Form.ELEMENTWISE)
    assert found.stages[:3] == (Stage.MAXIMUM, Stage.OTHER, Stage.SUM)
    assert found.functions == (Function.NONE, Function.NONE, Function.CLIP, Function.TABLE, Function.TABLE)
    assert found.images.tolist() == [2, 2, 2, 1, 2]
    assert found.output[:3].tolist() == [[4, 4, 8], [1, 1, 8], [9, 9, 8]]
    assert found.kernel[:2].tolist() == [[3, 3], [4, 4]]
    assert found.inputs.tolist() == [1, 1, 2, 1, 1]


@pytest.mark.parametrize(("scales", "mode", "form"), [
    ((1, 1, 2, 2), "nearest", Form.POOL), ((1, 1, 4, 4), "nearest", Form.NONE), ((1, 1, 2, 2), "linear", Form.NONE),
    ((1, 1, 1, 2), "nearest", Form.NONE),
])  # fmt: skip
def test_only_nearest_neighbours_of_twice_the_sides_have_blocks(scales: tuple[int, ...], mode: str, form: Form) -> None:
    factors = numpy_helper.from_array(np.array(scales, np.float32), "s")
    found = maps(loaded(model([node("Resize", "x _ s", "y", mode=mode)], [value("x", 1, 8, 6, 5)], ["y"], [factors])))
    assert found.forms == (form,)
    assert found.upscaled.tolist() == [form is Form.POOL]
    if form is Form.POOL:
        assert (found.output.tolist(), found.data.tolist()) == ([[12, 10, 8]], [[6, 5, 8]])


def test_dilations_of_convolutions() -> None:
    found = maps(conv((1, 4, 10, 12), (3, 3), dilations=[2, 3]))
    assert (found.kernel.tolist(), found.dilations.tolist()) == ([[3, 3]], [[2, 3]])


def test_what_is_reshaped_is_linear() -> None:
    nodes = [node("Conv", "x w", "c"), node("Flatten", "c", "f"), node("Gemm", "f v", "y")]
    found = maps(loaded(model(nodes, [value("x", 1, 4, 6, 6)], ["y"], [weight("w", 8, 4, 3, 3), weight("v", 128, 10)])))
    assert found.data_linear.tolist() == [True, False]
    assert found.output_linear.tolist() == [True, True]
    assert found.from_input.tolist() == [True, False]
