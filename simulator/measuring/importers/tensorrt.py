"""What NVIDIA's `trtexec` writes: `--exportProfile` (a time for each layer) and `--exportTimes` (one for each inference).

Both are JSON lists: the first begins with `{"count": runs}`, followed by `name`, `timeMs` (all runs), `averageMs` and in
newer versions `medianMs`; entries of the second have `computeMs` and `latencyMs`, or starts and ends of these. Format:
https://docs.nvidia.com/deeplearning/tensorrt (trtexec), TensorRT samples/common/sampleReporting.cpp
"""

from collections.abc import Mapping, Sequence

import numpy as np

from simulator.errors import UsageError
from simulator.fidelity.profile import OperatorTime, RunProfile

_MS = 1e-3


def is_layers(raw: Sequence[object]) -> bool:
    """Whether a list is that of `--exportProfile`."""
    return any(isinstance(e, dict) and "name" in e and ("averageMs" in e or "timeMs" in e) for e in raw)


def is_times(raw: Sequence[object]) -> bool:
    """Whether a list is that of `--exportTimes`."""
    return bool(raw) and isinstance(raw[0], dict) and ("computeMs" in raw[0] or "startComputeMs" in raw[0])


def read_layers(raw: Sequence[object], where: str) -> RunProfile:
    """Layers of `--exportProfile`: their medians where given, else means.

    Raises:
        UsageError: a layer without a name or a time, or none at all.
    """
    runs, found = None, []
    for index, entry in enumerate(raw):
        if isinstance(entry, dict) and "name" not in entry and isinstance(entry.get("count"), int):
            runs = int(entry["count"])
        elif isinstance(entry, dict) and isinstance(entry.get("name"), str):
            found.append(OperatorTime(entry["name"], "", _layer_ms(entry, runs, f"{where}: layer {index}") * _MS))
        else:
            raise UsageError(f"{where}: entry {index} is no layer")
    if not found:
        raise UsageError(f"{where}: no layers in this trtexec profile")
    return RunProfile("trtexec", tuple(found), runs=runs)


def _layer_ms(entry: Mapping[str, object], runs: int | None, where: str) -> float:
    """Milliseconds of a layer in one run."""
    for key in ("medianMs", "averageMs"):
        if (value := _number(entry, key)) is not None:
            return value
    total = _number(entry, "timeMs")
    if total is None or not runs:
        raise UsageError(f"{where} ('{entry['name']}') has no averageMs, nor timeMs with a count of runs")
    return total / runs


def read_times(raw: Sequence[object], where: str) -> RunProfile:
    """Whole inferences of `--exportTimes`: quantiles of the time on the GPU, without copies in and out.

    Raises:
        UsageError: an entry without times.
    """
    seconds = []
    for index, entry in enumerate(raw):
        value = _compute_ms(entry) if isinstance(entry, dict) else None
        if value is None:
            raise UsageError(f"{where}: entry {index} has no computeMs")
        seconds.append(value * _MS)
    p10, median, p90 = (float(q) for q in np.quantile(seconds, (0.1, 0.5, 0.9)))
    return RunProfile("trtexec", (), median, p10, p90, len(seconds))


def _compute_ms(entry: Mapping[str, object]) -> float | None:
    value = _number(entry, "computeMs")
    start, end = _number(entry, "startComputeMs"), _number(entry, "endComputeMs")
    if value is None and start is not None and end is not None and end >= start:
        return end - start
    return value


def _number(entry: Mapping[str, object], key: str) -> float | None:
    value = entry.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
