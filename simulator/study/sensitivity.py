"""What latency and energy hang on: elasticities d ln y / d ln x for every figure of a machine, and where more stops helping."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.errors import SimulatorError, UsageError
from simulator.machine.changed import scaled, with_value
from simulator.result.estimate import Estimate
from simulator.study.axes import Axis, is_one_by_one, is_whole
from simulator.study.records import html_of
from simulator.study.scenario import Case, Scenario, Sources, case_of, require_figure
from simulator.study.solve import spread
from simulator.study.variant import Array, Variant, require_one_way, variant_of

SCHEMA: Final = 1
STEP: Final = 0.01  # of a figure, either way: what its elasticity is taken over
_LEAST: Final = 1e-6  # elasticity below which a figure has no effect
_LEFT_OUT: Final = ("power.tdp", "power.idle", "process")  # nothing is computed from them, or other figures hang on them
_ONE_BY_ONE: Final = "it decides which numbers there are, beside being one; sim sweep varies it"
_KNEE_SPAN, _KNEE_POINTS = 64.0, 385  # the range around a figure in which its knee is looked for, 32 points a doubling
KNEE_GAIN: Final = 1.05  # a doubling that wins less than this is past the knee


@dataclass(frozen=True)
class Effect:
    """What one figure does. `value` in SI units; elasticities are d ln y / d ln x, None without energy figures.

    `halved` and `doubled` are (latency, energy) as multiples of those there are at half and at twice the figure, None where
    the machine would contradict itself. `knee` is the value from which on a doubling wins less than 5 % of latency.
    """

    name: str
    axis: Axis
    value: float
    latency: float
    energy: float | None
    halved: tuple[float, float | None] | None
    doubled: tuple[float, float | None] | None
    knee: float | None


@dataclass(frozen=True)
class Sensitivity:
    """Effects, the largest on latency first; `without` are the figures that have none, `unread` those that cannot vary."""

    estimate: Estimate
    effects: tuple[Effect, ...]
    without: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]

    def _repr_html_(self) -> str:
        """A row a figure, in notebooks."""
        rows = [
            {
                "figure": effect.axis.key,
                "value": effect.value,
                "latency": effect.latency,
                "energy": effect.energy,
                "knee": effect.knee,
            }
            for effect in self.effects
        ]
        return html_of(rows, [f"no effect: {', '.join(self.without)}"] if self.without else [])

    def to_dict(self) -> dict[str, object]:
        """As an object for JSON."""
        return {
            "schema": SCHEMA, "model": self.estimate.model.name, "hardware": self.estimate.hardware.id,
            "latency_s": self.estimate.latency_s, "energy_j": self.estimate.energy_j,
            "effects": [
                {
                    "name": effect.name, "key": effect.axis.key, "value": effect.value, "latency_elasticity": effect.latency,
                    "energy_elasticity": effect.energy, "halved": effect.halved, "doubled": effect.doubled, "knee": effect.knee,
                }
                for effect in self.effects
            ],
            "without_effect": list(self.without), "not_varied": dict(self.unread),
        }  # fmt: skip


def sensitivity(scenario: Scenario, sources: Sources, *, names: Sequence[str] = (), runtime: bool = False) -> Sensitivity:
    """The effect of every figure of the machine, with `runtime` also of its runtime; or of the `names` alone.

    Raises:
        SimulatorError: the scenario cannot be estimated, or a name is none of a figure.
    """
    case = case_of(scenario, sources)
    require_one_way(case)
    variant = variant_of(case)
    wanted = tuple(dict.fromkeys(names)) or _figures(case, runtime=runtime)
    effects, without, unread = [], [], []
    for name in wanted:
        if is_whole(name):
            raise UsageError(f"{name}: it is a whole number, and a hundredth of it is nothing; sim sweep varies it")
        if is_one_by_one(name) and names:
            raise UsageError(f"{name}: {_ONE_BY_ONE}")
        if is_one_by_one(name):
            unread.append((name, _ONE_BY_ONE))
            continue
        try:
            effect = _effect(name, case, variant)
        except SimulatorError as error:
            if names:
                raise
            unread.append((name, str(error)))
            continue
        if effect is None:
            without.append(name)
        else:
            effects.append(effect)
    effects.sort(key=lambda effect: (-abs(effect.latency), -abs(effect.energy or 0.0)))
    return Sensitivity(case.estimate(), tuple(effects), tuple(without), tuple(unread))


def _figures(case: Case, *, runtime: bool) -> tuple[str, ...]:
    """Names of the figures that may matter: of engines that the runtime uses, more than 0, no whole numbers."""
    used = {engine.id for engine in case.hardware.engines if case.runtime.profile(engine.kind) is not None}
    there = ((path, figure) for path, figure in case.hardware.figures() if path not in _LEFT_OUT)
    own = [path for path, figure in there if figure.value > 0 and not (is_whole(path) or ".geometry." in path)]
    own = [path for path in own if not path.startswith("engines.") or path.split(".")[1] in used]
    if not runtime:
        return tuple(own)
    kinds = {engine.kind for engine in case.hardware.engines}
    profiles = {kind for kind in case.runtime.profiles if kind in kinds or kind == "default"}
    constants = [path for path, figure in case.runtime.figures() if path.startswith("profiles.") and figure.value > 0]
    return (*own, *(f"runtime.{path}" for path in constants if path.split(".")[1] in profiles))


def _effect(name: str, case: Case, variant: Variant) -> Effect | None:
    """What a figure does; None where nothing."""
    file = require_figure(case, name)
    figure = scaled(*file, 1.0)
    axis = Axis(name, (), np.array([figure.value]), figure.dimension, figure.per_cycle)
    most = next((factor for factor in (_KNEE_SPAN, 16.0, 4.0, 2.0, 1.0 + STEP, 1.0) if _may_be(case, name, factor)), 1.0)
    up = 1.0 + STEP if most > 1.0 else 1.0
    factors = np.array([1.0, 1.0 - STEP, up, 0.5, min(2.0, most)])
    latency, energy = _results(variant, name, figure.value * factors)
    run = np.log(factors[2] / factors[1])
    elasticity = float(np.log(latency[2] / latency[1]) / run) if np.isfinite(latency[1:3]).all() else _one_sided(latency, factors)
    of_energy = float(np.log(energy[2] / energy[1]) / run) if np.isfinite(energy[1:3]).all() else None
    if (
        max(np.nanmax(np.abs(np.log(latency / latency[0]))), np.nanmax(np.abs(np.log(np.append(energy / energy[0], 1.0)))))
        < _LEAST
    ):
        return None
    halved, doubled = (_multiples(latency, energy, place) for place in (3, 4))
    knee = _knee(variant, name, figure.value, most) if most >= 2.0 else None
    return Effect(name, axis, figure.value, elasticity, of_energy, halved, doubled if most >= 2.0 else None, knee)


def _may_be(case: Case, name: str, factor: float) -> bool:
    """Whether the file takes a multiple of a figure, other figures apart."""
    file = require_figure(case, name)
    try:
        with_value(*file, f"{factor!r}x")
    except SimulatorError:
        return False
    return True


def _one_sided(latency: Array, factors: Array) -> float:
    """The elasticity by the side that is there; 0 with neither."""
    for place in (1, 2):
        if np.isfinite(latency[place]) and factors[place] != 1.0:
            return float(np.log(latency[place] / latency[0]) / np.log(factors[place]))
    return 0.0


def _results(variant: Variant, name: str, values: Array) -> tuple[Array, Array]:
    """Latency and energy at values of a figure; NaN where the machine contradicts itself."""
    rows, faults = variant.rows({name: values})
    wrong = np.zeros(len(values), bool)
    for _, there in faults:
        wrong |= there
    return np.where(wrong, np.nan, rows["latency_s"]), np.where(wrong, np.nan, rows["energy_j"])


def _multiples(latency: Array, energy: Array, place: int) -> tuple[float, float | None] | None:
    if not np.isfinite(latency[place]):
        return None
    return float(latency[place] / latency[0]), float(energy[place] / energy[0]) if np.isfinite(energy[place]) else None


def _knee(variant: Variant, name: str, value: float, most: float) -> float | None:
    """The least value from which on no doubling wins 5 % of latency; None where that is so all along, or nowhere."""
    values = value * spread(1.0 / _KNEE_SPAN, _KNEE_SPAN, _KNEE_POINTS)
    values = values[values <= value * most * (1.0 + 1e-9)]
    latency, _ = _results(variant, name, values)
    doubling = (_KNEE_POINTS - 1) // round(2 * np.log2(_KNEE_SPAN))
    gain = latency[:-doubling] / latency[doubling:]
    past = ~(gain >= KNEE_GAIN) & np.isfinite(gain)
    after = np.flip(np.logical_and.accumulate(np.flip(past | ~np.isfinite(gain)))) & np.isfinite(gain)
    return float(values[int(np.argmax(after))]) if after.any() and not past.all() else None
