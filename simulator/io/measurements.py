"""Measurement files: CSV or Parquet in the columns of docs/measurements.md, read and written."""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from simulator.errors import MeasurementError, NotFoundError, OutputError, did_you_mean
from simulator.fidelity.measurement import Measurement
from simulator.io.parquet import arrow_library
from simulator.units import unit_of

COLUMNS: Final = (
    "model", "hardware", "runtime", "precision", "batch", "latency_s", "energy_j", "peak_memory_bytes", "family", "label",
    "source",
)  # fmt: skip
_ALSO: Final = {"latency_ms": "latency_s", "energy_mj": "energy_j"}  # in thousandths of the unit
_REQUIRED: Final = ("model", "hardware", "runtime", "latency_s")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOST_FAULTS: Final = 10  # shown of a file
_LONGEST: Final = 1e12  # s, J, bytes and inferences: beyond it a number is a slip

Row = Mapping[str, str]


@dataclass(frozen=True)
class _Header:
    """The columns of a file in their order, by the name of the field they fill."""

    names: tuple[str, ...]

    def fields(self) -> dict[str, str]:
        """Column of every field that is there."""
        return {_ALSO.get(name, name): name for name in self.names}


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """The rows of a measurement file.

    Raises:
        NotFoundError: no such file.
        MeasurementError: no table, an unknown or missing column, a number that cannot be; all faults with file and line.
    """
    _checked_file(path)
    rows = _parquet_records(path) if _is_parquet(path) else _records(path, _text(path))
    try:
        line, cells = next(rows, (1, []))
        if not cells:
            raise MeasurementError(f"{path}:1: the file is empty; its first line names columns: {','.join(COLUMNS)}")
        header = _header(f"{path}:{line}", cells)
        found, faults = list[Measurement](), list[str]()
        for line, cells in rows:
            try:
                found.append(_measurement(header, cells, line))
            except ValueError as error:
                faults.append(f"{path}:{line}: {error}")
    except csv.Error as error:
        raise MeasurementError(f"{path}: not a CSV table: {error}") from error
    if faults:
        more = len(faults) - _MOST_FAULTS
        raise MeasurementError("\n".join([*faults[:_MOST_FAULTS], *([f"… and {more} more"] if more > 0 else [])]))
    if not found:
        raise MeasurementError(f"{path}: no measurements below the header")
    return tuple(found)


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _checked_file(path: Path) -> None:
    try:
        if not path.exists():
            raise NotFoundError(f"no such file: {path}")
        if not path.is_file():
            raise MeasurementError(f"{path} is not a regular file; a measurement file is a CSV or Parquet table")
    except (OSError, ValueError) as error:  # too long a name; a name with a zero byte
        raise MeasurementError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # a spreadsheet's mark of the byte order may stand in front
    except UnicodeDecodeError as error:
        raise MeasurementError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error
    except OSError as error:
        raise MeasurementError(f"{path} cannot be read: {error.strerror or error}") from error


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of every row that is not blank, and the line on which it begins."""
    if "\0" in text:
        raise MeasurementError(f"{path} is not a text file")
    reader, line = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, [cell.strip() for cell in cells]
        line = reader.line_num + 1


def _parquet_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The same of a Parquet table, its header counted as the first line; a cell as a CSV file would have it."""
    try:
        table = arrow_library().parquet.read_table(path)
        columns = [column.to_pylist() for column in table.itercolumns()]
    except (OSError, ValueError, NotImplementedError) as error:
        raise MeasurementError(
            f"{path} is not a Parquet table: {(str(error) or type(error).__name__).splitlines()[0]}"
        ) from error
    yield 1, [name.strip() for name in table.column_names]
    for line, row in enumerate(zip(*columns, strict=True), 2):
        cells = ["" if value != value else _cell(value).strip() for value in row]  # NaN: nothing was measured
        if any(cells):
            yield line, cells


def _cell(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _header(where: str, cells: Sequence[str]) -> _Header:
    known = (*COLUMNS, *_ALSO)
    faults = [
        f"column '{_shown(c)}' is not known{did_you_mean(c, known)} (known: {', '.join(known)})" for c in cells if c not in known
    ]
    fields = [_ALSO.get(cell, cell) for cell in cells]
    twice = dict.fromkeys(f for f in fields if fields.count(f) > 1 and f in known)
    faults += [f"column {field} stands twice{', in two units' if field in _ALSO.values() else ''}" for field in twice]
    missing = [name for name in _REQUIRED if name not in fields]
    if missing:
        faults.append(f"column {', '.join(missing)} is missing" + (" (or latency_ms)" if "latency_s" in missing else ""))
    if faults:
        raise MeasurementError("\n".join(f"{where}: {fault}" for fault in faults))
    return _Header(tuple(cells))


def _measurement(header: _Header, cells: Sequence[str], line: int) -> Measurement:
    """One row; ValueError says what is wrong with it."""
    if len(cells) != len(header.names):
        raise ValueError(f"{len(cells)} cells under {len(header.names)} columns")
    row = dict(zip(header.names, cells, strict=True))
    given: dict[str, Any] = {"line": line}
    for field, name in header.fields().items():
        given[field] = _READERS.get(field, _words)(name, row[name])
    missing = [header.fields()[field] for field in _REQUIRED if given[field] in (None, "")]
    if missing:
        raise ValueError(f"{', '.join(missing)} is empty")
    return Measurement(**given)


def _words(_: str, text: str) -> str:
    return text


def _optional(_: str, text: str) -> str | None:
    return text or None


def _number(name: str, text: str) -> float | None:
    """A number above 0 in the SI unit, None where nothing was measured."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} '{_shown(text)}' is not a number{' (write a point, no comma)' if ',' in text else ''}")
    value = float(Decimal(text).scaleb(-3 if name in _ALSO else 0))  # 8.2 mJ are 0.0082 J to the last bit
    if not 0 < value <= _LONGEST:
        raise ValueError(f"{name} {_shown(text)} must be {'more than 0' if value <= 0 else 'less than a million million'}")
    return value


def _count(name: str, text: str) -> int | None:
    value = _number(name, text)
    if value is not None and value != int(value):
        raise ValueError(f"{name} {_shown(text)} is not a whole number")
    return None if value is None else int(value)


_READERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "precision": _optional, "batch": _count, "latency_s": _number, "energy_j": _number, "peak_memory_bytes": _count,
}  # fmt: skip


def _shown(text: str) -> str:
    """The beginning of a cell, for a message."""
    return text if len(text) <= 40 else f"{text[:40]}…"


def csv_text(measurements: Iterable[Measurement]) -> str:
    """A measurement file: what `read_measurements` reads back as the same rows."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for measured in measurements:
        writer.writerow(_cell(getattr(measured, name)) for name in COLUMNS)
    return buffer.getvalue()


def _write_parquet(measurements: Iterable[Measurement], path: Path) -> None:
    """The same rows as a Parquet table: null where nothing was measured, a unit at each column that has one."""
    arrow = arrow_library()
    kinds = {
        "batch": arrow.int64(),
        "peak_memory_bytes": arrow.int64(),
        "latency_s": arrow.float64(),
        "energy_j": arrow.float64(),
    }
    fields = [arrow.field(name, kinds.get(name, arrow.string()), metadata={"unit": unit_of(name)}) for name in COLUMNS]
    rows = [{name: getattr(measured, name) for name in COLUMNS} for measured in measurements]
    arrow.parquet.write_table(arrow.Table.from_pylist(rows, schema=arrow.schema(fields)), path)


def write_measurements(measurements: Iterable[Measurement], path: Path) -> None:
    """Write a measurement file: Parquet where its name ends so, CSV otherwise.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        if _is_parquet(path):
            _write_parquet(measurements, path)
        else:
            path.write_bytes(csv_text(measurements).encode("utf-8"))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def append_measurement(measured: Measurement, path: Path) -> None:
    """Add a row to a measurement file, which is made where there is none; files that it names are written as seen from there.

    Raises:
        MeasurementError: what is there is no measurement file; it stays as it is.
        OutputError: it cannot be written.
    """
    before = measurements_so_far(path)
    named = replace(measured, model=_seen_from(path.parent, measured.model), hardware=_seen_from(path.parent, measured.hardware))
    write_measurements([*before, named], path)


def measurements_so_far(path: Path) -> tuple[Measurement, ...]:
    """The rows of a file that rows are added to; none where it is not there yet, or empty.

    Raises:
        MeasurementError: what is there is no measurement file.
        OutputError: it is to be Parquet, and pyarrow is not installed.
    """
    if _is_parquet(path):
        arrow_library()
    new = not path.exists() or (path.is_file() and not path.stat().st_size)
    return () if new else read_measurements(path)


def _seen_from(folder: Path, name: str) -> str:
    """A file by its way from a folder; catalogue names stay as they are."""
    return os.path.relpath(name, folder) if Path(name).is_file() else name


def beside(folder: Path, name: str, suffix: str) -> str:
    """A file that a row names, below `folder`; catalogue names, with parameters or modes, stay as they are."""
    head = name if Path(name).suffix == suffix else name.rpartition(":")[0] or name
    return str(folder / name) if "/" in head or Path(head).suffix == suffix else name
