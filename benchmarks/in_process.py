"""Times the stages of an estimate inside one process and prints them as JSON: name → median seconds.

Run it as `python benchmarks/in_process.py FOLDER [--runs 15]`; `speed.py` puts its figures into a table.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import simulator as sim
from simulator.io.hardware_reader import load_runtime
from simulator.preparation import prepare

_MACHINES = ("a100_sxm_80", "h100_sxm")


def median_s(action: Callable[[], object], runs: int) -> float:
    """Median seconds of an action, after one uncounted call."""
    action()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def work_table_s(path: Path, runs: int) -> float:
    """Read a file, infer its shapes, cut it into kernels, and make the table of their work."""
    fusion = load_runtime("pytorch_compile").fusion
    return median_s(lambda: prepare(sim.load_model(path), None, fusion), runs)


def reestimate_s(path: Path, runs: int) -> float:
    """Hold a loaded network against a loaded machine, another one each time."""
    model = sim.load_model(path)
    machines = cycle([sim.load_hardware(machine) for machine in _MACHINES])
    return median_s(lambda: sim.estimate(model, next(machines)), runs)


def measure(folder: Path, runs: int) -> dict[str, float]:
    """Every figure of this script, by name."""
    figures: dict[str, float] = {}
    for name in ("resnet50", "bert_base"):
        figures[f"work_table {name}"] = work_table_s(folder / f"{name}.onnx", runs)
        figures[f"reestimate {name}"] = reestimate_s(folder / f"{name}.onnx", runs)
    for path in sorted(folder.glob("nodes_*.onnx"), key=lambda p: p.stat().st_size):
        figures[f"work_table {path.stem}"] = work_table_s(path, min(runs, 3))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of the files in a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args(arguments)
    print(json.dumps(measure(options.folder, options.runs)))


if __name__ == "__main__":
    main()
