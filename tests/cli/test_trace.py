"""`sim trace`: what the file says to a viewer, what is drawn, and what is refused."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import simulator as api
from tests.cli.command import good, process, sim, strict

NPU = ("resnet8", "--hw", "ethos_u55_128", "--precision", "int8")
CASES = (
    (*NPU, "--overlap", "prefetch"), (*NPU, "--overlap", "full"), NPU,
    ("mobilenet_v2", "--hw", "edgetpu_usb", "--precision", "int8", "--overlap", "none"),
    ("bert_base", "--hw", "rtx4090", "--precision", "fp16", "--batch", "4"),
    ("resnet50", "--hw", "edgetpu_usb", "--precision", "int8"),
)  # fmt: skip


def traced(*args: str) -> Any:
    return good("trace", *args).json


def lanes(trace: Any) -> dict[str, list[dict[str, Any]]]:
    """Complete events by the name of their thread."""
    names = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    found = defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            found[names[event["tid"]]].append(event)
    return found


@pytest.mark.parametrize("args", CASES, ids=lambda a: f"{a[0]}@{a[2]}{a[-1]}")
def test_a_viewer_can_read_it(args: tuple[str, ...]) -> None:
    """Google's Trace Event Format: every event has its fields, and no event of a thread runs into the next."""
    trace = traced(*args)
    for event in trace["traceEvents"]:
        assert event["ph"] in "XMC"
        assert {"name", "ph", "pid", "tid", "args"} <= set(event)
        if event["ph"] == "X":
            assert event["ts"] >= 0
            assert event["dur"] >= 0
    for events in lanes(trace).values():
        assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in pairwise(events))
    threads = {e["tid"] for e in trace["traceEvents"] if e["ph"] == "X"}
    for what in ("thread_name", "thread_sort_index"):
        assert {e["tid"] for e in trace["traceEvents"] if e["name"] == what} == threads
    assert not threads & {e["pid"] for e in trace["traceEvents"]}  # a viewer would call it the main thread


@pytest.mark.parametrize("args", CASES, ids=lambda a: f"{a[0]}@{a[2]}{a[-1]}")
def test_a_counter_of_what_is_alive(args: tuple[str, ...]) -> None:
    """From the start of each kernel to the end of the run; not where kernels run in no order."""
    trace, totals = traced(*args), good("estimate", *args, "--format", "json").json["totals"]
    found = [e for e in trace["traceEvents"] if e["ph"] == "C"]
    if "full" in args:
        assert found == []
        return
    assert [e["ts"] for e in found] == sorted(e["ts"] for e in found)
    assert max(e["args"]["bytes"] for e in found) == totals["peak_activation_bytes"]
    assert (found[-1]["ts"], found[-1]["args"]["bytes"]) == (pytest.approx(1e6 * totals["latency_s"], abs=1e-5), 0)
    assert {e["name"] for e in found} == {"activations alive"}


@pytest.mark.parametrize("args", CASES, ids=lambda a: f"{a[0]}@{a[2]}{a[-1]}")
def test_it_tells_what_the_estimate_does(args: tuple[str, ...]) -> None:
    trace, found = traced(*args), good("estimate", *args, "--format", "json").json
    events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert trace["otherData"]["latency_s"] == found["totals"]["latency_s"]
    end = max(e["ts"] + e["dur"] for e in events)
    assert end == pytest.approx(1e6 * found["totals"]["latency_s"], rel=1e-6)
    assert sum(e["dur"] for e in events if e["cat"] == "compute") == pytest.approx(1e6 * found["totals"]["compute_s"], rel=1e-4)
    assert sum(e["args"]["macs"] for e in events if e["cat"] == "compute") == found["model"]["macs"]
    moved: defaultdict[str, int] = defaultdict(int)
    for name, lane in lanes(trace).items():
        if name.startswith(("memory ", "link ")):
            moved[name.partition(" ")[2]] += sum(e["args"]["bytes"] for e in lane)
    for level, expected in found["totals"]["traffic_bytes"].items():
        assert moved[level] == pytest.approx(expected, abs=len(events))
    layers = found["layers"]
    for event in events:
        if "kernel" in event["args"]:
            layer = layers[event["args"]["kernel"]]
            assert event["name"].startswith(layer["name"])
            assert (event["args"]["origin"], event["args"]["bound"]) == (layer["origin"], layer["bound"])


def test_one_lane_an_engine_and_one_a_link() -> None:
    found = lanes(traced("resnet50", "--hw", "edgetpu_usb", "--precision", "int8"))
    assert set(found) == {"launches", "engine npu", "memory sram", "link usb"}
    assert found["launches"][0]["name"] == "once an inference"


def test_weights_come_early_under_prefetch() -> None:
    trace = traced(*NPU, "--overlap", "prefetch")
    early = [e for e in lanes(trace)["memory flash"] if e["cat"] == "early weights"]
    assert early
    compute = {e["args"]["kernel"]: e for e in lanes(trace)["engine npu"]}
    for event in early:
        before = compute[event["args"]["kernel"] - 1]
        assert before["ts"] - 1e-6 <= event["ts"]
        assert event["ts"] + event["dur"] <= before["ts"] + before["dur"] + 1e-6
    assert not [e for e in traced(*NPU, "--overlap", "layer")["traceEvents"] if e.get("cat") == "early weights"]


def test_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    done = good("trace", *NPU, "-o", str(path))
    assert done.out == ""
    assert done.err.replace("\n", "") == f"wrote {path} (open it in ui.perfetto.dev or chrome://tracing)"
    assert strict(path.read_text(encoding="utf-8")) == traced(*NPU)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_pictures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"trace.{suffix}"
    done = good("trace", *NPU, "-o", str(path))
    assert path.stat().st_size > 2000
    assert done.err.replace("\n", "") == f"wrote {path}"
    assert done.out == ""


def test_the_library_says_the_same() -> None:
    est = api.estimate("resnet8", "ethos_u55_128", precision="int8", overlap="prefetch")
    assert api.trace(est) == traced(*NPU, "--overlap", "prefetch")
    assert max(e.end_s for e in est.timeline().events) == pytest.approx(est.latency_s)


def test_per_op() -> None:
    more, fewer = (len(lanes(traced(*NPU, *args))["engine npu"]) for args in (("--per-op",), ()))
    assert more > fewer


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-o", "trace.gif"), "'.gif' is no format of a trace (known: .json, .png, .svg, .pdf)"),
        (("-o", "trace.jsn"), "'.jsn' is no format of a trace; did you mean '.json'?"),
        (("-o", "trace"), "a trace needs a suffix"),
        (("-o", "no/such/trace.json"), "there is no folder no/such"),
        (("--overlap", "prefetsch"), "no overlap policy 'prefetsch'; did you mean 'prefetch'?"),
        (("--runtime", "absent"), "no runtime 'absent'"),
        (("--precision", "int3"), "no precision 'int3'"),
    ],
)
def test_what_is_refused(args: tuple[str, ...], message: str) -> None:
    done = sim("trace", *NPU, *args)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""


def test_as_a_process() -> None:
    done = process("trace", "resnet50", "--hw", "t4")
    assert done.returncode == 0
    assert strict(done.stdout)["otherData"]["model"] == "resnet50"
