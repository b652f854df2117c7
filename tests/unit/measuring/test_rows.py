"""Measurement files: their columns, adding to them, and what is no such file."""

import csv
from pathlib import Path

import pytest

from simulator.errors import OutputError
from simulator.measuring.rows import COLUMNS, Row, append_row, row_text

ROW = Row("resnet50", "my_cpu", "onnxruntime", None, 4, 0.0125, peak_memory_bytes=1000, source='a run, on "Monday"')


def test_the_columns_are_the_documented_ones() -> None:
    assert ",".join(COLUMNS) == "model,hardware,runtime,precision,batch,latency_s,energy_j,peak_memory_bytes,family,label,source"


def test_a_row_comes_back_as_it_was() -> None:
    (found,) = csv.DictReader(row_text([ROW]).splitlines())
    assert found["source"] == ROW.source
    assert float(found["latency_s"]) == ROW.latency_s
    assert (found["precision"], found["energy_j"], found["batch"]) == ("", "", "4")


def test_rows_are_added(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append_row(ROW, path)
    append_row(ROW, path)
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")  # as editors leave it
    append_row(ROW, path)
    assert [r["model"] for r in csv.DictReader(path.read_text(encoding="utf-8").splitlines())] == ["resnet50"] * 3


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(OutputError, match="no measurement file"):
        append_row(ROW, path)
    assert path.read_text(encoding="utf-8") == "a,b\n1,2\n"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OutputError, match="not text"):
        append_row(ROW, path)
    with pytest.raises(OutputError, match="cannot be written"):
        append_row(ROW, tmp_path)
