"""What the arithmetic of a kernel takes: each unit's operations over the rate that it reaches."""

from simulator.cost.blocks import plan_of
from simulator.cost.compute import compute_parts_s, dense_macs, instructions_s, on_vectors, steps_s
from simulator.cost.geometry import column_elements, is_narrow, padded_share
from simulator.explanation.alone import slower_alone
from simulator.explanation.book import vector_efficiency
from simulator.explanation.expression import Expression, Quantity, constant, largest, least, sum_of
from simulator.explanation.filled import filled_terms, product
from simulator.explanation.scene import Scene
from simulator.explanation.terms import OperatorWork, Section, Term, term
from simulator.kernels.operators import work_of
from simulator.machine.geometry import BlockNpu, Core, CoreGeometry
from simulator.ops.work import Kind


def operators_of(scene: Scene) -> tuple[OperatorWork, ...]:
    """What each operator of the kernel counts."""
    graph = scene.setting.prepared.graph
    found = []
    for index in (*scene.kernel.ops, *scene.kernel.recomputed):
        op = graph.ops[index]
        work, repeat = work_of(graph, op), op.repeat
        vector = scene.kernel.folded.get(index, work.vector_ops)
        notes = [f"runs {repeat} ×"] if repeat > 1 else []
        notes += ["computed again"] if index in scene.kernel.recomputed else []
        notes += ["folded into the weights: a bias is left"] if index in scene.kernel.folded else []
        found.append(
            OperatorWork(op.name, op.op_type, work.macs * repeat, vector * repeat, work.special_ops * repeat, ", ".join(notes))
        )
    return tuple(found)


def work_section(scene: Scene) -> Section:
    """Counts, and the shape of the largest product."""
    work, found = scene.work, []
    m, n, k, groups = product(scene)
    inside = m.number * n.number * k.number * groups.number
    macs = scene.own(work.macs)
    if inside:
        repeat = scene.own(work.launches)
        note = "m rows, n columns, k summed over" + ("; the largest product inside" if inside * repeat != macs else "")
        found.append(term("product", "product", "MAC", m * n * k * groups, inside, note))
    return Section("work", "Work", tuple(found))


def compute_section(scene: Scene) -> Section:
    """Seconds of each unit, and together."""
    limits, placement = scene.setting.limits, scene.setting.placement
    if _is_by_blocks(scene):
        return Section("compute", "Compute", (_by_blocks(scene),))
    parts_s = compute_parts_s(scene.work, limits, placement)
    matrix, vector, special = (scene.own(s) for s in parts_s)
    beside = scene.own(instructions_s(scene.work, limits, placement, parts_s[0]))
    filled = filled_terms(scene)
    found: list[Term] = [*filled]
    if matrix:
        rate = term("mac_rate", "MAC rate", "MAC/s", _mac_rate(scene))
        counted = _macs(scene)
        found += [
            *counted,
            rate,
            term("matrix_s", "matrix", "s", _at_dense_rate(scene, counted) / _reached(rate, filled), matrix),
        ]
    if vector:
        found.append(term("vector_s", "vector", "s", _vector(scene), vector))
    if special:
        found.append(term("special_s", "special", "s", _special(scene), special, "exp, erf, root and the like"))
    if beside:
        found.append(_instructions(scene, beside, matrix))
    waited = scene.own(steps_s(scene.work, limits, placement))
    if waited:
        found.append(_steps(scene, waited))
    names = [("matrix", matrix), ("vector", vector), ("special", special), ("instructions", beside), ("loop", waited)]
    parts = [Quantity(name, seconds, "s") for name, seconds in names if seconds]
    whole, alone = sum_of(parts), slower_alone(scene)
    note = "" if alone is None else "too few elements to split: one unit takes as long as these do on all, times their number"
    own = whole if alone is None else whole * alone
    together = term("compute_s", "compute", "s", own, scene.own(scene.est.cost.compute_s), note)
    return Section("compute", "Compute", (*found, together))


def _is_by_blocks(scene: Scene) -> bool:
    """Whether the engine takes the cycles of its blocks for the kernel."""
    shape, limits = scene.engine.shape, scene.setting.limits
    return isinstance(shape, BlockNpu) and limits.geometry and bool(plan_of(scene.work.maps, shape).whole[scene.index])


def _by_blocks(scene: Scene) -> Term:
    """Cycles of all blocks over the clock, as the block model chose and counted them."""
    seconds = scene.own(scene.est.cost.compute_s)
    clock = scene.book.clock(scene.engine_spec)
    for share in scene.book.sustained(scene.engine_spec):
        clock = clock * share if clock is not None else None
    note = "of the blocks that simulator/cost/block_npu.py chooses, never fewer than the operations at peak rates take"
    if clock is None:
        return term("compute_s", "compute", "s", Quantity("blocks", seconds, "s"), seconds, note)
    return term("compute_s", "compute", "s", Quantity("cycles", seconds * clock.value) / clock, seconds, note)


def _macs(scene: Scene) -> tuple[Term, ...]:
    """The MACs at the dense rate that take as long, where weights with zeros are multiplied faster; none where they are not."""
    setting, sparse = scene.setting, scene.work.sparse_macs
    if sparse is None or not scene.own(sparse):
        return ()
    value = scene.own(dense_macs(scene.work, setting.limits, setting.placement))
    if value == scene.own(scene.work.macs):
        return ()
    path = f"engines.{scene.engine.id}.sparsity.2:4.{scene.native}"
    factor = scene.book.of_machine("sparse factor", path, scene.engine_spec.sparsity["2:4"][scene.native])  # type: ignore[index]
    saved = Quantity("sparse MACs", scene.own(sparse), "MAC") * (constant(1.0) - constant(1.0) / factor)
    macs = Quantity("MACs", scene.own(scene.work.macs), "MAC") - saved
    return (term("dense_macs", "dense MACs", "MAC", macs, value, "of 2:4 weights: what takes as long at the dense rate"),)


def _at_dense_rate(scene: Scene, counted: tuple[Term, ...]) -> Quantity:
    if counted:
        return Quantity("dense MACs", counted[0].value, "MAC")
    return Quantity("MACs", scene.own(scene.work.macs), "MAC")


def _reached(rate: Term, filled: tuple[Term, ...]) -> Expression:
    own = Quantity("MAC rate", rate.value, "MAC/s")
    return own * Quantity("filled", filled[-1].value) if filled else own


def _mac_rate(scene: Scene) -> Expression:
    """The peak, the share of the clock that is kept, and what the runtime reaches, or was measured on the machine."""
    spec, profile, book = scene.engine_spec, scene.profile, scene.book
    efficiency = book.by_kind(
        "efficiency", scene.engine, "efficiency", {str(k): f for k, f in profile.efficiency.items()}, scene.kind
    )
    kept: Expression = efficiency
    for share in reversed(book.sustained(spec)):
        kept = share * kept
    peak = book.peak(spec, scene.native)
    if Kind(scene.kind) in profile.on_vector:
        return least(book.vector(spec, scene.engine, scene.rate), peak) * kept
    achieved = spec.achieved.get(scene.native)  # type: ignore[call-overload]
    if scene.setting.limits.measured and achieved is not None:
        path = f"engines.{spec.id}.achieved.{scene.native}"
        return peak * least(kept, book.of_machine("achieved", path, achieved))
    return peak * kept


def _vector(scene: Scene) -> Expression:
    rate = scene.book.vector(scene.engine_spec, scene.engine, scene.rate)
    return Quantity("operations", scene.own(scene.work.vector_ops), "OP") / _at(scene, rate)


def _special(scene: Scene) -> Expression:
    rate = scene.book.special(scene.engine_spec, scene.engine)
    return Quantity("special functions", scene.own(scene.work.special_ops), "OP") / _at(scene, rate)


def _at(scene: Scene, rate: Expression) -> Expression:
    """A vector rate at the clock and the efficiency that are reached."""
    for share in scene.book.sustained(scene.engine_spec):
        rate = rate * share
    rate = rate * vector_efficiency(scene.book, scene.engine, scene.profile)
    table = {str(k): f for k, f in scene.profile.vector_share.items()}
    if scene.kind not in table and "default" not in table:
        return rate
    return rate * scene.book.by_kind("vector share", scene.engine, "vector_share", table, scene.kind)


def _steps(scene: Scene, value: float) -> Term:
    """Rounds of a loop in every thread, each as long as its loads take to come."""
    figure, clock = scene.profile.loop_step, scene.book.clock(scene.engine_spec)
    assert figure is not None
    assert scene.work.steps is not None
    steps = Quantity("steps", scene.own(scene.work.steps))
    if figure.per_cycle and clock is not None:
        each: Expression = scene.book.of_profile("cycles a step", scene.engine, "loop_step", figure) / clock
    else:
        each = scene.book.of_profile("step", scene.engine, "loop_step", figure)
    return term("loop_s", "loop", "s", steps * each, value, "a thread for each place, which loops over images and channels")


def _instructions(scene: Scene, value: float, matrix_s: float) -> Term:
    """Instructions beside the arithmetic over those that the cores issue in a second, less what they issue beside the MACs."""
    issue, per_s, wide = _slots(scene)
    per_mac, per_output, per_column = _counts(scene)
    multiple = scene.profile.input_multiple.value if scene.profile.input_multiple else 1.0
    counted = scene.own(scene.work.macs / padded_share(scene.work, multiple))
    name = "MACs" if counted == scene.own(scene.work.macs) else "padded MACs"
    macs = Quantity(name, counted, "MAC") * per_mac * wide
    outputs = Quantity("outputs", scene.own(scene.work.outputs)) * per_output
    copied = column_elements(scene.work)
    columns = Quantity("columns", scene.own(copied)) * per_column * wide
    note = "loads and unpacking for MACs, loop ends and scaling for outputs"
    note += ", the image copied into columns" if columns.value else ""
    slow = [
        Quantity(f"{name} elements", scene.own(scene.work.counted_elements[:, column]))
        * scene.book.of_profile(f"per {name}", scene.engine, f"operator_instructions.{name}", figure)
        for column, name in enumerate(scene.work.counted)
        if scene.work.counted_elements is not None and (figure := scene.profile.operator_instructions.get(name)) is not None
    ]
    others = [part for part in (outputs, columns, *slow) if part.value]
    if issue.value == 1.0 or not matrix_s:
        parts = [part for part in (macs, *others) if part.value]
        return term("instructions_s", "instructions", "s", sum_of(parts) / per_s, value, note)
    one = constant(1.0)
    loads = largest(macs / per_s - Quantity("matrix", matrix_s, "s") * (one - one / issue), constant(0.0))
    found = [*([loads] if macs.value else []), *(part / per_s for part in others)]
    note += "; slots that the multiplications leave hold some of them"
    return term("instructions_s", "instructions", "s", sum_of(found), value, note)


def _counts(scene: Scene) -> tuple[Quantity, Quantity, Quantity]:
    """Instructions for a MAC, an output element, an element of a column, as the runtime has them for the element type."""
    profile = scene.profile
    shape = scene.engine.shape
    path, own = profile.counts(scene.native, on_vectors=isinstance(shape, Core) and bool(on_vectors(shape.width_bytes)))
    narrow = scene.kind in own.narrow_instructions and bool(is_narrow(scene.work)[scene.index])
    name = "narrow_instructions" if narrow else "instructions"
    tables = {
        "per MAC": (name, getattr(own, name)),
        "per output": ("output_instructions", own.output_instructions),
        "per element": ("column_instructions", own.column_instructions),
    }
    per_mac, per_output, per_column = (
        scene.book.by_kind(symbol, scene.engine, f"{path}{name}", {str(k): f for k, f in table.items()}, scene.kind, 0.0)
        for symbol, (name, table) in tables.items()
    )
    return per_mac, per_output, per_column


def _slots(scene: Scene) -> tuple[Expression, Expression, Expression]:
    """Instructions a cycle, all that the cores issue in a second, and 4 bytes over their registers."""
    book, profile, engine, spec = scene.book, scene.profile, scene.engine, scene.engine_spec
    shape, path = engine.shape, f"engines.{engine.id}"
    assert isinstance(shape, Core)
    width = Quantity("register", float(shape.width_bytes), "B")
    issue: Expression = Quantity("issue", float(shape.issue))
    if isinstance(spec.geometry, CoreGeometry):
        width = book.of_machine("register", f"{path}.geometry.width", spec.geometry.width, "B") if spec.geometry.width else width
        issue = book.of_machine("issue", f"{path}.geometry.issue", spec.geometry.issue) if spec.geometry.issue else issue
    if profile.issue:
        issue = least(issue, book.of_profile("issue limit", engine, "issue", profile.issue))
    units = [book.of_machine("cores", f"{path}.units", spec.units)] if spec.units else []
    per_s = issue
    for factor in (book.clock(spec), *book.sustained(spec), *units):
        per_s = per_s * factor if factor is not None else per_s
    return issue, per_s, Quantity("4 B", 4.0, "B") / width
