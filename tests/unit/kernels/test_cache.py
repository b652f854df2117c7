"""Caches of keys and values: found in the graph, read and written as far as they are, alive from run to run."""

import pytest
from support.graphs import model, node, resolved, value

from simulator.graph.graph import Graph
from simulator.graph.types import Role
from simulator.io.hardware_reader import load_runtime
from simulator.model import Model
from simulator.preparation import prepare
from simulator.result.prediction import Prepared

HEADS, WIDTH, PAST = 4, 16, 31
NEW_BYTES, PAST_BYTES = HEADS * WIDTH * 4, HEADS * PAST * WIDTH * 4
INPUTS = [value(n, 1, HEADS, 1, WIDTH) for n in "qkv"] + [value(n, 1, HEADS, PAST, WIDTH) for n in ("past_k", "past_v")]


def decode(*, empty: bool = False) -> Graph:
    """One token's attention over a cache; with `empty`, as exporters write a cache that nothing was put into yet."""
    before = [node("Concat", f"past_{n}", f"held_{n}", axis=2) for n in "kv"] if empty else []
    held = "held" if empty else "past"
    nodes = [
        *before, node("Concat", f"{held}_k k", "present_k", axis=2), node("Concat", f"{held}_v v", "present_v", axis=2),
        node("Transpose", "present_k", "kt", perm=[0, 1, 3, 2]), node("MatMul", "q kt", "s"), node("Softmax", "s", "p"),
        node("MatMul", "p present_v", "y"),
    ]  # fmt: skip
    return resolved(model(nodes, INPUTS, ["y", "present_k", "present_v"], []))


def run(*fusion: str, graph: Graph | None = None) -> Prepared:
    return prepare(Model(graph or decode()), None, ("attention", "strided_views", *fusion))


@pytest.mark.parametrize("empty", [False, True])
def test_what_an_input_and_an_output_share_is_a_cache(empty: bool) -> None:
    graph = decode(empty=empty)
    kept = {name for name, spec in graph.tensors.items() if spec.role is Role.STATE}
    assert kept == {"past_k", "past_v", "present_k", "present_v"}


def test_an_input_that_is_no_output_is_none() -> None:
    nodes = [node("Concat", "past_k k", "s", axis=2), node("Relu", "s", "y")]
    graph = resolved(model(nodes, INPUTS, ["y"], []))
    assert all(spec.role is not Role.STATE for spec in graph.tensors.values())


def test_an_image_that_goes_out_beside_its_features_is_none() -> None:
    nodes = [node("Relu", "past_k", "f"), node("Concat", "past_k f", "y", axis=1)]
    graph = resolved(model(nodes, INPUTS, ["y"], []))
    assert all(spec.role is not Role.STATE for spec in graph.tensors.values())


def test_growing_it_writes_what_is_new_and_attention_reads_all() -> None:
    kernels = {k.name: k for k in run("append").kernels}
    grown = next(k for k in kernels.values() if k.outputs[0].name == "present_k")
    assert [(t.name, t.size_bytes) for t in grown.inputs] == [("k", NEW_BYTES)]
    assert [t.size_bytes for t in grown.outputs] == [NEW_BYTES]
    attention = next(k for k in kernels.values() if k.outputs[0].name == "y")
    read = {t.name: t.size_bytes for t in attention.inputs}
    assert read == {"q": NEW_BYTES, **{f"past_{n}": PAST_BYTES for n in "kv"}, **{f"present_{n}": NEW_BYTES for n in "kv"}}


def test_a_copy_reads_and_writes_all_of_it() -> None:
    copied = next(k for k in run().kernels if k.outputs[0].name == "present_k")
    assert sum(t.size_bytes for t in copied.inputs) == copied.outputs[0].size_bytes == PAST_BYTES + NEW_BYTES


def test_it_lives_all_the_time_and_once() -> None:
    """In place: what was there, and from each kernel on what is new. Copied: what was there until the copy, and the copy."""
    grown, copied = run("append"), run()
    assert grown.occupancy.live_bytes[-1] == 2 * (PAST_BYTES + NEW_BYTES) + 2 * NEW_BYTES  # caches, q, y
    assert copied.occupancy.peak_bytes >= grown.occupancy.peak_bytes + PAST_BYTES - NEW_BYTES
    assert grown.work.footprint.cache_bytes == copied.work.footprint.cache_bytes == 2 * (PAST_BYTES + NEW_BYTES)


def test_between_two_reads_of_it_lies_a_whole_run() -> None:
    """It shares no buffers with activations: however small their peak, a run touches all of every cache."""
    prepared = run("append")
    reads = prepared.work.operands.inputs
    attention = next(i for i, k in enumerate(prepared.kernels) if k.outputs[0].name == "y")
    rows = [(d, b) for k, b, d in zip(reads.kernel, reads.bytes, reads.distance_bytes, strict=True) if k == attention]
    farthest, size = max(rows)
    assert size >= 2 * PAST_BYTES
    assert farthest >= 2 * (PAST_BYTES + NEW_BYTES)


@pytest.mark.parametrize("runtime", ["vllm", "llama_cpp"])
def test_servers_of_language_models_grow_it_in_place(runtime: str) -> None:
    assert {"append", "rotary", "upcast_norm"} <= set(load_runtime(runtime).fusion)
