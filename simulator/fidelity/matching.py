"""Which of our kernels the operators of a profile belong to.

Runtimes rename what they fuse: `/layer1/relu/Relu_output_0_nchwc` is a convolution with what follows it, called by its last
tensor, `/attn/MatMul/MatMulAddFusion` a product with its bias. An operator belongs to the kernel that holds the node, or makes
the tensor, that is left of its name; one without a name of the file, to the next kernel of its class that nothing
belongs to.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from simulator.fidelity.profile import OperatorTime
from simulator.graph.graph import Graph
from simulator.kernels.types import Kernel
from simulator.ops.blocks import IN_BLOCKS
from simulator.ops.registry import MS, NCHWC, find_rule
from simulator.ops.work import Kind
from simulator.result.prediction import Prepared

How = Literal["name", "order"]
# what ONNX Runtime puts behind a name: another copy of it, a layout, a fusion
_SUFFIX: Final = re.compile(r"(_token_\d+|_nchwc|_new_reshape|_kernel_time|_quant|_weight_transposed|/[A-Za-z]*[Ff]usion/?|/+)$")
_OUTPUT: Final = re.compile(r"_output_\d+$")
_QUANTIZED: Final = re.compile(r"_(De)?[Qq]uantize(Linear)?$")
_KINDS: Final = {"QuickGelu": Kind.POINTWISE, "FusedMatMul": Kind.BATCHED_GEMM}
_ORDERED: Final = frozenset({Kind.POINTWISE, Kind.NORM, Kind.SOFTMAX, Kind.ATTENTION, Kind.BATCHED_GEMM, Kind.GEMM})


@dataclass(frozen=True, slots=True)
class Matching:
    """Kernel (its index) of each operator of a profile that has one, by position, and how it was found.

    `by_name` and `by_order` are the shares of the operators' time matched in these ways; the rest belongs to no kernel.
    """

    kernels: Mapping[int, int]
    how: Mapping[int, How]
    by_name: float
    by_order: float

    @property
    def matched(self) -> float:
        """Share of the time that has a kernel."""
        return self.by_name + self.by_order


def match(operators: Sequence[OperatorTime], prepared: Prepared) -> Matching:
    """The kernels of a profile's operators, in the order in which they ran."""
    names = kernel_names(prepared.graph, prepared.kernels)
    found = {i: index for i, o in enumerate(operators) if (index := _by_name(o.name, names)) is not None}
    how: dict[int, How] = dict.fromkeys(found, "name")
    for i, index in _by_order(operators, found, prepared.work.kinds):
        found[i], how[i] = index, "order"
    total = sum(o.latency_s for o in operators) or 1.0
    shares = {way: sum(operators[i].latency_s for i, w in how.items() if w == way) / total for way in ("name", "order")}
    return Matching(found, how, shares["name"], shares["order"])


def kernel_names(graph: Graph, kernels: Sequence[Kernel]) -> dict[str, int]:
    """Names of nodes and of the tensors they make → index of the kernel; a node's name goes before a tensor's."""
    nodes: dict[str, int] = {}
    tensors: dict[str, int] = {}
    for index, kernel in enumerate(kernels):
        for op in (graph.ops[i] for i in (*kernel.ops, *kernel.views)):
            if op.added and op.domain == NCHWC:  # a reorder, which profiles name after no node of the file
                continue
            for name in (op.name, *op.origin):
                nodes.setdefault(name, index)
            for name in op.outputs:
                tensors.setdefault(name.removesuffix(IN_BLOCKS), index)
    return {**tensors, **nodes}


def _by_name(name: str, names: Mapping[str, int]) -> int | None:
    return next((names[candidate] for candidate in _candidates(name) if candidate in names), None)


def _candidates(name: str) -> Iterator[str]:
    """A name, and what is left of it without what a runtime puts behind it."""
    yield name
    while (shorter := _SUFFIX.sub("", name)) != name:
        name = shorter
        yield name
    for pattern in (_QUANTIZED, _OUTPUT):
        if (shorter := pattern.sub("", name)) != name:
            name = shorter
            yield name
    for part in name.split(" + "):  # TensorRT joins the names of what it fuses
        yield part.strip()


def _by_order(operators: Sequence[OperatorTime], named: Mapping[int, int], kinds: Sequence[Kind]) -> Iterator[tuple[int, int]]:
    """Operators without a name of the file, each with the first free kernel of its class behind the last one matched."""
    taken, place = set(named.values()), -1
    for i, operator in enumerate(operators):
        if i in named:
            place = max(place, named[i])
            continue
        kind = _kind(operator.op_type)
        if kind not in _ORDERED:
            continue
        index = next((k for k, other in enumerate(kinds) if k >= place - 1 and other is kind and k not in taken), None)
        if index is not None:
            taken.add(index)
            yield i, index


def _kind(op_type: str) -> Kind | None:
    """Class of an operator of a profile."""
    rule = find_rule("", op_type) or find_rule(MS, op_type)
    return _KINDS.get(op_type) or (rule.kind if rule else None)
