"""A kernel: what one launch executes."""

from dataclasses import dataclass

from simulator.graph.types import TensorSpec
from simulator.ops.work import Kind


@dataclass(frozen=True, slots=True)
class Kernel:
    """Operators that run in one launch. Tensors between them never travel; `inputs`, `weights` and `outputs` do.

    `ops` are indices into the graph's operators, in order. `main` is the one that names the kernel: the largest matrix
    product, else the one with most arithmetic. `rate` names the element type its MACs (or, without any, its vector
    operations) run in.
    """

    name: str
    kind: Kind
    ops: tuple[int, ...]
    main: int
    rate: str
    inputs: tuple[TensorSpec, ...]
    weights: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
