"""`sim hw`: the catalogue of machines."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, say
from simulator.errors import UsageError

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


@app.command()
def probe(
    output: Annotated[
        list[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Hardware file to write: .yaml; its roofs: .png, .svg, .pdf"),
    ],
    threads: Annotated[
        str | None, typer.Option("--threads", metavar="1,2", help="Numbers of threads to probe; default: all cores")
    ] = None,
    runtime_output: Annotated[
        Path | None,
        typer.Option("--runtime-output", metavar="FILE", help="Runtime profile to write, in terms of the probed rates"),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", min=0.01, help="Time for each microbenchmark")] = 0.25,
) -> None:
    """Measure this machine (matrix products, copies by size, overheads of ONNX Runtime) and write it as a hardware file."""
    from simulator.measuring.host import this_host
    from simulator.measuring.probe.write import probe_texts
    from simulator.report.measured import sweep_table

    target, pictures = _targets(output)
    for path in (target, *pictures, *([runtime_output] if runtime_output else [])):
        checked_folder(path)
    host = this_host()
    found = probe_texts(host, parse_threads(threads, host.cores), seconds, say)
    emit(found.hardware, target)
    say(f"wrote {target}; use it with: sim estimate MODEL --hw {target}")
    if runtime_output is not None:
        for path, text in found.runtime_files(runtime_output):
            emit(text, path)
            say(f"wrote {path}; use it with: sim estimate MODEL --hw {target} --runtime {path}")
    emit("\n".join((*found.summary, "")), None)
    console().print(sweep_table(found.copies))
    for warning in found.warnings:
        say(f"note: {warning}")
    _draw(target, pictures)


def _targets(output: list[Path]) -> tuple[Path, list[Path]]:
    """The one hardware file among the outputs, and the pictures."""
    files = [p for p in output if p.suffix in (".yaml", ".yml")]
    pictures = [p for p in output if p not in files]
    if len(files) != 1 or any(p.suffix not in (".png", ".svg", ".pdf") for p in pictures):
        raise UsageError("-o names one .yaml file to write, and pictures (.png, .svg, .pdf) beside it")
    return files[0], pictures


def parse_threads(text: str | None, cores: int) -> tuple[int, ...]:
    """`"1,2"` as (1, 2): different numbers of threads, each from 1 to the number of cores."""
    if text is None:
        return (cores,)
    numbers = [int(part) if part.isascii() and part.isdigit() and len(part) < 6 else 0 for part in text.split(",")]
    if not all(1 <= number <= cores for number in numbers):
        raise UsageError(f"--threads {text[:40]}: write numbers from 1 to {cores}, for example --threads 1,{cores}")
    return tuple(sorted(set(numbers)))


def _draw(hardware: Path, pictures: list[Path]) -> None:
    """The roofs of the probed machine, with the kernels of a small network under them."""
    if not pictures:
        return
    from simulator import api
    from simulator.report.plots.roofline import figure
    from simulator.report.plots.save import save

    drawn = figure([api.estimate("mobilenet_v2", str(hardware))])[0]
    for path in pictures:
        save(drawn, path)
        say(f"wrote {path}")
