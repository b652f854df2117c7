"""How far predictions are from measurements: the tables and the plot of docs/accuracy.md.

`python benchmarks/accuracy.py` writes them anew from the files in measurements/; `--section exported FILE...` does so for
measurement files that lie elsewhere, whose networks are files. Each table puts the errors beside those of a model of two
constants: MACs over one rate plus the bytes of our kernels over another, both fitted to the very rows. Needs the extra `fit`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

import simulator as sim
from simulator.api import load_of, rows_of
from simulator.fidelity.calibrate import LEAST_ROWS
from simulator.fidelity.measurement import Measurement
from simulator.fidelity.scores import Score, grouped, score
from simulator.fidelity.validate import Load, Predicted, Validation
from simulator.io.hardware_reader import load_runtime
from simulator.report.plots.save import save
from simulator.report.plots.scatter import figure

_ROOT = Path(__file__).resolve().parent.parent
_HEAD = ("machine", "runtime", "runs", "median", "p90", "±10 %", "bias", "two constants: median", "p90", "held out, 5 to 95 %")


@dataclass(frozen=True)
class Row:
    """A predicted run with what the baseline sees of it: MACs, and the bytes that its kernels, cut by our rules, touch."""

    predicted: Predicted
    macs: float
    bytes: float


def two_constants(rows: Sequence[Row]) -> Score:
    """Errors of t = a · MACs + b · bytes, fitted to these rows on the logarithm, far-off ones counting less."""
    macs, moved = (np.array([getattr(row, name) for row in rows]) for name in ("macs", "bytes"))
    measured = np.array([row.predicted.measured.latency_s for row in rows])
    start = np.log([np.median(measured / (macs + 1.0)) / 2, np.median(measured / (moved + 1.0)) / 2])

    def seconds(x: np.ndarray) -> np.ndarray:
        return np.exp(x[0]) * macs + np.exp(x[1]) * moved

    found = least_squares(lambda x: np.log(seconds(x) / measured), start, loss="soft_l1", f_scale=0.1)
    return score(seconds(found.x).tolist(), measured.tolist())


def row_of(predicted: Predicted, load: Load) -> Row:
    """Counts of the run beside its prediction."""
    work = load.sample(predicted.measured)[0].prepared.work
    moved = work.input_bytes.sum() + work.weight_bytes.sum() + work.output_bytes.sum()
    return Row(predicted, float(work.macs.sum()), float(moved))


def board(row: Row) -> tuple[str, str]:
    """Machine without its mode, and runtime."""
    return row.predicted.measured.hardware.partition(":")[0], row.predicted.measured.runtime


def held_out(runtime: str) -> str:
    """Quantiles of measured over predicted by a fit without the run's family, over all runs that the profile was fitted to."""
    found = load_runtime(runtime).residuals
    return f"{found.p5:.2f} to {found.p95:.2f}" if found else "not calibrated"


def percent(share: float, digits: int = 1) -> str:
    """`5.4 %`."""
    return f"{100 * share:.{digits}f} %"


def latency_table(rows: Sequence[Row]) -> list[str]:
    """A line for every machine and runtime."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|---|---|" + "---:|" * (len(_HEAD) - 2)]
    for (machine, runtime), own in sorted(grouped(rows, board).items()):  # type: ignore[misc]
        measured = [row.predicted.measured.latency_s for row in own]
        ours = score([row.predicted.latency_s for row in own], measured)
        plain = two_constants(own) if len(own) >= LEAST_ROWS else None
        cells = (
            f"`{machine}`", f"`{runtime}`", str(ours.n), percent(ours.median), percent(ours.p90), percent(ours.within_10, 0),
            f"{ours.bias:.2f}", percent(plain.median) if plain else "–", percent(plain.p90) if plain else "–", held_out(runtime),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def family_table(rows: Sequence[Row]) -> list[str]:
    """For every machine and runtime the families that are off by more than 10 % in the median: median predicted / measured."""
    lines = ["| machine | runtime | families off by more than 10 %: median of predicted / measured (runs) |", "|---|---|---|"]
    for (machine, runtime), own in sorted(grouped(rows, board).items()):  # type: ignore[misc]
        families = grouped([row for row in own if row.predicted.measured.family], lambda row: row.predicted.measured.family)
        scores = {
            name: score([r.predicted.latency_s for r in of], [r.predicted.measured.latency_s for r in of])
            for name, of in families.items()
        }
        far = sorted((found.bias, name, found.n) for name, found in scores.items() if found.median > 0.1)
        names = ", ".join(f"{name} {bias:.2f} ({n})" for bias, name, n in far)
        lines.append(f"| `{machine}` | `{runtime}` | {names or 'none'} |")
    return lines


def energy_table(rows: Sequence[Row]) -> list[str]:
    """The same for energy, where it was measured and is predicted."""
    lines = ["| machine | runtime | runs | median | p90 | bias |", "|---|---|---:|---:|---:|---:|"]
    known = [row for row in rows if row.predicted.measured.energy_j and row.predicted.energy_j]
    for (machine, runtime), own in sorted(grouped(known, board).items()):  # type: ignore[misc]
        found = score([row.predicted.energy_j or 0.0 for row in own], [row.predicted.measured.energy_j or 0.0 for row in own])
        cells = (f"`{machine}`", f"`{runtime}`", str(found.n), percent(found.median), percent(found.p90), f"{found.bias:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines if known else []


def sources(rows: Sequence[Measurement]) -> str:
    """Where the rows were published, each place once."""
    places = dict.fromkeys(row.source.split(", ")[0].split(":")[0] for row in rows)
    return "Measurements: " + "; ".join(places) + "."


def written(text: str, section: str, lines: Sequence[str]) -> str:
    """The document with other lines between the marks of a section."""
    begin, end = f"<!-- {section}: benchmarks/accuracy.py -->", f"<!-- end of {section} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"no section '{section}' in the document: it stands between '{begin}' and '{end}'")
    before, rest = text.split(begin)
    return before + "\n".join((begin, *lines, end)) + rest.split(end)[1]


def main() -> None:
    """Read, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="measurement files; default: those in measurements/")
    parser.add_argument("--section", default="shipped", help="which tables of the document")
    parser.add_argument("--document", type=Path, default=_ROOT / "docs" / "accuracy.md")
    options = parser.parse_args()
    files = options.files or sorted((_ROOT / "measurements").glob("*.csv"))
    rows, predicted, unpredicted = list[Row](), list[Predicted](), []
    for path in files:
        found = sim.validate(path)
        load = load_of(path.parent, None, None)
        rows += [row_of(row, load) for row in found.rows]
        predicted += found.rows
        unpredicted += found.unpredicted
        print(f"{path.name}: {len(found.rows)} rows, {len(found.unpredicted)} not predicted")
    picture = options.document.parent / "images" / f"accuracy_{options.section}.png"
    save(figure(Validation(tuple(predicted), tuple(unpredicted), ()), size_in=(7.0, 6.0))[0], picture)
    energy = energy_table(rows)
    lines = ["", *latency_table(rows), "", *(["Energy:", "", *energy, ""] if energy else [])]
    if options.section == "exported":
        lines += ["Residuals by family, in sample:", "", *family_table(rows), ""]
    lines += [sources([measured for path in files for measured in rows_of(path)[0]]), ""]
    lines += [f"![Predicted against measured latency](images/{picture.name})", ""]
    options.document.write_text(written(options.document.read_text("utf-8"), options.section, lines), "utf-8")


if __name__ == "__main__":
    main()
