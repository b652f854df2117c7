"""What-if changes of a network by name: `sparsity=0.9`, `channels=0.5`. Each is one registered function, Graph → Graph."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from simulator.errors import UsageError, did_you_mean
from simulator.graph.graph import Graph

Rewrite = Callable[[Graph, str], Graph]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a network by its name.

    `values` says how its value is written (`0.9, 2:4`), `help` what it does in a line, `caveat` what the numbers leave
    out: that accuracy falls, that an engine must be able to use it. `apply` takes the value as it was typed, and raises
    UsageError for one that it cannot read or that does not fit the network.
    """

    name: str
    values: str
    help: str
    caveat: str
    apply: Rewrite


CHANGES: Final[dict[str, Change]] = {}


def change(name: str, *, values: str, caveat: str) -> Callable[[Rewrite], Rewrite]:
    """Register a change under the name that `--set` uses; its help is the first line of its docstring."""

    def register(rewrite: Rewrite) -> Rewrite:
        CHANGES[name] = Change(name, values, (rewrite.__doc__ or "").splitlines()[0], caveat, rewrite)
        return rewrite

    return register


@cache
def changes() -> Mapping[str, Change]:
    """All changes by name: the modules of this package are imported once, each registers its own."""
    package = importlib.import_module("simulator.transform")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"simulator.transform.{module.name}")
    return CHANGES


def change_of(name: str) -> Change:
    """The change of that name; UsageError with suggestions otherwise."""
    known = changes()
    if name not in known:
        raise UsageError(f"no change of a network '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
    return known[name]


def number_of(name: str, text: str, *, low: float, high: float) -> float:
    """The number that a change's value states, within bounds (both included).

    Raises:
        UsageError: not a number, or not within the bounds.
    """
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        raise UsageError(f"{name}={text}: write a number from {low:g} to {high:g}") from None
    if not low <= value <= high:
        raise UsageError(f"{name}={text}: must be from {low:g} to {high:g}")
    return value
