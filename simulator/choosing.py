"""`compare` and `recommend` of the public surface: what they are given by name becomes runs to choose from."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.io.hardware_reader import hardware_ids, load_runtime, load_spec
from simulator.loading import is_file, load_model
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.quantities import NEED_STATIC_POWER, total_of
from simulator.study.compare import Comparison, accuracy_notes, check_figure, compare, energy_notes, row_of
from simulator.study.pareto import Front, front_of
from simulator.study.recommend import Recommendation, limit_of, recommend
from simulator.study.runs import Accuracy, Network, Run, Station, runs
from simulator.transform.precision import precision_of

MODEL_PRECISIONS: Final = ("fp32", "int8")  # of candidates, where none is asked for
MACHINE_PRECISIONS: Final = (None, "int8")
Progress = Callable[[str], None]
Item = TypeVar("Item")


def compare_named(
    models: Sequence[Model | str | Path],
    hardware: Sequence[HardwareSpec | str | Path],
    precisions: Sequence[str | None],
    batch: int | None,
    runtime: str | None,
    sort: str | None,
    metric: str,
) -> Comparison:
    """See `simulator.api.compare`."""
    for name in (metric, *([sort] if sort else [])):
        check_figure(name)
    _check(models=models, hardware=hardware, precisions=precisions)
    machines, networks = _stations(hardware, runtime), _several(models, batch)
    return compare(runs(networks, machines, precisions), sort=sort, metric=metric)


def recommend_models(
    hardware: HardwareSpec | str | Path,
    limits: Mapping[str, str | float],
    task: str,
    precisions: Sequence[str | None] | None,
    progress: Progress,
    batch: int | None = None,
    runtime: str | None = None,
) -> Recommendation:
    """The networks of the catalogue with a published accuracy in a task, for a machine."""
    from simulator import zoo

    wanted = MODEL_PRECISIONS if precisions is None else precisions
    _check(precisions=wanted)
    _check_limits(limits)
    references = zoo.with_accuracy(zoo.task_of(task))
    station = _station(hardware, runtime)
    found = runs(_networks(references, progress, batch), [station], wanted)
    return recommend("models", station.name, [run for run in found if run.accuracy is not None], limits)


def recommend_machines(
    model: Model | str | Path,
    limits: Mapping[str, str | float],
    precisions: Sequence[str | None] | None,
    progress: Progress,
    batch: int | None = None,
) -> Recommendation:
    """The machines of the catalogue, in all modes that differ, for a network."""
    wanted = MACHINE_PRECISIONS if precisions is None else precisions
    _check(precisions=wanted)
    _check_limits(limits)
    network = _network(model, batch)
    stations = [_station(spec, None) for spec in _machines()]
    return recommend("machines", network.name, _told(runs([network], stations, wanted), progress), limits)


def front_of_networks(
    models: Sequence[Model | str | Path],
    hardware: Sequence[HardwareSpec | str | Path],
    objectives: Sequence[str],
    precisions: Sequence[str | None] | None,
    task: str,
    reference: Sequence[float] | None,
    progress: Progress,
) -> Front:
    """The networks on machines that no other beats, of those that fit."""
    wanted = precisions or (MODEL_PRECISIONS if not models else (None,))
    _check(hardware=hardware, precisions=wanted)
    machines = _stations(hardware, None)
    if models:
        networks: Iterable[Network] = _several(models, None)
    else:
        from simulator import zoo

        networks = _networks(zoo.with_accuracy(zoo.task_of(task)), progress)
    found = [run for run in runs(networks, machines, wanted) if run.runs]
    if not found:
        raise UsageError("none of the networks can run on any of the machines as they are (sim compare says why)")
    rows = _comparable([row_of(run) for run in found], found)
    columns = {key: _column([row[key] for row in rows]) for key in rows[0]}
    several = len({run.precision for run in found}) > 1
    names = [f"{run.network.name} {run.precision}" if several else run.network.name for run in found]
    groups = [run.station.name for run in found] if len(machines) > 1 else ()
    front = front_of(columns, objectives, names=names, groups=groups, reference=reference)
    on_front = [run for run, is_there in zip(found, front.mask.tolist(), strict=True) if is_there]
    keys = {objective.key for objective in front.objectives}
    energies = {total_of(name).key for name in NEED_STATIC_POWER}
    notes = (*(energy_notes(found) if keys & energies else ()), *(accuracy_notes(on_front) if "accuracy" in keys else ()))
    return replace(front, notes=notes)


def _comparable(rows: list[dict[str, object]], found: Sequence[Run]) -> list[dict[str, object]]:
    """Rows without energies that lack static power, where those of other machines have it: less is no better then."""
    least = [run.estimate is not None and run.estimate.energy_is_least for run in found]
    if all(least) or not any(least):
        return rows
    gaps = dict.fromkeys(total_of(name).key for name in NEED_STATIC_POWER)
    return [{**row, **gaps} if is_least else row for row, is_least in zip(rows, least, strict=True)]


def _column(values: list[object]) -> NDArray[Any]:
    """Numbers where all that are known are some, with NaN for the others; words else."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.array(values, object)


def known_accuracy(reference: str, precision: str | None) -> Accuracy | None:
    """What is published for a catalogue network in a precision, or else for its float form; None without either."""
    from simulator import zoo

    found = zoo.accuracy_of(reference, precision)
    of_float = found is None and precision is not None
    found = zoo.accuracy_of(reference) if of_float else found
    if found is None:
        return None
    source = zoo.find_recipe(zoo.parse_reference(reference)[0]).sources[found.source]
    return Accuracy(found.value, found.metric, found.dataset, of_float, found.note, source)


def _check(**given: Sequence[object]) -> None:
    """Refuse what would be a table without rows, and precisions that nobody has."""
    for name, items in given.items():
        if not items or isinstance(items, str):
            raise UsageError(f"{name}: give a list of at least one")
    for precision in given.get("precisions", ()):
        if precision is not None:
            precision_of(str(precision))


def _once(items: Sequence[Item]) -> list[Item]:
    """What is given, names given twice once."""
    return [item for place, item in enumerate(items) if not (isinstance(item, str) and item in items[:place])]


def _check_limits(limits: Mapping[str, str | float]) -> None:
    """Refuse limits that cannot be read before the work begins."""
    for name, text in limits.items():
        limit_of(name, text)


def _station(hardware: HardwareSpec | str | Path, runtime: str | None) -> Station:
    spec = hardware if isinstance(hardware, HardwareSpec) else load_spec(hardware)
    return Station(spec, load_runtime(runtime or spec.runtime or "ideal"))


def _network(model: Model | str | Path, batch: int | None) -> Network:
    """A network as it is called; accuracies are those of the catalogue, never of a file that is called like it."""
    if isinstance(model, Model):
        if batch is not None:
            raise UsageError(f"'{model.name}' is loaded; give its batch to load_model")
        return Network(model.name, model)
    loaded = load_model(model, batch=batch)
    if is_file(model):
        return Network(loaded.name, loaded)
    return Network(str(model), loaded, lambda precision: known_accuracy(str(model), precision))


def _several(models: Sequence[Model | str | Path], batch: int | None) -> list[Network]:
    """Networks to be told apart by their names: files of one name are called by their paths."""
    given = _once(models)
    found = [_network(item, batch) for item in given]
    names = _distinct([network.name for network in found], given)
    return [replace(network, name=name) for network, name in zip(found, names, strict=True)]


def _stations(hardware: Sequence[HardwareSpec | str | Path], runtime: str | None) -> list[Station]:
    """Machines to be told apart by their names: files of one id are called by their paths."""
    given = _once(hardware)
    found = [_station(item, runtime) for item in given]
    names = _distinct([station.name for station in found], given)
    return [replace(station, label=name) for station, name in zip(found, names, strict=True)]


def _distinct(names: Sequence[str], given: Sequence[object]) -> list[str]:
    """The names; what several are called by, as it was given, with a number where that does not tell them apart either."""
    texts = [str(item) if isinstance(item, str | Path) else name for name, item in zip(names, given, strict=True)]
    found: list[str] = []
    for name, text in zip(names, texts, strict=True):
        own = name if names.count(name) == 1 else text
        same = sum(other == own or other.startswith(f"{own} (") for other in found)
        found.append(f"{own} ({same + 1})" if own in found else own)
    return found


def _networks(references: Sequence[str], progress: Progress, batch: int | None = None) -> Iterator[Network]:
    for place, reference in enumerate(references):
        progress(f"{place + 1} of {len(references)} networks: {reference}")
        yield _network(reference, batch)


def _machines() -> Iterator[HardwareSpec]:
    """Every machine of the catalogue, and its modes that are not simply what it does by default."""
    for name in hardware_ids():
        plain = load_spec(name)
        yield plain
        for mode in plain.modes:
            spec = load_spec(f"{name}:{mode}")
            if _figures(spec) != _figures(plain):
                yield spec


def _figures(spec: HardwareSpec) -> object:
    """All that a mode may change, without what is said of it."""
    return spec.runtime, {path: (figure.value, figure.per_cycle) for path, figure in spec.figures()}


def _told(found: Iterator[Run], progress: Progress) -> Iterator[Run]:
    for run in found:
        progress(f"on {run.station.name}")
        yield run
