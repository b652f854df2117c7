"""What an estimate says of each kernel: one row a metric. Tables, JSON, CSV and `--sort` all read this list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from simulator.result.prediction import Prediction

Quantity = Literal["text", "list", "flag", "count", "bytes", "seconds", "joules", "ratio"]


@dataclass(frozen=True, slots=True)
class Metric:
    """`key` names it in JSON and CSV, with its unit; `header` in tables; `column` gives one value a kernel."""

    key: str
    header: str
    quantity: Quantity
    column: Callable[[Prediction], Sequence[object]]

    @property
    def sortable(self) -> bool:
        """Whether `--sort` takes it."""
        return self.quantity not in ("text", "list", "flag")


def _names(est: Prediction) -> list[object]:
    return [k.name for k in est.prepared.kernels]


def _op_types(est: Prediction) -> list[object]:
    return [est.prepared.graph.ops[k.main].op_type for k in est.prepared.kernels]


def _origins(est: Prediction) -> list[object]:
    graph = est.prepared.graph
    named = ((name for index in sorted((*k.ops, *k.views)) for name in graph.ops[index].origin) for k in est.prepared.kernels)
    return [list(dict.fromkeys(names)) for names in named]


def _recomputed(est: Prediction) -> list[object]:
    """Names of the operators at home in other kernels that each computes again."""
    return [[est.prepared.graph.ops[i].name for i in kernel.recomputed] for kernel in est.prepared.kernels]


def _added(est: Prediction) -> list[object]:
    """Whether all that a kernel does is run by the framework beside the operators of the file."""
    return [all(est.prepared.graph.ops[i].added for i in k.ops) for k in est.prepared.kernels]


def _integers(column: Callable[[Prediction], np.ndarray]) -> Callable[[Prediction], list[object]]:
    return lambda est: [round(float(x)) for x in column(est)]


def _floats(column: Callable[[Prediction], np.ndarray]) -> Callable[[Prediction], list[object]]:
    return lambda est: [float(x) for x in column(est)]


def _intensities(est: Prediction) -> list[object]:
    work = est.work
    return [float(ops) / float(b) if b else None for ops, b in zip(work.ops, work.total_bytes, strict=True)]


def _energies(est: Prediction) -> list[object]:
    return [None] * len(est.work) if est.kernel_j is None else [float(x) for x in est.kernel_j]


METRICS: Final[tuple[Metric, ...]] = (
    Metric("name", "kernel", "text", _names),
    Metric("op_type", "operator", "text", _op_types),
    Metric("kind", "class", "text", lambda est: [str(k.kind) for k in est.prepared.kernels]),
    Metric("origin", "ONNX nodes", "list", _origins),
    Metric("added", "added", "flag", _added),
    Metric("recomputed", "computed again", "list", _recomputed),
    Metric("engine", "engine", "text", lambda est: est.engines),
    Metric("rate", "type", "text", lambda est: est.work.rates),
    Metric("macs", "MACs", "count", _integers(lambda est: est.work.macs)),
    Metric("ops", "OPs", "count", _integers(lambda est: est.work.ops)),
    Metric("weight_bytes", "weights", "bytes", _integers(lambda est: est.work.weight_bytes)),
    Metric("input_bytes", "in", "bytes", _integers(lambda est: est.work.input_bytes)),
    Metric("output_bytes", "out", "bytes", _integers(lambda est: est.work.output_bytes)),
    Metric("moved_bytes", "moved", "bytes", _integers(lambda est: est.work.total_bytes)),
    Metric("compute_s", "compute", "seconds", _floats(lambda est: est.cost.compute_s)),
    Metric("memory_s", "memory", "seconds", _floats(lambda est: est.cost.memory_s)),
    Metric("overhead_s", "overhead", "seconds", _floats(lambda est: est.cost.overhead_s)),
    Metric("transfer_s", "transfer", "seconds", _floats(lambda est: est.cost.transfer_s)),
    Metric("latency_s", "time", "seconds", _floats(lambda est: est.kernel_s)),
    Metric("bound", "bound by", "text", lambda est: est.bounds),
    Metric("arithmetic_intensity_op_per_byte", "OP/byte", "ratio", _intensities),
    Metric("energy_j", "energy", "joules", _energies),
)
BY_KEY: Final = {m.key: m for m in METRICS}
SORT_KEYS: Final = {"order": "", **{m.key.removesuffix("_s").removesuffix("_j"): m.key for m in METRICS if m.sortable}}


def rows(est: Prediction) -> list[dict[str, object]]:
    """One row a kernel in the order they run, keyed as in JSON."""
    columns = {m.key: m.column(est) for m in METRICS}
    return [{key: column[i] for key, column in columns.items()} for i in range(len(est.work))]


def numbers(est: Prediction, sort: str) -> list[float]:
    """The column that `--sort` names, 0 where it is not known."""
    return [float(x) if isinstance(x, int | float) else 0.0 for x in BY_KEY[SORT_KEYS[sort]].column(est)]


def order(est: Prediction, sort: str) -> list[int]:
    """Positions of the kernels, largest first by the metric that `--sort` names; as they run for `order`."""
    indices = list(range(len(est.work)))
    if sort == "order":
        return indices
    column = numbers(est, sort)
    return sorted(indices, key=lambda i: -column[i])
