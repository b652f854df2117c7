"""The memory plan as text a person reads, and as data: the verdict first, then what fills the memory and what would help."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from simulator.graph.types import TensorSpec
from simulator.schedule.arena import Arena
from simulator.schedule.conventions import CONVENTIONS, Convention, Peak, Tenant
from simulator.schedule.memory import Fit
from simulator.schedule.patches import PatchPlan
from simulator.schedule.plan import MemoryPlan, PlacePlan
from simulator.units import format_bytes

SCHEMA: Final = 1
_BAR: Final = 16
_SHORT_BAR: Final = 8
_CULPRITS: Final = 5
_NAMES: Final[dict[Convention, str]] = {
    "in_out": "in + out", "liveness": "liveness", "liveness_in_place": "in place",
}  # fmt: skip
_HEURISTICS: Final = {"greedy_by_size": "greedy by size", "hill_climb": "hill climb"}


@dataclass(frozen=True)
class Heading:
    """What was planned, on what, how."""

    model: str
    hardware: str
    settings: str


def show_plan(plan: MemoryPlan, heading: Heading, console: Console) -> None:
    """Print the report."""
    title = Text.assemble((heading.model, "bold"), " on ", (heading.hardware, "bold"))
    gap = "   " if len(title) + 3 + len(heading.settings) <= console.width else "\n"
    title.append(f"{gap}{heading.settings}", style="dim")
    parts: list[RenderableType] = [title, verdict(plan), Text(), _indented(_fits(plan)), Text()]
    for place in plan.places:
        parts += [_place_head(plan, place)] if len(plan.places) > 1 else []
        parts += [_peaks(plan, place), Text(), _culprits(plan, place, console.width), Text(), _remedies(plan, place), Text()]
    parts += [_crossings(plan, console.width)] if plan.crossings else []
    console.print(Group(*parts if plan.crossings else parts[:-1]))


def _place_head(plan: MemoryPlan, place: PlacePlan) -> Text:
    """Whose memory, and how much of the network runs there: what follows is about it alone."""
    count = f"{len(place.here)} of {len(plan.kernels)} kernels"
    return Text.assemble((_engines(place), "bold"), f": {count}, activations in {place.memory}")


def _engines(place: PlacePlan) -> str:
    return " and ".join(place.engines)


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2))


def verdict(plan: MemoryPlan) -> Text:
    """The answer in a line: what does not fit by how much, or how much is left where it is tightest."""
    short = [f for f in plan.fits if not f.fits]
    if short:
        missing = ", ".join(f"{f.memory} is {format_bytes(f.needs_bytes - f.capacity_bytes)} too small" for f in short)
        return Text(f"DOES NOT FIT: {missing}", style="bold red")
    bounded = [f for f in plan.fits if np.isfinite(f.capacity_bytes)]
    if not bounded:
        return Text("no memory has a stated capacity: nothing to fit against", style="yellow")
    tight = max(bounded, key=lambda f: f.needs_bytes / f.capacity_bytes)
    left = format_bytes(tight.capacity_bytes - tight.needs_bytes)
    return Text.assemble(("fits", "bold green"), f": fullest is {tight.memory}, {_share(tight)} used, {left} free")


def _share(fit: Fit) -> str:
    share = 100 * fit.needs_bytes / fit.capacity_bytes
    return f"{share:.0f} %" if share >= 1 else "< 1 %"


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def _fits(plan: MemoryPlan) -> Table:
    several = len(plan.places) > 1
    columns = [("memory", ""), *([("engine", "")] if several else []), ("needs", "right"), ("has", "right"), ("", "")]
    table = _table(*columns, ("used", "right"), ("for", ""))
    for fit in plan.fits:
        whose = [" and ".join(_engines(p) for p in plan.places if fit.memory in p.memories)] if several else []
        if np.isfinite(fit.capacity_bytes):
            style = "cyan" if fit.fits else "bold red"
            has, share = format_bytes(fit.capacity_bytes), _share(fit)
            bar = _bar(fit.needs_bytes / fit.capacity_bytes, style, _SHORT_BAR if several else _BAR)
        else:
            has, share, bar, style = "–", "–", Text(), ""
        table.add_row(fit.memory, *whose, format_bytes(fit.needs_bytes), has, bar, share, " and ".join(fit.holds))
    return table


def _bar(share: float, style: str, width: int = _BAR) -> Text:
    """A bar in eighths of a character over a dotted track; an arrow where it runs over the end."""
    eighths = min(round(share * width * 8), width * 8)
    bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
    rest = "·" * (width - len(bar))
    return Text.assemble((bar[:-1] + "▶" if share > 1 else bar, style), (rest, "dim"))


def _peaks(plan: MemoryPlan, place: PlacePlan) -> Table:
    """The peaks under the conventions, and the arenas that hold them."""
    kind = "unpatched" if plan.patches else "activations"
    columns = [(kind, ""), ("peak", "right"), ("at kernel", "right"), ("arena ≥", "right")]
    table = _table(*columns, *((_HEURISTICS[h], "right") for h in place.arenas["liveness"]))
    for convention in CONVENTIONS:
        peak, arenas = place.peaks[convention], list(place.arenas.get(convention, {}).values())
        bound = format_bytes(arenas[0].lower_bound_bytes) if arenas else ""
        cells = [_arena(a) for a in arenas] or [Text()] * len(place.arenas["liveness"])
        table.add_row(_NAMES[convention], format_bytes(peak.peak_bytes), f"{peak.at + 1}", bound, *cells)
    return table


def _arena(arena: Arena) -> Text:
    """Its size: green at the lower bound (the peak with every tensor aligned), else how far above it."""
    if arena.size_bytes <= arena.lower_bound_bytes:
        return Text(format_bytes(arena.size_bytes), style="green")
    return Text.assemble(format_bytes(arena.size_bytes), (f" +{100 * arena.waste:.1f} %", "yellow"))


def _culprits(plan: MemoryPlan, place: PlacePlan, width: int) -> RenderableType:
    """What is alive at the peak."""
    peak = place.peaks["liveness"]
    if not plan.kernels:
        return Text("no kernels: nothing to hold")
    head = f"At the peak: kernel {peak.at + 1} of {len(plan.kernels)}, {plan.kernels[peak.at].name}"
    table = _table(("tensor", ""), ("shape", ""), ("bytes", "right"), ("of the peak", ""), ("kernels", "right"))
    shown, rest = peak.culprits[:_CULPRITS], peak.culprits[_CULPRITS:]
    rows = [(_shape(t.spec), format_bytes(t.spec.size_bytes), f"{t.first + 1} to {t.last + 1}") for t in shown]
    room = width - sum(max(map(len, column), default=0) for column in zip(*rows, strict=True)) - 8 - 16 - 8
    for tenant, (shape, size, span) in zip(shown, rows, strict=True):
        table.add_row(_tail(tenant.spec.name, max(room, 12)), shape, size, _portion(tenant.spec.size_bytes, peak), span)
    if rest:
        total = sum(t.spec.size_bytes for t in rest)
        table.add_row(f"{len(rest)} more", "", format_bytes(total), _portion(total, peak), "", style="dim")
    return Group(Text(head), table)


def _portion(size: int, peak: Peak) -> Text:
    share = size / peak.peak_bytes if peak.peak_bytes else 0.0
    return Text.assemble(_bar(share, "cyan", _SHORT_BAR), f" {100 * share:3.0f} %")


def _shape(spec: TensorSpec) -> str:
    return "×".join(map(str, spec.shape or ())) + f" {spec.dtype.name}"


def _tail(name: str, room: int) -> str:
    return name if len(name) <= room else "…" + name[-(room - 1) :]


def _remedies(plan: MemoryPlan, place: PlacePlan) -> Table:
    """What would take less memory."""
    table = _table(("what would take less", ""), ("peak", "right"), ("change", "right"), ("", ""))
    now = place.peaks["liveness"].peak_bytes
    in_place = place.peaks["liveness_in_place"].peak_bytes
    table.add_row("outputs over inputs", *_against(in_place, now), _fit_note(place, in_place))
    if len(plan.places) > 1:  # an order is judged by all activations together, so it says nothing about one memory
        return table
    found = plan.reordering
    sure = "no order is better" if found.exact else "no better order found"
    if plan.options.reorder:
        done = "applied" if found.saved_bytes else sure
        table.add_row("other order", *_against(found.peak_bytes, found.given_bytes), done)
    else:
        note = _fit_note(place, found.peak_bytes) if found.saved_bytes else sure
        table.add_row("other order, --reorder", *_against(found.peak_bytes, now), note)
    patches = plan.patches or plan.suggestion
    if patches:
        _add_patches(table, plan, patches, now)
    return table


def _add_patches(table: Table, plan: MemoryPlan, patches: PatchPlan, now: int) -> None:
    """A stage of patches, with the image whole in memory and fetched in pieces."""
    place = plan.places[0]
    name = f"--patches {patches.grid[0]}x{patches.grid[1]}:{patches.n_kernels}"
    size, pieces = patches.peak_bytes(image=True), patches.peak_bytes()
    cost = f", +{100 * patches.overhead:.1f} % MACs" + (", applied" if plan.patches else "")
    table.add_row(name, *_against(size, now), Text.assemble(_fit_note(place, size), cost))
    table.add_row("  image in pieces", *_against(pieces, now), _fit_note(place, pieces))


def _crossings(plan: MemoryPlan, width: int) -> RenderableType:
    """What goes from one memory to another: it is in both meanwhile."""
    total = format_bytes(sum(c.spec.size_bytes for c in plan.crossings))
    many = "s" if len(plan.crossings) > 1 else ""
    head = f"Crossing between memories: {len(plan.crossings)} tensor{many}, {total}, in both for that kernel"
    table = _table(("tensor", ""), ("shape", ""), ("bytes", "right"), ("from", ""), ("to", ""), ("at kernel", "right"))
    found = sorted(plan.crossings, key=lambda c: -c.spec.size_bytes)
    shown, rest = found[:_CULPRITS], found[_CULPRITS:]
    rows = [
        (_shape(c.spec), format_bytes(c.spec.size_bytes), _where(plan, c.source), _where(plan, c.target), f"{c.kernel + 1}")
        for c in shown
    ]
    room = width - sum(max(map(len, column)) for column in zip(*rows, strict=True)) - 20
    for crossing, row in zip(shown, rows, strict=True):
        table.add_row(_tail(crossing.spec.name, max(room, 12)), *row)
    if rest:
        table.add_row(f"{len(rest)} more", "", format_bytes(sum(c.spec.size_bytes for c in rest)), "", "", "", style="dim")
    return Group(Text(head), table)


def _where(plan: MemoryPlan, place: int | None) -> str:
    """The memory of a place; the host where no kernel runs on it."""
    return "host" if place is None else plan.places[place].memory


def _against(size: int, now: int) -> tuple[str, str]:
    change = 100 * (size / now - 1) if now else 0.0
    return format_bytes(size), "same" if size == now else f"{change:+.0f} %"


def _fit_note(place: PlacePlan, size: int) -> Text:
    """Whether the activations would then fit the innermost memory that holds them."""
    if not np.isfinite(place.capacity_bytes):
        return Text()
    if size <= place.capacity_bytes:
        return Text(f"fits {place.memory}", style="green")
    return Text(f"{format_bytes(size - place.capacity_bytes)} over {place.memory}", style="red")


def to_dict(plan: MemoryPlan) -> dict[str, object]:
    """The whole plan; sizes and addresses in bytes, kernels counted from 0.

    Where engines have memories of their own, the first of them stands at the top level and the others under `elsewhere`.
    """
    first, *others = plan.places
    return {
        "schema": SCHEMA,
        "fits": plan.fit_all,
        "memory": {
            f.memory: {"needs_bytes": round(f.needs_bytes), "fits": f.fits, "holds": list(f.holds),
                       "capacity_bytes": round(f.capacity_bytes) if np.isfinite(f.capacity_bytes) else None}
            for f in plan.fits
        },
        "kernels": [k.name for k in plan.kernels],
        **_place_dict(first), "activation_bytes": plan.activation_bytes,
        "elsewhere": [_place_dict(place) for place in others],
        "crossings": [
            {"name": c.spec.name, "bytes": c.spec.size_bytes, "from": _where(plan, c.source), "to": _where(plan, c.target),
             "kernel": c.kernel}
            for c in plan.crossings
        ],
        "reordering": {
            "applied": plan.options.reorder, "given_bytes": plan.reordering.given_bytes,
            "peak_bytes": plan.reordering.peak_bytes, "is_optimal": plan.reordering.exact,
            "order": list(plan.reordering.order),
        },
        "patches": _patch_dict(plan.patches), "suggested_patches": _patch_dict(plan.suggestion),
    }  # fmt: skip


def _place_dict(place: PlacePlan) -> dict[str, object]:
    """What lives in the memories of some engines; `kernels_here` are those that run there."""
    return {
        "engines": list(place.engines), "activations_in": place.memory, "kernels_here": sorted(place.here),
        "activation_bytes": place.best("liveness").size_bytes, "weight_bytes": round(place.weight_bytes),
        "peaks": {c: _peak_dict(p) for c, p in place.peaks.items()},
        "arenas": {c: {h: _arena_dict(a) for h, a in found.items()} for c, found in place.arenas.items()},
    }  # fmt: skip


def _peak_dict(peak: Peak) -> dict[str, object]:
    return {
        "peak_bytes": peak.peak_bytes, "kernel": peak.at, "live_bytes": peak.live_bytes.tolist(),
        "culprits": [_tenant_dict(t) for t in peak.culprits],
    }  # fmt: skip


def _tenant_dict(tenant: Tenant) -> dict[str, object]:
    spec = tenant.spec
    shape = None if spec.shape is None else list(spec.shape)
    return {
        "name": spec.name, "shape": shape, "dtype": spec.dtype.name, "bytes": spec.size_bytes, "first_kernel": tenant.first,
        "last_kernel": tenant.last,
    }  # fmt: skip


def _arena_dict(arena: Arena) -> dict[str, object]:
    placed: Sequence[dict[str, object]] = [
        {"address_bytes": p.address_bytes, "tensors": [_tenant_dict(t) for t in p.buffer.tenants]} for p in arena.placements
    ]
    return {
        "size_bytes": arena.size_bytes, "lower_bound_bytes": arena.lower_bound_bytes,
        "alignment_bytes": arena.alignment_bytes, "buffers": placed,
    }  # fmt: skip


def _patch_dict(patches: PatchPlan | None) -> dict[str, object] | None:
    if patches is None:
        return None
    return {
        "grid": list(patches.grid), "kernels": patches.n_kernels, "last_kernel": patches.last,
        "extra_macs": patches.extra_macs, "mac_overhead": patches.overhead,
        "peak_bytes": {c: patches.peak_bytes(c, image=True) for c in CONVENTIONS},
        "peak_image_in_pieces_bytes": {c: patches.peak_bytes(c) for c in CONVENTIONS},
        "patch_bytes": dict(patches.patch_bytes),
    }  # fmt: skip
