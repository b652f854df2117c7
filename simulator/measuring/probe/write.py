"""A whole probe: every number of threads, and the texts of the files that say what came out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from simulator import __version__
from simulator.fidelity.spread import busy_note
from simulator.io.hardware_reader import runtime_ids
from simulator.io.yaml_reader import read_document
from simulator.measuring.host import Host, processor_flags
from simulator.measuring.ort import onnxruntime
from simulator.measuring.probe.bench import Probed, probe
from simulator.measuring.probe.document import hardware_document, runtime_document, yaml_text
from simulator.measuring.probe.levels import plateaus
from simulator.units import format_bytes, format_si


@dataclass(frozen=True, slots=True)
class Texts:
    """The hardware file, a runtime profile for each number of threads, the sweep of copies, a line of summary for each
    number of threads, what to beware of.

    `copies` has bytes copied a second by number of threads and by working set of one thread, in bytes.
    """

    hardware: str
    runtimes: Mapping[int, str]
    copies: Mapping[int, Mapping[int, float]]
    summary: tuple[str, ...]
    warnings: tuple[str, ...]

    def runtime_files(self, path: Path) -> list[tuple[Path, str]]:
        """Files of the profiles: the most threads' one as named, the others with their number in front of the suffix."""
        most = max(self.runtimes)
        return [
            (path if n == most else path.with_name(f"{path.stem}_{n}t{path.suffix}"), text) for n, text in self.runtimes.items()
        ]


def probe_texts(host: Host, threads: Sequence[int], budget_s: float, say: Callable[[str], None]) -> Texts:
    """Probe with each number of threads, and write down what came out.

    Raises:
        UsageError: ONNX Runtime is not installed.
    """
    version = onnxruntime().__version__
    probes = [probe(n, budget_s, host.memory_bytes, say) for n in threads]
    today = datetime.now(UTC).date().isoformat()
    facts = f"sim hw probe {__version__} on {host.name}, onnxruntime {version}, 25th percentiles, {today}"
    warnings = tuple(
        f"with {p.threads} thread{'s' if p.threads > 1 else ''}, {note}; repeat on a quiet host"
        for p in probes
        if (note := busy_note(p.load))
    )
    if warnings:
        facts += "; the host was busy"
    comments = [line for p in probes for line in _comments(p)]
    hardware = yaml_text(hardware_document(host, probes, processor_flags(), facts), comments)
    base = read_document(runtime_ids()["onnxruntime"]).data
    runtimes = {p.threads: yaml_text(runtime_document(base, host, p, facts, processor_flags())) for p in probes}
    copies = {p.threads: {size // p.threads: rate for size, rate in p.copies.items()} for p in probes}
    summary = tuple(comments[:: len(comments) // len(probes)])
    return Texts(hardware, runtimes, copies, summary, (*warnings, *_inversions(probes)))


def _inversions(probes: Sequence[Probed]) -> list[str]:
    """Rates that are lower with more threads, which no quiet machine shows."""
    ranked = sorted(probes, key=lambda p: p.threads)
    return [
        f"{many.threads} threads compute more slowly than {few.threads}: the probe was disturbed, repeat it on a quiet host"
        for few, many in pairwise(ranked)
        if many.macs_per_s["fp32"] < few.macs_per_s["fp32"]
    ]


def _comments(probed: Probed) -> list[str]:
    """The sweeps in full, and the levels that they show by themselves."""
    who = f"{probed.threads} thread{'s' if probed.threads > 1 else ''}"
    shown = plateaus(list(probed.copies), list(probed.copies.values()))
    ends = [f"up to {format_bytes(level.capacity_bytes)}" if level.capacity_bytes else "beyond" for level in shown]
    levels = ", ".join(f"{format_si(level.bytes_per_s, 'B/s')} {end}" for level, end in zip(shown, ends, strict=True))
    return [
        f"{who}: {_summary(probed)}",
        f"{who}, copies by working set: {_sweep(probed.copies)}",
        f"{who}, plateaus of these: {levels}",
        f"{who}, weights of matrix-vector products by their size: {_sweep(probed.streams)}",
    ]


def _summary(probed: Probed) -> str:
    """Rates by element type, main memory, overheads, in a line."""
    rates = [f"{name} {format_si(2 * rate, 'OP/s' if name == 'int8' else 'FLOP/s')}" for name, rate in probed.macs_per_s.items()]
    memory = format_si(list(probed.streams.values())[-1], "B/s")
    overheads = f"a node {format_si(probed.node_s, 's')}, a run {format_si(probed.run_s, 's')}"
    return f"{', '.join(rates)}; weights from memory at {memory}; overhead of {overheads}"


def _sweep(rates: Mapping[int, float]) -> str:
    return ", ".join(f"{format_bytes(size)} {format_si(rate, 'B/s')}" for size, rate in rates.items())
