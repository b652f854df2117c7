"""A runtime's file with other figures: only they are replaced, every other byte and comment stays."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from simulator.errors import HardwareError
from simulator.fidelity.calibrate import LEAVE_OUT, Calibration
from simulator.fidelity.constants import Constant
from simulator.io.hardware_reader import runtime_path
from simulator.io.yaml_reader import Layers, read_document, validate
from simulator.machine.figures import Figure, Provenance
from simulator.machine.runtime import RuntimeSpec

_FIT: Final = re.compile(r' +(fit-\d{4}-\d\d-\d\d(?:-\d+)?): "')


@dataclass(frozen=True, slots=True)
class _Edit:
    """Characters from `start` to `end` of a file, and what stands there afterwards."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a fit rests on: `data` names the file, `date` is that of the fit, as 2026-11-20."""

    data: str
    date: str
    version: str


def fitted_text(reference: str, found: Calibration, evidence: Evidence) -> str:
    """The file of the runtime `reference` with the fitted figures, their source, and the residuals.

    Raises:
        HardwareError: the file is written in a way that hides where a figure stands (anchors, merged keys).
        NotFoundError: no such runtime.
    """
    path = runtime_path(reference)
    read_document(path)  # says what is wrong with it, with the line
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    source = _free_key(f"fit-{evidence.date}", found.runtime.sources)
    edits = list(_figure_edits(path, text, root, found, source))
    newline = "\r\n" if "\r\n" in text else "\n"
    residuals = f"residuals: {_residuals(found, source)}"
    entry = f"{source}: {json.dumps(_source(found, evidence), ensure_ascii=False)}"
    edits += _top_level(text, root, residuals, entry, newline)
    result = text
    for edit in sorted(edits, key=lambda e: -e.start):
        result = result[: edit.start] + edit.text + result[edit.end :]
    result = _without_replaced_fits(result)
    _check(path, result, found)
    return result


def _without_replaced_fits(text: str) -> str:
    """The file without the sources of earlier fits, one a line, that no figure rests on any longer."""
    lines = text.splitlines(keepends=True)
    fits = {line: found[1] for line in lines if (found := _FIT.match(line))}
    return "".join(line for line in lines if line not in fits or re.search(rf"source: {fits[line]}\b(?!-\d)", text))


def _free_key(wanted: str, taken: Mapping[str, str]) -> str:
    """`wanted`, or with a number behind it."""
    key, number = wanted, 2
    while key in taken:
        key, number = f"{wanted}-{number}", number + 1
    return key


def _source(found: Calibration, evidence: Evidence) -> str:
    """Data, date, number of rows, error and version, in a sentence."""
    machines = list(dict.fromkeys(s.measured.hardware for s in found.samples))
    parts = len({LEAVE_OUT[found.left_out](s.measured) for s in found.samples})
    kind = {"family": "families", "hardware": "machines"}[found.left_out]
    error = found.held_out
    return (
        f"sim calibrate {evidence.version}, {evidence.date}: {error.n} runs of {evidence.data} on {', '.join(machines)}; "
        f"cross-validated without the {found.left_out} ({parts} {kind} in {found.folds} parts): median error {error.median:.1%}, "
        f"90 % within {error.p90:.1%}"
    )


def _residuals(found: Calibration, source: str) -> str:
    low, middle, high = found.residuals
    return f"{{p5: {low:.4g}, p50: {middle:.4g}, p95: {high:.4g}, n: {len(found.samples)}, source: {source}}}"


def _figure_edits(path: Path, text: str, root: yaml.MappingNode, found: Calibration, source: str) -> Iterator[_Edit]:
    """A mapping in one line in the place of every fitted figure."""
    old = dict(found.runtime.figures())
    seen: set[int] = set()
    for fitted in found.constants:
        if not fitted.moved:
            continue
        node = _node(root, fitted.constant.path.split("."))
        if node is None or text[node.start_mark.index] in "&*" or id(node) in seen:
            where = f"{path}:{1 if node is None else node.start_mark.line + 1}"
            raise HardwareError(f"{where}: {fitted.constant.path} stands behind an alias or a merged key: write it out")
        seen.add(id(node))
        yield _Edit(node.start_mark.index, _end(node), _figure(fitted.constant, old[fitted.constant.path], fitted.value, source))


def _node(root: yaml.MappingNode, parts: list[str]) -> yaml.Node | None:
    """What stands under a path of keys."""
    node: yaml.Node | None = root
    for part in parts:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == part), None)
    return node


def _end(node: yaml.Node) -> int:
    """Where the text of a node ends; a mapping in several lines ends with its last value, not where the next key begins."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    return int(node.end_mark.index)


def _figure(constant: Constant, old: Figure, value: float, source: str) -> str:
    """`{value: 0.71, prior: 0.78, kind: calibrated, source: fit-2026-11-20, note: "prior from its source; …"}`."""
    shown = f"value: {constant.text(value)}, prior: {constant.text(constant.prior)}, kind: calibrated, source: {source}"
    first = old.source if old.kind is not Provenance.CALIBRATED else None
    note = "; ".join(filter(None, (f"prior from {first}" if first else "", old.note)))
    return f"{{{shown}{f', note: {json.dumps(note, ensure_ascii=False)}' if note else ''}}}"


def _top_level(text: str, root: yaml.MappingNode, residuals: str, entry: str, newline: str) -> Iterator[_Edit]:
    """The residuals in the place of older ones or before the sources, and the source behind the others."""
    nodes = {key.value: (key, value) for key, value in root.value}
    if "residuals" in nodes:
        key, value = nodes["residuals"]
        yield _Edit(key.start_mark.index, _end(value), residuals)
        residuals = ""
    if "sources" not in nodes:
        close = "" if text.endswith("\n") else newline
        lines = [*([residuals] if residuals else []), "sources:", f"  {entry}"]
        yield _Edit(len(text), len(text), close + "".join(f"{line}{newline}" for line in lines))
        return
    key, value = nodes["sources"]
    if residuals:
        yield _Edit(key.start_mark.index, key.start_mark.index, f"{residuals}{newline}")
    if value.flow_style:
        yield _Edit(value.end_mark.index - 1, value.end_mark.index - 1, f"{', ' if value.value else ''}{entry}")
    else:
        indent = " " * value.start_mark.column
        line_end = text.find("\n", max(_end(value) - 1, 0))  # a block of text ends behind its last line
        at = len(text) if line_end < 0 else line_end + 1
        yield _Edit(at, at, f"{newline if line_end < 0 else ''}{indent}{entry}{newline}")


def _check(path: Path, text: str, found: Calibration) -> None:
    """Refuse a text that does not read as the fitted runtime: the file was written in a way that nobody thought of."""
    fault = f"{path}: the fitted figures cannot be put into this file as it is written; write every figure on a line of its own"
    try:
        data: Any = yaml.safe_load(text)
        read = RuntimeSpec.model_validate(data)
    except (yaml.YAMLError, ValueError) as error:
        raise HardwareError(fault) from error
    if {p: f.value for p, f in read.figures()} != {p: f.value for p, f in found.runtime.figures()}:
        raise HardwareError(fault)
    before = validate(RuntimeSpec, _layers(path))
    changed = {"profiles", "residuals", "sources"}
    if read.model_dump(exclude=changed) != before.model_dump(exclude=changed):
        raise HardwareError(fault)


def _layers(path: Path) -> Layers:
    document = read_document(path)
    return Layers(document.data, ((document, ()),))
