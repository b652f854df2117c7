"""Cuts a graph into kernels with the fusion rules and idioms of a runtime.

Operators are taken in order. A view belongs to what made the tensor it looks at and costs nothing. An operator of an
idiom joins the kernel that holds the rest of it. Any other joins the kernel that the first matching rule names, unless
that kernel would then wait for something that waits for it; otherwise it starts a kernel of its own. So kernels are
convex, acyclic, and every operator has exactly one home.
"""

import heapq
from collections.abc import Sequence
from itertools import chain

from simulator.dtypes import DType
from simulator.errors import HardwareError, ShapeError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec
from simulator.kernels.idioms import IDIOMS, Idiom, find_idioms
from simulator.kernels.rules import FUSION_RULES
from simulator.kernels.types import Kernel
from simulator.ops.registry import Input, find_rule
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError
from simulator.ops.work import MAC_KINDS, NOTHING, Kind, Work

_RATES = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int16": "int16", "uint16": "int16",
    "int8": "int8", "uint8": "int8", "int4": "int4", "uint4": "int4", "bool": "int8",
}  # fmt: skip
OUTSIDE = -1  # stands for whoever reads the graph's outputs
_WIDTH = ("int4", "int8", "fp8", "int16", "fp16", "bf16", "fp32", "fp64")


def rate_of(dtype: DType) -> str:
    """Name of the rate at which an engine works on elements of this type: `fp32`, `int8`, …"""
    if dtype.name.startswith("float8"):
        return "fp8"
    return _RATES.get(dtype.name, "int4" if dtype.bits and dtype.bits < 8 else "fp32")


def work_of(graph: Graph, op: Op) -> Work:
    """Work of one operator; nothing where its rule or a shape is missing (both are counted in `graph.coverage`)."""
    rule = find_rule(op.domain, op.op_type)
    if rule is None:
        return NOTHING
    try:
        work = rule.work(OpView(op, graph.inputs_of(op), graph.outputs_of(op), graph.values.get))
    except UnknownShapeError:
        return NOTHING
    except MALFORMED as error:
        raise ShapeError(f"{op.op_type} '{op.name}': its inputs or attributes do not fit it ({error})") from error
    if min(work.macs, work.vector_ops, work.special_ops) < 0:
        raise ShapeError(f"{op.op_type} '{op.name}': its attributes give a negative amount of work")
    return work


def kind_of(op: Op, work: Work) -> Kind:
    """Kernel class of one operator."""
    rule = find_rule(op.domain, op.op_type)
    return work.kind or (rule.kind if rule else Kind.OTHER)


class Partitioner:
    """The kernels made so far, as fusion rules see them."""

    def __init__(self, graph: Graph, works: Sequence[Work], fusion: Sequence[str]) -> None:
        self.graph = graph
        self.works = works
        self.kinds = [kind_of(op, work) for op, work in zip(graph.ops, works, strict=True)]
        self.fold_quantization = "quantize" in fusion
        check_fusion(fusion)
        self.rules = [FUSION_RULES[name] for name in fusion if name in FUSION_RULES]
        self.idioms = find_idioms(graph, self.kinds, fusion)
        self._started: dict[Idiom, int] = {}  # kernels that hold the first operators of an idiom
        self.home: list[int | None] = [None] * len(graph.ops)
        self.members: list[list[int]] = []
        self.kind_sets: list[set[Kind]] = []
        self.waits_for: list[set[int]] = []  # for each kernel, those that make what it reads
        self.source: dict[str, str] = {}  # a view's output → the tensor whose bytes it reads
        self.free: list[int] = []  # views of inputs and weights
        self._outputs = frozenset(graph.outputs)
        self._readers: dict[str, frozenset[int]] = {}
        for index in range(len(graph.ops)):
            self._place(index)

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

    def feeds_from(self, index: int) -> list[int]:
        """Operators that make its activation inputs, each once, looking through views."""
        found = []
        for name in self.graph.ops[index].inputs:
            producer = self.graph.producer.get(self.root(name)) if name else None
            if producer is not None and self.home[producer] is not None:
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

    def readers(self, name: str) -> frozenset[int]:
        """Operators that read the tensor or a view of it, and `OUTSIDE` where one of these is an output of the graph."""
        if name not in self._readers:
            found, pending = set(), [name]
            while pending:
                current = pending.pop()
                if current in self._outputs:
                    found.add(OUTSIDE)
                for reader in self.graph.consumers.get(current, ()):
                    if self.is_view(reader):
                        pending += [n for n in self.graph.ops[reader].outputs if n]
                    else:
                        found.add(reader)
            self._readers[name] = frozenset(found)
        return self._readers[name]

    def is_only_reader(self, index: int, producer: int) -> bool:
        """Whether nothing else reads what operator `producer` makes, views of it included."""
        return all(self.readers(n) <= {index} for n in self.graph.ops[producer].outputs if n)

    def elements(self, index: int) -> int:
        """Elements of its first output."""
        return self.graph.tensors[self.graph.ops[index].outputs[0]].elements

    def kernel_kinds(self, kernel: int) -> frozenset[Kind]:
        """Kernel classes of the operators in a kernel."""
        return frozenset(self.kind_sets[kernel])

    # ---- placing -------------------------------------------------------------------------------------------------

    def is_view(self, index: int) -> bool:
        """Whether the operator only reads the same bytes another way; a folded DequantizeLinear counts as one."""
        op = self.graph.ops[index]
        return self.kinds[index] is Kind.VIEW or (self.fold_quantization and op.op_type == "DequantizeLinear")

    def _place(self, index: int) -> None:
        op = self.graph.ops[index]
        if op.constant:
            self.free.append(index)
            return
        if self.is_view(index):
            self._place_view(index, op)
            return
        kernel = self._kernel_for(index)
        if kernel is None:
            kernel = len(self.members)
            self.members.append([])
            self.kind_sets.append(set())
            self.waits_for.append(set())
        self._join(index, kernel)

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
                return kernel
        return None

    def _place_view(self, index: int, op: Op) -> None:
        source = self.root(op.inputs[0]) if op.inputs else ""
        for name in op.outputs:
            if name and source:
                self.source[name] = source
        producer = self.graph.producer.get(source)
        if producer is not None and self.home[producer] is not None:
            self.home[index] = self.home[producer]  # joined for the report; it adds neither work nor order
        else:
            self.free.append(index)

    def _join(self, index: int, kernel: int) -> None:
        self.home[index] = kernel
        self.members[kernel].append(index)
        self.kind_sets[kernel].add(self.kinds[index])
        self.waits_for[kernel].update(k for k in self.producers(index) if k != kernel)
        if index in self.idioms:
            self._started.setdefault(self.idioms[index], kernel)

    def _is_safe(self, index: int, kernel: int) -> bool:
        """Whether no other producer of `index` waits for the kernel: they would wait for each other."""
        return not any(self._waits(other, kernel) for other in self.producers(index) if other != kernel)

    def _waits(self, one: int, other: int) -> bool:
        """Whether kernel `one` needs, at any remove, what kernel `other` makes."""
        first = self.members[other][0]
        pending, seen = [one], {one}
        while pending:
            kernel = pending.pop()
            if kernel == other:
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
        ready = [(self.members[k][0], k) for k, count in enumerate(missing) if not count]
        heapq.heapify(ready)
        result = []
        while ready:
            _, kernel = heapq.heappop(ready)
            result.append(kernel)
            for reader in readers[kernel]:
                missing[reader] -= 1
                if not missing[reader]:
                    heapq.heappush(ready, (self.members[reader][0], reader))
        assert len(result) == len(self.members), "kernels wait for each other"
        return result


def check_fusion(names: Sequence[str]) -> None:
    """Refuse names that are neither fusion rules nor idioms."""
    known = [*FUSION_RULES, *IDIOMS]
    for name in names:
        if name not in known:
            raise HardwareError(f"no fusion rule '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")


def partition(graph: Graph, fusion: Sequence[str]) -> tuple[tuple[Kernel, ...], tuple[Work, ...]]:
    """The kernels of a graph under these fusion rules, in the order they run, and the work of every operator."""
    works = tuple(work_of(graph, op) for op in graph.ops)
    state = Partitioner(graph, works, fusion)
    return tuple(_kernel(state, state.members[k]) for k in state.order()), works


def _kernel(state: Partitioner, members: list[int]) -> Kernel:
    main = max(members, key=lambda i: (state.works[i].macs, state.works[i].flops, -i))
    op = state.graph.ops[main]
    inputs, weights = _reads(state, members)
    rate = _rate(state, main)
    idiom = state.idioms.get(main)
    kind = idiom.kind if idiom is not None and idiom.kind is not Kind.POINTWISE else state.kinds[main]
    return Kernel(op.name, kind, tuple(members), main, rate, inputs, weights, _writes(state, members))


def _reads(state: Partitioner, members: list[int]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Activations and weights that enter the kernel, each once; a view counts as the tensor it looks at."""
    inside = {n for i in members for n in state.graph.ops[i].outputs}
    inputs: dict[str, TensorSpec] = {}
    weights: dict[str, TensorSpec] = {}
    for index in members:
        op = state.graph.ops[index]
        rule = find_rule(op.domain, op.op_type)
        for position, name in enumerate(op.inputs):
            root = state.root(name) if name else ""
            if not root or root in inside or (rule and rule.role(position) is Input.CONFIG):
                continue
            spec = _partly_read(state, index, position, state.graph.tensors[root])
            target = weights if spec.role is Role.WEIGHT else inputs
            known = target.get(root)
            target[root] = spec if known is None or spec.elements > known.elements else known
    return tuple(inputs.values()), tuple(weights.values())


def _partly_read(state: Partitioner, index: int, position: int, spec: TensorSpec) -> TensorSpec:
    """The tensor, as a vector of the elements read where the rule says that not all are."""
    elements = state.works[index].read_elements.get(position)
    if elements is None or elements >= spec.elements:
        return spec
    return TensorSpec(spec.name, (elements,), spec.dtype, spec.role)


def _writes(state: Partitioner, members: list[int]) -> tuple[TensorSpec, ...]:
    """Tensors that leave the kernel: read by other kernels, through views too, or outputs of the graph."""
    inside = set(members)
    names = chain.from_iterable(state.graph.ops[i].outputs for i in members)
    return tuple(state.graph.tensors[name] for name in names if name and not state.readers(name) <= inside)


def _rate(state: Partitioner, main: int) -> str:
    """Element type the kernel computes in: that of the data, or of the weights where the data is narrower integers."""
    op = state.graph.ops[main]
    rule = find_rule(op.domain, op.op_type)
    operands = [i for i in range(len(op.inputs)) if op.inputs[i] and (rule is None or rule.role(i) in (Input.DATA, Input.WEIGHT))]
    specs = [state.graph.tensors[state.root(op.inputs[i])] for i in operands[:2]]
    if not specs:
        return rate_of(state.graph.tensors[op.outputs[0]].dtype)
    first = rate_of(specs[0].dtype)
    if state.kinds[main] not in MAC_KINDS or specs[0].dtype.is_float or len(specs) < 2:
        return first
    return max(first, rate_of(specs[1].dtype), key=_WIDTH.index)
