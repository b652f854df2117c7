"""Expected cost of networks with early exits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import estimate, load_model
from simulator.errors import UsageError
from simulator.model import Model
from simulator.study.early_exit import expected_estimate, expected_total
from simulator.transform.exits import until_exit, with_exit

costs = st.floats(0.0, 1e3)


@st.composite
def ways(draw: st.DrawFn) -> tuple[list[tuple[float, float]], float]:
    """Exits with shares that add up to 1 at most, and the cost of the whole network."""
    parts = draw(st.lists(st.floats(0.0, 1.0), max_size=4))
    total = max(1.0, sum(parts)) * draw(st.floats(1.0, 2.0))
    return [(part / total, draw(costs)) for part in parts], draw(costs)


@given(ways())
def test_between_the_cheapest_and_the_dearest_way(given_ways: tuple[list[tuple[float, float]], float]) -> None:
    exits, whole = given_ways
    every = [whole, *(cost for _, cost in exits)]
    found = expected_total(exits, whole)
    assert min(every) - 1e-9 <= found <= max(every) + 1e-9


@given(st.lists(costs, max_size=4), costs)
def test_never_taken_it_is_the_whole_network(exits: list[float], whole: float) -> None:
    assert expected_total([(0.0, cost) for cost in exits], whole) == whole


def test_a_sum_by_hand() -> None:
    assert expected_total([(0.5, 2.0), (0.25, 4.0)], 8.0) == 1.0 + 1.0 + 2.0
    assert expected_total([(1.0, 2.0)], 8.0) == 2.0
    assert expected_total([(0.1, 1.0)] * 10, 8.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("exits", "message"),
    [
        ([(-0.1, 1.0)], "must be from 0 to 1, not -0.1"),
        ([(1.5, 1.0)], "must be from 0 to 1, not 1.5"),
        ([(float("nan"), 1.0)], "must be from 0 to 1, not nan"),
        ([(0.6, 1.0), (0.6, 1.0)], "add up to 1.2, more than 1"),
    ],
)
def test_shares_that_are_none(exits: list[tuple[float, float]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        expected_total(exits, 2.0)


def test_a_network_with_an_exit() -> None:
    graph = with_exit(load_model("resnet18").graph, "layer2.1.relu", 1000)
    whole = estimate(Model(graph), "jetson_orin_nano")
    part = estimate(Model(until_exit(graph, "layer2.1.relu")), "jetson_orin_nano")
    assert part.latency_s < whole.latency_s
    half = expected_estimate([(0.5, part)], whole)
    assert half.latency_s == pytest.approx((part.latency_s + whole.latency_s) / 2)
    assert part.energy_j is not None
    assert whole.energy_j is not None
    assert half.energy_j == pytest.approx((part.energy_j + whole.energy_j) / 2)
    assert expected_estimate([(0.0, part)], whole).latency_s == whole.latency_s
