"""Battery life: its formula from symbols, what waiting costs, what cannot be read, what cannot be done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.errors import UnitError, UsageError
from simulator.estimator import estimate
from simulator.result.battery import battery_life, read_battery_j, read_rate_per_s
from simulator.result.estimate import Estimate


def of_power(batch: int = 1, **power: str) -> Estimate:
    """A product that takes 1 ms a batch: 64³ · batch MACs at just that rate."""
    network = loaded(model([node("MatMul", "x w", "y")], [value("x", batch, 64, 64)], ["y"], [weight("w", 64, 64)]), batch=batch)
    peak = f"{64**3 * batch / 1e-3!r} MAC/s"
    machine = hardware(power=power, engines=[{"id": "core", "kind": "simd", "peak": {"fp32": peak}}])
    est = estimate(network, machine, runtime())
    assert est.latency_s == pytest.approx(1e-3, rel=1e-12)
    return est


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        ("220mAh@3V", 0.22 * 3600 * 3),
        (" 220 mAh @ 3 V ", 0.22 * 3600 * 3),
        ("1.5Ah@3.7V", 1.5 * 3600 * 3.7),
        ("2 Wh", 7200),
        ("150mWh", 540),
        ("5kJ", 5000),
        ("5000", None),
        ("220mAh", None),
        ("220mAh@", None),
        ("@3V", None),
        ("220mA@3V", None),
        ("220mAh@3A", None),
        ("3V@220mAh", None),
        ("1Ah@3V@3V", None),
        ("0Wh", None),
        ("0Ah@3V", None),
        ("-2Wh", None),
        ("nanWh", None),
        ("1e99J", None),
        ("", None),
        ("lots", None),
    ],
)
def test_batteries(text: str, joules: float | None) -> None:
    if joules is None:
        with pytest.raises(UnitError):
            read_battery_j(text)
    else:
        assert read_battery_j(text) == pytest.approx(joules, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("220mAh", ["is a charge", "220mAh@3V"]),
        ("220mA@3V", ["220mA@3V", "did you mean 'mAh'"]),
        ("lots", ["'lots' is not a battery", "220mAh@3V", "2 Wh"]),
    ],
)
def test_messages_name_the_cure(text: str, words: list[str]) -> None:
    with pytest.raises(UnitError) as caught:
        read_battery_j(text)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("text", "per_s"), [("1/s", 1), ("0.2/s", 0.2), ("1/min", 1 / 60), ("12/h", 1 / 300), ("1/day", 1 / 86400)]
)
def test_rates(text: str, per_s: float) -> None:
    assert read_rate_per_s(text) == pytest.approx(per_s, rel=1e-12)


@pytest.mark.parametrize("text", ["1", "1 s", "0/s", "-1/s", "1/year", "often", ""])
def test_no_rates(text: str) -> None:
    with pytest.raises(UnitError):
        read_rate_per_s(text)


rates = st.floats(1e-3, 999.0)
watts = st.floats(1e-6, 10.0)


@given(rates, watts, watts)
def test_battery_over_mean_power(rate: float, active_w: float, idle_w: float) -> None:
    life = battery_life(of_power(active=f"{active_w!r} W", idle=f"{idle_w!r} W"), "100 J", f"{rate!r}/s")
    busy = rate * 1e-3
    assert life.busy_share == pytest.approx(busy, rel=1e-9)
    assert life.average_w == pytest.approx(active_w * busy + idle_w * (1 - busy), rel=1e-9)
    assert life.life_s == pytest.approx(100 / (active_w * busy + idle_w * (1 - busy)), rel=1e-9)
    assert life.warnings == ()


@given(rates, rates, watts)
def test_more_often_is_never_longer(one: float, other: float, active_w: float) -> None:
    est = of_power(active=f"{active_w!r} W")
    rare, often = (battery_life(est, "1 Wh", f"{rate!r}/s").life_s for rate in sorted((one, other)))
    assert rare is not None
    assert often is not None
    assert often <= rare * (1 + 1e-12)


def test_twice_the_battery_lasts_twice_as_long() -> None:
    est = of_power(active="2 mW", idle="1 uW")
    one, two = (battery_life(est, battery, "1/s").life_s for battery in ("100mAh@3V", "200mAh@3V"))
    assert two == 2 * (one or 0)


def test_without_idle_power_sleep_is_not_counted_and_that_is_said() -> None:
    life = battery_life(of_power(active="2 W"), "10 J", "10/s")
    assert life.life_s == pytest.approx(10 / (2 * 1e-3 * 10))
    assert life.idle_w is None
    assert life.life_text.startswith("at most")
    assert "no idle power" in life.warnings[0]


def test_static_power_flows_while_waiting() -> None:
    """Where no idle power is given: what flows always flows then too."""
    assert battery_life(of_power(active="2 W", static="1 W"), "10 J", "10/s").idle_w == 1
    assert battery_life(of_power(active="2 W", static="1 W", idle="0.5 W"), "10 J", "10/s").idle_w == 0.5


def test_without_energy_there_is_no_life_and_that_is_said() -> None:
    life = battery_life(of_power(), "10 J", "10/s")
    assert (life.life_s, life.average_w) == (None, None)
    assert life.to_dict()["life_s"] is None
    assert "not known" in life.life_text
    assert life.warnings


def test_a_rate_counts_inferences_not_batches() -> None:
    one, four = (battery_life(of_power(batch, active="2 W"), "10 J", "10/s") for batch in (1, 4))
    assert four.busy_share == pytest.approx(one.busy_share / 4)
    assert four.life_s == pytest.approx(4 * (one.life_s or 0))


def test_a_rate_beyond_the_machine_is_refused() -> None:
    est = of_power(active="2 W")
    assert battery_life(est, "10 J", "999/s").busy_share == pytest.approx(0.999)
    with pytest.raises(UsageError, match=r"cannot keep up with 1001/s: 1 ms per run are at most 1 k/s"):
        battery_life(est, "10 J", "1001/s")
