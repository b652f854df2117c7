"""What one operator does, at infinite on-chip memory and without any machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """Kernel class: what decides which unit runs an operator and how efficiently."""

    CONV = "conv"
    GROUPED_CONV = "grouped_conv"
    DEPTHWISE_CONV = "depthwise_conv"
    GEMM = "gemm"  # activations times weights
    BATCHED_GEMM = "batched_gemm"  # activations times activations
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    POINTWISE = "pointwise"  # one output element from the input elements at its place
    NORM = "norm"
    SOFTMAX = "softmax"
    REDUCTION = "reduction"
    POOL = "pool"
    COPY = "copy"  # moves elements to other places: transpose, concat, gather, pad
    VIEW = "view"  # another reading of the same bytes: free
    CAST = "cast"  # changes the element type: cast, quantize, dequantize
    OTHER = "other"


MAC_KINDS = frozenset(
    {Kind.CONV, Kind.GROUPED_CONV, Kind.DEPTHWISE_CONV, Kind.GEMM, Kind.BATCHED_GEMM, Kind.ATTENTION, Kind.RECURRENT}
)


CONVOLUTIONS = frozenset({Kind.CONV, Kind.GROUPED_CONV, Kind.DEPTHWISE_CONV})


@dataclass(frozen=True, slots=True)
class Gemm:
    """A matrix product C[m, n] += A[m, k] · B[k, n], `groups` times. A convolution is one, implicitly: k = channels · `taps`."""

    m: int
    n: int
    k: int
    groups: int = 1
    taps: int = field(default=1, compare=False)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups."""
        return self.m * self.n * self.k * self.groups


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over an image: sizes along the image's axes, without batch and channels.

    That of a transposed convolution slides over the spread image, as large as its output, with a stride of 1.
    """

    output: tuple[int, ...]
    data: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]


NO_PARTIAL_READS: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Arithmetic of one operator, and what it reads where that is less than its whole inputs.

    `macs` are multiply-accumulates of convolutions, matrix products and recurrent cells; 1 MAC = 2 FLOP, converted
    only when reported. `vector_ops` is other arithmetic, `special_ops` transcendental functions and square roots.
    `read_elements` maps an input's position to the elements read (a Gather reads only the rows it picks).
    `kind` overrides the rule's kernel class; `gemm` is the shape of the largest matrix product inside, `window` what
    slides over the image of a convolution or a pool. `steps` are rounds of a loop that each thread runs one after another,
    where a library splits the work no further.
    """

    macs: int = 0
    vector_ops: int = 0
    special_ops: int = 0
    gemm: Gemm | None = None
    kind: Kind | None = None
    read_elements: Mapping[int, int] = field(default_factory=lambda: NO_PARTIAL_READS)
    window: Window | None = field(default=None, compare=False)
    steps: int = 0

    @property
    def flops(self) -> int:
        """2 × MACs + the other arithmetic."""
        return 2 * self.macs + self.vector_ops + self.special_ops


NOTHING = Work()
