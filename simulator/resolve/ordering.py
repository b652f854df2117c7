"""Order of a graph's nodes, and the faults of its wiring: unknown names, names made twice, cycles."""

from collections.abc import Iterator

from simulator.errors import ModelError, did_you_mean
from simulator.graph.raw import RawGraph, RawNode
from simulator.resolve.scope import Scope


def captured_names(node: RawNode) -> Iterator[str]:
    """Names a node's subgraphs read from the graphs around them."""
    for attr in node.attrs.values():
        for graph in attr if isinstance(attr, tuple) else (attr,):
            if isinstance(graph, RawGraph):
                yield from _free_names(graph)


def _free_names(graph: RawGraph) -> Iterator[str]:
    made = {v.name for v in graph.inputs} | {t.name for t in graph.initializers}
    made.update(name for node in graph.nodes for name in node.outputs)
    for node in graph.nodes:
        yield from (n for n in (*node.inputs, *captured_names(node)) if n and n not in made)
    yield from (v.name for v in graph.outputs if v.name not in made)


def ordered(nodes: tuple[RawNode, ...], known: Scope, where: str) -> list[RawNode]:
    """The nodes in an order in which each finds its inputs made.

    `known` holds the names given from outside: inputs, initializers, names of enclosing graphs.

    Raises:
        ModelError: a name is made twice or never, or the nodes form a cycle.
    """
    producers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.outputs:
            if name in producers:
                raise ModelError(
                    f"{where}: the name '{name}' is produced twice, by {_label(nodes[producers[name]])} and {_label(node)}"
                )
            if name in known.names and name:
                raise ModelError(f"{where}: {_label(node)} produces '{name}', which is an input or a weight already")
            if name:
                producers[name] = index
    made: set[str] = set()
    in_order = True
    for node in nodes:
        for name in (*node.inputs, *captured_names(node)):
            if not name or name in made or name in known:
                continue
            if name not in producers:
                hint = did_you_mean(name, [*producers, *known])
                raise ModelError(f"{where}: {_label(node)} reads '{name}', which nothing produces{hint}")
            in_order = False
        made.update(node.outputs)
    return list(nodes) if in_order else _sorted(nodes, producers, where)


def _sorted(nodes: tuple[RawNode, ...], producers: dict[str, int], where: str) -> list[RawNode]:
    """Topological order of nodes that are written out of order."""
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    for index, node in enumerate(nodes):
        names = (*node.inputs, *captured_names(node))
        graph.add_edges_from((producers[name], index) for name in names if name in producers)
    try:
        return [nodes[i] for i in nx.lexicographical_topological_sort(graph)]
    except nx.NetworkXUnfeasible:
        cycle = [nodes[a] for a, _ in nx.find_cycle(graph)]
        raise ModelError(f"{where}: the nodes form a cycle: {' → '.join(_label(n) for n in cycle[:8])}") from None


def _label(node: RawNode) -> str:
    return f"{node.op_type} '{node.name}'" if node.name else f"{node.op_type} (making '{next(iter(node.outputs), '')}')"
