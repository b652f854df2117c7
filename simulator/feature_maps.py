"""Feature maps of kernels: what an engine sees that works on blocks of an image. It knows no hardware.

An image of more than two axes folds into two, all but the last into its height; one of a single axis is a row. The
images of a batch and the groups of a convolution run one after the other. A product of up to four rows is a
fully-connected layer of so many columns, a larger one a 1 × 1 convolution over its rows. Element-wise operators take
tensors of four and more dimensions as batch, channels, image, smaller ones with the channels last.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from simulator.filters import Filter, filter_of
from simulator.graph.graph import Graph
from simulator.graph.types import Shape, TensorSpec
from simulator.kernels.types import Kernel
from simulator.ops.registry import find_rule
from simulator.ops.work import CONVOLUTIONS, Kind, Window, Work

Column = NDArray[np.float64]
Mask = NDArray[np.bool_]
_RESIZES = frozenset({"Resize", "Upsample"})
_ROWS_OF_A_VECTOR = 4  # Vela 4.2.0, convert_batched_fc_shape; of 6, 8, 9, 12 and 16 rows it makes small images instead
_SUMS = frozenset({"Add", "Sub", "Sum", "QLinearAdd"})
_PRODUCTS = frozenset({"Mul", "QLinearMul"})
_MAXIMA = frozenset({"MaxPool", "NhwcMaxPool", "GlobalMaxPool"})
_CLIPS = frozenset({"Relu", "Clip"})
_TABLES = frozenset({"Elu", "HardSigmoid", "HardSwish", "Selu"})  # besides all that have special functions


class Form(StrEnum):
    """What a kernel's main operator is to such an engine."""

    DENSE = "dense"
    DEPTHWISE = "depthwise"
    POOL = "pool"
    VECTOR = "vector"  # fully connected: its weights are used once
    ELEMENTWISE = "elementwise"
    NONE = "none"  # softmax, norms, reductions, copies, attention: no block form


class Stage(StrEnum):
    """What the output stage does to an element."""

    SUM = "sum"
    PRODUCT = "product"
    MAXIMUM = "maximum"
    OTHER = "other"


class Function(StrEnum):
    """The activation function behind it."""

    NONE = "none"
    CLIP = "clip"
    TABLE = "table"  # looked up in a table


_WEIGHTED = frozenset({Form.DENSE, Form.DEPTHWISE, Form.VECTOR})


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """One row a kernel; `images` of each are worked on, one after the other.

    `output` and `data` are (n_kernels, 3): height, width, channels; `kernel`, `strides` and `dilations` (n_kernels, 2).
    `inputs` counts the operands of an element-wise kernel but scalars: those that are broadcast are read in full size too;
    `operand_words` are their elements for an image, each read once. `upscaled` marks pools of an image made twice as high and
    wide by its nearest elements. `entering_bytes` and `leaving_bytes` are what it reads of
    inputs and writes of outputs of the network; linear maps are those and what is reshaped. Rows of form NONE are 1
    everywhere. `filters` are the weights that an engine may read encoded.
    """

    forms: tuple[Form, ...]
    stages: tuple[Stage, ...]
    functions: tuple[Function, ...]
    images: Column
    output: Column
    data: Column
    kernel: Column
    strides: Column
    dilations: Column
    inputs: Column
    operand_words: Column
    upscaled: Mask
    entering_bytes: Column
    leaving_bytes: Column
    data_linear: Mask
    output_linear: Mask
    filters: tuple[Filter | None, ...]

    @property
    def from_input(self) -> Mask:
        """Which rows read an input of the network."""
        return self.entering_bytes > 0

    def has(self, *forms: Form) -> Mask:
        """Which rows are of one of these forms."""
        return np.array([form in forms for form in self.forms], np.bool_)


@dataclass(frozen=True, slots=True)
class _Sizes:
    form: Form = Form.NONE
    images: int = 1
    output: tuple[int, int, int] = (1, 1, 1)
    data: tuple[int, int, int] = (1, 1, 1)
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    inputs: int = 1
    operand_words: float = 1.0
    upscaled: bool = False

    @property
    def is_empty(self) -> bool:
        return 0 in (self.images, *self.output, *self.data, *self.kernel)


def feature_maps(graph: Graph, kernels: Sequence[Kernel], works: Sequence[Work]) -> FeatureMaps:
    """The feature maps of a partitioned graph."""
    sizes = [_sizes(graph, kernel, works[kernel.main]) for kernel in kernels]
    sizes = [_Sizes() if found.is_empty else found for found in sizes]

    def table(name: str, *columns: int) -> Column:
        return np.array([getattr(found, name) for found in sizes], np.float64).reshape(len(sizes), *columns)

    return FeatureMaps(
        tuple(found.form for found in sizes),
        tuple(_stage(graph.ops[kernel.main].op_type) for kernel in kernels),
        tuple(_function(graph, kernel, works) for kernel in kernels),
        table("images"), table("output", 3), table("data", 3), table("kernel", 2), table("strides", 2), table("dilations", 2),
        table("inputs"), table("operand_words"), np.array([found.upscaled for found in sizes], np.bool_),
        _boundary_bytes(graph, kernels, lambda k: k.inputs), _boundary_bytes(graph, kernels, lambda k: k.outputs),
        np.array([_is_linear(graph, [t.name for t in k.inputs], s.data) for k, s in zip(kernels, sizes, strict=True)], np.bool_),
        np.array([_is_linear(graph, [t.name for t in k.outputs], s.output) for k, s in zip(kernels, sizes, strict=True)],
                 np.bool_),
        tuple(filter_of(graph, k, works[k.main].gemm) if s.form in _WEIGHTED else None
              for k, s in zip(kernels, sizes, strict=True)),
    )  # fmt: skip


def _boundary_bytes(graph: Graph, kernels: Sequence[Kernel], side: Callable[[Kernel], Sequence[TensorSpec]]) -> Column:
    """Bytes of the tensors on one side of each kernel that enter or leave the network."""
    ends = {*graph.inputs, *graph.outputs}
    found = [sum(t.size_bytes for t in side(k) if t.name in ends) * graph.ops[k.main].repeat for k in kernels]
    return np.array(found, np.float64)


def _sizes(graph: Graph, kernel: Kernel, work: Work) -> _Sizes:
    """Sizes of a kernel's main operator."""
    if work.window is not None and (kernel.kind is Kind.POOL or (kernel.kind in CONVOLUTIONS and work.gemm)):
        return _windowed(graph, kernel, work, work.window)
    if kernel.kind is Kind.GEMM and work.gemm:
        return _product(graph, kernel, work)
    if kernel.kind is Kind.COPY and graph.ops[kernel.main].op_type in _RESIZES:
        return _resized(graph, kernel)
    return _elementwise(graph, kernel) if kernel.kind is Kind.POINTWISE else _Sizes()


def _windowed(graph: Graph, kernel: Kernel, work: Work, window: Window) -> _Sizes:
    main = graph.ops[kernel.main]
    made = graph.tensors[main.outputs[0]]
    batch = made.shape[0] if made.shape else 1
    channels = made.elements // max(batch * math.prod(window.output), 1)
    form, groups, deep = Form.POOL, 1, channels
    if work.gemm and kernel.kind is Kind.DEPTHWISE_CONV:
        form = Form.DEPTHWISE
    elif work.gemm:
        form, groups, deep = Form.DENSE, work.gemm.groups, work.gemm.k // work.gemm.taps
    images = batch * groups * main.repeat
    output, data = (*_plane(window.output), channels // groups), (*_plane(window.data), deep)
    dilations = (main.attrs.get("dilations") or ()) if work.gemm else ()
    assert isinstance(dilations, tuple)
    return _Sizes(form, images, output, data, _plane(window.kernel), _last_two(window.strides), _last_two(dilations))


def _product(graph: Graph, kernel: Kernel, work: Work) -> _Sizes:
    gemm = work.gemm
    assert gemm is not None
    form = Form.VECTOR if gemm.m <= _ROWS_OF_A_VECTOR else Form.DENSE
    return _Sizes(form, gemm.groups * graph.ops[kernel.main].repeat, (1, gemm.m, gemm.n), (1, gemm.m, gemm.k))


def _resized(graph: Graph, kernel: Kernel) -> _Sizes:
    """Nearest neighbours of an image made twice as high and wide: a pool of 1 × 1. Other factors have no block form."""
    main = graph.ops[kernel.main]
    data, made = graph.tensors[main.inputs[0]].shape or (), graph.tensors[main.outputs[0]].shape or ()
    if len(data) != 4 or made != (*data[:2], 2 * data[2], 2 * data[3]):
        return _Sizes()
    batch, channels, height, width = data
    output, read = (2 * height, 2 * width, channels), (height, width, channels)
    return _Sizes(Form.POOL, batch * main.repeat, output, read, upscaled=True)


def _elementwise(graph: Graph, kernel: Kernel) -> _Sizes:
    main = graph.ops[kernel.main]
    made = graph.tensors[main.outputs[0]]
    shape = made.shape or ()
    images, channels, image = 1, shape[-1] if shape else 1, shape[:-1]
    if len(shape) > 3:
        images, channels, image = shape[0], shape[1], shape[2:]
    size = (*_plane(image), channels)
    read = {t.name: t.elements for t in kernel.inputs if t.elements > 1}
    operands = [read[name] for name in main.inputs if name in read][:2] or [made.elements]
    words = sum(operands) / max(images, 1)
    return _Sizes(Form.ELEMENTWISE, images * main.repeat, size, size, inputs=len(operands), operand_words=words)


def _plane(axes: Shape) -> tuple[int, int]:
    """Height and width of an image of any number of axes."""
    return math.prod(axes[:-1]), axes[-1] if axes else 1


def _last_two(steps: Shape) -> tuple[int, int]:
    """Strides or dilations along height and width."""
    return (steps[-2] if len(steps) > 1 else 1), steps[-1] if steps else 1


def _stage(op_type: str) -> Stage:
    stages = ((_SUMS, Stage.SUM), (_PRODUCTS, Stage.PRODUCT), (_MAXIMA, Stage.MAXIMUM))
    return next((stage for types, stage in stages if op_type in types), Stage.OTHER)


def _function(graph: Graph, kernel: Kernel, works: Sequence[Work]) -> Function:
    """The slowest function in a kernel."""
    ops = [graph.ops[index] for index in kernel.ops]
    if any(op.op_type in _TABLES or works[i].special_ops for i, op in zip(kernel.ops, ops, strict=True)):
        return Function.TABLE
    clips = any(op.op_type in _CLIPS or op.attrs.get("activation") for op in ops)
    return Function.CLIP if clips else Function.NONE


def _is_linear(graph: Graph, names: Sequence[str], size: tuple[int, int, int]) -> bool:
    """Whether one of these tensors enters or leaves the network, or is reshaped: more than one position, that is."""
    if any(name in graph.inputs or name in graph.outputs for name in names):
        return True
    touching = {i for name in names for i in (*graph.consumers.get(name, ()), graph.producer.get(name)) if i is not None}
    rules = [find_rule(graph.ops[i].domain, graph.ops[i].op_type) for i in touching]
    return size[0] * size[1] > 1 and any(rule is not None and rule.kind is Kind.VIEW for rule in rules)
