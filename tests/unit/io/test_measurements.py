"""Measurement files: what is read, what comes back, and one clear message for each kind of garbage."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import MeasurementError, NotFoundError, OutputError
from simulator.fidelity.measurement import Measurement
from simulator.io.measurements import COLUMNS, append_measurement, beside, csv_text, read_measurements, write_measurements

HEAD = "model,hardware,runtime,latency_s"
ROW = "resnet18,rtx3090,pytorch_eager,0.002"


def read(folder: Path, text: str | bytes) -> tuple[Measurement, ...]:
    path = folder / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_measurements(path)


def test_every_column(tmp_path: Path) -> None:
    text = f'{",".join(COLUMNS)}\nresnet18,rtx3090,pytorch_eager,amp_fp16,8,2e-3,0.5,1024,resnet,R 18,"paper, table 2"\n'
    (found,) = read(tmp_path, text)
    assert found == Measurement(
        "resnet18", "rtx3090", "pytorch_eager", 2e-3, "amp_fp16", 8, 0.5, 1024, "resnet", "R 18", "paper, table 2"
    )
    assert found.line == 2


def test_thousandths_and_columns_in_any_order(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "latency_ms,energy_mj,model,runtime,hardware\n2.5,40,a,b,c\n")
    assert (found.latency_s, found.energy_j, found.model, found.runtime, found.hardware) == (2.5e-3, 0.04, "a", "b", "c")
    assert (found.precision, found.batch, found.peak_memory_bytes, found.family) == (None, None, None, "")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_marks_newlines_blank_lines_and_spaces(tmp_path: Path, mark: bytes, newline: str) -> None:
    rows = read(tmp_path, mark + newline.join([HEAD, "", f" {ROW} ", ",,,", ROW]).encode())
    assert [r.line for r in rows] == [3, 5]
    assert rows[0] == rows[1]


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).map(str.strip)
NAMES = WORDS.filter(bool)
AMOUNTS = st.floats(1e-300, 1e12)
MEASUREMENTS = st.builds(
    Measurement, NAMES, NAMES, NAMES, AMOUNTS, WORDS.map(lambda w: w or None), st.none() | st.integers(1, 10**6),
    st.none() | AMOUNTS, st.none() | st.integers(1, 10**12), WORDS, WORDS, WORDS,
)  # fmt: skip


@given(st.lists(MEASUREMENTS, min_size=1, max_size=5), st.sampled_from(["m.csv", "m.parquet"]))
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Measurement], name: str) -> None:
    path = tmp_path_factory.mktemp("measured") / name
    write_measurements(rows, path)
    assert list(read_measurements(path)) == rows
    assert csv_text(read_measurements(path)) == csv_text(rows)


GARBAGE = {
    "empty": ("", ":1: the file is empty; its first line names columns: model,hardware"),
    "blank": ("\n\n", ":1: the file is empty"),
    "header only": (HEAD, ": no measurements below the header"),
    "unknown column": (f"{HEAD},latencyy\n{ROW},1", ":1: column 'latencyy' is not known; did you mean 'latency_"),
    "missing columns": ("model,hardware\na,b", ":1: column runtime, latency_s is missing (or latency_ms)"),
    "twice": (f"{HEAD},model\n{ROW},a", ":1: column model stands twice"),
    "two units": (f"{HEAD},latency_ms\n{ROW},2", ":1: column latency_s stands twice, in two units"),
    "bad number": (f"{HEAD}\na,b,c,fast", ":2: latency_s 'fast' is not a number"),
    "comma": (f'{HEAD}\na,b,c,"1,5"', ":2: latency_s '1,5' is not a number (write a point, no comma)"),
    "underscore": (f"{HEAD}\na,b,c,1_0", ":2: latency_s '1_0' is not a number"),
    "nan": (f"{HEAD}\na,b,c,nan", ":2: latency_s 'nan' is not a number"),
    "infinite": (f"{HEAD}\na,b,c,1e999", ":2: latency_s 1e999 must be less than"),
    "zero": (f"{HEAD}\n{ROW}\na,b,c,0", ":3: latency_s 0 must be more than 0"),
    "underflow": (f"{HEAD}\na,b,c,1e-999", ":2: latency_s 1e-999 must be more than 0"),
    "negative": (f"{HEAD}\na,b,c,-2", ":2: latency_s -2 must be more than 0"),
    "no latency": (f"{HEAD}\na,b,c,", ":2: latency_s is empty"),
    "no model": (f"{HEAD}\n,b,c,1", ":2: model is empty"),
    "batch": (f"{HEAD},batch\n{ROW},1.5", ":2: batch 1.5 is not a whole number"),
    "batch 0": (f"{HEAD},batch\n{ROW},0", ":2: batch 0 must be more than 0"),
    "energy": (f"{HEAD},energy_j\n{ROW},-1", ":2: energy_j -1 must be more than 0"),
    "short row": (f"{HEAD}\na,b,c", ":2: 3 cells under 4 columns"),
    "long row": (f"{HEAD}\n{ROW},x", ":2: 5 cells under 4 columns"),
    "open quote": (f'{HEAD}\n"a,b,c,1', ": not a CSV table"),
    "zero bytes": (f"{HEAD}\na\0,b,c,1", "is not a text file"),
    "latin 1": (f"{HEAD}\nä,b,c,1".encode("latin-1"), "is not UTF-8 text"),
    "utf 16": (f"{HEAD}\n{ROW}".encode("utf-16"), "is not UTF-8 text"),
    "binary": (bytes(range(256)), "is not UTF-8 text"),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_of_every_kind(tmp_path: Path, case: str) -> None:
    text, words = GARBAGE[case]
    with pytest.raises(MeasurementError) as raised:
        read(tmp_path, text)
    assert words in str(raised.value)
    assert str(tmp_path / "m.csv") in str(raised.value)


def test_parquet_has_numbers_and_units(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    append_measurement(Measurement("resnet50", "rtx4090", "pytorch_eager", 0.0125, batch=4), path)
    append_measurement(Measurement("resnet18", "rtx4090", "pytorch_eager", 0.0025, energy_j=1.5), path)
    table = pyarrow.parquet.read_table(path)
    assert table["latency_s"].to_pylist() == [0.0125, 0.0025]
    assert table["batch"].to_pylist() == [4, None]
    units = {f.name: (f.metadata or {}).get(b"unit", b"").decode() for f in table.schema}
    assert {name: unit for name, unit in units.items() if unit} == {
        "latency_s": "s", "energy_j": "J", "peak_memory_bytes": "B"
    }  # fmt: skip


def test_parquet_of_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    columns = {"model": ["a", None, "b"], "hardware": ["h", None, "h"], "runtime": ["r", None, "r"], "latency_ms": [2.5, None, 1]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    assert [(row.model, row.latency_s, row.line) for row in read_measurements(path)] == [("a", 0.0025, 2), ("b", 0.001, 4)]


NAMED = {"model": ["a"], "hardware": ["h"], "runtime": ["r"]}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"model": ["a"]}, ":1: column hardware, runtime, latency_s is missing"),
        (NAMED | {"latency_s": [-1.0]}, ":2: latency_s -1.0 must be more than 0"),
        (
            {"model": ["a"], "hardware": ["h"], "runtime": ["r"], "latency_s": [float("nan")]},
            ":2: latency_s is empty",
        ),
        (NAMED | {"latency_s": [[1.0]]}, ":2: latency_s '[1.0]' is not a number"),
        ({}, "the file is empty"),
    ],
)
def test_parquet_of_no_use(tmp_path: Path, columns: dict[str, list[object]], words: str) -> None:
    path = tmp_path / "m.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(MeasurementError) as raised:
        read_measurements(path)
    assert words in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 nothing PAR1", b"model,hardware"])
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.parquet"
    path.write_bytes(content)
    with pytest.raises(MeasurementError, match="is not a Parquet table"):
        read_measurements(path)


def test_all_faults_at_once_but_not_too_many(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError) as raised:
        read(tmp_path, "\n".join([HEAD, *["a,b,c,0"] * 25]))
    lines = str(raised.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "… and 15 more"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="is not a regular file"):
        read_measurements(tmp_path)
    with pytest.raises(NotFoundError, match="no such file"):
        read_measurements(tmp_path / "gone.csv")
    with pytest.raises(MeasurementError, match="cannot be read"):
        read_measurements(Path("x" * 5000))
    with pytest.raises(OutputError, match="cannot be written"):
        write_measurements([], tmp_path)


@pytest.mark.parametrize(
    ("name", "suffix", "found"),
    [
        ("resnet18", ".onnx", "resnet18"),
        ("mobilenet_v2:width=0.5,resolution=96", ".onnx", "mobilenet_v2:width=0.5,resolution=96"),
        ("net.onnx", ".onnx", "data/net.onnx"),
        ("nets/net.onnx", ".onnx", "data/nets/net.onnx"),
        ("/abs/net.onnx", ".onnx", "/abs/net.onnx"),
        ("rtx3090", ".yaml", "rtx3090"),
        ("stm32l4r5:1.8V", ".yaml", "stm32l4r5:1.8V"),
        ("host.yaml", ".yaml", "data/host.yaml"),
        ("host.yaml:15W", ".yaml", "data/host.yaml:15W"),
    ],
)
def test_files_lie_beside_the_file_that_names_them(name: str, suffix: str, found: str) -> None:
    assert beside(Path("data"), name, suffix) == found


ADDED = Measurement("resnet50", "my_cpu", "onnxruntime", 0.0125, batch=4, peak_memory_bytes=1000, source='a run, on "Monday"')


def test_rows_are_added(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.touch()
    append_measurement(ADDED, path)
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")  # as editors leave it
    append_measurement(ADDED, path)
    assert read_measurements(path) == (ADDED, ADDED)


def test_rows_are_added_to_columns_in_other_units(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("latency_ms,model,hardware,runtime\n12.5,resnet50,my_cpu,onnxruntime\n", encoding="utf-8")
    append_measurement(ADDED, path)
    assert [m.latency_s for m in read_measurements(path)] == [0.0125, 0.0125]


def test_files_are_named_as_seen_from_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "a.onnx").touch()
    (tmp_path / "my.yaml").touch()
    monkeypatch.chdir(tmp_path)
    path = Path("nets/rows.csv")
    append_measurement(Measurement("nets/a.onnx", "my.yaml", "onnxruntime", 1.0), path)
    (found,) = read_measurements(path)
    assert (found.model, found.hardware) == ("a.onnx", "../my.yaml")
    assert (path.parent / found.hardware).is_file()


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(MeasurementError, match="column 'a' is not known"):
        append_measurement(ADDED, path)
    assert path.read_text(encoding="utf-8") == "a,b\n1,2\n"
    with pytest.raises(MeasurementError, match="not a regular file"):
        append_measurement(ADDED, tmp_path)
