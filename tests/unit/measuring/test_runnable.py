"""Files made runnable: what is missing is made up, what is there stays, another batch goes through to baked shapes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import simulator as sim
from simulator.errors import ModelError, UsageError
from simulator.measuring.host import free_memory_bytes
from simulator.measuring.runnable import check_memory, make_runnable, uses_of
from simulator.model import Model
from tests.support.graphs import INT4, INT8, ints, model, node, value, weight


def saved(tmp_path: Path, proto: onnx.ModelProto) -> str:
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return str(path)


def made(tmp_path: Path, reference: str, batch: int | None = None) -> tuple[onnx.ModelProto, int]:
    """The runnable file with its values read in, and how many tensors were made up."""
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    found = make_runnable(reference, sim.load_model(reference, batch=batch), folder, batch=batch)
    return onnx.load(found.path), found.made_up_tensors


def arrays(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def test_what_is_missing_is_made_up_and_what_is_there_stays(tmp_path: Path) -> None:
    known = numpy_helper.from_array(np.arange(1024, dtype=np.float32).reshape(32, 32), "known")
    proto = model([node("MatMul", "x known", "h"), node("MatMul", "h lost", "y")], [value("x", 1, 32)], ["y"],
                  [known, weight("lost", 32, 16)])  # fmt: skip
    found, count = made(tmp_path, saved(tmp_path, proto))
    assert count == 1
    assert np.array_equal(arrays(found)["known"], numpy_helper.to_array(known))
    lost = arrays(found)["lost"]
    assert (lost.shape, lost.dtype) == ((32, 16), np.float32)
    assert lost.std() == pytest.approx((2 / 32) ** 0.5, rel=0.15)


def test_a_file_with_all_its_values_is_run_as_it_is(tmp_path: Path) -> None:
    known = numpy_helper.from_array(np.ones((8, 8), np.float32), "w")
    path = saved(tmp_path, model([node("MatMul", "x w", "y")], [value("x", 1, 8)], ["y"], [known]))
    found = make_runnable(path, sim.load_model(path), tmp_path)
    assert (found.path, found.made_up_tensors, found.made_up_bytes) == (Path(path).resolve(), 0, 0)


def test_recipes_run_too(tmp_path: Path) -> None:
    found, count = made(tmp_path, "resnet8")
    assert count == len(found.graph.initializer) > 10
    onnx.checker.check_model(found)


def test_no_two_weights_are_alike(tmp_path: Path) -> None:
    found, _ = made(tmp_path, "resnet8")
    seen = [values.tobytes() for values in arrays(found).values()]
    assert len(set(seen)) == len(seen)


def test_values_in_a_file_of_their_own_are_found_again(tmp_path: Path) -> None:
    values = np.arange(2048, dtype=np.float32).reshape(64, 32)
    (tmp_path / "net.data").write_bytes(b"\0" * 16 + values.tobytes())
    kept, short = weight("kept", 64, 32), weight("short", 32, 64)
    for tensor, offset in ((kept, 16), (short, 16 + 4096)):  # the second one's values break off
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in (("location", "net.data"), ("offset", str(offset))):
            tensor.external_data.add(key=key, value=text)
    nodes = [node("MatMul", "x kept", "h"), node("MatMul", "h short", "y")]
    found, count = made(tmp_path, saved(tmp_path, model(nodes, [value("x", 1, 64)], ["y"], [kept, short])))
    assert count == 1
    assert np.array_equal(arrays(found)["kept"], values)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, INT8, INT4])
def test_every_type_has_as_many_bytes_as_it_needs(tmp_path: Path, dtype: int) -> None:
    lost = weight("lost", 33, 65, dtype=dtype)
    found, count = made(tmp_path, saved(tmp_path, model([node("Identity", "lost", "y")], [], ["y"], [lost])))
    assert count == 1
    assert numpy_helper.to_array(found.graph.initializer[0]).shape == (33, 65)


def test_weights_in_branches_and_constants_count_too(tmp_path: Path) -> None:
    branches = [onnx.helper.make_graph([node("MatMul", f"x {n}", f"{n}_y")], n, [], [value(f"{n}_y", 1, 4)], [weight(n, 8, 4)])
                for n in ("a", "b")]  # fmt: skip
    proto = model([node("If", "c", "y", then_branch=branches[0], else_branch=branches[1])],
                  [value("c", dtype=TensorProto.BOOL), value("x", 1, 8)], ["y"])  # fmt: skip
    assert uses_of(proto.graph)["b"].op_type == "MatMul"
    assert made(tmp_path, saved(tmp_path, proto))[1] == 2


def test_another_batch_reaches_baked_shapes(tmp_path: Path) -> None:
    nodes = [node("Flatten", "x", "f"), node("Reshape", "f s", "r"), node("MatMul", "r w", "y")]
    proto = model(nodes, [value("x", 1, 4, 2)], [value("y", 1, 2, 4)], [ints("s", 1, 2, 4), weight("w", 4, 4)])
    found, _ = made(tmp_path, saved(tmp_path, proto), batch=3)
    assert [d.dim_value for d in found.graph.input[0].type.tensor_type.shape.dim] == [3, 4, 2]
    reshape = next(n for n in found.graph.node if n.op_type == "Reshape")
    assert arrays(found)[reshape.input[1]].tolist() == [3, 2, 4]
    inferred = onnx.shape_inference.infer_shapes(found, strict_mode=True, data_prop=True)
    assert [d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim] == [3, 2, 4]


def test_shapes_that_are_not_in_the_file_cannot_be_made_up(tmp_path: Path) -> None:
    proto = model(
        [node("Reshape", "x s", "y")], [value("x", 1, 8)], [value("y", 8, 1)], [weight("s", 2, dtype=TensorProto.INT64)]
    )
    with pytest.raises(ModelError, match="'s' decides shapes"):
        made(tmp_path, saved(tmp_path, proto))


def test_too_large_a_network_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    proto = model([node("MatMul", "x w", "y")], [value("x", 1, 1 << 20)], ["y"], [weight("w", 1 << 20, 1 << 20)])
    path = saved(tmp_path, proto)
    with pytest.raises(UsageError, match=r"needs about 8 TiB of memory .* are free"):
        make_runnable(path, sim.load_model(path), tmp_path)
    assert not (tmp_path / "weights.bin").exists()


def test_the_memory_that_is_asked_for() -> None:
    network: Model = sim.load_model("resnet50")
    check_memory(network, 1 << 30)
    check_memory(network, None)  # the system does not tell
    with pytest.raises(UsageError, match="held twice"):
        check_memory(network, 300 << 20)
    free = free_memory_bytes()
    assert free is None or free > 0
