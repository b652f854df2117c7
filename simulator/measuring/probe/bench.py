"""The microbenchmarks, for a number of threads: rates, bandwidths, overheads of ONNX Runtime on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from simulator.fidelity.spread import Load
from simulator.measuring.host import LoadMeter, spin_share
from simulator.measuring.ort import runtime_errors
from simulator.measuring.probe import networks
from simulator.measuring.probe.networks import Product
from simulator.measuring.probe.timing import chain_s, copy_bytes_per_s, link_s
from simulator.ops.elementwise import UNARY

_KIB, _MIB = 1 << 10, 1 << 20
_SHARED_BYTES: Final = 64 * _KIB  # smaller copies of several threads wait for the interpreter, not for memory
COPY_BYTES: Final = tuple(int(size * _KIB) for size in (8, 16, 24, 64, 128, 256, 512, 768)) + tuple(
    size * _MIB for size in (1, 2, 4, 8, 12, 16, 24, 32, 64, 128, 256)
)
_GEMV: Final = 1024  # rows and columns of a matrix of 4 MiB
_GEMV_COUNTS: Final = (1, 2, 3, 4, 6, 10, 16, 32, 64)
_FUNCTIONS: Final = ("Erf", "Sigmoid", "Exp")
_FUNCTION_ELEMENTS: Final = 300_000
_TINY: Final = networks.convolution(16, 1, kernel=1)
_SMALL: Final = networks.convolution(16, 14, kernel=1)

# What fits a core's cache: convolutions of MLAS run at the peak there, a square product of 2048 does not. A link takes less
# than a scheduler gives to others at a time, so that some runs pass undisturbed on a busy host too.
_CONV: Final = networks.convolution(64, 28)
_CLASSES: Final[Mapping[str, Callable[[], Product]]] = {
    "gemm": lambda: networks.product(64, 768),
    "batched_gemm": lambda: networks.attention(12, 128, 64),
    "grouped_conv": lambda: networks.convolution(128, 28, groups=8),
    "depthwise_conv": lambda: networks.convolution(144, 56, groups=144),
    "recurrent": lambda: networks.recurrence(256, 25),
}
PROBED_TAPS: Final[Mapping[str, int]] = {"depthwise_conv": 9}  # MACs of an output where they are few
_TYPES: Final[Mapping[str, Callable[[], Product]]] = {
    "fp64": lambda: networks.product(32, 768, "float64"),
    "int8": lambda: networks.integer_product(64, 768),
}


@dataclass(frozen=True, slots=True)
class Probed:
    """What a number of threads reaches.

    `macs_per_s` by element type, `class_macs_per_s` by kernel class in fp32, `special_per_s` transcendental functions
    beyond the copy and their vector operations. `copies` maps working sets in bytes (of all threads) to bytes copied a
    second, read and written; `streams` weights in bytes to bytes read a second. `node_s`, `fork_s` (of starting the other
    threads for a node) and `run_s` are overheads of the runtime.
    """

    threads: int
    macs_per_s: Mapping[str, float]
    class_macs_per_s: Mapping[str, float]
    special_per_s: float
    copies: Mapping[int, float]
    streams: Mapping[int, float]
    node_s: float
    run_s: float
    load: Load
    fork_s: float = 0.0


def probe(threads: int, budget_s: float, memory_bytes: int | None, say: Callable[[str], None]) -> Probed:
    """Run all microbenchmarks with so many threads, each about `budget_s`; `say` is told what is being timed."""
    meter = LoadMeter()
    say(f"{threads} thread{'s' if threads > 1 else ''}: matrix products")
    conv = _CONV.macs / link_s(_CONV, threads, budget_s)
    types = {name: rate for name, make in _TYPES.items() if (rate := _rate(make(), threads, budget_s))}
    classes = {name: rate for name, make in _CLASSES.items() if (rate := _rate(make(), threads, budget_s))}
    say(f"{threads} thread{'s' if threads > 1 else ''}: functions and overheads")
    peak = {"fp32": max(conv, classes.get("gemm", 0.0)), **types}
    special = _special_per_s(threads, budget_s, peak["fp32"])
    node_s, fork_s = _node_s(threads, budget_s)
    run_s = max(chain_s(_TINY, 1, threads, budget_s / 2) - node_s - fork_s, 0.0)
    say(f"{threads} thread{'s' if threads > 1 else ''}: memory")
    most = (memory_bytes or 1 << 40) // 4
    sizes = [s for s in COPY_BYTES if s * threads <= most and (threads == 1 or s >= _SHARED_BYTES)]
    copies = {s * threads: copy_bytes_per_s(s, threads, budget_s / 2) for s in sizes}
    streams = {4 * _MIB * n: _stream(n, threads, budget_s) for n in _GEMV_COUNTS if 12 * _MIB * n <= most}
    load = Load(spin_share(budget_s), meter.load().others_share)
    return Probed(threads, peak, {"conv": conv, **classes}, special, copies, streams, node_s, run_s, load, fork_s)


def _rate(product: Product, threads: int, budget_s: float) -> float | None:
    """MACs a second of a product; None where the runtime has no kernel for it."""
    try:
        return product.macs / link_s(product, threads, budget_s)
    except runtime_errors():
        return None


def _special_per_s(threads: int, budget_s: float, vector_per_s: float) -> float:
    """Functions a second beyond the time of a copy and of their vector operations: mean time of three."""
    share = budget_s / (len(_FUNCTIONS) + 1)
    copied = link_s(networks.elementwise("Neg", _FUNCTION_ELEMENTS), threads, share)
    timed = [link_s(networks.elementwise(f, _FUNCTION_ELEMENTS), threads, share) for f in _FUNCTIONS]
    vector_s = [UNARY[name][0] * _FUNCTION_ELEMENTS / vector_per_s for name in _FUNCTIONS]
    beyond = sum(max(t - copied - own, 0.05 * t) for t, own in zip(timed, vector_s, strict=True)) / len(timed)
    return _FUNCTION_ELEMENTS / beyond


def _node_s(threads: int, budget_s: float) -> tuple[float, float]:
    """Overhead of a node, and what a small kernel pays for the start of several threads."""
    node = link_s(_TINY, 1, budget_s, short=10, long=40)
    if threads == 1:
        return node, 0.0
    alone, shared = (link_s(_SMALL, t, budget_s, short=5, long=20) for t in (1, threads))
    return node, max(shared - node - max(alone - node, 0.0) / threads, 0.0)


def _stream(count: int, threads: int, budget_s: float) -> float:
    """Bytes of weights a second in products of a vector with so many matrices of 4 MiB, the cost of a run taken off."""
    product = networks.product(1, _GEMV)
    whole = chain_s(product, count, threads, budget_s / 2)
    once = chain_s(_TINY, 1, threads, budget_s / 8)
    return count * 4 * _MIB / max(whole - once, 0.5 * whole)
