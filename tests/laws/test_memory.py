"""Laws of the memory plan: nothing that is needed at once shares a byte, no arena below its bound, no order worse."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.machines import EVERYTHING
from support.strategies import networks

from simulator import api, zoo
from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.machine.params import machine_of
from simulator.preparation import prepare
from simulator.schedule.arena import HEURISTICS, Arena, arena
from simulator.schedule.conventions import IN_PLACE, NO_ALIASING, Aliasing, Buffer, Span, Tenant, buffers, live_bytes, peak
from simulator.schedule.memory import occupancy
from simulator.schedule.patches import NotLocalError, cuts, patch_plan, stage_needs
from simulator.schedule.plan import plan_memory
from simulator.schedule.reorder import reorder, reordered

few = settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False)
fusions = st.permutations(EVERYTHING).flatmap(lambda order: st.integers(0, len(order)).map(lambda n: tuple(order[:n])))
aliasings = st.builds(
    Aliasing,
    elementwise=st.booleans(),
    depthwise=st.sampled_from(["copy", "channel", "rows"]),
    zero_copy=st.booleans(),
    pointwise=st.sampled_from(["copy", "gap"]),
)
heuristics = pytest.mark.parametrize("method", HEURISTICS)


@st.composite
def shapes(draw: st.DrawFn) -> list[Buffer]:
    """Buffers that need bytes for one or several stretches of the schedule, one after the other."""
    found = []
    for _ in range(draw(st.integers(0, 30))):
        first, spans = draw(st.integers(0, 20)), []
        for length in draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)):
            spans.append(Span(draw(st.integers(1, 1000)), first, first + length - 1))
            first += length + draw(st.integers(0, 1))
        found.append(Buffer((), tuple(spans)))
    return found


def check_arena(result: Arena) -> None:
    """No two that are needed at once overlap; every address aligned; total and bound as they should be."""
    step = result.alignment_bytes
    for placement in result.placements:
        assert placement.address_bytes >= 0
        assert placement.address_bytes % step == 0
        assert placement.address_bytes + placement.buffer.size_bytes <= result.size_bytes
    for one, other in combinations(result.placements, 2):
        for a in one.buffer.spans:
            for b in other.buffer.spans:
                if a.first <= b.last and b.first <= a.last:
                    low, high = (one.address_bytes, a), (other.address_bytes, b)
                    if low[0] > high[0]:
                        low, high = high, low
                    assert low[0] + low[1].size_bytes <= high[0]
    ends = [s.last for p in result.placements for s in p.buffer.spans]
    live = live_bytes([p.buffer for p in result.placements], max(ends, default=0) + 1)
    assert result.size_bytes >= result.lower_bound_bytes >= live.max(initial=0)


@heuristics
@given(found=shapes(), alignment=st.sampled_from([1, 4, 16, 100]))
@few
def test_arenas_are_sound_and_the_same_every_time(method: str, found: list[Buffer], alignment: int) -> None:
    result = arena(found, method, alignment)
    check_arena(result)
    assert arena(found, method, alignment) == result


@given(found=shapes())
@few
def test_the_climb_is_never_above_greedy(found: list[Buffer]) -> None:
    assert arena(found, "hill_climb").size_bytes <= arena(found, "greedy_by_size").size_bytes


@given(network=networks(), fusion=fusions, aliasing=aliasings)
@few
def test_networks_in_memory(network, fusion: tuple[str, ...], aliasing: Aliasing) -> None:
    prepared = prepare(network, None, fusion)
    graph, kernels = prepared.graph, prepared.kernels
    found = buffers(graph, kernels, aliasing)
    for method in HEURISTICS:
        check_arena(arena(found, method))
    in_out, liveness = peak(graph, kernels, "in_out"), peak(graph, kernels, "liveness")
    assert (in_out.live_bytes <= liveness.live_bytes).all()
    assert liveness.live_bytes.tolist() == occupancy(graph, kernels).live_bytes.tolist()
    assert peak(graph, kernels, "liveness_in_place").peak_bytes <= liveness.peak_bytes
    assert sum(t.spec.size_bytes for t in liveness.culprits) == liveness.peak_bytes


@given(network=networks(), fusion=fusions)
@few
def test_what_is_overwritten_is_not_read_again(network, fusion: tuple[str, ...]) -> None:
    """Tensors of one buffer meet in one kernel at most: the one that reads the older and writes the newer."""
    prepared = prepare(network, None, fusion)
    for buffer in buffers(prepared.graph, prepared.kernels, IN_PLACE):
        in_turn = sorted(buffer.tenants, key=lambda t: (t.first, t.last))
        for before, after in pairwise(in_turn):
            assert before.last == after.first
            kernel = prepared.kernels[after.first]
            assert before.spec.name in {t.name for t in kernel.inputs}
            assert after.spec.name in {t.name for t in kernel.outputs}
            assert before.spec.name not in prepared.graph.outputs
        names = {t.name for t in (t.spec for t in buffer.tenants)}
        assert len(names) == len(buffer.tenants)


@given(network=networks(), fusion=fusions)
@few
def test_every_tensor_has_one_place(network, fusion: tuple[str, ...]) -> None:
    prepared = prepare(network, None, fusion)
    plain = {b.name: b for b in buffers(prepared.graph, prepared.kernels, NO_ALIASING)}
    for aliasing in (IN_PLACE, Aliasing(zero_copy=True)):
        tenants = [t for b in buffers(prepared.graph, prepared.kernels, aliasing) for t in b.tenants]
        homes = [t.spec.name for t in tenants if not t.spec.name.startswith("scratch of ")]
        assert sorted(homes) == sorted(plain)


def check_order(graph: Graph, kernels: tuple[Kernel, ...]) -> None:
    """Every input is made before it is read."""
    made_by_someone = {t.name for k in kernels for t in k.outputs}
    made: set[str] = set()
    for kernel in kernels:
        own = {t.name for t in kernel.outputs}
        assert {t.name for t in kernel.inputs} & made_by_someone - own <= made
        made |= own
    assert set(graph.outputs) & made_by_someone <= made


def best_of_all(graph: Graph, kernels: tuple[Kernel, ...], given_bytes: int) -> int:
    """The lowest liveness peak of all valid orders, one after the other."""
    best, made_by_someone = given_bytes, {t.name for k in kernels for t in k.outputs}

    def go_on(order: tuple[int, ...], made: frozenset[str]) -> None:
        nonlocal best
        if len(order) == len(kernels):
            best = min(best, peak(graph, [kernels[i] for i in order], "liveness").peak_bytes)
        for i, kernel in enumerate(kernels):
            own = {t.name for t in kernel.outputs}
            if i not in order and {t.name for t in kernel.inputs} & made_by_someone - own <= made:
                go_on((*order, i), made | own)

    go_on((), frozenset())
    return best


@given(network=networks(most=14), fusion=fusions, states=st.sampled_from([0, 5, 20_000]))
@few
def test_orders_are_valid_and_never_worse(network, fusion: tuple[str, ...], states: int) -> None:
    prepared = prepare(network, None, fusion)
    result = reorder(prepared.graph, prepared.kernels, states)
    order = reordered(prepared.kernels, result)
    assert sorted(result.order) == list(range(len(prepared.kernels)))
    check_order(prepared.graph, order)
    assert result.peak_bytes <= result.given_bytes
    assert result.given_bytes == peak(prepared.graph, prepared.kernels, "liveness").peak_bytes
    assert result.peak_bytes == peak(prepared.graph, order, "liveness").peak_bytes
    assert result == reorder(prepared.graph, prepared.kernels, states)


@given(network=networks(most=6))
@few
def test_exact_orders_are_the_best_of_all(network) -> None:
    prepared = prepare(network, None, ())
    result = reorder(prepared.graph, prepared.kernels)
    assert result.exact
    assert result.peak_bytes == best_of_all(prepared.graph, prepared.kernels, result.given_bytes)


def local_stages(network) -> list[int]:
    """Stage ends that patches allow, with outputs of at least 4 × 4."""
    prepared, found = prepare(network, None, ()), []
    for n in range(1, len(prepared.kernels) + 1):
        try:
            patch_plan(prepared.graph, prepared.kernels, (1, 1), n)
        except NotLocalError:
            continue
        found.append(n)
    return found


@given(network=networks())
@few
def test_one_patch_is_the_whole_map(network) -> None:
    """A grid of one costs nothing; it may only need less where the map's border is never read."""
    prepared = prepare(network, None, ())
    for n in local_stages(network):
        plan = patch_plan(prepared.graph, prepared.kernels, (1, 1), n)
        assert plan.extra_macs <= 0
        assert plan.patch_bytes["in_out"] <= int(peak(prepared.graph, prepared.kernels[:n], "in_out").peak_bytes)


CONVNETS = ("mobilenet_v2", "resnet18", "squeezenet1_1", "densenet121", "vgg11", "resnet8")


@pytest.mark.parametrize("name", CONVNETS)
def test_more_patches_compute_more(name: str) -> None:
    """Halving patches again keeps the cuts and adds halos; every output position is made exactly once."""
    prepared = prepare(api.load_model(name), "int8", ("batch_norm", "activation"))
    graph, kernels = prepared.graph, prepared.kernels
    stages = [n for n in cuts(graph, kernels) if n <= 12]
    for n in stages:
        try:
            plans = [patch_plan(graph, kernels, (side, side), n) for side in (1, 2, 4)]
        except NotLocalError:
            break
        assert plans[0].extra_macs <= 0
        assert plans[0].extra_macs <= plans[1].extra_macs <= plans[2].extra_macs
        assert plans[1].patch_bytes["liveness"] >= plans[2].patch_bytes["liveness"]
        for plan in plans:
            for convention in plan.patch_bytes:
                assert plan.stage_bytes[convention] <= plan.with_image_bytes[convention]
        end = kernels[n - 1].outputs[0].name
        rows, columns = stage_needs(graph, kernels[:n], (end,), (4, 4))[end]
        for pieces, length in zip((rows, columns), graph.tensors[end].shape[2:], strict=True):
            assert pieces.low[0] == 0
            assert pieces.high[-1] == length
            assert (pieces.low[1:] == pieces.high[:-1]).all()


@pytest.mark.parametrize("name", [r.id for r in zoo.list_recipes()])
def test_the_catalogue_has_plans(name: str) -> None:
    """Every network of the catalogue: arenas between bound and naive, peaks in their order, the plan's own sums."""
    prepared = prepare(api.load_model(name), None, ("batch_norm", "activation", "residual"))
    plan = plan_memory(
        prepared.graph, prepared.kernels, machine_of(api.load_hardware("stm32h743")), prepared.work.footprint.weight_bytes
    )
    peaks = {c: p.peak_bytes for c, p in plan.peaks.items()}
    assert peaks["in_out"] <= peaks["liveness"] >= peaks["liveness_in_place"]
    for convention, found in plan.arenas.items():
        greedy, climbed = found["greedy_by_size"], found["hill_climb"]
        assert peaks[convention] <= climbed.lower_bound_bytes <= climbed.size_bytes <= greedy.size_bytes
        assert climbed.waste <= 0.07
        assert greedy.waste <= 0.25
    assert plan.reordering.peak_bytes <= plan.reordering.given_bytes == peaks["liveness"]
    assert plan.activation_bytes == plan.best("liveness").size_bytes
    if plan.suggestion:
        assert plan.suggestion.peak_bytes(image=True) < peaks["liveness"]


def test_ten_thousand_tensors_in_seconds() -> None:
    """Measured alone: 0.5 s and 1.1 s; here only that nothing grows with the square."""
    random = np.random.default_rng(0)
    first, length, size = random.integers(0, 10_000, 10_000), random.integers(0, 200, 10_000), random.integers(1, 10**5, 10_000)
    found = [
        Buffer((Tenant(None, 0, 0),), (Span(int(s), int(f), int(f + n)),))  # type: ignore[arg-type]
        for f, n, s in zip(first, length, size, strict=True)
    ]
    sizes = {method: arena(found, method) for method in HEURISTICS}
    assert sizes["hill_climb"].waste <= sizes["greedy_by_size"].waste < 0.2
