"""The process in which a network runs: apart, so that its peak memory is its own, and a crash is a message."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from simulator.errors import ModelError, SimulatorError
from simulator.fidelity.spread import Load
from simulator.measuring.host import LoadMeter, peak_resident_bytes
from simulator.measuring.inputs import InputSpec
from simulator.measuring.ort import onnxruntime, open_session, runtime_errors

_OUT_OF_MEMORY: Final = -9


@dataclass(frozen=True, slots=True)
class Request:
    """What to run, and how often; profiled runs come after the timed ones, into files that begin with `profile_prefix`."""

    path: str
    inputs: tuple[InputSpec, ...]
    threads: int
    warmups: int
    repeats: int
    profile_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Seconds of every timed run, how busy the machine was, and the peak of memory beyond the idle runtime."""

    seconds: tuple[float, ...]
    load: Load
    peak_memory_bytes: int | None
    runtime_version: str
    profile_path: str | None = None


def run_apart(request: Request) -> Reply:
    """Run a network in a process of its own.

    Raises:
        UsageError: the runtime is not installed.
        ModelError: the runtime refuses the network, or the process came to an end.
    """
    onnxruntime()  # a missing runtime is known before a process is started
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, request), daemon=True)
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        answer = None
    process.join()
    if isinstance(answer, Reply):
        return answer
    if answer is not None:
        raise ModelError(answer)
    killed = " (most likely it ran out of memory)" if process.exitcode == _OUT_OF_MEMORY else ""
    raise ModelError(f"the process that ran {Path(request.path).name} ended with code {process.exitcode}{killed}")


def _serve(connection: Connection, request: Request) -> None:
    """What the process does: answer with a reply, or with what went wrong."""
    try:
        connection.send(measured(request))
    except SimulatorError as error:
        connection.send(str(error))
    except runtime_errors() as error:
        connection.send(f"onnxruntime does not run the network: {_short(str(error))}")
    except MemoryError:
        connection.send("the network does not fit the memory")


def _short(message: str) -> str:
    """The message of the runtime in one line, without the middle of a long one: it begins with paths and ends with reasons."""
    text = " ".join(message.split())
    return text if len(text) <= 400 else f"{text[:80]} … {text[-300:]}"


def measured(request: Request) -> Reply:
    """Time a network in this process."""
    version = str(onnxruntime().__version__)
    feeds = {spec.name: spec.array() for spec in request.inputs}
    before = peak_resident_bytes()
    session = open_session(request.path, request.threads)
    seconds, load = _timed(session, feeds, request)
    after = peak_resident_bytes()
    peak = None if before is None or after is None else max(after - before, 0)
    del session  # a second one beside it would not be what is profiled
    path = None if request.profile_prefix is None else _profiled(request, feeds)
    return Reply(seconds, load, peak, version, path)


def _timed(session: Any, feeds: dict[str, Any], request: Request) -> tuple[tuple[float, ...], Load]:
    """Seconds of every run behind the warm-ups, and how busy the machine was meanwhile."""
    repeat(lambda: session.run(None, feeds), request.warmups)
    meter = LoadMeter()
    return repeat(lambda: session.run(None, feeds), request.repeats), meter.load()


def repeat(run: Callable[[], object], times: int) -> tuple[float, ...]:
    """Seconds of each of so many calls."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return tuple(found)


def _profiled(request: Request, feeds: dict[str, Any]) -> str:
    """Run again with the runtime's profiler on; the path of what it wrote."""
    session = open_session(request.path, request.threads, profile_prefix=request.profile_prefix)
    repeat(lambda: session.run(None, feeds), request.warmups + request.repeats)
    return str(session.end_profiling())
