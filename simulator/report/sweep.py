"""Sweeps as text: what was looked at, the best rows, and how far each result ranges."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report.cells import cell, dimension_of
from simulator.study.axes import Axis
from simulator.study.result import SweepResult
from simulator.study.sweep import RESULTS
from simulator.units import printable

_CONSTANT: tuple[str, ...] = ("peak_activation_bytes", "weight_bytes")  # shown only where they differ between rows
_REASONS = 6  # for points without a value
_HEADERS = {key: name for name, key in RESULTS.items()}


def show_sweep(found: SweepResult, console: Console, sort: str, already: int = 0) -> None:
    """Print it: `found` has the best rows by the column `sort`."""
    parts: list[RenderableType] = [Text(_headline(found, already), style="bold")]
    parts += [Text(line, style="dim" if number else "") for number, line in enumerate(_axes(found.axes))]
    parts += [Text(f"· {printable(line)}", style="yellow") for line in _losses(found)]
    if len(found):
        parts += [Text(), _rows(found, sort, console.width)]
        if len(found) < found.tally.kept:
            which = "best" if sort in _HEADERS else "smallest"
            parts.append(Text(f"the {which} {len(found):,} of {found.tally.kept:,} by {_HEADERS.get(sort, sort)}", style="dim"))
    parts += [Text(), *(Text(f"note: {printable(note)}", style="dim") for note in found.notes)] if found.notes else []
    console.print(Group(*parts))


def _headline(found: SweepResult, already: int) -> str:
    tally, new = found.tally, found.tally.seen - already
    rate = f", {new / found.seconds:,.0f} points/s" if found.seconds > 0 and new else ""
    resumed = f" ({already:,} of them were there already)" if already else ""
    kept = "" if tally.kept == tally.seen else f", {tally.kept:,} kept"
    return f"{_points(tally.seen)}{resumed}{kept}{rate}"


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count:,} points"


def _axes(axes: Sequence[Axis]) -> Iterator[str]:
    """What was varied, an axis a line; what has one value alone in one line before them."""
    alone = [printable(axis.texts[0]) for axis in axes if axis.numbers is None and len(axis) == 1]
    if alone:
        yield " · ".join(alone)
    for axis in axes:
        if axis.numbers is not None and len(axis) > 1:
            ends = [cell(float(n), axis.dimension, per_cycle=axis.per_cycle) for n in (axis.numbers[0], axis.numbers[-1])]
            yield f"{axis.name}: {len(axis):,} values from {ends[0]} to {ends[1]}"
        elif len(axis) > 1:
            shown = ", ".join(axis.texts[:6]) + (" …" if len(axis) > 6 else "")
            yield f"{axis.name}: {printable(shown)}"


def _losses(found: SweepResult) -> Iterator[str]:
    """Points that are not among the rows, and why."""
    if found.tally.excluded:
        verb = "does" if found.tally.excluded == 1 else "do"
        yield f"{_points(found.tally.excluded)} {verb} not meet {' and '.join(found.study.where)}"
    reasons = found.tally.without.most_common()
    for reason, count in reasons[:_REASONS]:
        yield f"{_points(count)} {'has' if count == 1 else 'have'} no value: {reason}"
    if len(reasons) > _REASONS:
        others = sum(count for _, count in reasons[_REASONS:])
        left = len(reasons) - _REASONS
        yield f"{_points(others)} more without one, for {'another reason' if left == 1 else f'{left} other reasons'}"


def _rows(found: SweepResult, sort: str, width: int) -> RenderableType:
    """The best rows: the axes that vary, and the results that there are."""
    axes = [axis for axis in found.axes if len(axis) > 1]
    derived = [name for name in found.columns if name not in RESULTS.values() and name not in [axis.key for axis in found.axes]]
    results = [key for key in RESULTS.values() if _is_worth(found, key)]
    first = [sort] if found.columns["fits"].all() else [sort, "fits"]
    keys = [*first, *(key for key in (*derived, *results) if key not in first)]
    keys = [key for key in keys if key not in [axis.key for axis in axes]]
    most = max((width - sum(_width(axis.name) for axis in axes)) // 12, 2)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1), title_justify="left")
    for axis in axes:
        table.add_column(_short(axis.name), overflow="fold", justify="left" if axis.numbers is None else "right")
    for key in keys[:most]:
        table.add_column(_HEADERS.get(key, key), justify="right", overflow="fold")
    for row in range(len(found)):
        cells = [_cell(found, axis.key, row, axis) for axis in axes]
        table.add_row(*cells, *(_cell(found, key, row) for key in keys[:most]))
    return table


def _is_worth(found: SweepResult, key: str) -> bool:
    values = found.columns[key]
    if values.dtype.kind == "f" and (values != values).all():  # NaN: no figures for it
        return False
    return key not in (*_CONSTANT, "fits") or len(set(values.tolist())) > 1 or (key == "fits" and not values.all())


def _cell(found: SweepResult, key: str, row: int, axis: Axis | None = None) -> str:
    value = found.columns[key][row]
    if isinstance(value, str):
        return printable(value)
    if found.columns[key].dtype.kind == "b":
        return "yes" if value else "no"
    per_cycle = axis is not None and axis.per_cycle
    return cell(float(value), axis.dimension if axis is not None else dimension_of(key), per_cycle=per_cycle)


def _short(name: str) -> str:
    """The last two parts of a path: `dram.bandwidth`, `peak.fp16`."""
    return ".".join(name.split(".")[-2:])


def _width(name: str) -> int:
    return max(min(len(_short(name)), 18), 10) + 2


def sweep_dict(found: SweepResult) -> dict[str, object]:
    """The study, what became of its points, and the best rows, as an object for JSON."""
    tally = found.tally
    cells = ({key: values[row] for key, values in found.columns.items()} for row in range(len(found)))
    return {
        "schema": 1, "study": found.study.to_dict(),
        "points": tally.seen, "kept": tally.kept, "excluded": tally.excluded, "without_value": dict(tally.without),
        "notes": list(found.notes), "rows": [{key: _plain(value) for key, value in row.items()} for row in cells],
    }  # fmt: skip


def _plain(value: object) -> object:
    """A value as JSON has it; None for what is no finite number (1/0)."""
    own = getattr(value, "item", lambda: value)()
    return None if isinstance(own, float) and not math.isfinite(own) else own
