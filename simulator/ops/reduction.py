"""Reductions along axes, searches for the largest elements, running sums, determinants.

n elements reduced to r results take n − r additions, comparisons or multiplications; what an operator does to each
element before (absolute value, square, exponential) or to each result after (division, root, logarithm) comes on top.
"""

from collections.abc import Callable

import numpy as np

from simulator.dtypes import INT64
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.elementwise import same_shape
from simulator.ops.registry import Example, Input, Out, ValueRule, rule, t, v
from simulator.ops.view import OpView, normal_axis
from simulator.ops.work import Kind, Window, Work


def reduced_axes(op: OpView) -> frozenset[int]:
    """Axes that go: an input since operator set 18 (ReduceSum: 13), an attribute before; all where none is named."""
    rank = len(op.shape(0))
    axes = op.ints_at(1, "axes")
    if axes:
        return frozenset(normal_axis(axis, rank) for axis in axes)
    return frozenset() if op.attr("noop_with_empty_axes", 0) else frozenset(range(rank))


def reduced_shape(shape: Shape, axes: frozenset[int], *, keepdims: bool) -> Shape:
    """Shape after the reduction; reduced axes stay as 1 where `keepdims`."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keepdims or axis not in axes)


def reduce_shape(op: OpView) -> list[Out]:
    """One output without the reduced axes."""
    keepdims = bool(op.attr("keepdims", 1))
    return [Out(reduced_shape(op.shape(0), reduced_axes(op), keepdims=keepdims), op.dtype(0))]


_Reduce = Callable[..., np.ndarray]


def _value(function: _Reduce, *, of_nothing: bool) -> ValueRule:
    """A value rule by numpy, in the input's type. `of_nothing`: the reduction of no elements has a value."""

    def value(op: OpView) -> list[np.ndarray] | None:
        array = op.value(0)
        if array is None or (op.has(1) and op.value(1) is None) or not (array.size or of_nothing):
            return None
        axes = tuple(axis for axis in reduced_axes(op) if axis < array.ndim)
        with np.errstate(all="ignore"):
            result = function(array, axis=axes, keepdims=bool(op.attr("keepdims", 1)))
        return [np.asarray(result).astype(array.dtype)]

    return value


# name: vector ops an element, vector ops a result, special ops an element, special ops a result, value rule.
# An element's own combination with the others is the n − r of every reduction.
REDUCTIONS: dict[str, tuple[int, int, int, int, ValueRule | None]] = {
    "ReduceSum": (0, 0, 0, 0, _value(np.sum, of_nothing=True)),
    "ReduceProd": (0, 0, 0, 0, _value(np.prod, of_nothing=True)),
    "ReduceMax": (0, 0, 0, 0, _value(np.max, of_nothing=False)),
    "ReduceMin": (0, 0, 0, 0, _value(np.min, of_nothing=False)),
    "ReduceMean": (0, 1, 0, 0, _value(np.mean, of_nothing=False)),
    "ReduceL1": (1, 0, 0, 0, None),
    "ReduceL2": (1, 0, 0, 1, None),
    "ReduceSumSquare": (1, 0, 0, 0, None),
    "ReduceLogSum": (0, 0, 0, 1, None),
    "ReduceLogSumExp": (2, 0, 1, 1, None),  # the maximum (n − r, and r for adding it back) is subtracted first
}


_POOLS = frozenset({"ReduceMean", "ReduceMax"})  # over the whole image they are GlobalAveragePool and GlobalMaxPool


def whole_image(op: OpView) -> Window | None:
    """The window of a pool over the whole image, where a reduction of an image with channels first is one.

    Of three dimensions nobody can tell whether they are channels and a signal or tokens and channels.
    """
    shape = op.shape(0)
    size = shape[2:]
    if len(size) < 2 or reduced_axes(op) != frozenset(range(2, len(shape))):
        return None
    return Window((1,) * len(size), size, size, (1,) * len(size))


def _work(name: str, element: int, result: int, special_element: int, special_result: int) -> Callable[[OpView], Work]:
    """Work of one row of the table."""

    def work(op: OpView) -> Work:
        elements, results = op.elements(0), op.out_elements()
        window = whole_image(op) if name in _POOLS else None
        return Work(
            vector_ops=max(elements - results, 0) + element * elements + result * results,
            special_ops=special_element * elements + special_result * results,
            kind=None if window is None else Kind.POOL,
            window=window,
        )

    return work


def _register_reductions() -> None:
    for name, (element, result, special_element, special_result, value) in REDUCTIONS.items():
        work = Work(vector_ops=18 + 24 * element + 6 * result, special_ops=24 * special_element + 6 * special_result)
        rule(name, kind=Kind.REDUCTION, shape=reduce_shape, value=value, roles={1: Input.CONFIG},
             example=Example((t(2, 3, 4), v(-1)), ((2, 3),), work, {"keepdims": 0}))(
            _work(name, element, result, special_element, special_result))  # fmt: skip


_register_reductions()


def _arg_shape(op: OpView) -> list[Out]:
    axes = frozenset({op.axis()})
    return [Out(reduced_shape(op.shape(0), axes, keepdims=bool(op.attr("keepdims", 1))), INT64)]


@rule("ArgMax", "ArgMin", kind=Kind.REDUCTION, shape=_arg_shape,
      example=Example((t(2, 3, 4),), ((2, 1, 4),), Work(vector_ops=16), {"axis": 1}))  # fmt: skip
def arg_max(op: OpView) -> Work:
    """One comparison an element beyond the first; the index follows along (ONNX ArgMax-13)."""
    return Work(vector_ops=max(op.elements(0) - op.out_elements(), 0))


def _top_k_shape(op: OpView) -> list[Out]:
    """Values and indices. A k that depends on data is at most the axis."""
    shape, axis = op.shape(0), op.axis(default=-1)
    value = op.value(1)
    if op.has(1) and value is None:
        k, bound = shape[axis], True
    else:
        k, bound = int(value.ravel()[0]) if value is not None and value.size else op.attr("k", 0), False
    if not 0 <= k <= shape[axis]:
        raise ShapeError(f"the top {k} of {shape[axis]}")
    out = (*shape[:axis], k, *shape[axis + 1 :])
    return [Out(out, op.dtype(0), bound), Out(out, INT64, bound)]


@rule("TopK", kind=Kind.REDUCTION, shape=_top_k_shape, roles={1: Input.CONFIG},
      example=Example((t(2, 100), v(5)), ((2, 5), (2, 5)), Work(vector_ops=600)))  # fmt: skip
def top_k(op: OpView) -> Work:
    """Every element is compared at each level of a heap of k: n · ⌈log2(k + 1)⌉ comparisons (ONNX TopK-24)."""
    k = op.out_shape()[op.axis(default=-1)]
    return Work(vector_ops=op.elements(0) * k.bit_length())


def _running_value(accumulate: Callable[..., np.ndarray], start: int) -> ValueRule:
    """A value rule; `exclusive` leaves each element out of its own total, which begins with `start`."""

    def value(op: OpView) -> list[np.ndarray] | None:
        array, axis = op.value(0), op.value(1)
        if array is None or axis is None or array.ndim == 0:
            return None
        at = normal_axis(int(axis.ravel()[0]), array.ndim)
        array = np.flip(array, at) if op.attr("reverse", 0) else array
        with np.errstate(all="ignore"):
            totals = accumulate(array, axis=at, dtype=array.dtype)
        if op.attr("exclusive", 0):
            totals = np.roll(totals, 1, at)
            np.moveaxis(totals, at, 0)[:1] = start
        return [np.flip(totals, at) if op.attr("reverse", 0) else totals]

    return value


def _running_shape(op: OpView) -> list[Out]:
    axis = op.value(1)
    if axis is not None and axis.size:
        normal_axis(int(axis.ravel()[0]), len(op.shape(0)))
    return same_shape(op)


def running(op: OpView) -> Work:
    """One addition or multiplication an element (ONNX CumSum-14, CumProd-26)."""
    return Work(vector_ops=op.elements(0))


_RUNNING = Example((t(2, 3), v(1, shape=())), ((2, 3),), Work(vector_ops=6))
rule("CumSum", kind=Kind.REDUCTION, shape=_running_shape, value=_running_value(np.cumsum, 0),
     roles={1: Input.CONFIG}, example=_RUNNING)(running)  # fmt: skip
rule("CumProd", kind=Kind.REDUCTION, shape=_running_shape, value=_running_value(np.cumprod, 1),
     roles={1: Input.CONFIG}, example=_RUNNING)(running)  # fmt: skip


def _det_shape(op: OpView) -> list[Out]:
    shape = op.shape(0)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"the determinant of a tensor of shape {list(shape)}")
    return [Out(shape[:-2], op.dtype(0))]


@rule("Det", kind=Kind.OTHER, shape=_det_shape,
      example=Example((t(5, 3, 3),), ((5,),), Work(vector_ops=5 * (3 + 10 + 2))))  # fmt: skip
def det(op: OpView) -> Work:
    """Elimination: n(n−1)/2 divisions, n(n−1)(2n−1)/3 products and differences, n−1 for the diagonal (ONNX Det-22)."""
    n = op.shape(0)[-1]
    eliminations = n * (n - 1) // 2 + n * (n - 1) * (2 * n - 1) // 3
    return Work(vector_ops=op.out_elements() * (eliminations + max(n - 1, 0)))
