"""A figure of a data file: its value in SI units and where it comes from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from simulator.errors import UnitError, did_you_mean
from simulator.units import parse


class Provenance(StrEnum):
    """How a figure is known."""

    DATASHEET = "datasheet"
    MEASURED = "measured"
    DERIVED = "derived"  # arithmetic on other figures, shown in the note
    CALIBRATED = "calibrated"  # fitted to measurements, of runtimes only
    ESTIMATED = "estimated"  # common knowledge or a guess with its reason in the note


Number = NDArray[np.float64] | float


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: `value` in SI (per cycle where `per_cycle`), as written (`text`), with its provenance.

    `prior` is what a calibrated one was thought to be before any measurement: further fits start their doubt there.
    `dimension` is that of simulator/units.py; empty where it was not read from a file. Studies put a column of design points,
    (n_points, 1), in the place of the value.
    """

    value: float
    per_cycle: bool = False
    text: str = ""
    kind: Provenance | None = None
    source: str | None = None
    note: str | None = None
    prior: float | None = None
    dimension: str = field(default="", compare=False)

    @property
    def is_sourced(self) -> bool:
        """Whether it says how it is known and from where (an estimate needs a reason instead)."""
        if self.kind is None:
            return False
        return bool(self.note) if self.kind is Provenance.ESTIMATED else bool(self.source)

    def rate(self, clock_hz: float | None) -> float:
        """A rate per second; one per cycle is multiplied by the clock."""
        if not self.per_cycle:
            return self.value
        if clock_hz is None:
            raise UnitError(self._no_clock)
        return self.value * clock_hz

    def seconds(self, clock_hz: Number | None) -> Number:
        """A time in seconds; one in cycles is divided by the clock, which may be an array of design points."""
        if not self.per_cycle:
            return self.value
        if clock_hz is None:
            raise UnitError(self._no_clock)
        return self.value / clock_hz

    @property
    def _no_clock(self) -> str:
        return f"'{self.text}' counts cycles, but the machine gives no clock"


_LEAST = 1e-30  # what must be more than 0 is divided by: below it, times overflow
_KEYS = ("value", "prior", "kind", "source", "note")


def _reader(dimension: str, *, zero: bool) -> Callable[[Any], Figure]:
    def read(raw: Any) -> Figure:
        if isinstance(raw, Figure):
            return raw
        fields = raw if isinstance(raw, dict) else {"value": raw}
        for key in fields:
            if key not in _KEYS:
                raise ValueError(f"'{key}': unknown key of a figure{did_you_mean(str(key), _KEYS)}")
        if "value" not in fields or isinstance(fields["value"], dict | list | bool) or fields["value"] is None:
            raise ValueError("a figure is a quantity, or a mapping with 'value', 'kind', 'source', 'note'")
        quantity = parse(fields["value"], dimension)
        if quantity.value < 0 or (quantity.value < _LEAST and not zero):
            raise ValueError(f"'{fields['value']}' must be {'0 or more' if zero else 'more than 0'}")
        kind = _provenance(fields.get("kind"))
        prior = _prior(fields, kind, dimension, per_cycle=quantity.per_cycle)
        return Figure(
            quantity.value, quantity.per_cycle, str(fields["value"]), kind, fields.get("source"), fields.get("note"), prior,
            dimension,
        )  # fmt: skip

    return read


def _prior(fields: dict[str, Any], kind: Provenance | None, dimension: str, *, per_cycle: bool) -> float | None:
    if "prior" not in fields:
        return None
    if kind is not Provenance.CALIBRATED:
        raise ValueError("only a figure of kind 'calibrated' has a 'prior'")
    prior = parse(fields["prior"], dimension)
    if prior.per_cycle != per_cycle or prior.value <= 0:
        raise ValueError(f"prior '{fields['prior']}' must be more than 0 and in the unit of the value")
    return prior.value


def _provenance(kind: object) -> Provenance | None:
    if kind is None:
        return None
    if kind not in list(Provenance):
        raise ValueError(f"kind '{kind}' is none of {', '.join(Provenance)}{did_you_mean(str(kind), list(Provenance))}")
    return Provenance(str(kind))


def _text(figure: Figure) -> str:
    return figure.text


def _whole(figure: Figure) -> Figure:
    if figure.value % 1:
        raise ValueError(f"'{figure.text}' is not a whole number")
    return figure


_SHOWN = PlainSerializer(_text)

# what a field of a data file may hold: a figure of one dimension; zero only where nothing can be meant by it
Bytes = Annotated[Figure, BeforeValidator(_reader("bytes", zero=False)), _SHOWN]
BytesPerS = Annotated[Figure, BeforeValidator(_reader("bytes_per_s", zero=False)), _SHOWN]
Hertz = Annotated[Figure, BeforeValidator(_reader("hertz", zero=False)), _SHOWN]
Seconds = Annotated[Figure, BeforeValidator(_reader("seconds", zero=True)), _SHOWN]
JoulesPerByte = Annotated[Figure, BeforeValidator(_reader("joules_per_byte", zero=True)), _SHOWN]
JoulesPerMac = Annotated[Figure, BeforeValidator(_reader("joules_per_mac", zero=True)), _SHOWN]
JoulesPerOp = Annotated[Figure, BeforeValidator(_reader("joules_per_op", zero=True)), _SHOWN]
Watts = Annotated[Figure, BeforeValidator(_reader("watts", zero=True)), _SHOWN]
Metres = Annotated[Figure, BeforeValidator(_reader("metres", zero=False)), _SHOWN]
MacsPerS = Annotated[Figure, BeforeValidator(_reader("macs_per_s", zero=False)), _SHOWN]
OpsPerS = Annotated[Figure, BeforeValidator(_reader("ops_per_s", zero=False)), _SHOWN]
Ratio = Annotated[Figure, BeforeValidator(_reader("ratio", zero=False)), _SHOWN]
Fraction = Annotated[Figure, BeforeValidator(_reader("ratio", zero=True)), _SHOWN]
Instructions = Annotated[Figure, BeforeValidator(_reader("count", zero=True)), _SHOWN]
Count = Annotated[Figure, BeforeValidator(_reader("count", zero=False)), _SHOWN]
Whole = Annotated[Figure, BeforeValidator(_reader("count", zero=False)), AfterValidator(_whole), _SHOWN]  # pieces of hardware
