"""Which layers a change is about: `VALUE@PATTERN`, a pattern being that of file names on the names of operators."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from simulator.errors import UsageError, did_you_mean

EVERY = "*"


def parted(name: str, text: str) -> tuple[str, str]:
    """Value and pattern of `VALUE@PATTERN`, every operator where there is none.

    Raises:
        UsageError: nothing before or behind the `@`.
    """
    value, at, pattern = text.partition("@")
    if not value.strip() or (at and not pattern.strip()):
        raise UsageError(f"{name}={text}: write {name}=VALUE or {name}=VALUE@PATTERN, as in @layer3.*")
    return value.strip(), pattern.strip() or EVERY


def matches(pattern: str, operator: str) -> bool:
    """Whether an operator's name fits; `*`, `?` and `[…]` mean what they mean in file names."""
    return fnmatchcase(operator, pattern)


def nothing_fits(change: str, text: str, pattern: str, what: str, candidates: Iterable[str]) -> UsageError:
    """The error where no layer that could be changed fits a pattern; `what` says which layers could be."""
    names = list(candidates)
    if not names:
        return UsageError(f"{change}={text}: the network has no {what}")
    hint = did_you_mean(pattern, names) or f"; the first of them is '{names[0]}'"
    return UsageError(f"{change}={text}: '{pattern}' fits no {what}{hint}")
