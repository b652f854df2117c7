"""Orders on graphs with more than one."""

from support.graphs import loaded, model, node, value, weight

from simulator.preparation import prepare
from simulator.result.prediction import Prepared
from simulator.schedule.conventions import peak
from simulator.schedule.reorder import reorder, reordered


def branches(count: int, wide: int = 1000) -> Prepared:
    """Several branches from one input, each wide first and narrow then, all wide parts before all narrow ones."""
    nodes = [node("MatMul", f"x w{i}", f"a{i}") for i in range(count)]
    nodes += [node("MatMul", f"a{i} v{i}", f"b{i}") for i in range(count)]
    nodes.append(node("Concat", " ".join(f"b{i}" for i in range(count)), "y", axis=1))
    weights = [w for i in range(count) for w in (weight(f"w{i}", 10, wide), weight(f"v{i}", wide, 10))]
    return prepare(loaded(model(nodes, [value("x", 1, 10)], ["y"], weights)), "int8", ())


def test_one_branch_after_the_other() -> None:
    found = branches(3)
    result = reorder(found.graph, found.kernels)
    assert result.exact
    assert result.given_bytes == 3 * 1000 + 10 + 10 - 10  # all wide ones, and the input or the first narrow one
    assert result.peak_bytes == 1000 + 3 * 10
    assert result.saved_bytes == result.given_bytes - result.peak_bytes
    order = reordered(found.kernels, result)
    assert peak(found.graph, order, "liveness").peak_bytes == result.peak_bytes


def test_beyond_the_budget_it_is_still_good() -> None:
    found = branches(30)
    result = reorder(found.graph, found.kernels, states=0)
    assert result.peak_bytes == reorder(found.graph, found.kernels).peak_bytes
    assert result.peak_bytes < result.given_bytes / 20


def test_a_chain_has_one_order() -> None:
    nodes = [node("Relu", "x", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]
    found = prepare(loaded(model(nodes, [value("x", 8)], ["y"])), None, ())
    result = reorder(found.graph, found.kernels)
    assert (result.order, result.exact, result.saved_bytes) == ((0, 1, 2), True, 0)


def test_a_network_without_kernels() -> None:
    found = prepare(loaded(model([], [value("x", 3)], ["x"])), None, ())
    assert reorder(found.graph, found.kernels).order == ()


def test_thousands_of_kernels() -> None:
    found = branches(1000, wide=20)
    result = reorder(found.graph, found.kernels)
    assert sorted(result.order) == list(range(2001))
    assert result.peak_bytes <= result.given_bytes
