"""Made-up weights: deterministic, of plausible size, different for every tensor.

Runtimes share tensors of equal content, which would make a network smaller than it is; activations that die out or grow
without end would slow arithmetic down. Hence normal numbers of variance 2 / fan-in (He et al., ICCV 2015), seeded by name.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from simulator.errors import ModelError
from simulator.ops.registry import Input, find_rule
from simulator.ops.work import Kind

Content = Literal["weight", "small", "around_one", "scale", "integer", "zero"]
_AT_ONCE: Final = 1 << 22  # elements made at once
_INTEGERS: Final = {"int4": (-8, 8), "uint4": (0, 16), "int8": (-127, 128), "uint8": (0, 256)}


@dataclass(frozen=True, slots=True)
class Use:
    """Where a tensor is read: by which operator, as which of its inputs, with which attributes that bear on its layout."""

    op_type: str
    domain: str
    index: int
    transposed: bool = False


def content_of(name: str, dtype: str, shape: tuple[int, ...], use: Use | None) -> Content:
    """What to make a tensor of, by its type and its use.

    Raises:
        ModelError: its values decide shapes, or it is of a type that cannot be made up.
    """
    rule = find_rule(use.domain, use.op_type) if use else None
    role = rule.role(use.index) if rule and use else Input.DATA
    if role is Input.CONFIG:
        raise ModelError(f"'{name}' decides shapes and has no values in the file: the network cannot be run")
    if not dtype.startswith(("float", "bfloat")):
        if dtype not in (*_INTEGERS, "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"):
            raise ModelError(f"'{name}' has no values in the file, and none can be made up for the type {dtype}")
        return "integer" if dtype in _INTEGERS and role is not Input.SCALE else "zero"
    if role is Input.SCALE:
        return "scale"
    if role is Input.STATISTIC or (rule and rule.kind is Kind.NORM and use and use.index == 1):
        return "around_one"
    if use and use.op_type in ("Mul", "Div", "Pow", "Sqrt", "Log", "PRelu", "RMSNormalization"):
        return "around_one"
    return "small" if role is Input.BIAS or len(shape) < 2 else "weight"


def fan_in(shape: tuple[int, ...], use: Use | None) -> int:
    """Products that add up in one output: of a convolution channels × window, of a matrix product its depth."""
    if len(shape) < 2:
        return 1
    op_type = use.op_type if use else ""
    if "Conv" in op_type and "Transpose" not in op_type:
        return max(int(np.prod(shape[1:])), 1)
    if op_type == "Gather":
        return max(shape[-1], 1)
    if op_type in ("LSTM", "GRU", "RNN") or (use and use.transposed):
        return max(shape[-1], 1)
    return max(shape[-2] if len(shape) == 2 or "Transpose" not in op_type else shape[0], 1)


def made_up(name: str, dtype: str, shape: tuple[int, ...], use: Use | None) -> Iterator[np.ndarray]:
    """Values of a tensor, flat, in pieces of bounded size; float types as float32, whole numbers as int64.

    The seed is the name, so that the same file always gets the same weights and no two tensors are alike.

    Raises:
        ModelError: as `content_of`.
    """
    content, left = content_of(name, dtype, shape, use), int(np.prod(shape, dtype=np.int64))
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    deviation = float(np.sqrt(2.0 / fan_in(shape, use)))
    while left:
        count = min(left, _AT_ONCE)
        yield _piece(generator, content, count, deviation, _INTEGERS.get(dtype, (0, 1)))
        left -= count


def _piece(generator: np.random.Generator, content: Content, count: int, deviation: float, limits: tuple[int, int]) -> np.ndarray:
    if content == "integer":
        return generator.integers(*limits, size=count, dtype=np.int64)
    if content == "zero":
        return np.zeros(count, np.int64)
    if content == "scale":
        return generator.uniform(0.01, 0.02, count).astype(np.float32)
    if content == "around_one":
        return generator.uniform(0.5, 1.5, count).astype(np.float32)
    return generator.standard_normal(count, dtype=np.float32) * np.float32(0.01 if content == "small" else deviation)
