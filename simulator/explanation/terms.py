"""What an explanation says, as data."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from simulator.explanation.expression import Expression, FigureUse, number_text

_AGREES: Final = 1e-9  # how far rounding may part a formula from the estimate


@dataclass(frozen=True, slots=True)
class Term:
    """One number of the estimate: `name` = `formula`, with the numbers in = `substituted`, = `value` in `unit`.

    `value` is the estimate's own; `follows` says that the formula comes to it. `figures` are what it rests on in the files
    of machine and runtime. `key` names it in the data; `note` says what the symbols do not.
    """

    key: str
    name: str
    formula: str
    substituted: str
    value: float
    unit: str
    figures: tuple[FigureUse, ...]
    note: str = ""
    follows: bool = True

    @property
    def value_text(self) -> str:
        """`4.963 µs`."""
        return number_text(self.value, self.unit)

    @property
    def is_formula(self) -> bool:
        """Whether there is more to say than the number."""
        return self.substituted != self.value_text


def term(
    key: str, name: str, unit: str, expression: Expression, value: float | None = None, note: str = "", formula: str | None = None
) -> Term:
    """A term whose formula is `expression` and whose value is the estimate's, that of the expression where there is none."""
    own = expression.value
    shown = own if value is None else float(value)
    follows = math.isclose(own, shown, rel_tol=_AGREES, abs_tol=1e-300)
    figures = expression.figures
    return Term(key, name, formula or expression.symbols, expression.numbers, shown, unit, figures, note, follows)


@dataclass(frozen=True, slots=True)
class Section:
    """Terms of one subject."""

    key: str
    title: str
    terms: tuple[Term, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class OperatorWork:
    """What one operator of a kernel counts, as often as it repeats; `note` where that is less than it would count alone, or
    counts elsewhere too.
    """

    name: str
    op_type: str
    macs: int
    vector_ops: int
    special_ops: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that a kernel touches: `bytes` of it, `distance_bytes` of other data since its last use (None: never).

    `crossing_bytes` are those of it that cross each level, from the engine outward: what a level further in holds does
    not cross those behind it.
    """

    name: str
    role: str
    shape: tuple[int, ...] | None
    dtype: str
    bytes: float
    distance_bytes: float | None
    crossing_bytes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LayerExplanation:
    """One kernel: what it does, what each part of that costs and why, and what bounds it.

    It is number `index` of `kernels`, counted from 0 in the order they run.
    """

    model: str
    hardware: str
    runtime: str
    settings: str
    name: str
    index: int
    kernels: int
    op_type: str
    kind: str
    rate: str
    engine: str
    origin: tuple[str, ...]
    latency_s: float
    share: float
    bound: str
    verdict: str
    operators: tuple[OperatorWork, ...]
    operands: tuple[Operand, ...]
    sections: tuple[Section, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms in order."""
        return tuple(term for section in self.sections for term in section.terms)

    def term(self, key: str) -> Term:
        """The term of that key."""
        return next(term for term in self.terms if term.key == key)

    @property
    def figures(self) -> tuple[FigureUse, ...]:
        """All figures, each once, in the order of their use."""
        return figures_of(self.terms)

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON."""
        return {"explains": "kernel", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing at its best, everything else as it is: the run would take `latency_s`, `saved_s` less."""

    key: str
    name: str
    what_if: str
    latency_s: float
    saved_s: float


@dataclass(frozen=True, slots=True)
class RunExplanation:
    """A whole run: what the latency is made of, what bounds it from below, and why it lies above that.

    `reasons` are all that save anything, the largest first; they overlap, so `together_s` is what the run would take with
    all of them at their best, and `left_s` what then still lies above the bound. `kernels` are the names of those that take
    most, `places` their positions in the run, counted from 0.
    """

    model: str
    hardware: str
    runtime: str
    settings: str
    latency_s: float
    bound_latency_s: float
    bound_resource: str
    sections: tuple[Section, ...]
    reasons: tuple[Reason, ...]
    together_s: float
    kernels: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def gap_s(self) -> float:
        """Expected time above the bound."""
        return self.latency_s - self.bound_latency_s

    @property
    def left_s(self) -> float:
        """What lies above the bound with every reason at its best."""
        return self.together_s - self.bound_latency_s

    @property
    def largest(self) -> tuple[Reason, ...]:
        """The three largest reasons."""
        return self.reasons[:3]

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms in order."""
        return tuple(term for section in self.sections for term in section.terms)

    @property
    def figures(self) -> tuple[FigureUse, ...]:
        """All figures, each once, in the order of their use."""
        return figures_of(self.terms)

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON."""
        return {"explains": "run", **asdict(self), "gap_s": self.gap_s, "left_s": self.left_s}


def figures_of(terms: Iterable[Term]) -> tuple[FigureUse, ...]:
    """Figures of several terms, each once."""
    return tuple(dict.fromkeys(figure for term in terms for figure in term.figures))
