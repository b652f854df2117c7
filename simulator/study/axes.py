"""Axes of a study: `memories.dram.bandwidth=10GB/s..1TB/s:log:50`, `batch=1,2,4,8`, `precision=fp16,int8`."""

import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UnitError, UsageError
from simulator.machine.changed import factor_of, figure_at, with_columns, with_value
from simulator.machine.figures import Figure
from simulator.machine.spec import HardwareSpec, Strict
from simulator.study.scenario import Case, file_of
from simulator.units import ENDINGS, Quantity, format_exact, parse

Array = NDArray[np.float64]
Spacing = Literal["lin", "log", "x2"]
_RANGE: Final = re.compile(r"(?P<low>.+?)\.\.(?P<high>[^:]+)(?::(?P<spacing>[a-z0-9]+))?(?::(?P<count>[0-9_]+))?$")
_COUNT: Final = 16  # points of a range that does not say how many
MOST_VALUES: Final = 10**7  # of one axis
# figures that decide which numbers the cost has, beside being some: one machine or runtime a value
_WHOLE: Final = re.compile(
    r"engines\.[^.]+\.(units|geometry\.((rows|columns|pixels|inputs|outputs|channels|cores|banks)|(lanes|dot)\..+))"
)
_ONE_BY_ONE: Final = re.compile(r"process|runtime\..*\b(resident|input_multiple)")


@dataclass(frozen=True)
class Axis:
    """What varies: `texts` has the values as a setting would have them, in their order.

    For a figure of the machine or of the runtime, `numbers` has them in SI units, of the `dimension` of units.py, and where
    the axis is a range between two ends, a sample may take what lies between them (`spacing`). `seed` is a value for a figure
    that the file leaves out.
    """

    name: str
    texts: tuple[str, ...]
    numbers: Array | None = None
    dimension: str = ""
    per_cycle: bool = False
    spacing: Spacing | None = None
    seed: str | None = None

    @property
    def key(self) -> str:
        """The name of its column, with its unit."""
        if self.numbers is None or self.dimension in ("", "count", "ratio"):
            return self.name
        if self.per_cycle and self.dimension == "seconds":
            return f"{self.name}_cycles"
        ending = ENDINGS.get(self.dimension, f"_{self.dimension}")
        return f"{self.name}{ending}{'_per_cycle' if self.per_cycle else ''}"

    @property
    def labels(self) -> NDArray[Any]:
        """The texts as a column has them: whole numbers or numbers where all are such, words otherwise."""
        for kind in (int, float):
            try:
                return np.array([kind(text) for text in self.texts])
            except (ValueError, OverflowError):
                continue
        return np.array(self.texts, object)

    def __len__(self) -> int:
        return len(self.texts) if self.numbers is None else len(self.numbers)

    def between(self, share: Array) -> Array:
        """Values at shares from 0 to 1 of the way between the ends of a range."""
        assert self.numbers is not None
        low, high = float(self.numbers[0]), float(self.numbers[-1])
        if self.spacing == "lin":
            return low + (high - low) * share
        return np.asarray(np.clip(np.exp(math.log(low) + (math.log(high) - math.log(low)) * share), low, high))


def axis_of(text: str, case: Case, *, singly: bool = False) -> Axis:
    """The axis that `NAME=VALUES` means; values of figures are read in the figure's dimension.

    VALUES is a list (`1,2,4`) or a range (`LOW..HIGH`, behind it `:lin:N` or `:log:N`, or `:x2` for doublings); figures may
    be relative to what they are (`0.5x..4x:log:20`). With `singly` every value is a setting of its own, no column.

    Raises:
        UsageError: it is neither, or empty, or no figure is called so.
        UnitError: a value in a wrong unit.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if not (name and equals and values):
        raise UsageError(f"'{text}': write NAME=VALUES, for example memories.dram.bandwidth=10GB/s..1TB/s:log:50 or batch=1,2,4")
    file = file_of(case, name)
    if file is not None:
        axis = _figure_axis(name, values, *file)
        return _one_by_one(axis) if singly or is_one_by_one(name) else axis
    if ".." in values:
        return _number_axis(name, values)
    return Axis(name, _listed(name, values))


def is_one_by_one(name: str) -> bool:
    """Whether every value of a figure is a machine or a runtime of its own, and no column of them can be reckoned at once."""
    return _ONE_BY_ONE.fullmatch(name) is not None


def is_whole(name: str) -> bool:
    """Whether a figure is a whole number: of units of an engine, of the rows of an array."""
    return _WHOLE.fullmatch(name) is not None


def _listed(name: str, values: str) -> tuple[str, ...]:
    """Values between commas; between semicolons where one has commas itself (`precision=int8,fp16@*head*;fp16`)."""
    found = tuple(value.strip() for value in values.split(";" if ";" in values else ","))
    if not all(found):
        raise UsageError(f"{name}={values}: a value between commas is missing")
    if len(set(found)) < len(found):
        raise UsageError(f"{name}={values}: the same value twice")
    return found


def _number_axis(name: str, values: str) -> Axis:
    """A range of numbers of a setting: batches, resolutions, widths."""
    low_text, high_text, spacing, count = _parts(name, values)
    low, high = _plain(name, low_text), _plain(name, high_text)
    whole = low == int(low) and high == int(high)
    numbers = _spaced(name, low, high, spacing or "lin", count or (int(high - low) + 1 if whole else _COUNT))
    texts = [str(round(number)) if whole else f"{number:.6g}" for number in numbers.tolist()]
    return Axis(name, tuple(dict.fromkeys(texts)))


def _plain(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{name}: '{text}' is no number; ranges are of numbers, anything else is a list with commas")
    return value


def _figure_axis(name: str, values: str, file: Strict, path: str) -> Axis:
    """Values of a figure; one that the file leaves out, or has by the clock where these are not, is first set to the first."""
    first = values.partition("..")[0].partition(",")[0].strip()
    figure, seed = figure_at(file, path), None
    if figure is None or (factor_of(first) is None and _quantity(name, first, figure.dimension).per_cycle != figure.per_cycle):
        file, seed = with_value(file, path, first), first
        figure = figure_at(file, path)
        assert figure is not None, "a value was put there"
    spacing: Spacing | None = None
    if ".." in values:
        low_text, high_text, wanted, count = _parts(name, values)
        low, high = (_number(name, text, figure) for text in (low_text, high_text))
        whole = is_whole(name)
        how: Spacing = wanted or ("lin" if low <= 0 or whole else "log")
        numbers = _spaced(name, low, high, how, count or (max(int(high - low), 1) + 1 if whole else _COUNT))
        spacing = None if whole else "lin" if how == "lin" else "log"
        numbers = np.unique(np.round(numbers)) if whole else numbers
    else:
        numbers = np.array([_number(name, text, figure) for text in _listed(name, values)])
    if is_whole(name) and (numbers % 1 != 0).any():
        raise UsageError(f"{name}={values}: units and sides of arrays are whole numbers")
    axis = Axis(name, (), numbers, figure.dimension, figure.per_cycle, spacing, seed)
    for number in (float(numbers.min()), float(numbers.max())):
        _check(axis, number, file, path)
    return axis


def _one_by_one(axis: Axis) -> Axis:
    """The axis as a list of settings."""
    assert axis.numbers is not None
    return Axis(axis.name, tuple(value_text(axis, number) for number in axis.numbers.tolist()))


def _check(axis: Axis, number: float, file: Strict, path: str) -> None:
    """UsageError for a value that cannot stand in the file; what contradicts other figures of it is left to the study."""
    try:
        with_value(file, path, value_text(axis, number))
    except UsageError:
        there = with_columns(file, {path: number})
        if not (isinstance(there, HardwareSpec) and any(found for _, found in there.conflicts)):
            raise


def _parts(name: str, values: str) -> tuple[str, str, Spacing | None, int | None]:
    found = _RANGE.match(values)
    if found is None or found["spacing"] not in (None, "lin", "log", "x2"):
        raise UsageError(f"{name}={values}: write LOW..HIGH, and behind it :lin:N, :log:N or :x2")
    if found["spacing"] == "x2" and found["count"]:
        raise UsageError(f"{name}={values}: doublings from {found['low']} have a number of their own; leave the last :N out")
    count = int(found["count"]) if found["count"] else None
    if count is not None and not 2 <= count <= MOST_VALUES:
        raise UsageError(f"{name}={values}: a range has from 2 to {MOST_VALUES:,} points")
    return found["low"].strip(), found["high"].strip(), found["spacing"], count  # type: ignore[return-value]


def _number(name: str, text: str, figure: Figure) -> float:
    """One value in SI units: a quantity, or a multiple of the figure."""
    factor = factor_of(text)
    if factor is not None:
        if not math.isfinite(figure.value * factor):
            raise UsageError(f"{name}: '{text}' is out of range")
        return figure.value * factor
    found = _quantity(name, text, figure.dimension)
    if found.per_cycle != figure.per_cycle:
        raise UnitError(f"{name}: '{text}' and '{figure.text}' are one by the clock and one not; write all alike")
    return found.value


def _quantity(name: str, text: str, dimension: str) -> Quantity:
    """What a text says, in SI units; UnitError that names the axis."""
    try:
        return parse(text, dimension)
    except UnitError as error:
        raise UnitError(f"{name}: {error}") from error


def _spaced(name: str, low: float, high: float, spacing: Spacing, count: int) -> Array:
    """Numbers from low to high, both among them."""
    if not low < high:
        raise UsageError(f"{name}: the range is empty; its ends are LOW..HIGH, the lower one first")
    if count > MOST_VALUES:
        shown = f"{count:,}" if count < 10**15 else f"{count:.0e}"
        raise UsageError(f"{name}: {shown} values; at most {MOST_VALUES:,}")
    if spacing != "lin" and low <= 0:
        raise UsageError(f"{name}: a logarithmic range starts above 0")
    if spacing == "x2":
        doublings = math.floor(math.log2(high / low) + 1e-9)
        return np.asarray(low * 2.0 ** np.arange(doublings + 1.0))
    numbers = np.linspace(low, high, count)
    if spacing == "log":
        numbers = np.exp(np.linspace(math.log(low), math.log(high), count))
    numbers[0], numbers[-1] = low, high
    return np.asarray(numbers)


def value_text(axis: Axis, number: float) -> str:
    """A number of a figure's axis as a setting would have it, with all its digits."""
    number = float(number)
    text = format_exact(number, axis.dimension) if axis.dimension else repr(number)
    if not axis.per_cycle:
        return text
    return f"{text.removesuffix('s').rstrip()} cycles" if axis.dimension == "seconds" else _per_cycle(number, axis.dimension)


def _per_cycle(number: float, dimension: str) -> str:
    unit = {"bytes_per_s": "B/cycle", "macs_per_s": "MAC/cycle", "ops_per_s": "OP/cycle"}[dimension]
    return f"{number!r} {unit}"
