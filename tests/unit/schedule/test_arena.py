"""Addresses on small, drawn-out examples."""

import pytest

from simulator.dtypes import INT8
from simulator.errors import UsageError
from simulator.graph.types import TensorSpec
from simulator.schedule.arena import HEURISTICS, arena
from simulator.schedule.conventions import Buffer, Span, Tenant


def buffer(size: int, first: int, last: int) -> Buffer:
    spec = TensorSpec(f"t{size}_{first}", (size,), INT8)
    return Buffer((Tenant(spec, first, last),), (Span(size, first, last),))


def addresses(found: list[Buffer], method: str, alignment: int = 1) -> list[int]:
    return [p.address_bytes for p in arena(found, method, alignment).placements]


def test_greedy_takes_the_smallest_gap() -> None:
    """At kernel 0 lie 100, 60 and 50 under each other; the 30 of kernel 1 fits behind the 100 and into the gap of 50."""
    found = [buffer(100, 0, 3), buffer(60, 0, 0), buffer(50, 0, 1), buffer(45, 2, 3)]
    assert addresses(found, "greedy_by_size") == [0, 100, 160, 100]
    result = arena([*found, buffer(58, 1, 1)], "greedy_by_size")
    assert result.placements[-1].address_bytes == 100
    assert result.size_bytes == result.lower_bound_bytes == 210


def test_tensors_that_never_meet_share_an_address() -> None:
    found = [buffer(10, 0, 1), buffer(9, 2, 3), buffer(8, 4, 4)]
    for method in HEURISTICS:
        result = arena(found, method)
        assert [p.address_bytes for p in result.placements] == [0, 0, 0]
        assert (result.size_bytes, result.waste) == (10, 0.0)


def test_alignment() -> None:
    found = [buffer(10, 0, 0), buffer(10, 0, 0), buffer(1, 0, 0)]
    result = arena(found, "greedy_by_size", 16)
    assert [p.address_bytes for p in result.placements] == [0, 16, 32]
    assert (result.size_bytes, result.lower_bound_bytes) == (48, 48)


def test_the_climb_finds_what_greedy_misses() -> None:
    """Three waves in which the largest, placed first, leaves a hole that nothing later fits."""
    found = [
        buffer(4, 0, 1),
        buffer(6, 1, 2),
        buffer(4, 2, 3),
        buffer(6, 3, 4),
        buffer(5, 4, 4),
        buffer(3, 0, 0),
        buffer(1, 0, 4),
    ]
    greedy, climbed = (arena(found, method) for method in ("greedy_by_size", "hill_climb"))
    assert climbed.lower_bound_bytes <= climbed.size_bytes <= greedy.size_bytes


def test_a_buffer_that_shrinks_makes_room_behind_itself() -> None:
    spec = TensorSpec("a", (10,), INT8)
    shrinking = Buffer((Tenant(spec, 0, 3),), (Span(10, 0, 1), Span(2, 2, 3)))
    late = buffer(8, 2, 3)
    for method in HEURISTICS:
        result = arena([shrinking, late], method)
        assert result.size_bytes == result.lower_bound_bytes == 10
        assert {p.address_bytes for p in result.placements} in ({0, 2}, {0, 8})


def test_nothing_to_place() -> None:
    for method in HEURISTICS:
        assert arena([], method).size_bytes == arena([], method).lower_bound_bytes == 0


def test_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"no heuristic 'greedy'.*known: greedy_by_size, hill_climb"):
        arena([], "greedy")
    with pytest.raises(UsageError, match="an alignment of 0 bytes"):
        arena([], alignment_bytes=0)
