"""Tables of the catalogues: machines and networks, and the counts of one network."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.machine.params import Machine, machine_of
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.units import format_bytes, format_si

_INTEGER = ("int4", "int8", "int16")
_COLUMNS = (
    "peak: the fastest dense rate, two operations a MAC. bandwidth: of the outermost memory or link. memory: what holds the"
    " activations of the first engine, at most. power: TDP, or measured active power. –: the file does not say."
    " sim hw show ID has every figure."
)
_COUNTS = "parameters and MACs as published (–: nobody published one); sim models show ID counts a network."


class Recipe(Protocol):
    """What a table of networks needs of a recipe."""

    @property
    def id(self) -> str:
        """Catalogue name."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """What it takes behind its name."""

    @property
    def published(self) -> object:
        """Published counts."""


def _table(*headers: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for i, header in enumerate(headers):
        table.add_column(header, justify="right" if i in right else "left", no_wrap=i in (0, *right))
    return table


def hardware_table(specs: Sequence[HardwareSpec], width: int) -> RenderableType:
    """One line a machine: peaks, bandwidth, memory, power; then what these are."""
    wide = width >= 110
    headers = ["id", *(["name"] if wide else []), "class", "peak", "bandwidth", "memory", "power"]
    table = _table(*headers, right=[headers.index(h) for h in ("peak", "bandwidth", "memory", "power")])
    for spec in sorted(specs, key=lambda s: (s.hardware_class, s.id)):
        machine = machine_of(spec)
        modes = f":{{{','.join(spec.modes)}}}" if spec.modes and wide else ""
        name = [f"{spec.name}{modes}"] if wide else []
        table.add_row(spec.id, *name, spec.hardware_class, _peak(machine), _bandwidth(machine), _capacity(machine), _power(spec))
    return Group(table, Padding(Text(_COLUMNS, style="dim"), (0, 0, 0, 2)))


def rate_text(macs_per_s: float, rate: str) -> str:
    """`312 TFLOP/s`, `624 TOP/s`: operations per second, two a MAC."""
    return format_si(2 * macs_per_s, "OP/s" if rate in _INTEGER else "FLOP/s")


def _peak(machine: Machine) -> str:
    """The rate people quote: the fastest of int8, fp16, fp32, on whichever engine that is."""
    rates: dict[str, float] = {}
    for engine in machine.engines:
        for rate, per_s in engine.macs_per_s.items():
            if rate in ("int8", "fp16", "bf16", "fp32"):
                rates[rate] = max(float(per_s), rates.get(rate, 0.0))
    rate = max(rates, key=lambda r: rates[r]) if rates else next(iter(machine.engines[0].macs_per_s))
    return f"{rate} {rate_text(rates.get(rate, 0.0), rate)}"


def _bandwidth(machine: Machine) -> str:
    return format_si(float(machine.memories[-1].read_bytes_per_s), "B/s")


def _capacity(machine: Machine) -> str:
    home = machine.seen_by(machine.engines[0]).homes(weights=False)[-1]
    return format_bytes(float(home.capacity_bytes)) if float(home.capacity_bytes) < float("inf") else "–"


def _power(spec: HardwareSpec) -> str:
    figure = spec.power.tdp or spec.power.active
    return format_si(figure.value, "W") if figure else "–"


def models_table(recipes: Sequence[Recipe], width: int) -> RenderableType:
    """One line a network: title, published counts, parameters it takes."""
    wide = width >= 100
    table = _table("id", "parameters", "MACs", "title", *(["options"] if wide else []), right=(1, 2))
    for recipe in recipes:
        options = [", ".join(recipe.parameters)] if wide else []
        table.add_row(recipe.id, *_published(recipe.published), recipe.title, *options)
    return Group(table, Padding(Text(_COUNTS, style="dim"), (0, 0, 0, 2)))


def _published(published: object) -> tuple[str, str]:
    def count(name: str) -> str:
        figure = getattr(published, name, None)
        value = getattr(figure, "value", figure)
        return format_si(float(value), "") if isinstance(value, int | float) else "–"

    return count("params"), count("macs")


def show_model(model: Model) -> RenderableType:
    """The counts of a network that need no machine."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in _counts(model):
        table.add_row(name, value)
    return Group(Text(model.name, style="bold"), Text(), table, *(Text(f"note: {n}", style="yellow") for n in model.graph.notes))


def _counts(model: Model) -> list[tuple[str, str]]:
    graph = model.graph
    rows = [("inputs", _tensors(model, graph.inputs)), ("outputs", _tensors(model, graph.outputs))]
    rows += [
        ("operators", f"{len(graph.ops)} (of {graph.node_count} nodes in the file, opset {graph.opset})"),
        ("parameters", f"{model.params:,}"),
        ("MACs", f"{model.macs:,}"),
        ("FLOPs", f"{model.flops:,}"),
        ("model size", f"{format_bytes(model.weight_bytes)} in the file; {_sizes(model)}"),
        ("activations", f"{model.activation_elements_total:,} elements in all"),
        ("peak activations", f"{model.activation_elements_peak:,} elements: the largest input + output of a layer"),
        ("receptive field", f"{model.receptive_field} input position{'s' if model.receptive_field != 1 else ''} along an axis"),
    ]  # fmt: skip
    gaps = graph.coverage
    if gaps.ops_without_rule or gaps.tensors_without_shape or gaps.data_dependent_shapes:
        unknown = ", ".join(f"{name} ×{count}" for name, count in gaps.ops_without_rule.items()) or "none"
        rows += [
            ("without a rule", unknown),
            ("without a shape", f"{gaps.tensors_without_shape} tensor(s)"),
            ("upper bounds", f"{gaps.data_dependent_shapes} shape(s) depend on data"),
        ]
    return rows


def _sizes(model: Model) -> str:
    widths = (("fp32", 32), ("fp16", 16), ("int8", 8), ("int4", 4))
    return ", ".join(f"{name} {format_bytes(model.size_bytes(bits))}" for name, bits in widths)


def _tensors(model: Model, names: tuple[str, ...]) -> str:
    parts = []
    for name in names:
        spec = model.graph.tensors[name]
        shape = "?" if spec.shape is None else "×".join(map(str, spec.shape)) or "scalar"
        parts.append(f"{name} {shape} {spec.dtype}")
    return ", ".join(parts)


def template(name: str, extends: str | None) -> str:
    """A minimal hardware file that loads, with comments on what to fill in."""
    identifier = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "machine"
    head = f"schema: 1\nid: {json.dumps(identifier)}\nname: {json.dumps(name)}\n"
    if extends:
        return (
            f"{head}extends: {extends}   # only what differs is written here\n"
            "# memories:\n#   - {id: dram, bandwidth: 100 GB/s}\n"
        )
    return (
        "# docs/hardware.md explains every field. A figure may say where it comes from:\n"
        "#   bandwidth: {value: 100 GB/s, kind: datasheet, source: my-datasheet}   (and `sources:` spells it out)\n"
        f"{head}class: cpu              # cpu, gpu, tpu, npu, mcu or fpga\n"
        "runtime: onnxruntime\nengines:\n  - id: cores\n    kind: simd          # tensor, systolic, simd, scalar, npu or dpu\n"
        "    peak: {fp32: 1 TFLOP/s, int8: 4 TOP/s}     # dense\nmemories:                # innermost first\n"
        "  - {id: dram, kind: dram, capacity: 16 GiB, bandwidth: 50 GB/s, holds: [weights, activations]}\n"
    )
