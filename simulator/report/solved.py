"""Solutions and sensitivities as text."""

from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report.cells import cell, ratio
from simulator.report.tables import headline
from simulator.result.estimate import Estimate
from simulator.result.quantities import TOTALS
from simulator.study.formula import formula_of
from simulator.study.parts import energy_by_part_j
from simulator.study.sensitivity import KNEE_GAIN, STEP, Effect, Sensitivity
from simulator.study.solve import Solution
from simulator.units import printable

_KNEE_WIDTH: Final = 100  # columns from which on the knee is shown

# ---- solutions --------------------------------------------------------------------------------------------------------


def show_solution(found: Solution, console: Console) -> None:
    """Print it."""
    parts: list[RenderableType] = [headline(found.before, console.width), Text()]
    parts += _answer(found) if found.values is not None else _failure(found)
    parts += [Text(), _sides(found)]
    console.print(Group(*parts))


def _answer(found: Solution) -> list[RenderableType]:
    """The values, and whether they are the edge of what suffices."""
    assert found.values is not None
    assert found.exact is not None
    parts: list[RenderableType] = []
    for axis, value, exact in zip(found.axes, found.values, found.exact, strict=True):
        assert axis.numbers is not None
        shown = cell(value, axis.dimension, per_cycle=axis.per_cycle, digits=4)
        side = "at most" if found.largest else "at least"
        edge = f"   the edge is at {cell(exact, axis.dimension, per_cycle=axis.per_cycle, digits=6)}"
        if exact == axis.numbers[-1 if found.largest else 0]:
            edge = f"   the targets hold to the {'upper' if found.largest else 'lower'} end of the range"
        parts.append(Text.assemble((f"{axis.name}: {side} {shown}", "bold green"), (edge, "dim")))
    parts.append(Text(f"so that {' and '.join(printable(target) for target in found.targets)}"))
    return parts


def _failure(found: Solution) -> list[RenderableType]:
    """That nothing suffices, the nearest miss, and what stands in the way there."""
    names = ", ".join(axis.name for axis in found.axes)
    ranges = (
        " to ".join(cell(float(n), axis.dimension, per_cycle=axis.per_cycle) for n in (axis.numbers[0], axis.numbers[-1]))
        for axis in found.axes
        if axis.numbers is not None
    )
    goal = " and ".join(printable(target) for target in found.missed or found.targets)
    pairs = zip(found.axes, found.nearest, strict=False)
    nearest = ", ".join(f"{axis.name} {cell(value, axis.dimension, per_cycle=axis.per_cycle)}" for axis, value in pairs)
    return [
        Text(f"no {names} from {', '.join(ranges)} gives {goal}", style="bold red"),
        Text(f"nearest miss: {nearest}"),
        Text(f"in the way: {_obstacle(found)}"),
    ]


def _obstacle(found: Solution) -> str:
    """What the targets that fail are made of: memories that are too small, energy by part, or else the time."""
    over = [f for f in found.at.memory_fit if not f.fits]
    names = _names(found.missed)
    if "fits" in names and over:
        return ", ".join(f"{f.memory} too small by {cell(f.needs_bytes - f.capacity_bytes, 'bytes')}" for f in over)
    energy = energy_by_part_j(found.at)
    if names & {"energy", "energy_j", "power", "power_w"} and energy:
        parts = sorted(energy.items(), key=lambda part: -part[1])
        return "energy of " + ", ".join(f"{name} {cell(joules, 'joules')}" for name, joules in parts)
    return in_the_way(found.at)


def _names(texts: tuple[str, ...]) -> set[str]:
    """The names in conditions."""
    return {name for text in texts for name in formula_of(text).names}


def in_the_way(est: Estimate) -> str:
    """What the time of an estimate consists of: kernels by what bounds them, and what no kernel takes."""
    seconds: dict[str, float] = {}
    for kind, kernel_s in zip(est.bounds, est.kernel_s, strict=True):
        seconds[f"kernels bound by {kind}"] = seconds.get(f"kernels bound by {kind}", 0.0) + float(kernel_s)
    seconds["waiting for the host, which launches kernels"] = est.waiting_s
    outside = est.latency_s - float(est.kernel_s.sum()) - est.waiting_s
    seconds["what every inference pays once"] = outside if outside > 1e-9 * est.latency_s else 0.0
    parts = sorted(((name, s) for name, s in seconds.items() if s), key=lambda part: -part[1])
    return ", ".join(f"{name} {cell(s, 'seconds')}" for name, s in parts)


def _sides(found: Solution) -> RenderableType:
    """The machine as it is and as it would be."""
    there = "there" if found.values is not None else "at the nearest miss"
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for title in ("as it is", there, "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    ends = (found.before, found.at)
    asked = {"latency", "throughput", "energy"} | _names(found.targets)
    for total in TOTALS.values():
        if asked & {total.name, total.key}:
            before, after = (total.of(est) for est in ends)
            multiple = after / before if before and after is not None else None
            table.add_row(total.header, cell(before, total.dimension), cell(after, total.dimension), ratio(multiple))
    table.add_row("bound by", found.before.bound, found.at.bound, "")
    table.add_row("fits", *("yes" if est.fits else "no" for est in ends), "")
    return table


def solution_dict(found: Solution) -> dict[str, object]:
    """As an object for JSON."""
    values = [
        {"name": axis.name, "key": axis.key, "value": value, "exact": exact, "setting": setting.partition("=")[2]}
        for axis, value, exact, setting in zip(
            found.axes, found.values or (), found.exact or (), found.settings, strict=False
        )
    ]  # fmt: skip
    at = {"latency_s": found.at.latency_s, "energy_j": found.at.energy_j, "bound": found.at.bound, "fits": found.at.fits}
    before = {"latency_s": found.before.latency_s, "energy_j": found.before.energy_j}
    return {
        "schema": 1, "solved": found.values is not None, "targets": list(found.targets), "values": values,
        "side": "at most" if found.largest else "at least", "missed": list(found.missed), "at": at, "before": before,
    }  # fmt: skip


# ---- sensitivities ----------------------------------------------------------------------------------------------------


def show_sensitivity(found: Sensitivity, console: Console, top: int) -> None:
    """Print it."""
    est = found.estimate
    reading = f"elasticity: % of latency (energy) for 1 % more of the figure, over ±{STEP:.0%}; ×½, ×2: latency at half and twice"
    knee = f"knee: the value from which on a doubling wins less than {KNEE_GAIN - 1:.0%}"
    shown = found.effects[: top or None]
    parts: list[RenderableType] = [headline(est, console.width), Text(reading, style="dim")]
    parts += [Text(knee, style="dim")] if console.width >= _KNEE_WIDTH else []
    if shown:
        parts += [Text(), _effects(shown, console.width, energy=est.energy_j is not None)]
    rest = [effect.name for effect in found.effects[len(shown) :]]
    unread: dict[str, list[str]] = {}
    for name, reason in found.unread:
        unread.setdefault(f"not varied ({printable(reason)})", []).append(name)
    for what, names in (("less effect", rest), ("no effect", list(found.without)), *unread.items()):
        if names:
            parts += [Text(), Text(f"{what}: {', '.join(names)}", style="dim")]
    console.print(Group(*parts))


def _effects(effects: tuple[Effect, ...], width: int, *, energy: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("figure", overflow="fold")
    wide = width >= _KNEE_WIDTH
    titles = ["value", "latency", *(["energy"] if energy else []), "×½", "×2", *(["knee"] if wide else [])]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for effect in effects:
        axis = effect.axis
        row = [cell(effect.value, axis.dimension, per_cycle=axis.per_cycle), f"{effect.latency:+.2f}"]
        row += [_elasticity(effect.energy)] if energy else []
        row += [ratio(side[0]) if side else "–" for side in (effect.halved, effect.doubled)]
        row += [cell(effect.knee, axis.dimension, per_cycle=axis.per_cycle)] if wide else []
        table.add_row(effect.name, *row)
    return table


def _elasticity(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"
