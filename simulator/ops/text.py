"""Strings, and tables from one label to another. A string has no fixed size: its bytes are not counted.

Comparing or hashing a string is one vector operation, whatever its length.
"""

from simulator.dtypes import BOOL, FLOAT32, INT64, STRING, DType
from simulator.errors import ShapeError
from simulator.graph.raw import RawTensor
from simulator.ops.elementwise import broadcast_shape, per_element
from simulator.ops.registry import ML, Example, Out, rule, t
from simulator.ops.view import OpView
from simulator.ops.work import Kind, Work


def _normalized_shape(op: OpView) -> list[Out]:
    """Stop words are left out; where nothing remains, one empty string does."""
    return [Out(op.shape(0), STRING, bound=bool(op.attr("stopwords", ())))]


rule("StringNormalizer", kind=Kind.OTHER, shape=_normalized_shape,
     example=Example((t(4, dtype="string"),), ((4,),), Work(vector_ops=4)))(per_element(1))  # fmt: skip

rule("StringConcat", kind=Kind.OTHER, shape=broadcast_shape,
     example=Example((t(2, 1, dtype="string"), t(3, dtype="string")), ((2, 3),),
                     Work(vector_ops=6)))(per_element(1))  # fmt: skip

rule("RegexFullMatch", kind=Kind.OTHER, shape=lambda op: [Out(op.shape(0), BOOL)],
     example=Example((t(4, dtype="string"),), ((4,),), Work(vector_ops=4),
                     {"pattern": "a*"}))(per_element(1))  # fmt: skip


def _split_shape(op: OpView) -> list[Out]:
    """Parts, at most `maxsplit` + 1 a string, and how many there are."""
    shape, most = op.shape(0), op.op.attrs.get("maxsplit")
    parts = Out((*shape, most + 1), STRING, bound=True) if isinstance(most, int) else Out(None, STRING)
    return [parts, Out(shape, INT64)]


@rule("StringSplit", kind=Kind.OTHER, shape=_split_shape,
      example=Example((t(2, dtype="string"),), ((2, 4), (2,)), Work(vector_ops=2),
                      {"maxsplit": 3, "delimiter": "."}))  # fmt: skip
def string_split(op: OpView) -> Work:
    """One operation a string; the number of parts depends on data (ONNX StringSplit-20)."""
    return Work(vector_ops=op.elements(0))


def _tf_idf_shape(op: OpView) -> list[Out]:
    indexes = op.attr_ints("ngram_indexes")
    if not indexes:
        raise ShapeError("attribute 'ngram_indexes' is missing")
    return [Out((*op.shape(0)[:-1], max(indexes) + 1), FLOAT32)]


_TF_IDF_ATTRS = {"ngram_indexes": (0, 1, 2), "ngram_counts": (0,), "pool_int64s": (2, 3, 5), "mode": "TF",
                 "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0}  # fmt: skip


@rule("TfIdfVectorizer", kind=Kind.OTHER, shape=_tf_idf_shape,
      example=Example((t(2, 6, dtype="int64"),), ((2, 3),), Work(vector_ops=12), _TF_IDF_ATTRS))  # fmt: skip
def tf_idf(op: OpView) -> Work:
    """A look-up a place, n-gram length and distance; a weight is one operation an output (ONNX TfIdfVectorizer-9)."""
    lengths = op.attr("max_gram_length", 1) - op.attr("min_gram_length", 1) + 1
    weighted = op.attr("mode", "TF") != "TF"
    return Work(vector_ops=lengths * (op.attr("max_skip_count", 0) + 1) * op.elements(0) + weighted * op.out_elements())


# ---- label tables ------------------------------------------------------------------------------------------------

_VALUES = {"values_strings": STRING, "values_int64s": INT64, "values_floats": FLOAT32}


def _other_kind(dtype: DType) -> DType:
    """Before version 2 a table maps strings to integers, or integers to strings."""
    return INT64 if dtype is STRING else STRING


def _encoded_shape(op: OpView) -> list[Out]:
    tensor = op.op.attrs.get("values_tensor")
    if isinstance(tensor, RawTensor):
        return [Out(op.shape(0), tensor.dtype)]
    named = next((dtype for name, dtype in _VALUES.items() if name in op.op.attrs), None)
    return [Out(op.shape(0), named or _other_kind(op.dtype(0)))]


rule("LabelEncoder", domain=ML, kind=Kind.OTHER, shape=_encoded_shape,
     example=Example((t(4, dtype="string"),), ((4,),), Work(vector_ops=4),
                     {"keys_strings": ("a", "b"), "values_int64s": (0, 1)}, opset=4))(per_element(1))  # fmt: skip
rule("CategoryMapper", domain=ML, kind=Kind.OTHER, shape=lambda op: [Out(op.shape(0), _other_kind(op.dtype(0)))],
     example=Example((t(4, dtype="string"),), ((4,),), Work(vector_ops=4),
                     {"cats_strings": ("a", "b"), "cats_int64s": (0, 1)}, opset=1))(per_element(1))  # fmt: skip
