"""Which operators a change is about: a pattern of file names (`VALUE@PATTERN`) on what they are called."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from simulator.errors import UsageError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.types import Op

EVERY: Final = "*"
_SHOWN: Final = 5


def parted(name: str, text: str) -> tuple[str, str]:
    """Value and pattern of `VALUE@PATTERN`, every operator where there is none.

    Raises:
        UsageError: nothing before or behind the `@`.
    """
    value, at, pattern = text.partition("@")
    if not value.strip() or (at and not pattern.strip()):
        raise UsageError(f"{name}={text}: write {name}=VALUE or {name}=VALUE@PATTERN, as in @layer3.*")
    return value.strip(), pattern.strip() or EVERY


def matches(op: Op, pattern: str) -> bool:
    """Whether the name of an operator, or that of a node of the file that it comes from, fits a pattern.

    `*`, `?` and `[…]` mean what they mean in names of files.
    """
    return any(fnmatchcase(name, pattern) for name in (op.name, *op.origin))


def nothing_fits(change: str, text: str, pattern: str, what: str, candidates: Iterable[str]) -> UsageError:
    """The error where no layer that could be changed fits a pattern; `what` says which layers could be."""
    names = list(candidates)
    if not names:
        return UsageError(f"{change}={text}: the network has no {what}")
    hint = _nearest(pattern, names) or f"; the first of them is '{names[0]}'"
    return UsageError(f"{change}={text}: '{pattern}' fits no {what}{hint}")


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
    some = ", ".join(f"'{name}'" for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    hint = _nearest(pattern, names) or f" (there are: {some})"
    raise UsageError(f"{asked}: no operator is called '{pattern}'{hint}; * stands for any text")


def _nearest(pattern: str, names: list[str]) -> str:
    """A name that is written like a pattern, as a question; empty without one."""
    return did_you_mean(pattern.strip(EVERY), names)
