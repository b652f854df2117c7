"""Element-by-element operators: arithmetic, comparison, logic, activations.

Each row of the tables: vector operations and special-function evaluations per output element, and the numpy function
that computes small known values (shape arithmetic). Counts: a compare, add, multiply, divide or select is one vector
operation; an exponential, logarithm, trigonometric, error function or root is one special operation.
"""

from collections.abc import Callable

import numpy as np

from simulator.dtypes import BOOL, BY_CODE, DType
from simulator.errors import ShapeError
from simulator.ops.registry import MS, Example, Input, Out, ValueRule, from_values, rule, t, v
from simulator.ops.view import OpView, broadcast
from simulator.ops.work import Kind, Work

_Array = Callable[..., np.ndarray]


def same_shape(op: OpView) -> list[Out]:
    """One output like the first input."""
    return [Out(op.shape(0), op.dtype(0))]


def broadcast_shape(op: OpView) -> list[Out]:
    """One output of the inputs' broadcast shape and the first input's type."""
    return [Out(broadcast(*(op.shape(i) for i in range(len(op.inputs)) if op.has(i))), op.dtype(0))]


def legacy_broadcast_shape(op: OpView) -> list[Out]:
    """As `broadcast_shape`; before operator set 7, `axis` aligned the second input inside the first."""
    return [Out(op.shape(0), op.dtype(0))] if op.opset < 7 else broadcast_shape(op)


def _compare_shape(op: OpView) -> list[Out]:
    return [Out(legacy_broadcast_shape(op)[0].shape, BOOL)]


def per_element(vector: int, special: int = 0) -> Callable[[OpView], Work]:
    """Work of so many vector and special operations per output element."""

    def work(op: OpView) -> Work:
        elements = op.out_elements()
        return Work(vector_ops=vector * elements, special_ops=special * elements)

    return work


def _unless_neutral(work: Callable[[OpView], Work], number: int) -> Callable[[OpView], Work]:
    """That work, unless the second input is `number` throughout and leaves the first as it is: then nothing is computed."""

    def checked(op: OpView) -> Work:
        known = op.value(1)
        if known is None or not known.size or not op.outputs or op.out_shape() != op.shape(0):
            return work(op)
        return Work(kind=Kind.VIEW) if op.outputs[0].dtype is op.dtype(0) and bool(np.all(known == number)) else work(op)

    return checked


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """ONNX division: integers truncate toward zero."""
    if not np.issubdtype(a.dtype, np.integer):
        return np.asarray(np.divide(a, b))
    if not np.all(b):
        raise ShapeError("division by zero in shape arithmetic")
    return np.asarray((np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype))


def _mod_value(op: OpView) -> list[np.ndarray] | None:
    """ONNX Mod: the sign of the divisor, or with `fmod` that of the dividend."""
    a, b = op.value(0), op.value(1)
    if a is None or b is None:
        return None
    if np.issubdtype(b.dtype, np.integer) and not np.all(b):
        raise ShapeError("modulo by zero in shape arithmetic")
    return [np.asarray(np.fmod(a, b) if op.attr("fmod", 0) else np.mod(a, b))]


def _quiet(function: _Array) -> _Array:
    """`function` without floating-point warnings: an overflow in a constant is the model's, not ours."""

    def call(*arrays: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays))

    return call


def _value(function: _Array | None) -> ValueRule | None:
    return from_values(_quiet(function)) if function else None


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


# The error function has no instruction anywhere: 1 − (a1·t + … + a5·t⁵)·exp(−x²), t = 1 / (1 + p·|x|), with the sign of x
# (Abramowitz and Stegun 7.1.26): 9 operations for the polynomial, 3 for t, 6 around the exponential.
_ERF = (18, 1)

# name: vector ops, special ops, numpy function
UNARY: dict[str, tuple[int, int, _Array | None]] = {
    "Abs": (1, 0, np.abs), "Neg": (1, 0, np.negative), "Sign": (1, 0, np.sign), "Not": (1, 0, np.logical_not),
    "Ceil": (1, 0, np.ceil), "Floor": (1, 0, np.floor), "Round": (1, 0, np.rint), "BitwiseNot": (1, 0, np.invert),
    "Reciprocal": (1, 0, np.reciprocal), "Sqrt": (0, 1, np.sqrt), "Exp": (0, 1, np.exp), "Log": (0, 1, np.log),
    "Sin": (0, 1, np.sin), "Cos": (0, 1, np.cos), "Tan": (0, 1, np.tan), "Asin": (0, 1, np.arcsin),
    "Acos": (0, 1, np.arccos), "Atan": (0, 1, np.arctan), "Sinh": (0, 1, np.sinh), "Cosh": (0, 1, np.cosh),
    "Asinh": (0, 1, np.arcsinh), "Acosh": (0, 1, np.arccosh), "Atanh": (0, 1, np.arctanh), "Tanh": (0, 1, np.tanh),
    "Erf": (*_ERF, None), "Relu": (1, 0, lambda x: np.maximum(x, 0)), "LeakyRelu": (2, 0, None),
    "ThresholdedRelu": (2, 0, None), "Sigmoid": (2, 1, _sigmoid), "HardSigmoid": (4, 0, None),
    "HardSwish": (5, 0, None), "Elu": (3, 1, None), "Selu": (4, 1, None), "Celu": (4, 1, None),
    "Softplus": (1, 2, None), "Softsign": (3, 0, None), "Mish": (2, 3, None), "Gelu": (4 + _ERF[0], _ERF[1], None),
    "Swish": (3, 1, None), "Shrink": (3, 0, None),
}  # fmt: skip

BINARY: dict[str, tuple[int, int, _Array | None]] = {
    "Add": (1, 0, np.add), "Sub": (1, 0, np.subtract), "Mul": (1, 0, np.multiply), "Div": (1, 0, _divide),
    "PRelu": (2, 0, None), "BitShift": (1, 0, None),
    "BitwiseAnd": (1, 0, np.bitwise_and), "BitwiseOr": (1, 0, np.bitwise_or), "BitwiseXor": (1, 0, np.bitwise_xor),
}  # fmt: skip

# second inputs without any effect
NEUTRAL = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}

COMPARE: dict[str, _Array] = {
    "Equal": np.equal, "Less": np.less, "LessOrEqual": np.less_equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor,
}  # fmt: skip


def _register_tables() -> None:
    for name, (vector, special, function) in UNARY.items():
        counted = Work(vector_ops=6 * vector, special_ops=6 * special)
        example = Example((t(2, 3, dtype="bool" if name == "Not" else "uint8" if name == "BitwiseNot" else "float32"),),
                          ((2, 3),), counted)  # fmt: skip
        rule(name, kind=Kind.POINTWISE, shape=same_shape, value=_value(function), in_place=True, example=example)(
            per_element(vector, special)
        )
    for name, (vector, special, function) in BINARY.items():
        dtype = "uint8" if name.startswith("Bit") else "float32"
        attrs: dict[str, object] = {"direction": "LEFT"} if name == "BitShift" else {}
        second = t(1, dtype=dtype) if name == "PRelu" else t(3, dtype=dtype)
        example = Example((t(2, 3, dtype=dtype), second), ((2, 3),),
                          Work(vector_ops=6 * vector, special_ops=6 * special), attrs)  # fmt: skip
        work = per_element(vector, special)
        rule(name, kind=Kind.POINTWISE, shape=legacy_broadcast_shape, value=_value(function), in_place=True,
             example=example)(_unless_neutral(work, NEUTRAL[name]) if name in NEUTRAL else work)  # fmt: skip
    for name, function in COMPARE.items():
        dtype = "bool" if name in ("And", "Or", "Xor") else "float32"
        example = Example((t(2, 1, dtype=dtype), t(3, dtype=dtype)), ((2, 3),), Work(vector_ops=6))
        rule(name, kind=Kind.POINTWISE, shape=_compare_shape, value=_value(function), example=example)(per_element(1))


_register_tables()


def _is_test_shape(op: OpView) -> list[Out]:
    return [Out(op.shape(0), BOOL)]


rule("IsNaN", "IsInf", kind=Kind.POINTWISE, shape=_is_test_shape, example=Example((t(4),), ((4,),), Work(vector_ops=4)))(
    per_element(1)
)


@rule("Sum", "Max", "Min", "Mean", kind=Kind.POINTWISE, shape=broadcast_shape, in_place=True,
      value=lambda op: _variadic_value(op),
      example=Example((t(2, 3), t(3), t(1)), ((2, 3),), Work(vector_ops=12)))  # fmt: skip
def variadic(op: OpView) -> Work:
    """N inputs take n − 1 operations an element (ONNX Sum-13); Mean's division by n is one more, left out as others do."""
    return Work(vector_ops=(len(op.inputs) - 1) * op.out_elements())


def _variadic_value(op: OpView) -> list[np.ndarray] | None:
    arrays = [op.value(i) for i in range(len(op.inputs))]
    if not arrays or any(a is None for a in arrays):
        return None
    function: dict[str, _Array] = {"Sum": np.add, "Mean": np.add, "Max": np.maximum, "Min": np.minimum}
    result = arrays[0]
    for array in arrays[1:]:
        result = function[op.op.op_type](result, array)
    assert result is not None
    return [result / len(arrays) if op.op.op_type == "Mean" else result]


def _pow_value(op: OpView) -> list[np.ndarray] | None:
    base, power = op.value(0), op.value(1)
    if base is None or power is None:
        return None
    return [np.asarray(np.power(base.astype(np.float64), power)).astype(base.dtype)]


rule("Mod", kind=Kind.POINTWISE, shape=legacy_broadcast_shape, value=_mod_value, in_place=True,
     example=Example((t(2, 3, dtype="int64"), t(3, dtype="int64")), ((2, 3),), Work(vector_ops=6)))(per_element(1))  # fmt: skip

rule("Pow", kind=Kind.POINTWISE, shape=legacy_broadcast_shape, value=_pow_value, in_place=True,
     example=Example((t(2, 3), t(1)), ((2, 3),), Work(special_ops=6)))(_unless_neutral(per_element(0, 1), 1))  # fmt: skip


def _where_shape(op: OpView) -> list[Out]:
    return [Out(broadcast(op.shape(0), op.shape(1), op.shape(2)), op.dtype(1))]


rule("Where", kind=Kind.POINTWISE, shape=_where_shape, value=from_values(np.where),
     example=Example((t(3, dtype="bool"), t(2, 1), t(3)), ((2, 3),), Work(vector_ops=6)))(per_element(1))  # fmt: skip

rule("Clip", kind=Kind.POINTWISE, shape=same_shape, in_place=True, roles={1: Input.CONFIG, 2: Input.CONFIG},
     value=lambda op: _clip_value(op),
     example=Example((t(2, 3), v(0.0, dtype="float32", shape=()), v(6.0, dtype="float32", shape=())), ((2, 3),),
                     Work(vector_ops=12)))(per_element(2))  # fmt: skip


def _clip_value(op: OpView) -> list[np.ndarray] | None:
    x, low, high = op.value(0), op.value(1), op.value(2)
    if x is None or (op.has(1) and low is None) or (op.has(2) and high is None):
        return None
    if low is None and high is None:
        return [x]
    return [np.clip(x, low, high)]


def cast_target(op: OpView) -> DType:
    """Element type named by the attribute `to`."""
    code = op.attr("to", 0)
    if code not in BY_CODE or code == 0:
        raise ShapeError(f"attribute 'to' names no element type: {code}")
    return BY_CODE[code]


def _cast_value(op: OpView) -> list[np.ndarray] | None:
    from simulator.graph.raw import numpy_dtype

    value, target = op.value(0), numpy_dtype(cast_target(op))
    if value is None or target is None:
        return None
    with np.errstate(all="ignore"):
        return [value.astype(target)]


def cast_work(op: OpView) -> Work:
    """One conversion an element (ONNX Cast-25); into the type that it has already, nothing."""
    if op.outputs and op.outputs[0].dtype is op.dtype(0):
        return Work(kind=Kind.VIEW)
    return Work(vector_ops=op.out_elements())


rule("Cast", kind=Kind.CAST, shape=lambda op: [Out(op.shape(0), cast_target(op))], value=_cast_value,
     example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=6), {"to": 10}))(cast_work)  # fmt: skip


def _cast_like_value(op: OpView) -> list[np.ndarray] | None:
    from simulator.graph.raw import numpy_dtype

    value, target = op.value(0), numpy_dtype(op.dtype(1))
    return None if value is None or target is None else [value.astype(target)]


rule("CastLike", kind=Kind.CAST, shape=lambda op: [Out(op.shape(0), op.dtype(1))], value=_cast_like_value,
     roles={1: Input.CONFIG},
     example=Example((t(2, 3), t(1, dtype="float16")), ((2, 3),), Work(vector_ops=6)))(cast_work)  # fmt: skip

rule("QuickGelu", "FastGelu", "BiasAdd", "QuickGeLU", domain=MS, kind=Kind.POINTWISE,
     shape=same_shape, in_place=True,
     example=Example((t(2, 4), t(4)), ((2, 4),), Work(vector_ops=40, special_ops=8)))(per_element(5, 1))  # fmt: skip

rule("BiasGelu", "Gelu", domain=MS, kind=Kind.POINTWISE, shape=same_shape, in_place=True,
     example=Example((t(2, 4), t(4)), ((2, 4),), Work(vector_ops=184, special_ops=8)))(
    per_element(5 + _ERF[0], _ERF[1])
)  # fmt: skip
