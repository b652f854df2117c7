"""Another precision: Graph → Graph with other element types. Shapes and MACs stay as they are.

Only floating-point tensors change; what the file quantizes already keeps its types. A precision is a text: a name (`fp16`),
of weights in groups with the size of a group (`w4a16:group=128`), for some operators with a pattern of their names
(`int8,fp16@*classifier*`).

Sources of what a group has: Frantar et al., GPTQ, ICLR 2023, and Lin et al., AWQ, MLSys 2024 (groups of 128, fp16 scales, zero
points as wide as a weight); llama.cpp, Q4_0 (blocks of 32 with one fp16 scale).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from simulator import dtypes
from simulator.dtypes import DType
from simulator.errors import PrecisionError, did_you_mean
from simulator.graph.graph import Graph
from simulator.graph.packing import Packing
from simulator.graph.types import Op, Role, TensorSpec
from simulator.ops.registry import Input, find_rule
from simulator.transform.select import matches, require_match
from simulator.transform.weights import is_multiplied, multiplied, sources


@dataclass(frozen=True, slots=True)
class Precision:
    """Element types of activations, of weights, and of vectors added to integer sums (biases)."""

    activation: DType
    weight: DType
    bias: DType
    math: str | None = None  # rate of matrix products where it is not that of the activations
    group: int = 0  # weights that share a scale; 0: no groups
    group_bits: int = 0  # of scale and zero point


def _plain(dtype: DType) -> Precision:
    return Precision(dtype, dtype, dtype)


PRECISIONS: Final[dict[str, Precision]] = {
    "fp32": _plain(dtypes.FLOAT32),
    "tf32": Precision(dtypes.FLOAT32, dtypes.FLOAT32, dtypes.FLOAT32, math="tf32"),
    "bf16": _plain(dtypes.BFLOAT16),
    "fp16": _plain(dtypes.FLOAT16),
    "fp8": Precision(dtypes.FLOAT8, dtypes.FLOAT8, dtypes.FLOAT16),
    "int8": Precision(dtypes.INT8, dtypes.INT8, dtypes.INT32),
    "int4": Precision(dtypes.INT4, dtypes.INT4, dtypes.INT32),
    # weights stored narrow and widened on the fly: less traffic, the same arithmetic
    "w8a16": Precision(dtypes.FLOAT16, dtypes.INT8, dtypes.FLOAT16),
    "w4a16": Precision(dtypes.FLOAT16, dtypes.INT4, dtypes.FLOAT16),
    # automatic mixed precision: weights stay fp32 in memory, activations and arithmetic are 16 bit
    "amp_fp16": Precision(dtypes.FLOAT16, dtypes.FLOAT32, dtypes.FLOAT32),
    "amp_bf16": Precision(dtypes.BFLOAT16, dtypes.FLOAT32, dtypes.FLOAT32),
}

# mixed precisions, and the type in which a framework's autocast runs what it casts
AUTOCAST: Final[dict[str, DType]] = {"amp_fp16": dtypes.FLOAT16, "amp_bf16": dtypes.BFLOAT16}

_SCALE_BITS: Final = 16  # one fp16 scale a group, as GPTQ, AWQ and llama.cpp's Q4_0 keep it
_MOST_GROUP: Final = 2**20


@dataclass(frozen=True, slots=True)
class Region:
    """The precision of operators whose names fit a pattern."""

    pattern: str
    precision: Precision


@dataclass(frozen=True, slots=True)
class Mixed:
    """What a precision's text asks for: one precision for all but the regions, of which the last that fits counts."""

    base: Precision
    regions: tuple[Region, ...] = ()


@lru_cache(maxsize=256)
def mixed_of(text: str) -> Mixed:
    """What `fp16`, `w4a16:group=128` or `int8,fp16@*classifier*` means.

    Raises:
        PrecisionError: it cannot be read; with suggestions.
    """
    first, *others = text.split(",")
    if "@" in first:
        raise PrecisionError(
            f"precision '{text}': the first part is for the whole network and takes no pattern: write fp32,{first} for some "
            "operators in another precision"
        )
    regions = tuple(_region(text, part) for part in others)
    if regions and (first in AUTOCAST or any(part.partition("@")[0] in AUTOCAST for part in others)):
        raise PrecisionError(
            f"precision '{text}': {' and '.join(AUTOCAST)} decide operator by operator, and are not mixed by name"
        )
    return Mixed(_single(first), regions)


def precision_of(text: str) -> Precision:
    """The precision of that name, of a mixed one that of the operators no pattern names; PrecisionError with suggestions."""
    return mixed_of(text).base


def _region(text: str, part: str) -> Region:
    name, at, pattern = part.partition("@")
    if not at or not pattern:
        raise PrecisionError(f"precision '{text}': '{part}' needs the operators it is for, as in {name or 'fp16'}@*classifier*")
    return Region(pattern, _single(name))


def _single(text: str) -> Precision:
    """One precision with its options: `w4a16:group=128`, `w4a16:group=128:zero`."""
    name, *options = text.split(":")
    if name not in PRECISIONS:
        raise PrecisionError(f"no precision '{name}'{did_you_mean(name, PRECISIONS)} (known: {', '.join(PRECISIONS)})")
    found = PRECISIONS[name]
    if not options:
        return found
    grouped = [n for n, p in PRECISIONS.items() if p.weight.is_int and p.activation.is_float]
    if name not in grouped:
        raise PrecisionError(f"precision '{text}': only {' and '.join(grouped)} have groups of weights, not {name}")
    key, _, size = options[0].partition("=")
    fits = size.isascii() and size.isdigit() and 0 < int(size) <= _MOST_GROUP
    if key != "group" or not fits or options[1:] not in ([], ["zero"]):
        raise PrecisionError(
            f"precision '{text}': write {name}:group=128, or {name}:group=128:zero for zero points beside the scales"
        )
    return replace(found, group=int(size), group_bits=_SCALE_BITS + (found.weight.bits if options[1:] else 0))


def with_precision(graph: Graph, name: str) -> Graph:
    """The graph with all floating-point tensors in the precision of that text; `replace`s types and packing only.

    Weights of matrix products and embedding tables take the weight's type, biases theirs; quantization scales, gains
    and shifts of norms stay with the activations (with the biases where those are integers). In groups, each run of so many
    weights along the elements that are summed over has a scale (and a zero point as wide as a weight, if asked for).

    Where precisions are mixed by name, an activation has the type that its producer writes, a constant or an input of the
    network that of its readers (that of the whole network where they differ). Casts between are not operators of their own.

    Raises:
        PrecisionError: the text cannot be read.
        UsageError: no operator fits a pattern.
    """
    mixed = mixed_of(name)
    parts = _parts(graph)
    owners = _owners(graph, name, mixed.regions) if mixed.regions else {}
    targets = (mixed.base, *(region.precision for region in mixed.regions))
    rows = _rows(graph) if any(target.group for target in targets) else {}

    def converted(spec: TensorSpec) -> TensorSpec:
        if not spec.dtype.is_float:
            return spec
        target = targets[owners.get(spec.name, 0)]
        if spec.role is not Role.WEIGHT:
            return replace(spec, dtype=target.activation)
        part = parts.get(spec.name)
        if part is Input.SCALE:
            return spec
        if part is Input.WEIGHT and target.group:
            spec = replace(spec, packing=_grouped(spec, target, rows))
        rest = target.activation if target.activation.is_float else target.bias
        return replace(spec, dtype={Input.WEIGHT: target.weight, Input.BIAS: target.bias}.get(part or Input.DATA, rest))

    return replace(graph, tensors={n: converted(t) for n, t in graph.tensors.items()})


def _grouped(spec: TensorSpec, target: Precision, rows: Mapping[str, int]) -> Packing:
    """A weight's packing with groups along its rows: along the last dimension where nothing is summed (embedding tables)."""
    row = rows.get(spec.name) or max((spec.shape or (1,))[-1], 1)
    return replace(spec.packing or Packing(), group=target.group, group_bits=target.group_bits, row=row)


def _rows(graph: Graph) -> dict[str, int]:
    """Elements that are summed over, of each constant that is multiplied with data and of what it comes from."""
    found = (w for op in graph.ops for w in multiplied(graph, op))
    return {name: w.row for w in found for name in sources(graph, w.name)}


def precisions_of(graph: Graph, name: str) -> list[Precision]:
    """The precision of every operator of the graph, in its order."""
    mixed = mixed_of(name)
    targets = (mixed.base, *(region.precision for region in mixed.regions))
    return [targets[_place(op, mixed.regions)] for op in graph.ops]


def _place(op: Op, regions: Sequence[Region]) -> int:
    """The last region that an operator is in, counted from 1; 0 for the rest of the network."""
    return max((i for i, region in enumerate(regions, start=1) if matches(op, region.pattern)), default=0)


def _owners(graph: Graph, name: str, regions: Sequence[Region]) -> dict[str, int]:
    """The region that decides each tensor's type: of its producer; of its readers where it is known before the run or given."""
    for region in regions:
        require_match(graph, region.pattern, f"precision '{name}'")
    made: dict[str, int] = {}
    read: dict[str, set[int]] = {}
    for op in (*graph.ops, *graph.dormant):
        place = _place(op, regions)
        made.update((n, place) for n in op.outputs if n and graph.tensors[n].role is not Role.WEIGHT)
        for tensor in filter(None, op.inputs):
            for source in (tensor, *graph.stored.get(tensor, ())):
                read.setdefault(source, set()).add(place)
    agreed = {n: min(places) for n, places in read.items() if len(places) == 1}
    return agreed | made


def _parts(graph: Graph) -> dict[str, Input]:
    """What each constant is to the operators that read it, and so to the tensors of the file that it comes from."""
    found: dict[str, Input] = {}
    for op in graph.ops:
        rule = find_rule(op.domain, op.op_type)
        for index, tensor in enumerate(op.inputs):
            if not tensor or rule is None or graph.tensors[tensor].role is not Role.WEIGHT:
                continue
            part = rule.role(index)
            if is_multiplied(rule, index) or (op.op_type == "Gather" and index == 0):
                part = Input.WEIGHT if graph.tensors[tensor].rank >= 2 else Input.BIAS
            elif part is Input.WEIGHT:
                part = Input.DATA  # gains and shifts of norms
            for name in (tensor, *graph.stored.get(tensor, ())):
                if found.get(name) is not Input.WEIGHT:
                    found[name] = part
    return found
