"""Laws that hold for every network of the catalogue."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import onnx
import pytest

from simulator import zoo
from simulator.errors import UsageError

RECIPES = zoo.list_recipes()


def among(recipes):
    return pytest.mark.parametrize("recipe", recipes, ids=lambda recipe: recipe.id)


each = among(RECIPES)


def test_importing_and_listing_do_not_load_onnx():
    code = "import sys, simulator.zoo as z; z.list_recipes(); z.parse_reference('resnet50'); print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_ids_and_aliases_are_unique_and_sorted():
    names = Counter(name for recipe in RECIPES for name in (recipe.id, *recipe.aliases))
    assert [name for name, count in names.items() if count > 1] == []
    assert [recipe.id for recipe in RECIPES] == sorted(recipe.id for recipe in RECIPES)


@each
def test_strict_shape_inference_works_without_weights(recipe, network):
    net = network(recipe.id)
    outputs = [name for node in net.model.graph.node for name in node.output]
    assert [name for name in outputs if 0 in net.shapes.get(name, (0,))] == []


@each
def test_nodes_pass_the_onnx_checker(recipe, network):
    """The checker opens external files, so weights stand in as inputs here."""
    model = onnx.ModelProto()
    model.CopyFrom(network(recipe.id).model)
    for weight in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    del model.graph.initializer[:]
    onnx.checker.check_model(model, full_check=True)


@among([recipe for recipe in RECIPES if recipe.published.params])
def test_published_parameters(recipe, network):
    figure = recipe.published.params
    assert abs(network(recipe.id).params - figure.value) <= figure.tolerance


@among([recipe for recipe in RECIPES if recipe.published.macs])
def test_published_macs(recipe, network):
    figure = recipe.published.macs
    assert abs(network(recipe.id).macs - figure.value) <= figure.tolerance


@each
def test_inputs_and_output_are_named_as_agreed(recipe, network):
    graph = network(recipe.id).model.graph
    names = [value.name for value in graph.input]
    assert names in (["input"], ["input_ids", "attention_mask", "token_type_ids"])
    assert [value.name for value in graph.output] == ["logits"]
    assert {value.type.tensor_type.shape.dim[0].dim_value for value in graph.input} <= {1}


@each
def test_everything_has_one_name(recipe, network):
    graph = network(recipe.id).model.graph
    names = Counter([node.name for node in graph.node] + [weight.name for weight in graph.initializer])
    assert "" not in names
    assert [name for name, count in names.items() if count > 1] == []


@each
def test_weights_lie_side_by_side_in_a_file_that_does_not_exist(recipe, network):
    model = network(recipe.id).model
    places = [{entry.key: entry.value for entry in weight.external_data} for weight in model.graph.initializer]
    assert {place["location"] for place in places} == {f"{recipe.id}.weights"}
    assert places[0]["offset"] == "0"
    assert all(int(a["offset"]) + int(a["length"]) == int(b["offset"]) for a, b in pairwise(places))
    assert all(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer)
    assert model.ByteSize() < 1_000_000


@each
def test_metadata_names_the_recipe_and_its_parameters(recipe, network):
    metadata = {entry.key: entry.value for entry in network(recipe.id).model.metadata_props}
    assert metadata == {"recipe": recipe.id} | {key: str(p.default) for key, p in recipe.parameters.items()}


@each
def test_batch_scales_macs_and_nothing_else(recipe, network):
    one, three = network(recipe.id), network(f"{recipe.id}:batch=3")
    assert three.macs == 3 * one.macs
    assert three.params == one.params
    assert [n.op_type for n in three.model.graph.node] == [n.op_type for n in one.model.graph.node]


@each
def test_graph_holds_for_any_batch(recipe, network):
    """No shape constant holds the batch: a graph whose input is widened infers the shapes of one built wider."""
    model = onnx.ModelProto()
    model.CopyFrom(network(recipe.id).model)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value *= 3
    widened = type(network(recipe.id))(model)
    assert widened.shapes == network(f"{recipe.id}:batch=3").shapes


@each
def test_figures_cite_a_source_and_hold_at_known_parameters(recipe):
    figures = [f for f in (recipe.published.params, recipe.published.macs, *recipe.published.accuracy) if f]
    assert all(recipe.sources[figure.source] for figure in figures)
    for figure in (recipe.published.params, recipe.published.macs):
        at = figure.at if figure else {}
        assert {key: recipe.parameters[key].default for key in at} == at


@each
def test_unknown_parameter_is_refused(recipe):
    with pytest.raises(UsageError, match=rf"{recipe.id} has no parameter 'nonsense'; it has: .*batch"):
        zoo.build(recipe.id, nonsense=1)


@among([recipe for recipe in RECIPES if "classes" in recipe.parameters])
def test_class_count_changes_the_output(recipe, network):
    assert network(f"{recipe.id}:classes=7").shapes["logits"] == (1, 7)


def test_every_network_but_the_matrix_product_has_published_counts():
    without = [r.id for r in RECIPES if r.published.params is None and r.published.macs is None]
    assert without == ["gemm"]
