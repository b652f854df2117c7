"""NPUs that work block by block (Arm Ethos-U): a block of outputs is accumulated while the last one is scaled and written.

Every number is what Arm's compiler Vela 4.2.0 assumes (npu_performance.py, architecture_allocator.py); Vela itself is an
estimate, not silicon. Fields of `BlockOps` are columns (n_kernels,), those of `BlockNpu` and `Port` scalars or columns
of design points (n_points, 1). Feature maps of 8 bits. All sizes in elements, rows, columns or channels; ofm and ifm are
the output and the input feature map, a ublock what the MAC array computes at once.

Validity: int8.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.machine.figures import Number
from simulator.machine.geometry import BlockNpu

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_DEPTH = 8.0  # channels of one dot product
_BRICK = 16.0  # channels of a brick, the layout of feature maps between operators
_SUBKERNEL = 8.0  # largest kernel side done in one go
_HEIGHTS = (*range(1, 17), 20, 24, 28, 32)
_WIDTHS = (*range(1, 17), *range(18, 33, 2), 40, 48, 56, 64)
_CHANNELS = range(16, 129, 16)
_SIDES = ("ofm_h", "ofm_w", "ofm_c", "ifm_h", "ifm_w", "ifm_c")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOps:
    """Operators: shapes and class. Neither depthwise, pooling, vector nor elementwise: a dense convolution.

    `vector` is a fully-connected layer. `inputs` counts the operands of an elementwise operator but scalars (1 or 2).
    `linear` maps are channels-last without bricks: inputs and outputs of the network. `output_cycles` is the time of the
    output stage for one element, by operator and activation. `upscaled` operators read every row and column of their input
    twice, as the nearest of an image of twice the sides. Dilations are those of the hardware, 1 or 2: see
    `hardware_kernel`.
    """

    ofm_h: Array
    ofm_w: Array
    ofm_c: Array
    ifm_h: Array
    ifm_w: Array
    ifm_c: Array
    kernel_h: Array
    kernel_w: Array
    stride_h: Array
    stride_w: Array
    depthwise: Mask
    pooling: Mask
    vector: Mask
    elementwise: Mask
    inputs: Array
    bias: Mask
    ifm_linear: Mask
    ofm_linear: Mask
    output_cycles: Number
    dilation_h: Array = field(default_factory=lambda: np.ones(()))
    dilation_w: Array = field(default_factory=lambda: np.ones(()))
    upscaled: Mask = field(default_factory=lambda: np.zeros((), np.bool_))

    @property
    def area_h(self) -> Array:
        """Rows from the first tap to the last."""
        return (self.kernel_h - 1.0) * self.dilation_h + 1.0

    @property
    def area_w(self) -> Array:
        """Columns from the first tap to the last."""
        return (self.kernel_w - 1.0) * self.dilation_w + 1.0

    @property
    def dense(self) -> Mask:
        """A convolution over all input channels."""
        return ~(self.depthwise | self.pooling | self.vector | self.elementwise)

    @property
    def equal_depth(self) -> Mask:
        """Every output channel reads its own input channel only."""
        return self.depthwise | self.pooling | self.elementwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """The memory behind a port: B/cycle, bytes of a burst, latencies in cycles. Columns where kernels use different ones."""

    bytes_per_cycle: Number
    burst_bytes: Number
    read_cycles: Number
    write_cycles: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The output block chosen for each operator, the input block that feeds it, and the order of its sums."""

    ofm_h: Array
    ofm_w: Array
    ofm_c: Array
    ifm_h: Array
    ifm_w: Array
    ifm_c: Array
    part_kernel: Mask


def folded_kernel_w(padding_w: Number) -> Array:
    """Kernel width padding + 1 of a first convolution of stride 2, which reads pairs of columns as one of twice the channels.

    Its input is w/2 × 2c and its stride 1 in width. Validity: 2c ≤ 8 and w even; `padding_w` of both sides together.
    Source: Vela's fixup_strided_conv.
    """
    return np.asarray(padding_w + 1.0)


def hardware_kernel(kernel: Array, dilation: Array) -> tuple[Array, Array]:
    """Side of the kernel and dilation (1 or 2) that do what any dilation does: (k − 1) · d/h + 1 with h = 2 for even d.

    Beyond 2 the kernel is spread with zeros, which the array multiplies by. Source: Vela's fixup_dilation_gt2.
    """
    by_hardware = np.where(np.floor(dilation / 2.0) * 2.0 == dilation, 2.0, 1.0)
    return (kernel - 1.0) * (dilation / by_hardware) + 1.0, by_hardware


# ---- the block --------------------------------------------------------------------------------------------------------


def part_kernel(op: BlockOps) -> Mask:
    """Whether 4 kernel taps × 8 channels are summed at once instead of 32 channels of one tap: where fewer lanes idle.

    c·k²/(⌈c⌉₈·⌈k²⌉₄) > c/⌈c⌉₃₂, and always for c ≤ 8.
    """
    taps = op.kernel_h * op.kernel_w
    by_depth = op.ifm_c / _up(op.ifm_c, 32.0)
    by_taps = op.ifm_c * taps / (_up(op.ifm_c, _DEPTH) * _up(taps, 4.0))
    return (op.dense | op.depthwise) & ((op.ifm_c <= _DEPTH) | (by_taps > by_depth))


def choose_block(op: BlockOps, npu: BlockNpu) -> Block:
    """The block that fits the shared buffer and fetches fewest inputs and weights for an output.

    Candidates: rows up to 32, columns up to 64, multiples of 16 channels up to 128; the least of `_fetches`. It
    depends on shapes and geometry only. Source: Vela's find_block_config, which tries every size.
    """
    part = part_kernel(op)
    points = np.broadcast_shapes(np.shape(op.ofm_h), np.shape(npu.ublock_h + npu.banks + npu.ifm_granule))
    deep = _up(op.ofm_c, npu.ublock_c)
    tries = (_up_to(_CHANNELS, deep), _up_to(_HEIGHTS, op.ofm_h), _up_to(_WIDTHS, op.ofm_w))
    axes = np.ix_(*tries)  # one axis each: most of what follows depends on one or two of them
    size_c, size_h, size_w = (np.asarray(a, np.float64).reshape(*a.shape, *(1,) * len(points)) for a in axes)
    ofm_c = np.minimum(size_c, deep)
    ofm_h = _up(np.minimum(op.ofm_h, size_h), npu.ublock_h)
    ofm_w = _up(np.minimum(op.ofm_w, size_w), npu.ublock_w)
    ifm_h = _up(_window(op, ofm_h, op.stride_h, op.area_h), npu.ublock_h)
    ifm_w = _up(_window(op, ofm_w, op.stride_w, op.area_w), npu.ublock_w)
    ifm_c = np.where(op.equal_depth, ofm_c, _up(np.minimum(op.ifm_c, np.where(part, 16.0, 32.0)), _DEPTH))
    sides = dict(zip(_SIDES, (ofm_h, ofm_w, ofm_c, ifm_h, ifm_w, ifm_c), strict=True))
    tried = Block(**sides, part_kernel=part)
    shape = (*map(len, tries), *points)
    cost = np.broadcast_to(np.where(_fits(op, npu, tried), _fetches(op, tried), np.inf), shape)
    small = np.broadcast_to((ofm_h <= 4) & (ofm_w <= 4), shape)
    best = np.unravel_index(_cheapest(cost.reshape(-1, *points), small.reshape(-1, *points)), shape[:3])
    place = (*best, *np.indices(points))
    return Block(**{name: np.broadcast_to(side, shape)[place] for name, side in sides.items()}, part_kernel=part)


def _window(op: BlockOps, side: Array, stride: Array, area: Array) -> Array:
    """Rows (or columns) of the input for so many of the output; half and one more where it is upscaled."""
    wanted = (side - 1.0) * stride + np.minimum(area, _SUBKERNEL)
    return np.where(op.upscaled, np.ceil((wanted + 1.0) / 2.0), wanted)


def _up_to(sizes: Sequence[int], largest: Array) -> list[int]:
    """The sizes up to the first that holds the largest; those beyond give the same block."""
    below = [size for size in sizes if size < np.max(largest, initial=1.0)]
    return [*below, *sizes[len(below) : len(below) + 1]]


def _cheapest(cost: Array, small: Mask) -> NDArray[np.intp]:
    """Position of the least cost along the first axis: the last of equals up to 4 × 4 if there are, else the first."""
    equal = (cost == cost.min(axis=0)) & small
    last = len(cost) - 1 - np.argmax(equal[::-1], axis=0)
    return np.asarray(np.where(equal.any(axis=0), last, np.argmin(cost, axis=0)), np.intp)


def _fits(op: BlockOps, npu: BlockNpu, block: Block) -> Mask:
    """Whether two input blocks and two blocks of 32-bit sums (or two pairs of inputs) fit the banks."""
    ifm_bytes = block.ifm_h * block.ifm_w * _up(block.ifm_c, _DEPTH)
    ifm_banks = _up(2.0 * np.ceil(ifm_bytes / npu.bank_bytes), npu.ifm_granule)
    flat = (op.ofm_h == 1) & (op.kernel_h == 1) & (np.asarray(npu.ublock_h) == 2)
    acc_bytes = np.where(flat, 1.0, block.ofm_h) * block.ofm_w * _up(block.ofm_c, _DEPTH) * 4.0
    acc_banks = _up(2.0 * np.ceil(acc_bytes / npu.bank_bytes), npu.acc_granule)
    return np.asarray(ifm_banks + np.where(op.elementwise, (op.inputs - 1.0) * ifm_banks, acc_banks) <= npu.banks)


def _fetches(op: BlockOps, block: Block) -> Array:
    """Inputs and weights fetched for an output element; elementwise: the number of blocks."""
    across = (op.ofm_h / block.ofm_h) * (op.ofm_w / block.ofm_w)
    whole = np.ceil(op.ofm_h / block.ofm_h) * np.ceil(op.ofm_w / block.ofm_w)
    repeats = np.ceil(op.area_h / _SUBKERNEL) * np.ceil(op.area_w / _SUBKERNEL)
    weights = np.where(op.dense | op.depthwise, op.area_h * op.area_w, 0.0) * op.ifm_c * whole
    weights = weights * np.where(op.depthwise, 1.0, op.ofm_c)
    inputs = block.ifm_h * block.ifm_w * op.ifm_c * repeats * across
    inputs = inputs * np.where(op.equal_depth, 1.0, np.ceil(op.ofm_c / block.ofm_c))
    elements = op.ofm_h * op.ofm_w * op.ofm_c
    cost = (inputs + weights) / elements
    cost = np.where(op.elementwise, np.maximum(elements / (block.ofm_h * block.ofm_w * block.ofm_c), 1.0), cost)
    resident = op.ifm_h * op.ifm_w * op.ifm_c < 2.0 * block.ifm_h * block.ifm_w * block.ifm_c
    return np.where(resident, cost / 2.0, cost)


# ---- cycles -----------------------------------------------------------------------------------------------------------


def mac_cycles(op: BlockOps, npu: BlockNpu, block: Block) -> Array:
    """Cycles of the MAC array for one block; 0 for elementwise operators.

    Dense max(32·Cu/8, 4·ublocks) · taps · ublocks_z for every ⌈c/32⌉ inputs, with ⌈taps/4⌉ · ⌈c/8⌉ in part-kernel order;
    depthwise the same with ⌈taps/4⌉; pooling max(4, taps) · ublocks. Kernels beyond 8 × 8 in pieces. Cores share a block.
    """
    ublock_h, ublock_w, ofm_h = _ublock(op, npu, block)
    count_xy = np.ceil(ofm_h / ublock_h) * np.ceil(np.minimum(op.ofm_w, block.ofm_w) / ublock_w)
    count_z = np.ceil(np.minimum(op.ofm_c, block.ofm_c) / npu.ublock_c)
    whole_h, whole_w = np.floor(op.kernel_h / _SUBKERNEL), np.floor(op.kernel_w / _SUBKERNEL)
    left_h, left_w = op.kernel_h - whole_h * _SUBKERNEL, op.kernel_w - whole_w * _SUBKERNEL
    cycles = (
        whole_h * whole_w * _piece(op, npu, block, _SUBKERNEL * _SUBKERNEL, count_xy, count_z)
        + whole_w * _piece(op, npu, block, left_h * _SUBKERNEL, count_xy, count_z)
        + whole_h * _piece(op, npu, block, left_w * _SUBKERNEL, count_xy, count_z)
        + _piece(op, npu, block, left_h * left_w, count_xy, count_z)
    )
    rounds = np.where(op.dense | op.vector, np.ceil(op.ifm_c / np.minimum(op.ifm_c, block.ifm_c)), 1.0)
    return np.where(op.elementwise, 0.0, cycles * rounds / npu.cores)


def _ublock(op: BlockOps, npu: BlockNpu, block: Block) -> tuple[Array, Array, Array]:
    """Height and width of the ublock, height of the block: arrays of 2 rows do single rows 4 columns at a time."""
    row = (np.asarray(npu.ublock_h) == 2) & ~op.pooling & (op.ofm_h == 1) & (op.kernel_h == 1)
    row = row & (np.floor(op.ofm_w / 2.0) * 2.0 == op.ofm_w)
    height = np.where(row, 1.0, np.minimum(op.ofm_h, block.ofm_h))
    return np.where(row, 1.0, npu.ublock_h), np.where(row, 4.0, npu.ublock_w), height


def _piece(op: BlockOps, npu: BlockNpu, block: Block, taps: Number, count_xy: Array, count_z: Array) -> Array:
    """Cycles of one piece of the kernel with its stalls; 0 taps take none."""
    part = op.dense & block.part_kernel
    steps = np.where(op.depthwise | part, np.ceil(taps / np.float64(4.0)), taps)
    steps = np.where(op.pooling, np.where(np.asarray(taps) > 0, 1.0, 0.0), steps)
    depth = np.where(part, np.ceil(np.minimum(op.ifm_c, block.ifm_c) / _DEPTH), 1.0)
    weights_cycles = 32.0 * npu.ublock_c / 8.0
    pooled = np.where(np.asarray(taps) > 0, np.maximum(taps, 4.0), 0.0) * count_xy
    busy = np.where(op.pooling, pooled, np.maximum(weights_cycles, 4.0 * count_xy) * steps * depth) * count_z
    waits = np.where(count_z == 1, steps, np.maximum(steps - 1.0, 0.0) * count_z)
    return np.asarray(busy + np.where(count_xy == 1, npu.stall_cycles * waits * depth, 0.0))


def npu_cycles(op: BlockOps, npu: BlockNpu, block: Block, ifm: Port, ofm: Port, constants: Port) -> Array:
    """Whole cycles of an operator without waiting for weights: those of `busy_cycles`."""
    cycles = busy_cycles(op, npu, block, ifm, ofm, constants)
    return np.where(op.elementwise, np.ceil(cycles), np.floor(cycles))


def busy_cycles(op: BlockOps, npu: BlockNpu, block: Block, ifm: Port, ofm: Port, constants: Port) -> Array:
    """Cycles of an operator without waiting for weights = max(MACs, output) · blocks + min(MACs, output).

    Not rounded: in seconds, they never grow with the clock.
    Neither is shorter than a quarter of a block's whole way: input transfer, MACs, output stage, output transfer. The
    output stage takes `output_cycles` an element, and 10·Cb/256 constant latencies for bias and scale.
    """
    _, _, block_h = _ublock(op, npu, block)
    block_w, block_c = np.minimum(op.ofm_w, block.ofm_w), np.minimum(op.ofm_c, block.ofm_c)
    macs = mac_cycles(op, npu, block)
    out = np.ceil(op.output_cycles * block_h * block_w * block_c)
    out = np.maximum(out, np.where(op.bias, 10.0 * block_c * constants.read_cycles / 256.0, 0.0))
    moved = _block_transfer_cycles(op, npu, block, ifm, ofm)
    way = (moved + out + macs) / 4.0
    macs, out = np.maximum(macs, way), np.maximum(out, way)
    blocks = np.ceil(op.ofm_h / block_h) * np.ceil(op.ofm_w / block_w) * np.ceil(op.ofm_c / block_c)
    matrix = np.maximum(macs, out) * blocks + np.minimum(macs, out)
    elements = block.ofm_h * block.ofm_w * block.ofm_c
    per_element = np.maximum(op.output_cycles, (moved + op.output_cycles * elements) / 4.0 / elements)
    return np.where(op.elementwise, per_element * _stored(op.ofm_h * op.ofm_w, op.ofm_c, op.ofm_linear), matrix)


def _block_transfer_cycles(op: BlockOps, npu: BlockNpu, block: Block, ifm: Port, ofm: Port) -> Array:
    """Cycles to read one input block and to write one output block, latency included."""
    read = np.minimum(op.ifm_h, block.ifm_h) * np.minimum(op.ifm_w, block.ifm_w) * np.minimum(op.ifm_c, block.ifm_c)
    written = np.minimum(op.ofm_h, block.ofm_h) * np.minimum(op.ofm_w, block.ofm_w) * np.minimum(op.ofm_c, block.ofm_c)
    read_cycles = read * read_inflation(op, block, ifm) / ifm.bytes_per_cycle + ifm.read_cycles
    written_cycles = written * write_inflation(op, npu, block, ofm) / ofm.bytes_per_cycle + ofm.write_cycles
    return np.asarray(read_cycles + written_cycles)


# ---- memory -----------------------------------------------------------------------------------------------------------


def read_inflation(op: BlockOps, block: Block, port: Port) -> Array:
    """Burst length / bytes in a row that a read wants (≥ 1): a block's channels of a linear map, 16·width of bricks."""
    wanted = np.where(op.ifm_linear, block.ifm_c * np.where(block.ifm_c == 1, block.ifm_w, 1.0), _BRICK * block.ifm_w)
    return np.asarray(port.burst_bytes / np.minimum(port.burst_bytes, wanted))


def write_inflation(op: BlockOps, npu: BlockNpu, block: Block, port: Port) -> Array:
    """Burst length / bytes in a row that a write has (≥ 1): channels up to 16 a core and 64, or 16·width·cores of bricks."""
    linear = np.minimum(np.minimum(64.0, _BRICK * npu.cores), block.ofm_c)
    linear = np.where(block.ofm_c == 1, block.ofm_w, linear)
    wanted = np.where(op.ofm_linear, linear, _BRICK * block.ofm_w * npu.cores)
    return np.asarray(port.burst_bytes / np.minimum(port.burst_bytes, wanted))


def input_bytes(op: BlockOps, block: Block, port: Port) -> Array:
    """Bytes that cross the input port: every block reads its window, halo included, once for every block of channels."""
    height, width = np.minimum(op.ifm_h, block.ifm_h), np.minimum(op.ifm_w, block.ifm_w)
    pieces = np.ceil(op.kernel_h / _SUBKERNEL) * np.ceil(op.kernel_w / _SUBKERNEL)
    deep = np.where(op.depthwise | op.pooling, 1.0, np.ceil(op.ofm_c / np.minimum(op.ofm_c, block.ofm_c)))
    window = _stored(height * width, op.ifm_c, op.ifm_linear) * pieces * deep * spatial_blocks(op, block)
    same = _stored(op.ofm_h * op.ofm_w, op.ofm_c, op.ifm_linear) * op.inputs
    return np.where(op.elementwise, same, window) * read_inflation(op, block, port)


def output_bytes(op: BlockOps, npu: BlockNpu, block: Block, port: Port) -> Array:
    """Bytes that cross the output port: every element once, channels of bricks padded to 16."""
    return _stored(op.ofm_h * op.ofm_w, op.ofm_c, op.ofm_linear) * write_inflation(op, npu, block, port)


def spatial_blocks(op: BlockOps, block: Block) -> Array:
    """Blocks in height and width: how often weights that are not buffered on chip are read again."""
    return np.ceil(op.ofm_h / np.minimum(op.ofm_h, block.ofm_h)) * np.ceil(op.ofm_w / np.minimum(op.ofm_w, block.ofm_w))


def stored_words(op: BlockOps, npu: BlockNpu) -> Array:
    """Weights of an image with the zeros that the array takes as padding; 0 for operators without weights.

    Output channels of each core up to a ublock; taps of every piece of the kernel (8 × 8, by dilation) up to 4 for
    depthwise and part-kernel order; input channels up to 8 in that order, else to 32. Source: Vela's mlw_encode (reorder).
    """
    part = op.dense & part_kernel(op)
    grain = np.where(part | op.depthwise, 4.0, 1.0)
    side_h, side_w = np.floor(_SUBKERNEL / op.dilation_h), np.floor(_SUBKERNEL / op.dilation_w)
    whole_h, whole_w = np.floor(op.kernel_h / side_h), np.floor(op.kernel_w / side_w)
    left_h, left_w = op.kernel_h - whole_h * side_h, op.kernel_w - whole_w * side_w
    taps = (
        whole_h * whole_w * _up(side_h * side_w, grain)
        + whole_w * _up(left_h * side_w, grain)
        + whole_h * _up(side_h * left_w, grain)
        + _up(left_h * left_w, grain)
    )
    deep = np.where(op.depthwise, 1.0, _up(op.ifm_c, np.where(part, _DEPTH, 32.0)))
    channels = _up(np.ceil(op.ofm_c / npu.cores), npu.ublock_c) * npu.cores
    return np.where(op.pooling | op.elementwise, 0.0, channels * deep * taps)


def prefetched_cycles(npu: Number, weight_cycles: Number, slack_cycles: Number) -> Array:
    """Cycles with buffered weights = max(NPU, weights − slack): they load beside the operator before and their own.

    `slack_cycles` is the time of the operator before, 0 for the first.
    """
    return np.maximum(npu, weight_cycles - slack_cycles)


def _stored(area: Array, channels: Array, linear: Mask) -> Array:
    return np.asarray(area * np.where(linear, channels, _up(channels, _BRICK)))


def _up(value: Number, multiple: Number) -> Array:
    """Value rounded up to a multiple."""
    return np.asarray(np.ceil(value / multiple) * multiple)
