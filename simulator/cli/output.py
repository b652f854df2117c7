"""Where results go: standard output or a file, and what a person sees when that fails."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from simulator.errors import OutputError

_FILE_COLUMNS = 100  # width of a table that is written to a file


class _Terminal(Console):
    """A console whose reader may leave (`sim … | head`): it has enough, and that is no failure."""

    def on_broken_pipe(self) -> None:
        """Stop, content."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def console() -> Console:
    """Standard output: honours NO_COLOR and the terminal's width (80 columns where there is none). Names in brackets
    are names, not markup.
    """
    width = None if sys.stdout.isatty() else _columns()
    return _Terminal(width=width, highlight=False, emoji=False, markup=False)


def plain_console() -> Console:
    """A console that only remembers, without colours, whatever standard output is."""
    return Console(
        file=io.StringIO(), width=_FILE_COLUMNS, highlight=False, emoji=False, markup=False, force_terminal=False, no_color=True
    )


def _columns() -> int:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isascii() and given.isdigit() and int(given[:6]) > 0 else 80


def say(text: str) -> None:
    """A line on standard error, beside the result: what was written where."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """What takes long says how far it is, on one line of standard error that is wiped in the end; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        yield lambda text: _overwrite(f"{text} …")
    finally:
        _overwrite("")


def _overwrite(text: str) -> None:
    sys.stderr.write(f"\r\x1b[2K{text}")
    sys.stderr.flush()


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
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    if is_folder:
        raise OutputError(f"{path} is a directory; name a file")
    if not has_folder:
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}")
    return path
