"""Laws of recommendations, for any limits."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulator as sim
from simulator.io.hardware_reader import load_runtime
from simulator.result.quantities import NEED_STATIC_POWER
from simulator.study.compare import value_of
from simulator.study.recommend import CAPACITY, recommend
from simulator.study.runs import Accuracy, Network, Run, Station, runs

UNITS = {"latency": "s", "memory": "B", "size": "B", "energy": "J", "throughput": "/s", "accuracy": ""}


@lru_cache(maxsize=1)
def candidates() -> tuple[Run, ...]:
    """Networks of several widths on machines with and without energies and precisions."""
    names = [f"mobilenet_v1:width={width},resolution={size}" for width in (0.25, 0.5, 1.0) for size in (64, 128)]
    networks = [
        Network(
            name, sim.load_model(name), lambda precision, n=n: Accuracy(40 + 5 * n - (precision == "int8"), "top1_percent", "d")
        )
        for n, name in enumerate(names)
    ]
    specs = [sim.load_hardware(name) for name in ("stm32h743", "gap9", "hailo8", "rtx4090")]
    return tuple(runs(networks, [Station(spec, load_runtime(spec.runtime or "ideal")) for spec in specs], ["fp32", "int8"]))


@st.composite
def limits(draw: st.DrawFn) -> dict[str, float]:
    """Limits on some figures, around values that the candidates have."""
    chosen = {}
    for name in draw(st.sets(st.sampled_from(sorted(UNITS)), max_size=4)):
        values = sorted(v for run in candidates() if (v := value_of(run, name)) is not None)
        chosen[name] = draw(st.sampled_from(values)) * draw(st.floats(0.5, 2))
    return chosen


def texts(values: dict[str, float]) -> dict[str, str]:
    return {name: f"{value!r} {UNITS[name]}".strip() for name, value in values.items()}


@pytest.mark.parametrize("choice", ["models", "machines"])
@given(limits())
def test_every_candidate_is_in_one_place_and_sorted(choice: str, values: dict[str, float]) -> None:
    found = recommend(choice, "x", candidates(), texts(values))  # type: ignore[arg-type]
    places = [id(j.run) for j in (*found.met, *found.missed)] + [id(run) for run in found.impossible]
    assert sorted(places) == sorted(map(id, candidates()))
    if choice == "models":
        ranks = [-j.run.accuracy.value for j in found.met if j.run.accuracy]
    else:
        ranks = [j.run.station.power_w or float("inf") for j in found.met]
    assert len(ranks) == len(found.met)
    assert ranks == sorted(ranks)


@given(limits())
def test_margins_tell_what_is_met(values: dict[str, float]) -> None:
    found = recommend("models", "x", candidates(), texts(values))
    for judged in (*found.met, *found.missed):
        assert set(judged.margins) == {*values, CAPACITY}
        assert (CAPACITY in judged.missed) == (not judged.run.runs)
        for name, limit in values.items():
            value = value_of(judged.run, name)
            meets = value is not None and (value >= limit if name in ("throughput", "accuracy") else value <= limit)
            at_least = name in NEED_STATIC_POWER and judged.run.estimate.energy_is_least  # type: ignore[union-attr]
            if meets and at_least:  # it may be more
                assert judged.margins[name] is None
                continue
            assert (name not in judged.missed) == meets
            if value is not None:
                assert abs(judged.margins[name]) == pytest.approx(abs(value - limit) / limit)  # type: ignore[arg-type]
    assert all(not judged.missed for judged in found.met)
    assert all(judged.missed for judged in found.missed)


@given(limits(), st.data())
def test_a_looser_limit_loses_nobody(values: dict[str, float], data: st.DataObject) -> None:
    tight = recommend("models", "x", candidates(), texts(values))
    factors = {name: data.draw(st.floats(1, 10), name) for name in values}
    looser = {
        name: value / factors[name] if name in ("throughput", "accuracy") else value * factors[name]
        for name, value in values.items()
    }
    if looser.get("accuracy", 40) <= 1:
        return  # refused: per cent are meant
    loose = recommend("models", "x", candidates(), texts(looser))
    assert {id(j.run) for j in tight.met} <= {id(j.run) for j in loose.met}


@given(limits())
def test_dropping_a_limit_lets_through_what_missed_it_alone(values: dict[str, float]) -> None:
    found = recommend("models", "x", candidates(), texts(values))
    for name in values:
        without = recommend("models", "x", candidates(), texts({k: v for k, v in values.items() if k != name}))
        assert len(without.met) == len(found.met) + found.alone.get(name, 0)
