"""Which tool wrote a profile, and what it says."""

import gzip
import json
import zlib
from pathlib import Path

from simulator.errors import NotFoundError, UsageError
from simulator.fidelity.profile import RunProfile
from simulator.measuring.importers.kineto import read_kineto
from simulator.measuring.importers.names import Source
from simulator.measuring.importers.ort import read_ort
from simulator.measuring.importers.tensorrt import is_layers, is_times, read_layers, read_times
from simulator.measuring.importers.tflite import is_tflite, read_tflite


def read_profile(path: Path, source: Source = Source.AUTO, *, skip: int = 0) -> RunProfile:
    """The profile in a file (a trace may be gzipped); `skip` runs at its start are left out where it tells runs apart.

    Raises:
        NotFoundError: no such file.
        UsageError: broken, of another format than asked for, or of none that is known.
    """
    text = _text(path)
    if source is Source.TFLITE or (source is Source.AUTO and is_tflite(text)):
        return read_tflite(text, str(path))
    document = _json(text, path, source)
    kind = _kind(document)
    if kind is None or source not in (Source.AUTO, kind):
        raise UsageError(_unknown(path) if source is Source.AUTO else f"{path} is not a profile of {source}")
    if isinstance(document, dict):
        return read_kineto(document, str(path))
    assert isinstance(document, list)
    if kind is Source.ORT:
        return read_ort(document, str(path), skip=skip)
    return read_times(document, str(path)) if is_times(document) else read_layers(document, str(path))


def _kind(document: object) -> Source | None:
    """Which tool writes documents of this form."""
    if isinstance(document, dict):
        return Source.PYTORCH if "traceEvents" in document else None
    if not isinstance(document, list):
        return None
    if is_times(document) or is_layers(document):
        return Source.TRTEXEC
    return Source.ORT if any(isinstance(e, dict) and "cat" in e for e in document) else None


def _unknown(path: Path) -> str:
    return f"{path} is no profile that is known (--format {', '.join(s for s in Source if s is not Source.AUTO)})"


def _text(path: Path) -> str:
    """The text of a file, unpacked where it is gzipped."""
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8", errors="replace")
    except FileNotFoundError as error:
        raise NotFoundError(f"no such file: {path}") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"{path} is truncated or broken: its compressed data cannot be read") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _json(text: str, path: Path, source: Source) -> object:
    """The document, or a message that says where it breaks."""
    if not text.strip():
        raise UsageError(f"{path} is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if source is Source.AUTO and text.lstrip()[:1] not in "[{":
            raise UsageError(_unknown(path)) from error
        what = "truncated" if error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg else "broken"
        raise UsageError(f"{path} is {what} JSON: {error.msg} in line {error.lineno}") from error
    except RecursionError as error:
        raise UsageError(f"{path} is no profile: nested too deep") from error
