"""Comparisons: one row a combination, reasons for those that cannot be, the best of each machine, the matrix."""

import csv
import io
import json
import sys
from pathlib import Path

import onnx
import pytest

import simulator as sim
from simulator import zoo
from simulator.errors import NotFoundError, PrecisionError, UsageError
from simulator.io.hardware_reader import hardware_ids
from simulator.result.quantities import TOTALS
from simulator.study.compare import Comparison, compare, value_of
from simulator.study.runs import AS_IN_FILE, Accuracy, Network, Run, Station, runs

NETWORKS, MACHINES, PRECISIONS = ("resnet8", "ds_cnn", "mobilenet_v2"), ("gap9", "hailo8", "stm32h743"), ("fp32", "int8")


@pytest.fixture(scope="module")
def found() -> Comparison:
    return sim.compare(NETWORKS, MACHINES, precisions=PRECISIONS, sort="latency")


def test_every_combination_has_one_row(found: Comparison) -> None:
    rows = [(row["hardware"], row["model"], row["precision"]) for row in found.rows()]
    assert sorted(rows) == sorted((m, n, p) for m in MACHINES for n in NETWORKS for p in PRECISIONS)


def test_rows_hold_what_an_estimate_says(found: Comparison) -> None:
    for row in found.rows():
        if row["reason"] is None:
            est = sim.estimate(str(row["model"]), str(row["hardware"]), precision=str(row["precision"]))
            assert row["runtime"] == est.runtime.id
            assert (row["bound"], row["fits"]) == (est.bound, True)
            assert all(row[total.key] == total.of(est) for total in TOTALS.values())


def test_what_cannot_be_says_why(found: Comparison) -> None:
    reasons = {(r["model"], r["hardware"], r["precision"]): r for r in found.rows() if r["reason"]}
    refused = reasons["ds_cnn", "hailo8", "fp32"]
    assert "no fp32 rate" in str(refused["reason"])
    assert refused["latency_s"] is refused["fits"] is refused["bound"] is None
    large = reasons["mobilenet_v2", "stm32h743", "int8"]
    assert str(large["reason"]).startswith("too large for sram by ")
    assert large["fits"] is False
    assert large["latency_s"]
    notes = "\n".join(found.notes())
    assert all(str(row["reason"]) in notes for row in reasons.values())
    assert "no energy figures in the file of" in notes


def test_rows_are_sorted_within_each_machine(found: Comparison) -> None:
    assert found.machines == MACHINES
    for name, descending in (("latency", False), ("throughput", True), ("accuracy", True), ("memory", False)):
        resorted = compare(found.runs, sort=name)
        for machine in MACHINES:
            values = [value_of(run, name) for run in resorted.of_machine(machine)]
            known = [value for value in values if value is not None]
            assert known == sorted(known, reverse=descending)
            assert None not in values[: len(known)]


def test_without_a_sort_rows_stay_as_given() -> None:
    plain = sim.compare(["resnet8", "ds_cnn"], ["stm32h743"], precisions=["int8"])
    assert [run.network.name for run in plain.runs] == ["resnet8", "ds_cnn"]


def test_the_best_is_of_what_fits(found: Comparison) -> None:
    for machine in MACHINES:
        eligible = [run for run in found.of_machine(machine) if run.runs]
        best = found.best(machine)
        assert best["latency"] == min(run.estimate.latency_s for run in eligible if run.estimate)
        assert best["size"] == min(v for run in eligible if (v := value_of(run, "size")))
    assert "energy" not in found.best("stm32h743")


def test_accuracies_of_different_tasks_have_no_best(found: Comparison) -> None:
    assert "accuracy" not in found.best("gap9")
    alike = sim.compare(["resnet50", "resnet18"], ["rtx4090"])
    assert alike.best("rtx4090")["accuracy"] == 80.858


def test_a_single_row_has_no_best() -> None:
    assert sim.compare(["resnet8"], ["gap9"]).best("gap9") == {}


def test_the_matrix_has_the_metric_of_each(found: Comparison) -> None:
    rows, machines, cells = compare(found.runs, metric="energy").matrix()
    assert machines == MACHINES
    energies = {(r["model"], r["precision"], r["hardware"]): r["energy_j"] for r in found.rows()}
    for row, line in zip(rows, cells, strict=True):
        assert line == [energies[(*row, machine)] for machine in machines]


def test_accuracy_is_of_the_precision_or_says_that_it_is_not() -> None:
    rows = {
        (row["model"], row["precision"]): row
        for row in sim.compare(["mobilenet_v1", "vgg11", "bert_base"], ["rtx4090"], precisions=["fp32", "int8"]).rows()
    }
    assert (rows["mobilenet_v1", "int8"]["accuracy"], rows["mobilenet_v1", "int8"]["accuracy_of_float"]) == (69.7, False)
    assert (rows["vgg11", "int8"]["accuracy"], rows["vgg11", "int8"]["accuracy_of_float"]) == (69.02, True)
    assert "slim/nets/mobilenet_v1.md" in str(rows["mobilenet_v1", "int8"]["accuracy_source"])
    assert rows["bert_base", "fp32"]["accuracy"] is None


def test_as_in_the_file_and_what_that_is_are_one_row() -> None:
    found = sim.compare(["resnet8"], ["stm32h743"], precisions=[None, "fp32"])
    assert [run.precision for run in found.runs] == ["fp32"]
    assert [run.precision for run in sim.compare(["resnet8"], ["hailo8"]).runs] == [AS_IN_FILE]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Two files `model.onnx`, and a machine's file beside the one that it was copied from."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        onnx.save(zoo.build("resnet8" if folder == "a" else "ds_cnn"), tmp_path / folder / "model.onnx")
    mine = tmp_path / "mine.yaml"
    mine.write_text(hardware_ids()["rpi4"].read_text(encoding="utf-8"), encoding="utf-8")
    models = [str(tmp_path / folder / "model.onnx") for folder in ("a", "b")]
    found = sim.compare(models, ["rpi4", str(mine)])
    assert found.models == tuple(models)
    assert found.machines == ("rpi4", str(mine))
    _, _, cells = found.matrix()
    assert len(cells) == 2
    assert cells[0][0] != cells[1][0]
    loaded = [sim.load_model("resnet8"), sim.load_model("resnet8", batch=2)]
    assert sim.compare(loaded, ["rpi4"]).models == ("resnet8", "resnet8 (2)")


def test_names_given_twice_are_one_row_each() -> None:
    assert len(sim.compare(["resnet8", "resnet8"], ["gap9", "gap9"]).runs) == 1


def test_loaded_networks_and_machines_are_taken() -> None:
    found = sim.compare([sim.load_model("resnet8", batch=4)], [sim.load_hardware("jetson_orin_nano:7W")], precisions=["int8"])
    (row,) = found.rows()
    assert (row["hardware"], row["batch"], row["accuracy"]) == ("jetson_orin_nano:7W", 4, None)


def test_frames_have_a_row_a_run(found: Comparison) -> None:
    pytest.importorskip("pandas")
    assert list(found.to_frame()["latency_s"].dropna()) == [r["latency_s"] for r in found.rows() if r["latency_s"] is not None]


def test_without_pandas_one_is_told(found: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"pip install 'nn-simulator\[pandas\]'"):
        found.to_frame()


def test_a_batch_is_that_of_every_row() -> None:
    assert [row["batch"] for row in sim.compare(["resnet8", "ds_cnn"], ["gap9"], batch=3).rows()] == [3, 3]


def test_a_runtime_is_that_of_every_row() -> None:
    assert {run.station.runtime.id for run in sim.compare(["resnet8"], ["rpi4", "stm32h743"], runtime="tflite").runs} == {
        "tflite"
    }


def test_csv_reads_back(found: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(rows) == len(found.runs)
    for text, row in zip(rows, found.rows(), strict=True):
        assert list(text) == list(row)
        assert text == {key: "" if value is None else str(value) for key, value in row.items()}


def test_the_object_is_json(found: Comparison) -> None:
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(data) == {"schema", "rows", "matrix", "notes"}
    assert data["rows"] == found.rows()
    assert data["matrix"]["metric"] == "latency_s"


def test_notebooks_see_a_table_without_markup_of_names() -> None:
    network = Network("<b>", sim.load_model("resnet8"))
    station = Station(sim.load_hardware("gap9"), sim.estimate("resnet8", "gap9").runtime)
    text = compare(runs([network], [station], ["int8"]))._repr_html_()
    assert "&lt;b&gt;" in text
    assert text.count("<tr>") == 2


def test_a_run_that_could_not_be_is_none_that_fits() -> None:
    network, station = (
        Network("n", sim.load_model("resnet8")),
        Station(sim.load_hardware("gap9"), sim.estimate("resnet8", "gap9").runtime),
    )
    run = Run(network, station, "fp8", None, Accuracy(50.0, "top1_percent", "d"), "because")
    assert not run.runs
    assert run.too_large is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sort": "latenzy"}, UsageError, "no figure 'latenzy'; did you mean 'latency'"),
        ({"metric": "speed"}, UsageError, "no figure 'speed' .known: latency"),
        ({"precisions": ["int9"]}, PrecisionError, "no precision 'int9'"),
        ({"precisions": []}, UsageError, "precisions: give a list of at least one"),
        ({"precisions": "int8"}, UsageError, "precisions: give a list"),
        ({"models": []}, UsageError, "models: give a list of at least one"),
        ({"hardware": "gap9"}, UsageError, "hardware: give a list"),
        ({"models": ["resnet88"]}, NotFoundError, "resnet8"),
        ({"hardware": ["gap10"]}, NotFoundError, "gap9"),
        ({"runtime": "tflitee"}, NotFoundError, "tflite"),
        ({"models": [sim.load_model("resnet8")], "batch": 2}, UsageError, "give its batch to load_model"),
    ],
)
def test_bad_input(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sim.compare(**{"models": ["resnet8"], "hardware": ["gap9"], **options})  # type: ignore[arg-type]
