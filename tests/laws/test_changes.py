"""What holds of every change of a network's structure: valid graphs, boundaries kept, fewer channels never more work."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checked import check, onnx_shapes
from support.classifiers import classifiers

from simulator.api import estimate, load_model
from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.model import Model
from simulator.transform import structure
from simulator.transform.change import change_of
from simulator.transform.groups import channel_groups
from simulator.transform.precision import with_precision
from simulator.zoo import list_recipes

RECIPES = [recipe.id for recipe in list_recipes() if recipe.id != "gemm"]
CHANGES = ["channels=0.5", "width=0.5", "width=2", "separable=*", "grouped=2", "low_rank=0.5", "squeeze_excite=2"]


def changed(graph: Graph, text: str) -> Graph:
    name, _, value = text.partition("=")
    assert name in structure.__all__
    return change_of(name).apply(graph, value)


def tried(graph: Graph, text: str) -> Graph | None:
    """The changed graph; None where the network has nothing that the change is about, and says so."""
    try:
        return changed(graph, text)
    except UsageError as error:
        if "the network has no" not in str(error):
            raise
        return None


def boundary(graph: Graph) -> list[object]:
    return [(name, graph.tensors[name]) for name in (*graph.inputs, *graph.outputs)]


@settings(max_examples=60)
@given(classifiers(), st.sampled_from(CHANGES))
def test_a_changed_graph_is_valid_and_keeps_its_boundary(network: Model, text: str) -> None:
    graph = tried(network.graph, text)
    if graph is None:
        return
    check(graph)
    assert boundary(graph) == boundary(network.graph)
    assert all(graph.tensors[name].shape == shape for name, shape in onnx_shapes(graph).items())


@settings(max_examples=60)
@given(classifiers(), st.floats(0.0, 0.99), st.floats(0.0, 0.99), st.sampled_from(["", ":divisor=2", ":divisor=8"]))
def test_more_pruned_is_never_more(network: Model, one: float, other: float, divisor: str) -> None:
    if not channel_groups(network.graph).groups:
        return
    less, more = (Model(changed(network.graph, f"channels={share!r}{divisor}")) for share in sorted((one, other)))
    assert more.macs <= less.macs <= network.macs
    assert more.params <= less.params <= network.params
    assert more.activation_elements_total <= less.activation_elements_total


@settings(max_examples=30)
@given(classifiers())
def test_nothing_pruned_is_nothing_changed(network: Model) -> None:
    if channel_groups(network.graph).groups:
        assert changed(network.graph, "channels=0") is network.graph


@settings(max_examples=30)
@given(classifiers(), st.sampled_from(["channels=0.5", "width=2"]), st.sampled_from(["separable=*", "low_rank=0.5"]))
def test_one_after_the_other_is_valid(network: Model, first: str, second: str) -> None:
    graph = network.graph
    for text in (first, second, first):
        graph = tried(graph, text) or graph
    check(graph)
    assert boundary(graph) == boundary(network.graph)


@settings(max_examples=30)
@given(classifiers(), st.sampled_from(CHANGES), st.sampled_from(["int8", "fp16", "w4a16"]))
def test_the_precision_may_come_before_or_after(network: Model, text: str, precision: str) -> None:
    graph = tried(network.graph, text)
    if graph is None:
        return
    after = with_precision(graph, precision)
    if text.startswith(("channels", "width")):
        before = changed(with_precision(network.graph, precision), text)
        assert Model(after).macs == Model(before).macs
        assert Model(after).weight_bytes == Model(before).weight_bytes


def test_a_matrix_product_has_no_width() -> None:
    with pytest.raises(UsageError, match=r"width=0\.5: the network has no channels that could be changed: [^\n]*$"):
        changed(load_model("gemm").graph, "width=0.5")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_at_half_the_width(name: str) -> None:
    network = load_model(name)
    graph = changed(network.graph, "width=0.5")
    check(graph)
    assert boundary(graph) == boundary(network.graph)
    assert Model(graph).macs < 0.7 * network.macs


@pytest.mark.parametrize(
    "name", ["resnet50", "mobilenet_v2", "densenet121", "shufflenet_v2_x1_0", "efficientnet_b0", "squeezenet1_1"]
)
def test_onnx_infers_the_same_shapes_at_half_the_width(name: str) -> None:
    graph = changed(load_model(name).graph, "width=0.5")
    shapes = onnx_shapes(graph)
    assert len(shapes) >= len(graph.ops)
    assert all(graph.tensors[tensor].shape == shape for tensor, shape in shapes.items())


@pytest.mark.parametrize("precision", [None, "int8"])
@pytest.mark.parametrize("text", CHANGES)
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "vit_b_32"])
def test_changed_networks_can_be_estimated(name: str, text: str, precision: str | None) -> None:
    network = load_model(name)
    graph = tried(network.graph, text)
    if graph is None:  # three channels in, and no images in its residual branches
        assert (name, text) in (("vit_b_32", "squeeze_excite=2"), ("vit_b_32", "grouped=2"))
        return
    found = Model(graph)
    est = estimate(found, "jetson_orin_nano", precision=precision)
    assert est.latency_s >= est.bound_latency_s > 0.0
    assert est.model.macs == found.macs


def test_half_the_width_is_faster_and_needs_less() -> None:
    network = load_model("resnet50")
    plain, half = (estimate(m, "rpi4") for m in (network, Model(changed(network.graph, "width=0.5"))))
    assert half.latency_s < plain.latency_s
    assert half.work.footprint.weight_bytes < plain.work.footprint.weight_bytes
    assert half.prepared.occupancy.peak_bytes < plain.prepared.occupancy.peak_bytes
