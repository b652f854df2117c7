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
from simulator.cli.pictures import draw, is_picture
from simulator.cli.study_options import Set, settings_of
from simulator.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.studies import Taker
    from simulator.study.recipe import Study
    from simulator.study.result import SweepResult
    from simulator.study.space import Method
    from simulator.study.sweep import Columns, Sweep, Tally

_INTERRUPTED = 130  # exit code of a command that Ctrl-C ended


class Format(StrEnum):
    """How it prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


_AXIS_HELP = (
    "An axis: 'memories.dram.bandwidth=10GB/s..1TB/s:log:50', 'engines.tensor.peak.fp16=0.5x..4x', 'batch=1,2,4', "
    "'precision=fp16,int8'; repeatable"
)
Models = Annotated[list[str] | None, typer.Argument(metavar="MODEL...", help=opt.MODEL_HELP, autocompletion=opt.complete_model)]
Vary = Annotated[list[str] | None, typer.Option("--vary", metavar="NAME=VALUES", help=_AXIS_HELP)]
Where = Annotated[
    list[str] | None, typer.Option("--where", metavar="FORMULA", help="Keep rows that meet it: 'latency<=33ms and fits'")
]
Derive = Annotated[
    list[str] | None,
    typer.Option("--derive", metavar="NAME=FORMULA", help="A further column: 'area_mm2=0.4*memories.sram.capacity/1MiB'"),
]
Sample = Annotated[
    str | None, typer.Option("--sample", metavar="N", help="Draw points of the space: N or lhs:N a Latin hypercube, random:N")
]
Output = Annotated[
    list[Path] | None,
    typer.Option("-o", "--output", metavar="FILE", help="All rows: .csv, .parquet; and a picture of them: .png, .svg, .pdf"),
]
Repeat = Annotated[
    Path | None, typer.Option("--repeat", metavar="FILE", help="The study that a result file is of, in the place of one")
]


def sweep(
    models: Models = None,
    hw: opt.Machines = None,
    vary: Vary = None,
    set_: Set = None,
    where: Where = None,
    derive: Derive = None,
    sample: Sample = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the drawing")] = 0,
    precision: opt.Precision = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    overlap: opt.Overlap = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    sort: Annotated[str, typer.Option("--sort", metavar="COLUMN", help="By what the best are chosen; what is drawn")] = "latency",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Rows to show")] = 10,
    output: Output = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an interrupted run left of FILE")] = False,
    repeat: Repeat = None,
    format: Annotated[Format, typer.Option("--format", help="How to print; csv: all rows")] = Format.TABLE,  # noqa: A002
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Estimate every combination of values on some axes, or a sample of them: figures of machines and runtimes, networks.

    An interrupted run with -o goes on where it stopped when it is called again.
    """
    from simulator.loading import Files
    from simulator.study.recipe import Study
    from simulator.study.sweep import Sweep

    table, picture = _outputs(output or [])
    if output and format is Format.CSV:
        raise UsageError("--format csv prints all rows and -o writes them: one of both")
    settings = settings_of(
        set_, precision=precision, batch=batch, runtime=runtime, overlap=overlap, dim=dim, input_shape=input_shape
    )
    if repeat is not None:
        study = _repeated(repeat, models, hw, vary, settings, where, derive, sample, seed)
    else:
        varied, settings_, asked, derived = (tuple(given or ()) for given in (vary, settings, where, derive))
        method, size = _sampled(sample)
        study = Study(tuple(models or ()), tuple(hw or ()), varied, settings_, asked, derived, method, size, seed)
    ready = Sweep(study, Files(allow_unknown))
    if format is Format.CSV:
        _print_csv(ready)
    else:
        _report(ready, _sort_key(ready, sort), top, table, picture, as_json=format is Format.JSON, restart=restart)


def _sampled(sample: str | None) -> "tuple[Method, int]":
    """Method and size of `100000`, `lhs:100000`, `random:100000`."""
    if sample is None:
        return "grid", 0
    method, _, count = sample.rpartition(":")
    if method not in ("", "lhs", "random") or not (count.isascii() and count.replace("_", "").isdigit()):
        raise UsageError(f"--sample {sample}: write a number of points, lhs:N or random:N")
    return ("random" if method == "random" else "lhs"), int(count)


def _repeated(path: Path, *beside: object) -> "Study":
    """The study that a file is of; UsageError where anything of a study is given `beside`."""
    from simulator.io.study_files import read_study

    if any(beside):
        raise UsageError(
            "--repeat takes the whole study from the file; leave MODEL, --hw, --vary, settings, formulas, --sample and --seed out"
        )
    return read_study(path)


def _outputs(paths: list[Path]) -> tuple[Path | None, Path | None]:
    """The file of rows and the picture, of those that are asked for."""
    from simulator.io.study_files import checked_format

    pictures = [path for path in paths if is_picture(path)]
    tables = [path for path in paths if path not in pictures]
    if len(tables) > 1 or len(pictures) > 1:
        raise UsageError("-o takes one file of rows and one picture")
    for path in tables:
        checked_format(path)
    for path in paths:
        checked_folder(path)
    return (tables[0] if tables else None), (pictures[0] if pictures else None)


def _sort_key(ready: "Sweep", sort: str) -> str:
    from simulator.study.sweep import RESULTS

    short = {**RESULTS, **{axis.name: axis.key for axis in ready.axes}}
    key = short.get(sort, sort)
    if key not in ready.columns:
        hint = did_you_mean(sort, [*short, *ready.columns])
        raise UsageError(f"--sort {sort}: no such column{hint} (known: {', '.join(short)})")
    return key


def _print_csv(ready: "Sweep") -> None:
    """All rows on standard output, as they come."""
    import csv

    from simulator.io.study_files import csv_rows

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(ready.columns)
    for number in range(ready.blocks):
        writer.writerows(csv_rows(ready.block(number)[0]))


def _report(
    ready: "Sweep", key: str, top: int, table: Path | None, picture: Path | None, *, as_json: bool, restart: bool
) -> None:
    """Run the sweep, print the best rows, write the files."""
    from simulator.report.sweep import show_sweep, sweep_dict
    from simulator.study.result import Best, SweepResult, better_of, joined

    best, kept, start = Best(key, top, better_of(key)), list["Columns"](), time.perf_counter()
    takers: list[Taker] = [best.add]
    if picture is not None:
        _check_picture(ready, table)
        takers.append(lambda columns, _: kept.append(columns))
    tally, already = _run(ready, takers, table, restart=restart)

    seconds, notes = time.perf_counter() - start, ready.notes()

    def result(columns: "Columns") -> "SweepResult":
        return SweepResult(ready.study, ready.axes, columns, tally, seconds, notes)

    found = result(best.columns or joined([], ready.columns))
    if as_json:
        emit(json.dumps(sweep_dict(found), allow_nan=False), None)
    else:
        show_sweep(found, console(), key, already)
    if table is not None:
        say(f"wrote {table}")
    if picture is not None:
        from simulator.report import pictures

        draw(lambda: pictures.of_sweep(result(joined(kept, ready.columns)), key), picture)


def _check_picture(ready: "Sweep", table: Path | None) -> None:
    """Refuse what no picture can show, before it is reckoned."""
    from simulator.io.study_files import partial_of
    from simulator.report.pictures import MOST_POINTS

    if len(ready.space) > MOST_POINTS:
        raise UsageError(f"{len(ready.space):,} points are too many for a picture (at most {MOST_POINTS:,})")
    if not any(len(axis) > 1 and (axis.numbers is not None or axis.labels.dtype.kind in "if") for axis in ready.axes):
        raise UsageError("a picture needs an axis of numbers: --vary 'memories.dram.bandwidth=10GB/s..1TB/s'")
    if table is not None and partial_of(table).exists():
        raise UsageError(f"{table} is to be taken up where it stopped: draw it when it is finished (sim sweep --repeat {table})")


def _run(ready: "Sweep", takers: "Sequence[Taker]", table: Path | None, *, restart: bool) -> "tuple[Tally, int]":
    """The sweep, its rows into a file where one is asked for; what became of its points, and how many were in the file."""
    from simulator import studies

    try:
        with progress() as tell:
            if table is not None:
                return studies.run_into(table, ready, takers, tell, restart=restart)
            return studies.run(ready, takers, tell), 0
    except KeyboardInterrupt:
        say("stopped" + ("; the same command goes on from there" if table is not None else ""))
        raise typer.Exit(_INTERRUPTED) from None
