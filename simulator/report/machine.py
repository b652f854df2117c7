"""One machine as text: its engines, memories and runtime, every figure with its source, and what stands in for the others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.machine.assumed import Assumption, assumptions
from simulator.machine.figures import Figure
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import Engine, HardwareSpec, Memory, Rate, Supports
from simulator.machine.technology import CELLS, CITATION
from simulator.report.catalogue import rate_text
from simulator.units import format_si

_WIDE: Final = 100  # columns from which on the source stands beside its figure, not beneath
Row = tuple[str, str, str, str]  # path, value, kind, source


def show_hardware(spec: HardwareSpec, runtime: RuntimeSpec, width: int) -> RenderableType:
    """The machine in brief, every figure with its kind and source, then what its file leaves out; `runtime` is its own."""
    assumed = assumptions(spec)
    given = [(path, figure.text, str(figure.kind or "–"), _source(figure)) for path, figure in spec.figures()]
    parts: list[RenderableType] = [_head(spec), Text(), _brief(spec, runtime), Text(), _figures("figure", given, width)]
    if assumed:
        head = Text("What an estimate takes for figures that the file leaves out", style="bold")
        parts += [Text(), head, _figures("figure", [_stand_in(a) for a in assumed], width)]
    parts += [Text(), Text(_energies(spec, assumed), style="dim")]
    for engine in spec.engines:
        if engine.supports is not None:
            parts += [Text(), *_supports(engine.id, engine.supports)]
    return Group(*parts, Text(), _sources(spec, assumed))


def _head(spec: HardwareSpec) -> Text:
    made = " ".join(str(x) for x in (spec.vendor, spec.year) if x)
    node = f"{spec.process.text} process" if spec.process else ""
    facts = " · ".join(x for x in (spec.id, spec.hardware_class, made, node) if x)
    head = Text.assemble((spec.name, "bold"), f"\n{facts}")
    if spec.modes:
        head.append(f"\nmodes: {', '.join(f'{spec.id}:{m}' for m in spec.modes)}")
    if spec.description:
        head.append(f"\n{spec.description.strip()}", style="dim")
    return head


def _energies(spec: HardwareSpec, assumed: Sequence[Assumption]) -> str:
    """Where the energy of an estimate comes from on this machine."""
    if spec.power.active is not None:
        return "Energy: measured active power × time (docs/hardware.md, Energy)."
    if any(".energy." in a.path for a in assumed):
        node = spec.process.text if spec.process else ""
        return f"Energy: default figures are those of a {node} process, cells and arrays only (docs/hardware.md, Energy)."
    if any(".energy." in path for path, _ in spec.figures()):
        return "Energy: the figures of the file (docs/hardware.md, Energy)."
    why = "the file names no process" if spec.process is None else f"there are no defaults for the class {spec.hardware_class}"
    return f"Energy: not estimated, for the file has no energy figures and {why} (docs/hardware.md, Energy)."


# ---- in brief ---------------------------------------------------------------------------------------------------------


def _brief(spec: HardwareSpec, runtime: RuntimeSpec) -> RenderableType:
    """One line an engine, a memory, and the runtime."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for place, engine in enumerate(spec.engines):
        grid.add_row("Engine" if place == 0 else "", engine.id, _engine(spec, engine))
    for place, memory in enumerate(spec.memories):
        grid.add_row("Memory" if place == 0 else "", memory.id, _memory(spec, memory))
    figures = sum(1 for _ in runtime.figures())
    about = f"{runtime.name}: {runtime.description.strip().rstrip('.')}; {figures} figures (docs/runtimes.md)"
    grid.add_row("Runtime", runtime.id, about)
    return Padding(grid, (0, 0, 0, 2))


def _engine(spec: HardwareSpec, engine: Engine) -> str:
    params = next(e for e in machine_of(spec).engines if e.id == engine.id)
    units = f"{engine.units.text} × " if engine.units and engine.units.value != 1 else ""
    clock = f" at {engine.clock.text}" if engine.clock else ""
    peaks = ", ".join(f"{rate} {rate_text(float(per_s), rate)}" for rate, per_s in params.macs_per_s.items())
    peaks += "".join(f"; {pattern} weights {_multiples(factors)}" for pattern, factors in engine.sparsity.items())
    home = f"; works from {', '.join(engine.memories)}" if engine.memories else ""
    name = f" ({engine.name})" if engine.name else ""
    return f"{units}{engine.kind}{clock}{name}: {peaks}{home}; runs {_scope(engine.supports)}"


def _multiples(factors: Mapping[Rate, Figure]) -> str:
    """How many times the peak is reached in which types: `2 × in fp16, int8`."""
    values = dict.fromkeys(f.value for f in factors.values())
    return ", ".join(f"{value:g} × in {', '.join(r for r, f in factors.items() if f.value == value)}" for value in values)


def _scope(supports: Supports | None) -> str:
    """How much of what there is an engine runs."""
    if supports is None:
        return "everything"
    types = f"{len(supports.operators)} operator types" if supports.operators else "all operators"
    return f"{types} in {', '.join(supports.dtypes)}" if supports.dtypes else types


def _memory(spec: HardwareSpec, memory: Memory) -> str:
    params = next(m for m in machine_of(spec).memories if m.id == memory.id)
    read, written = (format_si(float(x), "B/s") for x in (params.read_bytes_per_s, params.write_bytes_per_s))
    rate = read if read == written else f"{read} read, {written} written"
    size = f"{memory.capacity.text} " if memory.capacity else ""
    name = f" ({memory.name})" if memory.name else ""
    if memory.holds:
        holds = f"holds {' and '.join(memory.holds)}"
    else:
        holds = "passes on what lies further out" if params.is_staging else "holds what no other does"
    return f"{size}{memory.kind}{name} at {rate}; {holds}"


# ---- figures ----------------------------------------------------------------------------------------------------------


def _figures(head: str, rows: Sequence[Row], width: int) -> RenderableType:
    """Path, value, kind and source; in a narrow table the source is beneath."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in (head, "value", "kind"):
        table.add_column(name, no_wrap=True)
    if width >= _WIDE:
        table.add_column("source", overflow="fold")
        for row in rows:
            table.add_row(*row)
        return table
    lines: list[RenderableType] = []
    widths = [max(len(name), *(len(row[n]) for row in rows)) for n, name in enumerate((head, "value"))]
    lines.append(Text(f"{head:<{widths[0]}}  {'value':<{widths[1]}}  kind, source beneath", style="dim"))
    for path, value, kind, source in rows:
        lines.append(Text(f"{path:<{widths[0]}}  {value:<{widths[1]}}  {kind}"))
        lines += [Padding(Text(source, style="dim"), (0, 0, 0, 4))] if source != "–" else []
    return Group(*lines)


def _source(figure: Figure) -> str:
    return " · ".join(x for x in (figure.source, figure.note) if x) or "–"


def _stand_in(assumed: Assumption) -> Row:
    return assumed.path, assumed.text, "default", assumed.source


def _sources(spec: HardwareSpec, assumed: Sequence[Assumption]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("source", no_wrap=True)
    table.add_column("", overflow="fold")
    for key, citation in spec.sources.items():
        table.add_row(key, citation)
    if any(CELLS in a.source for a in assumed):
        table.add_row(CELLS, CITATION)
    return table


# ---- what engines run -------------------------------------------------------------------------------------------------


def _supports(engine: str, supports: Supports) -> Iterator[RenderableType]:
    """What an engine runs, of those that do not run everything."""
    listed = ", ".join(supports.operators) or "all operators"
    yield Text.assemble((f"{engine} runs only", "bold"), f": {listed}")
    limits = "; ".join(_limits(supports))
    said = " · ".join(x for x in (supports.source, supports.note) if x)
    for text in (limits, said):
        if text:
            yield Padding(Text(text, style="dim" if text is said else ""), (0, 0, 0, 4))


def _limits(supports: Supports) -> Iterator[str]:
    """Its other limits in words."""
    if supports.dtypes:
        yield f"in {', '.join(supports.dtypes)}"
    if supports.constant_weights:
        yield "no products of two activations"
    limits = {
        "windows of convolutions": supports.max_kernel, "windows of pools": supports.max_pool, "strides": supports.max_stride,
        "channels": supports.max_channels, "batch": supports.max_batch, "dimensions": supports.max_rank,
    }  # fmt: skip
    for what, most in limits.items():
        if most is not None:
            yield f"{what} up to {most}"
