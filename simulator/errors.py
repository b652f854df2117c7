"""Everything that can go wrong, as one tree.

SimulatorError            what a user can mend; the command prints it and exits with 2
├── ModelError            the ONNX file: unreadable, contradictory
│   ├── UnknownOperatorError   operators without a rule
│   └── ShapeError        shapes that contradict each other, or a dimension that is missing
├── HardwareError         a machine's or a runtime's YAML
├── MeasurementError  a measurement file
├── UnitError             a quantity that cannot be read
├── PrecisionError        a data type the machine has no rate for
├── NotFoundError         no such file or catalogue entry
├── OutputError           a result that cannot be written
└── UsageError            arguments that make no sense together
"""

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SimulatorError(Exception):
    """Root of all errors a user can mend."""


class ModelError(SimulatorError):
    """The network cannot be read or contradicts itself."""


class UnknownOperatorError(ModelError):
    """Operators for which there is no rule."""


class ShapeError(ModelError):
    """Shapes that contradict each other or cannot be known."""


class HardwareError(SimulatorError):
    """A machine or runtime description is wrong."""


class MeasurementError(SimulatorError):
    """A measurement file is wrong."""


class UnitError(SimulatorError, ValueError):
    """A quantity cannot be read in the unit asked for."""


class PrecisionError(SimulatorError):
    """The machine has no rate for a data type."""


class NotFoundError(SimulatorError):
    """No such file or catalogue entry."""


class OutputError(SimulatorError):
    """A result cannot be written."""


class UsageError(SimulatorError):
    """Arguments that make no sense together."""


def did_you_mean(word: str, known: "Iterable[str]") -> str:
    """`"; did you mean 'bandwidth'?"`, or an empty string where nothing known comes close."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
