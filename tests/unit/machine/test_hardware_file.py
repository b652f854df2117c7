"""A hardware file's faults: each with file, line and path, all at once, and what was meant."""

import re
from pathlib import Path

import pytest

from simulator.errors import HardwareError, NotFoundError
from simulator.io.hardware_reader import load_runtime, load_spec, merge
from simulator.machine.spec import HardwareSpec

GOOD = """\
schema: 1
id: demo
name: Demo
class: cpu
engines:
  - id: core
    kind: simd
    clock: 2 GHz
    peak: {fp32: 1 TFLOP/s, int8: 2 TOP/s}
memories:
  - id: sram
    kind: scratchpad
    capacity: 1 MiB
    bandwidth: 400 GB/s
    holds: [activations]
  - id: dram
    kind: dram
    bandwidth: 100 GB/s
    holds: [weights, activations]
"""


def written(folder: Path, text: str, name: str = "demo") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def spec(folder: Path, text: str) -> HardwareSpec:
    return load_spec(written(folder, text))


def faults(folder: Path, text: str) -> list[str]:
    """The faults, one a line, without the folder."""
    path = written(folder, text)
    with pytest.raises(HardwareError) as caught:
        load_spec(path)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_a_good_file(tmp_path: Path) -> None:
    machine = spec(tmp_path, GOOD)
    assert machine.engines[0].peak["fp32"].value == 0.5e12  # 2 FLOP a MAC
    assert machine.engines[0].clock.value == 2e9
    assert machine.memories[0].capacity.value == 2**20
    assert machine.memories[1].read.value == 100e9
    assert machine.memories[1].write.value == 100e9


def test_a_handful_of_lines_is_enough(tmp_path: Path) -> None:
    text = "schema: 1\nid: tiny\nname: Tiny\nclass: mcu\n"
    text += "engines: [{id: c, kind: scalar, peak: {fp32: 1 GFLOP/s}}]\n"
    text += "memories: [{id: m, kind: dram, bandwidth: 1 GB/s}]\n"
    assert spec(tmp_path, text).hardware_class == "mcu"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    bandwidth: 100 GB/s",
            "    bandwith: 100 GB/s",
            "demo.yaml:18: memories.1.bandwith: unknown key; did you mean 'bandwidth'?",
        ),
        ("class: cpu", "class: cpus", "demo.yaml:4: class: 'cpus' is none of cpu, gpu, tpu, npu, mcu, fpga; did you mean 'cpu'?"),
        ("    kind: simd", "    kind: smid", "demo.yaml:7: engines.0.kind: 'smid' is none of"),
        (
            "100 GB/s",
            "100 GB",
            "demo.yaml:18: memories.1.bandwidth: '100 GB': unit 'GB' is not one of bytes per s; did you mean 'GB/s'?",
        ),
        ("100 GB/s", "100", "demo.yaml:18: memories.1.bandwidth: '100' has no unit; write '3.35 TB/s'"),
        ("100 GB/s", "fast", "demo.yaml:18: memories.1.bandwidth: 'fast' is not a quantity; write '3.35 TB/s'"),
        ("100 GB/s", "0 GB/s", "demo.yaml:18: memories.1.bandwidth: '0 GB/s' must be more than 0"),
        ("100 GB/s", "-5 GB/s", "demo.yaml:18: memories.1.bandwidth: '-5 GB/s' must be more than 0"),
        ("100 GB/s", "[1, 2]", "demo.yaml:18: memories.1.bandwidth: a figure is a quantity, or a mapping with 'value'"),
        ("1 MiB", "1 MHz", "demo.yaml:13: memories.0.capacity: '1 MHz': unit 'MHz' is not one of bytes"),
        ("2 GHz", "2 GB", "demo.yaml:8: engines.0.clock: '2 GB': unit 'GB' is not one of hertz"),
        ("fp32: 1 TFLOP/s", "fp33: 1 TFLOP/s", "demo.yaml:9: engines.0.peak.fp33: 'fp33' is none of"),
        (
            "[activations]",
            "[activation]",
            "demo.yaml:15: memories.0.holds.0: 'activation' is none of weights, activations, boundary; did you mean",
        ),
        ("id: demo", "id: Demo Board", "demo.yaml:2: id: "),
        ("    kind: dram\n", "", "demo.yaml:16: memories.1.kind: is missing"),
        ("name: Demo\n", "", "name: is missing"),
        ("  - id: core\n    kind: simd", "  - kind: simd", "engines.0.id: is missing"),
        ("id: dram", "id: sram", "two memory entries have the id 'sram'"),
        ("100 GB/s", "{value: 100 GB/s, source: nowhere}", "memories.dram.bandwidth: source 'nowhere' is not under 'sources'"),
        (
            "100 GB/s",
            "{value: 100 GB/s, kind: datashet}",
            "kind 'datashet' is none of datasheet, measured, derived, calibrated, estimated; did you mean 'datasheet'?",
        ),
        ("100 GB/s", "{value: 100 GB/s, sorce: x}", "'sorce': unknown key of a figure; did you mean 'source'?"),
        ("100 GB/s", "{kind: datasheet}", "a figure is a quantity, or a mapping with 'value'"),
        ("    bandwidth: 100 GB/s\n", "", "memory 'dram' needs a bandwidth, or a read_bandwidth"),
        ("100 GB/s", "100 GB/s\n    read_bandwidth: 90 GB/s", "memory 'dram' has both bandwidth and read_bandwidth; give one"),
        ("100 GB/s", "8 B/cycle", "memory 'dram' has a bandwidth per cycle, but no clock"),
        (
            "    clock: 2 GHz\n    peak: {fp32: 1 TFLOP/s",
            "    peak: {fp32: 2 MAC/cycle",
            "engine 'core' has rates per cycle, but no clock",
        ),
        ("2 GHz", "2 GHz\n    sustained_clock: 3 GHz", "engine 'core': sustained_clock needs a clock that is not lower"),
        ("2 GHz", "2 GHz\n    achieved: {fp32: 1.2}", "engine 'core': achieved.fp32 is above 1"),
        ("2 GHz", '2 GHz\n    sparsity: {"2:4": {fp32: 0.5}}', "engine 'core': sparsity.2:4.fp32 is below 1"),
        (
            "2 GHz",
            '2 GHz\n    sparsity: {"2:4": {fp16: 2}}',
            "engine 'core': sparsity.2:4.fp16, but there is no peak of fp16 (it has: fp32, int8)",
        ),
        ("2 GHz", '2 GHz\n    sparsity: {"1:4": {fp32: 2}}', "engines.0.sparsity.1:4: '1:4' is none of 2:4; did you mean '2:4'?"),
        ("2 GHz", "2 GHz\n    sparsity: {2:4: {fp32: 2}}", "engines.0.sparsity.124: '124' is none of 2:4; did you mean '2:4'?"),
        ("2 GHz", '2 GHz\n    sparsity: {"2:4": {fp32: fast}}', "engines.0.sparsity.2:4.fp32: 'fast' is not"),
        ("2 GHz", "2 GHz\n    overlap: 1.5", "engine 'core': overlap is above 1"),
        ("2 GHz", "2 GHz\n    even_split: 150 %", "engine 'core': even_split is above 1"),
        ("100 GB/s", "100 GB/s\n    achieved: 120 %", "memory 'dram': achieved is above 1"),
        ("kind: dram", "kind: cache", "memory 'dram' of kind cache keeps what passes through"),
        (
            "100 GB/s",
            "100 GB/s\n    capacity: 1 MiB\n    double_buffer: 2 MiB",
            "memory 'dram': double_buffer is larger than its capacity",
        ),
    ],
)
def test_a_fault_says_where_and_what(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = faults(tmp_path, changed(old, new))
    assert expected in found[0]
    assert all(re.match(r"demo\.yaml:\d+: \S", line) for line in found)


def test_one_fault_is_reported_once(tmp_path: Path) -> None:
    """A wrong engine is not also a missing one."""
    assert faults(tmp_path, changed("2 GHz", "2 GB")) == [
        "demo.yaml:8: engines.0.clock: '2 GB': unit 'GB' is not one of hertz; write '216 MHz'"
    ]


def test_all_faults_at_once(tmp_path: Path) -> None:
    text = (
        changed("class: cpu", "class: cpus")
        .replace("bandwidth: 400", "bandwith: 400")
        .replace("100 GB/s", "100 GHz")
        .replace("name: Demo\n", "")
    )
    found = faults(tmp_path, text)
    text_of_all = "\n".join(found)
    for expected in ("class: 'cpus'", "memories.0.bandwith: unknown key", "memories.1.bandwidth: '100 GHz'", "name: is missing"):
        assert expected in text_of_all


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    assert faults(tmp_path, changed("name: Demo\n", "name: Demo\nname: Other\n")) == ["demo.yaml:4: name: the key stands twice"]


def test_a_key_twice_in_a_list_entry(tmp_path: Path) -> None:
    found = faults(tmp_path, changed("    capacity: 1 MiB\n", "    capacity: 1 MiB\n    capacity: 2 MiB\n"))
    assert found == ["demo.yaml:14: capacity: the key stands twice"]


# ---- the file as such ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("schema: 1\n", "", "'schema: 1' is missing at the top"),
        ("schema: 1", "schema: 2", "demo.yaml:1: schema 2 is not supported (this version reads 1); update nn-simulator"),
        ("schema: 1", "schema: 0", "write 'schema: 1' and follow docs/hardware.md"),
        ("schema: 1", "schema: one", "schema 'one' is not supported"),
        ("schema: 1", "schema: true", "schema True is not supported"),
        ("engines:", "engines: [", "not valid YAML"),
        ("schema: 1", "- schema: 1", "demo.yaml:"),
    ],
)
def test_the_schema_and_the_syntax(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in faults(tmp_path, changed(old, new))[0]


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]", "3"])
def test_no_mapping(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == ["demo.yaml:1: expected a mapping with 'schema: 1' at the top"]


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_bytes(b"\xff\xfe\x00schema")
    with pytest.raises(HardwareError, match="is not a text file"):
        load_spec(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        load_spec(tmp_path / "absent.yaml")


def test_another_suffix(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text("{}")
    with pytest.raises(HardwareError, match=r"is not a \.yaml file"):
        load_spec(path)


def test_no_such_machine_in_the_catalogue() -> None:
    with pytest.raises(
        NotFoundError, match=r"no hardware 'rtx4099' in the catalogue; did you mean 'rtx4090'\? \(see: sim hw list\)"
    ):
        load_spec("rtx4099")


# ---- extends ------------------------------------------------------------------------------------------------------


def extended(folder: Path, over: str) -> HardwareSpec:
    written(folder, GOOD, "base")
    return load_spec(written(folder, "schema: 1\nid: over\nextends: base.yaml\n" + over, "over"))


def test_extends_changes_only_what_it_names(tmp_path: Path) -> None:
    machine = extended(tmp_path, "name: Faster\nmemories:\n  - id: dram\n    bandwidth: 200 GB/s\n")
    assert (machine.id, machine.name) == ("over", "Faster")
    assert [m.id for m in machine.memories] == ["sram", "dram"]
    assert machine.memories[1].read.value == 200e9
    assert machine.memories[1].holds == ("weights", "activations")
    assert machine.memories[0].capacity.value == 2**20


def test_extends_merges_sections_by_key(tmp_path: Path) -> None:
    machine = extended(tmp_path, "engines:\n  - id: core\n    peak: {int8: 8 TOP/s}\n")
    assert machine.engines[0].peak["int8"].value == 4e12
    assert machine.engines[0].peak["fp32"].value == 0.5e12


def test_extends_adds_entries_with_a_new_id(tmp_path: Path) -> None:
    machine = extended(tmp_path, "engines:\n  - {id: npu, kind: npu, peak: {int8: 10 TOP/s}}\n")
    assert [e.id for e in machine.engines] == ["core", "npu"]


def test_extends_does_not_mix_provenances(tmp_path: Path) -> None:
    """A figure with its source is replaced as a whole: a new value never keeps the old one's source."""
    base = changed("100 GB/s", "{value: 100 GB/s, kind: datasheet, source: sheet}") + "sources: {sheet: A data sheet}\n"
    written(tmp_path, base, "base")
    over = "schema: 1\nid: over\nextends: base.yaml\nmemories:\n  - id: dram\n    bandwidth: {value: 90 GB/s, kind: measured}\n"
    figure = load_spec(written(tmp_path, over, "over")).memories[1].read
    assert (figure.value, figure.kind, figure.source) == (90e9, "measured", None)


def test_a_fault_in_an_extending_file_is_found_there(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "base")
    path = written(tmp_path, "schema: 1\nid: over\nextends: base.yaml\nmemories:\n  - id: dram\n    bandwith: 200 GB/s\n", "over")
    with pytest.raises(
        HardwareError, match=r"over\.yaml:6: memories\.(1|dram)\.bandwith: unknown key; did you mean 'bandwidth'\?"
    ):
        load_spec(path)


def test_a_fault_in_the_file_extended_names_that_file(tmp_path: Path) -> None:
    written(tmp_path, changed("100 GB/s", "100 GHz"), "base")
    path = written(tmp_path, "schema: 1\nid: over\nextends: base.yaml\n", "over")
    with pytest.raises(HardwareError, match=r"base\.yaml:18: memories\.1\.bandwidth"):
        load_spec(path)


def test_extends_in_a_circle(tmp_path: Path) -> None:
    written(tmp_path, "schema: 1\nid: a\nextends: b.yaml\n", "a")
    path = written(tmp_path, "schema: 1\nid: b\nextends: a.yaml\n", "b")
    with pytest.raises(HardwareError, match=r"a\.yaml:3: extends: circular: b → a → b"):
        load_spec(path)


def test_extends_itself(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"a\.yaml:3: extends: circular: a → a"):
        load_spec(written(tmp_path, "schema: 1\nid: a\nextends: a.yaml\n", "a"))


def test_extends_what_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"a\.yaml:3: extends: no machine 'stm32h734'; did you mean 'stm32h7"):
        load_spec(written(tmp_path, "schema: 1\nid: a\nextends: stm32h734\n", "a"))


def test_extends_the_catalogue(tmp_path: Path) -> None:
    machine = load_spec(written(tmp_path, "schema: 1\nid: mine\nextends: stm32h743\nname: Mine\n", "mine"))
    assert machine.engines == load_spec("stm32h743").engines


def test_merge_is_idempotent_and_leaves_its_arguments_alone() -> None:
    base = {"a": {"x": 1, "y": 2}, "list": [{"id": "p", "v": 1}, {"id": "q", "v": 2}]}
    over = {"a": {"y": 3}, "list": [{"id": "q", "v": 4}, {"id": "r", "v": 5}]}
    once = merge(base, over)
    assert once == {"a": {"x": 1, "y": 3}, "list": [{"id": "p", "v": 1}, {"id": "q", "v": 4}, {"id": "r", "v": 5}]}
    assert merge(once, over) == once
    assert base["a"] == {"x": 1, "y": 2}
    assert merge(base, {}) == base


# ---- modes --------------------------------------------------------------------------------------------------------

MODES = (
    GOOD
    + """\
modes:
  15W:
    memories: [{id: dram, bandwidth: 50 GB/s}]
  slow:
    engines: [{id: core, clock: 1 GHz}]
"""
)


def test_a_mode_is_laid_over_the_machine(tmp_path: Path) -> None:
    path = written(tmp_path, MODES)
    assert load_spec(path).memories[1].read.value == 100e9
    machine = load_spec(f"{path}:15W")
    assert machine.memories[1].read.value == 50e9
    assert machine.mode == "15W"
    assert load_spec(path).mode is None


def test_an_unknown_mode(tmp_path: Path) -> None:
    path = written(tmp_path, MODES)
    with pytest.raises(NotFoundError, match=r"demo has no mode '15w'.*\(its modes: 15W, slow\)"):
        load_spec(f"{path}:15w")
    with pytest.raises(NotFoundError, match=r"has no mode 'x'.*its modes: none"):
        load_spec(f"{written(tmp_path, GOOD, 'plain')}:x")


def test_a_fault_inside_a_mode_is_found_at_its_own_line(tmp_path: Path) -> None:
    path = written(tmp_path, MODES.replace("bandwidth: 50 GB/s", "bandwith: 50 GB/s"))
    with pytest.raises(HardwareError, match=r"demo\.yaml:22: .*bandwith: unknown key; did you mean 'bandwidth'\?"):
        load_spec(f"{path}:15W")


# ---- several engines ----------------------------------------------------------------------------------------------


def test_what_an_engine_runs_is_checked(tmp_path: Path) -> None:
    peak = "    peak: {fp32: 1 TFLOP/s, int8: 2 TOP/s}\n"
    lists = "    supports: {operators: [Conv, Rellu], source: nowhere}\n    memories: [srma]\n"
    wrong = changed(peak, peak + lists)
    found = "\n".join(faults(tmp_path, wrong))
    assert "demo.yaml:10" in found
    assert "no operator 'Rellu'; did you mean 'Relu'?" in found
    sound = wrong.replace("Rellu", "Relu")
    found = "\n".join(faults(tmp_path, sound))
    assert "engines.core.memories: no memory 'srma'; did you mean 'sram'?" in found
    assert "engines.core.supports: source 'nowhere' is not under 'sources'" in found


def test_a_limit_is_at_least_one_and_of_a_known_name(tmp_path: Path) -> None:
    for entry, told in (("max_kernel: 0", "max_kernel"), ("max_kernle: 3", "did you mean 'max_kernel'")):
        assert told in "\n".join(
            faults(tmp_path, changed("    clock: 2 GHz\n", f"    clock: 2 GHz\n    supports: {{{entry}}}\n"))
        )


def test_a_list_without_a_source_is_told(tmp_path: Path) -> None:
    machine = spec(tmp_path, changed("    clock: 2 GHz\n", "    clock: 2 GHz\n    supports: {max_kernel: 3}\n"))
    assert "engines.core.supports" in machine.unsourced()


# ---- runtimes -----------------------------------------------------------------------------------------------------


def test_a_runtime_file_states_its_faults_alike(tmp_path: Path) -> None:
    text = "schema: 1\nid: mine\nname: Mine\ndescription: Mine.\nfusions: [activation]\nprofiles: {}\n"
    with pytest.raises(HardwareError) as caught:
        load_runtime(str(written(tmp_path, text, "mine")))
    assert "mine.yaml:5: fusions: unknown key; did you mean 'fusion'?" in str(caught.value)


def test_an_efficiency_above_one_is_refused(tmp_path: Path) -> None:
    from support.machines import runtime_data
    from yaml import safe_dump

    data = runtime_data(bandwidth=1.5) | {"fusion": []}
    with pytest.raises(HardwareError, match=r"bandwidth.* above 1"):
        load_runtime(str(written(tmp_path, safe_dump(data), "mine")))


def test_a_runtime_has_kernels_for_known_patterns_of_zeros(tmp_path: Path) -> None:
    from support.machines import runtime_data
    from yaml import safe_dump

    data = runtime_data() | {"fusion": [], "sparsity": ["2:3"]}
    with pytest.raises(HardwareError, match=r"sparsity\.0: '2:3' is none of 2:4; did you mean '2:4'\?"):
        load_runtime(str(written(tmp_path, safe_dump(data), "mine")))


def test_no_such_runtime() -> None:
    with pytest.raises(NotFoundError, match=r"no runtime 'ideel'; did you mean 'ideal'\?"):
        load_runtime("ideel")
