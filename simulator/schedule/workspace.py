"""What kernels of 8-bit convolutions need beside tensors: padded copies of images, columns of windows, tables of channels.

Sizes are those of X-CUBE-AI 7.3: read off its generated sources in public repositories (1 × 1: 4·ci + 10·co bytes; 3 × 3 of 16
to 16 channels: 5344; of 3 to 16: 1196), and met to the printed digit by the activation memory that the STM32 model zoo states
(tests/published/test_mcu_memory.py).
"""

from dataclasses import dataclass
from math import prod

from simulator.graph.graph import Graph
from simulator.kernels.operators import work_of
from simulator.kernels.types import Kernel
from simulator.ops.work import CONVOLUTIONS, Kind, Window

_BLOCK_BYTES = 4608  # weights of 16 output channels, widened to 16 bits, as many as fit
_WIDE_TABLE_BYTES = 832  # of blocks of more than 16 output channels
_IMAGE_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution of a kernel: what slides over which image, and the channels; `groups` is that of the operator."""

    window: Window
    inputs: int
    outputs: int
    depthwise: bool

    @property
    def taps(self) -> int:
        """Elements of the window in one channel."""
        return prod(self.window.kernel)

    @property
    def reads_an_image(self) -> bool:
        """Of three channels, for which there is a kernel that works line by line."""
        return self.inputs == _IMAGE_CHANNELS and self.taps > 1

    @property
    def is_pointwise(self) -> bool:
        """Of one tap at every position."""
        return self.taps == 1 and self.window.output == self.window.data


def convolution_of(graph: Graph, kernel: Kernel) -> Convolution | None:
    """The convolution of a kernel over an image; None where it has none."""
    work = work_of(graph, graph.ops[kernel.main])
    if kernel.kind not in CONVOLUTIONS or work.window is None or work.gemm is None or len(work.window.output) != 2:
        return None
    gemm = work.gemm
    return Convolution(work.window, gemm.k // gemm.taps * gemm.groups, gemm.n * gemm.groups, kernel.kind is Kind.DEPTHWISE_CONV)


def gap_elements(convolution: Convolution) -> int:
    """How far ahead of the results their inputs must lie to be read in time: a row of results and one more."""
    return (convolution.window.output[-1] + 1) * convolution.outputs


def may_overwrite(convolution: Convolution) -> bool:
    """Whether results can be written over inputs that lie a gap ahead: of 1 × 1 windows that at most double the channels, and of
    images read line by line. That wider ones are not is what the printed figures say (MobileNetV2's expansions).
    """
    return convolution.reads_an_image or (convolution.is_pointwise and convolution.outputs <= 2 * convolution.inputs)


def padding_elements(convolution: Convolution) -> int:
    """What a zero-padded copy of the image has beyond the image, which it takes the place of.

    Rows and columns as far as a window reaches: of stride 2 often one side only.
    """
    window = convolution.window
    if convolution.reads_an_image:
        return 0
    reached = [(o - 1) * s + k for o, s, k in zip(window.output, window.strides, window.kernel, strict=True)]
    if all(r <= d for r, d in zip(reached, window.data, strict=True)):
        return 0
    padded = prod(max(r, d) for r, d in zip(reached, window.data, strict=True))
    return (padded - prod(window.data)) * convolution.inputs


def column_bytes(convolution: Convolution) -> int:
    """Scratch of an 8-bit convolution: a block of weights and two columns widened to 16 bits, tables by channel, lines of an
    image. Depthwise ones keep rows of their results instead.
    """
    taps, inputs, outputs = convolution.taps, convolution.inputs, convolution.outputs
    if convolution.depthwise:
        return 0
    if taps == 1:
        return 4 * inputs + 10 * outputs
    block = min(2 * taps * inputs * min(outputs, 16), _BLOCK_BYTES)
    table = _WIDE_TABLE_BYTES if outputs > 16 else (14 if inputs % 4 else 10) * outputs
    lines = 4 * convolution.window.output[-1] * outputs if convolution.reads_an_image else 0
    return block + 4 * taps * inputs + table + lines
