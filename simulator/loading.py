"""Networks, machines and runtimes by file or catalogue name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.errors import NotFoundError, UsageError
from simulator.io.hardware_reader import load_runtime, load_spec
from simulator.io.onnx_reader import parse_model, read_onnx
from simulator.machine.runtime import RuntimeSpec
from simulator.machine.spec import HardwareSpec
from simulator.model import Model
from simulator.resolve.dims import DimOptions
from simulator.resolve.resolver import resolve
from simulator.transform.resolution import shapes_at

if TYPE_CHECKING:
    from simulator.study.scenario import Loading, Scenario


def load_model(
    model: str | Path,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    allow_unknown: bool = False,
) -> Model:
    """A network from an ONNX file, or from the catalogue (`mobilenet_v2`, `mobilenet_v2:width=0.5,resolution=96`).

    Args:
        model: path of an ONNX file, or a catalogue name with parameters.
        batch: the batch to run at; also for files exported with a fixed one.
        dims: sizes of symbolic dimensions by name.
        input_shapes: shapes of inputs by name.
        allow_unknown: count operators without a rule by their bytes, instead of refusing the model.

    Raises:
        ModelError: the file cannot be read or contradicts itself (UnknownOperatorError, ShapeError).
        NotFoundError: no such file or catalogue entry.
        UsageError: the options do not fit the model.
    """
    shapes = {name: tuple(int(d) for d in shape) for name, shape in (input_shapes or {}).items()}
    options = DimOptions(batch, dict(dims or {}), shapes)
    raw = read_onnx(Path(model)) if is_file(model) else parse_model(_recipe_bytes(str(model)), str(model))
    return Model(resolve(raw, options, allow_unknown=allow_unknown))


def is_file(model: str | Path) -> bool:
    """A path, or what looks like one: an existing file, a suffix, a folder in front."""
    if isinstance(model, Path):
        return True
    name = model.partition(":")[0]
    try:
        exists = bool(model) and Path(model).exists()  # the empty path is the folder one is in
    except OSError:  # too long a name, for one
        exists = False
    return exists or "/" in model or "\\" in model or bool(Path(name).suffix)


def _recipe_bytes(reference: str) -> memoryview:
    """A catalogue network as a serialized ONNX model."""
    from simulator import zoo

    recipe, params = zoo.parse_reference(reference)
    return memoryview(zoo.build(recipe, **params).SerializeToString())


@dataclass
class Files:
    """Where studies find what they name: files, the catalogue, and objects that are `given` under a name of their own."""

    allow_unknown: bool = False
    models: dict[str, Model] = field(default_factory=dict)
    machines: dict[str, HardwareSpec] = field(default_factory=dict)
    runtimes: dict[str, RuntimeSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._model = lru_cache(maxsize=16)(self._loaded)
        self._spec = lru_cache(maxsize=None)(load_spec)

    def model(self, reference: str, loading: "Loading") -> Model:
        """A network; UsageError where one that was handed over as an object should be read otherwise."""
        return self._model(reference, loading)

    def _loaded(self, reference: str, loading: "Loading") -> Model:
        given = self.models.get(reference)
        if given is not None:
            if loading != type(loading)():
                raise UsageError(f"{given.name} is read already: batch, dimensions and parameters are set where it is loaded")
            return given
        parameters = loading.parameters
        if parameters:
            reference = with_parameters(reference, dict(parameters))
        dims, shapes = {name: int(size) for name, size in loading.dims}, dict(loading.input_shapes)
        if loading.resolution is not None:
            plain = load_model(reference, dims=dims, input_shapes=shapes, allow_unknown=self.allow_unknown)
            shapes = {**shapes, **shapes_at(plain.graph, loading.resolution)}
        return load_model(
            reference, batch=loading.batch, dims=dims, input_shapes=shapes, allow_unknown=self.allow_unknown
        )  # fmt: skip

    def parameters(self, reference: str) -> tuple[str, ...]:
        """Names of the parameters of a catalogue network; none of files and objects. NotFoundError where there is neither."""
        if reference in self.models:
            return ()
        if is_file(reference):
            if not Path(reference).exists():
                raise NotFoundError(f"no such file: {reference}")
            return ()
        from simulator import zoo

        return tuple(zoo.find_recipe(zoo.parse_reference(reference)[0]).parameters)

    def accuracy(self, scenario: "Scenario") -> float | None:
        """The published accuracy of a catalogue network, in its precision; None for files, objects and what nobody published."""
        reference, loading = scenario.model, scenario.loading
        if reference in self.models or is_file(reference) or loading.input_shapes or loading.resolution is not None:
            return None
        from simulator import zoo

        named = with_parameters(reference, dict(loading.parameters)) if loading.parameters else reference
        found = zoo.accuracy_of(named, scenario.precision)
        return None if found is None else found.value

    def hardware(self, reference: str) -> HardwareSpec:
        """A machine."""
        return self.machines.get(reference) or self._spec(reference)

    def runtime(self, reference: str) -> RuntimeSpec:
        """A runtime profile."""
        return self.runtimes.get(reference) or load_runtime(reference)


def with_parameters(reference: str, parameters: Mapping[str, str]) -> str:
    """A catalogue reference with some parameters set, in the place of values that it has for them."""
    name, _, rest = reference.partition(":")
    pairs = (part.partition("=") for part in rest.split(",") if part.strip())
    merged = {**{key.strip(): value.strip() for key, _, value in pairs}, **parameters}
    return f"{name}:{','.join(f'{key}={value}' for key, value in merged.items())}"
