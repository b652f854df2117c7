"""Branches beside each other on several engines: bounded from both sides under every policy, and in the policies' order."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import INT8, loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate
from simulator.schedule.branches import Branches, branches_of
from simulator.schedule.overlap import POLICIES, WINDOWS, Terms, runs
from simulator.workload import total

ROUNDING = 1 + 1e-12
CHAIN = ("full", "prefetch", "layer", "runtime", "none")
few = settings(max_examples=150, deadline=None)
seconds = st.floats(0, 10, allow_subnormal=False)


@st.composite
def several(draw: st.DrawFn) -> Terms:
    """Kernels of a random DAG on up to three engines, with random costs."""
    count = draw(st.integers(1, 8))
    engines = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=count, max_size=count))
    waits = [tuple(sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))) if i else () for i in range(count)]

    def column() -> np.ndarray:
        return np.array(draw(st.lists(seconds, min_size=count, max_size=count)))

    activations, weights = column(), column()
    return Terms(
        column(), activations + weights, column(), np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))),
        np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count))), 1 + column(), weights,
        weights * draw(st.floats(1, 2)), 100 * weights, 100 * column(), Branches(tuple(engines), tuple(waits)),
    )  # fmt: skip


def critical_path_s(kernel_s: np.ndarray, waits_for: tuple[tuple[int, ...], ...]) -> float:
    ends: list[float] = []
    for own, before in zip(kernel_s, waits_for, strict=True):
        ends.append(own + max((ends[k] for k in before), default=0.0))
    return max(ends)


@few
@given(several(), st.sampled_from(sorted(WINDOWS)))
def test_between_the_busiest_resource_and_one_after_another(terms: Terms, policy: str) -> None:
    assert terms.branches is not None
    latency = float(POLICIES[policy](terms)[1])
    kernel_s = WINDOWS[policy](terms).kernel_s
    assert latency <= kernel_s.sum() * ROUNDING
    assert latency * ROUNDING >= terms.memory_s.sum()
    assert latency * ROUNDING >= terms.overhead_s.sum()
    assert latency * ROUNDING >= critical_path_s(kernel_s, terms.branches.waits_for)
    for here in terms.branches.by_engine():
        assert latency * ROUNDING >= kernel_s[here].sum()


@few
@given(several())
def test_more_overlap_is_never_slower(terms: Terms) -> None:
    found = [float(POLICIES[p](terms)[1]) for p in CHAIN]
    for less, more in pairwise(found):
        assert less <= more * ROUNDING


@few
@given(several(), st.sampled_from(sorted(WINDOWS)))
def test_engines_inputs_and_memories_are_waited_for(terms: Terms, policy: str) -> None:
    assert terms.branches is not None
    for run in runs(WINDOWS[policy], terms):
        end = dict(zip(run.order, run.start_s + run.windows.kernel_s, strict=True))
        start = dict(zip(run.order, run.start_s, strict=True))
        for kernel, before in enumerate(terms.branches.waits_for):
            assert all(start[kernel] >= end[b] for b in before)
        for one, other in pairwise(run.order):
            assert start[other] >= start[one]
        assert sorted(run.order) == list(range(len(run.order)))


@few
@given(several(), st.sampled_from(sorted(POLICIES)))
def test_shares_of_the_kernels_add_up(terms: Terms, policy: str) -> None:
    kernels, latency = POLICIES[policy](terms)
    np.testing.assert_allclose(kernels.sum(), latency, rtol=1e-9, atol=1e-12)


@few
@given(several(), st.sampled_from(sorted(POLICIES)), st.lists(st.floats(0.1, 10), min_size=1, max_size=4))
def test_one_and_many(terms: Terms, policy: str, factors: list[float]) -> None:
    """An array of machines gives each row bit by bit."""
    rest = (terms.overhead_s, terms.theta, terms.asynchronous, terms.tiles, terms.weight_s, terms.link_s,
            terms.weight_bytes, terms.room_bytes, terms.branches)  # fmt: skip
    column = np.array(factors)[:, np.newaxis]
    many = POLICIES[policy](Terms(terms.compute_s * column, terms.memory_s, *rest))[1]
    for row, factor in enumerate(factors):
        assert many[row] == POLICIES[policy](Terms(terms.compute_s * factor, terms.memory_s, *rest))[1]


def test_two_branches_run_beside_each_other() -> None:
    """Compute of a second each on engines of their own; the product at the end waits for both."""
    nothing = np.zeros(5)
    branches = Branches(("a", "a", "b", "b", "a"), ((), (0,), (), (2,), (1, 3)))
    terms = Terms(np.ones(5), nothing, nothing, nothing, np.zeros(5, bool), branches=branches)
    assert float(POLICIES["layer"](terms)[1]) == 3.0
    assert float(total(WINDOWS["layer"](terms).kernel_s)) == 5.0
    assert float(POLICIES["full"](terms)[1]) == 3.0


def test_an_estimate_on_two_engines() -> None:
    """An int8 and an fp32 product on engines that have only one of the rates."""
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "q v", "y")]
    network = loaded(
        model(
            nodes, [value("x", 512, 512), value("q", 512, 512, dtype=INT8)], ["h", "y"],
            [weight("w", 512, 512), weight("v", 512, 512, dtype=INT8)],
        )
    )  # fmt: skip
    engines = [
        {"id": "cpu", "kind": "simd", "peak": {"fp32": "1 GMAC/s"}}, {"id": "npu", "kind": "npu", "peak": {"int8": "1 GMAC/s"}},
    ]  # fmt: skip
    est = estimate(network, hardware(engines=engines), runtime())
    one = 512**3 / 1e9
    assert est.engines == ("cpu", "npu")
    assert one < est.latency_s < 1.01 * one
    assert est.kernel_s.sum() == est.latency_s
    assert branches_of(est.prepared.kernels, ("cpu", "cpu")) is None
    assert estimate(network, hardware(engines=engines[:1]), runtime()).latency_s == 2 * one
