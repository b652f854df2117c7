"""The public surface: the same verbs as the command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import UsageError
from simulator.estimator import estimate as _estimate
from simulator.io.hardware_reader import load_runtime, load_spec
from simulator.loading import load_model
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.estimate import Estimate

if TYPE_CHECKING:
    from simulator.explanation.terms import LayerExplanation, RunExplanation
    from simulator.fidelity.calibrate import Calibration
    from simulator.fidelity.measurement import Measurement
    from simulator.fidelity.validate import Load, Validation
    from simulator.result.battery import BatteryLife
    from simulator.schedule.plan import MemoryPlan
    from simulator.study.compare import Comparison
    from simulator.study.recommend import Recommendation


def load_hardware(hardware: str | Path) -> HardwareSpec:
    """A machine from the catalogue (`rtx4090`, `jetson_orin_nano:15W`) or from a YAML file.

    Raises:
        NotFoundError: no such entry, file or mode.
        HardwareError: the file is wrong; every fault with file, line and path.
    """
    return load_spec(hardware)


def estimate(
    model: Model | str | Path,
    hardware: HardwareSpec | str | Path,
    *,
    precision: str | None = None,
    overlap: str | None = None,
    runtime: str | None = None,
    per_op: bool = False,
) -> Estimate:
    """Latency, energy and memory of one inference.

    Args:
        model: a loaded model, or what `load_model` takes.
        hardware: a loaded machine, or what `load_hardware` takes.
        precision: `fp32`, `tf32`, `bf16`, `fp16`, `fp8`, `int8`, `int4`, `w8a16`, `w4a16`, `amp_fp16`, `amp_bf16`;
            None takes the element types of the file.
        overlap: `none`, `layer`, `prefetch`, `full`, or None for the runtime's own.
        runtime: id or YAML file of a runtime profile; None for the machine's default.
        per_op: fuse nothing: every operator is a kernel of its own.

    Raises:
        PrecisionError: the machine has no rate for the element type.
        NotFoundError, UsageError: no such runtime or policy.
    """
    spec = hardware if isinstance(hardware, HardwareSpec) else load_hardware(hardware)
    network = model if isinstance(model, Model) else load_model(model)
    profile = load_runtime(runtime or spec.runtime or "ideal")
    if per_op:
        nothing_fused = {"fusion": tuple(r for r in profile.fusion if r == "quantize"), "adds": (), "residuals": None}
        profile = profile.model_copy(update=nothing_fused)
    return _estimate(network, spec, profile, precision=precision, overlap=overlap)


def _html(est: Estimate) -> str:
    from simulator.report.html import estimate_html

    return estimate_html(est)


Estimate.html = staticmethod(_html)


def explain(est: Estimate, layer: str | None = None) -> "LayerExplanation | RunExplanation":
    """Where an estimate's numbers come from: formulas, the numbers in them, and the sources of these.

    Args:
        est: an estimate.
        layer: a kernel: its name, that of an ONNX node in it, or a part of either that only one has; its number counted
            from 1 (`12`), or `NAME#2`, the second so called; None for the whole run, with the reasons why it takes longer
            than the bound.

    Raises:
        UsageError: no kernel is called so, or several are.
    """
    from simulator.explanation.layer import explain_layer  # estimates do without
    from simulator.explanation.run import explain_run

    return explain_run(est) if layer is None else explain_layer(est, layer)


def plan(
    est: Estimate,
    *,
    reorder: bool = False,
    patches: tuple[tuple[int, int], int] | None = None,
    alignment_bytes: int = 16,
) -> "MemoryPlan":
    """Lifetimes, peaks and addresses of the activations of an estimated network, for each memory that engines share.

    Args:
        est: an estimate: its kernels, precision and machine are planned for.
        reorder: run the kernels in the order of lowest peak that is found.
        patches: ((rows, columns), n): run the first n kernels on a grid of patches.
        alignment_bytes: addresses are multiples of this.

    Raises:
        UsageError: patches that do not fit the network.
    """
    from simulator.schedule.plan import PlanOptions, plan_memory  # the planner is not small, and estimates do without

    options = PlanOptions(alignment_bytes, reorder, patches)
    weights = est.work.footprint.weight_bytes
    return plan_memory(est.prepared.graph, est.prepared.kernels, est.cost.machine, weights, options, est.cost.placement)


def battery_life(est: Estimate, battery: str, rate: str) -> "BatteryLife":
    """How long a battery lasts that runs an estimated network at a rate.

    Args:
        est: an estimate: its energy, latency and machine count.
        battery: a charge at a voltage (`220mAh@3V`) or an energy (`2 Wh`, `5 kJ`).
        rate: inferences in a time: `1/s`, `0.2/s`, `1/min`.

    Raises:
        UnitError: a battery or a rate that cannot be read.
        UsageError: the machine cannot keep up with the rate.
    """
    from simulator.result.battery import battery_life as of_estimate

    return of_estimate(est, battery, rate)


def trace(est: Estimate) -> dict[str, object]:
    """What happens when, as an object of Chrome's trace event format; write it with `json.dump`.

    A lane an engine, one a memory or link, one for launches. `est.timeline()` has the same as events in seconds.
    """
    from simulator.report.trace import to_trace

    return to_trace(est)


def validate(
    measurements: "str | Path | Sequence[Measurement]",
    *,
    models: str | Path | None = None,
    runtime: str | Path | None = None,
    worst: int = 8,
    progress: Callable[[str], None] = lambda _: None,
) -> "Validation":
    """Predictions held against measurements: errors by machine and runtime, and the worst cases explained.

    Args:
        measurements: a measurement file (docs/measurements.md), or its rows.
        models: folder that the rows' ONNX files lie in; None for that of the file.
        runtime: a runtime profile for the rows under the runtime of that id, in the place of the catalogue's.
        worst: how many of the worst cases to explain.
        progress: is told what goes on.

    Raises:
        MeasurementError, NotFoundError: the file is wrong or not there.
        UsageError: no rows, none of them can be predicted, or none is under `runtime`.
    """
    from simulator.fidelity.validate import validate as _validate

    rows, folder = rows_of(measurements)
    profile = None if runtime is None else load_runtime(str(runtime))
    if profile is not None and all(row.runtime != profile.id for row in rows):
        raise UsageError(f"no row is under the runtime '{profile.id}'")
    return _validate(rows, load_of(folder, models, profile), worst=worst, progress=progress)


def calibrate(
    measurements: "str | Path | Sequence[Measurement]",
    runtime: str | Path,
    *,
    fit: Sequence[str] = (),
    models: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    least_families: int = 3,
    leave_out: str = "family",
) -> "Calibration":
    """The constants of a runtime fitted to the measurements under it, cross-validated by family or by machine.

    Args:
        measurements: a measurement file (docs/measurements.md), or its rows; those under other runtimes are left out.
        runtime: id or YAML file of the runtime profile, whose figures are the priors.
        fit: the constants to fit, by name (`efficiency.conv`, `bandwidth`); none for all.
        models: folder that the rows' ONNX files lie in; None for that of the file.
        progress: is told what goes on.
        least_families: of how many model families rows must show a constant for it to be fitted.
        leave_out: what the cross-validation leaves out together: `family`, or `hardware`.

    Raises:
        MeasurementError, NotFoundError: the file is wrong or not there.
        UsageError: no rows, too few of them under the runtime, or no such constant.
    """
    from simulator.fidelity.calibrate import calibrate_rows

    rows, folder = rows_of(measurements)
    profile = load_runtime(str(runtime))
    own = [row for row in rows if row.runtime in (profile.id, str(runtime))]
    if not own:
        known = ", ".join(dict.fromkeys(row.runtime for row in rows))
        raise UsageError(f"no row is under the runtime '{profile.id}' (there are rows under {known})")
    as_named = [replace(row, runtime=profile.id) for row in own]
    return calibrate_rows(as_named, load_of(folder, models, profile), profile, tuple(fit), progress, least_families, leave_out)


def compare(
    models: "Sequence[Model | str | Path]",
    hardware: "Sequence[HardwareSpec | str | Path]",
    *,
    precisions: Sequence[str | None] = (None,),
    batch: int | None = None,
    runtime: str | None = None,
    sort: str | None = None,
    metric: str = "latency",
) -> "Comparison":
    """Networks beside each other on machines beside each other: one row a combination, also for those that cannot be.

    Args:
        models: loaded models, or what `load_model` takes; accuracies are known of catalogue names.
        hardware: loaded machines, or what `load_hardware` takes.
        precisions: as in `estimate`; a row for each.
        batch: the batch to run at; for names only.
        runtime: as in `estimate`.
        sort: a total (`latency`, `energy`, `memory`, `size` …) or `accuracy`; None keeps the order given.
        metric: the figure of the matrix.

    Raises:
        PrecisionError, UsageError: no such precision or figure, or nothing to compare.
    """
    from simulator.choosing import compare_named

    return compare_named(models, hardware, precisions, batch, runtime, sort, metric)


def recommend(
    *,
    hardware: HardwareSpec | str | Path | None = None,
    model: Model | str | Path | None = None,
    limits: Mapping[str, str | float],
    task: str = "imagenet",
    precisions: Sequence[str | None] | None = None,
    batch: int | None = None,
    runtime: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> "Recommendation":
    """Which networks of the catalogue meet limits on a machine, by accuracy; or which machines do with a network, by power.

    Args:
        hardware: the machine to find networks for, or
        model: the network to find machines for; one of the two.
        limits: by figure: `{"latency": "100ms", "memory": "320KiB", "accuracy": 70}`; memory capacities always count.
        task: what networks must do: `imagenet`, `cifar10`, `vww`, `keywords`, `anomaly`.
        precisions: those to look at; None for fp32 (or as in the file) and int8.
        batch: the batch to run at; latencies are of the whole batch.
        runtime: with hardware, a runtime in the place of its own.
        progress: is told what goes on.

    Raises:
        UnitError, UsageError, PrecisionError: a limit, a task or a precision that is none.
    """
    from simulator.choosing import recommend_machines, recommend_models

    if (hardware is None) == (model is None):
        raise UsageError("recommend needs either hardware, to find networks for it, or a model, to find machines for it")
    if hardware is not None:
        return recommend_models(hardware, limits, task, precisions, progress, batch, runtime)
    assert model is not None
    if runtime is not None:
        raise UsageError("a runtime is of one machine: recommend takes it with hardware, and each machine's own with a model")
    return recommend_machines(model, limits, precisions, progress, batch)


def rows_of(measurements: "str | Path | Sequence[Measurement]") -> "tuple[Sequence[Measurement], Path]":
    """Rows, and the folder that files they name are looked for in."""
    if not isinstance(measurements, str | Path):
        if not measurements:
            raise UsageError("no measurements are given")
        return measurements, Path()
    from simulator.io.measurements import read_measurements

    return read_measurements(Path(measurements)), Path(measurements).parent


def load_of(folder: Path, models: str | Path | None, profile: RuntimeSpec | None) -> "Load":
    """How rows come by what they name; `profile` stands for the runtime of its id."""
    from simulator.fidelity.validate import Load
    from simulator.io.measurements import beside

    model = lru_cache(maxsize=4)(lambda name, batch: load_model(name, batch=batch))  # rows of one network come together
    hardware = lru_cache(maxsize=None)(load_spec)
    of_models = folder if models is None else Path(models)
    return Load(
        lambda row: model(beside(of_models, row.model, ".onnx"), row.batch),
        lambda row: hardware(beside(folder, row.hardware, ".yaml")),
        lambda row: profile if profile and row.runtime == profile.id else load_runtime(beside(folder, row.runtime, ".yaml")),
    )


__all__ = [
    "battery_life",
    "calibrate",
    "compare",
    "estimate",
    "explain",
    "load_hardware",
    "load_model",
    "plan",
    "recommend",
    "trace",
    "validate",
]
