"""Files with other values under their paths."""

import numpy as np
import pytest
from support.machines import hardware

import simulator as sim
from simulator.errors import UsageError
from simulator.machine.changed import figure_at, with_columns, with_value, with_values
from simulator.machine.params import machine_of

A100 = sim.load_hardware("a100_sxm_80")


def test_a_value_is_read_as_in_the_file() -> None:
    changed = with_value(A100, "memories.hbm.bandwidth", "900 GB/s")
    assert machine_of(changed).memories[-1].read_bytes_per_s == 900e9
    assert machine_of(A100).memories[-1].read_bytes_per_s == 2039e9
    figure = figure_at(changed, "memories.hbm.bandwidth")
    assert figure is not None
    assert figure.is_sourced  # a study's figure is not a missing source


def test_multiples_are_of_what_there_is() -> None:
    changed = with_value(A100, "engines.tensor.peak.fp16", "2x")
    assert machine_of(changed).engines[0].macs_per_s["fp16"] == 312e12
    assert with_value(changed, "engines.tensor.peak.fp16", "0.5x").engines[0].peak["fp16"].value == 156e12


def test_what_the_file_leaves_out_may_be_set() -> None:
    changed = with_value(A100, "overheads.inference", "1 ms")
    assert machine_of(changed).inference_overhead_s == 1e-3
    assert machine_of(with_value(A100, "engines.tensor.peak.fp8", "624 TFLOP/s")).engines[0].macs_per_s["fp8"] == 312e12


def test_values_are_checked_together() -> None:
    """Each alone would contradict the other."""
    path = "engines.tensor"
    spec = with_values(A100, [(f"{path}.clock", "0.5x"), (f"{path}.sustained_clock", "600 MHz")])
    assert machine_of(spec).engines[0].sustained == pytest.approx(600e6 / (1410e6 / 2))
    with pytest.raises(UsageError, match="sustained_clock"):
        with_value(A100, f"{path}.sustained_clock", "2 GHz")


def test_other_paths_stay_as_they_are() -> None:
    changed = with_value(A100, "memories.hbm.bandwidth", "900 GB/s")
    before, after = dict(A100.figures()), dict(changed.figures())
    assert {path for path in before if before[path] != after[path]} == {"memories.hbm.bandwidth"}


def test_columns_replace_values() -> None:
    column = np.array([[1e12], [2e12]])
    machine = machine_of(with_columns(A100, {"memories.hbm.bandwidth": column}))
    assert (np.asarray(machine.memories[-1].read_bytes_per_s) == column).all()


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("memories.hbm.bandwith", "1TB/s", "did you mean 'memories.hbm.bandwidth'"),
        ("memories.dram.bandwidth", "1TB/s", "it has l2, hbm"),
        ("memories.hbm", "1TB/s", "is a section"),
        ("memories.hbm.bandwidth.x", "1TB/s", "did you mean"),
        ("memories.hbm.bandwidth", "1TB", "not one of bytes per s"),
        ("memories.hbm.bandwidth", "-1TB/s", "more than 0"),
        ("memories.hbm.bandwidth", "100TB/s", "slower"),
        ("memories.hbm.achieved", "1.5", "above 1"),
        ("memories.hbm.latency", "2x", "to multiply"),
        ("memories.hbm.bandwidth", "0x", "more than 0"),
        ("engines.tensor.peak.fp77", "1MAC/s", "should be"),
        ("", "1", "has no"),
        ("nothing", "1", "has no nothing"),
    ],
)
def test_what_cannot_be(path: str, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        with_value(A100, path, text)


def test_conflicts_by_point() -> None:
    spec = hardware(
        memories=[
            {"id": "l1", "kind": "cache", "capacity": "1 KiB", "bandwidth": "10 GB/s"},
            {"id": "dram", "kind": "dram", "capacity": "1 GiB", "bandwidth": "1 GB/s"},
        ]
    )
    column = np.array([[1e9], [1e10], [1e11]])
    found = {fault: there for fault, there in with_columns(spec, {"memories.dram.bandwidth": column}).conflicts if np.any(there)}
    assert [np.ravel(there).tolist() for there in found.values()] == [[False, False, True]] * 2
    assert all("slower" in fault for fault in found)
