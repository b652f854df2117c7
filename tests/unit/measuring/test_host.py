"""What the operating system says, in samples of its files."""

from pathlib import Path

import pytest

from simulator.measuring import host
from simulator.measuring.host import Cache, busy_s, cpu_count, cpu_fields, cpu_name, data_caches, identifier

DESKTOP = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 154\n"
    "model name\t: 12th Gen Intel(R) Core(TM) i7-12700H @ 2.30GHz\nflags\t\t: fpu avx2\n\nprocessor\t: 1\nmodel name\t: other\n"
)
VIRTUAL = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC Processor\n"
BOARD = "processor\t: 0\nFeatures\t: fp asimd\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (DESKTOP, "12th Gen Intel Core i7-12700H"),
        (VIRTUAL, "AMD EPYC Processor (family 25, model 17)"),
        (BOARD, "Raspberry Pi 4 Model B Rev 1.4"),
        ("", None),
        ("nonsense without a colon\n", None),
    ],
)
def test_names_of_processors(text: str, name: str | None) -> None:
    assert cpu_name(cpu_fields(text)) == name


@pytest.mark.parametrize(
    ("name", "found"),
    [("AMD EPYC (family 25, model 17)", "amd_epyc_family_25_model_17"), ("i7-12700H", "i7_12700h"), ("…", "host"), ("", "host")],
)
def test_names_as_ids(name: str, found: str) -> None:
    assert identifier(name) == found


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3\n", 4), ("0-2,5,7-8", 6), ("", 1), ("junk", 1)])
def test_lists_of_processors(text: str, count: int) -> None:
    assert cpu_count(text) == count


def test_caches_of_data(tmp_path: Path) -> None:
    rows = [
        ("3", "32768K", "Unified", "0-7"),
        ("1", "48K", "Data", "0-1"),
        ("1", "32K", "Instruction", "0"),
        ("2", "2M", "Unified", "0"),
    ]
    for i, (level, size, kind, shared) in enumerate(rows):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in (("level", level), ("size", size), ("type", kind), ("shared_cpu_list", shared)):
            (folder / name).write_text(text + "\n", encoding="utf-8")
    (tmp_path / "index9").mkdir()  # says nothing
    assert data_caches(tmp_path) == (Cache(1, 48 << 10, 2), Cache(2, 2 << 20, 1), Cache(3, 32 << 20, 8))
    assert data_caches(tmp_path / "absent") == ()


def test_busy_time_is_that_of_all_processors_but_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.os, "sysconf", lambda _: 100)
    assert busy_s("cpu  100 20 30 5000 400 5 6 7 0 0\ncpu0 1 2 3\n") == pytest.approx(1.68)
    assert busy_s("cpu  100 20 30 5000\n") == pytest.approx(1.5)  # an old kernel
    assert busy_s("") is None


def test_a_host_without_any_of_these_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_read", lambda _: "")
    found = host.this_host()
    assert found.name
    assert (found.vendor, found.caches) == (None, ())
    assert found.cores >= 1
    assert host.LoadMeter().load().others_share is None
    assert host.processor_flags() == ()


def test_shares_are_shares() -> None:
    meter = host.LoadMeter()
    assert 0 <= host.spin_share(0.01) <= 1
    load = meter.load()
    assert 0 <= load.cpu_share <= 1
    assert load.others_share is None or 0 <= load.others_share <= 1


def test_the_memory_of_this_process_is_of_a_size() -> None:
    peak = host.peak_resident_bytes()
    assert peak is None or 1 << 20 < peak < 1 << 40
