"""The probe's figures as a hardware file, and as a profile of ONNX Runtime in terms of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from simulator.measuring.host import Cache, Host, identifier
from simulator.measuring.probe.bench import PROBED_TAPS, Probed
from simulator.measuring.probe.levels import half_way_bytes, not_slower_inside, rate_within

SOURCE: Final = "probe"
_SYSTEM: Final = "system"
_LANES: Final = {"avx512f": 16, "avx2": 8, "asimd": 4, "neon": 4, "sse2": 4}  # fp32 lanes of a register, widest first
_LEAST_RESIDENT: Final = 0.05


def hardware_document(host: Host, probes: Sequence[Probed], flags: Sequence[str], facts: str) -> dict[str, Any]:
    """The hardware file: the figures of the most threads, and a mode for every other number of them.

    Args:
        host: the machine.
        probes: one for each number of threads.
        flags: instruction sets that the processor lists.
        facts: when and with what it was probed.
    """
    most = max(probes, key=lambda p: p.threads)
    document = {
        "schema": 1,
        "id": identifier(host.name),
        "name": host.name,
        "class": "cpu",
        **({"vendor": host.vendor} if host.vendor else {}),
        "description": f"Rates measured with {_threads(most.threads)}; nothing of a data sheet.",
        "runtime": "onnxruntime",
        "sources": {SOURCE: facts, _SYSTEM: "what the operating system says of the machine"},
        "engines": [_engine(host, most, flags)],
        "memories": _memories(host, most),
    }
    others = [p for p in probes if p is not most]
    if others:
        document["modes"] = {f"{p.threads}t": _mode(host, p) for p in others}
    return document


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _mode(host: Host, probed: Probed) -> dict[str, Any]:
    """What differs with another number of threads."""
    engine = {"id": "cores", "units": _measured(probed.threads, "threads that ran"), **_rates(probed)}
    return {"engines": [engine], "memories": _memories(host, probed)}


def _engine(host: Host, probed: Probed, flags: Sequence[str]) -> dict[str, Any]:
    lanes = _lanes(flags)
    engine: dict[str, Any] = {
        "id": "cores",
        "kind": "simd",
        "name": f"{probed.threads} of {host.cores} cores",
        "units": _measured(probed.threads, "threads that ran"),
        **_rates(probed),
    }
    if lanes:
        flag = next(f for f in _LANES if f in flags)
        per_cycle = f"fused multiply-adds of a whole register of {flag}, one a cycle; less where cores issue two"
        clock = f"{probed.macs_per_s['fp32'] / (lanes * probed.threads) / 1e9:.4g} GHz"
        engine["clock"] = {"value": clock, "kind": "derived", "source": SOURCE, "note": per_cycle}
        engine["geometry"] = {
            "kind": "core",
            "lanes": {"fp32": {"value": lanes, "kind": "derived", "source": _SYSTEM, "note": f"registers of {flag}"}},
        }
    return engine


def _lanes(flags: Sequence[str]) -> int | None:
    return next((n for flag, n in _LANES.items() if flag in flags), None)


def _rates(probed: Probed) -> dict[str, Any]:
    notes = {
        "fp32": "the faster of convolutions 3 x 3 of 64 channels in cache and products 64 x 768 x 768",
        "fp64": "products 32 x 768 x 768",
        "int8": "products 64 x 768 x 768 of unsigned and signed numbers",
    }
    peak = {name: _measured(_quantity(2 * rate, "OP/s" if name == "int8" else "FLOP/s"), notes[name])
            for name, rate in probed.macs_per_s.items()}  # fmt: skip
    vector = {"value": _quantity(probed.macs_per_s["fp32"], "OP/s"), "kind": "derived", "source": SOURCE,
              "note": "half the FLOP/s of fused multiply-add"}  # fmt: skip
    special = _measured(_quantity(probed.special_per_s, "OP/s"), "mean of erf, sigmoid and exp beyond a copy")
    return {"peak": peak, "vector": {"fp32": vector}, "special": special}


def _memories(host: Host, probed: Probed) -> list[dict[str, Any]]:
    """Caches from the second level on that the system lists, and main memory."""
    caches = [c for c in host.caches if c.level > 1]
    reads, writes = _bandwidths(caches, probed)
    memories = []
    for cache, read, write in zip(caches, reads, writes, strict=False):
        total = total_bytes(cache, probed.threads)
        how = f"{cache.capacity_bytes // 1024} KiB shared by {cache.shared_by}"
        memories.append({
            "id": f"l{cache.level}", "kind": "cache",
            "capacity": {"value": _capacity(total), "kind": "derived", "source": _SYSTEM, "note": how},
            **_bandwidth(read, write, "copies that fit it, by numpy"),
        })  # fmt: skip
    size = {"value": _capacity(host.memory_bytes or 0), "kind": "measured", "source": _SYSTEM}
    dram = {"id": "dram", "kind": "dram", **({"capacity": size} if host.memory_bytes else {}),
            **_bandwidth(reads[-1], writes[-1], "read: weights of matrix-vector products; write: copies"),
            "holds": ["weights", "activations"]}  # fmt: skip
    return [*memories, dram]


def _bandwidth(read: float, write: float, note: str) -> dict[str, Any]:
    """Both directions; measured bandwidths are reached whole."""
    return {
        "read_bandwidth": _measured(_quantity(read, "B/s"), note),
        "write_bandwidth": _measured(_quantity(write, "B/s"), note),
        "achieved": _measured(1, "the bandwidths are measured ones"),
    }


def _bandwidths(caches: Sequence[Cache], probed: Probed) -> tuple[list[float], list[float]]:
    """Bytes a second read from and written to each cache and main memory.

    Main memory and the last cache are read as weights are, the others as they are copied.
    """
    sizes, rates = list(probed.copies), list(probed.copies.values())
    totals = [total_bytes(c, probed.threads) for c in caches]
    inner = [total_bytes(c, probed.threads) for c in (Cache(1, 32 << 10, 1), *caches[:-1])] if caches else []
    copied = [rate_within(sizes, rates, i, t) for i, t in zip(inner, totals, strict=True)]
    outside = rates[-1]
    reads = [*copied, list(probed.streams.values())[-1]]
    return not_slower_inside(reads), not_slower_inside([*copied, outside])


def total_bytes(cache: Cache, threads: int) -> int:
    """Capacity of a level for so many threads, each on a core of its own."""
    return cache.capacity_bytes * -(-threads // cache.shared_by)


def _measured(value: str | float, note: str) -> dict[str, Any]:
    return {"value": value, "kind": "measured", "source": SOURCE, "note": note}


def _capacity(size_bytes: int) -> str:
    """A capacity without loss in the largest unit that it is a multiple of: `32 MiB`."""
    unit, size = next(((u, s) for u, s in (("MiB", 1 << 20), ("KiB", 1 << 10)) if size_bytes % s == 0), ("B", 1))
    return f"{size_bytes // size} {unit}"


def _quantity(value: float, unit: str) -> str:
    """Four digits in giga-units: `118.4 GFLOP/s`."""
    return f"{value / 1e9:.4g} G{unit}"


def runtime_document(
    base: Mapping[str, Any], host: Host, probed: Probed, facts: str, flags: Sequence[str] = ()
) -> dict[str, Any]:
    """A profile of ONNX Runtime whose fractions are of the probed rates; what was not probed stays as in `base`."""
    profile = dict(base["profiles"]["simd"])
    peak = probed.macs_per_s["fp32"]
    efficiency = dict(profile["efficiency"])
    for name, rate in probed.class_macs_per_s.items():
        alone = 1.0 / max(1.0 / rate - _beside_s(profile, name, probed, _lanes(flags)), 0.1 / rate)
        efficiency[name] = _measured(f"{min(alone / peak, 1.0):.3f}", "of the probed fp32 rate")
    efficiency["attention"] = dict(efficiency.get("batched_gemm", efficiency["default"]))
    profile["efficiency"] = efficiency
    profile["vector_efficiency"] = _measured(1, "the rates are probed ones")
    profile["bandwidth"] = _measured(1, "the bandwidths are probed ones")
    resident = _resident(host, probed)
    if resident is not None:
        profile["resident"] = _measured(f"{resident:.2f}", "of the last cache: where weights begin to come from memory")
    profile.pop("fork_overhead", None)
    if probed.threads > 1:
        fork_s = probed.fork_s / math.log2(probed.threads)
        profile["fork_overhead"] = _measured(f"{fork_s * 1e6:.3g} us", "a small convolution with one and with these threads")
    profile["kernel_overhead"] = _measured(f"{probed.node_s * 1e6:.3g} us", "a small convolution more in a chain")
    profile["inference_overhead"] = _measured(f"{probed.run_s * 1e6:.3g} us", "a run of one small convolution")
    kept = {key: value for key, value in base.items() if key != "residuals"}  # of a fit that this is not
    return {
        **kept, "id": f"onnxruntime_{identifier(host.name)}_{probed.threads}t",
        "name": f"{base['name']}, as probed on {host.name} with {_threads(probed.threads)}",
        "sources": {**base.get("sources", {}), SOURCE: facts}, "profiles": {"simd": profile},
    }  # fmt: skip


def _beside_s(profile: Mapping[str, Any], name: str, probed: Probed, lanes: int | None) -> float:
    """Seconds that the instructions for outputs take of each MAC of the probed kernel of a class, at the clock of the file."""
    figure = profile.get("output_instructions", {}).get(name)
    taps = PROBED_TAPS.get(name)
    if figure is None or taps is None or lanes is None:
        return 0.0
    return float(figure["value"]) * lanes / probed.macs_per_s["fp32"] / taps


def _resident(host: Host, probed: Probed) -> float | None:
    """Share of the last cache that weights can use before they come from memory."""
    caches = [c for c in host.caches if c.level > 1]
    half = half_way_bytes(list(probed.streams), list(probed.streams.values()))
    if not caches or half is None:
        return None
    return min(max(half / total_bytes(caches[-1], probed.threads), _LEAST_RESIDENT), 1.0)


def yaml_text(document: Mapping[str, Any], comments: Sequence[str] = ()) -> str:
    """The document as YAML, figures on one line each, with comments in front."""
    head = "".join(f"# {line}\n" for line in comments)
    return head + yaml.safe_dump(dict(document), sort_keys=False, default_flow_style=None, width=160, allow_unicode=True)
