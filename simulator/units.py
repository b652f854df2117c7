"""Quantities as people write them, read once at the edge into SI floats, and written back without loss.

`parse("3.35 TB/s", "bytes_per_s")` is 3.35e12. Inside the package every number is SI and carries its unit in its name.
Decimal prefixes are powers of 1000, binary ones (Ki, Mi, Gi, Ti) powers of 1024.
"""

import re
from decimal import Decimal
from typing import Final, NamedTuple

from simulator.errors import UnitError, did_you_mean

_DECIMAL: Final = {
    "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}

# dimension → unit → factor to SI. The first unit of a dimension is the one it is written in.
_HALF, _EIGHTH = Decimal("0.5"), Decimal("0.125")
_UNITS: Final[dict[str, dict[str, Decimal]]] = {
    "bytes": {"B": Decimal(1), "bit": _EIGHTH},
    "bytes_per_s": {"B/s": Decimal(1), "bit/s": _EIGHTH},
    "hertz": {"Hz": Decimal(1)},
    "seconds": {"s": Decimal(1)},
    "joules": {"J": Decimal(1), "Wh": Decimal(3600)},
    "joules_per_byte": {"J/B": Decimal(1), "J/bit": Decimal(8)},
    "watts": {"W": Decimal(1)},
    "metres": {"m": Decimal(1)},
    "coulombs": {"C": Decimal(1), "Ah": Decimal(3600)},
    "volts": {"V": Decimal(1)},
    "per_second": {"/s": Decimal(1), "/min": 1 / Decimal(60), "/h": 1 / Decimal(3600), "/day": 1 / Decimal(86400)},
    # 1 MAC = 2 FLOP = 2 OP
    "macs_per_s": {"MAC/s": Decimal(1), "FLOP/s": _HALF, "OP/s": _HALF, "FLOPS": _HALF, "OPS": _HALF},
    "ops_per_s": {"OP/s": Decimal(1), "FLOP/s": Decimal(1), "OPS": Decimal(1), "FLOPS": Decimal(1)},
    "joules_per_mac": {"J/MAC": Decimal(1), "J": Decimal(1), "J/FLOP": Decimal(2), "J/OP": Decimal(2)},
    "joules_per_op": {"J/OP": Decimal(1), "J": Decimal(1), "J/FLOP": Decimal(1)},
    "count": {"": Decimal(1)},
    "ratio": {"": Decimal(1), "%": Decimal("0.01")},
}
_PER_CYCLE: Final[dict[str, dict[str, Decimal]]] = {
    "bytes_per_s": {"B/cycle": Decimal(1), "bit/cycle": _EIGHTH},
    "macs_per_s": {"MAC/cycle": Decimal(1), "FLOP/cycle": _HALF, "OP/cycle": _HALF},
    "ops_per_s": {"OP/cycle": Decimal(1), "FLOP/cycle": Decimal(1)},
    "seconds": {"cycle": Decimal(1), "cycles": Decimal(1)},
}
# what the name of a column ends in, by the dimension of its numbers; the longest first
ENDINGS: Final[dict[str, str]] = {
    "macs_per_s": "_macs_per_s", "bytes_per_s": "_bytes_per_s", "ops_per_s": "_ops_per_s", "per_second": "_per_s",
    "joules_per_byte": "_j_per_byte", "joules_per_mac": "_j_per_mac", "joules_per_op": "_j_per_op", "bytes": "_bytes",
    "hertz": "_hz", "watts": "_w", "joules": "_j", "seconds": "_s",
}  # fmt: skip
_LARGEST = 1e36
_PLAIN = 1e6  # beyond all prefixes from there on: with an exponent
_MOST_PLACES = 40  # of a number that is written in full
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*$")


class Quantity(NamedTuple):
    """A number in SI units; `per_cycle` where it is still to be multiplied by a clock (`2 MAC/cycle`, `40 cycles`)."""

    value: float
    per_cycle: bool = False


def parse(text: str | float, dimension: str) -> Quantity:
    """The quantity that `text` states, in the SI unit of `dimension`.

    Raises:
        UnitError: not a number, no unit, or a unit of another dimension.
    """
    match = _NUMBER.match(str(text))
    if not match or isinstance(text, bool):
        raise UnitError(f"'{text}' is not a quantity; write {example(dimension)}")
    number, unit = Decimal(match[1]), match[2]
    for table, per_cycle in ((_UNITS, False), (_PER_CYCLE, True)):
        factor = _factor(unit, table.get(dimension, {}))
        if factor is not None:
            return Quantity(_in_range(float(number * factor), text), per_cycle)
    if not unit:
        raise UnitError(f"'{text}' has no unit; write {example(dimension)}")
    hint = did_you_mean(unit, known_units(dimension))
    raise UnitError(
        f"'{text}': unit '{unit}' is not one of {dimension.replace('_', ' ')}{hint or '; write ' + example(dimension)}"
    )


def _in_range(value: float, text: str | float) -> float:
    """The value, refused where no machine has such a figure: beyond it sums overflow."""
    if abs(value) > _LARGEST:
        raise UnitError(f"'{text}' is out of range")
    return value


def _factor(unit: str, units: dict[str, Decimal]) -> Decimal | None:
    """SI factor of a prefixed unit, None where it is none of `units`."""
    if unit in units:
        return units[unit]
    for name, factor in units.items():
        if name and unit.endswith(name):
            prefix = unit[: -len(name)]
            if prefix in _DECIMAL:
                return factor * Decimal(10) ** _DECIMAL[prefix]
            if prefix in _BINARY:
                return factor * Decimal(2) ** _BINARY[prefix]
            if prefix == "K":  # kB and KB are both written for 1000 bytes
                return factor * 1000
    return None


def known_units(dimension: str) -> list[str]:
    """Spellings to suggest for a dimension."""
    units = [*_UNITS[dimension], *_PER_CYCLE.get(dimension, {})]
    return [
        prefix + unit
        for unit in units
        if unit not in ("", "%")
        for prefix in ("", "k", "M", "G", "T", "m", "u", "n", "p", "Ki", "Mi", "Gi")
    ]


def example(dimension: str) -> str:
    """How a quantity of the dimension is written, for messages."""
    samples = {
        "bytes": "'320 KiB'", "bytes_per_s": "'3.35 TB/s'", "hertz": "'216 MHz'", "seconds": "'5 us'", "joules": "'2 mJ'",
        "joules_per_byte": "'4 pJ/bit'", "watts": "'350 W'", "metres": "'7 nm'", "macs_per_s": "'312 TFLOP/s' or '2 MAC/cycle'",
        "ops_per_s": "'19.5 TOP/s'", "joules_per_mac": "'0.5 pJ'", "joules_per_op": "'0.2 pJ'", "count": "'108'",
        "ratio": "'0.85'", "coulombs": "'220 mAh'", "volts": "'3 V'", "per_second": "'1/s'",
    }  # fmt: skip
    return samples[dimension]


def unit_of(name: str) -> str:
    """The SI unit that the ending of a name states: `J` of `energy_j`; empty where it states none."""
    if name.endswith("_cycles"):
        return "cycles"
    dimension = next((dimension for dimension, ending in ENDINGS.items() if name.endswith(ending)), None)
    return next(iter(_UNITS[dimension])) if dimension else ""


def format_exact(value: float, dimension: str) -> str:
    """The quantity with all its digits: `parse(format_exact(x)) == x`."""
    unit = next(iter(_UNITS[dimension]))
    prefix = _prefix(value) if unit else ""
    scaled = Decimal(repr(value)).scaleb(-_DECIMAL[prefix])
    exact = scaled.normalize()
    plain = not exact or -_MOST_PLACES < exact.adjusted() < _MOST_PLACES
    return f"{exact:{'f' if plain else 'e'}} {prefix}{unit}".rstrip()


def format_si(value: float, unit: str, digits: int = 3) -> str:
    """`1.23 ms`: a number for a person, `digits` significant digits; `–` for None-like NaN."""
    if value != value:  # NaN
        return "–"
    if value == 0:
        return f"0 {unit}".rstrip()
    prefix = _prefix(float(f"{value:.{digits}g}"))
    scaled = value / 10.0 ** _DECIMAL[prefix]
    return f"{_significant(scaled, digits)} {'µ' if prefix == 'u' else prefix}{unit}".rstrip()


def format_count(value: float, digits: int = 3) -> str:
    """`4.09 G`: a plain number; no prefix below a thousand."""
    return format_si(value, "", digits) if abs(value) >= 1000 else f"{value:.{digits}g}"


def format_duration(seconds: float, digits: int = 3) -> str:
    """`9.89 days`: a long time; below two minutes in seconds."""
    for name, factor in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * factor:
            return f"{format_count(seconds / factor, digits)} {name}"
    return format_si(seconds, "s", digits)


def format_bytes(value: float, digits: int = 3) -> str:
    """`312 KiB`: memory sizes in binary prefixes."""
    for prefix in ("Ti", "Gi", "Mi", "Ki"):
        factor = 2 ** _BINARY[prefix]
        if value >= factor:
            return f"{_significant(value / factor, digits)} {prefix}B"
    return f"{value:.0f} B"


def _significant(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    rounded_up = "e" in text and 1 <= abs(value) < _PLAIN  # 999.9 is 1e+03 with three digits
    return f"{value:.0f}" if rounded_up else text


def _prefix(value: float) -> str:
    """Decimal prefix that leaves one to three digits before the point."""
    magnitude = abs(value)
    for prefix, exponent in (
        ("E", 18),
        ("P", 15),
        ("T", 12),
        ("G", 9),
        ("M", 6),
        ("k", 3),
        ("", 0),
        ("m", -3),
        ("u", -6),
        ("n", -9),
        ("p", -12),
    ):
        if magnitude >= 10.0**exponent * 0.9999999:
            return prefix
    return "f" if magnitude else ""


def printable(text: str, keep: str = "") -> str:
    """Text of a file with what could steer a terminal or break a table (control characters, tabs, newlines) replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)
