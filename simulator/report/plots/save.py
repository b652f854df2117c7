"""The only place that writes pictures."""

from io import BytesIO
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from simulator.errors import OutputError, did_you_mean
from simulator.report.plots.style import context

# what to leave out of a file, so that the same figure gives the same bytes
_TIMELESS: Final[dict[str, dict[str, None]]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


def save(figure: Figure, path: str | Path, *, dpi: float = 200) -> Path:
    """Write a figure as PNG, SVG or PDF, by the suffix of `path`. The same figure gives the same bytes.

    Raises:
        OutputError: another suffix, no such folder, or a place that cannot be written.
    """
    target = Path(path)
    suffix = checked_suffix(target)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder '{target.parent}'")
    buffer = BytesIO()
    with context():
        figure.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=_TIMELESS[suffix])
    try:
        target.write_bytes(buffer.getvalue())
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror}") from error
    return target


def checked_suffix(path: Path) -> str:
    """The suffix of a picture, in small letters.

    Raises:
        OutputError: none that can be written.
    """
    suffix = path.suffix.lower()
    if suffix not in _TIMELESS:
        known = ", ".join(_TIMELESS)
        what = f"'{suffix}' is not a picture format{did_you_mean(suffix, _TIMELESS)}" if suffix else "a picture needs a suffix"
        raise OutputError(f"{path}: {what} (known: {known})")
    return suffix
