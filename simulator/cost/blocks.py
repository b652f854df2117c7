"""Engines that work block by block within an estimate: the time of their kernels and what these move.

`block_npu.py` has the formulas; here the kernels of a table become its operators. A kernel whose main operator has a
block form takes the cycles of its blocks, in place of peak · efficiency · utilisation. What else is fused into it passes
the output stage on the way, but no kernel is faster than its operations at the peak rates. Kernels without a block form
(softmax, norms, reductions, attention) go by rates and efficiencies as on any engine; copies move bytes only. 8-bit
weights are read encoded (`weight_code.py`).

Blocks depend on shapes and geometry alone, so they are chosen once for a table and a geometry, whatever is swept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.cost import block_npu, weight_code
from simulator.cost.block_npu import Block, BlockOps, Port
from simulator.cost.boundary import boundary_home
from simulator.cost.compute import by_engine, compute_s
from simulator.cost.limits import IDEAL, Limits
from simulator.cost.parts import Part
from simulator.cost.traffic import Flow, path
from simulator.feature_maps import FeatureMaps, Form, Function, Stage
from simulator.filters import Filter
from simulator.machine.figures import Number
from simulator.machine.geometry import BlockNpu, OutputCycles
from simulator.machine.params import EngineParams, Machine, MemoryParams, engines_of
from simulator.workload import WorkTable

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_Columns = TypeVar("_Columns", BlockOps, Block)
_AT_ONCE = 8
_FOLDED_CHANNELS = 8.0  # of a first convolution whose columns are read in pairs


@dataclass(frozen=True, eq=False)
class Plan:
    """The operators of all kernels on one geometry, or on a column of them, and the block of each.

    `whole` marks those that have a block form. `coded` is bytes of weights as read over plain ones, `operand_words` what an
    element-wise kernel reads for an image, each operand once.
    """

    op: BlockOps
    block: Block
    whole: Mask
    coded: Array
    operand_words: Array


def plan_of(maps: FeatureMaps, npu: BlockNpu) -> Plan:
    """The plan of a table; for a column of geometries, of shape (n_points, 1), one row each of what they change."""
    numbers = np.broadcast_arrays(*(np.atleast_1d(np.ravel(value)) for value in _numbers(npu)))
    table = np.stack([np.asarray(column, np.float64) for column in numbers], axis=-1)
    different, place = np.unique(table, axis=0, return_inverse=True)
    plans = [_plan(maps, _geometry(row)) for row in different.tolist()]
    if all(np.ndim(value) == 0 for value in _numbers(npu)):
        return plans[0]
    place = place.reshape(-1)
    block = {f.name: np.stack([getattr(p.block, f.name) for p in plans])[place] for f in fields(Block)}
    cycles = np.stack([np.asarray(p.op.output_cycles) for p in plans])[place]
    op = replace(plans[0].op, output_cycles=cycles)
    return replace(plans[0], op=op, block=Block(**block), coded=np.stack([p.coded for p in plans])[place])


def _numbers(npu: BlockNpu) -> list[Number]:
    """All numbers of a geometry, those of its output stage last."""
    own = [getattr(npu, f.name) for f in fields(BlockNpu) if f.name != "output"]
    return [*own, *(getattr(npu.output, f.name) for f in fields(OutputCycles))]


def _geometry(numbers: Sequence[float]) -> BlockNpu:
    """The geometry of these numbers."""
    names = [f.name for f in fields(BlockNpu) if f.name != "output"]
    return BlockNpu(**dict(zip(names, numbers, strict=False)), output=OutputCycles(*numbers[len(names) :]))


@lru_cache(maxsize=512)
def _plan(maps: FeatureMaps, npu: BlockNpu) -> Plan:
    """The blocks of a table; equal operators are looked at once, a few of about one height at a time."""
    op = _operators(maps, npu)
    numbers = np.stack([np.asarray(getattr(op, f.name), np.float64) for f in fields(op)], axis=-1)
    _, first, place = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
    few = [first[i : i + _AT_ONCE] for i in range(0, len(first), _AT_ONCE)] or [first]
    blocks = [block_npu.choose_block(_rows(op, rows), npu) for rows in few]
    block = Block(**{f.name: np.concatenate([getattr(b, f.name) for b in blocks]) for f in fields(Block)})
    return Plan(op, _rows(block, place.reshape(-1)), ~maps.has(Form.NONE), _coded(maps, op, npu), maps.operand_words)


def _rows(columns: _Columns, rows: NDArray[np.intp]) -> _Columns:
    return replace(columns, **{f.name: getattr(columns, f.name)[rows] for f in fields(columns)})


def _operators(maps: FeatureMaps, npu: BlockNpu) -> BlockOps:
    (ofm_h, ofm_w, ofm_c), (ifm_h, ifm_w, ifm_c) = maps.output.T, maps.data.T
    (stride_h, stride_w), (dilation_h, dilation_w) = maps.strides.T, maps.dilations.T
    kernel_h, dilation_h = block_npu.hardware_kernel(maps.kernel[:, 0], dilation_h)
    kernel_w, dilation_w = block_npu.hardware_kernel(maps.kernel[:, 1], dilation_w)
    padding_w = np.maximum((ofm_w - 1.0) * stride_w + kernel_w - ifm_w, 0.0)
    folded = maps.from_input & maps.has(Form.DENSE) & (stride_w == 2) & (ifm_w % 2 == 0) & (2.0 * ifm_c <= _FOLDED_CHANNELS)
    folded &= dilation_w == 1
    narrow = np.maximum(block_npu.folded_kernel_w(padding_w), np.ceil(kernel_w / 2.0))
    weighted = maps.has(Form.DENSE, Form.DEPTHWISE, Form.VECTOR)
    return BlockOps(
        ofm_h=ofm_h, ofm_w=ofm_w, ofm_c=ofm_c,
        ifm_h=ifm_h, ifm_w=np.where(folded, ifm_w / 2.0, ifm_w), ifm_c=np.where(folded, 2.0 * ifm_c, ifm_c),
        kernel_h=kernel_h, kernel_w=np.where(folded, narrow, kernel_w),
        stride_h=stride_h, stride_w=np.where(folded, 1.0, stride_w),
        depthwise=maps.has(Form.DEPTHWISE), pooling=maps.has(Form.POOL), vector=maps.has(Form.VECTOR),
        elementwise=maps.has(Form.ELEMENTWISE, Form.NONE), inputs=maps.inputs, bias=weighted,
        ifm_linear=maps.data_linear, ofm_linear=maps.output_linear, output_cycles=_output_cycles(maps, npu),
        dilation_h=dilation_h, dilation_w=dilation_w, upscaled=maps.upscaled,
    )  # fmt: skip


def _output_cycles(maps: FeatureMaps, npu: BlockNpu) -> Array:
    """Cycles of the output stage for an element: of the operator or of its activation function, whichever is slower."""
    stage = npu.output
    makes = {Stage.SUM: stage.sum, Stage.PRODUCT: stage.product, Stage.MAXIMUM: stage.maximum, Stage.OTHER: stage.other}
    behind = {Function.NONE: 0.0, Function.CLIP: stage.clip, Function.TABLE: stage.table}
    slower = [max(makes[s], behind[f]) for s, f in zip(maps.stages, maps.functions, strict=True)]
    return np.array(slower, np.float64)


# ---- weights ----------------------------------------------------------------------------------------------------------


def _coded(maps: FeatureMaps, op: BlockOps, npu: BlockNpu) -> Array:
    """Bytes of each kernel's weights as the engine reads them, over plain ones; 1 where they are not of 8 bits."""
    # the groups of a depthwise convolution are its channels, and worked on together
    groups = [1 if f is None or form is Form.DEPTHWISE else f.groups for f, form in zip(maps.filters, maps.forms, strict=True)]
    padded = block_npu.stored_words(op, npu) * groups
    rows = zip(maps.filters, groups, padded.tolist(), strict=True)
    return np.array([1.0 if f is None else _coded_share(f, g * float(npu.cores), words) for f, g, words in rows], np.float64)


def _coded_share(found: Filter, streams: float, padded_words: float) -> float:
    """Of one kernel: weights by their values where these are known, else as incompressible."""
    padding = max(padded_words - found.words, 0.0)
    known = found.counts
    bits = weight_code.incompressible_bits(found.words, padding) if known is None else weight_code.coded_bits(known, padding)
    coded = weight_code.stored_bytes(bits, found.channels, streams)
    return (coded + found.others_bytes) / (found.size_bytes + found.others_bytes)


def unread_weights(work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]) -> int:
    """How many kernels read encoded weights whose values are not known."""
    here = np.zeros(len(work), np.bool_)
    for _, _, rows in _engines(limits, placement):
        here |= rows
    return sum(bool(is_here) and f is not None and f.counts is None for is_here, f in zip(here, work.maps.filters, strict=True))


def with_least_weights(parts: Sequence[Part], placement: tuple[EngineParams, ...]) -> tuple[Part, ...]:
    """The parts with weights as small as engines that work by blocks read them: what any software must load."""
    found = tuple(parts)
    for npu, here in _by_blocks(placement):
        least = [np.where(here, np.minimum(plan_of(p.work.maps, npu).coded, 1.0), 1.0) for p in found]
        works = [replace(p.work, weight_bytes=p.work.weight_bytes * share) for p, share in zip(found, least, strict=True)]
        found = tuple(replace(p, work=work) for p, work in zip(found, works, strict=True))
    return found


def _by_blocks(placement: tuple[EngineParams, ...]) -> Iterator[tuple[BlockNpu, Mask]]:
    for engine in engines_of(placement).values():
        if isinstance(engine.shape, BlockNpu):
            yield engine.shape, np.array([e.id == engine.id for e in placement], np.bool_)


def _engines(limits: Limits, placement: tuple[EngineParams, ...]) -> Iterator[tuple[EngineParams, BlockNpu, Mask]]:
    """Engines that work by blocks, their geometry, and which kernels they run; none where geometry does not count."""
    if limits.ideal or not limits.geometry:
        return
    for engine in engines_of(placement).values():
        if isinstance(engine.shape, BlockNpu):
            yield engine, engine.shape, np.array([e.id == engine.id for e in placement], np.bool_)


# ---- time -------------------------------------------------------------------------------------------------------------


def with_blocks_s(
    compute: Array, work: WorkTable, machine: Machine, limits: Limits, placement: tuple[EngineParams, ...]
) -> Array:
    """Compute time, that of kernels with a block form by their blocks: images · cycles / cycle rate."""
    for engine, npu, here in _engines(limits, placement):
        plan = plan_of(work.maps, npu)
        cycles_per_s = by_engine(placement, work, _cycles_per_s)
        seen = machine.seen_by(engine)
        near, far = path(seen, weights=False)[0], path(seen, weights=True)[0]
        outer = boundary_home(seen) or near
        inside = _port(near, near.read_bytes_per_s, cycles_per_s)
        ifm = _either(work.maps.entering_bytes > 0, _port(outer, outer.read_bytes_per_s, cycles_per_s), inside)
        ofm = _either(
            work.maps.leaving_bytes > 0,
            _port(outer, outer.write_bytes_per_s, cycles_per_s),
            _port(near, near.write_bytes_per_s, cycles_per_s),
        )
        constants = _either(plan.op.vector, _port(far, far.read_bytes_per_s, cycles_per_s), inside)
        cycles = work.maps.images * block_npu.busy_cycles(plan.op, npu, plan.block, ifm, ofm, constants)
        by_blocks = np.maximum(cycles / cycles_per_s, compute_s(work, IDEAL, placement))
        compute = np.where(here & plan.whole, by_blocks, compute)
    return compute


def _cycles_per_s(engine: EngineParams, rate: str) -> Number:
    """The sustained clock; a type at half the rate of 8-bit operands takes two cycles for one."""
    if not isinstance(engine.shape, BlockNpu):
        return 1.0
    native = engine.native(rate) or next(iter(engine.macs_per_s))
    return engine.macs_per_s[native] * engine.sustained / engine.shape.macs_per_cycle


def _port(memory: MemoryParams, bytes_per_s: Number, cycles_per_s: Number) -> Port:
    """What lies behind a port, counted in the engine's cycles."""
    moved, latency = bytes_per_s / cycles_per_s, memory.latency_s * cycles_per_s
    return Port(bytes_per_cycle=moved, burst_bytes=memory.burst_bytes, read_cycles=latency, write_cycles=latency)


def _either(where: Mask, one: Port, other: Port) -> Port:
    return Port(**{f.name: np.where(where, getattr(one, f.name), getattr(other, f.name)) for f in fields(Port)})


# ---- bytes ------------------------------------------------------------------------------------------------------------


def with_blocks_bytes(
    moving: Sequence[Flow], work: WorkTable, limits: Limits, placement: tuple[EngineParams, ...]
) -> tuple[Flow, ...]:
    """The flows with what blocks read again, bricks pad and bursts round up, at the memory that has the data.

    A burst is at least as long as those of the levels further in.
    """
    for _, npu, here in _engines(limits, placement):
        plan = plan_of(work.maps, npu)
        moving = [_inflated(flow, plan, npu, here & plan.whole) for flow in moving]
    return tuple(moving)


def _inflated(flow: Flow, plan: Plan, npu: BlockNpu, rows: Mask) -> Flow:
    burst: Number = 1.0
    found = []
    for level, served in flow.served():
        burst = np.maximum(burst, level.burst_bytes)
        found.append(served * np.where(rows, _inflation(flow, plan, npu, burst), 1.0))
    for place in reversed(range(len(found) - 1)):
        found[place] = found[place] + found[place + 1]
    return replace(flow, crossing=tuple(found))


def _inflation(flow: Flow, plan: Plan, npu: BlockNpu, burst_bytes: Number) -> Array:
    """Bytes that cross for each byte of a tensor: below 1 only for weights, which are encoded.

    Weights of a fully-connected layer are read once for every block of positions, others wait in a buffer.
    """
    op, block = plan.op, plan.block
    if flow.weights:
        return np.where(op.vector, block_npu.spatial_blocks(op, block), 1.0) * plan.coded
    port = Port(bytes_per_cycle=1.0, burst_bytes=burst_bytes, read_cycles=0.0, write_cycles=0.0)
    if flow.written:
        moved, plain = block_npu.output_bytes(op, npu, block, port), op.ofm_h * op.ofm_w * op.ofm_c
    else:
        moved = block_npu.input_bytes(op, block, port)
        plain = np.where(op.elementwise, plan.operand_words, op.ifm_h * op.ifm_w * op.ifm_c)
    return np.maximum(moved / plain, 1.0)
