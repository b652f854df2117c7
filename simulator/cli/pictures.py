"""Pictures of studies: which files are some, and how they are written."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulator.cli.output import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES: Final = (".png", ".svg", ".pdf")


def is_picture(path: Path) -> bool:
    """Whether a file is to be a picture."""
    return path.suffix.lower() in PICTURES


def checked_picture(path: Path) -> Path:
    """`path`, once its suffix is known to be one of pictures: before anything is reckoned."""
    from simulator.report.plots.save import checked_suffix

    checked_suffix(path)
    return path


def draw(figure: "Callable[[], Figure]", path: Path) -> None:
    """Draw and write it."""
    from simulator.report.plots.save import save

    save(figure(), path)
    say(f"wrote {path}")
