"""What a network keeps from one run to the next: caches of the keys and values of earlier tokens."""

from collections.abc import Collection, Mapping

from simulator.graph.types import Op, Role, TensorSpec

_LEAST_RANK = 3  # batch, tokens, width


def grown_cache(
    op: Op, tensors: Mapping[str, TensorSpec], producer: Mapping[str, Op], inputs: Collection[str], outputs: Collection[str]
) -> tuple[str, str] | None:
    """Input and output of the graph that are one cache before and after a run, where the operator makes it longer.

    Exporters write it as a Concat of what was kept and what is new. The next run gets the longer one as its input.
    """
    if op.op_type != "Concat" or len(op.inputs) != 2 or op.outputs[0] not in outputs:
        return None
    past, present = op.inputs[0], op.outputs[0]
    while past in producer and _adds_nothing(producer[past], tensors):
        past = producer[past].inputs[0]
    shape = tensors[past].shape
    if past not in inputs or shape is None or len(shape) < _LEAST_RANK:
        return None
    return past, present


def is_append(op: Op, tensors: Mapping[str, TensorSpec]) -> bool:
    """Whether the operator makes a cache longer; of its two inputs the first is what was kept."""
    return op.op_type == "Concat" and tensors[op.outputs[0]].role is Role.STATE


def _adds_nothing(op: Op, tensors: Mapping[str, TensorSpec]) -> bool:
    """Whether what comes out is the first input: a Concat with nothing, as exporters write a cache still empty."""
    whole = tensors[op.outputs[0]].elements
    return op.op_type in ("Concat", "Identity") and 0 < whole == tensors[op.inputs[0]].elements
