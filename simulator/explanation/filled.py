"""How much of an engine a kernel's product fills: the formula of its geometry with the numbers in."""

from collections.abc import Callable
from typing import Final

import numpy as np

from simulator.cost import tensor_core
from simulator.cost.compute import filled_share
from simulator.cost.geometry import kernel_share, on_blocks, padded_groups, systolic_cycles
from simulator.explanation.expression import Expression, Quantity, constant, largest, least, whole
from simulator.explanation.scene import Scene
from simulator.explanation.terms import Term, term
from simulator.machine.figures import Figure
from simulator.machine.geometry import Core, CoreGeometry, Parallel, Systolic, SystolicGeometry, Tiles
from simulator.ops.work import CONVOLUTIONS, Kind

_ONE: Final = constant(1.0)


def filled_terms(scene: Scene) -> tuple[Term, ...]:
    """What leads to the share of the engine that the product fills; none where nothing must be filled."""
    limits, macs = scene.setting.limits, scene.own(scene.work.macs)
    if not limits.geometry or not macs or Kind(scene.kind) in scene.profile.on_vector:
        return ()
    value = scene.own(filled_share(scene.work, limits, scene.setting.placement))
    before, shape, note = _shape_share(scene)
    padding = scene.profile.input_multiple
    if padding is not None and Kind(scene.kind) is Kind.CONV:
        multiple = scene.book.of_profile("input multiple", scene.engine, "input_multiple", padding)
        shape = lanes(channels(scene), multiple) if shape is None else shape * lanes(channels(scene), multiple)
    depth = _depth(scene)
    if depth is not None:
        shape = depth if shape is None else shape * depth
        note = note or "k of the steps that an output takes, k + prologue"
    if shape is None:
        if value == 1.0:
            return ()
        return (_unexplained(scene, value),)
    return (*before, term("filled", "filled", "", shape, value, note))


def _depth(scene: Scene) -> Expression | None:
    """Share of an output's steps that are its own; None where the tiles count the others, or there are none."""
    figure, (_, _, k, _) = scene.profile.prologue_k, product(scene)
    if figure is None or not k.number or isinstance(scene.engine.shape, Tiles):
        return None
    return k / (k + scene.book.of_profile("prologue", scene.engine, "prologue_k", figure))


def _unexplained(scene: Scene, value: float) -> Term:
    """A geometry without a formula here: the share that the estimate takes, and the figures of the geometry."""
    geometry = scene.engine_spec.geometry
    path = f"engines.{scene.engine.id}.geometry"
    kind = getattr(geometry, "kind", "none")
    found = [(p, f) for p, f in scene.est.hardware.figures() if p.startswith(path)]
    uses = tuple(scene.book.figure(p, f) for p, f in found)
    shape = scene.work.gemm[scene.index]
    note = f"of a product m, n, k, groups = {', '.join(f'{x:.0f}' for x in shape)}; simulator/cost/geometry.py has the formula"
    return term("filled", "filled", "", Quantity(f"what the shape leaves of geometry '{kind}'", value, "", uses), value, note)


def _shape_share(scene: Scene) -> tuple[tuple[Term, ...], Expression | None, str]:
    shape = scene.engine.shape
    rules: dict[type, Callable[[Scene], tuple[tuple[Term, ...], Expression | None, str]]] = {
        Tiles: _tiles, Systolic: _systolic, Parallel: _parallel, Core: _core,
    }  # fmt: skip
    rule = rules.get(type(shape))
    return rule(scene) if rule else ((), None, "")


def product(scene: Scene) -> tuple[Quantity, Quantity, Quantity, Quantity]:
    """m, n, k and groups of the kernel's largest product."""
    m, n, k, groups = (float(x) for x in scene.work.gemm[scene.index])
    return Quantity("m", m), Quantity("n", n), Quantity("k", k), Quantity("groups", groups)


def channels(scene: Scene) -> Quantity:
    """Input channels at each place of the window."""
    return Quantity("channels", scene.own(scene.work.channels))


def lanes(count: Quantity, across: Expression) -> Expression:
    """Share of lanes with work: count / (⌈count / lanes⌉ · lanes)."""
    return count / (whole(count / across) * across) if count.number else _ONE


def _geometry(scene: Scene, symbol: str, field: str) -> Quantity:
    figure = getattr(scene.engine_spec.geometry, field)
    return scene.book.of_machine(symbol, f"engines.{scene.engine.id}.geometry.{field}", figure)


def _units(scene: Scene) -> Quantity:
    figure = scene.engine_spec.units
    return scene.book.of_machine("units", f"engines.{scene.engine.id}.units", figure) if figure else Quantity("units", 1.0)


def _tiles(scene: Scene) -> tuple[tuple[Term, ...], Expression | None, str]:
    """The best tile and split of the list that the library is taken to know."""
    m, n, k, groups = product(scene)
    if not m.number:
        return (), _ONE, "no product"
    if Kind(scene.kind) is Kind.ATTENTION:
        block = Quantity("block", tensor_core.ATTENTION_BLOCK)
        return (), lanes(m, block) * lanes(n, block), "queries and keys padded to the blocks of fused attention"
    note = ""
    if Kind(scene.kind) is Kind.RECURRENT:
        groups, note = Quantity("groups", min(groups.number, 1.0)), "; one step after another"
    wide, deep, padded = _padded_groups(scene, n, k)
    note += padded
    units, prologue = _units(scene), scene.profile.prologue_k
    k0 = scene.book.of_profile("k0", scene.engine, "prologue_k", prologue) if prologue else None
    steps = tensor_core.tile_steps(m.number, wide.value, deep.value, groups.number, units.number, k0.number if k0 else 0.0)
    tile, cut = np.unravel_index(int(np.argmin(steps)), steps.shape[:2])
    tm, tn = (Quantity(s, float(x)) for s, x in zip(("tm", "tn"), tensor_core.TILES[tile], strict=True))
    split = Quantity("splits", float(tensor_core.SPLITS[cut]))
    costs = [float(tensor_core.tile_cost(*sides)) for sides in tensor_core.TILES]
    relative = Quantity("cost", costs[tile] / min(costs))
    waves = whole(groups * whole(m / tm) * whole(wide / tn) * split / units)
    blocks = term("waves", "waves", "", waves, note=f"tiles of {tm.number:.0f} × {tn.number:.0f} over {units.number:.0f} units")
    each = whole(deep / split)
    each = each if k0 is None else each + (k0 if split.number == 1 else constant(2.0) * k0)
    depth = term("depth", "depth", "", each)
    spent = units * Quantity("waves", blocks.value) * tm * tn * Quantity("depth", depth.value) * relative
    note = f"useful MACs over those of all waves; cost: time per MAC of this tile over that of the best one{note}"
    share = least(_ONE, m * n * k * groups / spent)
    lost = _without_kernel(scene)
    return (blocks, depth), share if lost is None else share * lost, note


def _padded_groups(scene: Scene, n: Quantity, k: Quantity) -> tuple[Expression, Expression, str]:
    """Sizes n and k as they are multiplied, and what to say of it: see `padded_groups`."""
    found = padded_groups(scene.work) if scene.profile.odd_groups is not None else scene.work.gemm.T[1:3]
    if (scene.own(found[0]), scene.own(found[1])) == (n.number, k.number):
        return n, k, ""
    tile_n, tile_k = (Quantity(s, x) for s, x in zip(("group tile", "group depth"), tensor_core.GROUP_TILE, strict=True))
    own = channels(scene)
    return whole(n / tile_n) * tile_n, k / own * whole(own / tile_k) * tile_k, "; each group padded to tiles for any width"


def _without_kernel(scene: Scene) -> Quantity | None:
    """What is left of the rate where the library has no kernel for the shape; None where it has one."""
    name = "odd_groups" if Kind(scene.kind) is Kind.GROUPED_CONV else "misaligned"
    figure = getattr(scene.profile, name)
    if figure is None or scene.own(np.asarray(kernel_share(scene.work, scene.profile))) == 1.0:
        return None
    return scene.book.of_profile(name.replace("_", " "), scene.engine, name, figure)


_FOLDS: Final = {
    "weight": ("k", "n", "m", "weights stay in the cells, the m rows stream"),
    "output": ("m", "n", "k", "sums stay in the cells, the k products stream"),
    "input": ("k", "m", "n", "inputs stay in the cells, the n columns stream"),
}


def _systolic(scene: Scene) -> tuple[tuple[Term, ...], Expression | None, str]:
    """Cycles of the dataflow; several arrays share the dimension by which that is fastest."""
    shape, units = scene.engine.shape, _units(scene)
    geometry = scene.engine_spec.geometry
    assert isinstance(shape, Systolic)
    assert isinstance(geometry, SystolicGeometry)
    m, n, k, groups = product(scene)
    if not m.number:
        return (), _ONE, "no product"
    rows, columns = _geometry(scene, "rows", "rows"), _geometry(scene, "columns", "columns")
    ways = systolic_cycles(m.number, n.number, k.number, groups.number, shape, units.number)
    way = int(np.argmin([float(w) for w in ways]))
    sizes: dict[str, Expression] = {"m": m, "n": n, "k": k, "groups": groups}
    if units.number > 1:
        shared = ("m", "n", "groups")[way]
        sizes[shared] = whole(sizes[shared] / units)
    down, across, stream, what = _FOLDS[shape.dataflow]
    folds = term("folds", "folds", "", sizes["groups"] * whole(sizes[down] / rows) * whole(sizes[across] / columns), note=what)
    spent = _cycles(Quantity("folds", folds.value), sizes[stream], rows, columns, shape)
    cycles = term("cycles", "cycles", "", spent, float(ways[way]), _hidden_note(shape))
    useful = m * n * k * groups
    share = useful / (Quantity("cycles", cycles.value) * rows * units * columns)
    return (folds, cycles), least(_ONE, share), "useful MACs over cells · cycles"


def _cycles(folds: Quantity, stream: Expression, rows: Quantity, columns: Quantity, shape: Systolic) -> Expression:
    """Fill, stream and drain of all folds."""
    ends = rows + columns if shape.dataflow == "output" else constant(2.0) * rows + columns
    if not shape.hidden_fill:
        return folds * (stream + ends - constant(2.0)) - _ONE
    further = (folds - _ONE) * largest(stream, rows)
    return further + stream + ends - constant(3.0)


def _hidden_note(shape: Systolic) -> str:
    return "the next fold loads while one runs" if shape.hidden_fill else "every fold fills and drains the array"


def _parallel(scene: Scene) -> tuple[tuple[Term, ...], Expression | None, str]:
    """Pixels, input channels and output channels, each padded to what works in parallel."""
    m, n, _, _ = product(scene)
    units = _units(scene)
    pixels = _geometry(scene, "pixels", "pixels")
    wide = pixels * units if units.number != 1 else pixels
    depth = lanes(channels(scene), _geometry(scene, "inputs", "inputs"))
    share = lanes(m, wide) * depth * lanes(n, _geometry(scene, "outputs", "outputs"))
    return (), share, "m, channels and n padded to what is multiplied in parallel"


def _core(scene: Scene) -> tuple[tuple[Term, ...], Expression | None, str]:
    """Output channels along the lanes, or places of columns; products of one channel in each."""
    geometry, rate = scene.engine_spec.geometry, scene.native
    m, n, k, groups = product(scene)
    found = []
    along = _times(groups, n) if Kind(scene.kind) is Kind.DEPTHWISE_CONV else n
    columns = scene.profile.channel_blocks and Kind(scene.kind) in CONVOLUTIONS and not on_blocks(scene.work)[scene.index]
    for name, count in (("lanes", m if columns else along), ("dot", k)):
        table: dict[str, Figure] = dict(getattr(geometry, name)) if isinstance(geometry, CoreGeometry) else {}
        if rate in table and table[rate].value != 1:
            path = f"engines.{scene.engine.id}.geometry.{name}.{rate}"
            found.append(lanes(count, scene.book.of_machine(name, path, table[rate])))
    if not found:
        return (), None, ""
    note = f"{'places' if columns else 'output channels'} padded to the lanes, k to the dot product"
    return (), found[0] if len(found) == 1 else found[0] * found[1], note


def _times(groups: Quantity, n: Quantity) -> Quantity:
    return Quantity("groups · n", groups.number * n.number)
