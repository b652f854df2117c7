"""`sim plan`."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit
from simulator.errors import UsageError

_PATCHES = re.compile(r"(\d+)x(\d+):(\d+)")


class Format(StrEnum):
    """How `sim plan` prints."""

    TABLE = "table"
    JSON = "json"


def plan(
    model: opt.Model,
    hw: opt.Hardware,
    runtime: opt.Runtime = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    precision: opt.Precision = None,
    reorder: Annotated[bool, typer.Option("--reorder", help="Run the kernels in the order that needs least memory")] = False,
    patches: Annotated[
        str | None, typer.Option("--patches", metavar="4x4:N", help="Run the first N kernels on a grid of patches, 4 by 4")
    ] = None,
    align: Annotated[int, typer.Option("--align", metavar="BYTES", min=1, help="Addresses are multiples of this")] = 16,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Draw the plan: .png, .svg or .pdf; or .json")
    ] = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Say what of MODEL fits HW's memories and by how much, what fills them, and what would take less."""
    from simulator import api
    from simulator.machine.params import machine_of
    from simulator.report import plan as report
    from simulator.schedule.plan import PlanOptions, plan_memory

    if output is not None:
        checked_folder(output)
    options = PlanOptions(align, reorder, parse_patches(patches))
    network = api.load_model(
        model, batch=batch, dims=opt.parse_dims(dim), input_shapes=opt.parse_shapes(input_shape), allow_unknown=allow_unknown
    )
    est = api.estimate(network, hw, precision=precision, runtime=runtime)
    prepared = est.prepared
    found = plan_memory(prepared.graph, prepared.kernels, machine_of(est.hardware), prepared.work.footprint.weight_bytes, options)
    settings = f"{est.precision or est.main_rate} · batch {est.batch} · {est.runtime.id}"
    heading = report.Heading(est.model.name, est.hardware.name, settings)
    as_json = json.dumps({**_about(est.model.name, est.hardware.id, est.runtime.id), **report.to_dict(found)}, allow_nan=False)
    if output is not None and output.suffix == ".json":
        emit(as_json, output)
    elif output is not None:
        from simulator.report.plots.memory import figure
        from simulator.report.plots.save import save

        save(figure(found, title=f"{heading.model}, {heading.hardware}, {heading.settings.replace(' · ', ', ')}")[0], output)
    if format is Format.JSON:
        emit(as_json, None)
    else:
        report.show_plan(found, heading, console())
    if output is not None:
        console(stderr=True).print(f"wrote {output}")


def _about(model: str, hardware: str, runtime: str) -> dict[str, object]:
    return {"model": model, "hardware": hardware, "runtime": runtime}


def parse_patches(text: str | None) -> tuple[tuple[int, int], int] | None:
    """`"4x4:12"` as ((4, 4), 12)."""
    if text is None:
        return None
    match = _PATCHES.fullmatch(text)
    if not match or not all(int(number) for number in match.groups()):
        raise UsageError(f"--patches '{text}': write ROWSxCOLUMNS:KERNELS, for example --patches 4x4:12")
    return (int(match[1]), int(match[2])), int(match[3])
