"""How near a runtime comes to the machine's peaks."""

from dataclasses import dataclass

from simulator.machine.runtime import Profile


@dataclass(frozen=True)
class Limits:
    """How near to the machine's peaks: the expected answer uses a runtime's efficiencies, the bound none.

    `measured` lets fractions that the machine file states as measured lower them further.
    """

    profile: Profile
    measured: bool = True
    ideal: bool = False
