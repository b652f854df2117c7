"""One kernel of an estimate, explained; and which kernel a name means."""

import re
from collections.abc import Sequence
from typing import Final

from simulator.errors import UsageError, did_you_mean
from simulator.explanation.combined import energy_section, launch_section, time_section
from simulator.explanation.compute import compute_section, operators_of, work_section
from simulator.explanation.scene import Scene
from simulator.explanation.terms import LayerExplanation
from simulator.explanation.traffic import bytes_section, memory_section, operands_of
from simulator.result.estimate import Estimate
from simulator.result.prediction import Prediction
from simulator.units import format_si

_MOST: Final = 5  # names in a message
_MOST_MATCHES: Final = 12
_NUMBERED: Final = re.compile(r"(?:(.*)#)?(\d{1,9})", re.ASCII | re.DOTALL)
_WORDS: Final = re.compile(r"[^a-z0-9]+")


def explain_layer(est: Estimate, layer: str) -> LayerExplanation:
    """Every number of one kernel.

    Raises:
        UsageError: no kernel is called so, or several are.
    """
    scene = Scene.of(est, find_layer(est, layer))
    index, graph, kernel = scene.index, scene.setting.prepared.graph, scene.kernel
    sections = (
        work_section(scene), compute_section(scene), bytes_section(scene), memory_section(scene), launch_section(scene),
        time_section(scene), energy_section(scene),
    )  # fmt: skip
    seconds = scene.own(est.kernel_s)
    return LayerExplanation(
        est.model.name, est.hardware.name, est.runtime.id, settings_of(est), kernel.name, index, len(est.prepared.kernels),
        graph.ops[kernel.main].op_type, scene.kind, scene.native, scene.engine.id, origins(est, index),
        seconds, seconds / est.latency_s if est.latency_s else 0.0, est.bounds[index], verdict(est, index),
        operators_of(scene), operands_of(scene), tuple(s for s in sections if s.terms or s.note),
    )  # fmt: skip


def settings_of(est: Prediction) -> str:
    """`fp16 · batch 1 · pytorch_compile`, with the policy where it is not the runtime's."""
    overlap = "" if est.overlap == "runtime" else f" · overlap {est.overlap}"
    return f"{est.precision or est.main_rate} · batch {est.batch} · {est.runtime.id}{overlap}"


def verdict(est: Estimate, index: int) -> str:
    """What bounds a kernel, and by how much: `bound by memory: 12 µs; compute 3 µs, overhead 2 µs`."""
    cost, bound = est.cost, est.bounds[index]
    seconds = {
        "compute": float(cost.compute_s[index]), "memory": float(cost.memory_s[index]),
        "overhead": float(cost.overhead_s[index] + cost.transfer_s[index]),
    }  # fmt: skip
    first = seconds.pop(bound)
    others = sorted(seconds.items(), key=lambda item: -item[1])
    next_s = others[0][1]
    factor = f", {first / next_s:.3g} × the next" if next_s else ""
    rest = ", ".join(f"{name} {format_si(s, 's')}" for name, s in others)
    return f"bound by {bound}: {format_si(first, 's')}{factor} ({rest})"


def origins(est: Prediction, index: int) -> tuple[str, ...]:
    """ONNX nodes that a kernel came from."""
    kernel, graph = est.prepared.kernels[index], est.prepared.graph
    return tuple(dict.fromkeys(name for i in sorted((*kernel.ops, *kernel.views)) for name in graph.ops[i].origin))


def find_layer(est: Prediction, layer: str) -> int:
    """The kernel that a text means: the first of these ways that finds any.

    Its name; that of an ONNX node in it; its number, counted from 1 (`12`, `#12`); `NAME#2`, the second of several that
    match; a part of a name that only one has.

    Raises:
        UsageError: there is none, or there are several.
    """
    names = [kernel.name for kernel in est.prepared.kernels]
    nodes = [_node_names(est, index) for index in range(len(names))]
    wanted = layer.strip()
    named, numbered = _named(wanted, names, nodes), _NUMBERED.fullmatch(wanted)
    if not named and numbered:
        of_name, number = numbered.groups()
        found = _numbered(est, layer, _meant(of_name, names, nodes) if of_name else range(len(names)), of_name, int(number))
        wanted = of_name or wanted
    else:
        found = _meant(wanted, names, nodes)
    if len(found) == 1:
        return found[0]
    if found:
        matches = _some([f"{names[i]} (#{i + 1})" for i in found], _MOST_MATCHES)
        raise UsageError(
            f"{len(found)} kernels match --layer '{layer}': {matches}; give the number of one: --layer {found[0] + 1}"
        )
    known = list(dict.fromkeys([*names, *(node for own in nodes for node in sorted(own))]))
    raise UsageError(f"{est.model.name} has no layer '{layer}'{did_you_mean(wanted, known) or _near(wanted, names)}")


def _named(wanted: str, names: Sequence[str], nodes: Sequence[set[str]]) -> list[int]:
    """Kernels of a name, else those with an ONNX node of it."""
    own = [i for i, name in enumerate(names) if name == wanted]
    return own or [i for i, inside in enumerate(nodes) if wanted in inside]


def _with_part(wanted: str, names: Sequence[str], nodes: Sequence[set[str]]) -> list[int]:
    """Kernels whose name has it as a part, else those with such a node; the empty text is a part of none."""
    own = [i for i, name in enumerate(names) if wanted and wanted in name]
    return own or [i for i, inside in enumerate(nodes) if wanted and any(wanted in node for node in inside)]


def _meant(wanted: str, names: Sequence[str], nodes: Sequence[set[str]]) -> list[int]:
    """Kernels of a name, or with it as a part of theirs."""
    return _named(wanted, names, nodes) or _with_part(wanted, names, nodes)


def _numbered(est: Prediction, layer: str, candidates: Sequence[int], name: str | None, place: int) -> list[int]:
    """The one at a place, counted from 1, of those that a name means (None: of all); none where there are no candidates.

    Raises:
        UsageError: there are not so many.
    """
    if 1 <= place <= len(candidates) or not candidates:
        return list(candidates[place - 1 : place])
    many = f"{len(candidates)} kernel{'s' if len(candidates) != 1 else ''}"
    what = f"{many} '{name}'" if name else many
    raise UsageError(f"--layer '{layer}': {est.model.name} has {what}, counted from 1")


def _near(wanted: str, names: Sequence[str]) -> str:
    """Kernels that share most words with what was asked for, the first ones where none does."""
    words = {word for word in _WORDS.split(wanted.lower()) if word}
    shared = [len(words & set(_WORDS.split(name.lower()))) for name in names]
    if not any(shared):
        return f" (kernels: {_some(names)})"
    return f" (the closest: {_some([name for name, count in zip(names, shared, strict=True) if count == max(shared)])})"


def _node_names(est: Prediction, index: int) -> set[str]:
    """Names of the ONNX nodes and operators of a kernel."""
    kernel, graph = est.prepared.kernels[index], est.prepared.graph
    return {*origins(est, index), *(graph.ops[i].name for i in (*kernel.ops, *kernel.views))}


def _some(names: Sequence[str], most: int = _MOST) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
