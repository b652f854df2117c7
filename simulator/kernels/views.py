"""Which operators only look at the bytes of another tensor, under the fusion rules of a runtime."""

from collections.abc import Sequence
from typing import Final

from simulator.graph.graph import Graph
from simulator.graph.types import Op
from simulator.ops.work import CONVOLUTIONS, MAC_KINDS, Kind

DEQUANTIZE: Final = "DequantizeLinear"
OUTSIDE: Final = -1  # stands for whoever reads the graph's outputs
_STRIDED = frozenset({"Transpose", "Slice", "Split", "Expand"})


class Views:
    """The tensors of a graph, looked at through what costs nothing. `kinds` are the kernel classes of its operators."""

    def __init__(self, graph: Graph, kinds: Sequence[Kind], fusion: Sequence[str]) -> None:
        self.graph = graph
        self.kinds = kinds
        self._fold_quantization = "quantize" in fusion
        self._strided = "strided_views" in fusion
        self._everywhere = "views" in fusion
        self._free_casts = "free_casts" in fusion
        self._outputs = frozenset(graph.outputs)
        self._readers: dict[str, frozenset[int]] = {}

    def readers(self, name: str) -> frozenset[int]:
        """Operators that read the tensor or a view of it, and `OUTSIDE` where one of these is an output of the graph."""
        if name not in self._readers:
            found, pending = set(), [name]
            while pending:
                current = pending.pop()
                if current in self._outputs:
                    found.add(OUTSIDE)
                for reader in self.graph.consumers.get(current, ()):
                    pending += self.seen_through(reader)
                    if not self.is_view(reader):
                        found.add(reader)
            self._readers[name] = frozenset(found)
        return self._readers[name]

    def is_view(self, index: int) -> bool:
        """Whether the operator only reads the same bytes another way. A folded DequantizeLinear counts as one, and where
        the runtime reads with strides, a transpose or slice that no convolution needs in one piece; where it generates code,
        a cast that no matrix product reads.
        """
        op = self.graph.ops[index]
        if self.kinds[index] is Kind.VIEW:
            return True
        if self._outputs.intersection(op.outputs):
            return False
        if op.op_type == "Pad" and self.graph.tensors[op.outputs[0]].elements == self.graph.tensors[op.inputs[0]].elements:
            return True  # of no width: exporters write it where a size might not divide
        if op.op_type == "Transpose" and self._only_transposed(index):
            return True
        if self._is_strided(op) and self._everywhere:
            return True
        if self._is_strided(op) and self._strided:
            return not any(self._is_convolved(n) for n in op.outputs)
        if op.op_type == "Cast" and self._free_casts:
            return not any(self.kinds[r] in MAC_KINDS for n in op.outputs for r in self.readers(n) if r != OUTSIDE)
        return self._fold_quantization and op.op_type == DEQUANTIZE

    def seen_through(self, index: int) -> list[str]:
        """Outputs of an operator that are its input's bytes: all of a view's, and where the runtime reads with strides,
        those pieces of a split that no convolution needs in one piece.
        """
        op = self.graph.ops[index]
        if self.is_view(index):
            return [n for n in op.outputs if n]
        if op.op_type != "Split" or not self._strided:
            return []
        return [n for n in op.outputs if n and n not in self._outputs and not self._is_convolved(n)]

    def _is_convolved(self, name: str) -> bool:
        return any(self.kinds[r] in CONVOLUTIONS for r in self.graph.consumers.get(name, ()))

    def _is_strided(self, op: Op) -> bool:
        """Whether it reads every so many elements: it moves whole dimensions, or picks a known place along one."""
        return op.op_type in _STRIDED or (op.op_type == "Gather" and _one_known(self.graph, op.inputs[1]))

    def _only_transposed(self, index: int) -> bool:
        """Whether all that reads a transpose transposes again: the two are one, whichever way the file writes them."""
        pending, dims, found = [self.graph.ops[index].outputs[0]], self._dims(self.graph.ops[index].outputs[0]), False
        while pending:
            name = pending.pop()
            if name in self._outputs:
                return False
            for reader in self.graph.consumers.get(name, ()):
                op = self.graph.ops[reader]
                if self.kinds[reader] is Kind.VIEW and self._dims(op.outputs[0]) == dims:
                    pending.append(op.outputs[0])
                elif op.op_type == "Transpose" and op.repeat == self.graph.ops[index].repeat:
                    found = True
                else:
                    return False
        return found

    def _dims(self, name: str) -> list[int]:
        """Dimensions of a tensor, without those of one element."""
        return [d for d in self.graph.tensors[name].shape or () if d != 1]


def _one_known(graph: Graph, name: str) -> bool:
    """Whether a tensor is a single number known before the run."""
    return name in graph.values and graph.tensors[name].elements == 1
