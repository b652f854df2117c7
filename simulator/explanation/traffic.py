"""What a kernel moves: which bytes cross which level of memory and why, and what that takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.cost.boundary import boundary_home
from simulator.cost.missed import held_share
from simulator.cost.parts import Part
from simulator.cost.readings import matrix_share, passes, readings, reads_again, reorders
from simulator.cost.times import Times
from simulator.cost.traffic import Flow, path, placed_shares
from simulator.explanation.expression import Expression, Quantity, constant, largest, least, sum_of
from simulator.explanation.scene import Scene
from simulator.explanation.terms import Operand, Section, Term, term
from simulator.explanation.tiles import READ_AGAIN, again_terms
from simulator.machine.geometry import BlockNpu
from simulator.machine.params import MemoryParams
from simulator.machine.spec import Memory
from simulator.ops.work import Kind
from simulator.reuse import GATHERED, ROLES, Touch, touches_of

Array = NDArray[np.float64]
_SHOWN_TENSORS: Final = 3  # of one role in a formula; the others together
_NEAR: Final = 1e-12


def part_of(scene: Scene) -> Part:
    """The part of the machine that the kernel runs in."""
    parts = scene.setting.parts
    return next((p for p in parts if p.here is None or p.here[scene.index]), parts[0])


def _flows(scene: Scene) -> list[tuple[str, Flow]]:
    """The flows of the kernel's part, each with what it carries."""
    mine = scene.setting.parts.index(part_of(scene))
    flows = scene.traffic.moving[4 * mine : 4 * mine + 4]
    return list(zip((*ROLES, READ_AGAIN), flows, strict=True))


def _levels(scene: Scene) -> list[MemoryParams]:
    """Levels that anything of the kernel's part crosses, from the engine outward."""
    seen = {level.id for _, flow in _flows(scene) for level in flow.levels}
    return [m for m in scene.machine.memories if m.id in seen]


def _touches(scene: Scene) -> list[Touch]:
    """What the kernel touches, tensor by tensor."""
    prepared = scene.setting.prepared
    return touches_of(prepared.graph, prepared.kernels, prepared.work.footprint.activation_bytes)[scene.index]


def operands_of(scene: Scene) -> tuple[Operand, ...]:
    """Every tensor that the kernel touches, and what of it crosses which level."""
    found = []
    for touch in _touches(scene):
        crossing = {}
        missed = outside = 1.0
        placed = _placed(scene, touch.role)
        for level in path(part_of(scene).machine, weights=touch.role == "weights"):
            crossing[level.id] = touch.bytes * missed * outside * _readings(scene, touch.role, level) * _passes(scene, touch.role)
            if level.id in placed:
                outside -= 0.0 if _is_boundary(scene, touch) else placed[level.id]
            else:
                missed = min(missed, 1.0 - _held(scene, touch, level))
        distance = None if touch.distance_bytes >= GATHERED else touch.distance_bytes
        name = f"{touch.name} (later rounds)" if touch.later else touch.name
        spec = scene.setting.prepared.graph.tensors[touch.name]
        found.append(Operand(name, touch.role, spec.shape, spec.dtype.name, touch.bytes, distance, crossing))
    apart = boundary_home(part_of(scene).machine) is not None
    return _in_flows(scene, found) if apart or _is_by_blocks(scene) else tuple(found)


def _is_boundary(scene: Scene, touch: Touch) -> bool:
    """Whether a tensor enters or leaves the network and stays in a memory further out than others."""
    graph = scene.setting.prepared.graph
    apart = boundary_home(part_of(scene).machine) is not None
    return apart and touch.role != "weights" and touch.name in (*graph.inputs, *graph.outputs)


def _is_by_blocks(scene: Scene) -> bool:
    """Whether the engine reads and writes whole blocks, bricks and bursts."""
    return isinstance(scene.engine.shape, BlockNpu) and scene.setting.limits.geometry


def _in_flows(scene: Scene, found: Sequence[Operand]) -> tuple[Operand, ...]:
    """The operands with what blocks make of their flow over each level, in proportion to their bytes."""
    flows = dict(_flows(scene))
    result = []
    for operand in found:
        crossing = {}
        for level, moved in operand.crossing_bytes.items():
            alike = [o for o in found if o.role == operand.role]
            own, whole = sum(o.crossing_bytes.get(level, 0.0) for o in alike), sum(o.bytes for o in alike)
            share = moved / own if own else operand.bytes / whole if whole else 0.0
            crossing[level] = share * _crossing(scene, flows[operand.role], level)
        result.append(replace(operand, crossing_bytes=crossing))
    return tuple(result)


def _placed(scene: Scene, role: str) -> Mapping[str, float]:
    """Share of all weights (or activations) that lives in each home."""
    part = part_of(scene)
    shares = placed_shares(part.work.footprint, part.machine)
    return {m.id: float(np.max(w if role == "weights" else a)) for m, w, a in shares}


def _held(scene: Scene, touch: Touch, level: MemoryParams) -> float:
    return float(held_share(np.array([touch.distance_bytes]), level, scene.profile.resident_share)[0])


# ---- bytes ------------------------------------------------------------------------------------------------------------


def bytes_section(scene: Scene) -> Section:
    """For each level what crosses it: what levels further in do not hold, and what tiles read again."""
    found: list[Term] = []
    touches = _touches(scene)
    flows = _flows(scene)
    for level in _levels(scene):
        parts = []
        for role, flow in flows:
            crossing, own = _crossing(scene, flow, level.id), [t for t in touches if t.role == role and t.bytes]
            if own and level in flow.levels:
                said = {(t.substituted, t.note) for t in found}
                found += [
                    t for t in _role_terms(scene, role, own, level, crossing) if (t.substituted, t.note or t.key) not in said
                ]
            elif crossing:
                found += again_terms(scene, part_of(scene).machine, level, crossing)
            if crossing:
                parts.append(Quantity(role, crossing, "B"))
        moved = scene.own(scene.est.cost.bytes_by_level[level.id])
        if moved:
            found.append(term(f"bytes.{level.id}", f"over {level.id}", "B", sum_of(parts), moved))
    return Section("bytes", "Bytes over each memory", tuple(found))


def _crossing(scene: Scene, flow: Flow, level: str) -> float:
    ids = [m.id for m in flow.levels]
    return scene.own(flow.crossing[ids.index(level)]) if level in ids else 0.0


def _role_terms(scene: Scene, role: str, own: Sequence[Touch], level: MemoryParams, crossing: float) -> list[Term]:
    """The bytes of one role that cross a level, where that is not all of them."""
    whole = sum(t.bytes for t in own)
    if abs(crossing - whole) <= _NEAR * whole:
        return []
    if _is_by_blocks(scene):
        moved = Quantity(role, whole, "B") * Quantity("blocks", crossing / whole)
        note = "what blocks read again, bricks pad and bursts round up (simulator/cost/block_npu.py), less what stays on chip"
        return [term(f"bytes.{level.id}.{role}", f"{role} over {level.id}", "B", moved, crossing, note)]
    if any(_is_boundary(scene, touch) for touch in own):
        moved = Quantity(role, whole, "B") * Quantity("share", crossing / whole)
        note = "inputs and outputs of the network stay in their own memory; less what lies or stays further in"
        return [term(f"bytes.{level.id}.{role}", f"{role} over {level.id}", "B", moved, crossing, note)]
    before, found = _misses(scene, role, own, level)
    outside = _outside(scene, role, level)
    together = _missed_bytes(role, own, whole, found)
    together = together if outside is None else together * outside
    if _readings(scene, role, level) > 1.0:
        before, together = [*before, _readings_term(scene)], together * Quantity("readings", _readings(scene, role, level))
    if _passes(scene, role) > 1.0:
        figure = scene.profile.weight_reorders
        assert figure is not None
        together = together * (constant(1.0) + scene.book.of_profile("reorders", scene.engine, "weight_reorders", figure))
    name = f"{role} over {level.id}"
    return [*before, term(f"bytes.{level.id}.{role}", name, "B", together, crossing)]


def _readings(scene: Scene, role: str, level: MemoryParams) -> float:
    """How often the kernel reads its weights from a level; 1 for all else, and further out."""
    if role != "weights" or not reads_again(scene.setting.limits):
        return 1.0
    next_to_core = path(part_of(scene).machine, weights=True)[0]
    return scene.own(readings(scene.work, scene.setting.limits, scene.setting.placement)) if level is next_to_core else 1.0


def _passes(scene: Scene, role: str) -> float:
    """How often the kernel's weights cross a level, with the copies that are made of them; 1 for all else."""
    limits = scene.setting.limits
    if role != "weights" or not reorders(limits):
        return 1.0
    return scene.own(passes(scene.work, limits, scene.setting.placement))


def _readings_term(scene: Scene) -> Term:
    """Places of the image over those that one reading of the weights serves."""
    figure = scene.profile.weight_places
    assert figure is not None
    served = scene.book.of_profile("places for one", scene.engine, "weight_places", figure)
    places = Quantity("m", float(scene.work.gemm[scene.index, 0]))
    value = scene.own(readings(scene.work, scene.setting.limits, scene.setting.placement))
    share = Quantity("matrix share", float(matrix_share(scene.work)[scene.index]))
    one = constant(1.0)
    note = "of the weights, one after another; biases and scales are read once"
    return term("readings", "readings", "", one + (largest(places / served, one) - one) * share, value, note)


def _missed_bytes(role: str, own: Sequence[Touch], whole: float, found: Mapping[int, float]) -> Expression:
    """All of a role's bytes times the share that is missed, or each tensor's where their shares differ."""
    shares = set(found.values())
    if len(shares) == 1:
        missed = shares.pop()
        size = Quantity(role, whole, "B")
        return size if missed == 1.0 else size * Quantity("missed", missed)
    shown = sorted(own, key=lambda t: -t.bytes * found[id(t)])
    parts: list[Expression] = [_share_of(t, found[id(t)], len(own)) for t in shown[:_SHOWN_TENSORS]]
    rest = sum(t.bytes * found[id(t)] for t in shown[_SHOWN_TENSORS:])
    parts += [Quantity(f"{len(own) - _SHOWN_TENSORS} others", rest, "B")] if len(own) > _SHOWN_TENSORS else []
    return sum_of(parts)


def _share_of(touch: Touch, missed: float, count: int) -> Expression:
    name = _name(touch, count)
    size = Quantity(name, touch.bytes, "B")
    return size if missed == 1.0 else size * Quantity("missed", missed)


def _name(touch: Touch, count: int) -> str:
    """What a formula calls a tensor: its role where it is the only one of it."""
    return touch.role if count == 1 else f"{touch.name}{' later' if touch.later else ''}"


def _misses(scene: Scene, role: str, own: Sequence[Touch], level: MemoryParams) -> tuple[list[Term], dict[int, float]]:
    """Share of each tensor that no staging level further in holds, and how it comes about for the largest."""
    placed = _placed(scene, role)
    ways = path(part_of(scene).machine, weights=role == "weights")
    inner = [m for m in ways[: ways.index(level)] if m.id not in placed]
    shares = {id(t): min([1.0, *(1.0 - _held(scene, t, m) for m in inner)]) for t in own}
    alike: dict[float, list[Touch]] = {}
    for touch in sorted(own, key=lambda t: -t.bytes)[:_SHOWN_TENSORS] if inner else ():
        if touch.distance_bytes < GATHERED:
            alike.setdefault(touch.distance_bytes, []).append(touch)
    found = []
    for touch, *others in alike.values():
        best = max(inner, key=lambda m: _held(scene, touch, m))
        together = len(others) + 1 == len(own)
        name = role if together else " and ".join(_name(t, len(own)) for t in (touch, *others))
        found.append(_missed_term(scene, touch, name, best, level, shares[id(touch)]))
    return found, shares


def _missed_term(scene: Scene, touch: Touch, name: str, holder: MemoryParams, level: MemoryParams, missed: float) -> Term:
    """1 − what a level still holds after the distance."""
    book, memory = scene.book, _spec(scene, holder)
    distance = Quantity("distance", touch.distance_bytes, "B")
    room: Expression = Quantity("capacity", float(holder.capacity_bytes), "B")
    if memory.capacity:
        room = book.of_machine("capacity", f"memories.{holder.id}.capacity", memory.capacity, "B")
    if scene.profile.resident:
        room = room * book.of_profile("resident", scene.engine, "resident", scene.profile.resident)
    if not room.value:
        share: Expression = constant(1.0)
    elif holder.kind == "cache":
        share = least(constant(1.0), largest(constant(0.0), distance / room - constant(0.5)))
    else:
        share = constant(1.0) - least(constant(1.0), room / distance)
    note = f"share of {name} that {holder.id} no longer holds after so many other bytes"
    return term(f"missed.{level.id}.{name}", "missed", "", share, missed, note)


def _outside(scene: Scene, role: str, level: MemoryParams) -> Expression | None:
    """Share of all data of a role that lives in this level or further out; None where all of it does."""
    ways = path(part_of(scene).machine, weights=role == "weights")
    placed = _placed(scene, role)
    inner = [Quantity(f"share in {m.id}", placed[m.id]) for m in ways[: ways.index(level)] if placed.get(m.id)]
    return constant(1.0) - sum_of(inner) if inner else None


def _spec(scene: Scene, level: MemoryParams) -> Memory:
    return next(m for m in scene.est.hardware.memories if m.id == level.id)


# ---- seconds ----------------------------------------------------------------------------------------------------------


def memory_section(scene: Scene) -> Section:
    """Seconds of each level at the rate it reaches, and of all together."""
    found: list[Term] = []
    seconds: dict[str, float] = {}
    for level in _levels(scene):
        seconds[level.id] = scene.own(scene.est.cost.s_by_level.get(level.id, 0.0))
        if seconds[level.id]:
            found += _rate_terms(scene, level)
            found.append(_level_term(scene, level, seconds[level.id]))
    return Section("memory", "Time in the memories", (*found, *_combined(scene, seconds)))


def _ways(scene: Scene, level: MemoryParams) -> tuple[float, float]:
    """Bytes of the kernel read from and written to a level."""
    read = sum(_crossing(scene, flow, level.id) for _, flow in _flows(scene) if not flow.written)
    written = sum(_crossing(scene, flow, level.id) for _, flow in _flows(scene) if flow.written)
    return read, written


def _rate_terms(scene: Scene, level: MemoryParams) -> list[Term]:
    """The rates that a level reaches, one where both ways are alike."""
    rates = [scene.own(rate) for rate in scene.traffic.rates[level.id]]
    moved = _ways(scene, level)
    wanted = [way for way in (0, 1) if moved[way] and not (way and rates[0] == rates[1] and moved[0])]
    found = []
    for way in wanted:
        word = ("read", "write")[way] if rates[0] != rates[1] else "rate"
        name = f"{level.id} {word}"
        found.append(term(f"rate.{level.id}.{word}", name, "B/s", _rate(scene, level, way, rates[way]), rates[way]))
    return found


def _rate(scene: Scene, level: MemoryParams, way: int, value: float) -> Expression:
    """Bandwidth times the share that is reached; at least that of a level that is read through this one."""
    own = _own_rate(scene, level, way)
    if own.value * (1 - _NEAR) <= value <= own.value * (1 + _NEAR):
        return own
    if value < own.value:
        return Quantity("share of one unit", value, "B/s")
    outer = scene.machine.memories[scene.machine.memories.index(level) + 1 :]
    behind = [m for m in outer if m.id in scene.traffic.rates and scene.own(scene.traffic.rates[m.id][way]) == value]
    return largest(own, *(Quantity(f"{m.id} rate", value, "B/s") for m in behind[:1]))


def _own_rate(scene: Scene, level: MemoryParams, way: int) -> Expression:
    memory, book = _spec(scene, level), scene.book
    figure = memory.write if way else memory.read
    field = next(f for f in ("bandwidth", "read_bandwidth", "write_bandwidth") if getattr(memory, f) is figure)
    base = f"memories.{level.id}"
    clock = book.of_machine("clock", f"{base}.clock", memory.clock, "Hz") if memory.clock else None
    bandwidth = book.rate("bandwidth", f"{base}.{field}", figure, clock, "B/s")
    if memory.achieved is not None and scene.setting.limits.measured:
        reached = bandwidth * book.of_machine("achieved", f"{base}.achieved", memory.achieved)
    else:
        reached = bandwidth * book.of_profile("achieved", scene.engine, "bandwidth", scene.profile.bandwidth)
    if scene.profile.streaming_of(Kind(scene.kind)) != 1.0:
        table = {str(k): f for k, f in scene.profile.streaming.items()}
        reached = reached * book.by_kind("streaming", scene.engine, "streaming", table, scene.kind)
    if scene.profile.strided and scene.work.pieces is not None and scene.own(scene.work.pieces) > 1.0:
        reached = reached * book.of_profile("strided", scene.engine, "strided", scene.profile.strided)
    return reached


def _per_rate(scene: Scene, level: MemoryParams, read: float, written: float) -> Expression:
    """Bytes read / their rate + bytes written / theirs, times the share that shows."""
    rates = [scene.own(rate) for rate in scene.traffic.rates[level.id]]
    if rates[0] == rates[1] or not (read and written):
        way = 0 if read else 1
        word = "" if rates[0] == rates[1] else (" read", " write")[way]
        moved: Expression = Quantity(f"bytes{word}", read + written, "B") / Quantity(
            f"{level.id}{word or ' rate'}", rates[way], "B/s"
        )
    else:
        parts = zip(("read", "write"), (read, written), rates, strict=True)
        moved = sum_of([Quantity(f"bytes {w}", b, "B") / Quantity(f"{level.id} {w}", r, "B/s") for w, b, r in parts])
    exposed = _exposed(scene, level)
    return moved if exposed is None else moved * exposed


def _exposed(scene: Scene, level: MemoryParams) -> Expression | None:
    if scene.own(scene.traffic.shown[level.id]) == 1.0:
        return None
    table = {str(k): f for k, f in scene.profile.cache_exposed.items()}
    return scene.book.by_kind("exposed", scene.engine, "cache_exposed", table, scene.kind)


def _level_term(scene: Scene, level: MemoryParams, value: float) -> Term:
    read, written = _ways(scene, level)
    note = "exposed: the share that does not hide behind arithmetic" if _exposed(scene, level) is not None else ""
    return term(f"memory_s.{level.id}", level.id, "s", _per_rate(scene, level, read, written), value, note)


def _combined(scene: Scene, seconds: Mapping[str, float]) -> list[Term]:
    """The longest level, and (1 − θ) of what the others add where each byte counts at the level that has it."""
    value = scene.own(scene.est.cost.memory_s)
    busy = {level: s for level, s in seconds.items() if s}
    times = Times(scene.traffic.moving, scene.traffic.rates, scene.traffic.shown)
    longest = [Quantity(level, s, "s") for level, s in busy.items()]
    if len(busy) < 2:
        return [term("memory_s", "memory", "s", sum_of(longest), value)]
    in_turn = max(scene.own(times.one_after_another_s), *(q.number for q in longest))
    found = _in_turn(scene, in_turn)
    theta = scene.book.hidden_share(scene.engine_spec, scene.engine)
    most = largest(*longest)
    beyond = Quantity("in turn", in_turn, "s") - Quantity("longest", most.value, "s")
    note = "θ of the runtime's overlap hides what the shorter ones take"
    return [found, term("memory_s", "memory", "s", most + (constant(1.0) - theta) * beyond, value, note)]


def _in_turn(scene: Scene, value: float) -> Term:
    """Each byte at the level that has it, one level after the other."""
    parts: list[Expression] = []
    for level in _levels(scene):
        served = {False: 0.0, True: 0.0}
        for _, flow in _flows(scene):
            for own, moved in flow.served():
                served[flow.written] += scene.own(moved) if own.id == level.id else 0.0
        if served[False] > 0.0 or served[True] > 0.0:
            parts.append(_per_rate(scene, level, served[False], served[True]))
    seconds = [Quantity(level.id, scene.own(scene.est.cost.s_by_level.get(level.id, 0.0)), "s") for level in _levels(scene)]
    note = "one level after the other, each byte once: where it lies"
    together = sum_of(parts)
    if together.value < value * (1 - _NEAR):
        together = largest(together, *seconds)
    return term("in_turn_s", "in turn", "s", together, value, note)
