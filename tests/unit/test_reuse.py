"""Reuse distances: against sets of tensors counted out, and on a chain where they can be said."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from support.graphs import loaded, model, node, value, weight
from support.strategies import networks

from simulator.graph.types import Role, TensorSpec
from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.model import Model
from simulator.reuse import GATHERED, Touches, operands

few = settings(max_examples=60, deadline=None)
ROOMY = 1e18  # no cap by shared buffers


def rows(touches: Touches) -> list[tuple[int, float, float]]:
    """(kernel, bytes, distance) of every touch."""
    return list(zip(touches.kernel.tolist(), touches.bytes.tolist(), touches.distance_bytes.tolist(), strict=True))


def merged(touches: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """What a kernel touches at one distance as one row, the longest first."""
    found: dict[tuple[int, float], float] = {}
    for number, size, far in touches:
        found[number, -far] = found.get((number, -far), 0.0) + size
    return [(number, found[number, far], -far) for number, far in sorted(found)]


def touched(kernel: Kernel) -> dict[str, int]:
    return {t.name: t.size_bytes for t in (*kernel.weights, *kernel.inputs, *kernel.outputs)}


def counted(kernels: Sequence[Kernel], number: int, name: str) -> float:
    """Distinct bytes since the last touch, by walking back through the schedule, over the end of the run before."""
    seen: dict[str, int] = {}
    for back in range(len(kernels) + 1):
        here = touched(kernels[(number - back) % len(kernels)])
        if back and name in here:
            return float(sum(seen.values()))
        seen = here | seen
    raise AssertionError("touched in the run before")


@few
@given(networks())
def test_distances_are_those_counted_out(network: Model) -> None:
    kernels, _ = partition(network.graph, ())
    found = operands(network.graph, kernels, ROOMY)
    for part in ("weights", "inputs"):
        expected = [
            (number, float(t.size_bytes), GATHERED if gathered(network, t) else counted(kernels, number, t.name))
            for number, kernel in enumerate(kernels)
            for t in getattr(kernel, part)
        ]
        assert rows(getattr(found, part)) == merged(expected)


def gathered(network: Model, spec: TensorSpec) -> bool:
    return spec.role is Role.WEIGHT and spec.size_bytes < network.graph.tensors[spec.name].size_bytes


@few
@given(networks())
def test_results_have_the_longest_distance_of_their_readers(network: Model) -> None:
    kernels, _ = partition(network.graph, ())
    found = operands(network.graph, kernels, ROOMY)
    reads: dict[str, list[float]] = {}
    for number, kernel in enumerate(kernels):
        for spec in kernel.inputs:
            reads.setdefault(spec.name, []).append(counted(kernels, number, spec.name))
    expected = [
        (number, float(t.size_bytes), max(reads.get(t.name, [counted(kernels, number, t.name)])))
        for number, kernel in enumerate(kernels)
        for t in kernel.outputs
    ]
    assert rows(found.outputs) == merged(expected)


def chain() -> Model:
    """Three products of 100 × 100 in a row, a skip from the first to the last; 40 kB a tensor."""
    nodes = [node("MatMul", "x a", "h"), node("MatMul", "h b", "i"), node("MatMul", "i c", "j"), node("Add", "j h", "y")]
    return loaded(model(nodes, [value("x", 100, 100)], ["y"], [weight(n, 100, 100) for n in "abc"]))


def test_a_chain_with_a_skip() -> None:
    network = chain()
    kernels, _ = partition(network.graph, ())
    found, size = operands(network.graph, kernels, ROOMY), 40_000.0
    assert rows(found.weights) == [(0, size, 8 * size), (1, size, 8 * size), (2, size, 8 * size)]  # all that a run touches
    #   h → i: b, h, i.  i → j: c, i, j.  j → y: j, h, y.  h again: b, i, c, j, h, y
    assert rows(found.inputs)[1:] == [(1, size, 3 * size), (2, size, 3 * size), (3, size, 5 * size), (3, size, 3 * size)]


def test_activations_share_buffers() -> None:
    network = chain()
    kernels, _ = partition(network.graph, ())
    found = operands(network.graph, kernels, 100_000.0)
    assert rows(found.weights)[0] == (0, 40_000.0, 3 * 40_000.0 + 100_000.0)


def test_a_gathered_row_is_never_there() -> None:
    network = loaded(model([node("Gather", "table i", "y")], [value("i", 5, dtype=7)], ["y"], [weight("table", 1000, 64)]))
    kernels, _ = partition(network.graph, ())
    assert rows(operands(network.graph, kernels, ROOMY).weights) == [(0, 5 * 64 * 4.0, GATHERED)]


@pytest.mark.parametrize("rounds", [1, 7])
def test_a_repeated_kernel_reads_its_weights_again(rounds: int) -> None:
    from dataclasses import replace

    network = chain()
    ops = tuple(replace(op, repeat=rounds) if op.name == network.graph.ops[1].name else op for op in network.graph.ops)
    graph = replace(network.graph, ops=ops)
    kernels, _ = partition(graph, ())
    found = [row for row in rows(operands(graph, kernels, ROOMY).weights) if row[0] == 1]
    assert found[0] == (1, 40_000.0, 8 * 40_000.0)
    assert found[1:] == ([(1, 40_000.0 * (rounds - 1), 3 * 40_000.0)] if rounds > 1 else [])
