"""The model zoo: `models/*.yaml` become ONNX models without weights. Importing it does not load onnx."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.zoo.accuracy import TASKS, Task, accuracies_of, accuracy_of, task_of, with_accuracy
from simulator.zoo.recipe import Accuracy, Parameter, Published, Value, all_recipes, find_recipe
from simulator.zoo.reference import check_parameters, parse_reference

if TYPE_CHECKING:
    import onnx

__all__ = [
    "TASKS",
    "Accuracy",
    "Parameter",
    "Published",
    "RecipeInfo",
    "Task",
    "accuracies_of",
    "accuracy_of",
    "build",
    "find_recipe",
    "list_recipes",
    "parse_reference",
    "task_of",
    "with_accuracy",
]


@dataclass(frozen=True, slots=True)
class RecipeInfo:
    """What the catalogue says of a network; `sources` spells out the sources that `published` names."""

    id: str
    family: str
    title: str
    description: str
    aliases: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    published: Published
    sources: Mapping[str, str]


def list_recipes() -> tuple[RecipeInfo, ...]:
    """Every network of the catalogue, sorted by id."""
    return tuple(
        RecipeInfo(r.id, r.family, r.title, r.description, tuple(r.aliases), r.parameters, r.published, r.sources)
        for r in all_recipes().values()
    )


def build(recipe_id: str, **parameters: Value) -> "onnx.ModelProto":
    """The ONNX model of a catalogue network: structure and headers of weights, no weights.

    Raises:
        NotFoundError: no such network.
        UsageError: a parameter that is unknown or has no valid value.
        ShapeError: a combination of parameters that leaves some layer without output.
    """
    from simulator.zoo.assemble import assemble  # loads onnx

    recipe = find_recipe(recipe_id)
    return assemble(recipe, check_parameters(recipe, parameters))
