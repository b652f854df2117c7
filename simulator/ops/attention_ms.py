"""Attention as onnxruntime fuses it (ContribOperators.md): with projections, key-value caches and packed layouts.

A cache buffer shared between past and present keeps its length; only the rows in use are read and counted, where
`past_sequence_length` or `total_sequence_length` tells them before the run, else the whole buffer.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from simulator.dtypes import DType
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.attention import (
    ROTARY_VECTOR_OPS,
    SCORE_VECTOR_OPS,
    Sizes,
    attention_outputs,
    attention_sizes,
    attention_work,
    heads_first,
    rotary_work,
)
from simulator.ops.check import at_least, length, ranked
from simulator.ops.elementwise import same_shape
from simulator.ops.registry import MS, Example, Input, Out, rule, t, v
from simulator.ops.view import OpView
from simulator.ops.work import Gemm, Kind, Work

_ABSENT = 99  # the place of an input the operator does not have


def _lengths(past: int, new: int, *, shared: bool, used: np.ndarray | None) -> tuple[int, int]:
    """Rows attended to, and rows of the present cache, after `new` rows join a past buffer of `past` rows."""
    if not shared:
        return past + new, past + new
    return (min(int(used.max()) + new, past) if used is not None and used.size else past), past


def _cache_reads(op: OpView, rows: int, *positions: int, axis: int = 2) -> Mapping[int, int]:
    """Elements read of past buffers of which only `rows` rows along `axis` hold anything."""
    full = at_least(op, positions[0], axis + 1)[axis] if op.has(positions[0]) else 0
    return {i: op.elements(i) // full * rows for i in positions} if full > rows >= 0 else {}


def _projected(op: OpView, past: int, used: int = _ABSENT) -> tuple[Sizes, int]:
    """Sizes of an attention that projects its input, and rows of its present cache; `past` and `used` are places."""
    data, (rows, columns), heads = ranked(op, 0, 2, 3), ranked(op, 1, 2), op.attr("num_heads", 0)
    hidden = op.attr_ints("qkv_hidden_sizes") or (columns // 3,) * 3
    fits = rows == data[-1] and len(hidden) == 3 and sum(hidden) == columns
    if not fits or heads < 1 or any(h % heads for h in hidden):
        raise ShapeError(f"attention of {heads} head(s) of {list(data)} with weights {list(op.shape(1))}")
    batch, new = (1, data[0]) if len(data) == 2 else data[:2]
    cached = ranked(op, past, 5)[3] if op.has(past) else 0
    shared = bool(op.attr("past_present_share_buffer", 0)) and op.has(past)
    keys, present = _lengths(cached, new, shared=shared, used=op.value(used))
    return Sizes(batch, heads, heads, new, keys, hidden[0] // heads, hidden[2] // heads), present


def _projection(op: OpView, extra: int) -> tuple[int, int]:
    """MACs and vector operations of the fused projection: `extra` operations a projected element."""
    projected = op.elements(0) // max(op.shape(0)[-1], 1) * op.shape(1)[-1]
    return projected * op.shape(0)[-1], extra * projected


def _fused_shape(op: OpView, past: int, used: int, dtype: DType) -> list[Out]:
    s, present = _projected(op, past, used)
    return [Out((*op.shape(0)[:-1], s.heads * s.value_head), dtype), Out((2, s.batch, s.heads, present, s.head), dtype)]


_FUSED_WORK = Work(macs=8 * 8 * 24 + 64 * 8, vector_ops=8 * 24 + 5 * 64, special_ops=64, gemm=Gemm(4, 4, 4, 4))


@rule("Attention", "DecoderMaskedSelfAttention", domain=MS, kind=Kind.ATTENTION,
      shape=lambda op: _fused_shape(op, 4, 6, op.dtype(0)), roles={1: Input.WEIGHT, 2: Input.BIAS, 6: Input.CONFIG},
      example=Example((t(2, 4, 8), t(8, 24), t(24)), ((2, 4, 8), (2, 2, 2, 4, 4)), _FUSED_WORK,
                      {"num_heads": 2}))  # fmt: skip
def fused_attention(op: OpView) -> Work:
    """Projection to queries, keys and values (tokens · hidden · columns MACs), then attention."""
    sizes, present = _projected(op, 4, 6)
    macs, vector = _projection(op, int(op.has(2)))
    reads = _cache_reads(op, sizes.keys - sizes.queries, 4, axis=3) if present > sizes.keys else {}
    return attention_work(sizes, biases=op.has(3) + op.has(5), macs=macs, vector_ops=vector, read_elements=reads)


@rule("QAttention", domain=MS, kind=Kind.ATTENTION, shape=lambda op: _fused_shape(op, 8, _ABSENT, op.dtype(3)),
      roles={1: Input.WEIGHT, 2: Input.BIAS, 3: Input.SCALE, 4: Input.SCALE, 6: Input.SCALE, 7: Input.SCALE},
      example=Example((t(2, 4, 8, dtype="uint8"), t(8, 24, dtype="int8"), t(24), t(), t()),
                      ((2, 4, 8), (2, 2, 2, 4, 4)), replace(_FUSED_WORK, vector_ops=2 * 8 * 24 + 5 * 64),
                      {"num_heads": 2}))  # fmt: skip
def quantized_attention(op: OpView) -> Work:
    """An integer projection, dequantized and biased in floating point (one operation a number each), then attention."""
    macs, vector = _projection(op, 2)
    return attention_work(_projected(op, 8)[0], biases=op.has(5), macs=macs, vector_ops=vector)


def _packed_sizes(sizes: Sizes, tokens: int, longest: int) -> Sizes:
    """Sequences without padding: each token attends to the `longest` sequence, the most it can."""
    return replace(sizes, batch=1, queries=tokens, keys=longest)


@rule("PackedAttention", domain=MS, kind=Kind.ATTENTION, roles={1: Input.WEIGHT, 2: Input.BIAS},
      shape=lambda op: _fused_shape(op, _ABSENT, _ABSENT, op.dtype(0))[:1],
      example=Example((t(7, 8), t(8, 24), t(24), t(2, 4, dtype="int32"), t(3, dtype="int32")), ((7, 8),),
                      Work(macs=7 * 8 * 24 + 56 * 8, vector_ops=7 * 24 + 5 * 56, special_ops=56,
                           gemm=Gemm(7, 4, 4, 2)), {"num_heads": 2}))  # fmt: skip
def packed_attention(op: OpView) -> Work:
    """Fused attention over packed sequences; scores are at most tokens · longest sequence."""
    macs, vector = _projection(op, 1)
    sizes = _packed_sizes(_projected(op, _ABSENT)[0], op.shape(0)[0], ranked(op, 3, 2)[1])
    return attention_work(sizes, biases=op.has(5), macs=macs, vector_ops=vector)


def _operands(op: OpView) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Heads-first queries, keys and values of MultiHeadAttention's layouts; operands may be packed into one tensor."""
    heads, query = op.attr("num_heads", 0), ranked(op, 0, 3, 5)
    if len(query) == 5:  # (batch, length, heads, 3, head)
        packed = (query[0], query[2], query[1], query[4])
        return packed, packed, packed
    if not op.has(1):  # (batch, 1, 3 · hidden)
        packed = heads_first((*query[:2], query[2] // 3), heads)
        return packed, packed, packed
    q, key = heads_first(query, heads), op.shape(1)
    if len(key) == 5:  # (batch, length, heads, 2, head)
        pair = (key[0], key[2], key[1], key[4])
        return q, pair, pair
    return q, heads_first(key, heads), heads_first(op.shape(2), heads)


def _mha_sizes(op: OpView, past: int, used: int) -> tuple[Sizes, int]:
    """Sizes, and rows of the present cache; `past` and `used` are the places of past_key and past_sequence_length."""
    query, key, value = _operands(op)
    cached = ranked(op, past, 4)[2] if op.has(past) else 0
    keys, present = _lengths(cached, key[2], shared=op.has(past) and op.has(used), used=op.value(used))
    return replace(attention_sizes(query, key, value), keys=keys), present


def _mha_shape(op: OpView, past: int, used: int) -> list[Out]:
    s, present = _mha_sizes(op, past, used)
    return [
        attention_outputs(s, op.dtype(0), flat=True),
        Out((s.batch, s.heads, present, s.head), op.dtype(0)),
        Out((s.batch, s.heads, present, s.value_head), op.dtype(0)),
        Out((s.batch, s.heads, s.queries, s.keys), op.dtype(0)),
    ]


def _mha_work(op: OpView, past: int, used: int, *, bias: int, masks: tuple[int, int]) -> Work:
    (s, present), new = _mha_sizes(op, past, used), _operands(op)[1][2]
    projected = s.batch * s.heads * (s.queries * s.head + new * (s.head + s.value_head))
    reads = _cache_reads(op, s.keys - new, past, past + 1) if present > s.keys else {}
    masked = sum(op.has(i) for i in masks)
    return attention_work(s, biases=masked, vector_ops=projected * op.has(bias), read_elements=reads)


@rule("MultiHeadAttention", domain=MS, kind=Kind.ATTENTION, roles={3: Input.BIAS, 8: Input.CONFIG},
      shape=lambda op: _mha_shape(op, 6, 8),
      example=Example((t(1, 2, 8), t(1, 3, 8), t(1, 3, 6), t(22), None, None, t(1, 2, 4, 4), t(1, 2, 4, 3)),
                      ((1, 2, 6), (1, 2, 7, 4), (1, 2, 7, 3), (1, 2, 2, 7)),
                      Work(macs=28 * 7, vector_ops=5 * 28 + 16 + 42, special_ops=28, gemm=Gemm(2, 7, 4, 2)),
                      {"num_heads": 2}))  # fmt: skip
def multi_head_attention(op: OpView) -> Work:
    """Attention of projected operands; the projections' bias, where fused, is one addition an element."""
    return _mha_work(op, 6, 8, bias=3, masks=(4, 5))


@rule("DecoderMaskedMultiHeadAttention", domain=MS, kind=Kind.ATTENTION, shape=lambda op: _mha_shape(op, 5, 7),
      roles={7: Input.CONFIG, 8: Input.CONFIG, 10: Input.BIAS},
      example=Example((t(1, 1, 8), t(1, 1, 8), t(1, 1, 8), None, None, t(1, 2, 16, 4), t(1, 2, 16, 4),
                       v(5, dtype="int32")),
                      ((1, 1, 8), (1, 2, 16, 4), (1, 2, 16, 4), (1, 2, 1, 6)),
                      Work(macs=12 * 8, vector_ops=60, special_ops=12, gemm=Gemm(1, 6, 4, 2),
                           read_elements={5: 40, 6: 40}),
                      {"num_heads": 2, "past_present_share_buffer": 1}))  # fmt: skip
def decoder_attention(op: OpView) -> Work:
    """MultiHeadAttention of one query row, as decoders run it."""
    return _mha_work(op, 5, 7, bias=10, masks=(3, 4))


def _packed_mha_sizes(op: OpView) -> Sizes:
    query, longest, heads = ranked(op, 0, 2, 4), ranked(op, 4, 2)[1], op.attr("num_heads", 0)
    if len(query) == 4:  # (tokens, heads, 3, head)
        return _packed_sizes(Sizes(1, heads, heads, 0, 0, query[3], query[3]), query[0], longest)
    q, k, value = (heads_first((1, *op.shape(i)), heads) for i in range(3))
    sizes = attention_sizes(q, k, value)
    return _packed_sizes(sizes, query[0], longest)


def _packed_mha_shape(op: OpView) -> list[Out]:
    s = _packed_mha_sizes(op)
    return [Out((s.queries, s.heads * s.value_head), op.dtype(0))]


@rule("PackedMultiHeadAttention", domain=MS, kind=Kind.ATTENTION, shape=_packed_mha_shape, roles={3: Input.BIAS},
      example=Example((t(7, 2, 3, 4), None, None, None, t(2, 4, dtype="int32"), t(3, dtype="int32")), ((7, 8),),
                      Work(macs=56 * 8, vector_ops=280, special_ops=56, gemm=Gemm(7, 4, 4, 2)),
                      {"num_heads": 2}))  # fmt: skip
def packed_multi_head_attention(op: OpView) -> Work:
    """Attention over packed sequences; scores are at most tokens · longest sequence."""
    s = _packed_mha_sizes(op)
    bias = op.has(3) * s.queries * s.heads * (2 * s.head + s.value_head)
    return attention_work(s, biases=op.has(6), vector_ops=bias)


def _grouped_sizes(op: OpView, total: int) -> tuple[Sizes, int]:
    """Sizes with all cached keys, and the rows that are new; `total` is the place of total_sequence_length."""
    heads, kv_heads, query = op.attr("num_heads", 0), op.attr("kv_num_heads", 0), ranked(op, 0, 3)
    if op.has(1):
        q, k = heads_first(query, heads), heads_first(op.shape(1), kv_heads)
    else:  # packed: (batch, length, (heads + 2 · kv heads) · head)
        both = heads_first(query, heads + 2 * kv_heads)
        q, k = (both[0], heads, both[2], both[3]), (both[0], kv_heads, both[2], both[3])
    rows = _past_rows(op) + k[2] if op.value(total) is None else length(op, total)
    return replace(attention_sizes(q, k, k), keys=rows), k[2]


def _past_rows(op: OpView) -> int:
    return ranked(op, 3, 4)[2] if op.has(3) else 0


def _grouped_shape(op: OpView, total: int) -> list[Out]:
    """The present cache keeps the past buffer's length where the whole sequence fits into it: then they are one."""
    s, _ = _grouped_sizes(op, total)
    rows, width = max(_past_rows(op), s.keys), op.shape(3)[3] if op.has(3) else s.head
    if op.attr("sliding_window_cache", 0):
        rows = _past_rows(op)
    cache = Out((s.batch, s.kv_heads, rows, width), op.dtype(3 if op.has(3) else 0))
    scores = Out((s.batch, s.heads, s.queries, s.keys), op.dtype(0))
    return [attention_outputs(s, op.dtype(0), flat=True), cache, cache, scores]


def _grouped_extras(op: OpView, s: Sizes, new: int, cos: int) -> int:
    """Vector operations of the rotary embedding and of the normalization of queries and keys (inputs 14, 15)."""
    rows = s.batch * (s.heads * s.queries + s.kv_heads * new)
    rotary = ROTARY_VECTOR_OPS * rows * 2 * at_least(op, cos, 1)[-1] if op.attr("do_rotary", 0) and op.has(cos) else 0
    return rotary + 4 * rows * s.head * op.has(14)


@rule("GroupQueryAttention", domain=MS, kind=Kind.ATTENTION, shape=lambda op: _grouped_shape(op, 6),
      roles={5: Input.CONFIG, 6: Input.CONFIG, 11: Input.WEIGHT, 12: Input.SCALE, 13: Input.SCALE, 14: Input.WEIGHT,
             15: Input.WEIGHT},
      example=Example((t(1, 1, 32), None, None, t(1, 2, 64, 4), t(1, 2, 64, 4), t(1, dtype="int32"),
                       v(10, dtype="int32", shape=())),
                      ((1, 1, 16), (1, 2, 64, 4), (1, 2, 64, 4), (1, 4, 1, 10)),
                      Work(macs=40 * 8, vector_ops=200, special_ops=40, gemm=Gemm(1, 10, 4, 4),
                           read_elements={3: 72, 4: 72}),
                      {"num_heads": 4, "kv_num_heads": 2}))  # fmt: skip
def group_query_attention(op: OpView) -> Work:
    """Attention with fewer key than query heads over a cache; total_sequence_length, where known, is the keys' count.

    A local window does not reduce the count. A float, 8-bit or 4-bit cache is read as it is stored.
    """
    s, new = _grouped_sizes(op, 6)
    reads = _cache_reads(op, s.keys - new, 3, 4)
    return attention_work(s, biases=op.has(10), softcap=op.attr("softcap", 0.0) != 0,
                          vector_ops=_grouped_extras(op, s, new, 7), read_elements=reads)  # fmt: skip


@rule("SparseAttention", domain=MS, kind=Kind.ATTENTION, shape=lambda op: _grouped_shape(op, 7)[:3],
      roles={5: Input.CONFIG, 6: Input.CONFIG, 7: Input.CONFIG, 8: Input.CONFIG},
      example=Example((t(1, 64, 16), t(1, 64, 16), t(1, 64, 16), t(1, 2, 64, 8), t(1, 2, 64, 8), t(1, 5, dtype="int32"),
                       t(1, 9, dtype="int32"), v(64, dtype="int32", shape=()), t(1, dtype="int32")),
                      ((1, 64, 16), (1, 2, 64, 8), (1, 2, 64, 8)),
                      Work(macs=2 * 2304 * 16, vector_ops=10 * 2304, special_ops=2 * 2304, gemm=Gemm(64, 64, 8, 2),
                           read_elements={3: 0, 4: 0}),
                      {"num_heads": 2, "kv_num_heads": 2, "sparse_block_size": 16}))  # fmt: skip
def sparse_attention(op: OpView) -> Work:
    """Group-query attention over listed blocks: at most blocks · block size² scores a head, nor more than all."""
    s, new = _grouped_sizes(op, 7)
    dense = s.queries * s.keys
    listed = at_least(op, 6, 1)[-1] * op.attr("sparse_block_size", 1) ** 2
    scores = s.batch * s.heads * min(dense, listed)
    vector = SCORE_VECTOR_OPS * scores + _grouped_extras(op, s, new, 9)
    return Work(macs=scores * 2 * s.head, vector_ops=vector, special_ops=scores, gemm=attention_work(s).gemm,
                read_elements=_cache_reads(op, s.keys - new, 3, 4))  # fmt: skip


@rule("RotaryEmbedding", "MRotaryEmbedding", domain=MS, kind=Kind.POINTWISE, shape=same_shape, in_place=True,
      example=Example((t(1, 3, 16), t(1, 3, dtype="int64"), t(50, 4), t(50, 4)), ((1, 3, 16),),
                      Work(vector_ops=3 * 48, read_elements={2: 12, 3: 12})))  # fmt: skip
def ms_rotary(op: OpView) -> Work:
    """RotaryEmbedding as onnxruntime has it: positions come before the caches."""
    return rotary_work(op, cache=2, heads=op.attr("num_heads", 0) if op.attr("rotary_embedding_dim", 0) else 0)


def _relative_bias_shape(op: OpView) -> list[Out]:
    return [Out((1, ranked(op, 0, 2)[1], length(op, 1), length(op, 2)), op.dtype(0))]


@rule("RelativePositionBias", domain=MS, kind=Kind.COPY, shape=_relative_bias_shape,
      roles={0: Input.WEIGHT, 1: Input.CONFIG, 2: Input.CONFIG},
      example=Example((t(32, 8), v(5), v(5)), ((1, 8, 5, 5),), Work(vector_ops=100, special_ops=25),
                      {"max_distance": 128}))  # fmt: skip
def relative_position_bias(op: OpView) -> Work:
    """The bucket of each distance takes a logarithm and four operations; its bias is copied for every head (T5)."""
    pairs = math.prod(op.out_shape()[2:])
    return Work(vector_ops=4 * pairs, special_ops=pairs)


def _gated_sizes(op: OpView) -> tuple[int, int, int]:
    """Batch, heads, length."""
    heads, offsets = op.attr("num_heads", 0), ranked(op, 6, 2) if op.has(6) else ranked(op, 0, 3)
    if heads < 1 or at_least(op, 0, 1)[-1] != heads * ranked(op, 3, 2)[0]:
        raise ShapeError(f"{heads} head(s) of {list(op.shape(0))} with gate weights {list(op.shape(3))}")
    return offsets[0], heads, offsets[1]


def _gated_bias_shape(op: OpView) -> list[Out]:
    batch, heads, length = _gated_sizes(op)
    return [Out((batch, heads, length, length), op.dtype(0))]


@rule("GatedRelativePositionBias", domain=MS, kind=Kind.GEMM, shape=_gated_bias_shape,
      roles={1: Input.WEIGHT, 3: Input.WEIGHT, 4: Input.WEIGHT, 5: Input.WEIGHT},
      example=Example((t(1, 3, 8), t(8), t(1, 2, 3, 3), t(4, 6), t(6), t(1, 2, 1, 1)), ((1, 2, 3, 3),),
                      Work(macs=6 * 24, vector_ops=24 + 6 * (12 + 4) + 18, special_ops=12, gemm=Gemm(6, 6, 4)),
                      {"num_heads": 2}))  # fmt: skip
def gated_relative_position_bias(op: OpView) -> Work:
    """Two gates a head and token, from a head × D product, scale the shared relative-position bias (WavLM)."""
    batch, heads, length = _gated_sizes(op)
    rows, (head, columns) = batch * heads * length, op.shape(3)
    vector = op.elements(0) + rows * (2 * columns + 4) + op.out_elements()
    return Work(macs=rows * head * columns, vector_ops=vector, special_ops=2 * rows, gemm=Gemm(rows, columns, head))


def _causal_conv_shape(op: OpView) -> list[Out]:
    data, window = at_least(op, 0, 3), op.attr("state_window", 0)
    rows = (max(at_least(op, 1, 3)[-1], 1) - 1) * op.attr("dilation", 1)
    state: Shape = (data[0], rows, *data[2:]) if op.attr("channels_last", 0) else (*data[:-1], rows)
    return [Out(data, op.dtype(0)), Out((window, *state) if window else state, op.dtype(0))]


@rule("CausalConvWithState", domain=MS, kind=Kind.DEPTHWISE_CONV, shape=_causal_conv_shape,
      roles={1: Input.WEIGHT, 2: Input.BIAS},
      example=Example((t(1, 4, 8), t(4, 1, 3), t(4)), ((1, 4, 8), (1, 4, 4)),
                      Work(macs=96, vector_ops=32 + 96, special_ops=32, gemm=Gemm(8, 1, 3, 4)),
                      {"dilation": 2, "activation": "silu"}))  # fmt: skip
def causal_conv_with_state(op: OpView) -> Work:
    """A causal depthwise convolution, optionally with bias (one operation) and SiLU (three and an exponential)."""
    channels, volume, elements = op.shape(1)[0], math.prod(op.shape(1)[2:]), op.out_elements()
    silu = op.attr("activation", "none") in ("silu", "swish")
    return Work(macs=elements * volume, vector_ops=(op.has(2) + 3 * silu) * elements, special_ops=silu * elements,
                gemm=Gemm(elements // max(channels, 1), 1, volume, channels))  # fmt: skip
