"""The runtime file: what software makes of a machine. Its constants hold for every chip of an engine kind."""

from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from simulator.machine import figures as f
from simulator.machine.spec import EngineKind, HardwareClass, Identifier, Pattern, Rate, Strict
from simulator.ops.registry import MS, find_rule
from simulator.ops.work import Kind

Fallback = Literal["per_op", "first_unsupported"]
Added = Literal[
    "batch_norm", "bias", "wide_batch_norm", "linear_bias", "pad", "weight_norm", "weight_norm_first", "moments", "pool_indices",
    "casts", "half_group_norms", "copies", "interface_casts", "blocks",
]  # fmt: skip
Layout = Literal["channels_first", "channels_last"]


class Beside(NamedTuple):
    """Instructions beside the arithmetic: for a MAC, an output element, an element of a column, a MAC of a narrow image."""

    mac: f.Number
    output: f.Number
    column: f.Number
    narrow: f.Number


class Instructions(Strict):
    """Instructions beside the arithmetic, by kernel class: for each MAC, for each output element.

    `column_instructions`: for each element of the columns that convolutions with a window copy the image into (im2col), m · k
    of them. `narrow_instructions`: for each MAC in the place of `instructions`, where a place of the image is less than a word
    of 4 bytes (1 or 3 channels of 8 bits), so that other kernels run.
    """

    instructions: dict[Kind | Literal["default"], f.Instructions] = {}
    output_instructions: dict[Kind | Literal["default"], f.Instructions] = {}
    column_instructions: dict[Kind | Literal["default"], f.Instructions] = {}
    narrow_instructions: dict[Kind, f.Instructions] = {}

    def beside(self, kind: Kind) -> Beside:
        """The figures of a kernel class; 0 where it has none, those of other images where narrow ones have none."""
        tables = (self.instructions, self.output_instructions, self.column_instructions)
        found = (table.get(kind) or table.get("default") for table in tables)
        mac, output, column = (figure.value if figure else 0.0 for figure in found)
        narrow = self.narrow_instructions.get(kind)
        return Beside(mac, output, column, narrow.value if narrow else mac)


class Profile(Instructions):
    """How a runtime uses one kind of engine.

    `overlap` is the share θ of the shorter of compute and memory time that hides behind the longer one within a
    kernel: t = max + (1 − θ)·min. `efficiency` is the fraction of the peak that a kernel class reaches,
    `vector_efficiency` that of other arithmetic, `vector_share` the part of it that a kernel class reaches,
    `bandwidth` the achieved fraction of a memory's bandwidth, `streaming` the share of that which the loads and stores of a
    kernel class reach. `resident` is the share of caches and staging memories in which tensors stay from one kernel to the
    next, `cache_exposed` the share of the time in caches that shows beside the arithmetic of a kernel class.

    MACs of the classes `on_vector` run on the vector unit, of whose rate the efficiency then is. What the kernels need
    beside their MACs: `instructions` for each MAC (loads, unpacking; for registers of 4 bytes), `output_instructions`
    for each output element (loop entry, requantization); `by_type` has other figures for kernels in an element type
    (floating point is not unpacked and not requantized), `vector` for all others on cores whose registers are wider than
    4 bytes, for which libraries have kernels of vector instructions; `issue` is how many of them a cycle the order of the
    code allows at most. `weight_places` is for how many places of the image a convolution reads its weights once; then it
    reads them again. What the kernels pad: input channels of a convolution to `input_multiple`, the depth k of a tile (of
    an output, where the engine has no tiles) by `prologue_k` steps. `operator_instructions` are for each element of an
    operator, by its type: what its code is slow at. With `channel_blocks` convolutions work on blocks of channels where they
    can (ops/blocks.py), and only the others make columns. `serial_copies`: one unit copies pieces of tensors; `strided` is
    the share of `streaming` that transpositions of short pieces reach. Matrix products whose rows are no multiple of a load
    instruction run at the share `misaligned`, convolutions whose groups have another width than the library's kernels are
    made for at the share `odd_groups`. `execution`: cost/pipeline.py.
    """

    overlap: f.Fraction
    efficiency: dict[Kind | Literal["default"], f.Ratio]
    vector_efficiency: f.Ratio
    vector_share: dict[Kind | Literal["default"], f.Ratio] = {}  # all of it
    bandwidth: f.Ratio
    streaming: dict[Kind | Literal["default"], f.Ratio] = {}  # all of it
    strided: f.Ratio | None = None  # of `streaming`, in transpositions of short pieces; default: all of it
    resident: f.Fraction | None = None  # all of it
    on_vector: tuple[Kind, ...] = ()
    by_type: dict[Rate, Instructions] = {}
    vector: Instructions | None = None  # as on registers of 4 bytes, more of them at once
    issue: f.Count | None = None  # as many as the core issues
    weight_places: f.Count | None = None  # of the image, for which weights are read once; default: all
    input_multiple: f.Count | None = None
    prologue_k: f.Count | None = None
    misaligned: f.Ratio | None = None  # as fast as the others
    odd_groups: f.Ratio | None = None  # as fast as the others
    cache_exposed: dict[Kind | Literal["default"], f.Fraction] = {}  # all of it
    kernel_overhead: f.Seconds
    dispatch: f.Seconds | None = None  # of the host for each kernel, while the device works on those before; default: not counted
    fork_overhead: f.Seconds | None = None  # of starting the other units for a kernel, for every doubling of them
    loop_overhead: f.Seconds | None = None  # of each part that a concatenation copies, for every doubling; default: not counted
    serial_copies: bool = False  # one unit copies pieces of tensors (concatenations, splits, transpositions)
    parallel_elements: f.Count | None = None  # least for each unit where loops are split over the units; default: all are
    weight_reorders: f.Count | None = None  # of a convolution's weights in every run, each as many bytes again; default: none
    reorder_above: f.Count | None = None  # elements of the image, which smaller ones do without; default: none do
    weight_copies: f.Count | None = None  # that a convolution with a window makes of its weights in each run; default: 1
    operator_instructions: dict[str, f.Instructions] = {}  # by type of operator, for each element: what its code is slow at
    channel_blocks: bool = False  # convolutions work on blocks of channels (ops/blocks.py), others on columns of the image
    page_fault: f.Seconds | None = None  # of the first write to each page of such a copy above 32 MiB; default: not counted
    inference_overhead: f.Seconds
    loop_step: f.Seconds | None = None  # a round of a loop that waits for its loads, where threads loop over images and channels
    switch: f.Seconds | None = None  # of coming to this engine from another within an inference
    static_split: bool = False  # over all units alike, whatever each of them can do
    execution: Literal["sequence", "pipeline"] = "sequence"  # kernels one after the other, or laid out beside each other
    asynchronous: bool = False  # launches hide behind a busy device: a kernel takes at least its launch

    @model_validator(mode="after")
    def _fractions(self) -> Self:
        shares = (
            "overlap",
            "efficiency",
            "vector_efficiency",
            "vector_share",
            "bandwidth",
            "resident",
            "cache_exposed",
            "misaligned",
            "streaming",
            "strided",
            "odd_groups",
        )
        above = [path for path, figure in self.figures() if figure.value > 1 and not {*path.split(".")}.isdisjoint(shares)]
        if above:
            raise ValueError(f"{', '.join(above)} above 1: efficiencies count against the peak at the highest clock")
        if self.dispatch is not None and not self.asynchronous:
            raise ValueError("dispatch is the host's time while the device works: it needs asynchronous: true")
        unknown = [name for name in self.operator_instructions if not any(find_rule(domain, name) for domain in ("", MS))]
        if unknown:
            raise ValueError(f"operator_instructions: no operator is called '{unknown[0]}'")
        if "default" not in self.efficiency:
            raise ValueError("efficiency needs a 'default' for kernel classes it does not name")
        return self

    def efficiency_of(self, kind: Kind) -> float:
        """Fraction of the peak that kernels of this class reach."""
        figure = self.efficiency.get(kind) or self.efficiency["default"]
        return figure.value

    def vector_efficiency_of(self, kind: Kind) -> float:
        """Fraction of vector rates that kernels of this class reach."""
        figure = self.vector_share.get(kind) or self.vector_share.get("default")
        return self.vector_efficiency.value * figure.value if figure else self.vector_efficiency.value

    def streaming_of(self, kind: Kind) -> float:
        """Share of the achieved bandwidth that kernels of this class reach."""
        figure = self.streaming.get(kind) or self.streaming.get("default")
        return figure.value if figure else 1.0

    def cache_exposed_of(self, kind: Kind) -> float:
        """Share of the time in caches that shows in kernels of this class."""
        figure = self.cache_exposed.get(kind) or self.cache_exposed.get("default")
        return figure.value if figure else 1.0

    def counts(self, rate: str, *, on_vectors: bool) -> tuple[str, Instructions]:
        """The counts of kernels in an element type on cores with registers of 4 bytes or wider ones, and their path here."""
        own = next((table for name, table in self.by_type.items() if name == rate), None)
        if own is not None:
            return f"by_type.{rate}.", own
        return ("vector.", self.vector) if on_vectors and self.vector else ("", self)

    @property
    def resident_share(self) -> float:
        """Share of caches and staging memories in which tensors stay."""
        return self.resident.value if self.resident else 1.0


class InPlace(Strict):
    """How a runtime's memory planner saves and spends: what is written over an input that nothing reads afterwards.

    `elementwise`: the result of element-wise operators. `depthwise`: that of a depthwise convolution, with one `channel` of
    the result, or as many `rows` of it as the window is high, as scratch; or it makes a `copy`. `pointwise`: that of a 1 × 1
    convolution, behind a `gap`. `workspace`: padded copies and scratch of convolutions count (schedule/workspace.py).
    """

    elementwise: bool = False
    depthwise: Literal["copy", "channel", "rows"] = "copy"
    pointwise: Literal["copy", "gap"] = "copy"
    workspace: bool = False


class Code(Strict):
    """Flash beside the weights: of the library, for each kernel of the network, for each channel that convolutions make."""

    base: f.Bytes
    per_kernel: f.Bytes
    per_channel: f.Bytes


class Residuals(Strict):
    """What measured runs took, as multiples of predictions by constants that were fitted without their family.

    Quantiles of 5, 50 and 95 % over `n` runs.
    """

    p5: float = Field(gt=0, allow_inf_nan=False)
    p50: float = Field(gt=0, allow_inf_nan=False)
    p95: float = Field(gt=0, allow_inf_nan=False)
    n: int = Field(ge=1)
    source: str

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.p5 <= self.p50 <= self.p95:
            raise ValueError("residuals: p5, p50 and p95 are quantiles: each is at least the one before")
        return self


class RuntimeSpec(Strict):
    """How a runtime cuts the graph into kernels (`fusion` names rules of simulator/kernels), and its profiles.

    `adds` names operators that it runs beside those of the file (simulator/transform): batch norms that the exporter
    folded, biases, padding of one end (added.py), casts of mixed precision (autocast.py) or of inputs and outputs (interface.py),
    copies into another order of dimensions (layout.py), into blocks of channels and back (blocks.py); `layout` says how images
    lie then. `except_on` names, by the kind of a machine's first engine, those of `fusion` and `adds` that do not hold there.

    `profiles` are keyed by engine kind; `default` stands for all kinds not named. With `measured_limits`, fractions of
    peak and bandwidth that a machine file states as measured apply; with `geometry`, kernels must fill the engine.
    `fallback` is what follows an operator that an engine does not run: `per_op`, only that one goes to the next engine;
    `first_unsupported`, it and all that runs after it. `sparsity` are patterns of zeros among the weights for which it has
    kernels at the engine's sparse rate. `in_place` is what the planner of its memory saves, `code` the flash that it takes
    beside the weights (None: not known, not counted), `residuals` how far its predictions were off where they were held
    against measurements.
    """

    schema_version: Literal[1] = Field(alias="schema")
    id: Identifier
    name: str
    description: str
    classes: tuple[HardwareClass, ...] = ()  # hardware classes it runs on; empty: all
    fusion: tuple[str, ...] = ()
    adds: tuple[Added, ...] = ()
    except_on: dict[EngineKind, tuple[str, ...]] = {}
    layout: Layout = "channels_first"
    measured_limits: bool = True
    geometry: bool = True
    fallback: Fallback = "per_op"
    sparsity: tuple[Pattern, ...] = ()
    in_place: InPlace = InPlace()
    code: Code | None = None
    profiles: dict[EngineKind | Literal["default"], Profile] = Field(min_length=1)
    residuals: Residuals | None = None
    sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        missing = [
            f"{path}: source '{figure.source}' is not under 'sources'"
            for path, figure in self.figures()
            if figure.source is not None and figure.source not in self.sources
        ]
        missing += [
            f"except_on.{kind}: '{name}' is neither in 'fusion' nor in 'adds'"
            for kind, names in self.except_on.items()
            for name in names
            if name not in self.fusion and name not in self.adds
        ]
        if "blocks" not in self.adds and any(profile.channel_blocks for profile in self.profiles.values()):
            missing.append("channel_blocks: 'adds' must have 'blocks', which says what works on them")
        if self.residuals is not None and self.residuals.source not in self.sources:
            missing.append(f"residuals: source '{self.residuals.source}' is not under 'sources'")
        if missing:
            raise ValueError("; ".join(missing))
        return self

    @property
    def counted(self) -> tuple[str, ...]:
        """Types of operators for which a profile has figures of their own."""
        return tuple(sorted({name for profile in self.profiles.values() for name in profile.operator_instructions}))

    def unsourced(self) -> list[str]:
        """Paths of the figures that do not say where they come from."""
        return [path for path, figure in self.figures() if not figure.is_sourced]

    def rules_on(self, engine_kind: str) -> tuple[tuple[str, ...], tuple[Added, ...]]:
        """Fusion rules, and what it adds, on a machine of which the first engine that it uses is of this kind."""
        out = next((names for kind, names in self.except_on.items() if kind == engine_kind), ())
        if not out:
            return self.fusion, self.adds
        return tuple(n for n in self.fusion if n not in out), tuple(n for n in self.adds if n not in out)

    def profile(self, engine_kind: str) -> Profile | None:
        """The profile for an engine kind; None where the runtime does not run on it."""
        return next((p for kind, p in self.profiles.items() if kind == engine_kind), self.profiles.get("default"))
