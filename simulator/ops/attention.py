"""Attention of the ONNX standard: softmax(Q·Kᵀ)·V, its linear form, rotary embeddings and cache updates.

A masked score is a score: causal masks, windows and padding never reduce the count. A score takes five vector
operations (scale, maximum, subtract, sum, divide) and one exponential; a mask or bias is one more, a soft cap two
and a hyperbolic tangent. `gemm` is always the product Q·Kᵀ of one head.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.dtypes import DType
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.check import at_least, ranked
from simulator.ops.elementwise import same_shape
from simulator.ops.registry import MS, Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import NO_PARTIAL_READS, Gemm, Kind, Work

PREVIEW = "ai.onnx.preview"
SCORE_VECTOR_OPS = 5
ROTARY_VECTOR_OPS = 3  # an element times cosine, its partner times sine, one addition


@dataclass(frozen=True, slots=True)
class Sizes:
    """One attention: per head, `queries` rows of `head` numbers meet `keys` rows; a value row has `value_head`."""

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    head: int
    value_head: int

    @property
    def scores(self) -> int:
        """Elements of all Q·Kᵀ products."""
        return self.batch * self.heads * self.queries * self.keys


def heads_first(shape: Shape, heads: int) -> tuple[int, int, int, int]:
    """(batch, heads, length, head) of a tensor of that shape, or of one with the heads folded into its last axis."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    if len(shape) != 3 or heads < 1 or shape[2] % heads:
        raise ShapeError(f"attention with {heads} head(s) of {list(shape)}")
    return shape[0], heads, shape[1], shape[2] // heads


def attention_sizes(query: Shape, key: Shape, value: Shape, past: int = 0) -> Sizes:
    """Sizes of heads-first operands, where `past` cached rows precede the keys."""
    batch, heads, queries, head = query
    if key[0] != batch or key[3] != head or value[:3] != key[:3] or heads % max(key[1], 1):
        raise ShapeError(f"attention of queries {list(query)}, keys {list(key)} and values {list(value)}")
    return Sizes(batch, heads, key[1], queries, past + key[2], head, value[3])


def attention_work(
    sizes: Sizes,
    *,
    biases: int = 0,
    softcap: bool = False,
    macs: int = 0,
    vector_ops: int = 0,
    read_elements: Mapping[int, int] = NO_PARTIAL_READS,
) -> Work:
    """Q·Kᵀ and the product with V take scores · (head + value head) MACs; the rest is what the operator adds."""
    scores = sizes.scores
    return Work(
        macs=macs + scores * (sizes.head + sizes.value_head),
        vector_ops=vector_ops + (SCORE_VECTOR_OPS + biases + 2 * softcap) * scores,
        special_ops=(1 + softcap) * scores,
        gemm=Gemm(sizes.queries, sizes.keys, sizes.head, sizes.batch * sizes.heads),
        read_elements=read_elements,
    )


def attention_outputs(sizes: Sizes, dtype: DType, *, flat: bool) -> Out:
    """The result: (batch, heads, queries, value head), or with the heads folded into the last axis."""
    if flat:
        return Out((sizes.batch, sizes.queries, sizes.heads * sizes.value_head), dtype)
    return Out((sizes.batch, sizes.heads, sizes.queries, sizes.value_head), dtype)


def _sizes(op: OpView) -> Sizes:
    heads, kv_heads = op.attr("q_num_heads", 0), op.attr("kv_num_heads", 0)
    key, value = heads_first(op.shape(1), kv_heads), heads_first(op.shape(2), kv_heads)
    return attention_sizes(heads_first(op.shape(0), heads), key, value, ranked(op, 4, 4)[2] if op.has(4) else 0)


def _attention_shape(op: OpView) -> list[Out]:
    s = _sizes(op)
    return [
        attention_outputs(s, op.dtype(0), flat=len(op.shape(0)) == 3),
        Out((s.batch, s.kv_heads, s.keys, s.head), op.dtype(1)),
        Out((s.batch, s.kv_heads, s.keys, s.value_head), op.dtype(2)),
        Out((s.batch, s.heads, s.queries, s.keys), op.dtype(0)),
    ]


@rule("Attention", kind=Kind.ATTENTION, shape=_attention_shape,
      example=Example((t(2, 4, 24), t(2, 6, 12), t(2, 6, 12), None, t(2, 3, 2, 4), t(2, 3, 2, 4)),
                      ((2, 4, 24), (2, 3, 8, 4), (2, 3, 8, 4), (2, 6, 4, 8)),
                      Work(macs=2 * 6 * 4 * 8 * (4 + 4), vector_ops=5 * 384, special_ops=384, gemm=Gemm(4, 8, 4, 12)),
                      {"q_num_heads": 6, "kv_num_heads": 3}))  # fmt: skip
def attention(op: OpView) -> Work:
    """Scores · (head + value head) MACs; scores = batch · heads · queries · (past + keys) (ONNX Attention-25)."""
    return attention_work(_sizes(op), biases=op.has(3), softcap=op.attr("softcap", 0.0) != 0)


@rule("FlexAttention", domain=PREVIEW, kind=Kind.ATTENTION, shape=lambda op: _attention_shape(op)[:1],
      example=Example((t(1, 4, 2, 8), t(1, 2, 3, 8), t(1, 2, 3, 5)), ((1, 4, 2, 5),),
                      Work(macs=24 * 13, vector_ops=120, special_ops=24, gemm=Gemm(2, 3, 8, 4))))  # fmt: skip
def flex_attention(op: OpView) -> Work:
    """Attention whose score_mod and prob_mod subgraphs count one operation a score each (ai.onnx.preview)."""
    return attention_work(_sizes(op), biases=sum(name in op.op.attrs for name in ("score_mod", "prob_mod")))


def rotary_work(op: OpView, *, cache: int, heads: int) -> Work:
    """Three operations a rotated element; of the cosine and sine caches only the rows of the positions are read."""
    shape, half = ranked(op, 0, 3, 4), at_least(op, cache, 1)[-1]
    head = shape[-1] if len(shape) == 4 else shape[-1] // heads if heads else 2 * half
    rotated = op.elements(0) // max(head, 1) * 2 * half
    tokens = shape[0] * shape[-2]
    rows = min(op.elements(cache), tokens * half)
    return Work(vector_ops=ROTARY_VECTOR_OPS * rotated, read_elements={cache: rows, cache + 1: rows})


@rule("RotaryEmbedding", kind=Kind.POINTWISE, shape=same_shape, in_place=True,
      example=Example((t(1, 2, 3, 8), t(50, 2), t(50, 2), t(1, 3, dtype="int64")), ((1, 2, 3, 8),),
                      Work(vector_ops=3 * 6 * 4, read_elements={1: 6, 2: 6}), {"rotary_embedding_dim": 4}))  # fmt: skip
def rotary(op: OpView) -> Work:
    """Rotation cos·x ± sin·x′ of the first `rotary_embedding_dim` elements of each head (ONNX RotaryEmbedding-23)."""
    return rotary_work(op, cache=1, heads=op.attr("num_heads", 0))


def _linear_sizes(op: OpView) -> tuple[Sizes, int]:
    """Sizes, where a key stands for a token of the sequence, and the number of output heads."""
    heads, kv_heads = op.attr("q_num_heads", 0), op.attr("kv_num_heads", 0)
    batch, _, tokens, head = heads_first(op.shape(0), heads)
    value_head = heads_first(op.shape(2), kv_heads)[3]
    return Sizes(batch, heads, kv_heads, tokens, tokens, head, value_head), max(heads, kv_heads)


def _linear_shape(op: OpView) -> list[Out]:
    s, out_heads = _linear_sizes(op)
    window = op.attr("state_window", 0)
    state = (s.batch, s.kv_heads, s.head, s.value_head)
    return [
        Out((s.batch, s.queries, out_heads * s.value_head), op.dtype(0)),
        Out((window, *state) if window else state, op.dtype(3 if op.has(3) else 0)),
    ]


_LINEAR_EXAMPLE = Example(
    (t(1, 5, 8), t(1, 5, 8), t(1, 5, 6), None, t(1, 5, 2), t(1, 5, 2)), ((1, 5, 6), (1, 2, 4, 3)),
    Work(macs=3 * 5 * 2 * 12, vector_ops=5 * 2 * (12 + 2 * 3 + 3), special_ops=10, gemm=Gemm(5, 3, 4, 2)),
    {"q_num_heads": 2, "kv_num_heads": 2})  # fmt: skip


@rule("LinearAttention", kind=Kind.ATTENTION, shape=_linear_shape, example=_LINEAR_EXAMPLE)
@rule("LinearAttention", domain=MS, kind=Kind.ATTENTION, shape=_linear_shape, example=_LINEAR_EXAMPLE)
def linear_attention(op: OpView) -> Work:
    """A token updates a head × value head state and reads it once a query head (ONNX LinearAttention-27).

    Update k⊗v and read qᵀS are one MAC a state element each, the delta rule's retrieval Sᵀk one more; decay is one
    vector operation a state element and an exponential a gate. The sequential form is counted, not the chunked one.
    """
    s, out_heads = _linear_sizes(op)
    update = op.attr("update_rule", "gated_delta")
    tokens, state = s.batch * s.queries, s.head * s.value_head
    delta, gated = update.endswith("delta"), update.startswith("gated")
    macs = tokens * state * (out_heads + s.kv_heads * (1 + delta))
    vector = s.kv_heads * (gated * state + 2 * delta * s.value_head) + out_heads * s.value_head
    special = op.elements(4) if gated else 0
    return Work(macs=macs, vector_ops=tokens * vector, special_ops=special,
                gemm=Gemm(s.queries, s.value_head, s.head, s.batch * out_heads))  # fmt: skip


@rule("TensorScatter", kind=Kind.COPY, shape=same_shape, in_place=True, roles={2: Input.CONFIG},
      example=Example((t(2, 3, 16, 4), t(2, 3, 1, 4), t(2, dtype="int64")), ((2, 3, 16, 4),),
                      Work(read_elements={0: 0})))  # fmt: skip
def tensor_scatter(_op: OpView) -> Work:
    """Writes the update into the cache, which is not read: the update is in place (ONNX TensorScatter-24)."""
    return Work(read_elements={0: 0})


@rule("SwiGLU", kind=Kind.POINTWISE, shape=same_shape, in_place=True,
      example=Example((t(2, 3), t(2, 3)), ((2, 3),), Work(vector_ops=24, special_ops=6)))  # fmt: skip
def swiglu(op: OpView) -> Work:
    """Swish of the gate (three operations and an exponential) times the other input (ONNX SwiGLU-28)."""
    elements = op.out_elements()
    return Work(vector_ops=4 * elements, special_ops=elements)
