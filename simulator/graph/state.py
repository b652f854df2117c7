"""What a network keeps from one run to the next: caches of the keys and values of earlier tokens."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from simulator.graph.types import Op, Role, TensorSpec

_LEAST_RANK = 3  # batch, tokens, width


def grown_caches(
    ops: Iterable[Op], tensors: Mapping[str, TensorSpec], inputs: Collection[str], outputs: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Inputs and outputs of the graph that are one cache before and after a run, where an operator makes it longer.

    Exporters write it as a Concat of what was kept and what is new, and nothing else reads what was kept: an image that goes
    out beside its features is read by a convolution too. The next run gets the longer one as its input.
    """
    ops = tuple(ops)
    producer = {name: op for op in ops for name in op.outputs}
    readers = Counter(name for op in ops for name in dict.fromkeys(op.inputs))
    for op in ops:
        if op.op_type != "Concat" or len(op.inputs) != 2 or op.outputs[0] not in outputs:
            continue
        past, present = op.inputs[0], op.outputs[0]
        while past in producer and readers[past] == 1 and _adds_nothing(producer[past], tensors):
            past = producer[past].inputs[0]
        if past in inputs and readers[past] == 1 and tensors[past].rank >= _LEAST_RANK:
            yield past, present


def is_append(op: Op, tensors: Mapping[str, TensorSpec]) -> bool:
    """Whether the operator makes a cache longer; of its two inputs the first is what was kept."""
    return op.op_type == "Concat" and tensors[op.outputs[0]].role is Role.STATE


def _adds_nothing(op: Op, tensors: Mapping[str, TensorSpec]) -> bool:
    """Whether what comes out is the first input: a Concat with nothing, as exporters write a cache still empty."""
    whole = tensors[op.outputs[0]].elements
    return op.op_type in ("Concat", "Identity") and 0 < whole == tensors[op.inputs[0]].elements
