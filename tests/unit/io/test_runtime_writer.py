"""Fitted figures in a runtime's file: it predicts what was scored, and every other byte stays."""

import difflib
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import simulator as sim
from simulator.errors import HardwareError, NotFoundError
from simulator.fidelity.calibrate import Calibration, predictions
from simulator.fidelity.measurement import Measurement
from simulator.io.hardware_reader import load_runtime
from simulator.io.runtime_writer import Evidence, fitted_text
from simulator.machine.runtime import RuntimeSpec

NETWORKS = ("resnet18", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2_x1_0", "mnasnet1_0", "densenet121", "resnet34")
EVIDENCE = Evidence("some runs.csv", "2026-11-20", "0.1.0")
KEY = "fit-2026-11-20"
FIRST = """schema: 1
id: mine
name: Mine
description: "A runtime of the tests: kernels as others have them"
fusion: [batch_norm, activation]
profiles:
  simd:
    overlap: {value: 0, kind: estimated, note: "nothing hides"}
    efficiency:
      default: {value: 0.5, kind: estimated, note: "classes without a figure of their own"}
      conv: {value: 0.6, kind: measured, source: a-paper, note: "table 2: \\"large\\" ones"}
      depthwise_conv: {value: 0.15, kind: estimated, note: "loads dominate"}
    vector_efficiency: {value: 0.5, kind: estimated, note: "loops"}
    bandwidth: {value: 0.75, kind: estimated, note: "copies"}
    kernel_overhead: {value: 3 us, kind: estimated, note: "dispatch"}
    inference_overhead: {value: 10 us, kind: estimated, note: "one call"}
sources:
  a-paper: "A. Author, A paper about convolutions, 2026, https://example.org"
"""


def variant(folder: Path, text: str) -> tuple[str, Calibration]:
    """A runtime file, and a fit of it to runs 1.4 times as long as it predicts."""
    path = folder / "mine.yaml"
    path.write_bytes(text.encode())
    rows = []
    for network in NETWORKS:
        latency_s = sim.estimate(network, "i7_12700h", runtime=str(path)).latency_s
        rows.append(Measurement(network, "i7_12700h", str(path), 1.4 * latency_s, family=network[:3] + network[-1]))
    return str(path), sim.calibrate(rows, path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Calibration]:
    return variant(tmp_path_factory.mktemp("first"), FIRST)


def test_the_file_predicts_what_was_scored(first: tuple[str, Calibration], tmp_path: Path) -> None:
    reference, found = first
    path = tmp_path / "fitted.yaml"
    path.write_text(fitted_text(reference, found, EVIDENCE), encoding="utf-8")
    read = load_runtime(str(path))
    assert tuple(predictions(found.samples, read).tolist()) == found.after_s
    assert {p: f.value for p, f in read.figures()} == {p: f.value for p, f in found.runtime.figures()}
    assert read.residuals is not None
    assert (read.residuals.n, read.residuals.source) == (len(NETWORKS), KEY)
    for read_as, quantile in zip((read.residuals.p5, read.residuals.p50, read.residuals.p95), found.residuals, strict=True):
        assert read_as == pytest.approx(quantile, rel=1e-3)


def test_only_fitted_figures_sources_and_residuals_change(first: tuple[str, Calibration]) -> None:
    reference, found = first
    assert found.values
    text = fitted_text(reference, found, EVIDENCE)
    changes = [line for line in difflib.ndiff(FIRST.splitlines(), text.splitlines()) if line[0] in "-+"]
    gone = [line[2:].strip() for line in changes if line[0] == "-"]
    new = [line[2:].strip() for line in changes if line[0] == "+"]
    assert len(gone) == len(found.values)
    assert len(new) == len(found.values) + 2
    for line in new[: len(gone)]:
        if "kind: calibrated" in line:
            assert f"source: {KEY}" in line
            assert ", prior: " in line
    assert sum("kind: calibrated" in line for line in new) == len(found.values)
    (source,) = (line for line in new if line.startswith(f"{KEY}:"))
    for word in ("sim calibrate 0.1.0", "2026-11-20", f"{len(NETWORKS)} runs of some runs.csv on i7_12700h", "median error"):
        assert word in source


def test_every_calibrated_figure_has_a_source(first: tuple[str, Calibration]) -> None:
    reference, found = first
    read = RuntimeSpec.model_validate(yaml.safe_load(fitted_text(reference, found, EVIDENCE)))
    calibrated = {path: f for path, f in read.figures() if f.kind == "calibrated"}
    assert set(calibrated) == set(found.values)
    assert all(f.is_sourced and f.source == KEY for f in calibrated.values())


def test_a_second_fit_takes_the_place_of_the_first(first: tuple[str, Calibration], tmp_path: Path) -> None:
    reference, found = first
    path = tmp_path / "fitted.yaml"
    path.write_text(fitted_text(reference, found, EVIDENCE), encoding="utf-8")
    again = sim.calibrate([s.measured for s in found.samples], path)
    read = yaml.safe_load(fitted_text(str(path), again, EVIDENCE))
    assert [key for key in read["sources"] if key.startswith("fit-")] == [f"{KEY}-2"]


PLAIN = ('vector_efficiency: {value: 0.5, kind: estimated, note: "loops"}', "vector_efficiency: 0.5  # a guess")
CONV = re.search(r"( +)conv: \{.*", FIRST)
assert CONV
BLOCK = "\n".join(f"{CONV[1]}{line}" for line in ("conv:", "  value: 0.6", "  kind: measured", "  source: a-paper"))
NO_SOURCES = re.sub(r"(?s)\nsources:.*", "\n", FIRST).replace("kind: measured, source: a-paper", "kind: estimated")
SOURCES = FIRST[FIRST.index("sources:") :]
WRITTEN = {
    "as it is": FIRST,
    "comments": "# mine\n" + FIRST.replace("\nprofiles:", "\n# profiles follow\nprofiles:  # here") + "# the end\n",
    "plain number": FIRST.replace(*PLAIN),
    "block": FIRST.replace(CONV[0], BLOCK),
    "windows": FIRST.replace("\n", "\r\n"),
    "no newline at the end": FIRST.rstrip(),
    "byte order mark": "\ufeff" + FIRST,
    "sources first": FIRST.replace(SOURCES, "").replace("schema: 1\n", f"schema: 1\n{SOURCES}"),
    "no sources": NO_SOURCES,
    "no sources, no newline": NO_SOURCES.rstrip(),
    "empty sources": NO_SOURCES + "sources: {}\n",
    "sources in a line": NO_SOURCES + "sources: {other: something else}\n",
    "a block of text": FIRST + "  more: >\n    several\n    lines\n# the end\n",
    "a comment behind the last source": FIRST.rstrip() + "  # of the last source\n",
    "an end": FIRST + "...\n",
}  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN)
def test_however_it_is_written(first: tuple[str, Calibration], tmp_path: Path, case: str) -> None:
    """The figures are those of the first file, so its fit is that of all of them."""
    text = WRITTEN[case]
    source, found = tmp_path / "mine.yaml", first[1]
    source.write_bytes(text.encode())
    new = fitted_text(str(source), found, EVIDENCE)
    target = tmp_path / "out.yaml"
    target.write_bytes(new.encode())
    read = load_runtime(str(target))
    assert {p: f.value for p, f in read.figures()} == {p: f.value for p, f in found.runtime.figures()}
    assert read.residuals is not None
    comments = re.compile(r"(?m)(?:^|\s)#[^\r\n\"]*$")
    assert comments.findall(new) == comments.findall(text)
    assert ("\r\n" in new) == ("\r\n" in text)
    assert new.count("\n") == new.count("\r\n") or "\r\n" not in text
    untouched = [line for line in text.splitlines() if "value:" not in line and line not in BLOCK and "sources: {" not in line]
    assert [line for line in untouched if line not in new.splitlines() and "vector_efficiency" not in line] == []
    # once fitted, it reads as the fit, whatever the source is called
    assert set(read.sources) == {*load_runtime(str(source)).sources, KEY}


def test_a_second_fit_has_a_source_of_its_own_and_one_set_of_residuals(tmp_path: Path) -> None:
    reference, found = variant(tmp_path, FIRST)
    once = tmp_path / "once.yaml"
    once.write_text(fitted_text(reference, found, EVIDENCE), encoding="utf-8")
    rows = [replace(s.measured, latency_s=2 * s.measured.latency_s) for s in found.samples]
    second = sim.calibrate(rows, once, fit=("efficiency.conv",))
    twice = tmp_path / "twice.yaml"
    twice.write_text(fitted_text(str(once), second, EVIDENCE), encoding="utf-8")
    read = load_runtime(str(twice))
    assert {f"{KEY}", f"{KEY}-2"} <= set(read.sources)
    assert read.residuals is not None
    assert read.residuals.source == f"{KEY}-2"
    (path,) = second.values
    figure, first = dict(read.figures())[path], dict(load_runtime(str(reference)).figures())[path]
    assert figure.prior == first.value  # that of the first fit, whose result is no prior
    assert figure.note == f"prior from {first.source}; {first.note}"


def test_a_second_fit_to_the_same_rows_stays(tmp_path: Path) -> None:
    """Its priors are those of the first one, not what that came to: doubt is not forgotten by fitting often."""
    reference, found = variant(tmp_path, FIRST)
    once = tmp_path / "once.yaml"
    once.write_text(fitted_text(reference, found, EVIDENCE), encoding="utf-8")
    again = sim.calibrate([s.measured for s in found.samples], once)
    assert {c.constant.path: c.constant.prior for c in again.constants} == {
        c.constant.path: c.constant.prior for c in found.constants
    }
    assert again.values == pytest.approx(found.values, rel=0.01)


@pytest.mark.parametrize(
    ("figure", "fault"),
    [
        ("{value: 0.6, prior: 0.5, kind: estimated, note: x}", "only a figure of kind 'calibrated' has a 'prior'"),
        ("{value: 0.6, prior: 0, kind: calibrated, source: a-paper}", "prior '0' must be more than 0"),
    ],
)
def test_a_prior_that_is_none(tmp_path: Path, figure: str, fault: str) -> None:
    assert CONV
    path = tmp_path / "mine.yaml"
    path.write_text(FIRST.replace(CONV[0], f"{CONV[1]}conv: {figure}"), encoding="utf-8")
    with pytest.raises(HardwareError, match=fault):
        load_runtime(str(path))


def test_aliases_are_refused(tmp_path: Path) -> None:
    """One figure under two names cannot be fitted under one of them."""
    text = FIRST.replace("conv: {value: 0.6", "conv: &same {value: 0.6").replace(
        "    vector_eff", "      recurrent: *same\n    vector_eff"
    )
    reference, found = variant(tmp_path, text)
    assert any(path.endswith("efficiency.conv") for path in found.values)
    with pytest.raises(HardwareError, match=r"mine.yaml:11: profiles.simd.efficiency.conv stands behind an alias"):
        fitted_text(reference, found, EVIDENCE)


def test_no_such_runtime(first: tuple[str, Calibration]) -> None:
    with pytest.raises(NotFoundError, match="no runtime 'onnxruntme'; did you mean 'onnxruntime'"):
        fitted_text("onnxruntme", first[1], EVIDENCE)
