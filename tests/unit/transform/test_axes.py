"""Sizes of axes as unknowns: joined, cut, made of each other."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.transform.axes import Axes, fixed
from simulator.transform.views import reshaped


def test_two_unknowns_become_one() -> None:
    axes = Axes()
    a, b = axes.new(8), axes.new(8)
    axes.unify(a, b)
    assert axes.expanded(a) == axes.expanded(b)


def test_what_meets_a_size_stays() -> None:
    axes = Axes()
    a, b = axes.new(8), axes.new(8)
    axes.unify(a, b)
    axes.unify(b, fixed(8))
    assert axes.stays(a)


def test_one_unknown_beside_two_is_cut() -> None:
    axes = Axes()
    a, b, joined = axes.new(3), axes.new(5), axes.new(8)
    axes.unify(joined, (*a, *b))
    assert axes.expanded(joined) == (*axes.expanded(a), *axes.expanded(b))


def test_a_flattened_image_is_a_multiple_of_its_channels() -> None:
    axes = Axes()
    channels, rows = axes.new(8), axes.new(8 * 49)
    (flat,) = reshaped(axes, [channels, fixed(7), fixed(7)], (8 * 49,))
    axes.unify(flat, rows)
    ((unknown, _),) = axes.expanded(channels)
    assert axes.size(rows, {unknown: 4}) == 4 * 49
    assert reshaped(axes, [rows], (8, 7, 7)) == (axes.expanded(channels), fixed(7), fixed(7))


def test_chunks_are_alike() -> None:
    axes = Axes()
    a = axes.new(12)
    chunk = axes.chunk(a, 3)
    ((unknown, times),) = axes.expanded(chunk)
    assert times == 1
    assert axes.size(a, {unknown: 1}) == 3


def test_groups_go_through_a_shuffle() -> None:
    axes = Axes()
    a = axes.new(12)
    groups, inner, side = reshaped(axes, [a, fixed(5)], (3, 4, 5))
    assert axes.stays(groups)
    assert not axes.stays(inner)
    back = reshaped(axes, [inner, groups, side], (12, 5))
    ((unknown, _),) = axes.expanded(inner)
    assert axes.size(back[0], {unknown: 2}) == axes.size(a, {unknown: 2}) == 6


def test_two_unknowns_in_one_axis_stay() -> None:
    axes = Axes()
    a, b = axes.new(6), axes.new(4)
    assert reshaped(axes, [a, b], (24,)) == (fixed(24),)
    assert axes.stays(a)
    assert axes.stays(b)


def test_an_axis_may_be_cut_into_thousands() -> None:
    axes = Axes()
    a = axes.new(6000)
    ((unknown, _),) = axes.expanded(axes.chunk(a, 3000))
    assert axes.size(a, {unknown: 1}) == 3000


sizes = st.lists(st.integers(1, 12), min_size=1, max_size=5)


@given(sizes, st.data())
def test_joined_axes_are_equal_whatever_the_unknowns_are(parts: list[int], data: st.DataObject) -> None:
    axes = Axes()
    one = tuple(piece for size in parts for piece in axes.new(size))
    other = axes.new(sum(parts)) if data.draw(st.booleans()) else tuple(p for s in parts[::-1] for p in axes.new(s))
    axes.unify(one, other)
    assert axes.size(one) == axes.size(other) == sum(parts)
    unknowns = {unknown for unknown, _ in axes.expanded(one)} - {0}
    given_sizes = {unknown: data.draw(st.integers(1, 30)) for unknown in sorted(unknowns)}
    assert axes.size(one, given_sizes) == axes.size(other, given_sizes)


@given(sizes, st.data())
def test_runs_add_up(parts: list[int], data: st.DataObject) -> None:
    axes = Axes()
    whole = axes.new(sum(parts))
    runs = axes.cut(whole, parts)
    assert [axes.size(run) for run in runs] == parts
    given_sizes = {unknown: data.draw(st.integers(1, 9)) for unknown, _ in axes.expanded(whole) if unknown}
    assert sum(axes.size(run, given_sizes) for run in runs) == axes.size(whole, given_sizes)
