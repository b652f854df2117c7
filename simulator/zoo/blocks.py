"""The registry of blocks: a row of a recipe's table names a block, a block appends nodes to a graph.

To add a block, decorate one function in a file `blocks_<family>.py`; its keyword-only parameters are the keys
that a row may hold, checked before it runs.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pydantic

import simulator.zoo
from simulator.errors import ModelError, did_you_mean
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.style import Strict

BlockFunction = Callable[..., Tensor]
_REGISTRY: dict[str, "Block"] = {}


@dataclass(frozen=True, slots=True)
class Block:
    """A kind of block: `function(net, x, name, **arguments)` and the model its arguments must fit."""

    kind: str
    function: BlockFunction
    arguments: type[Strict]

    def append(self, net: GraphBuilder, x: Tensor, name: str, row: Mapping[str, object]) -> Tensor:
        """Checks the row's keys and types and appends the block behind `x`.

        Raises:
            ModelError: naming every key that is unknown, missing or of the wrong type.
        """
        try:
            arguments = self.arguments.model_validate(row)
        except pydantic.ValidationError as error:
            known = self.arguments.model_fields
            faults = "; ".join(_fault(dict(fault), known) for fault in error.errors())
            raise ModelError(f"{net.name}: block '{name}' ({self.kind}): {faults}") from error
        return self.function(net, x, name, **{key: getattr(arguments, key) for key in arguments.model_fields_set})


def _fault(fault: Mapping[str, Any], known: Mapping[str, object]) -> str:
    """One fault of a row as a sentence."""
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{key}'{did_you_mean(key, known)}"
    return f"{key}: {fault['msg'].lower()}"


def block(kind: str) -> Callable[[BlockFunction], BlockFunction]:
    """Registers a block; a row may hold what the function takes by keyword only."""

    def register(function: BlockFunction) -> BlockFunction:
        if kind in _REGISTRY:
            raise ValueError(f"two blocks are called '{kind}'")
        _REGISTRY[kind] = Block(kind, function, _arguments(kind, function))
        return function

    return register


def _arguments(kind: str, function: BlockFunction) -> type[Strict]:
    """The pydantic model of a function's keyword-only parameters."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in parameters if p.kind is p.KEYWORD_ONLY
    }
    return pydantic.create_model(kind, __base__=Strict, **fields)


@cache
def _load() -> None:
    """Imports every `blocks_*` module of this package, so that all blocks are registered."""
    for module in pkgutil.iter_modules(simulator.zoo.__path__):
        if module.name.startswith("blocks_"):
            importlib.import_module(f"simulator.zoo.{module.name}")


def find_block(kind: str) -> Block:
    """The block a row names.

    Raises:
        ModelError: there is no such block.
    """
    _load()
    if kind not in _REGISTRY:
        raise ModelError(f"there is no block '{kind}'{did_you_mean(kind, _REGISTRY)}")
    return _REGISTRY[kind]


def units(name: str, repeat: int, stride: int) -> Iterator[tuple[str, int]]:
    """Name and stride of each unit of a stage: only the first one strides."""
    for i in range(repeat):
        yield f"{name}.{i}", stride if i == 0 else 1
