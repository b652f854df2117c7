"""Recurrent networks: LSTM, GRU, RNN and onnxruntime's dynamically quantized LSTM.

T steps over a batch of B, D directions, I inputs, H hidden units and G gates take T·B·D·G·H·(I + H) MACs. The input
product runs once for all steps, [T·B, I] · [I, G·H]; the recurrent one once a step, [B, H] · [H, G·H]. The GEMM shape
reported is that of the product with more MACs, the recurrent one where they tie. Sequences are counted in full length.

Vector and special operations of each hidden unit and step: one addition of the bias a gate (the file's two biases fold
into one), the activations as in `elementwise`, and the cell's own products and sums. Clipping is left out.
"""

from dataclasses import dataclass

from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.elementwise import UNARY
from simulator.ops.registry import MS, Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Gemm, Kind, Work


@dataclass(frozen=True, slots=True)
class _Cell:
    """A kind of cell: its gates, default activations with how often each is applied, and other operations a unit."""

    gates: int
    activations: tuple[str, ...]
    applied: tuple[int, ...]
    vector_ops: int


_LSTM = _Cell(4, ("Sigmoid", "Tanh", "Tanh"), (3, 1, 1), 4)  # C = f·C + i·c, H = o·h(C)
_GRU = _Cell(3, ("Sigmoid", "Tanh"), (2, 1), 5)  # r·H, H = (1 − z)·h + z·H
_RNN = _Cell(1, ("Tanh",), (1,), 0)

# vector and special operations of activations; ONNX names two that are no operators
_ACTIVATIONS = {name.lower(): row[:2] for name, row in UNARY.items()} | {"affine": (2, 0), "scaledtanh": (2, 1)}


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of one layer."""

    steps: int
    batch: int
    directions: int
    inputs: int
    hidden: int

    @property
    def updates(self) -> int:
        """Updates of one hidden unit, all units and both directions together."""
        return self.steps * self.batch * self.directions * self.hidden


def _sizes(op: OpView, cell: _Cell, *, transposed: bool = False) -> _Sizes:
    """Sizes by data and weights; ShapeError where they contradict each other. The batch is the data's alone."""
    data, weights, recurrent = op.shape(0), op.shape(1), op.shape(2)
    if not len(data) == len(weights) == len(recurrent) == 3:
        raise ShapeError(f"a recurrent layer over {list(data)} with weights {list(weights)} and {list(recurrent)}")
    if transposed:
        weights, recurrent = (weights[0], weights[2], weights[1]), (recurrent[0], recurrent[2], recurrent[1])
    directions = 2 if op.attr("direction", "forward") == "bidirectional" else 1
    hidden = op.attr("hidden_size", recurrent[2])
    rows = cell.gates * hidden
    if weights != (directions, rows, data[2]) or recurrent != (directions, rows, hidden):
        raise ShapeError(
            f"{directions} direction(s) of {hidden} hidden units and {cell.gates} gate(s) over {data[2]} inputs "
            f"with weights {list(op.shape(1))} and {list(op.shape(2))}"
        )
    batch, steps = data[:2] if op.attr("layout", 0) else data[1::-1]
    return _Sizes(steps, batch, directions, data[2], hidden)


def _outs(op: OpView, size: _Sizes, states: int) -> list[Out]:
    """Y of all steps, then the last of each state."""
    all_steps: Shape = (size.steps, size.directions, size.batch, size.hidden)
    last: Shape = (size.directions, size.batch, size.hidden)
    if op.attr("layout", 0):
        all_steps = (size.batch, size.steps, size.directions, size.hidden)
        last = (size.batch, size.directions, size.hidden)
    return [Out(all_steps, op.dtype(0)), *(Out(last, op.dtype(0)) for _ in range(states))]


def _activation_ops(op: OpView, cell: _Cell, directions: int) -> tuple[int, int]:
    """Vector and special operations of the activations of one unit in all directions."""
    names = op.attr("activations", ()) or cell.activations * directions
    if len(names) != len(cell.applied) * directions:
        raise ShapeError(f"{len(names)} activations for {directions} direction(s) of {len(cell.applied)}")
    vector = special = 0
    for name, times in zip(names, cell.applied * directions, strict=True):
        if name.lower() not in _ACTIVATIONS:
            raise ShapeError(f"unknown activation '{name}'")
        ops = _ACTIVATIONS[name.lower()]
        vector, special = vector + times * ops[0], special + times * ops[1]
    return vector, special


def _work(op: OpView, cell: _Cell, size: _Sizes, vector_ops: int) -> Work:
    """MACs of both products, activations, and `vector_ops` a unit and step besides."""
    rows = cell.gates * size.hidden
    over_inputs = Gemm(size.steps * size.batch, rows, size.inputs, size.directions)
    over_states = Gemm(size.batch, rows, size.hidden, size.steps * size.directions)
    vector, special = _activation_ops(op, cell, size.directions)
    one_direction = size.updates // size.directions
    return Work(
        macs=over_inputs.macs + over_states.macs,
        vector_ops=vector * one_direction + vector_ops * size.updates,
        special_ops=special * one_direction,
        gemm=over_inputs if size.inputs > size.hidden else over_states,
    )


_ROLES = {1: Input.WEIGHT, 2: Input.WEIGHT, 3: Input.BIAS}


def _lstm_vector_ops(op: OpView) -> int:
    """Cell, biases of four gates, and three peepholes of a multiplication and an addition each."""
    return _LSTM.vector_ops + 4 * op.has(3) + 6 * op.has(7)


@rule("LSTM", kind=Kind.RECURRENT, shape=lambda op: _outs(op, _sizes(op, _LSTM), 2), roles=_ROLES | {7: Input.BIAS},
      example=Example((t(5, 2, 3), t(1, 16, 3), t(1, 16, 4), t(1, 32)), ((5, 1, 2, 4), (1, 2, 4), (1, 2, 4)),
                      Work(macs=5 * 2 * 16 * 7, vector_ops=40 * 14, special_ops=40 * 5, gemm=Gemm(2, 16, 4, 5)),
                      {"hidden_size": 4}))  # fmt: skip
def lstm(op: OpView) -> Work:
    """Four gates; i, f, o take the first activation, the new cell the second, its output the third (ONNX LSTM-22)."""
    return _work(op, _LSTM, _sizes(op, _LSTM), _lstm_vector_ops(op))


@rule("GRU", kind=Kind.RECURRENT, shape=lambda op: _outs(op, _sizes(op, _GRU), 1), roles=_ROLES,
      example=Example((t(5, 2, 6), t(2, 12, 6), t(2, 12, 4)), ((5, 2, 2, 4), (2, 2, 4)),
                      Work(macs=2 * 5 * 2 * 12 * 10, vector_ops=80 * 9, special_ops=80 * 3, gemm=Gemm(10, 12, 6, 2)),
                      {"hidden_size": 4, "direction": "bidirectional"}))  # fmt: skip
def gru(op: OpView) -> Work:
    """Three gates; `linear_before_reset` keeps the two parts of the last one, and their biases, apart (ONNX GRU-22)."""
    apart = 1 if op.attr("linear_before_reset", 0) else 0
    biases = (3 + apart) * op.has(3)
    return _work(op, _GRU, _sizes(op, _GRU), _GRU.vector_ops + apart + biases)


@rule("RNN", kind=Kind.RECURRENT, shape=lambda op: _outs(op, _sizes(op, _RNN), 1), roles=_ROLES,
      example=Example((t(2, 5, 3), t(1, 4, 3), t(1, 4, 4), t(1, 8)), ((2, 5, 1, 4), (2, 1, 4)),
                      Work(macs=5 * 2 * 4 * 7, vector_ops=40, special_ops=40, gemm=Gemm(2, 4, 4, 5)),
                      {"hidden_size": 4, "layout": 1}))  # fmt: skip
def rnn(op: OpView) -> Work:
    """One gate (ONNX RNN-22)."""
    return _work(op, _RNN, _sizes(op, _RNN), _RNN.vector_ops + op.has(3))


@rule("DynamicQuantizeLSTM", domain=MS, kind=Kind.RECURRENT,
      shape=lambda op: _outs(op, _sizes(op, _LSTM, transposed=True), 2),
      roles=_ROLES | {7: Input.BIAS} | dict.fromkeys(range(8, 12), Input.SCALE),
      example=Example((t(5, 2, 3), t(1, 3, 16, dtype="int8"), t(1, 4, 16, dtype="int8"), None, None, None, None, None,
                       t(1), t(1, dtype="int8"), t(1), t(1, dtype="int8")), ((5, 1, 2, 4), (1, 2, 4), (1, 2, 4)),
                      Work(macs=5 * 2 * 16 * 7, vector_ops=3 * 30 + 40 * (10 + 11), special_ops=40 * 5,
                           gemm=Gemm(2, 16, 4, 5)), {"hidden_size": 4}))  # fmt: skip
def dynamic_quantize_lstm(op: OpView) -> Work:
    """An LSTM over 8-bit weights [D, I, 4·H], [D, H, 4·H]; inputs and states are quantized as they come.

    Three operations (range, scale) for each input and state, and one for rescaling each output of both products.
    """
    size = _sizes(op, _LSTM, transposed=True)
    work = _work(op, _LSTM, size, _lstm_vector_ops(op) + 3 + 2 * _LSTM.gates)
    quantize = 3 * op.elements(0)
    return Work(macs=work.macs, vector_ops=work.vector_ops + quantize, special_ops=work.special_ops, gemm=work.gemm)
