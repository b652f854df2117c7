"""How many machines a second one core holds a network against: bandwidth, on-chip capacity, clock and peak vary together.

Residency, geometry and energy are on, the overlap is the runtime's. Prints points per second (all points at once, the best
of several passes) beside a loop over single estimates. Run it as `python benchmarks/design_points.py`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import simulator as sim
from simulator.estimator import estimate, totals
from simulator.io.hardware_reader import load_runtime
from simulator.machine.params import Machine, machine_of
from simulator.preparation import prepared_for

_CASES = (("resnet50", "a100_sxm_80", "fp16"), ("resnet50", "xeon_8480p", None), ("bert_base", "a100_sxm_80", "fp16"))


def design_points(machine: Machine, count: int, seed: int = 0) -> Machine:
    """The machine with clock and peaks, bandwidths and capacities each between half and twice its own."""
    random = np.random.default_rng(seed)

    def factor() -> Any:
        return random.uniform(0.5, 2.0, (count, 1))

    clock = factor()
    engines = []
    for engine in machine.engines:
        rate = clock * factor()
        engines.append(
            replace(
                engine,
                macs_per_s={name: value * rate for name, value in engine.macs_per_s.items()},
                vector_ops_per_s={name: value * rate for name, value in engine.vector_ops_per_s.items()},
                special_ops_per_s=engine.special_ops_per_s * rate,
                clock_hz=engine.clock_hz * clock if engine.clock_hz else None,
            )
        )
    memories = []
    for memory in machine.memories:
        rate = factor() * (clock if memory.is_staging else 1.0)
        memories.append(
            replace(
                memory,
                read_bytes_per_s=memory.read_bytes_per_s * rate,
                write_bytes_per_s=memory.write_bytes_per_s * rate,
                capacity_bytes=memory.capacity_bytes * factor(),
            )
        )
    clock_hz = machine.clock_hz * clock if machine.clock_hz else None
    return replace(machine, engines=tuple(engines), memories=tuple(memories), clock_hz=clock_hz)


def points_per_s(network: str, hardware: str, precision: str | None, count: int, passes: int) -> float:
    """The best of some passes over `count` points."""
    spec = sim.load_hardware(hardware)
    runtime = load_runtime(spec.runtime or "ideal")
    prepared = prepared_for(sim.load_model(network), runtime, precision)
    machines = design_points(machine_of(spec), count)
    best = 0.0
    for _ in range(passes):
        start = time.perf_counter()
        totals(prepared, machines, runtime)
        best = max(best, count / (time.perf_counter() - start))
    return best


def estimates_per_s(network: str, hardware: str, precision: str | None) -> float:
    """Single estimates, one after another, for comparison."""
    model, spec = sim.load_model(network), sim.load_hardware(hardware)
    runtime = load_runtime(spec.runtime or "ideal")
    estimate(model, spec, runtime, precision=precision)
    start = time.perf_counter()
    for _ in range(100):
        estimate(model, spec, runtime, precision=precision)
    return 100 / (time.perf_counter() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=65536)
    parser.add_argument("--passes", type=int, default=5)
    options = parser.parse_args(arguments)
    print("| network | machine | kernels (distinct) | points/s | single estimates/s |")
    print("|---|---|---|---|---|")
    for network, hardware, precision in _CASES:
        spec = sim.load_hardware(hardware)
        work = prepared_for(sim.load_model(network), load_runtime(spec.runtime or "ideal"), precision).work
        rate = points_per_s(network, hardware, precision, options.points, options.passes)
        single = estimates_per_s(network, hardware, precision)
        print(f"| {network} | {hardware} | {len(work)} ({len(work.distinct)}) | {rate:,.0f} | {single:,.0f} |")


if __name__ == "__main__":
    main()
