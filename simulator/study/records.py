"""Rows of the same keys as CSV, as a data frame, as HTML: what results of studies have in common."""

import csv
import html
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.errors import UsageError


class _Lines(list[str]):
    """What `csv.writer` writes to."""

    def write(self, text: str) -> None:
        """Keep the text."""
        self.append(text)


def csv_of(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same keys as CSV with a header line; None is an empty field."""
    lines = _Lines()
    if rows:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return "".join(lines)


def frame_of(rows: Sequence[Mapping[str, object]]) -> Any:
    """Rows as a pandas DataFrame."""
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError("to_frame needs pandas: pip install 'nn-simulator[pandas]'") from error
    return pd.DataFrame(list(rows))


def html_of(rows: Sequence[Mapping[str, object]], notes: Sequence[str]) -> str:
    """Rows as a plain HTML table, notes as a list behind it."""
    if not rows:
        return "<p>nothing</p>" + _list(notes)
    head = "".join(f"<th>{html.escape(key)}</th>" for key in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{_list(notes)}"


def _list(notes: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))
