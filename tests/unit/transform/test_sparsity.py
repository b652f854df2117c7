"""Pruned weights: which, where, how they are written, and what is refused."""

import math

import pytest
from support.graphs import FLOAT, INT8, loaded, model, node, resolved, scalar, value, weight
from support.machines import EVERYTHING

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.packing import Zeros
from simulator.model import Model
from simulator.preparation import prepare
from simulator.transform.change import CHANGES, change_of
from simulator.transform.precision import with_precision


def sparse(graph: Graph, text: str) -> Graph:
    return change_of("sparsity").apply(graph, text)


def small() -> Graph:
    """A first convolution of three channels, a depthwise one, a product, and an embedding table."""
    nodes = [
        node("Conv", "x stem b", "s", name="stem", pads=[1] * 4), node("Conv", "s wise", "d", name="wise", pads=[1] * 4, group=8),
        node("Conv", "d point", "p", name="point"), node("Flatten", "p", "f"), node("Gemm", "f fc c", "y", name="head/fc"),
        node("Gather", "table ids", "rows"),
    ]  # fmt: skip
    weights = [weight("stem", 8, 3, 3, 3), weight("b", 8), weight("wise", 8, 1, 3, 3), weight("point", 16, 8, 1, 1),
               weight("fc", 16 * 16, 10), weight("c", 10), weight("table", 100, 8)]  # fmt: skip
    return resolved(model(nodes, [value("x", 1, 3, 4, 4), value("ids", 1, 2, dtype=7)], ["y", "rows"], weights))


def pruned(graph: Graph) -> dict[str, Zeros | None]:
    return {n: t.packing.zeros for n, t in graph.tensors.items() if t.packing is not None}


def test_it_is_registered_with_what_it_leaves_out() -> None:
    change = change_of("sparsity")
    assert change.name in CHANGES
    assert "2:4" in change.values
    assert "accuracy" in change.caveat
    assert change.help.startswith("Weights of convolutions")


def test_nothing_but_weights_of_products_is_pruned() -> None:
    assert set(pruned(sparse(small(), "0.9"))) == {"stem", "wise", "point", "fc"}


def test_counts_stay_those_of_the_dense_network() -> None:
    dense, found = Model(small()), Model(sparse(small(), "0.9"))
    assert (found.macs, found.params, found.flops) == (dense.macs, dense.params, dense.flops)
    kept = {n: math.ceil(dense.graph.tensors[n].elements / 10) for n in ("stem", "wise", "point", "fc")}
    expected = {n: math.ceil(k * 36 / 8) for n, k in kept.items()}
    assert {n: found.graph.tensors[n].size_bytes for n in kept} == expected
    assert found.weight_bytes == sum(expected.values()) + 4 * (8 + 10 + 800)


def test_a_precision_afterwards_changes_the_values_alone() -> None:
    graph = with_precision(sparse(small(), "0.9"), "int8")
    assert graph.tensors["fc"].size_bytes == 256 * (8 + 4) // 8
    grouped = with_precision(sparse(small(), "0.9"), "w4a16:group=64").tensors["fc"]
    assert grouped.size_bytes == (256 * (4 + 4) + 10 * (256 // 64) * 16) // 8


def test_pruning_groups_keeps_the_groups() -> None:
    one = with_precision(sparse(small(), "0.9"), "w4a16:group=64")
    assert sparse(with_precision(small(), "w4a16:group=64"), "0.9").tensors["fc"] == one.tensors["fc"]


def test_two_of_four_needs_channels_and_says_so() -> None:
    graph = sparse(small(), "2:4")
    assert set(pruned(graph)) == {"point", "fc"}
    assert graph.notes[-1] == "sparsity=2:4: 2 of 4 weights stay dense, for their channels are no multiple of four"
    assert prepare(Model(graph), None, ()).work.sparse_macs is not None
    with pytest.raises(UsageError, match="no weight there has a multiple of four input channels"):
        sparse(small(), "2:4@stem")


def test_macs_of_two_of_four() -> None:
    dense, work = prepare(Model(small()), None, EVERYTHING).work, prepare(Model(sparse(small(), "2:4")), None, EVERYTHING).work
    assert dense.sparse_macs is None
    assert work.sparse_macs is not None
    assert work.macs.tolist() == dense.macs.tolist()
    assert dict(zip(work.names, work.sparse_macs.tolist(), strict=True)) == {
        name: macs if name in ("point", "head/fc") else 0.0 for name, macs in zip(dense.names, dense.macs.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("text", "names"), [("0.5@*fc", {"fc"}), ("0.5@stem", {"stem"}), ("0.5@[sp]*", {"stem", "point"}), ("0.5@?ise", {"wise"})]
)
def test_some_operators_only(text: str, names: set[str]) -> None:
    assert set(pruned(sparse(small(), text))) == names


def test_several_shares_one_after_the_other() -> None:
    graph = sparse(sparse(small(), "0.9"), "0.5@*fc")
    assert graph.tensors["fc"].size_bytes == (1280 * 32 + 2560) // 8
    assert graph.tensors["point"].size_bytes == math.ceil(13 * 36 / 8)


def test_nothing_pruned_is_the_network_itself() -> None:
    graph = small()
    for text in ("0", "0%", "0:block=16", "0@*fc"):
        assert sparse(graph, text) is graph


def test_what_a_weight_comes_from_is_pruned_too() -> None:
    """Exporters transpose a linear layer's matrix before the product: the file has it as it was."""
    nodes = [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "y")]
    graph = sparse(resolved(model(nodes, [value("x", 2, 8)], ["y"], [weight("w", 16, 8)])), "0.5")
    assert set(pruned(graph)) == {"w", "t"}
    assert Model(graph).weight_bytes == (64 * 32 + 128) // 8


def test_quantized_weights_of_the_file() -> None:
    nodes = [node("DequantizeLinear", "q s", "w"), node("MatMul", "x w", "y")]
    graph = resolved(model(nodes, [value("x", 2, 8)], ["y"], [weight("q", 8, 16, dtype=INT8), scalar("s", 0.1, "float32")]))
    found = Model(sparse(graph, "2:4"))
    work = prepare(found, None, EVERYTHING).work
    assert found.graph.tensors["q"].size_bytes == 64 * (8 + 2) // 8
    assert work.weight_bytes.sum() == 64 * (8 + 2) // 8 + 4
    assert work.sparse_macs is not None
    assert work.sparse_macs.sum() == 2 * 8 * 16


def test_of_a_table_that_is_looked_up_and_multiplied_the_rows_read_count() -> None:
    nodes = [node("Gather", "e ids", "r"), node("Transpose", "e", "t", perm=[1, 0]), node("MatMul", "r t", "y")]
    graph = resolved(model(nodes, [value("ids", 1, 2, dtype=7)], ["y"], [weight("e", 100, 8)]))
    work = prepare(Model(sparse(graph, "0.5")), None, ()).work
    rows = dict(zip(work.names, work.weight_bytes.tolist(), strict=True))
    assert rows["gather_r"] == (8 * 32 + 16) // 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", "sparsity=x: write the share of zeros from 0 to below 1 (0.9), 2:4, or 0.5:block=16"),
        ("", "write the share of zeros"),
        ("nan", "write the share of zeros"),
        ("-0.1", "write the share of zeros"),
        ("1.5", "write the share of zeros"),
        ("2:5", "write the share of zeros"),
        ("2:4:block=4", "write the share of zeros"),
        ("1", "sparsity=1: must be below 1, or nothing is left"),
        ("100%", "must be below 1"),
        ("0.5:block=0", "write the size of a block as block=16 (in a row) or block=16x16, not 'block=0'"),
        ("0.5:blok=4", "not 'blok=4'"),
        ("0.5:block=4x4x4", "not 'block=4x4x4'"),
        ("0.5:", "not ''"),
        ("0.5@", "a pattern of names follows the @, as in sparsity=0.5@*conv*"),
        ("@*fc", "write the share of zeros"),
        ("0.5@poimt", "no operator is called 'poimt'; did you mean 'point'?"),
        ("0.5@zzz*", "no operator is called 'zzz*' (there are: 'stem', 'wise', 'point', 'head/fc')"),
        ("0.5@flatten_f", "no operator is called 'flatten_f'"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        sparse(small(), text)
    assert expected in str(caught.value)


def test_a_network_without_weights() -> None:
    graph = loaded(model([node("Relu", "x", "y")], [value("x", 2, dtype=FLOAT)], ["y"])).graph
    with pytest.raises(UsageError, match=r"sparsity=0\.5: the network has no weights of convolutions or matrix products"):
        sparse(graph, "0.5")
