"""Explanations as text: formulas, the numbers in them, and where each figure comes from."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.explanation.expression import FigureUse, number_text
from simulator.explanation.terms import LayerExplanation, Operand, Reason, RunExplanation, Section, Term
from simulator.report.tables import tail
from simulator.units import format_si, printable

Explanation = LayerExplanation | RunExplanation
_READING = "1 MAC = 2 FLOP; k, M, G are powers of 1000, of bytes too; [n]: figure n below"
_MOST_ROWS = 12  # tensors or operators of a kernel
_NAME = 22  # widest name of a term that stands beside its formula
_NARROW = 16  # least room for the name of a tensor


def show_explanation(found: Explanation, console: Console) -> None:
    """Print it."""
    console.print(Group(*_parts(found, console.width)))


def _parts(found: Explanation, width: int) -> list[RenderableType]:
    marks = {figure: number for number, figure in enumerate(found.figures, start=1)}
    if isinstance(found, LayerExplanation):
        parts: list[RenderableType] = [_layer_head(found), *_titled("What runs", _operators(found, width))]
        if found.operands:
            parts += _titled("What it touches: bytes, bytes since the last use, and those that cross", _operands(found, width))
    else:
        parts = [_run_head(found), *_titled("Why the expected time is above the bound", *_reasons(found))]
    for section in found.sections:
        parts += _titled(section.title, *_section(section, marks))
    return [*parts, *_titled("Figures", *(_figure(figure, number) for figure, number in marks.items()))]


def _titled(title: str, *body: RenderableType) -> list[RenderableType]:
    return [Text(), Text(title, style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in body)] if body else []


def _layer_head(found: LayerExplanation) -> RenderableType:
    """Which kernel, how long, bound by what."""
    name, share = printable(found.name), f"{100 * found.share:.2g} % of the run"
    came_from = ", ".join(printable(node) for node in found.origin)
    lines = [
        Text.assemble((name, "bold"), f"   {_what(found)}"),
        Text(f"{printable(found.model)} on {found.hardware}   {found.settings}", style="dim"),
        Text.assemble((format_si(found.latency_s, "s"), "bold"), f", {share}; {found.verdict}"),
    ]
    if came_from and came_from != name:
        lines.append(Text(f"from ONNX nodes {came_from}", style="dim"))
    return Group(*lines, Text(_READING, style="dim"))


def _what(found: LayerExplanation) -> str:
    """`Conv (conv) in fp16 on engine tensor, kernel 5 of 54`."""
    number = f"kernel {found.index + 1} of {found.kernels}"
    return f"{found.op_type} ({found.kind}) in {found.rate} on engine {found.engine}, {number}"


def _run_head(found: RunExplanation) -> RenderableType:
    """How long, the bound, the gap, and where to look next."""
    factor = f", {found.latency_s / found.bound_latency_s:.3g} × the bound" if found.bound_latency_s else ""
    latency, bound = format_si(found.latency_s, "s"), format_si(found.bound_latency_s, "s")
    most = ", ".join(f"{printable(k)} (#{i + 1})" for k, i in zip(found.kernels, found.places, strict=True))
    longest = f"kernels that take most: {most}; --layer NAME or NUMBER explains one"
    return Group(
        Text.assemble((printable(found.model), "bold"), " on ", (found.hardware, "bold"), (f"   {found.settings}", "dim")),
        Text.assemble((f"expected {latency}", "bold"), f"{factor} of {bound}, which {found.bound_resource} sets"),
        Text(longest, style="dim"),
        Text(_READING, style="dim"),
    )


def _reasons(found: RunExplanation) -> list[RenderableType]:
    """The three largest, the others in a line, and what no reason covers."""
    if not found.reasons:
        return [Text(left_text(found))]
    lines: list[RenderableType] = [_reason(number, r, found.gap_s) for number, r in enumerate(found.largest, start=1)]
    others = [f"{r.name} {format_si(r.saved_s, 's')}" for r in found.reasons[3:]]
    lines += [Text(f"Less: {'; '.join(others)}", style="dim")] if others else []
    return [*lines, Text(left_text(found))]


def _reason(number: int, reason: Reason, gap_s: float) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row(
        f"{number}.", Text.assemble((reason.name[0].upper() + reason.name[1:], "bold"), ": ", reason_text(reason, gap_s))
    )
    return grid


def reason_text(reason: Reason, gap_s: float) -> str:
    """`if they cost nothing, the run would take 139 µs less (52 % of the gap): 229 µs`."""
    share = f" ({100 * reason.saved_s / gap_s:.2g} % of the gap)" if gap_s > 0 else ""
    saved, rest = format_si(reason.saved_s, "s"), format_si(reason.latency_s, "s")
    return f"{reason.what_if}, the run would take {saved} less{share}: {rest}"


def left_text(found: RunExplanation) -> str:
    """What the reasons together leave."""
    together, gap = format_si(found.together_s, "s"), format_si(found.gap_s, "s")
    text = f"Each alone, all else as it is; they overlap. All at their best together: {together}"
    if found.left_s <= 1e-9 * found.latency_s:
        return f"{text}, the bound: they are the whole gap of {gap}."
    why = "the units of an engine take turns within a kernel, and reads and writes have rates of their own; not so in the bound"
    return f"{text}. The last {format_si(found.left_s, 's')} of the gap of {gap}: {why}."


# ---- terms ------------------------------------------------------------------------------------------------------------


def _section(section: Section, marks: dict[FigureUse, int]) -> list[RenderableType]:
    """Its terms in a grid of two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=False, max_width=_NAME)
    grid.add_column(overflow="fold")
    for term in section.terms:
        grid.add_row(Text(printable(term.name), style="cyan"), _term(term, marks))
    note = [Text(section.note, style="dim")] if section.note else []
    return [*([grid] if section.terms else []), *note]


def _term(term: Term, marks: dict[FigureUse, int]) -> Text:
    lines = lines_of(term)
    text = Text(f"= {printable(lines[0])}")
    for line in lines[1:-1]:
        text.append(f"\n= {printable(line)}")
    if len(lines) > 1:
        text.append("\n= ")
        text.append(lines[-1], style="bold")
    numbers = " ".join(f"[{marks[figure]}]" for figure in term.figures)
    text.append(f"   {numbers}" if numbers else "", style="yellow")
    text.append(f"\n{printable(term.note)}" if term.note else "", style="dim")
    if not term.follows:
        text.append("\nthe formula does not come to this number, which is the estimate's: please report it", style="bold red")
    return text


def lines_of(term: Term) -> list[str]:
    """Formula, numbers, value; without what would say the same twice."""
    return list(dict.fromkeys([term.formula, term.substituted, term.value_text]))


def _figure(figure: FigureUse, number: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="yellow", min_width=4)
    grid.add_column(overflow="fold")
    said = "; ".join(printable(x) for x in (figure.source, figure.note) if x) or "no source"
    head = Text.assemble(f"{figure.path} = ", (printable(figure.text), "bold"), f"   {figure.kind or 'unsourced'}, {figure.file}")
    grid.add_row(f"[{number}]", Group(head, Text(said, style="dim")))
    return grid


# ---- tables of a kernel -----------------------------------------------------------------------------------------------


def _operators(found: LayerExplanation, width: int) -> RenderableType:
    table = _table(("operator", "type"), ("MACs", "vector", "special"))
    for op in found.operators[:_MOST_ROWS]:
        counts = [number_text(float(count), "OP") if count else "0" for count in (op.vector_ops, op.special_ops)]
        macs = number_text(float(op.macs), "MAC") if op.macs else "0"
        name = tail(op.name, max(width - 56, _NARROW)) + (f"\n{op.note}" if op.note else "")
        table.add_row(name, op.op_type, macs, *counts)
    rest = len(found.operators) - _MOST_ROWS
    if rest > 0:
        table.add_row(f"{rest} more")
    return table


def _operands(found: LayerExplanation, width: int) -> RenderableType:
    """One line a tensor, its shape beneath its name."""
    levels = list(dict.fromkeys(level for operand in found.operands for level in operand.crossing_bytes))
    table = _table(("", "tensor"), ("bytes", "since", *levels))
    room = max(width - 2 - 9 - 11 * (2 + len(levels)), _NARROW)
    for operand in found.operands[:_MOST_ROWS]:
        table.add_row(*_operand(operand, levels, room))
    rest = len(found.operands) - _MOST_ROWS
    if rest > 0:
        table.add_row("", f"{rest} more")
    return table


def _operand(operand: Operand, levels: Sequence[str], room: int) -> list[str | Text]:
    shape = "×".join(map(str, operand.shape)) if operand.shape is not None else "?"
    name = Text.assemble(tail(operand.name, room), (f"\n{tail(f'{shape} {operand.dtype}', room)}", "dim"))
    since = "never" if operand.distance_bytes is None else number_text(operand.distance_bytes, "B")
    crossing = [number_text(operand.crossing_bytes[lv], "B") if lv in operand.crossing_bytes else "–" for lv in levels]
    return [operand.role, name, number_text(operand.bytes, "B"), since, *crossing]


def _table(texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for header in texts:
        table.add_column(header)
    for header in numbers:
        table.add_column(header, justify="right", no_wrap=True)
    return table


# ---- Markdown ---------------------------------------------------------------------------------------------------------


def explanation_markdown(found: Explanation) -> str:
    """As GitHub-flavoured Markdown: a table a section."""
    marks = {figure: number for number, figure in enumerate(found.figures, start=1)}
    lines = _layer_lines(found) if isinstance(found, LayerExplanation) else _run_lines(found)
    for section in found.sections:
        lines += ["", f"## {section.title}", ""]
        if section.terms:
            lines += ["| term | formula | numbers | value | figures | |", "|---|---|---|---|---|---|"]
        for term in section.terms:
            numbers = " ".join(str(marks[figure]) for figure in term.figures)
            lines.append(_row(term.name, term.formula, term.substituted, term.value_text, numbers, term.note))
        lines += [section.note] if section.note else []
    lines += ["", "## Figures", "", "| | figure | value | kind | file | source |", "|---|---|---|---|---|---|"]
    for figure, number in marks.items():
        said = "; ".join(x for x in (figure.source, figure.note) if x)
        lines.append(_row(str(number), figure.path, figure.text, figure.kind or "unsourced", figure.file, said))
    return "\n".join(lines) + "\n"


def _layer_lines(found: LayerExplanation) -> list[str]:
    lines = [
        f"# {printable(found.name)}", "",
        _what(found), "",
        f"{printable(found.model)} on {found.hardware}, {found.settings}", "",
        f"**{format_si(found.latency_s, 's')}**, {100 * found.share:.2g} % of the run; {found.verdict}. {_READING}.", "",
        "| operator | type | MACs | vector | special | |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [_row(o.name, o.op_type, f"{o.macs:,}", f"{o.vector_ops:,}", f"{o.special_ops:,}", o.note) for o in found.operators]
    levels = list(dict.fromkeys(level for operand in found.operands for level in operand.crossing_bytes))
    heads = ["", "tensor", "bytes", "since the last use", *(f"over {level}" for level in levels)]
    lines += ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return lines + [_row(*(str(cell).replace("\n", " ") for cell in _operand(o, levels, 60))) for o in found.operands]


def _run_lines(found: RunExplanation) -> list[str]:
    factor = f", {found.latency_s / found.bound_latency_s:.3g} × the bound" if found.bound_latency_s else ""
    latency, bound = format_si(found.latency_s, "s"), format_si(found.bound_latency_s, "s")
    lines = [
        f"# {printable(found.model)} on {found.hardware}", "", found.settings, "",
        f"**Expected {latency}**{factor} of {bound}, which {found.bound_resource} sets. {_READING}.", "",
        "## Why the expected time is above the bound", "",
    ]  # fmt: skip
    lines += [f"{n}. **{r.name}**: {reason_text(r, found.gap_s)}" for n, r in enumerate(found.reasons, start=1)]
    return [*lines, "", left_text(found)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"
