"""Recommendations: limits as people write them, margins, ranks, and what is said when nothing meets them."""

import json

import pytest

import simulator as sim
from simulator import zoo
from simulator.errors import PrecisionError, UnitError, UsageError
from simulator.study.recommend import CAPACITY, Limit, Recommendation, judge, limit_of, recommend

# ---- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("latency", "100ms", 0.1), ("latency", "2 s", 2.0), ("memory", "320KiB", 320 * 1024), ("size", "1 MB", 1e6),
        ("energy", "2mJ", 2e-3), ("throughput", "30/s", 30.0), ("throughput", "6/min", 0.1), ("accuracy", "70", 70.0),
        ("accuracy", "70 %", 70.0), ("accuracy", 70, 70.0), ("power", "5 W", 5.0), ("macs", "1e6", 1e6),
    ],
)  # fmt: skip
def test_limits_are_read_in_the_unit_of_their_figure(name: str, text: str | float, value: float) -> None:
    assert limit_of(name, text) == Limit(name, pytest.approx(value), str(text))


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("latency", "100", UnitError, r"limit of latency: '100' has no unit; write '5 us'"),
        ("latency", "100MiB", UnitError, "limit of latency: '100MiB': unit 'MiB' is not one of seconds"),
        ("latency", "100 cycles", UnitError, "in cycles"),
        ("memory", "320 Kib", UnitError, "limit of memory: "),
        ("energy", "2 W", UnitError, "limit of energy: "),
        ("throughput", "30", UnitError, "limit of throughput: "),
        ("accuracy", "high", UnitError, "limit of accuracy: 'high' is not a quantity"),
        ("latency", "0 s", UsageError, "limit of latency: 0 s is not above 0"),
        ("latency", "-1 s", UsageError, "not above 0"),
        ("speed", "1 s", UsageError, "no figure 'speed'"),
    ],
)
def test_limits_that_cannot_be_read(name: str, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        limit_of(name, text)


def test_margins_are_shares_of_the_limit() -> None:
    most, least = limit_of("latency", "100ms"), limit_of("accuracy", 50)
    assert most.margin(0.08) == pytest.approx(0.2)
    assert most.margin(0.15) == pytest.approx(-0.5)
    assert least.margin(60) == pytest.approx(0.2)
    assert least.margin(40) == pytest.approx(-0.2)
    assert most.margin(None) is None
    assert (most.text, least.text) == ("latency ≤ 100ms", "accuracy ≥ 50")


def test_a_value_on_the_limit_meets_it() -> None:
    assert limit_of("latency", "100ms").margin(0.1) == 0


# ---- networks for a machine -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Recommendation:
    """What an STM32H743 does within a second, among the networks with accuracies on ImageNet."""
    return sim.recommend(hardware="stm32h743", limits={"latency": "1 s", "accuracy": 45}, precisions=["int8"])


def test_all_variants_with_published_accuracy_are_candidates(small: Recommendation) -> None:
    names = [row["model"] for row in small.rows()]
    assert sorted(map(str, names)) == sorted(zoo.with_accuracy(zoo.TASKS["imagenet"]))


def test_what_meets_the_limits_is_ranked_by_accuracy(small: Recommendation) -> None:
    values = [judged.run.accuracy.value for judged in small.met if judged.run.accuracy]
    assert len(values) == len(small.met) > 3
    assert values == sorted(values, reverse=True)
    assert all(value >= 45 for value in values)


def test_rows_hold_their_estimates_and_margins(small: Recommendation) -> None:
    for judged in small.met[:3]:
        run = judged.run
        est = sim.estimate(run.network.name, "stm32h743", precision="int8")
        assert run.accuracy is not None
        assert judged.margins["latency"] == pytest.approx(1 - est.latency_s / 1.0)
        assert judged.margins["accuracy"] == pytest.approx(run.accuracy.value / 45 - 1)
        assert judged.margins[CAPACITY] == pytest.approx(min(1 - f.needs_bytes / f.capacity_bytes for f in est.memory_fit))
        assert est.fits
        assert judged.tightest == min(judged.margins.items(), key=lambda item: item[1])


def test_capacities_always_count(small: Recommendation) -> None:
    free = sim.recommend(hardware="stm32h743", limits={}, precisions=["int8"])
    assert {j.run.network.name for j in small.met} < {j.run.network.name for j in free.met}
    assert all(judged.missed == (CAPACITY,) for judged in free.missed)
    assert all((not judged.run.runs) for judged in free.missed)


def test_misses_are_counted_by_limit_and_the_nearest_comes_first(small: Recommendation) -> None:
    for name, count in small.missed_by.items():
        assert count == sum(name in judged.missed for judged in small.missed)
    shortfalls = [judged.tightest[1] for judged in small.missed if judged.tightest]
    assert shortfalls == sorted(shortfalls, reverse=True)
    assert small.nearest is small.missed[0]


def test_what_dropping_a_limit_would_let_through(small: Recommendation) -> None:
    for name, count in small.alone.items():
        if name != CAPACITY:
            kept = {limit.name: limit.given for limit in small.limits if limit.name != name}
            looser = sim.recommend(hardware="stm32h743", limits=kept, precisions=["int8"])
            assert len(looser.met) == len(small.met) + count


def test_float_accuracy_stands_in_and_says_so() -> None:
    found = sim.recommend(hardware="hailo8", limits={"accuracy": 60}, precisions=["int8"])
    marked = {j.run.network.name: j.run.accuracy.of_float for j in found.met if j.run.accuracy}
    assert marked["mobilenet_v2:width=0.5,resolution=160"] is True
    assert marked["resnet50"] is False
    assert any("float network" in note for note in found.notes())


def test_targets_are_called_targets() -> None:
    found = sim.recommend(hardware="gap9", limits={}, task="keywords")
    assert [j.run.network.name for j in found.met] == ["ds_cnn", "ds_cnn"]
    assert any("quality target" in note for note in found.notes())


def test_precisions_that_the_machine_lacks_are_not_dropped() -> None:
    found = sim.recommend(hardware="hailo8", limits={}, task="cifar10", precisions=["fp32", "int8"])
    assert [judged.run.precision for judged in found.met] == ["int8"]
    assert [run.precision for run in found.impossible] == ["fp32"]
    assert "no fp32 rate" in str(found.impossible[0].reason)
    row = found.rows()[-1]
    assert (row["meets"], row["missed"]) == (None, None)


def test_limits_on_what_is_not_known_are_not_met() -> None:
    found = sim.recommend(hardware="stm32h743", limits={"energy": "1 J", "latency": "10 s"}, task="cifar10")
    assert not found.met
    assert found.unknown == {"energy": 2}
    assert all(judged.margins["energy"] is None and judged.missed == ("energy",) for judged in found.missed)
    assert found.alone == {"energy": 2}


# ---- machines for a network -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machines() -> Recommendation:
    return sim.recommend(model="resnet8", limits={"latency": "10ms"})


def test_machines_are_ranked_by_power_and_those_without_come_last(machines: Recommendation) -> None:
    powers = [judged.run.station.power_w for judged in machines.met]
    known = [power for power in powers if power is not None]
    assert known == sorted(known)
    assert None in powers
    assert None not in powers[: len(known)]


def test_every_machine_is_a_candidate(machines: Recommendation) -> None:
    from simulator.io.hardware_reader import hardware_ids

    names = {str(row["hardware"]).partition(":")[0] for row in machines.rows()}
    assert names == set(hardware_ids())


def test_modes_are_candidates_where_they_differ(machines: Recommendation) -> None:
    names = {str(row["hardware"]) for row in machines.rows()}
    assert {"jetson_orin_nano", "jetson_orin_nano:7W"} <= names
    assert "jetson_orin_nano:15W" not in names  # what it does by default


def test_accuracy_limits_machines_by_precision() -> None:
    found = sim.recommend(model="mobilenet_v1", limits={"accuracy": 70}, precisions=["fp32", "int8"])
    assert {judged.run.precision for judged in found.met} == {"fp32"}  # int8 reaches 69.7


# ---- results and bad input --------------------------------------------------------------------------------------------


def test_the_object_is_json_and_the_rows_are_csv(machines: Recommendation) -> None:
    data = json.loads(json.dumps(machines.to_dict(), allow_nan=False))
    assert data["choice"] == "machines"
    assert data["limits"] == [{"figure": "latency_s", "better": "less", "value": 0.01}]
    assert data["counts"]["met"] + data["counts"]["missed"] + data["counts"]["impossible"] == len(data["rows"])
    assert data["nearest_miss"]["meets"] is False
    assert len(machines.to_csv().splitlines()) == len(data["rows"]) + 1
    assert "<table>" in machines._repr_html_()


def test_frames_have_a_row_a_candidate(machines: Recommendation) -> None:
    pytest.importorskip("pandas")
    assert list(machines.to_frame()["hardware"]) == [row["hardware"] for row in machines.rows()]


def test_nothing_is_an_answer() -> None:
    found = recommend("models", "m", [], {"latency": "1 s"})
    assert (found.met, found.nearest, found.missed_by) == ((), None, {})
    assert found.rows() == []
    assert found.to_csv() == ""
    assert "nothing" in found._repr_html_()


def test_what_has_no_estimate_cannot_be_judged() -> None:
    (run,) = sim.recommend(hardware="hailo8", limits={}, task="cifar10", precisions=["fp32"]).impossible
    with pytest.raises(ValueError, match="resnet8 on hailo8"):
        judge(run, [])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, UsageError, "either hardware"),
        ({"hardware": "gap9", "model": "resnet8"}, UsageError, "either hardware"),
        ({"hardware": "gap9", "task": "imagenett"}, UsageError, "no task 'imagenett'; did you mean 'imagenet'"),
        ({"hardware": "gap9", "precisions": ["int9"]}, PrecisionError, "no precision 'int9'"),
        ({"hardware": "gap9", "limits": {"latency": "1"}}, UnitError, "limit of latency"),
        ({"hardware": "gap9", "limits": {"latenzy": "1 s"}}, UsageError, "did you mean 'latency'"),
        ({"hardware": "gap9", "limits": {"accuracy": "0.7"}, "task": "cifar10"}, UsageError, "per cent; for 0.7 write 70"),
        ({"hardware": "gap9", "limits": {"accuracy": "85"}, "task": "anomaly"}, UsageError, "from 0 to 1"),
    ],
)
def test_bad_input(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sim.recommend(**{"limits": {}, **options})  # type: ignore[arg-type]


def test_batch_and_runtime_are_those_asked_for() -> None:
    plain, batched = (sim.recommend(hardware="rpi4", limits={"latency": "10s"}, task="cifar10", batch=b) for b in (1, 4))
    latencies = [found.met[0].run.estimate.latency_s for found in (plain, batched)]
    assert latencies[1] > 2 * latencies[0]
    ideal = sim.recommend(hardware="rpi4", limits={"latency": "10s"}, task="cifar10", runtime="ideal")
    assert ideal.met[0].run.estimate.runtime.id == "ideal"
    with pytest.raises(UsageError, match="each machine's own"):
        sim.recommend(model="resnet8", limits={"latency": "10s"}, runtime="ideal")
