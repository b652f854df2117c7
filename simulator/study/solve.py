"""The least of some figures that meets targets: what bandwidth for 33 ms? Candidates are columns through the same costs.

One figure: the range is looked at as a whole, then the bracket around the first change from missed to met is narrowed until
its ends differ in the last digits. Several: a seeded random search that closes in on the cheapest point, then each figure
in turn is lowered as far as the targets allow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.result.estimate import Estimate
from simulator.study.axes import Array, Axis, axis_of, is_one_by_one, is_whole, value_text
from simulator.study.formula import Formula, formula_of
from simulator.study.scenario import Case, Scenario, Sources, case_of, require_figure, with_setting
from simulator.study.sweep import RESULTS, units_of
from simulator.study.variant import Variant, require_one_way, variant_of

_SPANS: Final = (1024.0, 256.0, 64.0, 16.0, 4.0, 2.0, 1.0)  # times the figure there is: how far it may be looked for
_POINTS: Final = 513  # of one figure at once
_EXACT: Final = 1e-12  # relative width of a bracket in the end
_DRAWN: Final = 4096  # points of one round of the search over several figures
_ROUNDS: Final = 24
_CLOSER: Final = 0.6  # of the box that is left after a round, along each figure
_RESULTS: Final = {name: key for name, key in RESULTS.items() if name != "accuracy"}  # no figure of a machine changes it
_ENERGY: Final = frozenset({"energy", "energy_j", "power", "power_w"})
_DIGITS: Final = 4  # of a value as it is proposed: rounded to where the targets hold


@dataclass(frozen=True)
class Solution:
    """What was found for the figures of `axes`: `values` in SI units, None where nothing in the range suffices.

    `largest`: the targets hold up to that value and not above it (of a latency, of an energy a byte); else from it on.
    `exact` are the values at the edge, `values` those rounded to where the targets hold. `at` is the estimate at `values`, or
    where there are none the nearest miss in the range, at the figures `nearest`; `missed` are the targets that fail there.
    """

    axes: tuple[Axis, ...]
    targets: tuple[str, ...]
    values: tuple[float, ...] | None
    exact: tuple[float, ...] | None
    largest: bool
    scenario: Scenario
    at: Estimate
    before: Estimate
    missed: tuple[str, ...] = ()
    nearest: tuple[float, ...] = ()

    @property
    def settings(self) -> tuple[str, ...]:
        """The values as `NAME=VALUE`."""
        found = zip(self.axes, self.values or (), strict=False)
        return tuple(f"{axis.name}={value_text(axis, value)}" for axis, value in found)


@dataclass(frozen=True)
class Problem:
    """Figures to choose on a case, and what must hold; `cost` is to be least, the product of the figures where it is None."""

    scenario: Scenario
    variant: Variant
    axes: tuple[Axis, ...]
    targets: tuple[Formula, ...]
    cost: Formula | None

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """The range of every figure."""
        found = [axis.numbers for axis in self.axes if axis.numbers is not None]
        return tuple((float(numbers[0]), float(numbers[-1])) for numbers in found)

    def met(self, values: Sequence[Array]) -> NDArray[np.bool_]:
        """Which targets hold at columns of the figures, shape (targets, n_points); none where figures contradict each other."""
        named, possible = self.named(values)
        each = [np.broadcast_to(np.asarray(target.value(named), bool), len(possible)) for target in self.targets]
        return np.asarray(np.stack(each) & possible)

    def all_met(self, values: Sequence[Array]) -> NDArray[np.bool_]:
        """Whether all targets hold, shape (n_points,)."""
        return np.asarray(np.logical_and.reduce(self.met(values), axis=0))

    def costs(self, values: Sequence[Array]) -> Array:
        """What is to be least."""
        if self.cost is None:
            return np.asarray(sum((np.log(value) for value in values), np.zeros(len(values[0]))))
        return np.broadcast_to(np.asarray(self.cost.value(self.named(values)[0]), float), len(values[0]))

    def named(self, values: Sequence[Array]) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """Results and figures by name, and which points do not contradict themselves."""
        count = len(values[0])
        figures = {axis.name: value for axis, value in zip(self.axes, values, strict=True)}
        rows, faults = self.variant.rows(figures)
        possible = np.ones(count, bool)
        for _, there in faults:
            possible &= ~there
        return {**figures, **rows, **{name: rows[key] for name, key in _RESULTS.items()}}, possible


def problem_of(
    scenario: Scenario, vary: Sequence[str], targets: Sequence[str], sources: Sources, minimize: str | None = None
) -> Problem:
    """The problem that texts state: figures by path, behind `=` the range LOW..HIGH to look in.

    Raises:
        UsageError: no figure or no target; nothing is called so; a range that is none.
    """
    if not vary or not targets:
        raise UsageError("solve needs a figure to vary and a target: --vary memories.dram.bandwidth --target 'latency<=33ms'")
    case, axes = case_of(scenario, sources), list[Axis]()
    for text in vary:
        name, equals, _ = (part.strip() for part in text.partition("="))
        require_figure(case, name)
        if is_one_by_one(name):
            raise UsageError(f"'{name}' decides which numbers there are, beside being one, and cannot be solved for; sweep it")
        if is_whole(name):
            raise UsageError(f"'{name}' is a whole number; sweep it: sim sweep … --vary {name}=1..16 --where '{targets[0]}'")
        axis = axis_of(text, case) if equals else _around(name, case)
        if axis.spacing is None or axis.name in [other.name for other in axes]:
            raise UsageError(f"'{text}': once each, with a range LOW..HIGH to look in, or without one")
        axes.append(axis)
        if axis.seed is not None:
            scenario = with_setting(scenario, name, axis.seed, sources)
            case = case_of(scenario, sources)
    formulas, cost = tuple(map(formula_of, targets)), formula_of(minimize) if minimize else None
    known = [*_RESULTS, *_RESULTS.values(), *(axis.name for axis in axes)]
    for formula in (*formulas, *([cost] if cost else [])):
        formula.check(known, units_of(axes))
    for formula in formulas:
        formula.check_condition(["fits"])
    require_one_way(case)
    problem = Problem(scenario, variant_of(case), tuple(axes), formulas, cost)
    _require_energy(problem)
    return problem


def _require_energy(problem: Problem) -> None:
    """UsageError where a formula is about energy and the machine has no figures for it."""
    asked = [formula for formula in (*problem.targets, problem.cost) if formula and not _ENERGY.isdisjoint(formula.names)]
    if asked and problem.variant.totals({})[0].energy_j is None:
        raise UsageError(f"'{asked[0].text}': {problem.variant.case.hardware.id} has no energy figures, so none is known")


def _around(name: str, case: Case) -> Axis:
    """A wide range around a figure: as far as the file would take it."""
    for up in _SPANS:
        try:
            return axis_of(f"{name}={1 / _SPANS[0]}x..{up if up > 1 else 1.0}x:log:2", case)
        except UsageError as error:
            reason = error
    raise UsageError(f"{name}: write a range to look in, {name}=LOW..HIGH ({reason})")


def solve(problem: Problem, sources: Sources) -> Solution:
    """The least values that meet all targets, or why there are none."""
    before = case_of(problem.scenario, sources).estimate()
    if len(problem.axes) == 1:
        found, largest = _edge(problem)
    else:
        found, largest = _cheapest(problem), False
    texts = tuple(target.text for target in problem.targets)
    if found is None:
        nearest, missed = _nearest_miss(problem)
        scenario = _at(problem, nearest, sources)
        at = case_of(scenario, sources).estimate()
        return Solution(problem.axes, texts, None, None, largest, scenario, at, before, missed, nearest)
    values = _rounded(problem, found, up=not largest)
    scenario = _at(problem, values, sources)
    return Solution(problem.axes, texts, values, found, largest, scenario, case_of(scenario, sources).estimate(), before)


def _at(problem: Problem, values: Sequence[float], sources: Sources) -> Scenario:
    scenario = problem.scenario
    for axis, value in zip(problem.axes, values, strict=True):
        scenario = with_setting(scenario, axis.name, value_text(axis, value), sources)
    return scenario


def _edge(problem: Problem) -> tuple[tuple[float, ...] | None, bool]:
    """Where the only figure begins to meet the targets, or ceases to (True)."""
    low, high = problem.ends[0]
    points = spread(low, high, _POINTS)
    met, (_, possible) = problem.all_met([points]), problem.named([points])
    if not met.any():
        return None, False
    if met[0] and (met | ~possible).all():  # what no machine has above some value is no miss of the targets
        return (float(low),), False
    if met[0] and not met[-1]:
        last = int(np.argmin(met)) - 1
        return (_narrowed(problem, points[last + 1], points[last]),), True
    first = int(np.argmax(met))
    return (float(low) if first == 0 else _narrowed(problem, points[first - 1], points[first]),), False


def _narrowed(problem: Problem, misses: float, meets: float) -> float:
    """The value nearest to `misses` that is known to meet the targets, from where they are met."""
    while abs(meets - misses) > _EXACT * abs(meets):
        points = spread(misses, meets, 34)[1:-1]
        met = problem.all_met([points])
        place = int(np.argmax(met)) if met.any() else len(points)
        bracket = [misses, *points.tolist(), meets]
        if (bracket[place], bracket[place + 1]) == (misses, meets):
            break
        misses, meets = bracket[place], bracket[place + 1]
    return float(meets)


def spread(low: float, high: float, count: int) -> Array:
    """Points from low to high in equal ratios; in equal steps where one is 0."""
    if low <= 0 or high <= 0:
        return np.linspace(low, high, count)
    points = np.exp(np.linspace(math.log(low), math.log(high), count))
    points[0], points[-1] = low, high
    return np.asarray(points)


def _cheapest(problem: Problem) -> tuple[float, ...] | None:
    """The point of least cost that meets the targets, by a search that closes in; then each figure lowered in turn."""
    if any(low <= 0 for low, _ in problem.ends):
        raise UsageError("several figures are looked for in ranges above 0")
    ends = np.log(np.array(problem.ends))
    box, random, best, least = ends.copy(), np.random.default_rng(0), None, math.inf
    for _ in range(_ROUNDS):
        drawn = random.random((len(ends), _DRAWN))
        drawn[:, 0], drawn[:, -1] = 0.0, 1.0
        values = list(np.exp(box[:, :1] + (box[:, 1:] - box[:, :1]) * drawn))
        costs = np.where(problem.all_met(values), problem.costs(values), np.inf)
        place = int(np.argmin(costs))
        if costs[place] < least:
            best, least = np.array([value[place] for value in values]), float(costs[place])
        if best is not None:
            half = _CLOSER * (box[:, 1] - box[:, 0]) / 2
            middle = np.log(best)
            box = np.clip(np.stack([middle - half, middle + half], axis=1), ends[:, :1], ends[:, 1:])
    if best is None:
        return None
    for place in range(len(problem.axes)):
        best = _lowered(problem, best, place)
    return tuple(float(value) for value in np.clip(best, *np.array(problem.ends).T))


def _lowered(problem: Problem, point: Array, place: int) -> Array:
    """The point with one figure as low as the targets allow and its cost falls with it."""
    points = spread(float(point[place]), problem.ends[place][0], _POINTS)
    values = [points if other == place else np.full(_POINTS, value) for other, value in enumerate(point)]
    good = problem.all_met(values) & (np.diff(problem.costs(values), prepend=np.inf) <= 0)
    good[0] = True
    if good.all():
        return np.array([points[-1] if other == place else value for other, value in enumerate(point)])
    last = int(np.argmin(good)) - 1
    low, high = float(points[last + 1]), float(points[last])
    while high - low > _EXACT * high:
        middle = math.sqrt(low * high)
        if middle in (low, high):
            break
        one = [np.array([middle if other == place else value]) for other, value in enumerate(point)]
        low, high = (low, middle) if problem.all_met(one).all() else (middle, high)
    return np.array([high if other == place else value for other, value in enumerate(point)])


def _nearest_miss(problem: Problem) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The point of the range that misses the fewest targets, of these the one that comes nearest to them, and what it misses."""
    if len(problem.axes) == 1:
        values = [spread(*problem.ends[0], _POINTS)]
    else:
        random = np.random.default_rng(0).random((len(problem.axes), _DRAWN))
        random[:, 0], random[:, -1] = 0.0, 1.0
        values = [low * (high / low) ** share for (low, high), share in zip(problem.ends, random, strict=True)]
    met = problem.met(values)
    named, possible = problem.named(values)
    short = sum((target.shortfall(named) for target in problem.targets), np.zeros(len(possible)))
    more = -np.arange(len(possible))  # of equals the largest figures
    order = np.lexsort((more, named["latency"], np.broadcast_to(short, len(possible)), -met.sum(axis=0), ~possible))
    place = int(order[0])
    missed = tuple(target.text for target, holds in zip(problem.targets, met[:, place], strict=True) if not holds)
    return tuple(float(value[place]) for value in values), missed


def _rounded(problem: Problem, exact: tuple[float, ...], *, up: bool) -> tuple[float, ...]:
    """The values with few digits, rounded to where the targets hold; as they are where that misses."""
    found = []
    for value, (low, high) in zip(exact, problem.ends, strict=True):
        unit = 10.0 ** (math.floor(math.log10(value)) - _DIGITS + 1) if value > 0 else 1.0
        whole = (math.ceil if up else math.floor)(value / unit) * unit
        found.append(float(f"{min(max(whole, low), high):.12g}"))
    return tuple(found) if problem.all_met([np.array([value]) for value in found]).all() else exact
