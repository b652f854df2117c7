"""Elasticities: signs, sums and knees that can be told by hand."""

import pytest
from support.machines import hardware

import simulator as sim
from simulator.errors import UsageError
from simulator.machine.spec import HardwareSpec


def roofline(peak: str, bandwidth: str) -> HardwareSpec:
    return hardware(
        engines=[{"id": "e", "kind": "scalar", "peak": {"fp32": peak}}],
        memories=[{"id": "dram", "kind": "dram", "bandwidth": bandwidth, "holds": ["weights", "activations"]}],
    )


def test_a_bound_resource_has_elasticity_minus_one() -> None:
    slow_memory = sim.sensitivity("resnet8", roofline("1 PFLOP/s", "1 MB/s"), settings={"runtime": "ideal"})
    (effect,) = slow_memory.effects
    assert effect.name == "memories.dram.bandwidth"
    assert effect.latency == pytest.approx(-1.0, abs=1e-6)
    assert effect.halved is not None
    assert effect.doubled is not None
    assert (effect.halved[0], effect.doubled[0]) == (pytest.approx(2.0), pytest.approx(0.5))
    assert effect.knee is None  # more of it always helps
    assert "engines.e.peak.fp32" in slow_memory.without


def test_elasticities_of_rates_add_up_to_minus_one() -> None:
    """Twice all rates is half the time: the function is homogeneous."""
    found = sim.sensitivity("mobilenet_v2", roofline("100 GFLOP/s", "10 GB/s"), settings={"runtime": "ideal"})
    assert sum(effect.latency for effect in found.effects) == pytest.approx(-1.0, abs=1e-3)


def test_the_knee_is_where_the_other_resource_takes_over() -> None:
    """One product: time = max(work / peak, bytes / bandwidth); at the ridge more bandwidth stops helping."""
    network = sim.load_model("gemm:m=512,n=512,k=512")
    macs, moved = 512**3, 3 * 512 * 512 * 4
    ridge = moved / (macs / 1e9)
    near = roofline("1 GMAC/s", f"{1.5 * ridge} B/s")
    (effect,) = sim.sensitivity(network, near, settings={"runtime": "ideal"}, figures=["memories.dram.bandwidth"]).effects
    assert effect.knee == pytest.approx(ridge / 1.05, rel=0.05)


def test_energy_of_static_power() -> None:
    found = sim.sensitivity("resnet50", "a100_sxm_80", settings={"precision": "fp16"}, figures=["power.static"])
    (effect,) = found.effects
    est = found.estimate
    assert est.energy_j is not None
    assert effect.latency == 0
    assert effect.energy == pytest.approx(54 * est.latency_s / est.energy_j, rel=1e-3)


def test_everything_is_accounted_for() -> None:
    spec = sim.load_hardware("rpi4")
    found = sim.sensitivity("mobilenet_v2", spec)
    named = [*(effect.name for effect in found.effects), *found.without, *(name for name, _ in found.unread)]
    wanted = [path for path, _ in spec.figures() if ".geometry." not in path and not path.endswith(".units")]
    assert sorted(named) == sorted(path for path in wanted if path not in ("process", "power.tdp", "power.idle"))


def test_runtime_figures_and_names() -> None:
    found = sim.sensitivity("mobilenet_v2", "rpi4", runtime=True)
    assert any(effect.name.startswith("runtime.profiles.") for effect in found.effects)
    with pytest.raises(UsageError, match="did you mean"):
        sim.sensitivity("mobilenet_v2", "rpi4", figures=["memories.dram.bandwith"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nope", "is no figure"),
        ("batch", "is no figure"),
        ("process", "sim sweep varies it"),
        ("engines.cores.units", "whole number"),
    ],
)
def test_what_is_no_figure(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sim.sensitivity("resnet8", "rpi4", figures=[name])


def test_a_figure_named_twice_is_one() -> None:
    found = sim.sensitivity("resnet8", "rpi4", figures=["memories.dram.bandwidth"] * 2)
    assert len(found.effects) == 1
