"""Pruned weights: Graph → Graph whose weights are stored without their zeros. Shapes and MACs stay those of the dense network."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.packing import Packing, Zeros
from simulator.graph.types import Op, TensorSpec
from simulator.transform.change import change, number_of
from simulator.transform.select import require_match
from simulator.transform.weights import Multiplied, multiplied, sources

_DIGITS: Final = 10**9  # shares are exact to so many parts
_MOST_BLOCK: Final = 2**16


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a text asks for: how weights are stored, and of which operators ("": all)."""

    packing: Packing
    pattern: str = ""

    @property
    def is_dense(self) -> bool:
        """Whether nothing is pruned."""
        return self.packing.kept == 1


def pruning_of(text: str) -> Pruning:
    """What `0.9`, `90%`, `2:4`, `0.5:block=16` or `0.5:block=16x16` means, with `@PATTERN` behind it for some operators only.

    Raises:
        UsageError: it cannot be read.
    """
    value, at, pattern = text.partition("@")
    if at and not pattern:
        raise UsageError(f"sparsity={text}: a pattern of names follows the @, as in sparsity={value or '0.9'}@*conv*")
    if value == Zeros.TWO_OF_FOUR:
        return Pruning(Packing(Zeros.TWO_OF_FOUR, Fraction(1, 2)), pattern)
    share, colon, option = value.partition(":")
    zeros = _share(text, share)
    if not colon:
        return Pruning(Packing(Zeros.SCATTERED, 1 - zeros), pattern)
    return Pruning(Packing(Zeros.BLOCKS, 1 - zeros, _block(text, option)), pattern)


def _share(text: str, share: str) -> Fraction:
    try:
        value = Fraction(number_of("sparsity", share, low=0.0, high=1.0)).limit_denominator(_DIGITS)
    except UsageError:
        raise UsageError(
            f"sparsity={text}: write the share of zeros from 0 to below 1 (0.9), 2:4, or 0.5:block=16; then @PATTERN for some "
            "operators only"
        ) from None
    if value == 1:
        raise UsageError(f"sparsity={text}: must be below 1, or nothing is left")
    return value


def _block(text: str, option: str) -> int:
    """Elements of a block: `block=16` along a row, `block=16x16` of as many rows."""
    key, _, size = option.partition("=")
    sides = size.split("x")
    if key != "block" or len(sides) > 2 or not all(s.isascii() and s.isdigit() and 0 < int(s) <= _MOST_BLOCK for s in sides):
        raise UsageError(f"sparsity={text}: write the size of a block as block=16 (in a row) or block=16x16, not '{option}'")
    return int(sides[0]) * int(sides[-1] if len(sides) > 1 else 1)


@change(
    "sparsity",
    values="0.9, 2:4, 0.5:block=16; with @PATTERN for some operators: 0.9@*conv*",
    caveat="accuracy falls unless the network is trained on; 2:4 alone computes faster, where the engine has a rate for it and "
    "the runtime uses it; the others only move fewer bytes, if the runtime unpacks them on the way",
)
def sparsity(graph: Graph, text: str) -> Graph:
    """Weights of convolutions and matrix products pruned: zeros are not stored, indices are.

    Scattered zeros take the smallest of dense storage, a bitmap and relative indices of 4 bits; of 2:4, two values in four
    with 2 bits each; blocks have one index each. Biases, norms and embedding tables stay. A weight with no multiple of four
    channels (the first layer, depthwise convolutions) has no 2:4 and stays dense, which a note says.

    Raises:
        UsageError: a text that cannot be read, or nothing to prune.
    """
    pruning = pruning_of(text)
    readers = tuple(op for op in graph.ops if multiplied(graph, op))
    asked = f"sparsity={text}"
    if not readers:
        raise UsageError(f"{asked}: the network has no weights of convolutions or matrix products")
    chosen = require_match(graph, pruning.pattern, asked, readers) if pruning.pattern else readers
    if pruning.is_dense:
        return graph
    weights = _weights(graph, chosen)
    fitting = [w for w in weights if _fits(pruning.packing, w)]
    if not fitting:
        raise UsageError(f"{asked}: no weight there has a multiple of four input channels, which 2:4 needs")
    names = dict.fromkeys(source for w in fitting for source in sources(graph, w.name))
    notes = _notes(text, len(weights), len(fitting))
    return replace(graph, tensors={**graph.tensors, **_packed(graph, names, pruning.packing)}, notes=(*graph.notes, *notes))


def _weights(graph: Graph, ops: tuple[Op, ...]) -> list[Multiplied]:
    return list({w.name: w for op in ops for w in multiplied(graph, op)}.values())


def _fits(packing: Packing, weight: Multiplied) -> bool:
    """Whether the pattern fits: of each four input channels at a place two are kept (TensorRT documentation, sparsity)."""
    return packing.zeros is not Zeros.TWO_OF_FOUR or weight.channels % 4 == 0


def _packed(graph: Graph, names: dict[str, None], packing: Packing) -> dict[str, TensorSpec]:
    """The tensors with their zeros; groups that they are quantized in stay."""
    found = {}
    for name in names:
        spec = graph.tensors[name]
        old = spec.packing or Packing()
        found[name] = replace(spec, packing=replace(old, zeros=packing.zeros, kept=packing.kept, block=packing.block))
    return found


def _notes(text: str, count: int, fitting: int) -> tuple[str, ...]:
    if fitting == count:
        return ()
    return (f"sparsity={text}: {count - fitting} of {count} weights stay dense, for their channels are no multiple of four",)
