"""`sim explain`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, plain_console

if TYPE_CHECKING:
    from simulator.report.explained import Explanation


class Format(StrEnum):
    """How `sim explain` prints."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


Layer = Annotated[
    str | None,
    typer.Option(
        "--layer", metavar="NAME",
        help="A kernel: its name, an ONNX node's, or a part of one; its number: 12; or NAME#2, the second that matches. "
        "Default: the whole run",
    ),
]  # fmt: skip


def explain(
    model: opt.Model,
    hw: opt.Hardware,
    layer: Layer = None,
    runtime: opt.Runtime = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    precision: opt.Precision = None,
    overlap: opt.Overlap = None,
    per_op: opt.PerOp = False,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: opt.Output = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Say where the time of MODEL on HW comes from: formulas, numbers, sources; or the same of one kernel."""
    from simulator import api

    if output is not None:
        checked_folder(output)
    network = opt.load_model(model, batch, dim, input_shape, allow_unknown=allow_unknown)
    est = api.estimate(network, hw, precision=precision, overlap=overlap, runtime=runtime, per_op=per_op)
    _print(api.explain(est, layer), format, output)


def _print(found: "Explanation", format: Format, output: Path | None) -> None:  # noqa: A002
    """The explanation in one of its formats, on standard output or in a file."""
    from simulator.report.explained import explanation_markdown, show_explanation

    if format is Format.JSON:
        emit(json.dumps(found.to_dict(), allow_nan=False), output)
    elif format is Format.MD:
        emit(explanation_markdown(found), output)
    elif output is not None:
        plain = plain_console()
        with plain.capture() as capture:
            show_explanation(found, plain)
        emit(capture.get(), output)
    else:
        show_explanation(found, console())
