"""Laws of the partition: each operator in one kernel, an order that works, complete boundaries; fusing saves traffic."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.machines import EVERYTHING
from support.strategies import networks

from simulator import api, zoo
from simulator.graph.graph import Graph
from simulator.kernels.operators import kind_of, work_of
from simulator.kernels.partition import partition
from simulator.kernels.types import Kernel
from simulator.model import Model
from simulator.ops.work import Kind
from simulator.preparation import prepare
from simulator.schedule.memory import occupancy
from simulator.workload import footprint, work_table

fusions = st.permutations(EVERYTHING).flatmap(lambda order: st.integers(0, len(order)).map(lambda n: tuple(order[:n])))
few = settings(max_examples=80, deadline=None, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False)


def is_view(graph: Graph, index: int, fusion: tuple[str, ...]) -> bool:
    op = graph.ops[index]
    return kind_of(op, work_of(graph, op)) is Kind.VIEW or ("quantize" in fusion and op.op_type == "DequantizeLinear")


def roots(graph: Graph, fusion: tuple[str, ...]) -> dict[str, str]:
    """For every output of a view the tensor whose bytes it reads."""
    found: dict[str, str] = {}
    for index, op in enumerate(graph.ops):
        if is_view(graph, index, fusion) and not op.constant:
            found.update({n: found.get(op.inputs[0], op.inputs[0]) for n in op.outputs if n})
    return found


def check(graph: Graph, kernels: tuple[Kernel, ...], fusion: tuple[str, ...]) -> None:
    """Written apart from the partition's own bookkeeping: only the graph and the kernels are asked."""
    work_ops = {i for i, op in enumerate(graph.ops) if not op.constant and not is_view(graph, i, fusion)}
    members = [i for k in kernels for i in k.ops]
    assert sorted(members) == sorted(work_ops)
    root = roots(graph, fusion)
    made_by = {n: number for number, k in enumerate(kernels) for i in k.ops for n in graph.ops[i].outputs if n}
    for number, kernel in enumerate(kernels):
        assert kernel.main in kernel.ops
        assert not set(kernel.ops) & set(kernel.recomputed)
        computed = {*kernel.ops, *kernel.recomputed}
        inside = {n for i in computed for n in graph.ops[i].outputs if n}
        outside = {root.get(n, n) for i in computed for n in graph.ops[i].inputs if n} - inside
        assert all(made_by[n] < number for n in outside if n in made_by)  # in an order that works, so without circles
        entering = {t.name for t in (*kernel.inputs, *kernel.weights)}
        assert entering <= outside
        assert {n for n in outside if n in made_by or n in graph.inputs} <= entering
        assert all(graph.tensors[n].role == "weight" for n in {t.name for t in kernel.weights})
        assert len(entering) == len(kernel.inputs) + len(kernel.weights)
    needed = {root.get(n, n) for i in work_ops for n in graph.ops[i].inputs if n} | {root.get(n, n) for n in graph.outputs}
    for number, kernel in enumerate(kernels):
        readers_elsewhere = {t.name for other, k in enumerate(kernels) if other != number for t in k.inputs}
        made = {n for n, k in made_by.items() if k == number}
        leaving = {t.name for t in kernel.outputs}
        wanted = {n for n in made if n in readers_elsewhere or n in {root.get(o, o) for o in graph.outputs}}
        assert leaving == wanted
        assert leaving <= needed


@few
@given(networks(), fusions)
def test_every_operator_is_in_one_kernel_and_boundaries_are_complete(network: Model, fusion: tuple[str, ...]) -> None:
    kernels, _ = partition(network.graph, fusion)
    check(network.graph, kernels, fusion)


@few
@given(networks(), fusions, st.booleans())
def test_values_computed_again_leave_kernels_sound_and_move_no_more(
    network: Model, fusion: tuple[str, ...], chains: bool
) -> None:
    before = (*fusion, "pointwise_chain", "merge") if chains else fusion
    plain, again = (prepare(network, None, f) for f in (before, (*before, "recompute")))
    check(network.graph, again.kernels, before)
    assert again.work.macs.sum() == network.macs
    assert again.work.total_bytes.sum() <= plain.work.total_bytes.sum()
    assert again.work.ops.sum() >= plain.work.ops.sum()
    once = prepare(network, None, (*before, "recompute"), once=True)
    assert once.work.ops.sum() == plain.work.ops.sum()
    assert once.work.total_bytes.sum() == again.work.total_bytes.sum()


@few
@given(networks(), fusions)
def test_fusing_moves_no_more_bytes(network: Model, fusion: tuple[str, ...]) -> None:
    def traffic(rules: tuple[str, ...]) -> float:
        kernels, works = partition(network.graph, rules)
        return float(work_table(network.graph, kernels, works, footprint(network.graph, kernels, 0)).total_bytes.sum())

    assert traffic(fusion) <= traffic(())
    assert traffic(EVERYTHING) <= traffic(())


@few
@given(networks(), fusions)
def test_fusing_keeps_the_arithmetic(network: Model, fusion: tuple[str, ...]) -> None:
    kernels, works = partition(network.graph, fusion)
    work = work_table(network.graph, kernels, works, footprint(network.graph, kernels, 0))
    assert work.macs.sum() == network.macs
    assert work.special_ops.sum() == sum(w.special_ops for w in works)
    if "batch_norm" in fusion:
        assert work.ops.sum() <= network.flops  # a batch norm in the weights leaves a bias at most
    else:
        assert work.ops.sum() == network.flops
    assert len(kernels) <= len(partition(network.graph, ())[0])


ADDS = ("batch_norm", "bias", "casts", "copies")


@few
@given(networks(), fusions, st.sampled_from(["fp16", "amp_fp16"]), st.sampled_from(["channels_first", "channels_last"]))
def test_what_runtimes_add_keeps_macs_and_leaves_kernels_sound(
    network: Model, fusion: tuple[str, ...], precision: str, layout: str
) -> None:
    plain = prepare(network, precision, fusion)
    added = prepare(network, precision, fusion, (), ADDS, layout)
    assert added.work.macs.sum() == network.macs
    assert added.graph.outputs == plain.graph.outputs
    assert {op.name for op in plain.graph.ops} == {op.name for op in added.graph.ops if not op.added}
    made: set[str] = set()
    for kernel in added.kernels:
        assert {t.name for t in (*kernel.inputs, *kernel.weights)} & added.graph.producer.keys() <= made
        made |= {t.name for t in kernel.outputs}
    homes = [i for k in added.kernels for i in k.ops]
    assert len(homes) == len(set(homes))


@few
@given(networks(), fusions)
def test_the_peak_is_at_least_every_kernels_own_tensors(network: Model, fusion: tuple[str, ...]) -> None:
    kernels, _ = partition(network.graph, fusion)
    live = occupancy(network.graph, kernels)
    for kernel in kernels:
        own = sum({t.name: network.graph.tensors[t.name].size_bytes for t in (*kernel.inputs, *kernel.outputs)}.values())
        assert live.peak_bytes >= own
    whole = sum(t.size_bytes for t in network.graph.tensors.values() if t.role != "weight")
    assert live.peak_bytes <= whole


SMALL = [
    "alexnet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "resnet18",
    "squeezenet1_1",
    "shufflenet_v2_x0_5",
    "densenet121",
    "vit_b_32",
    "bert_base",
    "ds_cnn",
    "autoencoder",
    "gemm",
]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("fusion", [(), ("batch_norm", "activation"), EVERYTHING])
def test_networks_of_the_catalogue(name: str, fusion: tuple[str, ...]) -> None:
    assert name in {r.id for r in zoo.list_recipes()}
    graph = api.load_model(name).graph
    kernels, _ = partition(graph, fusion)
    check(graph, kernels, fusion)
