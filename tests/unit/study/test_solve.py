"""Solutions hold, and a hair below them the targets fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator as sim
from simulator.errors import UsageError
from simulator.loading import Files
from simulator.result.estimate import Estimate
from simulator.study.axes import Axis, value_text
from simulator.study.scenario import Scenario, case_of, with_settings


def at(hardware: str, axis: Axis, value: float, *more: str, model: str = "mobilenet_v2") -> Estimate:
    files = Files()
    return case_of(
        with_settings(Scenario(model, hardware), [*more, f"{axis.name}={value_text(axis, value)}"], files), files
    ).estimate()


@pytest.mark.parametrize(
    ("hardware", "figure", "target", "limit", "more"),
    [
        ("rpi4", "memories.dram.bandwidth", "latency", 20e-3, ()),
        ("rpi4", "engines.cores.peak.fp32", "latency", 30e-3, ()),
        ("rpi4", "engines.cores.clock", "energy", 0.1, ()),
        ("a100_sxm_80", "engines.tensor.peak.fp16=0.05x..2x", "latency", 1.2e-3, ("precision=fp16", "batch=16")),
    ],
)
def test_both_sides_of_the_edge(hardware: str, figure: str, target: str, limit: float, more: tuple[str, ...]) -> None:
    unit = {"latency": "s", "energy": "J"}[target]
    found = sim.solve("mobilenet_v2", hardware, figure, f"{target}<={limit}{unit}", settings=list(more))
    assert found.values is not None
    assert found.exact is not None
    assert not found.largest
    axis, (value,), (exact,) = found.axes[0], found.values, found.exact
    assert value >= exact
    key = {"latency": "latency_s", "energy": "energy_j"}[target]
    assert getattr(found.at, key) <= limit
    assert getattr(at(hardware, axis, exact, *more), key) <= limit
    assert getattr(at(hardware, axis, exact * (1 - 1e-9), *more), key) > limit


def test_the_largest_where_less_is_better() -> None:
    found = sim.solve("resnet50", "a100_sxm_80", "power.static=1W..500W", "energy<=50mJ", settings={"precision": "fp16"})
    assert found.largest
    assert found.exact is not None
    assert at("a100_sxm_80", found.axes[0], found.exact[0], "precision=fp16", model="resnet50").energy_j <= 0.05
    assert at("a100_sxm_80", found.axes[0], found.exact[0] * (1 + 1e-9), "precision=fp16", model="resnet50").energy_j > 0.05


def test_capacities_end_where_things_fit() -> None:
    found = sim.solve(
        "mobilenet_v1_025_vww", "stm32h743", "memories.sram.capacity=1KiB..1MiB", "fits", settings=["precision=int8"]
    )
    assert found.exact is not None
    assert found.exact[0] == pytest.approx(found.before.prepared.occupancy.peak_bytes, rel=1e-9)


def test_no_value_suffices_and_why() -> None:
    found = sim.solve("mobilenet_v2", "rpi4", "memories.dram.bandwidth", ["latency<=2ms", "energy<=1J"])
    assert found.values is None
    assert found.missed == ("latency<=2ms",)
    assert found.at.bound == "compute"
    assert found.at.latency_s < found.before.latency_s


def test_already_met_everywhere() -> None:
    found = sim.solve("mobilenet_v2", "rpi4", "memories.dram.bandwidth=1x..2x", "latency<=1s")
    assert found.exact == (12.8e9,)


@settings(max_examples=8, deadline=None)
@given(st.floats(12e-3, 60e-3))
def test_several_figures(limit: float) -> None:
    figures = ["memories.dram.bandwidth=0.2x..8x", "engines.cores.peak.fp32=0.2x..8x"]
    found = sim.solve("mobilenet_v2", "rpi4", figures, f"latency<={limit}s")
    assert found.exact is not None
    files = Files()
    for scale, holds in ((1.0, True), (1 - 1e-7, False)):
        for place in range(2):
            values = [v * (scale if i == place else 1.0) for i, v in enumerate(found.exact)]
            texts = [f"{a.name}={value_text(a, v)}" for a, v in zip(found.axes, values, strict=True)]
            low = found.axes[place].numbers is not None and values[place] < found.axes[place].numbers[0]
            est = case_of(with_settings(Scenario("mobilenet_v2", "rpi4"), texts, files), files).estimate()
            assert low or (est.latency_s <= limit) == holds


def test_the_cheapest_by_a_formula() -> None:
    figures = ["memories.dram.bandwidth=0.2x..8x", "engines.cores.peak.fp32=0.2x..8x"]
    by = {
        name: sim.solve("mobilenet_v2", "rpi4", figures, "latency<=25ms", minimize=name)
        for name in ("memories.dram.bandwidth", "engines.cores.peak.fp32")
    }
    first, second = by.values()
    assert first.values is not None
    assert second.values is not None
    assert first.values[0] < second.values[0]
    assert first.values[1] > second.values[1]


@pytest.mark.parametrize(
    ("vary", "targets", "says"),
    [
        ([], ["latency<=1s"], "a figure to vary"),
        (["memories.dram.bandwidth"], [], "a target"),
        (["memories.dram.bandwdth"], ["latency<=1s"], "did you mean"),
        (["batch"], ["latency<=1s"], "no figure"),
        (["process"], ["latency<=1s"], "cannot be solved for"),
        (["engines.cores.units"], ["latency<=1s"], "is a whole number; sweep it"),
        (["memories.dram.bandwidth"], ["latency"], "states no condition"),
        (["memories.dram.bandwidth"], ["latncy<=1s"], "did you mean 'latency'"),
        (["memories.dram.bandwidth"], ["latency<=1GHz*2"], None),
        (["memories.dram.bandwidth=1GB/s,2GB/s"], ["latency<=1s"], "LOW..HIGH"),
        (["memories.dram.bandwidth", "memories.dram.bandwidth"], ["latency<=1s"], "once each"),
    ],
)
def test_what_is_refused(vary: list[str], targets: list[str], says: str | None) -> None:
    if says is None:
        assert sim.solve("mobilenet_v2", "rpi4", vary, targets).values is not None  # a number is a number
        return
    with pytest.raises(UsageError, match=says):
        sim.solve("mobilenet_v2", "rpi4", vary, targets)


def test_energy_that_is_not_known_is_no_target() -> None:
    with pytest.raises(UsageError, match="stm32h743 has no energy figures"):
        sim.solve("resnet8", "stm32h743", "memories.sram.bandwidth", "energy<=1mJ")


def test_a_target_that_every_machine_meets_is_met_from_the_lower_end() -> None:
    """Bandwidths above that of the cache are of no machine: they miss nothing."""
    found = sim.solve("mobilenet_v2", "rpi4", "memories.dram.bandwidth", "latency<=3600s")
    assert not found.largest
    assert found.axes[0].numbers is not None
    assert found.exact == (found.axes[0].numbers[0],)
