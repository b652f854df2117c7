"""The constants of a runtime profile that a fit may move, and a runtime with other ones."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np

from simulator.errors import UsageError, did_you_mean
from simulator.machine.figures import Figure, Number
from simulator.machine.runtime import Instructions, Profile, RuntimeSpec
from simulator.units import format_exact

_Section = TypeVar("_Section", bound=Instructions)


@dataclass(frozen=True, slots=True)
class Range:
    """Where a constant may lie, and how far from its prior a fit expects it: a factor of e^`spread` either way."""

    low: float
    high: float
    spread: float


# by field of a profile; physical bounds, and how well such a figure is known beforehand
RANGES: Final[Mapping[str, Range]] = {
    "efficiency": Range(0.01, 1.0, math.log(1.5)),
    "vector_efficiency": Range(0.01, 1.0, math.log(1.5)),
    "vector_share": Range(1e-4, 1.0, math.log(2)),
    "bandwidth": Range(0.2, 0.98, math.log(1.15)),
    "streaming": Range(0.1, 1.0, math.log(1.15)),
    "strided": Range(0.05, 1.0, math.log(1.5)),
    "odd_groups": Range(0.05, 1.0, math.log(2)),
    "cache_exposed": Range(0.01, 1.0, math.log(2)),
    "prologue_k": Range(1.0, 2000.0, math.log(1.5)),
    "misaligned": Range(0.1, 1.0, math.log(1.5)),
    "kernel_overhead": Range(1e-8, 1e-3, math.log(2)),
    "inference_overhead": Range(1e-8, 1e-1, math.log(3)),
    "fork_overhead": Range(1e-8, 1e-4, math.log(2)),
    "loop_overhead": Range(1e-8, 1e-4, math.log(2)),
    "page_fault": Range(1e-8, 1e-5, math.log(2)),
    "instructions": Range(0.05, 200.0, math.log(1.3)),
    "output_instructions": Range(0.05, 500.0, math.log(2)),
    "column_instructions": Range(0.05, 100.0, math.log(1.5)),
    "narrow_instructions": Range(0.05, 200.0, math.log(1.5)),
    "issue": Range(1.0, 4.0, math.log(1.1)),
    "weight_places": Range(1.0, 1e4, math.log(2)),
}
# the same for figures that count cycles
CYCLES: Final[Mapping[str, Range]] = {
    "kernel_overhead": Range(1.0, 1e7, math.log(2)),
    "inference_overhead": Range(1.0, 1e9, math.log(3)),
    "fork_overhead": Range(1.0, 1e5, math.log(2)),
    "loop_overhead": Range(1.0, 1e5, math.log(2)),
    "page_fault": Range(1.0, 1e5, math.log(2)),
}
_COUNTS: Final = frozenset(
    {
        "prologue_k", "instructions", "output_instructions", "column_instructions", "narrow_instructions", "issue",
        "weight_places",
    }
)  # fmt: skip
_UNNAMED: Final = {
    "cache_exposed": 1.0,
    "streaming": 1.0,
    "vector_share": 1.0,
    "instructions": 0.0,
    "output_instructions": 0.0,
    "column_instructions": 0.0,
}  # of classes without a figure


@dataclass(frozen=True, slots=True)
class Constant:
    """A figure of a runtime by its path: its prior, and its value now.

    `profiles.<engine kind>.<field>[.<kernel class>]`, `profiles.<engine kind>.by_type.<type>.<field>.<kernel class>`, or
    `profiles.<engine kind>.vector.<field>.<kernel class>`.
    """

    path: str
    prior: float
    value: float
    range: Range
    per_cycle: bool = False

    @property
    def name(self) -> str:
        """The path without `profiles`."""
        return self.path.partition(".")[2]

    @property
    def quantity(self) -> str:
        """Its dimension, as `units.parse` calls it: `seconds`, else `ratio` or `count`."""
        field = _field(self.path)
        if field.endswith("_overhead") or field == "page_fault":
            return "seconds"
        return "count" if field in _COUNTS else "ratio"

    def text(self, value: float) -> str:
        """A value as a file has it, with all its digits: `0.71`, `6.12 us`, `8000 cycles`."""
        return f"{format_exact(value, 'count')} cycles" if self.per_cycle else format_exact(value, self.quantity)


def constants_of(runtime: RuntimeSpec, engine_kinds: frozenset[str], wanted: tuple[str, ...] = ()) -> tuple[Constant, ...]:
    """The constants of the profiles that run on these kinds of engine; with `wanted`, those whose path ends so or lies below.

    Raises:
        UsageError: nothing of that name.
    """
    used = {next((k for k in (kind, "default") if k in runtime.profiles), None) for kind in engine_kinds}
    found = []
    for path, figure in runtime.figures():
        parts = path.split(".")
        if parts[0] == "profiles" and parts[1] in used and _field(path) in RANGES and figure.value > 0:
            prior = figure.value if figure.prior is None else figure.prior
            found.append(Constant(path, prior, figure.value, _range(_field(path), figure, prior), figure.per_cycle))
    unknown = [name for name in wanted if not any(_means(name, c) for c in found)]
    if unknown:
        known = list(dict.fromkeys(c.path.split(".", 2)[2] for c in found))
        raise UsageError(
            f"{runtime.id} has no constant '{unknown[0]}'{did_you_mean(unknown[0], known)} (known: {', '.join(known)})"
        )
    return tuple(c for c in found if not wanted or any(_means(name, c) for name in wanted))


def _field(path: str) -> str:
    """The field of a profile that a path names."""
    parts = path.split(".")
    return parts[{"by_type": 4, "vector": 3}.get(parts[2], 2)]


def _range(field: str, figure: Figure, prior: float) -> Range:
    """The bounds of a field, wide enough for its prior and its value: a fit must be able to leave a figure where it is."""
    found = CYCLES[field] if figure.per_cycle else RANGES[field]
    return replace(found, low=min(found.low, figure.value, prior), high=max(found.high, figure.value, prior))


def _means(name: str, constant: Constant) -> bool:
    """Whether `name` is the whole path, its end (`efficiency.conv`), or a field of a profile (`efficiency`)."""
    return constant.path == name or constant.path.endswith(f".{name}") or _field(constant.path) == name


def with_constants(runtime: RuntimeSpec, values: Mapping[str, Number]) -> RuntimeSpec:
    """The runtime with other values under some paths, everything else as it was; values may be columns, (n_points, 1)."""
    profiles: dict[Any, Profile] = dict(runtime.profiles)
    for path, value in values.items():
        _, kind, name, *key = path.split(".")
        profile = profiles[kind]
        if name == "by_type":
            rate, name, *key = key
            tables: dict[Any, Instructions] = dict(profile.by_type)
            tables[rate] = _with_value(tables[rate], name, key, value)
            profiles[kind] = profile.model_copy(update={"by_type": tables})
        elif name == "vector" and profile.vector:
            profiles[kind] = profile.model_copy(update={"vector": _with_value(profile.vector, key[0], key[1:], value)})
        else:
            profiles[kind] = _with_value(profile, name, key, value)
    return runtime.model_copy(update={"profiles": profiles})


def _with_value(profile: _Section, name: str, key: list[str], value: Number) -> _Section:
    old = getattr(profile, name)
    new: object
    if isinstance(old, Figure):
        new = _figure(old, value)
    else:
        new = {kind: _figure(figure, value) if str(kind) == key[0] else figure for kind, figure in old.items()}
    return profile.model_copy(update={name: new})


def _figure(figure: Figure, value: Any) -> Figure:
    return replace(figure, value=value)


def in_columns(runtime: RuntimeSpec, n_points: int) -> RuntimeSpec:
    """The runtime with every figure that differs by kernel class as a column, (n_points, 1), classes without one among them.

    Costs pick one figure for each class and put them beside each other, which takes columns only where all are columns.
    """

    def column(value: float) -> Any:
        return np.full((n_points, 1), value)

    def table(name: str, figures: Mapping[str, Figure]) -> dict[str, Figure]:
        found = {kind: _figure(figure, column(figure.value)) for kind, figure in figures.items()}
        if found and name in _UNNAMED:
            found.setdefault("default", Figure(column(_UNNAMED[name])))
        return found

    def tables(section: Any, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: table(name, getattr(section, name)) for name in names}

    work = ("instructions", "output_instructions", "column_instructions", "narrow_instructions")
    profiles = {}
    for kind, profile in runtime.profiles.items():
        by_type = {rate: own.model_copy(update=tables(own, work)) for rate, own in profile.by_type.items()}
        vector = profile.vector and profile.vector.model_copy(update=tables(profile.vector, work))
        own = tables(profile, ("efficiency", "cache_exposed", "streaming", "vector_share", *work))
        update = {**own, "by_type": by_type, "vector": vector}
        profiles[kind] = profile.model_copy(update=update)
    return runtime.model_copy(update={"profiles": profiles})
