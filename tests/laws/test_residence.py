"""Laws of the memory plan where engines have memories of their own: everything has a place, and is in two only to cross."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.machines import device_data, runtime_data
from support.strategies import networks

import simulator as sim
from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.schedule.conventions import CONVENTIONS, peak
from simulator.schedule.memory import activations_of, occupancy
from simulator.schedule.plan import MemoryPlan, plan_memory

few = settings(max_examples=80, deadline=None)
TYPES = ("Relu", "Sigmoid", "Add", "Mul", "Concat", "Conv", "MaxPool", "Gemm", "MatMul", "Transpose", "Flatten", "Reshape")
supported = st.sets(st.sampled_from(TYPES), min_size=1).map(sorted)
fallbacks = st.sampled_from(["per_op", "first_unsupported"])


def run_on(network: Model, types: list[str], fallback: str, *, shared: bool = False) -> Estimate:
    """An estimate on a device and its host; with `shared`, both work from the same memories."""
    machine = device_data(operators=types)
    for engine in machine["engines"] if shared else ():
        del engine["memories"]
    software = RuntimeSpec.model_validate(runtime_data() | {"fallback": fallback})
    return estimate(network, HardwareSpec.model_validate(machine), software)


def present(plan: MemoryPlan, place: int) -> dict[str, tuple[int, int]]:
    """First and last kernel for which each tensor of a place is there, by the arena."""
    placed = plan.places[place].best("liveness").placements
    return {p.buffer.name: (p.buffer.spans[0].first, p.buffer.spans[-1].last) for p in placed}


@few
@given(networks(), supported, fallbacks, st.sampled_from([1, 16, 100]))
def test_arenas_hold_what_lives_in_their_memory(network: Model, types: list[str], fallback: str, alignment: int) -> None:
    est = run_on(network, types, fallback)
    plan = sim.plan(est, alignment_bytes=alignment)
    for place in plan.places:
        peaks = {c: p.peak_bytes for c, p in place.peaks.items()}
        assert peaks["in_out"] <= peaks["liveness"] >= peaks["liveness_in_place"]
        for convention, found in place.arenas.items():
            for arena in found.values():
                assert arena.size_bytes >= arena.lower_bound_bytes >= peaks[convention]
        assert sum(t.spec.size_bytes for t in place.peaks["liveness"].culprits) == peaks["liveness"]
        needs = next(f.needs_bytes for f in plan.fits if f.memory == place.memory)
        assert needs >= place.best("liveness").size_bytes or len(est.prepared.kernels) == 0


@few
@given(networks(), supported, fallbacks, st.booleans())
def test_every_kernel_finds_what_it_reads_where_it_runs(network: Model, types: list[str], fallback: str, reorder: bool) -> None:
    est = run_on(network, types, fallback)
    plan = sim.plan(est, reorder=reorder)
    positions = plan.reordering.order if reorder else range(len(plan.kernels))
    seen = sorted(i for place in plan.places for i in place.here)
    assert seen == list(range(len(plan.kernels)))
    for number, place in enumerate(plan.places):
        there = present(plan, number)
        for index in place.here:
            kernel = plan.kernels[index]
            assert est.engines[positions[index]] in place.engines
            for spec in (*kernel.inputs, *activations_of(kernel)):
                if spec.size_bytes:
                    first, last = there[spec.name]
                    assert first <= index <= last


@few
@given(networks(), supported, fallbacks)
def test_places_together_hold_what_one_memory_would(network: Model, types: list[str], fallback: str) -> None:
    """Never more in one place than in all, never less in all together; and no more than what crosses twice."""
    est = run_on(network, types, fallback)
    plan = sim.plan(est)
    whole = occupancy(est.prepared.graph, est.prepared.kernels).live_bytes
    live = [place.peaks["liveness"].live_bytes for place in plan.places]
    for one in live:
        assert (one <= whole).all()
    assert (np.sum(live, axis=0) >= whole).all()
    if not plan.crossings:
        assert np.sum(live, axis=0).tolist() == whole.tolist()


@few
@given(networks(), supported, fallbacks)
def test_crossings_are_those_that_the_estimate_charges(network: Model, types: list[str], fallback: str) -> None:
    est = run_on(network, types, fallback)
    plan = sim.plan(est)
    if len(plan.places) == 1:
        assert plan.crossings == ()
        return
    charged = est.cost.crossed["bus"]
    assert sum(c.spec.size_bytes for c in plan.crossings) == charged.all_bytes.sum()
    device = next(i for i, place in enumerate(plan.places) if "device" in place.engines)
    for crossing in plan.crossings:
        assert {crossing.source, crossing.target} == {0, 1}
        column = charged.inward if crossing.target == device else charged.outward
        assert column[crossing.kernel] >= crossing.spec.size_bytes
        for place in (0, 1):
            if crossing.spec.size_bytes:
                first, last = present(plan, place)[crossing.spec.name]
                assert first <= crossing.kernel <= last


@few
@given(networks(), supported, fallbacks)
def test_weights_are_with_the_kernels_that_read_them(network: Model, types: list[str], fallback: str) -> None:
    est = run_on(network, types, fallback)
    plan = sim.plan(est)
    total = est.work.footprint.weight_bytes
    assert all(place.weight_bytes <= total for place in plan.places)
    assert sum(place.weight_bytes for place in plan.places) >= total
    for place in plan.places:
        read = {w.name: w for i in place.here for w in plan.kernels[i].weights}
        assert place.weight_bytes == sum(plan.graph.tensors[name].size_bytes for name in read)


@few
@given(networks(), supported, fallbacks)
def test_engines_that_share_their_memory_have_one_plan(network: Model, types: list[str], fallback: str) -> None:
    """The plan of a machine with one engine, whoever runs what."""
    est = run_on(network, types, fallback, shared=True)
    plan = sim.plan(est)
    graph, kernels = est.prepared.graph, est.prepared.kernels
    alone = plan_memory(graph, kernels, est.cost.machine, est.work.footprint.weight_bytes)
    assert len(plan.places) == 1
    assert plan.crossings == ()
    assert plan.fits == alone.fits
    assert plan.arenas == alone.arenas
    for convention in CONVENTIONS:
        assert plan.peaks[convention].live_bytes.tolist() == peak(graph, kernels, convention).live_bytes.tolist()
