"""Values of any dimension as people read them: `1.23 ms`, `312 KiB`, `2 TB/s`; ratios as `×0.52`."""

import math
from typing import Final

from simulator.units import ENDINGS, format_bytes, format_count, format_si

UNITS: Final = {
    "seconds": "s", "joules": "J", "hertz": "Hz", "watts": "W", "metres": "m", "bytes_per_s": "B/s", "macs_per_s": "MAC/s",
    "ops_per_s": "OP/s", "per_second": "/s", "joules_per_byte": "J/B", "joules_per_mac": "J/MAC", "joules_per_op": "J/OP",
    "volts": "V", "coulombs": "C",
}  # fmt: skip


def cell(value: float | None, dimension: str, *, per_cycle: bool = False, digits: int = 3) -> str:
    """A value with its unit; `–` where there is none."""
    if value is None or value != value:  # NaN
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if dimension == "bytes":
        return format_bytes(value, digits)
    unit = UNITS.get(dimension, "")
    if dimension == "per_second" and abs(value) < 1:
        return f"{value:.{digits}g} /s"
    if per_cycle:
        return (
            f"{format_count(value, digits)} cycles"
            if dimension == "seconds"
            else f"{format_count(value, digits)} {unit[:-2]}/cycle"
        )
    return format_si(value, unit, digits) if unit else format_count(value, digits)


def dimension_of(key: str) -> str:
    """The dimension of a column by the unit that its name ends in; empty without one."""
    return next((dimension for dimension, ending in ENDINGS.items() if key.endswith(ending)), "")


def ratio(value: float | None) -> str:
    """`×0.52`; nothing where there is none."""
    if value is None or value != value:
        return ""
    return f"×{value:.3g}" if 0.01 <= value < 1000 or not value else f"×{value:.2e}"
