"""A whole run, explained: what its latency is made of, what bounds it, and why it lies above that."""

from collections.abc import Callable

import numpy as np

from simulator.cost.bound import bound_s, least_traffic, units_s
from simulator.cost.parts import Part, home_bytes_of
from simulator.estimator import bound_ways
from simulator.explanation.book import Book
from simulator.explanation.expression import Expression, Quantity, constant, largest, least, sum_of
from simulator.explanation.layer import settings_of
from simulator.explanation.reasons import reasons_of
from simulator.explanation.terms import RunExplanation, Section, Term, term
from simulator.machine.params import EngineParams, MemoryParams, machine_of
from simulator.result.estimate import Estimate
from simulator.schedule.placement import Placement
from simulator.workload import WorkTable

_LONGEST = 3  # kernels that are named


def explain_run(est: Estimate) -> RunExplanation:
    """Latency and bound with their formulas, and the reasons why the one lies above the other."""
    bound, resource = _bound(est)
    reasons, together_s = reasons_of(est)
    order = np.argsort(-est.kernel_s, kind="stable")[:_LONGEST]
    return RunExplanation(
        est.model.name, est.hardware.name, est.runtime.id, settings_of(est), est.latency_s, est.bound_latency_s, resource,
        (_latency(est), bound), reasons, together_s, tuple(est.prepared.kernels[i].name for i in order),
        tuple(int(i) for i in order),
    )  # fmt: skip


def _latency(est: Estimate) -> Section:
    """Kernels by what bounds them, and what an inference pays once."""
    found, parts = [], []
    for name in ("compute", "memory", "overhead"):
        own = [float(s) for s, bound in zip(est.kernel_s, est.bounds, strict=True) if bound == name]
        if own:
            found.append(f"{len(own)} {name}-bound")
            parts.append(Quantity(f"{name}-bound kernels", sum(own), "s"))
    once, host = _once(est), _host(est)
    network: list[Expression] = list(parts)
    if host is not None:
        network = [largest(sum_of(parts), Quantity("host", host.value, "s"))]
    if once is not None:
        network.append(Quantity("once", once.value, "s"))
    note = f"{', '.join(found)} kernels" if found else ""
    latency = term("latency_s", "latency", "s", sum_of(network), est.latency_s, note)
    return Section("latency", "Expected time", (*(t for t in (host, once) if t), latency))


def _host(est: Estimate) -> Term | None:
    """What the host takes to launch all kernels; nothing where the runtime does not count it."""
    cost, machine = est.cost, machine_of(est.hardware)
    if cost.host_s is None or cost.dispatch_s is None:
        return None
    book, parts = Book(est.hardware, est.runtime), list[Expression]()
    for engine in {e.id: e for e in cost.placement}.values():
        profile = est.runtime.profile(engine.kind)
        assert profile is not None
        if profile.dispatch is not None:
            own = np.array([place.id == engine.id for place in cost.placement]) & (cost.dispatch_s > 0.0)
            quantity = book.of_profile("dispatch", engine, "dispatch", profile.dispatch)
            clock = None if machine.clock_hz is None else float(machine.clock_hz)
            launches = Quantity("launches", float(est.work.launches[own].sum()))
            parts.append(launches * book.seconds("dispatch", quantity, profile.dispatch, clock))
    note = "launches run ahead of the device; the last kernel runs once all are launched"
    return term("host_s", "host", "s", sum_of(parts), float(cost.host_s), note)


def _once(est: Estimate) -> Term | None:
    """What every inference pays once, on the machine and in the runtime."""
    book, machine, parts = Book(est.hardware, est.runtime), machine_of(est.hardware), list[Expression]()
    inference = est.hardware.overheads.inference
    if inference is not None and inference.value:
        parts.append(book.of_machine("machine", "overheads.inference", inference, "s"))
    engine = next(e for e in machine.engines if est.runtime.profile(e.kind) is not None)
    profile = est.runtime.profile(engine.kind)
    assert profile is not None
    if profile.inference_overhead.value:
        figure = profile.inference_overhead
        quantity = book.of_profile("runtime", engine, "inference_overhead", figure)
        clock = None if machine.clock_hz is None else float(machine.clock_hz)
        parts.append(book.seconds("runtime", quantity, figure, clock))
    return term("once_s", "once", "s", sum_of(parts), note="paid once an inference, whatever the network") if parts else None


# ---- the bound --------------------------------------------------------------------------------------------------------


def _bound(est: Estimate) -> tuple[Section, str]:
    """The resource that takes longest at its best, on the best way to share the kernels out among engines."""
    machine, found = machine_of(est.hardware), list[tuple[float, WorkTable, Placement, tuple[Part, ...]]]()
    for prepared, placement, parts in bound_ways(est.model, est.hardware, machine, est.precision):
        found.append((float(bound_s(prepared.work, machine, placement, parts)), prepared.work, placement, parts))
    if not found:
        return Section("bound", "Bound", ()), "nothing"
    _, work, placement, parts = min(found, key=lambda way: way[0])
    terms = [*_unit_terms(est, work, placement), *(t for part in parts for t in _level_terms(est, part))]
    busy = [t for t in terms if t.unit == "s"]
    longest = largest(*(Quantity(t.name, t.value, "s") for t in busy)) if busy else constant(0.0)
    together = term("bound_s", "bound", "s", longest, est.bound_latency_s)
    setter = _said(max(busy, key=lambda t: t.value)) if busy else "nothing"
    return Section("bound", "Bound: everything fused, at peak rates, beside each other", (*terms, together)), setter


def _said(resource: Term) -> str:
    """`matrix work on tensor`, `memory gddr`."""
    _, where, *unit = resource.key.split(".")
    return f"{unit[0]} work on {where}" if unit else f"memory {where}"


def _unit_terms(est: Estimate, work: WorkTable, placement: Placement) -> list[Term]:
    """All operations of a kind over the peak of the unit that does them, for each engine."""
    book, found = Book(est.hardware, est.runtime), []
    several = len({e.id for e in placement}) > 1
    for (engine_id, unit), seconds in units_s(work, placement).items():
        if not float(seconds):
            continue
        engine = next(e for e in placement if e.id == engine_id)
        rows = [i for i, e in enumerate(placement) if e.id == engine_id]
        name = f"{unit} on {engine_id}" if several else unit
        expression = _UNIT[unit](book, work, engine, rows)
        found.append(term(f"bound_s.{engine_id}.{unit}", name, "s", expression, float(seconds)))
    return found


def _matrix(book: Book, work: WorkTable, engine: EngineParams, rows: list[int]) -> Expression:
    spec, macs = book.hardware.engine(engine.id), dict[str, float]()
    for row in rows:
        native = engine.native(work.rates[row]) or next(iter(engine.macs_per_s))
        macs[native] = macs.get(native, 0.0) + float(work.macs[row])
    return sum_of([Quantity(f"{rate} MACs", n, "MAC") / book.peak(spec, rate) for rate, n in macs.items() if n])


def _vector(book: Book, work: WorkTable, engine: EngineParams, rows: list[int]) -> Expression:
    spec, ops = book.hardware.engine(engine.id), dict[str, float]()
    for row in rows:
        ops[work.rates[row]] = ops.get(work.rates[row], 0.0) + float(work.vector_ops[row])
    return sum_of([Quantity(f"{rate} operations", n, "OP") / book.vector(spec, engine, rate) for rate, n in ops.items() if n])


def _special(book: Book, work: WorkTable, engine: EngineParams, rows: list[int]) -> Expression:
    total = float(work.special_ops[rows].sum())
    return Quantity("special functions", total, "OP") / book.special(book.hardware.engine(engine.id), engine)


_UNIT: dict[str, Callable[[Book, WorkTable, EngineParams, list[int]], Expression]] = {
    "matrix": _matrix, "vector": _vector, "special": _special,
}  # fmt: skip


def _level_terms(est: Estimate, part: Part) -> list[Term]:
    """Bytes that must cross each home over its bandwidth, the faster of its two ways."""
    found, moved, kept = [], home_bytes_of(part), list[MemoryParams]()
    least_bytes = least_traffic(part)
    for memory in part.machine.memories:
        if memory.is_staging:
            kept.append(memory)
        if memory.id not in least_bytes:
            continue
        must, fastest = (float(x) for x in least_bytes[memory.id])
        if not must:
            continue
        read, written = moved[memory.id]
        bytes_term = _must_cross(est, part, memory, float((read + written).sum()), kept, must)
        bandwidth = _bandwidth(est, memory)
        own = float(max(memory.read_bytes_per_s, memory.write_bytes_per_s))
        if fastest > own:  # a level is at least as fast as what is read through it
            bandwidth = largest(bandwidth, Quantity("what is read through it", fastest, "B/s"))
        seconds = Quantity("bytes", must, "B") / bandwidth
        found += [bytes_term, term(f"bound_s.{memory.id}", memory.id, "s", seconds, must / fastest)]
    return found


def _must_cross(
    est: Estimate, part: Part, memory: MemoryParams, compulsory: float, kept: list[MemoryParams], must: float
) -> Term:
    """Each kernel's operands once; behind caches at most what a run touches, less what they keep from the last one."""
    once: Expression = Quantity("operands of all kernels", compulsory, "B")
    if any(float(m.capacity_bytes) for m in kept):
        footprint = part.work.footprint
        touched = Quantity("touched", footprint.least_touched_bytes, "B")
        book, room = Book(est.hardware, est.runtime), []
        for level in kept:
            figure = next(m for m in est.hardware.memories if m.id == level.id).capacity
            own = Quantity(level.id, float(level.capacity_bytes), "B")
            room.append(book.of_machine(level.id, f"memories.{level.id}.capacity", figure, "B") if figure else own)
        once = least(once, largest(touched - sum_of(room), constant(0.0)))
    note = (
        "touched: weights, inputs and outputs of a run; caches keep the rest from the last one" if kept else "each operand once"
    )
    return term(f"bound_bytes.{memory.id}", f"bytes of {memory.id}", "B", once, must, note)


def _bandwidth(est: Estimate, memory: MemoryParams) -> Expression:
    spec = next(m for m in est.hardware.memories if m.id == memory.id)
    figure = spec.write if memory.write_bytes_per_s > memory.read_bytes_per_s else spec.read
    field = next(f for f in ("bandwidth", "read_bandwidth", "write_bandwidth") if getattr(spec, f) is figure)
    book, base = Book(est.hardware, est.runtime), f"memories.{memory.id}"
    clock = book.of_machine("clock", f"{base}.clock", spec.clock, "Hz") if spec.clock else None
    return book.rate("bandwidth", f"{base}.{field}", figure, clock, "B/s")
