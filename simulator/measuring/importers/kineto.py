"""Traces of PyTorch's profiler (Kineto): an object with `traceEvents`.

On a GPU the kernels count (`kernel`, `gpu_memcpy`, `gpu_memset`), called by the operator that launched them (same
`External id`); without any, the CPU's operators (`cpu_op`), each without those that it calls. `ProfilerStep#N` marks runs.
Format: https://pytorch.org/docs/stable/profiler.html, https://github.com/pytorch/kineto
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from simulator.errors import UsageError
from simulator.fidelity.profile import OperatorTime, RunProfile
from simulator.measuring.importers.events import Event, complete_events, own_us

_DEVICE: Final = ("kernel", "gpu_memcpy", "gpu_memset")
_STEP: Final = "ProfilerStep#"
_US: Final = 1e-6


def read_kineto(document: Mapping[str, object], where: str) -> RunProfile:
    """Kernels or operators of a trace, by name, in one step of it (all of it, where no steps are marked).

    Raises:
        UsageError: no operators in it.
    """
    raw = document.get("traceEvents")
    if not isinstance(raw, list):
        raise UsageError(f"{where}: no list of traceEvents")
    events = complete_events(raw, where)
    steps = list({e.name: e for e in events if e.category == "user_annotation" and e.name.startswith(_STEP)}.values())
    launched = {e.args["External id"]: e.name for e in events if e.category == "cpu_op" and "External id" in e.args}
    device = [e for e in events if e.category in _DEVICE]
    host = [e for e in events if e.category == "cpu_op"]
    if not device and not host:
        raise UsageError(f"{where}: neither kernels nor operators in this PyTorch trace")
    timed = [(e.name, _caller(e, launched), e.duration_us) for e in device] or [
        (e.name, e.name, own) for e, own in zip(host, own_us(host), strict=True)
    ]
    spans = [e.duration_us * _US for e in steps]
    p10, median, p90 = (float(q) for q in np.quantile(spans, (0.1, 0.5, 0.9))) if spans else (None, None, None)
    return RunProfile("pytorch", _by_name(timed, max(len(steps), 1)), median, p10, p90, len(steps) or None)


def _caller(event: Event, launched: Mapping[object, str]) -> str:
    """The operator that launched a kernel, else the kernel's category."""
    return launched.get(event.args.get("External id"), event.category)


def _by_name(timed: Sequence[tuple[str, str, float]], steps: int) -> tuple[OperatorTime, ...]:
    """Mean time in a step by (name, caller): a name stands for many calls, which no mark tells apart."""
    totals: dict[tuple[str, str], list[float]] = {}
    for name, caller, duration_us in timed:
        totals.setdefault((name, caller), []).append(duration_us)
    return tuple(
        OperatorTime(name, caller, sum(times) * _US / steps, len(times) / steps) for (name, caller), times in totals.items()
    )
