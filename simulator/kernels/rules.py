"""Fusion rules: which operator joins the kernel of which producer. A runtime switches them on by name.

A rule looks at one operator and the kernels made so far, and answers the kernel it would join. The partition then
refuses what would make kernels wait for each other in a circle. To add a rule, decorate a function here and name it in
`hardware/runtimes/*.yaml`.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from simulator.graph.types import Op, TensorSpec
from simulator.kernels.idioms import Idiom
from simulator.ops.work import CONVOLUTIONS, MAC_KINDS, Kind, Work


class Partition(Protocol):
    """What a rule may ask about the kernels made so far."""

    def op(self, index: int) -> Op:
        """Operator `index`."""

    def work(self, index: int) -> Work:
        """Its work."""

    def kind(self, index: int) -> Kind:
        """Its kernel class."""

    def kernel_of(self, index: int) -> int:
        """Kernel of an operator that has one."""

    def producers(self, index: int) -> Sequence[int]:
        """Kernels that make its activation inputs, latest first, each once."""

    def feeds_from(self, index: int) -> Sequence[int]:
        """Operators that make its activation inputs."""

    def is_only_reader(self, index: int, producer: int) -> bool:
        """Whether nothing else reads what operator `producer` makes for `index`."""

    def elements(self, index: int) -> int:
        """Output elements of operator `index`."""

    def are_only_readers(self, ops: frozenset[int], producer: int) -> bool:
        """Whether only these operators read what operator `producer` makes."""

    def constants(self, index: int) -> Sequence[TensorSpec]:
        """Weights among its inputs."""

    def rank(self, index: int) -> int:
        """Dimensions of what it makes."""

    def kernel_kinds(self, kernel: int) -> frozenset[Kind]:
        """Kernel classes of the operators in a kernel."""

    def function(self, index: int) -> Idiom:
        """The function that it belongs to: of itself alone, where it is none of several."""


FusionRule = Callable[[Partition, int], "int | None"]
FUSION_RULES: Final[dict[str, FusionRule]] = {}

ELEMENTWISE = frozenset({Kind.POINTWISE, Kind.CAST})
_STAGED = ELEMENTWISE | {Kind.POOL}
_FUNCTIONS = frozenset(
    {"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Softplus"}
)
# functions that read their argument more than once
USE_TWICE = frozenset({"HardSwish", "Gelu", "Mish", "Elu", "Selu", "Celu", "LeakyRelu", "PRelu"})
# what blocked convolutions apply to a register of results before they store it, and what such functions are written as
_IN_REGISTERS = frozenset({"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Cast"})
_HARD = frozenset({"Relu", "Clip", "Min", "Max", "HardSigmoid", "Add", "Mul", "Div", "Cast"})
_IMAGE_RANK: Final = 4
_INTO_WEIGHTS = frozenset({"Add", "Sub", "Mul", "Div", "Cast"})
# what a code generator writes itself; matrix products and pools stay calls of a library
GENERATED = ELEMENTWISE | {Kind.NORM, Kind.SOFTMAX, Kind.REDUCTION}


def fusion(name: str) -> Callable[[FusionRule], FusionRule]:
    """Register a fusion rule under the name that runtimes use."""

    def register(rule: FusionRule) -> FusionRule:
        if name in FUSION_RULES:
            raise ValueError(f"two fusion rules are named '{name}'")
        FUSION_RULES[name] = rule
        return rule

    return register


def _same_size(partition: Partition, index: int, producer: int) -> bool:
    return partition.elements(index) == partition.elements(producer)


@fusion("batch_norm")
def batch_norm(partition: Partition, index: int) -> int | None:
    """A batch norm folds into the convolution or matrix product that alone feeds it."""
    if partition.op(index).op_type != "BatchNormalization":
        return None
    return _mac_epilogue(partition, index)


@fusion("activation")
def activation(partition: Partition, index: int) -> int | None:
    """An element-wise operator of one input joins the matrix product or convolution that alone feeds it."""
    if partition.kind(index) not in ELEMENTWISE or len(partition.feeds_from(index)) != 1:
        return None
    return _mac_epilogue(partition, index)


@fusion("output_stage")
def output_stage(partition: Partition, index: int) -> int | None:
    """A function of one input runs in the output stage of the product, pool or sum that alone feeds it (Ethos-U)."""
    feeds = partition.feeds_from(index)
    if partition.kind(index) is not Kind.POINTWISE or len(feeds) != 1:
        return None
    if not partition.is_only_reader(index, feeds[0]) or not _same_size(partition, index, feeds[0]):
        return None
    kernel = partition.producers(index)[0]
    one_input = partition.op(index).op_type in _FUNCTIONS
    return kernel if one_input and partition.kernel_kinds(kernel) <= MAC_KINDS | _STAGED else None


def _mac_epilogue(partition: Partition, index: int) -> int | None:
    feeds = partition.feeds_from(index)
    if len(feeds) != 1 or not partition.is_only_reader(index, feeds[0]) or not _same_size(partition, index, feeds[0]):
        return None
    kernel = partition.producers(index)[0]
    return kernel if partition.kernel_kinds(kernel) & MAC_KINDS else None


@fusion("convolution_norm")
def convolution_norm(partition: Partition, index: int) -> int | None:
    """A batch norm folds into the convolution that alone feeds it, but not into a matrix product."""
    kernel = batch_norm(partition, index)
    return kernel if kernel is not None and partition.kernel_kinds(kernel) & CONVOLUTIONS else None


@fusion("register_function")
def register_function(partition: Partition, index: int) -> int | None:
    """A function that takes a few instructions joins the convolution or linear layer that alone feeds it: it is applied to the
    sums in registers. SiLU and GELU are passes of their own. A batch norm of an image is a convolution of each channel by itself.

    Source: ONNX Runtime, core/optimizer: conv_activation_fusion.cc, gemm_activation_fusion.cc, nchwc_transformer.cc;
    conv_mul_fusion.cc and conv_add_fusion.cc fold a scale or shift by constants into a convolution's weights.
    """
    feeds, types = partition.feeds_from(index), frozenset(partition.op(i).op_type for i in partition.function(index).ops)
    if partition.kind(index) not in ELEMENTWISE or len(feeds) != 1 or not _same_size(partition, index, feeds[0]):
        return None
    kernel = partition.producers(index)[0]
    kinds = partition.kernel_kinds(kernel)
    if len(types) > 1:
        return kernel if types <= _HARD and kinds & CONVOLUTIONS else None
    norm = partition.op(feeds[0]).op_type == "BatchNormalization" and partition.rank(index) == _IMAGE_RANK
    known = types <= _IN_REGISTERS and (norm or bool(kinds & (CONVOLUTIONS | {Kind.GEMM})))
    folds = types <= _INTO_WEIGHTS and bool(kinds & CONVOLUTIONS) and bool(partition.constants(index))
    return kernel if (known or folds) and partition.is_only_reader(index, feeds[0]) else None


@fusion("product_scale")
def product_scale(partition: Partition, index: int) -> int | None:
    """A factor for all elements joins the product of activations that alone feeds it (BLAS: alpha)."""
    if partition.op(index).op_type not in ("Mul", "Div") or all(w.elements > 1 for w in partition.constants(index)):
        return None
    kernel = _mac_epilogue(partition, index)
    return kernel if kernel is not None and partition.kernel_kinds(kernel) & {Kind.BATCHED_GEMM} else None


@fusion("convolution_sum")
def convolution_sum(partition: Partition, index: int) -> int | None:
    """An addition of two activations joins the latest convolution among its producers, which starts from the other's values."""
    kernel = residual(partition, index) if partition.op(index).op_type in ("Add", "Sum") else None
    return kernel if kernel is not None and partition.kernel_kinds(kernel) & CONVOLUTIONS else None


@fusion("linear_bias")
def linear_bias(partition: Partition, index: int) -> int | None:
    """An addition of a vector of weights joins the matrix product that alone feeds it: a library adds it for nothing."""
    if partition.op(index).op_type != "Add" or all(w.rank != 1 for w in partition.constants(index)):
        return None
    feeds = partition.feeds_from(index)
    if len(feeds) != 1 or partition.kind(feeds[0]) is not Kind.GEMM or not partition.is_only_reader(index, feeds[0]):
        return None
    return partition.kernel_of(feeds[0])


@fusion("residual")
def residual(partition: Partition, index: int) -> int | None:
    """An addition of two activations joins the latest matrix product or convolution among its producers."""
    if partition.op(index).op_type not in ("Add", "Sum", "Sub", "Mul"):
        return None
    for kernel, feed in _latest_feeds(partition, index):
        if (
            partition.kernel_kinds(kernel) & MAC_KINDS
            and partition.is_only_reader(index, feed)
            and _same_size(partition, index, feed)
        ):
            return kernel
    return None


@fusion("gate")
def gate(partition: Partition, index: int) -> int | None:
    """X · f(x) (SiLU, hard-swish, GELU) stays in the kernel that made x, though x has two readers."""
    if partition.kind(index) not in ELEMENTWISE:
        return None
    kernels = partition.producers(index)
    if len(kernels) != 1 or not any(_same_size(partition, index, f) for f in partition.feeds_from(index)):
        return None
    return kernels[0] if partition.kernel_kinds(kernels[0]) & MAC_KINDS else None


@fusion("pointwise")
def pointwise(partition: Partition, index: int) -> int | None:
    """An element-wise operator joins the latest producer of as many elements, whatever that is but a copy."""
    if partition.kind(index) not in ELEMENTWISE and partition.op(index).op_type != "BatchNormalization":
        return None
    for kernel, feed in _latest_feeds(partition, index):
        if _same_size(partition, index, feed) and partition.kernel_kinds(kernel) - {Kind.COPY, Kind.OTHER}:
            return kernel
    return None


@fusion("pointwise_chain")
def pointwise_chain(partition: Partition, index: int) -> int | None:
    """An element-wise operator joins element-wise kernels and norms, but not matrix products, which library calls run."""
    if partition.kind(index) not in ELEMENTWISE and partition.op(index).op_type != "BatchNormalization":
        return None
    for kernel, feed in _latest_feeds(partition, index):
        if _same_size(partition, index, feed) and partition.kernel_kinds(kernel) <= GENERATED:
            return kernel
    return None


@fusion("concat")
def concat(partition: Partition, index: int) -> int | None:
    """A concatenation of few parts is generated code: it joins the latest element-wise kernel that alone makes one of them."""
    if partition.op(index).op_type != "Concat" or partition.kind(index) is not Kind.POINTWISE:
        return None
    for kernel, feed in _latest_feeds(partition, index):
        if partition.is_only_reader(index, feed) and partition.kernel_kinds(kernel) <= ELEMENTWISE:
            return kernel
    return None


@fusion("generated_pad")
def generated_pad(partition: Partition, index: int) -> int | None:
    """Padding with a constant is generated code: it joins the element-wise kernel that alone makes its input.

    Not where that is a function which uses its own argument twice: the argument is written then, and the function computed
    as it is padded (Inductor's realize_reads_threshold).
    """
    if not pads_with_a_constant(partition.op(index)) or partition.kind(index) is not Kind.POINTWISE:
        return None
    feeds = partition.feeds_from(index)
    if len(feeds) != 1 or not partition.is_only_reader(index, feeds[0]):
        return None
    if _uses_twice(partition, feeds[0]):
        return None
    kernel = partition.kernel_of(feeds[0])
    return kernel if partition.kernel_kinds(kernel) <= GENERATED else None


def _uses_twice(partition: Partition, index: int) -> bool:
    """Whether an operator makes x · f(x), or is known to read its argument more than once."""
    feeds = partition.feeds_from(index)
    gated = partition.op(index).op_type == "Mul" and any(set(partition.feeds_from(f)) & set(feeds) for f in feeds)
    return gated or partition.op(index).op_type in USE_TWICE


@fusion("norm")
def norm(partition: Partition, index: int) -> int | None:
    """A norm or softmax joins the element-wise kernel that makes its input (the residual addition before it)."""
    if partition.kind(index) not in (Kind.NORM, Kind.SOFTMAX):
        return None
    for kernel, feed in _latest_feeds(partition, index):
        if _same_size(partition, index, feed) and partition.kernel_kinds(kernel) <= ELEMENTWISE:
            return kernel
    return None


@fusion("skip_norm")
def skip_norm(partition: Partition, index: int) -> int | None:
    """A norm joins the addition of two activations that it alone reads (post-norm transformers: SkipLayerNormalization)."""
    function = partition.function(index)
    if function.kind is not Kind.NORM:
        return None
    for kernel, feed in _latest_feeds(partition, index):
        alone = partition.op(feed).op_type == "Add" and not partition.constants(feed)
        if alone and partition.kernel_kinds(kernel) <= ELEMENTWISE and partition.are_only_readers(function.ops, feed):
            return kernel
    return None


@fusion("pad")
def pad(partition: Partition, index: int) -> int | None:
    """A convolution joins the zero padding that is made for it alone: its loops stop at the edge instead."""
    if partition.kind(index) not in CONVOLUTIONS:
        return None
    before = index
    for _ in range(2):  # the padded tensor of a quantized network may be rounded once more
        feeds = partition.feeds_from(before)
        if len(feeds) != 1 or not partition.is_only_reader(before, feeds[0]):
            return None
        before = feeds[0]
        if pads_with_a_constant(partition.op(before)):
            kernel = partition.kernel_of(before)
            return kernel if partition.kernel_kinds(kernel) <= {Kind.COPY, *ELEMENTWISE} else None
        if partition.op(before).op_type != "QuantizeLinear":
            return None
    return None


def pads_with_a_constant(op: Op) -> bool:
    """Whether it is a Pad that writes a constant around its input."""
    return op.op_type == "Pad" and op.attrs.get("mode", "constant") in ("constant", b"constant")


@fusion("pool")
def pool(partition: Partition, index: int) -> int | None:
    """A pool joins the convolution that alone feeds it: the kernel keeps as many rows as the window is high."""
    if partition.op(index).op_type not in ("MaxPool", "AveragePool"):
        return None
    feeds = partition.feeds_from(index)
    if len(feeds) != 1 or not partition.is_only_reader(index, feeds[0]):
        return None
    kernel = partition.kernel_of(feeds[0])
    kinds = partition.kernel_kinds(kernel)
    return kernel if kinds & CONVOLUTIONS and Kind.POOL not in kinds else None


@fusion("quantize")
def quantize(partition: Partition, index: int) -> int | None:
    """A QuantizeLinear joins the kernel whose result it rounds (DequantizeLinear is free: see the partition)."""
    if partition.op(index).op_type != "QuantizeLinear":
        return None
    kernels = partition.producers(index)
    return kernels[0] if len(kernels) == 1 else None


def _latest_feeds(partition: Partition, index: int) -> list[tuple[int, int]]:
    """(kernel, operator) of the activation inputs, latest kernel first."""
    order = {kernel: rank for rank, kernel in enumerate(partition.producers(index))}
    pairs = [(partition.kernel_of(feed), feed) for feed in partition.feeds_from(index)]
    return sorted(pairs, key=lambda pair: order.get(pair[0], len(order)))
