"""`sim pareto`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, progress, say
from simulator.cli.pictures import draw, is_picture
from simulator.errors import UsageError


class Format(StrEnum):
    """How it prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE | MODEL...]", help="A table (.csv, .parquet: a sweep, or your own), or networks; none: the catalogue"
    ),
]
Objective = Annotated[
    list[str] | None,
    typer.Option("--objective", metavar="COLUMN[:more]", help="latency, energy, memory, size, accuracy …; two or more"),
]
Precisions = Annotated[
    list[str] | None, typer.Option("--precision", metavar="P[,P…]", help="Of networks", autocompletion=opt.complete_precision)
]
Task = Annotated[
    str | None, typer.Option("--task", help="Of the catalogue: imagenet (the default), cifar10, vww, keywords, anomaly")
]
Name = Annotated[str | None, typer.Option("--name", metavar="COLUMN[,…]", help="What points of a table are called")]
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="X,Y…", help="Corner of the hypervolume in SI units; default: the worst")
]


def pareto(
    sources: Sources = None,
    hw: opt.Machines = None,
    objective: Objective = None,
    precision: Precisions = None,
    task: Task = None,
    name: Name = None,
    reference: Reference = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Points to show; 0 for all")] = 20,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: opt.Output = None,
) -> None:
    """Find what no other beats: designs of a sweep, or networks on HW by latency, energy, memory and published accuracy."""
    from simulator import studies
    from simulator.report.front import show_front
    from simulator.study.records import csv_of

    if output is not None:
        checked_folder(output)
    table = _table(sources or [])
    corner = _reference(reference)
    if table is not None and (hw or precision):
        raise UsageError(f"--hw and --precision are of networks; {table} has its rows already")
    if task is not None and sources:
        raise UsageError(f"--task chooses among the catalogue's networks; {', '.join(sources)} is what is asked for")
    if table is None and not hw:
        raise UsageError("name at least one machine: --hw rpi4")
    if table is not None:
        found = studies.pareto(table, objective or [], name=name, reference=corner)
    else:
        with progress() as tell:
            found = studies.pareto_of_networks(
                sources or [], hw or [], objective or ["latency", "accuracy"], precisions=_precisions(precision),
                task=task or "imagenet", reference=corner, progress=tell,
            )  # fmt: skip
    if output is not None and is_picture(output):
        from simulator.report import pictures

        draw(lambda: pictures.of_front(found), output)
    elif output is not None:
        emit(csv_of(found.rows()), output)
        say(f"wrote {output}")
    if format is Format.TABLE:
        show_front(found, console(), top)
    else:
        emit(json.dumps(found.to_dict(), allow_nan=False) if format is Format.JSON else csv_of(found.rows()), None)


def _table(sources: list[str]) -> Path | None:
    """The table among what is given; None where all are networks."""
    tables = [text for text in sources if Path(text).suffix.lower() in (".csv", ".parquet")]
    if not tables:
        return None
    if len(sources) > 1:
        raise UsageError(f"{tables[0]} is a table: one alone, without networks beside it")
    return Path(tables[0])


def _reference(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--reference {text}: write plain numbers with commas between them, one an objective") from None


def _precisions(texts: list[str] | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for text in texts for part in text.split(",")) if texts else None
