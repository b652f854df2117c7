"""One network on one machine as people name it, and the same with one thing changed: `batch=8`, `memories.dram.bandwidth=2x`.

A scenario is text only, so that a study can be written down and repeated; `case_of` makes of it what is estimated.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from simulator.errors import UsageError, did_you_mean
from simulator.estimator import estimate, known_policy
from simulator.machine.changed import is_figure, with_values
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec, Strict
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.study.early_exit import exit_of, expected_estimate, with_exits
from simulator.transform.change import change_of, changes
from simulator.transform.precision import precision_of

Pairs = tuple[tuple[str, str], ...]
SECTIONS: Final = ("engines", "memories", "power", "overheads", "process")  # of a hardware file, that a path may start with
CHOICES: Final = ("precision", "overlap", "runtime", "mode")  # names of settings that are one word of a list
_RUNTIME: Final = "runtime."
_DIM, _SHAPE = "dim.", "input."


@dataclass(frozen=True)
class Loading:
    """How a network is read: its batch, sizes of symbolic dimensions, shapes of inputs, parameters of a recipe."""

    batch: int | None = None
    dims: Pairs = ()
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    parameters: Pairs = ()
    resolution: str | None = None


class Sources(Protocol):
    """Where networks, machines and runtimes come from; each raises SimulatorError for what cannot be had."""

    def model(self, reference: str, loading: Loading) -> Model:
        """A network by file or catalogue name."""

    def parameters(self, reference: str) -> tuple[str, ...]:
        """Names of the parameters that the recipe of a catalogue network has; none for files. NotFoundError without either."""

    def accuracy(self, scenario: "Scenario") -> float | None:
        """The published accuracy of a catalogue network as it is, in its precision; None where there is none."""

    def hardware(self, reference: str) -> HardwareSpec:
        """A machine by file or catalogue name, with its mode behind a colon."""

    def runtime(self, reference: str) -> RuntimeSpec:
        """A runtime profile by file or catalogue name."""


@dataclass(frozen=True)
class Scenario:
    """A network on a machine under a runtime, by name, with what differs from what is there."""

    model: str
    hardware: str
    runtime: str | None = None
    precision: str | None = None
    overlap: str | None = None
    loading: Loading = Loading()
    changes: Pairs = ()
    hardware_values: Pairs = ()
    runtime_values: Pairs = ()
    exits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """What a scenario names, read and changed; `notes` are what its changes leave out of the numbers.

    `exits` are shares of samples with what runs of the network until they leave it.
    """

    model: Model
    hardware: HardwareSpec
    runtime: RuntimeSpec
    precision: str | None
    overlap: str | None
    notes: tuple[str, ...] = ()
    exits: tuple[tuple[float, Model], ...] = ()

    def estimate(self) -> Estimate:
        """The estimate of the case; with exits, in the mean over all ways through the network."""
        whole = self._of(self.model)
        return expected_estimate([(share, self._of(early)) for share, early in self.exits], whole) if self.exits else whole

    def _of(self, model: Model) -> Estimate:
        return estimate(model, self.hardware, self.runtime, precision=self.precision, overlap=self.overlap)


def with_setting(scenario: Scenario, name: str, value: str, sources: Sources) -> Scenario:
    """The scenario with one thing changed: a figure of the machine or runtime, a setting, the network.

    Raises:
        UsageError: nothing is called so; what is close, or all there is.
    """
    _check(scenario, name, value, sources)
    if name.partition(".")[0] in SECTIONS:
        return replace(scenario, hardware_values=(*scenario.hardware_values, (name, value)))
    if name.startswith(_RUNTIME):
        return replace(scenario, runtime_values=(*scenario.runtime_values, (name.removeprefix(_RUNTIME), value)))
    if name in ("precision", "overlap", "runtime"):
        choice: dict[str, Any] = {name: value}
        return replace(scenario, **choice)
    if name == "exit":
        exit_of(value)
        return replace(scenario, exits=(*scenario.exits, value))
    if name == "mode":
        return replace(scenario, hardware=f"{_machine(scenario.hardware)}:{value}")
    loading = _with_loading(scenario, name, value, sources)
    if loading is not None:
        return replace(scenario, loading=loading)
    if name in changes():
        return replace(scenario, changes=(*scenario.changes, (name, value)))
    known = [*names_of(scenario, sources), *(path for path, _ in sources.hardware(scenario.hardware).figures())]
    raise UsageError(f"nothing is called '{name}'{did_you_mean(name, known)} (known: {', '.join(names_of(scenario, sources))})")


def _check(scenario: Scenario, name: str, value: str, sources: Sources) -> None:
    """Refuse what is misspelt, before anything is read: a path that the machine has not, a word that is none of a list."""
    if name.partition(".")[0] in SECTIONS:
        is_figure(sources.hardware(scenario.hardware), name)
    elif name == "precision":
        precision_of(value)
    elif name == "overlap":
        known_policy(value)
    elif name == "runtime":
        sources.runtime(value)


def with_settings(scenario: Scenario, settings: Iterable[str], sources: Sources) -> Scenario:
    """The scenario with every `NAME=VALUE` of a list."""
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise UsageError(f"'{setting}': write NAME=VALUE, for example memories.dram.bandwidth=2x or batch=8")
        scenario = with_setting(scenario, name.strip(), value.strip(), sources)
    return scenario


def names_of(scenario: Scenario, sources: Sources) -> list[str]:
    """What may be changed of a scenario, beside figures of its machine."""
    own = [name for name in sources.parameters(scenario.model) if name != "batch"]
    other = [name for name in ("resolution",) if name not in own]
    return [
        "batch",
        *own,
        *other,
        *CHOICES,
        "exit",
        *(name for name in changes() if name not in own),
        f"{_DIM}NAME",
        "runtime.PATH",
    ]


def _machine(reference: str) -> str:
    """A machine without its mode."""
    head, colon, mode = reference.rpartition(":")
    return head if colon and "/" not in mode and "\\" not in mode else reference


def _with_loading(scenario: Scenario, name: str, value: str, sources: Sources) -> Loading | None:
    """The loading with one thing changed; None for what has nothing to do with it."""
    loading = scenario.loading
    if name == "batch":
        return replace(loading, batch=whole_number(name, value))
    if name.startswith(_DIM):
        return replace(loading, dims=_with_pair(loading.dims, name.removeprefix(_DIM), str(whole_number(name, value))))
    if name.startswith(_SHAPE):
        sizes = value.lower().split("x")
        if not all(size.isascii() and size.isdigit() and int(size[:13]) > 0 for size in sizes):
            raise UsageError(f"{name}={value}: write whole numbers above 0 with x between them, as in 1x3x224x224")
        shape = tuple(whole_number(name, size) for size in sizes)
        kept = tuple(pair for pair in loading.input_shapes if pair[0] != name.removeprefix(_SHAPE))
        return replace(loading, input_shapes=(*kept, (name.removeprefix(_SHAPE), shape)))
    if name in sources.parameters(scenario.model) and not (name == "resolution" and "x" in value):
        return replace(loading, parameters=_with_pair(loading.parameters, name, value))
    if name == "resolution":  # of a recipe, which has squares alone, as of a file
        return replace(loading, resolution=value)
    return None


def _with_pair(pairs: Pairs, name: str, value: str) -> Pairs:
    return (*(pair for pair in pairs if pair[0] != name), (name, value))


def whole_number(name: str, text: str) -> int:
    """A count from text; UsageError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) > 0):
        raise UsageError(f"{name}={text}: write a whole number above 0")
    return int(text)


def case_of(scenario: Scenario, sources: Sources) -> Case:
    """What a scenario names.

    Raises:
        SimulatorError: it cannot be had, or a change does not fit it.
    """
    hardware = sources.hardware(scenario.hardware)
    runtime = sources.runtime(scenario.runtime or hardware.runtime or "ideal")
    notes: list[str] = []
    for values in _passes(scenario.hardware_values):
        hardware = with_values(hardware, values)
        notes += [note for path, _ in values for note in _clock_notes(hardware, path)]
    for values in _passes(scenario.runtime_values):
        runtime = with_values(runtime, [(runtime_path(runtime, hardware, path), value) for path, value in values])
    model = sources.model(scenario.model, scenario.loading)
    for name, value in scenario.changes:
        change = change_of(name)
        model = Model(change.apply(model.graph, value))
        notes.append(f"{name}={value}: {change.caveat}")
    earlier: tuple[tuple[float, Model], ...] = ()
    if scenario.exits:
        graph, parts = with_exits(model.graph, [exit_of(text) for text in scenario.exits])
        model, earlier = Model(graph), tuple((share, Model(part)) for share, part in parts)
        notes.append(
            "exit: the shares are given, not predicted; times and energies are means over samples, counts are of all operators"
        )
    unique = tuple(dict.fromkeys(notes))
    return Case(model, hardware, runtime, scenario.precision, scenario.overlap, unique, earlier)


def _passes(values: Pairs) -> list[Pairs]:
    """The values in runs without a path twice: the second is relative to the first."""
    found: list[Pairs] = []
    for pair in values:
        if found and pair[0] not in dict(found[-1]):
            found[-1] = (*found[-1], pair)
        else:
            found.append((pair,))
    return found


def _clock_notes(hardware: HardwareSpec, path: str) -> list[str]:
    """That figures given per second do not follow a clock that is changed."""
    if not path.endswith(".clock"):
        return []
    section = path.removesuffix(".clock")
    own = [(p, f) for p, f in hardware.figures() if p.startswith(f"{section}.") and f.dimension.endswith("_per_s")]
    fixed = [p for p, f in own if not f.per_cycle]
    return (
        [f"{path}: {', '.join(fixed[:3])}{' …' if len(fixed) > 3 else ''} are given per second and stay as they are"]
        if fixed
        else []
    )


def runtime_path(runtime: RuntimeSpec, hardware: HardwareSpec, path: str) -> str:
    """The whole path of a figure of a runtime; `bandwidth` means that of the profile of the machine's first engine it runs on.

    Raises:
        UsageError: the runtime runs on no engine of the machine.
    """
    if path.partition(".")[0] in type(runtime).model_fields:
        return path
    kinds = [kind for engine in hardware.engines for kind in (engine.kind, "default") if kind in runtime.profiles]
    if not kinds:
        raise UsageError(f"runtime.{path}: {runtime.id} runs on no engine of {hardware.id}")
    return f"profiles.{kinds[0]}.{path}"


def file_of(case: Case, name: str) -> tuple[Strict, str] | None:
    """The file and the path in it of the figure that a name means; None for settings that are none.

    Raises:
        UsageError: no such path.
    """
    if name.partition(".")[0] in SECTIONS:
        found: tuple[Strict, str] = case.hardware, name
    elif name.startswith(_RUNTIME):
        found = case.runtime, runtime_path(case.runtime, case.hardware, name.removeprefix(_RUNTIME))
    else:
        return None
    return found if is_figure(*found) else None


def require_figure(case: Case, name: str) -> tuple[Strict, str]:
    """The file and the path in it of the figure that a name means.

    Raises:
        UsageError: no such path, or a name of something else.
    """
    found = file_of(case, name)
    if found is None:
        known = [path for path, _ in case.hardware.figures()]
        hint = did_you_mean(name, known)
        raise UsageError(f"'{name}' is no figure of {case.hardware.id} or of its runtime{hint} (sim hw show lists them)")
    return found
