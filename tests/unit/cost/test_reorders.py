"""Weights that a library copies into another order in every run: bytes worked out by hand."""

import pytest
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate

SIDE = 8


def weights_moved(channels: int, made: int, side: int, groups: int = 1, **profile: object) -> float:
    """Bytes of the weights of a convolution that cross the memory, less those of the image and the result."""
    conv = node("Conv", "x w", "y", pads=[side // 2] * 4, group=groups)
    matrix = weight("w", made, channels // groups, side, side)
    network = loaded(model([conv], [value("x", 1, channels, SIDE, SIDE)], ["y"], [matrix]))
    found = estimate(network, hardware(), runtime(**profile))
    return float(found.cost.bytes_by_level["dram"].sum()) - 4 * (channels + made) * SIDE * SIDE


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize(("channels", "made", "side", "groups"), [(8, 16, 3, 1), (8, 16, 1, 1), (8, 8, 3, 8), (8, 16, 3, 4)])
def test_every_copy_is_as_many_bytes_again(channels: int, made: int, side: int, groups: int, copies: int) -> None:
    bytes_of = 4 * made * channels // groups * side * side
    assert weights_moved(channels, made, side, groups) == bytes_of
    assert weights_moved(channels, made, side, groups, weight_reorders=copies) == (1 + copies) * bytes_of


@pytest.mark.parametrize(
    ("side", "groups", "least", "copied"),
    [(3, 1, 511, True), (3, 1, 512, False), (1, 1, 512, False), (5, 1, 512, True), (3, 8, 512, True)],
)
def test_small_images_do_without_but_for_large_windows_and_groups(side: int, groups: int, least: int, *, copied: bool) -> None:
    """8 channels of 8 × 8 are 512 elements."""
    bytes_of = 4 * 8 * 8 // groups * side * side
    assert weights_moved(8, 8, side, groups, weight_reorders=1, reorder_above=least) == (1 + copied) * bytes_of


def test_products_are_not_copied() -> None:
    network = loaded(model([node("MatMul", "x w", "y")], [value("x", 4, 8)], ["y"], [weight("w", 8, 8)]))
    with_copies, without = (estimate(network, hardware(), runtime(**given)) for given in ({"weight_reorders": 3}, {}))
    assert with_copies.latency_s == without.latency_s
