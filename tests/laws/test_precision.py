"""Laws of precision: the arithmetic stays, the bytes follow the bits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import FLOAT16, INT8, loaded, model, node, resolved, value, weight
from support.machines import EVERYTHING, hardware, runtime
from support.strategies import networks

from simulator.errors import PrecisionError
from simulator.estimator import estimate
from simulator.model import Model
from simulator.preparation import prepare
from simulator.transform.precision import PRECISIONS, with_precision

few = settings(max_examples=60, deadline=None)
names = st.sampled_from(sorted(PRECISIONS))
BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}


@few
@given(networks(), names)
def test_the_arithmetic_stays(network: Model, name: str) -> None:
    changed = Model(with_precision(network.graph, name))
    assert changed.macs == network.macs
    assert changed.flops == network.flops
    assert changed.params == network.params
    assert {n: t.shape for n, t in changed.graph.tensors.items()} == {n: t.shape for n, t in network.graph.tensors.items()}


@few
@given(networks(), st.sampled_from(sorted(BITS)))
def test_activations_have_the_bits(network: Model, name: str) -> None:
    graph = with_precision(network.graph, name)
    for old, new in zip(network.graph.tensors.values(), graph.tensors.values(), strict=True):
        if old.role != "weight" and old.dtype.is_float:
            assert new.size_bytes == -(-old.elements * BITS[name] // 8)  # packed, rounded up once a tensor


def dense(k: int, n: int) -> Model:
    return loaded(model([node("Gemm", "x w b", "y")], [value("x", 2, k)], ["y"], [weight("w", k, n), weight("b", n)]))


@settings(max_examples=100)
@given(st.integers(1, 65), st.integers(1, 65), st.sampled_from(sorted(PRECISIONS)))
def test_weights_and_biases_of_a_product(k: int, n: int, name: str) -> None:
    weight_bits = {**BITS, "w8a16": 8, "w4a16": 4, "amp_fp16": 32, "amp_bf16": 32}[name]
    bias_bits = {
        "fp32": 32,
        "tf32": 32,
        "bf16": 16,
        "fp16": 16,
        "fp8": 16,
        "int8": 32,
        "int4": 32,
        "w8a16": 16,
        "w4a16": 16,
        "amp_fp16": 32,
        "amp_bf16": 32,
    }[name]
    graph = with_precision(dense(k, n).graph, name)
    assert graph.tensors["w"].size_bytes == (k * n * weight_bits + 7) // 8
    assert graph.tensors["b"].size_bytes == n * bias_bits // 8


def test_biases_of_integers_are_int32() -> None:
    nodes = [node("Conv", "x w b", "c"), node("Gemm", "f v d", "y"), node("Flatten", "c", "f")]
    weights = [weight("w", 4, 3, 1, 1), weight("b", 4), weight("v", 4, 8), weight("d", 8)]
    graph = with_precision(resolved(model(nodes, [value("x", 1, 3, 1, 1)], ["y"], weights)), "int8")
    assert {n: graph.tensors[n].dtype.name for n in ("w", "v", "b", "d", "x", "c", "y")} == {
        "w": "int8",
        "v": "int8",
        "b": "int32",
        "d": "int32",
        "x": "int8",
        "c": "int8",
        "y": "int8",
    }


def test_the_bias_of_a_product_may_stand_in_an_addition() -> None:
    """PyTorch exports nn.Linear over three dimensions as MatMul and Add: its bias is an int32 bias all the same."""
    nodes = [node("MatMul", "x w", "m"), node("Add", "b m", "y")]
    graph = with_precision(resolved(model(nodes, [value("x", 1, 4, 8)], ["y"], [weight("w", 8, 16), weight("b", 16)])), "int8")
    assert graph.tensors["w"].dtype.name == "int8"
    assert graph.tensors["b"].dtype.name == "int32"


def test_what_the_file_quantizes_keeps_its_types() -> None:
    nodes = [node("MatMulInteger", "x w", "y")]
    graph = resolved(model(nodes, [value("x", 2, 8, dtype=INT8)], ["y"], [weight("w", 8, 4, dtype=INT8)]))
    for name in PRECISIONS:
        assert with_precision(graph, name).tensors == graph.tensors


def test_integers_that_are_no_numbers_of_the_network_stay() -> None:
    nodes = [node("Gather", "table ids", "y")]
    graph = with_precision(resolved(model(nodes, [value("ids", 1, 5, dtype=7)], ["y"], [weight("table", 100, 8)])), "fp16")
    assert graph.tensors["ids"].dtype.name == "int64"
    assert graph.tensors["table"].dtype.name == "float16"


@few
@given(networks(), st.sampled_from(["bf16", "fp16", "fp8", "int4"]))
def test_a_precision_twice_is_the_precision(network: Model, name: str) -> None:
    once = with_precision(network.graph, name)
    if PRECISIONS[name].bias.is_float and PRECISIONS[name].weight.is_float:
        assert with_precision(once, name).tensors == once.tensors


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("fp32", "fp32"),
        ("tf32", "tf32"),
        ("bf16", "bf16"),
        ("fp16", "fp16"),
        ("fp8", "fp8"),
        ("int8", "int8"),
        ("int4", "int4"),
        ("w8a16", "fp16"),
        ("w4a16", "fp16"),
        ("amp_fp16", "fp16"),
        ("amp_bf16", "bf16"),
    ],
)
def test_a_product_is_computed_in(name: str, rate: str) -> None:
    assert prepare(dense(8, 8), name, EVERYTHING).work.rates == (rate,)


def test_a_file_in_half_precision_is_computed_in_it() -> None:
    network = loaded(
        model([node("MatMul", "x w", "y")], [value("x", 2, 8, dtype=FLOAT16)], ["y"], [weight("w", 8, 4, dtype=FLOAT16)])
    )
    assert prepare(network, None, ()).work.rates == ("fp16",)


@few
@given(
    networks(),
    st.sampled_from(
        [("fp32", "fp16"), ("fp16", "int8"), ("int8", "int4"), ("fp32", "int8"), ("fp16", "w8a16"), ("w8a16", "w4a16")]
    ),
)
def test_narrower_moves_no_more_bytes(network: Model, pair: tuple[str, str]) -> None:
    wide, narrow = (prepare(network, name, EVERYTHING) for name in pair)
    assert narrow.work.activation_bytes.sum() <= wide.work.activation_bytes.sum()
    assert narrow.occupancy.peak_bytes <= wide.occupancy.peak_bytes


def test_narrower_is_faster_on_a_machine_with_rates_for_it() -> None:
    machine = hardware(
        engines=[{"id": "c", "kind": "tensor", "peak": {"fp32": "1 TFLOP/s", "fp16": "2 TFLOP/s", "int8": "4 TOP/s"}}]
    )
    network = dense(512, 512)
    found = [estimate(network, machine, runtime(), precision=p).latency_s for p in ("int8", "fp16", "fp32")]
    assert found == sorted(found)


def test_an_unknown_precision_is_refused_with_a_hint() -> None:
    with pytest.raises(PrecisionError, match=r"no precision 'int9'; did you mean 'int"):
        estimate(dense(8, 8), hardware(), runtime(), precision="int9")
