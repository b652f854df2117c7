"""Arguments and options that several commands share, and how their text is read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from simulator.errors import UsageError


def complete_hardware(incomplete: str) -> list[str]:
    """Catalogue ids for the shell."""
    from simulator.io.hardware_reader import hardware_ids

    return [x for x in hardware_ids() if x.startswith(incomplete)]


def complete_runtime(incomplete: str) -> list[str]:
    """Runtime ids for the shell."""
    from simulator.io.hardware_reader import runtime_ids

    return [x for x in runtime_ids() if x.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Catalogue names and ONNX files for the shell."""
    from simulator.zoo import list_recipes

    names = [r.id for r in list_recipes() if r.id.startswith(incomplete)]
    return names + [str(p) for p in Path().glob(f"{incomplete}*.onnx")]


def complete_precision(incomplete: str) -> list[str]:
    """Precision names for the shell."""
    from simulator.transform.precision import PRECISIONS

    return [x for x in PRECISIONS if x.startswith(incomplete)]


MODEL_HELP = "ONNX file, or a catalogue name with parameters: mobilenet_v2:width=0.5,resolution=96"
HW_HELP = "Catalogue id (sim hw list), with :mode where it has modes, or a YAML file"
Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=complete_model)]
Hardware = Annotated[str, typer.Option("--hw", metavar="HW", help=HW_HELP, autocompletion=complete_hardware)]
Runtime = Annotated[
    str | None,
    typer.Option("--runtime", metavar="R", help="Runtime profile; default: the machine's own", autocompletion=complete_runtime),
]
Batch = Annotated[int | None, typer.Option("--batch", metavar="N", min=1, help="Batch; also for files exported with a fixed one")]
Dim = Annotated[list[str] | None, typer.Option("--dim", metavar="NAME=N", help="Size of a symbolic dimension; repeatable")]
InputShape = Annotated[
    list[str] | None,
    typer.Option("--input-shape", metavar="NAME=1x3x224x224", help="Shape of an input; repeatable"),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision", metavar="P", autocompletion=complete_precision,
        help="fp32, tf32, bf16, fp16, fp8, int8, int4, w8a16, w4a16, amp_fp16, amp_bf16; default: as in the file",
    ),
]  # fmt: skip
Overlap = Annotated[
    str | None, typer.Option("--overlap", metavar="POLICY", help="none, layer or full; default: the runtime's own")
]
AllowUnknown = Annotated[bool, typer.Option("--allow-unknown", help="Count operators without a rule by their bytes and go on")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file")]


def parse_dims(items: Iterable[str] | None) -> dict[str, int]:
    """`["seq=128"]` as a mapping."""
    result = {}
    for item in items or ():
        name, equals, size = item.partition("=")
        if not name or not equals or not size.lstrip("-").isdigit():
            raise UsageError(f"--dim '{item}': write NAME=NUMBER, for example --dim seq=128")
        result[name] = int(size)
    return result


def parse_shapes(items: Iterable[str] | None) -> dict[str, list[int]]:
    """`["input=1x3x224x224"]` as a mapping."""
    result = {}
    for item in items or ():
        name, equals, dims = item.rpartition("=")
        parts = dims.lower().replace(",", "x").split("x")
        if not name or not equals or not all(p.lstrip("-").isdigit() for p in parts):
            raise UsageError(f"--input-shape '{item}': write NAME=1x3x224x224")
        result[name] = [int(p) for p in parts]
    return result
