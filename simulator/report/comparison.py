"""A comparison as people read it: a block a machine with its best figures marked, and a matrix of one figure."""

from collections.abc import Iterator, Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report.columns import (
    GAP,
    columns,
    fitted,
    markdown_table,
    name_text,
    note_lines,
    run_text,
)
from simulator.study.compare import MARKED, Comparison, value_of
from simulator.study.runs import Run
from simulator.units import printable

_NARROW: Final = ("latency", "energy", "memory", "fits", "accuracy")
_WIDE: Final = ("latency", "energy", "memory", "size", "bound", "fits", "accuracy")
_ROOMY = 100  # columns of a terminal from which on all figures have room
_LABEL = 30  # characters that a row of the matrix keeps for its name: `mobilenet_v1:w=0.25,r=128 int8`
BEST, TOO_LARGE = "*", "!"


def show_comparison(comparison: Comparison, width: int) -> RenderableType:
    """The rows by machine, the matrix where it tells more, and what to beware of."""
    parts: list[RenderableType] = [_headline(comparison), Text(), *_blocks(comparison, width)]
    if _has_matrix(comparison):
        parts += [Text(), Text(f"{comparison.metric} by machine", style="bold"), *_matrices(comparison, width)]
    parts += [Text(), *_legend(comparison), *note_lines(comparison.notes())]
    return Group(*parts)


def markdown(comparison: Comparison) -> str:
    """The same as GitHub-flavoured Markdown, every figure of every row."""
    headers = ["machine", "model", "precision", *(name for name in _WIDE)]
    rows = []
    for machine in comparison.machines:
        best = comparison.best(machine)
        for run in comparison.of_machine(machine):
            cells = [f"**{text}**" if _is_best(run, name, best) else text for name in _WIDE for text in [_cell(run, name)]]
            rows.append([machine, run.network.name, run.precision, *cells])
    parts = [markdown_table(headers, rows, left=3)]
    if _has_matrix(comparison):
        labels = _labels(comparison)
        lines = [[label, *(text.rstrip() for text, _ in line)] for label, line in zip(labels, _matrix(comparison), strict=True)]
        parts.append(markdown_table([comparison.metric, *comparison.machines], lines))
    notes = [*(line.plain for line in _legend(comparison, marked="bold")), *comparison.notes()]
    return "\n\n".join([*parts, "\n".join(f"- {printable(note)}" for note in notes)]).rstrip()


def _headline(comparison: Comparison) -> Text:
    batches = {run.network.model.graph.batch for run in comparison.runs}
    counts = f"{_counted(len(comparison.models), 'network')} on {_counted(len(comparison.machines), 'machine')}"
    batch = f"batch {min(batches)}" if len(batches) == 1 else f"batches of {min(batches)} to {max(batches)}"
    return Text.assemble((counts, "bold"), (f"   {batch}", "dim"))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _blocks(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    """A table a machine, all of the same columns."""
    names = _WIDE if width >= _ROOMY else _NARROW
    headers = ["", "type", *(_with_mark(name, name) for name in names)]
    texts = [
        [run.network.name, run.precision, *(_with_mark(name, _cell(run, name)) for name in names)] for run in comparison.runs
    ]
    widths = fitted(headers, texts, width)
    for place, machine in enumerate(comparison.machines):
        runs = comparison.of_machine(machine)
        head = Text.assemble((machine, "bold"), (f" · {runs[0].station.runtime.id}", "dim"))
        yield from ([Text()] if place else [])
        yield head
        table = columns(headers, widths, (0, 1), shown=True)
        best = comparison.best(machine)
        for run in runs:
            cells = [_marked(run, name, best) for name in names]
            table.add_row(name_text(run.network.name, widths[0]), run.precision, *cells, style=None if run.estimate else "dim")
        yield table


def _cell(run: Run, name: str) -> str:
    """One figure, or what bounds the run, or whether it fits."""
    if name == "fits":
        return "–" if run.estimate is None else ("yes" if run.estimate.fits else "no")
    if name == "bound":
        return "–" if run.estimate is None else run.estimate.bound
    return run_text(run, name)


def _is_best(run: Run, name: str, best: Mapping[str, float]) -> bool:
    return name in best and run.runs and value_of(run, name) == best[name]


def _marked(run: Run, name: str, best: Mapping[str, float]) -> Text:
    """A cell, with a mark where it is the best of its machine; a blank in its place elsewhere."""
    if _is_best(run, name, best):
        return Text(_with_mark(name, _cell(run, name), BEST), style="bold green")
    return Text(_with_mark(name, _cell(run, name)), style="red" if name == "fits" and run.too_large else "")


def _with_mark(name: str, text: str, mark: str = " ") -> str:
    """A text with its mark, or a blank in its place, in the columns that have marks."""
    return f"{text}{mark}" if name in MARKED else text


def _has_matrix(comparison: Comparison) -> bool:
    return len(comparison.models) > 1 and len(comparison.machines) > 1


def _labels(comparison: Comparison) -> list[str]:
    rows, _, _ = comparison.matrix()
    several = len({precision for _, precision in rows}) > 1
    return [f"{model} {precision}" if several else model for model, precision in rows]


def _matrix(comparison: Comparison) -> list[list[tuple[str, bool]]]:
    """Texts of the matrix with their marks, and which are the best of their machine."""
    rows, machines, _ = comparison.matrix()
    runs = {(run.network.name, run.precision, run.station.name): run for run in comparison.runs}
    best = {machine: comparison.best(machine) for machine in machines}
    lines = []
    for row in rows:
        line = []
        for machine in machines:
            run = runs.get((*row, machine))
            is_best = run is not None and _is_best(run, comparison.metric, best[machine])
            mark = BEST if is_best else TOO_LARGE if run is not None and run.too_large else " "
            line.append(("– " if run is None else f"{run_text(run, comparison.metric)}{mark}", is_best))
        lines.append(line)
    return lines


def _matrices(comparison: Comparison, width: int) -> Iterator[Table]:
    """The matrix, cut by machines into as many tables as the width takes."""
    labels, lines, machines = _labels(comparison), _matrix(comparison), comparison.machines
    column = max(len(text) for text in [*(f"{m} " for m in machines), *(t for line in lines for t, _ in line)]) + GAP
    label = min(max(map(len, labels)), max(width - column * len(machines) - GAP, _LABEL))
    several = max((width - label - GAP) // column, 1)
    for first in range(0, len(machines), several):
        some = range(first, min(first + several, len(machines)))
        headers = ["", *(f"{machines[i]} " for i in some)]
        table = columns(headers, [label, *[column - GAP] * len(some)], (0,))
        for name, line in zip(labels, lines, strict=True):
            cells = [Text(line[i][0], style="bold green" if line[i][1] else "") for i in some]
            table.add_row(name_text(name, label), *cells)
        yield table


def _legend(comparison: Comparison, marked: str = BEST) -> list[Text]:
    """What the marks mean, those that are there."""
    lines = []
    if any(comparison.best(machine) for machine in comparison.machines):
        lines.append(f"{marked}: best of its machine, of what fits ({', '.join(MARKED)})")
    if _has_matrix(comparison) and any(run.too_large for run in comparison.runs):
        lines.append(f"{TOO_LARGE}: does not fit into the machine's memories")
    return [Text(f"  {line}" if marked == BEST else line, style="dim") for line in lines]
