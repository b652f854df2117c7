"""Transformer encoders: BERT (Devlin et al. 2019) and vision transformers (Dosovitskiy et al. 2021)."""

import math

from simulator.errors import UsageError
from simulator.zoo import layers
from simulator.zoo.blocks import block
from simulator.zoo.builder import GraphBuilder, Tensor
from simulator.zoo.layers import add, layer_norm, linear, reshape, transpose

_MASKED = -3.4028234663852886e38  # the lowest float32: what a masked score is lowered by


@block("patch_embedding")
def patch_embedding(net: GraphBuilder, x: Tensor, name: str, *, patch: int, hidden: int) -> Tensor:
    """Patches as tokens behind a class token, plus learned positions: (batch, 1 + patches, hidden)."""
    if x.shape[2] % patch or x.shape[3] % patch:
        raise UsageError(f"{net.name}: an image of {x.shape[2]}x{x.shape[3]} does not divide into {patch}x{patch} patches")
    x = layers.conv(net, x, f"{name}.conv_proj", hidden, kernel=patch, stride=patch, padding=0, bias=True)
    x = reshape(net, x, f"{name}.tokens", [0, hidden, -1])
    x = transpose(net, x, f"{name}.tokens_first", [0, 2, 1])
    batch = net.node("Shape", [x], f"{name}.batch", (1,), start=0, end=1)
    shape = net.node("Concat", [batch, net.constant([1, hidden])], f"{name}.class_shape", (3,), axis=0)
    token = net.weight(f"{name}.class_token", (1, 1, hidden))
    token = net.node("Expand", [token, shape], f"{name}.class_expand", (x.shape[0], 1, hidden))
    x = layers.concat(net, [token, x], f"{name}.concat", axis=1)
    return add(net, x, net.weight(f"{name}.position", (1, *x.shape[1:])), f"{name}.add")


@block("vit_encoder")
def vit_encoder(net: GraphBuilder, x: Tensor, name: str, *, depth: int, heads: int, mlp: int) -> Tensor:
    """Pre-norm layers with one projection for queries, keys and values, and a last layer norm."""
    for i in range(depth):
        unit = f"{name}.layer{i}"
        y = layer_norm(net, x, f"{unit}.ln1")
        y = _attention(net, _fused_heads(net, y, f"{unit}.attention", heads), f"{unit}.attention", None)
        x = add(net, x, linear(net, y, f"{unit}.attention.out", x.shape[-1]), f"{unit}.add1")
        y = _feed_forward(net, layer_norm(net, x, f"{unit}.ln2"), f"{unit}.mlp", mlp)
        x = add(net, x, y, f"{unit}.add2")
    return layer_norm(net, x, f"{name}.ln")


@block("bert_embeddings")
def bert_embeddings(
    net: GraphBuilder, x: Tensor, name: str, *, vocabulary: int, hidden: int, positions: int, types: int
) -> Tensor:
    """Word, position and type embeddings, added and normalised: (batch, sequence, hidden)."""
    sequence = x.shape[1]
    if sequence > positions:
        raise UsageError(f"{net.name}: seq={sequence} is longer than its {positions} positions")
    words = _embedding(net, f"{name}.word", vocabulary, hidden, net.inputs["input_ids"])
    kinds = _embedding(net, f"{name}.token_type", types, hidden, net.inputs["token_type_ids"])
    places = _embedding(net, f"{name}.position", positions, hidden, net.constant(range(sequence), (1, sequence)))
    x = add(net, add(net, words, kinds, f"{name}.add_type"), places, f"{name}.add_position")
    return layer_norm(net, x, f"{name}.ln")


@block("bert_encoder")
def bert_encoder(net: GraphBuilder, x: Tensor, name: str, *, depth: int, heads: int, mlp: int) -> Tensor:
    """Post-norm layers with separate projections and one additive mask."""
    mask = _additive_mask(net, net.inputs["attention_mask"], f"{name}.mask")
    for i in range(depth):
        unit = f"{name}.layer{i}"
        projections = [
            _heads(net, linear(net, x, f"{unit}.attention.{part}", x.shape[-1]), f"{unit}.attention.{part}", heads, part)
            for part in ("query", "key", "value")
        ]
        y = _attention(net, projections, f"{unit}.attention", mask)
        y = linear(net, y, f"{unit}.attention.out", x.shape[-1])
        x = layer_norm(net, add(net, y, x, f"{unit}.add1"), f"{unit}.ln1")
        y = _feed_forward(net, x, f"{unit}.mlp", mlp)
        x = layer_norm(net, add(net, y, x, f"{unit}.add2"), f"{unit}.ln2")
    return x


@block("first_token")
def first_token(net: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """The class token of every sequence: (batch, hidden)."""
    return net.node("Gather", [x, net.scalar(0, "int64")], name, (x.shape[0], x.shape[2]), axis=1)


def _embedding(net: GraphBuilder, name: str, entries: int, hidden: int, ids: Tensor) -> Tensor:
    """Rows of a table, one an id."""
    return net.node("Gather", [net.weight(f"{name}.weight", (entries, hidden)), ids], name, (*ids.shape, hidden))


def _additive_mask(net: GraphBuilder, mask: Tensor, name: str) -> Tensor:
    """0 where a token counts and the lowest float where it does not: (batch, 1, 1, sequence)."""
    shape = (mask.shape[0], 1, 1, mask.shape[1])
    x = net.node("Unsqueeze", [mask, net.constant([1, 2])], f"{name}.unsqueeze", shape)
    x = net.node("Cast", [x], f"{name}.cast", shape, to=1)
    x = net.node("Sub", [net.scalar(1.0), x], f"{name}.sub", shape)
    return net.node("Mul", [x, net.scalar(_MASKED)], f"{name}.mul", shape)


def _heads(net: GraphBuilder, x: Tensor, name: str, heads: int, part: str) -> Tensor:
    """(batch, sequence, hidden) as (batch, heads, sequence, head), keys with the last two axes swapped."""
    if x.shape[-1] % heads:
        raise UsageError(f"{net.name}: {x.shape[-1]} hidden features do not divide into {heads} heads")
    x = reshape(net, x, f"{name}.heads", [0, 0, heads, x.shape[-1] // heads])
    return transpose(net, x, f"{name}.transpose", [0, 2, 3, 1] if part == "key" else [0, 2, 1, 3])


def _fused_heads(net: GraphBuilder, x: Tensor, name: str, heads: int) -> list[Tensor]:
    """Queries, keys and values from one projection."""
    hidden = x.shape[-1]
    parts = layers.split(net, linear(net, x, f"{name}.qkv", 3 * hidden), f"{name}.split", 3, axis=2)
    names = ("query", "key", "value")
    return [_heads(net, y, f"{name}.{part}", heads, part) for y, part in zip(parts, names, strict=True)]


def _attention(net: GraphBuilder, projections: list[Tensor], name: str, mask: Tensor | None) -> Tensor:
    """softmax(q·k / √head + mask)·v, heads merged again: (batch, sequence, hidden)."""
    query, key, value = projections
    scores = layers.matmul(net, query, key, f"{name}.scores")
    scores = net.node("Div", [scores, net.scalar(math.sqrt(query.shape[-1]))], f"{name}.scale", scores.shape)
    if mask is not None:
        scores = add(net, scores, mask, f"{name}.add_mask")
    weights = net.node("Softmax", [scores], f"{name}.softmax", scores.shape, axis=-1)
    x = layers.matmul(net, weights, value, f"{name}.context")
    x = transpose(net, x, f"{name}.transpose", [0, 2, 1, 3])
    return reshape(net, x, f"{name}.merge", [0, 0, x.shape[2] * x.shape[3]])


def _feed_forward(net: GraphBuilder, x: Tensor, name: str, mlp: int) -> Tensor:
    """Two linear layers with a GELU between them."""
    y = layers.activation(net, linear(net, x, f"{name}.fc1", mlp), f"{name}.gelu", "gelu")
    return linear(net, y, f"{name}.fc2", x.shape[-1])
