"""Another resolution of a network from a file: shapes of its inputs."""

import pytest
from support.graphs import loaded, model, node, value, weight

from simulator.api import load_model
from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.transform.resolution import resolution_of, shapes_at


def taking(*inputs: tuple[int, ...]) -> Graph:
    names = [f"x{i}" for i in range(len(inputs))]
    nodes = [node("Relu", name, f"y{name}") for name in names]
    values = [value(name, *shape) for name, shape in zip(names, inputs, strict=True)]
    return loaded(model(nodes, values, [f"y{name}" for name in names])).graph


@pytest.mark.parametrize(("text", "sides"), [("160", (160, 160)), (" 96x128 ", (96, 128))])
def test_sides(text: str, sides: tuple[int, int]) -> None:
    assert resolution_of(text) == sides


@pytest.mark.parametrize("text", ["", "0", "160x0", "-1", "1.5", "160 x 160", "160x", "big", "²"])
def test_what_is_no_resolution(text: str) -> None:
    with pytest.raises(UsageError, match="write a side as in 160, or height x width as in 160x224"):
        resolution_of(text)


@pytest.mark.parametrize(
    ("shape", "at"),
    [
        ((2, 3, 224, 224), (2, 3, 96, 128)),
        ((1, 224, 224, 3), (1, 96, 128, 3)),
        ((1, 1, 28, 28), (1, 1, 96, 128)),
        ((1, 13, 64, 64), (1, 13, 96, 128)),
    ],
)
def test_channels_are_the_short_axis(shape: tuple[int, ...], at: tuple[int, ...]) -> None:
    assert shapes_at(taking(shape), "96x128") == {"x0": at}


def test_only_images_change() -> None:
    assert shapes_at(taking((1, 3, 32, 32), (1, 128)), "64") == {"x0": (1, 3, 64, 64)}


def test_a_network_without_images_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no input is an image of height and width \(inputs: x0 \[1, 128\]\)"):
        shapes_at(taking((1, 128)), "64")


def test_loading_with_these_shapes_is_the_recipe_at_that_resolution() -> None:
    plain = load_model("mobilenet_v2")
    found = load_model("mobilenet_v2", input_shapes=shapes_at(plain.graph, "160"))
    assert (found.macs, found.params) == ((wanted := load_model("mobilenet_v2:resolution=160")).macs, wanted.params)


def test_a_flattened_image_cannot_follow() -> None:
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w", "y")]
    proto = model(nodes, [value("x", 1, 3, 8, 8)], ["y"], [weight("w", 192, 10)])
    with pytest.raises(Exception, match="Gemm 'gemm_y'"):
        loaded(proto, input_shapes=shapes_at(loaded(proto).graph, "16"))
