"""Where a framework copies a tensor to bring it into another order: Graph → Graph.

A transpose, slice or reshape only changes how bytes are looked at, until an operator needs them in one piece. So the order
of every tensor's dimensions in memory is followed through the graph, and a copy (`aten:contiguous`) is put where a
reshape, a norm, a softmax, a linear layer, a batched product or a convolution cannot work with it: convolutions keep
channels last or first as the runtime's `layout` says. Channels first in 16 bit, the tensor cores' convolutions are
channels last all the same, between two conversions.

Source: PyTorch, Tensor Views and channels-last tutorial, https://pytorch.org/docs/stable/tensor_view.html; NVIDIA, deep
learning performance guide, convolutional layers, "Tensor layouts".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, Shape, TensorSpec
from simulator.ops.work import CONVOLUTIONS, Kind

Order = tuple[int, ...]  # dimensions from the outermost in memory to the innermost
_SLICES: Final = frozenset({"Slice", "Split", "Expand"})
_IN_ONE_PIECE: Final = frozenset({Kind.NORM, Kind.SOFTMAX})
_KEEPS_ORDER: Final = frozenset({Kind.POINTWISE, Kind.CAST, Kind.POOL, Kind.COPY})
_CHANNELS_LAST: Final = (0, 2, 3, 1)
_ANY_ORDER: Final = frozenset({"BatchNormalization", "batch_norm_any"})  # norms that keep it
_INTERPOLATIONS: Final = frozenset({"Resize", "Upsample"})
_LOAD_BYTES: Final = 16  # of the widest load instruction of a GPU


@dataclass(frozen=True, slots=True)
class Strides:
    """How a tensor lies in memory; `dense` where it is not a part of something larger."""

    order: Order
    dense: bool = True


def with_copies(graph: Graph, kinds: Sequence[Kind], regions: Mapping[int, Kind], *, channels_last: bool) -> Graph:
    """The graph with the copies that its orders need. `regions` are operators of attention, norms and activation functions
    that the framework has as one, by index.
    """
    layout = _Layout(graph, kinds, regions, channels_last)
    for index, op in enumerate(graph.ops):
        layout.place(index, op)
    return replace(graph, ops=tuple(layout.ops), tensors=layout.tensors)


@dataclass
class _Layout:
    graph: Graph
    kinds: Sequence[Kind]
    regions: Mapping[int, Kind]
    channels_last: bool
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, TensorSpec] = field(default_factory=dict)
    strides: dict[str, Strides] = field(default_factory=dict)
    copies: dict[tuple[str, Order], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors = dict(self.graph.tensors)
        for name in self.graph.inputs:
            rank = self.tensors[name].rank
            self.strides[name] = Strides(self._image(rank) if rank == 4 else tuple(range(rank)))

    def place(self, index: int, op: Op) -> None:
        """Add an operator, with copies of the inputs that it cannot work with, and note how its results lie."""
        if op.constant or not op.inputs or any(self.tensors[n].shape is None for n in (*op.inputs, *op.outputs) if n):
            self.ops.append(op)
            return
        kind = self.regions.get(index, self.kinds[index])
        if self.kinds[index] in CONVOLUTIONS:
            self._convolution(index, op)
            return
        needs = [self._needs(op, kind, i) for i in range(len(op.inputs))]
        names = [self._copied(op, n, need) if need else n for n, need in zip(op.inputs, needs, strict=True)]
        op = replace(op, inputs=tuple(names))
        if self._is_looped(op):
            op = replace(op, attrs={**op.attrs, "looped": 1})
        self.ops.append(op)
        for name in op.outputs:
            if name:
                self.strides[name] = self._made(op, kind, name)

    # ---- what an operator needs --------------------------------------------------------------------------------------

    def _needs(self, op: Op, kind: Kind, position: int) -> Order | None:
        """The order that an input must be copied into; None where it can stay as it is."""
        name = op.inputs[position]
        if not name or self.tensors[name].role is Role.WEIGHT or name not in self.strides:
            return None
        shape, strides = self.tensors[name].shape or (), self.strides[name]
        plain = tuple(range(len(shape)))
        ordered = _same(strides.order, plain, shape)
        if op.op_type == "Reshape" or op.op_type == "Flatten":
            fits = position > 0 or view_order(shape, self.tensors[op.outputs[0]].shape or (), strides) is not None
        elif kind in _IN_ONE_PIECE:
            fits = op.op_type in _ANY_ORDER or (ordered and strides.dense)
        elif kind is Kind.GEMM:
            fits = ordered
        elif kind is Kind.BATCHED_GEMM and len(shape) > 2:
            fits = _same(tuple(d for d in strides.order if d < len(shape) - 2), plain[:-2], shape) and _leads(strides, shape)
        else:
            fits = True
        return None if fits else plain

    def _is_looped(self, op: Op) -> bool:
        """Whether an interpolation has a thread for each place of its result only, which loops over images and channels.

        So PyTorch's kernels for two dimensions do, linear and cubic, but for images channels last, which cubic ones do not
        know (aten/src/ATen/native/cuda/UpSampleBilinear2d.cu, UpSampleBicubic2d.cu).
        """
        data, mode = self.tensors[op.inputs[0]], op.attrs.get("mode")
        if op.op_type not in _INTERPOLATIONS or data.rank != 4 or mode not in ("linear", "cubic") or op.attrs.get("antialias"):
            return False
        strides = self.strides.get(data.name, Strides(self._image(4)))
        return mode == "cubic" or not _is_channels_last(strides.order, data.shape or ())

    def _copied(self, op: Op, name: str, order: Order) -> str:
        """The tensor copied into an order, once for all that need it so."""
        if (name, order) not in self.copies:
            spec = self.tensors[name]
            copy = replace(spec, name=f"{name}/{'_'.join(map(str, order))}", role=Role.ACTIVATION)
            self.tensors[copy.name] = copy
            self.strides[copy.name] = Strides(order)
            self.ops.append(_contiguous(op, name, copy.name, self.graph.opset))
            self.copies[name, order] = copy.name
        return self.copies[name, order]

    # ---- convolutions ------------------------------------------------------------------------------------------------

    def _image(self, rank: int) -> Order:
        plain = tuple(range(rank))
        return (0, *plain[2:], 1) if self.channels_last and rank > 2 else plain

    def _convolution(self, index: int, op: Op) -> None:
        """Its data in the layout of the runtime, or channels last as it comes (behind a norm over the channels, whose result
        is transposed back); 16 bit with channels first go through channels last and back, unless they are products as they lie.
        """
        data, result = self.tensors[op.inputs[0]], self.tensors[op.outputs[0]]
        name, shape = op.inputs[0], data.shape or ()
        strides = self.strides.get(name, Strides(self._image(data.rank)))
        last = data.rank == 4 and strides.dense and _is_channels_last(strides.order, shape)
        wanted = _CHANNELS_LAST if last else self._image(data.rank)
        converts = not (self.channels_last or last) and self.kinds[index] is Kind.CONV
        converts = converts and data.dtype.bits == 16 and data.rank == 4 and not _is_product(op, data, self.tensors[op.inputs[1]])
        if converts:
            name = self._copied(op, name, _CHANNELS_LAST)
        elif not strides.dense or not _same(strides.order, wanted, shape):
            name = self._copied(op, name, wanted)
        self.strides[result.name] = Strides(wanted)
        inputs = (name, *op.inputs[1:])
        if not converts:
            self.ops.append(replace(op, inputs=inputs))
            return
        raw = replace(result, name=f"{result.name}/channels_last", role=Role.ACTIVATION)
        self.tensors[raw.name] = raw
        self.ops.append(replace(op, inputs=inputs, outputs=(raw.name, *op.outputs[1:])))
        self.ops.append(_contiguous(op, raw.name, result.name, self.graph.opset))

    # ---- how results lie ---------------------------------------------------------------------------------------------

    def _made(self, op: Op, kind: Kind, name: str) -> Strides:
        """How a result lies in memory."""
        shape = self.tensors[name].shape or ()
        plain = Strides(tuple(range(len(shape))))
        source = op.inputs[0]
        before = self.strides.get(source)
        if kind is Kind.ATTENTION and len(shape) == 4:
            return Strides((0, 2, 1, 3))  # fused attention writes heads beside each other, as the reshape after it wants
        if kind in (Kind.POINTWISE, Kind.CAST):
            return Strides(self._leading(op, shape))
        if op.op_type == "Concat":
            orders = {self.strides[n].order for n in op.inputs if n in self.strides}
            return Strides(orders.pop()) if len(orders) == 1 else plain
        if before is None:
            return plain
        if op.op_type == "Transpose":
            given = op.attrs.get("perm")
            perm = tuple(int(p) for p in given) if isinstance(given, tuple) else plain.order[::-1]
            return Strides(tuple(perm.index(d) for d in before.order), before.dense)
        if self.kinds[self.graph.producer[name]] is Kind.VIEW:
            return view_order(self.tensors[source].shape or (), shape, before) or plain
        if op.op_type in _ANY_ORDER or (kind in _KEEPS_ORDER and len(before.order) == len(shape)):
            return Strides(before.order, dense=op.op_type not in _SLICES)
        return plain

    def _leading(self, op: Op, shape: Shape) -> Order:
        """The order of the first operand that is not repeated along a dimension: results lie as it does."""
        known = [n for n in op.inputs if n in self.strides and self.tensors[n].rank == len(shape)]
        whole = [n for n in known if self.tensors[n].shape == shape]
        return next((self.strides[n].order for n in (*whole, *known)), tuple(range(len(shape))))


def _is_product(op: Op, data: TensorSpec, weight: TensorSpec) -> bool:
    """Whether a convolution of 1 × 1 is a product of the weights with an image whose channels come first, as it lies.

    Each channel is a row then, and loads of 16 bytes must fit it. That a library converts nothing around these, but does
    around others, was found in measured times: a regression of 288 networks on classes of kernels gives such conversions
    a fifth of what their bytes would take, all others 0.9 to 1.2 of it.
    """
    window = (weight.shape or ())[2:]
    moves = [v for name in ("strides", "dilations") for v in _numbers(op, name)]
    pads = _numbers(op, "pads")
    row_bytes = math.prod((data.shape or ())[2:]) * data.dtype.bits // 8
    return {*window, *moves} == {1} and {*pads} <= {0} and row_bytes % _LOAD_BYTES == 0


def _numbers(op: Op, name: str) -> tuple[int, ...]:
    given = op.attrs.get(name)
    return tuple(int(v) for v in given) if isinstance(given, tuple) else ()


def _contiguous(op: Op, source: str, target: str, opset: int) -> Op:
    return Op(f"{target}/copy", "contiguous", "aten", opset, (source,), (target,), origin=op.origin, repeat=op.repeat, added=True)


def _same(one: Order, other: Order, shape: Shape) -> bool:
    """Whether two orders are the same but for dimensions of size 1."""
    return [d for d in one if shape[d] != 1] == [d for d in other if shape[d] != 1]


def _is_channels_last(order: Order, shape: Shape) -> bool:
    """Whether an image lies channels last and could not as well lie channels first: one of one pixel or one channel does both."""
    return _same(order, _CHANNELS_LAST, shape) and not _same(order, (0, 1, 2, 3), shape)


def _leads(strides: Strides, shape: Shape) -> bool:
    """Whether the batch dimensions of a product lie outside its matrices, so that one stride leads through them."""
    order = [d for d in strides.order if shape[d] != 1]
    batch = [d for d in order if d < len(shape) - 2]
    return order[: len(batch)] == batch or len(batch) < 2


def view_order(shape: Shape, target: Shape, strides: Strides) -> Strides | None:
    """How a reshape lies if it is a view; None where dimensions that do not lie beside each other would become one."""
    groups = _groups(shape, target)
    if groups is None:
        return None
    place = {d: i for i, d in enumerate(d for d in strides.order if shape[d] != 1)}
    blocks: list[tuple[int, list[int]]] = []
    for before, after in groups:
        places = [place[d] for d in before if shape[d] != 1]
        if len(places) > 1 and (not strides.dense or places != list(range(places[0], places[0] + len(places)))):
            return None
        blocks.append((places[0] if places else -1, after))
    order = tuple(d for _, after in sorted(blocks, key=lambda block: block[0]) for d in after)
    return Strides(order, strides.dense) if len(order) == len(target) else None


def _groups(shape: Shape, target: Shape) -> list[tuple[list[int], list[int]]] | None:
    """The smallest runs of dimensions on both sides that hold as many elements; None where there is nothing to match."""
    result: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(shape) or j < len(target):
        before, after = ([i] if i < len(shape) else []), ([j] if j < len(target) else [])
        left, right = (shape[i] if before else 1), (target[j] if after else 1)
        i, j = i + len(before), j + len(after)
        while left != right:
            if left < right and i < len(shape):
                left, before, i = left * shape[i], [*before, i], i + 1
            elif left > right and j < len(target):
                right, after, j = right * target[j], [*after, j], j + 1
            else:
                return None
        result.append((before, after))
    return result
