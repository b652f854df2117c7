"""Measures the simulator's speed and peak memory beside what users would pick instead, and prints a Markdown table.

    python benchmarks/speed.py [--runs 7] [--quick] [--dir FOLDER] [--onnx-tool PYTHON]

Needs the project installed, nothing else. `--onnx-tool` names an interpreter with onnx-tool in it
(`python -m venv other && other/bin/pip install onnx-tool`; `--onnx-tool other/bin/python`); without one, its columns stay
empty. Without `--quick` it writes 4 GB into the folder. Every figure is a median; rivals run in turn.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import Usage, interleaved

_HERE = Path(__file__).parent
_MIB = 2**20
_OURS, _THEIRS = "simulator", "onnx-tool"
_MACHINE = "a100_sxm_80"
_LIMIT_S = 120.0  # a process that takes longer is killed and not run again
_SIM = ("-c", "from simulator.cli.main import run; run()")  # what the installed command `sim` does
_PROFILE = "import onnx_tool, sys; onnx_tool.model_profile(sys.argv[1], save_profile=sys.argv[2])"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a run is held to: limits in s and bytes, and how many times faster than the rival; None is no limit."""

    limit_s: float | None = None
    limit_bytes: int | None = None
    times_faster: float | None = None

    def verdict(self, ours: Usage, theirs: Usage | None) -> str:
        """The goal in words, and whether it is met; empty without a goal, or where the rival is missing."""
        checks: list[tuple[str, bool]] = []
        if self.limit_s is not None:
            checks.append((f"≤ {_seconds(self.limit_s)}", ours.seconds <= self.limit_s))
        if self.limit_bytes is not None:
            checks.append((f"≤ {_mib(self.limit_bytes)}", ours.peak_bytes <= self.limit_bytes))
        if self.times_faster is not None and theirs is not None and not theirs.fault:
            checks.append((f"≥ {self.times_faster:g} × as fast", theirs.seconds >= self.times_faster * ours.seconds))
        failed = bool(ours.fault) or not all(met for _, met in checks)
        return f"{', '.join(text for text, _ in checks)}: {'MISS' if failed else 'ok'}" if checks else ""


@dataclass(frozen=True, slots=True)
class Case:
    """A file that both tools are run on, or no file for the tool's own start."""

    title: str
    file: str | None
    goal: Goal = Goal()


CASES = (
    Case("`sim --help`", None, Goal(limit_s=0.25)),
    Case("ResNet-50", "resnet50.onnx", Goal(times_faster=1)),
    Case("BERT-base", "bert_base.onnx", Goal(times_faster=2)),
    Case("3.2 GB, weights embedded", "large_embedded.onnx", Goal(limit_s=0.6, limit_bytes=120 * _MIB)),
    Case("3.2 GB, weights external", "large_external.onnx", Goal(limit_s=0.6, limit_bytes=120 * _MIB)),
    Case("100,000 nodes", "nodes_100000.onnx"),
)
# name of a figure of in_process.py → title and limit in seconds
IN_PROCESS: Mapping[str, tuple[str, float | None]] = {
    "work_table resnet50": ("read + shapes + WorkTable, ResNet-50", 0.030),
    "work_table bert_base": ("read + shapes + WorkTable, BERT-base", None),
    "reestimate resnet50": ("estimate on another machine, ResNet-50", 0.001),
    "reestimate bert_base": ("estimate on another machine, BERT-base", 0.001),
    "work_table nodes_1000": ("read + shapes + WorkTable, 1,000 nodes", None),
    "work_table nodes_10000": ("read + shapes + WorkTable, 10,000 nodes", None),
    "work_table nodes_100000": ("read + shapes + WorkTable, 100,000 nodes", None),
}
_LINEAR = 2.0  # time per node of the largest graph, at most so many times that of the smallest


def _seconds(value: float) -> str:
    """A time in the unit that suits it, three digits."""
    return f"{value:.3g} s" if value >= 0.1 else f"{value * 1e3:.3g} ms"


def _mib(value: int) -> str:
    return f"{value / _MIB:.0f} MiB"


def environment(folder: Path) -> dict[str, str]:
    """The environment of the measured processes: Python may keep its bytecode, as it does in an installed package."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def commands(case: Case, folder: Path, rival: str | None) -> dict[str, Sequence[str]]:
    """The command lines of a case by tool; of the rival only where there is a file to profile."""
    if case.file is None:
        return {_OURS: (sys.executable, *_SIM, "--help")}
    path = str(folder / case.file)
    ours = (sys.executable, *_SIM, "estimate", path, "--hw", _MACHINE)
    return {_OURS: ours} | ({_THEIRS: (rival, "-c", _PROFILE, path, str(folder / "profile.csv"))} if rival else {})


def process_row(case: Case, usages: Mapping[str, Usage]) -> tuple[str, ...]:
    """Time and peak of both tools, their ratios, and the goal."""
    ours, theirs = usages[_OURS], usages.get(_THEIRS)
    cells = [case.title, *_cells(ours), *_cells(theirs)]
    if theirs is None or theirs.fault or ours.fault:
        cells += ["", ""]
    else:
        cells += [f"{theirs.seconds / ours.seconds:.2f} ×", f"{theirs.peak_bytes / ours.peak_bytes:.1f} ×"]
    return (*cells, case.goal.verdict(ours, theirs))


def _cells(usage: Usage | None) -> tuple[str, str]:
    if usage is None:
        return "", ""
    if usage.fault:
        return f"fails: {usage.fault}"[:60].replace("|", "/"), ""
    return _seconds(usage.seconds), _mib(usage.peak_bytes)


def in_process_rows(figures: Mapping[str, float]) -> list[tuple[str, ...]]:
    """One row a figure, and one for the growth in nodes."""
    rows: list[tuple[str, ...]] = []
    for name, (title, limit) in IN_PROCESS.items():
        if name in figures:
            rows.append((title, _seconds(figures[name]), Goal(limit_s=limit).verdict(Usage(figures[name], 0), None)))
    small, large = (figures.get(f"work_table nodes_{nodes}", 0.0) / nodes for nodes in (1_000, 100_000))
    if small and large:
        met = "ok" if large <= _LINEAR * small else "MISS"
        rows.append(("time a node, 100,000 nodes : 1,000 nodes", f"{large / small:.2f} ×", f"≤ {_LINEAR:g} ×: {met}"))
    return rows


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def has_onnx_tool(interpreter: str) -> bool:
    """Whether that interpreter can import onnx-tool."""
    try:
        return subprocess.run([interpreter, "-c", "import onnx_tool"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def report(folder: Path, runs: int, rival: str | None, *, quick: bool) -> str:
    """Write the files, measure everything, and put it into tables."""
    env = environment(folder)
    subprocess.run([sys.executable, str(_HERE / "onnx_files.py"), str(folder), *(["--quick"] if quick else [])], check=True)
    cases = [c for c in CASES if c.file is None or (folder / c.file).exists()]
    rows = [process_row(case, interleaved(commands(case, folder, rival), runs, env, _LIMIT_S)) for case in cases]
    inner = subprocess.run(
        [sys.executable, str(_HERE / "in_process.py"), str(folder)], env=env, check=True, stdout=subprocess.PIPE
    )
    note = "" if rival else "\n\nonnx-tool was not measured: name an interpreter that has it with --onnx-tool."
    head = ("whole process", "simulator", "peak", "onnx-tool", "peak", "time ratio", "peak ratio", "goal")
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, medians of {runs} runs\n\n"
        f"{table(head, rows)}{note}\n\n"
        f"{table(('in process', 'time', 'goal'), in_process_rows(json.loads(inner.stdout)))}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="counted runs of every process (default: 7)")
    parser.add_argument("--quick", action="store_true", help="3 runs, without the files of 3 GB")
    parser.add_argument("--dir", type=Path, help="folder for the files, kept and used again; a temporary one without it")
    parser.add_argument("--onnx-tool", metavar="PYTHON", default=sys.executable, help="interpreter that has onnx-tool installed")
    options = parser.parse_args(arguments)
    rival = options.onnx_tool if has_onnx_tool(options.onnx_tool) else None
    runs = min(options.runs, 3) if options.quick else options.runs
    with tempfile.TemporaryDirectory() as temporary:
        print(report(options.dir or Path(temporary), runs, rival, quick=options.quick))


if __name__ == "__main__":
    main()
