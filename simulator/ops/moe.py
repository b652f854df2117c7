"""Mixtures of experts, as onnxruntime fuses them."""

import math

from simulator.errors import ShapeError
from simulator.ops.check import at_least, ranked
from simulator.ops.elementwise import same_shape
from simulator.ops.registry import MS, Example, Input, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Gemm, Kind, Work

# activation: vector ops, special ops
_ACTIVATIONS = {"relu": (1, 0), "gelu": (4, 1), "silu": (3, 1), "swiglu": (4, 1), "identity": (0, 0)}
_PACKED_FLOATS = {"fp4": 4, "nvfp4": 4, "wfp4afp8": 4, "fp8": 8}


def _experts_work(op: OpView, weights: tuple[int, ...], pack: int, per_expert: tuple[int, ...]) -> Work:
    """Work of k experts a token; `pack` weights share a stored element, `per_expert` inputs lead with the experts."""
    hidden, top = ranked(op, 0, 2, 3)[-1], op.attr("k", 1)
    tokens, experts = math.prod(op.shape(0)[:-1]), ranked(op, 1, 2)[-1]
    stacks = [at_least(op, i, 2) for i in weights if op.has(i)]
    if experts < 1 or hidden < 1 or any(stack[0] != experts for stack in stacks):
        raise ShapeError(f"a router over {experts} experts of {hidden} numbers with weights {[list(s) for s in stacks]}")
    active, touched = top * tokens, min(experts, top * tokens)
    one_expert = pack * sum(op.elements(i) for i in weights) // experts
    inner = pack * op.elements(weights[1]) // (experts * hidden)
    vector, special = _ACTIVATIONS.get(op.attr("activation_type", "relu"), (1, 0))
    routing = 4 * tokens * experts + top * tokens * experts  # softmax, then k passes of a maximum
    reads = {i: op.elements(i) // experts * touched for i in per_expert if op.has(i)} if touched < experts else {}
    return Work(
        macs=active * one_expert,
        vector_ops=routing + active * (vector * inner + 2 * hidden),
        special_ops=tokens * experts + special * active * inner,
        gemm=Gemm(math.ceil(active / max(touched, 1)), one_expert // hidden, hidden, touched),
        read_elements=reads,
    )


_MOE_ROLES = dict.fromkeys((2, 4, 6), Input.WEIGHT) | dict.fromkeys((3, 5, 7), Input.BIAS)


@rule("MoE", domain=MS, kind=Kind.GEMM, shape=same_shape, roles=_MOE_ROLES,
      example=Example((t(2, 8), t(2, 16), t(16, 12, 8), None, t(16, 8, 12)), ((2, 8),),
                      Work(macs=2 * 2 * 192, vector_ops=4 * 32 + 2 * 32 + 4 * (12 + 16), special_ops=32,
                           gemm=Gemm(1, 24, 8, 4), read_elements={2: 384, 4: 384}), {"k": 2}))  # fmt: skip
def moe(op: OpView) -> Work:
    """Each token runs its k experts; min(experts, k · tokens) experts' weights are read, the most that can be hit.

    The products of an expert are given as one GEMM with their summed columns, and k · tokens rows spread evenly.
    """
    return _experts_work(op, (2, 4, 6), 1, (2, 3, 4, 5, 6, 7))


_QMOE_ROLES = (
    dict.fromkeys((2, 5, 8), Input.WEIGHT)
    | dict.fromkeys((4, 7, 10), Input.BIAS)
    | dict.fromkeys((3, 6, 9, 11, 12, 13, 15, 16), Input.SCALE)
)


@rule("QMoE", domain=MS, kind=Kind.GEMM, shape=same_shape, roles=_QMOE_ROLES,
      example=Example((t(2, 8), t(2, 2), t(2, 12, 4, dtype="uint8"), t(2, 12), None, t(2, 8, 6, dtype="uint8"),
                       t(2, 8)), ((2, 8),),
                      Work(macs=2 * 192, vector_ops=4 * 4 + 4 + 2 * (12 + 16) + 2 * 192, special_ops=4,
                           gemm=Gemm(1, 24, 8, 2))))  # fmt: skip
def qmoe(op: OpView) -> Work:
    """As MoE with packed weights; every weight that is read is dequantized once (one operation a weight)."""
    bits = _PACKED_FLOATS.get(op.attr("quant_type", "int"), op.attr("expert_weight_bits", 4))
    stored = op.tensor(2).dtype.bits or 8
    pack = max(stored // bits, 1)
    plain = _experts_work(op, (2, 5, 8), pack, tuple(range(2, 14)))
    assert plain.gemm is not None
    weights = plain.gemm.n * plain.gemm.k * plain.gemm.groups
    return Work(macs=plain.macs, vector_ops=plain.vector_ops + weights, special_ops=plain.special_ops, gemm=plain.gemm,
                read_elements=plain.read_elements)  # fmt: skip
