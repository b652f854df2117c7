"""Times of microbenchmarks: the 25th percentile of many runs, and slopes between chains of two lengths."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import numpy as np

from simulator.fidelity.spread import LEAST_CPU_SHARE, spread_of
from simulator.measuring.host import LoadMeter
from simulator.measuring.ort import open_session
from simulator.measuring.probe.networks import Product

LEAST_RUNS: Final = 5
_COPY_S: Final = 5e-4  # that is copied between two looks at the clock: shorter than what a scheduler gives to others
_SHARED_COPY_S: Final = 4e-3  # the same of several threads, whose start is lost in it
_MOST_RUN_S: Final = 2e-5  # that a run of a session costs beside its operators


def quarter_s(run: Callable[[], object], budget_s: float, *, attempts: int = 3) -> float:
    """Seconds of a call: the 25th percentile of as many as the budget holds, at least five, two warm-ups before them.

    Where the calling thread did not have its core all the time, another attempt is made, and the least of them counts.
    """
    for _ in range(2):
        run()
    best = float("inf")
    for _ in range(attempts):
        meter = LoadMeter()
        best = min(best, spread_of(_timed(run, budget_s)).p25_s)
        if meter.load().cpu_share >= LEAST_CPU_SHARE:
            break
    return best


def _timed(run: Callable[[], object], budget_s: float) -> list[float]:
    """Seconds of every call within the budget."""
    seconds: list[float] = []
    end = time.perf_counter() + budget_s
    while len(seconds) < LEAST_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def chain_s(product: Product, length: int, threads: int, budget_s: float) -> float:
    """Seconds of one run of a chain of so many links."""
    session = open_session(product.chain(length), threads)
    generator = np.random.default_rng(1)
    values = generator.integers(0, 100, product.shape) if product.dtype == "uint8" else generator.standard_normal(product.shape)
    feeds = {"x": values.astype(product.dtype)}
    return quarter_s(lambda: session.run(None, feeds), budget_s)


def link_s(product: Product, threads: int, budget_s: float, *, short: int = 1, long: int = 3) -> float:
    """Seconds of one link: the slope between two lengths."""
    few, many = (chain_s(product, length, threads, budget_s / 2) for length in (short, long))
    return slope_s(few, many, short, long)


def slope_s(few_s: float, many_s: float, short: int, long: int) -> float:
    """Seconds for one more link, from the times of a few and of many: (many − few) / (long − short).

    Noise in one of the two is kept from turning it into nonsense: a link takes no longer than its share of the long chain, and
    no less than that share without the most that a run costs.
    """
    rise = (many_s - few_s) / (long - short)
    return max(min(rise, many_s / long), (many_s - _MOST_RUN_S) / long, 0.01 * many_s / long)


def copy_bytes_per_s(size_bytes: int, threads: int, budget_s: float) -> float:
    """Bytes read and written in a second by threads that each copy between two arrays of their own.

    `size_bytes` is the working set of one thread: half of it is copied to the other half.
    """
    elements = max(size_bytes // 16, 1)
    pairs = [(np.ones(elements), np.ones(elements)) for _ in range(threads)]
    once = quarter_s(lambda: _copy(pairs[0], 1), 0.0)
    times = max(int((_COPY_S if threads == 1 else _SHARED_COPY_S) / max(once, 1e-7)), 1)
    if threads == 1:
        seconds = quarter_s(lambda: _copy(pairs[0], times), budget_s) - times * _call_s()
    else:
        with ThreadPoolExecutor(threads) as pool:
            seconds = quarter_s(lambda: list(pool.map(lambda pair: _copy(pair, times), pairs)), budget_s, attempts=1)
    return 16.0 * elements * times * threads / max(seconds, 1e-9)


@cache
def _call_s() -> float:
    """Seconds of a copy of nothing: of the call alone."""
    nothing = (np.ones(0), np.ones(0))
    return quarter_s(lambda: _copy(nothing, 1000), 0.01) / 1000


def _copy(pair: tuple[np.ndarray, np.ndarray], times: int) -> None:
    target, source = pair
    for _ in range(times):
        np.copyto(target, source)
