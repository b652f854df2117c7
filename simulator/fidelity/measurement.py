"""What somebody measured, and the same run as the estimator sees it."""

from dataclasses import dataclass

from simulator.cost.limits import limits_of
from simulator.estimator import prepared_for, supported_by
from simulator.machine.params import Machine, machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.prediction import Prepared


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of a measurement file: a network on a machine under a runtime, and how long a whole batch took.

    `model` and `hardware` are catalogue names or paths. `family` is what is left out together in a cross-validation;
    energy is that of one batch. What was not measured is None.
    """

    model: str
    hardware: str
    runtime: str
    latency_s: float
    precision: str | None = None
    batch: int | None = None
    energy_j: float | None = None
    family: str = ""
    label: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """What to call it in a table."""
        return self.label or self.model


@dataclass(frozen=True)
class Sample:
    """A measurement, and the same run as kernels and a machine: all that a prediction needs but the runtime's constants."""

    measured: Measurement
    prepared: Prepared
    machine: Machine


def sample_of(measured: Measurement, model: Model, hardware: HardwareSpec, runtime: RuntimeSpec) -> Sample:
    """The run that a measurement is of, its kernels cut as `runtime` cuts them."""
    machine = machine_of(hardware)
    prepared = prepared_for(model, runtime, measured.precision, supported_by(hardware, limits_of(runtime, machine).profiles))
    return Sample(measured, prepared, machine)
