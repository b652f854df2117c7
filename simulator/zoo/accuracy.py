"""Which published accuracy a network of the catalogue has, at given parameters and in a precision.

Sources train differently: the best figure that anybody published for exactly these parameters and this precision counts,
whatever the recipe, and says whose it is. A figure for other parameters, or for another precision, counts for nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from simulator.errors import UsageError, did_you_mean
from simulator.zoo.recipe import Accuracy, Recipe, Value, all_recipes, find_recipe
from simulator.zoo.reference import parse_reference

LEADING: Final = ("top1_percent", "auc")  # the metrics that networks are chosen by; of a network that has several, the first
_WITHOUT: Final = ("batch",)  # parameters that accuracy does not depend on


@dataclass(frozen=True, slots=True)
class Task:
    """What networks of one data set do: networks of different tasks cannot stand in for each other."""

    name: str
    dataset: str
    metric: str
    title: str


TASKS: Final[dict[str, Task]] = {
    task.name: task
    for task in (
        Task("imagenet", "ImageNet-1k", "top1_percent", "1000 classes of images"),
        Task("cifar10", "CIFAR-10", "top1_percent", "10 classes of small images"),
        Task("vww", "Visual Wake Words", "top1_percent", "whether a person is in the image"),
        Task("keywords", "Speech Commands", "top1_percent", "spoken words"),
        Task("anomaly", "ToyADMOS toy car", "auc", "sounds of a machine that is not well"),
    )
}


def task_of(name: str) -> Task:
    """The task of that name; UsageError with suggestions otherwise."""
    if name not in TASKS:
        raise UsageError(f"no task '{name}'{did_you_mean(name, TASKS)} (known: {', '.join(TASKS)})")
    return TASKS[name]


def accuracy_of(reference: str, precision: str | None = None) -> Accuracy | None:
    """The best published accuracy at exactly these parameters, in a precision (None: the fp32 of the catalogue's networks).

    Args:
        reference: a catalogue name with parameters: `mobilenet_v1:width=0.5,resolution=128`.
        precision: the precision that the figure must be for.

    Raises:
        NotFoundError, UsageError: the catalogue has no such network, or it no such parameter.
    """
    name, given = parse_reference(reference)
    recipe = find_recipe(name)
    here = _values(recipe, given)
    found = [a for a in recipe.published.accuracy if a.precision == (precision or "fp32") and _values(recipe, a.at) == here]
    for metric in LEADING:
        rivals = [accuracy for accuracy in found if accuracy.metric == metric]
        if rivals:
            return max(rivals, key=lambda accuracy: accuracy.value)
    return None


def accuracies_of(reference: str) -> tuple[tuple[Accuracy, ...], dict[str, tuple[Accuracy, ...]]]:
    """All published accuracies: those at exactly these parameters, and the others by the parameters that they are for.

    Raises:
        NotFoundError, UsageError: the catalogue has no such network, or it no such parameter.
    """
    name, given = parse_reference(reference)
    recipe = find_recipe(name)
    here = _values(recipe, given)
    others: dict[str, tuple[Accuracy, ...]] = {}
    for accuracy in recipe.published.accuracy:
        if _values(recipe, accuracy.at) != here:
            at = reference_of("", accuracy.at)[1:] or "default parameters"
            others[at] = (*others.get(at, ()), accuracy)
    return tuple(a for a in recipe.published.accuracy if _values(recipe, a.at) == here), others


def with_accuracy(task: Task) -> tuple[str, ...]:
    """References of all networks of the catalogue that have a published accuracy in a task, parameters included."""
    return tuple(dict.fromkeys(_references(task)))


def reference_of(recipe_id: str, at: Mapping[str, Value]) -> str:
    """Name and parameters as one writes them: `mobilenet_v1:width=0.5,resolution=128`."""
    return f"{recipe_id}:{','.join(f'{key}={value}' for key, value in at.items())}" if at else recipe_id


def _references(task: Task) -> Iterator[str]:
    for recipe in all_recipes().values():
        for accuracy in recipe.published.accuracy:
            if accuracy.dataset == task.dataset and accuracy.metric == task.metric:
                yield reference_of(recipe.id, accuracy.at)


def _values(recipe: Recipe, given: Mapping[str, Value]) -> dict[str, Value]:
    """All parameters that an accuracy may depend on, defaults included."""
    return {key: given.get(key, parameter.default) for key, parameter in recipe.parameters.items() if key not in _WITHOUT}
