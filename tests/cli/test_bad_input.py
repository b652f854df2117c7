"""Whatever is wrong with the input: exit code 2, one clear message on standard error, nothing on standard output."""

import io
import pickle
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from support.graphs import anything, model, node, value, weight
from support.machines import MACHINE_FILE

from tests.cli.command import Done, environment, estimated, good, sim, strict

HW = ("--hw", "t4")


@dataclass(frozen=True)
class Bad:
    """A call that must be refused: its arguments, words of the message, the files it finds, how many lines it may answer."""

    name: str
    args: Sequence[str]
    words: Sequence[str]
    files: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    faults: int = 1


def text(content: str) -> Callable[[], bytes]:
    return lambda: content.encode()


def estimate(name: str, *words: str, args: Sequence[str]) -> Bad:
    return Bad(name, ("estimate", *args), words)


def model_file(name: str, file: str, content: Callable[[], bytes], *words: str, faults: int = 1) -> Bad:
    return Bad(name, ("estimate", file, *HW), words, {file: content}, faults)


# ---- files that are no networks -----------------------------------------------------------------------------------------


def proto(made: onnx.ModelProto) -> Callable[[], bytes]:
    return made.SerializeToString


def sound() -> bytes:
    """A network with its weights in it."""
    net = model(
        [node("MatMul", "x w", "y"), node("Relu", "y", "z")],
        [value("x", "n", 8)],
        ["z"],
        [TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[8, 8], raw_data=bytes(256))],
    )
    return net.SerializeToString()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return buffer.getvalue()


NO_NETWORKS = (
    estimate("missing file", "no such file", "absent.onnx", args=("absent.onnx", *HW)),
    estimate("missing folder", "no such file", "nowhere/net.onnx", args=("nowhere/net.onnx", *HW)),
    estimate("directory", "is a directory", args=(".", *HW)),
    model_file("empty", "a.onnx", text(""), "a.onnx is empty"),
    model_file("truncated in the weights", "a.onnx", lambda: sound()[:-200], "a.onnx", "truncated"),
    model_file("truncated in the nodes", "a.onnx", lambda: sound()[:40], "a.onnx", "truncated"),
    model_file("random bytes", "a.onnx", lambda: random.Random(0).randbytes(999), "a.onnx", "not a readable ONNX file"),
    model_file("zeros", "a.onnx", lambda: bytes(999), "a.onnx", "not a readable ONNX file"),
    model_file("jpeg", "cat.jpg", lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(90), "a JPEG image", "not an ONNX model"),
    model_file("png", "cat.png", lambda: b"\x89PNG\r\n\x1a\n" + bytes(90), "a PNG image"),
    model_file("pdf", "paper.pdf", lambda: b"%PDF-1.7\n" + bytes(90), "a PDF document"),
    model_file("zip", "a.zip", zipped, "a zip archive", "unpack"),
    model_file("torch checkpoint", "a.pt", zipped, "PyTorch", "torch.onnx.export"),
    model_file("old torch checkpoint", "a.pth", lambda: pickle.dumps({"w": 1}, 2), "PyTorch", "torch.onnx.export"),
    model_file("tflite", "a.tflite", lambda: b"\x1c\x00\x00\x00TFL3" + bytes(90), "TensorFlow Lite", "tf2onnx"),
    model_file("keras", "a.h5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5", "tf2onnx"),
    model_file("gguf", "a.gguf", lambda: b"GGUF\x03\x00\x00\x00" + bytes(90), "GGUF"),
    model_file("gzip", "a.onnx.gz", lambda: b"\x1f\x8b\x08\x00" + bytes(90), "gzip", "unpack"),
    model_file("text", "a.onnx", text("This is no network, whatever its name says.\n"), "a text file"),
    model_file("machine for a model", "a.yaml", text("schema: 1\nid: mine\n"), "a text file", "not an ONNX model"),
    model_file("opset only", "a.onnx", lambda: b"\x08\x08\x42\x04\x0a\x00\x10\x11", "no graph"),
)

# ---- networks that contradict themselves --------------------------------------------------------------------------------


def net(*nodes: onnx.NodeProto, output: str = "y", weights: Sequence[TensorProto] = ()) -> Callable[[], bytes]:
    return proto(model(nodes, [value("x", 1, 8)], [output], weights))


def matmul_of(*dims: int) -> Callable[[], bytes]:
    return net(node("MatMul", "x w", "y"), weights=[weight("w", *dims)])


def unknown_domain() -> bytes:
    fancy = node("Fancy", "x w", "y", domain="com.acme")
    return model([fancy], [value("x", 1, 8)], ["y"], [weight("w", 8, 8)], domains=["com.acme"]).SerializeToString()


def without_opset() -> bytes:
    made = onnx.ModelProto.FromString(sound())
    del made.opset_import[:]
    return made.SerializeToString()


WRONG_NETWORKS = (
    model_file("cycle", "a.onnx", net(node("Add", "x b", "a"), node("Relu", "a", "b"), output="b"), "cycle", "add_a", "relu_b"),
    model_file("reads itself", "a.onnx", net(node("Add", "x y", "y")), "cycle", "add_y"),
    model_file("unproduced name", "a.onnx", net(node("Add", "x xx", "y")), "'xx'", "nothing produces", "did you mean 'x'"),
    model_file("unproduced output", "a.onnx", net(node("Relu", "x", "z"), output="zz"), "output 'zz'", "never produced"),
    model_file("duplicate name", "a.onnx", net(node("Relu", "x", "y"), node("Tanh", "x", "y")), "'y'", "relu_y", "tanh_y"),
    model_file(
        "output that is a weight", "a.onnx", net(node("Relu", "x", "w"), output="w", weights=[weight("w", 8)]), "'w'", "already"
    ),
    model_file("two weights", "a.onnx", net(node("MatMul", "x w", "y"), weights=[weight("w", 8, 8)] * 2), "two initializers"),
    model_file("shape contradiction", "a.onnx", matmul_of(9, 8), "MatMul 'matmul_y'", "8 columns meet 9 rows"),
    model_file(
        "window larger than the image", "a.onnx",
        proto(model([node("Conv", "x w", "y")], [value("x", 1, 3, 4, 4)], ["y"], [weight("w", 8, 3, 7, 7)])),
        "Conv 'conv_y'", "window of 7", "does not fit",
    ),
    model_file("negative dimension of a weight", "a.onnx", matmul_of(8, -8), "tensor 'w'", "negative dimension"),
    model_file(
        "negative dimension of an input", "a.onnx", proto(model([node("Relu", "x", "y")], [value("x", 1, -7)], ["y"])),
        "input 'x'", "negative dimension",
    ),
    model_file("absurd dimensions", "a.onnx", matmul_of(2**40, 2**40), "tensor 'w'", "absurd"),
    model_file(
        "absurd input", "a.onnx", proto(model([node("Relu", "x", "y")], [value("x", 2**30, 2**30)], ["y"])), "absurd", "2^53"
    ),
    model_file(
        "counts above 2^53", "a.onnx",
        proto(model([node("MatMul", "x w", "y")], [value("x", 2**20, 2**20)], ["y"], [weight("w", 2**20, 2**20)])),
        "matmul_y", "2^53",
    ),
    model_file("no operator set", "a.onnx", without_opset, "operator set"),
    model_file("unknown domain", "a.onnx", unknown_domain, "Fancy", "com.acme", "fancy_y", "--allow-unknown", faults=2),
    model_file("unknown operator", "a.onnx", net(node("Rellu", "x", "y")), "Rellu", "rellu_y", "--allow-unknown", faults=2),
    model_file("missing input", "a.onnx", net(node("MatMul", "x", "y")), "MatMul 'matmul_y'", "input 1 is missing"),
)  # fmt: skip

# ---- machines -----------------------------------------------------------------------------------------------------------


def machine(name: str, old: str, new: str, *words: str, args: Sequence[str] = (), faults: int = 1) -> Bad:
    """A sound machine with one thing wrong."""
    assert old in MACHINE_FILE
    content = MACHINE_FILE.replace(old, new, 1)
    return Bad(name, ("estimate", "ds_cnn", "--hw", "mine.yaml", *args), words, {"mine.yaml": text(content)}, faults)


def yaml_file(name: str, content: Callable[[], bytes], *words: str, faults: int = 1) -> Bad:
    return Bad(name, ("estimate", "ds_cnn", "--hw", "mine.yaml"), words, {"mine.yaml": content}, faults)


WRONG_MACHINES = (
    estimate("missing machine file", "no such file", "absent.yaml", args=("ds_cnn", "--hw", "absent.yaml")),
    estimate("unknown machine", "no hardware 'rtx409'", "mean 'rtx4090'", "sim hw list", args=("ds_cnn", "--hw", "rtx409")),
    estimate("machine without a name", "no hardware", args=("ds_cnn", "--hw", "")),
    estimate(
        "unknown mode", "jetson_orin_nano", "'16W'", "did you mean '15W'", "25W", args=("ds_cnn", "--hw", "jetson_orin_nano:16W")
    ),
    estimate("mode of a machine without", "t4 has no mode 'eco'", "none", args=("ds_cnn", "--hw", "t4:eco")),
    Bad("machine that is no yaml", ("estimate", "ds_cnn", "--hw", "m.onnx"), ["m.onnx is not a .yaml file"], {"m.onnx": sound}),
    yaml_file("empty machine", text(""), "mine.yaml:1", "schema: 1"),
    yaml_file("binary machine", lambda: b"\xff\xfe\x00\x80", "mine.yaml", "not a text file"),
    yaml_file("broken yaml", text("schema: 1\nid: [unclosed\n"), "mine.yaml:", "not valid YAML"),
    yaml_file("list for a machine", text("- 1\n- 2\n"), "mine.yaml:1", "expected a mapping"),
    machine("missing schema", "schema: 1\n", "", "mine.yaml:1", "'schema: 1' is missing"),
    machine("unknown schema", "schema: 1", "schema: 99", "mine.yaml:1", "schema 99 is not supported", "update nn-simulator"),
    machine("older schema", "schema: 1", "schema: 0", "mine.yaml:1", "schema 0 is not supported", "write 'schema: 1'"),
    machine(
        "operators that no engine runs", "peak: {fp32: 1 TFLOP/s}", "peak: {fp32: 1 TFLOP/s}, supports: {operators: [Conv]}",
        "no engine of mine", "core: ", "Gemm",
    ),
    machine("unit of another kind", "10 GB/s", "10 GHz", "mine.yaml:8", "memories.0.bandwidth", "'GHz'"),
    machine("unit in the wrong case", "1 GiB", "1 gib", "mine.yaml:8", "memories.0.capacity", "'gib'"),
    machine("no unit", "10 GB/s", "10", "mine.yaml:8", "memories.0.bandwidth", "has no unit"),
    machine("no number", "10 GB/s", "fast", "mine.yaml:8", "memories.0.bandwidth", "'fast' is not a quantity"),
    machine("zero bandwidth", "10 GB/s", "0 GB/s", "mine.yaml:8", "memories.0.bandwidth", "more than 0"),
    machine("negative bandwidth", "10 GB/s", "-1 GB/s", "mine.yaml:8", "memories.0.bandwidth", "more than 0"),
    machine("infinite bandwidth", "10 GB/s", "1e999 GB/s", "mine.yaml:8", "memories.0.bandwidth"),
    machine("infinite peak", "1 TFLOP/s", "1e999 FLOP/s", "mine.yaml:6", "engines.0.peak.fp32"),
    machine("bandwidth that overflows time", "10 GB/s", "1e-310 B/s", "bandwidth"),
    machine("not a number", "10 GB/s", ".nan", "mine.yaml:8", "memories.0.bandwidth"),
    machine("zero peak", "1 TFLOP/s", "0 TFLOP/s", "mine.yaml:6", "engines.0.peak.fp32", "more than 0"),
    machine("misspelt key", "bandwidth", "bandwith", "mine.yaml:8", "bandwith: unknown key", "did you mean 'bandwidth'"),
    machine("misspelt section", "engines", "engine", "mine.yaml", "unknown key", "did you mean 'engines'", faults=2),
    machine("misspelt class", "class: cpu", "class: gpuu", "mine.yaml:4", "class", "did you mean 'gpu'"),
    machine("misspelt rate", "fp32", "fp33", "mine.yaml:6", "fp33", "did you mean 'fp32'"),
    machine("key twice", "name: Mine", "name: Mine\nname: Yours", "mine.yaml:4", "name", "twice"),
    machine("no engine", "  - {id: core, kind: simd, peak: {fp32: 1 TFLOP/s}}", "  []", "mine.yaml:5", "at least one"),
    machine("all faults at once", "10 GB/s", "0 GB/s, clok: 1 GHz", "more than 0", "clok: unknown key", faults=2),
    machine("no rate for a precision", "fp32: 1 TFLOP/s", "int8: 1 TOP/s", "mine", "fp32", "has int8", "--precision int8"),
    machine(
        "a wider precision than there is", "fp32: 1 TFLOP/s", "int8: 1 TOP/s", "no fp16 rate", "--precision int8",
        args=("--precision", "fp16"),
    ),
    machine("extends itself", "id: mine", "id: mine\nextends: mine.yaml", "mine.yaml:3", "extends", "circular"),
    machine("extends nothing known", "id: mine", "id: mine\nextends: rtx409", "mine.yaml:3", "no machine 'rtx409'", "'rtx4090'"),
    machine("unknown runtime", "class: cpu", "class: cpu\nruntime: onnxruntim", "no runtime", "did you mean 'onnxruntime'"),
    machine("unknown source", "10 GB/s", "{value: 10 GB/s, kind: datasheet, source: nowhere}", "mine.yaml", "'nowhere'"),
    Bad(
        "circular extends", ("estimate", "ds_cnn", "--hw", "a.yaml"), ["circular", "a → b → a"],
        {"a.yaml": text("schema: 1\nid: a\nextends: b.yaml\n"), "b.yaml": text("schema: 1\nid: b\nextends: a.yaml\n")},
    ),
)  # fmt: skip

# ---- options ------------------------------------------------------------------------------------------------------------

A_FILE = {"net.onnx": sound}
LONG = "x" * 300


def option(name: str, args: Sequence[str], *words: str) -> Bad:
    return Bad(f"{' '.join(args)[:40]} ({name})", ("estimate", "net.onnx", *HW, *args), words, A_FILE)


WRONG_OPTIONS = (
    option("unknown", ["--precision", "int9"], "no precision 'int9'", "did you mean 'int8'", "amp_bf16"),
    option("unknown", ["--overlap", "layers"], "no overlap policy 'layers'", "did you mean 'layer'"),
    option("unknown", ["--runtime", "ideall"], "no runtime 'ideall'", "did you mean 'ideal'"),
    option("missing file", ["--runtime", "absent.yaml"], "no such file", "absent.yaml"),
    option("unknown", ["--sort", "latencyy"], "--sort latencyy", "did you mean 'latency'"),
    option("unknown", ["--format", "jsn"], "--format", "jsn", "json"),
    option("unknown option", ["--precison", "int8"], "No such option", "--precision"),
    option("zero", ["--batch", "0"], "--batch"),
    option("text", ["--batch", "many"], "--batch", "integer"),
    option("fraction", ["--batch", "1.5"], "--batch", "integer"),
    option("absurd", ["--batch", "99999999999999999999"], "99999999999999999999", "absurd"),
    option("negative", ["--top", "-1"], "--top"),
    option("no size", ["--dim", "n"], "--dim 'n'", "NAME=NUMBER"),
    option("no name", ["--dim", "=5"], "--dim '=5'", "NAME=NUMBER"),
    option("text", ["--dim", "n=many"], "--dim 'n=many'", "NAME=NUMBER"),
    option("empty", ["--dim", "n="], "--dim 'n='", "NAME=NUMBER"),
    option("fraction", ["--dim", "n=1.5"], "--dim 'n=1.5'", "NAME=NUMBER"),
    option("two signs", ["--dim", "n=--5"], "--dim 'n=--5'", "NAME=NUMBER"),
    option("no decimal digit", ["--dim", "n=²"], "--dim 'n=²'", "NAME=NUMBER"),
    option("negative", ["--dim", "n=-5"], "'n'", "-5"),
    option("absurd", ["--dim", "n=" + "9" * 5000], "--dim"),
    option("unknown", ["--dim", "seq=5"], "no dimension 'seq'", "n"),
    option("no size", ["--input-shape", "1x8"], "--input-shape '1x8'", "NAME=1x3x224x224"),
    option("text", ["--input-shape", "x=1xn"], "--input-shape 'x=1xn'", "NAME=1x3x224x224"),
    option("hole", ["--input-shape", "x=1xx8"], "--input-shape 'x=1xx8'", "NAME=1x3x224x224"),
    option("two signs", ["--input-shape", "x=1x--8"], "--input-shape 'x=1x--8'", "NAME=1x3x224x224"),
    option("negative", ["--input-shape", "x=1x-8"], "'x'", "negative dimension"),
    option("rank", ["--input-shape", "x=1x2x8"], "input 'x' has 2 dimensions", "has 3"),
    option("contradiction", ["--input-shape", "x=1x9"], "MatMul", "9 columns meet 8 rows"),
    option("unknown", ["--input-shape", "xx=1x8"], "no input 'xx'", "did you mean 'x'"),
    option("no folder", ["-o", "nowhere/out.txt"], "nowhere/out.txt", "there is no folder"),
    option("directory", ["-o", "."], "is a directory"),
    option("too long a name", ["-o", LONG], "cannot be written", "name too long"),
    option("no folder", ["--format", "json", "-o", "nowhere/out.json"], "nowhere/out.json", "there is no folder"),
    option("file for a folder", ["--format", "json", "-o", "net.onnx/out.json"], "net.onnx/out.json"),
    Bad("too long a model", ("estimate", LONG, *HW), ["catalogue has no"]),
    Bad("too long a machine", ("estimate", "ds_cnn", "--hw", LONG), ["no hardware"]),
    Bad("no machine", ("estimate", "ds_cnn"), ["Missing option", "--hw"]),
    Bad("no model", ("estimate",), ["Missing argument", "MODEL"]),
    Bad("unknown command", ("estimat", "ds_cnn"), ["No such command", "estimat"]),
    estimate("unknown model", "no 'resnet5'", "did you mean 'resnet50'", args=("resnet5", *HW)),
    estimate("unknown parameter", "resnet50 has no parameter 'widht'", "resolution", args=("resnet50:widht=2", *HW)),
    estimate("parameter out of range", "resnet50: resolution=0", "minimum", args=("resnet50:resolution=0", *HW)),
    estimate("parameter that is no number", "resolution=big", "whole number", args=("resnet50:resolution=big", *HW)),
    estimate("parameter twice", "twice", args=("resnet50:batch=1,batch=2", *HW)),
    Bad("unknown picture", ("roofline", "ds_cnn", *HW, "-o", "a.gif"), ["'.gif' is not a picture format", ".png, .svg, .pdf"]),
    Bad("picture without a suffix", ("roofline", "ds_cnn", *HW, "-o", "a"), ["suffix", ".png, .svg, .pdf"]),
    Bad("misspelt picture", ("roofline", "ds_cnn", *HW, "-o", "a.pgn"), ["'.pgn'", "did you mean '.png'"]),
    Bad("picture nowhere", ("roofline", "ds_cnn", *HW, "-o", "nowhere/a.png"), ["nowhere/a.png", "there is no folder"]),
    Bad("no picture", ("roofline", "ds_cnn", *HW), ["Missing option", "--output"]),
    Bad("export of an unknown model", ("models", "export", "resnet5", "-o", "a.onnx"), ["resnet5", "did you mean 'resnet50'"]),
    Bad("export to nowhere", ("models", "export", "ds_cnn", "-o", "nowhere/a.onnx"), ["nowhere/a.onnx", "there is no folder"]),
    Bad("show of an unknown model", ("models", "show", "resnet5"), ["resnet5", "did you mean 'resnet50'"]),
    Bad("show of an unknown machine", ("hw", "show", "rtx409"), ["rtx409", "did you mean 'rtx4090'"]),
)


def refuses(done: Done, words: Sequence[str], faults: int = 1) -> None:
    """Exit code 2, one message with all the words, nothing else."""
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.err).split())
    assert "Traceback" not in done.err, done.err[-2000:]
    assert (done.code, done.out) == (2, ""), done
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"
    if done.err.startswith("Usage: "):
        assert done.err.count("─ Error ─") == 1
    else:
        assert done.err.startswith("sim: ")
        assert done.err.endswith("\n")
        assert len(done.err.splitlines()) == faults, done.err
        assert len(done.err) < 2000


CASES = (*NO_NETWORKS, *WRONG_NETWORKS, *WRONG_MACHINES, *WRONG_OPTIONS)


@pytest.mark.parametrize("bad", CASES, ids=lambda b: b.name)
def test_bad_input_is_one_clear_message(bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in bad.files.items():
        Path(name).write_bytes(content())
    refuses(sim(*bad.args), bad.words, bad.faults)
    assert {path.name for path in tmp_path.iterdir()} == set(bad.files)  # and it leaves nothing behind


def test_the_cases_have_their_own_names() -> None:
    assert len({bad.name for bad in CASES}) == len(CASES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", ["table", "json", "csv", "md"])
def test_a_full_disk(form: str) -> None:
    refuses(sim("estimate", "ds_cnn", *HW, "--format", form, "-o", "/dev/full"), ["/dev/full cannot be written", "No space left"])


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    try:
        (folder / "probe").touch()
    except PermissionError:
        refuses(sim("estimate", "ds_cnn", *HW, "-o", str(folder / "a.txt")), ["a.txt cannot be written", "Permission denied"])
        refuses(sim("models", "export", "ds_cnn", "-o", str(folder / "a.onnx")), ["a.onnx", "cannot be written"])
        refuses(sim("roofline", "ds_cnn", *HW, "-o", str(folder / "a.svg")), ["a.svg", "cannot be written"])
    else:
        pytest.skip("who runs this may write anywhere")
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("suffix", ["onnx", "yaml"])
def test_a_file_that_cannot_be_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"secret.{suffix}"
    path.write_bytes(sound())
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        args = (str(path), *HW) if suffix == "onnx" else ("ds_cnn", "--hw", str(path))
        refuses(sim("estimate", *args), [path.name, "cannot be read"])
    else:
        pytest.skip("who runs this may read everything")


# ---- what looks bad and is not ------------------------------------------------------------------------------------------


def test_unknown_operators_can_be_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(unknown_domain())
    found = estimated(str(path), *HW, "--allow-unknown")
    assert sum(found["coverage"]["ops_without_rule"].values()) == 1
    assert "Fancy" in next(iter(found["coverage"]["ops_without_rule"]))
    assert found["layers"][0]["input_bytes"] == 32
    assert any("without a rule" in warning and "Fancy" in warning for warning in found["warnings"])
    assert "without a rule" in good("models", "show", str(path)).out


def test_missing_external_data_is_not_missed(tmp_path: Path) -> None:
    outside = weight("w", 8, 8)
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="gone.bin")
    path = tmp_path / "a.onnx"
    path.write_bytes(model([node("MatMul", "x w", "y")], [value("x", 1, 8)], [anything("y")], [outside]).SerializeToString())
    found = estimated(str(path), *HW)
    assert (found["model"]["macs"], found["model"]["params"], found["model"]["weight_bytes"]) == (64, 64, 256)
    assert not any("gone.bin" in warning for warning in found["warnings"])


# ---- a file beyond what protobuf reads ----------------------------------------------------------------------------------

GIB = 2**30
PEAK = """
import sys
from simulator.cli.main import run
sys.argv = ["sim", *sys.argv[1:]]
try:
    run()
finally:
    sys.stderr.write(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def varint(number: int) -> bytes:
    parts = []
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def header(number: int, length: int) -> bytes:
    """Tag and length of a length-delimited field."""
    return varint(number << 3 | 2) + varint(length)


def sparse_model(path: Path, rows: int, columns: int) -> None:
    """A product with a weight that stands in the file: all its bytes are a hole."""
    size = rows * columns * 4
    made = model([node("MatMul", "x w", "y")], [value("x", 1, rows)], ["y"])
    tensor = weight("w", rows, columns).SerializeToString() + header(9, size)
    graph = made.graph.SerializeToString() + header(5, len(tensor) + size) + tensor
    made.ClearField("graph")
    with path.open("wb") as file:
        file.write(made.SerializeToString() + header(7, len(graph) + size) + graph)
        file.truncate(file.tell() + size)


def test_the_file_made_by_hand_is_what_onnx_reads(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    sparse_model(path, 8, 4)
    read = onnx.load(path)
    assert [len(t.raw_data) for t in read.graph.initializer] == [128]
    assert [n.op_type for n in read.graph.node] == ["MatMul"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_3_gib_file_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    sparse_model(path, 24576, 32768)
    assert path.stat().st_size > 3 * GIB
    if path.stat().st_blocks * 512 > GIB:
        pytest.skip("this file system has no holes")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "estimate", str(path), *HW, "--format", "json"],
        capture_output=True, text=True, check=True, timeout=30, env=environment(),
    )  # fmt: skip
    found = strict(done.stdout)
    assert found["model"]["params"] == found["model"]["macs"] == 24576 * 32768
    assert found["model"]["weight_bytes"] == 3 * GIB
    assert int(done.stderr) < 120 * 1024  # KiB
