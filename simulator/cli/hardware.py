"""`sim hw`: the catalogue of machines."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit

app = typer.Typer(no_args_is_help=True, help="Machines: list, show, check, start a new one.")
HardwareArgument = Annotated[str, typer.Argument(metavar="HW", help=opt.HW_HELP, autocompletion=opt.complete_hardware)]


@app.command("list")
def list_() -> None:
    """List the machines of the catalogue with their peaks, bandwidth and memory."""
    from simulator import api
    from simulator.io.hardware_reader import hardware_ids
    from simulator.report.catalogue import hardware_table

    specs = [api.load_hardware(name) for name in hardware_ids()]
    out = console()
    out.print(hardware_table(specs, out.width))


@app.command()
def show(hw: HardwareArgument) -> None:
    """Show a machine: engines, memories, runtime, every figure with its source, and what stands in for missing ones."""
    from simulator import api
    from simulator.io.hardware_reader import load_runtime
    from simulator.report.machine import show_hardware

    out, spec = console(), api.load_hardware(hw)
    out.print(show_hardware(spec, load_runtime(spec.runtime or "ideal"), out.width))


@app.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML files to check")]) -> None:
    """Check YAML files: every fault with file, line and path."""
    from simulator import api
    from simulator.cost.limits import limits_of
    from simulator.errors import HardwareError, SimulatorError
    from simulator.io.hardware_reader import load_runtime
    from simulator.machine.params import machine_of

    faults = []
    for file in files:
        try:
            spec = api.load_hardware(file)
            for mode in spec.modes:
                api.load_hardware(f"{file}:{mode}")
            limits_of(load_runtime(spec.runtime or "ideal"), machine_of(spec))
        except SimulatorError as error:
            faults.append(str(error))
            continue
        unsourced = spec.unsourced()
        missing = f"; {len(unsourced)} figure(s) without a source: {', '.join(unsourced)}" if unsourced else ""
        emit(f"{file}: ok ({len(list(spec.figures()))} figures{missing})", None)
    if faults:
        raise HardwareError("\n".join(faults))


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file to write")],
    like: Annotated[
        str | None, typer.Option("--like", metavar="HW", help="Machine to extend", autocompletion=opt.complete_hardware)
    ] = None,
) -> None:
    """Write the beginning of a machine of your own, to fill in."""
    from simulator import api
    from simulator.errors import OutputError
    from simulator.report.catalogue import template

    if file.suffix not in (".yaml", ".yml"):
        raise OutputError(f"{file}: a machine is a .yaml file")
    if checked_folder(file).exists():
        raise OutputError(f"{file} exists; name another file")
    emit(template(file.stem, api.load_hardware(like).id if like else None), file)
    emit(f"wrote {file}; check it with: sim hw check {file}", None)
