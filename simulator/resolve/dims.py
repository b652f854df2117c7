"""Shapes of the graph's inputs: what the file fixes, what the user fixes, and what is assumed, said aloud."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.errors import ShapeError, UsageError, did_you_mean
from simulator.graph.raw import RawValue
from simulator.graph.types import Shape

MAX_ELEMENTS = 2**53  # beyond it, counts are no longer exact in float64


@dataclass(frozen=True)
class DimOptions:
    """What the user fixes: batch, symbols by name, whole shapes by input name."""

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    input_shapes: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class InputShapes:
    """The shape of every input, the batch among them, and a note for each dimension that had to be assumed."""

    shapes: Mapping[str, Shape | None]
    batch: int
    notes: tuple[str, ...]


def input_shapes(inputs: list[RawValue], options: DimOptions) -> InputShapes:
    """What the user fixes, what the file fixes, and usual sizes for the rest.

    Raises:
        UsageError: an option names an input or a symbol that the file does not have, or a number below 1.
        ShapeError: a given shape contradicts what the file fixes in rank, or a dimension is negative.
    """
    _check(inputs, options)
    assumed: dict[str, int] = {}
    shapes: dict[str, Shape | None] = {}
    symbol, own_batch = _batch_of(inputs)
    for value in inputs:
        if value.name in options.input_shapes:
            shapes[value.name] = _given(value, options.input_shapes[value.name])
        elif value.dims is None:
            shapes[value.name] = None if value.dtype.kind == "opaque" else ()
        else:
            dims = (_dim(value, i, options, symbol, own_batch, assumed) for i in range(len(value.dims)))
            shapes[value.name] = tuple(dims)
    batch = _batch_in(inputs, shapes, symbol) if options.batch is None else options.batch
    return InputShapes(shapes, batch, tuple(f"assumed {name} = {size}" for name, size in assumed.items()))


_BATCH_WORDS = ("batch", "bsz", "n_batch")


def _batch_of(inputs: list[RawValue]) -> tuple[str | None, int | None]:
    """The symbol that stands for the batch, or the fixed number: what it is called, else the first dimension of the
    first input that has more than one (a single dimension is a sequence, not a batch).
    """
    symbols = [d for v in inputs for d in v.dims or () if isinstance(d, str)]
    for symbol in symbols:
        if symbol.lower() in ("n", "b", "bs") or any(word in symbol.lower() for word in _BATCH_WORDS):
            return symbol, None
    for value in inputs:
        if value.dims and len(value.dims) > 1:
            first = value.dims[0]
            if isinstance(first, str):
                return (first, None) if default_dim(first, 0, len(value.dims)) == 1 else (None, None)
            return None, first if first and first > 0 else None
    return None, None


def _batch_in(inputs: list[RawValue], shapes: Mapping[str, Shape | None], symbol: str | None) -> int:
    """The batch that the shapes amount to."""
    for value in inputs:
        shape = shapes[value.name]
        if not shape or not value.dims:
            continue
        if symbol is not None and symbol in value.dims:
            return shape[value.dims.index(symbol)]
        if symbol is None and len(shape) > 1:
            return shape[0] if default_dim(str(value.dims[0] or ""), 0, len(shape)) == 1 else 1
    return 1


def _check(inputs: list[RawValue], options: DimOptions) -> None:
    names = [v.name for v in inputs]
    symbols = [d for v in inputs for d in v.dims or () if isinstance(d, str)]
    for name in options.input_shapes:
        if name not in names:
            raise UsageError(f"no input '{name}'{did_you_mean(name, names)} (inputs: {', '.join(names) or 'none'})")
    for name, size in options.dims.items():
        if name not in symbols:
            known = ", ".join(dict.fromkeys(symbols)) or "none"
            raise UsageError(f"no dimension '{name}'{did_you_mean(name, symbols)} (symbolic dimensions: {known})")
        if size < 0:
            raise UsageError(f"dimension '{name}' is {size}")
    if options.batch is not None and options.batch < 1:
        raise UsageError(f"the batch must be 1 or more, not {options.batch}")


def _given(value: RawValue, shape: Shape) -> Shape:
    if value.dims is not None and len(value.dims) != len(shape):
        raise ShapeError(f"input '{value.name}' has {len(value.dims)} dimensions, the given shape {list(shape)} has {len(shape)}")
    return checked_shape(value.name, shape)


def checked_shape(name: str, shape: Shape) -> Shape:
    """The shape, refused where a dimension is negative or the element count is absurd."""
    if any(d < 0 for d in shape):
        raise ShapeError(f"tensor '{name}' has a negative dimension: {list(shape)}")
    if math.prod(shape) >= MAX_ELEMENTS:
        raise ShapeError(f"tensor '{name}' has an absurd shape {list(shape)}: more than 2^53 elements")
    return shape


def _dim(
    value: RawValue, axis: int, options: DimOptions, symbol: str | None, own_batch: int | None, assumed: dict[str, int]
) -> int:
    """One dimension: a given symbol, the batch, the number in the file, or a default."""
    assert value.dims is not None
    dim = value.dims[axis]
    if isinstance(dim, str) and dim in options.dims:
        return options.dims[dim]
    if isinstance(dim, int) and dim < -1:
        raise ShapeError(f"input '{value.name}' has a negative dimension: {list(value.dims)}")
    fixed = isinstance(dim, int) and dim > 0  # exporters write 0 and −1 for "any"
    if options.batch is not None:
        nameless = axis == 0 and symbol is None and not isinstance(dim, str) and (not fixed or dim == own_batch)
        if nameless or (symbol is not None and dim == symbol):
            return options.batch
    if isinstance(dim, int) and fixed:
        checked_shape(value.name, (dim,))
        return dim
    label = dim if isinstance(dim, str) else f"{value.name}[{axis}]"
    return assumed.setdefault(label, default_dim(str(dim or ""), axis, len(value.dims)))


# what the words of a symbol stand for, in the order they are tried
_WORDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("batch", "n_batch", "bsz"), 1),
    (("past",), 128),
    (("audio", "samples", "num_bytes"), 16000),
    (("seq", "length", "token", "time", "frames"), 128),
    (("height", "width", "image"), 224),
    (("channel",), 3),
)


def default_dim(symbol: str, axis: int, rank: int) -> int:
    """A usual size: 1 for a batch, 3 × 224 × 224 for what looks like an image, 128 for a sequence."""
    for words, size in _WORDS:
        if any(word in symbol.lower() for word in words):
            return size
    if axis == 0:
        return 1
    return {4: (3, 224, 224)}.get(rank, (128,) * rank)[axis - 1]
