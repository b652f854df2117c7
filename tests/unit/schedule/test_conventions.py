"""What shares bytes: small graphs, each with one thing that may or may not be overwritten."""

import pytest
from support.graphs import FLOAT16, model, node, resolved, value, weight

from simulator.graph.graph import Graph
from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.schedule.conventions import (
    IN_PLACE,
    NO_ALIASING,
    Aliasing,
    Buffer,
    Span,
    buffers,
    in_out,
    liveness,
    naive_bytes,
    peak,
)

SIDE = 4
IMAGE = value("x", 1, 2, SIDE, SIDE)
MAP = 4 * 2 * SIDE * SIDE  # bytes of the image and of every map of as many channels


def cut(nodes, outputs="y", weights=(), *, inputs=(IMAGE,), fusion=()) -> tuple[Graph, tuple[Kernel, ...]]:
    graph = resolved(model(nodes, inputs, outputs.split(), weights))
    return graph, partition(graph, fusion)[0]


def together(found: tuple[Buffer, ...]) -> set[frozenset[str]]:
    """Names of the tensors that share bytes, where there are several."""
    return {frozenset(t.spec.name for t in b.tenants) for b in found if len(b.tenants) > 1}


CONV = {"pads": [1] * 4}
W3 = weight("w", 2, 2, 3, 3)
W_DEPTHWISE = weight("w", 2, 1, 3, 3)


def test_an_activation_takes_the_place_of_its_input() -> None:
    graph, kernels = cut([node("Conv", "x w", "t", **CONV), node("Relu", "t", "y")], weights=[W3])
    assert together(buffers(graph, kernels, IN_PLACE)) == {frozenset({"t", "y"})}
    assert together(buffers(graph, kernels, NO_ALIASING)) == set()
    assert peak(graph, kernels, "liveness").peak_bytes == 2 * MAP
    assert peak(graph, kernels, "in_out").peak_bytes == 2 * MAP


def test_a_chain_is_one_buffer() -> None:
    graph, kernels = cut([node("Relu", "x", "a"), node("Sigmoid", "a", "b"), node("Tanh", "b", "y")])
    (one,) = buffers(graph, kernels, IN_PLACE)
    assert one.spans == (Span(MAP, 0, 2),)
    assert one.name == "x"
    assert peak(graph, kernels, "liveness_in_place").peak_bytes == MAP


def test_what_is_read_again_is_kept() -> None:
    graph, kernels = cut([node("Relu", "x", "a"), node("Conv", "a w", "b", **CONV), node("Add", "a b", "y")], weights=[W3])
    found = together(buffers(graph, kernels, IN_PLACE))
    assert found in ({frozenset({"x", "a", "y"})}, {frozenset({"x", "a"}), frozenset({"b", "y"})})
    first = cut([node("Relu", "x", "a"), node("Add", "x a", "y")])
    assert peak(*first, "liveness_in_place").peak_bytes == 2 * MAP


def test_an_output_of_the_network_is_kept() -> None:
    graph, kernels = cut([node("Relu", "x", "a"), node("Relu", "a", "y")], "a y")
    assert together(buffers(graph, kernels, IN_PLACE)) == {frozenset({"x", "a"})}


def test_an_output_is_kept_through_its_view() -> None:
    graph, kernels = cut([node("Relu", "x", "a"), node("Flatten", "a", "f"), node("Relu", "a", "y")], "f y")
    assert together(buffers(graph, kernels, IN_PLACE)) == {frozenset({"x", "a"})}
    assert peak(graph, kernels, "liveness_in_place").peak_bytes == 2 * MAP


def test_an_addition_fused_behind_a_convolution_overwrites_the_other_operand() -> None:
    nodes = [node("Conv", "x v", "a"), node("Conv", "x w", "t", **CONV), node("Add", "t a", "y")]
    graph, kernels = cut(nodes, weights=[W3, weight("v", 2, 2, 1, 1)], fusion=("residual",))
    assert len(kernels) == 2
    assert frozenset({"a", "y"}) in together(buffers(graph, kernels, IN_PLACE))


def test_what_the_convolution_itself_reads_is_not_overwritten() -> None:
    """x + conv(x) in one kernel: neighbours of x are still needed when its first element would be written."""
    graph, kernels = cut([node("Conv", "x w", "t", **CONV), node("Add", "t x", "y")], weights=[W3], fusion=("residual",))
    assert len(kernels) == 1
    assert together(buffers(graph, kernels, IN_PLACE)) == set()


def test_a_smaller_or_narrower_input_is_not_overwritten() -> None:
    row = value("r", 1, 2, 1, 1)
    graph, kernels = cut([node("Mul", "r x", "y")], inputs=(IMAGE, row))
    assert together(buffers(graph, kernels, IN_PLACE)) == {frozenset({"x", "y"})}
    half = value("h", 1, 2, SIDE, SIDE, dtype=FLOAT16)
    assert together(buffers(*cut([node("Cast", "h", "y", to=1)], inputs=(half,)), IN_PLACE)) == set()
    narrowed = buffers(*cut([node("Cast", "x", "t", to=10), node("Relu", "t", "y")]), IN_PLACE)
    assert [b.spans for b in narrowed] == [(Span(MAP, 0, 0), Span(MAP // 2, 1, 1))]


def test_a_view_is_no_tensor() -> None:
    graph, kernels = cut([node("Relu", "x", "a"), node("Flatten", "a", "f"), node("Relu", "f", "y")])
    assert peak(graph, kernels, "liveness").peak_bytes == 2 * MAP
    assert together(buffers(graph, kernels, IN_PLACE)) == {frozenset({"x", "a", "y"})}


@pytest.mark.parametrize(("kind", "scratch"), [("channel", SIDE * SIDE), ("rows", 3 * SIDE * 2)])
def test_depthwise_in_place_needs_a_little_more(kind, scratch: int) -> None:
    graph, kernels = cut([node("Conv", "x w", "y", group=2, **CONV)], weights=[W_DEPTHWISE])
    assert liveness(graph, kernels, Aliasing(depthwise=kind)).peak_bytes == MAP + 4 * scratch
    assert liveness(graph, kernels, Aliasing(depthwise="copy")).peak_bytes == 2 * MAP
    assert liveness(graph, kernels, Aliasing(elementwise=False, depthwise=kind)).peak_bytes == MAP + 4 * scratch


def test_a_strided_depthwise_leaves_less_behind() -> None:
    """Its output lies where its input began; what is behind it is free again."""
    nodes = [node("Conv", "x w", "t", group=2, strides=[2, 2], **CONV), node("Conv", "t v", "y")]
    graph, kernels = cut(nodes, weights=[W_DEPTHWISE, weight("v", 2, 2, 1, 1)])
    (shared,) = (b for b in buffers(graph, kernels, IN_PLACE) if b.name == "x")
    assert shared.spans == (Span(MAP, 0, 0), Span(MAP // 4, 1, 1))


def test_a_convolution_of_all_channels_is_not_in_place() -> None:
    assert together(buffers(*cut([node("Conv", "x w", "y", **CONV)], weights=[W3]), IN_PLACE)) == set()


def test_concat_without_copying() -> None:
    nodes = [
        node("Conv", "x w", "a", **CONV),
        node("Sigmoid", "x", "b"),
        node("Concat", "a b", "c", axis=1),
        node("Relu", "c", "y"),
    ]
    graph, kernels = cut(nodes, weights=[W3])
    copying, sharing = Aliasing(elementwise=False), Aliasing(elementwise=False, zero_copy=True)
    assert together(buffers(graph, kernels, sharing)) == {frozenset({"c", "a", "b"})}
    assert liveness(graph, kernels, copying).live_bytes[2] == 4 * MAP
    assert liveness(graph, kernels, sharing).live_bytes[2] == 2 * MAP
    assert frozenset({"c", "a", "b", "y"}) in together(buffers(graph, kernels, Aliasing(zero_copy=True)))


def test_concat_copies_where_parts_do_not_lie_behind_each_other() -> None:
    nodes = [node("Relu", "x", "a"), node("Sigmoid", "x", "b"), node("Concat", "a b", "y", axis=2)]
    assert together(buffers(*cut(nodes), Aliasing(elementwise=False, zero_copy=True))) == set()
    twice = [node("Relu", "x", "a"), node("Concat", "a a", "y", axis=1)]
    assert together(buffers(*cut(twice), Aliasing(elementwise=False, zero_copy=True))) == set()


def test_split_without_copying() -> None:
    nodes = [node("Relu", "x", "t"), node("Split", "t", "a b", axis=1), node("Sigmoid", "a", "y"), node("Sigmoid", "b", "z")]
    graph, kernels = cut(nodes, "y z")
    found = buffers(graph, kernels, Aliasing(zero_copy=True))
    assert frozenset({"t", "a", "b"}) <= next(names for names in together(found) if "t" in names)
    assert not any({"a", "y"} <= names for names in together(found))  # a part's bytes are the whole's


def test_naive_counts_what_is_between() -> None:
    graph, kernels = cut([node("Relu", "x", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")])
    assert naive_bytes(graph, kernels) == 2 * MAP


def test_culprits_are_what_is_there_the_largest_first() -> None:
    nodes = [node("Conv", "x w", "t"), node("Relu", "t", "y")]
    graph, kernels = cut(nodes, weights=[weight("w", 8, 2, 1, 1)])
    found = peak(graph, kernels, "liveness")
    assert (found.at, [t.spec.name for t in found.culprits], found.peak_bytes) == (1, ["t", "y"], 8 * MAP)
    assert in_out(graph, kernels).live_bytes.tolist() == [5 * MAP, 8 * MAP]


def test_a_network_without_kernels() -> None:
    graph = resolved(model([], [value("x", 3)], ["x"]))
    for convention in ("in_out", "liveness", "liveness_in_place"):
        found = peak(graph, (), convention)
        assert (found.peak_bytes, found.culprits) == (0, ())
