"""Engines that lay a network out over the chip, every kernel beside the others, and stream images through it.

In the steady state of such a pipeline each kernel has a share of the chip in proportion to its work, so that all take equally
long: an image takes the sum over the kernels of what each would take on the whole chip, and nothing is launched. That
needs all weights on chip, and kernels that can start before the one before them has ended. Other networks are cut into contexts
that run one after the other: their weights come from outside in every run, and every kernel is set up anew.

Source: Hailo, Dataflow Compiler User Guide, multi-context models.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from simulator.cost.limits import Limits
from simulator.cost.traffic import placed_shares
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.ops.work import Kind
from simulator.workload import WorkTable

# what cannot start before the kernel before it has ended: an operand that is computed must be whole; steps wait for steps
UNSTREAMED: Final = frozenset({Kind.BATCHED_GEMM, Kind.ATTENTION, Kind.RECURRENT})


def has_pipelines(limits: Limits) -> bool:
    """Whether the runtime lays networks out over an engine."""
    return any(profile.execution == "pipeline" for profile in limits.profiles.values())


def laid_out(machine: Machine, limits: Limits, work: WorkTable) -> Machine:
    """The machine as a runtime with pipelines uses it for a network: weights stay on chip all or not at all.

    Machines that no such runtime uses, or that keep weights in one place only, stay as they are.
    """
    homes = machine.homes(weights=True)
    if len(homes) < 2 or not has_pipelines(limits):
        return machine
    if UNSTREAMED.isdisjoint(work.kinds):
        return replace(machine, whole_weights=True, activations_pass=True)
    return weights_outside(machine)


def weights_outside(machine: Machine) -> Machine:
    """The machine with all weights in the outermost memory that holds any."""
    homes = machine.homes(weights=True)
    inner = {m.id for m in homes[:-1]}
    memories = (replace(m, holds_weights=m.holds_weights and m.id not in inner) for m in machine.memories)
    return replace(machine, memories=tuple(memories))


def set_up_share(work: WorkTable, machine: Machine, limits: Limits, engine: EngineParams) -> Number:
    """1 where every kernel is set up in every run, 0 where the whole network stays laid out; of design points a column."""
    if limits.of(engine).execution != "pipeline" or not UNSTREAMED.isdisjoint(work.kinds):
        return 1.0
    seen = machine.seen_by(engine)
    homes = seen.homes(weights=True)
    if len(homes) < 2:
        return 0.0
    outside = next(weights for m, weights, _ in placed_shares(work.footprint, seen) if m is homes[-1])
    return np.where(np.asarray(outside) > 0.0, 1.0, 0.0) if np.ndim(outside) else float(outside > 0.0)
