"""Measurement files: one row a run. The columns stand here only."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from simulator.errors import OutputError


@dataclass(frozen=True, slots=True)
class Row:
    """One run: a network on a machine under a runtime. SI units; None where something was not measured or is as in the file.

    `latency_s` and `energy_j` are those of a whole batch, `peak_memory_bytes` what the run took beyond the idle runtime.
    """

    model: str
    hardware: str
    runtime: str
    precision: str | None
    batch: int | None
    latency_s: float
    energy_j: float | None = None
    peak_memory_bytes: int | None = None
    family: str = ""
    label: str = ""
    source: str = ""


COLUMNS = tuple(f.name for f in fields(Row))


def row_text(rows: Sequence[Row], *, header: bool = True) -> str:
    """Rows as CSV, by default with the header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if (value := getattr(row, name)) is None else value for name in COLUMNS])
    return buffer.getvalue()


def append_row(row: Row, path: Path) -> None:
    """Add a row to a measurement file, which is made where there is none.

    Raises:
        OutputError: the file has other columns, or cannot be written.
    """
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before and tuple(next(csv.reader(before.splitlines()), [])) != COLUMNS:
            raise OutputError(f"{path} is no measurement file of these columns: {', '.join(COLUMNS)}")
        separator = "" if not before or before.endswith("\n") else "\n"
        path.write_text(before + separator + row_text([row], header=not before), encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OutputError(f"{path} is no measurement file: not text") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
