"""Laws of several engines: one each, the first that will, nothing lost, nothing free that crosses a link."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import loaded, model, node, value, weight
from support.machines import EVERYTHING, hardware, hardware_data, runtime, runtime_data
from support.strategies import hardware_dicts, networks, runtime_dicts

import simulator as sim
from simulator.cost.bound import bound_s
from simulator.cost.limits import limits_of
from simulator.cost.parts import parts_of
from simulator.cost.table import cost_table
from simulator.cost.transfer import crossings
from simulator.errors import HardwareError
from simulator.estimator import estimate
from simulator.machine.params import machine_of
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec, Supports
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.estimate import Estimate
from simulator.schedule.placement import place

ROUNDING = 1 + 1e-12
few = settings(max_examples=60, deadline=None)
POLICIES = ("per_op", "first_unsupported")
TYPES = (
    "Relu", "Sigmoid", "Add", "Mul", "Concat", "Softmax", "Conv", "BatchNormalization", "MaxPool", "Gemm", "MatMul", "Transpose",
    "Flatten", "Reshape",
)  # fmt: skip
supports = st.builds(
    lambda types, batch: {"operators": sorted(types), **({"max_batch": batch} if batch else {})},
    st.sets(st.sampled_from(TYPES), min_size=1),
    st.sampled_from([None, 1, 2]),
)


@st.composite
def several(draw: st.DrawFn, *, linked: bool = False) -> dict[str, Any]:
    """A machine whose first engine runs some operators and whose last runs all; with `linked`, behind a link."""
    machine = draw(hardware_dicts(most_engines=1))
    first = machine["engines"][0]
    last = copy.deepcopy(draw(hardware_dicts(most_engines=1))["engines"][0]) | {"id": "last"}
    first["supports"] = draw(supports)
    if linked:
        own = [m["id"] for m in machine["memories"]]
        per_s = draw(st.floats(1e6, 1e11))
        machine["memories"] += [
            {
                "id": "host",
                "kind": "dram",
                "bandwidth": f"{draw(st.floats(1e8, 1e12))!r} B/s",
                "holds": ["weights", "activations"],
            },
            {"id": "bus", "kind": "link", "bandwidth": f"{per_s!r} B/s", "latency": f"{draw(st.floats(0, 1e-4))!r} s"},
        ]
        first["memories"], last["memories"] = [*own, "bus"], ["host"]
    return machine | {"engines": [first, last]}


@st.composite
def softwares(draw: st.DrawFn) -> RuntimeSpec:
    """A runtime with either way to fall back, and a time to switch."""
    data = draw(runtime_dicts()) | {"fallback": draw(st.sampled_from(POLICIES))}
    data["profiles"]["default"]["switch"] = f"{draw(st.floats(0, 1e-3))!r} s"
    return RuntimeSpec.model_validate(data)


anywhere = st.one_of(several(), several(linked=True)).map(HardwareSpec.model_validate)


@few
@given(networks(), anywhere, softwares())
def test_every_kernel_has_one_engine_that_does_not_refuse_it(
    network: Model, machine: HardwareSpec, software: RuntimeSpec
) -> None:
    est = estimate(network, machine, software)
    known = {e.id for e in machine.engines}
    assert len(est.engines) == len(est.work) == len(est.work.refused)
    assert set(est.engines) <= known
    for engine, refused in zip(est.engines, est.work.refused, strict=True):
        assert engine not in refused


@few
@given(networks(), anywhere, softwares())
def test_no_work_is_lost_and_none_counts_twice(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    est = estimate(network, machine, software)
    plain = prepare(network, None, software.fusion)
    assert est.work.macs.sum() == plain.work.macs.sum()
    assert sorted(i for k in est.prepared.kernels for i in k.ops) == sorted(i for k in plain.kernels for i in k.ops)


@few
@given(networks(), anywhere, softwares())
def test_what_different_engines_run_is_not_one_kernel(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    est = estimate(network, machine, software)
    allowed = machine.engines[0].supports
    assert allowed is not None
    for kernel, refused in zip(est.prepared.kernels, est.work.refused, strict=True):
        types = {est.prepared.graph.ops[i].op_type for i in kernel.ops}
        assert types <= set(allowed.operators) or not types & set(allowed.operators) or refused


@few
@given(networks(), several().map(HardwareSpec.model_validate), softwares())
def test_an_engine_behind_the_others_changes_nothing(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    more = machine.model_copy(update={"engines": (*machine.engines, machine.engines[1].model_copy(update={"id": "more"}))})
    assert estimate(network, more, software).engines == estimate(network, machine, software).engines


@few
@given(networks(), anywhere, softwares())
def test_no_placement_is_faster_than_the_bound(network: Model, machine: HardwareSpec, software: RuntimeSpec) -> None:
    est = estimate(network, machine, software)
    assert 0 <= est.bound_latency_s <= est.latency_s * ROUNDING


@few
@given(networks(), anywhere, softwares(), st.sampled_from([0, 1]))
def test_nor_does_a_runtime_that_uses_one_of_the_engines(
    network: Model, machine: HardwareSpec, software: RuntimeSpec, which: int
) -> None:
    only = {machine.engines[which].kind: software.profiles["default"]}
    try:
        est = estimate(network, machine, software.model_copy(update={"profiles": only}))
    except HardwareError:
        return  # the first engine does not run all of it
    assert est.bound_latency_s <= est.latency_s * ROUNDING
    assert est.bound_latency_s == estimate(network, machine, software).bound_latency_s


@few
@given(networks(), hardware_dicts(most_engines=1), runtime_dicts(), supports, st.sampled_from(POLICIES))
def test_equal_engines_and_a_free_switch_are_one_engine(
    network: Model, machine: dict[str, Any], software: dict[str, Any], some: dict[str, Any], fallback: str
) -> None:
    runs = RuntimeSpec.model_validate(software | {"fusion": [], "fallback": fallback})  # fusion would stop between the engines
    (engine,) = machine["engines"]
    two = machine | {"engines": [engine | {"supports": some}, engine | {"id": "twin"}]}
    one, split = (estimate(network, HardwareSpec.model_validate(m), runs) for m in (machine, two))
    assert split.latency_s <= one.latency_s * ROUNDING  # branches may run beside each other
    assert split.cost.compute_s.sum() == pytest.approx(one.cost.compute_s.sum())
    assert split.bound_latency_s <= one.latency_s * ROUNDING


@few
@given(networks(), several(linked=True), softwares())
def test_a_faster_link_is_never_slower(network: Model, machine: dict[str, Any], software: RuntimeSpec) -> None:
    faster = copy.deepcopy(machine)
    bus = faster["memories"][-1]
    bus["bandwidth"] = f"{float(bus['bandwidth'].split()[0]) * 10!r} B/s"
    before, after = (estimate(network, HardwareSpec.model_validate(m), software) for m in (machine, faster))
    assert after.latency_s <= before.latency_s * ROUNDING
    assert after.engines == before.engines


@few
@given(
    networks(most=6), several(linked=True).map(HardwareSpec.model_validate), softwares(), st.lists(st.floats(0.1, 10), min_size=1)
)
def test_arrays_of_machines_give_each_machine_bit_by_bit(
    network: Model, spec: HardwareSpec, software: RuntimeSpec, factors: list[float]
) -> None:
    from dataclasses import replace

    engines = tuple((e.id, e.supports) for e in spec.engines if e.supports)
    prepared, base = prepare(network, None, software.fusion, engines), machine_of(spec)

    def costs(factor: Any) -> tuple[Any, Any]:
        def wider(m: Any) -> Any:
            return replace(m, read_bytes_per_s=m.read_bytes_per_s * factor, capacity_bytes=m.capacity_bytes * factor)

        machine = replace(base, memories=tuple(map(wider, base.memories)))
        limits = limits_of(software, machine)
        placed = place(prepared.work, machine, limits.profiles, software.fallback)
        parts = parts_of(prepared.graph, prepared.kernels, prepared.work, machine, placed, prepared.occupancy.live_bytes)
        crossed = crossings(prepared.graph, prepared.kernels, machine, placed)
        table = cost_table(prepared.work, machine, limits, placed, parts, crossed)
        return table, bound_s(prepared.work, machine, placed, parts)

    many, many_bound = costs(np.array(factors)[:, np.newaxis])
    for row, factor in enumerate(factors):
        one, one_bound = costs(factor)
        for name in ("memory_s", "transfer_s"):
            column = np.broadcast_to(getattr(many, name), (len(factors), len(prepared.work)))
            assert np.array_equal(column[row], getattr(one, name)), name
        assert np.broadcast_to(many_bound, (len(factors),))[row] == one_bound


# ---- by example -------------------------------------------------------------------------------------------------------------


def sandwich() -> Model:
    """Two convolutions with an operator between them that accelerators seldom have."""
    nodes = [
        node("Conv", "x a", "h", pads=[1, 1, 1, 1]), node("HardSwish", "h", "s"), node("Conv", "s b", "t", pads=[1, 1, 1, 1]),
        node("Relu", "t", "y"),
    ]  # fmt: skip
    return loaded(model(nodes, [value("x", 1, 8, 16, 16)], ["y"], [weight("a", 8, 8, 3, 3), weight("b", 8, 8, 3, 3)]))


IMAGE = 4 * 8 * 16 * 16  # bytes of each activation


def accelerator(**npu: Any) -> HardwareSpec:
    """An NPU behind a bus of 1 GB/s and 10 µs, without HardSwish, and a host."""
    engines = [
        {"id": "npu", "kind": "npu", "peak": {"fp32": "1 TFLOP/s"}, "memories": ["sram", "bus"],
         "supports": {"operators": ["Conv", "Relu"], **npu}},
        {"id": "cores", "kind": "simd", "peak": {"fp32": "0.1 TFLOP/s"}, "memories": ["dram"]},
    ]  # fmt: skip
    memories = [
        {"id": "sram", "kind": "scratchpad", "bandwidth": "100 GB/s", "holds": ["weights", "activations"]},
        {"id": "dram", "kind": "dram", "bandwidth": "10 GB/s", "holds": ["weights", "activations"]},
        {"id": "bus", "kind": "link", "bandwidth": "1 GB/s", "latency": "10 us"},
    ]
    return hardware(engines=engines, memories=memories)


def ran(network: Model, machine: HardwareSpec, fallback: str = "per_op", **profile: Any) -> Estimate:
    spec = RuntimeSpec.model_validate(runtime_data(fusion=EVERYTHING, **profile) | {"fallback": fallback})
    return estimate(network, machine, spec)


def test_an_operator_falls_back_alone_or_takes_the_rest_with_it() -> None:
    one, rest = (ran(sandwich(), accelerator(), fallback) for fallback in POLICIES)
    assert one.engines == ("npu", "cores", "npu")
    assert rest.engines == ("npu", "cores", "cores")
    assert one.work.macs.sum() == rest.work.macs.sum()
    assert one.latency_s != rest.latency_s


def test_tensors_cross_the_link_once_for_each_direction() -> None:
    one, rest = (ran(sandwich(), accelerator(), fallback) for fallback in POLICIES)
    assert one.cost.crossed["bus"].inward.tolist() == [IMAGE, 0, IMAGE]  # x for the first, s for the last convolution
    assert one.cost.crossed["bus"].outward.tolist() == [0, IMAGE, IMAGE]  # h for the host, y out
    assert one.cost.crossed["bus"].tensors.tolist() == [1, 1, 2]
    assert rest.cost.crossed["bus"].inward.tolist() == [IMAGE, 0, 0]
    assert rest.cost.crossed["bus"].outward.tolist() == [0, IMAGE, 0]
    assert one.cost.transfer_s.sum() == pytest.approx(4 * (10e-6 + IMAGE / 1e9))
    assert one.to_dict()["totals"]["traffic_bytes"]["bus"] == 4 * IMAGE  # type: ignore[index]


def test_a_switch_is_paid_by_whom_it_leads_to() -> None:
    free, paid = (ran(sandwich(), accelerator(), switch=seconds) for seconds in ("0 s", "1 ms"))
    assert (paid.cost.transfer_s - free.cost.transfer_s) == pytest.approx([0, 1e-3, 1e-3])
    assert paid.latency_s == pytest.approx(free.latency_s + 2e-3)


def test_a_tensor_that_two_kernels_read_crosses_once() -> None:
    nodes = [node("HardSwish", "x", "h"), node("Conv", "h a", "y"), node("Conv", "h b", "z")]
    weights = [weight("a", 8, 8, 1, 1), weight("b", 8, 8, 1, 1)]
    est = ran(loaded(model(nodes, [value("x", 1, 8, 16, 16)], ["y", "z"], weights)), accelerator())
    assert est.engines == ("cores", "npu", "npu")
    assert est.cost.crossed["bus"].inward.tolist() == [0, IMAGE, 0]
    assert est.cost.crossed["bus"].outward.tolist() == [0, IMAGE, IMAGE]


def test_engines_that_share_their_memory_pay_the_switch_alone() -> None:
    shared = accelerator().model_copy(
        update={"engines": tuple(e.model_copy(update={"memories": ("dram",)}) for e in accelerator().engines)}
    )
    est = ran(sandwich(), shared, switch="1 ms")
    assert est.cost.crossed == {}
    assert est.cost.transfer_s.tolist() == [0, 1e-3, 1e-3]


def test_each_part_holds_the_weights_of_its_own_kernels() -> None:
    nodes = [node("Conv", "x a", "h"), node("Flatten", "h", "f"), node("MatMul", "f b", "y")]
    network = loaded(model(nodes, [value("x", 1, 8, 16, 16)], ["y"], [weight("a", 8, 8, 1, 1), weight("b", 2048, 10)]))
    est = ran(network, accelerator())
    assert est.engines == ("npu", "cores")
    needs = {f.memory: f.needs_bytes for f in est.memory_fit}
    assert needs["sram"] == 4 * 64 + 2 * IMAGE
    assert needs["dram"] == 4 * 20480 + IMAGE + 40
    assert est.cost.bytes_by_level["sram"].tolist() == [4 * 64 + 2 * IMAGE, 0]
    assert est.cost.bytes_by_level["dram"].tolist() == [0, 4 * 20480 + IMAGE + 40]


def test_what_falls_back_is_told() -> None:
    one, rest = (ran(sandwich(), accelerator(), fallback) for fallback in POLICIES)
    assert "1 kernel (0 % of the MACs) falls back to cores: npu does not run HardSwish" in one.warnings
    assert (
        "2 kernels (50 % of the MACs) fall back to cores: npu does not run HardSwish, and all that follows stays there"
        in rest.warnings
    )


def test_a_runtime_that_leaves_an_engine_out_falls_back_from_nothing() -> None:
    data = runtime_data()
    only = RuntimeSpec.model_validate(data | {"profiles": {"simd": data["profiles"]["default"]}})
    est = estimate(sandwich(), accelerator(), only)
    assert set(est.engines) == {"cores"}
    assert not [w for w in est.warnings if "fall" in w]
    assert est.work.refused == ()  # nor does its list part what the others may fuse
    assert est.cost.transfer_s.sum() == 0


def test_an_operator_that_no_engine_runs_is_named() -> None:
    machine = hardware_data()
    machine["engines"][0]["supports"] = {"operators": ["Conv", "Relu"]}
    with pytest.raises(HardwareError, match=r"no engine of test .* 'hardswish_s' \(not supported: core: HardSwish\)"):
        estimate(sandwich(), HardwareSpec.model_validate(machine), runtime())


def test_rounding_stays_with_its_neighbour() -> None:
    nodes = [
        node("Conv", "x a", "h"), node("HardSwish", "h", "s"), node("QuantizeLinear", "s scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "d"), node("Conv", "d b", "y"),
    ]  # fmt: skip
    weights = [weight("a", 8, 8, 1, 1), weight("b", 8, 8, 1, 1), weight("scale"), weight("zero", dtype=3)]
    est = ran(loaded(model(nodes, [value("x", 1, 8, 4, 4)], ["y"], weights)), accelerator())
    assert est.engines == ("npu", "cores", "npu")


@pytest.mark.parametrize("network", ["mobilenet_v3_small", "efficientnet_b0", "mobilenet_v2", "bert_base"])
def test_the_edge_tpu_compiler_makes_one_subgraph(network: str) -> None:
    est = sim.estimate(network, "edgetpu_usb", precision="int8")
    changes = [one for one, other in zip(est.engines, est.engines[1:], strict=False) if one != other]
    assert changes in ([], ["npu"])
    first = next((i for i, refused in enumerate(est.work.refused) if refused), len(est.work))
    assert set(est.engines[:first]) <= {"npu"}
    assert set(est.engines[first:]) <= {"cores"}


@pytest.mark.parametrize("network", ["mobilenet_v1", "mobilenet_v2", "densenet121", "squeezenet1_0", "efficientnet_edgetpu_s"])
def test_networks_that_coral_publishes_run_on_the_edge_tpu_alone(network: str) -> None:
    assert set(sim.estimate(network, "edgetpu_pcie", precision="int8").engines) == {"npu"}


def test_the_dla_hands_single_layers_to_the_gpu_and_takes_the_rest_back() -> None:
    est = sim.estimate("efficientnet_b0", "jetson_agx_orin64", precision="int8", runtime="tensorrt_dla")
    assert {"dla", "tensor"} == set(est.engines)
    assert est.engines[-1] == "dla"
    assert set(sim.estimate("efficientnet_b0", "jetson_agx_orin64", precision="int8").engines) == {"tensor"}


def test_mlperf_tiny_runs_on_the_ethos_u55_alone() -> None:
    """Vela maps all of ResNet-8, DS-CNN and the small MobileNet (mlcommons/tiny) to the NPU."""
    for network in ("resnet8", "ds_cnn", "mobilenet_v1_025_vww"):
        assert set(sim.estimate(network, "corstone_300", precision="int8").engines) == {"npu"}


def test_no_list_limits_nothing() -> None:
    assert Supports() == Supports(operators=(), dtypes=())
    est = ran(sandwich(), hardware())
    assert est.work.refused == ()
