"""Formulas that can be read, read with their numbers in, and evaluated: `MACs / (peak · efficiency)`."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.units import format_si

_DIGITS: Final = 4  # of a number in a formula: enough to follow it by hand
_LARGEST_WHOLE: Final = 1e7  # counts up to it are written out
_STRENGTH: Final = {"+": 1, "−": 1, "·": 2, "/": 2, "max": 4, "min": 4, "⌈⌉": 4, "⌊⌋": 4, "√": 4}


@dataclass(frozen=True, slots=True)
class FigureUse:
    """A figure that a term rests on: `path` in its `file` (of the machine, or of the runtime), as written there.

    `kind` is how it is known: that of the file, or `default` for what stands in where the file says nothing.
    """

    path: str
    text: str
    kind: str | None
    source: str | None
    note: str | None
    file: str


_ARITHMETIC: Final[dict[str, Callable[[list[float]], float]]] = {
    "+": math.fsum, "·": math.prod, "max": max, "min": min, "−": lambda v: v[0] - v[1],
    "⌈⌉": lambda v: math.ceil(v[0]), "⌊⌋": lambda v: math.floor(v[0]), "√": lambda v: math.sqrt(v[0]),
}  # fmt: skip


class Expression:
    """A formula. Put together with `+ - * /`, `largest`, `least`, `whole`, `floored`, `root`."""

    def __add__(self, other: "Expression") -> "Expression":
        return _flat("+", self, other)

    def __sub__(self, other: "Expression") -> "Expression":
        return Operation("−", (self, other))

    def __mul__(self, other: "Expression") -> "Expression":
        return _flat("·", self, other)

    def __truediv__(self, other: "Expression") -> "Expression":
        return Operation("/", (self, other))

    @property
    def value(self) -> float:
        """What it comes to."""
        raise NotImplementedError

    @property
    def leaves(self) -> Iterator["Quantity"]:
        """Its quantities from left to right."""
        raise NotImplementedError

    def written(self, show: Callable[["Quantity"], str]) -> str:
        """As text, each quantity as `show` has it."""
        raise NotImplementedError

    @property
    def symbols(self) -> str:
        """`MACs / (peak · efficiency)`."""
        return self.written(lambda quantity: quantity.symbol)

    @property
    def numbers(self) -> str:
        """`115.6 MMAC / (41.3 TMAC/s · 0.6)`."""
        return self.written(lambda quantity: number_text(quantity.number, quantity.unit))

    @property
    def figures(self) -> tuple[FigureUse, ...]:
        """The figures of its quantities, each once."""
        return tuple(dict.fromkeys(figure for leaf in self.leaves for figure in leaf.figures))


@dataclass(frozen=True, slots=True)
class Quantity(Expression):
    """A number with its name, its unit and the figures it comes from. A symbol that is its number is a constant."""

    symbol: str
    number: float
    unit: str = ""
    figures: tuple[FigureUse, ...] = ()

    @property
    def value(self) -> float:
        """The number."""
        return self.number

    @property
    def leaves(self) -> Iterator["Quantity"]:
        """Itself."""
        yield self

    def written(self, show: Callable[["Quantity"], str]) -> str:
        """Itself."""
        return show(self)


@dataclass(frozen=True, slots=True)
class Operation(Expression):
    """Quantities and formulas put together by an operator of `_STRENGTH`."""

    operator: str
    parts: tuple[Expression, ...]

    @property
    def value(self) -> float:
        """What it comes to; a share of nothing is nothing."""
        values = [part.value for part in self.parts]
        if self.operator == "/":
            return values[0] / values[1] if values[0] else 0.0
        return float(_ARITHMETIC[self.operator](values))

    @property
    def leaves(self) -> Iterator[Quantity]:
        """Quantities of its parts."""
        for part in self.parts:
            yield from part.leaves

    def written(self, show: Callable[[Quantity], str]) -> str:
        """With parentheses where they are needed."""
        if self.operator in ("max", "min"):
            return f"{self.operator}({', '.join(part.written(show) for part in self.parts)})"
        if self.operator in ("⌈⌉", "⌊⌋"):
            return f"{self.operator[0]}{self.parts[0].written(show)}{self.operator[1]}"
        if self.operator == "√":
            return f"√({self.parts[0].written(show)})"
        texts = [self._inside(part, show, last=place > 0) for place, part in enumerate(self.parts)]
        return f" {self.operator} ".join(texts)

    def _inside(self, part: Expression, show: Callable[[Quantity], str], *, last: bool) -> str:
        text = part.written(show)
        if not isinstance(part, Operation):
            return text
        own, inner = _STRENGTH[self.operator], _STRENGTH[part.operator]
        backward = last and (self.operator in ("/", "−") or part.operator in ("/", "−"))
        return f"({text})" if inner < own or (inner == own and backward) else text


def constant(number: float) -> Quantity:
    """A number that stands for itself."""
    return Quantity(number_text(number), number)


def largest(*parts: Expression) -> Expression:
    """The largest of several."""
    return parts[0] if len(parts) == 1 else Operation("max", parts)


def least(*parts: Expression) -> Expression:
    """The least of several."""
    return parts[0] if len(parts) == 1 else Operation("min", parts)


def whole(part: Expression) -> Expression:
    """Rounded up."""
    return Operation("⌈⌉", (part,))


def floored(part: Expression) -> Expression:
    """Rounded down."""
    return Operation("⌊⌋", (part,))


def root(part: Expression) -> Expression:
    """Square root."""
    return Operation("√", (part,))


def sum_of(parts: Sequence[Expression]) -> Expression:
    """One part, or the sum of several; of none, 0."""
    return parts[0] if len(parts) == 1 else Operation("+", tuple(parts)) if parts else constant(0.0)


def _flat(operator: str, left: Expression, right: Expression) -> Expression:
    first = left.parts if isinstance(left, Operation) and left.operator == operator else (left,)
    return Operation(operator, (*first, right))


def number_text(value: float, unit: str = "", digits: int = _DIGITS) -> str:
    """`115.6 MMAC`, `0.92`, `3136`: a number that can be calculated with; bytes in powers of 1000."""
    if not math.isfinite(value):
        return "∞"
    if unit:
        return format_si(value, unit, digits)
    if value == round(value) and abs(value) < _LARGEST_WHOLE:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"
