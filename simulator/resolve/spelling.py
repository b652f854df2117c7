"""One spelling for what exporters write in several ways: operators → operators.

One exporter cuts a tensor by a Split, another by a Slice for each piece; one joins tensors by a Concat, another joins some
of them first. The work is the same, and so are the kernels: slices that cut up a tensor become the Split, and a Concat
takes the place of those that only it reads. Operators that have no effect at all are left where they are: their rules
call them views (`simulator/ops`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from simulator.graph.types import Op, TensorSpec
from simulator.ops.copy import slices
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError

Tensors = Mapping[str, TensorSpec]
Values = Mapping[str, np.ndarray | None]
Piece = tuple[int, int, int]  # axis, first element, the one after the last


def respelled(ops: Sequence[Op], tensors: Tensors, values: Values, outputs: Collection[str]) -> tuple[Op, ...]:
    """The operators with each tensor cut and joined in one way; `outputs` are those of the graph."""
    return _joined_at_once(_cut_at_once(ops, tensors, values), tensors, frozenset(outputs))


def _cut_at_once(ops: Sequence[Op], tensors: Tensors, values: Values) -> list[Op]:
    """Slices that together are all of a tensor, each element once, as one Split."""
    cuts: dict[tuple[str, int, int], list[tuple[Piece, Op]]] = {}
    for op in ops:
        piece = _piece(op, tensors, values) if op.op_type == "Slice" and not op.domain else None
        if piece is not None:
            cuts.setdefault((op.inputs[0], piece[0], op.repeat), []).append((piece, op))
    first: dict[str, Op] = {}
    gone: set[str] = set()
    for (source, axis, _), found in cuts.items():
        pieces = sorted(found, key=lambda cut: cut[0])
        size = (tensors[source].shape or ())[axis]
        if len(pieces) > 1 and [p[2] for p, _ in pieces] == [*(p[1] for p, _ in pieces[1:]), size] and not pieces[0][0][1]:
            members = [op for _, op in found]
            first[members[0].name] = _split(members[0], axis, [op for _, op in pieces], tensors)
            gone |= {op.name for op in members[1:]}
    return [first.get(op.name, op) for op in ops if op.name not in gone]


def _piece(op: Op, tensors: Tensors, values: Values) -> Piece | None:
    """What a Slice cuts out of its input; None where that is more than one run of elements along one axis, or unknown."""
    shape = tensors[op.inputs[0]].shape
    view = OpView(op, [tensors[n] if n else None for n in op.inputs], [tensors[n] for n in op.outputs], values.get)
    try:
        ranges = [s.indices(d) for s, d in zip(slices(view), shape or (), strict=True)]
    except (UnknownShapeError, *MALFORMED):
        return None
    cut = [axis for axis, (low, high, _) in enumerate(ranges) if (low, high) != (0, (shape or ())[axis])]
    if shape is None or len(cut) != 1 or any(step != 1 for _, _, step in ranges):
        return None
    low, high, _ = ranges[cut[0]]
    return cut[0], low, high


def _split(op: Op, axis: int, pieces: Sequence[Op], tensors: Tensors) -> Op:
    names = tuple(piece.outputs[0] for piece in pieces)
    sizes = tuple((tensors[n].shape or ())[axis] for n in names)
    origin = tuple(dict.fromkeys(name for piece in pieces for name in piece.origin))
    return replace(op, op_type="Split", inputs=op.inputs[:1], outputs=names, attrs={"axis": axis, "split": sizes}, origin=origin)


def _joined_at_once(ops: Sequence[Op], tensors: Tensors, kept: frozenset[str]) -> tuple[Op, ...]:
    """Concats that only another along the same axis reads, as part of that one."""
    readers: dict[str, list[Op]] = {}
    for op in ops:
        for name in dict.fromkeys(op.inputs):
            readers.setdefault(name, []).append(op)
    inner: dict[str, Op] = {}
    result: list[Op] = []
    for op in ops:
        if _is_concat(op) and any(n in inner for n in op.inputs):
            parts = [inner[n] for n in op.inputs if n in inner]
            names = tuple(_chained(inner[n].inputs if n in inner else (n,) for n in op.inputs))
            op = replace(op, inputs=names, origin=tuple(_chained([*(p.origin for p in parts), op.origin])))
        only = readers.get(op.outputs[0], ()) if _is_concat(op) and op.outputs[0] not in kept else ()
        if len(only) == 1 and _is_concat(only[0]) and _alike(op, only[0], tensors):
            inner[op.outputs[0]] = op
        else:
            result.append(op)
    return tuple(result)


def _is_concat(op: Op) -> bool:
    return op.op_type == "Concat" and not op.domain and not op.constant


def _alike(one: Op, other: Op, tensors: Tensors) -> bool:
    """Whether two Concats join along the same axis, equally often."""
    rank = tensors[one.outputs[0]].rank
    axes = {int(axis) % rank for op in (one, other) if isinstance(axis := op.attrs.get("axis", 1), int)} if rank else set()
    return len(axes) == 1 and one.repeat == other.repeat


def _chained(parts: Iterable[Sequence[str]]) -> list[str]:
    """The names of all parts, in order."""
    return [name for part in parts for name in part]
