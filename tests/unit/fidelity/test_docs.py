"""docs/measurements.md says what the code does: columns, bounds, and an example that is read."""

import re
from inspect import signature
from pathlib import Path

from simulator import api
from simulator.cli import fidelity as cli
from simulator.fidelity.calibrate import FOLDS, LEAST_EFFECT, LEAST_FAMILIES, LEAST_ROWS
from simulator.fidelity.constants import RANGES
from simulator.io.measurements import COLUMNS, read_measurements

TEXT = (Path(__file__).parents[3] / "docs/measurements.md").read_text(encoding="utf-8")
WORDS = {5: "five", 3: "three", 10: "ten"}


def test_columns() -> None:
    (table,) = re.findall(r"\| column \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT)
    named = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(named) == sorted([*COLUMNS, "latency_ms", "energy_mj"])


def test_the_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "example.csv"
    path.write_text(example, encoding="utf-8")
    rows = read_measurements(path)
    assert [row.model for row in rows] == ["ds_cnn", "nets/mine.onnx"]
    assert rows[0].energy_j == 8.2e-3


def test_bounds() -> None:
    (table,) = re.findall(r"\| constant \| from .*\n\|---.*\n((?:\|.*\n)+)", TEXT)
    seen = set()
    for row in table.splitlines():
        fields, low, high, spread = row.strip("| ").split(" | ")
        for field in re.findall(r"`(\w+)`", fields):
            seen.add(field)
            found = RANGES[field]
            assert abs(2.718281828**found.spread - float(spread)) < 1e-6
            if not field.endswith(("_overhead", "_fault")):  # these are times
                assert (float(low), float(high)) == (found.low, found.high)
    assert seen == set(RANGES)


def test_the_command_and_the_function_ask_for_as_many_families() -> None:
    assert signature(api.calibrate).parameters["least_families"].default == LEAST_FAMILIES
    assert signature(cli.calibrate).parameters["least_families"].default == LEAST_FAMILIES


def test_what_a_fit_asks_for() -> None:
    assert f"at least {WORDS[LEAST_ROWS]} rows of {WORDS[LEAST_FAMILIES]} families" in TEXT
    assert f"1 % more of the constant changes its latency by {LEAST_EFFECT:.2f} % or more" in TEXT
    assert f"({WORDS[FOLDS]} parts at most" in TEXT
