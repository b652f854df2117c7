"""Launches that run ahead of a device: a run takes at least what its host needs to launch all kernels."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.graphs import loaded, model, node, value
from support.machines import hardware, runtime
from support.strategies import machines, networks

import simulator as sim
from simulator.estimator import estimate
from simulator.explanation.run import explain_run
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.study.parts import time_as_it_shows_s

KERNELS, ELEMENTS = 4, 1000
BUSY_S = ELEMENTS * 4 * 2 / 1e9  # each reads and writes fp32 at 1 GB/s


def chain(dispatch: str | None = None, **profile: object) -> Estimate:
    names = ["x", "a", "b", "c", "y"]
    nodes = [node("Relu", read, made) for read, made in pairwise(names)]
    given = {} if dispatch is None else {"dispatch": dispatch}
    software = runtime(asynchronous=True, inference_overhead="1 us", **given, **profile)
    return estimate(loaded(model(nodes, [value("x", 1, ELEMENTS)], ["y"], [])), hardware(bandwidth="1 GB/s"), software)


def test_a_slow_host_sets_the_time() -> None:
    est = chain("10 us")
    assert est.kernel_s.tolist() == pytest.approx([BUSY_S] * KERNELS)
    assert est.waiting_s == pytest.approx(KERNELS * (10e-6 - BUSY_S))
    assert est.latency_s == pytest.approx(KERNELS * 10e-6 + 1e-6)
    assert est.bound == "memory"  # 8 us of waiting beside 32 us of transfers


def test_a_busy_device_hides_its_launches() -> None:
    est = chain("7 us")
    assert est.waiting_s == 0.0
    assert est.latency_s == chain().latency_s == pytest.approx(KERNELS * BUSY_S + 1e-6)


def test_waiting_is_overhead_everywhere() -> None:
    est = chain("100 us")
    assert est.bound == "overhead"
    assert time_as_it_shows_s(est)["overhead"] == pytest.approx(est.waiting_s)
    events = [event for event in est.timeline().events if event.kind == "waiting"]
    assert [event.duration_s for event in events] == pytest.approx([est.waiting_s])
    assert max(event.end_s for event in est.timeline().events) == pytest.approx(est.latency_s)
    host = next(term for section in explain_run(est).sections for term in section.terms if term.key == "host_s")
    assert host.value == pytest.approx(KERNELS * 100e-6)
    assert host.follows
    assert {reason.key for reason in explain_run(est).reasons} >= {"dispatch", "once"}
    totals = est.to_dict()["totals"]
    assert isinstance(totals, dict)
    assert totals["waiting_s"] == est.waiting_s


def test_launches_that_wait_run_ahead_of_nothing() -> None:
    with pytest.raises(ValidationError, match="needs asynchronous"):
        runtime(dispatch="1 us", asynchronous=False)


def queue_s(busy_s: list[float], each_s: float) -> float:
    """Host and device take turns exactly: a kernel starts when it is launched and the one before is done."""
    done_s = 0.0
    for number, seconds in enumerate(busy_s, 1):
        done_s = max(done_s, number * each_s) + seconds
    return done_s


@settings(max_examples=60)
@given(networks(), machines(), st.floats(0, 1e-4), st.floats(1, 4))
def test_between_device_and_queue(network: Model, machine: HardwareSpec, each_s: float, more: float) -> None:
    """Never faster than the device or the host, never slower than both in turn; a slower host is never faster."""

    def with_host(seconds: float) -> Estimate:
        software: RuntimeSpec = runtime(asynchronous=True, dispatch=f"{seconds!r} s")
        return estimate(network, machine, software)

    est = with_host(each_s)
    once = est.latency_s - est.waiting_s - est.kernel_s.sum()
    launches = est.work.launches
    assert est.latency_s >= launches.sum() * each_s * (1 - 1e-9)
    busy = [seconds for seconds, count in zip(est.kernel_s.tolist(), launches, strict=True) for _ in range(int(max(count, 1)))]
    if np.all(launches == 1) and len(set(est.engines)) == 1:
        assert est.latency_s - once <= queue_s(busy, each_s) * (1 + 1e-9) + 1e-15
    assert with_host(each_s * more).latency_s >= est.latency_s * (1 - 1e-12)


@pytest.mark.parametrize("name", ["pytorch_compile", "pytorch_eager", "pytorch_eager_nhwc"])
def test_small_batches_take_as_long_as_the_smallest(name: str) -> None:
    """ResNet-50 in NVIDIA's tables takes 12.8 to 13.7 ms from batch 1 to batch 8 on a V100: the host sets the time."""
    networks_of = (sim.load_model("resnet50", batch=n) for n in (1, 2, 512))
    one, two, many = (sim.estimate(m, "a100_sxm_80", precision="amp_fp16", runtime=name) for m in networks_of)
    assert one.latency_s == two.latency_s
    assert one.bound == "overhead"
    assert many.waiting_s == 0.0
