"""Where a library that keeps channels in blocks reorders a tensor: Graph → Graph.

Convolutions on blocks make blocks of channels, and what follows works on them as long as it can: pools of whole blocks,
element-wise functions, sums of tensors of one shape, concatenations of whole blocks. Anything else reads the channels one
after another, so a reorder stands between. A transposition from or to channels last is done by the reorder.

Source: ONNX Runtime, core/optimizer/nchwc_transformer.cc.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from simulator.dtypes import FLOAT32
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec
from simulator.ops.blocks import IN_BLOCKS, reads_plain, works_on_blocks
from simulator.ops.pool import BLOCK_CHANNELS
from simulator.ops.registry import NCHWC
from simulator.ops.work import CONVOLUTIONS, Kind

_IMAGE_RANK: Final = 4
_TO_CHANNELS_LAST: Final = (0, 2, 3, 1)
_FROM_CHANNELS_LAST: Final = (0, 3, 1, 2)
_POOLS: Final = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})
_RESIZES: Final = frozenset({"Resize", "Upsample"})


def with_reorders(graph: Graph, kinds: Sequence[Kind]) -> Graph:
    """The graph with the reorders between operators on blocks of channels and others. `kinds` are the classes of its operators.

    Only convolutions of single precision that no integer form stands for.
    """
    layout = _Layout(graph, kinds)
    for index, op in enumerate(graph.ops):
        layout.place(index, op)
    return replace(graph, ops=tuple(layout.ops), tensors=layout.tensors)


@dataclass
class _Layout:
    graph: Graph
    kinds: Sequence[Kind]
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, TensorSpec] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)  # tensor → its name in blocks
    plain: set[str] = field(default_factory=set)  # of these, those that lie one channel after another as well

    def __post_init__(self) -> None:
        self.tensors = dict(self.graph.tensors)

    def place(self, index: int, op: Op) -> None:
        """Add an operator, with reorders of what it reads in the other layout."""
        if op.constant or not op.inputs or not op.outputs[0]:
            self.ops.append(op)
        elif self._convolves(index, op):
            groups, inputs = self._groups(op)
            direct = bool(reads_plain(np.array(inputs), np.array(groups)))
            data = self._as_plain(op, op.inputs[0]) if direct else self._as_blocks(op, op.inputs[0])
            self._add_blocked(replace(op, inputs=(data, *op.inputs[1:])))
        elif self._pools(op):
            self._add_blocked(replace(op, inputs=(self._as_blocks(op, op.inputs[0]), *op.inputs[1:])))
        elif self._stays(index, op):
            self._add_blocked(replace(op, inputs=tuple(self.blocks.get(name, name) for name in op.inputs)))
        elif _moves(op, _TO_CHANNELS_LAST) and op.inputs[0] in self.blocks:
            self.ops.append(replace(op, inputs=(self.blocks[op.inputs[0]],)))
        else:
            self.ops.append(replace(op, inputs=tuple(self._as_plain(op, name) for name in op.inputs)))

    # ---- who works on blocks -----------------------------------------------------------------------------------------

    def _convolves(self, index: int, op: Op) -> bool:
        data = self.tensors[op.inputs[0]]
        if self.kinds[index] not in CONVOLUTIONS or op.op_type != "Conv" or op.domain or data.rank != _IMAGE_RANK:
            return False
        if data.dtype is not FLOAT32 or self._made_by(op.inputs[0], "DequantizeLinear"):
            return False
        groups, inputs = self._groups(op)
        outputs = (self.tensors[op.inputs[1]].shape or (0,))[0] // groups
        return bool(works_on_blocks(np.array(inputs), np.array(outputs), np.array(groups)))

    def _groups(self, op: Op) -> tuple[int, int]:
        """Groups of a convolution, and the input channels of each."""
        given = op.attrs.get("group", 1)
        groups = given if isinstance(given, int) else 1
        return groups, (self.tensors[op.inputs[0]].shape or (0, 0))[1] // groups

    def _pools(self, op: Op) -> bool:
        data = self.tensors[op.inputs[0]]
        whole = data.rank == _IMAGE_RANK and (data.shape or (0, 1))[1] % BLOCK_CHANNELS == 0
        return op.op_type in _POOLS and whole and data.dtype is FLOAT32 and not any(op.outputs[1:])

    def _stays(self, index: int, op: Op) -> bool:
        """Whether an operator works on blocks since its inputs come in blocks."""
        data = [name for name in op.inputs if name and self.tensors[name].role is not Role.WEIGHT]
        if not data or any(name not in self.blocks for name in data):
            return False
        shapes = [self.tensors[name].shape or (0, 0) for name in data]
        if op.op_type == "Concat":
            return op.attrs.get("axis", 1) == 1 and all(shape[1] % BLOCK_CHANNELS == 0 for shape in shapes)
        if op.op_type in _RESIZES:
            return shapes[0][1] % BLOCK_CHANNELS == 0
        if self.kinds[index] is not Kind.POINTWISE or {*shapes} != {self.tensors[op.outputs[0]].shape}:
            return op.op_type == "BatchNormalization"
        constants = [self.tensors[name] for name in op.inputs if name and self.tensors[name].role is Role.WEIGHT]
        return all(spec.elements == 1 for spec in constants) or self._folds(op)

    def _folds(self, op: Op) -> bool:
        """Whether a constant for each channel becomes part of the convolution that alone feeds it."""
        found = [maker for name in op.inputs if (maker := self.graph.producer.get(name)) is not None]
        makers = [maker for maker in found if self.kinds[maker] in CONVOLUTIONS]
        return len(makers) == 1 and all(len(self.graph.consumers.get(n, ())) == 1 for n in self.graph.ops[makers[0]].outputs if n)

    # ---- reorders ----------------------------------------------------------------------------------------------------

    def _made_by(self, name: str, op_type: str) -> bool:
        maker = self.graph.producer.get(name)
        return maker is not None and self.graph.ops[maker].op_type == op_type

    def _add_blocked(self, op: Op) -> None:
        """Add an operator whose first result lies in blocks."""
        name = op.outputs[0]
        inner = replace(self.tensors[name], name=f"{name}{IN_BLOCKS}", role=Role.ACTIVATION)
        self.tensors[inner.name] = inner
        self.blocks[name] = inner.name
        self.ops.append(replace(op, outputs=(inner.name, *op.outputs[1:])))
        if name in self.graph.outputs:
            self._as_plain(op, name)

    def _as_plain(self, op: Op, name: str) -> str:
        """A tensor with its channels one after another, under its own name."""
        if name in self.blocks and name not in self.plain:
            self.plain.add(name)
            self.ops.append(self._reorder(op, "ReorderOutput", self.blocks[name], name))
        return name

    def _as_blocks(self, op: Op, name: str) -> str:
        """A tensor in blocks of channels; what was transposed to channels first alone for that comes in blocks at once."""
        if name not in self.blocks:
            maker = self.graph.producer.get(name)
            if maker is not None and _moves(self.graph.ops[maker], _FROM_CHANNELS_LAST):
                return name
            inner = replace(self.tensors[name], name=f"{name}{IN_BLOCKS}", role=Role.ACTIVATION)
            self.tensors[inner.name] = inner
            self.blocks[name] = inner.name
            self.plain.add(name)
            self.ops.append(self._reorder(op, "ReorderInput", name, inner.name))
        return self.blocks[name]

    def _reorder(self, op: Op, op_type: str, source: str, target: str) -> Op:
        channels = (self.tensors[target].shape or (0, 1))[1]
        return Op(
            f"{target}/{op_type}", op_type, NCHWC, 1, (source,), (target,), {"channels": channels},
            origin=op.origin, repeat=op.repeat, added=True,
        )  # fmt: skip


def _moves(op: Op, order: tuple[int, ...]) -> bool:
    """Whether it is a transposition of an image into this order."""
    return op.op_type == "Transpose" and op.attrs.get("perm") == order
