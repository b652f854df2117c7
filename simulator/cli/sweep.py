"""`sim sweep`."""

import json
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, progress, say
from simulator.cli.study_options import Set, settings_of
from simulator.errors import UsageError

if TYPE_CHECKING:
    from simulator.study.recipe import Study
    from simulator.study.result import Best, SweepResult
    from simulator.study.space import Method
    from simulator.study.sweep import Sweep, Tally

_INTERRUPTED = 130  # exit code of a command that Ctrl-C ended


class Format(StrEnum):
    """How it prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def sweep(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL...", help=opt.MODEL_HELP, autocompletion=opt.complete_model)
    ] = None,
    hw: Annotated[
        list[str] | None,
        typer.Option("--hw", metavar="HW", help=f"{opt.HW_HELP}; repeatable", autocompletion=opt.complete_hardware),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", metavar="NAME=VALUES",
            help="An axis: 'memories.dram.bandwidth=10GB/s..1TB/s:log:50', 'engines.tensor.peak.fp16=0.5x..4x', 'batch=1,2,4', "
            "'precision=fp16,int8'; repeatable",
        ),
    ] = None,
    set_: Set = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="FORMULA", help="Keep rows that meet it: 'latency<=33ms and fits'")
    ] = None,
    derive: Annotated[
        list[str] | None,
        typer.Option("--derive", metavar="NAME=FORMULA", help="A further column: 'area_mm2=0.4*memories.sram.capacity/1MiB'"),
    ] = None,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="N", help="Draw points of the space: N or lhs:N a Latin hypercube, random:N")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the drawing")] = 0,
    precision: opt.Precision = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    overlap: opt.Overlap = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    sort: Annotated[str, typer.Option("--sort", metavar="COLUMN", help="By what the best rows are chosen")] = "latency",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Rows to show")] = 10,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="All rows: .csv or .parquet")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an interrupted run left of FILE")] = False,
    repeat: Annotated[
        Path | None, typer.Option("--repeat", metavar="FILE", help="The study that a result file is of, in the place of one")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="How to print; csv: all rows")] = Format.TABLE,  # noqa: A002
    allow_unknown: opt.AllowUnknown = False,
) -> None:  # fmt: skip
    """Estimate every combination of values on some axes, or a sample of them: figures of machines and runtimes, networks.

    An interrupted run with -o goes on where it stopped when it is called again.
    """
    from simulator.io.study_files import checked_format
    from simulator.loading import Files
    from simulator.study.recipe import Study
    from simulator.study.result import Best, SweepResult, better_of, joined
    from simulator.study.sweep import Sweep

    if repeat is not None:
        study = _repeated(repeat, models, hw, vary)
    else:
        settings = settings_of(
            set_, precision=precision, batch=batch, runtime=runtime, overlap=overlap, dim=dim, input_shape=input_shape
        )
        method, size = _sampled(sample)
        study = Study(
            tuple(models or ()), tuple(hw or ()), tuple(vary or ()), tuple(settings), tuple(where or ()), tuple(derive or ()),
            method, size, seed,
        )  # fmt: skip
    if output is not None:
        checked_format(checked_folder(output))
    ready = Sweep(study, Files(allow_unknown))
    if format is Format.CSV:
        _print_csv(ready)
        return
    key = _sort_key(ready, sort)
    best, start = Best(key, top, better_of(key)), time.perf_counter()
    tally, already = _run(ready, output, best, restart=restart)
    found = SweepResult(study, ready.axes, best.columns or joined([], ready.columns), tally, time.perf_counter() - start)
    _report(found, format, key, already)
    if output is not None:
        say(f"wrote {output}")


def _sampled(sample: str | None) -> "tuple[Method, int]":
    """Method and size of `100000`, `lhs:100000`, `random:100000`."""
    if sample is None:
        return "grid", 0
    method, _, count = sample.rpartition(":")
    if method not in ("", "lhs", "random") or not (count.isascii() and count.replace("_", "").isdigit()):
        raise UsageError(f"--sample {sample}: write a number of points, lhs:N or random:N")
    return ("random" if method == "random" else "lhs"), int(count)


def _repeated(path: Path, models: list[str] | None, hw: list[str] | None, vary: list[str] | None) -> "Study":
    from simulator.io.study_files import read_study

    if models or hw or vary:
        raise UsageError("--repeat takes the whole study from the file; leave MODEL, --hw and --vary out")
    return read_study(path)


def _sort_key(ready: "Sweep", sort: str) -> str:
    from simulator.errors import did_you_mean
    from simulator.study.sweep import RESULTS

    short = {**RESULTS, **{axis.name: axis.key for axis in ready.axes}}
    key = short.get(sort, sort)
    if key not in ready.columns:
        raise UsageError(
            f"--sort {sort}: no such column{did_you_mean(sort, [*short, *ready.columns])} (known: {', '.join(short)})"
        )
    return key


def _print_csv(ready: "Sweep") -> None:
    """All rows on standard output, as they come."""
    import csv

    from simulator.io.study_files import csv_rows

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(ready.columns)
    for number in range(ready.blocks):
        writer.writerows(csv_rows(ready.block(number)[0]))


def _run(ready: "Sweep", table: Path | None, best: "Best", *, restart: bool) -> "tuple[Tally, int]":
    """The sweep, its rows into a file where one is asked for; what became of its points, and how many were in the file."""
    from simulator import studies

    try:
        with progress() as tell:
            if table is not None:
                return studies.run_into(table, ready, [best.add], tell, restart=restart)
            return studies.run(ready, [best.add], tell), 0
    except KeyboardInterrupt:
        say("stopped" + ("; the same command goes on from there" if table is not None else ""))
        raise typer.Exit(_INTERRUPTED) from None


def _report(found: "SweepResult", format: Format, sort: str, already: int) -> None:  # noqa: A002
    from simulator.report.sweep import show_sweep, sweep_dict

    if format is Format.JSON:
        emit(json.dumps(sweep_dict(found), allow_nan=False), None)
    else:
        show_sweep(found, console(), sort, already)
