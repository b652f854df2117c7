"""A kernel: what one launch executes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from simulator.graph.types import TensorSpec
from simulator.ops.work import Kind

NOTHING_FOLDED: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Kernel:
    """Operators that run in one launch. Tensors between them never travel; `inputs`, `weights` and `outputs` do.

    `ops` are indices into the graph's operators, in order. `main` is the one that names the kernel: the largest matrix
    product, else the one with most arithmetic. `rate` names the element type its MACs (or, without any, its vector
    operations) run in. `views` are operators that only look at the kernel's tensors another way. `folded` are batch
    norms that have become part of the weights, with the vector operations that are left of each (a bias). `recomputed` are
    operators at home in other kernels whose results this one computes again in place of reading them.
    """

    name: str
    kind: Kind
    ops: tuple[int, ...]
    main: int
    rate: str
    inputs: tuple[TensorSpec, ...]
    weights: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    views: tuple[int, ...] = ()
    folded: Mapping[int, int] = field(default_factory=lambda: NOTHING_FOLDED)
    recomputed: tuple[int, ...] = ()
