"""Reuse distances: against sets of tensors counted out, and on a chain where they can be said."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from support.graphs import loaded, model, node, value, weight
from support.strategies import networks

from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.model import Model
from simulator.reuse import GATHERED, Touches, operands

few = settings(max_examples=60, deadline=None)
ROOMY = 1e18  # no cap by shared buffers


def rows(touches: Touches) -> list[tuple[int, float, float]]:
    """(kernel, bytes, distance) of every touch."""
    lengths = np.diff(touches.starts, append=len(touches.bytes))
    kernels = np.repeat(touches.kernels, lengths)
    return list(zip(kernels.tolist(), touches.bytes.tolist(), touches.distance_bytes.tolist(), strict=True))


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
    for part, specs in (("weights", "weights"), ("inputs", "inputs")):
        expected = [
            (number, float(t.size_bytes), counted(kernels, number, t.name))
            for number, kernel in enumerate(kernels)
            for t in getattr(kernel, specs)
            if t.size_bytes == network.graph.tensors[t.name].size_bytes
        ]
        finite = [row for row in rows(getattr(found, part)) if row[2] < GATHERED]
        assert [r for r in finite if r in expected] == expected


@few
@given(networks())
def test_results_have_the_longest_distance_of_their_readers(network: Model) -> None:
    kernels, _ = partition(network.graph, ())
    found = operands(network.graph, kernels, ROOMY)
    reads: dict[str, list[float]] = {}
    for (number, _, far), name in zip(rows(found.inputs), [t.name for k in kernels for t in k.inputs], strict=True):
        assert far == counted(kernels, number, name)
        reads.setdefault(name, []).append(far)
    for (number, _, far), name in zip(rows(found.outputs), [t.name for k in kernels for t in k.outputs], strict=True):
        assert far == max(reads.get(name, [counted(kernels, number, name)]))


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
    assert rows(found.inputs)[1:] == [(1, size, 3 * size), (2, size, 3 * size), (3, size, 3 * size), (3, size, 5 * size)]


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
