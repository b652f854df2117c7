"""One kernel of an estimate, with all that its costs were computed from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulator.cost.table import Traffic
from simulator.estimator import Setting, setting_of
from simulator.explanation.book import Book
from simulator.kernels.types import Kernel
from simulator.machine.figures import Number
from simulator.machine.params import EngineParams, Machine
from simulator.machine.runtime import Profile
from simulator.machine.spec import Engine
from simulator.result.estimate import Estimate
from simulator.workload import WorkTable


@dataclass(frozen=True)
class Scene:
    """`setting` is what the estimator makes of the same model, machine and runtime: no number is computed a second way."""

    est: Estimate
    index: int
    setting: Setting
    book: Book

    @classmethod
    def of(cls, est: Estimate, index: int) -> "Scene":
        """The scene of one kernel."""
        setting = setting_of(est.model, est.hardware, est.runtime, est.precision)
        return cls(est, index, setting, Book(est.hardware, est.runtime))

    @property
    def kernel(self) -> Kernel:
        """The kernel."""
        return self.setting.prepared.kernels[self.index]

    @property
    def work(self) -> WorkTable:
        """The work of all kernels."""
        return self.setting.prepared.work

    @property
    def machine(self) -> Machine:
        """The machine's numbers."""
        return self.setting.machine

    @property
    def engine(self) -> EngineParams:
        """Numbers of the engine that runs it."""
        return self.setting.placement[self.index]

    @property
    def engine_spec(self) -> Engine:
        """What the file says of this engine."""
        return self.est.hardware.engine(self.engine.id)

    @property
    def profile(self) -> Profile:
        """How the runtime uses this engine."""
        return self.setting.limits.of(self.engine)

    @property
    def rate(self) -> str:
        """Element type of the arithmetic."""
        return self.work.rates[self.index]

    @property
    def native(self) -> str:
        """Element type that the engine computes it in."""
        return self.engine.native(self.rate) or next(iter(self.engine.macs_per_s))

    @property
    def kind(self) -> str:
        """Kernel class."""
        return self.work.kinds[self.index]

    @cached_property
    def traffic(self) -> Traffic:
        """What all kernels move."""
        return self.setting.traffic

    def own(self, column: Number) -> float:
        """The kernel's number of a column."""
        return float(np.broadcast_to(column, len(self.work))[self.index])
