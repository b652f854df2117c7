"""Quantities: read, written back without loss, refused with a hint."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import UnitError
from simulator.units import Quantity, example, format_bytes, format_duration, format_exact, format_si, known_units, parse

DIMENSIONS = {
    "bytes": "B",
    "bytes_per_s": "B/s",
    "hertz": "Hz",
    "seconds": "s",
    "joules": "J",
    "joules_per_byte": "J/B",
    "watts": "W",
    "metres": "m",
    "macs_per_s": "MAC/s",
    "ops_per_s": "OP/s",
    "joules_per_mac": "J/MAC",
    "joules_per_op": "J/OP",
    "count": "",
    "ratio": "",
    "coulombs": "C",
    "volts": "V",
    "per_second": "/s",
}
PREFIXED = {d: u for d, u in DIMENSIONS.items() if u}
DECIMAL = ["f", "p", "n", "u", "m", "", "k", "M", "G", "T", "P", "E"]
BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi"]
finite = st.floats(min_value=0, max_value=1e30, allow_nan=False, allow_infinity=False)


@given(st.sampled_from(sorted(DIMENSIONS)), finite)
def test_what_is_written_is_read_back_exactly(dimension: str, number: float) -> None:
    assert parse(format_exact(number, dimension), dimension) == Quantity(number)


@given(st.sampled_from(sorted(DIMENSIONS)), st.floats(min_value=-1e18, max_value=-1e-15))
def test_negative_numbers_too(dimension: str, number: float) -> None:
    assert parse(format_exact(number, dimension), dimension).value == number


@pytest.mark.parametrize("dimension", PREFIXED)
@pytest.mark.parametrize(("small", "large"), list(pairwise(DECIMAL)))
def test_neighbouring_decimal_prefixes_are_1000_apart(dimension: str, small: str, large: str) -> None:
    unit = PREFIXED[dimension]
    assert parse(f"1000 {small}{unit}", dimension) == parse(f"1 {large}{unit}", dimension)


@pytest.mark.parametrize(("small", "large"), list(zip(["", *BINARY], BINARY, strict=False)))
@pytest.mark.parametrize(("dimension", "unit"), [("bytes", "B"), ("bytes_per_s", "B/s"), ("bytes", "bit")])
def test_neighbouring_binary_prefixes_are_1024_apart(dimension: str, unit: str, small: str, large: str) -> None:
    assert parse(f"1024 {small}{unit}", dimension) == parse(f"1 {large}{unit}", dimension)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("3.35 TB/s", "bytes_per_s", 3.35e12),
        ("3.35TB/s", "bytes_per_s", 3.35e12),
        ("320 KiB", "bytes", 327_680),
        ("320 kB", "bytes", 320_000),
        ("320 KB", "bytes", 320_000),
        ("8 Gbit", "bytes", 1e9),
        ("800 Gbit/s", "bytes_per_s", 100e9),
        ("216 MHz", "hertz", 216e6),
        ("4 us", "seconds", 4e-6),
        ("4 µs", "seconds", 4e-6),  # micro sign
        ("4 μs", "seconds", 4e-6),  # Greek mu
        ("4 pJ/bit", "joules_per_byte", 32e-12),
        ("312 TFLOP/s", "macs_per_s", 156e12),
        ("312 TFLOPS", "macs_per_s", 156e12),
        ("4 TOPS", "macs_per_s", 2e12),
        ("1 GMAC/s", "macs_per_s", 1e9),
        ("19.5 TOP/s", "ops_per_s", 19.5e12),
        ("0.5 pJ", "joules_per_mac", 0.5e-12),
        ("0.5 pJ/FLOP", "joules_per_mac", 1e-12),
        ("0.2 pJ/OP", "joules_per_op", 0.2e-12),
        ("2 Wh", "joules", 7200),
        ("220 mAh", "coulombs", 792),
        ("3.7V", "volts", 3.7),
        ("1/s", "per_second", 1),
        ("90/min", "per_second", 1.5),
        ("36 /h", "per_second", 0.01),
        ("1/day", "per_second", 1 / 86400),
        ("85 %", "ratio", 0.85),
        ("0.85", "ratio", 0.85),
        ("108", "count", 108),
        ("1e3 B", "bytes", 1000),
        (".5 s", "seconds", 0.5),
        ("7 nm", "metres", 7e-9),
        ("3 m", "metres", 3),
        ("3 ms", "seconds", 3e-3),
    ],
)
def test_parse(text: str, dimension: str, value: float) -> None:
    assert parse(text, dimension) == Quantity(value)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("2 MAC/cycle", "macs_per_s", 2),
        ("2 FLOP/cycle", "macs_per_s", 1),
        ("8 B/cycle", "bytes_per_s", 8),
        ("64 bit/cycle", "bytes_per_s", 8),
        ("40 cycles", "seconds", 40),
        ("1 cycle", "seconds", 1),
        ("2 kcycles", "seconds", 2000),
        ("4 OP/cycle", "ops_per_s", 4),
    ],
)
def test_quantities_per_cycle_wait_for_a_clock(text: str, dimension: str, value: float) -> None:
    assert parse(text, dimension) == Quantity(value, per_cycle=True)


def test_numbers_are_taken_as_they_are() -> None:
    assert parse(108, "count") == Quantity(108)
    assert parse(0.5, "ratio") == Quantity(0.5)


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("fast", "bytes_per_s", "'fast' is not a quantity; write '3.35 TB/s'"),
        ("", "bytes", "'' is not a quantity; write '320 KiB'"),
        ("3.35", "bytes_per_s", "'3.35' has no unit; write '3.35 TB/s'"),
        (7, "bytes", "'7' has no unit"),
        ("3.35 TB", "bytes_per_s", "unit 'TB' is not one of bytes per s; did you mean 'TB/s'?"),
        ("216 MHZ", "hertz", "did you mean 'MHz'?"),
        ("3 GiB/sec", "bytes_per_s", "did you mean 'GiB/s'?"),
        ("3 furlong", "bytes", "unit 'furlong' is not one of bytes; write '320 KiB'"),
        ("1,5 GB", "bytes", "is not a quantity"),
        ("1 2 GB", "bytes", "is not"),
        (True, "count", "is not a quantity"),
        ("nan B", "bytes", "is not a quantity"),
        ("inf B", "bytes", "is not a quantity"),
    ],
)
def test_errors_say_what_to_write(text: object, dimension: str, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse(text, dimension)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_dimension_has_an_example_that_reads(dimension: str) -> None:
    for text in example(dimension).split(" or "):
        assert parse(text.strip("'"), dimension).value > 0


@pytest.mark.parametrize("dimension", PREFIXED)
def test_every_suggestion_reads(dimension: str) -> None:
    for unit in known_units(dimension):
        assert parse(f"1 {unit}", dimension).value > 0


@given(st.floats(min_value=1e-14, max_value=1e20))
def test_three_digits_are_right_to_three_digits(number: float) -> None:
    text, unit = format_si(number, "s").split()
    assert parse(f"{text} {unit}", "seconds").value == pytest.approx(number, rel=5.1e-3)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 s"),
        (1.2345e-3, "1.23 ms"),
        (999.6e-6, "1 ms"),
        (1e-9, "1 ns"),
        (math.nan, "–"),
        (12.34, "12.3 s"),
        (1.5e6, "1.5 Ms"),
    ],
)
def test_format_si(number: float, text: str) -> None:
    assert format_si(number, "s") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (319488, "312 KiB"), (2**20, "1 MiB"), (1.5 * 2**30, "1.5 GiB")],
)
def test_format_bytes(number: float, text: str) -> None:
    assert format_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.5, "500 ms"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (100 * 3600, "4.17 days"),
        (400 * 86400, "400 days"),
        (1e9, "31.7 years"),
        (1e15, "31.7 M years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(1e60, "1e+42 Es"), (1e-60, "1e-45 fs"), (999.9, "1 ks")])
def test_what_no_prefix_reaches_has_an_exponent(number: float, text: str) -> None:
    assert format_si(number, "s") == text


@pytest.mark.parametrize("number", [1e-200, 1.28e-186, 3e-70, 1e35])
def test_exact_texts_of_absurd_numbers_are_short(number: float) -> None:
    assert len(format_exact(number, "bytes_per_s")) < 60
    assert parse(format_exact(number, "bytes_per_s"), "bytes_per_s").value == number
