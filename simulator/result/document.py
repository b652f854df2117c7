"""The estimate as data: the JSON object that scripts rely on (docs/json.md), and tables of its rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.result.metrics import rows
from simulator.result.prediction import Prediction

SCHEMA = 1


def to_dict(est: Prediction) -> dict[str, object]:
    """The whole estimate; counts are integers, times in s, energies in J, None where the machine has no figures."""
    return {
        "schema": SCHEMA,
        "model": _model(est),
        "hardware": {
            "id": est.hardware.id, "name": est.hardware.name, "class": est.hardware.hardware_class, "mode": est.hardware.mode,
        },
        "settings": {
            "batch": est.batch, "precision": est.precision, "overlap": est.overlap, "runtime": est.runtime.id,
        },
        "totals": _totals(est),
        "layers": rows(est),
        "coverage": _coverage(est.model.graph),
        "warnings": list(est.warnings),
    }  # fmt: skip


def _model(est: Prediction) -> dict[str, object]:
    model, graph = est.model, est.model.graph
    return {
        "name": model.name, "opset": graph.opset, "nodes": graph.node_count, "params": model.params, "macs": model.macs,
        "flops": model.flops, "weight_bytes": model.weight_bytes,
        "activation_elements_total": model.activation_elements_total,
        "activation_elements_peak": model.activation_elements_peak, "receptive_field": model.receptive_field,
        "inputs": _tensors(graph, graph.inputs), "outputs": _tensors(graph, graph.outputs, graph.output_names),
    }  # fmt: skip


def _tensors(graph: Graph, tensors: tuple[str, ...], names: tuple[str, ...] = ()) -> dict[str, object]:
    result: dict[str, object] = {}
    for tensor, name in zip(tensors, names or tensors, strict=True):
        spec = graph.tensors[tensor]
        result[name] = {"shape": None if spec.shape is None else list(spec.shape), "dtype": spec.dtype.name}
    return result


def _totals(est: Prediction) -> dict[str, object]:
    work, cost = est.work, est.cost
    crossed = {link: float((c.inward + c.outward).sum()) for link, c in cost.crossed.items()}
    traffic = {level: _whole(moved.sum() + crossed.pop(level, 0.0)) for level, moved in cost.bytes_by_level.items()}
    traffic.update({link: _whole(moved) for link, moved in crossed.items()})
    moved = float(work.total_bytes.sum())
    interval = est.latency_interval_s
    overhead = float(cost.overhead_s.sum()) + max(est.latency_s - float(est.kernel_s.sum()), 0.0)
    return {
        "latency_s": est.latency_s, "latency_interval_s": None if interval is None else list(interval),
        "bound_latency_s": est.bound_latency_s, "throughput_per_s": est.throughput_per_s,
        "energy_j": est.energy_j, "compute_s": float(cost.compute_s.sum()), "memory_s": float(cost.memory_s.sum()),
        "overhead_s": overhead, "transfer_s": float(cost.transfer_s.sum()), "waiting_s": est.waiting_s, "bound": est.bound,
        "arithmetic_intensity_op_per_byte": float(work.ops.sum()) / moved if moved else None,
        "traffic_bytes": traffic, "energy_breakdown_j": dict(est.energy_parts_j),
        "energy_by_class_j": est.energy_by_class_j, "energy_by_memory_j": est.energy_by_memory_j,
        "energy_defaults": list(est.energy_defaults),
        "ridge_op_per_byte": est.ridge_op_per_byte,
        "peak_activation_bytes": est.prepared.occupancy.peak_bytes, "weight_bytes": _whole(est.work.footprint.weight_bytes),
        "cache_bytes": _whole(est.work.footprint.cache_bytes), "fits": est.fits,
        "memory": {
            f.memory: {"needs_bytes": _whole(f.needs_bytes), "fits": f.fits, "holds": list(f.holds),
                       **({"code_bytes": _whole(f.code_bytes)} if f.code_bytes else {}),
                       "capacity_bytes": _whole(f.capacity_bytes) if np.isfinite(f.capacity_bytes) else None}
            for f in est.memory_fit
        },
    }  # fmt: skip


def _whole(value: float) -> int:
    return round(float(value))


def _coverage(graph: Graph) -> Mapping[str, object]:
    return {
        "ops_without_rule": dict(graph.coverage.ops_without_rule),
        "tensors_without_shape": graph.coverage.tensors_without_shape,
        "data_dependent_shapes": graph.coverage.data_dependent_shapes,
    }


def to_frame(est: Prediction) -> Any:
    """One row a kernel as a pandas DataFrame."""
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError("to_frame needs pandas: pip install 'nn-simulator[pandas]'") from error
    return pd.DataFrame(rows(est))
