"""A network cut into kernels for a runtime and a precision, with their work: all that no number of a machine changes."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from simulator.graph.graph import Graph
from simulator.kernels.idioms import IDIOMS, Idiom, find_idioms
from simulator.kernels.operators import kind_of, rate_of, work_of
from simulator.kernels.partition import partition
from simulator.kernels.support import Supported, kernel_refusals, op_refusals
from simulator.kernels.types import Kernel
from simulator.machine.runtime import InPlace, RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.ops.work import MAC_KINDS, Kind
from simulator.result.prediction import Prepared
from simulator.schedule.conventions import occupancy_in_place
from simulator.transform.added import with_added
from simulator.transform.precision import AUTOCAST, Precision, precision_of, precisions_of, with_precision
from simulator.transform.weights import multiplied
from simulator.workload import WorkTable, footprint, work_table

_GROUP_NORMS = frozenset({"InstanceNormalization", "GroupNormalization", "GroupNorm"})


@lru_cache(maxsize=64)
def prepare(
    model: Model,
    precision: str | None,
    fusion: tuple[str, ...],
    supported: Supported = (),
    adds: tuple[str, ...] = (),
    layout: str = "channels_first",
    in_place: InPlace = InPlace(),  # noqa: B008  frozen
    *,
    once: bool = False,
    counted: tuple[str, ...] = (),
) -> Prepared:
    """Kernels and work of a model; kept, since the same model is often held against several machines.

    `supported` is what those engines run that do not run everything, `adds` what the runtime runs beside the file, `layout`
    how its images lie, `in_place` what is written over its input; `once` counts what kernels compute again at home only,
    `counted` are types of operators whose elements are counted.
    """
    graph = _in_precision(with_added(model.graph, adds), precision, fusion, adds)
    graph = _with_copies(graph, fusion, layout) if "copies" in adds else graph
    graph = _with_interface_casts(graph, model.graph) if "interface_casts" in adds else graph
    graph = _with_reorders(graph) if "blocks" in adds else graph
    refused = op_refusals(graph, supported)
    kernels, works = partition(graph, fusion, refused)
    kernels = tuple(replace(k, recomputed=()) for k in kernels) if once else kernels
    live = occupancy_in_place(graph, kernels, in_place)
    work = work_table(graph, kernels, works, footprint(graph, kernels, live.peak_bytes), counted)
    if precision:
        work = _with_math(work, graph, kernels, precision)
    if supported:
        work = replace(work, refused=kernel_refusals(kernels, work.rates, refused, supported))
    return Prepared(graph, kernels, work, live)


def _in_precision(graph: Graph, precision: str | None, fusion: tuple[str, ...], adds: Container[str]) -> Graph:
    """The graph in a precision; mixed precision by casts where the runtime has them."""
    half = AUTOCAST.get(precision or "") if "casts" in adds else None
    if half is None:
        return with_precision(graph, precision) if precision else graph
    from simulator.transform.autocast import autocast

    idioms = _framework_operators(graph, fusion)[1]
    norms = _group_norms(graph, idioms) if "half_group_norms" in adds else frozenset()
    return autocast(graph, half, {i: idiom.kind for i, idiom in idioms.items()}, norms)


def _group_norms(graph: Graph, idioms: Mapping[int, Idiom]) -> frozenset[int]:
    """The operators of group norms, by index: those of the library's own, and what exporters take them apart into."""
    found = {i for i, op in enumerate(graph.ops) if op.op_type in _GROUP_NORMS}
    return frozenset(found.union(*(idioms[i].ops for i in found if i in idioms)))


def _with_copies(graph: Graph, fusion: tuple[str, ...], layout: str) -> Graph:
    """The graph with the copies into other orders of dimensions."""
    kinds, idioms = _framework_operators(graph, fusion)
    from simulator.transform.layout import with_copies

    return with_copies(graph, kinds, {i: idiom.kind for i, idiom in idioms.items()}, channels_last=layout == "channels_last")


def _with_interface_casts(graph: Graph, file: Graph) -> Graph:
    """The graph with casts of what its file hands over in a wider type."""
    from simulator.transform.interface import with_interface_casts

    return with_interface_casts(graph, file)


def _with_reorders(graph: Graph) -> Graph:
    """The graph with the reorders into blocks of channels and back."""
    from simulator.transform.blocks import with_reorders

    return with_reorders(graph, [kind_of(op, work_of(graph, op)) for op in graph.ops])


def _functions(fusion: tuple[str, ...]) -> list[str]:
    """Idioms that are one function of a framework with these fusion rules."""
    own = {"normalization", "activation_function", *fusion, *(("attention_of_any_rank",) if "attention" in fusion else ())}
    return [name for name in IDIOMS if name in own]


def _framework_operators(graph: Graph, fusion: tuple[str, ...]) -> tuple[list[Kind], Mapping[int, Idiom]]:
    """Class of every operator, and what of them a framework has as one; attention, of any rank, where it has a function for it.

    Inside of a function nothing is cast, be it one kernel or, for want of one, several.
    """
    kinds = [kind_of(op, work_of(graph, op)) for op in graph.ops]
    return kinds, find_idioms(graph, kinds, _functions(fusion))


def prepared_for(
    model: Model,
    runtime: RuntimeSpec,
    precision: str | None = None,
    hardware: HardwareSpec | None = None,
    usable: Container[str] = (),
    *,
    once: bool = False,
) -> Prepared:
    """Kernels and work of a model as a runtime has them on a machine, of which it uses the engines `usable`; without one, on
    no kind of engine in particular. `once`: see `prepare`.
    """
    supported = () if hardware is None else supported_by(hardware, usable)
    kinds = () if hardware is None else [engine.kind for engine in hardware.engines if not usable or engine.id in usable]
    fusion, adds = runtime.rules_on(kinds[0] if kinds else "")
    how = (fusion, supported, adds, runtime.layout, runtime.in_place)
    return prepare(model, precision, *how, once=once, counted=runtime.counted)


def _with_math(work: WorkTable, graph: Graph, kernels: Sequence[Kernel], precision: str) -> WorkTable:
    """The table with the rates of products that their tensors do not tell: tf32, and where precisions are mixed by name, those
    of products whose weights have their operator's type, whatever type the operator before wrote.
    """
    math = precision_of(precision).math
    if "," in precision:
        own = precisions_of(graph, precision)
        rates = tuple(_own_rate(graph, k, own[k.main], rate) for k, rate in zip(kernels, work.rates, strict=True))
    elif math is None:
        return work
    else:
        rates = tuple(math if rate == "fp32" and macs else rate for rate, macs in zip(work.rates, work.macs, strict=True))
    return replace(work, rates=rates)


def _own_rate(graph: Graph, kernel: Kernel, own: Precision, rate: str) -> str:
    weights = [graph.tensors[w.name] for w in multiplied(graph, graph.ops[kernel.main])]
    if weights and all(w.dtype is own.weight for w in weights):
        rate = rate_of(own.activation)
    return own.math if own.math and rate == "fp32" and kernel.kind in MAC_KINDS else rate


def supported_by(hardware: HardwareSpec, usable: Container[str]) -> Supported:
    """What those engines run, of the ones in use, that do not run everything."""
    return tuple((e.id, e.supports) for e in hardware.engines if e.supports is not None and e.id in usable)
