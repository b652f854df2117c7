"""Published accuracies: what the sources print, which one counts, and what counts for nothing."""

import pytest

from simulator import zoo
from simulator.errors import ModelError, NotFoundError, UsageError
from simulator.zoo.accuracy import LEADING, accuracies_of, reference_of
from simulator.zoo.assemble import assemble
from simulator.zoo.recipe import all_recipes, load_family
from simulator.zoo.reference import check_parameters
from tests.unit.zoo.test_recipe import MINIMAL

PUBLISHED = [
    # tensorflow/models@02c04f49, research/slim/nets/mobilenet_v1.md
    ("mobilenet_v1", "fp32", 70.9), ("mobilenet_v1", "int8", 69.7), ("mobilenet_v1:width=0.25,resolution=128", "fp32", 41.5),
    ("mobilenet_v1:width=0.25,resolution=128", "int8", 39.9), ("mobilenet_v1:width=0.75,resolution=160", "int8", 63.9),
    # tensorflow/models@0ba83cf0, research/slim/nets/mobilenet/README.md
    ("mobilenet_v2:width=1.4", "fp32", 75.0), ("mobilenet_v2:width=0.35,resolution=96", "fp32", 45.5),
    ("mobilenet_v2:width=0.5,resolution=160", "fp32", 61.0), ("mobilenet_v3_large", "int8", 73.9),
    # torchvision, models/quantization
    ("mobilenet_v2", "int8", 71.658), ("resnet50", "int8", 80.282), ("resnet18", "int8", 69.494),
    ("shufflenet_v2_x0_5", "int8", 57.972), ("shufflenet_v2_x2_0", "int8", 75.354), ("resnext101_64x4d", "int8", 82.898),
    # tensorflow/tpu@f59154b6 and @132e77da
    ("efficientnet_b2:resolution=260", "fp32", 80.3), ("efficientnet_b7", "fp32", 84.5), ("efficientnet_edgetpu_s", "int8", 77.0),
    # mmpretrain, shufflenet_v1; the authors' 67.8 is lower
    ("shufflenet_v1_g3", "fp32", 68.13), ("shufflenet_v1_g8", "fp32", 68.0),
    # mlcommons.org, quality targets
    ("resnet8", "int8", 85.0), ("autoencoder", "int8", 0.85),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "precision", "value"), PUBLISHED)
def test_figures_are_the_published_ones(reference: str, precision: str, value: float) -> None:
    found = zoo.accuracy_of(reference, precision)
    assert found is not None
    assert found.value == value
    assert found.precision == precision


@pytest.mark.parametrize("recipe", all_recipes().values(), ids=lambda r: r.id)
def test_figures_are_sane_and_belong_to_networks_that_can_be_built(recipe) -> None:
    for accuracy in recipe.published.accuracy:
        assert accuracy.dataset in {task.dataset for task in zoo.TASKS.values()}
        assert accuracy.metric in LEADING
        assert 0.5 <= accuracy.value <= (1 if accuracy.metric == "auc" else 100)
        values = check_parameters(recipe, accuracy.at)
        assert "batch" not in values
        assert all(recipe.parameters[key].default != value for key, value in values.items()), "a default needs no mention"


def test_variants_with_figures_can_be_built() -> None:
    for reference in zoo.with_accuracy(zoo.task_of("imagenet")):
        name, parameters = zoo.parse_reference(reference)
        if parameters:
            assert assemble(zoo.find_recipe(name), parameters).graph.node


@pytest.mark.parametrize("family", ["mobilenet_v1", "mobilenet_v2"])
def test_wider_and_larger_images_are_more_accurate(family: str) -> None:
    """What both of the papers' tables show without exception."""
    recipe = zoo.find_recipe(family)
    slim = [a for a in recipe.published.accuracy if a.source == "slim"]
    at = {(a.precision, a.at.get("width", 1.0), a.at.get("resolution", 224)): a.value for a in slim}
    assert len(at) == len(slim) == {"mobilenet_v1": 32, "mobilenet_v2": 22}[family]
    for (precision, width, resolution), value in at.items():
        for (other, wider, larger), more in at.items():
            if other == precision and (width, resolution) != (wider, larger) and wider >= width and larger >= resolution:
                assert more > value


def test_the_best_of_several_recipes_counts_and_says_whose_it_is() -> None:
    found = zoo.accuracy_of("resnet50")
    assert found is not None
    assert (found.value, found.weights) == (80.858, "IMAGENET1K_V2")


@pytest.mark.parametrize(
    ("reference", "precision"),
    [("resnet50:resolution=160", "fp32"), ("mobilenet_v2:width=0.5", "int8"), ("gemm", "fp32"), ("vgg16", "int8"),
     ("resnet50:classes=10", "fp32")],
)  # fmt: skip
def test_other_parameters_and_precisions_count_for_nothing(reference: str, precision: str) -> None:
    assert zoo.accuracy_of(reference, precision) is None


def test_neither_batch_nor_spelling_matters() -> None:
    plain = zoo.accuracy_of("mobilenet_v1:width=0.5")
    assert plain is not None
    assert zoo.accuracy_of("mobilenet_v1:resolution=224,width=0.50,batch=8") == plain
    assert zoo.accuracy_of("efficientnet_es", "int8") == zoo.accuracy_of("efficientnet_edgetpu_s", "int8")


def test_all_figures_are_here_or_elsewhere() -> None:
    here, others = accuracies_of("mobilenet_v1:width=0.5,resolution=128")
    assert [a.value for a in here] == [56.3, 54.9]
    assert len(others["default parameters"]) == 3
    assert "width=0.5,resolution=128" not in others
    assert sum(map(len, others.values())) + len(here) == len(zoo.find_recipe("mobilenet_v1").published.accuracy)


def test_references_read_back() -> None:
    for task in zoo.TASKS.values():
        for reference in zoo.with_accuracy(task):
            name, at = zoo.parse_reference(reference)
            assert reference_of(name, at) == reference
            assert zoo.accuracy_of(reference) or zoo.accuracy_of(reference, "int8")


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="no task 'imagenett'; did you mean 'imagenet'"):
        zoo.task_of("imagenett")
    with pytest.raises(NotFoundError, match="mobilenet_v1"):
        zoo.accuracy_of("mobilenet_v11")
    with pytest.raises(UsageError, match="did you mean 'width'"):
        zoo.accuracy_of("mobilenet_v1:widht=1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{metric: top1_percent, value: 1.0, dataset: d, source: paper, at: {clases: 3}}",
            "accuracy at 'clases', no parameter; did",
        ),
        ("{metric: top1_percent, value: 1.0, dataset: d, source: paper, precision: int9}", "precision"),
        ("{metric: top1_percent, value: 1.0, dataset: d, source: papper}", "no source 'papper'"),
        ("{metric: top1, value: 1.0, dataset: d, source: paper}", "metric"),
    ],
)
def test_faults_of_entries_are_named(entry: str, message: str, tmp_path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(MINIMAL + f"      accuracy:\n        - {entry}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        load_family(path)
