"""Parts of time and energy: they add up, and follow the policy."""

import numpy as np
import pytest

import simulator as sim
from simulator.study.parts import BREAKDOWNS, energy_by_part_j, time_as_it_shows_s, time_by_class_s

CASES = (
    ("resnet50", "a100_sxm_80", "fp16"), ("mobilenet_v2", "stm32h743", "int8"), ("resnet50", "edgetpu_usb", "int8"),
    ("resnet8", "ethos_u55_128", "int8"), ("mobilenet_v2", "rpi4", "fp32"), ("resnet50", "jetson_agx_orin64", "fp16"),
)  # fmt: skip


@pytest.mark.parametrize("overlap", [None, "none", "layer", "prefetch", "full"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_parts_add_up(case, overlap) -> None:
    model, machine, precision = case
    est = sim.estimate(model, machine, precision=precision, overlap=overlap)
    for name, parts_of in BREAKDOWNS.items():
        parts = parts_of(est)
        whole = est.latency_s if name.startswith("time") else est.energy_j
        if parts is None:
            assert whole is None
        else:
            assert all(value > 0 for value in parts.values())
            assert sum(parts.values()) == pytest.approx(whole, rel=1e-9)


def test_without_overlap_everything_shows() -> None:
    """Compute, memory and launches one after the other: each takes what it takes."""
    est = sim.estimate("resnet8", "ethos_u55_128", precision="int8", overlap="none")
    parts = time_as_it_shows_s(est)
    assert parts["compute"] == pytest.approx(float(est.cost.compute_s.sum()))
    assert parts["memory"] == pytest.approx(float(est.cost.memory_s.sum()))


def test_layer_overlap_shows_the_longer() -> None:
    est = sim.estimate("mobilenet_v2", "stm32h743", precision="int8", overlap="layer")
    cost, parts = est.cost, time_as_it_shows_s(est)
    assert not cost.asynchronous.any()
    assert parts["compute"] == pytest.approx(float(cost.compute_s.sum()))
    assert parts.get("memory", 0.0) == pytest.approx(float(np.maximum(cost.memory_s - cost.compute_s, 0).sum()), abs=1e-12)
    assert parts["overhead"] == pytest.approx(float(cost.overhead_s.sum()))


def test_hidden_launches_show_where_they_are_longer() -> None:
    est = sim.estimate("resnet50", "a100_sxm_80", precision="fp16", overlap="full")
    parts = time_as_it_shows_s(est)
    assert parts["compute"] <= float(est.cost.compute_s.sum()) * (1 + 1e-12)
    assert parts["overhead"] - est.waiting_s < float(est.cost.overhead_s.sum())


def test_classes_are_those_of_the_kernels() -> None:
    est = sim.estimate("resnet50", "rpi4", precision="fp32")
    parts = time_by_class_s(est)
    assert set(parts) - {"outside"} == {str(k) for k, s in zip(est.work.kinds, est.kernel_s, strict=True) if s > 0}
    assert next(iter(parts)) == "conv"


def test_energy_measured_as_a_whole_is_one_part() -> None:
    assert list(energy_by_part_j(sim.estimate("mobilenet_v2", "rpi4", precision="fp32"))) == ["active"]
    assert energy_by_part_j(sim.estimate("resnet8", "ethos_u55_128", precision="int8")) is None
    known = energy_by_part_j(sim.estimate("resnet50", "a100_sxm_80", precision="fp16"))
    assert set(known) == {"compute", "l2", "hbm", "static"}
