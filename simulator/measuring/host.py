"""The machine at hand: its processor, its caches, its memory, how busy it is."""

import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.fidelity.spread import Load

_CPUS: Final = Path("/sys/devices/system/cpu")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SWAPPED: Final = ("family", "model")


@dataclass(frozen=True, slots=True)
class Cache:
    """One level of cache as a core sees it: its capacity in bytes, and how many cores share it."""

    level: int
    capacity_bytes: int
    shared_by: int


@dataclass(frozen=True, slots=True)
class Host:
    """What the operating system says of this machine; None and empty where it says nothing."""

    name: str
    vendor: str | None
    cores: int
    memory_bytes: int | None
    caches: tuple[Cache, ...]


def this_host() -> Host:
    """What the operating system says of the machine at hand."""
    info = cpu_fields(_read("/proc/cpuinfo"))
    name = cpu_name(info) or platform.processor() or platform.machine() or "unknown CPU"
    vendor = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}.get(info.get("vendor_id", ""))
    return Host(name, vendor, available_cores(), memory_bytes(), data_caches(_CPUS / "cpu0" / "cache"))


def cpu_fields(cpuinfo: str) -> Mapping[str, str]:
    """Fields of the first processor in the text of /proc/cpuinfo, and those after the last (ARM boards)."""
    found: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon and value.strip():
            found.setdefault(key.strip(), value.strip())
    return found


def cpu_name(info: Mapping[str, str]) -> str | None:
    """What the processor calls itself; a virtual machine's bare name gets its family and model."""
    name = info.get("model name") or info.get("Model") or info.get("Hardware") or info.get("cpu model")
    if name is None:
        return None
    name = " ".join(re.sub(r"\((R|TM|tm)\)|\bCPU\b|@.*$", " ", name).split())
    numbers = [f"{key} {info[field]}" for key, field in zip(_SWAPPED, ("cpu family", "model"), strict=True) if field in info]
    is_bare = not any(c.isdigit() for c in name)
    return f"{name} ({', '.join(numbers)})" if is_bare and numbers else name


def processor_flags() -> tuple[str, ...]:
    """Instruction sets that the processor lists; on ARM, `Features`."""
    info = cpu_fields(_read("/proc/cpuinfo"))
    return tuple((info.get("flags") or info.get("Features") or "").split())


def identifier(name: str) -> str:
    """A name as the id of a hardware file: lower-case letters, digits, underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "host"


def available_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Memory of the machine; None where the system does not say."""
    total = _meminfo("MemTotal")
    if total is None and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return total


def free_memory_bytes() -> int | None:
    """Memory that can be had without swapping; all of it where the system does not tell it apart."""
    free = _meminfo("MemAvailable")
    return memory_bytes() if free is None else free


def _meminfo(key: str) -> int | None:
    match = re.search(rf"^{key}:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def data_caches(folder: Path) -> tuple[Cache, ...]:
    """Caches of data that Linux lists for a core, from the innermost outward."""
    found = []
    for index in sorted(folder.glob("index*")):
        level, size = _read(index / "level").strip(), re.fullmatch(r"(\d+)([KMG]?)", _read(index / "size").strip())
        if level.isdigit() and size and _read(index / "type").strip() in ("Data", "Unified"):
            shared = cpu_count(_read(index / "shared_cpu_list"))
            found.append(Cache(int(level), int(size[1]) * _UNITS[size[2]], shared))
    return tuple(sorted(found, key=lambda c: c.level))


def cpu_count(text: str) -> int:
    """How many processors a list names: 4 for `0-2,5`; at least 1."""
    count = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            count += int(last or first) - int(first) + 1
    return max(count, 1)


def peak_resident_bytes() -> int | None:
    """The most memory that this process has had; None where the system does not say."""
    match = re.search(r"^VmHWM:\s+(\d+) kB", _read("/proc/self/status"), re.MULTILINE)
    if match:
        return int(match[1]) * 1024
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


class LoadMeter:
    """How busy the machine is from here until `load` is asked for."""

    def __init__(self) -> None:
        self._wall_s, self._thread_s, self._process_s = time.perf_counter(), time.thread_time(), time.process_time()
        self._busy_s = busy_s(_read("/proc/stat"))

    def load(self) -> Load:
        """Shares of processor time since the beginning."""
        wall = max(time.perf_counter() - self._wall_s, 1e-9)
        own = min((time.thread_time() - self._thread_s) / wall, 1.0)
        busy = busy_s(_read("/proc/stat"))
        if busy is None or self._busy_s is None:
            return Load(own)
        others = busy - self._busy_s - (time.process_time() - self._process_s)
        return Load(own, min(max(others / wall / (os.cpu_count() or 1), 0.0), 1.0))


def spin_share(seconds: float) -> float:
    """Share of some seconds in which a thread that always has something to do has a core."""
    wall, own = time.perf_counter(), time.thread_time()
    while time.perf_counter() < wall + seconds:
        pass
    return min((time.thread_time() - own) / (time.perf_counter() - wall), 1.0)


def busy_s(stat: str) -> float | None:
    """Seconds that all processors have worked or been taken away, from the text of /proc/stat; None where there is none."""
    match = re.match(r"cpu +([\d ]+)", stat)
    if match is None:
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = [*map(int, match[1].split()), *[0] * 8]
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _read(path: str | Path) -> str:
    """Text of a file of the system, empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
