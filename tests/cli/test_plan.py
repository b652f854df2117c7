"""`sim plan`: what it prints in 80 columns, what its JSON says, what it writes, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import simulator as api
from simulator.io.hardware_reader import load_runtime
from simulator.preparation import prepare
from tests.cli.command import good, sim, strict

MCU = ("--hw", "stm32h743", "--precision", "int8")
CASES = (
    ("ds_cnn", *MCU), ("mobilenet_v2", *MCU), ("mobilenet_v2", *MCU, "--patches", "4x4:12", "--reorder"),
    ("resnet50", "--hw", "a100_sxm_80", "--precision", "fp16", "--batch", "8"), ("densenet121", *MCU),
    ("bert_base", "--hw", "rtx4090", "--precision", "fp16"), ("resnet8", "--hw", "ethos_u55_128", "--precision", "int8"),
    ("mobilenet_v1", "--hw", "edgetpu_usb", "--precision", "int8"), ("resnet50", "--hw", "zcu102", "--precision", "int8"),
)  # fmt: skip


def planned(*args: str) -> Any:
    return good("plan", *args, "--format", "json").json


@pytest.mark.parametrize("args", CASES, ids=lambda a: f"{a[0]}@{a[2]}{'+' * (len(a) > 5)}")
def test_eighty_columns_without_a_cut(args: tuple[str, ...]) -> None:
    done = good("plan", *args)
    assert max(map(cell_len, done.out.splitlines())) <= 80
    assert not [line for line in done.lines if "…" in line and not line.startswith("…")]  # only names are shortened
    assert done.out.count("\n") <= 32
    assert done.err == ""


def test_the_verdict_comes_first() -> None:
    assert good("plan", "ds_cnn", *MCU).lines[1].startswith("fits: fullest is sram, 3 % used")
    large = good("plan", "mobilenet_v2", *MCU).lines[1]
    assert large.startswith("DOES NOT FIT: sram is 958 KiB too small, flash is 1.")


def test_a_report_names_what_matters() -> None:
    out = good("plan", "mobilenet_v2", *MCU).out
    for words in (
        "in + out", "liveness", "in place", "greedy by size", "hill climb", "arena ≥",
        "At the peak: kernel 5 of", "1×96×112×112 int8", "4 to 5", "--reorder", "--patches 3x3:", "% MACs", "fits sram",
    ):  # fmt: skip
        assert words in out


def test_json_says_the_same() -> None:
    found = planned("mobilenet_v2", *MCU)
    assert found["schema"] == 1
    assert (found["model"], found["hardware"], found["fits"]) == ("mobilenet_v2", "stm32h743", False)
    peaks = {name: p["peak_bytes"] for name, p in found["peaks"].items()}
    assert peaks == {"in_out": 1_505_280, "liveness": 1_505_280, "liveness_in_place": 1_404_928}
    assert found["peaks"]["liveness"]["live_bytes"][found["peaks"]["liveness"]["kernel"]] == 1_505_280
    assert len(found["kernels"]) == len(found["peaks"]["in_out"]["live_bytes"])
    (largest, *_) = found["peaks"]["liveness"]["culprits"]
    assert (largest["shape"], largest["bytes"]) == ([1, 96, 112, 112], 1_204_224)
    for by_heuristic in found["arenas"].values():
        for arena in by_heuristic.values():
            assert arena["size_bytes"] >= arena["lower_bound_bytes"]
            assert all(b["address_bytes"] % 16 == 0 for b in arena["buffers"])
    assert found["memory"]["sram"]["needs_bytes"] == found["activation_bytes"] == 1_505_280
    assert found["memory"]["flash"]["needs_bytes"] == found["weight_bytes"]
    assert found["patches"] is None
    assert found["suggested_patches"]["peak_bytes"]["liveness"] <= found["memory"]["sram"]["capacity_bytes"]


def test_the_plan_needs_what_the_estimate_does() -> None:
    """Liveness is the peak that `sim estimate` reports; with addresses of 1 byte the arena is as large here."""
    found = planned("mobilenet_v2", *MCU, "--align", "1")
    estimated = good("estimate", "mobilenet_v2", *MCU, "--format", "json").json
    assert found["peaks"]["liveness"]["peak_bytes"] == estimated["totals"]["peak_activation_bytes"]
    assert found["memory"] == estimated["totals"]["memory"]


TWO = ("mobilenet_v3_small", "--hw", "edgetpu_usb", "--precision", "int8")


@pytest.mark.parametrize("columns", ["80", "120"])
def test_engines_with_memories_of_their_own(columns: str) -> None:
    done = good("plan", *TWO, COLUMNS=columns)
    assert max(map(cell_len, done.out.splitlines())) <= int(columns)
    assert "…" not in done.out
    for words in (
        "sram    npu      343 KiB", "dram    cores   2.83 MiB", "npu: 1 of 101 kernels, activations in sram",
        "cores: 100 of 101 kernels, activations in dram", "At the peak: kernel 1 of 101, stem",
        "At the peak: kernel 2 of 101, stem.act", "Crossing between memories: 2 tensors, 343 KiB",
    ):  # fmt: skip
        assert words in done.out
    assert "--reorder" not in done.out


def test_json_of_several_places() -> None:
    found = planned(*TWO)
    (other,) = found["elsewhere"]
    assert (found["engines"], found["activations_in"], found["kernels_here"]) == (["npu"], "sram", [0])
    assert (other["engines"], other["activations_in"], len(other["kernels_here"])) == (["cores"], "dram", 100)
    needs = {name: fit["needs_bytes"] for name, fit in found["memory"].items()}
    assert needs["sram"] == found["activation_bytes"] + found["weight_bytes"]
    assert needs["dram"] == other["activation_bytes"] + other["weight_bytes"]
    assert {(c["name"], c["from"], c["to"], c["kernel"]) for c in found["crossings"]} == {
        ("input", "dram", "sram", 0), ("stem.bn.out", "sram", "dram", 1),
    }  # fmt: skip
    assert planned("ds_cnn", *MCU)["elsewhere"] == planned("ds_cnn", *MCU)["crossings"] == []


def test_patches_need_one_place() -> None:
    done = sim("plan", *TWO, "--patches", "2x2:1")
    assert (done.code, done.out) == (2, "")
    assert "patches need all activations in one place, and these live in several: npu in sram, cores in dram" in done.err


def test_weights_that_are_cast_are_no_activations() -> None:
    """A runtime with automatic mixed precision makes half-precision copies of the weights."""
    args = ("deit_tiny", "--hw", "rtx4090", "--precision", "amp_fp16", "--runtime", "pytorch_eager")
    found = planned(*args)
    made = {t["name"] for b in found["arenas"]["liveness"]["greedy_by_size"]["buffers"] for t in b["tensors"]}
    assert not [name for name in made if ".weight/" in name]
    assert planned(*args, "--reorder")["peaks"]["liveness"]["peak_bytes"] <= found["peaks"]["liveness"]["peak_bytes"]


def test_patches_are_applied() -> None:
    found = planned("mobilenet_v2", *MCU, "--patches", "4x4:12")
    assert found["patches"]["grid"] == [4, 4]
    assert found["patches"]["kernels"] == 12
    assert found["activation_bytes"] == found["patches"]["peak_bytes"]["liveness"] == found["memory"]["sram"]["needs_bytes"]
    assert found["memory"]["sram"]["fits"]
    assert found["suggested_patches"] is None


def test_reordering_is_applied() -> None:
    found, given = planned("resnet50", *MCU, "--reorder"), planned("resnet50", *MCU)
    assert found["reordering"]["applied"]
    assert not given["reordering"]["applied"]
    assert found["kernels"] == [given["kernels"][i] for i in found["reordering"]["order"]]
    assert (
        found["peaks"]["liveness"]["peak_bytes"] == found["reordering"]["peak_bytes"] <= given["peaks"]["liveness"]["peak_bytes"]
    )


def test_batch_runtime_and_alignment() -> None:
    one, eight = planned("resnet8", *MCU), planned("resnet8", *MCU, "--batch", "8")
    assert eight["peaks"]["liveness"]["peak_bytes"] == 8 * one["peaks"]["liveness"]["peak_bytes"]
    ideal = planned("resnet8", *MCU, "--runtime", "ideal")
    kernels = prepare(api.load_model("resnet8"), "int8", load_runtime("ideal").fusion).kernels
    assert ideal["kernels"] == [k.name for k in kernels]
    coarse = planned("resnet8", *MCU, "--align", "4096")
    assert all(b["address_bytes"] % 4096 == 0 for b in coarse["arenas"]["liveness"]["hill_climb"]["buffers"])


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_pictures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plan.{suffix}"
    done = good("plan", "ds_cnn", *MCU, "-o", str(path))
    assert path.stat().st_size > 2000
    assert "fits" in done.out
    assert done.err.replace("\n", "") == f"wrote {path}"


def test_json_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert "fits" in good("plan", "ds_cnn", *MCU, "-o", str(path)).out
    assert strict(path.read_text(encoding="utf-8")) == planned("ds_cnn", *MCU)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--patches", "4x4"), "--patches '4x4': write ROWSxCOLUMNS:KERNELS, for example --patches 4x4:12"),
        (("--patches", "0x4:3"), "--patches '0x4:3': write ROWSxCOLUMNS:KERNELS, for example --patches 4x4:12"),
        (("--patches", "2x2:99"), "patches 2x2 of 99 kernels: the network has"),
        (("--patches", "2x2:10"), "is not local in space; end the patches before it"),
        (("--patches", "30x2:2"), "patches 30x2: 'block1.0.depthwise.act.out' has only 25 x 5 positions"),
        (("--align", "99999999999999999999"), "an alignment of 99999999999999999999 bytes: at least 1, at most 1073741824"),
        (("-o", "plan.gif"), "'.gif' is not a picture format"),
        (("-o", "no/such/plan.png"), "there is no folder no/such"),
    ],
)
def test_what_is_refused(args: tuple[str, ...], message: str) -> None:
    done = sim("plan", "ds_cnn", *MCU, *args)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""
