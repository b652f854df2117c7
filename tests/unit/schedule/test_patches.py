"""Pieces of maps and what patches refuse."""

import numpy as np
import pytest
from onnx import numpy_helper
from support.graphs import ints, model, node, resolved, value, weight

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.schedule.patches import NotLocalError, cuts, patch_plan, stage_needs, suggest


def cut(nodes, weights=(), *, size: int = 8, outputs=("y",)) -> tuple[Graph, tuple[Kernel, ...]]:
    graph = resolved(model(nodes, [value("x", 1, 2, size, size)], outputs, weights))
    return graph, partition(graph, ("activation",))[0]


W3 = weight("w", 2, 2, 3, 3)


def rows(graph: Graph, kernels, name: str, end: str = "y", grid=(2, 2)) -> list[tuple[int, int]]:
    pieces = stage_needs(graph, kernels, (end,), grid)[name][0]
    return list(zip(pieces.low.tolist(), pieces.high.tolist(), strict=True))


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"pads": [1] * 4}, [(0, 5), (3, 8)]),
        ({"pads": [1] * 4, "strides": [2, 2]}, [(0, 4), (3, 8)]),
        ({"pads": [0] * 4}, [(0, 5), (3, 8)]),  # 6 rows out: 0-2 from 0-4, 3-5 from 3-7
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [(0, 5), (4, 8)]),  # all the padding is below
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [(0, 4), (3, 8)]),
        ({"pads": [2] * 4, "dilations": [2, 2]}, [(0, 6), (2, 8)]),
    ],
)
def test_rows_that_a_window_reads(attrs, expected) -> None:
    graph, kernels = cut([node("Conv", "x w", "y", **attrs)], [W3])
    assert rows(graph, kernels, "x") == expected


def test_halos_add_up_over_layers() -> None:
    nodes = [node("Conv", "x w", "a", pads=[1] * 4), node("Relu", "a", "r"), node("Conv", "r v", "y", pads=[1] * 4)]
    graph, kernels = cut(nodes, [W3, weight("v", 2, 2, 3, 3)])
    assert rows(graph, kernels, "a") == [(0, 5), (3, 8)]
    assert rows(graph, kernels, "x") == [(0, 6), (2, 8)]
    plan = patch_plan(graph, kernels, (2, 2), 2)
    assert plan.extra_macs == 9 * 2 * 2 * (10 * 10 - 8 * 8)
    assert plan.macs == 9 * 2 * 2 * 2 * 64
    assert plan.patch_bytes["in_out"] == 4 * 2 * (6 * 6 + 5 * 5)
    assert plan.stage_bytes["liveness"] == 4 * 2 * (6 * 6 + 5 * 5 + 8 * 8)  # the whole output is kept
    assert plan.with_image_bytes["liveness"] == 4 * 2 * (5 * 5 + 8 * 8 + 8 * 8)


def test_a_residual_needs_what_both_its_readers_do() -> None:
    nodes = [node("Relu", "x", "a"), node("Conv", "a w", "b", pads=[1] * 4), node("Add", "a b", "y")]
    graph, kernels = cut(nodes, [W3])
    assert rows(graph, kernels, "a") == [(0, 5), (3, 8)]


def test_padding_written_as_an_operator() -> None:
    nodes = [node("Pad", "x p", "t"), node("Conv", "t w", "y")]
    graph, kernels = cut(nodes, [W3, ints("p", 0, 0, 1, 1, 0, 0, 1, 1)])
    assert rows(graph, kernels, "t") == [(0, 6), (4, 10)]
    assert rows(graph, kernels, "x") == [(0, 5), (3, 8)]


def test_uneven_grids() -> None:
    graph, kernels = cut([node("Relu", "x", "y")], size=14)
    assert rows(graph, kernels, "y", grid=(4, 1)) == [(0, 4), (4, 7), (7, 10), (10, 14)]
    assert patch_plan(graph, kernels, (3, 2), 1).grid == (3, 2)


WHOLE_MAP = {
    "GlobalAveragePool": [node("GlobalAveragePool", "x", "p"), node("Mul", "x p", "y")],
    "Softmax": [node("Softmax", "x", "y")],
    "Transpose": [node("Transpose", "x", "y", perm=[0, 1, 3, 2])],
    "Resize": [node("Resize", "x _ s", "y")],
    "Flatten": [node("Relu", "x", "a"), node("Flatten", "a", "f"), node("Relu", "f", "y")],
}


@pytest.mark.parametrize("name", WHOLE_MAP)
def test_operators_that_need_the_whole_map(name: str) -> None:
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")
    graph, kernels = cut(WHOLE_MAP[name], [scales] if name == "Resize" else [])
    with pytest.raises(NotLocalError, match=r"patches: .*(not local in space; end the patches before it|no map of rows)"):
        patch_plan(graph, kernels, (2, 2), len(kernels))


def test_wrong_grids() -> None:
    graph, kernels = cut([node("Relu", "x", "y")])
    for grid, count in (((2, 2), 0), ((2, 2), 2), ((0, 2), 1)):
        with pytest.raises(UsageError, match="the network has 1"):
            patch_plan(graph, kernels, grid, count)
    with pytest.raises(UsageError, match="'y' has only 8 x 8 positions"):
        patch_plan(graph, kernels, (9, 1), 1)


def big_then_small() -> tuple[Graph, tuple[Kernel, ...]]:
    nodes = [node("Conv", "x w", "a", pads=[1] * 4, strides=[2, 2]), node("Conv", "a v", "b", pads=[1] * 4, strides=[2, 2])]
    nodes.append(node("Conv", "b u", "y"))
    weights = [weight("w", 16, 2, 3, 3), weight("v", 2, 16, 3, 3), weight("u", 2, 2, 1, 1)]
    return cut(nodes, weights, size=64)


def test_stages_end_where_one_tensor_is_alive() -> None:
    graph, kernels = big_then_small()
    assert cuts(graph, kernels) == [1, 2]


def test_the_cheapest_that_fits_is_suggested() -> None:
    graph, kernels = big_then_small()
    whole = 4 * (16 * 32 * 32 + 2 * 64 * 64)
    found = suggest(graph, kernels, 0.75 * whole)
    assert found is not None
    assert (found.grid, found.n_kernels) == ((2, 2), 2)
    assert found.peak_bytes(image=True) <= 0.75 * whole
    lowest = suggest(graph, kernels, 0.0)
    assert lowest is not None
    assert lowest.peak_bytes(image=True) < found.peak_bytes(image=True)
    assert suggest(*cut([node("Relu", "x", "y")]), 0.0) is None
