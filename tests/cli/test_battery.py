"""`sim estimate --battery … --rate …`: in every format, and refused where it makes no sense."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.command import ESCAPE, estimated, good, sim

SMALL = ("ds_cnn", "--hw", "stm32l4r5", "--precision", "int8")
COIN = ("--battery", "220mAh@3V", "--rate", "1/s")


def test_json_has_the_battery() -> None:
    plain, found = estimated(*SMALL), estimated(*SMALL, *COIN)
    battery = found.pop("battery")
    assert "battery" not in plain
    assert {**found, "warnings": plain["warnings"]} == plain
    assert battery.keys() == {"battery_j", "rate_per_s", "busy_share", "idle_w", "average_w", "life_s"}
    totals = plain["totals"]
    assert battery["battery_j"] == pytest.approx(0.22 * 3600 * 3)
    assert battery["busy_share"] == pytest.approx(totals["latency_s"])
    assert battery["average_w"] == pytest.approx(totals["energy_j"])
    assert battery["life_s"] == pytest.approx(battery["battery_j"] / totals["energy_j"])
    assert battery["idle_w"] is None
    assert [w for w in found["warnings"] if "idle power" in w] == found["warnings"][len(plain["warnings"]) :]


def test_idle_power_counts() -> None:
    found = estimated("mobilenet_v2", "--hw", "rpi4", "--battery", "10 Ah @ 5 V", "--rate", "6/min")
    battery, totals = found["battery"], found["totals"]
    assert battery["average_w"] == pytest.approx(0.1 * totals["energy_j"] + 2.7 * (1 - 0.1 * totals["latency_s"]))
    assert not any("idle" in warning for warning in found["warnings"])


def test_without_energy_the_life_is_null() -> None:
    found = estimated("ds_cnn", "--hw", "stm32h743", "--precision", "int8", *COIN)
    assert found["battery"]["life_s"] is None
    assert any("life of the battery is not known" in warning for warning in found["warnings"])


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_report_has_a_line(width: str) -> None:
    lines = good("estimate", *SMALL, *COIN, COLUMNS=width).lines
    (line,) = [line for line in lines if line.split()[:1] == ["Battery"]]
    assert "at most 4.93 days" in line
    assert "2.38 kJ at 5.58 mW on average" in line
    assert all(len(ESCAPE.sub("", line)) <= int(width) for line in lines)


def test_markdown_and_files_have_it_too(tmp_path: Path) -> None:
    report = good("estimate", *SMALL, *COIN, "--format", "md").out
    assert "| Battery | at most 4.93 days" in report
    assert "> note: stm32l4r5 gives no idle power" in report
    good("estimate", *SMALL, *COIN, "-o", str(tmp_path / "report.txt"))
    assert "at most 4.93 days" in (tmp_path / "report.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--battery", "2Wh"], ["--battery and --rate go together"]),
        (["--rate", "1/s"], ["--battery and --rate go together"]),
        ([*COIN, "--format", "csv"], ["--battery has no place in csv"]),
        (["--battery", "220mAh", "--rate", "1/s"], ["is a charge", "220mAh@3V"]),
        (["--battery", "220mA@3V", "--rate", "1/s"], ["did you mean 'mAh'"]),
        (["--battery", "much", "--rate", "1/s"], ["'much' is not a battery", "220mAh@3V"]),
        (["--battery", "0 J", "--rate", "1/s"], ["must be more than 0"]),
        (["--battery", "2Wh", "--rate", "5"], ["'5' has no unit", "1/s"]),
        (["--battery", "2Wh", "--rate", "1/mim"], ["'/mim'", "did you mean '/min'"]),
        (["--battery", "2Wh", "--rate", "0/s"], ["must be more than 0"]),
        (["--battery", "2Wh", "--rate", "16/s"], ["cannot keep up with 16/s", "107 ms", "9.36/s"]),
    ],
)
def test_what_makes_no_sense_is_refused(options: Sequence[str], words: Sequence[str]) -> None:
    done = sim("estimate", *SMALL, *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.err
