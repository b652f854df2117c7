"""`sim compare` and `sim recommend`."""

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, plain_console, progress
from simulator.cli.pictures import draw, is_picture
from simulator.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType


class Format(StrEnum):
    """How they print."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MD = "md"


class Result(Protocol):
    """What both have in common."""

    def to_dict(self) -> dict[str, object]:
        """The JSON object."""

    def to_csv(self) -> str:
        """A line a row."""


FormatOption = Annotated[Format, typer.Option("--format", help="How to print")]
Precisions = Annotated[
    list[str] | None,
    typer.Option("--precision", metavar="P[,P…]", help="One or several, as for estimate", autocompletion=opt.complete_precision),
]


def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help=opt.MODEL_HELP, autocompletion=opt.complete_model)],
    hw: Annotated[
        list[str],
        typer.Option("--hw", metavar="HW", help=f"{opt.HW_HELP}; repeatable", autocompletion=opt.complete_hardware),
    ],
    precision: Precisions = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    sort: Annotated[
        str, typer.Option("--sort", metavar="FIGURE", help="latency, energy, memory, size, accuracy …, or order")
    ] = "latency",
    metric: Annotated[
        str, typer.Option("--metric", metavar="FIGURE", help="Figure of the matrix, named as for --sort")
    ] = "latency",
    format: FormatOption = Format.TABLE,  # noqa: A002
    output: opt.Output = None,
) -> None:
    """Put networks beside each other on machines beside each other: latency, energy, memory, accuracy; the best marked."""
    from simulator import api
    from simulator.report import comparison

    _check_output(output, pictures=True)
    found = api.compare(
        models, hw, precisions=_precisions(precision) or (None,), batch=batch, runtime=runtime,
        sort=None if sort == "order" else sort, metric=metric,
    )  # fmt: skip
    if output is not None and is_picture(output):
        from simulator.report import pictures

        _show(lambda width: comparison.show_comparison(found, width), None)
        draw(lambda: pictures.of_comparison(found, metric), output)
    elif format is Format.MD:
        emit(comparison.markdown(found), output)
    elif format is Format.TABLE:
        _show(lambda width: comparison.show_comparison(found, width), output)
    else:
        _emit_data(found, format, output)


OneMachine = Annotated[
    str | None,
    typer.Option("--hw", metavar="HW", help=f"Find networks for it. {opt.HW_HELP}", autocompletion=opt.complete_hardware),
]
OneModel = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help=f"Find machines for it. {opt.MODEL_HELP}", autocompletion=opt.complete_model),
]
MaxLatency = Annotated[str | None, typer.Option("--max-latency", metavar="100ms", help="At most this long a run")]
MaxMemory = Annotated[str | None, typer.Option("--max-memory", metavar="320KiB", help="Activations at their peak")]
MaxSize = Annotated[str | None, typer.Option("--max-size", metavar="1MiB", help="Weights")]
MaxEnergy = Annotated[str | None, typer.Option("--max-energy", metavar="2mJ", help="Energy of a run")]
MaxPower = Annotated[str | None, typer.Option("--max-power", metavar="2W", help="Mean power of runs back to back")]
MinAccuracy = Annotated[
    str | None, typer.Option("--min-accuracy", metavar="70", help="Published accuracy: per cent top-1, or AUC")
]
MinThroughput = Annotated[str | None, typer.Option("--min-throughput", metavar="30/s", help="Inferences in a time")]
Task = Annotated[str, typer.Option("--task", help="What networks must do: imagenet, cifar10, vww, keywords, anomaly")]


def recommend(
    hw: OneMachine = None,
    model: OneModel = None,
    max_latency: MaxLatency = None,
    max_memory: MaxMemory = None,
    max_size: MaxSize = None,
    max_energy: MaxEnergy = None,
    max_power: MaxPower = None,
    min_accuracy: MinAccuracy = None,
    min_throughput: MinThroughput = None,
    task: Task = "imagenet",
    precision: Precisions = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Rows to show; 0 for all")] = 10,
    format: FormatOption = Format.TABLE,  # noqa: A002
    output: opt.Output = None,
) -> None:
    """Find what meets limits: networks of the catalogue for a machine, by accuracy, or machines for a network, by power."""
    from simulator import api
    from simulator.report import recommendation

    _check_output(output)
    if (hw is None) == (model is None):
        raise UsageError("sim recommend takes either --hw, to find networks for it, or --model, to find machines for it")
    given = {
        "latency": max_latency, "memory": max_memory, "size": max_size, "energy": max_energy, "power": max_power,
        "accuracy": min_accuracy,
        "throughput": min_throughput,
    }  # fmt: skip
    limits = {name: text for name, text in given.items() if text is not None}
    with progress() as tell:
        found = api.recommend(
            hardware=hw,
            model=model,
            limits=limits,
            task=task,
            precisions=_precisions(precision),
            batch=batch,
            runtime=runtime,
            progress=tell,
        )
    if format is Format.MD:
        emit(recommendation.markdown(found, top), output)
    elif format is Format.TABLE:
        _show(lambda width: recommendation.show_recommendation(found, width, top), output)
    else:
        _emit_data(found, format, output)


def _precisions(texts: list[str] | None) -> tuple[str, ...] | None:
    """`int8,fp32`, or one after the other, as names; None where none is given."""
    if not texts:
        return None
    names = tuple(name.strip() for text in texts for name in text.split(","))
    if not all(names):
        raise UsageError(f"--precision '{','.join(texts)}': write names with commas between them, for example int8,fp32")
    return names


def _check_output(output: Path | None, *, pictures: bool = False) -> None:
    """Refuse what cannot be written, before the work begins."""
    if output is None:
        return
    if is_picture(output) and not pictures:
        raise UsageError(
            f"-o {output}: no pictures are drawn of this (sim pareto draws one); use --format table, json, csv or md"
        )
    checked_folder(output)


def _show(report: "Callable[[int], RenderableType]", output: Path | None) -> None:
    """A report for the width of the terminal, or as plain text in a file."""
    out = console() if output is None else plain_console()
    if output is None:
        out.print(report(out.width))
        return
    with out.capture() as capture:
        out.print(report(out.width))
    emit(capture.get(), output)


def _emit_data(found: Result, format: Format, output: Path | None) -> None:  # noqa: A002
    emit(json.dumps(found.to_dict(), allow_nan=False) if format is Format.JSON else found.to_csv(), output)
