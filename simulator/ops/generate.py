"""Random numbers. Their values are not known before the run.

A draw is one number of the counter-based generator Philox4x32-10 (Salmon et al., SC 2011): ten rounds of eight
integer operations give four, so 20 operations a number.
"""

from collections.abc import Callable

from simulator.dtypes import BY_CODE, DType
from simulator.errors import ShapeError
from simulator.ops.check import ranked
from simulator.ops.registry import Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Kind, Work

DRAW_VECTOR_OPS = 20


def named_dtype(op: OpView, name: str, default: int) -> DType:
    """Element type whose code stands in attribute `name`."""
    code = op.attr(name, default)
    if code not in BY_CODE:
        raise ShapeError(f"attribute '{name}' names no element type: {code}")
    return BY_CODE[code]


def _drawn_shape(op: OpView) -> list[Out]:
    shape = op.attr_ints("shape")
    if shape is None:
        raise ShapeError("attribute 'shape' is missing")
    return [Out(shape, named_dtype(op, "dtype", 1))]


def _like_shape(op: OpView) -> list[Out]:
    return [Out(op.shape(0), named_dtype(op, "dtype", op.dtype(0).code))]


def _draws(vector: int, special: int = 0) -> Callable[[OpView], Work]:
    """Work of one draw an output, and of the operations that follow it."""

    def work(op: OpView) -> Work:
        return Work(vector_ops=(DRAW_VECTOR_OPS + vector) * op.out_elements(), special_ops=special * op.out_elements())

    return work


# to the unit interval 1, scale 1, shift 1; the Box-Muller transform makes two normal numbers of two uniform ones with
# one logarithm, root, sine and cosine, and four multiplications
_UNIFORM, _NORMAL = _draws(3), _draws(5, special=2)
_SHAPE = {"shape": (2, 3)}

rule("RandomUniform", kind=Kind.OTHER, shape=_drawn_shape,
     example=Example((), ((2, 3),), Work(vector_ops=138), _SHAPE))(_UNIFORM)  # fmt: skip
rule("RandomNormal", kind=Kind.OTHER, shape=_drawn_shape,
     example=Example((), ((2, 3),), Work(vector_ops=150, special_ops=12), _SHAPE))(_NORMAL)  # fmt: skip
rule("RandomUniformLike", kind=Kind.OTHER, shape=_like_shape, roles={0: Input.CONFIG},
     example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=138)))(_UNIFORM)  # fmt: skip
rule("RandomNormalLike", kind=Kind.OTHER, shape=_like_shape, roles={0: Input.CONFIG},
     example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=150, special_ops=12)))(_NORMAL)  # fmt: skip
# to the unit interval 1, compare 1
rule("Bernoulli", kind=Kind.OTHER, shape=_like_shape,
     example=Example((t(2, 3),), ((2, 3),), Work(vector_ops=132)))(_draws(2))  # fmt: skip


def _multinomial_shape(op: OpView) -> list[Out]:
    return [Out((ranked(op, 0, 2)[0], op.attr("sample_size", 1)), named_dtype(op, "dtype", 6))]


@rule("Multinomial", kind=Kind.OTHER, shape=_multinomial_shape,
      example=Example((t(2, 16),), ((2, 3),), Work(vector_ops=2 * 32 + 6 * 25, special_ops=32),
                      {"sample_size": 3}))  # fmt: skip
def multinomial(op: OpView) -> Work:
    """Running sum of the exponentials, then a draw and a binary search a sample (ONNX Multinomial-22)."""
    search = (op.shape(0)[1] - 1).bit_length()
    vector = 2 * op.elements(0) + (DRAW_VECTOR_OPS + 1 + search) * op.out_elements()
    return Work(vector_ops=vector, special_ops=op.elements(0))
