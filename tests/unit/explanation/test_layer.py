"""One kernel explained: what its formulas say on engines of each shape, and which kernel a name means."""

from typing import Any

import pytest
from support.graphs import loaded, model, node, value, weight
from support.machines import hardware, runtime

from simulator.errors import UsageError
from simulator.estimator import estimate
from simulator.explanation.layer import explain_layer, find_layer
from simulator.explanation.run import explain_run
from simulator.machine import geometry
from simulator.model import Model
from simulator.result.estimate import Estimate
from simulator.transform.change import change_of


def product(m: int, n: int, k: int) -> Any:
    nodes = [node("MatMul", "x w", "y", name="net/fc/MatMul"), node("Relu", "y", "z", name="net/fc/Relu")]
    return loaded(model(nodes, [value("x", m, k)], ["z"], [weight("w", k, n)]))


PIXELS = "m / (⌈m / (pixels · units)⌉ · pixels · units)"


def on(shape: dict[str, Any] | None, m: int = 10, n: int = 20, k: int = 30, units: int = 1, **profile: Any) -> Estimate:
    engine = {"id": "core", "kind": "simd", "peak": {"fp32": "2 MAC/cycle"}, "clock": "1 GHz", "units": units}
    engine |= {"geometry": shape} if shape else {}
    return estimate(product(m, n, k), hardware(engines=[engine]), runtime(fusion=("activation",), **profile))


@pytest.mark.parametrize(
    ("shape", "units", "formula", "numbers"),
    [
        (
            {"kind": "core", "lanes": {"fp32": 8}, "dot": {"fp32": 4}}, 1, "n / (⌈n / lanes⌉ · lanes) · (k / (⌈k / dot⌉ · dot))",
            "20 / (⌈20 / 8⌉ · 8) · (30 / (⌈30 / 4⌉ · 4))",
        ),
        (
            {"kind": "systolic", "rows": 16, "columns": 8}, 1, "min(1, m · n · k · groups / (cycles · rows · units · columns))",
            "min(1, 10 · 20 · 30 · 1 / (127 · 16 · 1 · 8))",
        ),
        (
            {"kind": "systolic", "rows": 16, "columns": 8, "dataflow": "output", "hidden_fill": False}, 2,
            "min(1, m · n · k · groups / (cycles · rows · units · columns))",
            "min(1, 10 · 20 · 30 · 1 / (103 · 16 · 2 · 8))",
        ),
        (
            {"kind": "parallel", "pixels": 4, "inputs": 16, "outputs": 16}, 2,
            f"{PIXELS} · (channels / (⌈channels / inputs⌉ · inputs)) · (n / (⌈n / outputs⌉ · outputs))",
            "10 / (⌈10 / (4 · 2)⌉ · 4 · 2) · (30 / (⌈30 / 16⌉ · 16)) · (20 / (⌈20 / 16⌉ · 16))",
        ),
    ],
)  # fmt: skip
def test_what_a_shape_leaves(shape: dict[str, Any], units: int, formula: str, numbers: str) -> None:
    term = explain_layer(on(shape, units=units), "net/fc").term("filled")
    assert term.formula == formula
    assert term.substituted == numbers
    assert term.follows


def test_the_cycles_of_an_array_by_hand() -> None:
    """⌈30/16⌉ · ⌈20/8⌉ = 6 folds; rows shorter than the array wait for the next weights: 5 · 16 + 10 + 2 · 16 + 8 − 3."""
    found = explain_layer(on({"kind": "systolic", "rows": 16, "columns": 8}), "net/fc")
    assert found.term("folds").value == 6
    assert found.term("cycles").value == 5 * 16 + 10 + 2 * 16 + 8 - 3
    assert found.term("cycles").substituted == "(6 − 1) · max(10, 16) + 10 + 2 · 16 + 8 − 3"
    assert found.term("cycles").follows


def test_tiles_by_hand() -> None:
    found = explain_layer(on({"kind": "tiles"}, m=100, n=100, k=256, units=8), "net/fc")
    assert {"waves", "depth", "filled"} <= {t.key for t in found.terms}
    assert all(t.follows for t in found.terms)


def test_a_shape_without_a_formula_still_has_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    est = on({"kind": "parallel", "pixels": 4, "inputs": 16, "outputs": 16})
    monkeypatch.setattr("simulator.explanation.filled.Parallel", geometry.Tiles)
    term = explain_layer(est, "net/fc").term("filled")
    assert term.formula == "what the shape leaves of geometry 'parallel'"
    assert 0 < term.value < 1
    assert [f.path for f in term.figures] == [f"engines.core.geometry.{name}" for name in ("pixels", "inputs", "outputs")]
    assert "10, 20, 30, 1" in term.note


def test_sources_and_kinds() -> None:
    spec = hardware(
        sources={"sheet": "The data sheet"},
        engines=[{
            "id": "core", "kind": "simd",
            "peak": {"fp32": {"value": "1 TFLOP/s", "kind": "datasheet", "source": "sheet", "note": "dense"}},
        }],
    )  # fmt: skip
    rate = explain_layer(estimate(product(1, 2, 3), spec, runtime()), "net/fc/MatMul").term("mac_rate")
    (peak, efficiency) = rate.figures
    assert (peak.path, peak.text, peak.kind) == ("engines.core.peak.fp32", "1 TFLOP/s", "datasheet")
    assert (peak.source, peak.note, peak.file) == ("The data sheet", "dense", "test")
    assert (efficiency.path, efficiency.kind) == ("profiles.default.efficiency.default", None)
    assert rate.substituted == "500 GMAC/s · 1"


def test_what_the_operators_count() -> None:
    found = explain_layer(on(None), "net/fc")
    assert [(o.op_type, o.macs, o.vector_ops) for o in found.operators] == [("MatMul", 6000, 0), ("Relu", 0, 200)]
    assert [(o.role, o.shape, o.bytes) for o in found.operands] == [
        ("weights", (30, 20), 2400.0), ("inputs", (10, 30), 1200.0), ("outputs", (10, 20), 800.0),
    ]  # fmt: skip


def chain(*names: str) -> Estimate:
    nodes = [node("Relu", f"t{i}", f"t{i + 1}", name=name) for i, name in enumerate(names)]
    return estimate(loaded(model(nodes, [value("t0", 4)], [f"t{len(names)}"])), hardware(), runtime())


def test_which_kernel_a_name_means() -> None:
    est = chain("stem", "block1/relu", "block10/relu", "head/act")
    assert find_layer(est, "stem") == 0
    assert find_layer(est, "block1/relu") == 1  # whole, although a part of nothing else is
    assert find_layer(est, "head") == 3
    assert find_layer(est, " head/act ") == 3
    fused = on(None)
    assert find_layer(fused, "net/fc/Relu") == 0  # any node it came from


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "block",
            "2 kernels match --layer 'block': block1/relu (#2), block10/relu (#3); give the number of one: --layer 2",
        ),
        ("9", "--layer '9': test has 4 kernels, counted from 1"),
        ("#0", "--layer '#0': test has 4 kernels, counted from 1"),
        ("stem#2", "--layer 'stem#2': test has 1 kernel 'stem', counted from 1"),
        ("steam#1", "has no layer 'steam#1'; did you mean 'stem'?"),
        ("steam", "has no layer 'steam'; did you mean 'stem'?"),
        ("relu of the block1", "(the closest: block1/relu)"),
        ("absent", "(kernels: stem, block1/relu, block10/relu, head/act)"),
        ("", "has no layer ''"),
    ],
)
def test_what_no_name_means(layer: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_layer(chain("stem", "block1/relu", "block10/relu", "head/act"), layer)
    assert message in str(raised.value)


def test_kernels_have_numbers() -> None:
    """Counted from 1, as `sim plan` and `sim estimate --sort order` show them. A name goes before a number."""
    est = chain("stem", "same", "b/relu", "same", "c/relu", "7")
    assert [k.name for k in est.prepared.kernels] == ["stem", "same", "b/relu", "same#2", "c/relu", "7"]
    assert [find_layer(est, text) for text in ("1", "#2", "4", " 6 ")] == [0, 1, 3, 5]
    assert find_layer(est, "7") == 5
    assert [find_layer(est, text) for text in ("same", "same#1", "same#2")] == [1, 1, 3]
    assert [find_layer(est, text) for text in ("relu#1", "/relu#2")] == [2, 4]
    found = explain_layer(est, "4")
    assert (found.name, found.index, found.kernels) == ("same#2", 3, 6)


def test_reasons_by_hand() -> None:
    """A launch of 1 ms, arithmetic at half its peak, and memory that waits for it: each is a reason."""
    est = on(None, kernel_overhead="1 ms", efficiency={"default": 0.5}, overlap=0.0)
    found = explain_run(est)
    saved = {r.key: r.saved_s for r in found.reasons}
    assert found.largest[0].key == "launch"
    assert saved["launch"] == pytest.approx(1e-3)
    assert saved["efficiency"] == pytest.approx(6000 / 2e9)
    assert set(saved) == {"launch", "efficiency", "overlap"}
    assert found.together_s == pytest.approx(max(6000 / 2e9 + 200 / 2e9, 4400 / 100e9))
    assert found.bound_resource == "matrix work on core"


def test_nothing_to_explain_is_no_fault() -> None:
    est = estimate(loaded(model([node("Identity", "x", "y")], [value("x", 4)], ["y"])), hardware(), runtime())
    found = explain_run(est)
    assert found.gap_s == found.latency_s - found.bound_latency_s
    with pytest.raises(UsageError):
        find_layer(est, "anything")


@pytest.mark.parametrize("used", [True, False])
def test_sparse_macs_by_the_factor_of_the_file(used: bool) -> None:
    engine = {"id": "core", "kind": "tensor", "peak": {"fp32": "1 GMAC/s"}, "sparsity": {"2:4": {"fp32": 1.6}}}
    software = runtime(fusion=("activation",)).model_copy(update={"sparsity": ("2:4",) if used else ()})
    sparse = Model(change_of("sparsity").apply(product(10, 20, 32).graph, "2:4"))
    found = explain_layer(estimate(sparse, hardware(engines=[engine]), software), "net/fc/MatMul")
    terms = {t.key: t for t in found.terms}
    seconds = 6400 / 1e9 / (1.6 if used else 1.0)
    assert terms["matrix_s"].value == pytest.approx(seconds)
    assert ("dense_macs" in terms) is used
    if used:
        assert str(terms["dense_macs"].formula) == "MACs − sparse MACs · (1 − 1 / sparse factor)"
        assert [f.path for f in terms["dense_macs"].figures] == ["engines.core.sparsity.2:4.fp32"]
        assert str(terms["matrix_s"].formula) == "dense MACs / MAC rate"
