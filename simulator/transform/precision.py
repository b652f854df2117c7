"""Another precision: Graph → Graph with other element types. Shapes and MACs stay as they are.

Only floating-point tensors change; what the file quantizes already keeps its types.
"""

from dataclasses import dataclass, replace
from typing import Final

from simulator import dtypes
from simulator.dtypes import DType
from simulator.errors import PrecisionError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.types import Role, TensorSpec
from simulator.ops.registry import Input, find_rule
from simulator.ops.work import MAC_KINDS, Kind


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

# mixed precisions, and the type in which a framework's autocast runs what it casts
AUTOCAST: Final[dict[str, DType]] = {"amp_fp16": dtypes.FLOAT16, "amp_bf16": dtypes.BFLOAT16}


def precision_of(name: str) -> Precision:
    """The precision of that name; PrecisionError with suggestions otherwise."""
    if name not in PRECISIONS:
        raise PrecisionError(f"no precision '{name}'{did_you_mean(name, PRECISIONS)} (known: {', '.join(PRECISIONS)})")
    return PRECISIONS[name]


def with_precision(graph: Graph, name: str) -> Graph:
    """The graph with all floating-point tensors in the named precision; `replace`s types only.

    Weights of matrix products and embedding tables take the weight's type, biases theirs; quantization scales, gains
    and shifts of norms stay with the activations (with the biases where those are integers).
    """
    target = precision_of(name)
    parts = _parts(graph)
    rest = target.activation if target.activation.is_float else target.bias

    def converted(spec: TensorSpec) -> TensorSpec:
        if not spec.dtype.is_float:
            return spec
        if spec.role is not Role.WEIGHT:
            return replace(spec, dtype=target.activation)
        part = parts.get(spec.name)
        if part is Input.SCALE:
            return spec
        return replace(spec, dtype={Input.WEIGHT: target.weight, Input.BIAS: target.bias}.get(part or Input.DATA, rest))

    return replace(graph, tensors={n: converted(t) for n, t in graph.tensors.items()})


def _parts(graph: Graph) -> dict[str, Input]:
    """What each constant is to the operators that read it, and so to the tensors of the file that it comes from."""
    found: dict[str, Input] = {}
    for op in graph.ops:
        rule = find_rule(op.domain, op.op_type)
        for index, tensor in enumerate(op.inputs):
            if not tensor or rule is None or graph.tensors[tensor].role is not Role.WEIGHT:
                continue
            part = rule.role(index)
            product = rule.kind in (Kind.GEMM, Kind.BATCHED_GEMM) and part is Input.DATA
            if (rule.kind in MAC_KINDS and part is Input.WEIGHT) or product or (op.op_type == "Gather" and index == 0):
                part = Input.WEIGHT if graph.tensors[tensor].rank >= 2 else Input.BIAS
            elif part is Input.WEIGHT:
                part = Input.DATA  # gains and shifts of norms
            for name in (tensor, *graph.stored.get(tensor, ())):
                if found.get(name) is not Input.WEIGHT:
                    found[name] = part
    return found
