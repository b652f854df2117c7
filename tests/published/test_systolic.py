"""Systolic arrays: cycles and utilisation of matrix products as SCALE-Sim 3.0.0 simulates them.

SCALE-Sim 3.0.0 (PyPI scalesim), compute cycles without stalls and overall utilisation of 36 runs: exact, and ± 0.2 %.
"""

import numpy as np
import pytest

from simulator.cost import systolic
from simulator.cost.systolic import utilisation

EXPOSED = {
    "os": systolic.cycles_output_stationary,
    "ws": systolic.cycles_weight_stationary,
    "is": systolic.cycles_input_stationary,
}
HIDDEN = {
    "os": systolic.cycles_output_stationary_hidden,
    "ws": systolic.cycles_weight_stationary_hidden,
    "is": systolic.cycles_input_stationary_hidden,
}

# row of the cycles (the utilisation is the next), dataflow, rows, columns, m, n, k, cycles, utilisation in percent
RUNS = [
    (1, "is", 128, 128, 128, 128, 128, 509, 25.147347740667975),
    (3, "is", 128, 128, 100, 70, 300, 1355, 9.459323108856088),
    (5, "is", 128, 128, 1, 1000, 512, 5527, 0.5654061878053194),
    (7, "is", 128, 128, 196, 256, 64, 1275, 15.372549019607844),
    (9, "is", 16, 16, 128, 128, 128, 11135, 73.5698248765155),
    (11, "is", 16, 16, 100, 70, 300, 15427, 53.173818629675246),
    (13, "is", 16, 16, 1, 1000, 512, 33471, 5.975321920468465),
    (15, "is", 16, 16, 196, 256, 64, 15703, 79.88282493790996),
    (17, "is", 32, 8, 128, 128, 128, 12671, 64.65156656933155),
    (19, "is", 32, 8, 100, 70, 300, 18199, 45.07459201055003),
    (21, "is", 32, 8, 1, 1000, 512, 17119, 11.682925404521292),
    (23, "is", 32, 8, 196, 256, 64, 16299, 76.96177679612246),
    (25, "os", 128, 128, 128, 128, 128, 381, 33.59580052493438),
    (27, "os", 128, 128, 100, 70, 300, 553, 23.17790743670886),
    (29, "os", 128, 128, 1, 1000, 512, 6127, 0.510037538762853),
    (31, "os", 128, 128, 196, 256, 64, 1271, 15.420928402832416),
    (33, "os", 16, 16, 128, 128, 128, 10111, 81.02067055681931),
    (35, "os", 16, 16, 100, 70, 300, 11549, 71.02887695904407),
    (37, "os", 16, 16, 1, 1000, 512, 34145, 5.857372968223752),
    (39, "os", 16, 16, 196, 256, 64, 19551, 64.16040100250626),
    (41, "os", 32, 8, 128, 128, 128, 10623, 77.11569236562177),
    (43, "os", 32, 8, 100, 70, 300, 12167, 67.42109805210816),
    (45, "os", 32, 8, 1, 1000, 512, 68749, 2.909133223755982),
    (47, "os", 32, 8, 196, 256, 64, 22847, 54.90436381144133),
    (49, "ws", 128, 128, 128, 128, 128, 509, 25.147347740667975),
    (51, "ws", 128, 128, 100, 70, 300, 1445, 8.870161115916956),
    (53, "ws", 128, 128, 1, 1000, 512, 12255, 0.25499796001631986),
    (55, "ws", 128, 128, 196, 256, 64, 1155, 16.96969696969697),
    (57, "ws", 16, 16, 128, 128, 128, 11135, 73.5698248765155),
    (59, "ws", 16, 16, 100, 70, 300, 13869, 59.14719878866537),
    (61, "ws", 16, 16, 1, 1000, 512, 94751, 2.110795664425705),
    (63, "ws", 16, 16, 196, 256, 64, 15487, 80.99696519661651),
    (65, "ws", 32, 8, 128, 128, 128, 12671, 64.65156656933155),
    (67, "ws", 32, 8, 100, 70, 300, 15299, 53.61870056866462),
    (69, "ws", 32, 8, 1, 1000, 512, 141999, 1.4084606229621335),
    (71, "ws", 32, 8, 196, 256, 64, 17023, 73.68853903542266),
]


@pytest.mark.parametrize(("row", "flow", "rows", "columns", "m", "n", "k", "cycles"), [run[:-1] for run in RUNS])
def test_cycles(row: int, flow: str, rows: int, columns: int, m: int, n: int, k: int, cycles: int) -> None:
    assert EXPOSED[flow](m, n, k, 1, rows, columns) == cycles, f"systolic_scalesim-{row:03}"


@pytest.mark.parametrize(("row", "flow", "rows", "columns", "m", "n", "k", "percent"), [(*run[:-2], run[-1]) for run in RUNS])
def test_utilisation(row: int, flow: str, rows: int, columns: int, m: int, n: int, k: int, percent: float) -> None:
    found = utilisation(m, n, k, 1, EXPOSED[flow](m, n, k, 1, rows, columns), rows, columns)
    assert 100 * found == pytest.approx(percent, rel=0.002), f"systolic_scalesim-{row + 1:03}"


@pytest.mark.parametrize(("flow", "rows", "columns", "m", "n", "k", "cycles"), [run[1:-1] for run in RUNS])
def test_hidden_loads(flow: str, rows: int, columns: int, m: int, n: int, k: int, cycles: int) -> None:
    """Never slower than exposed ones, the same for a single fold, never more than the whole array's rate."""
    hidden = HIDDEN[flow](m, n, k, 1, rows, columns)
    assert m * n * k / (rows * columns) <= hidden <= cycles
    first = {"os": (m, n), "ws": (k, n), "is": (k, m)}[flow]
    if first[0] <= rows and first[1] <= columns:
        assert hidden == cycles


@pytest.mark.parametrize("flow", EXPOSED)
def test_groups_are_folds_of_their_own(flow: str) -> None:
    """One cycle less at the very end, as for a single product."""
    one = EXPOSED[flow](100, 70, 300, 1, 16, 16)
    assert EXPOSED[flow](100, 70, 300, 5, 16, 16) == 5 * (one + 1) - 1


@pytest.mark.parametrize("flow", EXPOSED)
def test_no_product_costs_nothing(flow: str) -> None:
    nothing = np.zeros(2)
    for functions in (EXPOSED, HIDDEN):
        cycles = functions[flow](nothing, nothing, nothing, nothing, 128.0, 128.0)
        assert cycles.tolist() == [0, 0]
        assert utilisation(nothing, nothing, nothing, nothing, cycles, 128.0, 128.0).tolist() == [1, 1]


def test_long_products_fill_a_tpu() -> None:
    """A hidden load leaves only the ends of the first and the last fold."""
    hidden = systolic.cycles_mxu(8192.0, 4096.0, 4096.0, 1.0, 128.0, 128.0)
    assert utilisation(8192.0, 4096.0, 4096.0, 1.0, hidden, 128.0, 128.0) > 0.99


def test_fewer_rows_than_a_load_wait_for_it() -> None:
    """Below 128 rows a 128 × 128 unit waits for the next weights: 1 row takes as long as 128."""
    one = systolic.cycles_mxu(1.0, 4096.0, 4096.0, 1.0, 128.0, 128.0)
    full = systolic.cycles_mxu(128.0, 4096.0, 4096.0, 1.0, 128.0, 128.0)
    assert one == pytest.approx(full, rel=0.01)


@pytest.mark.parametrize(
    ("m", "n", "k", "array", "share"),
    [
        (8, 128, 128, 128, 1.0),
        (1, 128, 128, 128, 1 / 8),
        (8, 64, 128, 128, 1 / 2),
        (8, 128, 130, 128, 130 / 256),
        (8, 128, 128, 256, 1 / 4),  # v6e
        (9, 129, 1, 128, 9 * 129 / (16 * 256 * 128)),
        (0, 0, 0, 128, 1.0),
    ],
)
def test_padding_of_a_tpu(m: float, n: float, k: float, array: float, share: float) -> None:
    """Scaling-book: both dimensions of the weights to the array's, rows to 8."""
    assert systolic.mxu_padding_utilisation(m, n, k, array, array) == share


def test_a_larger_array_can_be_slower() -> None:
    """Not a law: a small product pays the longer fill of more rows and columns."""
    assert systolic.cycles_weight_stationary(16, 16, 16, 1, 128, 128) > systolic.cycles_weight_stationary(16, 16, 16, 1, 16, 16)
