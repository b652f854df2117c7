"""What another resolution means for a network from a file: shapes of its image inputs, to load it with.

No rewrite: a file computes shapes from that of its input, so the resolver has to see the wanted one.
"""

import re
from collections.abc import Mapping

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.graph.types import Role, Shape, TensorSpec

_MOST_CHANNELS = 16  # colours and bands: a side of an image is longer
_SHOWN = 4  # inputs in a message
_SIDES = re.compile(r"(\d+)(?:x(\d+))?", re.ASCII)


def resolution_of(text: str) -> tuple[int, int]:
    """Height and width that `160` or `160x224` states.

    Raises:
        UsageError: neither form, or a side of 0.
    """
    found = _SIDES.fullmatch(text.strip())
    sides = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not all(sides):
        raise UsageError(f"resolution={text}: write a side as in 160, or height x width as in 160x224")
    return sides


def shapes_at(graph: Graph, resolution: str) -> Mapping[str, Shape]:
    """The shapes of all image inputs at a resolution, by name: `input_shapes` of `load_model`.

    An image is an input of four dimensions whose second (channels first) or last (channels last) is the shortest.

    Raises:
        UsageError: no resolution, or no input that is an image.
    """
    sides = resolution_of(resolution)
    shapes = {name: shape for name in graph.inputs if (shape := _at(graph.tensors[name], sides)) is not None}
    if not shapes:
        shown = ", ".join(f"{name} {list(graph.tensors[name].shape or ())}" for name in graph.inputs[:_SHOWN]) or "none"
        inputs = shown + (" …" if len(graph.inputs) > _SHOWN else "")
        raise UsageError(f"resolution={resolution}: no input is an image of height and width (inputs: {inputs})")
    return shapes


def _at(spec: TensorSpec, sides: tuple[int, int]) -> Shape | None:
    if spec.shape is None or spec.rank != 4 or spec.role is not Role.INPUT:
        return None
    batch, first, second, last = spec.shape
    if first <= min(last, _MOST_CHANNELS):
        return batch, first, *sides
    return (batch, *sides, last) if last <= _MOST_CHANNELS and last < second else None
