"""The flat graph: operators in the order they run, and every tensor by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from simulator.graph.raw import RawTensor
from simulator.graph.types import Op, Role, TensorSpec

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Coverage:
    """What the graph does not know: never silently zero."""

    ops_without_rule: Mapping[str, int] = field(default_factory=dict)
    tensors_without_shape: int = 0
    data_dependent_shapes: int = 0


@dataclass(frozen=True, eq=False)
class Graph:
    """A network with all shapes known: subgraphs and functions inlined, what is known before the run folded away.

    `ops` are in an order in which they can run. `values` holds small tensors known before the run. `stored` maps a
    weight to the tensors of the file it was computed from (itself, if it stands there as it is). `node_count` counts
    the nodes of the file; `notes` say what was assumed. `output_names` are the names of the outputs in the file, where
    inlining gave the tensors others. `dormant` are operators of branches not taken: their weights are part of the model.
    `bytes_stored` has the int8 tensors of the file, as views that nothing has read.
    """

    name: str
    opset: int
    ops: tuple[Op, ...]
    tensors: Mapping[str, TensorSpec]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...] = ()
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    stored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    initializers: frozenset[str] = frozenset()
    node_count: int = 0
    coverage: Coverage = Coverage()
    notes: tuple[str, ...] = ()
    dormant: tuple[Op, ...] = ()
    batch: int = 1
    bytes_stored: Mapping[str, RawTensor] = field(default_factory=dict)

    def inputs_of(self, op: Op) -> tuple[TensorSpec | None, ...]:
        """Input tensors of `op`, None where one is omitted."""
        return tuple(self.tensors[name] if name else None for name in op.inputs)

    def outputs_of(self, op: Op) -> tuple[TensorSpec, ...]:
        """Output tensors of `op`; omitted ones keep their place with an unknown shape."""
        return tuple(self.tensors[name] for name in op.outputs)

    @cached_property
    def producer(self) -> dict[str, int]:
        """Index of the operator that makes a tensor."""
        return {name: i for i, op in enumerate(self.ops) for name in op.outputs if name}

    @cached_property
    def consumers(self) -> dict[str, tuple[int, ...]]:
        """Indices of the operators that read a tensor, in order, each once."""
        found: dict[str, list[int]] = {}
        for i, op in enumerate(self.ops):
            for name in dict.fromkeys(op.inputs):
                if name:
                    found.setdefault(name, []).append(i)
        return {name: tuple(indices) for name, indices in found.items()}

    def weights(self) -> list[TensorSpec]:
        """Tensors known before the run that operators of the graph read."""
        return [self.tensors[n] for n in self.consumers if self.tensors[n].role is Role.WEIGHT]

    def to_networkx(self) -> "nx.DiGraph[str]":
        """The graph as a bipartite DiGraph: operator nodes `op:<name>` carry `op`, tensor nodes carry `tensor`."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph(name=self.name)
        for op in self.ops:
            node = f"op:{op.name}"
            graph.add_node(node, op=op, bipartite=0)
            for name in (*op.inputs, *op.outputs):
                if name and name not in graph:
                    graph.add_node(name, tensor=self.tensors[name], bipartite=1)
            graph.add_edges_from((name, node) for name in op.inputs if name)
            graph.add_edges_from((node, name) for name in op.outputs if name)
        return graph
