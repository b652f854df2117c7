"""How far a kernel's matrix product fills an engine: useful MACs over those that the engine's shape makes of them.

Shares are columns (..., n_kernels) in (0, 1], 1 for kernels without a product. The formulas are in `systolic.py`,
`tensor_core.py` and `lanes.py`; this module chooses among them by the engine's geometry.
"""

import numpy as np
from numpy.typing import NDArray

from simulator.cost import lanes, systolic, tensor_core
from simulator.machine.figures import Number
from simulator.machine.geometry import BlockNpu, Core, Parallel, Shape, Systolic, Tiles
from simulator.machine.params import EngineParams
from simulator.machine.runtime import Profile
from simulator.ops.work import CONVOLUTIONS, Kind
from simulator.workload import WorkTable

Array = NDArray[np.float64]
_WORD_BYTES = 4
# of an operand in an element type
RATE_BITS = {"int4": 4, "int8": 8, "fp8": 8, "int16": 16, "fp16": 16, "bf16": 16, "tf32": 32, "fp32": 32, "fp64": 64}
MATRIX_PRODUCTS = frozenset({Kind.GEMM, Kind.BATCHED_GEMM})


def utilisation(work: WorkTable, engine: EngineParams, profile: Profile, rate: str) -> Array:
    """Share of the peak in an element type that the shapes of the products leave.

    A convolution without input channels to spare is also padded to the runtime's `input_multiple`; where tiles do not count
    them already, an output takes the runtime's `prologue_k` steps besides its own k.
    """
    padded = padded_share(work, profile.input_multiple.value if profile.input_multiple else 1.0)
    share = _shape_share(work, engine.shape, engine.units, profile, rate) * padded
    return np.asarray(share if isinstance(engine.shape, Tiles) else share * depth_share(work, profile))


def depth_share(work: WorkTable, profile: Profile) -> Array | float:
    """Share of the steps of an output that are its own, k / (k + k0): sums that are short leave the array idle while it is
    filled, emptied and its results are scaled and written. 1 where the runtime has no `prologue_k`.
    """
    if profile.prologue_k is None:
        return 1.0
    k = work.gemm[:, 2]
    return np.asarray(np.where(k > 0, k / np.maximum(k + profile.prologue_k.value, 1.0), 1.0))


def padded_share(work: WorkTable, multiple: Number) -> Array:
    """Share of MACs that are useful when the input channels of convolutions are padded to a multiple.

    Those with groups are left as they are: their kernels work along the groups.
    """
    whole = np.array([kind is Kind.CONV for kind in work.kinds], np.bool_)
    return np.where(whole, lanes.lane_utilisation(work.channels, multiple), 1.0)


def is_narrow(work: WorkTable) -> NDArray[np.bool_]:
    """Convolutions of images that have less than a word of 4 bytes at each place: their kernels cannot load whole words."""
    whole = np.array([kind is Kind.CONV for kind in work.kinds], np.bool_)
    return np.asarray(whole & (work.channels * operand_bytes(work) < _WORD_BYTES), np.bool_)


def operand_bytes(work: WorkTable) -> Array:
    """Bytes of an operand as the engine multiplies it: of 8-bit kernels one, whatever a file's tensors around them are."""
    rates, codes = work.element_types
    return np.array([RATE_BITS[rate] / 8 for rate in rates], np.float64)[codes]


def column_elements(work: WorkTable) -> Array:
    """Elements of the columns that convolutions with a window copy the image into (im2col): m · k · groups; else 0.

    A 1 × 1 window reads the image where it lies, and so do those on blocks of channels.
    """
    m, _, k, groups = work.gemm.T
    copied = np.array([kind in CONVOLUTIONS for kind in work.kinds], np.bool_) & (k > work.channels)
    return np.where(copied & ~on_blocks(work), m * k * groups, 0.0)


def on_blocks(work: WorkTable) -> NDArray[np.bool_]:
    """Kernels that make blocks of channels, where the runtime `adds` the reorders for them (transform/blocks.py)."""
    return np.zeros(len(work), np.bool_) if work.blocked is None else work.blocked > 0.0


def _shape_share(work: WorkTable, shape: Shape, units: Number, profile: Profile, rate: str) -> Array | float:
    m, n, k, groups = work.gemm.T
    if isinstance(shape, Tiles):
        return _tiles_share(work, units, profile)
    if isinstance(shape, Systolic):
        return _systolic_share(m, n, k, groups, shape, units)
    if isinstance(shape, Parallel):
        depth = lanes.lane_utilisation(work.channels, shape.inputs)
        return lanes.lane_utilisation(m, shape.pixels * units) * depth * lanes.lane_utilisation(n, shape.outputs)
    if isinstance(shape, BlockNpu):  # cost/blocks.py has their time; what has no block form goes by the peak
        return 1.0
    return _core_share(work, shape, profile, rate)


def _tiles_share(work: WorkTable, units: Number, profile: Profile) -> Array:
    """Products are cut into tiles; fused attention has blocks of its own, and steps of a recurrence wait for each other."""
    m, n, k, groups = work.gemm.T
    k0 = profile.prologue_k.value if profile.prologue_k else 0.0
    fused = np.array([kind is Kind.ATTENTION for kind in work.kinds], np.bool_)
    serial = np.array([kind is Kind.RECURRENT for kind in work.kinds], np.bool_)
    wide, deep = padded_groups(work) if profile.odd_groups is not None else (n, k)
    products = tensor_core.slowdown(m, wide, deep, np.where(serial, np.minimum(groups, 1.0), groups), units, k0)
    padded = products * np.where(n * k > 0, wide * deep / np.maximum(n * k, 1.0), 1.0)
    return np.asarray(kernel_share(work, profile) / np.where(fused, tensor_core.attention_slowdown(m, n), padded))


def padded_groups(work: WorkTable) -> tuple[Array, Array]:
    """Sizes n and k as they are multiplied: of convolutions whose groups have a width that no kernel is made for, padded to the
    tiles of kernels for any width.
    """
    _, n, k, _ = work.gemm.T
    generic = _is_grouped(work) & ~tensor_core.is_group_width(n, work.channels)
    tile_n, tile_k = tensor_core.GROUP_TILE
    deep = k / np.maximum(work.channels, 1.0) * np.ceil(work.channels / tile_k) * tile_k
    return np.where(generic, np.ceil(n / tile_n) * tile_n, n), np.where(generic, deep, k)


def _is_grouped(work: WorkTable) -> NDArray[np.bool_]:
    return np.array([kind is Kind.GROUPED_CONV for kind in work.kinds], np.bool_)


def kernel_share(work: WorkTable, profile: Profile) -> Array | float:
    """Share of the rate that is left where the library has no kernel for the shape: products of rows that no load instruction
    fits (convolutions lay out theirs themselves), convolutions whose groups have another width, or not as many outputs as inputs.
    """
    _, n, k, _ = work.gemm.T
    load, kinds = tensor_core.LOAD_BYTES, work.kinds
    share: Array | float = 1.0
    if profile.misaligned is not None:
        aligned = tensor_core.alignment_share(n, k, work.element_bytes, load, 1.0, profile.misaligned.value, load)
        share = np.where(np.array([kind in MATRIX_PRODUCTS for kind in kinds], np.bool_), aligned, 1.0)
    if profile.odd_groups is not None:
        own = tensor_core.is_group_width(n, work.channels) & (n == work.channels)
        share = np.where(_is_grouped(work) & ~own, profile.odd_groups.value, share)
    return share


def _core_share(work: WorkTable, shape: Core, profile: Profile, rate: str) -> Array | float:
    """Output channels lie along the lanes; those of a depthwise convolution are its groups.

    A library that has blocks of channels for some convolutions multiplies the weights of the others with columns of the image:
    places lie along the lanes.
    """
    across, dot = shape.lanes.get(rate, 1.0), shape.dot.get(rate, 1.0)
    m, n, k, groups = work.gemm.T
    depthwise = np.array([kind is Kind.DEPTHWISE_CONV for kind in work.kinds], np.bool_)
    own = lanes.gemm_utilisation(n, k, across, dot)
    share = np.where(depthwise, lanes.depthwise_utilisation(groups * n, k, across, dot), own)
    if not profile.channel_blocks:
        return share
    columns = np.array([kind in CONVOLUTIONS for kind in work.kinds], np.bool_) & ~on_blocks(work)
    return np.where(columns, lanes.gemm_utilisation(m, k, across, dot), share)


def _systolic_share(m: Array, n: Array, k: Array, groups: Array, shape: Systolic, units: Number) -> Array:
    """The arrays share a product by its rows, its columns or its groups, whichever is fastest."""
    by_rows, by_columns, by_groups = systolic_cycles(m, n, k, groups, shape, units)
    spent = np.minimum(np.minimum(by_rows, by_columns), by_groups)
    return systolic.utilisation(m, n, k, groups, spent, shape.rows * units, shape.columns)


def systolic_cycles(
    m: Number, n: Number, k: Number, groups: Number, shape: Systolic, units: Number
) -> tuple[Array, Array, Array]:
    """Cycles if the arrays share a product by its rows m, by its columns n, by its groups."""
    cycles = {
        ("weight", True): systolic.cycles_weight_stationary_hidden,
        ("weight", False): systolic.cycles_weight_stationary,
        ("output", True): systolic.cycles_output_stationary_hidden,
        ("output", False): systolic.cycles_output_stationary,
        ("input", True): systolic.cycles_input_stationary_hidden,
        ("input", False): systolic.cycles_input_stationary,
    }[shape.dataflow, shape.hidden_fill]
    return (
        cycles(np.ceil(m / units), n, k, groups, shape.rows, shape.columns),
        cycles(m, np.ceil(n / units), k, groups, shape.rows, shape.columns),
        cycles(m, n, k, np.ceil(groups / units), shape.rows, shape.columns),
    )
