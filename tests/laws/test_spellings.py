"""Exporters write one network in several ways: the kernels are the same, under every fusion rule and every runtime.

`ALIKE` are spellings that no rule may tell apart. Some spellings need a rule before they come to the same, as a batch norm
that one exporter has folded into the weights: `PAIRS` has one such pair for every fusion rule at which the rule does its
work, and idioms and views have theirs in `OTHERS`. The first of each is TorchScript's way, the second torch.export's.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import onnx
import pytest
from support.graphs import FLOAT, INT8, ints, model, node, resolved, scalar, value, weight

from simulator.graph.graph import Graph
from simulator.io.hardware_reader import load_runtime, runtime_ids
from simulator.kernels.partition import EVERY_FUSION
from simulator.kernels.rules import FUSION_RULES
from simulator.kernels.types import Kernel
from simulator.model import Model
from simulator.preparation import prepare, prepared_for
from simulator.result.prediction import Prepared

Nodes = list[onnx.NodeProto]
X = value("x", 1, 8, 16, 16)
TOKEN = value("token", 1, 8, 1, 16)
WEIGHTS = [
    weight("w", 8, 8, 3, 3), weight("b", 8), weight("half", 4, 4, 1, 1), *(weight(f"bn{i}", 8) for i in range(4)),
    weight("m", 16, 32), weight("bm", 32), weight("gain", 16), weight("shift", 16),
    *(scalar(name, number, "float32") for name, number in
      (("one", 1), ("two", 2), ("root2", 1.41421), ("rroot2", 0.70711), ("eps", 1e-6), ("scale", 0.125))),
    scalar("two64", 2, "float64"), scalar("eps64", 1e-6, "float64"),
    scalar("point", 0, "int8"), scalar("first", 0), *(ints(f"i{n}", n) for n in (0, 1, 2, 4, 8, 16)), ints("last", -1),
    ints("image", -1, -2), ints("same", 1, 8, 16, 16), ints("folded", 8, 16, 16), ints("rows", 128, 16),
    ints("pads", 0, 0, 1, 1, 0, 0, 1, 1), ints("shifted", 0, 0, 0, 0, 0, 0, 1, 1),
]  # fmt: skip


def graph(nodes: Nodes, *, source: onnx.ValueInfoProto = X) -> Graph:
    used = {n for op in nodes for n in op.input}
    outputs = [n for op in nodes for n in op.output if n not in used]
    inputs = [source, *(t for t in (TOKEN,) if t.name in used)]
    return resolved(model(nodes, inputs, outputs, [w for w in WEIGHTS if w.name in used], opset=18))


def conv(source: str = "x", target: str = "c", **attrs: Any) -> onnx.NodeProto:
    return node("Conv", f"{source} w b", target, **{"pads": [1, 1, 1, 1], **attrs})


def same_type(source: str, target: str) -> onnx.NodeProto:
    """A cast of single precision to single precision: TorchScript writes it, torch.export leaves it out."""
    return node("Cast", source, target, to=FLOAT)


def sliced(target: str, low: str, high: str, axis: str = "i1") -> onnx.NodeProto:
    return node("Slice", f"r {low} {high} {axis}", target)


RELU = node("Relu", "x", "r")
JOIN = node("Mul", "p q", "y")
ALIKE: dict[str, tuple[Nodes, Nodes]] = {
    "mean over the image": (
        [conv(), node("GlobalAveragePool", "c", "g"), node("Relu", "g", "y")],
        [conv(), node("ReduceMean", "c image", "g"), node("Relu", "g", "y")],
    ),
    "mean over the image, flat": (
        [conv(), node("GlobalAveragePool", "c", "g"), node("Flatten", "g", "y")],
        [conv(), node("ReduceMean", "c image", "y", keepdims=0)],
    ),
    "largest of the image": (
        [conv(), node("GlobalMaxPool", "c", "y")],
        [conv(), node("ReduceMax", "c image", "y")],
    ),
    "cast to the same type": ([RELU, same_type("r", "s"), conv("s", "y")], [RELU, conv("r", "y")]),
    "factor of one": (
        [RELU, node("Mul", "r one", "s"), node("Add", "s x", "y")],
        [RELU, node("Add", "r x", "y")],
    ),
    "expanded to the same size": ([RELU, node("Expand", "r same", "s"), conv("s", "y")], [RELU, conv("r", "y")]),
    "concat of one": (
        [conv(), node("Concat", "c", "s", axis=1), node("Concat", "s x", "y", axis=1), node("Conv", "s w", "z")],
        [conv(), node("Concat", "c x", "y", axis=1), node("Conv", "c w", "z")],
    ),
    "slice of all": ([RELU, sliced("s", "i0", "i8"), conv("s", "y")], [RELU, conv("r", "y")]),
    "split or slices": (
        [RELU, node("Split", "r", "p q", axis=1, num_outputs=2), JOIN],
        [RELU, sliced("p", "i0", "i4"), sliced("q", "i4", "i8"), JOIN],
    ),
    "a convolution reads a piece": (
        [RELU, sliced("q", "i4", "i8"), sliced("p", "i0", "i4"), node("Conv", "p half", "d"), node("Concat", "d q", "y", axis=1)],
        [RELU, node("Split", "r", "p q", axis=1, num_outputs=2), node("Conv", "p half", "d"), node("Concat", "d q", "y", axis=1)],
    ),
    "concat of concats": (
        [RELU, conv(), node("Concat", "r c x", "y", axis=1)],
        [RELU, conv(), node("Concat", "r c", "s", axis=1), node("Concat", "s x", "y", axis=-3)],
    ),
    "transposed twice": (
        [RELU, node("Transpose", "r", "s", perm=[0, 3, 1, 2]), node("Relu", "s", "y")],
        [
            RELU, node("Transpose", "r", "s", perm=[0, 1, 3, 2]), node("Reshape", "s folded", "t"),
            node("Transpose", "t", "u", perm=[1, 0, 2]), node("Unsqueeze", "u i0", "v"), node("Relu", "v", "y"),
        ],
    ),
    "one over": (
        [RELU, node("Sqrt", "r", "s"), node("Div", "one s", "y")],
        [RELU, node("Sqrt", "r", "s"), node("Reciprocal", "s", "y")],
    ),
    "picked or sliced": (
        [RELU, node("Gather", "r first", "p", axis=2), node("Relu", "p", "y")],
        [RELU, sliced("q", "i0", "i1", "i2"), node("Squeeze", "q i2", "p"), node("Relu", "p", "y")],
    ),
}  # fmt: skip

PAIRS: dict[str, tuple[Nodes, Nodes]] = {
    "batch_norm": ([conv(target="y")], [conv(), node("BatchNormalization", "c bn0 bn1 bn2 bn3", "y")]),
    "activation": (
        [conv(), node("Mul", "c one", "s"), node("Relu", "s", "y")],
        [conv(), node("Relu", "c", "y")],
    ),
    "output_stage": (
        [node("MaxPool", "x", "p", kernel_shape=[2, 2]), same_type("p", "s"), node("Relu", "s", "y")],
        [node("MaxPool", "x", "p", kernel_shape=[2, 2]), node("Relu", "p", "y")],
    ),
    "linear_bias": (
        [node("Reshape", "x rows", "r"), node("MatMul", "r m", "p"), node("Add", "bm p", "y")],
        [node("Reshape", "x rows", "r"), node("Gemm", "r m bm", "y")],
    ),
    "residual": (
        [conv(), node("Mul", "c one", "s"), node("Add", "x s", "y")],
        [conv(), node("Add", "c x", "y")],
    ),
    "gate": (
        [conv(), node("HardSigmoid", "c", "s", alpha=1 / 6), node("Mul", "c s", "y")],
        [conv(), node("HardSwish", "c", "y")],
    ),
    "pointwise": (
        [node("MaxPool", "x", "p", kernel_shape=[1, 1]), node("Div", "p root2", "s"), node("Erf", "s", "y")],
        [node("MaxPool", "x", "p", kernel_shape=[1, 1]), node("Mul", "p rroot2", "s"), node("Erf", "s", "y")],
    ),
    "pointwise_chain": (
        [RELU, node("Pow", "r two", "s"), same_type("s", "t"), node("Sqrt", "t", "y")],
        [RELU, node("Mul", "r r", "s"), node("Sqrt", "s", "y")],
    ),
    "concat": (
        [RELU, conv(), node("Concat", "r c x", "y", axis=1)],
        [RELU, conv(), node("Concat", "r c", "s", axis=1), node("Concat", "s x", "y", axis=1)],
    ),
    "norm": (
        [node("Add", "x x", "s"), same_type("s", "t"), node("LayerNormalization", "t gain shift", "y")],
        [node("Add", "x x", "s"), node("LayerNormalization", "s gain shift", "y")],
    ),
    "convolution_norm": ([conv(target="y")], [conv(), node("BatchNormalization", "c bn0 bn1 bn2 bn3", "y")]),
    "register_function": (
        [conv(), node("Mul", "c one", "s"), node("HardSwish", "s", "y")],
        [conv(), node("HardSwish", "c", "y")],
    ),
    "product_scale": (
        [RELU, node("Transpose", "r", "t", perm=[0, 1, 3, 2]), node("MatMul", "r t", "p"), node("Mul", "p scale", "y")],
        [RELU, node("Transpose", "r", "t", perm=[0, 1, 3, 2]), node("MatMul", "r t", "p"), node("Mul", "scale p", "y")],
    ),
    "convolution_sum": (
        [conv(), node("Mul", "c one", "s"), node("Add", "x s", "y")],
        [conv(), node("Add", "c x", "y")],
    ),
    "skip_norm": (
        [RELU, node("Add", "r x", "s"), same_type("s", "t"), node("LayerNormalization", "t gain shift", "y")],
        [RELU, node("Add", "x r", "s"), node("LayerNormalization", "s gain shift", "y")],
    ),
    "pad": ([node("Pad", "x pads", "s"), conv("s", "y", pads=[0, 0, 0, 0])], [conv(target="y")]),
    "generated_pad": (
        [RELU, node("Mul", "r one", "s"), node("Pad", "s pads", "y")],
        [RELU, node("Pad", "r pads", "y")],
    ),
    "pool": (
        [conv(), node("Slice", "c i0 i8 i1", "s"), node("MaxPool", "s", "y", kernel_shape=[2, 2], strides=[2, 2])],
        [conv(), node("MaxPool", "c", "y", kernel_shape=[2, 2], strides=[2, 2])],
    ),
    "quantize": (
        [
            node("DequantizeLinear", "x scale point", "d"), same_type("d", "e"), conv("e"), same_type("c", "s"),
            node("QuantizeLinear", "s scale point", "y"),
        ],
        [node("DequantizeLinear", "x scale point", "d"), conv("d"), node("QuantizeLinear", "c scale point", "y")],
    ),
}  # fmt: skip

NORM = [node("Pow", "r two", "p"), node("ReduceMean", "p last", "v"), node("Add", "v eps", "e"), node("Sqrt", "e", "s")]
NORM64 = [
    node("Cast", "r", "wide", to=onnx.TensorProto.DOUBLE), node("Pow", "wide two64", "p"), node("ReduceMean", "p last", "q"),
    node("Add", "q eps64", "e"), node("Sqrt", "e", "v"),
]  # fmt: skip
SCORES = [node("MatMul", "q k", "s"), node("Softmax", "z", "p"), node("MatMul", "p r", "y")]
OTHERS: dict[str, tuple[Nodes, Nodes]] = {
    "attention": (
        [
            RELU, node("Mul", "r scale", "q"), node("Transpose", "r", "k", perm=[0, 1, 3, 2]),
            SCORES[0], node("Mul", "s one", "t"), same_type("t", "z"), *SCORES[1:],
        ],
        [
            RELU, node("Mul", "r scale", "q"), node("Transpose", "r", "h", perm=[0, 2, 1, 3]),
            node("Transpose", "h", "k", perm=[0, 2, 3, 1]), SCORES[0], node("Identity", "s", "z"), *SCORES[1:],
        ],
    ),
    "attention_of_any_rank": (
        [
            RELU, node("Unsqueeze", "r i0", "u"), node("Mul", "u scale", "q"), node("Transpose", "u", "k", perm=[0, 1, 2, 4, 3]),
            SCORES[0], same_type("s", "z"), SCORES[1], node("MatMul", "p u", "y"),
        ],
        [
            RELU, node("Unsqueeze", "r i0", "u"), node("Mul", "u scale", "q"), node("Transpose", "u", "h", perm=[0, 1, 3, 2, 4]),
            node("Transpose", "h", "k", perm=[0, 1, 3, 4, 2]), SCORES[0], node("Identity", "s", "z"), SCORES[1],
            node("MatMul", "p u", "y"),
        ],
    ),
    "normalization": (
        [RELU, same_type("r", "o"), *NORM, node("Div", "one s", "d"), node("Mul", "o d", "n"), node("Mul", "n gain", "y")],
        [RELU, *NORM, node("Reciprocal", "s", "d"), node("Mul", "r d", "n"), node("Mul", "gain n", "y")],
    ),
    "layer_normalization": (
        [
            RELU, node("ReduceMean", "r last", "mu"), node("Sub", "r mu", "o"), node("Pow", "o two", "p"),
            node("ReduceMean", "p last", "v"), node("Add", "v eps", "e"), node("Sqrt", "e", "s"), node("Div", "o s", "n"),
            node("Mul", "n gain", "y"),
        ],
        [
            RELU, node("ReduceMean", "r last", "mu"), node("Sub", "r mu", "o"), node("Mul", "o o", "p"),
            node("ReduceMean", "p last", "v"), node("Add", "v eps", "e"), node("Sqrt", "e", "s"), node("Reciprocal", "s", "d"),
            node("Mul", "o d", "n"), node("Mul", "gain n", "y"),
        ],
    ),
    "activation_function": (
        [
            conv(), node("Div", "c root2", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"), node("Mul", "c f", "h"),
            node("Mul", "h scale", "y"),
        ],
        [
            conv(), node("Mul", "c scale", "h"), node("Mul", "c rroot2", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"),
            node("Mul", "h f", "y"),
        ],
    ),
    "rotary": (
        [
            RELU, node("Slice", "r i0 i8 last", "low"), node("Slice", "r i8 i16 last", "high"), node("Neg", "high", "n"),
            node("Concat", "n low", "t", axis=3), node("Mul", "t gain", "u"), node("Mul", "r shift", "v"),
            node("Add", "v u", "y"),
        ],
        [
            RELU, node("Mul", "r shift", "v"), node("Split", "r", "low high", axis=-1, num_outputs=2), node("Neg", "high", "n"),
            node("Concat", "n low", "t", axis=-1), node("Mul", "gain t", "u"), node("Add", "u v", "y"),
        ],
    ),
    "upcast_norm": (
        [RELU, *NORM64, node("Div", "wide v", "n"), same_type("n", "back"), node("Mul", "back gain", "y")],
        [
            RELU, *NORM64, node("Reciprocal", "v", "d"), node("Mul", "wide d", "n"), same_type("n", "back"),
            node("Mul", "gain back", "y"),
        ],
    ),
    "append": (
        [node("Relu", "token", "n"), node("Identity", "x", "s"), node("Concat", "s n", "y", axis=2)],
        [node("Relu", "token", "n"), node("Concat", "x n", "y", axis=-2)],
    ),
    "strided_views": ALIKE["a convolution reads a piece"],
    "views": ALIKE["split or slices"],
    "free_casts": (
        [RELU, node("Cast", "r", "s", to=onnx.TensorProto.FLOAT16), node("Cast", "s", "t", to=onnx.TensorProto.FLOAT16),
         node("Sqrt", "t", "y")],
        [RELU, node("Cast", "r", "s", to=onnx.TensorProto.FLOAT16), node("Sqrt", "s", "y")],
    ),
    "recompute": (
        [
            node("Mul", "x one", "s"), node("Sqrt", "s", "r"), node("Div", "r root2", "t"), node("ReduceMax", "t last", "p"),
            node("ReduceMean", "t i1", "q"), node("Mul", "p q", "y"),
        ],
        [
            node("Sqrt", "x", "r"), node("Mul", "r rroot2", "t"), node("ReduceMax", "t last", "p"),
            node("ReduceMean", "t i1", "q"), node("Mul", "p q", "y"),
        ],
    ),
    "unrolled_reductions": (
        [node("Mul", "x one", "s"), node("Slice", "s i0 i4 i1", "r"), node("ReduceSum", "r i1", "y", keepdims=1)],
        [node("Slice", "x i0 i4 i1", "r"), node("ReduceSum", "r i1", "y", keepdims=1)],
    ),
    "merge": (
        [RELU, node("Sqrt", "x", "s"), node("Mul", "s one", "t"), node("Add", "r t", "y")],
        [RELU, node("Sqrt", "x", "s"), node("Add", "r s", "y")],
    ),
}  # fmt: skip


def source_of(rule: str) -> onnx.ValueInfoProto:
    return value("x", 1, 8, 16, 16, dtype=INT8) if rule == "quantize" else X


def of(found: Graph, kernels: Sequence[Kernel]) -> Counter[tuple[object, ...]]:
    """What each kernel is, computes and moves, whatever its operators are called; scalars are written down or left out."""

    def moved(kernel: Kernel) -> tuple[object, ...]:
        parts = (kernel.inputs, kernel.weights, kernel.outputs)
        return tuple(tuple(sorted(t.size_bytes for t in part if t.elements > 1)) for part in parts)

    macs = [sum(w.macs for i, w in enumerate(Model(found).works) if i in k.ops) for k in kernels]
    return Counter((k.kind, k.rate, m, *moved(k)) for k, m in zip(kernels, macs, strict=True))


def kernels_of(prepared: Prepared) -> Counter[tuple[object, ...]]:
    return of(prepared.graph, prepared.kernels)


def fused(found: Graph, *fusion: str) -> Counter[tuple[object, ...]]:
    return kernels_of(prepare(Model(found), None, fusion))


@pytest.mark.parametrize(
    "fusion", [(), *((name,) for name in EVERY_FUSION), EVERY_FUSION], ids=lambda f: "+".join(f[:1]) or "none"
)
@pytest.mark.parametrize("name", ALIKE)
def test_a_spelling_makes_no_difference(name: str, fusion: tuple[str, ...]) -> None:
    first, second = (graph(nodes) for nodes in ALIKE[name])
    assert fused(first, *fusion) == fused(second, *fusion)


@pytest.mark.parametrize("runtime", runtime_ids())
@pytest.mark.parametrize("name", [*ALIKE, "linear_bias", "batch_norm"])
def test_a_spelling_makes_no_difference_to_a_runtime(name: str, runtime: str) -> None:
    profile = load_runtime(runtime)
    if name == "batch_norm" and "batch_norm" not in profile.fusion:
        pytest.skip("runs every batch norm that the file still has")
    first, second = (Model(graph(nodes)) for nodes in (ALIKE | PAIRS)[name])
    for precision in (None, "amp_fp16") if "casts" in profile.adds else (None,):
        assert kernels_of(prepared_for(first, profile, precision)) == kernels_of(prepared_for(second, profile, precision))


@pytest.mark.parametrize("rule", EVERY_FUSION)
def test_every_rule_gives_the_same_kernels(rule: str) -> None:
    """A rule without a pair of its own fails here."""
    pair = (PAIRS if rule in FUSION_RULES else OTHERS)[rule]
    assert [str(op) for op in pair[0]] != [str(op) for op in pair[1]]
    first, second = (graph(nodes, source=source_of(rule)) for nodes in pair)
    assert fused(first, rule) == fused(second, rule)
    assert any(fused(found, rule) != fused(found) for found in (first, second)), "the rule has nothing to do here"


@pytest.mark.parametrize("runtime", [name for name in runtime_ids() if "pad" in load_runtime(name).adds])
def test_padding_of_one_end_is_an_operator_where_libraries_pad_both(runtime: str) -> None:
    explicit = graph([node("Pad", "x shifted", "s"), conv("s", "y", pads=[0, 0, 0, 0])])
    attribute = graph([conv(target="y", pads=[0, 0, 1, 1])])
    first, second = (prepared_for(Model(g), load_runtime(runtime), None) for g in (explicit, attribute))
    assert kernels_of(first) == kernels_of(second)
    assert any(second.graph.ops[i].op_type == "Pad" and second.graph.ops[i].added for k in second.kernels for i in k.ops)
    both = prepared_for(Model(graph([conv(target="y")])), load_runtime(runtime), None)
    assert all(op.op_type != "Pad" for op in both.graph.ops)


def test_a_runtime_pads_inside_the_convolution_or_by_an_operator_of_its_own() -> None:
    for name in runtime_ids():
        profile = load_runtime(name)
        assert ("pad" in profile.fusion) != ("pad" in profile.adds), name
