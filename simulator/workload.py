"""Kernels as a table of numbers: what an estimate multiplies with a machine. It knows no hardware."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.errors import ModelError
from simulator.graph.graph import Graph
from simulator.graph.packing import Zeros
from simulator.graph.types import Op, Role
from simulator.kernels.support import Refusals
from simulator.kernels.types import Kernel
from simulator.ops.blocks import IN_BLOCKS
from simulator.ops.registry import NCHWC
from simulator.ops.work import CONVOLUTIONS, Kind, Work
from simulator.reuse import Operands, operands

if TYPE_CHECKING:
    from simulator.feature_maps import FeatureMaps

Column = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)
_PIECE_BYTES = 1024  # shorter ones are moved element by element, or by calls that cost as much as the copy
_SKIP_NORM = "SkipLayerNormalization"  # as a kernel of an addition and the norm that reads it
_EXACT = 2.0**53  # above it float64 no longer counts in ones


@dataclass(frozen=True)
class Footprint:
    """Bytes that a whole run touches, each tensor once: what decides what can stay where.

    `weight_bytes` are all weights the machine must hold; of them `touched_weight_bytes` are read (of an embedding
    table, the rows looked up); `activation_bytes` is the peak of what is alive at once, `boundary_bytes` the outputs
    of the network and the inputs that something reads, of a cache what was there and what is new. `cache_bytes` are
    such caches (keys and values of tokens) after the run, a part of the activations.
    """

    weight_bytes: float
    touched_weight_bytes: float
    activation_bytes: float
    boundary_bytes: float
    cache_bytes: float = 0.0

    @property
    def least_touched_bytes(self) -> float:
        """Weights read, inputs and outputs; these may share buffers, like all activations."""
        return self.touched_weight_bytes + min(self.boundary_bytes, self.activation_bytes)


@dataclass(frozen=True)
class WorkTable:
    """One row a kernel; columns are float64 arrays of shape (n_kernels,), counts and bytes of one inference.

    `rates` and `kinds` name the element type and kernel class of each row; `gemm` is (n_kernels, 4): m, n, k, groups of the
    row's largest matrix product, zeros without one. Its operand A has `input_words` elements of `element_bytes` a group
    (those of the image of a convolution, whose windows overlap) and `channels` along k at each place. `outputs` counts the
    elements that the main operator makes. `touches` finds the tensors that each row touches, with their reuse distances,
    `images` the images that each works on: a bound needs neither. `refused` names for each row the engines that do not run
    it, and why; empty where there is no such engine. `counts` says how many kernels a row stands for (None: one).
    `sparse_macs` are those of `macs` whose weights have two zeros in four (None: no weight of the network has), `joined` the
    tensors that concatenations in the kernel join (None: there are none), `steps` rounds of a loop in every thread, one after
    another (None: no kernel has such).
    `blocked` is 1 for kernels that make blocks of channels (None: there are none).
    `pieces` is 1 for copies that bring pieces of tensors to other places, 2 for transpositions of short ones, 0 for others (None:
    there are none).
    `counted_elements` is (n_kernels, n_types): elements that the operators of each type in `counted` work on, of those for which
    a runtime has figures of their own.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rates: tuple[str, ...]
    macs: Column
    vector_ops: Column
    special_ops: Column
    weight_bytes: Column
    input_bytes: Column
    output_bytes: Column
    launches: Column
    gemm: Column
    input_words: Column
    channels: Column
    element_bytes: Column
    outputs: Column
    footprint: Footprint
    touches: Callable[[], Operands]
    images: "Callable[[], FeatureMaps]"
    refused: tuple[Refusals, ...] = ()
    counts: Column | None = None
    sparse_macs: Column | None = None
    joined: Column | None = None
    pieces: Column | None = None
    blocked: Column | None = None
    counted: tuple[str, ...] = ()
    counted_elements: Column | None = None
    steps: Column | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def operands(self) -> Operands:
        """The tensors that each kernel touches, with their reuse distances."""
        return self.touches()

    @cached_property
    def maps(self) -> "FeatureMaps":
        """The images that each kernel works on; only engines that work by blocks ask."""
        return self.images()

    @cached_property
    def element_types(self) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """The element types that occur, and which of them each kernel has."""
        return distinct(self.rates)

    @cached_property
    def classes(self) -> tuple[tuple[tuple[str, Kind], ...], NDArray[np.intp]]:
        """The pairs of element type and kernel class that occur, and which of them each kernel has."""
        return distinct(zip(self.rates, self.kinds, strict=True))

    @cached_property
    def alike(self) -> "Alike":
        """Kernels with the same work: one stands for all, and costs are reckoned once."""
        if self.counts is not None:
            return Alike(np.arange(len(self)), self.counts)
        numbers = np.column_stack(list(self._numbers.values())).tolist()
        keys, codes = distinct(zip(self.kinds, self.rates, map(tuple, numbers), self.operands.keys(len(self)), strict=True))
        _, firsts = np.unique(codes, return_index=True)
        return Alike(firsts, np.bincount(codes, minlength=len(keys)).astype(np.float64))

    @cached_property
    def distinct(self) -> "WorkTable":
        """One row for all kernels that are alike; it knows how many it stands for, but not their images."""
        rows = self.alike.firsts
        operands = self.operands.of_kernels(rows)
        columns: dict[str, Any] = {name: column[rows] for name, column in self._numbers.items()}
        return replace(
            self, names=tuple(self.names[i] for i in rows), kinds=tuple(self.kinds[i] for i in rows),
            rates=tuple(self.rates[i] for i in rows), refused=tuple(self.refused[i] for i in rows) if self.refused else (),
            touches=lambda: operands, counts=self.alike.counts, **columns,
        )  # fmt: skip

    @property
    def _numbers(self) -> dict[str, Column]:
        columns = ((f.name, getattr(self, f.name)) for f in fields(self) if f.name != "counts")
        return {name: column for name, column in columns if isinstance(column, np.ndarray)}

    @property
    def ops(self) -> Column:
        """Arithmetic operations: 2 × MACs + vector + special."""
        return 2 * self.macs + self.vector_ops + self.special_ops

    @property
    def activation_bytes(self) -> Column:
        """Bytes of activations in and out."""
        return self.input_bytes + self.output_bytes

    @property
    def total_bytes(self) -> Column:
        """Compulsory traffic: every tensor at the kernel's boundary once."""
        return self.weight_bytes + self.activation_bytes

    @cached_property
    def demands(self) -> tuple[tuple[tuple[str, bool], ...], NDArray[np.intp]]:
        """The pairs of element type and whether there are MACs that occur, and which of them each kernel has."""
        return distinct(zip(self.rates, (self.macs > 0).tolist(), strict=True))

    @property
    def mac_rates(self) -> tuple[str, ...]:
        """Element types in which there are MACs, each once; other arithmetic runs on whatever vector unit there is."""
        return tuple(rate for rate, multiplies in self.demands[0] if multiplies)


def distinct(keys: Iterable[Key]) -> tuple[tuple[Key, ...], NDArray[np.intp]]:
    """The keys that occur, in order, and for each the place of its own among them."""
    places: dict[Key, int] = {}
    codes = [places.setdefault(key, len(places)) for key in keys]
    return tuple(places), np.array(codes, np.intp)


@dataclass(frozen=True)
class Alike:
    """The first of each lot of kernels that are alike, and how many each lot has; columns of shape (n_lots,)."""

    firsts: NDArray[np.intp]
    counts: Column

    def total(self, columns: Column) -> Column:
        """Sum over all kernels of a column of all kernels, or of the lots: bit by bit the same."""
        lots = columns if columns.shape[-1] == len(self.counts) else columns[..., self.firsts]
        return total(lots * self.counts)


def total(columns: Column) -> Column:
    """Sum over kernels, the last axis. The copy makes numpy add in one order, whatever the strides: bit by bit the same
    for one machine and for an array of them.
    """
    return np.asarray(np.ascontiguousarray(columns).sum(axis=-1))


def footprint(graph: Graph, kernels: Sequence[Kernel], activation_bytes: float) -> Footprint:
    """What the kernels touch; `activation_bytes` is the most that is alive at once."""
    touched: dict[str, int] = {}
    for kernel in kernels:
        for spec in kernel.weights:
            touched[spec.name] = max(touched.get(spec.name, 0), spec.size_bytes)
    read = [name for name in graph.inputs if graph.consumers.get(name)]
    boundary = _bytes(graph, {*read, *graph.outputs}) - _bytes(graph, _caches(graph, read))
    whole, caches = _bytes(graph, touched), _bytes(graph, _caches(graph, graph.outputs))
    return Footprint(float(whole), float(sum(touched.values())), float(activation_bytes), float(boundary), float(caches))


def _bytes(graph: Graph, names: Iterable[str]) -> int:
    return sum(graph.tensors[name].size_bytes for name in names)


def _caches(graph: Graph, names: Iterable[str]) -> set[str]:
    return {name for name in names if graph.tensors[name].role is Role.STATE}


def work_table(
    graph: Graph, kernels: Sequence[Kernel], works: Sequence[Work], touched: Footprint, counted: tuple[str, ...] = ()
) -> WorkTable:
    """The table of a partitioned graph, with the elements of the operators of the types `counted`.

    Raises:
        ModelError: a count above 2^53, which float64 cannot hold exactly.
    """
    rows = [_row(graph, kernel, works) for kernel in kernels]
    numbers = np.array(rows, np.float64).reshape(len(rows), 15)
    if numbers.size and numbers.max() >= _EXACT:
        worst = kernels[int(numbers.max(axis=1).argmax())]
        raise ModelError(f"kernel '{worst.name}' has a count above 2^53; no machine runs that")
    return WorkTable(
        names=tuple(k.name for k in kernels),
        kinds=tuple(k.kind for k in kernels),
        rates=tuple(k.rate for k in kernels),
        macs=numbers[:, 0],
        vector_ops=numbers[:, 1],
        special_ops=numbers[:, 2],
        weight_bytes=numbers[:, 3],
        input_bytes=numbers[:, 4],
        output_bytes=numbers[:, 5],
        launches=numbers[:, 6],
        gemm=numbers[:, 7:11],
        input_words=numbers[:, 11],
        channels=numbers[:, 12],
        element_bytes=numbers[:, 13],
        outputs=numbers[:, 14],
        footprint=touched,
        touches=cache(lambda: operands(graph, kernels, touched.activation_bytes)),  # for all tables made from this one
        images=lambda: _images(graph, kernels, works),
        sparse_macs=_sparse_macs(graph, kernels, works),
        joined=_joined(graph, kernels),
        pieces=_pieces(graph, kernels),
        blocked=_blocked(graph, kernels),
        counted=counted,
        counted_elements=_counted_elements(graph, kernels, counted) if counted else None,
        steps=_steps(graph, kernels, works),
    )


def _blocked(graph: Graph, kernels: Sequence[Kernel]) -> Column | None:
    """1 for kernels whose main operator makes blocks of channels; None where none does."""
    made = [any(name.endswith(IN_BLOCKS) for name in graph.ops[k.main].outputs) for k in kernels]
    return np.array(made, np.float64) if any(made) else None


def _joined(graph: Graph, kernels: Sequence[Kernel]) -> Column | None:
    """Tensors that the concatenations of every kernel join; None where there are no concatenations."""
    counts = [sum(len(op.inputs) * op.repeat for op in (graph.ops[i] for i in k.ops) if op.op_type == "Concat") for k in kernels]
    return np.array(counts, np.float64) if any(counts) else None


def _steps(graph: Graph, kernels: Sequence[Kernel], works: Sequence[Work]) -> Column | None:
    """Rounds of the loops of every kernel; None where there are none."""
    if not any(work.steps for work in works):
        return None
    return np.array([sum(works[i].steps * graph.ops[i].repeat for i in k.ops) for k in kernels], np.float64)


def _sparse_macs(graph: Graph, kernels: Sequence[Kernel], works: Sequence[Work]) -> Column | None:
    """MACs of every kernel whose weights have two zeros in four; None where no weight has them."""
    found = {n for n, t in graph.tensors.items() if t.packing is not None and t.packing.zeros is Zeros.TWO_OF_FOUR}
    if not found:
        return None
    counts = [[works[i].macs * graph.ops[i].repeat for i in k.ops if not found.isdisjoint(graph.ops[i].inputs)] for k in kernels]
    return np.array([sum(row) for row in counts], np.float64)


def _pieces(graph: Graph, kernels: Sequence[Kernel]) -> Column | None:
    """1 for copies of pieces, 2 for transpositions of pieces shorter than `_PIECE_BYTES`, 0 for other kernels, among them those
    that only reorder channels within registers (NCHWc); None where there are none.
    """
    mains = [graph.ops[k.main] if k.kind is Kind.COPY else None for k in kernels]
    found = [
        0.0 if op is None or op.domain == NCHWC else 1.0 + (_piece_bytes(graph, op) < _PIECE_BYTES) for op in mains
    ]  # fmt: skip
    return np.array(found, np.float64) if any(found) else None


def _counted_elements(graph: Graph, kernels: Sequence[Kernel], counted: tuple[str, ...]) -> Column:
    """Elements that the operators of each type make, or read where these are more: (n_kernels, n_types)."""
    result = np.zeros((len(kernels), len(counted)))
    for row, kernel in enumerate(kernels):
        types = [graph.ops[i].op_type for i in kernel.ops]
        if not {*types, _SKIP_NORM}.isdisjoint(counted):
            for index, op_type in zip(kernel.ops, types, strict=True):
                if op_type in counted:
                    result[row, counted.index(op_type)] += _elements(graph, graph.ops[index])
            if _SKIP_NORM in counted and kernel.kind is Kind.NORM and types[0] == "Add":
                result[row, counted.index(_SKIP_NORM)] += _elements(graph, graph.ops[kernel.ops[0]])
    return result


def _elements(graph: Graph, op: Op) -> float:
    """Elements of its first result or its first input, whichever has more, in all rounds."""
    names = (op.outputs[0], *op.inputs[:1])
    return float(max(graph.tensors[name].elements for name in names if name) * op.repeat)


def _piece_bytes(graph: Graph, op: Op) -> float:
    """Bytes that stay beside each other in a transposition: those of the last dimensions that keep their places."""
    order, shape = op.attrs.get("perm"), graph.tensors[op.inputs[0]].shape if op.inputs and op.inputs[0] else None
    if op.op_type != "Transpose" or shape is None:
        return math.inf
    order = order if isinstance(order, tuple) else tuple(reversed(range(len(shape))))
    places = [int(place) for place in order if shape[int(place)] != 1]
    kept = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(places), sorted(places, reverse=True), strict=True))
    return graph.tensors[op.inputs[0]].dtype.bits / 8 * math.prod(shape[place] for place, _ in kept)


def _images(graph: Graph, kernels: Sequence[Kernel], works: Sequence[Work]) -> "FeatureMaps":
    from simulator.feature_maps import feature_maps

    return feature_maps(graph, kernels, works)


def _row(graph: Graph, kernel: Kernel, works: Sequence[Work]) -> tuple[float, ...]:
    """macs, vector ops, special ops, weight, input and output bytes, launches, GEMM shape, input, element size, outputs."""
    macs = vector = special = 0
    for index in kernel.ops:
        work, repeat = works[index], graph.ops[index].repeat
        macs += work.macs * repeat
        vector += kernel.folded.get(index, work.vector_ops) * repeat
        special += work.special_ops * repeat
    for index in kernel.recomputed:
        vector += works[index].vector_ops * graph.ops[index].repeat
        special += works[index].special_ops * graph.ops[index].repeat
    repeat = graph.ops[kernel.main].repeat
    shape = works[kernel.main].gemm
    gemm = (shape.m, shape.n, shape.k, shape.groups) if shape else (0, 0, 0, 0)
    weights, inputs, made_bytes = (
        sum(t.size_bytes for t in part) * repeat for part in (kernel.weights, kernel.inputs, kernel.outputs)
    )
    main = graph.ops[kernel.main]
    data, made = graph.tensors[main.inputs[0]] if main.inputs and main.inputs[0] else None, graph.tensors[main.outputs[0]]
    element_bytes = (data or made).dtype.bits / 8 or 1.0
    image = data.elements // max(gemm[3], 1) if data is not None and kernel.kind in CONVOLUTIONS else gemm[0] * gemm[2]
    outputs = made.elements * repeat
    channels = shape.k // max(shape.taps, 1) if shape else 0
    return (macs, vector, special, weights, inputs, made_bytes, repeat, *gemm, image, channels, element_bytes, outputs)
