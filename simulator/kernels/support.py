"""Which operators an engine does not run, and why: its list of types, its limits, its element types."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec
from simulator.kernels.types import Kernel
from simulator.machine.spec import Supports
from simulator.ops.registry import find_rule
from simulator.ops.work import MAC_KINDS

Supported = tuple[tuple[str, Supports], ...]  # engine id → what it runs, of those that do not run all
Refusals = Mapping[str, tuple[str, ...]]  # engine id → why it does not run a kernel
NONE_REFUSED: Refusals = MappingProxyType({})
_ROUNDING = frozenset({"QuantizeLinear", "DequantizeLinear"})  # part of the operator before or after them on any engine
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "NhwcConv", "DeformConv"})
_POOLS = frozenset({"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"})


def is_rounding(op: Op) -> bool:
    """Whether an operator only changes between a quantized type and its values: it stays with its neighbour."""
    return op.op_type in _ROUNDING


def op_refusals(graph: Graph, supported: Supported) -> tuple[Mapping[str, str], ...]:
    """For each operator the engines that do not run it, and why."""
    if not supported:
        return ()
    found = []
    for op in graph.ops:
        reasons = {engine: refusal(graph, op, supports) for engine, supports in supported}
        found.append({engine: reason for engine, reason in reasons.items() if reason is not None})
    return tuple(found)


def refusal(graph: Graph, op: Op, supports: Supports) -> str | None:
    """Why an engine does not run an operator, whatever its element type; None where it does."""
    if is_rounding(op) or op.constant:
        return None
    if supports.operators and op.qualified_type not in supports.operators:
        return op.qualified_type
    for name, measure in _MEASURES.items():
        limit = getattr(supports, name)
        if limit is not None and (size := measure(graph, op)) > limit:
            return f"{op.qualified_type} ({name.removeprefix('max_')} {size})"
    if supports.constant_weights and _multiplies_activations(graph, op):
        return f"{op.qualified_type} (of activations)"
    return None


def kernel_refusals(
    kernels: Sequence[Kernel], rates: Sequence[str], by_op: Sequence[Mapping[str, str]], supported: Supported
) -> tuple[Refusals, ...]:
    """For each kernel the engines that do not run it, and why: for one of its operators, or for its element type."""
    if not supported:
        return ()
    found: list[Refusals] = []
    for kernel, rate in zip(kernels, rates, strict=True):
        reasons: dict[str, tuple[str, ...]] = {}
        for engine, supports in supported:
            why = [by_op[i][engine] for i in kernel.ops if engine in by_op[i]]
            if supports.dtypes and rate not in supports.dtypes:
                why.append(rate)
            if why:
                reasons[engine] = tuple(dict.fromkeys(why))
        found.append(reasons or NONE_REFUSED)
    return tuple(found)


def _multiplies_activations(graph: Graph, op: Op) -> bool:
    rule = find_rule(op.domain, op.op_type)
    if rule is None or rule.kind not in MAC_KINDS:
        return False
    return not any(spec is not None and spec.role is Role.WEIGHT and spec.rank > 1 for spec in graph.inputs_of(op))


def _data(graph: Graph, op: Op) -> list[TensorSpec]:
    """Tensors of an operator that are made during the run."""
    return [s for s in (*graph.inputs_of(op), *graph.outputs_of(op)) if s is not None and s.role is not Role.WEIGHT]


def _largest(values: object) -> int:
    return max((int(v) for v in values), default=1) if isinstance(values, Sequence) else 1


def _window(graph: Graph, op: Op) -> int:
    if "kernel_shape" in op.attrs or len(op.inputs) < 2:
        return _largest(op.attrs.get("kernel_shape"))
    return _largest((graph.tensors[op.inputs[1]].shape or ())[2:])


def _kernel(graph: Graph, op: Op) -> int:
    return _window(graph, op) if op.op_type in _CONVOLUTIONS else 1


def _pool(graph: Graph, op: Op) -> int:
    return _window(graph, op) if op.op_type in _POOLS else 1


def _stride(_: Graph, op: Op) -> int:
    return _largest(op.attrs.get("strides")) if op.op_type in _CONVOLUTIONS | _POOLS else 1


def _channels(graph: Graph, op: Op) -> int:
    shapes = [s.shape for s in _data(graph, op) if s.shape and s.rank > 2]
    return max((shape[1] for shape in shapes), default=1) if op.op_type in _CONVOLUTIONS | _POOLS else 1


def _batch(graph: Graph, op: Op) -> int:
    return max((s.shape[0] for s in _data(graph, op) if s.shape and s.rank > 3), default=1)


def _rank(graph: Graph, op: Op) -> int:
    return max((s.rank for s in _data(graph, op)), default=0)


_MEASURES: Final[Mapping[str, Callable[[Graph, Op], int]]] = {
    "max_kernel": _kernel, "max_pool": _pool, "max_stride": _stride, "max_channels": _channels, "max_batch": _batch,
    "max_rank": _rank,
}  # fmt: skip
