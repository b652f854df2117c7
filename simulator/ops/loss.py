"""Losses: what training networks end in."""

from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.check import at_least
from simulator.ops.registry import Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Kind, Work


def _loss(op: OpView) -> Out:
    """One number a target, or one in all."""
    scores, target = at_least(op, 0, 2), op.shape(1)
    if (scores[0], *scores[2:]) != target:
        raise ShapeError(f"scores of {list(scores)} for targets of {list(target)}")
    shape: Shape = target if op.attr("reduction", "mean") == "none" else ()
    return Out(shape, op.dtype(0))


def _picked_ops(op: OpView) -> int:
    """Negate, weigh (and sum the weights), sum: operations on the one score a target picks."""
    reduced = op.attr("reduction", "mean") != "none"
    return (1 + op.has(2) + reduced * (1 + op.has(2))) * op.elements(1)


@rule("NegativeLogLikelihoodLoss", kind=Kind.REDUCTION, shape=lambda op: [_loss(op)], roles={2: Input.WEIGHT},
      example=Example((t(4, 5), t(4, dtype="int64"), t(5)), ((),),
                      Work(vector_ops=16, read_elements={0: 4})))  # fmt: skip
def negative_log_likelihood(op: OpView) -> Work:
    """Each target picks one logarithm (ONNX NegativeLogLikelihoodLoss-22)."""
    return Work(vector_ops=_picked_ops(op), read_elements={0: op.elements(1)})


@rule("SoftmaxCrossEntropyLoss", kind=Kind.SOFTMAX, roles={2: Input.WEIGHT},
      shape=lambda op: [_loss(op), Out(op.shape(0), op.dtype(0))],
      example=Example((t(4, 5), t(4, dtype="int64")), ((), (4, 5)),
                      Work(vector_ops=4 * 20 + 8, special_ops=24)))  # fmt: skip
def softmax_cross_entropy(op: OpView) -> Work:
    """A log-softmax of all scores, then each target picks one (ONNX SoftmaxCrossEntropyLoss-13)."""
    return Work(vector_ops=4 * op.elements(0) + _picked_ops(op), special_ops=op.elements(0) + op.elements(1))
