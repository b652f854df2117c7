"""The golden numbers hold, to nine digits; a moved one is seen, named, and asked for its reason."""

import copy
import json
from pathlib import Path

import pytest

from tests.golden import update

EACH = pytest.mark.parametrize("case", update.CASES, ids=lambda c: c.name)


def complaint(case: update.Case, changes: list[update.Moved]) -> str:
    return (
        f"{case.name}: {', '.join(m.metric for m in changes[:5])}{' …' if len(changes) > 5 else ''} moved.\n\n"
        f"{update.table(changes)}\n\n"
        f"If this is meant, run `{update.COMMAND}` and write a line in CHANGELOG.md that says which formula moved it."
    )


@EACH
def test_nothing_moved(case: update.Case) -> None:
    old = update.stored(case)
    assert old is not None, f"{case.path.name} is missing: run `{update.COMMAND}`"
    changes = update.moved(update.numbers(old), json.loads(json.dumps(update.compute(case))))
    if changes:
        pytest.fail(complaint(case, changes), pytrace=False)


@EACH
def test_the_file_says_when_and_by_which_version(case: update.Case) -> None:
    old = update.stored(case)
    assert old is not None
    assert len(old["date"].split("-")) == 3
    assert old["version"]
    assert update.Case(**old["case"]) == case


def test_no_file_without_a_case() -> None:
    assert {path.name for path in update.FOLDER.glob("*.json")} == {case.path.name for case in update.CASES}


# ---- the comparison itself ----------------------------------------------------------------------------------------------

OLD = {"totals": {"latency_s": 2.0, "fits": True, "energy_j": None, "traffic_bytes": {"hbm": 10}}, "warnings": ["a"]}


@pytest.mark.parametrize(
    ("section", "key", "new", "ratio"),
    [
        ("totals", "latency_s", 2.0 * (1 + 3e-9), "1"),
        ("totals", "latency_s", 3.0, "1.5"),
        ("totals", "latency_s", None, "–"),
        ("totals", "latency_s", float("nan"), "nan"),
        ("totals", "fits", False, "–"),
        ("totals", "fits", 1, "–"),
        ("totals", "energy_j", 0.0, "–"),
        ("totals", "traffic_bytes", {"hbm": 11}, "1.1"),
        ("totals", "traffic_bytes", {"dram": 10}, "–"),
        ("totals", "novel", 1.0, "–"),
    ],
)
def test_a_change_is_seen(section: str, key: str, new: object, ratio: str) -> None:
    changed = copy.deepcopy(OLD)
    changed[section][key] = new  # type: ignore[index]
    found = update.moved(OLD, changed)
    assert found
    assert all(m.metric.startswith(f"{section}.{key}") for m in found)
    assert found[0].ratio.startswith(ratio)


def test_a_list_that_changes_is_seen() -> None:
    assert [m.metric for m in update.moved(OLD, {**OLD, "warnings": ["a", "b"]})] == ["warnings"]


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-10, 1 - 9e-10])
def test_rounding_is_no_change(factor: float) -> None:
    changed = copy.deepcopy(OLD)
    changed["totals"]["latency_s"] = 2.0 * factor  # type: ignore[index]
    assert update.moved(OLD, changed) == []


def test_time_that_moves_to_another_layer_is_seen() -> None:
    exact = dict.fromkeys(update._EXACT, "x")
    layers = [{**exact, **dict.fromkeys(update._MEASURED, seconds)} for seconds in (1.0, 2.0, 4.0)]
    found = {m.metric for m in update.moved(update.digest(layers), update.digest(layers[::-1]))}
    assert found == {f"{key}.weighted" for key in update._MEASURED}


def test_update_rewrites_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "FOLDER", tmp_path)
    case = update.Case("ds_cnn", "stm32h743", "int8")
    assert list(update.update([case], "2026-01-01")) == ["ds_cnn_stm32h743_int8: new"]
    assert list(update.update([case], "2026-01-02")) == []
    document = update.stored(case)
    assert document is not None
    assert document["date"] == "2026-01-01"
    document["totals"]["latency_s"] *= 2
    case.path.write_text(json.dumps(document), encoding="utf-8")
    (told,) = update.update([case], "2026-01-03")
    assert told.startswith("ds_cnn_stm32h743_int8: 1 moved since 2026-01-01")
    assert [line.split() for line in told.splitlines()[1:2]] == [["metric", "old", "new", "ratio"]]
    assert told.splitlines()[2].split()[0] == "totals.latency_s"
    assert told.splitlines()[2].split()[-1] == "0.5"
    again = update.stored(case)
    assert again is not None
    assert again["date"] == "2026-01-03"


def test_the_complaint_says_what_to_do() -> None:
    text = complaint(update.CASES[0], [update.Moved("totals.latency_s", 2.0, 3.0)])
    for word in ("ds_cnn_stm32h743_int8", "totals.latency_s", "1.5", update.COMMAND, "CHANGELOG"):
        assert word in text
