"""What a rule asks of an input before it takes its shape apart."""

from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.view import OpView


def ranked(op: OpView, index: int, *ranks: int) -> Shape:
    """Shape of input `index`; ShapeError where its rank is none of `ranks`."""
    shape = op.shape(index)
    if len(shape) not in ranks:
        raise ShapeError(f"input {index} should be of rank {' or '.join(map(str, ranks))}, not {list(shape)}")
    return shape


def at_least(op: OpView, index: int, rank: int) -> Shape:
    """Shape of input `index`; ShapeError where its rank is lower."""
    shape = op.shape(index)
    if len(shape) < rank:
        raise ShapeError(f"input {index} should be of rank {rank} or more, not {list(shape)}")
    return shape


def integers(op: OpView, index: int, count: int) -> tuple[int, ...]:
    """The `count` integers of input `index`, none negative; ShapeError where there are others."""
    values = op.ints(index)
    if len(values) != count or min(values, default=0) < 0:
        raise ShapeError(f"input {index} should be {count} integer(s) of 0 or more, not {list(values)}")
    return values


def length(op: OpView, index: int) -> int:
    """The single length that input `index` gives."""
    return integers(op, index, 1)[0]
