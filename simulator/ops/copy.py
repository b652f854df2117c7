"""Operators that move elements: transpose, concat, slice, gather, scatter, pad, tile."""

import numpy as np

from simulator.dtypes import BY_CODE, FLOAT32, INT64
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.registry import Example, Input, Out, rule, t, v
from simulator.ops.shape import moved, nothing
from simulator.ops.view import OpView, normal_axis
from simulator.ops.work import Kind, Work

# ---- order and joints --------------------------------------------------------------------------------------------


def _permutation(op: OpView) -> tuple[int, ...]:
    rank = len(op.shape(0))
    given = op.attr_ints("perm")
    order = tuple(reversed(range(rank))) if given is None else given
    if sorted(order) != list(range(rank)):
        raise ShapeError(f"Transpose of {list(op.shape(0))} by {list(order)}")
    return order


def _transpose_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    return [Out(tuple(shape[a] for a in _permutation(op)), op.dtype(0))]


def _transpose_value(op: OpView) -> list[np.ndarray] | None:
    value = op.value(0)
    return None if value is None else [value.transpose(_permutation(op))]


@rule("Transpose", kind=Kind.COPY, shape=_transpose_shape, value=_transpose_value,
      example=Example((t(2, 3, 4),), ((2, 4, 3),), Work(), {"perm": (0, 2, 1)}))  # fmt: skip
def transpose(op: OpView) -> Work:
    """Moves its elements; only where dimensions of 1 change places it is a view (ONNX Transpose-23)."""
    order, shape = _permutation(op), op.shape(0)
    places = [a for a in order if shape[a] != 1]
    return Work(kind=Kind.VIEW) if places == sorted(places) else Work()


def _concat_shape(op: OpView) -> list[Out]:
    shapes = [op.shape(i) for i in range(len(op.inputs))]
    axis = op.axis(default=1)
    for shape in shapes[1:]:
        if len(shape) != len(shapes[0]) or any(
            a != b for i, (a, b) in enumerate(zip(shape, shapes[0], strict=True)) if i != axis
        ):
            raise ShapeError(f"Concat along axis {axis} of {', '.join(str(list(s)) for s in shapes)}")
    joined = sum(s[axis] for s in shapes)
    return [Out((*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), op.dtype(0))]


def _concat_value(op: OpView) -> list[np.ndarray] | None:
    arrays = [op.value(i) for i in range(len(op.inputs))]
    known = [a for a in arrays if a is not None]
    return [np.concatenate(known, axis=op.axis(default=1))] if len(known) == len(arrays) else None


rule("Concat", kind=Kind.COPY, shape=_concat_shape, value=_concat_value,
     example=Example((t(2, 3), t(2, 5)), ((2, 8),), attrs={"axis": 1}))(moved)  # fmt: skip


def split_sizes(op: OpView) -> tuple[int, ...]:
    """Sizes of the pieces; without a `split`, as equal as they can be, the last one smaller (ONNX Split-18)."""
    size = op.shape(0)[op.axis()]
    given = op.ints_at(1, "split")
    if given is not None:
        if sum(given) != size and not op.bounded:
            raise ShapeError(f"Split of {size} into {list(given)}")
        return given
    count = op.attr("num_outputs", len(op.op.outputs))
    if not 0 < count <= max(size, 1):
        raise ShapeError(f"Split of {size} into {count} pieces")
    piece = -(-size // count)
    return (*(piece,) * (count - 1), size - piece * (count - 1))


def _split_shape(op: OpView) -> list[Out]:
    shape, axis = op.shape(0), op.axis()
    return [Out((*shape[:axis], size, *shape[axis + 1 :]), op.dtype(0)) for size in split_sizes(op)]


def _split_value(op: OpView) -> list[np.ndarray] | None:
    value = op.value(0)
    return None if value is None else np.split(value, np.cumsum(split_sizes(op))[:-1], axis=op.axis())


rule("Split", kind=Kind.COPY, shape=_split_shape, value=_split_value, roles={1: Input.CONFIG},
     example=Example((t(2, 6), v(2, 4)), ((2, 2), (2, 4)), attrs={"axis": 1}))(moved)  # fmt: skip


# ---- slices and padding ------------------------------------------------------------------------------------------


def slices(op: OpView) -> tuple[slice, ...]:
    """One slice an axis. An unknown start or end leaves its axis whole: an upper bound."""
    shape = op.shape(0)
    starts, ends = op.ints_at(1, "starts"), op.ints_at(2, "ends")
    if starts is None or ends is None or len(starts) != len(ends):
        raise ShapeError("a Slice needs as many starts as ends")
    axes = op.ints_at(3, "axes") or tuple(range(len(starts)))
    steps = op.ints(4) if op.has(4) else (1,) * len(starts)
    result = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step == 0:
            raise ShapeError("a Slice with step 0")
        axis = normal_axis(axis, len(shape))
        size = shape[axis]
        low = min(max(start + size if start < 0 else start, 0), size - 1 if step < 0 else size)
        floor = -1 if step < 0 else 0
        high = max(min(end + size if end < 0 else end, size), floor)
        result[axis] = slice(low, None if high < 0 else high, step)
    return tuple(result)


def _sliced(shape: Shape, slices: tuple[slice, ...]) -> Shape:
    return tuple(len(range(*s.indices(d))) for s, d in zip(slices, shape, strict=True))


def _slice_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    if op.has(1) and (op.value(1) is None or op.value(2) is None):
        return [Out(shape, op.dtype(0), bound=True)]
    return [Out(_sliced(shape, slices(op)), op.dtype(0))]


def _slice_value(op: OpView) -> list[np.ndarray] | None:
    value = op.value(0)
    if value is None or (op.has(1) and (op.value(1) is None or op.value(2) is None)):
        return None
    return [value[slices(op)]]


@rule("Slice", kind=Kind.COPY, shape=_slice_shape, value=_slice_value,
      roles={1: Input.CONFIG, 2: Input.CONFIG, 3: Input.CONFIG, 4: Input.CONFIG},
      example=Example((t(4, 8), v(1), v(-1), v(1)), ((4, 6),), Work(read_elements={0: 24})))  # fmt: skip
def slice_(op: OpView) -> Work:
    """Reads only what it keeps; all of it in its order is a view (ONNX Slice-13)."""
    kept = op.out_elements()
    if kept == op.elements(0) and all((s.step or 1) > 0 for s in slices(op)):
        return Work(kind=Kind.VIEW)
    return Work(read_elements={0: kept})


def _pads(op: OpView) -> tuple[tuple[int, int], ...]:
    """(before, after) of every axis."""
    shape = op.shape(0)
    given = op.ints_at(1, "pads")
    if given is None:
        given = op.attr_ints("paddings")
    if given is None:
        raise ShapeError("a Pad without pads")
    axes = [normal_axis(a, len(shape)) for a in op.ints(3)] if op.has(3) else list(range(len(shape)))
    if len(given) != 2 * len(axes):
        raise ShapeError(f"Pad of {list(shape)} by {list(given)}")
    result = [(0, 0)] * len(shape)
    for i, axis in enumerate(axes):
        result[axis] = (given[i], given[len(axes) + i])
    return tuple(result)


def _pad_shape(op: OpView) -> list[Out]:
    dims = tuple(d + before + after for d, (before, after) in zip(op.shape(0), _pads(op), strict=True))
    if min(dims, default=0) < 0:
        raise ShapeError(f"Pad of {list(op.shape(0))} to the negative shape {list(dims)}")
    return [Out(dims, op.dtype(0))]


def _pad_value(op: OpView) -> list[np.ndarray] | None:
    value = op.value(0)
    pads = _pads(op)
    if value is None or op.attr("mode", "constant") != "constant" or min((p for pair in pads for p in pair), default=0) < 0:
        return None
    fill = op.value(2)
    return [np.pad(value, pads, constant_values=fill.ravel()[0] if fill is not None and fill.size else 0)]


# a copy into another order of dimensions: no file has it, frameworks run it (simulator/transform/layout.py)
rule("contiguous", domain="aten", kind=Kind.COPY, shape=lambda op: [Out(op.shape(0), op.dtype(0))],
     example=Example((t(2, 3, 4),), ((2, 3, 4),)))(nothing)  # fmt: skip


@rule("Pad", kind=Kind.COPY, shape=_pad_shape, value=_pad_value,
      roles={1: Input.CONFIG, 2: Input.CONFIG, 3: Input.CONFIG},
      example=Example((t(2, 3), v(0, 1, 0, 2)), ((2, 6),)))  # fmt: skip
def pad(op: OpView) -> Work:
    """Copies; a padding of nothing is a view (ONNX Pad-25)."""
    return Work(kind=None if any(any(pair) for pair in _pads(op)) else Kind.VIEW)


def _repeats(op: OpView) -> tuple[int, ...]:
    repeats = op.ints(1)
    if len(repeats) != len(op.shape(0)):
        raise ShapeError(f"Tile of {list(op.shape(0))} by {list(repeats)}")
    return repeats


def _tile_value(op: OpView) -> list[np.ndarray] | None:
    value = op.value(0)
    return None if value is None else [np.tile(value, _repeats(op))]


rule("Tile", kind=Kind.COPY, value=_tile_value, roles={1: Input.CONFIG},
     shape=lambda op: [Out(tuple(d * r for d, r in zip(op.shape(0), _repeats(op), strict=True)), op.dtype(0))],
     example=Example((t(2, 3), v(1, 2)), ((2, 6),)))(moved)  # fmt: skip


# ---- gather and scatter ------------------------------------------------------------------------------------------


def _gather_shape(op: OpView) -> list[Out]:
    shape, axis = op.shape(0), op.axis()
    return [Out(shape[:axis] + op.shape(1) + shape[axis + 1 :], op.dtype(0))]


def _gather_value(op: OpView) -> list[np.ndarray] | None:
    data, indices = op.value(0), op.value(1)
    if data is None or indices is None:
        return None
    axis = op.axis()
    if indices.size and not (-data.shape[axis] <= int(indices.min()) and int(indices.max()) < data.shape[axis]):
        raise ShapeError(f"Gather of an element outside 0…{data.shape[axis] - 1}")
    return [np.take(data, indices.astype(np.int64), axis=axis)]


@rule("Gather", kind=Kind.COPY, shape=_gather_shape, value=_gather_value,
      example=Example((t(100, 8), t(5, dtype="int64")), ((5, 8),), Work(read_elements={0: 40})))  # fmt: skip
def gather(op: OpView) -> Work:
    """Reads only the rows it picks (ONNX Gather-13)."""
    return Work(read_elements={0: min(op.out_elements(), op.elements(0))})


@rule("GatherElements", kind=Kind.COPY, shape=lambda op: [Out(op.shape(1), op.dtype(0))],
      example=Example((t(4, 3), t(2, 3, dtype="int64")), ((2, 3),), Work(read_elements={0: 6})))  # fmt: skip
def gather_elements(op: OpView) -> Work:
    """Reads one element for each index (ONNX GatherElements-13)."""
    return Work(read_elements={0: min(op.out_elements(), op.elements(0))})


def _gather_nd_shape(op: OpView) -> list[Out]:
    data, indices, batch = op.shape(0), op.shape(1), op.attr("batch_dims", 0)
    if not indices or indices[-1] > len(data) - batch:
        raise ShapeError(f"GatherND of {list(data)} by indices {list(indices)}")
    return [Out(indices[:-1] + data[batch + indices[-1] :], op.dtype(0))]


def _gather_nd_value(op: OpView) -> list[np.ndarray] | None:
    data, indices = op.value(0), op.value(1)
    if data is None or indices is None or op.attr("batch_dims", 0):
        return None
    return [data[tuple(np.moveaxis(indices, -1, 0).astype(np.int64))]]


@rule("GatherND", kind=Kind.COPY, shape=_gather_nd_shape, value=_gather_nd_value,
      example=Example((t(4, 5, 6), t(7, 2, dtype="int64")), ((7, 6),), Work(read_elements={0: 42})))  # fmt: skip
def gather_nd(op: OpView) -> Work:
    """Reads only the slices it picks (ONNX GatherND-13)."""
    return Work(read_elements={0: min(op.out_elements(), op.elements(0))})


def _scatter_nd_value(op: OpView) -> list[np.ndarray] | None:
    data, indices, updates = op.value(0), op.value(1), op.value(2)
    if data is None or indices is None or updates is None or op.attr("reduction", "none") != "none":
        return None
    result = data.copy()
    result[tuple(np.moveaxis(indices, -1, 0).astype(np.int64))] = updates
    return [result]


def _like_data(op: OpView) -> list[Out]:
    return [Out(op.shape(0), op.dtype(0))]


rule("ScatterND", kind=Kind.COPY, shape=_like_data, value=_scatter_nd_value, in_place=True,
     example=Example((t(4, 5), t(2, 1, dtype="int64"), t(2, 5)), ((4, 5),)))(nothing)  # fmt: skip
rule("ScatterElements", "Scatter", kind=Kind.COPY, shape=_like_data, in_place=True,
     example=Example((t(4, 5), t(2, 5, dtype="int64"), t(2, 5)), ((4, 5),), opset=10))(nothing)  # fmt: skip


# ---- elements that depend on data or position --------------------------------------------------------------------


def _nonzero_shape(op: OpView) -> list[Out]:
    value, rank = op.value(0), len(op.shape(0))
    if value is not None:
        return [Out((max(rank, 1), int(np.count_nonzero(value))), INT64)]
    return [Out((max(rank, 1), op.elements(0)), INT64, bound=True)]


def _nonzero_value(op: OpView) -> list[np.ndarray] | None:
    value = op.value(0)
    return None if value is None else [np.array(np.nonzero(np.atleast_1d(value)), np.int64)]


@rule("NonZero", kind=Kind.COPY, shape=_nonzero_shape, value=_nonzero_value,
      example=Example((t(2, 3),), ((2, 6),), Work(vector_ops=6)))  # fmt: skip
def nonzero(op: OpView) -> Work:
    """One compare an element; as many columns as the input has elements, at most (ONNX NonZero-13)."""
    return Work(vector_ops=op.elements(0))


def _compress_shape(op: OpView) -> list[Out]:
    shape, condition = op.shape(0), op.value(1)
    axis = op.op.attrs.get("axis")
    along = op.elements(0) if axis is None else shape[op.axis()]
    kept = along if condition is None else int(np.count_nonzero(condition))
    dims = (kept,) if axis is None else (*shape[: op.axis()], kept, *shape[op.axis() + 1 :])
    return [Out(dims, op.dtype(0), bound=condition is None)]


rule("Compress", kind=Kind.COPY, shape=_compress_shape,
     example=Example((t(3, 2), v(0, 1, 1, dtype="bool")), ((2, 2),), attrs={"axis": 0}))(nothing)  # fmt: skip


def _one_hot_shape(op: OpView) -> list[Out]:
    indices, depth = op.shape(0), int(op.known(1).ravel()[0])
    axis = op.attr("axis", -1)
    axis = axis + len(indices) + 1 if axis < 0 else axis
    return [Out((*indices[:axis], depth, *indices[axis:]), op.dtype(2))]


rule("OneHot", kind=Kind.COPY, shape=_one_hot_shape, roles={1: Input.CONFIG, 2: Input.CONFIG},
     example=Example((t(4, dtype="int64"), v(10), t(2)), ((4, 10),)))(nothing)  # fmt: skip

rule("Trilu", kind=Kind.COPY, shape=_like_data, roles={1: Input.CONFIG},
     value=lambda op: _trilu_value(op), example=Example((t(4, 4),), ((4, 4),)))(nothing)  # fmt: skip


def _trilu_value(op: OpView) -> list[np.ndarray] | None:
    value, k = op.value(0), op.value(1)
    if value is None or (op.has(1) and k is None):
        return None
    diagonal = int(k.ravel()[0]) if k is not None else 0
    return [np.triu(value, diagonal) if op.attr("upper", 1) else np.tril(value, diagonal)]


def _eye_like_shape(op: OpView) -> list[Out]:
    code = op.attr("dtype", 0)
    return [Out(op.shape(0), BY_CODE[code] if code in BY_CODE and code else op.dtype(0) or FLOAT32)]


rule("EyeLike", kind=Kind.COPY, shape=_eye_like_shape, roles={0: Input.CONFIG},
     example=Example((t(3, 4),), ((3, 4),)))(nothing)  # fmt: skip
rule("ReverseSequence", kind=Kind.COPY, shape=_like_data, roles={1: Input.CONFIG},
     example=Example((t(4, 3), t(3, dtype="int64")), ((4, 3),)))(nothing)  # fmt: skip


def _block(op: OpView) -> int:
    block = op.attr("blocksize", 0)
    if block < 1 or len(op.shape(0)) != 4:
        raise ShapeError(f"blocks of {block} in a tensor of rank {len(op.shape(0))}")
    return block


def _depth_to_space_shape(op: OpView) -> list[Out]:
    block, (n, c, h, w) = _block(op), op.shape(0)
    if c % (block * block):
        raise ShapeError(f"DepthToSpace of {c} channels in blocks of {block}")
    return [Out((n, c // block**2, h * block, w * block), op.dtype(0))]


def _space_to_depth_shape(op: OpView) -> list[Out]:
    block, (n, c, h, w) = _block(op), op.shape(0)
    if h % block or w % block:
        raise ShapeError(f"SpaceToDepth of {h} × {w} in blocks of {block}")
    return [Out((n, c * block**2, h // block, w // block), op.dtype(0))]


rule("DepthToSpace", kind=Kind.COPY, shape=_depth_to_space_shape,
     example=Example((t(1, 8, 2, 3),), ((1, 2, 4, 6),), attrs={"blocksize": 2}))(nothing)  # fmt: skip
rule("SpaceToDepth", kind=Kind.COPY, shape=_space_to_depth_shape,
     example=Example((t(1, 2, 4, 6),), ((1, 8, 2, 3),), attrs={"blocksize": 2}))(nothing)  # fmt: skip
