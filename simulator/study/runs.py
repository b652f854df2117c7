"""Runs to choose from: a network on a machine in a precision, estimated, or the reason why it cannot be."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.errors import SimulatorError
from simulator.estimator import estimate
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.result.prediction import Prediction
from simulator.units import format_bytes

AS_IN_FILE: Final = "as in file"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a network is known to reach on a data set: `value` in the unit of `metric` (`top1_percent`, `auc`).

    `of_float`: the figure is that of the float network, for want of one in the precision of the run. `note` says what else
    there is to know (a target and no result; how it was quantized), `source` where it is from.
    """

    value: float
    metric: str
    dataset: str
    of_float: bool = False
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A network to be run: what people call it, and what accuracy it has in a precision (None: as in its file)."""

    name: str
    model: Model
    accuracy: Callable[[str | None], Accuracy | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Station:
    """A machine to run on, with its software; `label` is what it is called where its id alone does not tell it apart."""

    spec: HardwareSpec
    runtime: RuntimeSpec
    label: str = ""

    @property
    def name(self) -> str:
        """Catalogue id, and mode where it runs in one: `jetson_orin_nano:15W`; or its label."""
        return self.label or ":".join(filter(None, (self.spec.id, self.spec.mode)))

    @property
    def power_w(self) -> float | None:
        """What people compare machines by: thermal design power, or measured active power, in W."""
        figure = self.spec.power.tdp or self.spec.power.active
        return None if figure is None else figure.value


@dataclass(frozen=True, slots=True)
class Run:
    """One combination; `estimate` is None where it cannot be run, and `reason` says why."""

    network: Network
    station: Station
    precision: str
    estimate: Prediction | None
    accuracy: Accuracy | None
    reason: str | None = None

    @property
    def runs(self) -> bool:
        """Whether the machine can run it as it is: it has the element types, and all memories hold what they must."""
        return self.estimate is not None and self.estimate.fits

    @property
    def too_large(self) -> str | None:
        """What does not fit, None where all does: `too large for sram by 1.2 MiB`."""
        if self.estimate is None or self.estimate.fits:
            return None
        over = [(f.memory, f.needs_bytes - f.capacity_bytes) for f in self.estimate.memory_fit if not f.fits]
        return f"too large for {' and '.join(f'{memory} by {format_bytes(size)}' for memory, size in over)}"


def runs(networks: Iterable[Network], stations: Sequence[Station], precisions: Sequence[str | None]) -> Iterator[Run]:
    """Every network on every machine in every precision (None: as in its file), no combination twice.

    One network after the other: what of an estimate does not depend on the machine is then done once.
    """
    for network in networks:
        for station in stations:
            seen = set()
            for precision in precisions:
                run = _run(network, station, precision)
                if run.precision not in seen:
                    seen.add(run.precision)
                    yield run


def _run(network: Network, station: Station, precision: str | None) -> Run:
    try:
        est = estimate(network.model, station.spec, station.runtime, precision=precision)
    except SimulatorError as error:
        return Run(network, station, precision or AS_IN_FILE, None, network.accuracy(precision), str(error))
    return Run(network, station, precision or est.main_rate, est, network.accuracy(precision))
