"""Profiles of other tools: small samples in their formats, whole and broken."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from simulator.errors import NotFoundError, SimulatorError, UsageError
from simulator.fidelity.profile import RunProfile
from simulator.measuring.importers.events import complete_events, own_us
from simulator.measuring.importers.formats import read_profile
from simulator.measuring.importers.names import Source


def event(name: str, start: float, duration: float, cat: str = "Node", tid: int = 1, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "ts": start, "dur": duration, "pid": 1, "tid": tid, "args": args}


def ort_run(start: float, conv_us: float) -> list[dict[str, Any]]:
    """A run as ONNX Runtime writes it: the whole, then its nodes, with the fences of older versions."""
    return [
        event("conv1_fence_before", start + 1, 0, op_name="Conv"),
        event("conv1_kernel_time", start + 1, conv_us, op_name="Conv", provider="CPUExecutionProvider"),
        event("relu_kernel_time", start + 1 + conv_us, 10, op_name="Relu"),
        event("SequentialExecutor::Execute", start + 1, conv_us + 12, cat="Session"),
        event("model_run", start, conv_us + 20, cat="Session"),
    ]


ORT = [
    event("model_loading_uri", 0, 50, cat="Session"),
    *ort_run(1000, 900.0),
    *ort_run(3000, 100.0),
    *ort_run(5000, 110.0),
    *ort_run(7000, 120.0),
]

KINETO_CPU = {
    "schemaVersion": 1,
    "traceEvents": [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "python"}},
        event("ProfilerStep#1", 0, 500, cat="user_annotation"),
        event("ProfilerStep#2", 500, 700, cat="user_annotation"),
        event("aten::linear", 10, 100, cat="cpu_op"),
        event("aten::addmm", 20, 80, cat="cpu_op"),
        event("aten::linear", 510, 120, cat="cpu_op"),
        event("aten::addmm", 520, 100, cat="cpu_op"),
        event("aten::relu", 700, 30, cat="cpu_op", tid=2),
    ],
}
KINETO_GPU = {
    "traceEvents": [
        event("aten::mm", 10, 5, cat="cpu_op", **{"External id": 7}),
        event("cudaLaunchKernel", 11, 2, cat="cuda_runtime", **{"External id": 7}),
        event("ampere_sgemm_128x64", 20, 200, cat="kernel", tid=7, **{"External id": 7}),
        event("ampere_sgemm_128x64", 230, 210, cat="kernel", tid=7, **{"External id": 7}),
        event("Memcpy HtoD", 1, 9, cat="gpu_memcpy", tid=7),
    ]
}
LAYERS = [
    {"count": 200},
    {"name": "conv1 + relu1", "timeMs": 40.0, "averageMs": 0.2, "medianMs": 0.19, "percentage": 80.0},
    {"name": "fc", "timeMs": 10.0, "averageMs": 0.05, "percentage": 20.0},
    {"name": "softmax", "timeMs": 2.0, "percentage": 0.4},
]
TIMES = [
    {"startComputeMs": 0.0, "endComputeMs": 2.0, "computeMs": 2.0, "latencyMs": 2.5},
    {"startComputeMs": 3.0, "endComputeMs": 5.4, "latencyMs": 2.9},
    {"startComputeMs": 6.0, "endComputeMs": 8.2, "computeMs": 2.2, "latencyMs": 2.6},
]
TFLITE = """\
STARTING!
INFO: count=50 first=14900 curr=14400 min=14000 max=16000 avg=14575.2 std=210 p5=14100 median=14500 p95=15000
INFO: Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, Inference (avg): 14575.2
INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=6.25
Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t         [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t     AllocateTensors\t    0.300\t    0.300\t100.000%\t100.000%\t     0.000\t        1\tAllocateTensors/0

============================== Top by Computation Time ==============================
\t         [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t     AllocateTensors\t    0.300\t    0.300\t100.000%\t100.000%\t     0.000\t        1\tAllocateTensors/0

Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t         [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t             CONV_2D\t   10.100\t   10.000\t 68.966%\t 68.966%\t     0.000\t        1\t[model/conv1/Relu;model/bn]:0
\t   DEPTHWISE_CONV_2D\t    3.100\t    3.000\t 20.690%\t 89.655%\t     0.000\t        1\t[model/dw]:1
\tMisc Runtime Ops Set\t    0.750\t    0.750\t 10.345%\t100.000%\t     0.000\t        2\t[model/x]:2

============================== Top by Computation Time ==============================
\t         [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t             CONV_2D\t   10.100\t   10.000\t 68.966%\t 68.966%\t     0.000\t        1\t[model/conv1/Relu;model/bn]:0
"""
_LOG = "2019-01-01 12:00:00.1: I tensorflow/core/util/stat_summarizer.cc:85] "
TFLITE_OLD = "\n".join(
    [
        f"{_LOG}===== Run Order =====",
        f"{_LOG}\t [node type]\t [start]\t [first]\t [avg ms]\t [%]\t [cdf%]\t [mem KB]\t[times called]\t[Name]",
        f"{_LOG}\t CONV_2D\t 0.000\t 4.269\t 4.500\t 90.0%\t 90.0%\t 0.000\t 0\t[MobilenetV1/Conv2d_0/Relu6]",
        f"{_LOG}\t SOFTMAX\t 4.270\t 0.500\t 0.500\t 10.0%\t 100.0%\t 0.000\t 0\t[Softmax]",
        "",
    ]
)


def written(tmp_path: Path, content: object, name: str = "profile.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(tmp_path: Path, content: object, source: Source = Source.AUTO, **options: int) -> RunProfile:
    return read_profile(written(tmp_path, content), source, **options)


def by_name(profile: RunProfile) -> dict[str, float]:
    return {o.name: o.latency_s for o in profile.operators}


def test_onnxruntime(tmp_path: Path) -> None:
    found = read(tmp_path, ORT, skip=1)
    assert found.source == "onnxruntime"
    assert by_name(found) == pytest.approx({"conv1": 110e-6, "relu": 10e-6})
    assert [o.op_type for o in found.operators] == ["Conv", "Relu"]
    assert (found.latency_s, found.runs) == (pytest.approx(130e-6), 3)
    assert by_name(read(tmp_path, ORT))["conv1"] == pytest.approx(115e-6)  # with the slow first run: of 900, 100, 110, 120


def test_onnxruntime_never_leaves_out_all_runs(tmp_path: Path) -> None:
    assert read(tmp_path, ORT, skip=99).runs == 1


def test_onnxruntime_without_marks_of_runs(tmp_path: Path) -> None:
    found = read(tmp_path, [e for e in ORT if e["name"].endswith("_kernel_time")])
    assert found.latency_s is None
    assert found.total_s == found.operators_s > 0


def test_an_operator_that_holds_others_keeps_its_own_time(tmp_path: Path) -> None:
    nested = [event("loop_kernel_time", 0, 100, op_name="Loop"), event("add_kernel_time", 10, 30, op_name="Add")]
    assert by_name(read(tmp_path, nested)) == pytest.approx({"loop": 70e-6, "add": 30e-6})


def test_own_time_by_threads() -> None:
    raw = [event("a", 0, 100), event("b", 0, 40), event("c", 50, 20), event("d", 55, 5), event("e", 60, 20, tid=2)]
    assert own_us(complete_events(raw, "t")) == [40.0, 40.0, 15.0, 5.0, 20.0]


def test_pytorch_on_a_cpu(tmp_path: Path) -> None:
    found = read(tmp_path, KINETO_CPU)
    assert by_name(found) == pytest.approx({"aten::linear": 20e-6, "aten::addmm": 90e-6, "aten::relu": 15e-6})
    assert (found.latency_s, found.runs) == (pytest.approx(600e-6), 2)


def test_pytorch_on_a_gpu_counts_kernels_by_what_launched_them(tmp_path: Path) -> None:
    found = read(tmp_path, KINETO_GPU)
    assert by_name(found) == pytest.approx({"ampere_sgemm_128x64": 410e-6, "Memcpy HtoD": 9e-6})
    assert [(o.op_type, o.calls) for o in found.operators] == [("aten::mm", 2), ("gpu_memcpy", 1)]


def test_a_gzipped_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(json.dumps(KINETO_CPU).encode()))
    assert read_profile(path).source == "pytorch"


def test_trtexec_layers(tmp_path: Path) -> None:
    found = read(tmp_path, LAYERS)
    assert by_name(found) == pytest.approx({"conv1 + relu1": 190e-6, "fc": 50e-6, "softmax": 10e-6})
    assert (found.source, found.runs, found.total_s) == ("trtexec", 200, pytest.approx(250e-6))


def test_trtexec_times(tmp_path: Path) -> None:
    found = read(tmp_path, TIMES)
    assert (found.latency_s, found.runs, found.operators) == (pytest.approx(2.2e-3), 3, ())


def test_tflite(tmp_path: Path) -> None:
    found = read(tmp_path, TFLITE)
    assert by_name(found) == pytest.approx({"model/conv1/Relu;model/bn": 10e-3, "model/dw": 3e-3, "model/x": 1.5e-3})
    assert [o.op_type for o in found.operators] == ["CONV_2D", "DEPTHWISE_CONV_2D", "Misc Runtime Ops Set"]
    assert (found.latency_s, found.runs) == (pytest.approx(14.5e-3), 50)  # the median, where it is printed
    assert found.peak_memory_bytes == round(6.25 * 2**20)


def test_tflite_of_an_older_version_behind_a_log(tmp_path: Path) -> None:
    found = read(tmp_path, TFLITE_OLD)
    assert by_name(found) == pytest.approx({"MobilenetV1/Conv2d_0/Relu6": 4.5e-3, "Softmax": 0.5e-3})
    assert found.latency_s is None


def test_tflite_without_operators(tmp_path: Path) -> None:
    found = read(tmp_path, "Inference timings in us: Init: 1, First inference: 2, Warmup (avg): 3, Inference (avg): 81.5\n")
    assert (found.operators, found.latency_s) == ((), pytest.approx(81.5e-6))


@pytest.mark.parametrize(
    ("content", "source", "says"),
    [
        ("", Source.AUTO, "empty"),
        ("   \n", Source.ORT, "empty"),
        (json.dumps(ORT)[:-40], Source.AUTO, "truncated"),
        (json.dumps(KINETO_GPU)[:200], Source.AUTO, "JSON"),
        ('[{"cat": nonsense}]', Source.AUTO, "broken JSON"),
        ("[" * 100_000, Source.AUTO, "nested too deep"),
        ("hello", Source.AUTO, "no profile that is known"),
        ("hello", Source.PYTORCH, "JSON"),
        ("{}", Source.AUTO, "no profile that is known"),
        ("[]", Source.AUTO, "no profile that is known"),
        ("42", Source.AUTO, "no profile that is known"),
        ("[1, 2]", Source.ORT, "not a profile of onnxruntime"),
        (ORT, Source.TRTEXEC, "not a profile of trtexec"),
        (KINETO_CPU, Source.ORT, "not a profile of onnxruntime"),
        (LAYERS, Source.PYTORCH, "not a profile of pytorch"),
        ([event("model_run", 0, 5, cat="Session")], Source.AUTO, "no operator"),
        ([{"cat": "Node"}, 7], Source.AUTO, "entry 1 of the trace is no event"),
        ([event("a_kernel_time", 0, -5)], Source.AUTO, "no start or duration"),
        ([{"ph": "X", "cat": "Node", "name": "a_kernel_time", "dur": 3}], Source.AUTO, "no start or duration"),
        ({"traceEvents": 5}, Source.AUTO, "no list of traceEvents"),
        ({"traceEvents": []}, Source.AUTO, "neither kernels nor operators"),
        ([{"count": 10}, {"name": "x", "averageMs": "fast"}], Source.AUTO, "has no averageMs"),
        ([{"name": "x", "timeMs": 3.0}], Source.AUTO, "nor timeMs with a count"),
        ([{"count": 3}, {"name": "x", "averageMs": 1.0}, {"averageMs": 2.0}], Source.AUTO, "entry 2 is no layer"),
        ([{"computeMs": 1.0}, {"latencyMs": 2.0}], Source.AUTO, "entry 1 has no computeMs"),
        ("nothing of the kind", Source.TFLITE, "no inference timings"),
        (TFLITE[: TFLITE.index("20.690%")], Source.AUTO, "breaks off"),
    ],
)  # fmt: skip
def test_what_is_broken_says_so(tmp_path: Path, content: object, source: Source, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        read(tmp_path, content, source)
    assert "profile.json" in str(caught.value)


def test_files_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_profile(tmp_path / "absent.json")
    with pytest.raises(SimulatorError, match="cannot be read"):
        read_profile(tmp_path)
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(json.dumps(ORT).encode())[:-20])
    with pytest.raises(UsageError, match="truncated"):
        read_profile(cut)
    noise = tmp_path / "noise.json"
    noise.write_bytes(bytes(range(128, 256)) * 10)
    with pytest.raises(UsageError, match="no profile that is known"):
        read_profile(noise)
