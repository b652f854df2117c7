"""What a rule sees of an operator: its attributes, its tensors' shapes, and the values of small known inputs."""

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numpy as np

from simulator.dtypes import UNDEFINED, DType
from simulator.errors import ShapeError
from simulator.graph.types import Op, Shape, TensorSpec

_T = TypeVar("_T")


class UnknownShapeError(Exception):
    """A shape or value that the rule needs is not known: the outputs' shapes stay unknown, and are counted."""


# what a rule stumbles over in a file that breaks the operator's own specification
MALFORMED = (IndexError, ValueError, TypeError, KeyError, AttributeError, OverflowError, ZeroDivisionError)


class OpView:
    """One operator with its tensors. `outputs` is empty while shapes are being inferred.

    `bounded`: some input's shape is an upper bound, so a size that the file states elsewhere is the better one.
    """

    __slots__ = ("_value_of", "bounded", "inputs", "op", "outputs")

    def __init__(
        self,
        op: Op,
        inputs: Sequence[TensorSpec | None],
        outputs: Sequence[TensorSpec] = (),
        value_of: Callable[[str], np.ndarray | None] = lambda _: None,
        *,
        bounded: bool = False,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.outputs = outputs
        self._value_of = value_of
        self.bounded = bounded

    @property
    def opset(self) -> int:
        """Operator-set version of the operator's domain."""
        return self.op.opset

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def tensor(self, index: int) -> TensorSpec:
        """Input `index`; ShapeError where the file omits a required one."""
        spec = self.inputs[index] if index < len(self.inputs) else None
        if spec is None:
            raise ShapeError(f"input {index} is missing")
        return spec

    def shape(self, index: int = 0) -> Shape:
        """Shape of input `index`; UnknownShapeError where it is not known."""
        shape = self.tensor(index).shape
        if shape is None:
            raise UnknownShapeError
        return shape

    def dtype(self, index: int = 0) -> DType:
        """Element type of input `index`, UNDEFINED where it is omitted."""
        return self.tensor(index).dtype if self.has(index) else UNDEFINED

    def out_shape(self, index: int = 0) -> Shape:
        """Shape of output `index` (when work is counted)."""
        shape = self.outputs[index].shape if index < len(self.outputs) else None
        if shape is None:
            raise UnknownShapeError
        return shape

    def out_elements(self, index: int = 0) -> int:
        """Number of elements of output `index`."""
        return self.outputs[index].elements if index < len(self.outputs) else 0

    def elements(self, index: int = 0) -> int:
        """Number of elements of input `index`, 0 where it is omitted."""
        return self.tensor(index).elements if self.has(index) else 0

    def value(self, index: int) -> np.ndarray | None:
        """Values of input `index` where it is small and known before the run."""
        return self._value_of(self.op.inputs[index]) if self.has(index) else None

    def known(self, index: int) -> np.ndarray:
        """Values of input `index`; UnknownShapeError where they depend on data."""
        value = self.value(index)
        if value is None:
            raise UnknownShapeError
        return value

    def ints(self, index: int) -> tuple[int, ...]:
        """Values of input `index` as integers; UnknownShapeError where they depend on data."""
        return tuple(int(x) for x in self.known(index).ravel())

    def attr(self, name: str, default: _T) -> _T:
        """Attribute `name`, or the default; ShapeError where the file gives it another type."""
        value = self.op.attrs.get(name)
        if value is None:
            return default
        if isinstance(default, bool | int) and not isinstance(value, int):
            raise ShapeError(f"attribute '{name}' should be an integer, not {value!r}")
        if isinstance(default, float) and not isinstance(value, float | int):
            raise ShapeError(f"attribute '{name}' should be a number, not {value!r}")
        if isinstance(default, str | tuple) and not isinstance(value, type(default)):
            raise ShapeError(f"attribute '{name}' should be a {type(default).__name__}, not {value!r}")
        return cast("_T", value)

    def attr_ints(self, name: str) -> tuple[int, ...] | None:
        """Attribute `name` as integers, None where it is absent."""
        value = self.op.attrs.get(name)
        if value is None:
            return None
        if not isinstance(value, tuple) or not all(isinstance(x, int) for x in value):
            raise ShapeError(f"attribute '{name}' should be a list of integers, not {value!r}")
        return value

    def ints_at(self, index: int, name: str) -> tuple[int, ...] | None:
        """Integers that newer operator sets pass as input `index` and older ones as attribute `name`."""
        return self.ints(index) if self.has(index) else self.attr_ints(name)

    def axis(self, name: str = "axis", default: int = 0, *, rank: int | None = None) -> int:
        """Attribute `name` as an axis counted from the front; ShapeError outside the rank."""
        return normal_axis(self.attr(name, default), len(self.shape(0)) if rank is None else rank)


def normal_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is outside a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


def broadcast(*shapes: Shape) -> Shape:
    """Numpy's multidirectional broadcasting; ShapeError where two dimensions differ and neither is 1."""
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        return shapes[0]
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for axis in range(-rank, 0):
        dims = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(dims) > 1:
            raise ShapeError(f"shapes {' and '.join(str(list(s)) for s in shapes)} do not broadcast")
        result.append(dims.pop() if dims else 1)
    return tuple(result)
