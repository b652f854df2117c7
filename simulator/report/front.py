"""Fronts as text."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report.cells import cell, dimension_of
from simulator.study.pareto import Front, Objective
from simulator.units import printable, unit_of

_HIDDEN = ("_source", "_of_float")  # columns that a note speaks of
_WIDTH = 12  # columns of a figure


def show_front(found: Front, console: Console, top: int) -> None:
    """Print it."""
    size = int(found.mask.sum())
    whole = "1 point" if len(found.points) == 1 else f"{len(found.points):,} points"
    ways = ", ".join(f"{objective.key} ({objective.better} is better)" for objective in found.objectives)
    parts: list[RenderableType] = [Text(f"{size} of {whole} on the front of {ways}", style="bold")]
    if found.unknown:
        lack = "1 point lacks" if found.unknown == 1 else f"{found.unknown:,} points lack"
        parts.append(Text(f"· {lack} a value of one of them", style="yellow"))
    if found.volume is not None:
        corner = ", ".join(_shown(o, value) for o, value in zip(found.objectives, found.reference, strict=True))
        units = (unit_of(objective.key) for objective in found.objectives)
        unit = "·".join(f"1{own}" if own.startswith("/") else own for own in units if own)
        parts.append(Text(f"hypervolume {found.volume:.4g}{f' {unit}' if unit else ''} up to ({corner})", style="dim"))
    rows = found.rows()
    shown = rows[: top or None]
    parts += [Text(), _table(found, shown, console.width)]
    if len(shown) < len(rows):
        parts.append(Text(f"{len(rows) - len(shown)} more; --top 0 shows all", style="dim"))
    parts += [Text(f"· {printable(note)}", style="dim") for note in found.notes]
    console.print(Group(*parts))


def _shown(objective: Objective, value: float) -> str:
    return cell(value, dimension_of(objective.key))


def _table(found: Front, rows: list[dict[str, object]], width: int) -> RenderableType:
    """What tells points apart, then the objectives."""
    keys = [objective.key for objective in found.objectives]
    others = [key for key in found.columns if key not in keys and not key.endswith(_HIDDEN) and _tells(found, key)]
    words = [key for key in others if found.columns[key].dtype.kind not in "fiub"]
    if not others:  # one point alone still has a name
        words = [key for key in found.columns if found.columns[key].dtype.kind not in "fiub"][:1]
    words = words[: max((width - _WIDTH * len(keys)) // 16, 1)]
    numbers = [key for key in others if key not in words]
    numbers = numbers[: max((width - _WIDTH * len(keys) - 18 * len(words)) // _WIDTH, 0)]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    for key in words:
        table.add_column(key, overflow="fold")
    for key in (*keys, *numbers):
        table.add_column(".".join(key.split(".")[-2:]), justify="right", overflow="fold")
    for row in rows:
        cells = [printable(str("–" if row[key] is None else row[key])) for key in words]
        table.add_row(*cells, *(_number(row[key], key) for key in (*keys, *numbers)))
    return table


def _tells(found: Front, key: str) -> bool:
    """Whether a column differs between the points."""
    values = found.columns[key]
    return len({str(value) for value in values[:1000].tolist()}) > 1


def _number(value: object, key: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(float(value) if isinstance(value, int | float) else None, dimension_of(key))
