"""Formulas: what they say, what they say with numbers, what they come to."""

import pytest

from simulator.explanation.expression import (
    Expression,
    FigureUse,
    Quantity,
    constant,
    largest,
    least,
    number_text,
    sum_of,
    whole,
)  # fmt: skip

A, B, C = Quantity("a", 6.0), Quantity("b", 2.0), Quantity("c", 4.0)


@pytest.mark.parametrize(
    ("expression", "text", "value"),
    [
        (A + B + C, "a + b + c", 12.0),
        (A * B * C, "a · b · c", 48.0),
        (A / (B * C), "a / (b · c)", 0.75),
        (A * B / C, "a · b / c", 3.0),
        (A * (B + C), "a · (b + c)", 36.0),
        (A - (B + C), "a − (b + c)", 0.0),
        (A - B - C, "a − b − c", 0.0),
        (A + (B - C), "a + (b − c)", 4.0),
        (A / (B / C), "a / (b / c)", 12.0),
        (A * (B / C), "a · (b / c)", 3.0),
        ((A + B) / C, "(a + b) / c", 2.0),
        (whole(A / C) * C, "⌈a / c⌉ · c", 8.0),
        (largest(A, B + C) - least(A, B), "max(a, b + c) − min(a, b)", 4.0),
        (largest(A), "a", 6.0),
        (sum_of([]), "0", 0.0),
        (constant(1.0) - A, "1 − a", -5.0),
        (Quantity("none", 0.0) / Quantity("zero", 0.0), "none / zero", 0.0),
    ],
)
def test_written_and_evaluated(expression: Expression, text: str, value: float) -> None:
    assert expression.symbols == text
    assert expression.value == value


def test_with_numbers_and_figures() -> None:
    use = FigureUse("engines.core.peak.fp32", "82.6 TFLOP/s", "datasheet", "a paper", None, "rtx4090")
    rate = Quantity("peak", 41.3e12, "MAC/s", (use,))
    share = Quantity("MACs", 115_605_504.0, "MAC") / (rate * Quantity("efficiency", 0.7)) + Quantity("again", 1e-6, "s") / rate
    assert share.numbers == "115.6 MMAC / (41.3 TMAC/s · 0.7) + 1 µs / 41.3 TMAC/s"
    assert share.figures == (use,)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3136.0, "", "3136"), (0.94, "", "0.94"), (1.0 / 3, "", "0.3333"), (2359296.0, "B", "2.359 MB"),
        (4.0, "MAC/cycle", "4 MAC/cycle"),
        (0.0, "s", "0 s"), (1.7e-12, "J/MAC", "1.7 pJ/MAC"), (123456789.0, "", "1.235e+08"), (float("inf"), "B", "∞"),
    ],
)  # fmt: skip
def test_numbers_to_calculate_with(value: float, unit: str, text: str) -> None:
    assert number_text(value, unit) == text
