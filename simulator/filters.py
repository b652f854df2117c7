"""Filters: the 8-bit weights of a kernel's main operator, as an engine sees them that reads them encoded.

Values are counted, never kept, and only when an engine asks: a file of 140 GB opens without its weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.dtypes import INT8, UINT8
from simulator.graph.graph import Graph
from simulator.graph.raw import RawTensor
from simulator.graph.types import TensorSpec
from simulator.kernels.types import Kernel
from simulator.ops.work import Gemm

Column = NDArray[np.float64]
_ZERO: Final = 128  # place of 0 among the values


@dataclass(frozen=True, eq=False)
class Filter:
    """Weights of all groups together.

    `words` counts them, `channels` the outputs of all `groups` of them; `size_bytes` is what they and what is packed with
    them (bias, scales, zero points) take before they are encoded, `others_bytes` what else the kernel reads of weights. `stored`
    is their view into the file, None where their values are not in it; `kept` words are not pruned.
    """

    words: int
    channels: int
    groups: int
    size_bytes: int
    others_bytes: int
    stored: RawTensor | None
    kept: int

    @cached_property
    def counts(self) -> Column | None:
        """How often each value from −128 to 127 occurs, shape (256,); None where the values are not known.

        The zero point is taken to be 0, as it is of weights quantized symmetrically. Of a pruned filter the smallest are zero.
        """
        found = None if self.stored is None else self.stored.byte_counts()
        return found if found is None or self.kept == self.words else _pruned(found, self.words - self.kept)


def _pruned(counts: Column, zeros: int) -> Column:
    """The counts with so many of the smallest values in magnitude made zero, those that are zero among them."""
    order = np.argsort(np.abs(np.arange(256) - _ZERO), kind="stable")
    smaller = np.cumsum(counts[order]) - counts[order]
    left = counts.copy()
    left[order] -= np.clip(zeros - smaller, 0.0, counts[order])
    left[_ZERO] += counts.sum() - left.sum()
    return left


def filter_of(graph: Graph, kernel: Kernel, gemm: Gemm | None) -> Filter | None:
    """The filter of a kernel; None where its main operator has no weights of 8 bits."""
    if gemm is None:
        return None
    words = gemm.n * gemm.k * gemm.groups
    mains = [w for w in kernel.weights if w.dtype in (INT8, UINT8) and w.elements == words]
    if not mains or not words:
        return None
    main, channels = mains[0], gemm.n * gemm.groups
    packed = [w for w in kernel.weights if w is not main and w.elements in (1, channels)]
    size, whole = _size_bytes([main, *packed]), _size_bytes(kernel.weights)
    kept = words if main.packing is None else math.ceil(words * main.packing.kept)
    return Filter(words, channels, gemm.groups, size, whole - size, _stored(graph, main), kept)


def _size_bytes(tensors: Sequence[TensorSpec]) -> int:
    return sum(tensor.size_bytes for tensor in tensors)


def _stored(graph: Graph, main: TensorSpec) -> RawTensor | None:
    """The tensor of the file that these weights are a view of, if it has as many signed values."""
    names = graph.stored.get(main.name, (main.name,))
    found = graph.bytes_stored.get(names[0]) if len(names) == 1 else None
    return found if found is not None and found.elements == main.elements else None
