"""A recommendation as people read it: what meets the limits with its margins, and what stands in the way of the rest."""

from collections.abc import Sequence
from math import isfinite

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from simulator.report.columns import GAP, columns, fitted, markdown_table, name_text, note_lines, run_text, shortened
from simulator.study.compare import ACCURACY
from simulator.study.recommend import CAPACITY, Judged, Recommendation
from simulator.study.runs import Run
from simulator.units import format_si, printable

_NAME = 28  # characters at most that a name keeps before figures have to go


def show_recommendation(found: Recommendation, width: int, top: int) -> RenderableType:
    """The first `top` (0: all) that meet the limits, and a summary of the others."""
    parts: list[RenderableType] = [Text(headline(found), style="bold"), Text()]
    shown = found.met[:top] if top else found.met
    if shown:
        parts += [_table(found, shown, width)]
        if len(found.met) > len(shown):
            parts += [Text(f"… and {len(found.met) - len(shown)} more that do (--top 0 for all)", style="dim")]
        parts += [Text()]
    parts += [Padding(line, (0, 0, 0, 2)) for line in summary(found)]
    return Group(*parts, *note_lines(found.notes(len(shown))))


def headline(found: Recommendation) -> str:
    """What was asked: `Networks for stm32h743 with latency ≤ 100 ms`."""
    what = "Networks for" if found.choice == "models" else "Machines for"
    limits = ", ".join(limit.text for limit in found.limits)
    return f"{what} {printable(found.subject)}{f' with {limits}' if limits else ''}: {len(found.met)} of {_total(found)}"


def markdown(found: Recommendation, top: int) -> str:
    """The same as GitHub-flavoured Markdown."""
    shown = found.met[:top] if top else found.met
    headers, rows = _texts(found, shown, _figures(found))
    table = [markdown_table(headers, rows, left=2)] if rows else []
    notes = [*summary(found), *found.notes(len(shown))]
    return "\n\n".join([f"**{headline(found)}**", *table, "\n".join(f"- {printable(note)}" for note in notes)])


def summary(found: Recommendation) -> list[str]:
    """How many miss which limit, the nearest of them, and how many cannot run at all."""
    lines = []
    if found.missed:
        counts = ", ".join(f"{name} {count}" for name, count in found.missed_by.items())
        lines.append(f"{len(found.missed)} do not meet the limits (one may miss several): {counts}")
    if not found.met and found.missed:
        lines.append(_in_the_way(found))
    if found.nearest is not None:
        lines.append(f"nearest miss: {_label(found, found.nearest.run)}, {_shortfalls(found.nearest)}")
    for name, count in found.unknown.items():
        lines.append(f"{name} is not known of {count}, whose machine's file lacks figures for it: the limit is not met")
    if found.impossible:
        lines.append(_impossible(found.impossible))
    return lines


def _total(found: Recommendation) -> int:
    return len(found.met) + len(found.missed) + len(found.impossible)


def _in_the_way(found: Recommendation) -> str:
    """Which limit most fail, and what dropping one would let through."""
    name, count = next(iter(found.missed_by.items()))
    text = f"nothing meets all limits; most stands in the way: {name}, missed by {count} of {len(found.missed)}"
    if found.alone:
        freed, more = max(found.alone.items(), key=lambda item: item[1])
        text += f"; without the limit of {freed}, {more} would do"
    return text


def _shortfalls(judged: Judged) -> str:
    """What a run misses, and by how much."""
    parts = []
    for name in judged.missed:
        margin = judged.margins[name]
        if margin is None:
            parts.append(f"{name} not known")
        elif name == CAPACITY:
            parts.append(judged.run.too_large or "capacity")
        else:
            parts.append(f"{name} {run_text(judged.run, name)} {_shortfall(-margin)}")
    return ", ".join(parts)


def _shortfall(share: float) -> str:
    """How far off: in per cent, as a multiple of the limit where that is long."""
    return f"misses by {_percent(share)}" if share < 10 else f"is {share + 1:.3g} times the limit"


def _impossible(runs: Sequence[Run]) -> str:
    """How many cannot run, with the reason of most."""
    reasons: dict[str, int] = {}
    for run in runs:
        reason = (run.reason or "").splitlines()[0]
        reasons[reason] = reasons.get(reason, 0) + 1
    most = max(reasons, key=lambda reason: reasons[reason])
    more = f"; {len(reasons) - 1} other reason{'s' if len(reasons) > 2 else ''}" if len(reasons) > 1 else ""
    return f"{len(runs)} cannot be run: {most}{more} (--format json has all)"


def _label(found: Recommendation, run: Run) -> str:
    return f"{run.network.name if found.choice == 'models' else run.station.name} {run.precision}"


def _figures(found: Recommendation) -> list[str]:
    """Figures to show: accuracy or power first, those limited, and always the latency."""
    limited = [limit.name for limit in found.limits if limit.name != ACCURACY]
    first = [ACCURACY] if found.choice == "models" or any(limit.name == ACCURACY for limit in found.limits) else []
    return [*first, *dict.fromkeys(["latency", *limited])]


def _texts(found: Recommendation, shown: Sequence[Judged], figures: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of the table; a figure with a limit has its margin behind it, the tightest margin ends the row."""
    machines = found.choice == "machines"
    headers = ["", "type", *(["max power"] if machines else []), *(name for name in figures), "tightest margin"]
    rows = []
    for judged in shown:
        run = judged.run
        power = ["–" if run.station.power_w is None else format_si(run.station.power_w, "W")] if machines else []
        name = run.station.name if machines else run.network.name
        rows.append([name, run.precision, *power, *(_figure(judged, f) for f in figures), _tightest(judged)])
    return headers, rows


def _figure(judged: Judged, name: str) -> str:
    """`12.3 ms +38 %`: a figure and what it leaves of its limit."""
    margin = judged.margins.get(name)
    return run_text(judged.run, name) + (f" {_percent(margin, sign='+')}" if margin is not None else "")


def _tightest(judged: Judged) -> str:
    tightest = judged.tightest
    return f"{tightest[0]} {_percent(tightest[1], sign='+')}" if tightest and isfinite(tightest[1]) else "–"


def _percent(share: float, sign: str = "") -> str:
    """`+38 %`; two digits where it is small, factors where it is large."""
    percent = 100 * share
    digits = f"{percent:.0f}" if percent >= 10 or percent == 0 else f"{percent:.1f}"
    return f"{sign}{digits} %"


def _table(found: Recommendation, shown: Sequence[Judged], width: int) -> RenderableType:
    """The table; limited figures give way from the last where it would be wider than the terminal."""
    figures = _figures(found)
    headers, rows = _texts(found, shown, figures)
    least = 1 + (ACCURACY in figures)  # the latency stays
    while len(figures) > least and _needs(headers, rows) > width:
        figures = figures[:-1]
        headers, rows = _texts(found, shown, figures)
    widths = fitted(headers, rows, width)
    table = columns(headers, widths, (0, 1))
    for row in rows:
        table.add_row(name_text(row[0], widths[0]), *row[1:])
    return table


def _needs(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns that a table takes with its names shortened."""
    names = max(cell_len(shortened(row[0])) for row in rows)
    wanted = [max(cell_len(text) for text in column) for column in zip(headers, *rows, strict=True)]
    return min(names, _NAME) + sum(wanted[1:]) + GAP * (len(wanted) - 1)
