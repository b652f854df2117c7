"""From what a file says to a graph with every shape known: one walk over the nodes in order.

Each node's rule infers its outputs from its inputs. Small tensors are computed where all that they depend on is known,
so that shapes which the file computes (Shape → Gather → Concat → Reshape) come out as numbers. Nodes that depend on
nothing but weights run before the inference and leave the graph.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from simulator.dtypes import INT8, SEQUENCE, UNDEFINED
from simulator.errors import ModelError, ShapeError, UnknownOperatorError, did_you_mean
from simulator.graph.graph import Coverage, Graph
from simulator.graph.raw import SMALL_ELEMENTS, AttrRef, RawFunction, RawGraph, RawModel, RawNode, RawTensor
from simulator.graph.state import grown_caches
from simulator.graph.types import Op, Role, TensorSpec
from simulator.ops.registry import Input, Out, Rule, all_rules, find_rule
from simulator.ops.view import MALFORMED, OpView, UnknownShapeError
from simulator.ops.work import MAC_KINDS
from simulator.resolve.dims import DimOptions, checked_shape, input_shapes
from simulator.resolve.ordering import ordered
from simulator.resolve.rebatch import CORRECTED, Rebatch
from simulator.resolve.scope import Scope
from simulator.resolve.spelling import respelled
from simulator.resolve.subgraphs import CONTROL_FLOW

_MAX_DEPTH = 48  # functions calling functions
# not computed beforehand although they depend on no input
_NOT_CONSTANT = frozenset({"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"})
_BY_SHAPE = frozenset({"Shape", "Size", "CastLike", "EyeLike"})  # of a configuration they need the shape or type only
_DEQUANTIZE = "DequantizeLinear"  # stays with the operator it feeds: the arithmetic there is in integers


def resolve(raw: RawModel, options: DimOptions, *, allow_unknown: bool = False) -> Graph:
    """The graph of a file at the wanted shapes.

    Raises:
        UnknownOperatorError: operators without a rule, unless `allow_unknown`.
        ModelError, ShapeError: the file contradicts itself.
        UsageError: the options do not fit the file.
    """
    rebatch = None
    if options.batch is not None:
        base = Resolver(raw, DimOptions(None, options.dims, options.input_shapes), allow_unknown=allow_unknown)
        own = base.graph().batch
        if own == options.batch:
            return base.graph()
        rebatch = Rebatch(base.tensors, own, options.batch) if own else None
    try:
        return Resolver(raw, options, allow_unknown=allow_unknown, rebatch=rebatch).graph()
    except ShapeError as error:
        if rebatch is None:
            raise
        raise ShapeError(f"not at batch {rebatch.wanted}: the file has its batch of {rebatch.own} built in ({error})") from error


class Resolver:
    """State of one walk: tensors, values and operators found so far."""

    def __init__(
        self, raw: RawModel, options: DimOptions, *, allow_unknown: bool = False, rebatch: Rebatch | None = None
    ) -> None:
        self.raw = raw
        self.opsets: Mapping[str, int] = raw.opsets
        self.rebatch = rebatch
        self.tensors: dict[str, TensorSpec] = {}
        self.stored: dict[str, tuple[str, ...]] = {}
        self.initializers: set[str] = set()
        self.ops: list[Op] = []
        self.dormant: list[Op] = []  # operators of branches that are not taken
        self.notes: list[str] = []
        self.bounds: set[str] = set()  # tensors whose shape is an upper bound that depends on data
        self.bounded: set[str] = set()  # those, and what is computed from them
        self.unknown: dict[str, list[str]] = {}  # operator type → names of nodes without a rule
        self.node_count = 0
        self._labels: Counter[str] = Counter()
        self._values: dict[str, np.ndarray | None] = {}
        self._headers: dict[str, RawTensor] = {}
        self._declared: dict[str, TensorSpec] = {}
        self._main(options)
        if self.unknown and not allow_unknown:
            raise UnknownOperatorError(_unknown_message(self.unknown))

    @property
    def standard_opset(self) -> int:
        """Version of the standard operator set in force: the file's, or that of the function being walked."""
        return self.opsets.get("", 1)

    # ---- the walk ------------------------------------------------------------------------------------------------

    def _main(self, options: DimOptions) -> None:
        graph, scope = self.raw.graph, Scope()
        self.declare_weights(graph, scope)
        inputs = [v for v in graph.inputs if v.name not in scope.names]
        names = [v.name for v in inputs]
        for name, uses in Counter(names).items():
            if uses > 1:
                raise ModelError(f"graph '{self.raw.name}': two inputs have the name '{name}'")
        given = input_shapes(inputs, options)
        self.notes += given.notes
        self.batch = given.batch
        for value in inputs:
            self.tensors[scope.define(value.name)] = TensorSpec(value.name, given.shapes[value.name], value.dtype, Role.INPUT)
        for info in (*graph.value_info, *graph.outputs):
            if info.dims is not None and all(isinstance(d, int) and d >= 0 for d in info.dims):
                self._declared[info.name] = TensorSpec(info.name, tuple(d for d in info.dims if isinstance(d, int)), info.dtype)
        self.inputs = tuple(names)
        self.walk(graph.nodes, scope, 1, 0, f"graph '{self.raw.name}'")
        for value in graph.outputs:
            if value.name not in scope:
                hint = did_you_mean(value.name, scope.names)
                raise ModelError(f"graph '{self.raw.name}': the output '{value.name}' is never produced{hint}")
        self.outputs = tuple(scope.find(v.name) for v in graph.outputs)

    def declare_weights(self, graph: RawGraph, scope: Scope) -> None:
        """Make the initializers of a graph known in its scope."""
        for tensor in graph.initializers:
            if tensor.name in scope.names:
                raise ModelError(f"two initializers have the name '{tensor.name}'")
            unique = scope.define(tensor.name)
            self.tensors[unique] = TensorSpec(unique, tensor.dims, tensor.dtype, Role.WEIGHT)
            self._headers[unique] = tensor
            self.stored[unique] = (unique,)
            self.initializers.add(unique)

    def walk(self, nodes: tuple[RawNode, ...], scope: Scope, repeat: int, depth: int, where: str) -> None:
        """Resolve the nodes of one graph, in order."""
        if depth > _MAX_DEPTH:
            raise ModelError(f"{where}: functions or subgraphs nested more than {_MAX_DEPTH} deep")
        for index, node in enumerate(ordered(nodes, scope, where)):
            self.node_count += 1
            self._node(node, scope, repeat, depth, self._label(f"{scope.prefix}{node.name or f'{node.op_type}_{index}'}"))

    def _label(self, name: str) -> str:
        """A name for an operator that no other has: exporters give some nodes none, or the same."""
        self._labels[name] += 1
        return name if self._labels[name] == 1 else self._label(f"{name}#{self._labels[name]}")

    def _node(self, node: RawNode, scope: Scope, repeat: int, depth: int, label: str) -> None:
        function = self._function(node)
        if function is not None:
            self._inline(function, node, scope, repeat, depth, label)
        elif node.domain == "" and node.op_type in CONTROL_FLOW:
            try:
                CONTROL_FLOW[node.op_type](self, node, scope, repeat, depth, label)
            except MALFORMED as error:
                raise ModelError(f"{node.op_type} '{label}': its inputs or body do not fit it ({error})") from error
        else:
            self._operator(node, scope, repeat, label)

    def _function(self, node: RawNode) -> RawFunction | None:
        return self.raw.functions.get((node.domain, node.op_type, node.overload)) if self.raw.functions else None

    def _inline(self, function: RawFunction, node: RawNode, scope: Scope, repeat: int, depth: int, label: str) -> None:
        """Walk the body of a model-local function with the caller's tensors and attributes in its place."""
        inner = Scope(f"{label}/", taken=scope.taken)
        for formal, actual in zip(function.inputs, node.inputs, strict=False):
            inner.names[formal] = scope.find(actual) if actual else ""
        for formal in function.inputs[len(node.inputs) :]:
            inner.names[formal] = ""
        given = {**function.attr_defaults, **node.attrs}
        body = tuple(_with_attributes(n, given) for n in function.nodes)
        caller, self.opsets = self.opsets, {**self.opsets, **function.opsets}
        self.walk(body, inner, repeat, depth + 1, f"function '{function.name}'")
        self.opsets = caller
        for formal, actual in zip(function.outputs, node.outputs, strict=False):
            if actual:
                scope.names[actual] = inner.find(formal)

    # ---- one operator --------------------------------------------------------------------------------------------

    def _operator(self, node: RawNode, scope: Scope, repeat: int, label: str) -> None:
        inputs = tuple(scope.find(n) if n else "" for n in node.inputs)
        outputs = tuple(scope.define(n) for n in node.outputs)
        op = Op(
            label,
            node.op_type,
            node.domain,
            self.opsets.get(node.domain, 1),
            inputs,
            outputs,
            node.attrs,
            (label,),
            repeat,
        )
        rule = find_rule(node.domain, node.op_type)
        bounded = bool(self.bounded) and any(n in self.bounded for n in inputs)
        view = OpView(op, [self.tensors[n] if n else None for n in inputs], (), self.value, bounded=bounded)
        if rule is None:
            self.unknown.setdefault(op.qualified_type, []).append(label)
            self._define(op, [self._fallback(n) for n in outputs], constant=False)
            self.ops.append(op)
            return
        try:
            outs = self._infer(rule, view)
        except (ShapeError, *MALFORMED) as error:
            if not bounded:
                what = str(error) if isinstance(error, ShapeError) else f"its inputs or attributes do not fit it ({error})"
                raise ShapeError(f"{op.op_type} '{label}': {what}") from error
            outs = [self._fallback(n) for n in outputs]  # an upper bound contradicts what the true size would not
        constant = self._is_constant(op, rule)
        self._define(op, outs, constant=constant, bounded=bounded)
        self._compute(rule, op, view)
        if constant:
            self._remember_stored(op, rule)
        if not constant or op.op_type == _DEQUANTIZE:
            self.ops.append(op)
        elif rule.kind in MAC_KINDS:
            self.ops.append(replace(op, constant=True))

    def _infer(self, rule: Rule, view: OpView) -> Sequence[Out]:
        try:
            if self.rebatch is not None:
                self.rebatch.inherit(view.op)
                if rule.op_type == "Concat":
                    view = OpView(view.op, self.rebatch.aligned_inputs(view), (), self.value)
                elif rule.op_type in CORRECTED:
                    corrected = self.rebatch.corrected(view, view.dtype(0))
                    if corrected is not None:
                        return corrected
            return rule.shape(view)
        except UnknownShapeError:
            return [self._fallback(n) for n in view.op.outputs]

    def _fallback(self, name: str) -> Out:
        """What the file declares of a tensor whose shape cannot be inferred."""
        spec = self._declared.get(name)
        return Out(spec.shape, spec.dtype) if spec else Out(None, UNDEFINED)

    def _define(self, op: Op, outs: Sequence[Out], *, constant: bool, bounded: bool = False) -> None:
        for index, name in enumerate(op.outputs):
            out = outs[index] if index < len(outs) else Out(None, UNDEFINED)
            if out.shape is None and name in self._declared:
                out = self._fallback(name)
            if out.shape is not None:
                checked_shape(name, out.shape)
            role = Role.WEIGHT if constant else Role.ACTIVATION
            if name:
                self.tensors[name] = TensorSpec(name, out.shape, out.dtype, role)
                if out.bound:
                    self.bounds.add(name)
                if out.bound or bounded:
                    self.bounded.add(name)
            else:
                self.tensors.setdefault("", TensorSpec("", None, SEQUENCE))

    def _compute(self, rule: Rule, op: Op, view: OpView) -> None:
        """Compute the values of small outputs where all that they need is known."""
        if rule.value is None or any(self.tensors[n].elements > SMALL_ELEMENTS for n in op.outputs):
            return
        complete = OpView(op, view.inputs, [self.tensors[n] for n in op.outputs], self.value)
        try:
            values = rule.value(complete)
        except (UnknownShapeError, ShapeError, *MALFORMED):
            return  # numpy refuses what contradicts itself; the value stays unknown, the shape is inferred all the same
        for name, value in zip(op.outputs, values or (), strict=False):
            if name and value.shape == self.tensors[name].shape:
                self._values[name] = value

    def _is_constant(self, op: Op, rule: Rule) -> bool:
        """Whether the operator can run once, before the inference: it reads weights and configuration only."""
        if op.op_type in _NOT_CONSTANT:
            return False
        for index, name in enumerate(op.inputs):
            if not name or self.tensors[name].role is Role.WEIGHT:
                continue
            settles = rule.role(index) is Input.CONFIG and (op.op_type in _BY_SHAPE or self.value(name) is not None)
            if not settles:
                return False
        return True

    def _remember_stored(self, op: Op, rule: Rule) -> None:
        """Which tensors of the file the folded outputs come from; an operator without inputs is a source itself."""
        sources: dict[str, None] = {}
        for index, name in enumerate(op.inputs):
            if name and rule.role(index) not in (Input.CONFIG, Input.SCALE):
                sources.update(dict.fromkeys(self.stored.get(name, ())))
        for name in op.outputs:
            if name:
                self.stored[name] = tuple(sources) if sources else (name,)

    def value(self, name: str) -> np.ndarray | None:
        """Values of a small tensor known before the run; decoded from the file when first asked for."""
        if name not in self._values:
            header = self._headers.get(name)
            self._values[name] = header.values() if header is not None else None
        return self._values[name]

    # ---- the result ----------------------------------------------------------------------------------------------

    def graph(self) -> Graph:
        """The flat graph of what was found."""
        for name in self.outputs:
            spec = self.tensors[name]
            if spec.role is Role.ACTIVATION:
                self.tensors[name] = TensorSpec(spec.name, spec.shape, spec.dtype, Role.OUTPUT)
        left = [op for op in self.ops if not self._is_arithmetic_of_shapes(op)]
        for name in {n for op in left for n in op.inputs if n and self.tensors[n].elements == 1}:
            self.value(name)  # a factor of 1 is no work
        ops = respelled(left, self.tensors, self._values, self.outputs)
        self._mark_state(ops)
        used = {n for op in ops for n in (*op.inputs, *op.outputs) if n} | set(self.outputs)
        shapeless = sum(self.tensors[n].shape is None and self.tensors[n].dtype is not SEQUENCE for n in used)
        counts = Counter({name: len(nodes) for name, nodes in self.unknown.items()})
        coverage = Coverage(dict(counts), shapeless, len(self.bounds & used))
        values = {n: v for n, v in self._values.items() if v is not None}
        return Graph(
            self.raw.name, self.raw.opset, ops, self.tensors, self.inputs, self.outputs,
            tuple(v.name for v in self.raw.graph.outputs), values, self.stored, frozenset(self.initializers),
            self.node_count, coverage, tuple(dict.fromkeys(self.notes)), tuple(self.dormant), self.batch,
            {name: header for name, header in self._headers.items() if header.dtype is INT8},
        )  # fmt: skip

    def _mark_state(self, ops: Sequence[Op]) -> None:
        caches = list(grown_caches(ops, self.tensors, frozenset(self.inputs), frozenset(self.outputs)))
        for name in chain.from_iterable(caches):
            self.tensors[name] = replace(self.tensors[name], role=Role.STATE)

    def _is_arithmetic_of_shapes(self, op: Op) -> bool:
        """Every output is known before the run, so the operator does nothing during it."""
        if op.op_type == _DEQUANTIZE or op.constant:
            return False
        return bool(op.outputs) and all(self._values.get(n) is not None for n in op.outputs if n)


def _with_attributes(node: RawNode, given: Mapping[str, object]) -> RawNode:
    """A node of a function body with the attributes it takes from the caller filled in, in its subgraphs too."""
    attrs: dict[str, object] = {}
    for name, value in node.attrs.items():
        if isinstance(value, AttrRef):
            if value.name in given:
                attrs[name] = given[value.name]
        elif isinstance(value, RawGraph):
            nodes = tuple(_with_attributes(n, given) for n in value.nodes)
            attrs[name] = RawGraph(value.name, nodes, value.initializers, value.inputs, value.outputs, value.value_info)
        else:
            attrs[name] = value
    return RawNode(node.name, node.op_type, node.domain, node.inputs, node.outputs, attrs, node.overload)


def _unknown_message(unknown: Mapping[str, list[str]]) -> str:
    known = [r.op_type for r in all_rules()]

    def line(op_type: str, nodes: list[str]) -> Iterator[str]:
        shown = ", ".join(nodes[:5]) + (f" and {len(nodes) - 5} more" if len(nodes) > 5 else "")
        yield f"  {op_type} ({len(nodes)} ×): {shown}{did_you_mean(op_type, known)}"

    lines = [text for op_type, nodes in sorted(unknown.items()) for text in line(op_type, nodes)]
    return "no rule for these operators (--allow-unknown counts their bytes and goes on):\n" + "\n".join(lines)
