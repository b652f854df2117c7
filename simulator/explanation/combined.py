"""How compute, memory, launches and transfers of a kernel become its time, and its energy."""

import math
from typing import Literal

import numpy as np

from simulator.cost.alone import fresh_pages, made_pages
from simulator.cost.transfer import switch_s
from simulator.explanation.alone import is_alone
from simulator.explanation.expression import Expression, Quantity, constant, largest, least, sum_of
from simulator.explanation.scene import Scene
from simulator.explanation.terms import Section, Term, term
from simulator.schedule.overlap import WINDOWS, Windows

_HIDES = {
    "runtime": "what is shorter hides behind the longer, but for the share 1 − θ",
    "none": "one after the other",
    "layer": "the shorter hides behind the longer",
    "prefetch": "the shorter hides behind the longer; early: weights that the kernel before has loaded",
    "full": "the shorter hides behind the longer",
}


def launch_section(scene: Scene) -> Section:
    """What starting the kernel costs, and coming from another engine."""
    cost, book, found = scene.est.cost, scene.book, []
    overhead = scene.own(cost.overhead_s)
    if overhead:
        figure = scene.profile.kernel_overhead
        quantity = book.of_profile("launch", scene.engine, "kernel_overhead", figure)
        each = book.seconds("launch", quantity, figure, _clock(scene))
        fork, faults = _doubled(scene, "fork"), _faults(scene)
        launched = Quantity("launches", scene.own(scene.work.launches)) * (each if fork is None else each + fork)
        notes = [] if fork is None else ["doublings: log2 of the units, which start one another"]
        notes += [] if faults is None else ["pages: of a copy of the weights, or of weights that are computed"]
        joined = 0.0 if scene.work.joined is None else scene.own(scene.work.joined)
        loop = _doubled(scene, "loop") if joined else None
        launched = launched if loop is None else launched + Quantity("parts", joined) * loop
        notes += [] if loop is None else ["parts: of concatenations, after each of which the units wait for one another"]
        value = launched if faults is None else launched + faults
        found.append(term("overhead_s", "overhead", "s", value, overhead, "; ".join(notes)))
    return Section("launch", "Launch and transfer", (*found, *_transfers(scene)))


def _doubled(scene: Scene, what: Literal["fork", "loop"]) -> Expression | None:
    """What starting the other units (fork) or waiting for them (loop) takes; None where there is one, or one runs the kernel."""
    book, figure = scene.book, scene.profile.fork_overhead if what == "fork" else scene.profile.loop_overhead
    units = float(scene.engine.units)
    if figure is None or units == 1.0 or is_alone(scene):
        return None
    spec = scene.engine_spec
    assert spec.units is not None
    cores = book.of_machine("units", f"engines.{spec.id}.units", spec.units)
    each = book.seconds(what, book.of_profile(what, scene.engine, f"{what}_overhead", figure), figure, _clock(scene))
    return each * Quantity("doublings", math.log2(units), "", cores.figures)


def _faults(scene: Scene) -> Expression | None:
    """What the pages of copies of the weights take, or of weights that are computed; nothing where there are none."""
    book, figure, copies = scene.book, scene.profile.page_fault, scene.profile.weight_copies
    copied, made = scene.own(fresh_pages(scene.work)), scene.own(made_pages(scene.work))
    if figure is None or not (copied or made):
        return None
    each = book.seconds("page fault", book.of_profile("page fault", scene.engine, "page_fault", figure), figure, _clock(scene))
    pages: Expression = Quantity("pages", made or copied)
    if copied and copies is not None:
        pages = pages * book.of_profile("copies", scene.engine, "weight_copies", copies)
    return pages * each


def _clock(scene: Scene) -> float | None:
    clock = scene.machine.clock_hz
    return None if clock is None else float(clock)


def _transfers(scene: Scene) -> list[Term]:
    """The switch from another engine, and what its link carries."""
    cost, book = scene.est.cost, scene.book
    value = scene.own(cost.transfer_s)
    if not value:
        return []
    found, parts = [], []
    switch, figure = scene.own(switch_s(scene.machine, scene.setting.limits, scene.setting.placement)), scene.profile.switch
    if switch and figure is not None:
        quantity = book.of_profile("switch", scene.engine, "switch", figure)
        found.append(term("switch_s", "switch", "s", book.seconds("switch", quantity, figure, _clock(scene)), switch))
        parts.append(Quantity("switch", switch, "s"))
    for link, seconds in cost.crossing_s.items():
        if scene.own(seconds):
            found.append(_link_term(scene, link, scene.own(seconds)))
            parts.append(Quantity(f"over {link}", scene.own(seconds), "s"))
    return [*found, term("transfer_s", "transfer", "s", sum_of(parts), value)]


def _link_term(scene: Scene, link: str, value: float) -> Term:
    """A latency for every tensor, and bytes over the rate."""
    spec = next(m for m in scene.est.hardware.memories if m.id == link)
    crossed, base, book = scene.setting.crossed[link], f"memories.{link}", scene.book
    share: Expression = book.of_profile("achieved", scene.engine, "bandwidth", scene.profile.bandwidth)
    if spec.achieved is not None and scene.setting.limits.measured:
        share = book.of_machine("achieved", f"{base}.achieved", spec.achieved)
    clock = book.of_machine("clock", f"{base}.clock", spec.clock, "Hz") if spec.clock else None
    parts: list[Expression] = []
    tensors = float(crossed.tensors[scene.index])
    if spec.latency is not None:
        latency = book.of_machine("latency", f"{base}.latency", spec.latency)
        per_cycle = spec.latency.per_cycle and clock is not None
        each: Expression = latency / clock if per_cycle and clock else Quantity("latency", latency.number, "s", latency.figures)
        parts.append(Quantity("tensors", tensors) * each)
    for way, figure, column in (("in", spec.read, crossed.inward), ("out", spec.write, crossed.outward)):
        moved = float(column[scene.index])
        if moved:
            field = next(f for f in ("bandwidth", "read_bandwidth", "write_bandwidth") if getattr(spec, f) is figure)
            rate = book.rate("bandwidth", f"{base}.{field}", figure, clock, "B/s")
            parts.append(Quantity(f"bytes {way}", moved, "B") / (rate * share))
    return term(f"link_s.{link}", f"over {link}", "s", sum_of(parts), value, "what this kernel reads and makes crosses the link")


# ---- time -------------------------------------------------------------------------------------------------------------


def time_section(scene: Scene) -> Section:
    """Compute and memory beside each other under the policy, then the launch, then the schedule."""
    est, terms = scene.est, scene.est.terms()
    policy = est.overlap if est.overlap in WINDOWS else "layer"
    windows = WINDOWS[policy](terms)
    busy = term("busy_s", "busy", "s", _busy(scene, policy, windows), scene.own(windows.busy_s), _HIDES.get(policy, ""))
    own = term("own_s", "kernel", "s", _launched(scene, busy.value), scene.own(windows.kernel_s), _launch_note(scene))
    found = [busy, own]
    if not math.isclose(own.value, scene.own(est.kernel_s), rel_tol=1e-12):
        found.append(_scheduled(scene, own.value, windows))
    return Section("time", f"Together (overlap {est.overlap})", tuple(found))


def _busy(scene: Scene, policy: str, windows: Windows) -> Expression:
    cost, est = scene.est.cost, scene.est
    compute = Quantity("compute", scene.own(cost.compute_s), "s")
    memory: Expression = Quantity("memory", scene.own(cost.memory_s), "s")
    early = scene.own(windows.early)
    if early:
        memory = memory - Quantity("early", early) * Quantity("weights", scene.own(est.terms().weight_s), "s")
    if policy not in _HIDES:
        return Quantity(f"compute and memory under '{policy}'", scene.own(windows.busy_s), "s")
    if policy == "none":
        return compute + memory
    kept: list[Expression] = []
    if policy == "runtime" and scene.own(cost.overlap) < 1.0:
        kept.append(constant(1.0) - scene.book.hidden_share(scene.engine_spec, scene.engine))
    tiles = scene.own(cost.tiles)
    if np.isfinite(tiles):
        kept.append(constant(1.0) / Quantity("tiles", tiles))
    longer = largest(compute, memory)
    return longer + largest(*kept) * least(compute, memory) if kept else longer


def _launched(scene: Scene, busy_s: float) -> Expression:
    cost = scene.est.cost
    overhead, transfer = scene.own(cost.overhead_s), scene.own(cost.transfer_s)
    busy: Expression = Quantity("busy", busy_s, "s")
    launch = Quantity("overhead", overhead, "s")
    whole = busy if not overhead else largest(busy, launch) if scene.profile.asynchronous else busy + launch
    return whole + Quantity("transfer", transfer, "s") if transfer else whole


def _launch_note(scene: Scene) -> str:
    if not scene.own(scene.est.cost.overhead_s):
        return ""
    return "launches run ahead of a busy device" if scene.profile.asynchronous else "the device waits for each launch"


def _scheduled(scene: Scene, own_s: float, windows: Windows) -> Term:
    """Where kernels of several engines or all resources overlap, each kernel has its share of the whole."""
    every = float(np.sum(windows.kernel_s))
    whole = float(np.sum(scene.est.kernel_s))
    share = Quantity("schedule", whole, "s") / Quantity("all kernels", every, "s")
    note = "its share of a schedule in which kernels run beside each other"
    return term("kernel_s", "share", "s", Quantity("kernel", own_s, "s") * share, scene.own(scene.est.kernel_s), note)


# ---- energy -----------------------------------------------------------------------------------------------------------


def energy_section(scene: Scene) -> Section:
    """Measured power × time, or arithmetic, data movement and static power."""
    est, power = scene.est, scene.est.hardware.power
    if est.kernel_j is None:
        note = f"{est.hardware.id} has no energy figures for all of this work"
        return Section("energy", "Energy", (), note)
    seconds, value = Quantity("time", scene.own(est.kernel_s), "s"), scene.own(est.kernel_j)
    if power.active is not None:
        active = scene.book.of_machine("active power", "power.active", power.active, "W")
        return Section("energy", "Energy", (term("energy_j", "energy", "J", active * seconds, value),))
    found = [*_arithmetic(scene), *_movement(scene)]
    if power.static is not None and power.static.value:
        static = scene.book.of_machine("static power", "power.static", power.static, "W")
        found.append(term("static_j", "static", "J", static * seconds))
    parts = [Quantity(t.name, t.value, "J") for t in found]
    return Section("energy", "Energy", (*found, term("energy_j", "energy", "J", sum_of(parts), value)))


def _arithmetic(scene: Scene) -> list[Term]:
    """MACs and other operations, each at its energy."""
    assert scene.est.cost.compute_j is not None
    value = scene.own(scene.est.cost.compute_j)
    engine, work, given = scene.engine, scene.work, scene.engine_spec.energy
    macs, other = scene.own(work.macs), scene.own(work.vector_ops + work.special_ops)
    native, base = engine.native(scene.rate) or scene.rate, f"engines.{engine.id}.energy"
    parts: list[Expression] = []
    default_j = scene.machine.default_j
    mac_j = engine.j_per_mac.get(native)
    per_mac = None
    if mac_j is not None:
        per_mac = scene.book.energy(f"{base}.mac.{native}", given.mac.get(native), default_j, "J/MAC", float(mac_j))  # type: ignore[call-overload]
    if macs and per_mac is not None:
        parts.append(Quantity("MACs", macs, "MAC") * per_mac)
    vector_j = engine.j_per_vector_op.get(native)
    per_other = per_mac
    if vector_j is not None:
        per_other = scene.book.energy(f"{base}.vector.{native}", given.vector.get(native), default_j, "J/OP", float(vector_j))  # type: ignore[call-overload]
    if other and per_other is not None:
        parts.append(Quantity("operations", other, "OP") * per_other)
    return [term("compute_j", "arithmetic", "J", sum_of(parts), value)] if parts else []


def _movement(scene: Scene) -> list[Term]:
    """Bytes of each memory at their energy."""
    found = []
    for level, energies in (scene.est.cost.j_by_level or {}).items():
        value = scene.own(energies)
        if not value:
            continue
        memory = next(m for m in scene.machine.memories if m.id == level)
        given = next(m for m in scene.est.hardware.memories if m.id == level).energy
        read, written = _moved(scene, level)
        base, default_j = f"memories.{level}.energy", scene.machine.default_j
        parts: list[Expression] = []
        if read:
            per_byte = float(memory.read_j_per_byte or 0.0)
            cost = scene.book.energy(f"{base}.read", given.read if given else None, default_j, "J/B", per_byte)
            parts.append(Quantity("bytes read", read, "B") * cost)
        if written:
            per_byte, figure = float(memory.write_j_per_byte or 0.0), (given.write or given.read) if given else None
            path = f"{base}.write" if given and given.write else f"{base}.read"
            parts.append(Quantity("bytes written", written, "B") * scene.book.energy(path, figure, default_j, "J/B", per_byte))
        found.append(term(f"memory_j.{level}", level, "J", sum_of(parts), value))
    return found


def _moved(scene: Scene, level: str) -> tuple[float, float]:
    """Bytes read from and written to a memory."""
    found = [0.0, 0.0]
    for flow in scene.traffic.moving:
        for own, crossing in zip(flow.levels, flow.crossing, strict=True):
            found[flow.written] += scene.own(crossing) if own.id == level else 0.0
    return found[0], found[1]
