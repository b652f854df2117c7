"""Arguments and options that several commands share, and how their text is read."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.errors import UsageError

if TYPE_CHECKING:
    from simulator.model import Model as LoadedModel


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
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    try:
        files = [p for p in folder.iterdir() if p.suffix == ".onnx" and str(p).startswith(incomplete)]
    except OSError:
        files = []
    return names + sorted(str(p) for p in files)


def complete_precision(incomplete: str) -> list[str]:
    """Precision names for the shell."""
    from simulator.transform.precision import PRECISIONS

    return [x for x in PRECISIONS if x.startswith(incomplete)]


MODEL_HELP = "ONNX file, or a catalogue name with parameters: mobilenet_v2:width=0.5,resolution=96"
HW_HELP = "Catalogue id (sim hw list), with :mode where it has modes, or a YAML file"
Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=complete_model)]
Hardware = Annotated[str, typer.Option("--hw", metavar="HW", help=HW_HELP, autocompletion=complete_hardware)]
Machines = Annotated[
    list[str] | None, typer.Option("--hw", metavar="HW", help=f"{HW_HELP}; repeatable", autocompletion=complete_hardware)
]
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
        help="fp32, tf32, bf16, fp16, fp8, int8, int4, w8a16, w4a16, amp_fp16, amp_bf16; w4a16:group=128 with scales; "
        "int8,fp16@*fc* for some operators; default: as in the file",
    ),
]  # fmt: skip
Overlap = Annotated[
    str | None, typer.Option("--overlap", metavar="POLICY", help="none, layer, prefetch or full; default: the runtime's own")
]
PerOp = Annotated[bool, typer.Option("--per-op", help="Every operator a kernel of its own: nothing fused")]
AllowUnknown = Annotated[bool, typer.Option("--allow-unknown", help="Count operators without a rule by their bytes and go on")]
Battery = Annotated[
    str | None,
    typer.Option("--battery", metavar="220mAh@3V", help="Also say how long this battery lasts; or 2Wh, 5kJ; with --rate"),
]
Rate = Annotated[str | None, typer.Option("--rate", metavar="1/s", help="Inferences in a time, for --battery; or 1/min, 12/h")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file")]


def load_model(
    model: str, batch: int | None, dim: list[str] | None, input_shape: list[str] | None, *, allow_unknown: bool
) -> "LoadedModel":
    """The network that MODEL and its options name."""
    from simulator import api

    dims, shapes = parse_dims(dim), parse_shapes(input_shape)
    return api.load_model(model, batch=batch, dims=dims, input_shapes=shapes, allow_unknown=allow_unknown)


def parse_dims(items: Iterable[str] | None) -> dict[str, int]:
    """`["seq=128"]` as a mapping."""
    result: dict[str, int] = {}
    for item in items or ():
        name, equals, text = item.partition("=")
        size = _integer(text)
        if not name or not equals or size is None:
            raise UsageError(f"--dim '{_shown(item)}': write NAME=NUMBER, for example --dim seq=128")
        if result.get(name, size) != size:
            raise UsageError(f"--dim {name} is both {result[name]} and {size}")
        result[name] = size
    return result


def parse_shapes(items: Iterable[str] | None) -> dict[str, list[int]]:
    """`["input=1x3x224x224"]` as a mapping."""
    result: dict[str, list[int]] = {}
    for item in items or ():
        name, equals, dims = item.rpartition("=")
        sizes = [_integer(p) for p in dims.lower().replace(",", "x").split("x")]
        shape = [size for size in sizes if size is not None]
        if not name or not equals or len(shape) != len(sizes):
            raise UsageError(f"--input-shape '{_shown(item)}': write NAME=1x3x224x224")
        if result.get(name, shape) != shape:
            raise UsageError(f"--input-shape {name} is given twice")
        result[name] = shape
    return result


def _shown(text: str) -> str:
    """The beginning of what was typed, for a message."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def _integer(text: str) -> int | None:
    """A whole number of at most 100 digits; None for anything else."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 100 else None
