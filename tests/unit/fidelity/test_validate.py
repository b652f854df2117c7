"""Predictions of a measurement file: the estimator's own, grouped, and none lost."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import simulator as sim
from simulator.errors import SimulatorError, UsageError
from simulator.fidelity.measurement import Measurement
from simulator.fidelity.scores import score
from simulator.io.hardware_reader import runtime_path
from simulator.result.estimate import Estimate

ROWS = (
    Measurement("resnet18", "rtx3090", "pytorch_eager", 2e-3, "amp_fp16", 4, family="resnet", label="r18"),
    Measurement("resnet34", "rtx3090", "pytorch_eager", 2e-3, "amp_fp16", 4, family="resnet"),
    Measurement("mobilenet_v2", "rtx3090", "pytorch_eager", 1e-1, "amp_fp16", 4, family="mobilenet"),
    Measurement("ds_cnn", "stm32l4r5", "tflm_cmsis_nn", 0.1, "int8", energy_j=5e-3, peak_memory_bytes=16000, family="kws"),
    Measurement("ds_cnn", "stm32h743", "tflm_cmsis_nn", 0.1, "int8", energy_j=5e-3, family="kws", label="silent"),
)


def estimated(row: Measurement) -> Estimate:
    """What a user would ask for by hand."""
    network = sim.load_model(row.model, batch=row.batch)
    return sim.estimate(network, row.hardware, runtime=row.runtime, precision=row.precision)


def test_predictions_are_the_estimators() -> None:
    found = sim.validate(ROWS)
    assert [row.measured for row in found.rows] == list(ROWS)
    for row in found.rows:
        est = estimated(row.measured)
        assert row.latency_s == est.latency_s
        assert row.energy_j == est.energy_j
        homes = [f for f in est.memory_fit if "activations" in f.holds]
        assert row.peak_memory_bytes == sum(f.needs_bytes for f in homes)


def test_memory_of_several_engines_is_not_compared() -> None:
    row = Measurement("resnet8", "edgetpu_usb", "edgetpu", 1e-3, "int8", peak_memory_bytes=1000)
    found = sim.validate([row])
    assert found.rows[0].peak_memory_bytes is None
    assert found.groups()[0].memory is None


def test_groups() -> None:
    found = sim.validate(ROWS)
    first, second, third = found.groups()
    assert (first.hardware, first.runtime, first.latency.n) == ("rtx3090", "pytorch_eager", 3)
    assert first.latency == score([r.latency_s for r in found.rows[:3]], [r.latency_s for r in ROWS[:3]])
    assert first.energy is first.memory is None
    assert second.energy is not None
    assert second.energy.bias == pytest.approx(found.rows[3].energy_j / 5e-3)
    assert second.memory is not None
    assert second.memory.bias == found.rows[3].peak_memory_bytes / 16000
    assert (third.energy, third.energy_silent) == (None, 1)
    families = found.groups(by_family=True)
    assert [(g.family, g.latency.n) for g in families] == [("resnet", 2), ("mobilenet", 1), ("kws", 1), ("kws", 1)]


def test_the_worst_are_the_farthest_off_in_either_direction() -> None:
    found = sim.validate(ROWS, worst=2)
    ratios = [max(r.ratio, 1 / r.ratio) for r in found.rows]
    assert [max(w.row.ratio, 1 / w.row.ratio) for w in found.worst] == sorted(ratios, reverse=True)[:2]
    worst = found.worst[0]
    est = estimated(worst.row.measured)
    why: Any = sim.explain(est)
    assert worst.bound == est.bound
    assert worst.reason == why.reasons[0].name
    assert worst.reason_share == why.reasons[0].saved_s / est.latency_s
    assert sim.validate(ROWS, worst=0).worst == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "resnet19"}, "no 'resnet19'"),
        ({"model": "gone.onnx"}, "no such file"),
        ({"hardware": "rtx3091"}, "no hardware 'rtx3091'"),
        ({"runtime": "pytorch_egaer"}, "no runtime 'pytorch_egaer'"),
        ({"runtime": "tflm_cmsis_nn"}, "does not run on an engine"),
        ({"precision": "fp17"}, "fp17"),
        ({"hardware": "tpu_v5e", "runtime": "xla", "precision": "fp32"}, "has no fp32 rate"),
    ],
    ids=str,
)
def test_a_row_that_cannot_be_predicted_is_named_and_fails_as_the_estimate_does(change: dict[str, str], words: str) -> None:
    row = replace(ROWS[0], **change)
    found = sim.validate([*ROWS[:2], row])
    (lost,) = found.unpredicted
    assert lost.measured == row
    assert words in lost.reason
    assert len(found.rows) == 2
    with pytest.raises(SimulatorError) as raised:
        estimated(row)
    assert str(raised.value) == lost.reason
    (entry,) = found.to_dict()["unpredicted"]  # type: ignore[misc, attr-defined]
    assert entry["model"] == row.model


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"1 row.* cannot be predicted, the first, r18: .*nonet"):
        sim.validate([replace(ROWS[0], model="nonet")])


def test_no_rows() -> None:
    for call in (sim.validate, lambda rows: sim.calibrate(rows, "onnxruntime")):
        with pytest.raises(UsageError, match="no measurements are given"):
            call([])


def test_another_profile_in_the_place_of_the_catalogues(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    data = yaml.safe_load(runtime_path("tflm_cmsis_nn").read_text(encoding="utf-8"))
    data["profiles"]["simd"]["kernel_overhead"] = "1000000 cycles"
    mine.write_text(yaml.safe_dump(data), encoding="utf-8")
    plain, changed = sim.validate(ROWS), sim.validate(ROWS, runtime=mine)
    assert [a.latency_s < b.latency_s for a, b in zip(plain.rows, changed.rows, strict=True)] == [False] * 3 + [True] * 2
    with pytest.raises(UsageError, match="no row is under the runtime 'tflm_cmsis_nn'"):
        sim.validate(ROWS[:3], runtime=mine)


def test_the_object_is_strict_json() -> None:
    data = json.loads(json.dumps(sim.validate(ROWS).to_dict(), allow_nan=False))
    assert data["rows"] == data["predicted"] == len(data["predictions"]) == len(ROWS)
    assert data["groups"][1]["latency"]["rank"] is None  # of one row
    assert data["groups"][0]["latency"]["n"] == 3
    assert {w["label"] or w["model"] for w in data["worst"]} <= {r.name for r in ROWS}
