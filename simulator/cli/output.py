"""Where results go: standard output or a file, and what a person sees when that fails."""

import sys
from pathlib import Path

from rich.console import Console

from simulator.errors import OutputError


def console(stderr: bool = False, width: int | None = None) -> Console:
    """A console that honours NO_COLOR and the terminal's width (80 columns where there is none)."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr, width=width or (None if terminal else _columns()), highlight=False, soft_wrap=False, emoji=False
    )


def _columns() -> int:
    import os

    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdigit() and int(given) > 0 else 80


def emit(text: str, path: Path | None) -> None:
    """Print `text`, or write it to `path`.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    checked_folder(path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def checked_folder(path: Path) -> Path:
    """`path`, once its folder is known to exist and it is not a folder itself."""
    if path.is_dir():
        raise OutputError(f"{path} is a directory; name a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}")
    return path
