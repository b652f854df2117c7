"""What lives where on a device and its host, by hand."""

import pytest
from support.graphs import loaded, model, node, value, weight
from support.machines import device_data, runtime_data

import simulator as sim
from simulator.errors import UsageError
from simulator.estimator import estimate
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.schedule.plan import MemoryPlan
from simulator.schedule.residence import places_of

KIB = 1024


def planned(*operators: str, **options: object) -> MemoryPlan:
    """x (1×16×4×4, 1 KiB) → conv → relu → conv, of which a device runs some, in fp32: every activation has 1 KiB."""
    nodes = [node("Conv", "x w", "a", name="c1"), node("Relu", "a", "b", name="r"), node("Conv", "b v", "y", name="c2")]
    weights = [weight("w", 16, 16, 1, 1), weight("v", 16, 16, 1, 1)]
    network = loaded(model(nodes, [value("x", 1, 16, 4, 4)], ["y"], weights))
    machine = HardwareSpec.model_validate(device_data(operators=list(operators)))
    est = estimate(network, machine, RuntimeSpec.model_validate(runtime_data()))
    return sim.plan(est, **options)  # type: ignore[arg-type]


def test_what_crosses_is_in_both_places_for_that_kernel() -> None:
    plan = planned("Conv")
    device, host = plan.places
    assert (device.engines, device.memory, sorted(device.here)) == (("device",), "tcm", [0, 2])
    assert (host.engines, host.memory, sorted(host.here)) == (("host",), "sram", [1])
    crossed = [(c.spec.name, c.source, c.target, c.kernel) for c in plan.crossings]
    assert crossed == [("x", 1, 0, 0), ("a", 0, 1, 1), ("b", 1, 0, 2), ("y", 0, 1, 2)]
    assert device.peaks["liveness"].live_bytes.tolist() == [2 * KIB, 1 * KIB, 2 * KIB]  # x a | a | b y
    assert host.peaks["liveness"].live_bytes.tolist() == [1 * KIB, 2 * KIB, 2 * KIB]  # x | a b | b y
    assert device.peaks["in_out"].live_bytes.tolist() == [2 * KIB, 0, 2 * KIB]
    assert host.peaks["in_out"].live_bytes.tolist() == [0, 2 * KIB, 0]


def test_weights_and_activations_need_the_memories_of_their_engine() -> None:
    needs = {f.memory: (f.needs_bytes, f.fits) for f in planned("Conv").fits}
    assert needs == {"tcm": (4 * KIB, True), "bus": (0.0, True), "sram": (2 * KIB, False), "flash": (0.0, True)}
    needs = {f.memory: f.needs_bytes for f in planned("Relu").fits}
    assert needs == {"tcm": 2 * KIB, "bus": 0.0, "sram": 2 * KIB, "flash": 2 * KIB}


def test_one_place_where_one_engine_runs_everything() -> None:
    alone = planned("Conv", "Relu")
    assert [place.engines for place in alone.places] == [("device",)]
    assert alone.crossings == ()
    assert {f.memory for f in alone.fits} == {"tcm", "bus"}


def test_patches_need_one_place() -> None:
    with pytest.raises(UsageError, match=r"patches need all activations in one place.*device in tcm, host in sram"):
        planned("Conv", patches=((2, 2), 1))


def test_engines_are_together_where_they_share_a_memory_of_activations() -> None:
    data = device_data(operators=["Conv"])
    data["engines"].insert(1, {"id": "dsp", "kind": "simd", "peak": {"fp32": "1 GFLOP/s"}, "memories": ["sram", "tcm"]})
    machine = machine_of(HardwareSpec.model_validate(data))
    (place,) = places_of(machine, machine.engines)
    assert place.engines == ("device", "dsp", "host")
    apart = places_of(machine, (machine.engines[2], machine.engines[0]))
    assert [(p.engines, p.is_host) for p in apart] == [(("device",), False), (("host",), True)]


def test_between_two_devices_data_goes_by_the_host() -> None:
    """Also where no kernel runs there: then it is no place of the plan."""
    data = device_data(operators=["Conv"])
    data["engines"][1] |= {"supports": {"operators": ["Relu"]}, "memories": ["sram", "lane"]}
    data["engines"].append({"id": "cpu", "kind": "simd", "peak": {"fp32": "1 GFLOP/s"}, "memories": ["dram"]})
    data["memories"] += [
        {"id": "lane", "kind": "link", "bandwidth": "1 GB/s", "holds": ["weights"]},
        {"id": "dram", "kind": "dram", "bandwidth": "1 GB/s", "holds": ["weights", "activations"]},
    ]
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "y")]
    network = loaded(model(nodes, [value("x", 1, 16, 4, 4)], ["y"], [weight("w", 16, 16, 1, 1)]))
    est = estimate(network, HardwareSpec.model_validate(data), RuntimeSpec.model_validate(runtime_data()))
    plan = sim.plan(est)
    assert [place.engines for place in plan.places] == [("device",), ("host",)]
    crossed = [(c.spec.name, c.source, c.target, c.kernel) for c in plan.crossings]
    assert crossed == [("x", None, 0, 0), ("a", 0, None, 1), ("a", None, 1, 1), ("y", 1, None, 1)]
    assert sum(float(c.all_bytes.sum()) for c in est.cost.crossed.values()) == 4 * KIB
    assert plan.places[0].peaks["liveness"].live_bytes.tolist() == [2 * KIB, 1 * KIB]


@pytest.mark.parametrize("network", ["mobilenet_v3_small", "efficientnet_b0"])
def test_engines_that_share_their_memory_hold_activations_once(network: str) -> None:
    """An Orin's DLA and GPU work from one DRAM; the GPU has a cache besides. Estimate and plan agree."""
    est = sim.estimate(network, "jetson_agx_orin64", precision="int8", runtime="tensorrt_dla")
    assert set(est.engines) == {"dla", "tensor"}
    (dram,) = est.memory_fit
    assert dram.needs_bytes == est.work.footprint.weight_bytes + est.prepared.occupancy.peak_bytes
    assert sim.plan(est, alignment_bytes=1).fits[0].needs_bytes == dram.needs_bytes
