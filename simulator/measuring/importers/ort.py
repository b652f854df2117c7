"""Profiles of ONNX Runtime (`SessionOptions.enable_profiling`): a JSON list of trace events.

Events of category Node called `<node>_kernel_time` are operators, `model_run` of category Session the runs. Format:
https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np

from simulator.errors import UsageError
from simulator.fidelity.profile import RunProfile, grouped_times
from simulator.measuring.importers.events import Event, complete_events, own_us

_KERNEL: Final = "_kernel_time"
_US: Final = 1e-6


def read_ort(raw: Sequence[object], where: str, *, skip: int = 0) -> RunProfile:
    """The operators of a profile: medians over its runs, the first `skip` of them left out.

    Operators that hold others (If, Loop) keep the time that is their own.

    Raises:
        UsageError: no operators in it.
    """
    events = complete_events(raw, where)
    runs = sorted((e for e in events if e.category == "Session" and e.name == "model_run"), key=lambda e: e.start_us)
    kernels = [e for e in events if e.category == "Node" and e.name.endswith(_KERNEL)]
    if not kernels:
        raise UsageError(f"{where}: no operator in this ONNX Runtime profile")
    first = min(skip, max(len(runs) - 1, 0))
    starts = [r.start_us for r in runs]
    timed = []
    for event, own in zip(kernels, own_us(kernels), strict=True):
        run = bisect_right(starts, event.start_us) - 1
        if run >= first or not runs:
            name, op_type = event.name.removesuffix(_KERNEL), str(event.args.get("op_name", ""))
            timed.append((_unique(name, op_type, event), op_type, run, own * _US))
    kept = [r.duration_us * _US for r in runs[first:]]
    p10, median, p90 = (float(q) for q in np.quantile(kept, (0.1, 0.5, 0.9))) if kept else (None, None, None)
    return RunProfile("onnxruntime", grouped_times(timed), median, p10, p90, len(kept) or None)


def _unique(name: str, op_type: str, event: Event) -> str:
    """A name for operators that have none: their type and number."""
    return name or f"{op_type}_{event.args.get('node_index', '')}"
