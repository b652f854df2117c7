"""Formulas that users write over the columns of a study: `latency <= 33ms and memories.sram.capacity < 1MiB`.

Arithmetic (`+ - * / **`), comparisons, `and`, `or`, `not`, a handful of functions, names with dots, and quantities with
units; nothing else is read, and nothing is ever executed as Python.
"""

import ast
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UnitError, UsageError, did_you_mean
from simulator.units import parse

Values = Mapping[str, Any]
Units = Mapping[str, tuple[str, bool]]  # a name's dimension of units.py, empty for plain numbers, and whether it is by the clock
_LONGEST: Final = 2000  # characters
_QUANTITY: Final = re.compile(
    r"(?<![\w.])(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r" ?(?P<unit>[A-Za-zµμ%][A-Za-zµμ]*(?:/[A-Za-z]+)?|/(?:s|min|h|day)\b)"
)
_WORDS: Final = ("and", "or", "not", "if", "in", "is")
_DIMENSIONS: Final = (
    "seconds", "joules", "bytes", "bytes_per_s", "hertz", "watts", "macs_per_s", "per_second", "joules_per_byte",
    "joules_per_mac", "volts", "ratio",
)  # fmt: skip
_BINARY: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: np.divide, ast.Pow: np.power,
}  # fmt: skip
_COMPARE: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.LtE: operator.le, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.Gt: operator.gt, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "min": lambda *v: _pairwise(np.minimum, v), "max": lambda *v: _pairwise(np.maximum, v), "sqrt": np.sqrt, "log": np.log,
    "log2": np.log2, "log10": np.log10, "exp": np.exp, "ceil": np.ceil, "floor": np.floor, "abs": np.abs,
}  # fmt: skip


def _pairwise(function: Callable[[Any, Any], Any], values: tuple[Any, ...]) -> Any:
    found = values[0]
    for value in values[1:]:
        found = function(found, value)
    return found


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as it was written, the names in it, and which of these are compared with which quantities."""

    text: str
    names: tuple[str, ...]
    compared: tuple[tuple[str, str], ...]
    _tree: ast.expr

    def check(self, known: Collection[str], units: Units = MappingProxyType({})) -> None:
        """Refuse a name that is none of the known ones, and a comparison of one with a quantity of something else.

        `units` are the dimensions of names and whether they are by the clock; names that are left out are not checked.

        Raises:
            UsageError: no column is called so.
            UnitError: `latency <= 33mJ`, `accuracy >= 70%` where accuracy is a plain number.
        """
        unknown = [name for name in self.names if name not in known]
        if unknown:
            names = ", ".join(dict.fromkeys(known))
            raise UsageError(f"'{self.text}': no column '{unknown[0]}'{did_you_mean(unknown[0], known)} (known: {names})")
        for name, quantity in self.compared:
            if name in units:
                self._check_unit(name, quantity, *units[name])

    def _check_unit(self, name: str, quantity: str, dimension: str, per_cycle: bool) -> None:
        """UnitError for a column that is compared with a quantity of something else."""
        if not dimension:
            raise UnitError(f"'{self.text}': {name} has no unit; compare it with a plain number, not '{quantity}'")
        try:
            alike = parse(quantity, dimension).per_cycle == per_cycle
        except UnitError as error:
            raise UnitError(f"'{self.text}': {name}: {error}") from error
        if not alike:
            raise UnitError(f"'{self.text}': {name} and '{quantity}' are one by the clock and one not; write both alike")

    def check_condition(self, conditions: Collection[str] = ()) -> None:
        """UsageError for what neither holds nor fails (`latency`, `1`); `conditions` are names that do, such as `fits`."""
        if not self.is_condition(conditions):
            raise UsageError(f"'{self.text}' states no condition; write a comparison, for example 'latency <= 33ms'")

    def is_condition(self, conditions: Collection[str] = ()) -> bool:
        """Whether it holds or fails, beside names that do."""
        return _is_condition(self._tree, conditions)

    def value(self, columns: Values) -> Any:
        """What it comes to over columns by name (numpy arrays, of text or numbers, that broadcast).

        Raises:
            UsageError: a name that no column has, or text where a number is needed.
        """
        self.check(columns)
        try:
            with np.errstate(all="ignore"):  # what has no value is not a number, and counted as such
                return _value(self._tree, columns)
        except TypeError as error:
            raise UsageError(f"'{self.text}' takes text for a number") from error
        except (OverflowError, ValueError) as error:
            raise UsageError(f"'{self.text}' cannot be computed: {error}") from error

    def shortfall(self, columns: Values) -> NDArray[np.float64]:
        """By how much a condition fails at each row: 0 where it holds, of one comparison of numbers the difference of its
        sides as a share of the larger one, 1 of anything else.
        """
        missed = ~np.asarray(self.value(columns), bool)
        if not (isinstance(self._tree, ast.Compare) and len(self._tree.ops) == 1):
            return missed.astype(np.float64)
        left, right = (np.asarray(_value(side, columns)) for side in (self._tree.left, self._tree.comparators[0]))
        if left.dtype.kind not in "fiu" or right.dtype.kind not in "fiu":
            return missed.astype(np.float64)
        with np.errstate(all="ignore"):
            share = np.abs(left - right) / np.maximum(np.abs(left), np.abs(right))
        return np.where(missed, np.where(np.isfinite(share), share, 1.0), 0.0)


def formula_of(text: str) -> Formula:
    """The formula that a text states.

    Raises:
        UsageError: it is no such formula; where, and what may stand there.
        UnitError: a unit that is not known, or that may mean two things (FLOP/s: of MACs or of other operations?).
    """
    if len(text) > _LONGEST:
        raise UsageError(f"a formula of {len(text):,} characters; at most {_LONGEST:,} are read")
    quantities = _Quantities()
    plain = _QUANTITY.sub(quantities.placed, text)
    try:
        tree = quantities.visit(ast.parse(plain.strip(), mode="eval").body)
        names = tuple(dict.fromkeys(_names(tree, text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"'{text}' is not a formula ({reason}); write for example 'latency <= 33ms'") from error
    return Formula(text, names, tuple(_compared_quantities(tree)), tree)


class _Quantities(ast.NodeTransformer):
    """Quantities with units, first as names that Python can read, then as constants in SI units that keep their text."""

    def __init__(self) -> None:
        self._found: dict[str, ast.Constant] = {}

    def placed(self, found: re.Match[str]) -> str:
        """The name that stands for a quantity; the text itself for what is none (`1 and`)."""
        if re.fullmatch(r"[eE]\d*", found["unit"]) or found["unit"] in _WORDS:
            return found[0]
        name = f"_{len(self._found)}"
        self._found[name] = ast.Constant(_number(found[0], found["unit"]), kind=found[0])
        return f"{name} "

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The constant in the place of its name; `ast` looks for a method that is called so."""
        return self._found.get(node.id, node)


def _compared_quantities(tree: ast.expr) -> Iterator[tuple[str, str]]:
    """Names that are compared with a quantity, and its text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            for one, other in (*pairwise(parts), *pairwise(parts[::-1])):
                if isinstance(one, ast.Name | ast.Attribute) and isinstance(other, ast.Constant) and other.kind:
                    yield _dotted(one, ""), other.kind


def _number(text: str, unit: str) -> float:
    """A quantity in SI units."""
    if re.search(r"(FL)?OP(S|/s)$", unit):
        raise UnitError(f"'{text}': write it in MAC/s (1 MAC = 2 OP), for peaks are columns of MACs")
    for dimension in _DIMENSIONS:
        try:
            return parse(text, dimension).value
        except UnitError:
            continue
    raise UnitError(f"'{text}': no unit '{unit}' is known")


def _names(node: ast.expr, text: str) -> list[str]:
    """The names below a node; UsageError for what is no part of a formula."""
    match node:
        case ast.Constant(value=bool() | None) | ast.Constant(value=complex() | bytes()):
            raise UsageError(f"'{text}': '{ast.unparse(node)}' has no place in a formula")
        case ast.Constant():
            return []
        case ast.Name() | ast.Attribute():
            return [_dotted(node, text)]
        case ast.BinOp(op=op) if type(op) in _BINARY:
            return _names(node.left, text) + _names(node.right, text)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not()):
            return _names(node.operand, text)
        case ast.BoolOp():
            return [name for value in node.values for name in _names(value, text)]
        case ast.Compare() if all(type(op) in _COMPARE for op in node.ops):
            return [name for part in (node.left, *node.comparators) for name in _names(part, text)]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS and node.args:
            if name not in ("min", "max") and len(node.args) != 1:
                raise UsageError(f"'{text}': {name} takes one value")
            return [one for argument in node.args for one in _names(argument, text)]
        case ast.Call(func=ast.Name(id=name)):
            raise UsageError(f"'{text}': no function '{name}' (there are {', '.join(_FUNCTIONS)})")
        case _:
            raise UsageError(f"'{text}': '{ast.unparse(node)}' has no place in a formula")


def _is_condition(node: ast.expr, conditions: Collection[str]) -> bool:
    """Whether a node holds or fails."""
    match node:
        case ast.Compare():
            return True
        case ast.BoolOp(values=values):
            return all(_is_condition(value, conditions) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _is_condition(operand, conditions)
        case ast.Name() | ast.Attribute():
            return _dotted(node, "") in conditions
    return False


def _dotted(node: ast.expr, text: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, text)}.{node.attr}"
    raise UsageError(f"'{text}': '{ast.unparse(node)}' has no place in a formula")


def _value(node: ast.expr, columns: Values) -> Any:
    """What a node comes to; only what `_names` let pass."""
    match node:
        case ast.Constant(value=str()):
            return node.value
        case ast.Constant():
            return float(node.value)  # type: ignore[arg-type]
        case ast.Name() | ast.Attribute():
            return columns[_dotted(node, "")]
        case ast.BinOp():
            return _BINARY[type(node.op)](_value(node.left, columns), _value(node.right, columns))
        case ast.UnaryOp(op=ast.Not()):
            return np.logical_not(_value(node.operand, columns))
        case ast.UnaryOp():
            value = _value(node.operand, columns)
            return -value if isinstance(node.op, ast.USub) else value
        case ast.BoolOp():
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return _pairwise(join, tuple(_value(value, columns) for value in node.values))
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name](*(_value(argument, columns) for argument in node.args))
        case ast.Compare():
            return _compared(node, columns)
    raise AssertionError(f"{ast.dump(node)} was read as a part of a formula")


def _compared(node: ast.Compare, columns: Values) -> Any:
    """A chain of comparisons: each with its neighbour."""
    values = [_value(part, columns) for part in (node.left, *node.comparators)]
    found = [_COMPARE[type(op)](a, b) for op, a, b in zip(node.ops, values, values[1:], strict=False)]
    return _pairwise(np.logical_and, tuple(found))
