"""`sim plan`."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, say
from simulator.errors import UsageError

if TYPE_CHECKING:
    from simulator.schedule.plan import MemoryPlan

_PATCHES = re.compile(r"(\d+)x(\d+):(\d+)")


class Format(StrEnum):
    """How `sim plan` prints."""

    TABLE = "table"
    JSON = "json"


Reorder = Annotated[bool, typer.Option("--reorder", help="Run the kernels in the order that needs least memory")]
Patches = Annotated[
    str | None, typer.Option("--patches", metavar="4x4:N", help="Run the first N kernels on a grid of patches, 4 by 4")
]
Align = Annotated[int, typer.Option("--align", metavar="BYTES", min=1, help="Addresses are multiples of this")]
Drawing = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Draw the plan: .png, .svg or .pdf; or .json")
]


def plan(
    model: opt.Model,
    hw: opt.Hardware,
    runtime: opt.Runtime = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    precision: opt.Precision = None,
    reorder: Reorder = False,
    patches: Patches = None,
    align: Align = 16,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: Drawing = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Say what of MODEL fits HW's memories and by how much, what fills them, and what would take less."""
    from simulator import api
    from simulator.report import plan as report

    if output is not None:
        checked_folder(output)
    network = opt.load_model(model, batch, dim, input_shape, allow_unknown=allow_unknown)
    est = api.estimate(network, hw, precision=precision, runtime=runtime)
    found = api.plan(est, reorder=reorder, patches=parse_patches(patches), alignment_bytes=align)
    settings = (est.precision or est.main_rate, f"batch {est.batch}", est.runtime.id)
    about = {"model": est.model.name, "hardware": est.hardware.id, "runtime": est.runtime.id, "precision": est.precision}
    as_json = json.dumps({**report.to_dict(found), **about}, allow_nan=False)
    if output is not None:
        _write(output, found, as_json, ", ".join((est.model.name, est.hardware.name, *settings)))
    if format is Format.JSON:
        emit(as_json, None)
    else:
        report.show_plan(found, report.Heading(est.model.name, est.hardware.name, " · ".join(settings)), console())


def _write(path: Path, plan: "MemoryPlan", as_json: str, title: str) -> None:
    """The picture of the plan, or its JSON object, by the suffix."""
    if path.suffix == ".json":
        emit(as_json, path)
    else:
        from simulator.report.plots.memory import figure
        from simulator.report.plots.save import save

        save(figure(plan, title=title)[0], path)
    say(f"wrote {path}")


def parse_patches(text: str | None) -> tuple[tuple[int, int], int] | None:
    """`"4x4:12"` as ((4, 4), 12)."""
    if text is None:
        return None
    match = _PATCHES.fullmatch(text)
    if not match or not all(int(number) for number in match.groups()):
        raise UsageError(f"--patches '{text}': write ROWSxCOLUMNS:KERNELS, for example --patches 4x4:12")
    return (int(match[1]), int(match[2])), int(match[3])
