"""Catalogue references: `mobilenet_v2:width=0.5,resolution=96` as an id and its parameters, checked."""

from collections.abc import Mapping

from simulator.errors import UsageError, did_you_mean
from simulator.zoo.recipe import Parameter, Recipe, Value, find_recipe

_LIMIT = 2**31  # a dimension of 2^31 is no network; products of two stay within 64 bits


def parse_reference(text: str) -> tuple[str, dict[str, Value]]:
    """Id and parameters of a reference; an alias becomes its id.

    Raises:
        NotFoundError: no such network.
        UsageError: a parameter that is unknown, given twice, or has no valid value.
    """
    name, _, rest = text.partition(":")
    recipe = find_recipe(name.strip())
    given: dict[str, Value] = {}
    for part in rest.split(",") if rest.strip() else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise UsageError(f"'{part}' in '{text}' is not a parameter; write name=value, commas between them")
        if key in given:
            raise UsageError(f"'{text}' sets {key} twice")
        given[key] = _number(value)
    return recipe.id, check_parameters(recipe, given)


def check_parameters(recipe: Recipe, given: Mapping[str, Value]) -> dict[str, Value]:
    """The given parameters in the types of their defaults.

    Raises:
        UsageError: a parameter is unknown, its value does not fit, or it is given beside one that scales it.
    """
    unknown = [f"'{key}'{did_you_mean(key, recipe.parameters)}" for key in given if key not in recipe.parameters]
    if unknown:
        known = ", ".join(sorted(recipe.parameters))
        raise UsageError(f"{recipe.id} has no parameter {' and no '.join(unknown)}; it has: {known}")
    scaled = [key for key in recipe.compound.factors if key in given] if recipe.compound else []
    if recipe.compound and recipe.compound.parameter in given and scaled:
        raise UsageError(f"{recipe.id}: {recipe.compound.parameter} sets {' and '.join(scaled)} itself; give one or the other")
    return {key: _fitting(recipe.id, key, recipe.parameters[key], value) for key, value in given.items()}


def _number(text: str) -> Value:
    """A whole number, a number, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _fitting(recipe_id: str, key: str, parameter: Parameter, value: Value) -> Value:
    """A value in its parameter's type and range."""
    kind = type(parameter.default)
    accepted = (int, float) if kind is float else kind
    place = f"{recipe_id}: {key}={value}"
    if not isinstance(value, accepted) or isinstance(value, bool):
        names = {int: "a whole number", float: "a number", str: "a word"}
        raise UsageError(f"{place} is not {names[kind]}, like its default {parameter.default}")
    if isinstance(value, str):
        return value
    if not abs(value) < _LIMIT:
        raise UsageError(f"{place} is too large")
    if parameter.min is not None and value < parameter.min:
        raise UsageError(f"{place} is below its minimum {parameter.min}")
    if parameter.max is not None and value > parameter.max:
        raise UsageError(f"{place} is above its maximum {parameter.max}")
    return kind(value)
