"""How a tensor is stored where not every element stands there as it is: pruned, or in groups that have scales."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

RELATIVE_BITS: Final = 4  # EIE: zeros before an entry, four bits each
TWO_OF_FOUR_BITS: Final = 2  # place of a kept value among its four
BLOCK_INDEX_BITS: Final = 32  # a block's column, as block sparse row formats have it (cuSPARSE, BSR)


class Zeros(StrEnum):
    """Where the zeros of a pruned tensor are."""

    SCATTERED = "scattered"
    TWO_OF_FOUR = "2:4"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Packing:
    """Storage of pruned or grouped elements; their own bits are those of the element type at that time.

    `kept` is the share of the elements that are not pruned, `zeros` where the others are (None: nowhere), `block` how many
    are pruned together. `group` elements of a `row` (those that are summed over) share `group_bits` of scale and zero point;
    0 where there are no groups. The last group of a row may be shorter.
    """

    zeros: Zeros | None = None
    kept: Fraction = Fraction(1)
    block: int = 1
    group: int = 0
    group_bits: int = 0
    row: int = 0

    def size_bytes(self, elements: int, bits: int) -> int:
        """Bytes of a tensor of so many elements of so many bits: values, indices and scales, rounded up once."""
        values = elements * bits if self.zeros is None else min(elements * bits, _STORED[self.zeros](elements, bits, self))
        return -(-(values + self.groups(elements) * self.group_bits) // 8)

    def groups(self, elements: int) -> int:
        """Groups with a scale of their own: ⌈row / group⌉ for each row."""
        return -(-elements // self.row) * -(-self.row // self.group) if self.group else 0


def bitmap_bits(elements: int, bits: int, kept: Fraction) -> int:
    """⌈kept · elements⌉ values, and one bit for every element that says whether it is there."""
    return math.ceil(elements * kept) * bits + elements


def relative_bits(elements: int, bits: int, kept: Fraction, index_bits: int = RELATIVE_BITS) -> int:
    """⌈kept · elements⌉ values, each with the count of zeros before it: kept · (bits + index).

    An index reaches over 2^index − 1 zeros, behind which a zero is stored as a value: at least one entry in 2^index elements.
    Values that lie evenly need no more; at random places they need some, which are not counted.

    Source: Han et al., EIE, ISCA 2016 (4 bits); Deep Compression, ICLR 2016 (5 and 8 bits).
    """
    return max(math.ceil(elements * kept), -(-elements // (1 << index_bits))) * (bits + index_bits)


def _scattered(elements: int, bits: int, packing: Packing) -> int:
    return min(bitmap_bits(elements, bits, packing.kept), relative_bits(elements, bits, packing.kept))


def _two_of_four(elements: int, bits: int, _: Packing) -> int:
    """Half the values with the place of each among four. Source: NVIDIA A100 Tensor Core GPU Architecture, white paper, 2020."""
    return -(-elements // 2) * (bits + TWO_OF_FOUR_BITS)


def _blocks(elements: int, bits: int, packing: Packing) -> int:
    blocks = math.ceil(-(-elements // packing.block) * packing.kept)
    return blocks * (packing.block * bits + BLOCK_INDEX_BITS)


_STORED: Final[Mapping[Zeros, Callable[[int, int, Packing], int]]] = {
    Zeros.SCATTERED: _scattered,
    Zeros.TWO_OF_FOUR: _two_of_four,
    Zeros.BLOCKS: _blocks,
}
