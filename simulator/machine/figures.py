"""A figure of a data file: its value in SI units and where it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from simulator.errors import did_you_mean
from simulator.units import parse


class Provenance(StrEnum):
    """How a figure is known."""

    DATASHEET = "datasheet"
    MEASURED = "measured"
    DERIVED = "derived"  # arithmetic on other figures, shown in the note
    ESTIMATED = "estimated"  # common knowledge or a guess with its reason in the note


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: `value` in SI (per cycle where `per_cycle`), as written (`text`), with its provenance."""

    value: float
    per_cycle: bool = False
    text: str = ""
    kind: Provenance | None = None
    source: str | None = None
    note: str | None = None

    @property
    def is_sourced(self) -> bool:
        """Whether it says how it is known and from where (an estimate needs a reason instead)."""
        if self.kind is None:
            return False
        return bool(self.note) if self.kind is Provenance.ESTIMATED else bool(self.source)

    def at(self, clock_hz: float | None) -> float:
        """The value in SI per second, with a per-cycle figure multiplied by the clock."""
        if not self.per_cycle:
            return self.value
        if clock_hz is None:
            raise ValueError(f"'{self.text}' is per cycle, but there is no clock")
        return self.value * clock_hz


_KEYS = ("value", "kind", "source", "note")


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
        if quantity.value < 0 or (quantity.value == 0 and not zero):
            raise ValueError(f"'{fields['value']}' must be {'0 or more' if zero else 'more than 0'}")
        return Figure(quantity.value, quantity.per_cycle, str(fields["value"]), _provenance(fields.get("kind")),
                      fields.get("source"), fields.get("note"))  # fmt: skip

    return read


def _provenance(kind: object) -> Provenance | None:
    if kind is None:
        return None
    if kind not in list(Provenance):
        raise ValueError(f"kind '{kind}' is none of {', '.join(Provenance)}{did_you_mean(str(kind), list(Provenance))}")
    return Provenance(str(kind))


def _text(figure: Figure) -> str:
    return figure.text


def _type(dimension: str, *, zero: bool = False) -> Any:
    return Annotated[Figure, BeforeValidator(_reader(dimension, zero=zero)), PlainSerializer(_text)]


Bytes = _type("bytes")
BytesPerS = _type("bytes_per_s")
Hertz = _type("hertz")
Seconds = _type("seconds", zero=True)
JoulesPerByte = _type("joules_per_byte", zero=True)
JoulesPerMac = _type("joules_per_mac", zero=True)
JoulesPerOp = _type("joules_per_op", zero=True)
Watts = _type("watts", zero=True)
Metres = _type("metres")
MacsPerS = _type("macs_per_s")
OpsPerS = _type("ops_per_s")
Ratio = _type("ratio")
Fraction = _type("ratio", zero=True)
Count = _type("count")
