"""Every operator rule, on inputs and attributes that do not fit it: a result or one clear error, never a traceback."""

import os
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import dtypes
from simulator.errors import SimulatorError
from simulator.graph.raw import RawGraph, RawModel, RawNode, RawTensor, RawValue
from simulator.model import Model
from simulator.ops.registry import Arg, Rule, all_rules
from simulator.resolve.dims import DimOptions
from simulator.resolve.resolver import resolve

RULES = [r for r in all_rules() if r.domain != "simulator"]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "600"))
STRANGE = st.sampled_from([0, -1, 1, 7, 2**40, (), (0,), (0, 0), (-1, -1), (1, 2, 3), "x", 2.5, float("nan"), float("inf"), None])
ATTRIBUTES = ("axis", "axes", "strides", "pads", "dilations", "kernel_shape", "group", "perm", "k", "to", "block_size",
              "size", "hidden_size", "num_heads", "bits", "K", "N", "equation", "mode", "scales",
              "output_shape", "num_outputs")  # fmt: skip


@st.composite
def calls(draw: st.DrawFn) -> tuple[Rule, list[Arg | None], dict[str, object]]:
    """A rule with its example, one to three things about it changed."""
    rule = draw(st.sampled_from(RULES))
    inputs, attrs = list(rule.example.inputs), dict(rule.example.attrs)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["shape", "type", "drop", "pop", "attribute"]))
        if kind == "attribute":
            attrs[draw(st.sampled_from([*ATTRIBUTES, *attrs]))] = draw(STRANGE)
        elif inputs:
            at = draw(st.integers(0, len(inputs) - 1))
            arg = inputs[at]
            if kind == "pop":
                inputs.pop(at)
            elif kind == "drop" or arg is None:
                inputs[at] = None
            elif kind == "shape":
                inputs[at] = Arg(tuple(draw(st.lists(st.integers(0, 7), max_size=5))), arg.dtype)
            else:
                inputs[at] = replace(arg, dtype=draw(st.sampled_from(list(dtypes.BY_CODE.values()))), value=None)
    return rule, inputs, attrs


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls(), st.sampled_from([1, 7, 9, 11, 13, 15, 18, 21, 23, 25, 28]))
def test_no_rule_breaks(call: tuple[Rule, list[Arg | None], dict[str, object]], opset: int) -> None:
    rule, inputs, attrs = call
    names = tuple(f"i{n}" if arg else "" for n, arg in enumerate(inputs))
    given_inputs = [RawValue(n, a.dtype, a.shape) for n, a in zip(names, inputs, strict=True) if a and a.value is None]
    known = [
        RawTensor(n, a.dtype, a.shape, memoryview(a.value.tobytes()))
        for n, a in zip(names, inputs, strict=True)
        if a and a.value is not None
    ]
    node = RawNode("n", rule.op_type, rule.domain, names, tuple(f"o{n}" for n in range(max(1, len(rule.example.outputs)))), attrs)
    graph = RawGraph("fuzz", (node,), tuple(known), tuple(given_inputs), (RawValue("o0", dtypes.UNDEFINED, None),))
    try:
        model = Model(resolve(RawModel("fuzz", 10, "", {"": opset, rule.domain: opset}, graph), DimOptions()))
        assert min(model.macs, model.params, model.flops, model.receptive_field) >= 0
    except SimulatorError as error:
        _has_a_message(error)


def _has_a_message(error: SimulatorError) -> None:
    assert str(error).strip()
