"""The benchmark scripts work, on files of a few nodes; how fast anything is, no test asks."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import onnx
import pytest

import simulator as sim

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Imports a script by name, as running it from its folder would."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for path in FOLDER.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def stack(script):
    return script("onnx_files").mlp_stack("tiny", blocks=2, width=8, hidden=32)


@pytest.mark.parametrize(("number", "digits"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**32, "8080808010")])
def test_varint_is_that_of_protobuf(script, number, digits):
    assert script("onnx_files").varint(number).hex() == digits


def test_embedded_file_is_valid_onnx_with_all_its_weights(script, stack, tmp_path):
    path = tmp_path / "tiny.onnx"
    script("onnx_files").write_embedded(stack, path)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [t.name for t in model.graph.initializer] == [t.name for t in stack.graph.initializer]
    assert {len(t.raw_data) for t in model.graph.initializer} == {4 * 8 * 32}
    assert len(set(onnx.numpy_helper.to_array(model.graph.initializer[0]).ravel())) > 1
    assert sim.load_model(path).params == 2 * 2 * 8 * 32


def test_external_file_has_a_hole_of_the_size_of_its_weights(script, stack, tmp_path):
    script("onnx_files").write_external(stack, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.weights").stat().st_size == 4 * 2 * 2 * 8 * 32
    assert sim.load_model(tmp_path / "tiny.onnx").params == 2 * 2 * 8 * 32


def test_stack_has_four_nodes_a_block_and_their_macs(stack, tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(stack.SerializeToString())
    assert len(stack.graph.node) == 4 * 2
    assert sim.load_model(path).macs == 2 * 2 * 16 * 8 * 32


def test_time_and_peak_of_a_process_are_counted(script):
    usage = script("processes").run([sys.executable, "-c", "x = b'x' * 2**26"], {}, limit_s=60)
    assert usage.fault == ""
    assert usage.seconds > 0
    assert usage.peak_bytes > 2**26


def test_failing_process_says_why(script):
    usage = script("processes").run([sys.executable, "-c", "raise SystemExit('no such thing')"], {}, limit_s=60)
    assert usage.fault == "no such thing"


def test_slow_process_is_killed(script):
    usage = script("processes").run([sys.executable, "-c", "import time; time.sleep(60)"], {}, limit_s=0.2)
    assert usage.fault == "not done in 0.2 s"


def test_median_keeps_the_first_fault(script):
    processes = script("processes")
    middle = processes.median([processes.Usage(3.0, 30), processes.Usage(1.0, 10, "why"), processes.Usage(2.0, 20)])
    assert middle == processes.Usage(2.0, 20, "why")


def test_figures_in_process_are_named_as_the_table_expects(script, stack, tmp_path, capsys):
    inner, outer = script("in_process"), script("speed")
    for name in ("resnet50", "bert_base", "nodes_1000", "nodes_100000"):
        (tmp_path / f"{name}.onnx").write_bytes(stack.SerializeToString())
    inner.main([str(tmp_path), "--runs", "1"])
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == set(outer.IN_PROCESS) - {"work_table nodes_10000"}
    rows = outer.in_process_rows(figures)
    assert len(rows) == len(figures) + 1  # and the growth


def test_goal_is_judged_by_time_memory_and_ratio(script):
    speed, usage = script("speed"), script("processes").Usage
    goal = speed.Goal(limit_s=0.6, limit_bytes=120 * 2**20, times_faster=2)
    assert goal.verdict(usage(0.5, 2**20), usage(1.0, 0)) == "≤ 0.6 s, ≤ 120 MiB, ≥ 2 × as fast: ok"
    assert goal.verdict(usage(0.7, 2**20), None) == "≤ 0.6 s, ≤ 120 MiB: MISS"
    assert goal.verdict(usage(0.5, 2**20), usage(0.9, 0)).endswith("MISS")
    assert speed.Goal().verdict(usage(1.0, 1), None) == ""


def test_row_without_a_rival_is_as_long_as_one_with_it(script):
    speed, usage = script("speed"), script("processes").Usage
    case, ours = speed.CASES[1], usage(0.3, 50 * 2**20)
    alone = speed.process_row(case, {"simulator": ours})
    beside = speed.process_row(case, {"simulator": ours, "onnx-tool": usage(0.36, 250 * 2**20)})
    assert len(alone) == len(beside) == 8
    assert beside[5:7] == ("1.20 ×", "5.0 ×")


def test_interpreter_without_onnx_tool_is_noticed(script):
    assert not script("speed").has_onnx_tool("/nonexistent/python")


def test_design_points_are_those_of_single_machines(script, capsys):
    points = script("design_points")
    points.main(["--points", "256", "--passes", "1"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 5
    assert rows[2].startswith("| resnet50 | a100_sxm_80 | ")


def test_sweeps_are_timed(script, monkeypatch, capsys):
    sweeps = script("sweeps")
    for module in (sweeps, importlib.import_module("simulator.study.space"), importlib.import_module("simulator.study.sweep")):
        monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(sweeps, "_CASES", {"resnet50": ("resnet8", "a100_sxm_80", "precision=fp16")})
    monkeypatch.setattr(sweeps, "estimates_per_s", lambda _: 1.0)
    sweeps.main(["--passes", "1", "--points", "200"])
    printed = capsys.readouterr().out
    assert "| resnet50 |" in printed
    assert "200 points" in printed


def test_live_networks_are_in_the_catalogue(script):
    from simulator import zoo

    live = script("live")
    assert len(live.NETWORKS) >= 20
    assert {zoo.parse_reference(name)[0] for name in live.NETWORKS} == set(live.NETWORKS)
