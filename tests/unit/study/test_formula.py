"""Formulas over columns: what they come to, and that nothing else is read."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import SimulatorError, UnitError, UsageError
from simulator.study.formula import formula_of

COLUMNS = {
    "latency": np.array([0.01, 0.05]),
    "energy": np.array([1e-3, np.nan]),
    "precision": np.array(["int8", "fp16"], object),
    "memories.sram.capacity": np.array([2.0**19, 2.0**21]),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("latency <= 33ms", [True, False]),
        ("latency<=33 ms and memories.sram.capacity < 1MiB", [True, False]),
        ("0 < latency <= 20ms", [True, False]),
        ("not latency < 20ms", [False, True]),
        ("latency < 20ms or precision == 'fp16'", [True, True]),
        ("precision != 'fp16'", [True, False]),
        ("latency * 2 + 1s", [1.02, 1.1]),
        ("memories.sram.capacity / 1MiB", [0.5, 2.0]),
        ("1 / latency >= 30/s", [True, False]),
        ("-latency ** 2", [-1e-4, -2.5e-3]),
        ("max(latency, 20ms, 0)", [0.02, 0.05]),
        ("sqrt(latency * latency)", [0.01, 0.05]),
        ("5%", 0.05),
        ("2e3", 2000.0),
        ("1e-3s", 1e-3),
        ("1.5GMAC/s", 1.5e9),
        ("energy < 1", [True, False]),  # what is not known meets nothing
    ],
)
def test_values(text: str, value: object) -> None:
    found = formula_of(text).value(COLUMNS)
    assert np.allclose(np.asarray(found, float), np.asarray(value, float))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("__import__('os').system('true')", "no place in a formula"),
        ("(lambda: 1)()", "no place"),
        ("latency[0]", "no place"),
        ("[x for x in latency]", "no place"),
        ("latency := 3", "not a formula"),
        ("open('f')", "no function 'open'"),
        ("latency.__class__", "no column"),
        ("latncy < 1", "did you mean 'latency'"),
        ("None", "no place"),
        ("", "not a formula"),
        ("latency <", "not a formula"),
        ("sqrt(1, 2)", "takes one value"),
        ("precision * 2", "text for a number"),
        ("(" * 300 + "1" + ")" * 300, "not a formula"),
        ("1+" * 3000 + "1", "characters"),
    ],
)
def test_what_is_no_formula(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("(", r"\(")):
        formula_of(text).value(COLUMNS)


UNITS = {"latency": ("seconds", False), "accuracy": ("", False), "peak": ("bytes_per_s", True)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latency <= 33mJ", "not one of seconds"),
        ("5GB > latency", "not one of seconds"),
        ("1ms < latency < 1MiB", "not one of seconds"),
        ("accuracy >= 70%", "no unit; compare it with a plain number"),
        ("not (fits and peak > 1GB/s)", "by the clock"),
    ],
)
def test_quantities_are_those_of_what_they_are_compared_with(text: str, says: str) -> None:
    with pytest.raises(UnitError, match=says):
        formula_of(text).check(["latency", "accuracy", "peak", "fits"], UNITS)


@pytest.mark.parametrize(
    "text", ["1ms<latency<33ms", "latency <= 2*33ms", "latency<1", "accuracy>70", "peak >= 2B/cycle", "x<1J"]
)
def test_quantities_that_are(text: str) -> None:
    formula_of(text).check(["latency", "accuracy", "peak", "x"], UNITS)


@pytest.mark.parametrize("text", ["latency", "1", "latency + 1", "fits and latency", "not energy", "max(latency, 1) or fits"])
def test_what_states_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="states no condition"):
        formula_of(text).check_condition(["fits"])


@pytest.mark.parametrize("text", ["latency<1", "fits", "not fits and (1<latency<2 or fits)"])
def test_conditions(text: str) -> None:
    formula_of(text).check_condition(["fits"])


@pytest.mark.parametrize("text", ["latency <= 30bananas", "peak > 1TFLOP/s", "3 foo", "1j", "latency if 1 else 2"])
def test_units_that_mean_nothing_or_two_things(text: str) -> None:
    with pytest.raises(UnitError):
        formula_of(text)


def test_huge_powers_are_infinite_and_quick() -> None:
    assert formula_of("9**9**9**9").value({}) == np.inf


@given(st.text(alphabet="latency0123456789.+-*/()<>= andor'%sm", max_size=40))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    with contextlib.suppress(SimulatorError):
        formula_of(text).value(COLUMNS)
