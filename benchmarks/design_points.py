"""How many machines a second one core holds a network against: bandwidth, on-chip capacity, clock and peak vary together.

Residency, geometry and energy are on, the overlap is the runtime's. Prints points per second (best of the chunk sizes
and of several passes) beside a loop over single estimates. Run it as `python benchmarks/design_points.py`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import simulator as sim
from simulator.estimator import estimate, prepared_for, totals
from simulator.io.hardware_reader import load_runtime
from simulator.machine.params import Machine, machine_of

_CASES = (("resnet50", "a100_sxm_80", "fp16"), ("resnet50", "xeon_8480p", None), ("bert_base", "a100_sxm_80", "fp16"))
_CHUNKS = (256, 512, 1024, 2048, 4096)


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


def points_per_s(network: str, hardware: str, precision: str | None, count: int, passes: int) -> tuple[float, int]:
    """The best of some passes over `count` points, and the chunk size that took it."""
    spec = sim.load_hardware(hardware)
    runtime = load_runtime(spec.runtime or "ideal")
    prepared = prepared_for(sim.load_model(network), runtime, precision)
    best, size = 0.0, 0
    for chunk in _CHUNKS:
        machines = [design_points(machine_of(spec), chunk, seed) for seed in range(max(count // chunk, 1))]
        totals(prepared, machines[0], runtime)
        for _ in range(passes):
            start = time.perf_counter()
            for machine in machines:
                totals(prepared, machine, runtime)
            rate = chunk * len(machines) / (time.perf_counter() - start)
            if rate > best:
                best, size = rate, chunk
    return best, size


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
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args(arguments)
    print("| network | machine | kernels (distinct) | points/s | in chunks of | single estimates/s |")
    print("|---|---|---|---|---|---|")
    for network, hardware, precision in _CASES:
        spec = sim.load_hardware(hardware)
        work = prepared_for(sim.load_model(network), load_runtime(spec.runtime or "ideal"), precision).work
        rate, chunk = points_per_s(network, hardware, precision, options.points, options.passes)
        single = estimates_per_s(network, hardware, precision)
        print(f"| {network} | {hardware} | {len(work)} ({len(work.distinct)}) | {rate:,.0f} | {chunk} | {single:,.0f} |")


if __name__ == "__main__":
    main()
