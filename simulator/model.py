"""A network ready to be estimated, and its counts that need no machine."""

import re
from dataclasses import dataclass
from functools import cached_property

from simulator.graph.graph import Graph
from simulator.graph.types import Role, TensorSpec
from simulator.kernels.operators import kind_of, work_of
from simulator.ops.registry import Input, find_rule
from simulator.ops.work import MAC_KINDS, Kind, Work

# the lecture's layers: what makes an activation of its own; norms, activations and views work in place
_LAYERS = MAC_KINDS | {Kind.POOL}
# optimizers turn Constant nodes into initializers and keep the names of their outputs: tables, not parameters
_CONSTANT_NODE = re.compile(r"(^|/)Constant(_\d+)?_output_\d+$")


@dataclass(frozen=True, eq=False)
class Model:
    """A resolved network and the counts of MIT 6.5940, lecture 2."""

    graph: Graph

    @property
    def name(self) -> str:
        """Name of the file or recipe."""
        return self.graph.name

    @cached_property
    def works(self) -> tuple[Work, ...]:
        """Work of every operator."""
        return tuple(work_of(self.graph, op) for op in self.graph.ops)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one inference of the whole batch."""
        return sum(w.macs * op.repeat for w, op in zip(self.works, self.graph.ops, strict=True))

    @cached_property
    def flops(self) -> int:
        """2 × MACs + all other arithmetic."""
        return sum(w.flops * op.repeat for w, op in zip(self.works, self.graph.ops, strict=True))

    @cached_property
    def _stored(self) -> dict[str, bool]:
        return _stored_tensors(self.graph)

    @cached_property
    def learned(self) -> tuple[TensorSpec, ...]:
        """The learned tensors of the file, shared ones once."""
        return tuple(self.graph.tensors[n] for n, is_learned in self._stored.items() if is_learned)

    @property
    def params(self) -> int:
        """Elements of the learned tensors."""
        return sum(t.elements for t in self.learned)

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all the constants that a machine must hold: learned tensors, scales, running statistics."""
        return sum(self.graph.tensors[n].size_bytes for n in self._stored)

    def size_bytes(self, bits: int) -> int:
        """Model size if every parameter had so many bits (the lecture's #parameters × bit width)."""
        return -(-self.params * bits // 8)

    @cached_property
    def constant_macs(self) -> int:
        """MACs on weights alone, which run once, before the first inference."""
        return sum(work_of(self.graph, op).macs for op in self.graph.ops if op.constant)

    @cached_property
    def _layers(self) -> list[tuple[int, int]]:
        """(input, output) elements of every convolution, pool and linear layer."""
        rows = []
        for op, work in zip(self.graph.ops, self.works, strict=True):
            if kind_of(op, work) in _LAYERS and not op.constant:
                inputs = [t for t in self.graph.inputs_of(op) if t is not None and t.role is not Role.WEIGHT]
                rows.append((sum({t.name: t.elements for t in inputs}.values()), self.graph.tensors[op.outputs[0]].elements))
        return rows

    @property
    def activation_elements_total(self) -> int:
        """Elements of the network's input and of every layer's output."""
        inputs = sum(self.graph.tensors[n].elements for n in self.graph.inputs)
        return inputs + sum(out for _, out in self._layers)

    @property
    def activation_elements_peak(self) -> int:
        """Largest input + output of one layer."""
        return max((i + o for i, o in self._layers), default=0)

    @cached_property
    def receptive_field(self) -> int:
        """Input positions along one axis that one output position sees: 1 + Σ (k − 1)·∏ strides, the largest of all paths."""
        return _receptive_field(self.graph)


def _stored_tensors(graph: Graph) -> dict[str, bool]:
    """Tensors of the file that operators read during the run → whether they are learned."""
    found: dict[str, bool] = {}
    for op in (*graph.ops, *graph.dormant):
        rule = find_rule(op.domain, op.op_type)
        for index, name in enumerate(op.inputs):
            role = rule.role(index) if rule else Input.DATA
            if not name or graph.tensors[name].role is not Role.WEIGHT or role is Input.CONFIG:
                continue
            kind = rule.kind if rule else Kind.OTHER
            for source in graph.stored.get(name, ()):
                learned = _is_learned(graph, source, role, kind)
                found[source] = found.get(source, False) or learned
    return found


def _is_learned(graph: Graph, source: str, role: Input, kind: Kind) -> bool:
    """Learned: what stands in a weight's place, and floating-point or quantized initializers elsewhere."""
    spec = graph.tensors[source]
    if role in (Input.SCALE, Input.STATISTIC) or not spec.shape:
        return False
    if role in (Input.WEIGHT, Input.BIAS) or (kind in (Kind.GEMM, Kind.BATCHED_GEMM) and spec.rank >= 2):
        return True
    return (
        source in graph.initializers
        and not _CONSTANT_NODE.search(source)
        and (spec.dtype.is_float or (spec.dtype.is_int and 0 < spec.dtype.bits <= 8))
    )


def _receptive_field(graph: Graph) -> int:
    reach: dict[str, tuple[int, int]] = dict.fromkeys(graph.inputs, (1, 1))  # receptive field, distance between neighbours
    largest = 1
    for op in graph.ops:
        field, jump = max((reach[n] for n in op.inputs if n in reach), default=(1, 1))
        kernel, stride = _window(graph, op.op_type, op.inputs, op.attrs.get("kernel_shape"), op.attrs.get("strides"))
        dilation = op.attrs.get("dilations")
        spread = max((d for d in dilation if isinstance(d, int)), default=1) if isinstance(dilation, tuple) else 1
        state = (field + (kernel - 1) * spread * jump, jump * stride)
        largest = max(largest, state[0])
        reach.update(dict.fromkeys((n for n in op.outputs if n), state))
    return largest


def _window(graph: Graph, op_type: str, inputs: tuple[str, ...], kernel: object, strides: object) -> tuple[int, int]:
    """Largest side and stride of an operator's window; 1, 1 where it has none."""
    if not op_type.endswith(("Conv", "Pool")) or op_type.startswith("Global"):
        return 1, 1
    sides = kernel if isinstance(kernel, tuple) else ()
    if not sides and op_type.endswith("Conv"):
        sides = next((t.shape[2:] for n in inputs[1:] if (t := graph.tensors.get(n)) and t.shape and len(t.shape) > 2), ())
    steps = strides if isinstance(strides, tuple) else ()
    return max(sides, default=1), max(steps, default=1)
