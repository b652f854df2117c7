"""Operators that a framework runs beside those of the file: Graph → Graph.

Exporters fold a batch norm into the convolution before it, and write a convolution's bias as its input; frameworks run
both as passes of their own over the result. The operators put back are marked (`Op.added`), lead to the node they come
from (`Op.origin`), and carry work and bytes like any other. MACs, shapes and the result's name stay as they are.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from simulator.dtypes import INT64
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec

Tensors = Mapping[str, TensorSpec]
Rewrite = Callable[[Graph, Op], "tuple[tuple[Op, ...], Tensors] | None"]
ADDITIONS: Final[dict[str, Rewrite]] = {}
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_RUN_FIRST = frozenset({"weight_norm_first"})
_GROUP_NORMS = frozenset({"InstanceNormalization", "GroupNormalization"})
_INDEXED_ELEMENTS = 2**31 - 1  # what 32-bit indices reach
_RENAMED = "onnx::Conv"  # what PyTorch's exporter calls weights that it computes: those of a folded batch norm


def addition(name: str) -> Callable[[Rewrite], Rewrite]:
    """Register what takes the place of an operator, under the name that runtimes use (`adds`)."""

    def register(rewrite: Rewrite) -> Rewrite:
        ADDITIONS[name] = rewrite
        return rewrite

    return register


def with_added(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the operators that a runtime adds, of those that `ADDITIONS` knows."""
    for name, rewrite in ADDITIONS.items():
        if name in names:
            graph = _rewritten(graph, rewrite, first=name in _RUN_FIRST)
    return graph


def _rewritten(graph: Graph, rewrite: Rewrite, *, first: bool) -> Graph:
    """The graph with what takes the place of its operators; what is added before one of them runs there, or `first` of all."""
    ahead: list[Op] = []
    ops: list[Op] = []
    tensors = dict(graph.tensors)
    for op in graph.ops:
        found = None if op.constant else rewrite(graph, op)
        *before, own = (op,) if found is None else found[0]
        (ahead if first else ops).extend(before)
        ops.append(own)
        tensors.update({} if found is None else found[1])
    return replace(graph, ops=(*ahead, *ops), tensors=tensors)


@addition("batch_norm")
def batch_norm(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """A convolution whose bias is that of a folded batch norm writes its sums, and a batch norm reads and writes them."""
    if not _has_bias(graph, op) or not is_folded(graph, op):
        return None
    channels = graph.tensors[op.inputs[2]]
    names = [f"{op.name}/{part}" for part in ("scale", "shift", "mean", "variance")]
    vectors = {n: TensorSpec(n, (channels.elements,), channels.dtype, Role.WEIGHT) for n in names}
    return _split(graph, op, "BatchNormalization", "batch_norm", tuple(names), vectors)


@addition("wide_batch_norm")
def wide_batch_norm(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """A batch norm of 2^31 − 1 elements or more is element-wise code for any layout: cuDNN's kernels count in 32 bits.

    Source: PyTorch, aten/src/ATen/native/Normalization.cpp (`_select_batch_norm_backend`), cuda/Normalization.cu
    (`batch_norm_choose_impl`: `General` where 32-bit indices do not reach).
    """
    if op.op_type != "BatchNormalization" or op.domain or graph.tensors[op.outputs[0]].elements < _INDEXED_ELEMENTS:
        return None
    return (replace(op, op_type="batch_norm_any", domain="aten"),), {}


@addition("moments")
def moments(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """Group norms are two kernels: means and deviations first, then what they are applied to is read once more.

    Source: PyTorch, aten/src/ATen/native/cuda/group_norm_kernel.cu (`RowwiseMomentsCUDAKernel`).
    """
    if op.op_type not in _GROUP_NORMS or op.domain:
        return None
    data = graph.tensors[op.inputs[0]]
    made = replace(data, name=f"{op.name}/moments", shape=(data.shape or (1,))[:1], role=Role.ACTIVATION)
    first = Op(
        f"{op.name}/moments", "moments", "aten", graph.opset, (data.name,), (made.name,),
        origin=op.origin, repeat=op.repeat, added=True,
    )  # fmt: skip
    return (first, op), {made.name: made}


@addition("bias")
def bias(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """A convolution writes its sums, and an addition of the bias reads and writes them."""
    if not _has_bias(graph, op):
        return None
    vector = graph.tensors[op.inputs[2]]
    rank = graph.tensors[op.outputs[0]].rank
    column = TensorSpec(f"{op.name}/bias_column", (vector.elements, *(1,) * (rank - 2)), vector.dtype, Role.WEIGHT)
    return _split(graph, op, "Add", "bias", (column.name,), {column.name: column})


@addition("linear_bias")
def linear_bias(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """A linear layer that the file has with its bias, as a product and an addition: other exporters write these two."""
    if op.op_type != "Gemm" or op.domain or len(op.inputs) < 3 or not op.inputs[2]:
        return None
    vector = graph.tensors[op.inputs[2]]
    if vector.role is not Role.WEIGHT or vector.rank != 1 or not graph.tensors[op.outputs[0]].dtype.is_float:
        return None
    return _split(graph, op, "Add", "bias", (op.inputs[2],), {})


@addition("pad")
def pad(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """A convolution whose padding differs between the two ends of an axis reads what a Pad has written: libraries pad both
    ends alike, so that an exporter made it of the two.
    """
    given = op.attrs.get("pads")
    data = graph.tensors[op.inputs[0]] if op.inputs and op.inputs[0] else None
    if op.op_type != "Conv" or op.domain or not isinstance(given, tuple) or data is None or data.shape is None:
        return None
    before, after = given[: len(given) // 2], given[len(given) // 2 :]
    if before == after or len(given) != 2 * (data.rank - 2):
        return None
    sizes = tuple(size + b + a for size, b, a in zip(data.shape[2:], before, after, strict=True))
    padded = replace(data, name=f"{op.name}/padded", shape=(*data.shape[:2], *sizes), role=Role.ACTIVATION)
    first = Op(
        f"{op.name}/pad", "Pad", "", graph.opset, (data.name,), (padded.name,), {"pads": (0, 0, *before, 0, 0, *after)},
        origin=op.origin, repeat=op.repeat, added=True,
    )  # fmt: skip
    bare = replace(op, inputs=(padded.name, *op.inputs[1:]), attrs={**op.attrs, "pads": (0,) * len(given)})
    return (first, bare), {padded.name: padded}


@addition("pool_indices")
def pool_indices(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """A max pool writes the place of every maximum too, as int64, though nothing reads it: PyTorch's max_pool2d calls
    max_pool2d_with_indices on GPUs, with or without gradients (aten/src/ATen/native/Pooling.cpp).
    """
    if op.op_type != "MaxPool" or op.domain or any(op.outputs[1:]):
        return None
    result = graph.tensors[op.outputs[0]]
    places = replace(result, name=f"{op.name}/indices", dtype=INT64, role=Role.ACTIVATION)
    return (replace(op, outputs=(result.name, places.name)),), {places.name: places}


@addition("weight_norm")
def weight_norm(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """Weights of a convolution that the network standardises are standardised in every run, before the convolution reads them.

    The file makes them of several tensors by nodes that depend on nothing else. One normalisation over the weights of each
    output channel (Qiao et al. 2019, arXiv:1903.10520; NFNets, arXiv:2102.06171).
    """
    weight = graph.tensors[op.inputs[1]] if op.op_type == "Conv" and not op.domain and len(op.inputs) > 1 else None
    if weight is None or weight.role is not Role.WEIGHT or not weight.dtype.is_float or weight.shape is None:
        return None
    if not _is_computed(graph, weight.name):
        return None
    gains = TensorSpec(f"{op.name}/weight_gain", weight.shape[1:], weight.dtype, Role.WEIGHT)
    normed = replace(weight, name=f"{op.name}/weight_normed")
    first = Op(
        f"{op.name}/weight_norm", "LayerNormalization", "", max(graph.opset, 17), (weight.name, gains.name), (normed.name,),
        {"axis": 1}, origin=op.origin, repeat=op.repeat, added=True,
    )  # fmt: skip
    reader = replace(op, inputs=(op.inputs[0], normed.name, *op.inputs[2:]))
    return (first, reader), {gains.name: gains, normed.name: normed}


@addition("weight_norm_first")
def weight_norm_first(graph: Graph, op: Op) -> tuple[tuple[Op, ...], Tensors] | None:
    """The same, all of them before anything else runs: TorchInductor's C++ code for CPUs has them in its first functions."""
    return weight_norm(graph, op)


def _is_computed(graph: Graph, weight: str) -> bool:
    """Whether a constant is computed from several floating-point tensors of the file."""
    sources = [graph.tensors[name] for name in graph.stored.get(weight, ()) if name in graph.tensors]
    return len(sources) > 1 and all(source.dtype.is_float for source in sources)


def _has_bias(graph: Graph, op: Op) -> bool:
    if op.op_type not in _CONVOLUTIONS or op.domain or len(op.inputs) < 3 or not op.inputs[2]:
        return False
    return graph.tensors[op.inputs[2]].role is Role.WEIGHT and graph.tensors[op.outputs[0]].dtype.is_float


def is_folded(graph: Graph, op: Op) -> bool:
    """Whether an exporter folded a batch norm into this convolution: it names the bias itself.

    PyTorch's TorchScript exporter renames weight and bias to `onnx::Conv_<n>`, torch.export makes a bias
    `<weight>_bias`; a bias of the network keeps its own name.
    """
    weight, bias = (graph.stored.get(name) or (name,) for name in op.inputs[1:3])
    return all(name.startswith(_RENAMED) for name in (*weight, *bias)) or bias == (f"{weight[0]}_bias",)


def _split(
    graph: Graph, op: Op, op_type: str, part: str, vectors: tuple[str, ...], tensors: Tensors
) -> tuple[tuple[Op, ...], Tensors]:
    """The convolution without its bias, and what comes after it under the name of its result."""
    result = graph.tensors[op.outputs[0]]
    sums = replace(result, name=f"{result.name}/sums", role=Role.ACTIVATION)
    bare = replace(op, inputs=op.inputs[:2], outputs=(sums.name,))
    after = Op(
        f"{op.name}/{part}", op_type, "", graph.opset, (sums.name, *vectors), (result.name,),
        origin=op.origin, repeat=op.repeat, added=True,
    )  # fmt: skip
    return (bare, after), {sums.name: sums, **tensors}
