"""How long a battery lasts: its energy over the mean power of inferences at a rate and of waiting between them."""

from dataclasses import dataclass
from typing import Final

from simulator.errors import UnitError, UsageError
from simulator.result.prediction import Prediction
from simulator.units import format_duration, format_si, parse

_LEAST: Final = 1e-30  # what is divided by


@dataclass(frozen=True, slots=True)
class BatteryLife:
    """Life of a battery of `battery_j` that pays for `rate_per_s` inferences a second and `idle_w` between them.

    life = battery / (energy per inference · rate + idle power · (1 - busy share)), busy share = rate · latency / batch.
    `average_w` and `life_s` are None where the energy of an inference is not known; `idle_w` where waiting is left out.
    """

    battery_j: float
    rate_per_s: float
    busy_share: float
    idle_w: float | None
    average_w: float | None
    warnings: tuple[str, ...]

    @property
    def life_s(self) -> float | None:
        """Seconds until it is empty; None where the power is not known, or is none."""
        return self.battery_j / self.average_w if self.average_w else None

    @property
    def life_text(self) -> str:
        """`9.89 days`; at most that where waiting is left out."""
        if self.life_s is None:
            return "not known without the energy of an inference"
        return ("at most " if self.idle_w is None else "") + format_duration(self.life_s)

    @property
    def power_text(self) -> str:
        """`2.38 kJ at 2.78 mW on average, busy 6.6 %`."""
        average = "" if self.average_w is None else f" at {format_si(self.average_w, 'W')} on average"
        return f"{format_si(self.battery_j, 'J')}{average}, busy {100 * self.busy_share:.2g} %"

    def to_dict(self) -> dict[str, float | None]:
        """The object `battery` of docs/json.md."""
        return {
            "battery_j": self.battery_j, "rate_per_s": self.rate_per_s, "busy_share": self.busy_share,
            "idle_w": self.idle_w, "average_w": self.average_w, "life_s": self.life_s,
        }  # fmt: skip


def battery_life(est: Prediction, battery: str, rate: str) -> BatteryLife:
    """Life of a battery (`220mAh@3V`, `2 Wh`, `5 kJ`) that runs an estimated network at a rate (`1/s`, `12/h`).

    Between inferences the machine takes `power.idle`, else `power.static`; where its file has neither, nothing and a
    warning. The nominal energy counts in full: no self-discharge, no loss in a converter, no cut-off.

    Raises:
        UnitError: a battery or a rate that cannot be read.
        UsageError: the machine cannot keep up with the rate.
    """
    battery_j, rate_per_s = read_battery_j(battery), read_rate_per_s(rate)
    busy = rate_per_s * est.latency_s / est.batch
    if busy > 1:
        most = format_si(est.batch / est.latency_s, "/s").replace(" /", "/")
        raise UsageError(
            f"{est.hardware.id} cannot keep up with {rate}: {format_si(est.latency_s, 's')} per run are at most {most}"
        )
    power = est.hardware.power
    waiting = power.idle or power.static
    idle_w = waiting.value if waiting else None
    if est.energy_j is None:
        unknown = "the life of the battery is not known without the energy of an inference"
        return BatteryLife(battery_j, rate_per_s, busy, idle_w, None, (unknown,))
    average_w = est.energy_j / est.batch * rate_per_s + (idle_w or 0.0) * (1 - busy)
    asleep = f"{est.hardware.id} gives no idle power: the life of the battery does not count sleep between inferences"
    return BatteryLife(battery_j, rate_per_s, busy, idle_w, average_w, (asleep,) if idle_w is None else ())


def read_battery_j(text: str) -> float:
    """The energy of a battery: a charge at a voltage, or an energy."""
    charge, at, voltage = text.partition("@")
    if at:
        try:
            return _positive(parse(charge, "coulombs").value, text) * _positive(parse(voltage, "volts").value, text)
        except UnitError as error:
            raise UnitError(f"battery '{text}': {error}") from error
    if _reads(text, "coulombs"):
        raise UnitError(f"'{text}' is a charge: its energy takes a voltage too; write '{text.strip()}@3V'")
    if not _reads(text, "joules"):
        raise UnitError(f"'{text}' is not a battery; write '220mAh@3V', '2 Wh' or '5 kJ'")
    return _positive(parse(text, "joules").value, text)


def read_rate_per_s(text: str) -> float:
    """How many inferences a second: `1/s`, `0.2/s`, `1/min`, `12/h`, `1/day`."""
    return _positive(parse(text, "per_second").value, text)


def _reads(text: str, dimension: str) -> bool:
    try:
        parse(text, dimension)
    except UnitError:
        return False
    return True


def _positive(value: float, text: str) -> float:
    if value < _LEAST:
        raise UnitError(f"'{text}' must be more than 0")
    return value
