"""Design points a second of `sim sweep` on one core, end to end: residency, geometry, energy and verdicts on, rows in hand.

Bandwidth, on-chip capacity, clock and peak vary together. Beside it: a loop of single estimates, where the time goes, and
the floor, the time numpy takes for one multiplication and one maximum of arrays of the same shape and number as the
cost formulas make. `--points 10_000_000` also gives the peak memory at ten million points. Run it as
`python benchmarks/sweeps.py`.
"""

import argparse
import cProfile
import os
import pstats
import resource
import sys
import time
from collections.abc import Sequence

import numpy as np

import simulator as sim
from simulator.loading import Files
from simulator.study.recipe import Study
from simulator.study.space import BLOCK
from simulator.study.sweep import Sweep

_CASES = {
    "resnet50": ("resnet50", "a100_sxm_80", "precision=fp16"),
    "bert_large, eager": ("bert_large", "a100_sxm_80", "precision=amp_fp16", "runtime=pytorch_eager"),
    "bert_large, no two kernels taken as one": (
        "bert_large", "a100_sxm_80", "precision=amp_fp16", "runtime=pytorch_eager", "overlap=prefetch",
    ),
    "resnet50, microcontroller": ("resnet50", "stm32h743", "precision=int8"),
}  # fmt: skip
_AXES = {
    "a100_sxm_80": (
        "memories.hbm.bandwidth=0.5x..1.5x", "memories.l2.capacity=0.5x..2x", "engines.tensor.clock=0.5x..2x",
        "engines.tensor.peak.fp16=0.5x..2x",
    ),
    "stm32h743": (
        "memories.flash.bandwidth=0.5x..2x", "memories.sram.capacity=0.5x..2x", "engines.core.clock=0.5x..1x",
        "engines.core.peak.int8=0.5x..2x",
    ),
}  # fmt: skip
_ARRAYS = 60  # results of numpy operations of shape (points, kernels) that one lot of a sweep makes, about


def sweep_of(case: Sequence[str], points: int) -> Sweep:
    """A random sample of a case's axes."""
    model, hardware, *settings = case
    return Sweep(Study((model,), (hardware,), _AXES[hardware], tuple(settings), method="random", size=points), Files())


def points_per_s(sweep: Sweep, passes: int) -> float:
    """The best of some passes over the first block."""
    best = 0.0
    sweep.block(0)
    for _ in range(passes):
        start = time.process_time()
        sweep.block(0)
        best = max(best, min(BLOCK, len(sweep.space)) / (time.process_time() - start))
    return best


def estimates_per_s(case: Sequence[str], count: int = 50) -> float:
    """Single estimates of other machines, one after another."""
    model, hardware, *settings = case
    options = dict(text.split("=") for text in settings)
    network, spec = sim.load_model(model), sim.load_hardware(hardware)
    sim.estimate(network, spec, **options)
    start = time.process_time()
    for _ in range(count):
        sim.estimate(network, spec, **options)
    return count / (time.process_time() - start)


def floor_points_per_s(kernels: int) -> float:
    """Points a second if a sweep were nothing but so many multiplications and maxima of its arrays."""
    rows = max(2**17 // kernels, 1)
    a, b = np.random.default_rng(0).random((2, rows, kernels))
    out = np.empty_like(a)
    start = time.process_time()
    for _ in range(20):
        np.multiply(a, b, out=out)
        np.maximum(a, b, out=out)
    return rows / ((time.process_time() - start) / 40 * _ARRAYS)


def report(passes: int) -> None:
    """The table of rates."""
    print("| case | kernels (distinct) | points/s | single estimates/s | numpy floor, points/s |")
    print("|---|---|---|---|---|")
    for name, case in _CASES.items():
        sweep = sweep_of(case, BLOCK)
        model, hardware, *settings = case
        options = dict(text.split("=") for text in settings)
        work = sim.estimate(model, hardware, **options).work
        distinct = len(work) if "overlap" in options else len(work.distinct)
        rates = points_per_s(sweep, passes), estimates_per_s(case), floor_points_per_s(distinct)
        print(f"| {name} | {len(work)} ({distinct}) | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[2]:,.0f} |")


def where_the_time_goes() -> None:
    """The functions that take most of one block."""
    sweep = sweep_of(_CASES["resnet50"], BLOCK)
    sweep.block(0)
    profile = cProfile.Profile()
    profile.runcall(sweep.block, 0)
    stats = pstats.Stats(profile)
    total = stats.total_tt  # type: ignore[attr-defined]
    rows = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:10]  # type: ignore[attr-defined]
    print("\nresnet50, one block of 65,536 points, share of the time by function:")
    for (file, _, function), (_, calls, own, _, _) in rows:
        print(f"  {100 * own / total:4.1f} %  {os.path.basename(file)}:{function} ({calls} calls)")  # noqa: PTH119


def many_points(points: int) -> None:
    """Rate and peak memory over many points, each row seen and dropped."""
    sweep, start = sweep_of(_CASES["resnet50"], points), time.perf_counter()
    best = np.inf
    for number in range(sweep.blocks):
        best = min(best, float(sweep.block(number)[0]["latency_s"].min()))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"\n{points:,} points: {seconds:.1f} s, {points / seconds:,.0f} points/s, peak memory {peak:.0f} MiB")
    print(f"best: {best:.3g} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--points", type=int, default=0, help="also run over so many points and say the peak memory")
    options = parser.parse_args(arguments)
    report(options.passes)
    where_the_time_goes()
    if options.points:
        many_points(options.points)


if __name__ == "__main__":
    main()
