"""What was measured, as text: the run, its operators beside the prediction, the CSV of a profile."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.fidelity.matching import Matching
from simulator.fidelity.profile import RunProfile
from simulator.fidelity.spread import Spread
from simulator.report.tables import tail
from simulator.units import format_bytes, format_si, printable

COLUMNS: Final = ("name", "op_type", "calls", "latency_s", "p10_s", "p90_s", "share", "kernel")


@dataclass(frozen=True, slots=True)
class Heading:
    """What was run and how it went, for the head of a report; None where something is not known."""

    model: str
    machine: str
    settings: str
    spread: Spread | None = None
    peak_memory_bytes: int | None = None
    predicted_s: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beside:
    """Our kernels beside a profile: their names, operator types, predicted seconds (None without a machine)."""

    names: Sequence[str]
    op_types: Sequence[str]
    predicted_s: Sequence[float] | None
    matching: Matching

    def measured_s(self, profile: RunProfile) -> dict[int, float]:
        """Seconds of the profile's operators by kernel."""
        found: dict[int, float] = {}
        for i, kernel in self.matching.kernels.items():
            found[kernel] = found.get(kernel, 0.0) + profile.operators[i].latency_s
        return found


def csv_text(profile: RunProfile, beside: Beside | None = None) -> str:
    """A line an operator and a last one, `total`, for the run; times in seconds, empty where not known."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    whole = profile.total_s
    for i, o in enumerate(profile.operators):
        share = o.latency_s / whole if whole else 0.0
        kernel = beside.names[beside.matching.kernels[i]] if beside and i in beside.matching.kernels else ""
        writer.writerow([o.name, o.op_type, f"{o.calls:g}", _s(o.latency_s), _s(o.p10_s), _s(o.p90_s), f"{share:.4f}", kernel])
    writer.writerow(["total", "", "", _s(whole), _s(profile.p10_s), _s(profile.p90_s), "1.0000", ""])
    return buffer.getvalue()


def _s(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.9g}"


def report(heading: Heading, profile: RunProfile | None, beside: Beside | None, top: int, width: int) -> RenderableType:
    """The run, and where there is a profile its operators or, with our kernels, these."""
    parts: list[RenderableType] = [head(heading)]
    if profile is not None and beside is not None:
        parts += [
            Text(),
            kernel_table(profile, beside, top, width),
            Text(),
            Text(_matched(profile, beside.matching), style="dim"),
        ]
    elif profile is not None and profile.operators:
        parts += [Text(), operator_table(profile, top, width)]
    notes: list[RenderableType] = [
        Padding(Text.assemble(("note: ", "yellow"), printable(note)), (0, 0, 0, 2)) for note in heading.notes
    ]
    return Group(*parts, *([Text()] if notes else []), *notes)


def head(heading: Heading) -> Text:
    """What, on what, how; median and spread; the prediction beside."""
    title = Text.assemble((printable(heading.model), "bold"), " on ", (printable(heading.machine), "bold"))
    title.append(f"   {heading.settings}", style="dim")
    if heading.spread is not None:
        title.append(f"\n{format_si(heading.spread.median_s, 's')}", style="bold")
        quantiles = f"{format_si(heading.spread.p10_s, 's')} to {format_si(heading.spread.p90_s, 's')}"
        title.append(f" median of {heading.spread.n} runs (p10 to p90: {quantiles})")
        if heading.predicted_s is not None:
            error = heading.predicted_s / heading.spread.median_s - 1
            title.append(f"; predicted {format_si(heading.predicted_s, 's')} ({error:+.0%})")
    if heading.peak_memory_bytes is not None:
        title.append(f"\n{format_bytes(heading.peak_memory_bytes)} peak resident memory beyond the idle runtime")
    return title


def operator_table(profile: RunProfile, top: int, width: int) -> Table:
    """The operators that take most."""
    table = _table(("operator", "type", "calls", "time", "share"))
    ranked = sorted(profile.operators, key=lambda o: -o.latency_s)
    shown = ranked[:top] if top else ranked
    room = max(width - 50, 16)
    for o in shown:
        share = f"{o.latency_s / profile.total_s:.0%}" if profile.total_s else "–"
        table.add_row(tail(o.name, room), _head(o.op_type, 18), f"{o.calls:g}", format_si(o.latency_s, "s"), share)
    rest = ranked[len(shown) :]
    if rest:
        table.add_row(f"{len(rest)} more", "", "", format_si(sum(o.latency_s for o in rest), "s"), "", style="dim")
    return table


def kernel_table(profile: RunProfile, beside: Beside, top: int, width: int) -> Table:
    """Our kernels with the time of their operators, the prediction beside, those that take most first."""
    headers = ("kernel", "operator", "measured", "predicted", "error") if beside.predicted_s is not None else (
        "kernel", "operator", "measured")  # fmt: skip
    table = _table(headers)
    measured = beside.measured_s(profile)
    ranked = sorted(measured, key=lambda k: -measured[k])
    shown = ranked[:top] if top else ranked
    room = max(width - 52, 16)
    for k in shown:
        cells = [tail(beside.names[k], room), _head(beside.op_types[k], 18), format_si(measured[k], "s")]
        table.add_row(*cells, *_predicted(beside.predicted_s, k, measured[k]))
    if len(ranked) > len(shown):
        rest = format_si(sum(measured[k] for k in ranked[len(shown) :]), "s")
        table.add_row(f"{len(ranked) - len(shown)} more kernels", "", rest, *[""] * (len(headers) - 3), style="dim")
    others = profile.operators_s - sum(measured.values())
    if others > 1e-3 * profile.operators_s:
        table.add_row("of no kernel", "", format_si(others, "s"), *[""] * (len(headers) - 3), style="dim")
    return table


def _predicted(predicted_s: Sequence[float] | None, kernel: int, measured_s: float) -> list[str]:
    if predicted_s is None:
        return []
    value = predicted_s[kernel]
    return [format_si(value, "s"), f"{value / measured_s - 1:+.0%}" if measured_s else "–"]


def _matched(profile: RunProfile, matching: Matching) -> str:
    """What the operators add up to, and which share of that found a kernel."""
    by_order = f", {matching.by_order:.0%} by their order" if matching.by_order >= 0.005 else ""
    total = f"{format_si(profile.operators_s, 's')} in all operators while profiled"
    return f"{total}\n{matching.by_name:.0%} of the operators' time matched by names{by_order}"


def _table(headers: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for header in headers:
        justify = "left" if header in ("operator", "kernel", "type") else "right"
        table.add_column(header, justify="left" if justify == "left" else "right", no_wrap=True)
    return table


def _head(text: str, room: int) -> str:
    return text if cell_len(text) <= room else text[: room - 1] + "…"


def sweep_table(copies: Mapping[int, Mapping[int, float]]) -> Table:
    """Bytes copied a second: a line a working set of one thread (bytes), a column a number of threads."""
    table = _table(("working set", *(f"{n} thread{'s' if n > 1 else ''}" for n in copies)))
    for size in sorted({size for rates in copies.values() for size in rates}):
        cells = (format_si(rates[size], "B/s") if size in rates else "–" for rates in copies.values())
        table.add_row(format_bytes(size), *cells)
    return table
