"""Which axes of an operator's tensors go together: one registered function a family of operators, as DepGraph has it.

Fang et al. 2023, DepGraph: Towards Any Structural Pruning (arXiv:2301.12900): dependencies between and within layers. A
function gets the axes of the inputs, joins those that must be equal, and says the axes of the outputs. An operator without
one keeps the sizes of all that it reads and writes.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from simulator.graph.types import Op, Shape
from simulator.ops.copy import slices
from simulator.ops.registry import MS
from simulator.ops.view import OpView, normal_axis
from simulator.transform.axes import Axes, Axis, fixed
from simulator.transform.views import reshaped

Tensor = tuple[Axis, ...]


class Walk(Protocol):
    """What a function sees of the walk over the operators."""

    axes: Axes

    def of(self, name: str) -> Tensor:
        """Axes of a tensor."""

    def makes(self, op: Op, axis: Axis) -> None:
        """Note that an operator's weights decide how long an axis is: its filters, columns or table."""


Follow = Callable[[Walk, OpView], Sequence[Tensor]]
FOLLOWED: Final[dict[tuple[str, str], Follow]] = {}


def follows(*op_types: str, domain: str = "") -> Callable[[Follow], Follow]:
    """Register how the axes of these operators go together."""

    def register(function: Follow) -> Follow:
        FOLLOWED.update({(domain, op_type): function for op_type in op_types})
        return function

    return register


def kept(walk: Walk, given: Tensor, shape: Shape) -> Tensor:
    """The given axes where the output is as long as they are, its own sizes elsewhere."""
    if len(given) != len(shape):
        return tuple(fixed(size) for size in shape)
    return tuple(axis if walk.axes.size(axis) == size else fixed(size) for axis, size in zip(given, shape, strict=True))


def frozen(walk: Walk, op: OpView) -> list[Tensor]:
    """All sizes stay: what is not known of an operator, or mixes elements of all places (attention)."""
    for name in op.op.inputs:
        for axis in walk.of(name) if name else ():
            walk.axes.freeze(axis)
    return [tuple(fixed(size) for size in spec.shape or ()) for spec in op.outputs]


def _vectors(walk: Walk, op: OpView, axis: Axis, *positions: int) -> None:
    """Inputs with one element a channel."""
    for position in positions:
        own = walk.of(op.op.inputs[position]) if op.has(position) else ()
        if own and walk.axes.size(own[-1]) == walk.axes.size(axis):
            walk.axes.unify(own[-1], axis)


# ---- products ----------------------------------------------------------------------------------------------------


def _convolution(data: int, weight: int, bias: int, per_channel: tuple[int, ...] = ()) -> Follow:
    """A convolution with its inputs at these positions (channels first): plain, grouped or depthwise."""

    def follow(walk: Walk, op: OpView) -> list[Tensor]:
        image, (filters, depth, *window) = walk.of(op.op.inputs[data]), walk.of(op.op.inputs[weight])
        for side in (*window, image[0], *image[2:]):
            walk.axes.freeze(side)
        groups = op.attr("group", 1)
        if groups > 1 and groups == op.shape(data)[1]:
            times = op.shape(weight)[0] // groups
            walk.axes.unify(filters, tuple((unknown, count * times) for unknown, count in image[1]))
        elif groups > 1:
            walk.axes.chunk(filters, groups)
            walk.axes.unify(depth, walk.axes.chunk(image[1], groups))
        else:
            walk.axes.unify(depth, image[1])
        if groups == 1 or groups != op.shape(data)[1]:
            walk.makes(op.op, filters)  # a depthwise convolution takes as many as come
        _vectors(walk, op, filters, bias, *per_channel)
        return [(image[0], filters, *(fixed(size) for size in op.out_shape()[2:]))]

    return follow


follows("Conv")(_convolution(0, 1, 2))
follows("QLinearConv")(_convolution(0, 3, 8, (4, 5)))
follows("ConvInteger")(_convolution(0, 1, 9, (3,)))


@follows("ConvTranspose")
def conv_transpose(walk: Walk, op: OpView) -> Sequence[Tensor]:
    """Filters lie along the second axis of the weights; groups are followed where each has one channel."""
    image, (depth, filters, *window) = walk.of(op.op.inputs[0]), walk.of(op.op.inputs[1])
    groups = op.attr("group", 1)
    if groups > 1 and (groups != op.shape(0)[1] or op.shape(1)[1] != 1):
        return frozen(walk, op)
    for side in (*window, image[0], *image[2:]):
        walk.axes.freeze(side)
    walk.axes.unify(depth, image[1])
    made = filters if groups == 1 else depth
    if groups == 1:
        walk.makes(op.op, made)
    _vectors(walk, op, made, 2)
    return [(image[0], made, *(fixed(size) for size in op.out_shape()[2:]))]


@follows("FusedConv", domain=MS)
def fused_conv(walk: Walk, op: OpView) -> Sequence[Tensor]:
    """A convolution to which another tensor may be added."""
    (made,) = _convolution(0, 1, 2)(walk, op)
    for axis, other in zip(made, walk.of(op.op.inputs[3]) if op.has(3) else (), strict=False):
        walk.axes.unify(axis, other)
    return [made]


def _gemm(data: int, weight: int, bias: int, per_channel: tuple[int, ...] = ()) -> Follow:
    def follow(walk: Walk, op: OpView) -> list[Tensor]:
        rows, inner = walk.of(op.op.inputs[data])[:: -1 if op.attr("transA", 0) else 1]
        depth, columns = walk.of(op.op.inputs[weight])[:: -1 if op.attr("transB", 0) else 1]
        walk.axes.unify(inner, depth)
        if op.tensor(weight).role == "weight":
            walk.makes(op.op, columns)
        _vectors(walk, op, columns, bias, *per_channel)
        return [(rows, columns)]

    return follow


follows("Gemm")(_gemm(0, 1, 2))
follows("FusedGemm", domain=MS)(_gemm(0, 1, 2))
follows("QGemm", domain=MS)(_gemm(0, 3, 6, (4, 5)))


def _matmul(left: int, right: int, per_column: tuple[int, ...] = ()) -> Follow:
    """Followed where one side is a matrix of weights; two activations are attention, whose heads stay."""

    def follow(walk: Walk, op: OpView) -> Sequence[Tensor]:
        a, b = walk.of(op.op.inputs[left]), walk.of(op.op.inputs[right])
        if op.tensor(right).role == "weight" and len(b) == 2 and len(a) > 1:
            walk.axes.unify(a[-1], b[0])
            walk.makes(op.op, b[1])
            _vectors(walk, op, b[1], *per_column)
            return [(*a[:-1], b[1])]
        if op.tensor(left).role == "weight" and len(a) == 2 and len(b) > 1:
            walk.axes.unify(a[1], b[-2])
            walk.makes(op.op, a[0])
            return [(*b[:-2], a[0], b[-1])]
        return frozen(walk, op)

    return follow


follows("MatMul")(_matmul(0, 1))
follows("MatMulInteger")(_matmul(0, 1, (3,)))
follows("QLinearMatMul")(_matmul(0, 3, (4, 5)))
follows("DynamicQuantizeMatMul", domain=MS)(_matmul(0, 1, (2, 3, 4)))
follows("MatMulIntegerToFloat", domain=MS)(_matmul(0, 1, (3, 5, 6)))


# ---- element by element, norms, pools ----------------------------------------------------------------------------


def broadcast(walk: Walk, op: OpView) -> Sequence[Tensor]:
    """Axes aligned from the right are equal where none of them is 1; the older form, aligned by an attribute, stays."""
    shape = op.out_shape()
    if op.attr("broadcast", 0):
        return frozen(walk, op)
    given = [walk.of(name) for i, name in enumerate(op.op.inputs) if name and op.tensor(i).shape is not None]
    result = []
    for place, size in enumerate(shape, -len(shape)):
        there = [axes[place] for axes in given if len(axes) >= -place and walk.axes.size(axes[place]) == size != 1]
        for other in there[1:]:
            walk.axes.unify(there[0], other)
        result.append(there[0] if there else fixed(size))
    return [tuple(result) for _ in op.outputs]


follows("QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QuickGelu", "FastGelu", "Gelu", "BiasGelu",
        domain=MS)(broadcast)  # fmt: skip
follows("RotaryEmbedding", "SwiGLU", "AffineGrid")(frozen)


def same(walk: Walk, op: OpView) -> list[Tensor]:
    """Every output has the axes of the first input."""
    return [kept(walk, walk.of(op.op.inputs[0]), spec.shape or ()) for spec in op.outputs]


def slid(walk: Walk, op: OpView) -> list[Tensor]:
    """Channels go on; the axes that a window slides along stay."""
    for axis in walk.of(op.op.inputs[0])[2:]:
        walk.axes.freeze(axis)
    return same(walk, op)


follows("Identity", "Dropout", "Cast", "CastLike", "Softmax", "LogSoftmax", "Hardmax", "LRN", "LpNormalization",
        "MeanVarianceNormalization", "CumSum")(same)  # fmt: skip
follows("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")(slid)
follows("QLinearAveragePool", "QLinearGlobalAveragePool", domain=MS)(slid)


@follows("BatchNormalization", "InstanceNormalization")
def channel_norm(walk: Walk, op: OpView) -> list[Tensor]:
    """Vectors with an element a channel; the statistics of training go out as they come in."""
    image = walk.of(op.op.inputs[0])
    _vectors(walk, op, image[1], *range(1, len(op.inputs)))
    return [image, *((image[1],) for _ in op.outputs[1:])]


@follows("GroupNormalization")
def group_norm(walk: Walk, op: OpView) -> list[Tensor]:
    """Groups of channels stay as many."""
    image = walk.of(op.op.inputs[0])
    walk.axes.chunk(image[1], op.attr("num_groups", 1))
    if op.shape(1)[0] == op.shape(0)[1]:
        _vectors(walk, op, image[1], 1, 2)
    return [image]


@follows("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
@follows("SimplifiedLayerNormalization", domain=MS)
def layer_norm(walk: Walk, op: OpView) -> list[Tensor]:
    """Scale and shift have the last axes of the input; means and deviations lose them."""
    rows = walk.of(op.op.inputs[0])
    for name in op.op.inputs[1:]:
        own = walk.of(name) if name else ()
        for one, other in zip(reversed(own), reversed(rows), strict=False):
            if walk.axes.size(one) == walk.axes.size(other):
                walk.axes.unify(one, other)
    return [kept(walk, rows, spec.shape or ()) for spec in op.outputs]


@follows("QuantizeLinear", "DequantizeLinear")
def quantize(walk: Walk, op: OpView) -> Sequence[Tensor]:
    """One scale, or one an element of an axis; blocks along an axis stay."""
    given = walk.of(op.op.inputs[0])
    if op.elements(1) > 1:
        if op.tensor(1).rank != 1:
            return frozen(walk, op)
        _vectors(walk, op, given[op.axis(default=1)], 1, 2)
    return [given]


@follows("DynamicQuantizeLinear")
def dynamic_quantize(walk: Walk, op: OpView) -> list[Tensor]:
    """The quantized tensor, its scale and its zero point."""
    return [walk.of(op.op.inputs[0]), (), ()]


REDUCTIONS: Final = ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")


@follows(*(f"Reduce{name}" for name in REDUCTIONS))
def reduce(walk: Walk, op: OpView) -> list[Tensor]:
    """Axes that are summed up are 1 or gone, the others stay."""
    given = walk.of(op.op.inputs[0])
    axes = op.ints_at(1, "axes") or (() if op.attr("noop_with_empty_axes", 0) else tuple(range(len(given))))
    gone = {normal_axis(axis, len(given)) for axis in axes}
    if op.attr("keepdims", 1):
        return [tuple(fixed(1) if i in gone else axis for i, axis in enumerate(given))]
    return [tuple(axis for i, axis in enumerate(given) if i not in gone)]


# ---- elements moved ----------------------------------------------------------------------------------------------


@follows("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def view(walk: Walk, op: OpView) -> list[Tensor]:
    """The same elements as another shape."""
    return [reshaped(walk.axes, walk.of(op.op.inputs[0]), op.out_shape())]


@follows("Transpose")
def transpose(walk: Walk, op: OpView) -> list[Tensor]:
    """Axes in another order."""
    given = walk.of(op.op.inputs[0])
    return [tuple(given[i] for i in op.attr_ints("perm") or range(len(given))[::-1])]


@follows("Concat")
def concat(walk: Walk, op: OpView) -> list[Tensor]:
    """Pieces side by side along one axis, all others equal."""
    place = op.axis(default=1)
    parts = [walk.of(name) for name in op.op.inputs]
    for part in parts[1:]:
        for i, (one, other) in enumerate(zip(parts[0], part, strict=True)):
            if i != place:
                walk.axes.unify(one, other)
    joined = tuple(piece for part in parts for piece in part[place])
    return [(*parts[0][:place], joined, *parts[0][place + 1 :])]


@follows("Split")
def split(walk: Walk, op: OpView) -> list[Tensor]:
    """Runs of one axis."""
    given, place = walk.of(op.op.inputs[0]), op.axis()
    runs = walk.axes.cut(given[place], [op.out_shape(i)[place] for i in range(len(op.outputs))])
    return [(*given[:place], run, *given[place + 1 :]) for run in runs]


@follows("Slice")
def slice_(walk: Walk, op: OpView) -> list[Tensor]:
    """Axes that are taken whole go on; those that are cut stay."""
    given = walk.of(op.op.inputs[0])
    for axis, taken, size in zip(given, slices(op), op.shape(0), strict=True):
        if taken.indices(size) != (0, size, 1):
            walk.axes.freeze(axis)
    return [kept(walk, given, op.out_shape())]


@follows("Pad", "Resize", "Upsample", "Tile")
def enlarge(walk: Walk, op: OpView) -> Sequence[Tensor]:
    """Axes that grow or shrink stay as they were; the others go on."""
    given, shape = walk.of(op.op.inputs[0]), op.out_shape()
    for axis, size in zip(given, shape, strict=True):
        if walk.axes.size(axis) != size:
            walk.axes.freeze(axis)
    return [kept(walk, given, shape)]


@follows("Expand")
def expand(walk: Walk, op: OpView) -> list[Tensor]:
    """Axes of size 1 become as long as asked, the others go on."""
    given, shape = walk.of(op.op.inputs[0]), op.out_shape()
    lead = len(shape) - len(given)
    return [(*(fixed(size) for size in shape[:lead]), *kept(walk, given, shape[lead:]))]


@follows("Gather")
def gather(walk: Walk, op: OpView) -> list[Tensor]:
    """Rows picked along one axis, which stays; a table of weights makes the axes of its entries."""
    given, place = walk.of(op.op.inputs[0]), op.axis()
    walk.axes.freeze(given[place])
    if op.tensor(0).role == "weight":
        for axis in (*given[:place], *given[place + 1 :]):
            walk.makes(op.op, axis)
    picked = op.shape(1)
    return [(*given[:place], *(fixed(size) for size in picked), *given[place + 1 :])]
