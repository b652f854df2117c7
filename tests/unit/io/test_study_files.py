"""Results of sweeps in files: interrupted and taken up again, they are the same; what is broken is said."""

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator import studies
from simulator.errors import OutputError, UsageError
from simulator.io.study_files import partial_of, read_columns, read_study
from simulator.loading import Files
from simulator.study import space, sweep
from simulator.study.recipe import Study
from simulator.study.sweep import Sweep

STUDY = Study(
    ("resnet8",), ("a100_sxm_80",), ("memories.hbm.bandwidth=0.5x..4x:log:9", "batch=1,2", "precision=fp16,fp32"),
    where=("latency < 1",), derive=("edp=energy*latency",),
)  # fmt: skip
FORMATS = pytest.mark.parametrize("suffix", [".csv", ".parquet"])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (space, sweep):
        monkeypatch.setattr(module, "BLOCK", 7)


def run(path: Path, study: Study = STUDY, stop: int | None = None, **options: Any) -> int:
    """Write a study; with `stop`, as if interrupted in that block. How many points were there already."""
    ready = Sweep(study, Files())
    whole = ready.block

    def block(number: int) -> Any:
        if number == stop:
            raise KeyboardInterrupt
        return whole(number)

    ready.block = block  # type: ignore[method-assign]
    return studies.run_into(path, ready, [], lambda _: None, **options)[1]


@FORMATS
@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_resumed_equals_uninterrupted(tmp_path: Path, suffix: str, stop: int) -> None:
    whole, broken = tmp_path / f"whole{suffix}", tmp_path / f"broken{suffix}"
    assert run(whole) == 0
    with pytest.raises(KeyboardInterrupt):
        run(broken, stop=stop)
    assert not broken.exists()
    assert run(broken) == 7 * stop
    if suffix == ".csv":
        assert broken.read_bytes() == whole.read_bytes()
    first, second = read_columns(whole), read_columns(broken)
    assert list(first) == list(second)
    for name, values in first.items():
        assert values.dtype == second[name].dtype
        assert all(a == b or (a != a and b != b) for a, b in zip(values.tolist(), second[name].tolist(), strict=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == [broken.name, whole.name]


@FORMATS
def test_a_file_says_which_study_it_is_of(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"study{suffix}"
    run(path)
    assert read_study(path) == STUDY


@FORMATS
def test_files_have_the_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    run(path)
    found = read_columns(path)
    ready = Sweep(STUDY, Files())
    blocks = [ready.block(number)[0] for number in range(ready.blocks)]
    for name in ready.columns:
        expected = np.concatenate([block[name] for block in blocks])
        assert np.array_equal(found[name], expected, equal_nan=expected.dtype.kind == "f")


def test_units_are_in_the_schema(tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "units.parquet"
    run(path)
    schema = pyarrow.parquet.read_schema(path)
    units = {field.name: field.metadata[b"unit"].decode() for field in schema}
    assert units["latency_s"] == "s"
    assert units["energy_j"] == "J"
    assert units["memories.hbm.bandwidth_bytes_per_s"] == "B/s"
    assert units["model"] == ""


def test_half_a_line_is_dropped(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(broken, stop=2)
    with partial_of(broken).open("a") as file:
        file.write("resnet8,a100_sxm_80,1.2e")
    run(broken)
    assert broken.read_bytes() == whole.read_bytes()


def test_another_study_is_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    with pytest.raises(KeyboardInterrupt):
        run(path, stop=2)
    other = Study(("ds_cnn",), STUDY.hardware, STUDY.vary)
    with pytest.raises(OutputError, match="of another study; start anew with --restart"):
        run(path, other)
    assert run(path, other, restart=True) == 0
    assert read_study(path) == other


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"study": 1}', "null", '{"study": {}, "inputs": {}, "version": "0.1.0", "blocks": "x"}']
)
def test_a_broken_journal(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.csv"
    with pytest.raises(KeyboardInterrupt):
        run(path, stop=2)
    journal = partial_of(path).with_name(f"{partial_of(path).name}.json")
    journal.write_text(text)
    with pytest.raises(OutputError, match="--restart"):
        run(path)
    run(path, restart=True)
    assert path.exists()


def test_rows_that_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    with pytest.raises(KeyboardInterrupt):
        run(path, stop=2)
    partial_of(path).write_text("")
    with pytest.raises(OutputError, match="shorter"):
        run(path)
    partial_of(path).unlink()
    with pytest.raises(OutputError, match="is gone"):
        run(path)


def test_parts_that_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "study.parquet"
    with pytest.raises(KeyboardInterrupt):
        run(path, stop=2)
    next(partial_of(path).iterdir()).unlink()
    with pytest.raises(OutputError, match="lacks parts"):
        run(path)


def test_another_file_under_the_same_name(tmp_path: Path) -> None:
    import simulator.zoo as zoo

    model, path = tmp_path / "net.onnx", tmp_path / "study.csv"
    model.write_bytes(zoo.build("resnet8").SerializeToString())
    study = Study((str(model),), ("a100_sxm_80",), ("memories.hbm.bandwidth=0.5x..1x:log:30",))
    with pytest.raises(KeyboardInterrupt):
        run(path, study, stop=2)
    model.write_bytes(zoo.build("ds_cnn").SerializeToString())
    with pytest.raises(OutputError, match="of other files"):
        run(path, study)


def test_a_full_disk_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.csv"
    ready = Sweep(STUDY, Files())
    written: list[int] = []
    plain = Path.write_text

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        written.append(1)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left on device; what is done stays in"):
        studies.run_into(path, ready, [], lambda _: None)
    monkeypatch.undo()
    for module in (space, sweep):
        monkeypatch.setattr(module, "BLOCK", 7)
    assert run(path) == 21
    whole = tmp_path / "whole.csv"
    run(whole)
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "x,y\n1,2\n"),
        ("b.csv", "# study: {]\n"),
        ("c.csv", "# study: 3\n"),
        ("d.csv", ""),
        ("e.csv", f"# study: {'[' * 10**5}\n"),
    ],
)
def test_files_without_a_study(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError):
        read_study(tmp_path / name)
    with pytest.raises(UsageError):
        read_study(tmp_path / "absent.csv")


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,b\n1\n"])
def test_tables_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UsageError):
        read_columns(tmp_path / "t.csv")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,a\nx,1\n", encoding="utf-8-sig")
    assert list(read_columns(tmp_path / "t.csv")) == ["name", "a"]


def test_journals_are_json(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    with pytest.raises(KeyboardInterrupt):
        run(path, stop=3)
    found = json.loads(partial_of(path).with_name("study.csv.partial.json").read_text())
    assert (found["blocks"], found["tally"]["seen"]) == (3, 21)
