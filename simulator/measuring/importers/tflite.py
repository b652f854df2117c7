"""What TensorFlow Lite's `benchmark_model` prints: totals, and with `--enable_op_profiling=true` a table of operators.

Format: https://ai.google.dev/edge/litert/models/measurement and tensorflow/core/util/stats_calculator.cc. Columns differ by
version and are found by their names; logs of adb and of TensorFlow put something in front of a line.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from simulator.errors import UsageError
from simulator.fidelity.profile import OperatorTime, RunProfile

_AVERAGE: Final = re.compile(r"Inference \(avg\): *([0-9.eE+]+)|no stats: *([0-9.eE+]+)")
_COUNT: Final = re.compile(r"count=(\d+)")
_QUANTILE: Final = re.compile(r"\b(p10|median|p50|p90)=([0-9.eE+]+)")
_MEMORY: Final = re.compile(r"overall=([0-9.]+)|Overall peak memory footprint \(MB\)[^:]*: *([0-9.]+)")
_ORDER: Final = re.compile(r"=+ Run Order =+")
_HEADER: Final = "[node type]"
_MIB: Final = 1 << 20


def is_tflite(text: str) -> bool:
    """Whether a text looks like that of the tool."""
    return bool(_AVERAGE.search(text)) or (_HEADER in text and "[avg ms]" in text)


def read_tflite(text: str, where: str) -> RunProfile:
    """Totals and operators; the operators of the initialization are left out.

    Raises:
        UsageError: neither a total nor operators, or a table that breaks off.
    """
    average = _last(_AVERAGE, text)
    lines = text.splitlines()
    operators = tuple(_operators(lines, where))
    if average is None and not operators:
        raise UsageError(f"{where}: no inference timings in this benchmark_model output")
    counts = [int(n) for n in _COUNT.findall(text)]
    stats = next((line for line in reversed(lines) if "count=" in line and "avg=" in line), "")
    quantiles = {key: float(value) * 1e-6 for key, value in _QUANTILE.findall(stats)}
    memory = _last(_MEMORY, text)
    median = quantiles.get("median", quantiles.get("p50"))
    mean = None if average is None else average * 1e-6
    return RunProfile(
        "tflite", operators, mean if median is None else median, quantiles.get("p10"), quantiles.get("p90"),
        counts[-1] if counts else None, None if memory is None else round(memory * _MIB),
    )  # fmt: skip


def _last(pattern: re.Pattern[str], text: str) -> float | None:
    """The number that the last match holds in one of its groups."""
    found = pattern.findall(text)
    return float(next(group for group in found[-1] if group)) if found else None


def _operators(lines: Sequence[str], where: str) -> Iterator[OperatorTime]:
    """Rows of the last table in run order: an earlier one is that of the initialization."""
    titles = [i for i, line in enumerate(lines) if _ORDER.search(line)]
    heads = [i for i, line in enumerate(lines) if _HEADER in line and "[avg ms]" in line]
    starts = [i for i in heads if titles and titles[-1] < i][:1] or heads[:1]
    if not starts:
        return
    names = re.findall(r"\[[^\]]*\]", lines[starts[0]][lines[starts[0]].index(_HEADER) :])
    for number, line in enumerate(lines[starts[0] + 1 :], starts[0] + 2):
        cells = _cells(line, len(names))
        if cells is None:
            if not line.strip() or "=====" in line:
                return
            raise UsageError(f"{where}: line {number} is no row of {len(names)} columns: the table breaks off")
        row = dict(zip(names, cells, strict=True))
        calls = float(row.get("[times called]", "1")) or 1.0
        name = re.sub(r":\d+$", "", row["[Name]"]).strip("[]")
        yield OperatorTime(name, row[_HEADER], float(row["[avg ms]"]) * 1e-3 * calls, calls)


def _cells(line: str, count: int) -> list[str] | None:
    """Cells of a row, as many as the header has: type (which may have spaces), numbers, name; None for other lines."""
    match = re.match(rf"(?:.*\] )?\s*(\S.*?)((?:\s+[0-9.]+%?){{{count - 2}}})\s+(\S.*)$", line)
    return [match[1].strip(), *match[2].replace("%", "").split(), match[3].strip()] if match else None
