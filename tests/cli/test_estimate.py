"""`sim estimate`: every option, every format, and what each promises to those who read or parse it."""

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from rich.cells import cell_len
from support.graphs import model, node, value, weight
from support.machines import MACHINE_FILE

from simulator.io.hardware_reader import hardware_ids
from simulator.result.metrics import METRICS, SORT_KEYS
from simulator.transform.precision import AUTOCAST, PRECISIONS
from tests.cli.command import ESCAPE, command, environment, estimated, good, process, sim

FORMATS = ("table", "json", "csv", "md")
SMALL = ("ds_cnn", "--hw", "stm32l4r5", "--precision", "int8")
PAIRS = (
    SMALL,
    ("resnet50", "--hw", "a100_sxm_80", "--precision", "fp16", "--batch", "8"),
    ("vit_b_16", "--hw", "tpu_v5e", "--precision", "bf16"),
    ("bert_base", "--hw", "rtx4090", "--precision", "fp16"),
    ("mobilenet_v2", "--hw", "rpi4"),
    ("mobilenet_v1", "--hw", "edgetpu_usb", "--precision", "int8"),
    ("resnet50", "--hw", "zcu102", "--precision", "int8"),
    ("resnet8", "--hw", "ethos_u55_128", "--precision", "int8"),
    ("densenet121", "--hw", "xeon_8480p"),
    ("shufflenet_v2_x1_0", "--hw", "jetson_orin_nano:15W", "--precision", "fp16"),
    ("vgg16", "--hw", "stm32h743", "--precision", "int8"),  # does not fit
)
EACH_PAIR = pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0]}@{p[2]}")


def written(folder: Path, proto: onnx.ModelProto, name: str = "net.onnx") -> str:
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return str(path)


def one_matmul(name: str = "n", op_type: str = "MatMul", **attrs: object) -> onnx.ModelProto:
    domain = str(attrs.get("domain", ""))
    return model(
        [node(op_type, "x w", "y", name=name, **attrs)], [value("x", 1, 8)], ["y"], [weight("w", 8, 8)],
        domains=[domain] if domain else [],
    )  # fmt: skip


def open_model() -> onnx.ModelProto:
    """A batch and a sequence length that the file leaves open."""
    return model([node("MatMul", "x w", "y")], [value("x", "batch", "seq", 8)], ["y"], [weight("w", 8, 8)])


# ---- JSON ---------------------------------------------------------------------------------------------------------------

NUMBER = (int, float)
# What DESIGN fixed, and what docs/json.md added since.
FIELDS: dict[str, dict[str, Any]] = {
    "model": {
        "name": str, "opset": int, "nodes": int, "params": int, "macs": int, "flops": int, "weight_bytes": int,
        "activation_elements_total": int, "activation_elements_peak": int, "inputs": dict, "outputs": dict,
        "receptive_field": (int, type(None)),
    },
    "hardware": {"id": str, "name": str, "class": str, "mode": (str, type(None))},
    "settings": {"batch": int, "precision": (str, type(None)), "overlap": str, "runtime": str},
    "totals": {
        "latency_s": float, "latency_interval_s": (list, type(None)), "bound_latency_s": float, "throughput_per_s": float,
        "energy_j": (float, type(None)),
        "compute_s": float, "memory_s": float, "overhead_s": float, "bound": str, "arithmetic_intensity_op_per_byte": float,
        "traffic_bytes": dict, "energy_breakdown_j": dict, "peak_activation_bytes": int, "weight_bytes": int, "cache_bytes": int,
        "fits": bool,
        "ridge_op_per_byte": float, "memory": dict, "energy_by_class_j": (dict, type(None)), "energy_by_memory_j": dict,
        "energy_defaults": list, "transfer_s": float, "waiting_s": float,
    },
    "coverage": {"ops_without_rule": dict, "tensors_without_shape": int, "data_dependent_shapes": int},
}  # fmt: skip
LAYER: dict[str, Any] = {
    "name": str, "op_type": str, "origin": list, "engine": str, "macs": int, "ops": int, "weight_bytes": int, "input_bytes": int,
    "output_bytes": int, "compute_s": float, "memory_s": float, "latency_s": float, "bound": str,
    "arithmetic_intensity_op_per_byte": (float, type(None)), "energy_j": (float, type(None)),
    "kind": str, "rate": str, "added": bool, "recomputed": list, "moved_bytes": int, "overhead_s": float, "transfer_s": float,
}  # fmt: skip


def has_exactly(section: dict[str, Any], fields: dict[str, Any], where: str) -> None:
    assert section.keys() == fields.keys(), where
    for key, kinds in fields.items():
        assert isinstance(section[key], kinds), f"{where}.{key} is {section[key]!r}"
        assert kinds is bool or not isinstance(section[key], bool), f"{where}.{key} is {section[key]!r}"


@EACH_PAIR
def test_json_has_the_fixed_fields(pair: Sequence[str]) -> None:
    found = estimated(*pair)
    assert found.keys() == {"schema", *FIELDS, "layers", "warnings"}
    assert found["schema"] == 1
    for section, fields in FIELDS.items():
        has_exactly(found[section], fields, section)
    assert found["layers"]
    for layer in found["layers"]:
        has_exactly(layer, LAYER, f"layers[{layer['name']}]")
        assert layer["origin"]
        assert all(isinstance(name, str) for name in layer["origin"])
        assert layer["bound"] in ("compute", "memory", "overhead")
    for tensor in (*found["model"]["inputs"].values(), *found["model"]["outputs"].values()):
        assert tensor.keys() == {"shape", "dtype"}
        assert all(isinstance(dim, int) for dim in tensor["shape"])
        assert isinstance(tensor["dtype"], str)
    assert found["hardware"]["class"] in ("cpu", "gpu", "tpu", "npu", "mcu", "fpga")
    assert found["totals"]["bound"] in ("compute", "memory", "overhead")
    assert all(isinstance(moved, int) for moved in found["totals"]["traffic_bytes"].values())
    assert {"compute", "memory", "static"} <= found["totals"]["energy_breakdown_j"].keys()
    assert all(isinstance(warning, str) and warning for warning in found["warnings"])


@EACH_PAIR
def test_json_agrees_with_itself(pair: Sequence[str]) -> None:
    found = estimated(*pair)
    totals, layers = found["totals"], found["layers"]
    assert totals["throughput_per_s"] == pytest.approx(found["settings"]["batch"] / totals["latency_s"], rel=1e-12)
    assert totals["bound_latency_s"] <= totals["latency_s"] * (1 + 1e-12)
    assert sum(layer["macs"] for layer in layers) == found["model"]["macs"]
    assert totals["fits"] == all(memory["fits"] for memory in totals["memory"].values())
    for key in ("compute_s", "memory_s"):
        assert totals[key] == pytest.approx(sum(layer[key] for layer in layers), rel=1e-12)
    if totals["energy_j"] is None:
        assert any("energy" in warning for warning in found["warnings"])
        assert all(layer["energy_j"] is None for layer in layers)
    else:
        parts = [part for part in totals["energy_breakdown_j"].values() if part is not None]
        assert sum(parts) == pytest.approx(totals["energy_j"], rel=1e-12)
        assert sum(totals["energy_by_class_j"].values()) == pytest.approx(totals["energy_j"], rel=1e-12)
        assert totals["energy_by_class_j"].keys() - {"outside"} == {layer["kind"] for layer in layers}
        assert totals["energy_by_memory_j"].keys() == totals["traffic_bytes"].keys()
        assert bool(totals["energy_defaults"]) == any("default figures" in warning for warning in found["warnings"])
        assert totals["energy_j"] > 0


def test_json_is_all_there_is() -> None:
    done = good("estimate", *SMALL, "--format", "json")
    assert done.err == ""
    assert done.out.startswith("{")
    assert done.out.endswith("}\n")
    assert done.out == process("estimate", *SMALL, "--format", "json").stdout


@pytest.mark.parametrize("hardware", hardware_ids())
def test_json_of_every_machine_is_strict(hardware: str) -> None:
    found = estimated("ds_cnn", "--hw", hardware, "--precision", "int8")
    assert found["hardware"]["id"] == hardware
    assert found["totals"]["latency_s"] > 0


def test_json_of_a_network_that_does_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, model([], [value("x", 1, 8)], ["x"]))
    found = estimated(path, "--hw", "t4")
    assert found["layers"] == []
    assert found["model"]["macs"] == 0


# ---- CSV and Markdown ---------------------------------------------------------------------------------------------------


def parsed_csv(text: str) -> list[dict[str, Any]]:
    """The lines of a CSV in the types of JSON."""
    kinds = {m.key: m.quantity for m in METRICS}

    def typed(key: str, cell: str) -> Any:
        if kinds[key] == "text":
            return cell
        if kinds[key] == "flag":
            return cell == "True"
        if kinds[key] == "list":
            return cell.split(";") if cell else []
        return None if cell == "" else int(cell) if kinds[key] in ("count", "bytes") else float(cell)

    return [{k: typed(k, cell) for k, cell in row.items()} for row in csv.DictReader(io.StringIO(text), strict=True)]


@EACH_PAIR
def test_csv_round_trips_to_the_layers(pair: Sequence[str]) -> None:
    done = good("estimate", *pair, "--format", "csv", "--sort", "order")
    assert done.err == ""
    assert parsed_csv(done.out) == estimated(*pair)["layers"]


def test_csv_of_awkward_names_round_trips(tmp_path: Path) -> None:
    path = written(tmp_path, one_matmul('a,"b"\n[/c] ä'))
    assert parsed_csv(good("estimate", path, "--hw", "t4", "--format", "csv").out) == estimated(path, "--hw", "t4")["layers"]


def markdown_rows(text: str) -> list[list[str]]:
    """Cells of the second table of the report, without its head."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| kernel |"))
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[start + 2 :]
        if line.strip() and not line.startswith(">")
    ]


def test_markdown_is_well_formed() -> None:
    done = good("estimate", *SMALL, "--format", "md", "--top", "0")
    rows = markdown_rows(done.out)
    layers = estimated(*SMALL)["layers"]
    assert len(rows) == len(layers)
    assert {row[0] for row in rows} == {layer["name"] for layer in layers}
    assert {len(row) for row in rows} == {10}
    assert done.out.startswith("**ds_cnn** on **STMicroelectronics STM32L4R5ZI**")
    assert " per inference, " in done.out.splitlines()[2]


@pytest.mark.parametrize("name", ["a|b", "a\nb"])
def test_markdown_survives_awkward_names(name: str, tmp_path: Path) -> None:
    rows = markdown_rows(good("estimate", written(tmp_path, one_matmul(name)), "--hw", "t4", "--format", "md").out)
    assert [len(row) for row in rows] == [10]


# ---- the table ----------------------------------------------------------------------------------------------------------

VERDICT = re.compile(
    r"^\S+ \S+ per (inference|batch of \d+), \S+( [kMG])? inferences/s, "
    r"bound by (compute|memory|overhead); (fits|DOES NOT FIT.*)$"
)


def kernel_lines(lines: Sequence[str]) -> list[str]:
    """The lines under the head of the kernel table."""
    start = next(i for i, line in enumerate(lines) if re.match(r" *#? *kernel ", line))
    rest = [re.sub(r"^ *(\d+  )?(?=\S)", "", line) for line in lines[start + 1 :]]  # without the number of a kernel
    return rest[: rest.index("")] if "" in rest else list(rest)


def kernels_counted(lines: Sequence[str]) -> int:
    """How many kernels the lines of a table stand for."""
    total = 0
    for line in kernel_lines(lines):
        more, same = re.match(r"(\d+) more kernels?\b", line), re.match(r"\S+ ×(\d+) ", line)
        total += int(more[1]) if more else int(same[1]) if same else 1
    return total


def test_the_verdict_comes_first() -> None:
    title, verdict, blank, *_ = good("estimate", *SMALL).lines
    assert title == "ds_cnn on STMicroelectronics STM32L4R5ZI   int8 · batch 1 · tflm_cmsis_nn"
    assert VERDICT.match(verdict), verdict
    assert blank == ""


@EACH_PAIR
def test_the_verdict_agrees_with_the_json(pair: Sequence[str]) -> None:
    lines, found = good("estimate", *pair, COLUMNS="120").lines, estimated(*pair)
    match = VERDICT.match(lines[1])
    assert match, lines[1]
    assert match[3] == found["totals"]["bound"]
    assert (match[4] == "fits") == found["totals"]["fits"]
    assert kernels_counted(lines) == len(found["layers"])


@EACH_PAIR
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("options", [[], ["--top", "0"], ["--per-op", "--top", "40"]], ids=" ".join)
def test_the_table_fits_the_terminal(pair: Sequence[str], width: int, options: Sequence[str]) -> None:
    lines = good("estimate", *pair, *options, COLUMNS=str(width)).lines
    too_long = [line for line in lines if cell_len(line) > width]
    assert too_long == []
    cut = [line for line in kernel_lines(lines) if "…" in line[1:]]  # a long name begins with it; a number never has one
    assert cut == []


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "name",
    ["x" * 300, "/model/layers.0/self_attn/q_proj/" * 5, "日本語の名前" * 20, "tab\tbed", "spaced out " * 12],
    ids=["long", "path", "wide", "tab", "spaces"],
)
def test_long_names_cost_no_number(name: str, width: int, tmp_path: Path) -> None:
    lines = good("estimate", written(tmp_path, one_matmul(name)), "--hw", "t4", COLUMNS=str(width)).lines
    assert [line for line in lines if cell_len(line) > width] == []
    (line,) = kernel_lines(lines)
    assert "…" not in line[1:]
    assert " MatMul " in line
    assert line.endswith("100 %  overhead")


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_operator_name_costs_no_number(width: int, tmp_path: Path) -> None:
    path = written(tmp_path, one_matmul("n" * 60, "SkipSimplifiedLayerNormalization", domain="com.acme"))
    lines = good("estimate", path, "--hw", "t4", "--allow-unknown", COLUMNS=str(width)).lines
    assert [line for line in lines if cell_len(line) > width] == []
    (line,) = kernel_lines(lines)
    assert line.endswith("100 %  overhead")


@pytest.mark.parametrize("name", ["conv[/a]", "conv[bold]x", "[red]", "[link=x]y", "a\\[b"])
def test_names_are_not_markup(name: str, tmp_path: Path) -> None:
    lines = good("estimate", written(tmp_path, one_matmul(name)), "--hw", "t4").lines
    assert kernel_lines(lines)[0].startswith(f"{name} ")


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = written(tmp_path, one_matmul("a\x1b[31mb\x1b]0;title\x07"))
    for form in ("table", "md"):
        assert "\x1b" not in good("estimate", path, "--hw", "t4", "--format", form).out


@pytest.mark.parametrize("columns", ["0", "-5", "wide", "", "²", "99999"])
def test_an_odd_width_is_no_reason_to_fail(columns: str) -> None:
    good("estimate", *SMALL, COLUMNS=columns)


# ---- colours, pipes, processes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_no_escape_codes_without_a_terminal(form: str) -> None:
    for env in ({"TERM": "xterm-256color"}, {"NO_COLOR": "1"}):
        assert "\x1b" not in good("estimate", *SMALL, "--format", form, **env).out


def test_a_process_without_a_terminal_prints_no_escape_codes() -> None:
    done = process("estimate", *SMALL, env={"TERM": "xterm-256color"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


def in_terminal(*args: str, **env: str) -> str:
    """What the command prints in a terminal of its own."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        command(*args), stdin=follower, stdout=follower, stderr=follower,
        env=environment(TERM="xterm-256color", COLUMNS="80", **env),
    )  # fmt: skip
    os.close(follower)
    chunks = []
    try:
        while chunk := os.read(leader, 65536):
            chunks.append(chunk)
    except OSError:  # Linux: the other side has closed
        pass
    os.close(leader)
    assert child.wait(60) == 0
    return b"".join(chunks).decode()


def coloured(text: str) -> bool:
    codes = [int(code) for match in ESCAPE.findall(text) for code in match[2:-1].split(";") if code]
    return any(30 <= code <= 49 or 90 <= code <= 107 for code in codes)


def test_a_terminal_gets_colours() -> None:
    assert coloured(in_terminal("estimate", *SMALL))


def test_no_color_is_honoured_in_a_terminal() -> None:
    assert not coloured(in_terminal("estimate", *SMALL, NO_COLOR="1"))


def test_json_in_a_terminal_is_plain() -> None:
    assert "\x1b" not in in_terminal("estimate", *SMALL, "--format", "json")


def test_a_file_written_from_a_terminal_has_no_escape_codes(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    in_terminal("estimate", *SMALL, "-o", str(path))
    assert "\x1b" not in path.read_text(encoding="utf-8")


def test_head_takes_a_line_and_leaves() -> None:
    child = subprocess.Popen(
        command("estimate", "densenet121", "--hw", "t4", "--per-op", "--format", "json"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert child.stdout
    assert child.stderr
    assert child.stdout.read(1) == b"{"
    child.stdout.close()  # more than a pipe holds is still to come
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 0, err
    assert err == b""


@pytest.mark.parametrize(
    "args",
    [["estimate", *SMALL], ["estimate", *SMALL, "--format", "json"], ["--version"]],
    ids=" ".join,
)
def test_a_pipe_nobody_reads_is_no_error(args: Sequence[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = process(*args, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_message() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = process("estimate", *SMALL, stdout=full)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize(("form", "encoding"), [("table", "ascii"), ("table", "cp1252"), ("md", "cp1252")])
def test_an_old_encoding_is_no_reason_to_fail(form: str, encoding: str) -> None:
    done = process("estimate", *SMALL, "--format", form, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, errors="replace")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_obeys_columns() -> None:
    wide = process("estimate", *SMALL, env={"COLUMNS": "120"}).stdout.splitlines()
    assert 80 < max(map(cell_len, wide)) <= 120
    assert good("estimate", *SMALL).lines == good("estimate", *SMALL, COLUMNS="80").lines  # where nothing says otherwise


def loaded_by(*args: str) -> set[str]:
    """Modules in memory after the command."""
    code = (
        "import sys\nfrom simulator.cli.main import run\n"
        f"sys.argv = ['sim', *{args!r}]\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    return {name for name in done.stderr.split() if "." not in name}


def test_help_loads_little() -> None:
    assert not loaded_by("--help") & {"onnx", "numpy", "matplotlib", "pydantic", "yaml", "networkx", "pandas"}


def test_an_estimate_loads_neither_onnx_nor_plots(tmp_path: Path) -> None:
    path = written(tmp_path, one_matmul())
    assert not loaded_by("estimate", path, "--hw", "t4") & {"onnx", "matplotlib", "networkx", "pandas"}


@pytest.mark.parametrize(("args", "code"), [(SMALL, 0), (("ds_cnn", "--hw", "nosuch"), 2)])
def test_exit_codes_of_the_process(args: Sequence[str], code: int) -> None:
    done = process("estimate", *args)
    assert done.returncode == code
    assert (done.stdout == "") == (code != 0)
    assert (done.stderr == "") == (code == 0)
    assert done.stderr == sim("estimate", *args).err


# ---- options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_output_goes_to_the_file(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"report.{form}"
    path.write_text("old " * 5000, encoding="utf-8")
    done = good("estimate", *SMALL, "--format", form, "-o", str(path))
    assert done.out == ""
    text = path.read_text(encoding="utf-8")
    assert [line.rstrip() for line in text.splitlines()] == good("estimate", *SMALL, "--format", form, COLUMNS="100").lines
    assert "\x1b" not in text


@pytest.mark.parametrize("count", [1, 3, 5, 100])
def test_top_shows_that_many(count: int) -> None:
    layers = estimated(*SMALL)["layers"]
    lines = good("estimate", *SMALL, "--top", str(count)).lines
    assert len([line for line in kernel_lines(lines) if " more kernel" not in line]) <= count
    assert kernels_counted(lines) == len(layers)
    rows = markdown_rows(good("estimate", *SMALL, "--top", str(count), "--format", "md").out)
    assert len(rows) == min(count, len(layers))


def test_top_0_shows_all() -> None:
    lines = good("estimate", "densenet121", "--hw", "t4", "--top", "0").lines
    assert kernels_counted(lines) == len(estimated("densenet121", "--hw", "t4")["layers"])
    assert not any(" more kernel" in line for line in kernel_lines(lines))


@pytest.mark.parametrize("key", SORT_KEYS)
def test_sort_by_every_key(key: str) -> None:
    args = ("mobilenet_v2", "--hw", "stm32l4r5", "--precision", "int8")
    layers = estimated(*args)["layers"]
    rows = parsed_csv(good("estimate", *args, "--format", "csv", "--sort", key).out)
    assert sorted(row["name"] for row in rows) == sorted(layer["name"] for layer in layers)
    if key == "order":
        assert rows == layers
    else:
        column = [row[SORT_KEYS[key]] for row in rows]
        assert column == sorted(column, reverse=True)
    first = markdown_rows(good("estimate", *args, "--format", "md", "--top", "1", "--sort", key).out)
    assert [row[0] for row in first] == [rows[0]["name"]]
    assert kernels_counted(good("estimate", *args, "--sort", key).lines) == len(layers)


@pytest.mark.parametrize("key", SORT_KEYS)
def test_sort_by_what_is_not_known(key: str) -> None:
    assert good("estimate", "ds_cnn", "--hw", "edgetpu_usb", "--precision", "int8", "--sort", key).lines  # no energy figures


def test_per_op_fuses_nothing() -> None:
    fused, single = estimated("resnet50", "--hw", "a100_sxm_80"), estimated("resnet50", "--hw", "a100_sxm_80", "--per-op")
    assert len(single["layers"]) > len(fused["layers"])
    assert [layer["origin"] for layer in single["layers"] if len(layer["origin"]) > 1] == [
        ["avgpool", "avgpool.flatten"]
    ]  # a view
    assert single["model"] == fused["model"]
    origins = [sorted(name for layer in found["layers"] for name in layer["origin"]) for found in (fused, single)]
    assert origins[0] == origins[1]
    assert single["totals"]["latency_s"] > fused["totals"]["latency_s"]


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_batch(batch: int) -> None:
    one, many = estimated("resnet50", "--hw", "t4"), estimated("resnet50", "--hw", "t4", "--batch", str(batch))
    assert many["settings"]["batch"] == batch
    assert many["model"]["macs"] == batch * one["model"]["macs"]
    assert many["model"]["params"] == one["model"]["params"]
    assert many["model"]["inputs"]["input"]["shape"] == [batch, 3, 224, 224]
    lines = good("estimate", "resnet50", "--hw", "t4", "--batch", str(batch)).lines
    assert f"batch {batch} ·" in lines[0]
    assert ("per inference" if batch == 1 else f"per batch of {batch},") in lines[1]


def test_dim_fills_what_is_open(tmp_path: Path) -> None:
    path = written(tmp_path, open_model())
    found = estimated(path, "--hw", "t4", "--dim", "seq=77", "--dim", "batch=3")
    assert found["model"]["inputs"]["x"]["shape"] == [3, 77, 8]
    assert found["model"]["macs"] == 3 * 77 * 8 * 8
    assert not any("assumed" in warning for warning in found["warnings"])


def test_dim_and_batch_go_together(tmp_path: Path) -> None:
    found = estimated(written(tmp_path, open_model()), "--hw", "t4", "--dim", "seq=5", "--batch", "4")
    assert found["model"]["inputs"]["x"]["shape"] == [4, 5, 8]
    assert found["settings"]["batch"] == 4


@pytest.mark.parametrize("text", ["x=2x9x8", "x=2X9X8", "x=2,9,8"])
def test_input_shape(text: str, tmp_path: Path) -> None:
    found = estimated(written(tmp_path, open_model()), "--hw", "t4", "--input-shape", text)
    assert found["model"]["inputs"]["x"]["shape"] == [2, 9, 8]
    assert found["model"]["outputs"]["y"]["shape"] == [2, 9, 8]


def test_input_shape_of_an_input_with_an_equals_sign_and_a_colon(tmp_path: Path) -> None:
    proto = model([node("MatMul", "in=a:0 w", "y")], [value("in=a:0", "n", 8)], ["y"], [weight("w", 8, 8)])
    found = estimated(written(tmp_path, proto), "--hw", "t4", "--input-shape", "in=a:0=6x8")
    assert found["model"]["inputs"]["in=a:0"]["shape"] == [6, 8]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision(precision: str) -> None:
    found = estimated("resnet50", "--hw", "h100_sxm", "--precision", precision)
    assert found["settings"]["precision"] == precision
    assert found["model"] == estimated("resnet50", "--hw", "h100_sxm")["model"]
    bits = PRECISIONS[precision].weight.bits + (AUTOCAST[precision].bits if precision in AUTOCAST else 0)  # and the copy
    assert found["totals"]["weight_bytes"] == pytest.approx(found["model"]["params"] * bits / 8, rel=0.05)  # biases are wider
    assert f"   {precision} ·" in good("estimate", "resnet50", "--hw", "h100_sxm", "--precision", precision).lines[0]


@pytest.mark.parametrize("precision", ["w4a16:group=128", "int8,fp16@*fc*", "fp16,w4a16:group=64:zero@layer4*,fp32@fc"])
def test_precisions_of_several_parts(precision: str) -> None:
    found = estimated("resnet50", "--hw", "h100_sxm", "--precision", precision)
    assert found["settings"]["precision"] == precision
    assert (
        f"   {precision} ·" in good("estimate", "resnet50", "--hw", "h100_sxm", "--precision", precision, COLUMNS="160").lines[0]
    )


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("int8,fp16", "'fp16' needs the operators it is for, as in fp16@*classifier*"),
        ("int8,fp16@classifier", "no operator is called 'classifier'"),
        ("fp16:group=3", "only w8a16 and w4a16 have groups of weights"),
    ],
)
def test_a_precision_that_cannot_be_read_is_refused(precision: str, message: str) -> None:
    found = sim("estimate", "resnet50", "--hw", "h100_sxm", "--precision", precision)
    assert found.code == 2
    assert message in " ".join(found.err.split())
    assert "Traceback" not in found.err


@pytest.mark.parametrize(("hardware", "precision"), [("tpu_v5e", "bf16"), ("zcu102", "int8"), ("edgetpu_usb", "int8")])
def test_a_cast_of_integers_needs_no_fp32_rate(hardware: str, precision: str) -> None:
    """BERT's mask is cast from int64 to float: no reason to refuse a machine that computes in neither."""
    found = estimated("bert_base", "--hw", hardware, "--precision", precision)
    assert {layer["rate"] for layer in found["layers"] if layer["macs"]} == {precision}


def test_without_a_precision_the_file_decides() -> None:
    found = estimated("resnet50", "--hw", "h100_sxm")
    assert found["settings"]["precision"] is None
    assert {layer["rate"] for layer in found["layers"]} == {"fp32"}


def test_overlap_policies_are_ordered() -> None:
    found = {
        p: estimated("resnet50", "--hw", "xeon_8480p", "--overlap", p) for p in ("full", "prefetch", "layer", "runtime", "none")
    }
    assert {p: f["settings"]["overlap"] for p, f in found.items()} == {p: p for p in found}
    seconds = [f["totals"]["latency_s"] for f in found.values()]
    assert seconds == sorted(seconds)
    assert seconds[0] < seconds[-1]
    assert found["runtime"] == estimated("resnet50", "--hw", "xeon_8480p")
    assert "· overlap none" in good("estimate", "resnet50", "--hw", "xeon_8480p", "--overlap", "none", COLUMNS="120").lines[0]


def test_runtime_by_id_and_by_path(tmp_path: Path) -> None:
    from simulator.io.hardware_reader import runtime_ids

    own = tmp_path / "own.yaml"
    own.write_text(runtime_ids()["ideal"].read_text(encoding="utf-8"), encoding="utf-8")
    by_id, by_path = (estimated("resnet50", "--hw", "t4", "--runtime", r) for r in ("ideal", str(own)))
    assert by_id["settings"]["runtime"] == "ideal"
    assert by_id == by_path
    assert by_id["totals"]["latency_s"] < estimated("resnet50", "--hw", "t4")["totals"]["latency_s"]


@pytest.mark.parametrize("hardware", ["jetson_orin_nano", "jetson_orin_nano:7W", "jetson_orin_nano:15W"])
def test_modes(hardware: str) -> None:
    found = estimated("resnet50", "--hw", hardware, "--precision", "fp16")
    assert found["hardware"]["id"] == "jetson_orin_nano"
    assert found["hardware"]["mode"] == (hardware.partition(":")[2] or None)


# ---- warnings -----------------------------------------------------------------------------------------------------------

MINIMAL = MACHINE_FILE.replace("capacity: 1 GiB, ", "")


def unknown_op() -> onnx.ModelProto:
    return one_matmul(op_type="Fancy", domain="com.acme")


def activations() -> onnx.ModelProto:
    return model([node("Relu", "x", "r"), node("Exp", "r", "y")], [value("x", 4, 8)], ["y"])


def data_dependent() -> onnx.ModelProto:
    return model([node("NonZero", "x", "y")], [value("x", 4, 8)], ["y"])


@pytest.mark.parametrize(
    ("proto", "options", "words"),
    [
        (open_model, ["--hw", "t4"], ["assumed seq = 128", "assumed batch = 1"]),
        (one_matmul, ["--hw", "edgetpu_usb", "--precision", "int8"], ["edgetpu_usb has no energy figures"]),
        (one_matmul, ["--hw", "stm32h743", "--precision", "int8"], ["stm32h743 has no energy figures", "power.active"]),
        (one_matmul, ["--hw", "t4"], ["default figures of a 12 nm process for tensor, l2:", "without control"]),
        (one_matmul, ["--hw", "xeon_8480p"], ["default figures of a 10 nm process for cores, l2"]),
        (one_matmul, ["--hw", "mine.yaml"], ["2 figure(s) of mine have no source", "engines.core.peak.fp32"]),
        (one_matmul, ["--hw", "mine.yaml"], ["mine names no runtime", "capacity of dram is not given"]),
        (activations, ["--hw", "mine.yaml"], ["mine gives no vector rate", "mine gives no rate of special functions", "25%"]),
        (one_matmul, ["--hw", "mine.yaml", "--precision", "int8"], ["mine has no int8 rate: computed in fp32"]),
        (unknown_op, ["--hw", "t4", "--allow-unknown"], ["operators without a rule", "Fancy"]),
        (data_dependent, ["--hw", "t4"], ["1 shape(s) depend on data"]),
    ],
    ids=["assumed", "energy", "mcu", "arithmetic", "defaults", "source", "limits", "rates", "widened", "unknown", "data"],
)
def test_warnings_appear_everywhere(
    proto: Any, options: Sequence[str], words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(MINIMAL, encoding="utf-8")
    path = written(tmp_path, proto())
    warnings = estimated(path, *options)["warnings"]
    table = " ".join(" ".join(good("estimate", path, *options).lines).split())
    report = good("estimate", path, *options, "--format", "md").out
    for word in words:
        assert any(word in warning for warning in warnings), warnings
        assert word in table
    for warning in warnings:
        assert f"note: {warning}" in report


def test_coverage_counts_what_is_unknown(tmp_path: Path) -> None:
    found = estimated(written(tmp_path, unknown_op()), "--hw", "t4", "--allow-unknown")
    assert found["coverage"]["ops_without_rule"] == {"com.acme:Fancy": 1} or found["coverage"]["ops_without_rule"] == {"Fancy": 1}
    assert [layer["op_type"] for layer in found["layers"]] == ["Fancy"]


def test_coverage_counts_shapes_that_depend_on_data(tmp_path: Path) -> None:
    found = estimated(written(tmp_path, data_dependent()), "--hw", "t4")
    assert found["coverage"]["data_dependent_shapes"] == 1


def test_a_network_that_does_not_fit_says_so() -> None:
    args = ("vgg16", "--hw", "stm32h743", "--precision", "int8")
    found = estimated(*args)
    assert not found["totals"]["fits"]
    verdict = " ".join(good("estimate", *args).lines[1:4])
    assert "DOES NOT FIT: too large for" in verdict
    for memory, fit in found["totals"]["memory"].items():
        assert (memory in verdict) == (not fit["fits"])
        assert fit["fits"] == (fit["capacity_bytes"] is None or fit["needs_bytes"] <= fit["capacity_bytes"])


@pytest.mark.parametrize("columns", ["80", "120"])
def test_kernels_in_order_have_the_numbers_that_explain_takes(columns: str) -> None:
    args = ("densenet121", "--hw", "rpi4")
    lines = good("estimate", *args, "--sort", "order", "--top", "12", COLUMNS=columns).lines
    assert max(map(cell_len, lines)) <= int(columns)
    (row,) = [line.split() for line in lines if line.lstrip().startswith("12  ")]
    layers = estimated(*args)["layers"]
    assert row[1].lstrip("…") in layers[11]["name"]
    explained = good("explain", *args, "--layer", row[0]).lines[0]
    assert explained.startswith(f"{layers[11]['name']}   ")
    assert f"kernel 12 of {len(layers)}" in " ".join(good("explain", *args, "--layer", row[0]).lines[:2])


def test_a_picture_of_where_the_time_goes(tmp_path: Path) -> None:
    path = tmp_path / "time.svg"
    done = good(*("estimate", *SMALL), "-o", str(path))
    assert f"wrote {path}" in done.err
    assert "per inference" in done.out
    assert "depthwise" in path.read_text(encoding="utf-8")


def test_a_pipeline_says_that_its_time_is_of_the_steady_state() -> None:
    laid_out = good("estimate", "resnet18", "--hw", "hailo8", "--precision", "int8").out
    assert "as a pipeline: the time is that from one result to the next" in " ".join(laid_out.split())
    assert "as a pipeline" not in good("estimate", "resnet18", "--hw", "rpi4", "--precision", "int8").out
