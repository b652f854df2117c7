"""The plots there are. To add one, write `report/plots/<name>.py` with a function decorated by `@plot`."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from simulator.errors import NotFoundError, did_you_mean

Needs = Literal["estimates"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Plot:
    """A kind of picture: `draw(values, ax)` returns the artists; `needs` says what the values are."""

    name: str
    needs: Needs
    draw: Callable[..., Any]


_PLOTS: dict[str, Plot] = {}


def plot(name: str, *, needs: Needs) -> Callable[[F], F]:
    """Register a drawing function under the name that `--plot` takes; a second one of that name is refused."""

    def register(draw: F) -> F:
        if name in _PLOTS:
            raise ValueError(f"two plots are called '{name}'")
        _PLOTS[name] = Plot(name, needs, draw)
        return draw

    return register


def plots() -> dict[str, Plot]:
    """All plots by name."""
    package = importlib.import_module("simulator.report.plots")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_PLOTS.items()))


def find_plot(name: str) -> Plot:
    """The plot called `name`.

    Raises:
        NotFoundError: there is none.
    """
    known = plots()
    if name not in known:
        raise NotFoundError(f"no plot '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
    return known[name]
