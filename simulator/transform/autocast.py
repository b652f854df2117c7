"""Automatic mixed precision as PyTorch's autocast does it: element types operator by operator, and the casts between.

Matrix products, convolutions and attention run in 16 bit, norms, softmax, powers, exponentials and sums in fp32; any
other operator takes the widest type it reads, weights of one dimension or more among it (scalars do not count). So the
residual stream of a network with fp32 position embeddings is fp32. Where an operator of the first two lists reads another
type, a cast runs before it; weights stay fp32 in memory and are cast in every forward pass.

Source: PyTorch, Automatic Mixed Precision package, CUDA operator reference, https://pytorch.org/docs/stable/amp.html
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from simulator.dtypes import FLOAT32, DType
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec
from simulator.ops.registry import Input, find_rule
from simulator.ops.work import MAC_KINDS, Kind

_HALF: Final = frozenset({"PRelu"})  # beside all operators of MAC_KINDS
_FLOAT: Final = frozenset({
    "LayerNormalization", "SkipLayerNormalization", "GroupNormalization", "GroupNorm", "SkipGroupNorm",
    "InstanceNormalization", "LpNormalization", "RMSNormalization", "SimplifiedLayerNormalization",
    "SkipSimplifiedLayerNormalization", "Softmax", "LogSoftmax", "Pow", "Exp", "Log", "Reciprocal", "Softplus", "CumSum",
    "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare", "Acos", "Asin", "Cosh", "Sinh",
    "Tan", "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss",
})  # fmt: skip
_PROMOTED_BY_CASTS: Final = frozenset({"Concat", "GridSample", "ScatterElements", "ScatterND"})
_UNSCALED: Final = frozenset({Input.CONFIG, Input.SCALE})

Regions = Mapping[int, Kind]  # operators that the framework has as one: attention, norms, activation functions, by index


def autocast(graph: Graph, half: DType, regions: Regions = MappingProxyType({}), in_half: Container[int] = frozenset()) -> Graph:
    """The graph in mixed precision; `half` is float16 or bfloat16, `regions` are operators that the framework has as one.

    Operators `in_half`, by index, run in 16 bit whatever the lists say.
    """
    cast = _Autocast(graph, half, regions, in_half)
    for index, op in enumerate(graph.ops):
        cast.place(index, op)
    return replace(graph, ops=tuple(cast.ops), tensors=cast.tensors)


@dataclass
class _Autocast:
    """The operators so far, casts among them, and the types that their results have."""

    graph: Graph
    half: DType
    region_of: Regions
    in_half: Container[int]
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, TensorSpec] = field(default_factory=dict)
    cast: dict[tuple[str, str, int], str] = field(default_factory=dict)  # tensor, type, repeat → its copy in that type

    def __post_init__(self) -> None:
        self.tensors = dict(self.graph.tensors)

    def place(self, index: int, op: Op) -> None:
        """Add an operator with the casts it needs."""
        if op.constant:
            self.ops.append(op)
            return
        wanted = self._wanted(index, op)
        casts = wanted is not None or op.op_type in _PROMOTED_BY_CASTS
        target = wanted or self._widest(index, op)
        if target is not None:
            if casts:
                op = replace(op, inputs=tuple(self._in_type(op, i, target) for i in range(len(op.inputs))))
            for name in op.outputs:
                if name and self.tensors[name].dtype.is_float:
                    self.tensors[name] = replace(self.tensors[name], dtype=target)
        self.ops.append(op)

    def _wanted(self, index: int, op: Op) -> DType | None:
        """The type that autocast's lists give an operator; None for those that follow their inputs."""
        if index in self.in_half:
            return self.half
        if index in self.region_of:
            kind = self.region_of[index]
            return self.half if kind is Kind.ATTENTION else FLOAT32 if kind is Kind.NORM else None
        rule = find_rule(op.domain, op.op_type)
        if (rule is not None and rule.kind in MAC_KINDS) or op.op_type in _HALF or self._is_bias(op):
            return self.half
        return FLOAT32 if op.op_type in _FLOAT else None

    def _is_bias(self, op: Op) -> bool:
        """Whether an addition is part of a convolution or linear layer: in the framework it is an argument of that."""
        if op.op_type != "Add":
            return False
        makers = [self.graph.ops[p] for n in op.inputs if (p := self.graph.producer.get(n)) is not None]
        if op.added:
            return True
        vector = any(self._is_weight(n) and self.tensors[n].rank == 1 for n in op.inputs)
        return vector and any(m.op_type == "MatMul" and any(self._is_weight(n) for n in m.inputs) for m in makers)

    def _promotes(self, name: str) -> bool:
        """Whether a weight makes what it is combined with as wide as itself: those with dimensions do, and a parameter has them
        in the file too, while exporters give them to plain numbers.
        """
        spec = self.tensors[name]
        return spec.elements > 1 or (spec.rank > 0 and name in self.graph.initializers)

    def _is_weight(self, name: str) -> bool:
        return bool(name) and self.graph.tensors[name].role is Role.WEIGHT

    def _widest(self, index: int, op: Op) -> DType | None:
        """The widest floating-point type among what an operator reads; None where that is not for it to say."""
        rule = find_rule(op.domain, op.op_type)
        promotes = rule is not None and rule.kind is Kind.POINTWISE and index not in self.region_of
        names = [n for n in op.inputs if n and self.tensors[n].dtype.is_float]
        counted = [n for n in names if not self._is_weight(n) or (promotes and self._promotes(n))]
        if not promotes and op.op_type not in _PROMOTED_BY_CASTS and index not in self.region_of:
            counted = counted[:1]  # a view, a copy, a pool or a batch norm keeps the type of its data
        return max((self.tensors[n].dtype for n in counted), key=lambda d: d.bits, default=None)

    def _in_type(self, op: Op, position: int, target: DType) -> str:
        """The input in the type, cast once for all that read it; scalars and configuration stay."""
        name = op.inputs[position]
        rule = find_rule(op.domain, op.op_type)
        if not name or (rule is not None and rule.role(position) in _UNSCALED):
            return name
        spec = self.tensors[name]
        fp32_weight = spec.role is Role.WEIGHT and target is FLOAT32
        if not spec.dtype.is_float or spec.dtype is target or spec.elements <= 1 or fp32_weight:
            return name
        repeat = 1 if spec.role is Role.WEIGHT else op.repeat
        key = (name, target.name, repeat)
        if key not in self.cast:
            self.cast[key] = self._add_cast(op, spec, target, repeat)
        return self.cast[key]

    def _add_cast(self, op: Op, spec: TensorSpec, target: DType, repeat: int) -> str:
        copy = TensorSpec(f"{spec.name}/{target.name}", spec.shape, target, Role.ACTIVATION)
        if spec.role is Role.WEIGHT:
            copy = replace(copy, role=Role.WEIGHT)
        if repeat > 1:
            copy = replace(copy, name=f"{copy.name}/{repeat}")
        self.tensors[copy.name] = copy
        self.ops.append(
            Op(f"{copy.name}/cast", "Cast", "", self.graph.opset, (spec.name,), (copy.name,), {"to": target.code},
               origin=op.origin, repeat=repeat, added=True)
        )  # fmt: skip
        return copy.name
