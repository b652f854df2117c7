"""What PyTorch runs in the place of kernels that its libraries do not have: group norms, wide batch norms, interpolation."""

import numpy as np
import pytest
from onnx import numpy_helper
from support.graphs import ints, model, node, resolved, value, weight
from support.machines import hardware, runtime

from simulator.estimator import estimate
from simulator.explanation.layer import explain_layer
from simulator.graph.graph import Graph
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.prediction import Prepared

NORMS = ("linear_bias", "normalization", "views")


def group_norm(opset: int) -> Graph:
    """Convolution → norm of two groups of channels → ReLU, as exporters write it before and from operator set 18 on."""
    taken_apart = [
        node("Reshape", "c rows", "r"), node("InstanceNormalization", "r one zero", "i"), node("Reshape", "i image", "u"),
        node("Mul", "u g", "m"), node("Add", "m b", "n"),
    ]  # fmt: skip
    whole = [node("GroupNormalization", "c g2 b2", "n", num_groups=2)]
    nodes = [node("Conv", "x w", "c"), *(taken_apart if opset < 18 else whole), node("Relu", "n", "y")]
    columns = [weight("one", 2), weight("zero", 2), weight("g", 8, 1, 1), weight("b", 8, 1, 1)]
    shapes = [ints("rows", 1, 2, -1), ints("image", 1, 8, 6, 6)]
    own = [*columns, *shapes] if opset < 18 else [weight("g2", 8 if opset > 20 else 2), weight("b2", 8 if opset > 20 else 2)]
    return resolved(model(nodes, [value("x", 1, 3, 6, 6)], ["y"], [weight("w", 8, 3, 1, 1), *own], opset=opset))


def bytes_of(prepared: Prepared, op_type: str) -> tuple[float, float]:
    """Bytes read and written by the kernel whose main operator is of that type."""
    (row,) = [i for i, k in enumerate(prepared.kernels) if prepared.graph.ops[k.main].op_type == op_type]
    return prepared.work.input_bytes[row], prepared.work.output_bytes[row]


@pytest.mark.parametrize(("opset", "op_type"), [(17, "InstanceNormalization"), (21, "GroupNormalization")])
@pytest.mark.parametrize(("adds", "width"), [((), 4), (("half_group_norms",), 2)])
def test_group_norms_are_two_kernels_and_may_stay_in_16_bit(opset: int, op_type: str, adds: tuple[str, ...], width: int) -> None:
    found = prepare(Model(group_norm(opset)), "amp_fp16", NORMS, (), ("moments", "casts", *adds))
    size = 8 * 36
    assert bytes_of(found, op_type) == (width * size, width * size)
    assert bytes_of(found, "moments")[0] == 2 * size  # of what the convolution wrote
    assert bytes_of(found, "Relu") == (width * size, width * size)
    casts = [k.name for k in found.kernels if found.graph.ops[k.main].op_type == "Cast" and not k.weights]
    assert len(casts) == (1 if width == 2 else 2)  # of the input, and of what a norm in fp32 reads
    assert found.work.macs.sum() == Model(group_norm(opset)).macs


@pytest.mark.parametrize(("batch", "op_type"), [(1024, "BatchNormalization"), (65536, "batch_norm_any")])
def test_batch_norms_beyond_32_bit_indices_are_elementwise_code(batch: int, op_type: str) -> None:
    nodes = [node("BatchNormalization", "x s b m v", "y")]
    vectors = [weight(name, 64) for name in "sbmv"]
    graph = resolved(model(nodes, [value("x", batch, 64, 23, 23)], ["y"], vectors))
    found = prepare(Model(graph), None, (), (), ("wide_batch_norm", "copies"), "channels_last")
    assert [op.op_type for op in found.graph.ops] == [op_type]  # and no copy: it keeps the order of the image
    per_element = found.work.vector_ops[0] / (batch * 64 * 23 * 23)
    assert per_element == (2 if op_type == "BatchNormalization" else 220)


def upsampled(mode: str, *, last: bool = False) -> Graph:
    """An image, made of tokens or not, twice as large."""
    nodes = [node("Resize", "c _ scales", "y", mode=mode)]
    made = [node("Transpose", "x", "c", perm=[0, 3, 1, 2])] if last else [node("Relu", "x", "c")]
    scales = numpy_helper.from_array(np.array((1, 1, 2, 2), np.float32), "scales")
    data = value("x", 2, 7, 7, 16) if last else value("x", 2, 16, 7, 7)
    return resolved(model([*made, *nodes], [data], ["y"], [scales]))


@pytest.mark.parametrize(
    ("mode", "last", "layout", "steps"),
    [
        ("linear", False, "channels_first", 32), ("cubic", False, "channels_first", 32), ("nearest", False, "channels_first", 0),
        ("linear", True, "channels_first", 0), ("cubic", True, "channels_first", 32), ("linear", False, "channels_last", 0),
    ],
)  # fmt: skip
def test_threads_loop_over_images_and_channels(mode: str, last: bool, layout: str, steps: int) -> None:
    found = prepare(Model(upsampled(mode, last=last)), None, ("views",), (), ("copies",), layout)
    rows = found.work.steps
    assert (0 if rows is None else rows.sum()) == steps
    assert prepare(Model(upsampled(mode, last=last)), None, ("views",)).work.steps is None  # only where orders are followed


@pytest.mark.parametrize("step", ["300 ns", "600 cycles"])
def test_rounds_of_a_loop_take_their_time(step: str) -> None:
    """32 images and channels, one after another; the bytes take less, and the explanation says so."""
    machine = hardware(
        engines=[{"id": "sm", "kind": "tensor", "clock": "2 GHz", "peak": {"fp32": "1 TFLOP/s"}}], bandwidth="1 PB/s"
    )
    plain, looped = (
        estimate(
            Model(upsampled("linear")), machine, runtime(fusion=("views",), **profile).model_copy(update={"adds": ("copies",)})
        )
        for profile in ({}, {"loop_step": step})
    )
    assert looped.cost.compute_s.sum() - plain.cost.compute_s.sum() == pytest.approx(32 * 300e-9)
    (row,) = np.flatnonzero(looped.work.steps)
    found = explain_layer(looped, looped.work.names[row])
    assert [t for t in found.terms if not t.follows] == []
    assert {t.key: t.value for t in found.terms}["loop_s"] == pytest.approx(32 * 300e-9)
