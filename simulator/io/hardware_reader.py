"""Loads machines and runtimes by catalogue id or by path; `extends` and modes are merged here."""

from functools import cache
from pathlib import Path
from typing import Any

from simulator.errors import HardwareError, NotFoundError, did_you_mean
from simulator.io.catalogue import entries
from simulator.io.yaml_reader import Layers, check_schema, read_document, validate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import SCHEMA, HardwareSpec


def hardware_ids() -> dict[str, Path]:
    """Catalogue ids of machines and their files."""
    return {k: p for k, p in entries("hardware").items() if p.parent.name != "runtimes"}


def runtime_ids() -> dict[str, Path]:
    """Catalogue ids of runtimes and their files."""
    return entries("hardware", "runtimes")


def load_spec(reference: str | Path) -> HardwareSpec:
    """The machine named by a catalogue id or a YAML path, with `:mode` behind it where wanted.

    Raises:
        NotFoundError: no such id, file or mode.
        HardwareError: the file is wrong; all its faults, one a line.
    """
    path, mode = _locate(str(reference))
    source = _layers(path, ())
    modes = source.data.get("modes") or {}
    if mode is not None:
        if not isinstance(modes, dict) or not isinstance(modes.get(mode), dict):
            names = ", ".join(modes) if isinstance(modes, dict) and modes else "none"
            raise NotFoundError(f"{path.stem} has no mode '{mode}'{did_you_mean(mode, modes)} (its modes: {names})")
        with_mode = tuple((d, ("modes", mode)) for d, _ in source.layers if mode in (d.data.get("modes") or {}))
        source = Layers(merge(source.data, {**modes[mode], "mode": mode}), with_mode + source.layers)
    return validate(HardwareSpec, source)


def _locate(reference: str) -> tuple[Path, str | None]:
    """Path and mode of `id`, `id:mode`, `file.yaml` or `file.yaml:mode`."""
    known = hardware_ids()
    if reference in known:
        return known[reference], None
    if Path(reference).suffix in (".yaml", ".yml"):
        return Path(reference), None
    head, colon, mode = reference.rpartition(":")
    if colon and head in known:
        return known[head], mode
    if colon and Path(head).suffix in (".yaml", ".yml"):
        return Path(head), mode
    name = head or reference
    if not name:
        raise NotFoundError("no hardware is named (see: sim hw list)")
    if _exists(Path(name)):
        raise HardwareError(f"{name} is not a .yaml file")
    raise NotFoundError(f"no hardware '{name}' in the catalogue{did_you_mean(name, known)} (see: sim hw list)")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long a name, for one
        return False


def _layers(path: Path, chain: tuple[Path, ...]) -> Layers:
    """The data of `path` laid over what it extends, and that over what it extends in turn."""
    document = read_document(path)
    check_schema(document, SCHEMA)
    base = document.data.get("extends")
    if base is None:
        return Layers(document.data, ((document, ()),))
    where = f"{path}:{document.line(('extends',))}: extends"
    trail = (*chain, path.resolve())
    if not isinstance(base, str):
        raise HardwareError(f"{where}: expected a catalogue id or a path")
    target = hardware_ids().get(base) or (path.parent / base)
    if not target.exists():
        raise HardwareError(f"{where}: no machine '{base}'{did_you_mean(base, hardware_ids())}")
    if target.resolve() in trail:
        raise HardwareError(f"{where}: circular: {' → '.join(p.stem for p in (*trail, target))}")
    inherited = _layers(target, trail)
    return Layers(merge(inherited.data, document.data), ((document, ()), *inherited.layers))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`: sections merge by key, lists of sections by `id`, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and "value" not in value:
            result[key] = merge(old, value)
        elif _by_id(old) and _by_id(value):
            assert isinstance(old, list)
            assert isinstance(value, list)
            result[key] = _merge_lists(old, value)
        else:
            result[key] = value
    return result


def _by_id(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(x, dict) and isinstance(x.get("id"), str) for x in value)


def _merge_lists(base: list[dict[str, Any]], over: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = {x["id"]: x for x in over}
    merged = [merge(x, changes.pop(x["id"])) if x["id"] in changes else x for x in base]
    return merged + [x for x in over if x["id"] in changes]


@cache
def load_runtime(reference: str) -> RuntimeSpec:
    """The runtime named by a catalogue id or a YAML path."""
    document = read_document(runtime_path(reference))
    check_schema(document, SCHEMA)
    return validate(RuntimeSpec, Layers(document.data, ((document, ()),)))


def runtime_path(reference: str) -> Path:
    """The file of a runtime named by a catalogue id or a YAML path.

    Raises:
        NotFoundError: no such id.
    """
    known = runtime_ids()
    path = known.get(reference) or Path(reference)
    if reference not in known and path.suffix not in (".yaml", ".yml"):
        raise NotFoundError(f"no runtime '{reference}'{did_you_mean(reference, known)} (known: {', '.join(known)})")
    return path
