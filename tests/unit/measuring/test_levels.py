"""Levels of memory in sweeps of which we know what they are made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.measuring.probe.levels import half_way_bytes, not_slower_inside, plateaus, rate_within
from simulator.measuring.probe.timing import slope_s

SIZES = [2**n for n in range(13, 29)]


def staircase(*steps: tuple[float, float]) -> list[float]:
    """Rates of SIZES: (largest size, rate) a level."""
    return [next(rate for most, rate in steps if size <= most) for size in SIZES]


def test_plateaus_are_the_steps() -> None:
    found = plateaus(SIZES, staircase((2**15, 400.0), (2**20, 100.0), (2**24, 50.0), (2**40, 20.0)))
    assert [(level.capacity_bytes, level.bytes_per_s) for level in found] == [
        (2**15, 400.0), (2**20, 100.0), (2**24, 50.0), (None, 20.0),
    ]  # fmt: skip


def test_noise_within_a_quarter_is_no_step() -> None:
    noisy = [100.0 * (1 + 0.2 * (-1) ** i) for i in range(len(SIZES))]
    assert [level.capacity_bytes for level in plateaus(SIZES, noisy)][-1] is None
    assert len(plateaus(SIZES, [100.0] * len(SIZES))) == 1


def test_the_way_down_is_no_level() -> None:
    rates = staircase((2**20, 100.0), (2**21, 60.0), (2**40, 20.0))
    assert [level.bytes_per_s for level in plateaus(SIZES, rates)] == [100.0, 20.0]


def test_the_rate_of_a_level_is_that_between_its_neighbours() -> None:
    rates = staircase((2**15, 400.0), (2**20, 100.0), (2**40, 20.0))
    assert rate_within(SIZES, rates, 2**15, 2**20) == 100.0
    assert rate_within(SIZES, rates, 2**20, 2**26) == 20.0
    assert 100.0 <= rate_within([2**13, 2**15, 2**25], [400.0, 400.0, 20.0], 2**15, 2**16) <= 400.0  # no size between


def test_half_way_is_where_a_byte_takes_the_mean_of_both_times() -> None:
    """Rates made of a mix: a share of the bytes from a cache of 18 MB at 60 GB/s, the rest from memory at 20 GB/s."""
    sizes = [s * 1e6 for s in (4, 8, 12, 16, 20, 24, 32, 64, 128, 1024)]
    outside = [float(np.clip((s - 9e6) / 18e6, 0, 1)) for s in sizes]
    rates = [1.0 / ((1 - m) / 60e9 + m / 20e9) for m in outside]
    assert half_way_bytes(sizes, rates) == pytest.approx(18e6, rel=0.02)


def test_no_fall_has_no_half_way() -> None:
    assert half_way_bytes([1, 2, 3], [10.0, 10.0, 9.0]) is None


@given(st.lists(st.floats(1.0, 1e12), min_size=1, max_size=6))
def test_no_level_is_slower_than_the_next(rates: list[float]) -> None:
    found = not_slower_inside(rates)
    assert found == sorted(found, reverse=True)
    assert all(new >= old for new, old in zip(found, rates, strict=True))
    assert found[-1] == rates[-1]


def test_a_slope_is_free_of_what_every_run_costs() -> None:
    assert slope_s(5e-6 + 1e-3, 5e-6 + 3e-3, 1, 3) == pytest.approx(1e-3)


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_noise_does_not_turn_a_slope_round(few: float, many: float) -> None:
    found = slope_s(few, many, 1, 3)
    assert 0 < found <= many / 3 * (1 + 1e-12)
    assert found >= (many - 2e-5) / 3 * (1 - 1e-12)
