"""`sim measure` and `sim hw probe`: what they print and write, and what they refuse."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import simulator as api
from simulator.cli.hardware import parse_threads
from simulator.errors import UsageError
from simulator.measuring.probe import bench
from tests.cli.command import good, sim
from tests.support.graphs import INT64, ints, model, node, value, weight

try:
    import onnxruntime  # noqa: F401
except ImportError:
    has_runtime = False
else:
    has_runtime = True
RUNS = pytest.mark.skipif(not has_runtime, reason="onnxruntime is not installed (extra measure)")


def network(tmp_path: Path) -> str:
    """A tiny network without its weights."""
    nodes = [
        node("Conv", "x w1", "c", name="conv", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r", name="relu"),
        node("GlobalAveragePool", "r", "p", name="pool"),
        node("Flatten", "p", "f", name="flat"),
        node("MatMul", "f w2", "y", name="fc"),
    ]
    path = tmp_path / "tiny.onnx"
    weights = [weight("w1", 16, 4, 3, 3), weight("w2", 16, 10)]
    path.write_bytes(model(nodes, [value("x", "n", 4, 12, 12)], ["y"], weights).SerializeToString())
    return str(path)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def profile(tmp_path: Path) -> str:
    """A profile of the tiny network as ONNX Runtime writes it."""
    events: list[dict[str, Any]] = [{"ph": "X", "cat": "Session", "name": "model_run", "ts": 0, "dur": 100, "pid": 1, "tid": 1}]
    nodes = [("r_nchwc", "Conv", 60), ("fc", "MatMul", 30), ("Reorder", "ReorderOutput", 6)]
    for start, (name, op_type, duration) in enumerate(nodes):
        events.append({"ph": "X", "cat": "Node", "name": f"{name}_kernel_time", "ts": 1 + 65 * start, "dur": duration, "pid": 1,
                       "tid": 1, "args": {"op_name": op_type}})  # fmt: skip
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events), encoding="utf-8")
    return str(path)


# ---- running ------------------------------------------------------------------------------------------------------------


@RUNS
def test_a_run_prints_its_spread_and_adds_a_row(tmp_path: Path) -> None:
    path, out = network(tmp_path), tmp_path / "rows.csv"
    for batch in ("1", "3"):
        done = good("measure", path, "--threads", "1", "--repeats", "5", "--warmups", "1", "--batch", batch, "-o", str(out))
        assert "median of 5 runs" in done.out
        assert "2 weights are made up" in done.out.replace("\n", " ")
    first, second = rows(out)
    assert [first["batch"], second["batch"]] == ["1", "3"]
    assert (first["model"], first["runtime"], first["precision"]) == (Path(path).name, "onnxruntime", "")
    assert 1e-7 < float(first["latency_s"]) < 1.0
    assert first["hardware"]
    assert "1 thread, median of 5 runs" in first["source"]
    assert first["peak_memory_bytes"] == "" or 0 <= int(first["peak_memory_bytes"]) < 1 << 30


@RUNS
def test_a_profile_stands_beside_the_prediction(tmp_path: Path) -> None:
    args = ("measure", network(tmp_path), "--threads", "1", "--repeats", "5", "--profile")
    done = good(*args, "--hw", "rpi4")
    assert "predicted" in done.out
    assert any(line.startswith("conv") and "Conv" in line and "%" in line for line in done.lines)
    share = next(line for line in done.lines if "matched by names" in line)
    assert int(share.split("%")[0]) > 50
    alone = good(*args)
    assert "predicted" not in alone.out
    assert "matched by names" in alone.out


@RUNS
def test_a_batch_that_is_built_in(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s", "r"), node("MatMul", "r w", "y")]
    path = tmp_path / "baked.onnx"
    proto = model(nodes, [value("x", 1, 8, 4)], [value("y", 1, 5)], [ints("s", 1, 32), weight("w", 32, 5)])
    path.write_bytes(proto.SerializeToString())
    out = tmp_path / "rows.csv"
    good("measure", str(path), "--batch", "7", "--repeats", "2", "--threads", "1", "-o", str(out))
    assert rows(out)[0]["batch"] == "7"


@RUNS
def test_indices_do_not_leave_their_table(tmp_path: Path) -> None:
    path = tmp_path / "lookup.onnx"
    proto = model([node("Gather", "t i", "y")], [value("i", "n", 64, dtype=INT64)], ["y"], [weight("t", 3, 8)])
    path.write_bytes(proto.SerializeToString())
    assert "median of 2 runs" in good("measure", str(path), "--repeats", "2", "--threads", "1").out


@RUNS
def test_an_operator_that_the_runtime_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    strange = node("Frobnicate", "x", "y", domain="my.company")
    proto = model([strange], [value("x", 1, 4)], [value("y", 1, 4)], domains=["my.company"])
    proto.ir_version = 8  # one that the runtime reads
    path.write_bytes(proto.SerializeToString())
    done = sim("measure", str(path), "--repeats", "2")
    assert done.code == 2
    assert "onnxruntime does not run the network" in done.err
    assert "Frobnicate" in done.err
    assert "Traceback" not in done.err


@RUNS
def test_a_process_that_dies_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.measuring import child

    monkeypatch.setattr(child, "_serve", _die)
    done = sim("measure", network(tmp_path), "--repeats", "2")
    assert done.code == 2
    assert "ended with code 7" in done.err


def _die(*_: object) -> None:
    import os

    os._exit(7)


# ---- refusals -----------------------------------------------------------------------------------------------------------


def test_without_the_runtime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for args in (("measure", network(tmp_path)), ("hw", "probe", "-o", str(tmp_path / "h.yaml"))):
        done = sim(*args)
        assert done.code == 2
        assert "pip install 'nn-simulator[measure]'" in done.err
    assert not (tmp_path / "h.yaml").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "name a MODEL"),
        (("absent.onnx",), "no such file"),
        (("no_such_network",), "no_such_network"),
        (("resnet8", "--runtime", "tvm"), "sim measure runs onnxruntime"),
        (("resnet8", "-o", "nowhere/rows.csv"), "no folder"),
        (("--import", "absent.json"), "no such file"),
        (("--import", "absent.json", "--hw", "rpi4"), "--hw needs the MODEL"),
        (("resnet8", "--threads", "0"), "--threads"),
        (("resnet8", "--repeats", "0"), "--repeats"),
    ],
)
def test_refusals(args: tuple[str, ...], says: str) -> None:
    done = sim("measure", *args)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err


# ---- importing ----------------------------------------------------------------------------------------------------------


def test_an_imported_profile(tmp_path: Path) -> None:
    done = good("measure", "--import", profile(tmp_path))
    assert "onnxruntime" in done.lines[0]
    assert [line.split()[0] for line in done.lines[3:6]] == ["r_nchwc", "fc", "Reorder"]


def test_an_imported_profile_beside_the_prediction(tmp_path: Path) -> None:
    done = good("measure", network(tmp_path), "--import", profile(tmp_path), "--hw", "rpi4")
    assert "94% of the operators' time matched by names" in done.out
    assert "of no kernel" in done.out
    assert "predicted" in done.out


def test_an_imported_profile_as_csv(tmp_path: Path) -> None:
    out = tmp_path / "ops.csv"
    good("measure", network(tmp_path), "--import", profile(tmp_path), "--format", "onnxruntime", "-o", str(out))
    found = rows(out)
    assert [(r["name"], r["kernel"]) for r in found] == [("r_nchwc", "conv"), ("fc", "fc"), ("Reorder", ""), ("total", "")]
    assert [float(r["latency_s"]) for r in found] == pytest.approx([60e-6, 30e-6, 6e-6, 100e-6])
    assert sum(float(r["share"]) for r in found[:-1]) == pytest.approx(0.96)


# ---- the probe ----------------------------------------------------------------------------------------------------------


@RUNS
def test_a_probe_writes_files_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COPY_BYTES", (1 << 16, 1 << 18, 1 << 20, 1 << 22))
    monkeypatch.setattr(bench, "_GEMV_COUNTS", (1, 2, 4))
    monkeypatch.setattr(bench, "_FUNCTION_ELEMENTS", 3000)
    hw, picture, runtime = tmp_path / "host.yaml", tmp_path / "host.png", tmp_path / "ort.yaml"
    outputs = ("-o", str(hw), "-o", str(picture), "--runtime-output", str(runtime))
    done = good("hw", "probe", *outputs, "--threads", "1", "--seconds", "0.01")
    assert "64 KiB" in done.out
    assert "ok" in good("hw", "check", str(hw)).out
    assert picture.read_bytes()[:4] == b"\x89PNG"
    spec = api.load_hardware(hw)
    assert spec.unsourced() == []
    assert 1e8 < spec.engine("cores").peak["fp32"].value < 1e13
    assert api.estimate("resnet8", hw, runtime="onnxruntime").latency_s > 0
    assert api.estimate("resnet8", hw, runtime=str(runtime)).latency_s > 0


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (("host.png",), "one .yaml file"),
        (("a.yaml", "b.yaml"), "one .yaml file"),
        (("host.yaml", "host.txt"), "pictures"),
        (("nowhere/host.yaml",), "no folder"),
    ],
)
def test_outputs_that_make_no_sense(outputs: tuple[str, ...], says: str) -> None:
    done = sim("hw", "probe", *(part for path in outputs for part in ("-o", path)))
    assert done.code == 2
    assert says in done.err


def test_numbers_of_threads() -> None:
    assert parse_threads(None, 8) == (8,)
    assert parse_threads("2,1,2", 8) == (1, 2)
    for text in ("0", "9", "", "1,", "two", "1-2", "99999999"):
        with pytest.raises(UsageError, match="write numbers from 1 to 8"):
            parse_threads(text, 8)
