"""Operators that read a tensor another way: views, which cost nothing, and the shape arithmetic around them."""

import math

import numpy as np

from simulator.dtypes import BOOL, BY_NAME, FLOAT32, INT64, STRING, DType
from simulator.errors import ShapeError
from simulator.graph.raw import SMALL_ELEMENTS, RawTensor, numpy_dtype
from simulator.graph.types import Shape
from simulator.ops.registry import Example, Input, Out, from_values, rule, t, v
from simulator.ops.view import OpView, broadcast, normal_axis
from simulator.ops.work import NOTHING, Kind, Work


def nothing(op: OpView) -> Work:  # noqa: ARG001
    """No arithmetic."""
    return NOTHING


def moved(op: OpView) -> Work:
    """Elements moved to other places; a view where all of the first input comes out as it is, and nothing else."""
    return Work(kind=Kind.VIEW) if op.outputs and op.out_elements() == op.elements(0) else NOTHING


# ---- what shape arithmetic starts from ---------------------------------------------------------------------------


def _shape_value(op: OpView) -> list[np.ndarray]:
    dims = op.shape(0)
    start, end = op.attr("start", 0), op.op.attrs.get("end")
    return [np.array(dims[start : end if isinstance(end, int) else None], np.int64)]


rule("Shape", kind=Kind.VIEW, shape=lambda op: [Out((len(_shape_value(op)[0]),), INT64)], value=_shape_value,
     roles={0: Input.CONFIG}, example=Example((t(2, 3, 4),), ((2,),), attrs={"start": 1}))(nothing)  # fmt: skip

rule("Size", kind=Kind.VIEW, shape=lambda _: [Out((), INT64)],
     value=lambda op: [np.array(math.prod(op.shape(0)), np.int64)], roles={0: Input.CONFIG},
     example=Example((t(2, 3, 4),), ((),)))(nothing)  # fmt: skip


def constant_value(op: OpView) -> RawTensor | np.ndarray:
    """What a Constant node holds: a tensor header (its values may be too large to know), or values."""
    for name in ("value", "sparse_value"):
        tensor = op.op.attrs.get(name)
        if isinstance(tensor, RawTensor):
            return tensor
    for name, kind in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if name in op.op.attrs:
            return np.array(op.op.attrs[name], kind)
    for name in ("value_string", "value_strings"):
        if name in op.op.attrs:
            return np.array(op.op.attrs[name], np.str_)
    raise ShapeError("a Constant without a value")


def _constant_shape(op: OpView) -> list[Out]:
    held = constant_value(op)
    if isinstance(held, RawTensor):
        return [Out(held.dims, held.dtype)]
    return [Out(held.shape, _dtype_of(held))]


def _dtype_of(array: np.ndarray) -> DType:
    return STRING if array.dtype.kind == "U" else BY_NAME[str(array.dtype)]


def _constant_values(op: OpView) -> list[np.ndarray] | None:
    held = constant_value(op)
    if not isinstance(held, RawTensor):
        return None if held.dtype.kind == "U" else [held]
    values = held.values()
    return None if values is None else [values]


rule("Constant", kind=Kind.VIEW, shape=_constant_shape, value=_constant_values,
     example=Example((), ((3,),), attrs={"value_floats": (1.0, 2.0, 3.0)}))(nothing)  # fmt: skip


def _fill(op: OpView) -> RawTensor | None:
    tensor = op.op.attrs.get("value")
    return tensor if isinstance(tensor, RawTensor) else None


def _constant_of_shape(op: OpView) -> list[Out]:
    fill = _fill(op)
    dims = op.ints(0)
    if any(d < 0 for d in dims):
        raise ShapeError(f"a tensor of the negative shape {list(dims)}")
    return [Out(dims, fill.dtype if fill else FLOAT32)]


def _constant_of_shape_value(op: OpView) -> list[np.ndarray] | None:
    fill, dims = _fill(op), op.ints(0)
    values = fill.values() if fill else np.zeros(1, np.float32)
    if values is None or math.prod(dims) > SMALL_ELEMENTS:
        return None
    return [np.full(dims, values.ravel()[0] if values.size else 0, values.dtype)]


rule("ConstantOfShape", kind=Kind.VIEW, shape=_constant_of_shape, value=_constant_of_shape_value,
     roles={0: Input.CONFIG}, example=Example((v(2, 3),), ((2, 3),)))(nothing)  # fmt: skip


def _range_shape(op: OpView) -> list[Out]:
    start, limit, delta = (float(op.known(i).ravel()[0]) for i in range(3))
    if delta == 0:
        raise ShapeError("a Range with step 0")
    return [Out((max(math.ceil((limit - start) / delta), 0),), op.dtype(0))]


def _range_value(op: OpView) -> list[np.ndarray] | None:
    start, limit, delta = (op.known(i).ravel()[0] for i in range(3))
    return [np.arange(start, limit, delta, dtype=numpy_dtype(op.dtype(0)))]


rule("Range", kind=Kind.VIEW, shape=_range_shape, value=_range_value,
     roles={0: Input.CONFIG, 1: Input.CONFIG, 2: Input.CONFIG},
     example=Example((v(0, shape=()), v(10, shape=()), v(3, shape=())), ((4,),)))(nothing)  # fmt: skip


# ---- views -------------------------------------------------------------------------------------------------------


def reshape_target(op: OpView) -> Shape:
    """The wanted shape with 0 (copy the input's dimension) and −1 (whatever is left) still in it."""
    given = op.ints_at(1, "shape")
    if given is None:
        raise ShapeError("a Reshape without a shape")
    return given


def resolve_reshape(shape: Shape, target: Shape, *, allow_zero: bool = False) -> Shape:
    """The shape that `target` means for an input of `shape`; ShapeError where the elements do not match."""
    dims = list(target)
    for i, dim in enumerate(dims):
        if dim == 0 and not allow_zero:
            if i >= len(shape):
                raise ShapeError(f"Reshape to {list(target)} copies dimension {i} of {list(shape)}")
            dims[i] = shape[i]
    if dims.count(-1) > 1 or min(dims, default=1) < -1:
        raise ShapeError(f"Reshape to {list(target)}")
    rest = math.prod(d for d in dims if d != -1)
    elements = math.prod(shape)
    if -1 in dims:
        if rest == 0 or elements % rest:
            if elements == 0 == rest:
                return tuple(0 if d == -1 else d for d in dims)
            raise ShapeError(f"{list(shape)} cannot be reshaped to {list(target)}")
        dims[dims.index(-1)] = elements // rest
    elif rest != elements:
        raise ShapeError(f"{list(shape)} cannot be reshaped to {list(target)}")
    return tuple(dims)


def _reshape_shape(op: OpView) -> list[Out]:
    return [Out(resolve_reshape(op.shape(0), reshape_target(op), allow_zero=bool(op.attr("allowzero", 0))), op.dtype(0))]


def reshaped_value(op: OpView) -> list[np.ndarray] | None:
    """Values of the first input in the output's shape."""
    value = op.value(0)
    shape = op.outputs[0].shape if op.outputs else None
    return None if value is None or shape is None else [value.reshape(shape)]


rule("Reshape", kind=Kind.VIEW, shape=_reshape_shape, value=reshaped_value, roles={1: Input.CONFIG},
     example=Example((t(2, 3, 4), v(0, -1)), ((2, 12),)))(nothing)  # fmt: skip


def _flatten_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    axis = op.attr("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return [Out((math.prod(shape[:axis]), math.prod(shape[axis:])), op.dtype(0))]


rule("Flatten", kind=Kind.VIEW, shape=_flatten_shape, value=reshaped_value,
     example=Example((t(2, 3, 4),), ((2, 12),)))(nothing)  # fmt: skip


def _squeeze_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    given = op.ints_at(1, "axes")
    axes = {i for i, d in enumerate(shape) if d == 1} if given is None else {normal_axis(a, len(shape)) for a in given}
    wrong = [shape[a] for a in axes if shape[a] != 1]
    if wrong:
        raise ShapeError(f"Squeeze of a dimension of {wrong[0]} in {list(shape)}")
    return [Out(tuple(d for i, d in enumerate(shape) if i not in axes), op.dtype(0))]


rule("Squeeze", kind=Kind.VIEW, shape=_squeeze_shape, value=reshaped_value, roles={1: Input.CONFIG},
     example=Example((t(1, 3, 1), v(0)), ((3, 1),)))(nothing)  # fmt: skip


def _unsqueeze_shape(op: OpView) -> list[Out]:
    shape, given = op.shape(0), op.ints_at(1, "axes")
    if given is None:
        raise ShapeError("an Unsqueeze without axes")
    rank = len(shape) + len(given)
    axes = {normal_axis(a, rank) for a in given}
    if len(axes) != len(given):
        raise ShapeError(f"Unsqueeze with repeated axes {list(given)}")
    rest = iter(shape)
    return [Out(tuple(1 if i in axes else next(rest) for i in range(rank)), op.dtype(0))]


rule("Unsqueeze", kind=Kind.VIEW, shape=_unsqueeze_shape, value=reshaped_value, roles={1: Input.CONFIG},
     example=Example((t(3, 4), v(0, 3)), ((1, 3, 4, 1),)))(nothing)  # fmt: skip


def _identity_shape(op: OpView) -> list[Out]:
    spec = op.tensor(0)
    return [Out(spec.shape, spec.dtype)]


rule("Identity", kind=Kind.VIEW, shape=_identity_shape, value=from_values(np.asarray),
     example=Example((t(2, 3),), ((2, 3),)))(nothing)  # fmt: skip


def _dropout_shape(op: OpView) -> list[Out]:
    mask = BOOL if op.opset >= 10 else op.dtype(0)
    return [Out(op.shape(0), op.dtype(0)), Out(op.shape(0), mask)]


rule("Dropout", kind=Kind.VIEW, shape=_dropout_shape, roles={1: Input.CONFIG, 2: Input.CONFIG},
     value=lambda op: None if op.value(0) is None else [op.known(0)],
     example=Example((t(2, 3),), ((2, 3), (2, 3))))(nothing)  # fmt: skip


def expand_shape(shape: Shape, target: Shape) -> Shape:
    """Bidirectional broadcast of `shape` with `target` (ONNX Expand-13)."""
    return broadcast(shape, target)


def _expand_value(op: OpView) -> list[np.ndarray] | None:
    value, shape = op.value(0), op.out_shape()
    return None if value is None else [np.broadcast_to(value, shape)]


rule("Expand", kind=Kind.COPY, shape=lambda op: [Out(expand_shape(op.shape(0), op.ints(1)), op.dtype(0))],
     value=_expand_value, roles={1: Input.CONFIG}, example=Example((t(3, 1), v(2, 1, 6)), ((2, 3, 6),)))(moved)  # fmt: skip


def _loop_result(op: OpView) -> list[Out]:
    return [Out(op.shape(0), op.dtype(0))]


# not in any file: the resolver puts it where the results of all trips of a loop are stacked. The body has written them
# already, so nothing is read again
rule("LoopResult", domain="simulator", kind=Kind.COPY, shape=_loop_result,
     example=Example((t(4),), ((4,),), Work(read_elements={0: 0})))(lambda _: Work(read_elements={0: 0}))  # fmt: skip
