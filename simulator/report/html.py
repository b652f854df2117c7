"""The estimate as a small HTML table, for notebooks: the verdict, then the totals. No scripts, no styles from outside."""

from html import escape
from typing import Final

from simulator.report.tables import interval_text, verdict
from simulator.result.estimate import Estimate
from simulator.study.parts import time_as_it_shows_s
from simulator.units import format_bytes, format_count, format_si, printable

_TABLE: Final = "border-collapse:collapse;margin:0.3em 0"
_HEAD: Final = "text-align:left;padding:0.1em 1em 0.1em 0;font-weight:normal;opacity:0.65;vertical-align:top"
_CELL: Final = "text-align:left;padding:0.1em 0"
_WARNINGS: Final = 3  # that are shown; the others are counted


def estimate_html(est: Estimate) -> str:
    """A fragment of HTML with what `sim estimate` says first. All text from files is escaped."""
    name, machine = printable(est.model.name), printable(est.hardware.name)
    settings = f"{est.precision or est.main_rate} · batch {est.batch} · {est.runtime.id}"
    rows = "".join(
        f'<tr><th scope="row" style="{_HEAD}">{escape(key)}</th><td style="{_CELL}">{escape(value)}</td></tr>'
        for key, value in _rows(est)
    )
    return (
        f"<div><div><strong>{escape(name)}</strong> on <strong>{escape(machine)}</strong> "
        f'<span style="opacity:0.65">{escape(printable(settings))}</span></div>'
        f"<div>{escape(verdict(est).plain)}</div>"
        f'<table style="{_TABLE}"><tbody>{rows}</tbody></table></div>'
    )


def _rows(est: Estimate) -> list[tuple[str, str]]:
    """Totals by name, plain text."""
    rows = [("Latency", _latency(est)), ("Time", _shares(est)), ("Energy", _energy(est)), ("Memory", _memory(est))]
    rows.append(("Work", f"{format_si(est.model.macs, 'MAC')} · {format_count(est.model.params)} parameters"))
    shown = [printable(warning) for warning in est.warnings[:_WARNINGS]]
    more = [f"{len(est.warnings) - len(shown)} more"] if len(est.warnings) > len(shown) else []
    return [*rows, *(("Beware" if i == 0 else "", text) for i, text in enumerate([*shown, *more]))]


def _latency(est: Estimate) -> str:
    bound = f", {format_si(est.bound_latency_s, 's')} at best on this machine" if est.bound_latency_s else ""
    interval = est.latency_interval_s
    within = "" if interval is None else f", 90 %: {interval_text(*interval)}"
    return f"{format_si(est.latency_s, 's')}{within}{bound}"


def _shares(est: Estimate) -> str:
    """What the time is made of, in percent."""
    parts = time_as_it_shows_s(est)
    return ", ".join(f"{name} {100 * seconds / est.latency_s:.0f} %" for name, seconds in parts.items()) or "none"


def _energy(est: Estimate) -> str:
    if est.energy_j is None:
        return "not known for this machine"
    per_s = f", {format_si(est.energy_j / est.latency_s, 'W')} on average" if est.latency_s else ""
    return f"{format_si(est.energy_j, 'J')}{per_s}"


def _memory(est: Estimate) -> str:
    """What each memory must hold of what it can."""
    lines = []
    for fit in est.memory_fit:
        capacity = f" of {format_bytes(fit.capacity_bytes)}" if fit.capacity_bytes < float("inf") else ""
        lines.append(f"{printable(fit.memory)} {format_bytes(fit.needs_bytes)}{capacity}{'' if fit.fits else ' (does not fit)'}")
    return ", ".join(lines) or "none"
