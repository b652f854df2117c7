"""A machine or a runtime with other values under some of its paths: `memories.dram.bandwidth`, `engines.tensor.peak.fp16`."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

import pydantic

from simulator.errors import UsageError, did_you_mean
from simulator.machine.figures import Figure, Provenance
from simulator.machine.spec import Strict
from simulator.units import format_exact

S = TypeVar("S", bound=Strict)
_FACTOR: Final = re.compile(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*[x×]\s*$")
_NOTE: Final = "set by a study"
_Change = Callable[[Strict, Mapping[str, object]], Strict]


def factor_of(text: str) -> float | None:
    """2.0 of `2x`: a value relative to the one there is; None for any other text."""
    found = _FACTOR.match(text)
    return float(found[1]) if found else None


def figure_at(spec: Strict, path: str) -> Figure | None:
    """The figure under a path; None where the file leaves it out.

    Raises:
        UsageError: no such path, or something else than a figure.
    """
    here = _at(spec, path)
    if here is not None and not isinstance(here, Figure):
        raise UsageError(f"{path} is no figure{_nearest(spec, path)}")
    return here


def _at(spec: Strict, path: str) -> object:
    """What lies under a path; None where the file leaves it out. UsageError with suggestions where nothing may."""
    here: object = spec
    parts = path.split(".")
    for place, part in enumerate(parts):
        here = _inside(spec, here, part, path, last=place == len(parts) - 1)
    return here


def with_value(spec: S, path: str, text: str) -> S:
    """The spec with another value under one path, see `with_values`."""
    return with_values(spec, [(path, text)])


def with_values(spec: S, values: Sequence[tuple[str, str]]) -> S:
    """The spec with what texts say under some paths, each once, checked as a whole as if they stood in the file.

    `900 GB/s` is taken as it stands, `2x` as a multiple of the figure there is.

    Raises:
        UsageError: no such path, a value that cannot stand there, or one that contradicts the rest of the file.
    """
    found = {path: _read(spec, path, text) for path, text in values}
    try:
        return cast(S, _replaced(spec, spec, found, _checked))
    except pydantic.ValidationError as error:
        reasons = dict.fromkeys(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise UsageError(f"{', '.join(f'{path}={text}' for path, text in values)}: {'; '.join(reasons)}") from error


def _read(spec: Strict, path: str, text: str) -> object:
    """What a text means under a path: for a figure, with where it comes from."""
    is_one, factor = is_figure(spec, path), factor_of(text)
    if factor is not None:
        return scaled(spec, path, factor)
    return {"value": text, "kind": Provenance.ESTIMATED, "note": _NOTE} if is_one else text


def scaled(spec: Strict, path: str, factor: float) -> Figure:
    """A figure of the spec times a factor.

    Raises:
        UsageError: there is no figure to multiply, or the factor is 0.
    """
    figure = figure_at(spec, path)
    if figure is None:
        raise UsageError(f"{path}={factor:g}x: {_name(spec)} gives no {path} to multiply; write a value with its unit")
    if not factor > 0:
        raise UsageError(f"{path}={factor:g}x: must be more than 0")
    value = figure.value * factor
    if not math.isfinite(value):
        raise UsageError(f"{path}={factor:g}x: out of range")
    unit = " per cycle" if figure.per_cycle else ""
    text = f"{format_exact(value, figure.dimension)}{unit}" if figure.dimension else f"{value:g}"
    note = f"{_NOTE}: {factor:g} × {figure.text}"
    return replace(figure, value=value, text=text, kind=Provenance.ESTIMATED, source=None, note=note, prior=None)


def with_columns(spec: S, columns: Mapping[str, Any]) -> S:
    """The spec with columns of design points, (n_points, 1) in SI units, as values of figures that it has. Nothing is checked."""
    figures = {}
    for path, column in columns.items():
        figure = figure_at(spec, path)
        assert figure is not None, f"{path} has no figure that a column could replace"
        figures[path] = replace(figure, value=column)
    return cast(S, _replaced(spec, spec, figures, _copied))


def is_figure(spec: Strict, path: str) -> bool:
    """Whether a figure stands under a path, or may: what is left out is None; False for words and switches.

    Raises:
        UsageError: no such path, or one of a whole section.
    """
    here = _at(spec, path)
    if isinstance(here, tuple | dict | pydantic.BaseModel):
        raise UsageError(f"{path} is a section{_nearest(spec, path)}")
    return here is None or isinstance(here, Figure)


def _inside(spec: Strict, here: object, part: str, path: str, *, last: bool) -> object:
    """What lies under one part of a path."""
    if isinstance(here, tuple):
        found = next((item for item in here if getattr(item, "id", None) == part), None)
        if found is not None:
            return found
        known = [item.id for item in here if hasattr(item, "id")]
        names = f" (it has {', '.join(known)})" if known else ""
        raise UsageError(f"{path}: {_name(spec)} has no '{part}' there{did_you_mean(part, known)}{names}")
    if isinstance(here, dict):
        key = next((key for key in here if str(key) == part), None)
        if key is not None or last:
            return here.get(key)
    elif isinstance(here, pydantic.BaseModel) and part in type(here).model_fields:
        return getattr(here, part)
    raise UsageError(f"{_name(spec)} has no {path}{_nearest(spec, path)}")


def _name(spec: Strict) -> str:
    return str(getattr(spec, "id", "the file"))


def _nearest(spec: Strict, path: str) -> str:
    """A path of the file that is written alike, or what there is at all."""
    known = [known for known, _ in spec.figures()]
    hint = did_you_mean(path, known)
    head = path.rpartition(".")[0]
    inside = [one for one in known if one.startswith(f"{path}.")]
    beside = inside or [one for one in known if one.startswith(f"{head}.")] or known
    return hint or f" (figures there: {', '.join(beside[:12])}{' …' if len(beside) > 12 else ''})"


def _replaced(spec: Strict, here: Any, values: Mapping[str, object], change: _Change, above: str = "") -> Any:
    """`here` with other values under some paths below it; every section that has some is changed once."""
    below: dict[str, dict[str, object]] = {}
    for path, value in values.items():
        name, _, rest = path.partition(".")
        below.setdefault(name, {})[rest] = value
    new = {}
    for name, inside in below.items():
        old = _inside(spec, here, name, f"{above}{name}", last=True)
        if "" not in inside and old is None:
            raise UsageError(f"{_name(spec)} has no {above}{name}{_nearest(spec, f'{above}{name}')}")
        new[name] = inside[""] if "" in inside else _replaced(spec, old, inside, change, f"{above}{name}.")
    if isinstance(here, tuple):
        return tuple(new.get(getattr(item, "id", ""), item) for item in here)
    if isinstance(here, dict):
        return {**here, **{next((key for key in here if str(key) == name), name): value for name, value in new.items()}}
    return change(here, new)


def _copied(section: Strict, values: Mapping[str, object]) -> Strict:
    return section.model_copy(update=dict(values))


def _checked(section: Strict, values: Mapping[str, object]) -> Strict:
    """The section with other values for some fields, and everything that its file is checked for."""
    fields = type(section).model_fields
    given = {key: getattr(section, key) for key in section.model_fields_set}
    return type(section).model_validate({fields[key].alias or key: value for key, value in {**given, **values}.items()})
