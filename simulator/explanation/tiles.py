"""What a kernel reads again because its tiles must fit the memories further in: which operand stays, how large the tile."""

from typing import Final

import numpy as np

from simulator.cost.tiling import Dataflow, flash_rows
from simulator.cost.traffic import reread_bytes, tiled_levels, tiles_of
from simulator.explanation.expression import Expression, Quantity, constant, floored, largest, least, root, sum_of, whole
from simulator.explanation.scene import Scene
from simulator.explanation.terms import Term, term
from simulator.machine.geometry import BlockNpu
from simulator.machine.params import Machine, MemoryParams
from simulator.ops.work import Kind

READ_AGAIN: Final = "read again"
_ONE: Final = constant(1.0)
_NEAR: Final = 1e-12
_LEAST_ROOM: Final = 3.0  # words: a tile of one element with one of a row and of a column beside it
_STAYS: Final = {
    "outputs": "outputs stay: a tile of C until its sums are done, while A and B pass",
    "weights": "weights stay: a tile of B, while A and the partial sums of C pass",
    "inputs": "inputs stay: a tile of A, while B and the partial sums of C pass",
}
_MATRICES: Final = "C (m × n) = A (m × k) · B (k × n)"


def again_terms(scene: Scene, machine: Machine, level: MemoryParams, crossing: float) -> list[Term]:
    """The bytes that cross a level again, with the tiles that cause it; `machine` has the memories of the kernel's engine.

    Tiles that must fit what lies within a level also cross those further in: they are told once, where they first show.
    """
    key, name = f"bytes.{level.id}.again", f"{READ_AGAIN} over {level.id}"
    levels = tiled_levels(machine)
    place = [m.id for m, _ in levels].index(level.id)
    caused = [float(reread_bytes(scene.work, inside)[scene.index]) for _, inside in levels]
    cause = max(range(place, len(levels)), key=lambda i: caused[i])
    before = next((m.id for i, (m, _) in enumerate(levels[:place]) if max(caused[i:]) == caused[cause]), None)
    if before is not None:
        return [term(key, name, "B", Quantity(f"{READ_AGAIN} over {before}", crossing, "B"), crossing)]
    inside = float(np.max(levels[cause][1]))
    holder = next(m for m, _ in levels if float(np.max(m.capacity_bytes)) == inside)
    if scene.work.kinds[scene.index] is Kind.ATTENTION:
        return _attention_terms(scene, key, name, holder, crossing)
    return _product_terms(scene, key, name, holder, crossing)


def _room(scene: Scene, holder: MemoryParams) -> Quantity:
    """Elements that the largest memory further in holds."""
    memory = next(m for m in scene.est.hardware.memories if m.id == holder.id)
    path = f"memories.{holder.id}.capacity"
    uses = (scene.book.figure(path, memory.capacity),) if memory.capacity else ()
    return Quantity(f"capacity of {holder.id}", float(holder.capacity_bytes), "B", uses)


def _element(scene: Scene) -> Quantity:
    return Quantity("element", float(scene.work.element_bytes[scene.index]), "B")


# ---- products ---------------------------------------------------------------------------------------------------------


def _product_terms(scene: Scene, key: str, name: str, holder: MemoryParams, crossing: float) -> list[Term]:
    """The tile's sides, and what passes more than once because of them."""
    flow = tiles_of(scene.work, scene.index, holder.capacity_bytes)
    m, n, k, groups = (float(x) for x in scene.work.gemm[scene.index])
    fed, size = min(float(scene.work.input_words[scene.index]), m * k), float(scene.work.element_bytes[scene.index])
    operands = {"A": (fed, "n"), "B": (k * n, "m"), "2 · C": (2 * m * n, "k")}
    sides = {"m": (m, float(flow.tile_m)), "n": (n, float(flow.tile_n)), "k": (k, float(flow.tile_k))}
    parts = []
    for matrix, (words, along) in operands.items():
        whole_side, tile = sides[along]
        if not _spans(tile, whole_side):
            passes = Quantity(along, whole_side) / Quantity(f"b{along}", tile) - _ONE
            parts.append(Quantity(matrix, groups * words * size, "B") * passes)
    several = f", {groups:.0f} groups" if groups != 1 else ""
    note = f"{_STAYS[flow.stationary]}; beyond each operand once; {_MATRICES}{several}"
    passed = sum_of(parts)
    if isinstance(scene.engine.shape, BlockNpu) and passed.value:  # which reads whole blocks, bricks and bursts then too
        passed = passed * Quantity("blocks", crossing / passed.value)
    again = term(key, name, "B", passed, crossing, note)
    return [*_tile_terms(scene, flow, holder, sides), again]


def _tile_terms(scene: Scene, flow: Dataflow, holder: MemoryParams, sides: dict[str, tuple[float, float]]) -> list[Term]:
    """Room in elements, and the two sides of the tile that stays: (first + 1)(second + 1) = room + 1 where both are free."""
    first, second = {"outputs": ("m", "n"), "weights": ("k", "n"), "inputs": ("k", "m")}[flow.stationary]
    capacity, room_words = _room(scene, holder), float(flow.room_words)
    elements: Expression = capacity / _element(scene)
    if flow.stationary == "inputs" and room_words > elements.value:  # windows overlap: an element serves several places
        elements = elements * _unrolled(scene)
    if room_words < _LEAST_ROOM:
        elements = largest(elements, constant(_LEAST_ROOM))
    room = term(
        f"tile.{holder.id}.room", "room", "", elements, note="elements that a tile takes up with a row and a column beside it"
    )
    around = Quantity("room", room.value) + _ONE
    (long, b_first), (short, b_second) = sides[first], sides[second]
    if not _spans(b_first, long):
        alone = Quantity(second, short) if _spans(b_second, short) else root(around / _ratio(scene, flow)) - _ONE
        of_second = largest(alone, _ONE) if alone.value < 1.0 else alone
        of_first = around / (Quantity(f"b{second}", b_second) + _ONE) - _ONE
    else:
        rest = around / (Quantity(f"b{first}", b_first) + _ONE) - _ONE
        of_second, of_first = least(Quantity(second, short), rest), Quantity(first, long)
    terms = [
        term(f"tile.{holder.id}.b{second}", f"b{second}", "", of_second, b_second, _side(second, b_second, short)),
        term(f"tile.{holder.id}.b{first}", f"b{first}", "", of_first, b_first, _side(first, b_first, long)),
    ]
    return [room, *(reversed(terms) if _spans(b_first, long) else terms)]


def _unrolled(scene: Scene) -> Expression:
    """How often an element of the input stands in A: once, but for windows that overlap."""
    m, _, k, _ = (float(x) for x in scene.work.gemm[scene.index])
    fed = min(float(scene.work.input_words[scene.index]), m * k)
    return Quantity("m", m) * Quantity("k", k) / Quantity("input", max(fed, 1.0))


def _ratio(scene: Scene, flow: Dataflow) -> Expression:
    """Of the tile's sides, where both are free: a partial sum is written and read again, an input only read."""
    sums = constant(2.0)
    return {"outputs": _unrolled(scene), "weights": sums * _unrolled(scene), "inputs": sums}[flow.stationary]


def _spans(tile: float, side: float) -> bool:
    """Whether a tile is as long as the matrix, but for rounding."""
    return tile >= side * (1 - _NEAR)


def _side(along: str, tile: float, side: float) -> str:
    return f"tile along {along}: all of it" if _spans(tile, side) else f"tile along {along}, of {side:.0f}"


# ---- attention --------------------------------------------------------------------------------------------------------


def _attention_terms(scene: Scene, key: str, name: str, holder: MemoryParams, crossing: float) -> list[Term]:
    """Blocks of query rows, for each of which K and V pass."""
    queries, keys, dim, heads = (float(x) for x in scene.work.gemm[scene.index])
    size = float(scene.work.element_bytes[scene.index])
    count = float(flash_rows(dim, float(holder.capacity_bytes) / size))
    fitting = floored(_room(scene, holder) / (constant(4.0) * Quantity("head", dim) * _element(scene)))
    rows = term(
        "tile.rows",
        "rows",
        "",
        largest(fitting, _ONE),
        count,
        "rows of queries to a block: a quarter of the room each for Q, K, V, O",
    )
    passes = whole(Quantity("queries", queries) / Quantity("rows", count))
    pairs = Quantity("K and V", 2.0 * heads * keys * dim * size, "B")
    note = "K and V pass once for every block of rows; beyond once each"
    return [rows, term(key, name, "B", pairs * (passes - _ONE), crossing, note)]
