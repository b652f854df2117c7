"""`sim models`: the catalogue of networks."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, say
from simulator.errors import OutputError

app = typer.Typer(no_args_is_help=True, help="Networks: list, show, export as ONNX without weights.")


@app.command("list")
def list_() -> None:
    """List the networks of the catalogue with their parameters and published counts."""
    from simulator import zoo
    from simulator.report.catalogue import models_table

    out = console()
    out.print(models_table(zoo.list_recipes(), out.width))


@app.command()
def show(model: opt.Model, batch: opt.Batch = None, dim: opt.Dim = None, input_shape: opt.InputShape = None) -> None:
    """Show the counts of a network: parameters, MACs, activations, model size by precision, published accuracy."""
    from simulator import zoo
    from simulator.loading import is_file
    from simulator.report.accuracies import show_accuracies
    from simulator.report.catalogue import show_model

    network = opt.load_model(model, batch, dim, input_shape, allow_unknown=True)
    out = console()
    out.print(show_model(network))
    if not is_file(model) and input_shape is None:  # at other shapes nobody published any
        sources = zoo.find_recipe(zoo.parse_reference(model)[0]).sources
        for part in show_accuracies(*zoo.accuracies_of(model), sources):
            out.print(part)


@app.command()
def export(
    model: opt.Model,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="ONNX file; default: NAME.onnx")] = None,
) -> None:
    """Write a catalogue network as an ONNX file without weights, to look at or to change."""
    from simulator import zoo

    recipe, params = zoo.parse_reference(model)
    path = checked_folder(output or Path(f"{recipe}.onnx"))
    try:
        path.write_bytes(zoo.build(recipe, **params).SerializeToString())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    say(f"wrote {path}")
