"""Another batch for a file exported with a fixed one, whose constants have it baked in.

A second pass over the graph knows the shapes of the first (at the file's own batch). A Reshape keeps the order of the
elements, so the batch starts in its output where as many elements stand before it as in its input; the dimension found
there is scaled, whatever the constant says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.dtypes import DType
from simulator.graph.types import Op, Shape, TensorSpec
from simulator.ops.registry import Out
from simulator.ops.view import OpView

CORRECTED = frozenset({"Reshape", "Expand", "Resize", "Upsample", "Gather"})


@dataclass(frozen=True)
class Rebatch:
    """Shapes of all tensors at the file's own batch, and the wanted batch in multiples of it.

    `outer` notes tensors in which the batch is not the outermost factor of its dimension: what stands before it there
    (rows of tokens × batch, for example).
    """

    base: Mapping[str, TensorSpec]
    own: int
    wanted: int
    outer: dict[str, int] = field(default_factory=dict)

    def scale(self, size: int) -> int:
        """A dimension that holds the batch, at the wanted batch."""
        return size * self.wanted // self.own

    def inherit(self, op: Op) -> None:
        """Let the outputs of any operator but a Reshape hold the batch as its inputs do."""
        factor = next((self.outer[n] for n in op.inputs if n in self.outer), None)
        if factor is not None and op.op_type != "Reshape":
            self.outer.update(dict.fromkeys(op.outputs, factor))

    def aligned_inputs(self, op: OpView) -> list[TensorSpec | None]:
        """Inputs of a Concat brought to one batch: what was made from constants grows with what depends on the batch."""
        shapes = [op.shape(i) for i in range(len(op.inputs))]
        axis, rank = op.axis(default=1), len(shapes[0])
        if any(len(s) != rank for s in shapes):
            return list(op.inputs)
        widest = [max(s[i] for s in shapes) for i in range(rank)]
        result: list[TensorSpec | None] = []
        for spec, shape in zip(op.inputs, shapes, strict=True):
            grown = tuple(widest[i] if i != axis and self.scale(d) == widest[i] else d for i, d in enumerate(shape))
            assert spec is not None
            result.append(TensorSpec(spec.name, grown, spec.dtype, spec.role))
        return result

    def corrected(self, op: OpView, dtype: DType) -> list[Out] | None:
        """The output of an operator with a baked batch at the wanted one; None where its own rule is right."""
        source, target = self.base.get(op.op.inputs[0]), self.base.get(op.op.outputs[0])
        if source is None or target is None or source.shape is None or target.shape is None:
            return None
        if op.op.op_type == "Reshape":
            shape = self._reshaped(op.op, source.shape, op.shape(0), target.shape)
        elif op.op.op_type == "Expand":
            shape = self._expanded(source.shape, op.shape(0), target.shape)
        elif op.op.op_type == "Gather":
            shape = self._gathered(op, source.shape, target.shape)
        else:
            shape = (op.shape(0)[0], *target.shape[1:]) if target.shape[:1] == source.shape[:1] else None
        return None if shape is None else [Out(shape, dtype)]

    def _reshaped(self, op: Op, source: Shape, now: Shape, target: Shape) -> Shape | None:
        changed = [i for i, (a, b) in enumerate(zip(source, now, strict=True)) if a != b]
        if len(changed) != 1 or not math.prod(source):
            return None
        before = math.prod(source[: changed[0]]) * self.outer.get(op.inputs[0], 1)
        place = self._place(before, target)
        if place is None:
            return None
        self.outer[op.outputs[0]] = before // math.prod(target[:place])
        scaled = (*target[:place], self.scale(target[place]), *target[place + 1 :])
        return scaled if math.prod(scaled) == math.prod(now) else None

    def _place(self, before: int, target: Shape) -> int | None:
        """Dimension of `target` that holds a batch before which `before` elements stand.

        One that is the batch alone, if it starts there; features, in the last dimension, never hold it if the dimension
        before can take it as its inner factor.
        """
        starts = [i for i in range(len(target)) if math.prod(target[:i]) == before]
        alone = [i for i in starts if target[i] == self.own]
        if alone:
            return alone[0]
        if starts:
            last = starts[-1]
            return last - 1 if 0 < last == len(target) - 1 else last
        inside = [i for i in range(len(target)) if math.prod(target[:i]) < before < math.prod(target[: i + 1])]
        return inside[0] if inside and before % math.prod(target[: inside[0]]) == 0 else None

    def _expanded(self, source: Shape, now: Shape, target: Shape) -> Shape | None:
        """An Expand that does nothing at the file's batch is there for the batch (class tokens, queries)."""
        if source == now == target and target and target[0] == self.own:
            return (self.scale(target[0]), *target[1:])
        return None

    def _gathered(self, op: OpView, source: Shape, target: Shape) -> Shape | None:
        """A Gather of positions from the flattened batch is a strided view of it, with the batch in front."""
        axis = op.axis()
        if op.tensor(1).role != "weight" or op.tensor(1).rank < 2 or op.shape(0)[axis] == source[axis]:
            return None
        return (self.scale(target[0]), *target[1:]) if target and target[0] == self.own else None
