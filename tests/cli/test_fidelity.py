"""`sim validate` and `sim calibrate` as a user calls them: tables, JSON, pictures, fitted profiles, and what is refused."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import simulator as api
from simulator.cli.output import progress
from simulator.fidelity.measurement import Measurement
from simulator.io.hardware_reader import load_runtime, runtime_path
from simulator.io.measurements import write_measurements
from simulator.zoo import build
from tests.cli.command import good, process, sim, strict

NETWORKS = {
    "resnet18": "resnet", "resnet34": "resnet", "resnet50": "resnet", "mobilenet_v2": "mobilenet", "mobilenet_v1": "mobilenet",
    "squeezenet1_0": "squeezenet", "squeezenet1_1": "squeezenet", "densenet121": "densenet", "mnasnet1_0": "mnasnet",
}  # fmt: skip
SLOWER = 1.3


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on a CPU under ONNX Runtime, with noise by a fixed seed, one on a microcontroller, and one of no network."""
    rng, rows = np.random.default_rng(7), []
    for network, family in NETWORKS.items():
        predicted_s = api.estimate(network, "i7_12700h", runtime="onnxruntime").latency_s
        latency_s = SLOWER * predicted_s * float(np.exp(0.03 * rng.standard_normal()))
        rows.append(Measurement(network, "i7_12700h", "onnxruntime", latency_s, family=family, label=f"run of {network}"))
    rows.append(Measurement("ds_cnn", "stm32l4r5", "tflm_cmsis_nn", 0.1, "int8", energy_j=4e-3, family="kws"))
    rows.append(Measurement("resnet19", "i7_12700h", "onnxruntime", 0.1, family="resnet"))
    path = tmp_path_factory.mktemp("measured") / "runs.csv"
    write_measurements(rows, path)
    return path


# ---- validate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table(file: Path, columns: int) -> None:
    done = good("validate", str(file), "--by", "family", COLUMNS=str(columns))
    out = done.out
    assert max(map(len, done.lines)) <= columns
    assert done.lines[0] == "10 of 11 measured runs predicted, 1 could not be"
    row = next(line for line in done.lines if line.startswith("i7_12700h, onnxruntime"))
    n, median, _, p90, _, _, _, share, _, bias, rank = row.split()[2:]
    found = api.validate(file).groups()[0].latency
    assert (int(n), float(bias), float(rank)) == (found.n, round(found.bias, 2), round(found.rank, 2))
    assert float(median) == round(100 * found.median, 1)
    assert float(p90) == round(100 * found.p90, 1)
    assert int(share) == round(100 * found.within_25)
    for family in ("resnet", "mobilenet", "squeezenet", "densenet", "kws"):
        assert re.search(rf"^  {family} +\d", out, re.MULTILINE)
    assert re.search(r"^  energy +1 ", out, re.MULTILINE)
    assert "…" not in out
    assert "1: resnet19 (line 12)" in out
    assert "no 'resnet19'" in out


def test_the_worst_have_a_reason(file: Path) -> None:
    out = good("validate", str(file), "--worst", "2", COLUMNS="120").out
    worst = out.partition("Farthest off")[2].partition("Not predicted")[0]
    assert len(re.findall(r"-bound; .*: \d+ % of the", worst)) == 2
    assert "Farthest off" not in good("validate", str(file), "--worst", "0").out


def test_json_and_markdown(file: Path, tmp_path: Path) -> None:
    data = good("validate", str(file), "--format", "json").json
    assert (data["rows"], data["predicted"], len(data["unpredicted"])) == (11, 10, 1)
    assert data == json.loads(json.dumps(api.validate(file).to_dict()))
    target = tmp_path / "found.json"
    done = good("validate", str(file), "--format", "md", "--json", str(target))
    assert strict(target.read_text(encoding="utf-8")) == data
    assert done.err == f"wrote {target}\n"
    assert "| i7_12700h, onnxruntime | 9 |" in done.out
    assert "* 1: resnet19 (line 12): " in done.out


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_picture(file: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scatter.{suffix}"
    assert good("validate", str(file), "-o", str(path)).err == f"wrote {path}\n"
    assert path.stat().st_size > 5000


def test_networks_and_machines_beside_the_file(tmp_path: Path) -> None:
    """ONNX files lie below the file's folder or --models, machines and runtimes of one's own beside it."""
    nets = tmp_path / "nets"
    nets.mkdir()
    (nets / "mine.onnx").write_bytes(build("ds_cnn").SerializeToString())
    (tmp_path / "board.yaml").write_text("schema: 1\nextends: stm32l4r5\nid: board\n", encoding="utf-8")
    own = yaml.safe_load(runtime_path("tflm_cmsis_nn").read_text(encoding="utf-8"))
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**own, "id": "own"}), encoding="utf-8")
    head = "model,hardware,runtime,precision,latency_ms"
    (tmp_path / "a.csv").write_text(f"{head}\nnets/mine.onnx,board.yaml,own.yaml,int8,100\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text(f"{head}\nmine.onnx,board.yaml,own.yaml,int8,100\n", encoding="utf-8")
    one = good("validate", str(tmp_path / "a.csv"), "--format", "json").json
    other = good("validate", str(tmp_path / "b.csv"), "--models", str(nets), "--format", "json").json
    expected = api.estimate("ds_cnn", "stm32l4r5", runtime="tflm_cmsis_nn", precision="int8").latency_s
    assert one["predictions"][0]["predicted_s"] == other["predictions"][0]["predicted_s"] == expected
    lost = sim("validate", str(tmp_path / "b.csv"))
    assert lost.code == 2
    assert "1 row(s) cannot be predicted, the first, mine.onnx: no such file" in lost.err


# ---- calibrate --------------------------------------------------------------------------------------------------------


def calibrated(file: Path, *args: str) -> Any:
    return good("calibrate", str(file), "--runtime", "onnxruntime", "--format", "json", *args).json


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_of_constants(file: Path, columns: int) -> None:
    done = good("calibrate", str(file), "--runtime", "onnxruntime", "--by", "family", COLUMNS=str(columns))
    assert max(map(len, done.lines)) <= columns
    data = calibrated(file)
    kept = "".join(f"{line} " for line in done.lines).partition("Kept, for no row shows them: ")[2]
    for constant in data["constants"]:
        name = constant["path"].removeprefix("profiles.simd.")
        if constant["shown_by"] == 0:
            assert name in kept
            continue
        row = next(line.split() for line in done.lines if line.startswith(f"{name} "))
        assert str(constant["shown_by"]) in row
        assert ("kept" in row) == (not constant["fitted"])
        assert ("too few" in " ".join(row)) == (not constant["fitted"])
        assert ("bound" in row) == constant["at_bound"]
    for name in ("before", "after", "without its family", "  resnet: after"):
        assert any(line.startswith(name) for line in done.lines)
    assert "9 of 10 runs take" in done.out
    assert "1: resnet19 (line 12)" in done.out


def test_it_gets_better(file: Path) -> None:
    data = calibrated(file)
    assert data["rows"] == len(NETWORKS)
    assert data["after"]["median"] < 0.06 < 0.2 < data["before"]["median"]
    assert data["held_out"]["median"] < 0.1
    assert [u["model"] for u in data["unpredicted"]] == ["resnet19"]
    assert any(c["fitted"] for c in data["constants"])
    only = calibrated(file, "--fit", "efficiency.conv")
    assert [c["path"].rpartition("profiles.")[2] for c in only["constants"] if c["fitted"]] == ["simd.efficiency.conv"]


def test_the_fitted_profile_is_used(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "fitted.yaml"
    done = good("calibrate", str(file), "--runtime", "onnxruntime", "-o", str(path), "--format", "json")
    assert done.err == f"wrote {path}\n"
    after = {p["model"]: p["after_s"] for p in done.json["predictions"]}
    again = good("validate", str(file), "--runtime", str(path), "--format", "json").json
    predicted = {p["model"]: p["predicted_s"] for p in again["predictions"] if p["runtime"] == "onnxruntime"}
    assert predicted == after  # to the last bit
    assert again["groups"][0]["latency"]["median"] == done.json["after"]["median"]


def test_an_estimate_has_an_interval(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "fitted.yaml"
    good("calibrate", str(file), "--runtime", "onnxruntime", "-o", str(path))
    residuals = load_runtime(str(path)).residuals
    assert residuals is not None
    call = ("estimate", "resnet18", "--hw", "i7_12700h", "--runtime", str(path))
    totals = good(*call, "--format", "json").json["totals"]
    low, high = totals["latency_interval_s"]
    assert (low, high) == (totals["latency_s"] * residuals.p5, totals["latency_s"] * residuals.p95)
    assert low < totals["latency_s"] * SLOWER < high * SLOWER
    out = good(*call).out
    assert re.search(rf"Expected  \S+ ms, 90 %: \S+–\S+ ms   as far off as {len(NETWORKS)} measured runs", out)
    assert "90 %:" in good(*call, "--format", "md").out
    for plain in ((*call[:-1], "tflite"), (*call, "--overlap", "none"), (*call, "--per-op")):
        assert good(*plain, "--format", "json").json["totals"]["latency_interval_s"] is None
        assert "90 %:" not in good(*plain).out


# ---- what is refused --------------------------------------------------------------------------------------------------

HEAD = "model,hardware,runtime,latency_s\n"
GARBAGE: dict[str, str | bytes] = {
    "empty": "", "header": HEAD, "unknown column": HEAD.replace("model", "modle") + "a,b,c,1\n", "text": "hello\nworld\n",
    "zero": HEAD + "a,b,c,0\n", "negative": HEAD + "a,b,c,-1\n", "binary": bytes(range(256)), "zero bytes": "\0\0\0",
    "utf-16": HEAD.encode("utf-16"), "quote": HEAD + '"a,b\n', "short": HEAD + "a,b\n", "no network": HEAD + "a,b,c,1\n",
    "markup": HEAD + "[bold]a,[/x],c,1\n", "control": HEAD + "\x1b[31ma,b,c,1\n", "long": HEAD + "a" * 200_000 + ",b,c,1\n",
}  # fmt: skip


@pytest.mark.parametrize("command", ["validate", "calibrate"])
@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_has_one_message(tmp_path: Path, command: str, case: str) -> None:
    path, text = tmp_path / "garbage.csv", GARBAGE[case]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = sim(command, str(path), *(["--runtime", "onnxruntime"] if command == "calibrate" else []))
    assert done.code == 2
    assert done.err.startswith("sim: ")
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    assert len(done.err) < 2000


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("validate", "gone.csv"), "no such file: gone.csv"),
        (("validate", "."), "is not a regular file"),
        (("validate", "FILE", "-o", "a.txt"), "'.txt' is not a picture format"),
        (("validate", "FILE", "-o", "nowhere/a.png"), "there is no folder nowhere"),
        (("validate", "FILE", "--json", "."), "is a directory"),
        (("validate", "FILE", "--runtime", "onnxruntme"), "did you mean 'onnxruntime'"),
        (("validate", "FILE", "--runtime", "vllm"), "no row is under the runtime 'vllm'"),
        (("calibrate", "FILE", "--runtime", "onnxruntme"), "did you mean 'onnxruntime'"),
        (("calibrate", "FILE", "--runtime", "vllm"), "no row is under the runtime 'vllm' (there are rows under onnxruntime,"),
        (("calibrate", "FILE", "--runtime", "tflm_cmsis_nn"), "1 measurement(s) are too few to fit a constant: at least 5"),
        (("calibrate", "FILE", "--runtime", "onnxruntime", "--fit", "bandwith"), "did you mean 'bandwidth'"),
        (("calibrate", "FILE", "--runtime", "onnxruntime", "--leave-out", "chip"), "'chip' is not one of"),
        (("calibrate", "FILE", "--runtime", "onnxruntime", "-o", "a.txt"), "a runtime profile is a .yaml file"),
        (("calibrate", "FILE", "--runtime", "onnxruntime", "-o", "nowhere/a.yaml"), "there is no folder nowhere"),
    ],
    ids=lambda x: " ".join(x[:1] + x[2:]) if isinstance(x, tuple) else "",
)
def test_what_is_refused(file: Path, args: tuple[str, ...], message: str) -> None:
    done = sim(*(str(file) if arg == "FILE" else arg for arg in args))
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_without_scipy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    done = sim("calibrate", str(file), "--runtime", "onnxruntime")
    assert (done.code, done.err) == (2, "sim: calibration needs scipy: pip install 'nn-simulator[fit]'\n")


def test_as_a_process(file: Path) -> None:
    """Nothing on standard error where it is no terminal, and nothing but the object on standard output."""
    done = process("validate", str(file), "--worst", "0", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert strict(done.stdout)["predicted"] == 10


class _Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_and_wiped(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress() as tell:
        api.validate(file, worst=0, progress=tell)
    shown = screen.getvalue().split("\r\x1b[2K")
    assert shown[1] == "row 1 of 11 …"
    assert shown[-2:] == ["row 11 of 11 …", ""]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress() as tell:
        tell("nobody sees it")
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
