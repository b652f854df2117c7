"""Many scenarios at once: axes over figures are columns of design points through the same costs, others a variant a value."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import SimulatorError, UsageError
from simulator.result.quantities import TOTALS
from simulator.study.axes import Axis, axis_of, value_text
from simulator.study.formula import Formula, Units, formula_of
from simulator.study.recipe import Study
from simulator.study.scenario import Scenario, Sources, case_of, with_setting, with_settings
from simulator.study.space import BLOCK, Space
from simulator.study.variant import Variant, variant_of

Columns = dict[str, NDArray[Any]]
Places = Sequence[NDArray[Any]]
_MOST_VARIANTS: Final = 100_000
_KEPT_VARIANTS: Final = 256
_TOLD: Final = frozenset({"hardware", "precision"})  # axes whose every value may be worth a warning
# short names of the results in formulas, and their columns
RESULTS: Final[Mapping[str, str]] = {
    "latency": "latency_s", "energy": "energy_j", "throughput": "throughput_per_s", "power": "power_w",
    "memory": "peak_activation_bytes", "size": "weight_bytes", "traffic": "traffic_bytes", "accuracy": "accuracy",
    "bound": "bound", "fits": "fits",
}  # fmt: skip

_DIMENSIONS: Final = {name: TOTALS[name].dimension for name in RESULTS if name in TOTALS} | {"traffic": "bytes", "accuracy": ""}


@dataclass
class Tally:
    """Points looked at, kept, left out by `where`, and those without a value by reason."""

    seen: int = 0
    kept: int = 0
    excluded: int = 0
    without: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count what another counted too."""
        self.seen, self.kept, self.excluded = self.seen + other.seen, self.kept + other.kept, self.excluded + other.excluded
        self.without.update(other.without)


class Sweep:
    """A study ready to run; `block` reckons a piece of it.

    Attributes:
        study: what it was made from.
        axes: models, machines, and what varies.
        space: the points.
        columns: names of the columns of a block, in their order.
    """

    def __init__(self, study: Study, sources: Sources) -> None:
        """Read what the study names.

        Raises:
            SimulatorError: something cannot be had, an axis that does not exist or is empty, too many points.
        """
        if not study.models or not study.hardware:
            raise UsageError("a study needs a network and a machine")
        self.study, self._sources = study, sources
        first = with_settings(Scenario(study.models[0], study.hardware[0]), study.settings, sources)
        self.axes = (_given("model", study.models), _given("hardware", study.hardware), *_varied(first, study, sources))
        self.space = Space(tuple(len(axis) for axis in self.axes), study.method, study.size, study.seed)
        self._where = tuple(formula_of(text) for text in study.where)
        self._derive = tuple(_derived(text) for text in study.derive)
        self._choices = tuple(place for place, axis in enumerate(self.axes) if axis.numbers is None)
        self._figures = tuple(place for place, axis in enumerate(self.axes) if axis.numbers is not None)
        self._labels = {place: self.axes[place].labels for place in self._choices}
        self._variant = lru_cache(maxsize=_KEPT_VARIANTS)(self._variant_of)
        self.columns = (*(axis.key for axis in self.axes), *RESULTS.values(), *(name for name, _ in self._derive))
        self._check()

    def _check(self) -> None:
        """Refuse what can be seen to be wrong before anything is reckoned."""
        variants = int(np.prod([len(self.axes[place]) for place in self._choices], dtype=float))
        if variants > _MOST_VARIANTS:
            raise UsageError(f"{variants:,} networks and machines would be read one by one; at most {_MOST_VARIANTS:,} are")
        self._check_formulas()
        for reference in self.study.models:
            self._sources.parameters(reference)
        for reference in self.study.hardware:
            self._sources.hardware(reference)

    def _check_formulas(self) -> None:
        """Refuse names that no column has, two columns of one name, and conditions that are none."""
        known = [*RESULTS, *RESULTS.values(), *(name for axis in self.axes for name in (axis.name, axis.key))]
        conditions, units = ["fits"], units_of(self.axes)
        for name, formula in self._derive:
            formula.check(known, units)
            if name in known:
                raise UsageError(f"'{name}={formula.text}': there is a column '{name}' already")
            known.append(name)
            conditions += [name] if formula.is_condition(conditions) else []
        for formula in self._where:
            formula.check(known, units)
            formula.check_condition(conditions)

    @property
    def blocks(self) -> int:
        """How many blocks the points are taken in."""
        return -(-len(self.space) // BLOCK)

    def scenario(self, choices: Sequence[int]) -> Scenario:
        """The scenario of some places on the axes that are no figures; figures that a file leaves out have their first value."""
        texts = [(self.axes[place].name, self.axes[place].texts[i]) for place, i in zip(self._choices, choices, strict=True)]
        (_, model), (_, hardware), *own = texts
        scenario = with_settings(Scenario(model, hardware), self.study.settings, self._sources)
        for axis in self.axes:
            own += [(axis.name, axis.seed)] if axis.seed is not None else []
        for name, text in own:
            scenario = with_setting(scenario, name, text, self._sources)
        return scenario

    def _variant_of(self, choices: tuple[int, ...]) -> tuple[Variant, tuple[Axis, ...], float | None] | str:
        """The network and machine of some places, its own axes of figures, and its published accuracy; or why there is none."""
        try:
            scenario = self.scenario(choices)
            variant = variant_of(case_of(scenario, self._sources))
            texts = {text.partition("=")[0].strip(): text for text in self.study.vary}
            axes = tuple(_own(self.axes[place], texts, variant) for place in self._figures)
            return variant, axes, None if scenario.changes or scenario.exits else self._sources.accuracy(scenario)
        except SimulatorError as error:
            if all(len(self.axes[place]) == 1 for place in self._choices):
                raise
            return str(error)

    def notes(self) -> tuple[str, ...]:
        """What estimates warn of on each machine in each precision, and what changes leave out."""
        found: dict[str, list[str]] = {}
        asked = [range(len(self.axes[c])) if self.axes[c].name in _TOLD else (0,) for c in self._choices]
        for choices in product(*asked):
            variant = self._variant(choices)
            if not isinstance(variant, str):
                case = variant[0].case
                for note in (*case.notes, *case.estimate().warnings):
                    names = found.setdefault(note, [])
                    names += [case.hardware.id] if case.hardware.id not in names else []
        several = len(self.study.hardware) > 1
        told = ((note, ", ".join(names)) for note, names in found.items())
        return tuple(f"{names}: {note}" if several and names not in note else note for note, names in told)

    def block(self, number: int) -> tuple[Columns, Tally]:
        """The rows of one block of points, and what became of the points."""
        first = number * BLOCK
        count = min(BLOCK, len(self.space) - first)
        places = self._places(number, first, count)
        columns, tally = self._empty(count), Tally(seen=count)
        usable = np.ones(count, bool)
        for choices, rows in self._groups(places, count):
            usable[rows] = self._fill(columns, rows, choices, places, tally)
        return self._kept(_taken(columns, usable), tally), tally

    def _places(self, number: int, first: int, count: int) -> Places:
        """For each axis the places of a block's points on it: whole numbers, or shares of the way along a sampled range."""
        if self.study.method == "grid":
            return self.space.indices(first, first + count)
        drawn = zip(self.axes, self.space.shares(number), strict=True)
        return [share if axis.spacing else (share * len(axis)).astype(np.int64) for axis, share in drawn]

    def _groups(self, places: Places, count: int) -> Iterator[tuple[tuple[int, ...], NDArray[np.intp]]]:
        """The points of a block by network and machine."""
        shape = tuple(len(self.axes[place]) for place in self._choices)
        codes = np.ravel_multi_index([places[place] for place in self._choices], shape)
        if count and (codes == codes[0]).all():
            yield tuple(int(i) for i in np.unravel_index(codes[0], shape)), np.arange(count)
            return
        for code in np.unique(codes):
            yield tuple(int(i) for i in np.unravel_index(code, shape)), np.flatnonzero(codes == code)

    def _empty(self, count: int) -> Columns:
        columns: Columns = {name: np.full(count, np.nan) for name in self.columns}
        columns.update({self.axes[place].key: np.empty(count, self._labels[place].dtype) for place in self._choices})
        return {**columns, "bound": np.empty(count, object), "fits": np.zeros(count, bool)}

    def _fill(self, columns: Columns, rows: NDArray[np.intp], choices: tuple[int, ...], places: Places, tally: Tally) -> Any:
        """Write the rows of one network and machine; which of them have values."""
        for place, index in zip(self._choices, choices, strict=True):
            columns[self.axes[place].key][rows] = self._labels[place][index]
        found = self._variant(choices)
        if isinstance(found, str):
            tally.without[found] += len(rows)
            return False
        variant, axes, accuracy = found
        columns["accuracy"][rows] = np.nan if accuracy is None else accuracy
        figures = {axis.name: _numbers(axis, places[place][rows]) for axis, place in zip(axes, self._figures, strict=True)}
        for axis in axes:
            columns[axis.key][rows] = figures[axis.name]
        results, faults = variant.rows(figures)
        for name, values in results.items():
            columns[name][rows] = values
        usable = np.ones(len(rows), bool)
        for fault, there in faults:
            lost = int(np.count_nonzero(there & usable))
            tally.without.update({fault: lost} if lost else {})
            usable &= ~there
        return usable

    def _kept(self, columns: Columns, tally: Tally) -> Columns:
        """The rows that meet what is asked, with the derived columns."""
        rows = len(columns["fits"])
        named = {**columns, **{name: columns[key] for name, key in RESULTS.items()}}
        named.update({axis.name: columns[axis.key] for axis in self.axes})
        for name, formula in self._derive:
            columns[name] = named[name] = np.array(np.broadcast_to(formula.value(named), rows))
        met = np.ones(rows, bool)
        for formula in self._where:
            met &= np.broadcast_to(np.asarray(formula.value(named), bool), rows)
        tally.kept = int(np.count_nonzero(met))
        tally.excluded = rows - tally.kept
        return _taken(columns, met)


def units_of(axes: Sequence[Axis]) -> Units:
    """The units of the names that formulas may have: of results, and of figures that vary."""
    found = {name: (dimension, False) for name, dimension in _DIMENSIONS.items()}
    found |= {RESULTS[name]: unit for name, unit in found.items()}
    own = ((axis, (axis.dimension, axis.per_cycle)) for axis in axes if axis.numbers is not None)
    return found | {name: unit for axis, unit in own for name in (axis.name, axis.key)}


def _varied(scenario: Scenario, study: Study, sources: Sources) -> list[Axis]:
    """The axes of a study, read as its first network and machine have them."""
    names = [text.partition("=")[0].strip() for text in study.vary]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]} varies twice")
    case = case_of(scenario, sources)
    for name, given in (("model", "networks side by side, MODEL MODEL …"), ("hardware", "machines by --hw HW --hw HW …")):
        if name in names:
            raise UsageError(f"{name} is an axis already: give several {given}")
    singly = bool(scenario.exits) or "exit" in names  # networks with exits have several ways, each an estimate
    axes = [axis_of(text, case, singly=singly) for text in study.vary]
    for axis in axes:
        for text in axis.texts:
            with_setting(scenario, axis.name, text, sources)  # is anything called so, and is it such a value?
    return axes


def _given(name: str, references: tuple[str, ...]) -> Axis:
    if len(set(references)) < len(references):
        raise UsageError(f"the same {name} twice: {', '.join(references)}")
    return Axis(name, references)


def _derived(text: str) -> tuple[str, Formula]:
    name, equals, formula = (part.strip() for part in text.partition("="))
    if not (equals and name.isidentifier() and formula):
        raise UsageError(f"'{text}': write NAME=FORMULA, for example 'area_mm2=0.4*memories.sram.capacity/1MiB'")
    return name, formula_of(formula)


def _own(axis: Axis, texts: Mapping[str, str], variant: Variant) -> Axis:
    """An axis of a figure as a machine has it: relative values differ between machines."""
    own = axis_of(texts[axis.name], variant.case)
    if (len(own), own.key) != (len(axis), axis.key):
        raise UsageError(f"{texts[axis.name]}: other values on {variant.case.hardware.id} than on the first machine")
    return own


def _numbers(axis: Axis, places: NDArray[Any]) -> NDArray[np.float64]:
    assert axis.numbers is not None
    return axis.between(places) if places.dtype.kind == "f" else axis.numbers[places]


def _taken(columns: Columns, rows: NDArray[np.bool_]) -> Columns:
    return columns if rows.all() else {name: values[rows] for name, values in columns.items()}


def scenario_of(sweep: Sweep, columns: Columns, row: int) -> Scenario:
    """The scenario of a row: its estimate has the results of the row."""
    choices = [axis.labels.tolist().index(columns[axis.key][row]) for axis in sweep.axes if axis.numbers is None]
    scenario = sweep.scenario(choices)
    for axis in sweep.axes:
        if axis.numbers is not None:
            scenario = _with_figure(scenario, axis.name, value_text(axis, columns[axis.key][row]))
    return scenario


def _with_figure(scenario: Scenario, name: str, text: str) -> Scenario:
    if name.startswith("runtime."):
        return replace(scenario, runtime_values=(*scenario.runtime_values, (name.removeprefix("runtime."), text)))
    return replace(scenario, hardware_values=(*scenario.hardware_values, (name, text)))
