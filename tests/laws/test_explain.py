"""An explanation follows from its own numbers, and they are the estimate's: over networks × machines × runtimes."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import machines, networks, runtimes

from simulator.estimator import estimate
from simulator.explain.layer import explain_layer
from simulator.explain.terms import LayerExplanation
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.schedule.overlap import POLICIES

policies = st.sampled_from(sorted(POLICIES))
few = settings(max_examples=60, deadline=None)


def values(found: LayerExplanation) -> dict[str, float]:
    return {term.key: term.value for term in found.terms}


def checked(est: Estimate, index: int) -> None:
    """Every formula comes to its value, and each value is that of the estimate."""
    found = explain_layer(est, est.prepared.kernels[index].name)
    assert [t for t in found.terms if not t.follows] == []
    terms, cost, work = values(found), est.cost, est.work
    assert len(terms) == len(found.terms)
    expected = {
        "compute_s": cost.compute_s[index], "memory_s": cost.memory_s[index], "overhead_s": cost.overhead_s[index],
        "transfer_s": cost.transfer_s[index],
        **{f"bytes.{level}": moved[index] for level, moved in cost.bytes_by_level.items()},
        **{f"memory_s.{level}": seconds[index] for level, seconds in cost.s_by_level.items()},
        **({} if est.kernel_j is None else {"energy_j": est.kernel_j[index]}),
    }  # fmt: skip
    for key, value in expected.items():
        assert terms.get(key, 0.0) == pytest.approx(value, rel=1e-12), key
    last = terms.get("kernel_s", terms["own_s"])
    assert last == pytest.approx(est.kernel_s[index], rel=1e-12)
    for name, column in (("macs", work.macs), ("vector_ops", work.vector_ops), ("special_ops", work.special_ops)):
        assert sum(getattr(o, name) for o in found.operators) == column[index]
    for level, moved in cost.bytes_by_level.items():
        crossing = math.fsum(o.crossing_bytes.get(level, 0.0) for o in found.operands)
        again = terms.get(f"bytes.{level}.again", 0.0)
        assert crossing + again == pytest.approx(moved[index], rel=1e-9, abs=1e-9)


@few
@given(networks(), machines(), runtimes(), policies, st.data())
def test_the_terms_are_the_estimates(
    network: Model, machine: HardwareSpec, software: RuntimeSpec, policy: str, data: st.DataObject
) -> None:
    est = estimate(network, machine, software, overlap=policy)
    names = [k.name for k in est.prepared.kernels]
    index = data.draw(st.sampled_from([i for i, name in enumerate(names) if names.count(name) == 1]))
    checked(est, index)


@few
@given(networks(), machines(energy=True), runtimes(), st.data())
def test_with_energies(network: Model, machine: HardwareSpec, software: RuntimeSpec, data: st.DataObject) -> None:
    est = estimate(network, machine, software)
    names = [k.name for k in est.prepared.kernels]
    checked(est, data.draw(st.sampled_from([i for i, name in enumerate(names) if names.count(name) == 1])))
