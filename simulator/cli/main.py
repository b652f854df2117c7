"""The command `sim`: parse, call the library, print. The only place that prints errors and chooses exit codes.

Exit codes: 0 done, 2 wrong usage or wrong input (one clear message on standard error), 1 a bug.
"""

import gc
import os
import sys
from typing import Annotated

import typer

from simulator import __version__
from simulator.cli import estimate, hardware, models, plan
from simulator.errors import SimulatorError

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
app.command()(plan.plan)
app.add_typer(hardware.app, name="hw")
app.add_typer(models.app, name="models")


def run() -> None:
    """Entry point of the console script."""
    gc.disable()  # one short run leaves no garbage worth collecting; looking for it takes a tenth of the time
    try:
        app()
    except SimulatorError as error:
        sys.stderr.write(f"sim: {error}\n")
        sys.exit(2)
    except BrokenPipeError:  # `sim … | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    run()
