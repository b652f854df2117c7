"""Precisions in groups, and mixed by names of operators."""

import pytest
from support.graphs import INT8, loaded, model, node, scalar, value, weight
from support.machines import EVERYTHING

from simulator.errors import PrecisionError, UsageError
from simulator.model import Model
from simulator.preparation import prepare
from simulator.transform.precision import PRECISIONS, precision_of, with_precision


def three() -> Model:
    """Two convolutions and a classifier, ReLUs between."""
    nodes = [
        node("Conv", "x v a", "s", name="stem", pads=[1] * 4), node("Relu", "s", "r"), node("Conv", "r w", "t", name="body"),
        node("Flatten", "t", "f"), node("Gemm", "f u c", "y", name="classifier"),
    ]  # fmt: skip
    weights = [weight("v", 8, 3, 3, 3), weight("a", 8), weight("w", 4, 8, 1, 1), weight("u", 4 * 36, 10), weight("c", 10)]
    return loaded(model(nodes, [value("x", 1, 3, 6, 6)], ["y"], weights))


def types(text: str, *names: str) -> list[str]:
    tensors = with_precision(three().graph, text).tensors
    return [tensors[n].dtype.name for n in names]


def test_what_operators_write_and_read() -> None:
    text = "int8,fp16@*class*"
    assert types(text, "x", "s", "r", "t", "f") == ["int8"] * 5
    assert types(text, "y", "u", "c") == ["float16"] * 3
    assert types(text, "v", "a", "w") == ["int8", "int32", "int8"]
    assert types("int8,fp16@stem", "x", "v", "a", "s", "r") == ["float16", "float16", "float16", "float16", "int8"]


def test_products_run_in_their_own_precision() -> None:
    for text, rates in {
        "int8,fp16@classifier": ("int8", "int8", "fp16"),
        "int8,fp16@stem": ("fp16", "int8", "int8"),
        "fp16,int8@body": ("fp16", "int8", "fp16"),
        "fp32,tf32@stem,fp16@body": ("tf32", "fp16", "fp32"),
        "tf32,fp32@stem": ("fp32", "tf32", "tf32"),
        "int8,w4a16@classifier": ("int8", "int8", "fp16"),
        "fp16,int8@*,fp32@body": ("int8", "fp32", "int8"),  # the last that fits
    }.items():
        work = prepare(three(), text, EVERYTHING).work
        assert tuple(r for r, m in zip(work.rates, work.macs, strict=True) if m) == rates, text


def test_several_parts_and_groups_in_one() -> None:
    tensors = with_precision(three().graph, "int8,w4a16:group=32@body,w8a16:group=8:zero@classifier").tensors
    assert tensors["w"].size_bytes == (32 * 4 + 4 * 16) // 8  # eight channels: one group each
    assert tensors["u"].size_bytes == (1440 * 8 + 10 * 18 * (16 + 8)) // 8
    assert tensors["v"].size_bytes == 216
    assert tensors["v"].packing is None


def test_a_weight_of_several_precisions_has_that_of_the_network() -> None:
    nodes = [node("MatMul", "x w", "a", name="one"), node("MatMul", "a w", "y", name="two")]
    network = loaded(model(nodes, [value("x", 2, 8)], ["y"], [weight("w", 8, 8)]))
    tensors = with_precision(network.graph, "int8,fp16@two").tensors
    assert (tensors["w"].dtype.name, tensors["y"].dtype.name) == ("int8", "float16")


def test_what_the_file_quantizes_keeps_its_types_and_rates() -> None:
    nodes = [node("DequantizeLinear", "q s", "w"), node("MatMul", "x w", "y", name="fc")]
    weights = [weight("q", 8, 16, dtype=INT8), scalar("s", 0.1, "float32")]
    network = loaded(model(nodes, [value("x", 2, 8)], ["y"], weights))
    assert with_precision(network.graph, "fp32,fp16@fc").tensors["q"].dtype.name == "int8"


@pytest.mark.parametrize("name", ["w8a16", "w4a16"])
def test_groups_add_their_scales_and_nothing_else(name: str) -> None:
    plain, grouped = (prepare(three(), text, EVERYTHING).work for text in (name, f"{name}:group=4"))
    groups = 8 * -(-27 // 4) + 4 * (8 // 4) + 10 * (144 // 4)
    assert grouped.weight_bytes.sum() - plain.weight_bytes.sum() == groups * 2
    assert (grouped.rates, grouped.macs.tolist()) == (plain.rates, plain.macs.tolist())
    assert grouped.activation_bytes.tolist() == plain.activation_bytes.tolist()


def test_embedding_tables_have_groups_along_their_rows() -> None:
    network = loaded(model([node("Gather", "e ids", "y")], [value("ids", 2, dtype=7)], ["y"], [weight("e", 50, 48)]))
    table = with_precision(network.graph, "w4a16:group=32").tensors["e"]
    assert table.size_bytes == (50 * 48 * 4 + 50 * 2 * 16) // 8


def test_plain_names_are_the_rows_of_the_table() -> None:
    for name, row in PRECISIONS.items():
        assert precision_of(name) is row
    assert all(t.packing is None for n in PRECISIONS for t in with_precision(three().graph, n).tensors.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int9", "no precision 'int9'; did you mean 'int8'?"),
        ("", "no precision ''"),
        ("w4a16:group=0", "write w4a16:group=128, or w4a16:group=128:zero for zero points beside the scales"),
        ("w4a16:group=-4", "write w4a16:group=128"),
        ("w4a16:groups=4", "write w4a16:group=128"),
        ("w4a16:", "write w4a16:group=128"),
        ("w4a16:group=4:one", "write w4a16:group=128"),
        ("w4a16:group=99999999999", "write w4a16:group=128"),
        ("int8:group=32", "precision 'int8:group=32': only w8a16 and w4a16 have groups of weights, not int8"),
        ("int8,fp16", "precision 'int8,fp16': 'fp16' needs the operators it is for, as in fp16@*classifier*"),
        ("int8,fp16@", "'fp16@' needs the operators it is for"),
        ("int8,", "'' needs the operators it is for"),
        ("int8,fp17@stem", "no precision 'fp17'; did you mean 'fp16'?"),
        ("fp16@stem", "the first part is for the whole network and takes no pattern: write fp32,fp16@stem"),
        ("amp_fp16,int8@stem", "amp_fp16 and amp_bf16 decide operator by operator, and are not mixed by name"),
        ("int8,amp_bf16@stem", "are not mixed by name"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, expected: str) -> None:
    with pytest.raises(PrecisionError) as caught:
        precision_of(text)
    assert expected in str(caught.value)


def test_a_pattern_that_fits_nothing() -> None:
    with pytest.raises(UsageError, match=r"precision 'int8,fp16@clasifier': no operator is called 'clasifier'; did you mean 'cl"):
        with_precision(three().graph, "int8,fp16@clasifier")
