"""Laws of engine geometry, tiling and double buffering: shares, monotony, bounds, one machine and many.

Not laws: a larger systolic array, or more and smaller multiprocessors at the same peak, may be slower for one shape.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cost import double_buffer, lanes, systolic, tensor_core, tiling

few = settings(max_examples=100, deadline=None)
dims = st.integers(1, 5000).map(float)
groups = st.integers(1, 64).map(float)
sides = st.sampled_from([2.0, 4.0, 8.0, 16.0, 32.0, 100.0, 128.0, 256.0])
seconds = st.floats(0.0, 1e3, allow_subnormal=False)
shapes = st.tuples(dims, dims, dims, groups)
tables = st.lists(shapes, min_size=1, max_size=6).map(lambda rows: tuple(np.array(rows).T))
EXPOSED = [systolic.cycles_output_stationary, systolic.cycles_weight_stationary, systolic.cycles_input_stationary]
HIDDEN = [
    systolic.cycles_output_stationary_hidden,
    systolic.cycles_weight_stationary_hidden,
    systolic.cycles_input_stationary_hidden,
]


def _words(dataflow: Callable[..., tiling.Dataflow]) -> Callable[..., np.ndarray]:
    return lambda *arguments: dataflow(*arguments).words


DATAFLOWS = [tiling.output_stationary, tiling.weight_stationary, tiling.input_stationary]
STATIONARY = [_words(dataflow) for dataflow in DATAFLOWS]


# ---- systolic arrays --------------------------------------------------------------------------------------------------


@few
@given(tables, sides, sides)
def test_an_array_is_used_in_part(table: tuple[np.ndarray, ...], rows: float, columns: float) -> None:
    for exposed, hidden in zip(EXPOSED, HIDDEN, strict=True):
        slow, fast = exposed(*table, rows, columns), hidden(*table, rows, columns)
        assert (fast <= slow).all()
        for cycles in (slow, fast):
            used = systolic.utilisation(*table, cycles, rows, columns)
            assert ((used > 0) & (used <= 1)).all()
            assert (cycles * rows * columns >= np.prod(table, axis=0)).all()  # the bound of the peak, without the cap at 1


@few
@given(tables, sides, sides)
def test_padding_is_a_share(table: tuple[np.ndarray, ...], rows: float, columns: float) -> None:
    m, n, k, _ = table
    share = systolic.mxu_padding_utilisation(m, n, k, rows, columns)
    assert ((share > 0) & (share <= 1)).all()


@few
@given(shapes, st.integers(0, 3), sides, sides)
def test_a_larger_product_takes_longer(shape: tuple[float, ...], axis: int, rows: float, columns: float) -> None:
    larger = [size + (position == axis) for position, size in enumerate(shape)]
    for cycles in (*EXPOSED, *HIDDEN, systolic.cycles_mxu):
        assert cycles(*larger, rows, columns) >= cycles(*shape, rows, columns)


@pytest.mark.parametrize("cycles", [*EXPOSED, *HIDDEN, systolic.cycles_mxu])
@settings(few, max_examples=30)
@given(table=tables, sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=5))
def test_arrays_as_one_by_one(
    cycles: Callable[..., np.ndarray], table: tuple[np.ndarray, ...], sizes: list[tuple[float, float]]
) -> None:
    rows, columns = np.array(sizes).T[..., np.newaxis]
    many = cycles(*table, rows, columns)
    for row, (r, c) in enumerate(sizes):
        assert np.array_equal(many[row], cycles(*table, r, c))


# ---- tensor cores -----------------------------------------------------------------------------------------------------

processors = st.integers(1, 300).map(float)
prologue = st.sampled_from([0.0, 35.0, 41.0])
caps = st.sampled_from([1.0, 1.5, 8.0, np.inf])


@few
@given(shapes, processors, processors, prologue, caps)
def test_more_multiprocessors_are_never_slower(shape: tuple[float, ...], a: float, b: float, k0: float, cap: float) -> None:
    """Peak = number · rate of one, so time is slowdown / number."""
    fewer, more = min(a, b), max(a, b)
    slow = tensor_core.slowdown(*shape, fewer, k0, wave_cap=cap) / fewer
    fast = tensor_core.slowdown(*shape, more, k0, wave_cap=cap) / more
    assert fast <= slow * (1 + 1e-12)


@few
@given(tables, processors, prologue, caps)
def test_the_slowdown_is_at_least_one(table: tuple[np.ndarray, ...], sm: float, k0: float, cap: float) -> None:
    slow = tensor_core.slowdown(*table, sm, k0, wave_cap=cap)
    assert (slow >= 1).all()
    assert (slow <= tensor_core.slowdown(*table, sm, k0) * (1 + 1e-12)).all()  # the cap relieves
    assert (slow >= tensor_core.slowdown(*table, sm, 0.0, wave_cap=cap) * (1 - 1e-12)).all()


@few
@given(shapes, st.integers(0, 3), processors, prologue)
def test_more_work_takes_longer(shape: tuple[float, ...], axis: int, sm: float, k0: float) -> None:
    larger = [size + (position == axis) for position, size in enumerate(shape)]
    before = tensor_core.slowdown(*shape, sm, k0) * np.prod(shape)
    assert tensor_core.slowdown(*larger, sm, k0) * np.prod(larger) >= before * (1 - 1e-12)


@few
@given(dims, dims, dims, processors, st.sampled_from(tensor_core.TILES))
def test_tile_and_wave_shares(m: float, n: float, blocks: float, sm: float, tile: tuple[int, int]) -> None:
    assert 0 < tensor_core.tile_efficiency(m, n, *tile) <= 1
    assert 0 < tensor_core.wave_efficiency(blocks, sm) <= 1
    assert 0 <= tensor_core.idle_slots(blocks, sm) < sm


@settings(few, max_examples=30)
@given(tables, st.lists(processors, min_size=1, max_size=5))
def test_gpus_as_one_by_one(table: tuple[np.ndarray, ...], sms: list[float]) -> None:
    many = tensor_core.slowdown(*table, np.array(sms)[:, np.newaxis], 35.0, wave_cap=8.0)
    for row, sm in enumerate(sms):
        assert np.array_equal(many[row], tensor_core.slowdown(*table, sm, 35.0, wave_cap=8.0))


# ---- lanes ------------------------------------------------------------------------------------------------------------


@few
@given(dims, dims, st.sampled_from([1.0, 4.0, 8.0, 16.0, 32.0]), st.sampled_from([1.0, 2.0, 4.0, 8.0]))
def test_lane_shares(n: float, k: float, width: float, dot: float) -> None:
    for share in (lanes.lane_utilisation(n, width), lanes.gemm_utilisation(n, k, width, dot),
                  lanes.depthwise_utilisation(n, 9.0, width, dot), lanes.small_k_share(k, 35.0)):  # fmt: skip
        assert 0 < share <= 1
    assert lanes.lane_utilisation(n * width, width) == 1
    assert lanes.lane_utilisation(n, width) >= min(1, n / width) / 2 + 1e-9 or n < width
    assert lanes.lane_utilisation(0.0, width) == lanes.small_k_share(0.0, 0.0) == 1


def test_depthwise_wastes_seven_eighths_of_a_dot_product_over_channels() -> None:
    """3 × 3 taps of one channel: 9 of 16 products, and one tap 1 of 8."""
    assert lanes.depthwise_utilisation(64.0, 9.0, 16.0, 8.0) == 9 / 16
    assert lanes.depthwise_utilisation(64.0, 1.0, 16.0, 8.0) == 1 / 8
    assert lanes.depthwise_utilisation(24.0, 9.0, 16.0) == 24 / 32


# ---- tiling -----------------------------------------------------------------------------------------------------------

capacities = st.floats(4.0, 1e8)
reuses = st.sampled_from([1.0, 2.25, 9.0, 25.0])


@few
@given(shapes, reuses, st.lists(capacities, min_size=2, max_size=8))
def test_traffic_falls_with_capacity(shape: tuple[float, ...], reuse: float, words: list[float]) -> None:
    m, _, k, _ = shape
    for function in (*STATIONARY, tiling.gemm_words):
        found = [float(function(*shape, size, m * k / reuse)) for size in sorted(words)]
        assert all(after <= before * (1 + 1e-12) for before, after in pairwise(found))


@few
@given(shapes, reuses)
def test_traffic_falls_to_the_compulsory_floor(shape: tuple[float, ...], reuse: float) -> None:
    m, n, k, _ = shape
    floor = tiling.compulsory_words(*shape, m * k / reuse)
    assert tiling.gemm_words(*shape, m * n + m * k + k * n + 8, m * k / reuse) == pytest.approx(floor, rel=1e-12)
    smallest = min(m * n + m + n, k * n + k + n, m * k + m + k)
    assert tiling.gemm_words(*shape, smallest) == pytest.approx(tiling.compulsory_words(*shape), rel=1e-12)


@few
@given(shapes, reuses, capacities)
def test_traffic_is_never_below_the_bounds(shape: tuple[float, ...], reuse: float, words: float) -> None:
    m, n, k, count = shape
    for function in (*STATIONARY, tiling.gemm_words):
        product = function(*shape, words)
        assert product >= count * tiling.gemm_bound_words(m, n, k, words) * (1 - 1e-12)
        assert product >= tiling.compulsory_words(*shape) * (1 - 1e-12)
        conv = function(*shape, words, m * k / reuse)
        assert conv >= tiling.compulsory_words(*shape, m * k / reuse) * (1 - 1e-12)
        leading = 2 * m * n * k / np.sqrt(reuse * words) - 2 * words  # of the convolution's bound, less what stays inside
        assert conv >= count * leading * (1 - 1e-12)


@few
@given(shapes, reuses, capacities)
def test_traffic_follows_from_the_tile(shape: tuple[float, ...], reuse: float, words: float) -> None:
    """Each operand once, and what is repeated along a dimension that the tile does not span; the tile fits."""
    m, n, k, count = shape
    a = m * k / reuse
    floor = tiling.compulsory_words(*shape, a)
    for flow in tiling.dataflows(*shape, words, a):
        again = a * (n / flow.tile_n - 1) + k * n * (m / flow.tile_m - 1) + 2 * m * n * (k / flow.tile_k - 1)
        assert flow.words == pytest.approx(floor + count * again, rel=1e-9)
        one, other = {
            "outputs": (flow.tile_m, flow.tile_n), "weights": (flow.tile_k, flow.tile_n), "inputs": (flow.tile_m, flow.tile_k),
        }[flow.stationary]  # fmt: skip
        assert (one + 1) * (other + 1) <= max(flow.room_words + 1, 4) * (1 + 1e-12)


@few
@given(dims, dims, st.sampled_from([32.0, 64.0, 128.0]), st.lists(capacities, min_size=2, max_size=8))
def test_attention_falls_with_capacity(queries: float, keys: float, dim: float, words: list[float]) -> None:
    found = [float(tiling.flash_attention_words(queries, keys, dim, 8.0, 2.0, size)) for size in sorted(words)]
    assert all(after <= before for before, after in pairwise(found))
    floor = tiling.flash_attention_words(queries, keys, dim, 8.0, 2.0, 4 * dim * queries)
    assert floor == 8 * 2 * queries * dim + 2 * 2 * keys * dim
    assert floor <= tiling.standard_attention_words(queries, keys, dim, 8.0, 2.0)


@few
@given(st.integers(1, 200).map(float), st.integers(1, 11).map(float), st.integers(1, 4).map(float))
def test_halo_shrinks_with_the_tile(tile: float, kernel: float, stride: float) -> None:
    small = tiling.halo_factor(tile, tile, kernel, kernel, stride, stride)
    large = tiling.halo_factor(tile + 1, tile + 1, kernel, kernel, stride, stride)
    assert 1 <= large <= small * (1 + 1e-12)


@few
@given(st.integers(4, 128), st.integers(1, 4), st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 2]))
def test_patches_cover_the_map(size: int, grid: int, kernel: int, stride: int) -> None:
    pad = (kernel - 1) // 2
    rows = (size + 2 * pad - kernel) // stride + 1
    start, stop = tiling.patch_bounds(rows, grid)
    assert start[0] == 0
    assert stop[-1] == rows
    assert np.array_equal(start[1:], stop[:-1])
    if (stop > start).all():
        first, last = tiling.needed_rows(start, stop, kernel, stride, pad, size)
        assert (first >= 0).all()
        assert (last <= size).all()
        if kernel >= stride:  # no input row is left out between the first and the last
            assert (first[1:] <= last[:-1]).all()


@settings(few, max_examples=50)
@given(tables, st.lists(capacities, min_size=1, max_size=5))
def test_capacities_as_one_by_one(table: tuple[np.ndarray, ...], words: list[float]) -> None:
    column = np.array(words)[:, np.newaxis]
    for function in (*STATIONARY, tiling.gemm_words):
        many = function(*table, column)
        for row, size in enumerate(words):
            assert np.array_equal(many[row], function(*table, size))


# ---- double buffering -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "compute", "transfer", "tiles", "expected"),
    [(13, 10.0, 4.0, 8, 10.5), (17, 4.0, 10.0, 8, 10.5), (21, 5.0, 5.0, 4, 6.25)],
)
def test_double_buffered_tiles(row: int, compute: float, transfer: float, tiles: float, expected: float) -> None:
    """Rows of the roofline identities: Tm/n + (n − 1) max(tc, tm)/n + Tc/n = max + min/n."""
    assert double_buffer.double_buffered_s(compute, transfer, tiles) == expected, f"roofline_identities-{row:03}"


@few
@given(seconds, seconds, st.integers(1, 1000).map(float))
def test_more_tiles_overlap_more(compute: float, transfer: float, tiles: float) -> None:
    now = double_buffer.double_buffered_s(compute, transfer, tiles)
    assert max(compute, transfer) <= double_buffer.double_buffered_s(compute, transfer, tiles + 1) <= now <= compute + transfer
    assert double_buffer.double_buffered_s(compute, transfer, 1.0) == pytest.approx(compute + transfer)
    assert double_buffer.partly_overlapped_s(compute, transfer, 1 - 1 / tiles) == pytest.approx(now)


@few
@given(st.floats(1.0, 1e9), st.floats(1.0, 1e9))
def test_tiles_of_a_buffer(moved: float, buffer: float) -> None:
    tiles = double_buffer.tiles_of(moved, buffer)
    assert tiles >= 1
    assert moved / tiles <= buffer / 2 * (1 + 1e-12) or tiles == 1
    assert double_buffer.tiles_of(moved, 2 * buffer) <= tiles


@few
@given(st.lists(seconds, min_size=1, max_size=5), st.lists(st.integers(1, 9).map(float), min_size=1, max_size=4))
def test_buffers_as_one_by_one(times: list[float], tiles: list[float]) -> None:
    compute, transfer = np.array(times), np.array(times)[::-1]
    many = double_buffer.double_buffered_s(compute, transfer, np.array(tiles)[:, np.newaxis])
    for row, count in enumerate(tiles):
        assert np.array_equal(many[row], double_buffer.double_buffered_s(compute, transfer, count))
