"""Energies by process node, for machines whose files give none: J per MAC, per vector operation, per byte.

Two tables of measured cells are the anchors: 45 nm, 0.9 V (M. Horowitz, Computing's energy problem, ISSCC 2014) and
7 nm (N. Jouppi et al., Ten lessons from three generations shaped Google's TPUv4i, ISCA 2021, table 2). Scaling:

* Between 7 and 45 nm: a straight line in log-log. The tables gain 2.7 × on an fp32 MAC and 1.3 to 7 × on an SRAM
  access, where the gate equations of A. Stillmaker and B. Baas (Integration 58, 2017) promise 14.6 ×: they leave out
  wires, so they are not used here.
* Above 45 nm, up to 130 nm: those equations, the only source that reaches there; the supply still fell with the node.
* Beyond 130 nm, and below 7 nm, where SRAM cells have stopped shrinking: held flat.
* DRAM and links have processes of their own: one figure each, whatever the node of the chip.

These are cells and arrays only. Control, instructions, wires between units, clock and leakage come on top: a factor of
about 3 on DRAM (A100: 13.1 pJ/bit in the system, 4 in the device), of 300 to 3000 on a whole microcontroller against its
MACs (MLPerf Tiny). Which machines get them: see defaults.py.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from simulator.machine.figures import Number
from simulator.machine.spec import Rate

_PJ: Final = 1e-12
_NODES_NM: Final = (7.0, 45.0, 65.0, 90.0, 130.0)
# energy against 45 nm: E(V) = a V² + b V + c of Stillmaker & Baas 2017 at 1.1, 1.1 and 1.2 V, over 45 nm HP at 0.9 V
_OLDER: Final = (2.41, 3.71, 7.41)


class Cell(NamedTuple):
    """One energy at the two anchors, in pJ."""

    at_45nm: float
    at_7nm: float

    def __add__(self, other: object) -> "Cell":
        """One after the other."""
        if not isinstance(other, Cell):
            return NotImplemented
        return Cell(self.at_45nm + other.at_45nm, self.at_7nm + other.at_7nm)

    def times(self, factor: float) -> "Cell":
        """The same cell, larger."""
        return Cell(self.at_45nm * factor, self.at_7nm * factor)


def _from_7nm(at_7nm: float, like: Cell) -> Cell:
    """A cell that only the 7 nm table has, with the gain of another one."""
    return Cell(at_7nm * like.at_45nm / like.at_7nm, at_7nm)


def _mean(one: Cell, other: Cell) -> Cell:
    """Geometric mean."""
    return Cell((one.at_45nm * other.at_45nm) ** 0.5, (one.at_7nm * other.at_7nm) ** 0.5)


_ADD: Final = {"int8": Cell(0.03, 0.007), "int32": Cell(0.1, 0.03), "fp16": Cell(0.4, 0.16), "fp32": Cell(0.9, 0.38)}
_MULTIPLY: Final = {"int8": Cell(0.2, 0.07), "int32": Cell(3.1, 1.48), "fp16": Cell(1.1, 0.34), "fp32": Cell(3.7, 1.31)}
_BF16_ADD: Final = _from_7nm(0.11, _ADD["fp16"])
_BF16_MULTIPLY: Final = _from_7nm(0.21, _MULTIPLY["fp16"])
# a multiplier grows with the square of its width: int32 takes 15.5 (45 nm) and 21 (7 nm) times what int8 takes
_INT16_MULTIPLY: Final = _mean(_MULTIPLY["int8"], _MULTIPLY["int32"])
_FP64_WIDTH: Final = 53 / 24  # bits of the significand, against fp32

_VECTOR: Final[dict[str, Cell]] = {
    "int4": _ADD["int32"],
    "int8": _ADD["int32"],
    "int16": _ADD["int32"],
    "fp8": _BF16_ADD,
    "fp16": _ADD["fp16"],
    "bf16": _BF16_ADD,
    "tf32": _ADD["fp32"],
    "fp32": _ADD["fp32"],
    "fp64": _ADD["fp32"].times(_FP64_WIDTH),
}
_PRODUCT: Final[dict[str, Cell]] = {
    "int4": _MULTIPLY["int8"].times(0.25),
    "int8": _MULTIPLY["int8"],
    "int16": _INT16_MULTIPLY,
    "fp8": _BF16_MULTIPLY,  # not in either table: at most what a wider significand takes
    "fp16": _MULTIPLY["fp16"],
    "bf16": _BF16_MULTIPLY,
    "tf32": _MULTIPLY["fp16"],  # the same significand
    "fp32": _MULTIPLY["fp32"],
    "fp64": _MULTIPLY["fp32"].times(_FP64_WIDTH**2),
}
_SRAM_BYTES: Final = (8 * 2.0**10, 32 * 2.0**10, 2.0**20)
_SRAM_64BIT: Final = (Cell(10, 7.5), Cell(20, 8.5), Cell(100, 14))

CELLS: Final = "cells-45-7nm"  # what the source of a default is called where it is one of the two tables
CITATION: Final = "measured cells at 45 and 7 nm: Horowitz, ISSCC 2014; Jouppi et al., ISCA 2021, table 2 (docs/hardware.md)"


_ESTIMATES: Final[dict[str, str]] = {  # of a MAC, beside the measured cells
    "int4": "estimate: a quarter of int8's multiplication, and an addition in 32 bits",
    "int16": "multiplication: geometric mean of int8 and int32",
    "fp8": "estimate: as bf16",
    "bf16": f"{CELLS} · at 45 nm with the ratio of fp16",
    "tf32": "estimate: fp16's multiplication and fp32's addition",
    "fp64": "estimate: fp32's by the width of the significand, squared for the multiplication",
}


class PerBit(NamedTuple):
    """Energy of a bit in pJ, and where it is from."""

    pj: float
    source: str


# of the memory device, by the word in its name; the first that is found counts
_DRAM: Final = {
    "hbm": PerBit(3.97, "HBM2: O'Connor et al., Fine-Grained DRAM, MICRO 2017"),
    "gddr": PerBit(7.5, "GDDR6: Micron, average of the device, as compared at kylolab.com"),
    "lpddr": PerBit(9.0, "LPDDR4X all in on an Apple M1: an estimate, no vendor prints one"),
    "ddr": PerBit(
        1300 / 64, "DDR3 and DDR4: Jouppi et al., ISCA 2021, table 2; the lower end of Horowitz' 1.3 to 2.6 nJ for 64 bits"
    ),
}
# over the wire, both ends
_LINKS: Final = {
    "pcie": PerBit(6.0, "PCIe 4, both ends: interface surveys, 4.0 (PCIe 3) to 6.0"),
    "nvlink": PerBit(1.3, "NVLink 4, both ends: NVIDIA"),
}


@lru_cache(maxsize=4096)
def at_node_j(cell: Cell, node_m: float) -> float:
    """Energy of a cell at a process node: straight lines in log-log through the anchors, flat beyond the ends."""
    known = np.array([cell.at_7nm, cell.at_45nm, *(cell.at_45nm * factor for factor in _OLDER)])
    return float(np.exp(np.interp(np.log(node_m * 1e9), np.log(_NODES_NM), np.log(known)))) * _PJ


def mac_j(rate: Rate, node_m: float) -> float:
    """One multiply-accumulate: a multiplication and an addition; integers add up in 32 bits."""
    return at_node_j(_PRODUCT[rate] + _VECTOR[rate], node_m)


def vector_op_j(rate: Rate, node_m: float) -> float:
    """One vector operation: an addition, of integers in 32 bits."""
    return at_node_j(_VECTOR[rate], node_m)


def mac_source(rate: Rate) -> str:
    """Where the energy of a MAC comes from."""
    return _ESTIMATES.get(rate, CELLS)


def vector_source(rate: Rate) -> str:
    """Where the energy of a vector operation comes from."""
    estimates = {"fp8": "estimate: an addition in bf16", "fp64": "estimate: an addition in fp32, by the width of the significand"}
    return estimates.get(rate, f"{CELLS} · an addition" + (" in 32 bits" if rate.startswith("int") else ""))


def sram_source() -> str:
    """Where the energies of on-chip arrays come from."""
    return f"{CELLS} · by capacity"


def sram_j_per_byte(capacity_bytes: Number, node_m: float) -> Number:
    """One byte of an on-chip array: log-log in its capacity.

    Larger ones go on as from 32 KiB to 1 MiB (longer wires); below 8 KiB flat (decoders and sense amplifiers stay).
    """
    sizes = np.log(_SRAM_BYTES)
    energies = np.log([at_node_j(cell, node_m) for cell in _SRAM_64BIT])
    size = np.log(capacity_bytes)
    beyond = np.maximum(size - sizes[-1], 0.0) * (energies[-1] - energies[-2]) / (sizes[-1] - sizes[-2])
    found = np.exp(np.interp(size, sizes, energies) + beyond) / 8
    return found if np.ndim(found) else float(found)


def dram_per_bit(name: str) -> PerBit:
    """A DRAM device, by what its name says it is; DDR where it says nothing."""
    return _by_word(name, _DRAM) or _DRAM["ddr"]


def link_per_bit(name: str) -> PerBit | None:
    """A link; None for those that no source has (USB)."""
    return _by_word(name, _LINKS)


def dram_j_per_byte(name: str) -> float:
    """One byte of a DRAM device."""
    return 8 * _PJ * dram_per_bit(name).pj


def link_j_per_byte(name: str) -> float | None:
    """One byte over a link; None where no source has it."""
    found = link_per_bit(name)
    return None if found is None else 8 * _PJ * found.pj


def _by_word(name: str, per_bit: Mapping[str, PerBit]) -> PerBit | None:
    return next((found for word, found in per_bit.items() if word in name.lower()), None)
