"""Operators by a pattern of their names: `*classifier*`."""

from fnmatch import fnmatchcase
from typing import Final

from simulator.errors import UsageError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.types import Op

_SHOWN: Final = 5


def matches(op: Op, pattern: str) -> bool:
    """Whether the name of an operator, or that of a node of the file that it comes from, fits a pattern of the shell."""
    return any(fnmatchcase(name, pattern) for name in (op.name, *op.origin))


def require_match(graph: Graph, pattern: str, asked: str, among: tuple[Op, ...] | None = None) -> tuple[Op, ...]:
    """The operators that fit a pattern, of all or of those named; `asked` is the text that the pattern stands in.

    Raises:
        UsageError: no operator fits; with the nearest name, or some of those that there are.
    """
    ops = (*graph.ops, *graph.dormant) if among is None else among
    found = tuple(op for op in ops if matches(op, pattern))
    if found or not ops:
        return found
    names = list(dict.fromkeys(op.name for op in ops))
    hint = did_you_mean(pattern.strip("*"), names)
    some = ", ".join(f"'{name}'" for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    raise UsageError(f"{asked}: no operator is called '{pattern}'{hint or f' (there are: {some})'}; * stands for any text")
