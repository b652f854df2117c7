"""`sim whatif`, `sweep`, `solve`, `sensitivity`, `pareto` as a user calls them."""

import csv
import io
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image
from rich.cells import cell_len

from tests.cli.command import command, environment, good, sim

BANDWIDTH = "memories.dram.bandwidth"
WIDTHS = pytest.mark.parametrize("width", [80, 120])


def refused(*args: str) -> str:
    """What `sim ARGS` says on standard error, which is one message and exit code 2."""
    done = sim(*args)
    assert done.code == 2, done.out + done.err
    assert "Traceback" not in done.err
    return done.err


# ---- whatif -----------------------------------------------------------------------------------------------------------


def test_whatif_one_scenario() -> None:
    done = good("whatif", "mobilenet_v2", "--hw", "rpi4", "--set", f"{BANDWIDTH}=2x", "--precision", "int8")
    assert f"what if precision=int8, {BANDWIDTH}=2x" in done.out
    row = next(line for line in done.lines if line.startswith("weights"))
    assert "×0.254" in row
    assert "kernels that made the difference" in done.out


def test_whatif_json_has_estimates_and_ratios() -> None:
    found = good("whatif", "resnet8", "--hw", "rpi4", "--set", f"{BANDWIDTH}=0.5x", "--format", "json").json
    before, after = found["scenarios"]
    assert (before["name"], after["name"], after["changes"]) == ("before", "changed", [f"{BANDWIDTH}=0.5x"])
    assert after["ratios"]["latency"] == after["totals"]["latency_s"] / before["totals"]["latency_s"] > 1


@WIDTHS
def test_whatif_scenarios_side_by_side(width: int) -> None:
    done = good(
        "whatif", "mobilenet_v2", "--hw", "rpi4", "--each", "--set", f"{BANDWIDTH}=2x", "--set", "sparsity=0.9", "--scenario",
        "half: width=0.5 resolution=160", "--scenario", "odd: precision=fp8", COLUMNS=str(width),
    )  # fmt: skip
    for name in ("before", f"{BANDWIDTH}=2x", "sparsity=0.9", "all together", "half", "odd"):
        assert any(line.lstrip().startswith(name) for line in done.lines), name
    assert "accuracy falls" in done.out
    assert "rpi4 has no fp8 rate" in done.out
    assert all(cell_len(line) <= width for line in done.lines)


def test_whatif_keeps_what_is_not_possible_with_its_reason() -> None:
    done = good(
        "whatif", "resnet8", "--hw", "edgetpu_usb", "--base", "precision=int8", "--scenario", "tall: channels=0.5@nothing",
        "--scenario", "more: batch=2",
    )  # fmt: skip
    assert "not possible" in done.out
    assert "nothing" in done.out


def test_whatif_base_and_picture(tmp_path: Path) -> None:
    path = tmp_path / "change.png"
    done = good("whatif", "resnet50", "--hw", "a100_sxm_80", "--base", "precision=fp16", "--batch", "32", "-o", str(path))
    assert "fp16 · batch 1" in done.out
    with Image.open(path) as picture:
        assert picture.size[0] > 600


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "nothing is changed"),
        (("--set", "memories.dram.bandwith=2x"), "did you mean 'memories.dram.bandwidth'"),
        (("--set", "bandwidth=2x"), "nothing is called 'bandwidth'"),
        (("--set", "sparsty=0.9"), "did you mean 'sparsity'"),
        (("--set", f"{BANDWIDTH}"), "write NAME=VALUE"),
        (("--scenario", "empty:"), "write NAME=VALUE"),
        (("--scenario", ": batch=2"), "write 'NAME: SETTING"),
        (("--scenario", "before: batch=2"), "none of them 'before'"),
        (("--set", "process=abc"), "process=abc: 'abc' is not a quantity"),
        (("--scenario", "a: channels=2", "--scenario", "b: mode=7W"), "b: rpi4 has no mode '7W'"),
        (("--base", "precision=int9", "--set", "batch=2"), "int9"),
    ],
)
def test_whatif_refuses(args: tuple[str, ...], says: str) -> None:
    assert says in refused("whatif", "mobilenet_v2", "--hw", "rpi4", *args)


# ---- sweep ------------------------------------------------------------------------------------------------------------


def test_sweep_writes_and_repeats(tmp_path: Path) -> None:
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    done = good(
        "sweep",
        "resnet8",
        "ds_cnn",
        "--hw",
        "rpi4",
        "--vary",
        f"{BANDWIDTH}=0.5x..2x:log:5",
        "--vary",
        "batch=1,2",
        "-o",
        str(first),
    )
    assert "20 points" in done.out
    assert f"wrote {first}" in done.err
    good("sweep", "--repeat", str(first), "-o", str(again))
    assert first.read_bytes() == again.read_bytes()
    rows = list(csv.DictReader(line for line in first.read_text().splitlines() if not line.startswith("#")))
    assert len(rows) == 20
    assert {row["model"] for row in rows} == {"resnet8", "ds_cnn"}


@WIDTHS
def test_sweep_table_fits_the_terminal(width: int) -> None:
    done = good(
        "sweep", "resnet50", "--hw", "a100_sxm_80", "--hw", "h100_sxm", "--precision", "fp16", "--vary", "batch=1..64:x2",
        "--vary", "memories.hbm.bandwidth=0.5x..4x:log:9", "--where", "energy<1J",
        "--derive", "edp=energy*latency", "--sort", "edp", COLUMNS=str(width),
    )  # fmt: skip
    assert all(cell_len(line) <= width for line in done.lines)
    assert "do not meet energy<1J" in done.out
    assert "have no value: memory 'l2' is slower" in " ".join(done.out.split())


def test_sweep_formats() -> None:
    vary = ("sweep", "resnet8", "--hw", "rpi4", "--vary", "precision=fp32,int8")
    rows = list(csv.DictReader(io.StringIO(good(*vary, "--format", "csv").out)))
    assert [row["precision"] for row in rows] == ["fp32", "int8"]
    found = good(*vary, "--format", "json").json
    assert found["points"] == found["kept"] == 2
    assert found["rows"][0]["precision"] == "int8"
    assert float(rows[1]["latency_s"]) == found["rows"][0]["latency_s"]


@pytest.mark.parametrize(
    "vary",
    [("batch=1..64:x2", f"{BANDWIDTH}=0.5x,1x"), (f"{BANDWIDTH}=0.1x..2x:log:20", "engines.cores.peak.fp32=0.1x..2x:log:20")],
)
def test_sweep_draws(tmp_path: Path, vary: tuple[str, str]) -> None:
    path = tmp_path / "sweep.svg"
    good("sweep", "resnet8", "--hw", "rpi4", "--vary", vary[0], "--vary", vary[1], "-o", str(path))
    assert path.read_text(encoding="utf-8").startswith("<?xml")


def test_sweep_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-C in a process of its own: exit code 130, and the same command goes on."""
    path = tmp_path / "long.csv"
    args = (
        "sweep", "resnet8", "--hw", "a100_sxm_80", "--vary", "memories.hbm.bandwidth=0.5x..1x:log:700", "--vary",
        "engines.tensor.peak.fp32=0.5x..1x:log:1000", "-o", str(path),
    )  # fmt: skip
    running = subprocess.Popen(command(*args), env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    journal = tmp_path / "long.csv.partial.json"
    end = time.monotonic() + 50
    while not journal.exists() and running.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    if running.returncode == 0:
        pytest.skip("done before it could be stopped")
    assert running.returncode == 130, err
    assert "goes on from there" in err
    assert "Traceback" not in err
    done = good(*args)
    assert "were there already" in done.out
    assert len(path.read_bytes().splitlines()) == 700_000 + 2
    assert os.listdir(tmp_path) == ["long.csv"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--vary", "memories.dram.bandwith=1GB/s..2GB/s"), "did you mean 'memories.dram.bandwidth'"),
        (("--vary", f"{BANDWIDTH}=2GB/s..1GB/s"), "is empty"),
        (("--vary", f"{BANDWIDTH}=1GHz..2GHz"), "not one of bytes per s"),
        (
            ("--vary", f"{BANDWIDTH}=0.1x..1x:log:1000000", "--vary", "engines.cores.clock=0.1x..1x:log:1000000"),
            "= 1,000,000,000,000 points",
        ),
        (("--vary", "precision=fp99"), "no precision 'fp99'"),
        (("--vary", "batch=1,2", "--where", "latncy<1"), "did you mean 'latency'"),
        (("--vary", "batch=1,2", "--where", "latency<30bananas"), "no unit 'bananas'"),
        (("--vary", "batch=1,2", "--sort", "speed"), "no such column"),
        (("--vary", "batch=1,2", "--sample", "many"), "a number of points"),
        (("--vary", "batch=1,2", "-o", "x.xlsx"), ".csv or .parquet"),
        (("--vary", "batch=1,2", "-o", "nowhere/x.csv"), "no folder"),
        (("--vary", "batch=1,2", "-o", "a.csv", "-o", "b.csv"), "one file of rows"),
        (("--repeat", "absent.csv"), "leave MODEL"),
        (("--format", "csv", "-o", "a.csv"), "one of both"),
        (("--where", "latency<=33mJ"), "not one of seconds"),
        (("--vary", "hardware=rpi4"), "--hw HW"),
    ],
)
def test_sweep_refuses(args: tuple[str, ...], says: str) -> None:
    assert says in refused("sweep", "resnet8", "--hw", "rpi4", *args)


def test_sweep_without_anything() -> None:
    assert "a network and a machine" in refused("sweep")
    assert "cannot be read" in refused("sweep", "--repeat", "absent.csv")
    for option in (("--batch", "2"), ("--where", "fits"), ("--sample", "3"), ("--set", "batch=2"), ("--dim", "N=1")):
        assert "takes the whole study" in refused("sweep", "--repeat", "absent.csv", *option)


def test_what_is_infinite_is_null_in_json_and_a_sign_in_tables() -> None:
    args = ("sweep", "resnet8", "--hw", "rpi4", "--derive", "x=1/0", "--sort", "x")
    assert good(*args, "--format", "json").json["rows"][0]["x"] is None
    done = good(*args)
    assert done.lines[0].startswith("1 point,")
    assert done.lines[-1].split()[0] == "∞"


def test_studies_in_files_that_no_sweep_wrote(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    good("sweep", "resnet8", "--hw", "rpi4", "--vary", "batch=1,2", "-o", str(path))
    for wrong in ('"seed": -5', '"seed": true', '"seed": 1e3'):
        (tmp_path / "w.csv").write_text(path.read_text().replace('"seed": 0', wrong))
        assert "not a study" in refused("sweep", "--repeat", str(tmp_path / "w.csv"))


# ---- solve and sensitivity --------------------------------------------------------------------------------------------


def test_solve_says_the_value_and_its_edge() -> None:
    done = good("solve", "mobilenet_v2", "--hw", "rpi4", "--vary", BANDWIDTH, "--target", "latency<=20ms")
    assert f"{BANDWIDTH}: at least" in done.out
    found = good(
        "solve", "mobilenet_v2", "--hw", "rpi4", "--vary", BANDWIDTH, "--target", "latency<=20ms", "--format", "json"
    ).json
    (value,) = found["values"]
    assert found["solved"]
    check = good("whatif", "mobilenet_v2", "--hw", "rpi4", "--set", f"{BANDWIDTH}={value['setting']}", "--format", "json").json
    assert check["scenarios"][1]["totals"]["latency_s"] == found["at"]["latency_s"] <= 20e-3


def test_solve_says_what_stands_in_the_way() -> None:
    done = good("solve", "mobilenet_v2", "--hw", "rpi4", "--vary", BANDWIDTH, "--target", "latency<=2ms")
    assert "gives latency<=2ms" in done.out
    assert "in the way: kernels bound by compute" in done.out


def test_sensitivity_prints_and_draws(tmp_path: Path) -> None:
    path = tmp_path / "tornado.pdf"
    asked = ("sensitivity", "resnet50", "--hw", "a100_sxm_80", "--precision", "fp16")
    for width in (80, 120):
        done = good(*asked, "--batch", "64", "-o", str(path), COLUMNS=str(width))
        assert all(cell_len(line) <= width for line in done.lines)
    assert path.read_bytes().startswith(b"%PDF")
    found = good(*asked, "--batch", "64", "--format", "json").json
    assert found["effects"][0]["name"] in done.out
    assert "no figure of the machine has an effect on latency" in refused(*asked, "-o", str(path))  # the host sets it


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("solve", "resnet8", "--hw", "rpi4"), "a figure to vary"),
        (("solve", "resnet8", "--hw", "rpi4", "--vary", BANDWIDTH, "--target", "latency"), "states no condition"),
        (("solve", "resnet8", "--hw", "rpi4", "--vary", BANDWIDTH, "--target", "fits", "-o", "x.png"), "draws nothing"),
        (("sensitivity", "resnet8", "--hw", "rpi4", "--figure", "batch"), "is no figure"),
        (("solve", "resnet8", "--hw", "rpi4", "--vary", f"{BANDWIDTH}=1GHz..2GHz", "--target", "latency<1s"), "not one of"),
        (("sensitivity", "resnet8", "--hw", "rpi4", "--figure", "memories.dram.bandwith"), "did you mean"),
        (("sensitivity", "resnet8", "--hw", "rpi4", "-o", "x.txt"), "not a picture format"),
    ],
)
def test_solve_and_sensitivity_refuse(args: tuple[str, ...], says: str) -> None:
    done = sim(*args)
    assert (done.code, done.out) == (2, "")  # before anything is printed
    assert says in done.err


# ---- pareto -----------------------------------------------------------------------------------------------------------


def test_pareto_of_networks(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    done = good(
        "pareto", "mobilenet_v2", "resnet50", "efficientnet_b0", "resnet18", "--hw", "rpi4", "--objective", "latency",
        "--objective", "accuracy", "-o", str(path),
    )  # fmt: skip
    assert "of 4 points on the front of latency_s (less is better), accuracy (more is better)" in " ".join(done.out.split())
    assert path.stat().st_size > 1000


def test_pareto_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("name,latency_s,accuracy\na,1,70\nb,2,80\nc,3,75\nd,4,\n")
    done = good("pareto", str(table), "--objective", "latency_s", "--objective", "accuracy", "--name", "name")
    assert "2 of 4 points" in done.out
    assert "1 point lacks a value" in done.out
    found = good("pareto", str(table), "--objective", "latency_s", "--objective", "accuracy", "--format", "json").json
    assert [row["name"] for row in found["front"]] == ["a", "b"]
    assert found["hypervolume"] == pytest.approx(10.0)  # (3 − 2) · (80 − 70)


def test_pareto_without_finite_numbers(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("a,b\n1,inf\n2,1\n")
    assert "column 'b' has infinite values" in refused("pareto", str(table), "--objective", "a", "--objective", "b")


def test_pareto_of_a_sweep(tmp_path: Path) -> None:
    rows = tmp_path / "sweep.csv"
    good("sweep", "resnet8", "--hw", "rpi4", "--vary", f"{BANDWIDTH}=0.5x..2x:log:9", "-o", str(rows))
    done = good("pareto", str(rows), "--objective", "latency", "--objective", "memories.dram.bandwidth_bytes_per_s:less")
    assert "of 9 points" in done.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("absent.csv", "--objective", "a", "--objective", "b"), "cannot be read"),
        (("resnet8", "--hw", "rpi4", "--objective", "latency"), "two objectives"),
        (("resnet8", "--hw", "rpi4", "--objective", "latency", "--objective", "sped"), "no column 'sped'"),
        (("resnet8",), "at least one machine: --hw"),
        (("table.csv", "--hw", "rpi4", "--objective", "a", "--objective", "b"), "has its rows already"),
        (("resnet8", "--hw", "rpi4", "--reference", "x"), "plain numbers"),
    ],
)
def test_pareto_refuses(args: tuple[str, ...], says: str) -> None:
    assert says in refused("pareto", *args)


def test_studies_are_in_the_help() -> None:
    listed = good("--help").out
    for name in ("whatif", "sweep", "solve", "sensitivity", "pareto", "compare", "recommend"):
        assert name in listed


def test_a_sweep_says_what_is_computed_wider() -> None:
    """Whichever of the precisions comes first."""
    for given in ("int8,fp8", "fp8,int8"):
        assert "no fp8 rate" in good("sweep", "ds_cnn", "--hw", "stm32h743", "--vary", f"precision={given}").out.replace(
            "\n", " "
        )


@pytest.mark.parametrize("path", ["engines.core.units=1.5", "engines.core.units=1.5x"])
def test_pieces_of_hardware_are_whole(path: str) -> None:
    assert "'1.5' is not a whole number" in refused("whatif", "ds_cnn", "--hw", "stm32h743", "--set", path)


def test_exits_are_an_axis_and_each_row_is_what_whatif_says(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    vary = ("--vary", "exit=layer2.1.relu:0,layer2.1.relu:0.6", "--vary", f"{BANDWIDTH}=1x,2x")
    good("sweep", "resnet18", "--hw", "rpi4", *vary, "-o", str(path))
    with path.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(rows) == 4
    for row in rows:
        asked = ("--set", f"exit={row['exit']}", "--set", f"{BANDWIDTH}={row[BANDWIDTH]}")
        found = good("whatif", "resnet18", "--hw", "rpi4", *asked, "--format", "json").json
        totals = found["scenarios"][-1]["totals"]
        assert (float(row["latency_s"]), float(row["energy_j"])) == (totals["latency_s"], totals["energy_j"])
        assert (row["bound"], row["fits"]) == (totals["bound"], str(totals["fits"]))


def test_exits_have_no_columns() -> None:
    exits = ("resnet18", "--hw", "rpi4", "--set", "exit=layer2.1.relu:0.6")
    assert "exits are weighed by whatif and sweep alone" in refused("sensitivity", *exits)
    assert "exits are weighed by whatif and sweep alone" in refused(
        "solve", *exits, "--vary", BANDWIDTH, "--target", "latency<=60ms"
    )


def test_solve_comes_as_near_to_its_target_as_it_can() -> None:
    """Not as near to the least latency: low bandwidth takes least power."""
    asked = ("--precision", "fp16", "--batch", "64", "--vary", "memories.hbm.bandwidth", "--target", "power<=10W")
    done = good("solve", "resnet50", "--hw", "a100_sxm_80", *asked)
    assert "in the way: energy of static" in done.out
    row = next(line for line in done.lines if line.startswith("power"))
    assert "×0.2" in row
    small = good(
        "solve",
        "mobilenet_v2",
        "--hw",
        "stm32h743",
        "--precision",
        "int8",
        "--vary",
        "memories.sram.capacity",
        "--target",
        "fits",
    )
    assert "in the way: flash too small by 1.38 MiB" in small.out


def test_a_sweep_says_what_does_not_fit_and_its_front_leaves_it_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    models = ("mobilenet_v2", "mobilenet_v1:width=0.25,resolution=128")
    done = good("sweep", *models, "--hw", "stm32h743", "--precision", "int8", "-o", str(path), COLUMNS="80")
    assert "fits" in done.out
    front = good("pareto", str(path), "--objective", "latency", "--objective", "accuracy")
    assert "1 of 1 point" in front.out
    assert "1 rows that do not fit into their machine are left out" in front.out


def test_energies_that_lack_a_part_are_no_better_for_it() -> None:
    machines = ("--hw", "rtx4090", "--hw", "rpi4")
    front = good(
        "pareto", "mobilenet_v2", "resnet18", *machines, "--precision", "int8", "--objective", "energy", "--objective", "accuracy"
    )
    assert "rpi4" in front.out
    assert "≥ energy without static power: none in the file of rtx4090" in front.out.replace("\n", " ")


def test_precisions_may_be_repeated() -> None:
    found = good("compare", "resnet8", "--hw", "rpi4", "--precision", "fp32", "--precision", "int8", "--format", "json").json
    assert [row["precision"] for row in found["rows"]] == ["int8", "fp32"]
