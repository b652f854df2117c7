"""Sequences, optionals and maps: values that are not one tensor, so what comes out of them has no known shape.

They hold references to tensors; only joining and splitting moves bytes.
"""

from simulator.dtypes import BOOL, INT64, SEQUENCE, UNDEFINED
from simulator.ops.registry import ML, Arg, Example, Input, Out, rule, t, v
from simulator.ops.shape import nothing
from simulator.ops.view import OpView
from simulator.ops.work import Kind


def _sequences(op: OpView) -> list[Out]:
    """Every output is a sequence (or optional, or map)."""
    return [Out(None, SEQUENCE) for _ in op.op.outputs]


def _element(op: OpView) -> list[Out]:
    """A tensor is its own element (since operator set 18); what sequences and optionals hold is not tracked."""
    spec = op.tensor(0)
    return [Out(None, UNDEFINED) if spec.dtype is SEQUENCE else Out(spec.shape, spec.dtype)]


_SEQUENCE = Arg((), SEQUENCE)
_AT_1, _AT_2 = {1: Input.CONFIG}, {2: Input.CONFIG}

rule("SequenceConstruct", kind=Kind.VIEW, shape=_sequences, example=Example((t(2, 3), t(2, 3)), (None,)))(nothing)
rule("SequenceEmpty", kind=Kind.VIEW, shape=_sequences, example=Example((), (None,)))(nothing)
rule("SequenceInsert", kind=Kind.VIEW, shape=_sequences, roles=_AT_2,
     example=Example((_SEQUENCE, t(2, 3, dtype="undefined"), v(0, shape=())), (None,)))(nothing)  # fmt: skip
rule("SequenceErase", kind=Kind.VIEW, shape=_sequences, roles=_AT_1,
     example=Example((_SEQUENCE, v(0, shape=())), (None,)))(nothing)  # fmt: skip
rule("SequenceAt", kind=Kind.VIEW, shape=_element, roles=_AT_1,
     example=Example((_SEQUENCE, v(0, shape=())), (None,)))(nothing)  # fmt: skip
rule("SequenceLength", kind=Kind.VIEW, shape=lambda _: [Out((), INT64)], example=Example((_SEQUENCE,), ((),)))(nothing)
rule("ConcatFromSequence", kind=Kind.COPY, shape=_element,
     example=Example((_SEQUENCE,), (None,), attrs={"axis": 0, "new_axis": 1}))(nothing)  # fmt: skip
rule("SplitToSequence", kind=Kind.COPY, shape=_sequences, roles=_AT_1, example=Example((t(4, 3),), (None,)))(nothing)
# The body runs once an element, but how many there are is not tracked: its work is not counted, its output unknown.
# (Operator set 16 does not know it yet, which keeps ONNX from asking for the example's body.)
rule("SequenceMap", kind=Kind.OTHER, shape=_sequences, example=Example((_SEQUENCE,), (None,), opset=16))(nothing)

rule("Optional", kind=Kind.VIEW, shape=_sequences, example=Example((t(2, 3),), (None,)))(nothing)
rule("OptionalGetElement", kind=Kind.VIEW, shape=_element, example=Example((t(2, 3),), ((2, 3),)))(nothing)
rule("OptionalHasElement", kind=Kind.VIEW, shape=lambda _: [Out((), BOOL)], example=Example((t(2, 3),), ((),)))(nothing)

rule("ZipMap", domain=ML, kind=Kind.VIEW, shape=_sequences, example=Example((t(4, 3),), (None,)))(nothing)
