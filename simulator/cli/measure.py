"""`sim measure`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, say
from simulator.errors import UsageError
from simulator.measuring.importers.names import Source

if TYPE_CHECKING:
    from simulator.fidelity.profile import RunProfile
    from simulator.measuring.run import Measured, Settings
    from simulator.model import Model
    from simulator.report.measured import Beside, Heading
    from simulator.result.estimate import Estimate

_RUNTIMES = ("onnxruntime",)
ModelArgument = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help=opt.MODEL_HELP, autocompletion=opt.complete_model, show_default=False)
]
Beside_ = Annotated[
    str | None,
    typer.Option("--hw", metavar="HW", autocompletion=opt.complete_hardware, help="Print the prediction for this machine beside"),
]
Import = Annotated[
    Path | None, typer.Option("--import", metavar="FILE", help="Read a profile of another tool instead of running MODEL")
]


def measure(
    model: ModelArgument = None,
    hw: Beside_ = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Threads of an operator; default: all cores")
    ] = None,
    batch: opt.Batch = None,
    dim: opt.Dim = None,
    input_shape: opt.InputShape = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=1, help="Timed runs")] = 30,
    warmups: Annotated[int, typer.Option("--warmups", metavar="N", min=0, help="Runs before them")] = 5,
    runtime: Annotated[str, typer.Option("--runtime", metavar="R", help="Runtime to measure: onnxruntime")] = "onnxruntime",
    profile: Annotated[bool, typer.Option("--profile", help="Also time every operator, in runs of their own")] = False,
    import_: Import = None,
    format: Annotated[Source, typer.Option("--format", help="Tool that wrote the profile to import")] = Source.AUTO,  # noqa: A002
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Kernels to show; 0 for all")] = 10,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Add the row to a CSV or Parquet file; with --import, write the operators",
        ),
    ] = None,
) -> None:
    """Time MODEL on this machine with ONNX Runtime, or read what another profiler measured."""
    if output is not None:
        checked_folder(output)
    if runtime not in _RUNTIMES:
        raise UsageError(f"--runtime {runtime}: sim measure runs {', '.join(_RUNTIMES)}; profiles of others come by --import")
    network = None if model is None else opt.load_model(model, batch, dim, input_shape, allow_unknown=True)
    if import_ is not None:
        _import(import_, format, network, hw, top, output)
    elif network is None or model is None:
        raise UsageError("name a MODEL to run, or a profile to --import")
    else:
        from simulator.measuring.host import available_cores
        from simulator.measuring.run import Settings

        settings = Settings(threads or available_cores(), warmups, repeats, batch, profile, hw or "", runtime)
        _run(model, network, settings, hw, top, output)


def _run(model: str, network: "Model", settings: "Settings", hw: str | None, top: int, output: Path | None) -> None:
    """Measure, print, add the row."""
    from simulator.io.measurements import append_measurement, measurements_so_far
    from simulator.measuring.run import measure as run

    if output is not None:
        measurements_so_far(output)  # a file that no row can be added to, before the time is spent
    done = run(model, network, settings)
    _show(done, network, settings.threads, hw, top)
    if output is not None:
        append_measurement(done.row, output)
        say(f"added a row to {output}")


def _show(done: "Measured", network: "Model", threads: int, hw: str | None, top: int) -> None:
    """The run as a person reads it."""
    from simulator.report.measured import Heading, report

    notes = (done.warning,) if done.warning else ()
    made = done.runnable.made_up_tensors
    if made:
        notes = (f"the values of {made} weight{'s' if made > 1 else ''} are made up: the file has none", *notes)
    est = _estimated(network, hw)
    settings = f"{done.row.runtime} · {threads} thread{'s' if threads > 1 else ''} · batch {network.graph.batch}"
    heading = Heading(network.name, done.row.hardware, settings, done.spread, done.row.peak_memory_bytes,
                      est.latency_s if est else None, notes)  # fmt: skip
    out = console()
    beside = _beside(network, done.profile, est) if done.profile else None
    out.print(report(heading, done.profile, beside, top, out.width))


def _import(path: Path, source: Source, network: "Model | None", hw: str | None, top: int, output: Path | None) -> None:
    """A profile of another tool: as CSV where a file is named, else as a table."""
    from simulator.measuring.importers.formats import read_profile
    from simulator.report.measured import csv_text, report

    if hw is not None and network is None:
        raise UsageError("--hw needs the MODEL that the profile is of")
    if output is not None and output.suffix.lower() == ".parquet":
        raise UsageError(f"{output}: the operators of a profile are written as CSV")
    profile = read_profile(path, source)
    est = None if network is None else _estimated(network, hw)
    beside = None if network is None else _beside(network, profile, est)
    if output is not None:
        emit(csv_text(profile, beside), output)
        say(f"wrote {output}")
        return
    out = console()
    out.print(report(_heading(path, profile, network, est), profile, beside, top, out.width))


def _heading(path: Path, profile: "RunProfile", network: "Model | None", est: "Estimate | None") -> "Heading":
    """The head of an imported profile."""
    from simulator.report.measured import Heading
    from simulator.units import format_si

    runs = f" · {profile.runs} runs" if profile.runs else ""
    total = f"{format_si(profile.total_s, 's')} a run"
    predicted = f" (predicted {format_si(est.latency_s, 's')})" if est else ""
    name = network.name if network else path.name
    return Heading(name, profile.source, f"{total}{predicted}{runs}", None, profile.peak_memory_bytes)


def _estimated(network: "Model", hw: str | None) -> "Estimate | None":
    """What we predict of the run, on the machine that is named."""
    from simulator import api

    return None if hw is None else api.estimate(network, hw, runtime="onnxruntime")


def _beside(network: "Model", profile: "RunProfile", est: "Estimate | None") -> "Beside":
    """Our kernels beside the operators of a profile: those of the prediction, or as ONNX Runtime is taken to cut the network."""
    from simulator.fidelity.matching import match
    from simulator.io.hardware_reader import load_runtime
    from simulator.preparation import prepared_for
    from simulator.report.measured import Beside

    prepared = est.prepared if est else prepared_for(network, load_runtime("onnxruntime"))
    names = [k.name for k in prepared.kernels]
    types = [prepared.graph.ops[k.main].op_type for k in prepared.kernels]
    seconds = [float(s) for s in est.kernel_s] if est else None
    return Beside(names, types, seconds, match(profile.operators, prepared))
