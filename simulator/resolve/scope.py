"""Names of a graph within the flat one, and what control flow needs of the walk over it."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from simulator.errors import ModelError
from simulator.graph.raw import RawGraph, RawNode
from simulator.graph.types import Op, TensorSpec


class Scope:
    """Names of one graph or subgraph, by the unique names they have in the flat graph."""

    def __init__(self, prefix: str = "", parent: "Scope | None" = None, taken: set[str] | None = None) -> None:
        self.prefix = prefix
        self.parent = parent
        self.names: dict[str, str] = {}
        self.taken: set[str] = parent.taken if parent is not None else set() if taken is None else taken

    def define(self, name: str) -> str:
        """A new name of this scope; its unique name."""
        unique = self.unique(f"{self.prefix}{name}") if name else ""
        self.names[name] = unique
        return unique

    def unique(self, name: str) -> str:
        """`name`, with a number behind it where the flat graph has one of that name already."""
        found, count = name, 1
        while found in self.taken:
            count += 1
            found = f"{name}#{count}"
        self.taken.add(found)
        return found

    def find(self, name: str) -> str:
        """Unique name of a name of this scope or one around it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        raise ModelError(f"the name '{name}' is used but never produced")

    def __contains__(self, name: object) -> bool:
        return name in self.names or (self.parent is not None and name in self.parent)

    def __iter__(self) -> Iterator[str]:
        """Names of this scope, then of those around it."""
        yield from self.names
        if self.parent is not None:
            yield from self.parent


class Walker(Protocol):
    """The state of a walk, as the rules of control flow use it (see `resolver.Resolver`)."""

    ops: list[Op]
    dormant: list[Op]
    notes: list[str]
    tensors: dict[str, TensorSpec]
    bounds: set[str]
    bounded: set[str]

    @property
    def standard_opset(self) -> int:
        """Version of the standard operator set in force."""

    def declare_weights(self, graph: RawGraph, scope: Scope) -> None:
        """Make the initializers of a graph known in its scope."""

    def walk(self, nodes: tuple[RawNode, ...], scope: Scope, repeat: int, depth: int, where: str) -> None:
        """Resolve the nodes of one graph, in order."""

    def value(self, name: str) -> np.ndarray | None:
        """Values of a small tensor known before the run."""
