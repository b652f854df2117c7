"""Classical machine learning (ai.onnx.ml). Coefficients and trees are attributes here: they are no tensors, so they
count neither as parameters nor as traffic.
"""

from collections.abc import Callable

from simulator.dtypes import FLOAT32, INT64, STRING, UNDEFINED, DType
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.elementwise import per_element, same_shape
from simulator.ops.registry import ML, Example, Out, rule, t
from simulator.ops.shape import nothing
from simulator.ops.view import OpView
from simulator.ops.work import Gemm, Kind, Work

_KERNEL_SPECIAL_OPS = {"LINEAR": 0, "POLY": 1, "RBF": 1, "SIGMOID": 1}


def _rows(op: OpView) -> tuple[int, int]:
    """Samples and features; a vector is one sample."""
    return _row_shape(op.shape(0))


def _row_shape(shape: Shape) -> tuple[int, int]:
    if not 1 <= len(shape) <= 2:
        raise ShapeError(f"samples should be rows of features, not {list(shape)}")
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])


def _length(op: OpView, *names: str) -> int:
    """Elements of the first of the attributes that is given."""
    for name in names:
        value = op.op.attrs.get(name)
        if value is not None:
            return len(value) if isinstance(value, tuple) else int(getattr(value, "elements", 0))
    return 0


def _labels(op: OpView) -> tuple[int, DType]:
    """Number and type of the class labels; their attribute's name differs from operator to operator."""
    for name in ("classlabels_strings", "classlabels_ints", "classlabels_int64s"):
        if _length(op, name):
            return _length(op, name), STRING if name.endswith("strings") else INT64
    raise ShapeError("no class labels are given")


def _as_float(op: OpView) -> list[Out]:
    return [Out(op.shape(0), FLOAT32)]


# ---- linear models -----------------------------------------------------------------------------------------------


def _classifier_shape(op: OpView) -> list[Out]:
    (rows, _), (classes, dtype) = _rows(op), _labels(op)
    return [Out((rows,), dtype), Out((rows, classes), FLOAT32)]


def _linear_work(op: OpView) -> Work:
    """One MAC a sample and coefficient."""
    rows, features = _rows(op)
    outputs = _length(op, "coefficients") // max(features, 1)
    intercept = rows * outputs * (_length(op, "intercepts") > 0)
    return Work(macs=rows * features * outputs, vector_ops=intercept, gemm=Gemm(rows, outputs, features))


rule("LinearClassifier", domain=ML, kind=Kind.GEMM, shape=_classifier_shape,
     example=Example((t(4, 2),), ((4,), (4, 3)), Work(macs=24, vector_ops=12, gemm=Gemm(4, 3, 2)),
                     {"coefficients": (0.5,) * 6, "intercepts": (0.0,) * 3, "classlabels_ints": (0, 1, 2)},
                     opset=1))(_linear_work)  # fmt: skip
rule("LinearRegressor", domain=ML, kind=Kind.GEMM,
     shape=lambda op: [Out((_rows(op)[0], op.attr("targets", 1)), FLOAT32)],
     example=Example((t(4, 2),), ((4, 1),), Work(macs=8, gemm=Gemm(4, 1, 2)), {"coefficients": (0.5, 0.5)},
                     opset=1))(_linear_work)  # fmt: skip


# ---- support vector machines -------------------------------------------------------------------------------------


def _svm_shape(op: OpView) -> list[Out]:
    """Without probabilities, more than two classes give a score a pair (onnxruntime's SVMClassifier)."""
    (rows, _), (classes, dtype) = _rows(op), _labels(op)
    pairs = not _length(op, "prob_a") and _length(op, "vectors_per_class") and classes > 2
    return [Out((rows,), dtype), Out((rows, classes * (classes - 1) // 2 if pairs else classes), FLOAT32)]


@rule("SVMClassifier", domain=ML, kind=Kind.GEMM, shape=_svm_shape,
      example=Example((t(4, 2),), ((4,), (4, 3)), Work(macs=40, vector_ops=80, special_ops=20, gemm=Gemm(4, 5, 2)),
                      {"support_vectors": (0.5,) * 10, "coefficients": (0.5,) * 10, "vectors_per_class": (2, 2, 1),
                       "classlabels_ints": (0, 1, 2), "kernel_type": "RBF"}, opset=1))  # fmt: skip
@rule("SVMRegressor", domain=ML, kind=Kind.GEMM, shape=lambda op: [Out((_rows(op)[0], 1), FLOAT32)],
      example=Example((t(4, 2),), ((4, 1),), Work(macs=24, vector_ops=24, gemm=Gemm(4, 3, 2)),
                      {"support_vectors": (0.5,) * 6, "coefficients": (0.5,) * 3, "n_supports": 3},
                      opset=1))  # fmt: skip
def svm(op: OpView) -> Work:
    """A kernel of each sample and support vector, weighted and summed once a coefficient; linear without vectors."""
    rows, features = _rows(op)
    vectors = _length(op, "support_vectors") // max(features, 1)
    if not vectors:
        return _linear_work(op)
    special = _KERNEL_SPECIAL_OPS.get(op.attr("kernel_type", "LINEAR"), 1)
    return Work(macs=rows * vectors * features, vector_ops=2 * rows * _length(op, "coefficients"),
                special_ops=special * rows * vectors, gemm=Gemm(rows, vectors, features))  # fmt: skip


# ---- trees -------------------------------------------------------------------------------------------------------


def _trees(op: OpView) -> tuple[int, int]:
    """Number of trees, and the leaves of an average one: in a binary tree of n nodes, half of n + 1."""
    if op.op.op_type == "TreeEnsemble":  # only inner nodes are listed, one less than leaves
        trees = max(_length(op, "tree_roots"), 1)
        return trees, _length(op, "nodes_featureids") // trees + 1
    ids = op.attr_ints("nodes_treeids") or ()
    trees = max(len(set(ids)), 1)
    return trees, (len(ids) // trees + 1) // 2


def _tree_work(op: OpView) -> Work:
    """One compare a level of each tree, taken as balanced with average leaves, and one addition a tree: an estimate."""
    trees, leaves = _trees(op)
    levels = max(leaves - 1, 0).bit_length()
    return Work(vector_ops=_rows(op)[0] * trees * (levels + 1))


def _targets_shape(dtype: Callable[[OpView], DType]) -> Callable[[OpView], list[Out]]:
    return lambda op: [Out((_rows(op)[0], op.attr("n_targets", 1)), dtype(op))]


_TWO_TREES = {"nodes_treeids": (0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1)}

rule("TreeEnsembleClassifier", domain=ML, kind=Kind.OTHER, shape=_classifier_shape,
     example=Example((t(4, 2),), ((4,), (4, 3)), Work(vector_ops=4 * 2 * 3),
                     {**_TWO_TREES, "classlabels_int64s": (0, 1, 2)}, opset=3))(_tree_work)  # fmt: skip
rule("TreeEnsembleRegressor", domain=ML, kind=Kind.OTHER, shape=_targets_shape(lambda _: FLOAT32),
     example=Example((t(4, 2),), ((4, 1),), Work(vector_ops=4 * 2 * 3), {**_TWO_TREES, "n_targets": 1},
                     opset=3))(_tree_work)  # fmt: skip
rule("TreeEnsemble", domain=ML, kind=Kind.OTHER, shape=_targets_shape(lambda op: op.dtype(0)),
     example=Example((t(4, 2),), ((4, 1),), Work(vector_ops=4 * 1 * 3),
                     {"tree_roots": (0,), "nodes_featureids": (0, 1, 0), "n_targets": 1},
                     opset=5))(_tree_work)  # fmt: skip


# ---- features ----------------------------------------------------------------------------------------------------


@rule("Normalizer", domain=ML, kind=Kind.NORM, shape=_as_float,
      example=Example((t(4, 2),), ((4, 2),), Work(vector_ops=24, special_ops=8), {"norm": "L2"}, opset=1))  # fmt: skip
def normalizer(op: OpView) -> Work:
    """Maximum or sum of each row, then a division; L2 squares first and takes a root an element (Normalizer-1)."""
    euclidean = op.attr("norm", "MAX") == "L2"
    return Work(vector_ops=(2 + euclidean) * op.out_elements(), special_ops=euclidean * op.out_elements())


rule("Scaler", domain=ML, kind=Kind.POINTWISE, shape=_as_float,
     example=Example((t(4, 2),), ((4, 2),), Work(vector_ops=16), opset=1))(per_element(2))  # fmt: skip
rule("Binarizer", domain=ML, kind=Kind.POINTWISE, shape=same_shape, in_place=True,
     example=Example((t(4, 2),), ((4, 2),), Work(vector_ops=8), opset=1))(per_element(1))  # fmt: skip
rule("Imputer", domain=ML, kind=Kind.POINTWISE, shape=same_shape, in_place=True,
     example=Example((t(4, 2),), ((4, 2),), Work(vector_ops=16), opset=1))(per_element(2))  # fmt: skip


def _extracted_shape(op: OpView) -> list[Out]:
    lead: Shape = op.shape(0)[:-1] or (1,)
    return [Out((*lead, op.elements(1)), op.dtype(0))]


@rule("ArrayFeatureExtractor", domain=ML, kind=Kind.COPY, shape=_extracted_shape,
      example=Example((t(3, 4), t(2, dtype="int64")), ((3, 2),), Work(read_elements={0: 6}), opset=1))  # fmt: skip
def array_feature_extractor(op: OpView) -> Work:
    """Copies the columns it picks (ArrayFeatureExtractor-1)."""
    return Work(read_elements={0: op.out_elements()})


def _one_hot_shape(op: OpView) -> list[Out]:
    return [Out((*op.shape(0), _length(op, "cats_int64s", "cats_strings")), FLOAT32)]


rule("OneHotEncoder", domain=ML, kind=Kind.COPY, shape=_one_hot_shape,
     example=Example((t(4, dtype="int64"),), ((4, 3),), Work(vector_ops=12), {"cats_int64s": (0, 1, 2)},
                     opset=1))(per_element(1))  # fmt: skip


def _vectorized_shape(op: OpView) -> list[Out]:
    rows = [_row_shape(op.shape(i)) for i in range(len(op.inputs))]
    if len({row[0] for row in rows}) > 1:
        raise ShapeError(f"features of {', '.join(str(row[0]) for row in rows)} samples side by side")
    return [Out((rows[0][0], sum(row[1] for row in rows)), FLOAT32)]


rule("FeatureVectorizer", domain=ML, kind=Kind.COPY, shape=_vectorized_shape,
     example=Example((t(4, 2), t(4, 3)), ((4, 5),), attrs={"inputdimensions": (2, 3)}, opset=1))(nothing)  # fmt: skip


# ---- maps --------------------------------------------------------------------------------------------------------


def _dictionary_shape(op: OpView) -> list[Out]:
    """A row as long as the vocabulary; the values' type is the map's, which is not tracked."""
    return [Out((1, _length(op, "string_vocabulary", "int64_vocabulary")), UNDEFINED)]


rule("DictVectorizer", domain=ML, kind=Kind.COPY, shape=_dictionary_shape,
     example=Example((t(),), ((1, 2),), attrs={"string_vocabulary": ("a", "b")}, opset=1))(nothing)  # fmt: skip

_CAST_TO = {"TO_FLOAT": FLOAT32, "TO_INT64": INT64, "TO_STRING": STRING}


def _cast_map_shape(op: OpView) -> list[Out]:
    """A sparse map has `max_map` places; a dense one as many as it holds."""
    shape = (1, op.attr("max_map", 1)) if op.attr("map_form", "DENSE") == "SPARSE" else None
    return [Out(shape, _CAST_TO.get(op.attr("cast_to", "TO_FLOAT"), FLOAT32))]


rule("CastMap", domain=ML, kind=Kind.COPY, shape=_cast_map_shape,
     example=Example((t(),), ((1, 8),), attrs={"map_form": "SPARSE", "max_map": 8}, opset=1))(nothing)  # fmt: skip
