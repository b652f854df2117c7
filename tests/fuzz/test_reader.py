"""Whatever the bytes, the reader and the YAML loader answer with a result or with one clear error, never a traceback.

`FUZZ_EXAMPLES=20000 pytest tests/fuzz` looks longer.
"""

import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import zoo
from simulator.errors import SimulatorError
from simulator.io.hardware_reader import hardware_ids, load_spec
from simulator.io.onnx_reader import parse_model, read_onnx
from simulator.model import Model
from simulator.resolve.dims import DimOptions
from simulator.resolve.resolver import resolve

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
MODELS = ("ds_cnn", "resnet8", "mobilenet_v1_025_vww", "deit_tiny", "gemm")


@cache
def serialized(name: str) -> bytes:
    return bytes(zoo.build(name).SerializeToString())


def _has_a_message(error: SimulatorError) -> None:
    assert str(error).strip()


def read_and_count(data: bytes) -> None:
    """Everything that happens to a file before a machine is involved."""
    try:
        model = Model(resolve(parse_model(memoryview(data), "fuzz"), DimOptions(batch=2), allow_unknown=True))
    except SimulatorError as error:
        _has_a_message(error)
        return
    assert model.macs >= 0
    assert model.params >= 0
    assert model.activation_elements_peak >= 0


@SETTINGS
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    read_and_count(data)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real model with some bytes changed, removed or repeated."""
    data = bytearray(serialized(draw(st.sampled_from(MODELS))))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["set", "cut", "repeat", "truncate"]))
        if kind == "set":
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
        elif at > 100:
            del data[at:]
        if not data:
            break
    return bytes(data)


@SETTINGS
@given(damaged())
def test_damaged_models(data: bytes) -> None:
    read_and_count(data)


@pytest.mark.parametrize("name", MODELS)
def test_every_truncation(name: str, tmp_path: Path) -> None:
    data = serialized(name)
    path = tmp_path / "cut.onnx"
    for size in range(0, len(data), max(1, len(data) // 200)):
        path.write_bytes(data[:size])
        try:
            Model(resolve(read_onnx(path), DimOptions(), allow_unknown=True))
        except SimulatorError as error:
            _has_a_message(error)


@cache
def yaml_text(name: str) -> str:
    return hardware_ids()[name].read_text(encoding="utf-8")


@st.composite
def damaged_yaml(draw: st.DrawFn) -> str:
    """A catalogue file with some characters or lines changed."""
    text = yaml_text(draw(st.sampled_from(["stm32h743", "a100_sxm_80", "edgetpu_usb", "jetson_orin_nano"])))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(["insert", "cut", "line", "number"]))
        if kind == "insert":
            text = text[:at] + draw(st.text(max_size=8)) + text[at:]
        elif kind == "cut":
            text = text[:at] + text[at + draw(st.integers(1, 30)) :]
        elif kind == "line":
            lines = text.split("\n")
            lines.pop(draw(st.integers(0, len(lines) - 1)))
            text = "\n".join(lines)
        else:
            text = text.replace(
                draw(st.sampled_from("0123456789")), draw(st.sampled_from(["-", "0", "e9", "~", "[", "1e400"])), 1
            )
    return text


@SETTINGS
@given(damaged_yaml())
def test_damaged_yaml(text: str) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fuzz_{os.getpid()}.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="\n")
    try:
        spec = load_spec(path)
    except SimulatorError as error:
        _has_a_message(error)
    else:
        assert all(figure.value == figure.value for _, figure in spec.figures())  # no NaN
    finally:
        path.unlink()
