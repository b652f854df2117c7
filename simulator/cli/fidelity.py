"""`sim validate` and `sim calibrate`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, progress, say
from simulator.errors import OutputError

if TYPE_CHECKING:
    from simulator.fidelity.calibrate import Calibration
    from simulator.fidelity.validate import Validation


class Format(StrEnum):
    """How `sim validate` prints."""

    TABLE = "table"
    JSON = "json"
    MD = "md"


class CalibrationFormat(StrEnum):
    """How `sim calibrate` prints."""

    TABLE = "table"
    JSON = "json"


class LeaveOut(StrEnum):
    """What a cross-validation leaves out together."""

    FAMILY = "family"
    HARDWARE = "hardware"


class By(StrEnum):
    """What errors are broken down by, beside machine and runtime."""

    FAMILY = "family"


File = Annotated[Path, typer.Argument(metavar="FILE", help="Measurements: CSV in the columns of docs/measurements.md")]
Models = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="Folder of the ONNX files that rows name; default: that of FILE")
]
Breakdown = Annotated[By | None, typer.Option("--by", help="Also break the errors down")]
Worst = Annotated[int, typer.Option("--worst", metavar="N", min=0, help="Runs farthest off to show, each with what dominates it")]
Profile = Annotated[
    str | None,
    typer.Option(
        "--runtime", metavar="R", help="Runtime profile in the place of the catalogue's of the same id, such as a fitted one",
        autocompletion=opt.complete_runtime,
    ),
]  # fmt: skip
Drawing = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Draw predicted against measured: .png, .svg or .pdf")
]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the JSON object to this file")]


def validate(
    file: File,
    models: Models = None,
    runtime: Profile = None,
    by: Breakdown = None,
    worst: Worst = 8,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: Drawing = None,
    json_file: Json = None,
) -> None:
    """Hold predictions against the measurements in FILE: errors by machine and runtime, and the worst cases."""
    from simulator import api

    for path in (output, json_file):
        if path is not None:
            checked_folder(path)
    if output is not None:
        from simulator.report.plots.save import checked_suffix

        checked_suffix(output)
    with progress() as tell:
        found = api.validate(file, models=models, runtime=runtime, worst=worst, progress=tell)
    if output is not None:
        _draw(found, output, file.name)
    if json_file is not None:
        emit(json.dumps(found.to_dict(), allow_nan=False), json_file)
        say(f"wrote {json_file}")
    _print_validation(found, format, by)


def _draw(found: "Validation", path: Path, title: str) -> None:
    from simulator.report.plots.save import save
    from simulator.report.plots.scatter import figure

    save(figure(found, title=title)[0], path)
    say(f"wrote {path}")


def _print_validation(found: "Validation", format: Format, by: By | None) -> None:  # noqa: A002
    from simulator.report.fidelity import show_validation, validation_markdown

    if format is Format.JSON:
        emit(json.dumps(found.to_dict(), allow_nan=False), None)
    elif format is Format.MD:
        emit(validation_markdown(found, by_family=by is not None), None)
    else:
        show_validation(found, console(), by_family=by is not None)


def calibrate(
    file: File,
    runtime: Annotated[
        str,
        typer.Option(
            "--runtime", metavar="R", help="Runtime profile to fit: id or YAML file", autocompletion=opt.complete_runtime
        ),
    ],
    fit: Annotated[
        str | None,
        typer.Option(
            "--fit", metavar="A,B", help="Constants to fit: efficiency.conv,bandwidth; default: all that enough rows show"
        ),
    ] = None,
    least_families: Annotated[
        int,
        typer.Option(
            "--least-families", metavar="N", min=1, help="Fit a constant only if rows of so many model families show it"
        ),
    ] = 3,
    leave_out: Annotated[
        LeaveOut, typer.Option("--leave-out", help="What the cross-validation leaves out together: a family, or a machine")
    ] = LeaveOut.FAMILY,
    models: Models = None,
    by: Breakdown = None,
    format: Annotated[CalibrationFormat, typer.Option("--format", help="How to print")] = CalibrationFormat.TABLE,  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the fitted runtime profile: .yaml")
    ] = None,
) -> None:
    """Fit the constants of a runtime profile to the measurements in FILE, cross-validated by family or machine."""
    from simulator import api

    if output is not None and checked_folder(output).suffix not in (".yaml", ".yml"):
        raise OutputError(f"{output}: a runtime profile is a .yaml file")
    wanted = tuple(name.strip() for name in (fit or "").split(",") if name.strip())
    with progress() as tell:
        found = api.calibrate(
            file, runtime, fit=wanted, models=models, progress=tell, least_families=least_families, leave_out=leave_out.value
        )
    if output is not None:
        _write(found, runtime, file.name, output)
    if format is CalibrationFormat.JSON:
        emit(json.dumps(found.to_dict(), allow_nan=False), None)
    else:
        from simulator.report.fidelity import show_calibration

        show_calibration(found, console(), by_family=by is not None)


def _write(found: "Calibration", runtime: str, data: str, path: Path) -> None:
    """The fitted profile as a file."""
    from datetime import UTC, datetime

    from simulator import __version__
    from simulator.io.runtime_writer import Evidence, fitted_text

    text = fitted_text(runtime, found, Evidence(data, datetime.now(UTC).date().isoformat(), __version__))
    try:
        path.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    say(f"wrote {path}")
