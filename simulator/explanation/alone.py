"""Kernels that one unit runs: what this makes of their time."""

from simulator.cost.alone import has_small, one_for_all, runs_alone
from simulator.explanation.expression import Expression, constant, largest
from simulator.explanation.scene import Scene


def is_alone(scene: Scene) -> bool:
    """Whether one unit runs the kernel, for it is too small to be split."""
    limits, placement = scene.setting.limits, scene.setting.placement
    return has_small(limits) and bool(runs_alone(scene.work, limits, placement)[scene.index])


def slower_alone(scene: Scene) -> Expression | None:
    """How much longer one unit takes than all: their number, times what they keep of its speed; None where all share the work."""
    if not is_alone(scene):
        return None
    spec, engine = scene.engine_spec, scene.engine
    assert spec.units is not None
    units: Expression = scene.book.of_machine("units", f"engines.{spec.id}.units", spec.units)
    for share in scene.book.sustained(spec):
        units = units * share
    return largest(units, constant(1.0)) if float(one_for_all(engine, scene.setting.limits)) == 1.0 else units
