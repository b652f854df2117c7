"""An array of machines cut into lots of design points."""

from dataclasses import replace

import numpy as np
from support.graphs import loaded, model, node, value
from support.machines import hardware, runtime

from simulator import estimator
from simulator.estimator import totals
from simulator.machine.params import Machine, machine_of
from simulator.machine.points import lots_of
from simulator.preparation import prepare


def swept(count: int) -> Machine:
    """A machine whose first memory and first engine are columns, its last memory one row for all."""
    machine, factors = machine_of(hardware()), np.linspace(0.5, 2.0, count)[:, np.newaxis]
    engine, memory = machine.engines[0], machine.memories[-1]
    engine = replace(engine, macs_per_s={rate: value * factors for rate, value in engine.macs_per_s.items()})
    memory = replace(memory, read_bytes_per_s=memory.read_bytes_per_s * factors, write_bytes_per_s=np.full((1, 1), 1e9))
    return replace(machine, engines=(engine, *machine.engines[1:]), memories=(*machine.memories[:-1], memory))


def test_lots_are_rows_of_every_column() -> None:
    machine = swept(7)
    lots = list(lots_of(machine, 3))
    assert [count for count, _ in lots] == [3, 3, 1]
    for name, column in machine.engines[0].macs_per_s.items():
        found = [lot.engines[0].macs_per_s[name] for _, lot in lots]
        assert np.array_equal(np.concatenate(found), column)
    assert all(np.array_equal(lot.memories[-1].write_bytes_per_s, [[1e9]]) for _, lot in lots)
    assert all(lot.memories[:-1] == machine.memories[:-1] for _, lot in lots)


def test_what_fits_one_lot_is_left_alone() -> None:
    many, one = swept(7), machine_of(hardware())
    assert [lot is many for _, lot in lots_of(many, 7)] == [True]
    assert [(count, lot is one) for count, lot in lots_of(one, 1)] == [(1, True)]


def test_totals_of_lots_are_those_of_all_points_at_once(monkeypatch) -> None:
    network = loaded(model([node("Relu", "x", "a"), node("Sigmoid", "a", "y")], [value("x", 1, 1000)], ["y"]))
    prepared, machine, software = prepare(network, None, runtime().fusion), swept(7), runtime()
    whole = totals(prepared, machine, software)
    monkeypatch.setattr(estimator, "_LOT_ENTRIES", 2)
    lots = totals(prepared, machine, software)
    assert np.array_equal(lots.latency_s, whole.latency_s)
    assert (lots.energy_j is None) == (whole.energy_j is None)
