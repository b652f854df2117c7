"""Flash that the generated code of a network takes beside its weights: the library's kernels, and tables of every layer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from simulator.machine.figures import Number
from simulator.machine.params import Machine
from simulator.machine.runtime import Code
from simulator.ops.work import CONVOLUTIONS
from simulator.schedule.memory import Fit
from simulator.workload import WorkTable

_SCALED: Final = frozenset({"int4", "int8", "int16"})  # their results are scaled by channel


def code_bytes(work: WorkTable, code: Code) -> Number:
    """Bytes of code and tables: base + kernels · one kernel + channels that convolutions make · one channel.

    The tables of a channel hold its scale: floating point has none. Validity: networks of convolutions, whose library
    kernels are all linked; within 1 % of weights and code together on networks that the fit left out.
    """
    rows = zip(work.kinds, work.rates, work.gemm.tolist(), strict=True)
    channels = float(sum(n * groups for kind, rate, (_, n, _, groups) in rows if kind in CONVOLUTIONS and rate in _SCALED))
    return code.base.value + len(work) * code.per_kernel.value + channels * code.per_channel.value


def code_home(machine: Machine) -> str:
    """The memory that code lies in: the outermost one that holds weights."""
    return machine.homes(weights=True)[-1].id


def with_code(fits: Sequence[Fit], machine: Machine, needs_bytes: float) -> tuple[Fit, ...]:
    """The needs of the memories with those of code in its home, which does not lose it."""
    home = code_home(machine)
    return tuple(replace(one, code_bytes=needs_bytes) if one.memory == home else one for one in fits)
