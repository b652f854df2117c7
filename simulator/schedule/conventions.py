"""Peak activation memory under named conventions: published figures silently use different ones.

`in_out`: the largest input + output of one kernel; what else waits for later kernels is not counted.
`liveness`: all that is still needed while a kernel runs; a lower bound for any allocator that copies nothing away.
`liveness_in_place`: as `liveness`, but a kernel may write its output over an input whose last use it is (see `Aliasing`).

All are functions of a graph and its kernels in the order they run. Views cost nothing: kernels name the tensor whose
bytes a view reads. Weights, kernel scratch such as im2col columns, and the runtime's own tables are not activations.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.dtypes import DType
from simulator.graph.graph import Graph
from simulator.graph.types import Role, TensorSpec
from simulator.kernels.operators import view_source
from simulator.kernels.types import Kernel
from simulator.machine.runtime import InPlace
from simulator.ops.registry import find_rule
from simulator.ops.work import Kind
from simulator.schedule.memory import Occupancy, activations_of, lifetimes, occupancy
from simulator.schedule.workspace import column_bytes, convolution_of, gap_elements, may_overwrite, padding_elements

Convention = Literal["in_out", "liveness", "liveness_in_place"]
CONVENTIONS: Final[Mapping[Convention, str]] = {
    "in_out": "largest input + output of one kernel",
    "liveness": "everything still needed while a kernel runs",
    "liveness_in_place": "the same, outputs written over dead inputs",
}
_POINT_BY_POINT = frozenset({Kind.POINTWISE, Kind.CAST})


@dataclass(frozen=True, slots=True)
class Aliasing:
    """Which tensors may share bytes.

    `elementwise`: a kernel writes over an input of as many elements whose last use it is, where everything the kernel
    computes from it is element by element: additions, also those fused behind a convolution, activations, casts to
    narrower types. `depthwise`: a depthwise convolution replaces its input, with `channel` as scratch one channel of
    the output, H·W (TinyEngine, arXiv:2007.10319: (N + 1)·H·W instead of 2·N·H·W), with `rows` k rows of the output,
    k·W·C (channels last: X-CUBE-AI 7.3 keeps 3 of a 3 × 3 kernel); `copy`: it does not. `pointwise`: a 1 × 1 convolution
    that at most doubles the channels writes over its input with a `gap` of a row. `zero_copy`: the inputs of a
    Concat along the outermost axis longer than 1 are written where it wants them, and a Split hands out parts. Graph
    inputs are as good as other tensors: the caller hands them over.
    """

    elementwise: bool = True
    depthwise: Literal["copy", "channel", "rows"] = "channel"
    zero_copy: bool = False
    pointwise: Literal["copy", "gap"] = "copy"

    @property
    def writes_over(self) -> bool:
        """Whether any kernel may write over its input."""
        return self.elementwise or self.depthwise != "copy" or self.pointwise != "copy"


NO_ALIASING: Final = Aliasing(elementwise=False, depthwise="copy")
IN_PLACE: Final = Aliasing()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tensor and the first and last kernel that need it."""

    spec: TensorSpec
    first: int
    last: int


@dataclass(frozen=True)
class Stay:
    """What lives in one memory: tensors by name with the kernels that they are there for, and the kernels that run there."""

    tenants: Mapping[str, Tenant]
    here: frozenset[int]


@dataclass(frozen=True, slots=True)
class Span:
    """So many bytes from the first to the last kernel."""

    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes at one address that tensors use together; `spans` follow each other and say how many are needed when."""

    tenants: tuple[Tenant, ...]
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Name of the tensor that made it."""
        return self.tenants[0].spec.name

    @property
    def size_bytes(self) -> int:
        """Most bytes it ever needs."""
        return max(s.size_bytes for s in self.spans)


@dataclass(frozen=True)
class Peak:
    """Bytes of activations by kernel under a convention; `at` is the kernel with most, `culprits` what fills it."""

    convention: Convention
    live_bytes: NDArray[np.int64]
    at: int
    culprits: tuple[Tenant, ...]

    @property
    def peak_bytes(self) -> int:
        """Most bytes at once."""
        return int(self.live_bytes.max(initial=0))


def everything(graph: Graph, kernels: Sequence[Kernel]) -> Stay:
    """All activations and all kernels in one memory."""
    tenants = {name: Tenant(*span) for name, span in lifetimes(graph, kernels).items()}
    return Stay(tenants, frozenset(range(len(kernels))))


def buffers(
    graph: Graph, kernels: Sequence[Kernel], aliasing: Aliasing = NO_ALIASING, stay: Stay | None = None
) -> tuple[Buffer, ...]:
    """What must be in memory when, tensors that share bytes together; kernel positions count from 0.

    `stay` says what lives in the memory asked about (None: everything).
    """
    stay = stay or everything(graph, kernels)
    groups = _Groups(graph, stay.tenants)
    if aliasing.zero_copy:
        for index in sorted(stay.here):
            _join_parts(groups, graph, kernels[index])
    scratch: list[Buffer] = []
    for index, kernel in enumerate(kernels):
        if index in stay.here and aliasing.writes_over:
            _write_over(groups, graph, kernel, index, aliasing, scratch)
    return (*groups.buffers(), *scratch)


def live_bytes(found: Iterable[Buffer], n_kernels: int) -> NDArray[np.int64]:
    """Bytes needed while each kernel runs, shape (n_kernels,)."""
    change = np.zeros(n_kernels + 1, np.int64)
    for buffer in found:
        for span in buffer.spans:
            change[span.first] += span.size_bytes
            change[span.last + 1] -= span.size_bytes
    return np.cumsum(change)[:-1]


def in_out(graph: Graph, kernels: Sequence[Kernel], stay: Stay | None = None) -> Peak:
    """Inputs + outputs of each kernel, every tensor whole and once; 0 for kernels that run elsewhere."""
    stay = stay or everything(graph, kernels)
    tenants, here = stay.tenants, stay.here
    names = [dict.fromkeys(t.name for t in (*k.inputs, *activations_of(k)) if i in here) for i, k in enumerate(kernels)]
    live = np.array([sum(tenants[n].spec.size_bytes for n in around) for around in names], np.int64)
    at = int(live.argmax()) if live.size else 0
    return Peak("in_out", live, at, _largest_first(tenants[n] for n in names[at]) if names else ())


def liveness(
    graph: Graph,
    kernels: Sequence[Kernel],
    aliasing: Aliasing = NO_ALIASING,
    name: Convention = "liveness",
    stay: Stay | None = None,
    more: Iterable[Buffer] = (),
) -> Peak:
    """Everything still needed while a kernel runs, tensors that share bytes counted once; `more` is there beside them."""
    found = (*buffers(graph, kernels, aliasing, stay), *more)
    live = live_bytes(found, len(kernels))
    at = int(live.argmax()) if live.size else 0
    there = (t for b in found for t in b.tenants if t.first <= at <= t.last)
    return Peak(name, live, at, _largest_first(there))


def peak(graph: Graph, kernels: Sequence[Kernel], convention: Convention, stay: Stay | None = None) -> Peak:
    """The peak under a named convention, of everything or of what lives in one memory."""
    if convention == "in_out":
        return in_out(graph, kernels, stay)
    return liveness(graph, kernels, IN_PLACE if convention == "liveness_in_place" else NO_ALIASING, convention, stay)


def occupancy_in_place(graph: Graph, kernels: Sequence[Kernel], in_place: InPlace) -> Occupancy:
    """What is alive while each kernel runs under a runtime that writes some results over their inputs."""
    if in_place == InPlace():
        return occupancy(graph, kernels)
    aliasing = Aliasing(in_place.elementwise, in_place.depthwise, pointwise=in_place.pointwise)
    workspaces = _workspaces(graph, kernels) if in_place.workspace else ()
    found = liveness(graph, kernels, aliasing, more=workspaces)
    return Occupancy(found.live_bytes.astype(np.float64), found.at, tuple(t.spec for t in found.culprits))


def _workspaces(graph: Graph, kernels: Sequence[Kernel]) -> Iterator[Buffer]:
    """What 8-bit convolutions need beside tensors, each while it runs."""
    for index, kernel in enumerate(kernels):
        convolution = convolution_of(graph, kernel)
        if convolution is None or not kernel.inputs or kernel.inputs[0].dtype.bits != 8:
            continue
        size_bytes = padding_elements(convolution) + column_bytes(convolution)
        if size_bytes:
            yield _scratch(f"workspace of {kernel.name}", size_bytes, kernel.inputs[0].dtype, index)


def _scratch(name: str, elements: int, dtype: DType, index: int) -> Buffer:
    """Elements that one kernel needs."""
    tenant = Tenant(TensorSpec(name, (elements,), dtype), index, index)
    return Buffer((tenant,), _staircase([tenant]))


def naive_bytes(graph: Graph, kernels: Sequence[Kernel]) -> int:
    """Every intermediate tensor at an address of its own; the network's inputs and outputs are not intermediate."""
    edges = {*graph.inputs, *(view_source(graph, name) for name in graph.outputs)}
    return sum(spec.size_bytes for name, (spec, _, _) in lifetimes(graph, kernels).items() if name not in edges)


def _largest_first(tenants: Iterable[Tenant]) -> tuple[Tenant, ...]:
    return tuple(sorted(tenants, key=lambda t: (-t.spec.size_bytes, t.first)))


class _Groups:
    """Which tensors share bytes so far: each group is named by its first tensor."""

    def __init__(self, graph: Graph, tenants: Mapping[str, Tenant]) -> None:
        self.tenants = tenants
        self.kept = frozenset(view_source(graph, name) for name in graph.outputs)
        self.home = {name: name for name in tenants}
        self.members = {name: [tenant] for name, tenant in tenants.items()}
        self.parts: set[str] = set()  # they lie inside another tensor: their address is not the group's

    def join(self, name: str, other: str) -> None:
        """Put `other` and all with it where `name` is."""
        home, gone = self.home[name], self.home[other]
        if home != gone:
            self.members[home] += self.members.pop(gone)
            self.home.update(dict.fromkeys((t.spec.name for t in self.members[home]), home))

    def is_free_after(self, name: str, index: int) -> bool:
        """Whether kernel `index` is the last to need the tensor and all that shares its bytes."""
        group = self.members[self.home[name]]
        return name not in self.parts and all(t.last <= index and t.spec.name not in self.kept for t in group)

    def buffers(self) -> list[Buffer]:
        """The groups that need any bytes, with these over time."""
        made = (Buffer(tuple(group), _staircase(group)) for group in self.members.values())
        return [buffer for buffer in made if buffer.spans]


def _staircase(group: Sequence[Tenant]) -> tuple[Span, ...]:
    """At each kernel the largest tensor of the group that is there then; equal neighbours in one span."""
    if len(group) == 1:
        (only,) = group
        return (Span(only.spec.size_bytes, only.first, only.last),) if only.spec.size_bytes else ()
    edges = sorted({t.first for t in group} | {t.last + 1 for t in group})
    spans: list[Span] = []
    for start, end in pairwise(edges):
        size = max((t.spec.size_bytes for t in group if t.first <= start <= t.last), default=0)
        if size and spans and spans[-1].size_bytes == size and spans[-1].last == start - 1:
            spans[-1] = Span(size, spans[-1].first, end - 1)
        elif size:
            spans.append(Span(size, start, end - 1))
    return tuple(spans)


def _write_over(groups: _Groups, graph: Graph, kernel: Kernel, index: int, aliasing: Aliasing, scratch: list[Buffer]) -> None:
    """Let the outputs of a kernel take the place of inputs that nobody needs after it."""
    for output in activations_of(kernel):
        if output.name in groups.parts or len(groups.members[groups.home[output.name]]) > 1:
            continue
        free = [t for t in kernel.inputs if t.name in groups.tenants and groups.is_free_after(t.name, index)]
        for source in sorted(free, key=lambda t: groups.tenants[t.name].spec.size_bytes):
            extra = _overwriting(graph, kernel, groups.tenants[source.name].spec, output, aliasing)
            if extra is None:
                continue
            groups.join(source.name, output.name)
            if extra:
                scratch.append(_scratch(f"scratch of {kernel.name}", extra, output.dtype, index))
            break


def _overwriting(graph: Graph, kernel: Kernel, source: TensorSpec, output: TensorSpec, aliasing: Aliasing) -> int | None:
    """Elements of scratch that writing `output` over `source` takes; None where it cannot be done."""
    ahead = _gap(graph, kernel, source, output) if aliasing.pointwise == "gap" else None
    if ahead is not None or output.size_bytes > source.size_bytes or not output.shape:
        return ahead
    readers = _reached(graph, kernel, source.name)
    others = [i for i in readers if not _is_point_by_point(graph, i)]
    if not others:
        return 0 if aliasing.elementwise and output.elements == source.elements else None
    op = graph.ops[kernel.main]
    is_depthwise = others == [kernel.main] and kernel.kind is Kind.DEPTHWISE_CONV and len(output.shape) > 2
    if not is_depthwise or aliasing.depthwise == "copy" or op.op_type.startswith("Nhwc"):
        return None
    if aliasing.depthwise == "channel":
        return output.elements // (output.shape[0] * output.shape[1])
    window = graph.tensors[op.inputs[3 if op.op_type.startswith("QLinear") else 1]].shape or (0, 0, 1)
    return window[2] * output.elements // (output.shape[0] * output.shape[2])


def _gap(graph: Graph, kernel: Kernel, source: TensorSpec, output: TensorSpec) -> int | None:
    """Elements between the input of a convolution and the result written over it; None where that cannot be or saves nothing."""
    if [i for i in _reached(graph, kernel, source.name) if not _is_point_by_point(graph, i)] != [kernel.main]:
        return None
    convolution = convolution_of(graph, kernel)
    if convolution is None or not may_overwrite(convolution) or (output.shape or ())[2:] != convolution.window.output:
        return None
    gap = gap_elements(convolution)
    return gap if gap < min(source.elements, output.elements) else None


def _reached(graph: Graph, kernel: Kernel, name: str) -> list[int]:
    """Operators of the kernel that compute from a tensor, directly or through others of the kernel, in order."""
    inside, found, pending = set(kernel.ops), set(), [name]
    while pending:
        for reader in graph.consumers.get(pending.pop(), ()):
            if reader in found or (reader not in inside and not _is_view(graph, reader)):
                continue
            found.add(reader)
            pending += [n for n in graph.ops[reader].outputs if n]
    return sorted(found & inside)


def _kind(graph: Graph, index: int) -> Kind:
    op = graph.ops[index]
    rule = find_rule(op.domain, op.op_type)
    return rule.kind if rule else Kind.OTHER


def _is_view(graph: Graph, index: int) -> bool:
    return _kind(graph, index) is Kind.VIEW or graph.ops[index].op_type == "DequantizeLinear"


def _is_point_by_point(graph: Graph, index: int) -> bool:
    return _kind(graph, index) in _POINT_BY_POINT or graph.ops[index].op_type == "BatchNormalization"


def _join_parts(groups: _Groups, graph: Graph, kernel: Kernel) -> None:
    """Concat: its inputs are born inside its output. Split: its outputs are parts of its input."""
    if len(kernel.ops) != 1:
        return
    op = graph.ops[kernel.main]
    if op.op_type == "Concat":
        whole, parts = op.outputs[0], [n for n in op.inputs if n]
    elif op.op_type == "Split":
        whole, parts = op.inputs[0], [n for n in op.outputs if n]
    else:
        return
    names = [whole, *parts]
    if len(set(names)) < len(names) or not all(n in groups.tenants for n in names):
        return  # the same part twice, weights, or views of something larger
    fresh = all(len(groups.members[groups.home[n]]) == 1 and graph.tensors[n].role not in (Role.INPUT, Role.STATE) for n in parts)
    if fresh and whole not in groups.parts and _is_outermost(graph, whole, op.attrs.get("axis", 0)):
        for part in parts:
            groups.join(whole, part)
            groups.parts.add(part)
        _hold_whole(groups, whole)


def _is_outermost(graph: Graph, name: str, axis: object) -> bool:
    """Whether parts along an axis lie one behind the other: all axes before it have length 1."""
    shape = graph.tensors[name].shape
    return isinstance(axis, int) and shape is not None and all(d == 1 for d in shape[: axis % len(shape)])


def _hold_whole(groups: _Groups, whole: str) -> None:
    """The whole is there as long as any of its parts."""
    home = groups.home[whole]
    group = groups.members[home]
    first, last = min(t.first for t in group), max(t.last for t in group)
    groups.members[home] = [Tenant(t.spec, first, last) if t.spec.name == whole else t for t in group]
