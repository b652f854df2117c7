"""Hypothesis strategies: machines, runtimes and small networks."""

from dataclasses import dataclass
from typing import Any

import onnx
from hypothesis import strategies as st
from support.graphs import FLOAT, ints, loaded, model, node, value, weight
from support.machines import EVERYTHING

from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.transform.change import change_of

RATES = ("fp32", "fp16", "int8")
KINDS = ("tensor", "systolic", "simd", "scalar", "npu", "dpu")


def quantities(unit: str, low: float, high: float) -> st.SearchStrategy[str]:
    """`1234.5 MAC/s`."""
    return st.floats(low, high, allow_subnormal=False).map(lambda x: f"{x!r} {unit}".strip())


fractions = st.floats(0.05, 1.0)
macs_per_s = quantities("MAC/s", 1e7, 1e15)
ops_per_s = quantities("OP/s", 1e7, 1e15)
bytes_per_s = quantities("B/s", 1e6, 1e13)
per_mac = quantities("J/MAC", 1e-14, 1e-10)
per_byte = quantities("J/B", 1e-13, 1e-9)


sides = st.integers(1, 16)


def block_geometries() -> st.SearchStrategy[dict[str, Any]]:
    """Of engines that work by blocks."""
    cycles = st.floats(0.05, 8.0)
    output = st.fixed_dictionaries(
        dict.fromkeys(("sum", "maximum", "other", "clip", "table"), cycles), optional={"product": cycles}
    )
    counts = ("rows", "columns", "channels", "cores", "banks", "input_granule", "sum_granule", "stall")
    return st.fixed_dictionaries({"kind": st.just("block"), "output": output} | dict.fromkeys(counts, sides))


def geometries() -> st.SearchStrategy[dict[str, Any]]:
    """Of every kind, as a YAML file would have it."""
    by_rate = st.fixed_dictionaries({}, optional=dict.fromkeys(RATES, sides))
    return st.one_of(
        st.just({"kind": "tiles"}),
        st.fixed_dictionaries({
            "kind": st.just("systolic"), "rows": st.integers(1, 256), "columns": st.integers(1, 256),
            "dataflow": st.sampled_from(["weight", "output", "input"]), "hidden_fill": st.booleans(),
        }),
        st.fixed_dictionaries({"kind": st.just("parallel"), "pixels": sides, "inputs": sides, "outputs": sides}),
        st.fixed_dictionaries({"kind": st.just("core"), "issue": sides, "lanes": by_rate, "dot": by_rate}),
        block_geometries(),
    )  # fmt: skip


@st.composite
def block_machines(draw: st.DrawFn, **given: Any) -> dict[str, Any]:
    """A machine, as its YAML file would have it, of one engine that works by blocks."""
    made: dict[str, Any] = draw(hardware_dicts(most_engines=1, **given))
    made["engines"][0]["geometry"] = draw(block_geometries())
    return made


@st.composite
def engines(draw: st.DrawFn, name: str = "core", *, energy: bool = False) -> dict[str, Any]:
    """One engine with an fp32 rate, maybe more."""
    rates = ("fp32", *draw(st.sets(st.sampled_from(RATES[1:]))))
    made: dict[str, Any] = {"id": name, "kind": draw(st.sampled_from(KINDS)), "peak": {r: draw(macs_per_s) for r in rates}}
    if draw(st.booleans()):
        made["vector"] = {r: draw(ops_per_s) for r in rates}
    if draw(st.booleans()):
        made["special"] = draw(ops_per_s)
    if draw(st.booleans()):
        made |= {"clock": "2 GHz", "sustained_clock": f"{draw(st.floats(0.2, 2.0))!r} GHz"}
    if draw(st.booleans()):
        made["achieved"] = {r: draw(fractions) for r in rates}
    if draw(st.booleans()):
        made["sparsity"] = {"2:4": {r: draw(st.floats(1.0, 4.0)) for r in draw(st.sets(st.sampled_from(rates)))}}
    if draw(st.booleans()):
        made |= {"geometry": draw(geometries()), "units": draw(sides)}
    if energy or draw(st.booleans()):
        made["energy"] = {"mac": {r: draw(per_mac) for r in rates}}
    return made


@st.composite
def memories(draw: st.DrawFn, *, energy: bool = False) -> list[dict[str, Any]]:
    """One to three levels; the outermost holds everything."""
    inner = draw(st.lists(st.sampled_from(["scratchpad", "cache"]), max_size=2))
    levels = []
    for index, kind in enumerate([*inner, draw(st.sampled_from(["dram", "flash"]))]):
        outermost = index == len(inner)
        holds = (
            ["weights", "activations", *draw(st.sampled_from([[], ["boundary"]]))]
            if outermost
            else draw(
                st.sampled_from([[], ["activations"], ["weights"], ["weights", "activations"]] if kind == "scratchpad" else [[]])
            )
        )
        level: dict[str, Any] = {"id": f"m{index}", "kind": kind, "bandwidth": draw(bytes_per_s), "holds": holds}
        if not outermost:
            capacity = draw(st.floats(1e2, 1e8))
            level["capacity"] = f"{capacity!r} B"
            if draw(st.booleans()):
                level["double_buffer"] = f"{capacity * draw(st.floats(0.01, 1.0))!r} B"
        if draw(st.booleans()):
            level["achieved"] = draw(fractions)
        if draw(st.booleans()):
            level["read_bandwidth"], level["write_bandwidth"] = level.pop("bandwidth"), draw(bytes_per_s)
        if draw(st.booleans()):
            level |= {"burst": f"{draw(sides) * 16} B", "latency": f"{draw(st.floats(0.0, 1e-6))!r} s"}
        if energy:
            level["energy"] = {"read": draw(per_byte), "write": draw(per_byte)}
        levels.append(level)
    return ordered(levels)


def ordered(levels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The levels with each at least as fast as those behind it."""
    fastest = 0.0
    for level in reversed(levels):
        for key in [k for k in level if k.endswith("bandwidth")]:
            fastest = max(fastest, float(level[key].split()[0]))
            level[key] = f"{fastest!r} B/s"
    return levels


@st.composite
def hardware_dicts(draw: st.DrawFn, *, energy: bool = False, most_engines: int = 2) -> dict[str, Any]:
    """A valid machine as its YAML file would have it."""
    count = draw(st.integers(1, most_engines))
    return {
        "schema": 1, "id": "drawn", "name": "Drawn", "class": draw(st.sampled_from(["cpu", "gpu", "tpu", "npu", "mcu", "fpga"])),
        "engines": [draw(engines(f"e{i}", energy=energy)) for i in range(count)],
        "memories": draw(memories(energy=energy)),
        "power": draw(st.one_of(st.just({}), st.builds(lambda w: {"static": w}, quantities("W", 0.0, 500.0)))),
        "overheads": draw(st.one_of(st.just({}), st.builds(lambda s: {"inference": s}, quantities("s", 0.0, 1e-3)))),
    }  # fmt: skip


def machines(**given: Any) -> st.SearchStrategy[HardwareSpec]:
    """Valid machines."""
    return hardware_dicts(**given).map(HardwareSpec.model_validate)


@st.composite
def runtime_dicts(draw: st.DrawFn, *, overheads: bool = True) -> dict[str, Any]:
    """A valid runtime as its YAML file would have it."""
    seconds = quantities("s", 0.0, 1e-3) if overheads else st.just("0 s")
    asynchronous = draw(st.booleans())
    dispatch = {"dispatch": draw(seconds)} if asynchronous and draw(st.booleans()) else {}
    classes = draw(st.sets(st.sampled_from(["conv", "gemm", "depthwise_conv", "grouped_conv", "batched_gemm"])))
    profile = {
        "overlap": draw(st.floats(0, 1)), "efficiency": {k: draw(fractions) for k in ["default", *sorted(classes)]},
        "vector_efficiency": draw(fractions), "bandwidth": draw(fractions), "kernel_overhead": draw(seconds),
        "inference_overhead": draw(seconds), "asynchronous": asynchronous, **dispatch, "resident": draw(st.floats(0, 1)),
        "cache_exposed": {"default": draw(st.floats(0, 1))}, "execution": draw(st.sampled_from(["sequence", "pipeline"])),
        "vector_share": draw(st.sampled_from([{}, {"pointwise": 0.5}, {"default": 0.3, "cast": 0.01}])),
    }  # fmt: skip
    return {
        "schema": 1, "id": "drawn", "name": "Drawn", "description": "Drawn.", "measured_limits": draw(st.booleans()),
        "sparsity": draw(st.sampled_from([[], ["2:4"]])), "adds": draw(st.sampled_from([[], ["interface_casts"]])),
        "fusion": draw(st.permutations(EVERYTHING).flatmap(lambda order: st.integers(0, len(order)).map(lambda n: order[:n]))),
        "profiles": {"default": profile},
    }  # fmt: skip


def runtimes(**given: Any) -> st.SearchStrategy[RuntimeSpec]:
    """Valid runtimes."""
    return runtime_dicts(**given).map(RuntimeSpec.model_validate)


@dataclass
class _Builder:
    """A network under construction: nodes, weights, and the shape of every tensor made so far."""

    draw: st.DrawFn
    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]
    shapes: dict[str, tuple[int, ...]]

    def weight(self, *dims: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(weight(name, *dims))
        return name

    def add(self, op_type: str, reads: list[str], shape: tuple[int, ...], **attrs: object) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op_type, " ".join(reads), name, **attrs))
        self.shapes[name] = shape

    def like(self, name: str, fits: Any) -> str:
        """A tensor to join with `name`: itself where no other fits."""
        return self.draw(st.sampled_from([n for n, s in self.shapes.items() if fits(s)] or [name]))


def _step(net: _Builder) -> None:
    """One more operator on one of the tensors so far."""
    name = net.draw(st.sampled_from(list(net.shapes)[-4:]))
    shape = net.shapes[name]
    choices = ["relu", "sigmoid", "add", "mul", "concat", "gate", "softmax"]
    choices += (
        ["conv", "conv", "depthwise", "norm", "pool", "flatten"] if len(shape) == 4 else ["gemm", "matmul", "dense", "reshape"]
    )
    what = net.draw(st.sampled_from(choices))
    width = net.draw(st.sampled_from([1, 2, 3, 8, 16]))
    if what in ("relu", "sigmoid"):
        net.add(what.title(), [name], shape)
    elif what == "softmax":
        net.add("Softmax", [name], shape, axis=-1)
    elif what in ("add", "mul"):
        net.add(what.title(), [name, net.like(name, lambda s: s == shape)], shape)
    elif what == "gate":
        net.add("Sigmoid", [name], shape)
        net.add("Mul", [name, f"t{len(net.nodes) - 1}"], shape)
    elif what == "concat":
        other = net.like(name, lambda s: len(s) == len(shape) and s[0] == shape[0] and s[2:] == shape[2:])
        net.add("Concat", [name, other], (shape[0], shape[1] + net.shapes[other][1], *shape[2:]), axis=1)
    elif what == "conv":
        side = net.draw(st.sampled_from([1, 3]))
        net.add(
            "Conv",
            [name, net.weight(width, shape[1], side, side), net.weight(width)],
            (shape[0], width, *shape[2:]),
            pads=[side // 2] * 4,
        )
    elif what == "depthwise":
        net.add("Conv", [name, net.weight(shape[1], 1, 3, 3)], shape, group=shape[1], pads=[1] * 4)
    elif what == "norm":
        net.add("BatchNormalization", [name, *(net.weight(shape[1]) for _ in range(4))], shape)
    elif what == "pool":
        net.add("MaxPool", [name], shape, kernel_shape=[3, 3], pads=[1] * 4)
    elif what == "flatten":
        net.add("Flatten", [name], (shape[0], shape[1] * shape[2] * shape[3]))
    elif what == "gemm":
        net.add("Gemm", [name, net.weight(shape[1], width), net.weight(width)], (shape[0], width))
    elif what == "dense":
        net.add("MatMul", [name, net.weight(shape[1], width)], (shape[0], width))
    elif what == "matmul":
        net.add("Transpose", [name], shape[::-1], perm=[1, 0])
        net.add("MatMul", [name, f"t{len(net.nodes) - 1}"], (shape[0], shape[0]))
    elif what == "reshape":
        target = f"s{len(net.weights)}"
        net.weights.append(ints(target, -1, shape[0]))
        net.add("Reshape", [name, target], (shape[1], shape[0]))


@st.composite
def networks(draw: st.DrawFn, *, most: int = 12, prunable: bool = False) -> Model:
    """Chains and branches of convolutions, products and what stands between them; every end is an output.

    A `prunable` one has a weight that every pattern can prune: a convolution that reads four or eight channels.
    """
    channels = [4, 8] if prunable else [1, 3, 8]
    image = (draw(st.integers(1, 3)), draw(st.sampled_from(channels)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    table = (draw(st.integers(1, 5)), draw(st.integers(1, 16)))
    net = _Builder(draw, [], [], {"image": image, "table": table})
    if prunable:
        net.add("Conv", ["image", net.weight(8, image[1], 1, 1)], (image[0], 8, *image[2:]))
    for _ in range(draw(st.integers(1, most))):
        _step(net)
    read = {n for made in net.nodes for n in made.input}
    ends = [n for n in net.shapes if n not in read and n.startswith("t") and n != "table"]
    inputs = [value("image", *image, dtype=FLOAT), value("table", *table, dtype=FLOAT)]
    return loaded(model(net.nodes, inputs, ends, net.weights))


prunings = st.sampled_from(["0", "0.3", "0.5", "0.9", "2:4", "0.5:block=4", "0.8:block=2x8"])


@st.composite
def pruned_networks(draw: st.DrawFn, text: st.SearchStrategy[str] = prunings, *, most: int = 12) -> Model:
    """Networks with pruned weights."""
    network: Model = draw(networks(most=most, prunable=True))
    return Model(change_of("sparsity").apply(network.graph, draw(text)))
