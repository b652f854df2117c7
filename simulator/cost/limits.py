"""How near a runtime comes to the machine's peaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from simulator.errors import UsageError
from simulator.machine.figures import Number
from simulator.machine.geometry import BlockNpu
from simulator.machine.params import EngineParams, Machine, engines_of
from simulator.machine.runtime import Profile, RuntimeSpec
from simulator.machine.spec import PATTERNS

_NONE: Mapping[str, Profile] = MappingProxyType({})


@dataclass(frozen=True)
class Limits:
    """How near to the machine's peaks: the expected answer uses a runtime's efficiencies, the bound (`IDEAL`) none.

    `profiles` are those of the engines that the runtime runs on, by engine id. `measured` lets fractions that the
    machine file states as measured lower them further; with `geometry`, so does the shape of the engine. `sparsity` are the
    patterns of zeros among weights that are computed at the engine's sparse rate.
    """

    profiles: Mapping[str, Profile]
    measured: bool = True
    geometry: bool = True
    ideal: bool = False
    sparsity: tuple[str, ...] = PATTERNS

    def of(self, engine: EngineParams) -> Profile:
        """How the runtime uses an engine."""
        return self.profiles[engine.id]

    def hidden_share(self, engine: EngineParams) -> Number:
        """Share θ of the shorter of compute and memory time that hides: by the runtime's code, or by the core's caches."""
        theta, own = self.of(engine).overlap.value, engine.overlap
        either = isinstance(theta, float) and isinstance(own, float)  # not columns, which most are not
        return max(theta, own) if either else np.maximum(theta, own)


IDEAL = Limits(_NONE, ideal=True)


def limits_of(runtime: RuntimeSpec, machine: Machine) -> Limits:
    """The limits of a runtime on a machine.

    Raises:
        UsageError: the runtime runs on none of its engines.
    """
    profiles = {e.id: p for e in machine.engines if (p := runtime.profile(e.kind)) is not None}
    if not profiles:
        kinds = ", ".join(dict.fromkeys(e.kind for e in machine.engines))
        raise UsageError(
            f"runtime '{runtime.id}' does not run on an engine of kind '{kinds}' (it runs on: {', '.join(runtime.profiles)})"
        )
    return Limits(profiles, runtime.measured_limits, runtime.geometry, sparsity=runtime.sparsity)


def works_by_blocks(limits: Limits, placement: tuple[EngineParams, ...]) -> bool:
    """Whether an engine of these works by blocks, and geometry counts: only then is `cost/blocks.py` loaded."""
    return limits.geometry and not limits.ideal and _has_blocks(placement)


def _has_blocks(placement: tuple[EngineParams, ...]) -> bool:
    return any(isinstance(engine.shape, BlockNpu) for engine in engines_of(placement).values())
