"""Results of sweeps in files, written block by block: CSV and Parquet, with the study in them that they are of.

What is not finished yet lies beside the file that is to be, under `.partial`, with a journal of how far it is. So an
interruption loses nothing but the block it fell into, and the same study goes on where it stopped.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from simulator import __version__
from simulator.errors import OutputError, UsageError
from simulator.io.parquet import arrow_library
from simulator.study.recipe import Study
from simulator.study.sweep import Columns, Sweep, Tally
from simulator.units import unit_of

SUFFIXES: Final = (".csv", ".parquet")
_MARK: Final = "# study: "
_KEY: Final = b"study"


class _Writer(Protocol):
    """One format: `append` a block, say how many bytes are safe, put all in its place in the end."""

    def append(self, columns: Columns, number: int) -> int:
        """Write a block; how far the file is then (bytes, or blocks)."""

    def cut(self, done: int) -> None:
        """Drop what came after the last block that the journal has."""

    def finish(self, path: Path) -> None:
        """Make the file."""


class StudyFile:
    """The file of a study that is written or taken up again.

    Attributes:
        done: how many blocks it has.
        tally: what became of their points.
    """

    def __init__(self, path: Path, sweep: Sweep, *, restart: bool = False) -> None:
        """Begin a file, or go on with what is there of it.

        Raises:
            OutputError: it cannot be written; a journal that cannot be read, or is of another study.
        """
        self._path, self._sweep = path, sweep
        self._partial, self._journal = partial_of(path), partial_of(path).with_name(f"{partial_of(path).name}.json")
        self._about = {"study": sweep.study.to_dict(), "inputs": _inputs(sweep.study), "version": __version__}
        self.done, self.tally = 0, Tally()
        with _written(path):
            if restart:
                discard(path)
            reached = self._read_journal()
            self._writer: _Writer = _FORMATS[path.suffix.lower()](self._partial, sweep)
            self._writer.cut(reached)

    def _read_journal(self) -> int:
        """How far the file is by its journal; 0 where there is none."""
        if not self._journal.exists():
            return 0
        fresh = f"start anew with --restart, or delete {self._partial.name} and {self._journal.name}"
        try:
            found = json.loads(self._journal.read_text(encoding="utf-8"))
            about = {key: found[key] for key in self._about}
            done, reached, tally = int(found["blocks"]), int(found["reached"]), found["tally"]
            self.tally = Tally(tally["seen"], tally["kept"], tally["excluded"])
            self.tally.without.update({str(reason): int(count) for reason, count in tally["without"].items()})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise OutputError(f"{self._journal} cannot be read, so nothing can be taken up; {fresh}") from error
        other = [name for name, value in json.loads(json.dumps(self._about)).items() if about[name] != value]
        if other:
            why = {"study": "is of another study", "inputs": "is of other files", "version": "was written by another version"}
            raise OutputError(f"{self._partial} {why[other[0]]}; {fresh}")
        if not self._partial.exists():
            raise OutputError(f"{self._partial} is gone, which {self._journal.name} tells of; {fresh}")
        self.done = done
        return reached

    def append(self, columns: Columns, tally: Tally) -> None:
        """Write the next block, and that it is written."""
        with _written(self._path):
            reached = self._writer.append(columns, self.done)
            self.done += 1
            self.tally.add(tally)
            counts = {"seen": self.tally.seen, "kept": self.tally.kept, "excluded": self.tally.excluded}
            about = {**self._about, "blocks": self.done, "reached": reached, "tally": {**counts, "without": self.tally.without}}
            new = self._journal.with_name(f"{self._journal.name}.new")
            new.write_text(json.dumps(about), encoding="utf-8")
            new.replace(self._journal)

    def finish(self) -> None:
        """Put the file in its place."""
        with _written(self._path):
            self._writer.finish(self._path)
            discard(self._path)


def partial_of(path: Path) -> Path:
    """Where a file lies until it is finished."""
    return path.with_name(f"{path.name}.partial")


def discard(path: Path) -> None:
    """Delete what is there of an unfinished file."""
    partial = partial_of(path)
    if partial.is_dir():
        shutil.rmtree(partial)
    for file in (partial, partial.with_name(f"{partial.name}.json"), partial.with_name(f"{partial.name}.json.new")):
        file.unlink(missing_ok=True)


def checked_format(path: Path) -> None:
    """UsageError for a suffix that no format has, or whose library is not there."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: results are written as {' or '.join(SUFFIXES)}")
    if path.suffix.lower() == ".parquet":
        arrow_library()


def _inputs(study: Study) -> dict[str, list[int]]:
    """Size and time of the files that a study names: another model under the same name is another study."""
    named = [*study.models, *study.hardware, *(text.partition("=")[2] for text in study.settings)]
    found = {}
    for name in named:
        with suppress(OSError, ValueError):
            stat = Path(name).stat()
            found[name] = [stat.st_size, stat.st_mtime_ns]
    return found


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """What the system says when it cannot write, as an OutputError."""
    try:
        yield
    except OSError as error:
        kept = f"; what is done stays in {partial_of(path).name}" if partial_of(path).exists() else ""
        raise OutputError(f"{path} cannot be written: {error.strerror or error}{kept}") from error


class _Csv:
    """Lines behind a comment with the study and a header with names and units."""

    def __init__(self, partial: Path, sweep: Sweep) -> None:
        self._file, self._sweep = partial, sweep

    def cut(self, done: int) -> None:
        if done:
            with self._file.open("r+b") as file:
                if file.seek(0, os.SEEK_END) < done:
                    raise OutputError(f"{self._file} is shorter than its journal says; start anew with --restart")
                file.truncate(done)
            return
        with self._file.open("w", encoding="utf-8", newline="") as file:
            file.write(f"{_MARK}{study_text(self._sweep.study)}\n")
            csv.writer(file, lineterminator="\n").writerow(self._sweep.columns)

    def append(self, columns: Columns, number: int) -> int:  # noqa: ARG002  the lines count themselves
        with self._file.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(csv_rows(columns))
            file.flush()
            return file.seek(0, os.SEEK_END)

    def finish(self, path: Path) -> None:
        self._file.replace(path)


def csv_rows(columns: Columns) -> Iterator[tuple[object, ...]]:
    """The rows of a block; nothing where a figure has no value."""
    return zip(*(_cells(values) for values in columns.values()), strict=True)


def _cells(values: Any) -> list[object]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    missing = np.isnan(values)
    cells: list[object] = values.tolist()
    return ["" if gap else cell for cell, gap in zip(cells, missing.tolist(), strict=True)] if missing.any() else cells


class _Parquet:
    """A folder of parts, one a block, and in the end one file with a row group a part."""

    def __init__(self, partial: Path, sweep: Sweep) -> None:
        self._folder, self._sweep = partial, sweep
        self._schema = _schema(sweep)

    def cut(self, done: int) -> None:
        self._folder.mkdir(exist_ok=True)
        for part in self._folder.iterdir():
            if not (part.stem.isdigit() and int(part.stem) < done):
                part.unlink()
        if len(list(self._folder.iterdir())) != done:
            raise OutputError(f"{self._folder} lacks parts that its journal tells of; start anew with --restart")

    def append(self, columns: Columns, number: int) -> int:
        part = self._folder / f"{number:09d}.parquet"
        arrow_library().parquet.write_table(table_of(columns, self._schema), part)
        return number + 1

    def finish(self, path: Path) -> None:
        arrow, new = arrow_library(), path.with_name(f"{path.name}.new")
        with arrow.parquet.ParquetWriter(new, self._schema) as writer:
            for part in sorted(self._folder.iterdir()):
                writer.write_table(arrow.parquet.read_table(part, schema=self._schema))
        new.replace(path)


_FORMATS: Final[Mapping[str, Callable[[Path, Sweep], _Writer]]] = {".csv": _Csv, ".parquet": _Parquet}


def _schema(sweep: Sweep) -> Any:
    """Names, types and units of the columns, and the study."""
    arrow = arrow_library()
    kinds = {"O": arrow.string(), "i": arrow.int64(), "f": arrow.float64()}
    given = {axis.key: kinds[axis.labels.dtype.kind] for axis in sweep.axes if axis.numbers is None}
    given.update({"bound": arrow.string(), "fits": arrow.bool_()})
    columns = ((name, given.get(name, arrow.float64())) for name in sweep.columns)
    fields = [arrow.field(name, kind, metadata={"unit": unit_of(name)}) for name, kind in columns]
    return arrow.schema(fields, metadata={_KEY: study_text(sweep.study).encode()})


def table_of(columns: Columns, schema: Any) -> Any:
    """A block as an Arrow table; NaN is null."""
    arrow = arrow_library()
    arrays = [arrow.array(columns[field.name], type=field.type, from_pandas=True) for field in schema]
    return arrow.Table.from_arrays(arrays, schema=schema)


def study_text(study: Study) -> str:
    """A study in one line, with the version that ran it."""
    return json.dumps({**study.to_dict(), "version": __version__})


def read_study(path: Path) -> Study:
    """The study that a result file is of.

    Raises:
        UsageError: no such file, or none with a study in it.
    """
    try:
        if path.suffix.lower() == ".parquet":
            text = (arrow_library().parquet.read_schema(path).metadata or {}).get(_KEY, b"").decode()
        else:
            with path.open(encoding="utf-8-sig") as file:
                line = file.readline(10**6)
            text = line.removeprefix(_MARK) if line.startswith(_MARK) else ""
        found = json.loads(text) if text else None
    except RecursionError as error:
        raise UsageError(f"{path} cannot be read: its first line is nested too deeply") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} does not say which study it is of")
    return Study.from_dict({key: value for key, value in found.items() if key != "version"})


def read_columns(path: Path) -> Columns:
    """The columns of a result, or of any table with a header: numbers where all cells are, text otherwise.

    Raises:
        UsageError: no such file, not a table.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = arrow_library().parquet.read_table(path)
            return {name: np.asarray(table[name].to_numpy(zero_copy_only=False)) for name in table.column_names}
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(line for line in file if not line.startswith("#")))
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows or len(set(rows[0])) < len(rows[0]):
        raise UsageError(f"{path} is no table: its first line must name columns, each once")
    ragged = next((number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])), None)
    if ragged:
        raise UsageError(f"{path}: row {ragged} has {len(rows[ragged - 1])} cells, the header {len(rows[0])}")
    return {name: _typed([row[place] for row in rows[1:]]) for place, name in enumerate(rows[0])}


def _typed(cells: list[str]) -> Any:
    if set(cells) <= {"True", "False"} and cells:
        return np.array([cell == "True" for cell in cells])
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return np.array(cells, object)
