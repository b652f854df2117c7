"""What-ifs are estimates of what they say, beside the estimate of what there is."""

import pytest

import simulator as sim
from simulator.errors import UsageError
from simulator.study.early_exit import Exit, exit_of
from simulator.study.whatif import changes, kernel_changes


def test_after_is_the_estimate_of_what_was_changed() -> None:
    found = sim.whatif("resnet8", "rpi4", {"both": {"precision": "int8", "batch": 4}}, base={"overlap": "layer"})
    est = sim.estimate(sim.load_model("resnet8", batch=4), "rpi4", precision="int8", overlap="layer")
    (after,) = found.after
    assert after.estimate is not None
    assert (after.estimate.latency_s, after.estimate.energy_j) == (est.latency_s, est.energy_j)
    before = sim.estimate("resnet8", "rpi4", overlap="layer")
    assert found.before.estimate is not None
    assert found.before.estimate.latency_s == before.latency_s


def test_changes_and_kernels_add_up() -> None:
    found = sim.whatif("mobilenet_v2", "rpi4", {"fast": ["memories.dram.bandwidth=2x"]})
    before, after = found.before.estimate, found.after[0].estimate
    assert before is not None
    assert after is not None
    latency = next(change for change in changes(before, after) if change.name == "latency")
    assert latency.ratio == after.latency_s / before.latency_s < 1
    kernels = kernel_changes(before, after)
    assert sum(kernel.saved_s for kernel in kernels) == pytest.approx(before.latency_s - after.latency_s)
    assert [abs(k.saved_s) for k in kernels] == sorted((abs(k.saved_s) for k in kernels), reverse=True)


def test_settings_apply_in_order() -> None:
    """A path given twice is relative to what it became."""
    found = sim.whatif("resnet8", "rpi4", {"a": ["memories.dram.bandwidth=0.5x"] * 2, "b": ["memories.dram.bandwidth=0.25x"]})
    first, second = (outcome.estimate for outcome in found.after)
    assert first is not None
    assert second is not None
    assert first.latency_s == second.latency_s


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_exits_cost_the_mean_of_their_ways(share: float) -> None:
    from simulator.model import Model
    from simulator.transform.exits import until_exit, with_exit

    at = "layer2.1.relu"
    graph = with_exit(sim.load_model("resnet18").graph, at, 1000)
    whole, early = (sim.estimate(Model(g), "a100_sxm_80") for g in (graph, until_exit(graph, at)))
    found = sim.whatif("resnet18", "a100_sxm_80", {"exit": {"exit": f"{at}:{share}"}}).after[0].estimate
    assert found is not None
    assert found.latency_s == pytest.approx(share * early.latency_s + (1 - share) * whole.latency_s, rel=1e-12)
    assert found.energy_j == pytest.approx(share * early.energy_j + (1 - share) * whole.energy_j, rel=1e-12)
    assert sum(v for v in found.energy_parts_j.values() if v) == pytest.approx(found.energy_j)
    assert found.bound_latency_s <= found.latency_s


def test_exit_texts() -> None:
    assert exit_of("a.b:0.5") == Exit("a.b", 0.5)
    assert exit_of("a:0.5:10") == Exit("a", 0.5, 10)
    for text in ("a", "a:", ":0.5", "a:1.5", "a:-1", "a:x", "a:0.5:0", "a:0.5:1:2", "a:nan"):
        with pytest.raises(UsageError, match="OPERATOR:SHARE"):
            exit_of(text)


def test_exits_are_for_what_ifs() -> None:
    with pytest.raises(UsageError, match="whatif and sweep alone"):
        sim.solve("resnet18", "rpi4", "memories.dram.bandwidth", "latency<=1s", settings=["exit=layer2.1.relu:0.5"])
    reasons = [
        o.reason
        for o in sim.whatif(
            "resnet18", "rpi4", {"x": ["exit=nothing:0.5"], "y": ["exit=layer1.0.relu:0.7", "exit=layer2.1.relu:0.7"]}
        ).after
    ]
    assert "nothing" in reasons[0]
    assert "more than 1" in reasons[1]


def test_what_is_not_called_so() -> None:
    for setting, says in (
        ("bandwidth=2x", "nothing is called"),
        ("memories.dram.bandwith=2x", "did you mean"),
        ("batch", "NAME=VALUE"),
    ):
        with pytest.raises(UsageError, match=says):
            sim.whatif("resnet8", "rpi4", {"a": [setting]})
