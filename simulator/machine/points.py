"""Many machines in one: fields that are columns of design points, of shape (n_points, 1), cut into lots of points."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from simulator.machine.params import Machine

_KEPT_BYTES = 16 * 2**20


def lots_of(machine: Machine, most: int) -> Iterator[tuple[int, Machine]]:
    """The machine in lots of at most so many design points, each with its number of points, in their order.

    A machine whose fields are no such columns, or not more of them, comes back as it is.
    """
    count = max((len(column) for column in _columns(machine) if column.ndim == 2), default=1)
    if count <= most:
        yield count, machine
        return
    for start in range(0, count, most):
        stop = min(start + most, count)
        yield stop - start, _rows(machine, start, stop)


@lru_cache(maxsize=1)
def reuse_freed_memory() -> None:
    """Let arrays of a lot take the place of those of the lot before, which the C library would else hand back.

    Page by page the system clears what it lends anew; that takes as long as all the arithmetic. glibc holds back as much
    as the largest block that was ever freed; others let this pass.
    """
    np.empty(_KEPT_BYTES, np.uint8)


def _columns(value: Any) -> Iterator[np.ndarray]:
    """All arrays in it."""
    if isinstance(value, np.ndarray):
        yield value
    else:
        for part in _parts(value).values():
            yield from _columns(part)


def _rows(value: Any, start: int, stop: int) -> Any:
    """The same with some rows of every column; what has one row alone is for all points."""
    if isinstance(value, np.ndarray):
        return value[start:stop] if value.ndim == 2 and len(value) > 1 else value
    parts = _parts(value)
    cut = {name: _rows(part, start, stop) for name, part in parts.items()}
    if all(cut[name] is part for name, part in parts.items()):
        return value
    if isinstance(value, tuple):
        return tuple(cut.values())
    return cut if isinstance(value, Mapping) else replace(value, **cut)


def _parts(value: Any) -> Mapping[Any, Any]:
    """What a part of a machine consists of, by name."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple):
        return dict(enumerate(value))
    return {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else {}
