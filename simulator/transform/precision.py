"""Another precision: Graph → Graph with other element types. Shapes and MACs stay as they are.

Only floating-point tensors change; what the file quantizes already keeps its types.
"""

from dataclasses import dataclass, replace
from typing import Final

from simulator import dtypes
from simulator.dtypes import DType
from simulator.errors import PrecisionError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec
from simulator.ops.registry import Input, find_rule
from simulator.ops.work import MAC_KINDS


@dataclass(frozen=True, slots=True)
class Precision:
    """Element types of activations, of weights, and of vectors added to integer sums (biases)."""

    activation: DType
    weight: DType
    bias: DType
    math: str | None = None  # rate of matrix products where it is not that of the activations


def _plain(dtype: DType) -> Precision:
    return Precision(dtype, dtype, dtype)


PRECISIONS: Final[dict[str, Precision]] = {
    "fp32": _plain(dtypes.FLOAT32),
    "tf32": Precision(dtypes.FLOAT32, dtypes.FLOAT32, dtypes.FLOAT32, math="tf32"),
    "bf16": _plain(dtypes.BFLOAT16),
    "fp16": _plain(dtypes.FLOAT16),
    "fp8": Precision(dtypes.FLOAT8, dtypes.FLOAT8, dtypes.FLOAT16),
    "int8": Precision(dtypes.INT8, dtypes.INT8, dtypes.INT32),
    "int4": Precision(dtypes.INT4, dtypes.INT4, dtypes.INT32),
    # weights stored narrow and widened on the fly: less traffic, the same arithmetic
    "w8a16": Precision(dtypes.FLOAT16, dtypes.INT8, dtypes.FLOAT16),
    "w4a16": Precision(dtypes.FLOAT16, dtypes.INT4, dtypes.FLOAT16),
    # automatic mixed precision: weights stay fp32 in memory, activations and arithmetic are 16 bit
    "amp_fp16": Precision(dtypes.FLOAT16, dtypes.FLOAT32, dtypes.FLOAT32),
    "amp_bf16": Precision(dtypes.BFLOAT16, dtypes.FLOAT32, dtypes.FLOAT32),
}


def precision_of(name: str) -> Precision:
    """The precision of that name; PrecisionError with suggestions otherwise."""
    if name not in PRECISIONS:
        raise PrecisionError(f"no precision '{name}'{did_you_mean(name, PRECISIONS)} (known: {', '.join(PRECISIONS)})")
    return PRECISIONS[name]


def with_precision(graph: Graph, name: str) -> Graph:
    """The graph with all floating-point tensors in the named precision; `replace`s types only."""
    target = precision_of(name)
    biases = {n for op in graph.ops for n in _biases(op)}
    matrices = {n for op in graph.ops for n in _matrices(op, graph)}

    def converted(spec: TensorSpec) -> TensorSpec:
        if not spec.dtype.is_float:
            return spec
        if spec.role is not Role.WEIGHT:
            return replace(spec, dtype=target.activation)
        if spec.name in biases:
            return replace(spec, dtype=target.bias)
        # weight-only schemes narrow matrices; scales and shifts of norms stay with the activations
        return replace(spec, dtype=target.weight if spec.name in matrices else target.bias)

    return replace(graph, tensors={n: converted(t) for n, t in graph.tensors.items()})


def _biases(op: Op) -> list[str]:
    rule = find_rule(op.domain, op.op_type)
    if rule is None or rule.kind not in MAC_KINDS:
        return []
    return [n for i, n in enumerate(op.inputs) if i >= 2 and n and rule.role(i) is Input.WEIGHT]


def _matrices(op: Op, graph: Graph) -> list[str]:
    """Weights of rank 2 or more that the operator reads as data or weights, and the tensors they came from."""
    names = [n for n in op.inputs if n and graph.tensors[n].role is Role.WEIGHT and graph.tensors[n].rank >= 2]
    return names + [s for n in names for s in graph.stored.get(n, ())]
