"""Reads recipes: `models/<family>.yaml`, a block table with parameters, variants and published figures."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pydantic
import yaml
from pydantic import Field, JsonValue, model_validator

from simulator.errors import ModelError, NotFoundError, did_you_mean
from simulator.io import catalogue
from simulator.zoo.style import Strict

SCHEMA = 1
Value = int | float | str
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Parameter(Strict):
    """A parameter of a recipe: its type is that of its default."""

    default: Value
    min: int | float | None = None
    max: int | float | None = None
    help: str


BATCH = Parameter(default=1, min=1, help="samples a run; multiplies the leading dimension of every input")


class Figure(Strict):
    """A published count, exact unless a tolerance (absolute, from the digits printed) is given.

    `convention` says how the publisher counted where that is not the plain way, `at` which parameters hold
    where they are not the defaults.
    """

    value: int
    tolerance: int = 0
    source: str
    convention: str = ""
    at: dict[str, Value] = Field(default_factory=dict)


class Accuracy(Strict):
    """A published accuracy, as printed; `note` says what it is where it is not that of the named weights.

    `precision` is that of the network it was found with, `at` which parameters hold where they are not the defaults.
    """

    metric: Literal["top1_percent", "top5_percent", "auc"]
    value: float
    dataset: str
    precision: Literal["fp32", "int8"] = "fp32"
    at: dict[str, Value] = Field(default_factory=dict)
    weights: str = ""
    source: str
    note: str = ""


class Published(Strict):
    """What the publisher states of a network."""

    params: Figure | None = None
    macs: Figure | None = None
    accuracy: list[Accuracy] = Field(default_factory=list)

    @property
    def sources(self) -> set[str]:
        """Keys of all sources named."""
        cited = [figure.source for figure in (self.params, self.macs) if figure is not None]
        return {*cited, *(accuracy.source for accuracy in self.accuracy)}


class Input(Strict):
    """A graph input; `shape` is one sample's, its leading dimension is multiplied by the batch."""

    name: str
    shape: list[int | str] = Field(min_length=1)
    dtype: Literal["float32", "int64"] = "float32"


class Row(pydantic.BaseModel):
    """A row of the block table: which block, its name in the graph, and the block's own keys."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="allow")
    block: str
    name: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The block's own keys."""
        return dict(self.model_extra or {})


class Compound(Strict):
    """A parameter that scales others together: each times its factor to the power of this parameter (Tan & Le 2019).

    What is a whole number becomes the nearest multiple of `multiple`. At 0 nothing changes.
    """

    parameter: str
    factors: dict[str, float] = Field(min_length=1)
    multiple: int = Field(default=1, ge=1)

    def scaled(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The parameters with those that it scales at their sizes."""
        power, found = values[self.parameter], dict(values)
        if isinstance(power, str) or not power:
            return found
        for name, factor in self.factors.items():
            base = values[name]
            if isinstance(base, int):
                found[name] = self.multiple * round(base * factor**power / self.multiple)
            elif isinstance(base, float):
                found[name] = base * factor**power
        return found


class Variant(Strict):
    """One network of a family: a catalogue id. What it names replaces or adds to the family's."""

    title: str
    description: str = ""
    aliases: list[str] = Field(default_factory=list)
    defaults: dict[str, Value] = Field(default_factory=dict)
    constants: dict[str, JsonValue] = Field(default_factory=dict)
    style: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: list[Input] | None = None
    blocks: list[Row] | None = None
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    compound: Compound | None = None
    published: Published = Published()


class Family(Strict):
    """A recipe file."""

    schema_: Literal[1] = Field(alias="schema")
    title: str
    description: str
    sources: dict[str, str]
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    constants: dict[str, JsonValue] = Field(default_factory=dict)
    style: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: list[Input] = Field(min_length=1)
    blocks: list[Row] = Field(default_factory=list)
    variants: dict[str, Variant] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> "Family":
        """Variants override what exists, cite what is listed, and have a block table."""
        faults = ["every recipe has the parameter 'batch'; do not declare it"] if "batch" in self.parameters else []
        for name, variant in self.variants.items():
            unknown = variant.defaults.keys() - self.parameters.keys()
            uncited = variant.published.sources - self.sources.keys()
            faults += [f"{name}: no parameter '{key}'{did_you_mean(key, self.parameters)}" for key in sorted(unknown)]
            faults += [f"{name}: no source '{key}'{did_you_mean(key, self.sources)}" for key in sorted(uncited)]
            own = {**self.parameters, **variant.parameters}
            scaling = (variant.compound.parameter, *variant.compound.factors) if variant.compound else ()
            faults += [f"{name}: compound: no parameter '{key}'{did_you_mean(key, own)}" for key in scaling if key not in own]
            elsewhere = {key for accuracy in variant.published.accuracy for key in accuracy.at} - own.keys()
            faults += [f"{name}: accuracy at '{key}', no parameter{did_you_mean(key, own)}" for key in sorted(elsewhere)]
            if not (variant.blocks or self.blocks):
                faults.append(f"{name}: neither it nor the family has blocks")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class Recipe(Strict):
    """One network with everything it takes to build it: a family and one of its variants, merged."""

    id: str
    family: str
    title: str
    description: str
    aliases: list[str]
    sources: dict[str, str]
    parameters: dict[str, Parameter]
    constants: dict[str, JsonValue]
    style: dict[str, JsonValue]
    inputs: list[Input]
    blocks: list[Row]
    compound: Compound | None
    published: Published


def _merged(family_id: str, family: Family, variant_id: str) -> Recipe:
    """A family with one variant's changes applied."""
    variant = family.variants[variant_id]
    parameters = {"batch": BATCH, **family.parameters, **variant.parameters}
    for key, default in variant.defaults.items():
        parameters[key] = parameters[key].model_copy(update={"default": default})
    return Recipe(
        id=variant_id,
        family=family_id,
        title=variant.title,
        description=variant.description or family.description,
        aliases=variant.aliases,
        sources=family.sources,
        parameters=parameters,
        constants={**family.constants, **variant.constants},
        style={**family.style, **variant.style},
        inputs=variant.inputs or family.inputs,
        blocks=variant.blocks or family.blocks,
        compound=variant.compound,
        published=variant.published,
    )


def load_family(path: Path) -> dict[str, Recipe]:
    """The networks of a recipe file, by id.

    Raises:
        ModelError: naming every fault of the file.
    """
    try:
        data = yaml.load(path.read_text("utf-8"), _YAML_LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    version = data.get("schema") if isinstance(data, Mapping) else None
    if version != SCHEMA:
        raise ModelError(f"{path}: schema {version} is unknown; this version reads `schema: {SCHEMA}`")
    try:
        family = Family.model_validate(data)
    except pydantic.ValidationError as error:
        faults = [f"{path}: {_place(dict(fault))}" for fault in error.errors()]
        raise ModelError("\n".join(faults)) from error
    return {variant: _merged(path.stem, family, variant) for variant in family.variants}


_KNOWN_KEYS = frozenset(
    key for model in (Family, Variant, Compound, Parameter, Published, Figure, Accuracy, Input) for key in model.model_fields
)


def _place(fault: Mapping[str, Any]) -> str:
    """Path and sentence of one fault."""
    *_, key = fault["loc"] or ("",)
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key{did_you_mean(str(key), _KNOWN_KEYS)}"
    return f"{where}: {fault['msg']}"


@cache
def all_recipes() -> Mapping[str, Recipe]:
    """Every network of the catalogue by id, sorted."""
    found: dict[str, Recipe] = {}
    for path in catalogue.entries("models", ".").values():
        for name, recipe in load_family(path).items():
            if name in found:
                raise ModelError(f"{path}: '{name}' is already a network of {found[name].family}.yaml")
            found[name] = recipe
    return dict(sorted(found.items()))


def find_recipe(name: str) -> Recipe:
    """The network of an id or an alias.

    Raises:
        NotFoundError: the catalogue has none of that name.
    """
    recipes = all_recipes()
    names = {name: recipe for recipe in recipes.values() for name in (recipe.id, *recipe.aliases)}
    if name not in names:
        raise NotFoundError(f"the model catalogue has no '{name}'{did_you_mean(name, names)} (see: sim models list)")
    return names[name]
