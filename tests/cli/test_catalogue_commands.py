"""`sim hw`, `sim models`, help, version and completion."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
import typer
from rich.cells import cell_len

import simulator
from simulator import zoo
from simulator.cli import options
from simulator.cli.main import app
from simulator.errors import SimulatorError
from simulator.io.hardware_reader import hardware_ids, runtime_ids
from simulator.transform.precision import PRECISIONS
from tests import readme
from tests.cli.command import ESCAPE, environment, estimated, good, process, sim

MACHINES = tuple(hardware_ids())
NETWORKS = tuple(r.id for r in zoo.list_recipes())


def commands(group: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The command, its groups and their commands, as typer has them: a new one is tested by being there."""
    yield name
    for key, inner in getattr(group, "commands", {}).items():
        yield from commands(inner, (*name, key))


COMMANDS = tuple(commands(typer.main.get_command(app)))

# ---- machines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("what", ["hw", "models"])
def test_list_names_everything_and_fits(what: str, width: int) -> None:
    lines = good(what, "list", COLUMNS=str(width)).lines
    expected = MACHINES if what == "hw" else NETWORKS
    assert sorted(line.split()[0] for line in lines[1:] if not line.startswith(" ")) == sorted(expected)
    assert max(map(cell_len, lines)) <= width
    assert not any("…" in line for line in lines)


def test_the_peak_is_that_of_the_fastest_engine() -> None:
    """Not of the host beside an accelerator."""
    lines = {line.split()[0]: " ".join(line.split()) for line in good("hw", "list", COLUMNS="80").lines}
    assert "int8 4 TOP/s" in lines["edgetpu_usb"]
    assert "int8 128 GOP/s" in lines["corstone_300"]


def test_lists_say_what_their_columns_are() -> None:
    assert "  peak: the fastest dense rate" in good("hw", "list").out
    assert "  parameters and MACs as published" in good("models", "list").out


@pytest.mark.parametrize("hardware", MACHINES)
def test_show_has_every_figure_with_its_source(hardware: str) -> None:
    spec = simulator.load_hardware(hardware)
    lines = good("hw", "show", hardware, COLUMNS="400").lines
    assert lines[0] == spec.name
    for path, figure in spec.figures():
        assert any(line.startswith(f"{path} ") and figure.text in line for line in lines), path
    for key, citation in spec.sources.items():
        assert any(line.split()[:1] == [key] for line in lines), key
        assert citation.split()[0] in " ".join(lines)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("hardware", MACHINES)
def test_show_fits_and_says_what_the_machine_is(hardware: str, width: int) -> None:
    spec = simulator.load_hardware(hardware)
    lines = good("hw", "show", hardware, COLUMNS=str(width)).lines
    assert max(map(cell_len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    brief = [line.split() for line in lines[: next(i for i, line in enumerate(lines) if line.startswith("figure "))]]
    words = [word for line in brief for word in line]
    for name in (*(e.id for e in spec.engines), *(m.id for m in spec.memories), spec.runtime or "ideal"):
        assert name in words
    assert sum(line.startswith(tuple(f"{e.id} runs only: " for e in spec.engines)) for line in lines) == sum(
        e.supports is not None for e in spec.engines
    )


@pytest.mark.parametrize("hardware", MACHINES)
def test_show_has_the_defaults_that_estimates_use(hardware: str) -> None:
    lines = good("hw", "show", hardware, COLUMNS="400").lines
    shown = {path: line for line in lines if " default " in line for path in line.split()[:1]}
    known = simulator.load_hardware(hardware)
    assert not set(shown) & {path for path, _ in known.figures()}
    for network, precision in (("mobilenet_v2", "int8"), ("deit_tiny", None), ("resnet8", "fp16")):
        try:
            est = simulator.estimate(network, known, precision=precision)
        except SimulatorError:
            continue
        assert set(est.energy_defaults) <= set(shown)
        if est.energy_defaults:
            assert any(line.startswith("cells-45-7nm  ") for line in lines)
    assert [line for line in lines if line.startswith("Energy: ")]


def test_show_of_a_mode_shows_its_figures() -> None:
    whole, mode = (good("hw", "show", name, COLUMNS="400").out for name in ("jetson_orin_nano", "jetson_orin_nano:7W"))
    assert whole != mode
    assert "jetson_orin_nano:7W" in whole


def test_show_takes_brackets_in_texts_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "schema: 1\nid: mine\nname: 'Mine [rev. B]'\nclass: cpu\nengines:\n  - {id: core, kind: simd, peak: {fp32: 1 TFLOP/s}}\n"
        "memories:\n  - {id: dram, kind: dram, bandwidth: {value: 10 GB/s, kind: measured, source: s, note: '[/low] [high]'}}\n"
        "sources:\n  s: 'A. Author [online], [/2] 2025'\n",
        encoding="utf-8",
    )
    out = good("hw", "show", str(path), COLUMNS="200").out
    for words in ("Mine [rev. B]", "[/low] [high]", "A. Author [online], [/2] 2025"):
        assert words in out


def test_check_passes_the_whole_catalogue() -> None:
    done = good("hw", "check", *map(str, hardware_ids().values()), COLUMNS="300")
    assert [line.split(": ok")[0] for line in done.lines] == [str(path) for path in hardware_ids().values()]
    assert "without a source" not in done.out


BROKEN = "schema: 1\nid: mine\nname: Mine\nclass: cpuu\nengines: []\nmemories: []\nclok: 1\n"


def test_check_names_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    done = sim("hw", "check", str(path))
    assert (done.code, done.out) == (2, "")
    faults = done.err.removeprefix("sim: ").splitlines()
    assert sorted(int(fault.removeprefix(f"{path}:").split(":")[0]) for fault in faults) == [4, 5, 6, 7]


def test_check_of_a_broken_mode(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("schema: 1\nid: mine\nextends: t4\nmodes:\n  eco:\n    power: {tdp: fast}\n", encoding="utf-8")
    done = sim("hw", "check", str(path))
    assert done.code == 2
    assert f"{path}:6" in done.err


def test_check_of_several_files_stops_at_the_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    assert sim("hw", "check", str(hardware_ids()["t4"]), str(path)).code == 2


@pytest.mark.parametrize("like", [None, "rtx4090", "stm32h743"])
def test_new_then_check_then_estimate(like: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = good("hw", "new", "my_chip.yaml", *(["--like", like] if like else []))
    assert done.lines[0] == "wrote my_chip.yaml; check it with: sim hw check my_chip.yaml"
    assert good("hw", "check", "my_chip.yaml").out.startswith("my_chip.yaml: ok")
    found = estimated("ds_cnn", "--hw", "my_chip.yaml")
    assert found["hardware"]["id"] == "my_chip"
    if like:
        assert found["totals"] == estimated("ds_cnn", "--hw", like)["totals"]


@pytest.mark.parametrize(
    "name", ["My Chip.yaml", "12.yaml", "no.yaml", "null.yaml", "2e5.yaml", "ä.yaml", "a: b.yaml", "[red].yaml"]
)
@pytest.mark.parametrize("like", [(), ("--like", "t4")], ids=["plain", "like"])
def test_new_of_any_name_loads(name: str, like: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = good("hw", "new", name, *like)
    assert name in done.out
    assert Path(name).exists()
    good("hw", "check", name)


def test_new_of_what_is_no_yaml_is_refused(tmp_path: Path) -> None:
    """No other command would read it."""
    path = tmp_path / "mine.txt"
    assert sim("hw", "new", str(path)).code == 2
    assert not path.exists()


def test_new_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious", encoding="utf-8")
    done = sim("hw", "new", str(path))
    assert (done.code, done.out) == (2, "")
    assert "exists" in done.err
    assert path.read_text(encoding="utf-8") == "precious"


def test_new_like_an_unknown_machine_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    done = sim("hw", "new", str(path), "--like", "rtx409")
    assert done.code == 2
    assert "did you mean 'rtx4090'" in done.err
    assert not path.exists()


def test_a_long_path_stays_on_its_line(tmp_path: Path) -> None:
    """So that what is printed can be copied."""
    path = tmp_path / ("deep_" * 12) / "mine.yaml"
    path.parent.mkdir()
    assert str(path) in good("hw", "new", str(path)).out
    assert f"wrote {path.with_suffix('.onnx')}\n" in good("models", "export", "ds_cnn", "-o", str(path.with_suffix(".onnx"))).err


# ---- networks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2:width=0.5,resolution=96", "bert_base", "gemm:m=64,n=32,k=16"])
def test_show_counts(name: str) -> None:
    model = simulator.load_model(name)
    out = good("models", "show", name, COLUMNS="200").out
    assert out.splitlines()[0].strip() == name
    for count in (model.params, model.macs, model.flops, model.activation_elements_total, model.activation_elements_peak):
        assert f"{count:,}" in out


def test_show_at_another_batch_and_shape() -> None:
    assert f"{8 * simulator.load_model('resnet8').macs:,}" in good("models", "show", "resnet8", "--batch", "8").out
    assert "input 2×3×64×64" in good("models", "show", "resnet18", "--input-shape", "input=2x3x64x64").out


def without_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The network with its absent weights as inputs, as the checker wants it."""
    absent = [t for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in absent:
        proto.graph.initializer.remove(tensor)
        proto.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return proto


@pytest.mark.parametrize("name", NETWORKS)
def test_export_re_reads_to_the_same_counts(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    done = good("models", "export", name, "-o", str(path), COLUMNS="300")
    assert (done.out, done.err) == ("", f"wrote {path}\n")
    assert path.stat().st_size < 2**21  # no weights
    again, made = simulator.load_model(path), simulator.load_model(name)
    for count in ("params", "macs", "flops", "weight_bytes", "activation_elements_total", "activation_elements_peak"):
        assert getattr(again, count) == getattr(made, count), count
    assert onnx.load(path, load_external_data=False).graph.node


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x1_0", "vit_b_16", "bert_base"])
def test_export_passes_onnx_checker(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    good("models", "export", name, "-o", str(path))
    onnx.checker.check_model(without_weights(onnx.load(path, load_external_data=False)), full_check=True)


def test_export_takes_its_name_from_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    good("models", "export", "mobilenet_v2:width=0.5,resolution=96")
    found = estimated("mobilenet_v2.onnx", "--hw", "rpi4")
    assert found["model"]["name"] == "mobilenet_v2"
    assert found["totals"] == estimated("mobilenet_v2:width=0.5,resolution=96", "--hw", "rpi4")["totals"]


# ---- pictures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "head"), [(".svg", b"<?xml"), (".PNG", b"\x89PNG")])
def test_roofline_writes_a_picture(suffix: str, head: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"roof{suffix}"
    done = good("roofline", "ds_cnn", "--hw", "stm32l4r5", "--precision", "int8", "-o", str(path))
    assert done.out == ""
    assert done.err.startswith("wrote ")
    assert path.read_bytes().startswith(head)


# ---- help, version ------------------------------------------------------------------------------------------------------


def test_version() -> None:
    assert good("--version").out == f"nn-simulator {simulator.__version__}\n"
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"nn-simulator {simulator.__version__}\n", "")


def help_of(name: Sequence[str]) -> str:
    return ESCAPE.sub("", good(*name, "--help", COLUMNS="200").out)


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_help(name: Sequence[str]) -> None:
    text = help_of(name)
    assert "Usage:" in text
    assert text == ESCAPE.sub("", good(*name, "-h", COLUMNS="200").out)
    narrow = ESCAPE.sub("", good(*name, "--help", COLUMNS="80").out).splitlines()
    assert max(map(cell_len, narrow)) <= 80


@pytest.mark.parametrize("name", [(), ("hw",), ("models",)], ids=" ".join)
def test_a_group_alone_shows_its_help(name: Sequence[str]) -> None:
    done = sim(*name)
    assert "Traceback" not in done.err
    assert done.code in (0, 2)  # typer's choice differs by version
    assert "Usage:" in done.out + done.err


def test_the_help_names_every_command() -> None:
    for group in ((), ("hw",), ("models",)):
        for name in COMMANDS:
            if len(name) == len(group) + 1 and name[: len(group)] == group:
                assert re.search(rf"^\W*{name[-1]}\b", help_of(group), re.MULTILINE), name
    assert set(COMMANDS) >= {("estimate",), ("roofline",), *((g, c) for g in ("hw", "models") for c in ("list", "show"))}


def documented() -> Iterator[tuple[tuple[str, ...], str]]:
    """(command, option) for each command line that README and docs show."""
    for path in (readme.README, *sorted((readme.README.parent / "docs").glob("*.md"))):
        for line in re.findall(r"(?:^|[`$] ?|&& )sim ([^`\n#&]*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            words = line.split()
            name = next(c for c in sorted(COMMANDS, key=len, reverse=True) if tuple(words[: len(c)]) == c)
            for word in words:
                if re.fullmatch(r"--?[a-z][a-z-]*", word):
                    yield name, word


DOCUMENTED = sorted({(name or ("estimate",), option) for name, option in documented() if option != "--install-completion"})


def test_the_documents_show_options() -> None:
    assert {option for _, option in DOCUMENTED} >= {"--hw", "--precision", "--top", "--batch", "--format", "-o"}


@pytest.mark.parametrize(("name", "option"), DOCUMENTED, ids=lambda x: x if isinstance(x, str) else " ".join(x))
def test_the_help_mentions_what_the_documents_use(name: tuple[str, ...], option: str) -> None:
    assert re.search(rf"(?<![\w-]){option}\b", help_of(name))


def test_the_help_mentions_every_option_the_readme_speaks_of() -> None:
    text = readme.README.read_text(encoding="utf-8") + (readme.README.parent / "docs/counting.md").read_text(encoding="utf-8")
    spoken = set(re.findall(r"`(--[a-z-]+)", text)) - {"--install-completion"}
    assert spoken >= {"--batch", "--dim", "--input-shape"}
    assert {option for option in spoken if option not in help_of(("estimate",))} == set()
    assert "--install-completion" in help_of(())


def test_the_help_names_every_precision() -> None:
    assert {p for p in PRECISIONS if not re.search(rf"\b{p}\b", help_of(("estimate",)))} == set()


# ---- completion ---------------------------------------------------------------------------------------------------------


def test_completion_returns_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet_mine.onnx").touch()
    assert options.complete_hardware("") == list(MACHINES)
    assert options.complete_hardware("rtx4") == ["rtx4090"]
    assert options.complete_runtime("on") == ["onnxruntime"]
    assert options.complete_runtime("") == list(runtime_ids())
    assert options.complete_precision("amp") == ["amp_fp16", "amp_bf16"]
    assert options.complete_model("resnet") == [n for n in NETWORKS if n.startswith("resnet")] + ["resnet_mine.onnx"]
    for complete in (options.complete_hardware, options.complete_runtime, options.complete_precision, options.complete_model):
        assert complete("nosuch") == []


@pytest.mark.parametrize("prefix", ["{}/ne", "{}/", "sub/", "[", "*"])
def test_completion_of_paths(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("net.onnx", "sub/other.onnx"):
        (tmp_path / name).touch()
    found = options.complete_model(prefix.format(tmp_path))
    expected = {"{}/ne": [f"{tmp_path}/net.onnx"], "{}/": [f"{tmp_path}/net.onnx"], "sub/": ["sub/other.onnx"]}
    assert found == expected.get(prefix, [])


def test_the_shell_gets_completions() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom simulator.cli.main import run\nsys.argv = ['sim']\nrun()"],
        capture_output=True, text=True, check=True,
        env=environment(_SIM_COMPLETE="complete_bash", COMP_WORDS="sim estimate --hw rtx", COMP_CWORD="3"),
    )  # fmt: skip
    assert done.stdout.split() == [name for name in MACHINES if name.startswith("rtx")]
