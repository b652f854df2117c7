"""Finds the data that ships with the package: `hardware/` and `models/`."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def data_folder(kind: str) -> Path:
    """Folder `hardware` or `models`: inside the installed package, or beside it in a source checkout."""
    installed = _PACKAGE / "_data" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


@cache
def entries(kind: str, folder: str = "*") -> dict[str, Path]:
    """Catalogue ids and their YAML files, sorted by id: `entries("models", ".")`, `entries("hardware", "gpu")`."""
    return {p.stem: p for p in sorted(data_folder(kind).glob(f"{folder}/*.yaml"), key=lambda p: p.stem)}
