"""One measurement: a network on this machine, from its name to a row."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from simulator import __version__
from simulator.fidelity.measurement import Measurement
from simulator.fidelity.profile import RunProfile
from simulator.fidelity.spread import Spread, busy_note, spread_of
from simulator.measuring.child import Reply, Request, run_apart
from simulator.measuring.host import identifier, this_host
from simulator.measuring.importers.formats import read_profile
from simulator.measuring.importers.names import Source
from simulator.measuring.inputs import input_specs
from simulator.measuring.ort import onnxruntime
from simulator.measuring.runnable import Runnable, make_runnable
from simulator.model import Model


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure. `hardware` names the machine in the row; empty for what the processor calls itself."""

    threads: int
    warmups: int = 5
    repeats: int = 30
    batch: int | None = None
    profile: bool = False
    hardware: str = ""
    runtime: str = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out: the row to keep, its spread, what was made up, why it may not be trusted, the profile."""

    row: Measurement
    spread: Spread
    runnable: Runnable
    warning: str | None
    profile: RunProfile | None


def measure(reference: str, model: Model, settings: Settings) -> Measured:
    """Time a network on this machine under ONNX Runtime.

    Args:
        reference: the file or catalogue name that `model` was loaded from.
        model: the network at the shapes to run.
        settings: threads, repeats and the like.

    Raises:
        UsageError: no ONNX Runtime, too little memory.
        ModelError: weights that cannot be made up, or a network that the runtime refuses.
    """
    onnxruntime()
    inputs = input_specs(model.graph)
    with tempfile.TemporaryDirectory(prefix="sim-measure-") as name:
        folder = Path(name)
        runnable = make_runnable(reference, model, folder, batch=settings.batch)
        prefix = str(folder / "profile") if settings.profile else None
        request = Request(str(runnable.path), inputs, settings.threads, settings.warmups, settings.repeats, prefix)
        reply = run_apart(request)
        profile = None
        if reply.profile_path is not None:
            profile = read_profile(Path(reply.profile_path), Source.ORT, skip=settings.warmups)
    warning = busy_note(reply.load)
    spread = spread_of(reply.seconds)
    row = _row(reference, model, settings, reply, spread, warning)
    return Measured(row, spread, runnable, warning, profile)


def _row(reference: str, model: Model, settings: Settings, reply: Reply, spread: Spread, warning: str | None) -> Measurement:
    host = this_host()
    today = datetime.now(UTC).date().isoformat()
    threads = f"{settings.threads} thread{'s' if settings.threads > 1 else ''}"
    source = f"sim measure {__version__}, onnxruntime {reply.runtime_version}, {host.name}, {threads}, "
    source += f"median of {spread.n} runs, {today}{'; ' + warning if warning else ''}"
    return Measurement(
        model=reference,
        hardware=settings.hardware or identifier(host.name),
        runtime=settings.runtime,
        precision=None,
        batch=model.graph.batch,
        latency_s=float(f"{spread.median_s:.6g}"),
        peak_memory_bytes=reply.peak_memory_bytes,
        label=model.name,
        source=source,
    )
