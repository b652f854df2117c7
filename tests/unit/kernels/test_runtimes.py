"""A runtime is physics, not a name: in which kernel of which network it differs from its neighbour, and by which rule."""

from dataclasses import dataclass

import pytest

from simulator import api
from simulator.io.hardware_reader import load_runtime
from simulator.machine.runtime import RuntimeSpec
from simulator.preparation import prepare
from simulator.result.prediction import Prepared


@dataclass(frozen=True)
class Difference:
    """The kernel of `network` that holds operator `op`, under a runtime and under its neighbour.

    `rule` is a name (or two) of the runtime's `fusion` or `adds` that its neighbour lacks, or its layout; without it the kernel
    is the neighbour's.
    """

    runtime: str
    neighbour: str
    network: str
    op: str
    kernel: tuple[str, ...]
    other: tuple[str, ...]
    rule: str
    precision: str = "fp16"


DIFFERENCES = (
    Difference("pytorch_compile", "pytorch_eager", "resnet18", "conv1.bn",
               ("conv1.bn", "conv1.act"), ("conv1.bn",), "pointwise_chain merge"),
    Difference("pytorch_compile", "pytorch_eager_nhwc", "resnet18", "layer1.0.add",
               ("layer1.0.conv2.bn", "layer1.0.add", "layer1.0.relu"), ("layer1.0.add",), "pointwise_chain merge"),
    Difference("pytorch_eager", "pytorch_eager_nhwc", "resnet18", "conv1.out/copy", ("conv1.out/copy",), (), "channels_first"),
    Difference("tensorrt", "pytorch_compile", "resnet18", "conv1",
               ("conv1", "conv1.bn", "conv1.act"), ("conv1",), "batch_norm"),
    Difference("vllm", "pytorch_compile", "resnet18", "conv1", ("conv1", "conv1.bn"), ("conv1",), "batch_norm"),
    Difference("vllm", "llama_cpp", "bert_base", "encoder.layer0.mlp.fc1.add",
               ("encoder.layer0.mlp.fc1", "encoder.layer0.mlp.fc1.add"), ("encoder.layer0.mlp.fc1.add",), "linear_bias"),
    Difference("vllm", "llama_cpp", "bert_base", "encoder.layer0.ln1",
               ("encoder.layer0.add1", "encoder.layer0.ln1"), ("encoder.layer0.ln1",), "norm pointwise_chain merge"),
)  # fmt: skip
GPU = ("pytorch_compile", "pytorch_eager", "pytorch_eager_nhwc", "tensorrt", "vllm", "llama_cpp")


def prepared(network: str, runtime: RuntimeSpec, precision: str | None) -> Prepared:
    return prepare(api.load_model(network), precision, runtime.fusion, (), runtime.adds, runtime.layout)


def without(runtime: RuntimeSpec, rule: str) -> RuntimeSpec:
    lists = {key: tuple(x for x in getattr(runtime, key) if x not in rule.split()) for key in ("fusion", "adds")}
    return runtime.model_copy(update={**lists, "layout": "channels_last" if rule == "channels_first" else runtime.layout})


def kernel_of(found: Prepared, op: str) -> tuple[str, ...]:
    ops = found.graph.ops
    return next((tuple(ops[i].name for i in k.ops) for k in found.kernels if op in {ops[i].name for i in k.ops}), ())


def folded(found: Prepared) -> int:
    """Batch norms that have become part of the weights."""
    return sum(len(k.folded) for k in found.kernels)


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda d: f"{d.runtime}-{d.neighbour}-{d.rule}")
def test_a_runtime_differs_by_a_rule(row: Difference) -> None:
    own, other = load_runtime(row.runtime), load_runtime(row.neighbour)
    assert kernel_of(prepared(row.network, own, row.precision), row.op) == row.kernel
    assert kernel_of(prepared(row.network, other, row.precision), row.op) == row.other
    changed = prepared(row.network, without(own, row.rule), row.precision)
    assert (kernel_of(changed, row.op), folded(changed)) != (row.kernel, folded(prepared(row.network, own, row.precision)))


def test_casts_are_pytorchs() -> None:
    """Mixed precision: TensorRT has its weights in 16 bit, PyTorch casts each of them in every run."""
    casts = {name: [op.name for op in prepared("resnet18", load_runtime(name), "amp_fp16").graph.ops if op.added] for name in GPU}
    assert {name for name, found in casts.items() if any(n.endswith("/cast") for n in found)} == set(GPU[:3])
    assert "conv1.weight/float16/cast" in casts["pytorch_compile"]


@pytest.mark.parametrize("one", GPU)
@pytest.mark.parametrize("other", GPU)
def test_no_two_runtimes_have_the_same_kernels(one: str, other: str) -> None:
    if one < other:
        rows = []
        for name in (one, other):
            runtime = load_runtime(name)
            rows.append([prepared(m, runtime, "fp16").work.total_bytes.tolist() for m in ("resnet18", "bert_base")])
        assert rows[0] != rows[1]


@pytest.mark.parametrize("name", GPU)
@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "vit_b_32", "bert_base"])
@pytest.mark.parametrize("precision", ["fp16", "amp_bf16"])
def test_what_a_runtime_adds_changes_no_macs_and_is_marked(name: str, network: str, precision: str) -> None:
    model = api.load_model(network)
    found = prepared(network, load_runtime(name), precision)
    in_file = {op.name for op in model.graph.ops}
    assert found.work.macs.sum() == model.macs
    assert {op.name for op in found.graph.ops if not op.added} == in_file
    assert all(op.origin for op in found.graph.ops if op.added)
    made: set[str] = set(found.graph.inputs)
    for kernel in found.kernels:
        needs = {t.name for t in (*kernel.inputs, *kernel.weights)}
        assert {n for n in needs if n in found.graph.producer} <= made
        made |= {t.name for t in kernel.outputs}


def test_the_report_marks_added_kernels() -> None:
    rows = api.estimate("resnet18", "rtx3090", runtime="pytorch_eager", precision="amp_fp16").to_dict()["layers"]
    added = {row["name"] for row in rows if row["added"]}  # type: ignore[attr-defined]
    assert "input/float16/cast" in added
    assert "conv1.out/copy" in added
    assert "conv1" not in added
