"""Validations and calibrations as text: errors by group, the worst cases, what could not be predicted, constants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.fidelity.calibrate import Calibration, Fitted
from simulator.fidelity.scores import Score, grouped, score
from simulator.fidelity.validate import Predicted, Unpredicted, Validation, Worst
from simulator.report.tables import tail
from simulator.units import format_si, printable

_SCORES = ("n", "median", "p90", "±10 %", "±25 %", "bias", "rank")
_SCORES_WIDTH = 50  # columns that a table's figures take
_READING = "errors |predicted/measured − 1|; bias: median predicted/measured; rank: Kendall"
_NAMES = 6  # of rows that cannot be predicted for one reason


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table of errors: what they are of (indented by `depth`), and the errors."""

    name: str
    depth: int
    found: Score

    @property
    def cells(self) -> list[str]:
        """The errors as text."""
        s = self.found
        errors = [f"{100 * share:.1f} %" for share in (s.median, s.p90)]
        shares = [f"{100 * share:.0f} %" for share in (s.within_10, s.within_25)]
        return [str(s.n), *errors, *shares, f"{s.bias:.2f}", "–" if s.rank != s.rank else f"{s.rank:.2f}"]  # NaN: one row


# ---- validation -------------------------------------------------------------------------------------------------------


def show_validation(found: Validation, console: Console, *, by_family: bool) -> None:
    """Print it."""
    width = console.width
    parts: list[RenderableType] = [Text(_headline(found), style="bold"), Text(_READING, style="dim"), Text()]
    parts.append(_errors("latency", list(lines(found, by_family=by_family)), width))
    parts += [Text(note) for note in _notes(found)]
    if found.worst:
        parts += [Text(), Text("Farthest off", style="bold"), _worst_table(found, width)]
    parts += _left_out(found.unpredicted)
    console.print(Group(*parts))


def _headline(found: Validation) -> str:
    total = len(found.rows) + len(found.unpredicted)
    missing = f", {len(found.unpredicted)} could not be" if found.unpredicted else ""
    return f"{len(found.rows)} of {total} measured runs predicted{missing}"


def lines(found: Validation, *, by_family: bool) -> Iterator[Line]:
    """Errors of every machine and runtime; below them those of energy, memory and families."""
    families = grouped(found.groups(by_family=True), lambda g: (g.hardware, g.runtime)) if by_family else {}
    for group in found.groups():
        yield Line(f"{group.hardware}, {group.runtime}", 0, group.latency)
        if group.energy is not None:
            yield Line("energy", 1, group.energy)
        if group.memory is not None:
            yield Line("peak memory", 1, group.memory)
        for family in families.get((group.hardware, group.runtime), ()):
            yield Line(family.family or "no family", 1, family.latency)


def _notes(found: Validation) -> list[str]:
    """Measured energies without a prediction."""
    return [
        f"{g.hardware}, {g.runtime}: {g.energy_silent} measured energies without a prediction: the machine has no figures"
        for g in found.groups()
        if g.energy_silent
    ]


def _errors(title: str, found: Sequence[Line], width: int) -> Table:
    table = _table((title,), _SCORES)
    for line in found:
        name = "  " * line.depth + tail(line.name, max(width - _SCORES_WIDTH - 2 * line.depth, 12))
        table.add_row(Text(name, style="dim" if line.depth else ""), *line.cells)
    return table


def _table(texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for header in texts:
        table.add_column(header, overflow="fold")
    for header in numbers:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _worst_table(found: Validation, width: int) -> Table:
    several = len(found.groups()) > 1
    table = _table((), ("measured", "predicted", "ratio"))
    table.add_column("run", overflow="fold")
    table.add_column("dominated by", overflow="fold")
    room = max(width // 2 - 20, 16)
    for worst in found.worst:
        row = worst.row
        name = Text(tail(row.measured.name, room))
        if several:
            name.append(f"\n{printable(_where(row))}", style="dim")
        table.add_row(
            format_si(row.measured.latency_s, "s"), format_si(row.latency_s, "s"), f"{row.ratio:.2f}", name, dominated_by(worst)
        )
    return table


def _where(row: Predicted) -> str:
    return f"{row.measured.hardware}, {row.measured.runtime}"


def dominated_by(worst: Worst) -> str:
    """`memory-bound; data that moves more than once: 31 % of the time`."""
    if worst.reason is None or worst.reason_share is None:
        return f"{worst.bound}-bound, at its bound"
    return f"{worst.bound}-bound; {worst.reason}: {100 * worst.reason_share:.0f} % of the time"


def _left_out(rows: Sequence[Unpredicted]) -> list[RenderableType]:
    """Rows that cannot be predicted, by reason, with their names."""
    if not rows:
        return []
    parts: list[RenderableType] = [Text(), Text("Not predicted", style="bold")]
    for reason, names in reasons(rows):
        parts.append(Padding(Text(f"{names}\n", end="").append(reason, style="dim"), (0, 0, 0, 2)))
    return parts


def reasons(rows: Sequence[Unpredicted]) -> list[tuple[str, str]]:
    """Why rows cannot be predicted, and which, those of the commonest reason first."""
    found = []
    for reason, own in sorted(grouped(rows, lambda r: r.reason).items(), key=lambda item: -len(item[1])):
        names = [_named(row) for row in own]
        more = f" and {len(names) - _NAMES} more (all in --format json)" if len(names) > _NAMES else ""
        found.append((printable(str(reason)), f"{len(own)}: {', '.join(names[:_NAMES])}{more}"))
    return found


def _named(row: Unpredicted) -> str:
    measured = row.measured
    return printable(measured.name) + (f" (line {measured.line})" if measured.line is not None else "")


def validation_markdown(found: Validation, *, by_family: bool) -> str:
    """As GitHub-flavoured Markdown."""
    text = [f"**{_headline(found)}**; {_READING}", "", f"| latency | {' | '.join(_SCORES)} |", "|---|" + "---:|" * len(_SCORES)]
    text += [_row("&nbsp;&nbsp;" * ln.depth + ln.name, *ln.cells) for ln in lines(found, by_family=by_family)]
    text += ["", *_notes(found)] if _notes(found) else []
    if found.worst:
        text += ["", "| run | on | measured | predicted | ratio | dominated by |", "|---|---|---:|---:|---:|---|"]
    for worst in found.worst:
        row = worst.row
        times = (format_si(row.measured.latency_s, "s"), format_si(row.latency_s, "s"), f"{row.ratio:.2f}")
        text.append(_row(row.measured.name, _where(row), *times, dominated_by(worst)))
    if found.unpredicted:
        text += ["", "Not predicted:", ""]
    text += [f"* {names}: {reason}" for reason, names in reasons(found.unpredicted)]
    return "\n".join(text) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"


# ---- calibration ------------------------------------------------------------------------------------------------------


def show_calibration(found: Calibration, console: Console, *, by_family: bool) -> None:
    """Print it."""
    moved = sum(f.moved for f in found.constants)
    head = f"{found.runtime.id}: {moved} of {len(found.constants)} constants fitted to {len(found.samples)} measured runs"
    low, _, high = found.residuals
    interval = f"9 of 10 runs take {low:.2f} to {high:.2f} times what constants fitted without their {found.left_out} predict"
    parts: list[RenderableType] = [Text(head, style="bold"), Text(), *_constants(found.constants), Text()]
    parts += [Text(_READING, style="dim"), _errors("latency", scores(found, by_family=by_family), console.width)]
    parts += [Text(interval, style="dim"), *_left_out(found.unpredicted)]
    console.print(Group(*parts))


def _constants(found: Sequence[Fitted]) -> Iterator[RenderableType]:
    """Those that rows show in a table, the others in a sentence."""
    kinds = {fitted.constant.name.partition(".")[0] for fitted in found}
    names = {f: f.constant.name.partition(".")[2] if len(kinds) == 1 else f.constant.name for f in found}
    table = _table((), ())
    table.add_column("constant", no_wrap=True)
    for header in ("prior", "fitted", "rows"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for fitted in (f for f in found if f.shown_by):
        constant = fitted.constant
        value = constant.text(fitted.value) if fitted.moved else "kept"
        row = (names[fitted], constant.text(constant.prior), value, str(fitted.shown_by), remark(fitted))
        table.add_row(*row, style="" if fitted.moved else "dim")
    yield table
    if any(fitted.at_bound for fitted in found):
        yield Text("A constant at its bound: the model lacks something that the rows have.", style="dim")
    hidden = [names[fitted] for fitted in found if not fitted.shown_by]
    if hidden:
        yield Text(f"Kept, for no row shows them: {', '.join(hidden)}", style="dim")


def remark(fitted: Fitted) -> str:
    """What is to be said of a constant: at its bound, or why it was kept."""
    if not fitted.at_bound:
        return fitted.kept_because
    bounds = fitted.constant.range
    return f"at its {'lower' if fitted.value - bounds.low < bounds.high - fitted.value else 'upper'} bound"


def scores(found: Calibration, *, by_family: bool) -> list[Line]:
    """Errors before, after and held out, of all rows and of each family."""
    predicted = {"before": found.before_s, "after": found.after_s, f"without its {found.left_out}": found.held_out_s}
    lines = [Line(name, 0, score(seconds, found.measured_s)) for name, seconds in predicted.items()]
    if not by_family:
        return lines
    for family, rows in grouped(range(len(found.samples)), lambda i: found.samples[i].measured.fold).items():
        measured = [found.measured_s[i] for i in rows]
        lines += [Line(f"{family}: {name}", 1, score([s[i] for i in rows], measured)) for name, s in predicted.items()]
    return lines
