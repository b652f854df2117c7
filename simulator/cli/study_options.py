"""Options that the studies share: settings of a scenario and what of the usual options is one."""

from enum import StrEnum
from typing import Annotated

import typer

from simulator.cli import options as opt


class Format(StrEnum):
    """How what-ifs, solutions and sensitivities print."""

    TABLE = "table"
    JSON = "json"


Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE",
        help="A figure of the machine (memories.dram.bandwidth=2x), of the runtime (runtime.bandwidth=0.8), precision, batch, "
        "mode, resolution, a recipe's parameter, or a change of the network (sparsity=0.9); repeatable",
    ),
]  # fmt: skip


def settings_of(
    given: list[str] | None,
    *,
    precision: str | None = None,
    batch: int | None = None,
    runtime: str | None = None,
    overlap: str | None = None,
    dim: list[str] | None = None,
    input_shape: list[str] | None = None,
) -> list[str]:
    """All of them as `NAME=VALUE`, in the order in which they apply."""
    usual = {"precision": precision, "batch": batch, "runtime": runtime, "overlap": overlap}
    found = [f"{name}={value}" for name, value in usual.items() if value is not None]
    found += [f"dim.{name}={size}" for name, size in opt.parse_dims(dim).items()]
    found += [f"input.{name}={'x'.join(map(str, shape))}" for name, shape in opt.parse_shapes(input_shape).items()]
    return [*found, *(given or [])]
