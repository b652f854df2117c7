"""Results show themselves as tables in notebooks, with everything escaped."""

from collections.abc import Callable

import pytest

import simulator as sim

RESULTS: dict[str, Callable[[], object]] = {
    "estimate": lambda: sim.estimate("resnet8", "rpi4"),
    "sweep": lambda: sim.sweep("resnet8", "rpi4", vary=["memories.dram.bandwidth=0.1x..9x:log:40"]),
    "whatif": lambda: sim.whatif("resnet8", "rpi4", {"<b>fast</b>": ["memories.dram.bandwidth=2x"], "odd": ["precision=fp8"]}),
    "sensitivity": lambda: sim.sensitivity("resnet8", "rpi4"),
    "pareto": lambda: sim.pareto(
        {"latency_s": [1.0, 2.0], "accuracy": [1.0, 2.0], "name": ["<a>", "b"]}, ["latency", "accuracy"]
    ),
    "compare": lambda: sim.compare(["resnet8"], ["rpi4"]),
    "recommend": lambda: sim.recommend(hardware="rpi4", limits={"latency": "1s"}, task="cifar10"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_html(name: str) -> None:
    html = RESULTS[name]()._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<table") == html.count("</table>") >= 1
    assert "<b>fast" not in html
    assert "<a>" not in html


def test_a_sweep_shows_its_first_rows_and_what_is_missing() -> None:
    found = sim.sweep("resnet8", "rpi4", vary=["memories.dram.bandwidth=0.1x..9x:log:40"])
    html = found._repr_html_()
    assert html.count("<tr>") == 21
    assert "more rows" in html
    assert "points have no value: memory" in html
