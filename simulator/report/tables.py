"""The estimate as a table a person reads: the verdict first, then where the time goes, then what to beware of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.result.estimate import Estimate
from simulator.result.metrics import BY_KEY, numbers, order
from simulator.schedule.memory import Fit
from simulator.units import format_bytes, format_count, format_si, printable

if TYPE_CHECKING:
    from simulator.result.battery import BatteryLife

_BOUND_STYLE = {"compute": "green", "memory": "yellow", "overhead": "magenta"}
_WORD = 18  # characters of an operator's type
_BAR = 8  # characters of the bar that shows a share
_NARROW = ("op_type", "macs", "latency_s")
_WIDE = ("op_type", "rate", "macs", "moved_bytes", "compute_s", "memory_s", "latency_s")


@dataclass(frozen=True)
class View:
    """What of an estimate to show: how many kernels, sorted by what, and the life of a battery."""

    top: int = 10
    sort: str = "latency"
    battery: "BatteryLife | None" = None


def show_estimate(est: Estimate, console: Console, view: View) -> None:
    """Print the report."""
    console.print(
        Group(
            headline(est, console.width),
            Text(),
            _facts(est, view),
            Text(),
            kernel_table(est, view, console.width),
            *_notes(est, view),
        )
    )


def headline(est: Estimate, width: int) -> Text:
    """What, on what, how."""
    settings = f"{est.precision or est.main_rate} · batch {est.batch} · {est.runtime.id}"
    overlap = "" if est.overlap == "runtime" else f" · overlap {est.overlap}"
    title = Text.assemble((printable(est.model.name), "bold"), " on ", (est.hardware.name, "bold"))
    gap = "   " if len(title) + 3 + len(settings) + len(overlap) <= width else "\n"
    return Text.assemble(title, (f"{gap}{settings}{overlap}", "dim"), "\n", verdict(est))


def verdict(est: Estimate) -> Text:
    """The answer in a line: how long, how often, bound by what, and what does not fit."""
    time = f"{format_si(est.latency_s, 's')} per {'inference' if est.batch == 1 else f'batch of {est.batch}'}"
    rate = "–" if est.throughput_per_s is None else format_count(est.throughput_per_s)
    text = Text.assemble((time, "bold"), f", {rate} inferences/s, bound by ")
    text.append(est.bound, style=_BOUND_STYLE[est.bound])
    missing = [f"{f.memory} by {format_bytes(f.needs_bytes - f.capacity_bytes)}" for f in est.memory_fit if not f.fits]
    if missing:
        text.append(f"; DOES NOT FIT: too large for {' and '.join(missing)}", style="bold red")
    else:
        text.append("; fits", style="green")
    return text


def _facts(est: Estimate, view: View) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in facts(est, view):
        grid.add_row(name, value)
    return Padding(grid, (0, 0, 0, 2))


def facts(est: Estimate, view: View) -> list[tuple[str, Text]]:
    """The headline figures, named."""
    faster = f": at best {est.latency_s / est.bound_latency_s:.3g} × faster on this machine" if est.bound_latency_s else ""
    rows = [
        ("Bound", Text(f"{format_si(est.bound_latency_s, 's')}{faster}")),
        ("Time", _shares(est)),
        ("Energy", _energy(est)),
    ]  # fmt: skip
    if est.latency_interval_s is not None and est.runtime.residuals is not None:
        rows.insert(0, ("Expected", _interval(est, est.latency_interval_s, est.runtime.residuals.n)))
    if est.cost.transfer_s.any():
        rows.insert(-1, ("Transfer", _transfers(est)))
    if est.energy_by_class_j and "active" not in est.energy_parts_j:  # measured power goes by time, see above
        classes = {"between kernels" if name == "outside" else name: value for name, value in est.energy_by_class_j.items()}
        rows.append(("", Text(", ".join(_percents(classes, est.energy_j)), style="dim")))
    if view.battery is not None:
        rows.append(("Battery", Text.assemble((view.battery.life_text, "bold"), (f"   {view.battery.power_text}", "dim"))))
    rows += [("Memory" if i == 0 else "", _fit_line(f)) for i, f in enumerate(est.memory_fit)]
    if est.work.footprint.cache_bytes:
        rows.append(("", Text(f"{format_bytes(est.work.footprint.cache_bytes)} of it a cache of keys and values", style="dim")))
    intensity = _intensity(est)
    rows += [
        (
            "Work",
            Text(f"{format_si(est.model.macs, 'MAC')} · {format_count(est.model.params)} parameters · {intensity}"),
        ),
    ]
    return rows


def _interval(est: Estimate, interval_s: tuple[float, float], n: int) -> Text:
    """`12.3 ms, 90 %: 10.9–13.8 ms`, and what that rests on."""
    ends = interval_text(*interval_s)
    return Text.assemble(
        (f"{format_si(est.latency_s, 's')}, 90 %: {ends}", "bold"), (f"   as far off as {n} measured runs", "dim")
    )


def interval_text(low_s: float, high_s: float) -> str:
    """`10.9–13.8 ms`; `980 µs–1.2 ms` where the units differ."""
    low, high = format_si(low_s, "s"), format_si(high_s, "s")
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low}–{high}"


def _shares(est: Estimate) -> Text:
    """Share of the time spent in kernels of each bound, and waiting for the host."""
    total = (float(est.kernel_s.sum()) + est.waiting_s) or 1.0
    text = Text()
    seconds = {b: sum(float(s) for s, k in zip(est.kernel_s, est.bounds, strict=True) if k == b) for b in _BOUND_STYLE}
    for bound, value in sorted(seconds.items(), key=lambda item: -item[1]):
        if value or bound == est.bound:
            text.append("" if not text else ", ")
            text.append(bound, style=_BOUND_STYLE[bound])
            text.append(f"-bound kernels {100 * value / total:.0f} %")
    if est.waiting_s:
        text.append(f", waiting for launches {100 * est.waiting_s / total:.0f} %", style=_BOUND_STYLE["overhead"])
    return text


def _transfers(est: Estimate) -> Text:
    """Time between engines, what their links carry, and how often the engine changes."""
    moved = [f"{format_bytes(float((c.inward + c.outward).sum()))} over {link}" for link, c in est.cost.crossed.items()]
    switches = sum(one != other for one, other in zip(est.engines, est.engines[1:], strict=False))
    if switches:
        moved.append(f"{switches} switch{'es' if switches > 1 else ''} of engine")
    return Text(f"{format_si(float(est.cost.transfer_s.sum()), 's')}: {', '.join(moved)}")


def _energy(est: Estimate) -> Text:
    if est.energy_j is None:
        return Text(f"not known: {est.hardware.id} has no energy figures", style="dim")
    active = est.energy_parts_j.get("active")
    if active:
        detail = f"measured active power {format_si(active / est.latency_s, 'W')} × time"
    else:
        levels = {level: v for level, v in est.energy_by_memory_j.items() if v}
        parts = {k: v for k, v in est.energy_parts_j.items() if k != "memory"}
        detail = ", ".join(_percents({**parts, **levels}, est.energy_j))
    default = "   default figures" if est.energy_defaults else ""
    least = "at least " if est.energy_is_least else ""
    return Text.assemble((f"{least}{format_si(est.energy_j, 'J')}", "bold"), (default, "yellow"), (f"   {detail}", "dim"))


def _percents(parts: Mapping[str, float | None], total: float | None) -> list[str]:
    """Parts of a total with their shares, the largest first, those that round to nothing left out."""
    shares = {name: 100 * value / total for name, value in parts.items() if value and total}
    return [f"{name} {share:.0f} %" for name, share in sorted(shares.items(), key=lambda item: -item[1]) if share >= 0.5]


def _fit_line(fit: Fit) -> Text:
    what = " and ".join((*fit.holds, *(["code"] if fit.code_bytes else [])))
    if not np.isfinite(fit.capacity_bytes):
        return Text(f"{fit.memory}: {format_bytes(fit.needs_bytes)} of {what}")
    line = f"{fit.memory}: {format_bytes(fit.needs_bytes)} of {format_bytes(fit.capacity_bytes)} for {what}"
    if fit.fits:
        return Text(line)
    return Text.assemble((f"{line}: too much", "bold red"))


def _intensity(est: Estimate) -> str:
    moved = float(est.work.total_bytes.sum())
    value = f"{float(est.work.ops.sum()) / moved:.3g}" if moved else "–"
    return f"{value} OP/byte (ridge {est.ridge_op_per_byte:.3g})"


def kernel_table(est: Estimate, view: View, width: int) -> Table:
    """The kernels that take most, equal ones on one line, and a last line for the rest; in `order` with their numbers."""
    keys: tuple[str, ...] = _WIDE if width >= 110 else _NARROW
    if len(set(est.engines)) > 1:
        keys = ("engine", *(keys if width >= 110 else keys[1:]))  # in a narrow table instead of the operator
    groups = _groups(est, view.sort)
    shown = groups[: view.top] if view.top else groups
    total = float(est.kernel_s.sum()) or 1.0
    numbered = view.sort == "order"  # each kernel on a line of its own, with the number that `sim explain --layer` takes
    digits = len(str(len(est.work))) + 2 if numbered else 0
    cells = [_group_cells(est, group, keys, _WORD - digits) for group in shown]
    table = _kernel_columns(keys, numbered=numbered)
    widths = [max(cell_len(BY_KEY[key].header), *(cell_len(row[n]) for row in cells)) + 2 for n, key in enumerate(keys) if cells]
    room = max(width - sum(widths) - _BAR - 18 - digits, 16)
    names = BY_KEY["name"].column(est)
    for group, row in zip(shown, cells, strict=True):
        number = [f"{group[0] + 1}"] if numbered else []
        bound = Text(est.bounds[group[0]], style=_BOUND_STYLE[est.bounds[group[0]]])
        share = float(sum(est.kernel_s[i] for i in group)) / total
        table.add_row(*number, _label(str(names[group[0]]), len(group), room), *row, _bar(share), bound)
    rest = [i for group in groups[len(shown) :] for i in group]
    if rest:
        seconds = float(sum(est.kernel_s[i] for i in rest))
        name = f"{len(rest)} more kernel{'s' if len(rest) > 1 else ''}"
        blank = [""] * (len(keys) - 1)
        table.add_row(*[""] * numbered, name, *blank, format_si(seconds, "s"), _bar(seconds / total), "", style="dim")
    return table


def _kernel_columns(keys: Sequence[str], *, numbered: bool) -> Table:
    """The empty table of kernels."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    if numbered:
        table.add_column("#", justify="right", no_wrap=True)
    table.add_column("kernel", no_wrap=True)
    for key in keys:
        justify: Literal["left", "right"] = "left" if BY_KEY[key].quantity == "text" else "right"
        table.add_column(BY_KEY[key].header, justify=justify, no_wrap=True)
    table.add_column("share", no_wrap=True)
    table.add_column("bound by", no_wrap=True)
    return table


def _groups(est: Estimate, sort: str) -> list[list[int]]:
    """Positions of kernels that do the same work in the same time, together, ranked by their sum; singly in `order`."""
    if sort == "order":
        return [[i] for i in order(est, sort)]
    same = [BY_KEY[key].column(est) for key in ("op_type", "engine", "rate", "macs", "ops", "moved_bytes", "latency_s", "bound")]
    groups: dict[tuple[object, ...], list[int]] = {}
    for i in range(len(est.work)):
        groups.setdefault(tuple(column[i] for column in same), []).append(i)
    column = numbers(est, sort)
    return sorted(groups.values(), key=lambda group: -sum(column[i] for i in group))


def _group_cells(est: Estimate, group: list[int], keys: Sequence[str], word: int) -> list[str]:
    """Texts of a line: counts, bytes and times of all its kernels together."""
    cells = []
    for key in keys:
        column = BY_KEY[key].column(est)
        first = column[group[0]]
        numeric = BY_KEY[key].quantity not in ("text", "list", "flag") and isinstance(first, int | float)
        text = format_cell(first * len(group) if numeric and isinstance(first, int | float) else first, key)
        cells.append(text if numeric else _head(text, word))
    return cells


def _head(text: str, word: int) -> str:
    """The beginning of a long word, so that the numbers beside it keep their room."""
    return text if len(text) <= word else text[: word - 1] + "…"


def _label(name: str, count: int, room: int) -> str:
    """Name of the first kernel of a line, and how many more are like it."""
    more = f" ×{count}" if count > 1 else ""
    return tail(name, room - len(more)) + more


def tail(name: str, room: int) -> str:
    """The end of a long name: exporters put what tells layers apart there."""
    name = printable(name)
    if cell_len(name) <= room:
        return name
    while cell_len(name) > room - 1:
        name = name[1:]
    return f"…{name}"


def format_cell(value: object, key: str) -> str:
    """One value of a metric as text for a person."""
    if value is None:
        return "–"
    quantity = BY_KEY[key].quantity
    if isinstance(value, int | float):
        if quantity == "bytes":
            return format_bytes(value)
        if quantity in ("count", "ratio"):
            return format_count(value)
        return format_si(value, {"seconds": "s", "joules": "J"}.get(quantity, ""))
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _bar(share: float) -> Text:
    """A bar in eighths of a character, and the share in per cent."""
    eighths = round(share * _BAR * 8)
    bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
    return Text.assemble((bar.ljust(_BAR), "cyan"), f" {100 * share:3.0f} %")


def _warnings(est: Estimate, view: View) -> tuple[str, ...]:
    return (*est.warnings, *(view.battery.warnings if view.battery else ()))


def _notes(est: Estimate, view: View) -> list[RenderableType]:
    notes = [Padding(Text.assemble(("note: ", "yellow"), printable(w)), (0, 0, 0, 2)) for w in _warnings(est, view)]
    return [Text(), *notes] if notes else []


def markdown(est: Estimate, view: View) -> str:
    """The report as GitHub-flavoured Markdown."""
    settings = f"{est.precision or est.main_rate}, batch {est.batch}, {est.runtime.id}"
    lines = [
        f"**{printable(est.model.name)}** on **{est.hardware.name}** ({settings})",
        "",
        verdict(est).plain,
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value.plain} |" for name, value in facts(est, view)]
    keys = [
        "name",
        "op_type",
        "macs",
        "weight_bytes",
        "input_bytes",
        "output_bytes",
        "compute_s",
        "memory_s",
        "latency_s",
        "bound",
    ]
    lines += ["", "| " + " | ".join(BY_KEY[k].header for k in keys) + " |", "|" + "---|" * len(keys)]
    data = {key: BY_KEY[key].column(est) for key in keys}
    ranked = order(est, view.sort)
    for i in ranked[: view.top] if view.top else ranked:
        lines.append("| " + " | ".join(printable(format_cell(data[k][i], k)).replace("|", "\\|") for k in keys) + " |")
    notes = _warnings(est, view)
    lines += ["", *(f"> note: {w}" for w in notes)] if notes else []
    return "\n".join(lines) + "\n"


def csv_text(est: Estimate, view: View) -> str:
    """One line a kernel, all metrics, SI units in the header; lists joined with `;`."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(BY_KEY)
    data = {key: m.column(est) for key, m in BY_KEY.items()}
    for i in order(est, view.sort):
        writer.writerow([";".join(map(str, v)) if isinstance(v := data[k][i], list) else "" if v is None else v for k in BY_KEY])
    return buffer.getvalue()
