"""Another batch for a file exported with a fixed one, whose constants have it baked in.

A second pass over the graph knows the shapes of the first (at the file's own batch). Where the batch enters a Reshape,
the dimension of the target that holds it is the one before which as many elements stand as before the batch in the
input; it is scaled there, whatever the constant says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.dtypes import DType
from simulator.graph.types import Shape, TensorSpec
from simulator.ops.registry import Out
from simulator.ops.view import OpView


@dataclass(frozen=True)
class Rebatch:
    """Shapes of all tensors at the file's own batch, and the wanted batch in multiples of it."""

    base: Mapping[str, TensorSpec]
    own: int
    wanted: int

    def scale(self, size: int) -> int:
        """A dimension that holds the batch, at the wanted batch."""
        return size * self.wanted // self.own

    def aligned_inputs(self, op: OpView) -> list[TensorSpec | None]:
        """Inputs of a Concat brought to one batch: what was made from constants grows with what depends on the batch."""
        shapes = [op.shape(i) for i in range(len(op.inputs))]
        axis, rank = op.axis(default=1), len(shapes[0])
        if any(len(s) != rank for s in shapes):
            return list(op.inputs)
        widest = [max(s[i] for s in shapes) for i in range(rank)]
        result: list[TensorSpec | None] = []
        for spec, shape in zip(op.inputs, shapes, strict=True):
            grown = tuple(widest[i] if i != axis and self.scale(shape[i]) == widest[i] else d for i, d in enumerate(shape))
            assert spec is not None
            result.append(TensorSpec(spec.name, grown, spec.dtype, spec.role))
        return result

    def corrected(self, op: OpView, dtype: DType) -> list[Out] | None:
        """The output of a Reshape, Expand or Resize at the wanted batch; None where its own rule is right."""
        name, source = op.op.outputs[0], self.base.get(op.op.inputs[0])
        target = self.base.get(name)
        if source is None or target is None or source.shape is None or target.shape is None:
            return None
        if op.op.op_type == "Reshape":
            shape = self._reshaped(source.shape, op.shape(0), target.shape)
        elif op.op.op_type == "Expand":
            shape = self._expanded(source.shape, op.shape(0), target.shape)
        else:
            shape = (op.shape(0)[0], *target.shape[1:]) if target.shape[:1] == source.shape[:1] else None
        return None if shape is None else [Out(shape, dtype)]

    def _reshaped(self, source: Shape, now: Shape, target: Shape) -> Shape | None:
        changed = [i for i, (a, b) in enumerate(zip(source, now, strict=True)) if a != b]
        if len(changed) != 1 or not math.prod(source):
            return None
        before = math.prod(source[: changed[0]])
        places = [i for i in range(len(target)) if math.prod(target[:i]) == before]
        if not places:
            return None
        ones = [i for i in places if target[i] == self.own]
        place = ones[0] if ones else places[-1]
        scaled = (*target[:place], self.scale(target[place]), *target[place + 1 :])
        return scaled if math.prod(scaled) == math.prod(now) else None

    def _expanded(self, source: Shape, now: Shape, target: Shape) -> Shape | None:
        """An Expand that does nothing at the file's batch is there for the batch (class tokens, queries)."""
        if source == now == target and target and target[0] == self.own:
            return (self.scale(target[0]), *target[1:])
        return None


CORRECTED = frozenset({"Reshape", "Expand", "Resize", "Upsample"})
