"""Our reader sees what the onnx package sees, and never touches a weight."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from support.graphs import FLOAT, INT64, anything, model, node, parsed, value, weight

from simulator import api, dtypes
from simulator.errors import ModelError, NotFoundError
from simulator.graph.raw import SMALL_ELEMENTS, AttrRef, RawGraph, RawModel, RawNode, RawTensor, RawValue
from simulator.io.onnx_reader import parse_model, read_onnx

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data"

# ---- the same model through both readers --------------------------------------------------------------------------


def domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def expected_attribute(attribute: AttributeProto) -> object:
    """What our reader should make of an attribute, tensors and graphs as comparable values."""
    if attribute.ref_attr_name:
        return AttrRef(attribute.ref_attr_name)
    plain = {1: "f", 2: "i", 6: "floats", 7: "ints"}
    if attribute.type in plain:
        found = getattr(attribute, plain[attribute.type])
        return found if attribute.type < 6 else tuple(found)
    if attribute.type == AttributeProto.STRING:
        return text(attribute.s)
    if attribute.type == AttributeProto.STRINGS:
        return tuple(text(s) for s in attribute.strings)
    if attribute.type == AttributeProto.TENSOR:
        return expected_tensor(attribute.t)
    if attribute.type == AttributeProto.TENSORS:
        return tuple(expected_tensor(t) for t in attribute.tensors)
    if attribute.type == AttributeProto.GRAPH:
        return expected_graph(attribute.g)
    if attribute.type == AttributeProto.GRAPHS:
        return tuple(expected_graph(g) for g in attribute.graphs)
    if attribute.type == AttributeProto.SPARSE_TENSOR:
        return expected_sparse(attribute.sparse_tensor)
    return None


def text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def expected_tensor(tensor: TensorProto) -> tuple:
    return ("tensor", tensor.name, tensor.data_type, tuple(tensor.dims))


def expected_sparse(tensor: onnx.SparseTensorProto) -> tuple:
    return ("tensor", tensor.values.name, tensor.values.data_type, tuple(tensor.dims))


def expected_value(info: onnx.ValueInfoProto) -> tuple:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return (info.name, "undefined" if kind is None else "sequence", None)
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return (info.name, dtypes.BY_CODE[tensor.elem_type].name, None)
    dims = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim)
    return (info.name, dtypes.BY_CODE[tensor.elem_type].name, dims)


def expected_node(proto: onnx.NodeProto) -> tuple:
    attributes = {a.name: expected_attribute(a) for a in proto.attribute}
    return (proto.name, proto.op_type, domain(proto.domain), tuple(proto.input), tuple(proto.output), attributes, proto.overload)


def expected_graph(graph: onnx.GraphProto) -> tuple:
    tensors = [expected_tensor(t) for t in graph.initializer] + [expected_sparse(t) for t in graph.sparse_initializer]
    values = [[expected_value(v) for v in part] for part in (graph.input, graph.output, graph.value_info)]
    return ("graph", graph.name, [expected_node(n) for n in graph.node], sorted(tensors), values)


def seen(found: object) -> object:
    """Our values in the same form."""
    if isinstance(found, RawTensor):
        return ("tensor", found.name, found.dtype.code, found.dims)
    if isinstance(found, RawValue):
        return (found.name, found.dtype.name, found.dims)
    if isinstance(found, RawNode):
        attributes = {k: seen(v) for k, v in found.attrs.items()}
        return (found.name, found.op_type, found.domain, found.inputs, found.outputs, attributes, found.overload)
    if isinstance(found, RawGraph):
        values = [[seen(v) for v in part] for part in (found.inputs, found.outputs, found.value_info)]
        return ("graph", found.name, [seen(n) for n in found.nodes], sorted(seen(t) for t in found.initializers), values)
    if isinstance(found, tuple):
        return tuple(seen(f) for f in found)
    return found


def assert_same(proto: onnx.ModelProto, raw: RawModel) -> None:
    assert seen(raw.graph) == expected_graph(proto.graph)
    assert raw.ir_version == proto.ir_version
    assert raw.producer == proto.producer_name
    assert raw.opsets == {domain(o.domain): o.version for o in proto.opset_import}
    assert set(raw.functions) == {(domain(f.domain), f.name, f.overload) for f in proto.functions}
    for function in proto.functions:
        found = raw.functions[domain(function.domain), function.name, function.overload]
        assert [seen(n) for n in found.nodes] == [expected_node(n) for n in function.node]
        assert (found.inputs, found.outputs) == (tuple(function.input), tuple(function.output))
        assert {k: seen(v) for k, v in found.attr_defaults.items()} == {
            a.name: expected_attribute(a) for a in function.attribute_proto
        }
        assert found.opsets == {domain(o.domain): o.version for o in function.opset_import}


@pytest.mark.parametrize(
    "path", sorted(LIGHT.glob("light/*.onnx")) + sorted(LIGHT.glob("*/*/model.onnx")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_agrees_with_the_onnx_package_on_its_own_models(path: Path) -> None:
    assert_same(onnx.load(path, load_external_data=False), read_onnx(path))


def every_attribute() -> onnx.NodeProto:
    sub = model([node("Relu", "a", "b")], [value("a", 2)], [value("b", 2)], [weight("w", 3)]).graph
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sv", FLOAT, [2], [1.0, 2.0]), helper.make_tensor("si", INT64, [2], [1, 3]), [5]
    )
    return node(
        "Everything",
        "x _ y",
        "z _",
        i=-5,
        f=1.5,
        s="text",
        b=b"\xff\xfe",
        t=helper.make_tensor("t", FLOAT, [2], [1, 2]),
        g=sub,
        sp=sparse,
        ints=[1, -2, 2**40],
        floats=[1.5, -2.5],
        strings=["a", "b"],
        tensors=[helper.make_tensor("u", INT64, [1], [3])],
        graphs=[sub, sub],
    )


def test_attributes_of_every_kind() -> None:
    proto = model([every_attribute()], [value("x", "N", None, 3), value("y")], [anything("z")], domains=["my"])
    attrs = parsed(proto).graph.nodes[0].attrs
    assert_same(proto, parsed(proto))
    assert (attrs["i"], attrs["f"], attrs["s"], attrs["b"]) == (-5, 1.5, "text", b"\xff\xfe")
    assert (attrs["ints"], attrs["floats"], attrs["strings"]) == ((1, -2, 2**40), (1.5, -2.5), ("a", "b"))
    assert parsed(proto).graph.nodes[0].inputs == ("x", "", "y")
    assert parsed(proto).graph.inputs[0].dims == ("N", None, 3)


@pytest.mark.parametrize(("kind", "empty"), [(1, 0.0), (2, 0), (3, ""), (6, ()), (7, ()), (8, ()), (9, ()), (10, ())])
def test_an_attribute_with_a_type_and_no_value(kind: int, empty: object) -> None:
    """proto3 writers leave zeros out."""
    made = node("X", "x", "y")
    made.attribute.append(AttributeProto(name="a", type=kind))
    assert parsed(model([made], [value("x")], ["y"])).graph.nodes[0].attrs["a"] == empty


def test_an_attribute_without_a_type() -> None:
    """Files before IR version 2 carry none."""
    made = node("X", "x", "y")
    made.attribute.extend([AttributeProto(name="a", i=3), AttributeProto(name="b", ints=[1, 2])])
    attrs = parsed(model([made], [value("x")], ["y"])).graph.nodes[0].attrs
    assert (attrs["a"], attrs["b"]) == (3, (1, 2))


def test_a_reference_to_an_attribute_of_the_function() -> None:
    inner = node("Flatten", "a", "b")
    inner.attribute.append(AttributeProto(name="axis", ref_attr_name="start", type=AttributeProto.INT))
    made = helper.make_function(
        "my", "F", ["a"], ["b"], [inner], [helper.make_operatorsetid("", 17)], ["start"], [helper.make_attribute("k", 3)]
    )
    proto = model([node("F", "x", "y", domain="my")], [value("x", 2)], ["y"], functions=[made], domains=["my"])
    assert_same(proto, parsed(proto))
    assert parsed(proto).functions["my", "F", ""].nodes[0].attrs["axis"] == AttrRef("start")


def test_the_standard_domain_by_its_long_name() -> None:
    proto = model([node("Relu", "x", "y", domain="ai.onnx")], [value("x", 2)], ["y"])
    assert parsed(proto).graph.nodes[0].domain == ""


def test_types_that_are_not_tensors() -> None:
    sequence = helper.make_value_info("s", helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [2])))
    optional = helper.make_value_info("o", helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [2])))
    mapping = helper.make_value_info("m", helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, [2])))
    sparse = helper.make_value_info("p", helper.make_sparse_tensor_type_proto(FLOAT, [2, 3]))
    raw = parsed(model([], [sequence, optional, mapping, sparse], []))
    assert [v.dims for v in raw.graph.inputs] == [None, None, None, (2, 3)]
    assert [v.dtype.name for v in raw.graph.inputs] == ["sequence"] * 3 + ["float32"]


def test_a_scalar_and_a_tensor_of_unknown_rank() -> None:
    raw = parsed(model([], [value("scalar"), helper.make_tensor_value_info("any", FLOAT, None)], []))
    assert [v.dims for v in raw.graph.inputs] == [(), None]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.tuples(names, names, names, st.lists(names, max_size=3), st.lists(names, max_size=3)), max_size=4),
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.one_of(st.integers(-(2**63), 2**63 - 1), names, st.lists(st.integers(-9, 9), min_size=1)),
        max_size=4,
    ),
)
def test_any_nodes_survive(nodes: list[tuple], attributes: dict[str, object]) -> None:
    protos = [
        onnx.NodeProto(
            name=n, op_type=o, domain=d, input=i, output=u, attribute=[helper.make_attribute(k, v) for k, v in attributes.items()]
        )
        for n, o, d, i, u in nodes
    ]
    proto = helper.make_model(helper.make_graph(protos, "g", [], []))
    assert_same(proto, parsed(proto))


# ---- values -------------------------------------------------------------------------------------------------------

TYPED = [
    "float32",
    "float64",
    "float16",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
]


def first(proto: TensorProto) -> RawTensor:
    return parsed(model([], [], [], [proto])).graph.initializers[0]


def sample(dtype: str) -> np.ndarray:
    numbers = np.array([[0, 1, 2], [3, 100, 5]])
    return (numbers > 1 if dtype == "bool" else numbers).astype(dtype)


@pytest.mark.parametrize("dtype", [*TYPED, "complex64", "complex128"])
def test_raw_values(dtype: str) -> None:
    array = sample(dtype)
    found = first(numpy_helper.from_array(array, "t")).values()
    assert found is not None
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("dtype", TYPED)
def test_values_in_typed_fields(dtype: str) -> None:
    array = sample(dtype)
    proto = helper.make_tensor("t", helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.ravel().tolist())
    assert not proto.raw_data
    found = first(proto).values()
    assert found is not None
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "float32", "float16"])
def test_negative_values_in_typed_fields(dtype: str) -> None:
    array = np.array([-1, -100, 7], dtype)
    proto = helper.make_tensor("t", helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.tolist())
    np.testing.assert_array_equal(first(proto).values(), array)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1])
def test_large_integers_are_exact(number: int) -> None:
    proto = helper.make_tensor("t", INT64, [2], [number, 0])
    assert first(proto).values().tolist() == [number, 0]


def test_scalars_and_empty_tensors() -> None:
    assert first(numpy_helper.from_array(np.array(7, np.int64), "t")).values().shape == ()
    assert first(numpy_helper.from_array(np.zeros((0, 3), np.int64), "t")).values().shape == (0, 3)
    assert first(TensorProto(name="t", data_type=INT64, dims=[0])).values().tolist() == []


def test_large_tensors_are_not_decoded() -> None:
    just = first(numpy_helper.from_array(np.zeros(SMALL_ELEMENTS, np.int64), "t"))
    over = first(numpy_helper.from_array(np.zeros(SMALL_ELEMENTS + 1, np.int64), "t"))
    typed = first(helper.make_tensor("t", INT64, [SMALL_ELEMENTS + 1], [0] * (SMALL_ELEMENTS + 1)))
    assert just.values() is not None
    assert over.values() is None
    assert typed.values() is None
    assert typed.numbers is None


def test_types_without_a_numpy_layout_have_no_values_but_a_size() -> None:
    tensor = first(TensorProto(name="t", data_type=TensorProto.BFLOAT16, dims=[4], raw_data=bytes(8)))
    assert tensor.values() is None
    assert (tensor.dtype.name, tensor.elements) == ("bfloat16", 4)


def test_a_header_without_values() -> None:
    assert first(weight("t", 3, dtype=INT64)).values() is None


def test_a_sparse_initializer_counts_densely() -> None:
    proto = model([], [], [])
    values = helper.make_tensor("sparse", FLOAT, [2], [1.0, 2.0])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, helper.make_tensor("i", INT64, [2], [0, 11]), [3, 4]))
    (tensor,) = parsed(proto).graph.initializers
    assert (tensor.name, tensor.dims, tensor.dtype.name) == ("sparse", (3, 4), "float32")
    assert tensor.values() is None
    assert_same(proto, parsed(proto))


@pytest.mark.parametrize(("dims", "message"), [([-1], "negative dimension"), ([2**30, 2**30], "absurd shape")])
def test_absurd_headers_are_refused(dims: list[int], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        first(weight("t", *dims))


def test_an_unknown_element_type_is_refused() -> None:
    with pytest.raises(ModelError, match="tensor 't' has the unknown element type 99"):
        first(weight("t", 2, dtype=99))


# ---- files --------------------------------------------------------------------------------------------------------


def dense(width: int) -> onnx.ModelProto:
    return model([node("MatMul", "x w", "y")], [value("x", 1, width)], ["y"], [weight("w", width, width)])


def test_external_data_need_not_be_there(tmp_path: Path) -> None:
    proto = dense(64)
    tensor = proto.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="nowhere.bin")
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    assert read_onnx(path).graph.initializers[0].external
    loaded = api.load_model(path)
    assert (loaded.name, loaded.params, loaded.macs) == ("m", 64 * 64, 64 * 64)


def test_external_shape_constants_that_are_missing_are_unknown_not_zero(tmp_path: Path) -> None:
    target = TensorProto(name="s", data_type=INT64, dims=[2], data_location=TensorProto.EXTERNAL)
    target.external_data.add(key="location", value="nowhere.bin")
    path = tmp_path / "m.onnx"
    path.write_bytes(model([node("Reshape", "x s", "y")], [value("x", 2, 3)], ["y"], [target]).SerializeToString())
    assert api.load_model(path).graph.coverage.tensors_without_shape == 1


def test_embedded_weights_are_never_read(tmp_path: Path) -> None:
    """A 50 MB file costs a fresh process less than 8 MB, whole pipeline to the counts; the library copies all of it."""
    proto = dense(3600)
    proto.graph.initializer[0].raw_data = bytes(3600 * 3600 * 4)
    path = tmp_path / "large.onnx"
    path.write_bytes(proto.SerializeToString())
    assert path.stat().st_size > 50e6
    script = f"""
import resource
from simulator import api
api.load_model({str(tmp_path / "small.onnx")!r}).macs
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert api.load_model({str(path)!r}).macs == 3600 * 3600
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    (tmp_path / "small.onnx").write_bytes(dense(8).SerializeToString())
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8 * 1024  # KiB


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_onnx(tmp_path / "absent.onnx")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a directory"):
        read_onnx(tmp_path)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "m.onnx", "is empty"),
        (b"PK\x03\x04 and so on", "m.pt", "is a PyTorch checkpoint.*torch.onnx.export"),
        (b"PK\x03\x04 and so on", "m.onnx", "is a zip archive.*unpack it"),
        (b"\x1c\x00\x00\x00TFL3\x00", "m.tflite", "is a TensorFlow Lite model.*tf2onnx"),
        (b"\x89HDF\r\n", "m.h5", "is an HDF5 file"),
        (b"GGUF\x03\x00\x00\x00", "m.gguf", "is a GGUF file"),
        (b"\x80\x02}q\x00.", "m.pkl", "is a Python pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "m.onnx", "is a text file"),
        (b"\x00" * 40, "m.onnx", "is not a readable ONNX file: not a protobuf message"),
    ],
)
def test_other_files_are_recognised(tmp_path: Path, content: bytes, name: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_onnx(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    data = dense(8).SerializeToString()
    path = tmp_path / "cut.onnx"
    for end in range(1, len(data), 7):
        path.write_bytes(data[:end])
        with pytest.raises(ModelError, match=r"cut\.onnx is "):
            read_onnx(path)


@given(st.binary(max_size=120), st.integers(0, 10**6))
def test_damage_anywhere_is_an_error_a_user_can_mend(noise: bytes, place: int) -> None:
    """Never an IndexError, a RecursionError or a struct.error."""
    data = bytearray(
        model([every_attribute()], [value("x", 2), value("y")], [anything("z")], [weight("w", 2)]).SerializeToString()
    )
    at = place % len(data)
    data[at : at + len(noise)] = noise
    try:
        raw = parse_model(memoryview(bytes(data)), "damaged")
        for tensor in raw.graph.initializers:
            tensor.values()
    except ModelError:
        pass


def test_graphs_nested_absurdly_deep_are_refused() -> None:
    """The protobuf library refuses them too; ours must do so before the stack does."""

    def nested(number: int, payload: bytes) -> bytes:
        length, size = len(payload), bytearray()
        while length >= 0x80:
            size.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([number << 3 | 2, *size, length]) + payload

    graph = b""
    for _ in range(2000):
        attribute = nested(1, b"body") + b"\xa0\x01\x05" + nested(6, graph)
        graph = nested(1, nested(4, b"Loop") + nested(5, attribute))
    with pytest.raises(ModelError, match="nested more than 64 deep"):
        parse_model(memoryview(b"\x08\x08" + nested(7, graph)), "deep")


def test_no_graph_and_no_operator_set() -> None:
    with pytest.raises(ModelError, match="it holds no graph"):
        parse_model(memoryview(onnx.ModelProto(ir_version=8).SerializeToString()), "m")
    with pytest.raises(ModelError, match="it declares no operator set"):
        parse_model(memoryview(onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(name="g")).SerializeToString()), "m")
