"""One rule an operator, registered in one place: shapes, values of small tensors, work, and a worked example.

To add an operator, write in the file of its family:

    @rule("MatMul", kind=Kind.GEMM, shape=matmul_shape, roles={1: Input.WEIGHT},
          example=Example((t(2, 3), t(3, 4)), outputs=((2, 4),), work=Work(macs=24)))
    def matmul(op: OpView) -> Work:
        "One MAC per output element and contracted index (ONNX MatMul-13)."

The test suite runs every example; a rule without one cannot be registered.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from types import MappingProxyType

import numpy as np

from simulator.dtypes import BY_NAME, DType
from simulator.graph.types import NO_ATTRS, Shape
from simulator.ops.view import OpView
from simulator.ops.work import Kind, Work

MS = "com.microsoft"
NCHWC = "com.microsoft.nchwc"
ML = "ai.onnx.ml"


class Input(StrEnum):
    """What an input position means to the operator; unlisted positions are data."""

    DATA = "data"
    WEIGHT = "weight"  # learned, even where the file computes it (ConstantOfShape, Transpose, DequantizeLinear)
    BIAS = "bias"  # learned as well, but added to sums: quantization leaves it wide
    CONFIG = "config"  # shapes, axes, ratios: attributes that travel as tensors, neither traffic nor parameters
    SCALE = "scale"  # quantization scales and zero points: traffic, but no parameters
    STATISTIC = "statistic"  # running mean and variance: traffic where unfolded, but no parameters


@dataclass(frozen=True, slots=True)
class Out:
    """What a rule infers about one output. `bound`: the shape is an upper bound that depends on data."""

    shape: Shape | None
    dtype: DType
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Arg:
    """One input of an example: a shape, or values."""

    shape: Shape
    dtype: DType
    value: np.ndarray | None = None


def t(*dims: int, dtype: str = "float32") -> Arg:
    """An example's input known by shape only."""
    return Arg(dims, BY_NAME[dtype])


def v(*numbers: float, dtype: str = "int64", shape: Shape | None = None) -> Arg:
    """An example's input with known values: a vector, unless a shape is given."""
    array = np.array(numbers, dtype if dtype != "bool" else np.bool_)
    array = array if shape is None else array.reshape(shape)
    return Arg(array.shape, BY_NAME[dtype], array)


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example of a rule: these inputs give outputs of these shapes and exactly this work."""

    inputs: tuple[Arg | None, ...]
    outputs: tuple[Shape | None, ...]
    work: Work = field(default_factory=Work)
    attrs: Mapping[str, object] = field(default_factory=lambda: NO_ATTRS)
    opset: int = 0  # 0: the newest


ShapeRule = Callable[[OpView], Sequence[Out]]
ValueRule = Callable[[OpView], Sequence[np.ndarray] | None]
WorkRule = Callable[[OpView], Work]
NO_ROLES: Mapping[int, Input] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rule:
    """All the simulator knows about one operator type."""

    op_type: str
    domain: str
    kind: Kind
    shape: ShapeRule
    work: WorkRule
    value: ValueRule | None
    roles: Mapping[int, Input]
    example: Example
    in_place: bool  # the runtime may write the output over the first input

    def role(self, index: int) -> Input:
        """Meaning of input `index`. A key of -1 stands for all positions not listed."""
        return self.roles.get(index) or self.roles.get(-1, Input.DATA)


_RULES: dict[tuple[str, str], Rule] = {}
_FREQUENT = ("conv", "elementwise", "linear", "norm", "pool", "shape")  # families that most networks make do with


def rule(
    *op_types: str,
    kind: Kind,
    shape: ShapeRule,
    example: Example,
    domain: str = "",
    value: ValueRule | None = None,
    roles: Mapping[int, Input] = NO_ROLES,
    in_place: bool = False,
) -> Callable[[WorkRule], WorkRule]:
    """Register the decorated work function as the rule of `op_types`; a second rule for one type is refused."""

    def register(work: WorkRule) -> WorkRule:
        for op_type in op_types:
            if (domain, op_type) in _RULES:
                raise ValueError(f"operator {domain}:{op_type} has a rule already")
            _RULES[domain, op_type] = Rule(op_type, domain, kind, shape, work, value, roles, example, in_place)
        return work

    return register


@cache
def _load(*families: str) -> None:
    """Import modules of this package, once, and all of them where none is named; each registers its rules."""
    package = importlib.import_module("simulator.ops")
    for name in families or [module.name for module in pkgutil.iter_modules(package.__path__)]:
        importlib.import_module(f"simulator.ops.{name}")


def find_rule(domain: str, op_type: str) -> Rule | None:
    """The rule of an operator type, or None; the rarer families load when an operator is in none of the others."""
    key = (domain, op_type)
    if key not in _RULES:
        _load(*_FREQUENT)
    if key not in _RULES:
        _load()
    return _RULES.get(key)


def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by domain and name."""
    _load()
    return tuple(_RULES[key] for key in sorted(_RULES))


def from_values(function: Callable[..., np.ndarray]) -> ValueRule:
    """A value rule that applies `function` to the values of all inputs, once all are known."""

    def value(op: OpView) -> Sequence[np.ndarray] | None:
        arrays = []
        for index in range(len(op.inputs)):
            array = op.value(index)
            if array is None:
                return None
            arrays.append(array)
        return (np.asarray(function(*arrays)),)

    return value
