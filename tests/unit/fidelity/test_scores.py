"""Scores against numbers worked by hand."""

import math

import pytest

from simulator.fidelity.scores import grouped, rank_correlation, score


def test_four_rows_by_hand() -> None:
    """Ratios 1.09, 0.5, 1.0, 1.3: errors 9, 50, 0, 30 %."""
    found = score([109.0, 50.0, 200.0, 390.0], [100.0, 100.0, 200.0, 300.0])
    assert found.n == 4
    assert found.median == pytest.approx((0.09 + 0.30) / 2)
    assert found.p90 == pytest.approx(0.5)
    assert found.within_10 == 0.5
    assert found.within_25 == 0.5
    assert found.bias == pytest.approx((1.0 + 1.09) / 2)


def test_p90_is_the_error_that_one_in_ten_exceeds() -> None:
    found = score([1 + i / 100 for i in range(10)], [1.0] * 10)
    assert found.p90 == pytest.approx(0.09)
    assert score([1 + i / 100 for i in range(20)], [1.0] * 20).p90 == pytest.approx(0.18)


def test_rank_by_hand() -> None:
    """Of the six pairs of 1, 2, 3, 4 against 1, 3, 2, 4 one is the other way round: (5 − 1) / 6."""
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6)
    assert rank_correlation([1, 2, 3], [30, 20, 10]) == -1
    assert rank_correlation([1, 2, 3], [5, 5, 6]) == pytest.approx(2 / 3)  # a tie counts for neither order
    assert math.isnan(rank_correlation([1], [1]))


def test_scale_changes_the_bias_and_not_the_rank() -> None:
    measured = [1.0, 2.0, 5.0]
    found = score([2 * m for m in measured], measured)
    assert (found.bias, found.rank, found.median) == (2.0, 1.0, 1.0)


@pytest.mark.parametrize(("predicted", "measured"), [([], []), ([1.0], []), ([1.0], [1.0, 2.0])])
def test_what_has_no_score(predicted, measured) -> None:
    with pytest.raises(ValueError, match="as many predictions as measurements"):
        score(predicted, measured)


def test_groups_keep_the_order_in_which_they_appear() -> None:
    assert grouped("banana", lambda c: c) == {"b": ["b"], "a": ["a", "a", "a"], "n": ["n", "n"]}
