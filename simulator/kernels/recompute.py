"""Values that are computed again in every kernel that reads them, in place of being written to memory.

A code generator writes an element-wise value out only where that pays: read by few kernels, cheap, and made of few tensors
that lie in memory anyway, it becomes part of each kernel that reads it. Each operator keeps one home; the other kernels
list it as computed again. What a library reads, or the network's user, is always written.

Source: PyTorch, torch/_inductor/config.py, "control store vs recompute heuristic": realize_reads_threshold = 4,
realize_opcount_threshold = 30; torch/_inductor/ir.py, StorageBox.should_realize_on_reuse.

The same heuristic costs where a function uses its argument twice (x · sigmoid(x)): a batch norm of five tensors is then
written before the function, as wide as it is computed, for the fp16 or bf16 between the two is left out; the function itself
is cheap and computed again by each kernel that reads it. See `Recomputation._decide_before`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from simulator.graph.types import Role, TensorSpec
from simulator.kernels.rules import ELEMENTWISE, GENERATED, USE_TWICE
from simulator.kernels.views import OUTSIDE
from simulator.ops.work import Kind

if TYPE_CHECKING:
    from simulator.kernels.partition import Partitioner

_MOST_TENSORS: Final = 4  # that a value may be made of
_MOST_OPERATORS: Final = 30
REDUCING: Final = frozenset({"GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"})


class Recomputation:
    """Which values are computed again, decided in the order of the graph. It changes the kernels of `state`."""

    def __init__(self, state: "Partitioner", stored: Iterable[TensorSpec], *, wide: bool = False) -> None:
        """`stored` are the tensors that the kernels write; `wide`: norms before functions of two uses are written in fp32."""
        self.state = state
        self.wide = wide
        self.widened: set[str] = set()  # tensors in 16 bit that are written in fp32
        self.stored = {spec.name for spec in stored}
        self.again: dict[int, set[int]] = {}  # kernel → operators that it computes again
        self.place = {kernel: place for place, kernel in enumerate(state.order())}
        for index in range(len(state.graph.ops)):
            if state.home[index] is not None and self._is_cheap(index):
                self._decide(index)

    def _is_cheap(self, index: int) -> bool:
        op = self.state.graph.ops[index]
        known = self.state.kind(index) in ELEMENTWISE or op.op_type == "BatchNormalization"
        return known and op.op_type != "Concat" and len(op.outputs) == 1 and not self.state.looks.is_view(index)

    def _decide(self, index: int) -> None:
        """Compute a value again in the kernels that read it, if that moves no more bytes."""
        state, name = self.state, self.state.graph.ops[index].outputs[0]
        readers = state.looks.readers(name)
        if name not in self.stored or OUTSIDE in readers:
            return
        home = state.kernel_of(index)
        others = sorted({state.kernel_of(r) for r in readers} - {home}, key=self.place.__getitem__)
        if not all(self._is_generated(k) and state.runs_beside(k, home) for k in others):
            return
        recipe = self._recipe(index)
        if recipe is None:
            if self.wide and others and not any(r in state.members[home] for r in readers):
                self._decide_before(index, home, others)
            return
        made = {n for i in state.members[home] for n in state.graph.ops[i].outputs}
        gone = made & self.stored == {name} and not any(r in state.members[home] for r in readers)
        if self._saves(name, recipe, home, others, gone=gone):
            self.stored.discard(name)
            self._compute_again(recipe, home, others, gone=gone)

    def _decide_before(self, index: int, home: int, others: list[int]) -> None:
        """Write a 16-bit norm in place of the function that uses it twice, and compute that in the kernels that read it.

        The last of them becomes its home.
        """
        state, name = self.state, self.state.graph.ops[index].outputs[0]
        found = self._behind_norm(index)
        if found is None or state.graph.tensors[name].dtype.bits != 16:
            return
        norm, function = found
        if not function <= set(state.members[home]):
            return
        self.stored.discard(name)
        self.stored.add(norm)
        self.widened.add(norm)
        last = others[-1]
        state.move(function, last)
        for kernel in others:
            self.again[kernel] = self.again.get(kernel, set()) | (function - set(state.members[kernel]))
        for kernel in others:
            state.waits_for[kernel] = self._needs(kernel)

    def _behind_norm(self, index: int) -> tuple[str, frozenset[int]] | None:
        """The batch norm that a cheap value is a function of, if it is used twice, and the operators behind it."""
        state, graph = self.state, self.state.graph
        ops, pending, uses, norms = {index}, [index], 0, set[str]()
        while pending:
            current = pending.pop()
            twice = state.op(current).op_type in USE_TWICE
            for name in state.data_of(current):
                maker = graph.producer.get(name)
                if graph.tensors[name].elements == 1:
                    continue
                if maker is None or name in self.stored or not self._is_cheap(maker):
                    return None
                if state.op(maker).op_type == "BatchNormalization":
                    norms.add(name)
                    uses += 2 if twice else 1
                elif maker not in ops:
                    ops.add(maker)
                    pending.append(maker)
        return (norms.pop(), frozenset(ops)) if len(norms) == 1 and uses > 1 else None

    def _is_generated(self, kernel: int) -> bool:
        """Whether a kernel is no call of a library: pools over the whole image are reductions like any other."""
        state = self.state
        pools = (state.op(i).op_type for i in state.members[kernel] if state.kind(i) is Kind.POOL)
        return state.kernel_kinds(kernel) <= GENERATED | {Kind.POOL} and REDUCING.issuperset(pools)

    def _saves(self, name: str, recipe: frozenset[int], home: int, others: list[int], *, gone: bool) -> bool:
        """Whether no more bytes move than when the value is written and read."""
        before = sum(self._read_bytes(k) for k in others) + self.state.graph.tensors[name].size_bytes
        after = [self._read_bytes(k, recipe) for k in others]
        if gone:
            before += self._read_bytes(home)
            after[0] = self._read_bytes(others[0], recipe, joined=home)
        return sum(after) <= before

    def _read_bytes(self, kernel: int, recipe: frozenset[int] = frozenset(), joined: int | None = None) -> int:
        """What a kernel reads; with a recipe, if it computed that again; with another kernel, if that became part of it."""
        kernels = [kernel] if joined is None else [kernel, joined]
        members = {i for k in kernels for i in self.state.members[k]}
        again = recipe.union(*(self.again.get(k, ()) for k in kernels)) - members
        return self.state.read_bytes(members, again)

    def _compute_again(self, recipe: frozenset[int], home: int, others: list[int], *, gone: bool) -> None:
        for kernel in others:
            self.again[kernel] = self.again.get(kernel, set()) | (recipe - set(self.state.members[kernel]))
        if gone:  # nothing reads what the kernel makes any more: its operators are at home in the first that needs them
            first = others[0]
            self.state.merge(home, first)
            self.again[first] = (self.again[first] | self.again.pop(home, set())) - set(self.state.members[first])
        for kernel in others:
            self.state.waits_for[kernel] = self._needs(kernel)

    def _computed_by(self, kernel: int) -> set[int]:
        return {*self.state.members[kernel], *self.again.get(kernel, ())}

    def _recipe(self, index: int) -> frozenset[int] | None:
        """Operators that make a value from what lies in memory; None where that is too much, or not to be had."""
        ops, tensors, pending = {index}, set[str](), [index]
        graph = self.state.graph
        while pending:
            for name in self.state.data_of(pending.pop()):
                maker = graph.producer.get(name)
                if graph.tensors[name].role is Role.WEIGHT or maker is None or name in self.stored:
                    tensors |= {name} if graph.tensors[name].elements > 1 else set()
                elif not self._is_cheap(maker):
                    return None
                elif maker not in ops:
                    ops.add(maker)
                    pending.append(maker)
        return frozenset(ops) if len(tensors) <= _MOST_TENSORS and len(ops) <= _MOST_OPERATORS else None

    def _needs(self, kernel: int) -> set[int]:
        """Kernels that make what a kernel reads."""
        ops = self._computed_by(kernel)
        makers = {self.state.graph.producer.get(name) for i in ops for name in self.state.data_of(i)} - ops - {None}
        homes = (self.state.home[m] for m in makers if m is not None)
        return {k for k in homes if k is not None and k != kernel}
