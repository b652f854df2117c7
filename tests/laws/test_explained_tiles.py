"""What tiles read again, explained: the formula comes to the bytes, whichever operand stays and however large the tile."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.cost.traffic import reread_bytes
from simulator.estimator import estimate
from simulator.explanation.layer import explain_layer
from simulator.explanation.terms import LayerExplanation
from simulator.model import Model
from simulator.result.estimate import Estimate

few = settings(max_examples=150, deadline=None)
sides = st.integers(1, 700)
capacities = st.integers(8, 400_000)


def through(network: Model, *capacities_bytes: int) -> Estimate:
    """On a machine whose scratchpads have these sizes, from the engine outward, before a large memory."""
    pads = [
        {"id": f"pad{i}", "kind": "scratchpad", "capacity": f"{size} B", "bandwidth": "1 TB/s"}
        for i, size in enumerate(capacities_bytes)
    ]
    return estimate(network, hardware(memories=[*pads, {"id": "dram", "kind": "dram", "bandwidth": "1 GB/s"}]), runtime())


def checked(est: Estimate, room_bytes: int) -> LayerExplanation:
    """Its explanation, of which every formula holds; what is read again is what the estimate's traffic has."""
    found = explain_layer(est, est.prepared.kernels[0].name)
    assert [t for t in found.terms if not t.follows] == []
    terms = {t.key: t for t in found.terms}
    assert len(terms) == len(found.terms)
    again = terms.get("bytes.dram.again")
    assert (0.0 if again is None else again.value) == pytest.approx(
        float(reread_bytes(est.work, float(room_bytes))[0]), rel=1e-12
    )
    return found


def product(m: int, n: int, k: int) -> Model:
    return loaded(model([node("MatMul", "x w", "y")], [value("x", m, k)], ["y"], [weight("w", k, n)]))


def convolution(channels: int, maps: int, size: int, kernel: int) -> Model:
    pad = kernel // 2
    nodes = [node("Conv", "x w", "y", kernel_shape=[kernel, kernel], pads=[pad] * 4)]
    return loaded(model(nodes, [value("x", 1, channels, size, size)], ["y"], [weight("w", maps, channels, kernel, kernel)]))


@few
@given(sides, sides, sides, capacities)
def test_products(m: int, n: int, k: int, capacity: int) -> None:
    checked(through(product(m, n, k), capacity), capacity)


@few
@given(st.integers(1, 64), st.integers(1, 64), st.integers(2, 40), st.sampled_from([1, 3, 5]), capacities)
def test_convolutions(channels: int, maps: int, size: int, kernel: int, capacity: int) -> None:
    checked(through(convolution(channels, maps, size, kernel), capacity), capacity)


@few
@given(sides, sides, sides, capacities, capacities)
def test_tiles_are_told_once_where_levels_pass_them_on(m: int, n: int, k: int, near: int, far: int) -> None:
    """The tile for the nearest memory moves most; what crosses the farther one has tiles of the larger of both."""
    found = checked(through(product(m, n, k), near, far), max(near, far))
    terms = {t.key: t for t in found.terms}
    inner, outer = terms.get("bytes.pad1.again"), terms.get("bytes.dram.again")
    if outer is not None:
        assert inner is not None
        assert inner.value >= outer.value


@few
@given(st.integers(1, 600), st.integers(1, 600), st.sampled_from([8, 32, 64]), st.integers(1, 8), capacities)
def test_attention(queries: int, keys: int, head: int, heads: int, capacity: int) -> None:
    shapes = [value("q", 1, heads, queries, head), value("k", 1, heads, keys, head), value("v", 1, heads, keys, head)]
    network = loaded(model([node("Attention", "q k v", "y")], shapes, ["y"], opset=23))
    found = checked(through(network, capacity), capacity)
    rows = max(capacity // (4 * 4 * head), 1)
    again = {t.key: t.value for t in found.terms}.get("bytes.dram.again", 0.0)
    assert again == pytest.approx(2 * heads * keys * head * 4 * (-(-queries // rows) - 1) if again else 0.0)
    if rows >= queries:
        assert again == 0


@pytest.mark.parametrize(
    ("m", "n", "k", "stays", "formula", "room"),
    [
        (512, 512, 512, "outputs", "A · (n / bn − 1) + B · (m / bm − 1)", 4096),
        (4096, 128, 128, "weights", "A · (n / bn − 1)", 4 * 128 * 100),
        (128, 4096, 128, "inputs", "B · (m / bm − 1)", 4 * 128 * 100),
    ],
)
def test_the_operand_that_stays(m: int, n: int, k: int, stays: str, formula: str, room: int) -> None:
    """A long side costs least where the small matrix stays; a deep one where the sums do."""
    term = checked(through(product(m, n, k), room), room).term("bytes.pad0.again")
    assert term.note.startswith(f"{stays} stay")
    assert term.formula == formula


def test_a_tile_by_hand() -> None:
    """fp32 through 2 KiB: 512 elements, a square of √513 − 1 = 21.65 beside a row and a column; both pass 64/21.65 times."""
    found = checked(through(product(64, 64, 64), 2048), 2048)
    terms = {t.key: t for t in found.terms}
    assert (terms["tile.pad0.room"].value, terms["tile.pad0.room"].substituted) == (512, "2.048 kB / 4 B")
    assert terms["tile.pad0.bm"].value == terms["tile.pad0.bn"].value == pytest.approx(513**0.5 - 1)
    assert terms["tile.pad0.bn"].formula == "√((room + 1) / (m · k / input)) − 1"
    assert terms["bytes.pad0.again"].value == pytest.approx(2 * 64 * 64 * 4 * (64 / (513**0.5 - 1) - 1))
    assert terms["bytes.pad0.again"].note.endswith("C (m × n) = A (m × k) · B (k × n)")
