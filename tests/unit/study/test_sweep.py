"""Sweeps from Python: what varies, what is kept, what is counted."""

import math

import numpy as np
import pytest

import simulator as sim
from simulator.errors import NotFoundError, PrecisionError, SimulatorError, UnitError, UsageError
from simulator.study.recipe import Study
from simulator.study.result import Best, better_of
from simulator.study.sweep import Tally

BANDWIDTH = "memories.hbm.bandwidth=0.5x,1x"


def test_every_combination_in_order() -> None:
    found = sim.sweep(["resnet8", "ds_cnn"], "a100_sxm_80", vary=[BANDWIDTH, "batch=1,2"])
    assert len(found) == 8
    assert found["model"].tolist() == ["resnet8"] * 4 + ["ds_cnn"] * 4
    assert found["memories.hbm.bandwidth"].tolist() == [1019.5e9, 1019.5e9, 2039e9, 2039e9] * 2
    assert found["batch"].tolist() == [1, 2] * 4
    assert np.allclose(found["throughput"], found["batch"] / found["latency"])
    assert np.allclose(found["power"], found["energy"] / found["latency"])


def test_a_row_is_the_estimate() -> None:
    found = sim.sweep("resnet50", "a100_sxm_80", vary={"batch": "1,8"}, settings={"precision": "fp16"})
    est = sim.estimate(sim.load_model("resnet50", batch=8), "a100_sxm_80", precision="fp16")
    assert (found["latency"][1], found["energy"][1], found["bound"][1]) == (est.latency_s, est.energy_j, est.bound)
    assert found["memory"][1] == est.prepared.occupancy.peak_bytes
    assert found["size"][1] == est.work.footprint.weight_bytes


def test_loaded_networks_and_machines() -> None:
    model, spec = sim.load_model("resnet8"), sim.load_hardware("rpi4")
    found = sim.sweep([model], [spec], vary=["memories.dram.bandwidth=1x,2x"])
    assert found["latency"][0] == sim.estimate(model, spec).latency_s
    refused = sim.sweep([model], [spec], vary=["batch=1,2"])
    assert len(refused) == 0
    assert all("read already" in reason for reason in refused.tally.without)
    with pytest.raises(UsageError, match="read already"):
        sim.sweep([model], [spec], settings=["batch=2"])


def test_where_and_derive() -> None:
    plain = sim.sweep("resnet8", "rpi4", vary=["memories.dram.bandwidth=0.1x..2x:log:50"])
    limit = float(np.median(plain["latency"]))
    found = sim.sweep(
        "resnet8", "rpi4", vary=["memories.dram.bandwidth=0.1x..2x:log:50"], where=[f"latency <= {limit}s", "edp > 0"],
        derive={"edp": "energy * latency", "gigabytes": "memories.dram.bandwidth / 1GB/s"},
    )  # fmt: skip
    assert 0 < found.tally.kept < found.tally.seen == 50
    assert found.tally.kept + found.tally.excluded == 50
    assert (found["latency"] <= limit).all()
    assert np.allclose(found["edp"], found["energy"] * found["latency"])
    assert np.allclose(found["gigabytes"], found["memories.dram.bandwidth"] / 1e9)


def test_contradictions_are_counted_not_hidden() -> None:
    found = sim.sweep("resnet8", "a100_sxm_80", vary=["memories.hbm.bandwidth=1x..100x:log:20"])
    (reason, count), *others = found.tally.without.items()
    assert "slower" in reason
    assert not others
    assert len(found) + count == 20


def test_what_a_machine_cannot_do_is_counted() -> None:
    found = sim.sweep("resnet8", ["a100_sxm_80", "edgetpu_usb"], vary=["precision=fp16,bf16"])
    assert len(found) == 4 - sum(found.tally.without.values())
    for hardware in ("a100_sxm_80", "edgetpu_usb"):
        for precision in ("fp16", "bf16"):
            rows = (found["hardware"] == hardware) & (found["precision"] == precision)
            try:
                est = sim.estimate("resnet8", hardware, precision=precision)
            except SimulatorError as error:
                assert not rows.any()
                assert found.tally.without[str(error)] > 0  # noqa: PT017
            else:
                assert found["latency"][rows].tolist() == [est.latency_s]


def test_changes_and_recipe_parameters_are_axes() -> None:
    found = sim.sweep("mobilenet_v1", "rpi4", vary=["width=0.25,1", "sparsity=0,0.9", "resolution=128,224"])
    assert len(found) == 8
    sizes = found["size"].reshape(2, 2, 2)
    assert (sizes[:, 0, 0] > 2 * sizes[:, 1, 0]).all()  # nine in ten weights gone
    assert (sizes[:, :, 0] == sizes[:, :, 1]).all()  # the resolution changes no weight


def test_modes_and_runtimes_are_axes() -> None:
    found = sim.sweep("resnet8", "jetson_orin_nano", vary=["mode=7W,15W", "runtime=ideal,tensorrt"], settings=["precision=int8"])
    latency = found["latency"].reshape(2, 2)
    assert (latency[0] >= latency[1]).all()
    assert latency[0, 0] > latency[1, 0]
    assert (latency[:, 1] > latency[:, 0]).all()


def test_samples_repeat_by_their_seed() -> None:
    vary = ["memories.dram.bandwidth=0.5x..2x", "engines.cores.clock=1GHz..2GHz", "batch=1,2"]
    first, again, other = (sim.sweep("resnet8", "rpi4", vary=vary, sample=40, seed=seed) for seed in (1, 1, 2))
    assert (first["latency"] == again["latency"]).all()
    assert not (first["latency"] == other["latency"]).all()
    assert ((first["engines.cores.clock"] >= 1e9) & (first["engines.cores.clock"] <= 2e9)).all()
    slices = np.floor(np.log(first["memories.dram.bandwidth"] / 6.4e9) / math.log(4) * 40).astype(int)
    assert sorted(np.clip(slices, 0, 39).tolist()) == list(range(40))


@pytest.mark.parametrize(
    ("vary", "error", "says"),
    [
        (["memories.dram.bandwdth=1GB/s"], UsageError, "did you mean"),
        (["bach=1,2"], UsageError, "did you mean 'batch'"),
        (["precision=fp17"], PrecisionError, "no precision 'fp17'"),
        (["runtime=nothing"], NotFoundError, "no runtime"),
        (["overlap=some"], UsageError, "no overlap policy"),
        (["batch=1,2", "batch=3"], UsageError, "varies twice"),
        (["batch=0"], UsageError, "above 0"),
        (["model=resnet18"], UsageError, "several networks"),
        (["hardware=rpi4,a100_sxm_80"], UsageError, "several machines by --hw"),
        (["input.input=1x3xq"], UsageError, "input.input=1x3xq: write whole numbers"),
        (["engines.cores.clock=1GHz..2GHz:lin:1000000", "memories.dram.bandwidth=0.5x..2x:log:1000000"], UsageError, "--sample"),
    ],
)
def test_what_is_refused(vary: list[str], error: type[SimulatorError], says: str) -> None:
    with pytest.raises(error, match=says):
        sim.sweep("resnet8", "rpi4", vary=vary)


@pytest.mark.parametrize(
    ("formulas", "says"),
    [
        ({"where": ["latncy<1"]}, "did you mean 'latency'"),
        ({"derive": {"latency": "1"}}, "already"),
        ({"derive": ["x"]}, "NAME=FORMULA"),
        ({"derive": {"batch": "1"}}, "already"),
        ({"derive": ["x=1", "x=2"]}, "already"),
        ({"where": ["latency"]}, "states no condition"),
        ({"derive": ["x=latency*2"], "where": ["x"]}, "states no condition"),
    ],
)
def test_formulas_are_checked_first(formulas: dict[str, list[str]], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sim.sweep("resnet8", "rpi4", vary=["batch=1,2"], **formulas)


def test_units_of_formulas_are_checked_first() -> None:
    for where in ("latency<=33mJ", "memories.dram.bandwidth<1GHz", "traffic<1s", "accuracy>70%"):
        with pytest.raises(UnitError):
            sim.sweep("resnet8", "rpi4", vary=["memories.dram.bandwidth=0.5x,1x"], where=[where])


def test_what_a_formula_found_may_be_a_condition() -> None:
    found = sim.sweep("resnet8", "rpi4", vary=["batch=1,64"], derive=["quick=latency<10ms"], where=["not quick and fits"])
    assert found["batch"].tolist() == [64]


def test_misspelt_networks_are_refused_before_anything_is_reckoned() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'resnet50'"):
        sim.sweep(["resnet8", "resnet5"], "rpi4")
    with pytest.raises(NotFoundError, match="no such file"):
        sim.sweep(["resnet8", "absent.onnx"], "rpi4")


def test_accuracy_is_of_the_resolution_that_it_was_published_at() -> None:
    found = sim.sweep("mobilenet_v2", "rpi4", vary=["resolution=160x224,224"])
    assert np.isnan(found["accuracy"][0])
    assert found["accuracy"][1] > 70
    assert np.isnan(sim.sweep("mobilenet_v2", "rpi4", vary=["input.input=1x3x96x96"])["accuracy"]).all()


def test_a_recipe_at_a_resolution_of_two_sides_is_the_file_at_that_shape() -> None:
    found = sim.whatif("mobilenet_v2", "rpi4", {"tall": {"resolution": "160x224"}}).after[0].estimate
    plain = sim.estimate(sim.load_model("mobilenet_v2", input_shapes={"input": (1, 3, 160, 224)}), "rpi4")
    assert found is not None
    assert found.latency_s == plain.latency_s


@pytest.mark.parametrize(("key", "more"), [("accuracy", True), ("fits", True), ("throughput_per_s", True), ("latency_s", False)])
def test_the_best_of_a_column(key: str, more: bool) -> None:
    assert (better_of(key) == "more") is more
    best = Best(key, 1, better_of(key))
    for values in ([False, True], [np.nan, 2.0], [1.0, np.nan]) if key != "fits" else ([False, True],):
        best.add({key: np.array(values)}, Tally())
    assert best.columns[key].tolist() == [{"accuracy": 2.0, "fits": True, "throughput_per_s": 2.0, "latency_s": 0.0}[key]]


def test_nothing_met_is_an_empty_result() -> None:
    found = sim.sweep("resnet8", "rpi4", vary=["batch=1,2"], where=["latency < 0", "fits"])
    assert len(found) == 0
    assert found.tally.excluded == 2


def test_studies_are_text() -> None:
    study = Study(("a",), ("b",), ("c=1",), method="lhs", size=3, seed=4)
    assert Study.from_dict(study.to_dict()) == study
    for broken in (
        None,
        [],
        {},
        {**study.to_dict(), "schema": 2},
        {**study.to_dict(), "vary": "c"},
        {**study.to_dict(), "more": 1},
    ):
        with pytest.raises(UsageError):
            Study.from_dict(broken)
