"""Golden numbers: what a few networks on a few machines came to, with the day and the version that said so.

`python tests/golden/update.py` writes them anew and prints what moved. A number that moved is a line in CHANGELOG.md that
says which formula moved it.
"""

import datetime
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simulator

FOLDER = Path(__file__).resolve().parent
COMMAND = "python tests/golden/update.py"
TOLERANCE = 1e-9
_EXACT = ("name", "op_type", "kind", "origin", "engine", "rate", "macs", "ops", "weight_bytes", "input_bytes", "output_bytes",
          "moved_bytes", "bound")  # fmt: skip
_MEASURED = ("compute_s", "memory_s", "overhead_s", "latency_s", "energy_j")
Flat = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A network on a machine."""

    model: str
    hardware: str
    precision: str | None = None
    batch: int | None = None

    @property
    def name(self) -> str:
        """Name of its file."""
        batch = f"b{self.batch}" if self.batch else None
        return "_".join(x for x in (self.model, self.hardware, self.precision, batch) if x)

    @property
    def path(self) -> Path:
        """Its file."""
        return FOLDER / f"{self.name}.json"


CASES = (
    Case("ds_cnn", "stm32h743", "int8"),
    Case("resnet50", "a100_sxm_80", "fp16", 8),
    Case("mobilenet_v2", "rpi4"),
    Case("bert_base", "rtx4090", "fp16"),
    Case("mobilenet_v1", "edgetpu_usb", "int8"),
    Case("resnet50", "zcu102", "int8"),
    Case("vit_b_16", "tpu_v5e", "bf16"),
    Case("resnet8", "ethos_u55_128", "int8"),
    Case("densenet121", "xeon_8480p"),
)


def compute(case: Case) -> dict[str, Any]:
    """What the case comes to today: counts, totals, and the layers in brief."""
    found: Any = simulator.estimate(
        simulator.load_model(case.model, batch=case.batch), case.hardware, precision=case.precision
    ).to_dict()
    return {
        "model": {k: v for k, v in found["model"].items() if k not in ("inputs", "outputs")},
        "settings": found["settings"],
        "totals": found["totals"],
        "layers": digest(found["layers"]),
        "coverage": found["coverage"],
        "warnings": found["warnings"],
    }


def digest(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Layers in brief: a hash of each exact column; of a measured one its sum, and its sum weighted by position, which
    moves when the same time moves to another layer.
    """
    brief: dict[str, Any] = {"count": len(layers)}
    for key in _EXACT:
        text = json.dumps([layer[key] for layer in layers])
        brief[key] = hashlib.sha256(text.encode()).hexdigest()[:16]
    for key in _MEASURED:
        column = [layer[key] for layer in layers]
        known = None not in column
        brief[key] = {
            "sum": sum(column) if known else None,
            "weighted": sum(x * (i + 1) / len(layers) for i, x in enumerate(column)) if known else None,
        }
    return brief


def flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"totals": {"latency_s": 1}}` as `{"totals.latency_s": 1}`."""
    result: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def same(old: Any, new: Any) -> bool:
    """Equal; floats within the tolerance."""
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) <= TOLERANCE * max(abs(old), abs(new))
    return type(old) is type(new) and bool(old == new)


@dataclass(frozen=True)
class Moved:
    """A metric that is not what it was; `–` where it did not exist."""

    metric: str
    old: Any
    new: Any

    @property
    def ratio(self) -> str:
        """new / old."""
        numeric = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (self.old, self.new))
        return f"{self.new / self.old:.9g}" if numeric and self.old else "–"


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Moved]:
    """Every metric that differs."""
    before, now = flat(old), flat(new)
    missing = "–"
    return [
        Moved(key, before.get(key, missing), now.get(key, missing))
        for key in dict.fromkeys([*before, *now])
        if key not in before or key not in now or not same(before[key], now[key])
    ]


def table(rows: Sequence[Moved]) -> str:
    """The delta table: metric, old, new, ratio."""
    cells = [("metric", "old", "new", "ratio"), *((m.metric, _short(m.old), _short(m.new), m.ratio) for m in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def _short(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def stored(case: Case) -> dict[str, Any] | None:
    """What the case came to when it was last written; None where it never was."""
    return json.loads(case.path.read_text(encoding="utf-8")) if case.path.exists() else None


def numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document without what is not compared: when, and by which version."""
    return {key: value for key, value in document.items() if key not in ("date", "version", "case")}


def write(case: Case, found: Mapping[str, Any], day: str) -> None:
    """Store the numbers of a case."""
    what = {"model": case.model, "hardware": case.hardware, "precision": case.precision, "batch": case.batch}
    document = {"date": day, "version": simulator.__version__, "case": what, **found}
    case.path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def update(cases: Sequence[Case], day: str) -> Iterator[str]:
    """Write what moved, and say what did; what did not move keeps its date."""
    for case in cases:
        found = json.loads(json.dumps(compute(case)))
        old = stored(case)
        changes = moved(numbers(old), found) if old else []
        if old is None:
            write(case, found, day)
            yield f"{case.name}: new"
        elif changes:
            write(case, found, day)
            yield f"{case.name}: {len(changes)} moved since {old['date']} ({old['version']})\n{table(changes)}\n"


if __name__ == "__main__":
    lines = list(update(CASES, datetime.datetime.now(tz=datetime.UTC).date().isoformat()))
    sys.stdout.write("\n".join(lines or ["nothing moved"]) + "\n")
    if lines:
        sys.stdout.write("Write a line in CHANGELOG.md that says which formula moved them.\n")
