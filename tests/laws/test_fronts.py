"""Laws of fronts and hypervolumes, against brute force: every pair compared, every cell counted."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.study.fronts import front, hypervolume


@st.composite
def clouds(draw, most: int = 30, largest: int = 6, dimensions: tuple[int, int] = (1, 5)):
    """Points on a small grid, so that many are equal in some coordinate, with a way for each."""
    d = draw(st.integers(*dimensions))
    cell = st.integers(0, largest)
    points = draw(st.lists(st.tuples(*[cell] * d), min_size=1, max_size=most))
    better = tuple(draw(st.lists(st.sampled_from(["less", "more"]), min_size=d, max_size=d)))
    return np.array(points, np.float64), better


def dominates(points: np.ndarray, better: tuple[str, ...]) -> np.ndarray:
    """[i, j]: whether j dominates i."""
    least = np.where([b == "more" for b in better], -points, points)
    return (least[None] <= least[:, None]).all(axis=2) & (least[None] < least[:, None]).any(axis=2)


@given(clouds())
def test_a_front_is_what_no_point_dominates(cloud) -> None:
    points, better = cloud
    assert (front(points, better) == ~dominates(points, better).any(axis=1)).all()


@given(clouds())
def test_every_other_point_is_dominated_by_the_front(cloud) -> None:
    points, better = cloud
    flags, pairs = front(points, better), dominates(points, better)
    assert flags.any()
    assert not pairs[np.ix_(flags, flags)].any()
    assert pairs[np.ix_(~flags, flags)].any(axis=1).all()


@given(clouds(), st.integers(0, 4), st.sampled_from([np.exp, np.arctan, lambda x: 3 * x - 7, lambda x: x**3]))
def test_a_monotone_axis_changes_nothing(cloud, axis: int, rising) -> None:
    points, better = cloud
    axis %= points.shape[1]
    bent = points.copy()
    bent[:, axis] = rising(points[:, axis])
    assert (front(bent, better) == front(points, better)).all()
    bent[:, axis] = -bent[:, axis]
    turned = (*better[:axis], "less" if better[axis] == "more" else "more", *better[axis + 1 :])
    assert (front(bent, turned) == front(points, better)).all()


@given(clouds(), st.randoms(use_true_random=False))
def test_order_does_not_matter(cloud, random) -> None:
    points, better = cloud
    order = list(range(len(points)))
    random.shuffle(order)
    assert (front(points[order], better) == front(points, better)[order]).all()


@given(clouds(most=12, largest=4))
def test_a_volume_is_its_cells(cloud) -> None:
    """Integer corners: the cells of the grid that lie behind some point, counted."""
    points, better = cloud
    d = points.shape[1]
    least = np.where([b == "more" for b in better], 4 - points, points)
    cells = np.indices((4,) * d).reshape(d, -1).T
    expected = (cells[:, None] >= least[None]).all(axis=2).any(axis=1).sum()
    reference = [0.0 if b == "more" else 4.0 for b in better]
    assert hypervolume(points, reference, better) == expected


@given(clouds(dimensions=(1, 6), most=10))
def test_a_union_covers_at_least_each(cloud) -> None:
    points, better = cloud
    reference = [-1.0 if b == "more" else 7.0 for b in better]
    whole = hypervolume(points, reference, better)
    assert whole == hypervolume(points[front(points, better)], reference, better)
    for part in (points[::2], points[1::2]):
        if len(part):
            assert hypervolume(part, reference, better) <= whole
    assert whole <= sum(hypervolume(p[None], reference, better) for p in points)


@given(clouds(dimensions=(2, 2)), clouds(dimensions=(2, 2)))
def test_inclusion_and_exclusion_in_the_plane(one, other) -> None:
    """|A ∪ B| = |A| + |B| − |A ∩ B|; what both dominate is dominated by the worse corner of some pair."""
    a, b = one[0], other[0]
    less, reference = ("less", "less"), (7.0, 7.0)
    shared = np.maximum(a[:, None], b[None]).reshape(-1, 2)
    union = hypervolume(np.concatenate([a, b]), reference, less)
    parts = [hypervolume(x, reference, less) for x in (a, b, shared)]
    assert union == parts[0] + parts[1] - parts[2]


@pytest.mark.parametrize("dimensions", [2, 3, 4, 5])
def test_real_corners_within_rounding(dimensions: int) -> None:
    """Inclusion and exclusion over all subsets, in fractions."""
    points = np.random.default_rng(dimensions).random((7, dimensions))
    exact = Fraction(0)
    for subset in range(1, 2**7):
        rows = [points[i] for i in range(7) if subset >> i & 1]
        volume = Fraction(1)
        for side in np.min(rows, axis=0):
            volume *= Fraction(float(side))
        exact += volume if len(rows) % 2 else -volume
    found = hypervolume(points, np.zeros(dimensions), ("more",) * dimensions)
    assert found == pytest.approx(float(exact), rel=1e-12)
