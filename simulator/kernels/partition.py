"""Cuts a graph into kernels with the fusion rules and idioms of a runtime.

Operators are taken in order. A view belongs to what made the tensor it looks at and costs nothing. An operator of an
idiom joins the kernel that holds the rest of it. Any other joins the kernel that the first matching rule names, unless
that kernel would then wait for something that waits for it; otherwise it starts a kernel of its own. So kernels are
convex, acyclic, and every operator has exactly one home.
"""

import heapq
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from simulator.dtypes import FLOAT32
from simulator.errors import HardwareError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.state import is_append
from simulator.graph.types import Op, Role, TensorSpec
from simulator.kernels.generated import generated_kinds
from simulator.kernels.idioms import IDIOMS, Idiom, find_idioms
from simulator.kernels.operators import kind_of, rate_of, work_of
from simulator.kernels.recompute import Recomputation
from simulator.kernels.rules import ELEMENTWISE, FUSION_RULES, GENERATED
from simulator.kernels.support import is_rounding
from simulator.kernels.types import Kernel
from simulator.kernels.views import DEQUANTIZE, Views
from simulator.ops.registry import Input, find_rule
from simulator.ops.work import MAC_KINDS, Kind, Work

_MANY = 200  # kernels looked at before a join is refused: what waits so long may as well wait apart
_FOLDING = (FUSION_RULES["batch_norm"], FUSION_RULES["convolution_norm"])
_WIDTH = ("int4", "int8", "fp8", "int16", "fp16", "bf16", "fp32", "fp64")


class Partitioner:
    """The kernels made so far, as fusion rules see them."""

    def __init__(self, graph: Graph, works: Sequence[Work], fusion: Sequence[str], apart: Sequence[Collection[str]] = ()) -> None:
        """`apart`: for each operator the engines that do not run it. Only those with the same ones become one kernel."""
        self.graph = graph
        self.works = works
        own = [kind_of(op, work) for op, work in zip(graph.ops, works, strict=True)]
        check_fusion(fusion)
        self.rules = [FUSION_RULES[name] for name in fusion if name in FUSION_RULES]
        self.apart = [None if is_rounding(op) else frozenset(names) for op, names in zip(graph.ops, apart, strict=bool(apart))]
        idioms = find_idioms(graph, own, fusion)
        self.kinds = generated_kinds(graph, own, fusion)
        self._merges = "merge" in fusion
        self.idioms = {i: idiom for i, idiom in idioms.items() if self._on_one_engine(idiom.ops)}
        for index, found in self.idioms.items():
            if found.kind is Kind.NORM and self.kinds[index] is Kind.POOL:
                self.kinds[index] = Kind.REDUCTION  # the mean of an instance norm
        self._started: dict[Idiom, int] = {}  # kernels that hold the first operators of an idiom
        self.home: list[int | None] = [None] * len(graph.ops)
        self.members: list[list[int]] = []
        self.kind_sets: list[set[Kind]] = []
        self.waits_for: list[set[int]] = []  # for each kernel, those that make what it reads
        self.source: dict[str, str] = {}  # a view's output → the tensor whose bytes it reads
        self.scales: dict[str, tuple[str, ...]] = {}  # a folded DequantizeLinear's output → its scales and zero points
        self.free: list[int] = []  # views of inputs and weights
        self.views: list[list[int]] = []  # for each kernel, the views of its tensors
        self.folded: dict[int, int] = {}  # batch norms in the weights → vector operations left
        self.looks = Views(graph, self.kinds, fusion)
        growing = (op for op in graph.ops if "append" in fusion and is_append(op, graph.tensors))
        self.grown = {op.outputs[0]: (op.inputs[0], op.inputs[1]) for op in growing}  # caches → what was kept, what is new
        self.again: dict[int, set[int]] = {}  # kernel → operators at home elsewhere that it computes again
        self.unstored: set[str] = set()  # what is computed again wherever it is read
        self.widened: set[str] = set()  # tensors in 16 bit that are written in fp32
        for index in range(len(graph.ops)):
            self._place(index)
        if "recompute" in fusion:
            written = [spec for members in self.members for spec in _writes(self, members)]
            decided = Recomputation(self, written, wide="wide_norms" in fusion)
            self.widened = decided.widened
            self.again, self.unstored = decided.again, {spec.name for spec in written} - decided.stored

    # ---- what rules ask ------------------------------------------------------------------------------------------

    def op(self, index: int) -> Op:
        """Operator `index`."""
        return self.graph.ops[index]

    def work(self, index: int) -> Work:
        """Its work."""
        return self.works[index]

    def kind(self, index: int) -> Kind:
        """Its kernel class."""
        return self.kinds[index]

    def root(self, name: str) -> str:
        """The tensor whose bytes `name` is a view of."""
        while name in self.source:
            name = self.source[name]
        return name

    def scales_of(self, name: str) -> list[str]:
        """Scales and zero points of the quantized tensor that `name` is a view of."""
        found: list[str] = []
        while name in self.source:
            found += self.scales.get(name, ())
            name = self.source[name]
        return found

    def feeds_from(self, index: int) -> list[int]:
        """Operators that make its activation inputs, each once, looking through views."""
        return self._makers(index, weights=False)

    def _makers(self, index: int, *, weights: bool = True) -> list[int]:
        """Operators that make its inputs, those among them that cast weights too."""
        found = []
        for name in self.graph.ops[index].inputs:
            producer = self.graph.producer.get(self.root(name)) if name else None
            if producer is None or self.home[producer] is None:
                continue
            if weights or self.graph.tensors[name].role is not Role.WEIGHT:
                found.append(producer)
        return list(dict.fromkeys(found))

    def kernel_of(self, index: int) -> int:
        """Kernel of an operator that has one."""
        home = self.home[index]
        assert home is not None
        return home

    def producers(self, index: int) -> list[int]:
        """Kernels that make its activation inputs, latest first, each once."""
        kernels = {self.kernel_of(feed) for feed in self.feeds_from(index)}
        return sorted(kernels, key=lambda k: self.members[k][-1], reverse=True)

    def data_of(self, index: int) -> list[str]:
        """Tensors whose bytes an operator reads, looking through views."""
        return [self.root(name) for i, name in enumerate(self.graph.ops[index].inputs) if name and _is_read(self, index, i)]

    def read_bytes(self, ops: Iterable[int], again: Iterable[int] = ()) -> int:
        """Bytes that a kernel of these operators reads, some of which are at home elsewhere and computed `again`."""
        return sum(spec.size_bytes for part in _reads(self, sorted(ops), sorted(again)) for spec in part)

    def runs_beside(self, kernel: int, other: int) -> bool:
        """Whether two kernels run equally often, and on the same engines."""
        return self._fits(self.members[other][0], kernel) and self._on_one_engine((*self.members[kernel], *self.members[other]))

    def is_only_reader(self, index: int, producer: int) -> bool:
        """Whether nothing else reads what operator `producer` makes, views of it included."""
        return self.are_only_readers(frozenset({index}), producer)

    def are_only_readers(self, ops: frozenset[int], producer: int) -> bool:
        """Whether only these operators read what operator `producer` makes, views of it included."""
        return all(self.looks.readers(n) <= ops for n in self.graph.ops[producer].outputs if n)

    def elements(self, index: int) -> int:
        """Elements of its first output."""
        return self.graph.tensors[self.graph.ops[index].outputs[0]].elements

    def constants(self, index: int) -> list[TensorSpec]:
        """Weights among its inputs."""
        specs = (self.graph.tensors[name] for name in self.graph.ops[index].inputs if name)
        return [spec for spec in specs if spec.role is Role.WEIGHT]

    def rank(self, index: int) -> int:
        """Dimensions of what it makes."""
        return self.graph.tensors[self.graph.ops[index].outputs[0]].rank

    def kernel_kinds(self, kernel: int) -> frozenset[Kind]:
        """Kernel classes of the operators in a kernel."""
        return frozenset(self.kind_sets[kernel])

    def function(self, index: int) -> Idiom:
        """The function that it belongs to: of itself alone, where it is none of several."""
        return self.idioms.get(index) or Idiom(self.op(index).op_type, self.kinds[index], frozenset({index}))

    # ---- placing -------------------------------------------------------------------------------------------------

    def _place(self, index: int) -> None:
        op = self.graph.ops[index]
        if op.constant:
            self.free.append(index)
            return
        if self.looks.is_view(index):
            self._place_view(index, op)
            return
        kernel = self._kernel_for(index)
        if kernel is None:
            kernel = len(self.members)
            self.members.append([])
            self.kind_sets.append(set())
            self.waits_for.append(set())
            self.views.append([])
        self._join(index, kernel)
        self.source.update(dict.fromkeys(self.looks.seen_through(index), op.inputs[0] if op.inputs else ""))
        if self._merges:
            self._merge_producers(index, kernel)

    def _merge_producers(self, index: int, kernel: int) -> None:
        """Element-wise kernels that feed an operator as large become part of its kernel, where that is generated code."""
        for other in self.producers(index):
            if other == kernel or not (self.kind_sets[other] <= ELEMENTWISE and self.kind_sets[kernel] <= GENERATED):
                continue
            feeds = [f for f in self.feeds_from(index) if self.home[f] == other]
            alike = all(self.elements(f) == self.elements(index) for f in feeds)
            between = self.waits_for[kernel] - {other}
            if alike and self._fits(index, other) and not any(self._waits(k, other) for k in between):
                self.merge(other, kernel)

    def merge(self, gone: int, kernel: int) -> None:
        """Make one kernel part of another."""
        for index in (*self.members[gone], *self.views[gone]):
            self.home[index] = kernel
        self.members[kernel] = sorted(self.members[kernel] + self.members[gone])
        self.views[kernel] += self.views[gone]
        self.kind_sets[kernel] |= self.kind_sets[gone]
        self.waits_for[kernel] |= self.waits_for[gone]
        self.members[gone], self.views[gone], self.waits_for[gone] = [], [], set()
        for waits in self.waits_for:
            if gone in waits:
                waits.remove(gone)
                waits.add(kernel)
        self.waits_for[kernel].discard(kernel)
        self._started = {idiom: kernel if home == gone else home for idiom, home in self._started.items()}

    def move(self, ops: Collection[int], kernel: int) -> None:
        """Give operators a home in another kernel; what they made becomes its own."""
        for index in ops:
            old = self.kernel_of(index)
            self.home[index] = kernel
            self.members[old].remove(index)
            self.kind_sets[old] = {self.kinds[i] for i in self.members[old]}
        self.members[kernel] = sorted((*self.members[kernel], *ops))
        self.kind_sets[kernel] |= {self.kinds[i] for i in ops}

    def _kernel_for(self, index: int) -> int | None:
        """The kernel that `index` joins: that of its idiom, or the first that a rule names and that is safe."""
        idiom = self.idioms.get(index)
        if idiom in self._started and self._is_safe(index, self._started[idiom]):
            return self._started[idiom]
        if idiom is not None and idiom.kind in MAC_KINDS:
            return None
        for rule in self.rules:
            kernel = rule(self, index)
            if kernel is None or not self._is_safe(index, kernel):
                continue
            if idiom is None or idiom.kind is Kind.POINTWISE or not self.kind_sets[kernel] & MAC_KINDS:
                if rule in _FOLDING:
                    self.folded[index] = 0 if self._has_bias(kernel) else self.elements(index)
                return kernel
        return None

    def _has_bias(self, kernel: int) -> bool:
        """Whether the first operator of a kernel adds a bias anyway."""
        op = self.graph.ops[self.members[kernel][0]]
        rule = find_rule(op.domain, op.op_type)
        return rule is not None and any(n and rule.role(i) is Input.BIAS for i, n in enumerate(op.inputs))

    def _place_view(self, index: int, op: Op) -> None:
        source = self.root(op.inputs[0]) if op.inputs else ""
        for name in op.outputs:
            if name and source:
                self.source[name] = op.inputs[0]
                if op.op_type == DEQUANTIZE:
                    self.scales[name] = tuple(n for n in op.inputs[1:] if n)
        producer = self.graph.producer.get(source)
        if producer is not None and self.home[producer] is not None:
            self.home[index] = self.home[producer]  # joined for the report; it adds neither work nor order
            self.views[self.kernel_of(producer)].append(index)
        else:
            self.free.append(index)

    def _join(self, index: int, kernel: int) -> None:
        self.home[index] = kernel
        self.members[kernel].append(index)
        self.kind_sets[kernel].add(self.kinds[index])
        self.waits_for[kernel].update(k for k in map(self.kernel_of, self._makers(index)) if k != kernel)
        if index in self.idioms:
            self._started.setdefault(self.idioms[index], kernel)

    def _is_safe(self, index: int, kernel: int) -> bool:
        """Whether both run equally often, and no other producer of `index` waits for the kernel: they would wait for each
        other.
        """
        if not self._fits(index, kernel):
            return False
        return not any(self._waits(other, kernel) for other in self.producers(index) if other != kernel)

    def _fits(self, index: int, kernel: int) -> bool:
        """Whether an operator runs as often as a kernel, and on the same engines."""
        if self.graph.ops[self.members[kernel][0]].repeat != self.graph.ops[index].repeat:
            return False
        return self._on_one_engine((*self.members[kernel], index))

    def _on_one_engine(self, ops: Iterable[int]) -> bool:
        """Whether the same engines run all of these operators."""
        return not self.apart or len({self.apart[i] for i in ops} - {None}) < 2

    def _waits(self, one: int, other: int) -> bool:
        """Whether kernel `one` needs, at any remove, what kernel `other` makes."""
        first = self.members[other][0]
        pending, seen = [one], {one}
        while pending:
            kernel = pending.pop()
            if kernel == other or len(seen) > _MANY:
                return True
            if self.members[kernel][-1] < first:  # all of it is before the other begins
                continue
            pending += self.waits_for[kernel] - seen
            seen |= self.waits_for[kernel]
        return False

    def order(self) -> list[int]:
        """Kernels in an order in which each finds its inputs made, as near as possible to that of the operators."""
        missing = [len(waits) for waits in self.waits_for]
        readers: list[list[int]] = [[] for _ in self.members]
        for kernel, waits in enumerate(self.waits_for):
            for other in waits:
                readers[other].append(kernel)
        ready = [(self.members[k][0], k) for k, count in enumerate(missing) if not count and self.members[k]]
        heapq.heapify(ready)
        result = []
        while ready:
            _, kernel = heapq.heappop(ready)
            result.append(kernel)
            for reader in readers[kernel]:
                missing[reader] -= 1
                if not missing[reader]:
                    heapq.heappush(ready, (self.members[reader][0], reader))
        assert len(result) == sum(map(bool, self.members)), "kernels wait for each other"
        return result


# all that any runtime fuses: what the bound is reckoned with
EVERY_FUSION: Final = (
    *FUSION_RULES,
    *IDIOMS,
    "strided_views",
    "views",
    "free_casts",
    "merge",
    "recompute",
    "append",
    "unrolled_reductions",
)
COSTLY: Final = ("wide_norms",)  # what some runtimes do that moves more bytes, and so is no part of the bound


def check_fusion(names: Sequence[str]) -> None:
    """Refuse names that are neither fusion rules nor idioms."""
    known = (*EVERY_FUSION, *COSTLY)
    for name in names:
        if name not in known:
            raise HardwareError(f"no fusion rule '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")


def partition(
    graph: Graph, fusion: Sequence[str], apart: Sequence[Collection[str]] = ()
) -> tuple[tuple[Kernel, ...], tuple[Work, ...]]:
    """The kernels of a graph under these fusion rules, in the order they run, and the work of every operator.

    `apart` names for each operator the engines that do not run it: what different engines run is not fused.
    """
    works = tuple(work_of(graph, op) for op in graph.ops)
    state = Partitioner(graph, works, fusion, apart)
    return tuple(_kernel(state, k) for k in state.order()), works


def _kernel(state: Partitioner, number: int) -> Kernel:
    members = state.members[number]
    main = max(members, key=lambda i: (state.works[i].macs, state.works[i].flops, -i))
    op = state.graph.ops[main]
    again = tuple(sorted(state.again.get(number, ())))
    inputs, weights = _reads(state, members, again)
    outputs = _writes(state, members)
    idiom = state.idioms.get(main)
    kind = idiom.kind if idiom is not None and idiom.kind is not Kind.POINTWISE else state.kinds[main]
    rate = _mac_rate(state, main) if kind in MAC_KINDS else _vector_rate(state, main, outputs)
    folded = {i: state.folded[i] for i in members if i in state.folded}
    views = tuple(state.views[number])
    return Kernel(op.name, kind, tuple(members), main, rate, inputs, weights, outputs, views, folded, again)


def _reads(
    state: Partitioner, members: Sequence[int], again: Sequence[int] = ()
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Activations and weights that enter the kernel; a view counts as the tensor it looks at, as far as it looks."""
    needed = _needed(state, members, again)
    inside = {n for i in needed for n in state.graph.ops[i].outputs}
    parts: dict[str, dict[str, int]] = {}  # tensor → what is read of it under which name → elements
    for index, share in needed.items():
        for position, name in enumerate(state.graph.ops[index].inputs):
            if not name or not _is_read(state, index, position):
                continue
            for root, elements in _sources(state, index, position, name):
                if root not in inside:
                    read = parts.setdefault(root, {})
                    read[name] = max(read.get(name, 0), math.ceil(elements * share))
            for scale in state.scales_of(name):
                parts.setdefault(scale, {})[scale] = state.graph.tensors[scale].elements
    specs = [_part(_stored(state, root), sum(read.values())) for root, read in parts.items()]
    return tuple(t for t in specs if t.role is not Role.WEIGHT), tuple(t for t in specs if t.role is Role.WEIGHT)


def _needed(state: Partitioner, members: Sequence[int], again: Sequence[int]) -> dict[int, float]:
    """Share of its result for which each operator of a kernel reads: all, but of what it computes again what it looks at."""
    needed = dict.fromkeys((*members, *again), 1.0)
    for index in sorted(again, reverse=True):
        (made,) = state.graph.ops[index].outputs
        looks: dict[str, float] = {}
        for reader, share in needed.items():
            for name in state.graph.ops[reader].inputs:
                if name and state.root(name) == made:
                    looks[name] = max(looks.get(name, 0.0), state.graph.tensors[name].elements * share)
        needed[index] = min(1.0, sum(looks.values()) / max(state.graph.tensors[made].elements, 1))
    return needed


def _sources(state: Partitioner, index: int, position: int, name: str) -> list[tuple[str, int]]:
    """Tensors whose bytes an input is, with the elements read of each: of a cache that grew, what was kept and what is new."""
    root, elements = state.root(name), _elements_read(state, index, position, name)
    if root not in state.grown:
        return [(root, elements)]
    past, new = state.grown[root]
    fresh = state.graph.tensors[new].elements
    return [(state.root(past), min(elements, state.graph.tensors[root].elements) - fresh), (root, fresh)]


def _elements_read(state: Partitioner, index: int, position: int, name: str) -> int:
    """Elements of an input that an operator reads: those its rule says, or all that the view shows."""
    shown = state.graph.tensors[name].elements
    op = state.graph.ops[index]
    if op.op_type == "Split":
        shown -= sum(state.graph.tensors[n].elements for n in op.outputs if n in state.source)
    return min(state.works[index].read_elements.get(position, shown), shown)


def _part(spec: TensorSpec, elements: int) -> TensorSpec:
    """The tensor, as a vector of the elements read where that is not all of it."""
    return spec if elements >= spec.elements else replace(spec, shape=(elements,))


def _stored(state: Partitioner, name: str) -> TensorSpec:
    """A tensor as it lies in memory."""
    spec = state.graph.tensors[name]
    return replace(spec, dtype=FLOAT32) if name in state.widened else spec


def _is_read(state: Partitioner, index: int, position: int) -> bool:
    """Whether an input is data: not configuration, not the cache that is only made longer, and of a folded batch norm only
    the shift that becomes a bias.
    """
    op = state.graph.ops[index]
    if position == 0 and op.outputs[0] in state.grown:
        return False
    rule = find_rule(op.domain, op.op_type)
    if index in state.folded and position > 0:
        return position == 2 and state.folded[index] > 0
    return rule is None or rule.role(position) is not Input.CONFIG


def _writes(state: Partitioner, members: list[int]) -> tuple[TensorSpec, ...]:
    """Tensors that leave the kernel: read by other kernels, through views too, or outputs of the graph, and the places of
    maxima, which a max pool writes for nobody.
    """
    inside = set(members)
    names = chain.from_iterable(state.graph.ops[i].outputs for i in members)
    unread = {name for i in members if state.graph.ops[i].op_type == "MaxPool" for name in state.graph.ops[i].outputs[1:]}
    made = (name for name in names if name and name not in state.source and name not in state.unstored)
    return tuple(_made(state, name) for name in made if name in unread or not state.looks.readers(name) <= inside)


def _made(state: Partitioner, name: str) -> TensorSpec:
    """A tensor as far as it is written: of a cache that grew, what is new."""
    spec = _stored(state, name)
    return _part(spec, state.graph.tensors[state.grown[name][1]].elements) if name in state.grown else spec


def _mac_rate(state: Partitioner, main: int) -> str:
    """Element type of a matrix product: that of the data, or of the weights where the data is narrower integers."""
    op = state.graph.ops[main]
    rule = find_rule(op.domain, op.op_type)
    roles = (Input.DATA, Input.WEIGHT)
    names = [n for i, n in enumerate(op.inputs) if n and (rule is None or rule.role(i) in roles)][:2]
    specs = sorted((state.graph.tensors[state.root(n)] for n in names), key=lambda t: t.role is Role.WEIGHT)
    first = rate_of(specs[0].dtype)
    if specs[0].dtype.is_float or len(specs) < 2:
        return first
    return max(first, rate_of(specs[1].dtype), key=_WIDTH.index)


def _vector_rate(state: Partitioner, main: int, outputs: tuple[TensorSpec, ...]) -> str:
    """Element type of other arithmetic: that of what it makes; of what it reads where it makes indices."""
    op = state.graph.ops[main]
    made = outputs[0] if outputs else state.graph.tensors[op.outputs[0]]
    if made.dtype.is_float or 0 < made.dtype.bits <= 16 or not op.inputs or not op.inputs[0]:
        return rate_of(made.dtype)
    return rate_of(state.graph.tensors[state.root(op.inputs[0])].dtype)
