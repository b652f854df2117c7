"""Reads a YAML file with the line of every key, and turns pydantic's complaints into `file:line: path: what is wrong`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from simulator.errors import HardwareError, NotFoundError, did_you_mean

_Model = TypeVar("_Model", bound=BaseModel)
Path_ = tuple[str | int, ...]
_MOST_ENTRIES = 50_000  # a machine has a few hundred; aliases can make a small file endless
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A parsed YAML mapping, the line on which each of its paths stands, and keys that stand twice."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Path_, int]
    faults: tuple[str, ...] = ()

    def line(self, path: Path_) -> int:
        """Line of the path, or of the nearest one above it that is written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass(frozen=True)
class Layers:
    """Data laid over each other: documents (and the section of each that counts), the most specific first."""

    data: dict[str, Any]
    layers: tuple[tuple[Document, Path_], ...]

    @property
    def name(self) -> str:
        """Name of the most specific file."""
        return self.layers[0][0].path.stem

    @property
    def faults(self) -> list[str]:
        """Keys that stand twice, in any of the files."""
        return [fault for document, _ in self.layers for fault in document.faults]

    def where(self, loc: Path_) -> str:
        """`file:line` of a path in the merged data: where the most specific file that has it writes it."""
        document, path = max(((d, self._written(d, prefix, loc)) for d, prefix in self.layers), key=lambda x: len(x[1]))
        return f"{document.path}:{document.line(path)}"

    def _written(self, document: Document, prefix: Path_, loc: Path_) -> Path_:
        """As much of `loc` as the document writes; entries of lists are found by their id."""
        merged: Any = self.data
        here: Any = document.data
        for part in prefix:
            here = here[part]
        path = prefix
        for part in loc:
            key = _same_entry(here, merged, part)
            if key is None:
                break
            here, path = here[key], (*path, key)
            merged = merged[part] if _has(merged, part) else None
        return path[len(prefix) :] and path


def _has(section: Any, key: str | int) -> bool:
    if isinstance(section, dict):
        return key in section
    return isinstance(section, list) and isinstance(key, int) and key < len(section)


def _same_entry(here: Any, merged: Any, part: str | int) -> str | int | None:
    """Key in `here` of what stands under `part` in the merged data."""
    if isinstance(part, str) or not isinstance(here, list):
        return part if _has(here, part) else None
    entry = merged[part] if _has(merged, part) else None
    if not isinstance(entry, dict) or "id" not in entry:
        return part if _has(here, part) else None
    return next((i for i, x in enumerate(here) if isinstance(x, dict) and x.get("id") == entry["id"]), None)


def read_document(path: Path) -> Document:
    """Parse the file.

    Raises:
        NotFoundError: no such file.
        HardwareError: not readable, not YAML, not a mapping, or with a key written twice.
    """
    try:
        if not path.exists():
            raise NotFoundError(f"no such file: {path}")
        if not path.is_file():
            raise HardwareError(f"{path} is not a regular file")
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise HardwareError(f"{path}:1: expected a mapping with 'schema: 1' at the top")
        lines: dict[Path_, int] = {}
        faults: list[str] = []
        _walk(node, (), lines, faults, path)
        data = loader.construct_document(node)
    except OSError as error:
        raise HardwareError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise HardwareError(f"{path} is not a text file") from error
    except yaml.YAMLError as error:
        raise HardwareError(_yaml_fault(path, error)) from error
    except (ValueError, RecursionError) as error:  # an impossible date, an absurd nesting
        raise HardwareError(f"{path}:1: not readable as YAML: {error}") from error
    if not all(isinstance(key, str) for key in data):
        raise HardwareError(f"{path}:1: the keys of the file must be words")
    return Document(path, data, lines, tuple(faults))


def _yaml_fault(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{path}:{mark.line + 1 if mark else 1}: not valid YAML: {problem}"


def _walk(node: yaml.Node, path: Path_, lines: dict[Path_, int], faults: list[str], file: Path) -> None:
    """Note the line of every path below `node`, and keys that stand twice."""
    lines[path] = node.start_mark.line + 1
    if len(lines) > _MOST_ENTRIES:
        raise ValueError(f"more than {_MOST_ENTRIES} entries")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = getattr(key, "value", "")
            if not isinstance(name, str):
                continue
            if name in seen:
                faults.append(f"{file}:{key.start_mark.line + 1}: {name}: the key stands twice")
            seen.add(name)
            _walk(value, (*path, name), lines, faults, file)
            lines[*path, name] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), lines, faults, file)


def check_schema(document: Document, known: int) -> None:
    """Refuse a file without `schema:` or of another version, and say what to do."""
    version = document.data.get("schema")
    where = f"{document.path}:{document.line(('schema',))}"
    if version is None:
        raise HardwareError(f"{where}: 'schema: {known}' is missing at the top")
    if type(version) is not int or version != known:
        newer = isinstance(version, int) and version > known
        todo = "update nn-simulator" if newer else f"write 'schema: {known}' and follow docs/hardware.md"
        raise HardwareError(f"{where}: schema {version!r} is not supported (this version reads {known}); {todo}")


def validate(model: type[_Model], source: Layers) -> _Model:
    """The data as `model`; all faults at once, each with file, line, path, and what was meant."""
    try:
        result = model.model_validate(source.data)
    except ValidationError as error:
        found = [dict(e) for e in error.errors()]
        faults = source.faults + [_fault(model, source, e) for e in found if not _follows(e, found)]
        raise HardwareError("\n".join(dict.fromkeys(faults))) from error
    if source.faults:
        raise HardwareError("\n".join(source.faults))
    return result


def _follows(error: dict[str, Any], errors: list[dict[str, Any]]) -> bool:
    """Whether a list counts as too short only because its entries are wrong."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(len(e["loc"]) > len(loc) and e["loc"][: len(loc)] == loc for e in errors)


def _fault(model: type[BaseModel], source: Layers, error: dict[str, Any]) -> str:
    loc: Path_ = tuple(error["loc"])
    loc = loc[:-1] if loc and loc[-1] == "[key]" else loc
    path = ".".join(str(part) for part in loc) or source.name
    return f"{source.where(loc)}: {path}: {_message(model, loc, error)}"


def _message(model: type[BaseModel], loc: Path_, error: dict[str, Any]) -> str:
    """Pydantic's message in the words of this program."""
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(loc[-1]), _known_keys(model, loc[:-1]))}"
    if kind == "too_short":
        return "needs at least one entry"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        expected = str(error.get("ctx", {}).get("expected", ""))
        options = [x.strip(" '") for x in expected.replace(" or ", ",").split(",")]
        return f"'{given}' is none of {', '.join(options)}{did_you_mean(str(given), options)}"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    return str(error["msg"])


def _known_keys(model: type[BaseModel], loc: Path_) -> Iterable[str]:
    """Keys of the section at `loc`, for suggestions."""
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None)
        current = _section(field.annotation) if field else None
        if current is None:
            return ()
    return [f.alias or n for n, f in current.model_fields.items()]


def _section(annotation: Any) -> type[BaseModel] | None:
    """The pydantic class inside an annotation such as `tuple[Engine, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section(inner)
        if found is not None:
            return found
    return None
