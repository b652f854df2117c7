"""A recipe and values of its parameters become an ONNX model without weights."""

from collections.abc import Mapping

import onnx
import pydantic
from pydantic import JsonValue

from simulator.errors import ModelError, did_you_mean
from simulator.zoo.blocks import find_block
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.recipe import Recipe, Value
from simulator.zoo.style import Style


def assemble(recipe: Recipe, values: Mapping[str, Value]) -> onnx.ModelProto:
    """The network with the given values; what is not given takes its default."""
    parameters = {key: parameter.default for key, parameter in recipe.parameters.items()} | dict(values)
    parameters = parameters if recipe.compound is None else recipe.compound.scaled(parameters)
    names: dict[str, JsonValue] = {**recipe.constants, **parameters}
    net = GraphBuilder(recipe.id, _style(recipe, names))
    x = _declare_inputs(net, recipe, names)
    for row in recipe.blocks:
        kind = resolve(recipe.id, row.block, names)
        arguments = {key: resolve(recipe.id, value, names) for key, value in row.arguments.items()}
        x = find_block(str(kind)).append(net, x, row.name, arguments)
    return net.finish(x, {"recipe": recipe.id, **{key: str(value) for key, value in parameters.items()}})


def resolve(recipe_id: str, value: JsonValue, names: Mapping[str, JsonValue]) -> JsonValue:
    """A value of the table, with every `$name` in it replaced by that parameter or constant."""
    if isinstance(value, list):
        return [resolve(recipe_id, item, names) for item in value]
    if isinstance(value, dict):
        return {key: resolve(recipe_id, item, names) for key, item in value.items()}
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    name = value[1:]
    if name not in names:
        raise ModelError(f"{recipe_id}: {value} is neither a parameter nor a constant{did_you_mean(name, names)}")
    return names[name]


def _style(recipe: Recipe, names: Mapping[str, JsonValue]) -> Style:
    """The network's settings."""
    try:
        return Style.model_validate(resolve(recipe.id, recipe.style, names))
    except pydantic.ValidationError as error:
        raise ModelError(f"{recipe.id}: style: {error}") from error


def _declare_inputs(net: GraphBuilder, recipe: Recipe, names: Mapping[str, JsonValue]) -> Tensor:
    """Declares the inputs and gives back the first."""
    batch = names["batch"]
    for item in recipe.inputs:
        dims = [resolve(recipe.id, dim, names) for dim in item.shape]
        whole = [dim for dim in [batch, *dims] if isinstance(dim, int)]
        if len(whole) != len(dims) + 1:
            raise ModelError(f"{recipe.id}: input '{item.name}' has a dimension that is not a whole number: {dims}")
        leading, first, *rest = whole
        net.input(item.name, (leading * first, *rest), item.dtype)
    return net.inputs[recipe.inputs[0].name]
