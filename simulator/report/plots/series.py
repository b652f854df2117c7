"""What tells estimates apart in one picture: names, colours, markers; and the sizes that such pictures share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.report.plots import style
from simulator.report.plots.roofs import machine_name
from simulator.result.estimate import Estimate

_MEMORY_NAMES: Final = {"flash": "flash", "pcie": "PCIe"}  # others are acronyms
_LEAST_PT2: Final = 7.0  # area of a kernel's marker, whatever its share


@dataclass(frozen=True, slots=True)
class Look:
    """How one estimate is told from others: colour and marker; no marker where there is but one."""

    name: str
    color: str
    marker: str | None


def looks(estimates: Sequence[Estimate]) -> tuple[Look, ...]:
    """Colour by machine where there are several, else by model, else by estimate; the marker by model."""
    machines = list(dict.fromkeys(map(machine_name, estimates)))
    models = list(dict.fromkeys(est.model.name for est in estimates))
    found = []
    for position, (est, name) in enumerate(zip(estimates, names(estimates), strict=True)):
        machine, model = machines.index(machine_name(est)), models.index(est.model.name)
        many_machines, many_models = len(machines) > 1, len(models) > 1
        look = machine if many_machines else model if many_models else position
        shape = model if many_models else look
        marker = style.MARKERS[shape % len(style.MARKERS)] if len(estimates) > 1 else None
        found.append(Look(name, style.PALETTE[look % len(style.PALETTE)], marker))
    return tuple(found)


def _facts(est: Estimate) -> tuple[str, ...]:
    """What may tell an estimate from others, the most telling first."""
    precision = est.precision or ", ".join(sorted(set(est.work.rates)))
    return est.model.name, machine_name(est), precision, f"batch {est.batch}", est.runtime.id, f"overlap {est.overlap}"


def names(estimates: Sequence[Estimate]) -> list[str]:
    """A short name for each: only facts that differ, runtime and overlap only where nothing else does."""
    facts = [_facts(est) for est in estimates]
    for length in (4, 5, 6):
        differs = [i for i in range(length) if len({f[i] for f in facts}) > 1] or [0]
        found = [", ".join(f[i] for i in differs) for f in facts]
        if len(set(found)) == len(found):
            return found
    return [f"{name} ({number})" for number, name in enumerate(found, 1)]


def shared_facts(estimates: Sequence[Estimate], fits: Callable[[str], bool]) -> str:
    """What all estimates share, as much of it as fits."""
    facts = [(e.model.name, e.hardware.name, e.hardware.mode, *_facts(e)[2:5]) for e in estimates]
    shared = [str(values[0]) for values in zip(*facts, strict=True) if len(set(values)) == 1 and values[0]]
    while len(shared) > 1 and not fits(", ".join(shared)):
        shared.pop()
    return ", ".join(shared)


def areas_pt2(share: np.ndarray, scale: float) -> np.ndarray:
    """Marker areas in proportion to the share of each kernel, none so small that it cannot be seen."""
    largest = scale * np.clip(110.0 * (20.0 / max(len(share), 1)) ** 0.4, 35.0, 110.0)
    return np.asarray(np.maximum(_LEAST_PT2, largest * share / share.max(initial=1e-300)))


def decades(low: float, high: float) -> tuple[float, float]:
    """The powers of ten around a range, with a little room at either end."""
    return 10.0 ** np.floor(np.log10(low / 1.1)), 10.0 ** np.ceil(np.log10(high * 1.35))


def figure_of(ax: Axes) -> Figure:
    """The figure that an axes is part of."""
    found = ax.get_figure(root=True)
    assert isinstance(found, Figure), "an axes without a figure has no size"
    return found


def memory_name(memory_id: str) -> str:
    """A memory as people write it: `HBM`, `L2`, `PCIe`."""
    return _MEMORY_NAMES.get(memory_id, memory_id.upper())
