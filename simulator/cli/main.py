"""The command `sim`: parse, call the library, print. The only place that prints errors and chooses exit codes.

Exit codes: 0 done, 2 wrong usage or wrong input (one clear message on standard error), 1 a bug.
"""

import gc
import io
import os
import select
import sys
from typing import Annotated

import typer

from simulator import __version__
from simulator.cli import (
    choose,
    estimate,
    explain,
    fidelity,
    hardware,
    measure,
    models,
    pareto,
    plan,
    solve,
    sweep,
    trace,
    whatif,
)
from simulator.errors import SimulatorError
from simulator.units import printable

app = typer.Typer(
    name="sim",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Predict latency, energy, memory and bottlenecks of a neural network (ONNX) on a machine (YAML).",
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"nn-simulator {__version__}\n")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")] = False,
) -> None:
    """Predict latency, energy, memory and bottlenecks of a neural network (ONNX) on a machine (YAML)."""


app.command()(estimate.estimate)
app.command()(estimate.roofline)
app.command()(choose.compare)
app.command()(choose.recommend)
app.command()(explain.explain)
app.command()(plan.plan)
app.command()(trace.trace)
app.command()(whatif.whatif)
app.command()(sweep.sweep)
app.command()(pareto.pareto)
app.command()(solve.solve)
app.command()(solve.sensitivity)
app.command()(fidelity.validate)
app.command()(fidelity.calibrate)
app.command()(measure.measure)
app.add_typer(hardware.app, name="hw")
app.add_typer(models.app, name="models")


def run() -> None:
    """Entry point of the console script."""
    gc.disable()  # one short run leaves no garbage worth collecting; looking for it takes a tenth of the time
    if not os.environ.get("COLUMNS", "1").isascii():
        del os.environ["COLUMNS"]  # rich takes any digit for a number
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old terminal shows a question mark, not a traceback
    try:
        code = _exit_code()
        sys.stdout.flush()
    except SimulatorError as error:
        sys.stderr.write(f"sim: {printable(str(error), keep=chr(10))}\n")
        code = 2
    except BrokenPipeError:  # `sim … | head`: the reader has enough
        code = 0
    except OSError as error:
        sys.stderr.write(f"sim: standard output cannot be written: {error.strerror or error}\n")
        code = 2
    if code == 1 and _reader_is_gone():
        code = 0
    if code != 1:
        _drop_what_is_unwritten()
    sys.exit(code)


def _exit_code() -> int:
    """Run the command; typer ends every run by SystemExit."""
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _reader_is_gone() -> bool:
    """Whether whoever read standard output has closed it (typer turns that into exit code 1 by itself)."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop_what_is_unwritten() -> None:
    """Keep the interpreter from failing once more when it flushes a closed or full standard output at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    run()
