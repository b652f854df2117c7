"""The bound is a property of the network, the machine and the precision: no runtime, not even the ideal one, beats it."""

import pytest

import simulator as sim
from simulator.io.hardware_reader import runtime_ids

NETWORKS = ("ds_cnn", "mobilenet_v2", "resnet50", "bert_base", "densenet121", "efficientnet_b0", "shufflenet_v2_x1_0")
MACHINES = ("stm32h743", "edgetpu_usb", "ethos_u55_128", "a100_sxm_80", "i7_12700h", "tpu_v5e", "zcu102", "hailo8")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_runtime_beats_the_bound_and_all_have_the_same(network: str, machine: str) -> None:
    model, hardware = sim.load_model(network), sim.load_hardware(machine)
    bounds, fastest = set(), float("inf")
    for runtime in runtime_ids():
        try:
            estimate = sim.estimate(model, hardware, precision="int8", runtime=runtime)
        except sim.SimulatorError:
            continue  # this runtime does not run on such an engine
        bounds.add(estimate.bound_latency_s)
        fastest = min(fastest, estimate.latency_s)
    assert len(bounds) == 1
    assert bounds.pop() <= fastest * (1 + 1e-12)


def test_weights_shared_by_kernels_are_held_once() -> None:
    """Three products with one 4 MB matrix fit an Edge TPU's 8 MiB: nothing is streamed over USB."""
    from onnx import TensorProto
    from support.graphs import loaded, model, node, value

    nodes = [node("MatMul", f"{a} w", b) for a, b in (("x", "a"), ("a", "b"), ("b", "y"))]
    weight = TensorProto(name="w", data_type=TensorProto.INT8, dims=[2048, 2048])
    network = loaded(model(nodes, [value("x", 1, 2048, dtype=TensorProto.INT8)], ["y"], [weight]))
    estimate = sim.estimate(network, sim.load_hardware("edgetpu_usb"))
    assert estimate.work.footprint.weight_bytes == 2048 * 2048
    assert estimate.cost.bytes_by_level["usb"].sum() == 0


def test_a_table_that_is_looked_up_counts_whole_in_the_fit_and_by_rows_in_the_traffic() -> None:
    from support.graphs import INT64, loaded, model, node, value, weight

    nodes = [node("Gather", "table ids", "rows"), node("MatMul", "rows w", "y")]
    network = loaded(model(nodes, [value("ids", 1, 4, dtype=INT64)], ["y"], [weight("table", 10_000, 64), weight("w", 64, 8)]))
    estimate = sim.estimate(network, sim.load_hardware("stm32h743"))
    assert estimate.work.footprint.weight_bytes == 4 * (10_000 * 64 + 64 * 8)
    assert estimate.work.footprint.touched_weight_bytes == 4 * (4 * 64 + 64 * 8)
    assert not estimate.fits


def test_engines_beside_each_other_stay_above_the_bound() -> None:
    """Four equal int8 products, two engines of 3 and 1 GMAC/s that both run them: the first gets all."""
    from support.graphs import INT8, loaded, model, node, value, weight
    from support.machines import hardware, runtime

    from simulator.estimator import estimate

    nodes = [node("MatMul", f"x{i} w{i}", f"y{i}") for i in range(4)]
    network = loaded(
        model(
            nodes, [value(f"x{i}", 100, 1000, dtype=INT8) for i in range(4)], [f"y{i}" for i in range(4)],
            [weight(f"w{i}", 1000, 1000, dtype=INT8) for i in range(4)],
        )
    )  # fmt: skip
    engines = [{"id": f"e{n}", "kind": "npu", "peak": {"int8": f"{n} GMAC/s"}} for n in (3, 1)]
    both = estimate(network, hardware(engines=engines), runtime())
    assert both.bound_latency_s == pytest.approx(0.4 / 3)
    assert both.latency_s >= both.bound_latency_s
    alone = estimate(network, hardware(engines=engines[:1]), runtime())
    assert alone.bound_latency_s == pytest.approx(0.4 / 3)
    mixed = [engines[0], {"id": "fp", "kind": "simd", "peak": {"fp64": "1000 GMAC/s"}}]
    assert estimate(network, hardware(engines=mixed), runtime()).bound_latency_s <= alone.bound_latency_s
