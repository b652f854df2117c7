"""Time and peak memory of whole processes, as the operating system counts them (Linux, macOS).

Keep the measuring process small: where a child starts by vfork, the system counts the parent's pages as the child's.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took; `fault` is the last line it wrote to stderr where it failed."""

    seconds: float
    peak_bytes: int
    fault: str = ""


def run(command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> Usage:
    """Run a command to its end, or kill it after `limit_s`; its output is thrown away."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=errors)
        timer = threading.Timer(limit_s, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, so that Popen does not look for it
        fault = f"not done in {limit_s:g} s" if seconds >= limit_s else _fault(process.returncode, errors)
    return Usage(seconds, usage.ru_maxrss * _MAXRSS_BYTES, fault)


def _fault(code: int, errors: IO[bytes]) -> str:
    """Why a process failed, empty where it did not."""
    if code == 0:
        return ""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"


def median(usages: Sequence[Usage]) -> Usage:
    """Median time and median peak; the first fault, if any run failed."""
    return Usage(
        statistics.median(u.seconds for u in usages),
        int(statistics.median(u.peak_bytes for u in usages)),
        next((u.fault for u in usages if u.fault), ""),
    )


def interleaved(
    commands: Mapping[str, Sequence[str]], runs: int, environment: Mapping[str, str], limit_s: float
) -> dict[str, Usage]:
    """The median of every command, run in turn so that a busy spell of the machine meets all of them.

    Each runs once before, uncounted: Python writes its bytecode, the system reads the files. What takes more than 20 s
    or fails there is not run again.
    """
    first = {name: run(command, environment, limit_s) for name, command in commands.items()}
    counted: dict[str, list[Usage]] = {name: [usage] if _is_final(usage) else [] for name, usage in first.items()}
    for _ in range(runs):
        for name, command in commands.items():
            if not _is_final(first[name]):
                counted[name].append(run(command, environment, limit_s))
    return {name: median(usages) for name, usages in counted.items()}


def _is_final(usage: Usage) -> bool:
    return bool(usage.fault) or usage.seconds > 20
