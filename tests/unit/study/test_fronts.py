"""Fronts and their volumes on points that can be counted by hand, in every corner of the input."""

import time
import tracemalloc

import numpy as np
import pytest

from simulator.errors import UsageError
from simulator.study.fronts import count_unknown, front, hypervolume

LESS = ("less", "less")
INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("points", "better", "expected"),
    [
        ([[3], [1], [1], [2]], ("less",), [0, 1, 1, 0]),
        ([[1, 4], [2, 2], [4, 1], [3, 3], [2, 2]], LESS, [1, 1, 1, 0, 1]),
        ([[1, 4], [2, 2], [4, 1], [3, 3]], ("more", "more"), [1, 0, 1, 1]),
        ([[1, 4], [2, 2], [4, 1], [3, 3]], ("less", "more"), [1, 0, 0, 0]),
        ([[1, 1], [1, 2], [2, 1]], LESS, [1, 0, 0]),
        ([[1, INF], [2, INF], [-INF, INF], [3, 0]], LESS, [0, 0, 1, 1]),
        ([[0.0, 1], [-0.0, 1]], LESS, [1, 1]),
        ([[1, 2, 3], [3, 2, 1], [2, 2, 2], [3, 3, 3], [1, 2, 3]], ("less",) * 3, [1, 1, 1, 0, 1]),
        ([[1, 2, 3, 4], [4, 3, 2, 1], [4, 3, 3, 4], [1, 2, 3, 4]], ("less",) * 4, [1, 1, 0, 1]),
    ],
)
def test_fronts(points, better, expected) -> None:
    assert front(points, better).tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_unknown_points_are_counted_and_dominate_nothing(dimensions: int) -> None:
    points = np.ones((4, dimensions))
    points[0, 0] = points[2, -1] = NAN
    points[0, 1:] = -5
    assert front(points, ("less",) * dimensions).tolist() == [False, True, False, True]
    assert count_unknown(points) == 2
    assert not front(np.full((3, dimensions), NAN), ("more",) * dimensions).any()


def test_without_points() -> None:
    assert front(np.zeros((0, 3)), ("less",) * 3).shape == (0,)
    assert hypervolume(np.zeros((0, 3)), (1, 1, 1), ("less",) * 3) == 0.0


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_all_points_of_a_plane_are_on_the_front(dimensions: int) -> None:
    """More of them than are compared at once: coordinates with the same sum."""
    rest = np.stack(np.meshgrid(*[np.arange(18)] * (dimensions - 1)), axis=-1).reshape(-1, dimensions - 1)
    points = np.column_stack([rest, -rest.sum(axis=1)])
    assert front(points, ("less",) * dimensions).all()
    worse = points + np.eye(dimensions)[0]
    both = front(np.concatenate([worse, points]), ("less",) * dimensions)
    assert both[len(points) :].all()
    assert not both[: len(points)].any()


def test_a_million_points_in_bounded_memory() -> None:
    points = np.random.default_rng(3).random((1_000_000, 3))
    start = time.perf_counter()
    flags = front(points, ("less", "more", "less"))
    assert time.perf_counter() - start < 30  # about one second on a free core
    tracemalloc.start()
    assert front(points[:100_000], ("less", "more", "less")).any()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000 * 3 * 8 * 12  # a few columns beside the points
    assert 50 < flags.sum() < 300  # (ln n)^2 / 2 of n random points is 95


@pytest.mark.parametrize(
    ("points", "reference", "better", "expected"),
    [
        ([[3]], [5], ("less",), 2),
        ([[1, 4], [2, 2], [4, 1], [3, 3]], [5, 5], LESS, 9 + 1 + 1),
        ([[1, 4], [2, 2]], [0, 0], ("more", "more"), 4 + 2),
        ([[2, 3], [2, 3]], [0, 5], ("more", "less"), 4),
        ([[6, 0], [0, 6]], [5, 5], LESS, 0),
        ([[5, 0]], [5, 5], LESS, 0),
        ([[NAN, 0], [4, 4]], [5, 5], LESS, 1),
        ([[INF, 0], [4, 4]], [5, 5], LESS, 1),
        ([[2, 1, 1], [1, 2, 1], [1, 1, 2]], [0, 0, 0], ("more",) * 3, 4),
        ([[2, 1, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], [1, 1, 1, 2]], [0] * 4, ("more",) * 4, 5),
    ],
)
def test_hypervolumes(points, reference, better, expected) -> None:
    assert hypervolume(points, reference, better) == expected


@pytest.mark.parametrize("dimensions", [3, 4, 5, 6])
def test_hypervolume_of_crosses(dimensions: int) -> None:
    """Boxes of side 3 with one side 7: the cube once, and what each stands out by."""
    boxes = np.full((dimensions, dimensions), 3.0) + 4 * np.eye(dimensions)
    expected = 3**dimensions + dimensions * 4 * 3 ** (dimensions - 1)
    assert hypervolume(boxes, np.zeros(dimensions), ("more",) * dimensions) == expected


def test_a_front_of_hundreds_in_six_objectives() -> None:
    points = np.abs(np.random.default_rng(5).normal(size=(150, 6)))
    points /= np.linalg.norm(points, axis=1)[:, None]
    found = hypervolume(points, np.zeros(6), ("more",) * 6)
    assert 0 < found < np.pi**3 / 6 / 2**6  # that of the ball's part where all coordinates are positive


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: front([[1, 2]], ("less",)), "a column for each of 1 objectives"),
        (lambda: front([1, 2], LESS), "points of shape"),
        (lambda: front(np.zeros((3, 0)), ()), "at least one"),
        (lambda: front([[1, 2]], ("less", "smaller")), "'smaller' is not a way to be better; write 'less' or 'more'"),
        (lambda: hypervolume([[1, 2]], [INF, 1], LESS), "2 finite values"),
        (lambda: hypervolume([[1, 2]], [1], LESS), "a column for each of 2"),
        (lambda: hypervolume([[-INF, 2]], [5, 5], LESS), "infinity"),
    ],
)
def test_bad_input_is_named(call, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()
