"""The timeline in Chrome's trace event format, which chrome://tracing and ui.perfetto.dev show.

"Trace Event Format" (Google): complete events (`ph` X) with `ts` and `dur` in µs, a thread for each lane, metadata events
(`ph` M) that name and order the threads, counter events (`ph` C) for what is alive in memory.
"""

from collections.abc import Sequence
from typing import Any, Final

from simulator.result.estimate import Estimate
from simulator.result.metrics import rows
from simulator.schedule.overlap import WINDOWS
from simulator.schedule.timeline import Event, EventKind, Lane, Timeline

_PROCESS: Final = 100  # not the number of a lane: viewers take a thread of the process's number for its main thread
_DECIMALS: Final = 6  # of µs: picoseconds
_WHAT: Final[dict[EventKind, str]] = {"early weights": "weights, early", "crossing": "crossing", "switch": "switch"}


def to_trace(est: Estimate) -> dict[str, object]:
    """The JSON object: `traceEvents`, and what was estimated under `otherData`."""
    line, kernels = est.timeline(), rows(est)
    events = [*_names(est, line), *(e for lane in line.lanes for e in _lane_events(line, lane, kernels)), *_alive(est, line)]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "model": est.model.name, "hardware": est.hardware.id, "runtime": est.runtime.id, "precision": est.precision,
            "batch": est.batch, "overlap": est.overlap, "latency_s": est.latency_s,
        },
    }  # fmt: skip


def lane_name(est: Estimate, lane: Lane) -> str:
    """`engine npu`, `link usb`, `memory dram`, `launches`."""
    if lane.kind == "launch":
        return lane.id
    memory = next((m for m in est.hardware.memories if lane.kind == "memory" and m.id == lane.id), None)
    return f"link {lane.id}" if memory and memory.kind == "link" else f"{lane.kind} {lane.id}"


def _names(est: Estimate, line: Timeline) -> list[dict[str, object]]:
    """Metadata events."""
    title = f"{est.model.name} on {est.hardware.name}"
    found = [_metadata("process_name", 0, name=title)]
    for number, lane in enumerate(line.lanes, 1):
        found.append(_metadata("thread_name", number, name=lane_name(est, lane)))
        found.append(_metadata("thread_sort_index", number, sort_index=number))
    return found


def _metadata(what: str, thread: int, **args: object) -> dict[str, object]:
    return {"ph": "M", "pid": _PROCESS, "tid": thread, "name": what, "args": args}


def _lane_events(line: Timeline, lane: Lane, kernels: Sequence[dict[str, Any]]) -> list[dict[str, object]]:
    """Complete events of a lane; after rounding none runs into the next, which viewers would take for a call inside it."""
    events = [e for e in line.events if e.lane == lane]
    starts = [round(1e6 * e.start_s, _DECIMALS) for e in events]
    ends = [*starts[1:], float("inf")]
    return [
        {
            "ph": "X", "pid": _PROCESS, "tid": 1 + line.lanes.index(lane), "name": _name(event, kernels), "cat": event.kind,
            "ts": start, "dur": max(round(min(1e6 * event.duration_s, end - start), _DECIMALS), 0.0),
            "args": _args(event, kernels),
        }
        for event, start, end in zip(events, starts, ends, strict=True)
    ]  # fmt: skip


def _alive(est: Estimate, line: Timeline) -> list[dict[str, object]]:
    """Counter events: bytes of activations in all memories from the start of each kernel on; none where kernels have no order."""
    if est.overlap not in WINDOWS:
        return []
    starts: dict[int, float] = {}
    for event in line.events:
        if event.kernel is not None and event.kind != "early weights":
            starts[event.kernel] = min(starts.get(event.kernel, event.start_s), event.start_s)
    alive = [(start_s, round(float(est.prepared.occupancy.live_bytes[kernel]))) for kernel, start_s in starts.items()]
    found = [*sorted(alive), (line.latency_s, 0)] if alive else []
    return [
        {"ph": "C", "pid": _PROCESS, "tid": 0, "name": "activations alive", "ts": round(1e6 * start_s, _DECIMALS),
         "args": {"bytes": size_bytes}}
        for start_s, size_bytes in found
    ]  # fmt: skip


def _name(event: Event, kernels: Sequence[dict[str, Any]]) -> str:
    if event.kernel is None:
        return "waiting for the host" if event.kind == "waiting" else "once an inference"
    name = str(kernels[event.kernel]["name"])
    return f"{name} ({_WHAT[event.kind]})" if event.kind in _WHAT else name


def _args(event: Event, kernels: Sequence[dict[str, Any]]) -> dict[str, object]:
    """What a click on the event shows."""
    if event.kernel is None:
        return {}
    row = kernels[event.kernel]
    about = {"kernel": event.kernel, "op_type": row["op_type"], "bound": row["bound"], "origin": row["origin"]}
    if event.kind in ("transfer", "early weights", "crossing"):
        return {"bytes": round(event.moved_bytes), **about}
    if event.kind == "compute":
        return {"macs": row["macs"], "ops": row["ops"], "rate": row["rate"], "bytes": row["moved_bytes"], **about}
    return about
