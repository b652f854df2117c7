"""`sim trace`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, emit, say
from simulator.errors import OutputError, did_you_mean

if TYPE_CHECKING:
    from simulator.result.estimate import Estimate

_SUFFIXES: Final = (".json", ".png", ".svg", ".pdf")
Drawing = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to .json, or draw: .png, .svg, .pdf; default: print the JSON"),
]


def trace(
    model: opt.Model,
    hw: opt.Hardware,
    runtime: opt.Runtime = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    precision: opt.Precision = None,
    overlap: opt.Overlap = None,
    per_op: opt.PerOp = False,
    output: Drawing = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Say what each engine and memory of HW does when, while it runs MODEL: a trace for chrome://tracing or ui.perfetto.dev."""
    from simulator import api

    if output is not None:
        _checked(output)
    network = opt.load_model(model, batch, dim, input_shape, allow_unknown=allow_unknown)
    est = api.estimate(network, hw, precision=precision, overlap=overlap, runtime=runtime, per_op=per_op)
    if output is None or output.suffix.lower() == ".json":
        emit(json.dumps(api.trace(est), allow_nan=False), output)
    else:
        _draw(est, output)
    if output is not None:
        hint = " (open it in ui.perfetto.dev or chrome://tracing)" if output.suffix.lower() == ".json" else ""
        say(f"wrote {output}{hint}")


def _checked(path: Path) -> None:
    """Refuse a file that could not be written in the end, before the work."""
    checked_folder(path)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        what = f"'{suffix}' is no format of a trace{did_you_mean(suffix, _SUFFIXES)}" if suffix else "a trace needs a suffix"
        raise OutputError(f"{path}: {what} (known: {', '.join(_SUFFIXES)})")


def _draw(est: "Estimate", path: Path) -> None:
    """The picture."""
    from simulator.report.plots.save import save
    from simulator.report.plots.timeline import figure

    facts = (est.model.name, est.hardware.name, est.precision or est.main_rate, f"batch {est.batch}", est.runtime.id)
    save(figure(est, title=", ".join((*facts, f"overlap {est.overlap}")))[0], path)
