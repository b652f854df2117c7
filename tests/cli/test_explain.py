"""`sim explain`: numbers that can be followed by hand, the same as data, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

import simulator as api
from simulator.explanation.layer import find_layer
from simulator.explanation.terms import Term
from tests.cli.command import good, process, sim, strict

CONV = ("resnet50", "--hw", "rtx4090", "--layer", "layer3.1.conv2")
LAYERS = (
    CONV,
    ("ds_cnn", "--hw", "stm32h743", "--precision", "int8", "--layer", "block1.0.depthwise"),
    ("bert_base", "--hw", "tpu_v5e", "--precision", "bf16", "--layer", "encoder.layer0.mlp.fc1"),
    ("mobilenet_v2", "--hw", "edgetpu_usb", "--precision", "int8", "--layer", "stem"),
    ("resnet8", "--hw", "ethos_u55_128", "--precision", "int8", "--overlap", "prefetch", "--layer", "layer2.0.conv2"),
    ("densenet121", "--hw", "xeon_8480p", "--overlap", "full", "--layer", "conv0"),
)
RUNS = tuple(args[:-2] for args in LAYERS)
ids = pytest.mark.parametrize("args", LAYERS, ids=lambda a: f"{a[0]}@{a[2]}")
_PREFIX = {"f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_UNITS = r"(?:(?:MAC|OP|B|J)(?:/(?:s|cycle|MAC|OP|B))?|Hz|s|W)"
_NUMBER = re.compile(rf"(\d[\d.]*(?:e[+-]\d+)?)(?: ([fpnµmkMGTP]?)({_UNITS})(?![\w/]))?")


def by_hand(text: str) -> float:
    """What a reader with a pocket calculator makes of a formula's numbers."""

    def number(found: re.Match[str]) -> str:
        return f"{float(found[1]) * 10.0 ** _PREFIX.get(found[2] or '', 0)!r}"

    plain = _NUMBER.sub(number, text).replace("·", "*").replace("−", "-").replace("⌈", "-(-(").replace("⌉", ")//1)")
    return float(eval(plain, {"__builtins__": {}}, {"max": max, "min": min}))


def test_the_calculator_calculates() -> None:
    assert by_hand("115.6 MMAC / (41.3 TMAC/s · 0.7)") == pytest.approx(4e-6, rel=1e-3)
    assert by_hand("2 MAC/cycle · 480 MHz") == 9.6e8
    assert by_hand("max(1 ms, 2 µs) + (1 − 0.5) · 3 ms") == pytest.approx(2.5e-3)
    assert by_hand("⌈10 / 4⌉ · 2 kB") == 6000


def followed(term: Term) -> None:
    """Rounding to four digits shows where numbers cancel; otherwise the result is the value's."""
    if "−" in term.substituted or not re.match(r"[\d(m⌈]", term.substituted):
        return
    assert by_hand(term.substituted) == pytest.approx(term.value, rel=2e-3, abs=1e-30), term


def explained(*args: str) -> Any:
    return good("explain", *args, "--format", "json").json


@ids
def test_every_number_can_be_followed_by_hand(args: tuple[str, ...]) -> None:
    options = dict(zip(args[3::2], args[4::2], strict=True))
    est = api.estimate(args[0], args[2], precision=options.get("--precision"), overlap=options.get("--overlap"))
    for found in (api.explain(est, args[-1]), api.explain(est)):
        for term in found.terms:
            assert term.follows
            followed(term)


@pytest.mark.parametrize("columns", ["80", "120"])
def test_sources_are_whole(columns: str) -> None:
    """Long addresses go on in the next line."""
    done = good("explain", "vit_b_16", "--hw", "a100_sxm_80", "--precision", "fp16", COLUMNS=columns)
    assert "…" not in done.out
    assert max(map(len, done.lines)) <= int(columns)
    assert "nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf" in "".join(line.strip() for line in done.lines)


@ids
def test_the_data_are_the_estimates(args: tuple[str, ...]) -> None:
    found, whole = explained(*args), good("estimate", *args[:-2], "--format", "json").json
    layer = next(row for row in whole["layers"] if row["name"] == args[-1])
    terms = {t["key"]: t["value"] for section in found["sections"] for t in section["terms"]}
    for key in ("compute_s", "memory_s", "overhead_s", "transfer_s"):
        assert terms.get(key, 0.0) == layer[key]
    assert found["latency_s"] == layer["latency_s"] == terms.get("kernel_s", terms["own_s"])
    assert (found["bound"], list(found["origin"]), found["engine"]) == (layer["bound"], layer["origin"], layer["engine"])
    assert sum(o["macs"] for o in found["operators"]) == layer["macs"]
    run = explained(*args[:-2])
    assert run["latency_s"] == whole["totals"]["latency_s"]
    assert run["bound_latency_s"] == whole["totals"]["bound_latency_s"]
    assert run["gap_s"] == run["latency_s"] - run["bound_latency_s"]


@ids
@pytest.mark.parametrize("columns", [80, 120])
def test_it_keeps_within_the_terminal(args: tuple[str, ...], columns: int) -> None:
    for call in (args, args[:-2]):
        done = good("explain", *call, COLUMNS=str(columns))
        assert max(len(line) for line in done.lines) <= columns
        assert "please report it" not in done.out


def test_what_it_says_of_a_kernel() -> None:
    out = "\n".join(good("explain", *CONV, COLUMNS="80").lines)
    assert "= 115.6 MMAC / (46.18 TMAC/s · 0.4262)" in out
    assert "engines.tensor.peak.fp32 = 16384 MAC/cycle   derived, rtx4090" in out
    assert "NVIDIA Ada GPU Architecture, white paper" in out
    assert "bound by compute" in out
    numbers = re.findall(r"\[(\d+)\]", out.partition("\nFigures")[0].partition("Work\n")[2])
    listed = re.findall(r"^ +\[(\d+)\]", out.partition("\nFigures")[2], re.MULTILINE)
    assert set(numbers) == set(listed)


@pytest.mark.parametrize("args", RUNS, ids=lambda a: f"{a[0]}@{a[2]}")
def test_what_it_says_of_a_run(args: tuple[str, ...]) -> None:
    out, data = good("explain", *args, COLUMNS="80").out, explained(*args)
    reasons = data["reasons"]
    assert len(re.findall(r"^  \d\. ", out, re.MULTILINE)) == min(3, len(reasons))
    assert [r["saved_s"] for r in reasons] == sorted((r["saved_s"] for r in reasons), reverse=True)
    for reason in reasons:
        assert data["bound_latency_s"] <= reason["latency_s"] * (1 + 1e-9)
        assert reason["latency_s"] < data["latency_s"]
    assert data["together_s"] <= min(r["latency_s"] for r in reasons)
    assert "Bound: everything fused" in out


def test_markdown() -> None:
    for args in (CONV, CONV[:-2]):
        text = good("explain", *args, "--format", "md").out
        tables = [line for line in text.splitlines() if line.startswith("|")]
        assert tables
        assert all(line.endswith("|") for line in tables)
        assert "## Figures" in text


def test_into_a_file(tmp_path: Path) -> None:
    for form, suffix in (("table", "txt"), ("json", "json"), ("md", "md")):
        path = tmp_path / f"why.{suffix}"
        assert good("explain", *CONV, "--format", form, "-o", str(path)).out == ""
        assert "layer3.1.conv2" in path.read_text(encoding="utf-8")
    assert strict((tmp_path / "why.json").read_text(encoding="utf-8")) == explained(*CONV)


def test_the_library_says_the_same_however_often() -> None:
    est = api.estimate("resnet50", "rtx4090")
    for _ in range(2):
        found = api.explain(est, "layer3.1.conv2")
        assert strict(good("explain", *CONV, "--format", "json").out)["latency_s"] == found.latency_s
    assert found.index == find_layer(est, "layer3.1.conv2")
    assert callable(api.explain)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--layer", "layer3.1.conv"), "6 kernels match --layer 'layer3.1.conv': layer3.1.conv1 (#55), layer3.1.conv1.bn"),
        (("--layer", "999"), "--layer '999': resnet50 has "),
        (("--layer", "layer3.1.cnov2"), "has no layer 'layer3.1.cnov2'; did you mean 'layer3.1.conv2'?"),
        (("--layer", "zzz"), "has no layer 'zzz' (kernels: conv1, "),
        (("--layer", ""), "has no layer ''"),
        (("--overlap", "prefetsch"), "no overlap policy 'prefetsch'; did you mean 'prefetch'?"),
        (("-o", "no/such/why.txt"), "there is no folder no/such"),
        (("--runtime", "absent"), "no runtime 'absent'"),
    ],
)
def test_what_is_refused(args: tuple[str, ...], message: str) -> None:
    done = sim("explain", "resnet50", "--hw", "rtx4090", *args)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""


def test_as_a_process() -> None:
    done = process("explain", "resnet8", "--hw", "ethos_u55_128", "--precision", "int8", "--format", "json")
    assert done.returncode == 0
    assert strict(done.stdout)["explains"] == "run"
