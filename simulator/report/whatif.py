"""What-ifs as text: one scenario figure by figure, several side by side."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.report.cells import cell, ratio
from simulator.report.tables import headline, tail, verdict
from simulator.result.estimate import Estimate
from simulator.result.quantities import NEED_STATIC_POWER, TOTALS
from simulator.study.whatif import Change, Outcome, WhatIf, changes, kernel_changes
from simulator.units import printable

_HEADERS = {total.header: total.dimension for total in TOTALS.values()}
_SEVERAL = ("latency", "energy", "memory", "size")  # totals of a table of several scenarios
_FULL_WIDTH = 100  # columns from which on several scenarios also have their power and throughput


def show_what_if(found: WhatIf, console: Console, top: int) -> None:
    """Print it."""
    before = found.before.estimate
    assert before is not None, "a base that cannot be estimated raises"
    parts: list[RenderableType] = [headline(before, console.width), Text()]
    possible = [outcome for outcome in found.after if outcome.estimate is not None]
    if len(found.after) == 1 and possible:
        parts += _one(found.before, possible[0], console.width, top)
    else:
        parts += [_several(found, console.width)]
    parts += _impossible(found) + _notes(found)
    console.print(Group(*parts))


def _one(before: Outcome, after: Outcome, width: int, top: int) -> list[RenderableType]:
    """Before, after and ratio of every total; the kernels that made the difference."""
    assert before.estimate is not None
    assert after.estimate is not None
    name = after.name if after.name != "changed" else ", ".join(after.settings)
    parts: list[RenderableType] = [Text.assemble((f"what if {printable(name)}: ", "bold"), verdict(after.estimate)), Text()]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for title in ("before", "after", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    for change in changes(before.estimate, after.estimate):
        table.add_row(
            _label(change, before.estimate, after.estimate),
            *(_value(change, side) for side in (change.before, change.after)),
            ratio(change.ratio),
        )
    table.add_row("bound by", before.estimate.bound, after.estimate.bound, "")
    table.add_row("fits", *("yes" if est.fits else "no" for est in (before.estimate, after.estimate)), "")
    return [*parts, table, Text(), _kernels(before.estimate, after.estimate, width, top)]


def _label(change: Change, *sides: Estimate) -> str:
    """The name of a figure; of an energy that lacks static power, that it is at least so much."""
    lacks = change.name in {TOTALS[name].header for name in NEED_STATIC_POWER} and any(est.energy_is_least for est in sides)
    return f"{change.name}, at least" if lacks else change.name


def _value(change: Change, value: float | None) -> str:
    return cell(value, _HEADERS.get(change.name, "bytes"))


def _kernels(before: Estimate, after: Estimate, width: int, top: int) -> RenderableType:
    """The kernels whose time changed most, and what all others did."""
    found = [kernel for kernel in kernel_changes(before, after) if kernel.saved_s]
    if not found or not top:
        return Text("no kernel takes another time" if not found else "", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    table.add_column("kernels that made the difference", no_wrap=True)
    for title in ("before", "after", "saved"):
        table.add_column(title, justify="right", no_wrap=True)
    for kernel in found[:top]:
        seconds = [kernel.before_s or None, kernel.after_s or None]
        table.add_row(tail(kernel.name, max(width - 40, 20)), *(cell(s, "seconds") for s in seconds), _signed(kernel.saved_s))
    rest = found[top:]
    if rest:
        sums = [sum(kernel.before_s for kernel in rest), sum(kernel.after_s for kernel in rest)]
        table.add_row(Text(f"{len(rest)} others", style="dim"), *(cell(s, "seconds") for s in sums), _signed(sums[0] - sums[1]))
    outside = [max(est.latency_s - float(est.kernel_s.sum()), 0.0) for est in (before, after)]  # behind exits kernels count less
    if abs(outside[0] - outside[1]) > 1e-3 * abs(before.latency_s - after.latency_s):
        table.add_row(
            Text("between kernels", style="dim"), *(cell(s, "seconds") for s in outside), _signed(outside[0] - outside[1])
        )
    return table


def _signed(seconds: float) -> str:
    return f"{'−' if seconds < 0 else ''}{cell(abs(seconds), 'seconds')}"


def _several(found: WhatIf, width: int) -> RenderableType:
    """A row a scenario: totals, each with its ratio to the first row."""
    before = found.before.estimate
    assert before is not None
    shown = [TOTALS[name] for name in _SEVERAL]
    if width >= _FULL_WIDTH:
        shown[1:1] = [TOTALS["throughput"], TOTALS["power"]]
    known = [outcome.estimate for outcome in (found.before, *found.after) if outcome.estimate is not None]
    shown = [total for total in shown if any(total.of(est) is not None for est in known)]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("scenario", overflow="fold")
    for total in shown:
        table.add_column(total.header.replace(" (peak)", ""), justify="right")
    table.add_column("bound")
    for outcome in (found.before, *found.after):
        if outcome.estimate is None:
            table.add_row(printable(outcome.name), Text("not possible", style="bold red"), *[""] * len(shown))
            continue
        cells = []
        for total in shown:
            value, base = total.of(outcome.estimate), total.of(before)
            multiple = ratio(value / base) if value is not None and base and outcome is not found.before else ""
            cells.append(Text(f"{cell(value, total.dimension)}\n{multiple}".rstrip()))
        fits = "" if outcome.estimate.fits else "\nDOES NOT FIT"
        table.add_row(printable(outcome.name), *cells, Text(f"{outcome.estimate.bound}{fits}"))
    return table


def _impossible(found: WhatIf) -> list[RenderableType]:
    return [Text(f"{printable(o.name)}: {printable(o.reason)}", style="bold red") for o in found.after if o.estimate is None]


def _notes(found: WhatIf) -> list[RenderableType]:
    """What the numbers leave out, and what estimates warn of since the change."""
    base = set(found.before.estimate.warnings) if found.before.estimate else set()
    own = [note for outcome in (found.before, *found.after) for note in outcome.notes]
    fresh = [w for o in found.after if o.estimate is not None for w in o.estimate.warnings if w not in base]
    lines = list(dict.fromkeys([*own, *fresh]))
    if not lines:
        return []
    return [Text(), Text("Note", style="bold"), *(Padding(Text(f"· {printable(line)}"), (0, 0, 0, 1)) for line in lines)]
