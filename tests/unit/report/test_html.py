"""The estimate as HTML: well formed, escaped, with the totals that the report has."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

import simulator as sim
from simulator.report.html import estimate_html
from simulator.units import format_si

CASES = (("resnet50", "a100_sxm_80", "fp16"), ("mobilenet_v2", "stm32h743", "int8"), ("resnet50", "edgetpu_usb", "int8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_totals_are_in_it(case) -> None:
    model, machine, precision = case
    est = sim.estimate(model, machine, precision=precision)
    root = ET.fromstring(estimate_html(est))
    text = "".join(root.itertext())
    rows = {tr[0].text: tr[1].text for tr in root.iter("tr")}
    assert model in text
    assert est.hardware.name in text
    assert rows["Latency"].startswith(format_si(est.latency_s, "s"))
    assert f"bound by {est.bound}" in text
    assert rows["Energy"].startswith(format_si(est.energy_j, "J") if est.energy_j else "not known")
    assert list(rows)[:5] == ["Latency", "Time", "Energy", "Memory", "Work"]
    shown = [row for row in rows if row in ("Beware", "")]
    assert bool(shown) == bool(est.warnings)


def test_what_does_not_fit_says_so() -> None:
    est = sim.estimate("vgg16", "stm32h743", precision="int8")
    assert "does not fit" in estimate_html(est)


def test_names_are_escaped() -> None:
    est = sim.estimate("resnet8", "rpi4", precision="fp32")
    bad = replace(est, warnings=("<script>alert('&')</script>", *["more"] * 5))
    bad = replace(bad, hardware=est.hardware.model_copy(update={"name": 'A<b onmouseover="x">&'}))
    text = estimate_html(bad)
    root = ET.fromstring(text)
    assert not list(root.iter("script"))
    assert "<script" not in text
    assert "onmouseover=" not in text.replace("onmouseover=&quot;", "")
    assert "3 more" in text


def test_it_needs_no_plots() -> None:
    code = (
        "import sys, simulator as s; from simulator.report.html import estimate_html;"
        "estimate_html(s.estimate('resnet8', 'rpi4')); print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
