"""The values a network is made of: tensors and operators."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from simulator.dtypes import DType, storage_bytes
from simulator.graph.packing import Packing

Shape = tuple[int, ...]
NO_ATTRS: Mapping[str, object] = MappingProxyType({})


class Role(StrEnum):
    """What a tensor is to the network."""

    INPUT = "input"
    WEIGHT = "weight"  # known before the run: learned, or computed from what is learned
    ACTIVATION = "activation"
    OUTPUT = "output"
    STATE = "state"  # kept from one run to the next: a cache of keys and values, before and after


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its values. `shape` is None where it cannot be known (sequences, strings, missing rules).

    `packing` says how its elements are stored where that is not one after the other.
    """

    name: str
    shape: Shape | None
    dtype: DType
    role: Role = Role.ACTIVATION
    packing: Packing | None = None

    @property
    def elements(self) -> int:
        """Number of elements; 0 where the shape is unknown."""
        return math.prod(self.shape) if self.shape is not None else 0

    @property
    def size_bytes(self) -> int:
        """Storage in bytes, sub-byte types packed; of pruned or grouped elements with their indices and scales."""
        if self.packing is not None:
            return self.packing.size_bytes(self.elements, self.dtype.bits)
        return storage_bytes(self.elements, self.dtype)

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape or ())


@dataclass(frozen=True, slots=True)
class Op:
    """One operator of the flat graph.

    An empty name among `inputs` or `outputs` is an omitted optional one. `repeat` is how often it runs in one
    inference (the trip count of the loops around it). `origin` names the ONNX nodes it came from. `constant` marks
    arithmetic on weights alone: a runtime that folds constants does it once, before the first inference. `added` marks
    what is not in the file, but run by the framework (batch norms unfolded, casts, changes of layout).
    """

    name: str
    op_type: str
    domain: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, object] = field(default_factory=lambda: NO_ATTRS)
    origin: tuple[str, ...] = ()
    repeat: int = 1
    constant: bool = False
    added: bool = False

    @property
    def qualified_type(self) -> str:
        """`Conv`, or `com.microsoft:FusedConv` outside the standard domain."""
        return f"{self.domain}:{self.op_type}" if self.domain else self.op_type
