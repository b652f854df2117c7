"""Rules that a runtime has on some kinds of engine only."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.graphs import loaded, model, node, value
from support.machines import hardware_data, runtime_data

from simulator.estimator import estimate
from simulator.io.hardware_reader import load_runtime
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec

RULES = ("pointwise_chain", "concat")


def software(**given: Any) -> RuntimeSpec:
    return RuntimeSpec.model_validate({**runtime_data(fusion=RULES), "adds": ["bias", "pad"], **given})


def test_what_is_excepted_holds_on_other_kinds_alone() -> None:
    found = software(except_on={"simd": ["concat", "bias"]})
    assert found.rules_on("simd") == (("pointwise_chain",), ("pad",))
    assert found.rules_on("tensor") == found.rules_on("") == (RULES, ("bias", "pad"))


@pytest.mark.parametrize(("kind", "kernels"), [("simd", 2), ("tensor", 1)])
def test_the_first_engine_decides(kind: str, kernels: int) -> None:
    nodes = [node("Relu", "x", "r"), node("Concat", "r x", "y", axis=1)]
    data = hardware_data(engines=[{"id": "core", "kind": kind, "peak": {"fp32": "1 TFLOP/s"}}])
    network = loaded(model(nodes, [value("x", 1, 8)], ["y"], []))
    found = estimate(network, HardwareSpec.model_validate(data), software(except_on={"simd": ["concat"]}))
    assert len(found.work) == kernels


def test_what_the_runtime_does_not_have_cannot_be_excepted() -> None:
    with pytest.raises(ValidationError, match=r"except_on\.simd: 'residual' is neither in 'fusion' nor in 'adds'"):
        software(except_on={"simd": ["residual"]})


def test_code_for_cpus_copies_the_parts_of_concatenations() -> None:
    """TorchInductor's lowering of concatenations copies on CPUs; the library adds biases; standardised weights come first."""
    compiled = load_runtime("pytorch_compile")
    (on_gpu, added), (on_cpu, added_there) = (compiled.rules_on(kind) for kind in ("tensor", "simd"))
    assert set(on_gpu) - set(on_cpu) == {"concat"}
    assert set(added) - set(added_there) == {"bias", "weight_norm"}
    assert set(added_there) - set(added) == {"weight_norm_first"}
