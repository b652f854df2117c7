"""`sim compare` and `sim recommend` as a user calls them."""

import csv
import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

import simulator as sim_library
from tests.cli.command import estimated, good, sim

TRIO = ("compare", "mobilenet_v1:width=0.25,resolution=128", "resnet8", "resnet50", "--hw", "stm32h743", "--hw", "gap9")
CHOICE = ("recommend", "--hw", "stm32h743", "--task", "cifar10")

# ---- compare ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_fit_and_show_whole_names(width: int) -> None:
    done = good(*TRIO, "--precision", "fp32,int8", COLUMNS=str(width))
    assert max(map(cell_len, done.lines)) <= width
    assert "…" not in done.out
    assert ("mobilenet_v1:w=0.25,r=128   int8" in done.out) == (width < 120)


def test_the_table_says_what_the_estimate_says() -> None:
    out = good("compare", "resnet8", "--hw", "gap9", "--precision", "int8", COLUMNS="120").out
    totals = estimated("resnet8", "--hw", "gap9", "--precision", "int8")["totals"]
    (row,) = [line.split() for line in out.splitlines() if line.startswith("resnet8")]
    assert row[:2] == ["resnet8", "int8"]
    assert float(row[2]) == pytest.approx(totals["latency_s"] * 1e6, rel=5e-3)
    assert float(row[4]) == pytest.approx(totals["energy_j"] * 1e6, rel=5e-3)
    assert row[-3:] == ["yes", "85.0", "%"]


def test_the_best_of_each_machine_is_marked() -> None:
    lines = good("compare", "ds_cnn", "resnet8", "--hw", "gap9", "--precision", "int8").lines
    (best,) = [line for line in lines if line.startswith("ds_cnn")]
    (other,) = [line for line in lines if line.startswith("resnet8")]
    assert best.count("*") == 3  # latency, energy, memory
    assert "*" not in other
    assert any(line.strip().startswith("*: best of its machine") for line in lines)


def test_what_cannot_be_is_shown_with_its_reason() -> None:
    out = " ".join(good("compare", "resnet50", "--hw", "stm32h743", "--hw", "hailo8", COLUMNS="200").out.split())
    assert re.search(r"resnet50 as in file on hailo8: .*has no fp32 rate", out)
    assert "too large for sram by" in out
    assert "no energy figures in the file of stm32h743" in out


def test_a_matrix_is_there_for_several_of_both() -> None:
    assert "energy by machine" in good(*TRIO, "--metric", "energy").out
    assert "by machine" not in good("compare", "resnet8", "ds_cnn", "--hw", "gap9").out


def test_many_machines_are_cut_into_tables_that_fit() -> None:
    machines = ["gap9", "hailo8", "stm32h743", "rtx4090", "rpi4", "rpi5", "t4", "jetson_orin_nano:15W"]
    done = good("compare", "resnet8", "ds_cnn", *(x for m in machines for x in ("--hw", m)), "--precision", "int8", COLUMNS="80")
    matrix = done.out.partition("latency by machine")[2]
    assert all(machine in matrix for machine in machines)
    assert max(map(cell_len, done.lines)) <= 80


def test_rows_are_sorted_by_what_is_asked() -> None:
    out = good("compare", "resnet18", "resnet50", "resnet34", "--hw", "rtx4090", "--sort", "accuracy").lines
    assert [line.split()[0] for line in out if line.startswith("resnet")] == ["resnet50", "resnet34", "resnet18"]
    out = good("compare", "resnet18", "resnet50", "resnet34", "--hw", "rtx4090", "--sort", "order").lines
    assert [line.split()[0] for line in out if line.startswith("resnet")] == ["resnet18", "resnet50", "resnet34"]


def test_data_are_those_of_the_library() -> None:
    expected = sim_library.compare(["resnet8", "ds_cnn"], ["gap9"], precisions=["int8"], sort="energy")
    args = ("compare", "resnet8", "ds_cnn", "--hw", "gap9", "--precision", "int8", "--sort", "energy")
    assert good(*args, "--format", "json").json == expected.to_dict()
    assert good(*args, "--format", "csv").out == expected.to_csv()


def test_markdown_has_the_rows_and_the_matrix() -> None:
    out = good(*TRIO, "--precision", "int8", "--format", "md").out
    tables = [block for block in out.split("\n\n") if block.startswith("|")]
    assert [len(table.splitlines()) - 2 for table in tables] == [6, 3]
    assert "| stm32h743 | **" not in out
    assert "**" in tables[0]


@pytest.mark.parametrize("format", ["table", "json", "csv", "md"])
@pytest.mark.parametrize("args", [("compare", "resnet8", "--hw", "gap9"), CHOICE], ids=["compare", "recommend"])
def test_results_go_to_files(args: tuple[str, ...], format: str, tmp_path: Path) -> None:  # noqa: A002
    path = tmp_path / "out.txt"
    done = good(*args, "--format", format, "-o", str(path))
    assert done.out == ""
    printed = good(*args, "--format", format, COLUMNS="100").out
    assert path.read_text("utf-8").split() == printed.split()


# ---- recommend ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "args",
    [
        ("--hw", "stm32h743", "--max-latency", "500ms", "--min-accuracy", "40", "--precision", "int8"),
        ("--hw", "rtx4090", "--max-latency", "1ms", "--max-energy", "1J", "--max-memory", "20MiB", "--max-size", "9MiB",
         "--precision", "int8"),
        ("--model", "resnet8", "--max-latency", "1ms", "--max-energy", "1mJ"),
    ],
    ids=["networks", "all limits", "machines"],
)  # fmt: skip
def test_recommendations_fit(args: tuple[str, ...], width: int) -> None:
    done = good("recommend", *args, COLUMNS=str(width))
    assert max(map(cell_len, done.lines)) <= width
    assert not any("…" in line.split()[0] for line in done.lines if line and not line.startswith("… and")), "names are whole"
    assert "nearest miss: " in done.out


def test_what_meets_the_limits_is_listed_with_margins() -> None:
    out = good(*CHOICE, "--precision", "int8", "--max-latency", "200ms", COLUMNS="120").out
    seconds = estimated("resnet8", "--hw", "stm32h743", "--precision", "int8")["totals"]["latency_s"]
    assert out.splitlines()[0].strip() == "Networks for stm32h743 with latency ≤ 200ms: 1 of 1"
    margin = re.search(r"ms \+(\d+) %", out)
    assert margin is not None
    assert float(margin[1]) == pytest.approx(100 * (1 - seconds / 0.2), abs=0.5)


def test_empty_results_say_what_stands_in_the_way() -> None:
    out = " ".join(good(*CHOICE, "--max-latency", "1ms").out.split())
    assert "with latency ≤ 1ms: 0 of 2" in out
    assert (
        "nothing meets all limits; most stands in the way: latency, missed by 2 of 2; without the limit of latency, 2 would do"
        in out
    )
    assert re.search(r"nearest miss: resnet8 int8, latency [\d.]+ ms is [\d.]+ times the limit", out)


def test_unknown_energies_are_said() -> None:
    out = " ".join(good(*CHOICE, "--max-energy", "1J").out.split())
    assert "energy is not known of 2, whose machine's file lacks figures for it" in out


def test_top_rows_and_the_others_are_counted() -> None:
    args = ("recommend", "--model", "resnet8", "--max-latency", "1 s", "--precision", "int8")
    rows = good(*args, "--format", "csv").out
    met = sum(row["meets"] == "True" for row in csv.DictReader(io.StringIO(rows)))
    assert f"… and {met - 3} more that do" in good(*args, "--top", "3").out
    assert "more that do" not in good(*args, "--top", "0").out


def test_recommendations_as_data() -> None:
    found = good(*CHOICE, "--format", "json").json
    assert found["counts"] == {"met": 2, "missed": 0, "impossible": 0, "missed_by": {}, "missed_alone": {}}
    assert {row["margin_capacity"] is not None for row in found["rows"]} == {True}
    table = good(*CHOICE, "--format", "md").out
    assert table.startswith("**Networks for stm32h743: 2 of 2**\n\n|  | type |")


def test_published_accuracies_are_shown_with_their_sources() -> None:
    out = good("models", "show", "mobilenet_v1:width=0.5", COLUMNS="120").out
    assert "63.3 % top-1, fp32, ImageNet-1k [slim]" in out
    assert "62.2 % top-1, int8, ImageNet-1k (trained with quantization) [slim]" in out
    assert re.search(r"width=0.25, resolution=128 +41.5 % +39.9 %", out)
    assert "[slim] tensorflow/models@02c04f49" in out
    assert "none at these parameters" in good("models", "show", "mobilenet_v1:width=0.6").out
    assert "accuracy" not in good("models", "show", "gemm").out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("model", ["mobilenet_v1", "mobilenet_v2", "resnet50", "efficientnet_b2", "autoencoder"])
def test_accuracies_fit(model: str, width: int) -> None:
    assert max(map(cell_len, good("models", "show", model, COLUMNS=str(width)).lines)) <= width


# ---- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("compare", "resnet8", "--hw", "gap9", "--sort", "latenzy"), ("no figure 'latenzy'", "did you mean 'latency'")),
        (("compare", "resnet8", "--hw", "gap9", "--metric", "speed"), ("no figure 'speed'", "known: latency")),
        (("compare", "resnet8", "--hw", "gap9", "--precision", "int8,,fp32"), ("commas between", "int8,fp32")),
        (("compare", "resnet8", "--hw", "gap9", "--precision", "int9"), ("no precision 'int9'", "did you mean 'int")),
        (("compare", "resnet8", "--hw", "gap10"), ("gap10", "did you mean 'gap9'")),
        (("compare", "resnet9", "--hw", "gap9"), ("resnet9",)),
        (("recommend", "--hw", "gap9", "-o", "x.png"), ("x.png", "no pictures", "--format")),
        (("recommend",), ("either --hw", "--model")),
        (("recommend", "--hw", "gap9", "--model", "resnet8"), ("either --hw",)),
        (("recommend", "--hw", "gap9", "--max-latency", "100"), ("limit of latency", "no unit")),
        (("recommend", "--hw", "gap9", "--max-memory", "100ms"), ("limit of memory", "bytes")),
        (("recommend", "--hw", "gap9", "--min-accuracy", "0.7"), ("per cent", "write 70")),
        (("recommend", "--hw", "gap9", "--task", "cats"), ("no task 'cats'", "imagenet")),
        (("recommend", "--hw", "gap9", "-o", "x.SVG"), ("x.SVG", "no pictures")),
        (("recommend", "--hw", "gap9", "--format", "csv", "-o", "nowhere/x.csv"), ("nowhere",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value[0] in ("compare", "recommend") else "",
)
def test_bad_input_is_one_message(args: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = sim(*args)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == 1
    for word in words:
        assert word in done.err
