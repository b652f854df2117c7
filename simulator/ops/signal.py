"""Fourier transforms and what they need.

A transform of n complex points counts 5·n·log2(n) operations, one of real data half: the convention of FFT benchmarks
(Frigo and Johnson, "The design and implementation of FFTW3", 2005), for every n. They are vector operations, no MACs.
"""

import math

from simulator.errors import ShapeError
from simulator.ops.check import at_least, length
from simulator.ops.generate import named_dtype
from simulator.ops.registry import Example, Input, Out, rule, t, v
from simulator.ops.view import OpView, normal_axis
from simulator.ops.work import Kind, Work


def fft_ops(points: int, *, real: bool) -> int:
    """Operations of one transform."""
    return math.ceil((2.5 if real else 5) * points * math.log2(max(points, 1)))


def _transform(op: OpView) -> tuple[int, int]:
    """Axis and points; the axis is attribute `axis` before operator set 20, then input 2."""
    shape, new = at_least(op, 0, 2), op.ints(2) if op.opset >= 20 and op.has(2) else ()
    given = op.attr("axis", 1) if op.opset < 20 else new[0] if new else -2
    axis = normal_axis(given, len(shape))
    if axis == len(shape) - 1 or shape[-1] not in (1, 2):
        raise ShapeError(f"a Fourier transform along axis {given} of {list(shape)}")
    both = op.attr("onesided", 0) and op.attr("inverse", 0)
    return axis, length(op, 1) if op.has(1) else 2 * (shape[axis] - 1) if both else shape[axis]


def _dft_shape(op: OpView) -> list[Out]:
    axis, points = _transform(op)
    onesided, inverse = op.attr("onesided", 0), op.attr("inverse", 0)
    out = list(op.shape(0))
    out[axis] = points // 2 + 1 if onesided and not inverse else points
    out[-1] = 1 if onesided and inverse else 2
    return [Out(tuple(out), op.dtype(0))]


@rule("DFT", kind=Kind.OTHER, shape=_dft_shape, roles={1: Input.CONFIG, 2: Input.CONFIG},
      example=Example((t(3, 8, 1), v(8, shape=()), v(1, shape=())), ((3, 5, 2),), Work(vector_ops=3 * 60),
                      {"onesided": 1}))  # fmt: skip
def dft(op: OpView) -> Work:
    """One transform a row: 5·n·log2(n) operations, half of that from or to real data (ONNX DFT-20)."""
    axis, points = _transform(op)
    out = op.out_shape()
    rows = math.prod(out[:-1]) // max(out[axis], 1)
    return Work(vector_ops=rows * fft_ops(points, real=op.shape(0)[-1] == 1 or out[-1] == 1))


def _frame_length(op: OpView) -> int:
    if op.has(3):
        return length(op, 3)
    return at_least(op, 2, 1)[0] if op.has(2) else at_least(op, 0, 2)[1]


def _stft_shape(op: OpView) -> list[Out]:
    signal, points, step = at_least(op, 0, 2), _frame_length(op), length(op, 1)
    if step < 1 or points > signal[1]:
        raise ShapeError(f"frames of {points} every {step} in a signal of {list(signal)}")
    bins = points // 2 + 1 if op.attr("onesided", 1) else points
    return [Out((signal[0], (signal[1] - points) // step + 1, bins, 2), op.dtype(0))]


@rule("STFT", kind=Kind.OTHER, shape=_stft_shape, roles={1: Input.CONFIG, 3: Input.CONFIG},
      example=Example((t(1, 128, 1), v(8, shape=()), t(16)), ((1, 15, 9, 2),), Work(vector_ops=15 * 176),
                      {"onesided": 1}))  # fmt: skip
def stft(op: OpView) -> Work:
    """A window (one operation an element) and a transform of 5·n·log2(n) operations a frame (ONNX STFT-17)."""
    signal, points = op.shape(0), _frame_length(op)
    parts = signal[2] if len(signal) > 2 else 1
    frames = math.prod(op.out_shape()[:2])
    return Work(vector_ops=frames * (fft_ops(points, real=parts == 1) + op.has(2) * points * parts))


def _window_shape(op: OpView) -> list[Out]:
    return [Out((length(op, 0),), named_dtype(op, "output_datatype", 1))]


_WINDOW_ROLES = {0: Input.CONFIG}


@rule("HannWindow", "HammingWindow", kind=Kind.OTHER, shape=_window_shape, roles=_WINDOW_ROLES,
      example=Example((v(16, shape=()),), ((16,),), Work(vector_ops=48, special_ops=16)))  # fmt: skip
def cosine_window(op: OpView) -> Work:
    """A window a − b·cos(c·k): three operations and a cosine an element (ONNX HannWindow-17)."""
    return Work(vector_ops=3 * op.out_elements(), special_ops=op.out_elements())


@rule("BlackmanWindow", kind=Kind.OTHER, shape=_window_shape, roles=_WINDOW_ROLES,
      example=Example((v(16, shape=()),), ((16,),), Work(vector_ops=96, special_ops=32)))  # fmt: skip
def blackman_window(op: OpView) -> Work:
    """Two cosines and six operations an element (ONNX BlackmanWindow-17)."""
    return Work(vector_ops=6 * op.out_elements(), special_ops=2 * op.out_elements())


def _mel_shape(op: OpView) -> list[Out]:
    return [Out((length(op, 1) // 2 + 1, length(op, 0)), named_dtype(op, "output_datatype", 1))]


@rule("MelWeightMatrix", kind=Kind.OTHER, shape=_mel_shape, roles={-1: Input.CONFIG},
      example=Example((v(8, shape=()), v(16, shape=()), v(8192, shape=()), t(), t()), ((9, 8),),
                      Work(vector_ops=288, special_ops=10)))  # fmt: skip
def mel_weight_matrix(op: OpView) -> Work:
    """Two slopes, a minimum and a clamp an element; an exponential a band edge (ONNX MelWeightMatrix-17)."""
    return Work(vector_ops=4 * op.out_elements(), special_ops=op.out_shape()[1] + 2)
