"""What somebody measured, and the same run as the estimator sees it."""

from dataclasses import dataclass, field

from simulator.cost.limits import limits_of
from simulator.machine.params import Machine, machine_of, require_rate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.preparation import prepared_for
from simulator.result.prediction import Prepared
from simulator.transform.precision import precision_of


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of a measurement file: a network on a machine under a runtime, and how long a whole batch took.

    `model` and `hardware` are catalogue names or paths. `family` is what is left out together in a cross-validation;
    energy is that of one batch, the peak that of the memory that activations live in. What was not measured is None.
    `line` is where the row stands in its file, and no part of what it says.
    """

    model: str
    hardware: str
    runtime: str
    latency_s: float
    precision: str | None = None
    batch: int | None = None
    energy_j: float | None = None
    peak_memory_bytes: int | None = None
    family: str = ""
    label: str = ""
    source: str = ""
    line: int | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """What to call it in a table."""
        return self.label or self.model

    @property
    def fold(self) -> str:
        """What is left out together with it: its family, or it alone."""
        return self.family or self.name

    @property
    def chip(self) -> str:
        """Its machine, whatever the mode: what is left out together when errors on unseen hardware are asked for."""
        return self.hardware.partition(":")[0]


@dataclass(frozen=True)
class Sample:
    """A measurement, and the same run as kernels and a machine: all that a prediction needs but the runtime's constants."""

    measured: Measurement
    prepared: Prepared
    machine: Machine


def sample_of(measured: Measurement, model: Model, hardware: HardwareSpec, runtime: RuntimeSpec) -> Sample:
    """The run that a measurement is of, its kernels cut as `runtime` cuts them.

    Raises:
        PrecisionError: the machine has no rate for an element type.
        UsageError: the runtime does not run on the machine.
    """
    if measured.precision is not None:
        precision_of(measured.precision)
    machine = machine_of(hardware)
    prepared = prepared_for(model, runtime, measured.precision, hardware, limits_of(runtime, machine).profiles)
    require_rate(machine, prepared.work.mac_rates, measured.precision)
    return Sample(measured, prepared, machine)
