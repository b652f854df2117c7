"""Channels in blocks as wide as a register (NCHWc): which convolutions a library like MLAS runs on them.

Source: ONNX Runtime, core/optimizer/nchwc_transformer.cc, `TransformConv` and `TransformPool`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.ops.pool import BLOCK_CHANNELS

IN_BLOCKS: Final = "/blocks"  # behind the name of a tensor that lies in blocks (transform/blocks.py)
ALIGNMENT: Final = 4  # input channels are padded to whole blocks where they are a multiple of this


def works_on_blocks(inputs: NDArray[np.float64], outputs: NDArray[np.float64], groups: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether convolutions work on blocks of channels, given the channels into and out of a group.

    Fewer input channels than a block are read as they lie in the image, several groups need whole blocks each, depthwise ones
    together a multiple of `ALIGNMENT`.
    """
    dense = reads_plain(inputs, groups) | (inputs % ALIGNMENT == 0)
    whole = (inputs % BLOCK_CHANNELS == 0) & (outputs % BLOCK_CHANNELS == 0)
    depthwise = (inputs == 1) & (outputs == 1) & (groups % ALIGNMENT == 0)
    return np.asarray(np.where(np.asarray(groups) <= 1, dense, whole | depthwise), np.bool_)


def reads_plain(inputs: NDArray[np.float64], groups: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a convolution on blocks reads the channels of the image one after another: there is less than a block of them."""
    return np.asarray((np.asarray(groups) <= 1) & (np.asarray(inputs) < BLOCK_CHANNELS), np.bool_)
