"""Patch-based execution (MCUNetV2, arXiv:2110.15352): the first kernels run on a grid of patches, one patch after another.

Large early activations then exist one patch at a time. The price: neighbouring patches need overlapping pieces of what
is in between (the halo), which each computes anew; nothing is passed from patch to patch. Pieces end at the borders of
the map: padding is not computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import Op, Role, TensorSpec
from simulator.kernels.operators import view_source, work_of
from simulator.kernels.types import Kernel
from simulator.ops.registry import find_rule
from simulator.ops.work import Kind
from simulator.schedule.conventions import CONVENTIONS, Convention, peak
from simulator.schedule.memory import activations_of, lifetimes

_WINDOWS: Final = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger", "MaxPool", "AveragePool", "LpPool"})
_POINT_BY_POINT: Final = frozenset({Kind.POINTWISE, Kind.CAST, Kind.VIEW})
_SAME_PLACE: Final = frozenset({"BatchNormalization", "Identity", "Dropout", "LRN"})
_MOVES: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})  # views that lose the place in the map

Ints = NDArray[np.int64]
_MOST_STAGES: Final = 16  # stage ends that `suggest` tries
_SIDES: Final = (2, 3, 4)


class NotLocalError(UsageError):
    """An operator of the patch stage needs more of its input than a neighbourhood."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Of one axis of a tensor, the piece that each patch needs: from `low` up to `high`, shape (n_patches,)."""

    low: Ints
    high: Ints

    @property
    def lengths(self) -> Ints:
        """Rows (or columns) of each piece."""
        return self.high - self.low

    def with_(self, other: "Pieces") -> "Pieces":
        """What both need."""
        return Pieces(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


Needs = tuple[Pieces, Pieces]  # rows, columns


@dataclass(frozen=True)
class PatchPlan:
    """What running the first `n_kernels` on a grid costs and saves; MACs of the whole batch, bytes of activations.

    `patch_bytes`: the largest patch of the stage alone, its input piece and output piece included: the figure of papers
    that stream the image in and the result out. `stage_bytes`: the stage with its whole output kept, while the image
    is fetched piece by piece. `with_image_bytes`: the same with the whole image in memory. `rest_bytes`: the
    kernels behind. All by convention.
    """

    grid: tuple[int, int]
    n_kernels: int
    last: str
    macs: int
    extra_macs: int
    patch_bytes: Mapping[Convention, int]
    stage_bytes: Mapping[Convention, int]
    with_image_bytes: Mapping[Convention, int]
    rest_bytes: Mapping[Convention, int]

    @property
    def overhead(self) -> float:
        """MACs computed again, as a fraction of the network's."""
        return self.extra_macs / self.macs if self.macs else 0.0

    def peak_bytes(self, convention: Convention = "liveness", *, image: bool = False) -> int:
        """Peak of the whole network, with the image whole in memory or fetched piece by piece."""
        stage = self.with_image_bytes if image else self.stage_bytes
        return max(stage[convention], self.rest_bytes[convention])


def patch_plan(graph: Graph, kernels: Sequence[Kernel], grid: tuple[int, int], n_kernels: int) -> PatchPlan:
    """The first `n_kernels` on a grid of rows × columns, the others whole.

    Raises:
        UsageError: no such number of kernels, or a grid finer than the stage's output.
        NotLocalError: an operator of the stage is not local in space.
    """
    stage = _Stage.of(graph, kernels, grid, n_kernels)
    total = sum(work_of(graph, op).macs * op.repeat for op in graph.ops)
    whole = (*stage.ends, *stage.images)
    kept, held = stage.size_bytes(stage.ends), stage.size_bytes(stage.images)
    return PatchPlan(
        grid, n_kernels, kernels[n_kernels - 1].name, total, stage.extra_macs(),
        {c: stage.largest((), c) for c in CONVENTIONS},
        {c: kept + stage.largest(stage.ends, c) for c in CONVENTIONS},
        {c: kept + held + stage.largest(whole, c) for c in CONVENTIONS},
        {c: int(peak(graph, kernels, c).live_bytes[n_kernels:].max(initial=0)) for c in CONVENTIONS},
    )  # fmt: skip


@dataclass(frozen=True)
class _Stage:
    """The first kernels, their outputs that outlive them, the images they read, and each patch as a graph of its own."""

    graph: Graph
    kernels: Sequence[Kernel]
    needs: Mapping[str, Needs]
    ends: tuple[str, ...]
    images: tuple[str, ...]
    tiles: tuple[Graph, ...]

    @classmethod
    def of(cls, graph: Graph, kernels: Sequence[Kernel], grid: tuple[int, int], n_kernels: int) -> "_Stage":
        """The pieces of every tensor on a grid."""
        if not 1 <= n_kernels <= len(kernels) or min(grid) < 1:
            raise UsageError(f"patches {grid[0]}x{grid[1]} of {n_kernels} kernels: the network has {len(kernels)}")
        ends = _ends(graph, kernels, n_kernels)
        try:
            needs = stage_needs(graph, kernels[:n_kernels], ends, grid)
        except NotLocalError:
            raise
        except UsageError:  # too fine a grid; where no grid would do, that is the better answer
            stage_needs(graph, kernels[:n_kernels], ends, (1, 1))
            raise
        images = tuple(name for name in needs if name in graph.inputs)
        return cls(graph, kernels[:n_kernels], needs, ends, images, tuple(_tiles(graph, needs, grid)))

    def size_bytes(self, names: Sequence[str]) -> int:
        """Bytes of whole tensors."""
        return sum(self.graph.tensors[n].size_bytes for n in names)

    def extra_macs(self) -> int:
        """MACs of all patches beyond those of the whole stage."""
        return sum(_extra_macs(self.graph, self.graph.ops[i], self.needs) for kernel in self.kernels for i in kernel.ops)

    def largest(self, outside: Sequence[str], convention: Convention) -> int:
        """Largest peak over the patches; tensors `outside` are counted elsewhere."""
        result = 0
        for tile in self.tiles:
            empty = {n: replace(tile.tensors[n], shape=(0,)) for n in outside}
            inner = replace(tile, tensors={**tile.tensors, **empty})
            result = max(result, peak(inner, self.kernels, convention).peak_bytes)
        return result


def cuts(graph: Graph, kernels: Sequence[Kernel]) -> list[int]:
    """Numbers of first kernels after which a single tensor is needed: where a patch stage can well end."""
    crossing = np.zeros(len(kernels) + 1, np.int64)
    for _, first, last in lifetimes(graph, kernels).values():
        crossing[first + 1 : last + 1] += 1
    return [n for n in range(1, len(kernels)) if crossing[n] == 1]


def suggest(graph: Graph, kernels: Sequence[Kernel], capacity_bytes: float) -> PatchPlan | None:
    """The cheapest patches that fit a capacity with the whole image in memory, else those with the lowest liveness peak.

    Tried are square grids of 2 to 4 and the first stage ends where a single tensor is alive. None where none helps.
    """
    live = peak(graph, kernels, "liveness").live_bytes
    found: list[tuple[float, int, int, int]] = []  # bytes too many, extra MACs, kernels, side of the grid
    for n_kernels in cuts(graph, kernels)[:_MOST_STAGES]:
        try:
            for side in _SIDES:
                stage = _Stage.of(graph, kernels, (side, side), n_kernels)
                whole = (*stage.ends, *stage.images)
                need = max(stage.size_bytes(whole) + stage.largest(whole, "liveness"), int(live[n_kernels:].max(initial=0)))
                if need < live.max():
                    found.append((max(need - capacity_bytes, 0.0), stage.extra_macs(), n_kernels, side))
        except NotLocalError:
            break
        except UsageError:  # a grid finer than the map
            continue
    return patch_plan(graph, kernels, (min(found)[3],) * 2, min(found)[2]) if found else None


def _ends(graph: Graph, kernels: Sequence[Kernel], n_kernels: int) -> tuple[str, ...]:
    """Tensors of the stage that outlive it: read behind it, or outputs of the network, through views too."""
    made = dict.fromkeys(t.name for k in kernels[:n_kernels] for t in activations_of(k))
    read_inside = {t.name for k in kernels[:n_kernels] for t in k.inputs}
    needed = {t.name for k in kernels[n_kernels:] for t in k.inputs} | {view_source(graph, name) for name in graph.outputs}
    return tuple(n for n in made if n in needed or n not in read_inside)


def stage_needs(graph: Graph, stage: Sequence[Kernel], ends: Sequence[str], grid: tuple[int, int]) -> dict[str, Needs]:
    """For every tensor of the stage, the pieces that the patches of its outputs need, found from the end backwards."""
    needs: dict[str, Needs] = {name: _split(graph.tensors[name], grid) for name in ends}
    members = sorted({i for kernel in stage for i in kernel.ops} | _views(graph, stage), reverse=True)
    for index in members:
        op = graph.ops[index]
        wanted = [needs[name] for name in op.outputs if name in needs]
        if not wanted:
            continue
        rows, columns = wanted[0]
        for more in wanted[1:]:
            rows, columns = rows.with_(more[0]), columns.with_(more[1])
        for name in dict.fromkeys(op.inputs):
            if name and graph.tensors[name].role is not Role.WEIGHT:
                found = _input_needs(graph, op, graph.tensors[name], (rows, columns))
                known = needs.get(name)
                needs[name] = found if known is None else (known[0].with_(found[0]), known[1].with_(found[1]))
    return needs


def _views(graph: Graph, stage: Sequence[Kernel]) -> set[int]:
    """Views between the stage's operators: they belong to no kernel."""
    made, found = {n for k in stage for i in k.ops for n in graph.ops[i].outputs}, set()
    for kernel in stage:
        pending = [n for i in kernel.ops for n in graph.ops[i].inputs if n]
        while pending:
            name = pending.pop()
            producer = graph.producer.get(name)
            if name not in made and producer is not None and producer not in found:
                found.add(producer)
                pending += [n for n in graph.ops[producer].inputs if n]
    return {i for i in found if not graph.ops[i].constant}


def _split(spec: TensorSpec, grid: tuple[int, int]) -> Needs:
    """A map cut into pieces of nearly equal length: at the multiples of length / pieces, rounded (halves to even)."""
    if spec.shape is None or len(spec.shape) != 4:
        raise NotLocalError(f"patches: '{spec.name}' is no map of rows and columns")
    if grid[0] > spec.shape[2] or grid[1] > spec.shape[3]:
        raise UsageError(f"patches {grid[0]}x{grid[1]}: '{spec.name}' has only {spec.shape[2]} x {spec.shape[3]} positions")
    rows, columns = (_even(length, count) for length, count in zip(spec.shape[2:], grid, strict=True))
    return rows, columns


def _even(length: int, count: int) -> Pieces:
    edges = np.rint(np.arange(count + 1) * length / count).astype(np.int64)
    return Pieces(edges[:-1], edges[1:])


def _input_needs(graph: Graph, op: Op, spec: TensorSpec, wanted: Needs) -> Needs:
    """What an operator reads of one input to make the wanted pieces of its outputs."""
    if spec.shape is None or len(spec.shape) != 4:
        raise _not_local(op)
    if op.op_type in _WINDOWS and spec.name == op.inputs[0]:
        return _window_needs(graph, op, spec, wanted)
    if op.op_type == "Pad":
        return _padded_needs(graph, op, spec, wanted)
    shape = graph.tensors[op.outputs[0]].shape
    if _keeps_place(op) and shape is not None and shape[2:] == spec.shape[2:]:
        return wanted
    raise _not_local(op)


def _keeps_place(op: Op) -> bool:
    """Whether an output position is computed from the inputs at the same row and column alone."""
    rule = find_rule(op.domain, op.op_type)
    if op.op_type in ("Concat", "Split"):
        return op.attrs.get("axis", 0) in (0, 1, -3, -4)
    point_by_point = rule is not None and rule.kind in _POINT_BY_POINT and op.op_type not in _MOVES
    return point_by_point or op.op_type in _SAME_PLACE or op.op_type in _WINDOWS


def _not_local(op: Op) -> NotLocalError:
    return NotLocalError(f"patches: {op.op_type} '{op.name}' is not local in space; end the patches before it")


def _window_needs(graph: Graph, op: Op, spec: TensorSpec, wanted: Needs) -> Needs:
    """Output rows [a, b) need input rows [a·s − p, (b − 1)·s − p + (k − 1)·d + 1): window k, stride s, dilation d, padding p."""
    assert spec.shape is not None
    out = graph.tensors[op.outputs[0]].shape
    if out is None or len(out) != 4:
        raise _not_local(op)
    window = _numbers(op, "kernel_shape") or (graph.tensors[op.inputs[3 if op.op_type == "QLinearConv" else 1]].shape or ())[2:]
    strides, dilations = _numbers(op, "strides") or (1, 1), _numbers(op, "dilations") or (1, 1)
    result = []
    for axis, piece in enumerate(wanted):
        size, step, reach = spec.shape[2 + axis], strides[axis], (window[axis] - 1) * dilations[axis]
        before = _padding(op, axis, (out[2 + axis] - 1) * step + reach + 1 - size)
        result.append(_clipped(piece.low * step - before, (piece.high - 1) * step - before + reach + 1, size))
    return result[0], result[1]


def _padding(op: Op, axis: int, missing: int) -> int:
    """Rows of padding before the map; `missing` is what `auto_pad` has to add in all."""
    auto = op.attrs.get("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return max(missing, 0) // 2
    if auto == "SAME_LOWER":
        return -(-max(missing, 0) // 2)
    return 0 if auto == "VALID" else (_numbers(op, "pads") or (0,) * 4)[axis]


def _padded_needs(graph: Graph, op: Op, spec: TensorSpec, wanted: Needs) -> Needs:
    assert spec.shape is not None
    pads = _numbers(op, "pads")
    if pads is None and len(op.inputs) > 1 and op.inputs[1] in graph.values:
        pads = tuple(int(x) for x in np.ravel(graph.values[op.inputs[1]]))
    if pads is None or len(pads) != 8 or op.attrs.get("mode", "constant") != "constant":
        raise _not_local(op)
    rows, columns = (
        _clipped(p.low - pads[2 + axis], p.high - pads[2 + axis], spec.shape[2 + axis]) for axis, p in enumerate(wanted)
    )
    return rows, columns


def _clipped(low: Ints, high: Ints, size: int) -> Pieces:
    low = np.clip(low, 0, size)
    return Pieces(low, np.maximum(np.clip(high, 0, size), low))


def _numbers(op: Op, name: str) -> tuple[int, ...] | None:
    value = op.attrs.get(name)
    return tuple(value) if isinstance(value, tuple) and value else None


def _extra_macs(graph: Graph, op: Op, needs: Mapping[str, Needs]) -> int:
    """MACs of an operator on all patches beyond those of the whole map."""
    macs = work_of(graph, op).macs * op.repeat
    shape = graph.tensors[op.outputs[0]].shape
    if not macs or shape is None or op.outputs[0] not in needs:
        return 0
    rows, columns = needs[op.outputs[0]]
    positions = int(rows.lengths.sum()) * int(columns.lengths.sum())
    return macs * (positions - shape[2] * shape[3]) // (shape[2] * shape[3])


def _tiles(graph: Graph, needs: Mapping[str, Needs], grid: tuple[int, int]) -> list[Graph]:
    """The graph of each patch, its tensors as large as their pieces; patches of the same sizes once."""
    found: dict[tuple[tuple[int, int], ...], dict[str, TensorSpec]] = {}
    for row in range(grid[0]):
        for column in range(grid[1]):
            sizes = tuple((int(r.lengths[row]), int(c.lengths[column])) for r, c in needs.values())
            if sizes not in found:
                found[sizes] = {n: _resized(graph.tensors[n], size) for n, size in zip(needs, sizes, strict=True)}
    return [replace(graph, tensors={**graph.tensors, **pieces}, outputs=()) for pieces in found.values()]


def _resized(spec: TensorSpec, size: tuple[int, int]) -> TensorSpec:
    assert spec.shape is not None
    return replace(spec, shape=(*spec.shape[:2], *size))
