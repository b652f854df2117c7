"""Studies, the public functions: what if, sweeps, solving for figures, sensitivities. Names are those of the command."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import UsageError, did_you_mean
from simulator.loading import Files
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.study.scenario import Scenario, with_settings
from simulator.study.space import Method

if TYPE_CHECKING:
    from simulator.study.pareto import Front
    from simulator.study.result import SweepResult
    from simulator.study.sensitivity import Sensitivity
    from simulator.study.solve import Solution
    from simulator.study.sweep import Columns, Sweep, Tally
    from simulator.study.whatif import WhatIf

Taker = Callable[["Columns", "Tally"], None]
ModelLike = str | Path | Model
HardwareLike = str | Path | HardwareSpec
Settings = Mapping[str, object] | Sequence[str]


def whatif(
    model: ModelLike,
    hardware: HardwareLike,
    scenarios: Mapping[str, Settings],
    *,
    base: Settings = (),
    allow_unknown: bool = False,
) -> "WhatIf":
    """What changes come to, each scenario beside the base.

    Args:
        model: a loaded model, or what `load_model` takes (a loaded one cannot take another batch or shape).
        hardware: a loaded machine, or what `load_hardware` takes.
        scenarios: settings by name: `{"int8": {"precision": "int8"}, "fast": ["memories.dram.bandwidth=2x"]}`. A
            setting is a figure of the machine by its path, one of its runtime (`runtime.bandwidth`), `precision`, `batch`,
            `runtime`, `overlap`, `mode`, `resolution`, `dim.NAME`, a parameter of a recipe, or a change of the network
            (docs/changes.md); docs/studies.md explains all of them.
        base: settings that hold before and after.
        allow_unknown: see `load_model`.

    Raises:
        SimulatorError: the base cannot be estimated, or nothing is called as a setting is.
    """
    from simulator.study.whatif import what_if

    files = Files(allow_unknown)
    start = scenario_of(model, hardware, base, files)
    return what_if(start, [(name, texts(settings)) for name, settings in scenarios.items()], files)


def sweep(
    models: ModelLike | Sequence[ModelLike],
    hardware: HardwareLike | Sequence[HardwareLike],
    *,
    vary: Settings = (),
    settings: Settings = (),
    where: Sequence[str] = (),
    derive: Settings = (),
    sample: int | None = None,
    method: Method = "lhs",
    seed: int = 0,
    allow_unknown: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> "SweepResult":
    """Every combination of values on some axes, or a sample of them, in memory; `to_csv` and `to_parquet` of the result write it.

    Args:
        models: one or several networks, as `whatif` takes them.
        hardware: one or several machines.
        vary: axes, `NAME=VALUES` or `{NAME: VALUES}`: lists (`1,2,4`), ranges (`10GB/s..1TB/s:log:50`, `0.5x..4x`).
        settings: what holds for all points.
        where: formulas that rows must meet: `latency<=33ms and fits`.
        derive: further columns, `{"area_mm2": "0.4*memories.sram.capacity/1MiB"}`.
        sample: how many points of the space to draw; None for the whole grid.
        method: how, `random` or `lhs` (a Latin hypercube).
        seed: of the drawing.
        allow_unknown: see `load_model`.
        progress: is told how far it is.

    Raises:
        SimulatorError: something cannot be had, an axis that does not exist or is empty, too many points.
    """
    from simulator.study.recipe import Study
    from simulator.study.result import SweepResult, joined
    from simulator.study.sweep import Sweep

    files = Files(allow_unknown)
    study = Study(
        references(models, files), references(hardware, files), tuple(texts(vary)), tuple(texts(settings)), tuple(where),
        tuple(texts(derive)), "grid" if sample is None else method, sample or 0, seed,
    )  # fmt: skip
    ready, blocks, start = Sweep(study, files), list["Columns"](), time.perf_counter()
    tally = run(ready, [lambda columns, _: blocks.append(columns)], progress)
    seconds = time.perf_counter() - start
    return SweepResult(study, ready.axes, joined(blocks, ready.columns), tally, seconds, ready.notes())


def run(ready: "Sweep", takers: "Sequence[Taker]", progress: Callable[[str], None], first: int = 0) -> "Tally":
    """Reckon the blocks from number `first` on, hand each to all takers; what became of their points."""
    from simulator.study.space import BLOCK
    from simulator.study.sweep import Tally

    tally, start, total = Tally(), time.perf_counter(), len(ready.space)
    for number in range(first, ready.blocks):
        columns, own = ready.block(number)
        for take in takers:
            take(columns, own)
        tally.add(own)
        rate, done = tally.seen / max(time.perf_counter() - start, 1e-9), min((number + 1) * BLOCK, total)
        progress(f"{done:,} of {total:,} points, {rate:,.0f} points/s, {(total - done) / rate:,.0f} s left")
    return tally


def run_into(
    path: Path, ready: "Sweep", takers: "Sequence[Taker]", progress: Callable[[str], None], *, restart: bool = False
) -> "tuple[Tally, int]":
    """A sweep into a file, taken up again where it was interrupted; what became of its points, and how many were there already.

    `takers` see the blocks that are new.

    Raises:
        OutputError: it cannot be written, or what is there of it is of another study.
    """
    from simulator.io.study_files import StudyFile

    file = StudyFile(path, ready, restart=restart)
    before = file.tally.seen
    run(ready, (file.append, *takers), progress, file.done)
    file.finish()
    return file.tally, before


def solve(
    model: ModelLike,
    hardware: HardwareLike,
    vary: str | Sequence[str],
    targets: str | Sequence[str],
    *,
    settings: Settings = (),
    minimize: str | None = None,
    allow_unknown: bool = False,
) -> "Solution":
    """The least values of one or several figures that meet targets.

    Args:
        model: as `whatif` takes it.
        hardware: as `whatif` takes it.
        vary: figures by path, with a range to look in (`memories.dram.bandwidth=1GB/s..1TB/s`) or without.
        targets: formulas that must hold: `latency<=33ms`, `energy<=2mJ`.
        settings: what holds beside.
        minimize: a formula that is to be least where there are several figures; None for their product.
        allow_unknown: see `load_model`.

    Raises:
        SimulatorError: no such figure, no such column in a target, a case that cannot be estimated.
    """
    from simulator.study.solve import problem_of
    from simulator.study.solve import solve as _solve

    files = Files(allow_unknown)
    scenario = scenario_of(model, hardware, settings, files)
    figures, goals = ([text] if isinstance(text, str) else list(text) for text in (vary, targets))
    return _solve(problem_of(scenario, figures, goals, files, minimize), files)


def sensitivity(
    model: ModelLike,
    hardware: HardwareLike,
    *,
    settings: Settings = (),
    figures: Sequence[str] = (),
    runtime: bool = False,
    allow_unknown: bool = False,
) -> "Sensitivity":
    """Elasticities of latency and energy for every figure of a machine, and where more of it stops helping.

    Args:
        model: as `whatif` takes it.
        hardware: as `whatif` takes it.
        settings: what holds beside.
        figures: paths of the figures to look at; none for all of the machine.
        runtime: also those of the runtime's profile.
        allow_unknown: see `load_model`.

    Raises:
        SimulatorError: the case cannot be estimated, or no figure is called so.
    """
    from simulator.study.sensitivity import sensitivity as _sensitivity

    files = Files(allow_unknown)
    return _sensitivity(scenario_of(model, hardware, settings, files), files, names=tuple(figures), runtime=runtime)


def pareto(
    table: "Path | str | SweepResult | Mapping[str, Sequence[object]]",
    objectives: Sequence[str],
    *,
    name: str | None = None,
    reference: Sequence[float] | None = None,
) -> "Front":
    """The rows of a table that no other beats in all objectives.

    Args:
        table: a sweep, a CSV or Parquet file, or columns by name.
        objectives: columns, `latency`, `energy_j`, `accuracy:more`; two or more.
        name: the column that says what a row is, or several with commas between them.
        reference: the corner of the hypervolume; None for the worst values there are.

    Raises:
        UsageError: no such file or column, no numbers in it, fewer than two objectives.
    """
    from simulator.study.pareto import front_of

    columns = _columns_of(table)
    parts = name.split(",") if name is not None else []
    for part in parts:
        if part not in columns:
            raise UsageError(f"no column '{part}'{did_you_mean(part, columns)} (known: {', '.join(columns)})")
    columns, lost = _that_fit(columns)
    names = [", ".join(_named(cell) for cell in row) for row in zip(*(columns[part].tolist() for part in parts), strict=True)]
    front = front_of(columns, objectives, names=names, reference=reference)
    return replace(front, notes=(*front.notes, f"{lost} rows that do not fit into their machine are left out")) if lost else front


def _that_fit(columns: "Columns") -> "tuple[Columns, int]":
    """The rows of a table without those of a sweep that do not fit into their machine, and how many these are."""
    fits = columns.get("fits")
    if fits is None or fits.dtype.kind != "b" or fits.all() or not fits.any():
        return columns, 0
    return {name: values[fits] for name, values in columns.items()}, int((~fits).sum())


def _named(cell: object) -> str:
    """A cell in the name of a point: numbers without needless digits."""
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _columns_of(table: object) -> "Columns":
    import numpy as np

    if isinstance(table, str | Path):
        from simulator.io.study_files import read_columns

        return read_columns(Path(table))
    given: Any = getattr(table, "columns", table)
    return {str(name): np.asarray(values) for name, values in given.items()}


def pareto_of_networks(
    models: Sequence[ModelLike],
    hardware: Sequence[HardwareLike],
    objectives: Sequence[str] = ("latency", "accuracy"),
    *,
    precisions: Sequence[str | None] | None = None,
    task: str = "imagenet",
    reference: Sequence[float] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> "Front":
    """The networks on machines that no other beats, of those that fit: by totals of their estimates and published accuracy.

    Args:
        models: as `whatif` takes them; none for the catalogue's with an accuracy in a `task`.
        hardware: one or several machines.
        objectives: `latency`, `energy`, `memory`, `size`, `accuracy` …
        precisions: as in `estimate`; None for fp32 and int8 of the catalogue, for as in the file of others.
        task: `imagenet`, `cifar10`, `vww`, `keywords`, `anomaly`.
        reference: see `pareto`.
        progress: is told how far it is.

    Raises:
        SimulatorError: something cannot be had, or no network has values of all objectives.
    """
    from simulator.choosing import front_of_networks

    return front_of_networks(models, hardware, objectives, precisions, task, reference, progress)


def scenario_of(model: ModelLike, hardware: HardwareLike, settings: Settings, files: Files) -> Scenario:
    """A scenario, with what is loaded already kept in `files`."""
    return with_settings(Scenario(_reference(model, files), _reference(hardware, files)), texts(settings), files)


def texts(settings: Settings) -> list[str]:
    """Settings as `NAME=VALUE`."""
    return [f"{name}={value}" for name, value in settings.items()] if isinstance(settings, Mapping) else list(settings)


def references(given: object, files: Files) -> tuple[str, ...]:
    """The texts that name one or several networks or machines; loaded ones are kept in `files`."""
    return tuple(_reference(one, files) for one in (given if isinstance(given, list | tuple) else [given]))


def _reference(given: object, files: Files) -> str:
    """The text that names a network or a machine; an object gets a name of its own."""
    if isinstance(given, Model):
        name = f"{given.name} (loaded {len(files.models) + 1})"
        files.models[name] = given
        return name
    if isinstance(given, HardwareSpec):
        name = f"{given.id} (loaded {len(files.machines) + 1})"
        files.machines[name] = given
        return name
    return str(given)


__all__ = ["pareto", "pareto_of_networks", "sensitivity", "solve", "sweep", "whatif"]
