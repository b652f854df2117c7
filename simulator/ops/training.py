"""Optimizer steps (ai.onnx.preview.training). The gradients themselves (Gradient) are not covered.

Inputs: the rate and the step, then groups of as many tensors as are trained: the tensors, their gradients, and one or
two running statistics. Outputs: the tensors and their statistics, anew.
"""

from collections.abc import Callable

from simulator.errors import ShapeError
from simulator.ops.registry import Example, Input, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Kind, Work

TRAINING = "ai.onnx.preview.training"
_ROLES = {0: Input.CONFIG, 1: Input.CONFIG}
_RATE = (t(), t(dtype="int64"))


def _trained(op: OpView, groups: int) -> int:
    count, rest = divmod(len(op.inputs) - 2, groups)
    if count < 1 or rest:
        raise ShapeError(f"{len(op.inputs) - 2} tensors are not {groups} of each that is trained")
    return count


def _step_shape(groups: int) -> Callable[[OpView], list[Out]]:
    """All groups but the gradients, the second."""

    def shape(op: OpView) -> list[Out]:
        count = _trained(op, groups)
        kept = [*range(2, 2 + count), *range(2 + 2 * count, len(op.inputs))]
        return [Out(op.shape(i), op.dtype(i)) for i in kept]

    return shape


def _parameters(op: OpView, groups: int) -> int:
    return sum(op.elements(i) for i in range(2, 2 + _trained(op, groups)))


@rule("Momentum", domain=TRAINING, kind=Kind.POINTWISE, shape=_step_shape(3), roles=_ROLES,
      example=Example((*_RATE, t(2, 3), t(2, 3), t(2, 3)), ((2, 3), (2, 3)), Work(vector_ops=42),
                      {"mode": "standard"}, opset=1))  # fmt: skip
def momentum(op: OpView) -> Work:
    """Regularize 2, update the momentum 3, step 2; Nesterov's look ahead 2 (ai.onnx.preview.training Momentum-1)."""
    return Work(vector_ops=(7 + 2 * (op.attr("mode", "standard") == "nesterov")) * _parameters(op, 3))


@rule("Adagrad", domain=TRAINING, kind=Kind.POINTWISE, shape=_step_shape(3), roles=_ROLES,
      example=Example((*_RATE, t(2, 3), t(2, 3), t(2, 3)), ((2, 3), (2, 3)),
                      Work(vector_ops=48, special_ops=6), opset=1))  # fmt: skip
def adagrad(op: OpView) -> Work:
    """Regularize 2, accumulate the square 2, divide by its root 2, step 2 (ai.onnx.preview.training Adagrad-1)."""
    parameters = _parameters(op, 3)
    return Work(vector_ops=8 * parameters, special_ops=parameters)


@rule("Adam", domain=TRAINING, kind=Kind.POINTWISE, shape=_step_shape(4), roles=_ROLES,
      example=Example((*_RATE, t(2, 3), t(2, 3), t(2, 3), t(2, 3)), ((2, 3), (2, 3), (2, 3)),
                      Work(vector_ops=78, special_ops=6), opset=1))  # fmt: skip
def adam(op: OpView) -> Work:
    """Regularize 2, two moments 3 and 4, divide by a root 2, step 2 (ai.onnx.preview.training Adam-1)."""
    parameters = _parameters(op, 4)
    return Work(vector_ops=13 * parameters, special_ops=parameters)
