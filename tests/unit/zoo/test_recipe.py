"""Recipe files: what is refused, and how it is said."""

import pytest
import yaml

from simulator.errors import ModelError
from simulator.io import catalogue
from simulator.zoo.assemble import assemble
from simulator.zoo.recipe import load_family

MINIMAL = """
schema: 1
title: Tiny
description: One layer.
sources: {paper: A paper}
parameters:
  classes: {default: 10, min: 1, help: outputs}
inputs:
  - {name: input, shape: [1, 4]}
blocks:
  - {block: linear, name: fc, features: $classes}
variants:
  tiny:
    title: Tiny
    published:
      params: {value: 50, source: paper}
"""


@pytest.fixture
def load(tmp_path):
    """Loads the minimal recipe with one text replaced by another."""

    def load_changed(old="", new=""):
        assert old in MINIMAL
        path = tmp_path / "tiny.yaml"
        path.write_text(MINIMAL.replace(old, new, 1) if old else MINIMAL)
        return load_family(path)

    return load_changed


def test_a_minimal_recipe_builds(load):
    recipe = load()["tiny"]
    model = assemble(recipe, {"batch": 2})
    assert recipe.family == "tiny"
    assert list(recipe.parameters) == ["batch", "classes"]
    assert [node.name for node in model.graph.node] == ["fc"]
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [2, 10]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1", "schema: 2", r"tiny\.yaml: schema 2 is unknown; this version reads `schema: 1`"),
        (MINIMAL, "- a list", r"schema None is unknown"),
        (MINIMAL, "{", r"tiny\.yaml cannot be read"),
        ("description:", "descripton:", r"descripton: unknown key; did you mean 'description'"),
        (
            "source: paper",
            "sorce: paper",
            r"variants\.tiny\.published\.params\.sorce: unknown key; did you mean 'source'",
        ),
        ("source: paper", "source: papper", r"tiny: no source 'papper'; did you mean 'paper'"),
        ("value: 50", "value: '50'", r"variants\.tiny\.published\.params\.value: Input should be a valid integer"),
        ("  tiny:\n", "  tiny:\n    defaults: {clases: 3}\n", r"tiny: no parameter 'clases'; did you mean 'classes'"),
        ("  classes:", "  batch: {default: 1, help: b}\n  classes:", "every recipe has the parameter 'batch'"),
        (
            "blocks:\n  - {block: linear, name: fc, features: $classes}\n",
            "",
            "tiny: neither it nor the family has blocks",
        ),
    ],
)
def test_faults_of_a_file(old, new, message, load):
    with pytest.raises(ModelError, match=message):
        load(old, new)


def test_all_faults_come_at_once(load):
    with pytest.raises(ModelError) as caught:
        load("title: Tiny\ndescription: One layer.", "titel: Tiny\ndescription: 1")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all("tiny.yaml: " in line for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("block: linear", "block: liner", "there is no block 'liner'; did you mean 'linear'"),
        ("features: $classes", "featurs: 3", r"block 'fc' \(linear\): features: field required; unknown key 'featurs'"),
        ("features: $classes", "features: many", r"block 'fc' \(linear\): features: input should be a valid integer"),
        ("$classes", "$clases", r"tiny: \$clases is neither a parameter nor a constant; did you mean 'classes'"),
        ("inputs:", "style: {norm: group}\ninputs:", "tiny: style: .*norm"),
        ("shape: [1, 4]", "shape: [1, four]", "input 'input' has a dimension that is not a whole number"),
        ("blocks:", "blocks:\n  - {block: linear, name: fc, features: 3}", "two parts of the network are called 'fc"),
        (
            "blocks:",
            "blocks:\n  - {block: inverted_residual, name: x, channels: 3}",
            "needs one of 'expand' and 'hidden'",
        ),
    ],
)
def test_faults_of_a_block_table(old, new, message, load):
    with pytest.raises(ModelError, match=f"(?s){message}"):
        assemble(load(old, new)["tiny"], {})


def test_two_files_may_not_hold_the_same_network(tmp_path, monkeypatch):
    from simulator.zoo import recipe

    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(MINIMAL)
    files = {name: tmp_path / f"{name}.yaml" for name in ("a", "b")}
    monkeypatch.setattr(catalogue, "entries", lambda *_: files)
    with pytest.raises(ModelError, match=r"'tiny' is already a network of a\.yaml"):
        recipe.all_recipes.__wrapped__()


@pytest.mark.parametrize("path", catalogue.entries("models", ".").values(), ids=lambda path: path.stem)
def test_catalogue_files_are_tidy(path):
    text = path.read_text("utf-8")
    assert text.startswith("schema: 1\n")
    assert "\t" not in text
    assert yaml.safe_load(text)["sources"] is not None
