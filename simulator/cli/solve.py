"""`sim solve` and `sim sensitivity`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit
from simulator.cli.pictures import checked_picture, draw, is_picture
from simulator.cli.study_options import Format, Set, settings_of
from simulator.errors import UsageError


def solve(
    model: opt.Model,
    hw: opt.Hardware,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", metavar="PATH[=LOW..HIGH]", help="A figure of the machine (memories.dram.bandwidth) to find; repeatable"
        ),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="FORMULA", help="What must hold: 'latency<=33ms'; repeatable")
    ] = None,
    minimize: Annotated[
        str | None,
        typer.Option("--minimize", metavar="FORMULA", help="With several figures: what is to be least; default: their product"),
    ] = None,
    set_: Set = None,
    precision: opt.Precision = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    overlap: opt.Overlap = None,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: opt.Output = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Find the least value of one or several figures of HW with which MODEL meets targets."""
    from simulator import studies
    from simulator.report.solved import show_solution, solution_dict

    if output is not None:
        checked_folder(output)
        if is_picture(output):
            raise UsageError(f"{output}: solve draws nothing; -o writes JSON")
    settings = settings_of(set_, precision=precision, batch=batch, runtime=runtime, overlap=overlap)
    found = studies.solve(model, hw, vary or [], target or [], settings=settings, minimize=minimize, allow_unknown=allow_unknown)
    if format is Format.JSON or output is not None:
        emit(json.dumps(solution_dict(found), allow_nan=False), output)
    if format is Format.TABLE:
        show_solution(found, console())


def sensitivity(
    model: opt.Model,
    hw: opt.Hardware,
    figure: Annotated[
        list[str] | None, typer.Option("--figure", metavar="PATH", help="Only this figure; repeatable; default: all of HW")
    ] = None,
    with_runtime: Annotated[bool, typer.Option("--with-runtime", help="Also the figures of the runtime's profile")] = False,
    set_: Set = None,
    precision: opt.Precision = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    overlap: opt.Overlap = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Figures to show; 0 for all")] = 15,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Tornado plot: .png, .svg, .pdf")] = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Say what latency and energy of MODEL hang on: elasticities of every figure of HW, and where more of it stops helping."""
    from simulator import studies
    from simulator.report.solved import show_sensitivity

    if output is not None:
        checked_picture(checked_folder(output))
    settings = settings_of(set_, precision=precision, batch=batch, runtime=runtime, overlap=overlap)
    found = studies.sensitivity(
        model, hw, settings=settings, figures=figure or [], runtime=with_runtime, allow_unknown=allow_unknown
    )
    if format is Format.JSON:
        emit(json.dumps(found.to_dict(), allow_nan=False), None)
    else:
        show_sensitivity(found, console(), top)
    if output is not None:
        from simulator.report import pictures

        draw(lambda: pictures.of_sensitivity(found, top), output)
