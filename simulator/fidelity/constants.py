"""The constants of a runtime profile that a fit may move, and a runtime with other ones."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.errors import UsageError, did_you_mean
from simulator.machine.figures import Figure
from simulator.machine.runtime import Profile, RuntimeSpec


@dataclass(frozen=True, slots=True)
class Range:
    """Where a constant may lie, and how far from its prior a fit expects it: a factor of e^`spread` either way."""

    low: float
    high: float
    spread: float


# by field of a profile; physical bounds, and how well such a figure is known beforehand
RANGES: Mapping[str, Range] = {
    "efficiency": Range(0.01, 1.0, math.log(1.5)),
    "vector_efficiency": Range(0.01, 1.0, math.log(1.5)),
    "bandwidth": Range(0.2, 0.98, math.log(1.15)),
    "cache_exposed": Range(0.01, 1.0, math.log(2)),
    "prologue_k": Range(1.0, 500.0, math.log(1.5)),
    "misaligned": Range(0.1, 1.0, math.log(1.5)),
    "kernel_overhead": Range(1e-8, 1e-3, math.log(2)),
    "inference_overhead": Range(1e-8, 1e-1, math.log(3)),
    "instructions": Range(0.05, 200.0, math.log(1.3)),
    "output_instructions": Range(0.05, 500.0, math.log(2)),
}


@dataclass(frozen=True, slots=True)
class Constant:
    """A figure of a runtime by its path, `profiles.<engine kind>.<field>[.<kernel class>]`, with its prior."""

    path: str
    prior: float
    range: Range


def constants_of(runtime: RuntimeSpec, engine_kinds: frozenset[str], wanted: tuple[str, ...] = ()) -> tuple[Constant, ...]:
    """The constants of the profiles that run on these kinds of engine; with `wanted`, those whose path ends so.

    Raises:
        UsageError: nothing of that name.
    """
    used = {next((k for k in (kind, "default") if k in runtime.profiles), None) for kind in engine_kinds}
    found = []
    for path, figure in runtime.figures():
        parts = path.split(".")
        if parts[0] == "profiles" and parts[1] in used and parts[2] in RANGES and figure.value > 0:
            found.append(Constant(path, figure.value, RANGES[parts[2]]))
    unknown = [name for name in wanted if not any(_ends(c.path, name) for c in found)]
    if unknown:
        known = [c.path.split(".", 2)[2] for c in found]
        raise UsageError(f"no constant '{unknown[0]}'{did_you_mean(unknown[0], known)} (known: {', '.join(known)})")
    return tuple(c for c in found if not wanted or any(_ends(c.path, name) for name in wanted))


def _ends(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def with_constants(runtime: RuntimeSpec, values: Mapping[str, float]) -> RuntimeSpec:
    """The runtime with other values under some paths, everything else as it was."""
    profiles = dict(runtime.profiles)
    for path, value in values.items():
        _, kind, name, *key = path.split(".")
        profile = profiles[kind]  # type: ignore[index]
        profiles[kind] = _with_value(profile, name, key, value)  # type: ignore[index]
    return runtime.model_copy(update={"profiles": profiles})


def _with_value(profile: Profile, name: str, key: list[str], value: float) -> Profile:
    old = getattr(profile, name)
    new: object
    if isinstance(old, Figure):
        new = replace(old, value=value)
    else:
        new = {kind: replace(figure, value=value) if str(kind) == key[0] else figure for kind, figure in old.items()}
    return profile.model_copy(update={name: new})
