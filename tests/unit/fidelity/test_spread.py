"""Quantiles of timings, and what is said of a busy host."""

import pytest

from simulator.fidelity.spread import Load, busy_note, spread_of


def test_quantiles_are_those_of_a_line_between_neighbours() -> None:
    found = spread_of([float(n) for n in range(10, -1, -1)])
    assert (found.n, found.p10_s, found.p25_s, found.median_s, found.p90_s) == (11, 1.0, 2.5, 5.0, 9.0)


def test_one_timing_is_all_its_quantiles() -> None:
    found = spread_of([0.25])
    assert {found.p10_s, found.p25_s, found.median_s, found.p90_s} == {0.25}


def test_a_single_slow_run_does_not_move_the_median() -> None:
    assert spread_of([1.0] * 10 + [100.0]).median_s == 1.0


@pytest.mark.parametrize("seconds", [[], [1.0, float("nan")], [1.0, float("inf")], [-1.0]])
def test_no_spread_of_nonsense(seconds: list[float]) -> None:
    with pytest.raises(ValueError, match="timings"):
        spread_of(seconds)


@pytest.mark.parametrize("load", [Load(1.0), Load(0.97, 0.1), Load(0.99, 0.0)])
def test_a_quiet_host_is_not_complained_of(load: Load) -> None:
    assert busy_note(load) is None


def test_a_busy_host_says_which_of_the_two_it_was() -> None:
    assert "a core for 60%" in (busy_note(Load(0.6)) or "")
    others = busy_note(Load(1.0, 0.5)) or ""
    assert "other processes used 50%" in others
    assert "a core for" not in others
    assert (busy_note(Load(0.5, 0.5)) or "").count(";") == 1
