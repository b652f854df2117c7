"""Matrix products: MatMul, Gemm, Einsum and their fused and quantized forms."""

import math

from simulator.dtypes import FLOAT32, INT32
from simulator.errors import ShapeError
from simulator.graph.types import Shape
from simulator.ops.registry import MS, Example, Input, Out, rule, t
from simulator.ops.view import OpView, broadcast
from simulator.ops.work import Gemm, Kind, Work


def product_shape(a: Shape, b: Shape) -> Shape:
    """Shape of numpy.matmul: leading dimensions broadcast, vectors are promoted and their dimension dropped."""
    if not a or not b:
        raise ShapeError("a matrix product needs tensors of rank 1 or more")
    left, right = (a if len(a) > 1 else (1, *a)), (b if len(b) > 1 else (*b, 1))
    if left[-1] != right[-2]:
        raise ShapeError(f"a matrix product of {list(a)} and {list(b)}: {left[-1]} columns meet {right[-2]} rows")
    lead = broadcast(left[:-2], right[:-2])
    return lead + ((left[-2],) if len(a) > 1 else ()) + ((right[-1],) if len(b) > 1 else ())


def product_work(a: Shape, b: Shape, *, weights: bool) -> Work:
    """One MAC per output element and contracted index. A weight matrix folds the leading dimensions into m."""
    rows, k = (a[-2] if len(a) > 1 else 1), a[-1]
    n = b[-1] if len(b) > 1 else 1
    lead = math.prod(broadcast(a[:-2], b[:-2]))
    shared = math.prod(b[:-2]) == 1  # one right-hand matrix for all
    gemm = Gemm(rows * lead, n, k) if shared else Gemm(rows, n, k, lead)
    return Work(macs=gemm.macs, gemm=gemm, kind=Kind.GEMM if weights else Kind.BATCHED_GEMM)


def has_weights(op: OpView, *positions: int) -> bool:
    """Whether one of the inputs is known before the run."""
    return any(op.has(i) and op.tensor(i).role == "weight" for i in positions)


def _matmul_shape(op: OpView) -> list[Out]:
    return [Out(product_shape(op.shape(0), op.shape(1)), op.dtype(0))]


@rule("MatMul", kind=Kind.GEMM, shape=_matmul_shape,
      example=Example((t(5, 2, 3), t(5, 3, 4)), ((5, 2, 4),),
                      Work(macs=120, gemm=Gemm(2, 4, 3, 5), kind=Kind.BATCHED_GEMM)))  # fmt: skip
def matmul(op: OpView) -> Work:
    """One MAC per output element and contracted index (ONNX MatMul-13)."""
    return product_work(op.shape(0), op.shape(1), weights=has_weights(op, 0, 1))


def _gemm_operands(op: OpView) -> tuple[Shape, Shape]:
    a, b = op.shape(0), op.shape(1)
    if len(a) != 2 or len(b) != 2:
        raise ShapeError(f"Gemm needs matrices, not {list(a)} and {list(b)}")
    return (a[::-1] if op.attr("transA", 0) else a), (b[::-1] if op.attr("transB", 0) else b)


def _gemm_shape(op: OpView) -> list[Out]:
    return [Out(product_shape(*_gemm_operands(op)), op.dtype(0))]


_GEMM_ROLES = {1: Input.WEIGHT, 2: Input.BIAS}


@rule("Gemm", kind=Kind.GEMM, shape=_gemm_shape, roles=_GEMM_ROLES,
      example=Example((t(2, 3), t(4, 3), t(4)), ((2, 4),),
                      Work(macs=24, vector_ops=8, gemm=Gemm(2, 4, 3)), {"transB": 1}))  # fmt: skip
def gemm(op: OpView) -> Work:
    """m·n·k MACs and one addition an output for the bias (ONNX Gemm-13)."""
    (m, k), (_, n) = _gemm_operands(op)
    return Work(macs=m * n * k, vector_ops=m * n if op.has(2) else 0, gemm=Gemm(m, n, k))


def _swap(shape: Shape, swap: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if swap and len(shape) > 1 else shape


def _batch_swap(shape: Shape, swap: bool) -> Shape:
    """FusedMatMul's transBatch: the leading dimensions [d0 … dn, m] become [m, d0 … dn] before the product."""
    return (*shape[1:-1], shape[0], shape[-1]) if swap and len(shape) > 2 else shape


def _fused_operands(op: OpView) -> tuple[Shape, Shape]:
    a = _swap(_batch_swap(op.shape(0), bool(op.attr("transBatchA", 0))), bool(op.attr("transA", 0)))
    b = _swap(_batch_swap(op.shape(1), bool(op.attr("transBatchB", 0))), bool(op.attr("transB", 0)))
    return a, b


def _fused_matmul_shape(op: OpView) -> list[Out]:
    return [Out(product_shape(*_fused_operands(op)), op.dtype(0))]


@rule("FusedMatMul", "TransposeMatMul", "FusedMatMulActivation", domain=MS, kind=Kind.GEMM, shape=_fused_matmul_shape,
      example=Example((t(2, 3), t(4, 3)), ((2, 4),), Work(macs=24, vector_ops=8, gemm=Gemm(2, 4, 3), kind=Kind.BATCHED_GEMM),
                      {"transB": 1}))  # fmt: skip
def fused_matmul(op: OpView) -> Work:
    """A matrix product with transposed operands and one scaling an output."""
    product = product_work(*_fused_operands(op), weights=has_weights(op, 0, 1))
    return Work(macs=product.macs, vector_ops=op.out_elements(), gemm=product.gemm, kind=product.kind)


@rule("FusedGemm", domain=MS, kind=Kind.GEMM, shape=_gemm_shape, roles=_GEMM_ROLES,
      example=Example((t(2, 3), t(3, 4), t(4)), ((2, 4),), Work(macs=24, vector_ops=16, gemm=Gemm(2, 4, 3))))  # fmt: skip
def fused_gemm(op: OpView) -> Work:
    """Gemm followed by an activation of about one operation an output."""
    plain = gemm(op)
    return Work(macs=plain.macs, vector_ops=plain.vector_ops + op.out_elements(), gemm=plain.gemm)


def _matmul_integer_shape(op: OpView) -> list[Out]:
    return [Out(product_shape(op.shape(0), op.shape(1)), INT32)]


@rule("MatMulInteger", kind=Kind.GEMM, shape=_matmul_integer_shape,
      roles={1: Input.WEIGHT, 2: Input.SCALE, 3: Input.SCALE},
      example=Example((t(2, 3, dtype="uint8"), t(3, 4, dtype="int8")), ((2, 4),), Work(macs=24, gemm=Gemm(2, 4, 3))))  # fmt: skip
def matmul_integer(op: OpView) -> Work:
    """Integer matrix product with 32-bit sums (ONNX MatMulInteger-10)."""
    product = product_work(op.shape(0), op.shape(1), weights=True)
    return Work(macs=product.macs, gemm=product.gemm)


def _nbits_shape(op: OpView) -> list[Out]:
    a, k, n = op.shape(0), op.attr("K", 0), op.attr("N", 0)
    if a[-1] != k:
        raise ShapeError(f"MatMulNBits: K={k}, but the input is {list(a)}")
    return [Out((*a[:-1], n), op.dtype(0))]


@rule("MatMulNBits", "MatMulBnb4", domain=MS, kind=Kind.GEMM, shape=_nbits_shape,
      roles={1: Input.WEIGHT, 2: Input.SCALE, 3: Input.SCALE, 4: Input.SCALE, 5: Input.BIAS},
      example=Example((t(2, 32), t(4, 1, 16, dtype="uint8"), t(4)), ((2, 4),),
                      Work(macs=256, vector_ops=128, gemm=Gemm(2, 4, 32)),
                      {"K": 32, "N": 4, "bits": 4, "block_size": 32}))  # fmt: skip
def matmul_nbits(op: OpView) -> Work:
    """A product with packed weights; each weight is dequantized once (one operation a weight)."""
    k, n = op.attr("K", 0), op.attr("N", 0)
    m = op.elements(0) // k
    return Work(macs=m * n * k, vector_ops=n * k, gemm=Gemm(m, n, k))


def _qgemm_shape(op: OpView) -> list[Out]:
    a, b = op.shape(0), op.shape(3)
    a, b = (a[::-1] if op.attr("transA", 0) else a), (b[::-1] if op.attr("transB", 0) else b)
    return [Out(product_shape(a, b), op.dtype(8) if op.has(8) else FLOAT32)]


@rule("QGemm", domain=MS, kind=Kind.GEMM, shape=_qgemm_shape,
      roles={1: Input.SCALE, 2: Input.SCALE, 3: Input.WEIGHT, 4: Input.SCALE, 5: Input.SCALE, 6: Input.BIAS, 7: Input.SCALE,
             8: Input.SCALE},
      example=Example((t(2, 3, dtype="uint8"), t(), t(dtype="uint8"), t(3, 4, dtype="int8"), t(), t(dtype="int8"),
                       t(4, dtype="int32"), t(), t(dtype="uint8")), ((2, 4),),
                      Work(macs=24, vector_ops=8, gemm=Gemm(2, 4, 3))))  # fmt: skip
def qgemm(op: OpView) -> Work:
    """Quantized Gemm; the requantization is one operation an output."""
    a = op.shape(0)
    m, k = a[::-1] if op.attr("transA", 0) else a
    n = op.out_shape()[-1]
    return Work(macs=m * n * k, vector_ops=m * n, gemm=Gemm(m, n, k))


_QLINEAR_MATMUL_ROLES = {1: Input.SCALE, 2: Input.SCALE, 4: Input.SCALE, 5: Input.SCALE, 6: Input.SCALE, 7: Input.SCALE}


def _qlinear_matmul_shape(op: OpView) -> list[Out]:
    return [Out(product_shape(op.shape(0), op.shape(3)), op.dtype(7))]


@rule("QLinearMatMul", kind=Kind.GEMM, shape=_qlinear_matmul_shape, roles=_QLINEAR_MATMUL_ROLES,
      example=Example((t(2, 3, dtype="uint8"), t(), t(dtype="uint8"), t(3, 4, dtype="int8"), t(), t(dtype="int8"), t(),
                       t(dtype="uint8")), ((2, 4),),
                      Work(macs=24, vector_ops=8, gemm=Gemm(2, 4, 3), kind=Kind.BATCHED_GEMM)))  # fmt: skip
def qlinear_matmul(op: OpView) -> Work:
    """Quantized matrix product; the requantization is one operation an output (ONNX QLinearMatMul-21)."""
    product = product_work(op.shape(0), op.shape(3), weights=has_weights(op, 0, 3))
    return Work(macs=product.macs, vector_ops=op.out_elements(), gemm=product.gemm, kind=product.kind)


@rule("DynamicQuantizeMatMul", domain=MS, kind=Kind.GEMM,
      shape=lambda op: [Out(product_shape(op.shape(0), op.shape(1)), FLOAT32)],
      roles={1: Input.WEIGHT, 2: Input.SCALE, 3: Input.SCALE, 4: Input.BIAS},
      example=Example((t(2, 3), t(3, 4, dtype="int8"), t(), t(dtype="int8")), ((2, 4),),
                      Work(macs=24, vector_ops=26, gemm=Gemm(2, 4, 3))))  # fmt: skip
def dynamic_quantize_matmul(op: OpView) -> Work:
    """Quantizes its input (range, scale: three operations an element), multiplies, rescales the outputs."""
    product = product_work(op.shape(0), op.shape(1), weights=True)
    return Work(macs=product.macs, vector_ops=3 * op.elements(0) + op.out_elements(), gemm=product.gemm)


@rule("MatMulIntegerToFloat", domain=MS, kind=Kind.GEMM,
      shape=lambda op: [Out(product_shape(op.shape(0), op.shape(1)), op.dtype(2))],
      roles={1: Input.WEIGHT, 2: Input.SCALE, 3: Input.SCALE, 4: Input.SCALE, 5: Input.SCALE, 6: Input.BIAS},
      example=Example((t(2, 3, dtype="uint8"), t(3, 4, dtype="int8"), t(), t()), ((2, 4),),
                      Work(macs=24, vector_ops=8, gemm=Gemm(2, 4, 3))))  # fmt: skip
def matmul_integer_to_float(op: OpView) -> Work:
    """Integer matrix product rescaled to floating point, one operation an output."""
    product = product_work(op.shape(0), op.shape(1), weights=True)
    return Work(macs=product.macs, vector_ops=op.out_elements(), gemm=product.gemm)


def einsum_terms(equation: str, shapes: list[Shape]) -> tuple[list[list[str]], list[str], dict[str, int]]:
    """Labels of each operand, of the output, and the size of each label; an ellipsis becomes labels `.0`, `.1`, …"""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(f"Einsum '{equation}' has {len(terms)} operands, but {len(shapes)} inputs")
    sizes: dict[str, int] = {}
    labels = [_einsum_labels(term, len(shape)) for term, shape in zip(terms, shapes, strict=True)]
    for term, shape in zip(labels, shapes, strict=True):
        if len(term) != len(shape):
            raise ShapeError(f"Einsum '{equation}' names {len(term)} dimensions of {list(shape)}")
        for label, dim in zip(term, shape, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = dim
            elif dim not in (1, sizes[label]):
                raise ShapeError(f"Einsum '{equation}': '{label}' is both {sizes[label]} and {dim}")
    dots = sorted({label for term in labels for label in term if label.startswith(".")}, key=lambda d: -int(d[1:]))
    if arrow:
        out = [x for part in right.replace("...", "@") for x in (dots if part == "@" else [part])]
    else:
        letters = sorted(x for x in sizes if not x.startswith("."))
        out = dots + [x for x in letters if sum(term.count(x) for term in labels) == 1]
    missing = [x for x in out if x not in sizes]
    if missing:
        raise ShapeError(f"Einsum '{equation}': output label '{missing[0]}' is in no operand")
    return labels, out, sizes


def _einsum_labels(term: str, rank: int) -> list[str]:
    """Labels of one operand; the ellipsis stands for as many dimensions as are left, numbered from the right."""
    head, dots, tail = term.partition("...")
    spread = rank - len(head) - len(tail) if dots else 0
    return [*head, *(f".{i}" for i in range(spread - 1, -1, -1)), *tail]


def _einsum(op: OpView) -> tuple[list[list[str]], list[str], dict[str, int]]:
    return einsum_terms(op.attr("equation", ""), [op.shape(i) for i in range(len(op.inputs))])


def _einsum_shape(op: OpView) -> list[Out]:
    _, out, sizes = _einsum(op)
    return [Out(tuple(sizes[x] for x in out), op.dtype(0))]


@rule("Einsum", kind=Kind.BATCHED_GEMM, shape=_einsum_shape,
      example=Example((t(2, 3, 4), t(2, 4, 5)), ((2, 3, 5),), Work(macs=120, gemm=Gemm(3, 5, 4, 2)),
                      {"equation": "bij,bjk->bik"}))  # fmt: skip
def einsum(op: OpView) -> Work:
    """Operands are contracted from left to right; one MAC per index of the pair, kept or contracted.

    A step that contracts nothing is a broadcast multiplication, and a single operand a sum: vector work.
    """
    labels, out, sizes = _einsum(op)
    current, macs, vector, shape = labels[0], 0, 0, None
    for step, right in enumerate(labels[1:], 2):
        later = {x for term in labels[step:] for x in term} | set(out)
        union = list(dict.fromkeys(current + right))
        kept = [x for x in union if x in later]
        volume = math.prod(sizes[x] for x in union)
        if len(kept) < len(union):
            macs += volume
            shape = _einsum_gemm(current, right, kept, sizes)
        else:
            vector += volume
        current = kept
    if len(labels) == 1:
        vector = math.prod(sizes[x] for x in labels[0]) if len(set(labels[0])) > len(out) else 0
    kind = Kind.GEMM if macs and has_weights(op, *range(len(op.inputs))) else None if macs else Kind.COPY
    return Work(macs=macs, vector_ops=vector, gemm=shape, kind=kind)


def _einsum_gemm(left: list[str], right: list[str], kept: list[str], sizes: dict[str, int]) -> Gemm:
    """The batched matrix product that a pair of operands amounts to."""
    both = set(left) & set(right)

    def volume(labels: set[str]) -> int:
        return math.prod(sizes[x] for x in labels)

    batch, inner = both & set(kept), (set(left) | set(right)) - set(kept)
    return Gemm(volume(set(left) - batch - inner), volume(set(right) - batch - inner), volume(inner), volume(batch))
