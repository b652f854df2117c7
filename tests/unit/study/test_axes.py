"""Axes as people write them."""

import numpy as np
import pytest

from simulator.errors import SimulatorError, UsageError
from simulator.loading import Files
from simulator.study.axes import axis_of, value_text
from simulator.study.scenario import Case, Scenario, case_of

FILES = Files()


def case(hardware: str = "a100_sxm_80") -> Case:
    return case_of(Scenario("resnet8", hardware), FILES)


@pytest.mark.parametrize(
    ("text", "key", "numbers"),
    [
        ("memories.hbm.bandwidth=1TB/s,2TB/s", "memories.hbm.bandwidth_bytes_per_s", [1e12, 2e12]),
        ("memories.hbm.bandwidth=0.5x,1x", "memories.hbm.bandwidth_bytes_per_s", [1019.5e9, 2039e9]),
        ("memories.hbm.bandwidth=1TB/s..3TB/s:lin:3", "memories.hbm.bandwidth_bytes_per_s", [1e12, 2e12, 3e12]),
        ("memories.hbm.bandwidth=1GB/s..100GB/s:log:3", "memories.hbm.bandwidth_bytes_per_s", [1e9, 1e10, 1e11]),
        ("memories.l2.capacity=1MiB..8MiB:x2", "memories.l2.capacity_bytes", [2**20, 2**21, 2**22, 2**23]),
        ("engines.tensor.clock=1GHz,1.5GHz", "engines.tensor.clock_hz", [1e9, 1.5e9]),
        ("memories.hbm.latency=0us..1us:lin:3", "memories.hbm.latency_s", [0, 5e-7, 1e-6]),  # the file gives none
        ("memories.hbm.achieved=0.5,1", "memories.hbm.achieved", [0.5, 1.0]),
        ("runtime.bandwidth=0.5..0.9:lin:3", "runtime.bandwidth", [0.5, 0.7, 0.9]),
        ("power.static=10W", "power.static_w", [10.0]),
    ],
)
def test_figures(text: str, key: str, numbers: list[float]) -> None:
    axis = axis_of(text, case())
    assert axis.key == key
    assert axis.numbers is not None
    assert np.allclose(axis.numbers, numbers, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("batch=1,2,4", ("1", "2", "4")),
        ("batch=1..4", ("1", "2", "3", "4")),
        ("batch=1..100:log:3", ("1", "10", "100")),
        ("batch=1..64:x2", ("1", "2", "4", "8", "16", "32", "64")),
        ("width=0.25..1:lin:4", ("0.25", "0.5", "0.75", "1")),
        ("precision=fp16, int8", ("fp16", "int8")),
        ("precision=int8,fp16@*fc*;fp16", ("int8,fp16@*fc*", "fp16")),
        ("memories.l2.kind=cache,scratchpad", ("cache", "scratchpad")),
    ],
)
def test_settings(text: str, texts: tuple[str, ...]) -> None:
    axis = axis_of(text, case())
    assert axis.numbers is None
    assert axis.texts == texts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("memories.hbm.bandwdth=1TB/s", "did you mean 'memories.hbm.bandwidth'"),
        ("memories.dram.bandwidth=1TB/s", "it has l2, hbm"),
        ("memories.hbm.bandwidth=1..2", "no unit"),
        ("memories.hbm.bandwidth=1GHz", "not one of bytes per s"),
        ("memories.hbm.bandwidth=2TB/s..1TB/s", "is empty"),
        ("memories.hbm.bandwidth=1TB/s..2TB/s:log:1", "from 2 to"),
        ("memories.hbm.bandwidth=1TB/s..2TB/s:cubic:9", "LOW..HIGH"),
        ("memories.hbm.bandwidth=1TB/s..2TB/s:x2:9", "leave the last"),
        ("memories.hbm.bandwidth=-1GB/s,1GB/s", "must be more than 0"),
        ("memories.hbm.bandwidth=0x,1x", "more than 0"),
        ("memories.hbm.latency=2x", "to multiply"),
        ("memories.hbm.achieved=0.5,1.5", "above 1"),
        ("memories.hbm=1", "is a section"),
        ("memories.hbm.bandwidth=1TB/s,1TB/s", "twice"),
        ("memories.hbm.bandwidth=1TB/s,", "missing"),
        ("memories.hbm.latency=0us..1us:log:3", "above 0"),
        ("batch", "write NAME=VALUES"),
        ("batch=", "write NAME=VALUES"),
        ("precision=fp16..int8", "no number"),
        ("batch=1..inf", "no number"),
        ("batch=1..1e300", "batch: 1e+300 values"),
        ("engines.tensor.units=1.5,2", "whole numbers"),
        ("memories.hbm.bandwidth=nan,1TB/s", "memories.hbm.bandwidth: 'nan' is not a quantity"),
        ("memories.hbm.bandwidth=1e308x", "out of range"),
        ("memories.hbm.bandwidth=1x,1e308x", "out of range"),
    ],
)
def test_what_is_no_axis(text: str, says: str) -> None:
    with pytest.raises(SimulatorError) as refused:
        axis_of(text, case())
    assert says in str(refused.value).replace("'0x'", "0x")


def test_by_the_clock_or_not() -> None:
    """A figure that the file has per cycle may be an axis per second, but not half of it."""
    axis = axis_of("memories.sram.bandwidth=1GB/s,2GB/s", case("stm32h743"))
    assert not axis.per_cycle
    assert axis.seed == "1GB/s"
    own = axis_of("memories.sram.bandwidth=4B/cycle,8B/cycle", case("stm32h743"))
    assert own.key == "memories.sram.bandwidth_bytes_per_s_per_cycle"
    assert value_text(own, 8.0) == "8.0 B/cycle"
    with pytest.raises(SimulatorError, match="by the clock"):
        axis_of("memories.sram.bandwidth=4B/cycle,2GB/s", case("stm32h743"))


def test_relative_values_and_contradictions_are_left_to_the_study() -> None:
    axis = axis_of("memories.hbm.bandwidth=1x..100x:log:5", case())  # far above the cache before it
    assert axis.numbers is not None
    assert axis.numbers[-1] == pytest.approx(203.9e12)


def test_value_texts_lose_nothing() -> None:
    axis = axis_of("memories.hbm.bandwidth=0.1x..1x:log:50", case())
    assert axis.numbers is not None
    for number in axis.numbers.tolist():
        back = axis_of(f"memories.hbm.bandwidth={value_text(axis, number)}", case())
        assert back.numbers is not None
        assert back.numbers[0] == number


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("engines.tensor.units=1..4", [1, 2, 3, 4]),
        ("engines.tensor.units=1..16:x2", [1, 2, 4, 8, 16]),
        ("engines.tensor.units=1..4:log:9", [1, 2, 3, 4]),
        ("engines.tensor.units=0.5x,1x", [54, 108]),
    ],
)
def test_units_are_whole_numbers(text: str, numbers: list[float]) -> None:
    axis = axis_of(text, case())
    assert axis.numbers is not None
    assert axis.numbers.tolist() == numbers
    assert axis.spacing is None  # samples take these, and nothing between them


def test_too_many_values() -> None:
    with pytest.raises(UsageError, match="10,000,000"):
        axis_of("memories.hbm.bandwidth=1GB/s..2GB/s:lin:99999999", case())
