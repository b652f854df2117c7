"""Two exports of one network give the same kernels: one exporter writes padding as an operator, the other as an attribute."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.graphs import resolved

from simulator import zoo
from simulator.graph.graph import Graph
from simulator.io.hardware_reader import load_runtime, runtime_ids
from simulator.kernels.partition import EVERY_FUSION, partition

NETWORKS = ("ds_cnn", "resnet8", "mobilenet_v2", "resnet18", "squeezenet1_1")
PADDING = sorted(name for name in runtime_ids() if "pad" in load_runtime(name).fusion)


def with_explicit_padding(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Every padded convolution as a Pad and a convolution without padding, as TorchScript writes TensorFlow's windows."""
    nodes = []
    for op in proto.graph.node:
        pads = next((list(a.ints) for a in op.attribute if a.name == "pads"), [])
        if op.op_type == "Conv" and any(pads):
            rank = len(pads) // 2
            numbers = np.array([0, 0, *pads[:rank], 0, 0, *pads[rank:]], np.int64)
            proto.graph.initializer.append(numpy_helper.from_array(numbers, f"{op.name}.pads"))
            nodes.append(helper.make_node("Pad", [op.input[0], f"{op.name}.pads"], [f"{op.name}.padded"], name=f"{op.name}.pad"))
            op.input[0] = f"{op.name}.padded"
            kept = [a for a in op.attribute if a.name != "pads"]
            del op.attribute[:]
            op.attribute.extend(kept)
        nodes.append(op)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def kernels(graph: Graph, fusion: tuple[str, ...]) -> Counter[tuple[object, ...]]:
    """What each kernel is, reads and writes, whatever its operators are called."""
    found, _ = partition(graph, fusion)
    shapes = [[tuple(sorted(t.shape or () for t in part)) for part in (k.inputs, k.weights, k.outputs)] for k in found]
    return Counter((k.kind, k.rate, *own) for k, own in zip(found, shapes, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_as_an_operator_or_an_attribute(name: str) -> None:
    plain, explicit = resolved(zoo.build(name)), resolved(with_explicit_padding(zoo.build(name)))
    assert any(op.op_type == "Pad" for op in explicit.ops)
    for fusion in (("pad",), EVERY_FUSION, *(load_runtime(r).fusion for r in PADDING)):
        assert kernels(explicit, fusion) == kernels(plain, fusion), fusion
    assert kernels(explicit, ()) != kernels(plain, ())


def test_every_library_for_microcontrollers_pads_inside_the_convolution() -> None:
    own = {name for name in runtime_ids() if load_runtime(name).classes == ("mcu",)}
    assert own <= set(PADDING)
