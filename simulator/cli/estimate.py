"""`sim estimate` and `sim roofline`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, plain_console, say
from simulator.cli.pictures import draw, is_picture
from simulator.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from simulator.report.tables import View
    from simulator.result.estimate import Estimate


class Format(StrEnum):
    """How `sim estimate` prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MD = "md"


def estimate(
    model: opt.Model,
    hw: opt.Hardware,
    runtime: opt.Runtime = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    precision: opt.Precision = None,
    overlap: opt.Overlap = None,
    per_op: opt.PerOp = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Kernels to show; 0 for all")] = 10,
    sort: Annotated[
        str, typer.Option("--sort", metavar="KEY", help="latency, macs, energy, weight_bytes …, or order")
    ] = "latency",
    battery: opt.Battery = None,
    rate: opt.Rate = None,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to this file; .png, .svg, .pdf: where the time goes"),
    ] = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Predict latency, energy, memory and what bounds each kernel of MODEL on HW."""
    from simulator import api
    from simulator.report import tables

    _check(sort, battery, rate, format)
    if output is not None:
        checked_folder(output)
    network = opt.load_model(model, batch, dim, input_shape, allow_unknown=allow_unknown)
    est = api.estimate(network, hw, precision=precision, overlap=overlap, runtime=runtime, per_op=per_op)
    life = None if battery is None or rate is None else api.battery_life(est, battery, rate)
    _print(est, tables.View(top, sort, life), format, output)


def _check(sort: str, battery: str | None, rate: str | None, format: Format) -> None:  # noqa: A002
    """Refuse options that make no sense, before anything is read."""
    from simulator.result.metrics import SORT_KEYS

    if sort not in SORT_KEYS:
        raise UsageError(f"--sort {sort}: not one of {', '.join(SORT_KEYS)}{did_you_mean(sort, SORT_KEYS)}")
    if (battery is None) != (rate is None):
        raise UsageError("--battery and --rate go together: --battery 220mAh@3V --rate 1/s")
    if battery is not None and format is Format.CSV:
        raise UsageError("--battery has no place in csv, which has a line a kernel (use json, md or table)")


def _print(est: "Estimate", view: "View", format: Format, output: Path | None) -> None:  # noqa: A002
    """The estimate in one of its formats, on standard output or in a file."""
    from simulator.report import tables

    if output is not None and is_picture(output):
        from simulator.report import pictures

        tables.show_estimate(est, console(), view)
        draw(lambda: pictures.of_estimates([est]), output)
    elif format is Format.JSON:
        emit(json.dumps(_document(est, view), allow_nan=False), output)
    elif format is Format.CSV:
        emit(tables.csv_text(est, view), output)
    elif format is Format.MD:
        emit(tables.markdown(est, view), output)
    elif output is not None:
        plain = plain_console()
        with plain.capture() as capture:
            tables.show_estimate(est, plain, view)
        emit(capture.get(), output)
    else:
        tables.show_estimate(est, console(), view)


def _document(est: "Estimate", view: "View") -> dict[str, object]:
    """The JSON object, with `battery` where it was asked for."""
    if view.battery is None:
        return est.to_dict()
    return {**est.to_dict(), "battery": view.battery.to_dict(), "warnings": [*est.warnings, *view.battery.warnings]}


def roofline(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help=opt.MODEL_HELP, autocompletion=opt.complete_model)],
    hw: Annotated[
        list[str],
        typer.Option("--hw", metavar="HW", help=f"{opt.HW_HELP}; repeatable", autocompletion=opt.complete_hardware),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Picture to write: .png, .svg or .pdf")],
    runtime: opt.Runtime = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    precision: opt.Precision = None,
    energy: Annotated[bool, typer.Option("--energy", help="Operations per joule in the place of operations per second")] = False,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Draw the roofs of one or several machines, and the kernels of one or several models under them."""
    from simulator import api
    from simulator.report.plots import energy_roofline, roofline
    from simulator.report.plots.save import save

    checked_folder(output)
    networks = [opt.load_model(m, batch, dim, input_shape, allow_unknown=allow_unknown) for m in models]
    machines = [api.load_hardware(h) for h in hw]
    estimates = [api.estimate(n, m, precision=precision, runtime=runtime) for m in machines for n in networks]
    drawn = energy_roofline.figure(estimates)[0] if energy else roofline.figure(estimates)[0]
    save(drawn, output)
    say(f"wrote {output}")
