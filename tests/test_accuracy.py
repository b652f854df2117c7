"""docs/accuracy.md says what the measurement files of the repository come to now."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import simulator as sim
from simulator.io.measurements import read_measurements

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "measurements").glob("*.csv"))


@pytest.fixture(scope="module")
def command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "benchmarks" / "accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_row_is_of_the_catalogue_and_says_where_it_comes_from(path: Path) -> None:
    rows = read_measurements(path)
    assert all(row.source and row.family and row.label for row in rows)
    assert not any(row.model.endswith(".onnx") for row in rows)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_document_has_todays_errors(path: Path, command: ModuleType) -> None:
    """Every line of the table that this file alone decides."""
    found = sim.validate(path, worst=0)
    assert found.unpredicted == ()
    lines = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8").partition("<!-- end of shipped -->")[0].splitlines()
    for (machine, runtime), own in command.grouped([command.Row(row, 0.0, 0.0) for row in found.rows], command.board).items():
        ours = command.score([r.predicted.latency_s for r in own], [r.predicted.measured.latency_s for r in own])
        start = f"| `{machine}` | `{runtime}` | {ours.n} | {command.percent(ours.median)} | {command.percent(ours.p90)} |"
        assert any(line.startswith(start) for line in lines), start


def test_two_constants_find_the_rates_that_made_the_rows(command: ModuleType) -> None:
    class Run:
        def __init__(self, macs: float, size_bytes: float) -> None:
            self.macs, self.bytes = macs, size_bytes
            self.predicted = self
            self.measured = self
            self.latency_s = macs / 1e12 + size_bytes / 1e11

    rows = [Run(10.0**a, 10.0**b) for a in (8, 9, 10) for b in (6, 7, 8)]
    assert command.two_constants(rows).p90 < 1e-3


def test_only_the_section_is_rewritten(command: ModuleType) -> None:
    text = "a\n<!-- x: benchmarks/accuracy.py -->\nold\n<!-- end of x -->\nb\n"
    assert command.written(text, "x", ["new"]) == "a\n<!-- x: benchmarks/accuracy.py -->\nnew\n<!-- end of x -->\nb\n"
    with pytest.raises(SystemExit, match="no section 'y'"):
        command.written(text, "y", ["new"])
