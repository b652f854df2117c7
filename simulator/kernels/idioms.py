"""Operators that an exporter made of one: attention, normalisations, activation functions, rotary embeddings.

Exporters write a layer norm as ReduceMean → Sub → Pow → …, GELU as an Erf chain, attention as two matrix products with
a softmax between them. An idiom is the set of operators that belong together again; the partition gives it one kernel
where the runtime has one. Views (reshape, squeeze) between them do not matter, so that exports of the same network by
different exporters end in the same kernels. To add one, decorate a function that looks around its anchor.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role
from simulator.ops.work import Kind

_POINTWISE = frozenset({Kind.POINTWISE, Kind.CAST})
WHOLE_IMAGE = frozenset({"GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax"})  # as pools
_ATTENTION_RANK = 4
_MEANS = 2  # of a layer norm: that of x, and that of the squares
_MAX_OPERATORS = 32  # larger regions are not one function any more


@dataclass(frozen=True, slots=True)
class Idiom:
    """Operators (indices) that form one function, and the kernel class it has as one kernel."""

    name: str
    kind: Kind
    ops: frozenset[int]


class Neighbourhood:
    """The graph as idioms see it: operators joined through views."""

    def __init__(self, graph: Graph, kinds: list[Kind]) -> None:
        self.graph = graph
        self.kinds = kinds
        self._outputs = frozenset(graph.outputs)

    def source(self, name: str) -> int | None:
        """Operator that makes a tensor, looking through views; None for inputs and weights."""
        index = self.graph.producer.get(name)
        while index is not None and self.kinds[index] is Kind.VIEW:
            inputs = self.graph.ops[index].inputs
            index = self.graph.producer.get(inputs[0]) if inputs else None
        return index

    def feeds(self, index: int) -> list[int | None]:
        """Makers of the activation inputs, None for inputs of the graph; weights and configuration are left out."""
        tensors = self.graph.tensors
        names = [n for n in self.graph.ops[index].inputs if n and tensors[n].role is not Role.WEIGHT]
        return [self.source(n) for n in names if n not in self.graph.values]

    def readers(self, index: int) -> set[int] | None:
        """Operators that read what `index` makes, looking through views; None where it leaves the graph."""
        found: set[int] = set()
        pending = [n for n in self.graph.ops[index].outputs if n]
        while pending:
            name = pending.pop()
            if name in self._outputs:
                return None
            for reader in self.graph.consumers.get(name, ()):
                if self.kinds[reader] is Kind.VIEW:
                    pending += [n for n in self.graph.ops[reader].outputs if n]
                else:
                    found.add(reader)
        return found

    def elements(self, index: int) -> int:
        """Elements of the first output."""
        return self.graph.tensors[self.graph.ops[index].outputs[0]].elements

    def is_type(self, index: int | None, *op_types: str) -> bool:
        """Whether the operator is one of these types."""
        return index is not None and self.graph.ops[index].op_type in op_types

    def stays_inside(self, region: Iterable[int], last: int) -> bool:
        """Whether nothing but the result of `last` is read outside the region."""
        inside = set(region)
        return all((r := self.readers(i)) is not None and r <= inside for i in inside - {last})


Matcher = Callable[[Neighbourhood, int], "Idiom | None"]
IDIOMS: Final[dict[str, tuple[frozenset[str], Matcher]]] = {}


def idiom(name: str, *anchors: str) -> Callable[[Matcher], Matcher]:
    """Register a matcher; it is tried at every operator of one of the anchor types."""

    def register(matcher: Matcher) -> Matcher:
        if name in IDIOMS:
            raise ValueError(f"two idioms are named '{name}'")
        IDIOMS[name] = (frozenset(anchors), matcher)
        return matcher

    return register


def find_idioms(graph: Graph, kinds: list[Kind], names: Iterable[str]) -> dict[int, Idiom]:
    """For every operator of an idiom, the idiom; where two overlap, the one that starts first keeps its operators."""
    around = Neighbourhood(graph, [_as_reduction(op, kind) for op, kind in zip(graph.ops, kinds, strict=True)])
    wanted = [IDIOMS[name] for name in names if name in IDIOMS]
    found: dict[int, Idiom] = {}
    for index, op in enumerate(graph.ops):
        for anchors, matcher in wanted:
            if op.op_type in anchors and index not in found:
                match = matcher(around, index)
                if match is not None and not match.ops & found.keys():
                    found.update(dict.fromkeys(match.ops, match))
    return found


def _as_reduction(op: Op, kind: Kind) -> Kind:
    """The class of an operator inside a function: a mean over the whole image is the reduction of an instance norm."""
    return Kind.REDUCTION if kind is Kind.POOL and op.op_type in WHOLE_IMAGE else kind


@idiom("attention", "Softmax")
def attention(around: Neighbourhood, anchor: int) -> Idiom | None:
    """MatMul → scale, mask → Softmax → MatMul, all on activations: scores that need not be written out.

    Libraries have it for queries of batch, heads, tokens and width; with more dimensions the scores go through memory.
    """
    return _attention(around, anchor, lambda rank: rank <= _ATTENTION_RANK)


@idiom("attention_of_any_rank", "Softmax")
def attention_of_any_rank(around: Neighbourhood, anchor: int) -> Idiom | None:
    """The same for queries of five dimensions and more, which a compiler could join."""
    return _attention(around, anchor, lambda rank: rank > _ATTENTION_RANK)


def _attention(around: Neighbourhood, anchor: int, has_kernel: Callable[[int], bool]) -> Idiom | None:
    before = _back_to_product(around, anchor)
    after = _on_to_product(around, anchor)
    if before is None or after is None:
        return None
    region = frozenset({*before, anchor, *after})
    last = max(after)
    tensors = around.graph.tensors
    if not has_kernel(max(tensors[n].rank for i in region for n in around.graph.ops[i].outputs)):
        return None
    return Idiom("attention", Kind.ATTENTION, region) if around.stays_inside(region, last) else None


def _back_to_product(around: Neighbourhood, index: int) -> set[int] | None:
    """Element-wise operators between a softmax and the product that makes its scores, and that product."""
    region: set[int] = set()
    size = around.elements(index)
    while len(region) < _MAX_OPERATORS:
        feeds = [f for f in around.feeds(index) if f is not None and around.elements(f) == size]
        products = [f for f in feeds if around.kinds[f] is Kind.BATCHED_GEMM]
        if products:
            return region | {products[0]}
        steps = [f for f in feeds if around.kinds[f] in _POINTWISE]
        if len(steps) != 1:
            return None
        index = steps[0]
        region.add(index)
    return None


def _on_to_product(around: Neighbourhood, index: int) -> set[int] | None:
    """Element-wise operators between a softmax and the product with the values, and that product."""
    region: set[int] = set()
    pending = [index]
    size = around.elements(index)
    product: int | None = None
    while pending and len(region) < _MAX_OPERATORS:
        for reader in around.readers(pending.pop()) or ():
            if around.kinds[reader] is Kind.BATCHED_GEMM:
                if product not in (None, reader):
                    return None
                product = reader
            elif around.kinds[reader] in _POINTWISE and around.elements(reader) == size:
                if reader not in region:
                    region.add(reader)
                    pending.append(reader)
            else:
                return None
    return None if product is None else region | {product}


@idiom("upcast_norm", "ReduceMean")
def upcast_norm(around: Neighbourhood, anchor: int) -> Idiom | None:
    """A norm in a wider type, with the casts to it and back and the gain behind them (RMSNorm of language models)."""
    inner = normalization(around, anchor)
    if inner is None:
        return None
    before = _only({f for i in inner.ops for f in around.feeds(i)} - inner.ops)
    last = _only(around.readers(max(inner.ops)))
    if before is None or last is None or not _widens(around, before) or not around.is_type(last, "Cast"):
        return None
    region = inner.ops | {before, last}
    while _continues(around, last, None) and (scaled := _only(around.readers(last))) is not None:
        last = scaled
        region |= {last}
    return Idiom("upcast_norm", Kind.NORM, region) if around.stays_inside(region, last) else None


def _only(found: Collection[int | None] | None) -> int | None:
    """The one operator that was found; None where there are more, or none."""
    return next(iter(found)) if found and len(found) == 1 else None


def _widens(around: Neighbourhood, index: int) -> bool:
    """Whether it casts to a type of more bits."""
    op, tensors = around.graph.ops[index], around.graph.tensors
    return op.op_type == "Cast" and tensors[op.outputs[0]].dtype.bits > tensors[op.inputs[0]].dtype.bits


@idiom("rotary", "Neg")
def rotary(around: Neighbourhood, anchor: int) -> Idiom | None:
    """Positions turned into queries or keys: x · cos + (−x₂, x₁) · sin, x₁ and x₂ the halves of x (Su et al. 2021)."""
    chain = [anchor]
    for op_type in ("Concat", "Mul", "Add"):
        reader = _only(around.readers(chain[-1]))
        if reader is None or not around.is_type(reader, op_type):
            return None
        chain.append(reader)
    _, turned, scaled, total = chain
    halves = {f for f in (*around.feeds(anchor), *around.feeds(turned)) if f is not None} - {anchor}
    straight = _only([f for f in around.feeds(total) if f != scaled])
    source = _only({f for half in halves for f in around.feeds(half)})
    if straight is None or source is None or not around.is_type(straight, "Mul"):
        return None
    region = frozenset({*halves, *chain, straight})
    cuts = all(around.is_type(half, "Slice", "Split") for half in halves) and source in around.feeds(straight)
    return Idiom("rotary", Kind.POINTWISE, region) if cuts and around.stays_inside(region, total) else None


@idiom("normalization", "ReduceMean", "ReduceL2", "InstanceNormalization", "GlobalAveragePool")
def normalization(around: Neighbourhood, anchor: int) -> Idiom | None:
    """Layer, RMS, group and L2 norms written out: a reduction and the element-wise operators that undo it."""
    allow = _POINTWISE | {Kind.REDUCTION, Kind.NORM}
    for source in _sources(around, anchor):
        region = _closed_region(around, source, anchor, allow)
        if region is not None:
            return Idiom("normalization", Kind.NORM, region)
    return None


@idiom("layer_normalization", "ReduceMean")
def layer_normalization(around: Neighbourhood, anchor: int) -> Idiom | None:
    """A layer norm alone, which has two means: of x and of the squares of what is left. Runtimes that look for this one pattern
    run the others (root mean square, group, response norms) operator by operator.
    """
    found = normalization(around, anchor)
    means = 0 if found is None else sum(around.is_type(i, "ReduceMean") for i in found.ops)
    return found if means == _MEANS else None


@idiom("activation_function", "Erf", "Tanh", "Sigmoid", "HardSigmoid", "Softplus", "Clip")
def activation_function(around: Neighbourhood, anchor: int) -> Idiom | None:
    """GELU, SiLU, hard-swish and their like: element-wise operators of one x that is read more than once."""
    for source in _sources(around, anchor):
        region = _closed_region(around, source, anchor, _POINTWISE)
        if region is not None and len(around.readers(source) or ()) > 1:
            return Idiom("activation", Kind.POINTWISE, region)
    return None


def _sources(around: Neighbourhood, anchor: int) -> list[int]:
    """What a function around `anchor` may start from: operators before it, through element-wise ones, nearest first."""
    found: list[int] = []
    pending = [f for f in around.feeds(anchor) if f is not None]
    while pending and len(found) < _MAX_OPERATORS // 2:
        index = max(pending)
        pending.remove(index)
        if index not in found:
            found.append(index)
            if around.kinds[index] in _POINTWISE:
                pending += [f for f in around.feeds(index) if f is not None]
    return found


def _closed_region(around: Neighbourhood, source: int, anchor: int, allow: frozenset[Kind]) -> frozenset[int] | None:
    """Operators after `source` that hold `anchor`, read nothing else that depends on data, and leave one result as large.

    Grown in the order of the graph; complete when only its last operator is read outside, and what reads that does not
    belong to the same function any more.
    """
    inside: set[int] = set()
    pending = sorted(around.readers(source) or ())
    size = around.elements(source)
    best: frozenset[int] | None = None
    while pending and len(inside) < _MAX_OPERATORS:
        index = pending.pop(0)
        if index in inside or around.kinds[index] not in allow or not set(around.feeds(index)) <= inside | {source}:
            continue
        inside.add(index)
        pending = sorted({*pending, *(around.readers(index) or ())})
        if anchor in inside and around.elements(index) == size and around.stays_inside(inside, index):
            best = frozenset(inside)
            if not _continues(around, index, None if Kind.REDUCTION in allow else source):
                break
    return best


def _continues(around: Neighbourhood, index: int, source: int | None) -> bool:
    """Whether what reads `index` can belong to the same function.

    Several readers may join again (the centred x of a layer norm); a single one scales by a weight (gain and bias of a
    norm, the half of GELU), or reads the source again (x · f(x); not asked for norms, whose x is a residual by then).
    """
    readers = around.readers(index) or set()
    if len(readers) != 1:
        return bool(readers)
    (reader,) = readers
    tensors = around.graph.tensors
    weighted = any(n and tensors[n].role is Role.WEIGHT for n in around.graph.ops[reader].inputs)
    again = source is not None and source in around.feeds(reader)
    return again or (weighted and around.is_type(reader, "Mul", "Add", "Div"))
