"""docs/compare.md tells the truth: its commands print what it says, its options and keys are those of the code."""

import re
from pathlib import Path

import pytest

import simulator as sim
from simulator import zoo
from simulator.study.compare import SORTS
from tests import readme
from tests.cli.command import ESCAPE, good

PAGE = readme.README.parent / "docs" / "compare.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("block", readme.blocks(TEXT), ids=lambda b: readme.commands(b)[0])
def test_commands_print_what_the_page_says(block: str, tmp_path: Path) -> None:
    assert readme.run_block(block, tmp_path) == block


def test_figures_and_tasks_are_all_named() -> None:
    (listed,) = re.findall(r"`--sort` takes (.*?), or\n?\s*`order`", TEXT, re.DOTALL)
    assert re.findall(r"`(\w+)`", listed) == list(SORTS)
    assert all(f"`{task}`" in TEXT or f"--task {task}" in TEXT for task in zoo.TASKS)


def test_keys_are_those_of_the_rows() -> None:
    (row,) = sim.compare(["resnet8"], ["gap9"]).rows()
    for key in (
        "model",
        "hardware",
        "precision",
        "runtime",
        "batch",
        "bound",
        "fits",
        "reason",
        *(k for k in row if "accuracy" in k),
    ):
        assert key in row
        assert f"`{key}`" in TEXT


def test_options_are_those_of_the_command() -> None:
    shown = ESCAPE.sub("", good("recommend", "--help", COLUMNS="200").out)
    assert set(re.findall(r"--(?:max|min)-\w+", shown)) == set(re.findall(r"--(?:max|min)-\w+", TEXT))


def test_losses_by_quantization_are_those_of_the_catalogue() -> None:
    bests = [(zoo.accuracy_of(name), zoo.accuracy_of(name, "int8")) for name in zoo.with_accuracy(zoo.TASKS["imagenet"])]
    losses = [plain.value - quantized.value for plain, quantized in bests if plain and quantized]
    low, high = map(float, re.findall(r"from ([\d.]+) to ([\d.]+) points", TEXT)[0])
    assert (round(min(losses), 1), round(max(losses), 1)) == (low, high)
    early = {
        recipe.id: zoo.accuracy_of(recipe.id).value - accuracy.value  # type: ignore[union-attr]
        for recipe in zoo.list_recipes()
        for accuracy in recipe.published.accuracy
        if (accuracy.source, accuracy.note) == ("tflite", "quantized after training")
    }
    assert {name: round(loss) for name, loss in early.items()} == {"mobilenet_v1": 5, "mobilenet_v2": 8}
