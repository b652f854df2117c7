"""Texts of the figures of runs, and tables of texts, as `sim compare` and `sim recommend` share them."""

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.report.accuracies import accuracy_text
from simulator.report.tables import tail
from simulator.result.quantities import NEED_STATIC_POWER, total_of
from simulator.study.compare import ACCURACY, value_of
from simulator.study.runs import Run
from simulator.units import format_bytes, format_count, format_si, printable

GAP = 2
_KEY = re.compile(r"(?<=[:,])([a-z])[a-z_]*=")


def figure_text(name: str, value: float | None) -> str:
    """A total as people read it; `–` where it is not known."""
    if value is None:
        return "–"
    total = total_of(name)
    if total.dimension == "bytes":
        return format_bytes(value)
    if total.dimension == "count":
        return format_count(value)
    return f"{format_count(value)}/s" if total.dimension == "per_second" else format_si(value, total.unit)


def run_text(run: Run, name: str) -> str:
    """A figure of a run: a total, `≥` before energies without static power; its accuracy, `~` if of the float network."""
    if name != ACCURACY:
        least = name in NEED_STATIC_POWER and run.estimate is not None and run.estimate.energy_is_least
        return f"{'≥ ' if least else ''}{figure_text(name, value_of(run, name))}"
    known = run.accuracy
    return "–" if known is None else f"{'~' if known.of_float else ''}{accuracy_text(known.value, known.metric)}"


def columns(headers: Sequence[str], widths: Sequence[int], left: Sequence[int], *, shown: bool = True) -> Table:
    """An empty table whose columns have these widths; those of the positions `left` are flush left."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, GAP, 0, 0), show_header=shown)
    for place, (header, width) in enumerate(zip(headers, widths, strict=True)):
        table.add_column(header, width=width, no_wrap=True, justify="left" if place in left else "right")
    return table


def fitted(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int, least: int = 12) -> list[int]:
    """Widths of columns: what they hold, but the first (names) cut so that the table stays within `width`."""
    wanted = [max(cell_len(text) for text in column) for column in zip(headers, *rows, strict=True)]
    room = width - sum(wanted[1:]) - GAP * (len(wanted) - 1)
    return [max(min(wanted[0], room), least), *wanted[1:]]


def name_text(name: str, width: int) -> str:
    """A name in a width: parameters by their initials (`mobilenet_v1:w=0.25,r=128`) where it is too long, else its end."""
    return tail(name if cell_len(name) <= width else shortened(name), width)


def shortened(name: str) -> str:
    """A name with its parameters by their initials."""
    return _KEY.sub(lambda match: f"{match[1]}=", name)


def note_lines(notes: Sequence[str]) -> list[Padding]:
    """Notes as other reports have them."""
    return [Padding(Text.assemble(("note: ", "yellow"), printable(note)), (0, 0, 0, 2)) for note in notes]


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A GitHub-flavoured table, its first `left` columns flush left."""
    rule = "|".join("---" if place < left else "---:" for place in range(len(headers)))
    lines = [headers, *rows]
    texts = ["| " + " | ".join(printable(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([texts[0], f"|{rule}|", *texts[1:]])
