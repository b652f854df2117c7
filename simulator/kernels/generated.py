"""What a code generator writes as element-wise operators, though libraries have kernels of their own for it.

Source: PyTorch, torch/_inductor/config.py, max_pointwise_cat_inputs = 8 and unroll_reductions_threshold = 8;
torch/_inductor/lowering.py, constant_pad_nd; torch/_decomp, native_batch_norm (five tensors, element by element).
"""

from collections.abc import Sequence
from typing import Final

from simulator.graph.graph import Graph
from simulator.graph.types import Op
from simulator.kernels.rules import pads_with_a_constant
from simulator.ops.work import Kind

_FEW_PARTS: Final = 8  # most parts of a concatenation that is inlined
_UNROLLED: Final = 8  # elements from which on a reduction is a loop


def generated_kinds(graph: Graph, kinds: Sequence[Kind], fusion: Sequence[str]) -> list[Kind]:
    """The kernel class of every operator under the fusion rules of a runtime; `kinds` are those that libraries have."""
    return [
        Kind.POINTWISE if _is_elementwise(graph, op, kind, fusion) else kind
        for op, kind in zip(graph.ops, kinds, strict=True)
    ]  # fmt: skip


def _is_elementwise(graph: Graph, op: Op, kind: Kind, fusion: Sequence[str]) -> bool:
    if "concat" in fusion and (op.op_type == "BatchNormalization" or (kind is Kind.COPY and _is_small_concat(op))):
        return True
    if op.op_type == "BatchNormalization" and "convolution_norm" in fusion:
        return True
    if kind is Kind.COPY:
        return "generated_pad" in fusion and pads_with_a_constant(op)
    return kind is Kind.REDUCTION and "unrolled_reductions" in fusion and _reduces_few(graph, op)


def _is_small_concat(op: Op) -> bool:
    return op.op_type == "Concat" and len(op.inputs) <= _FEW_PARTS


def _reduces_few(graph: Graph, op: Op) -> bool:
    """Whether each result is made of so few elements that every one of them is written out."""
    read, made = (graph.tensors[name].elements for name in (op.inputs[0], op.outputs[0]))
    return read < _UNROLLED * made
