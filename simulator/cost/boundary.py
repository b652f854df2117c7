"""Inputs and outputs of the network that stay in a memory further out than other activations.

Compilers of NPUs keep what the host hands over where the host put it, and only what the network makes itself in the memory
on chip (`holds: [boundary]`). Every kernel that reads an input or writes an output does so there.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulator.cost.traffic import Flow, flows
from simulator.machine.figures import Number
from simulator.machine.params import Machine, MemoryParams
from simulator.workload import WorkTable

Array = NDArray[np.float64]


def boundary_home(machine: Machine) -> MemoryParams | None:
    """The memory of inputs and outputs, where it is not that of other activations."""
    home = next((m for m in machine.memories if m.holds_boundary), None)
    return None if home is machine.homes(weights=False)[0] else home


def with_boundary(work: WorkTable, machine: Machine, resident_share: Number, *, apart: bool = False) -> tuple[Flow, ...]:
    """The flows of a machine, with inputs and outputs of the network from their own memory; `apart` as in `flows`.

    Each kernel's data crosses as if it lay there, in the share that enters or leaves the network.
    """
    found = flows(work, machine, resident_share, apart=apart)
    home = boundary_home(machine)
    if home is None:
        return found
    weights, inputs, outputs, *again = found
    _, far_inputs, far_outputs, *_ = flows(work, _moved_to(home, machine), resident_share, apart=True)
    inputs = _mixed(inputs, far_inputs, work.maps.entering_bytes)
    return (weights, inputs, _mixed(outputs, far_outputs, work.maps.leaving_bytes), *again)


def _moved_to(home: MemoryParams, machine: Machine) -> Machine:
    """The machine if no memory further in than `home` held activations; their data passes through it."""
    end = machine.memories.index(home)
    inner = (
        replace(m, kind="scratchpad", capacity_bytes=0.0, is_staging=True, holds_activations=False) if m.holds_activations else m
        for m in machine.memories[:end]
    )
    return replace(machine, memories=(*inner, *machine.memories[end:]))


def _mixed(near: Flow, far: Flow, boundary_bytes: Array) -> Flow:
    """`near` with the share of `far` that `boundary_bytes` are of all its bytes; over the same levels."""
    share = boundary_bytes / np.maximum(np.maximum(near.crossing[0], boundary_bytes), 1.0)
    pairs = zip(near.crossing, far.crossing, strict=True)
    return replace(near, crossing=tuple(one + share * (other - one) for one, other in pairs))
