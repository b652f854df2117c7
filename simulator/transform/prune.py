"""Fewer or more channels: structured pruning and the width multiplier of MobileNets."""

from collections.abc import Callable

from simulator.errors import UsageError
from simulator.graph.graph import Graph
from simulator.transform.change import change, number_of
from simulator.transform.groups import channel_groups
from simulator.transform.resized import resized
from simulator.transform.rounding import kept_channels, scaled_channels
from simulator.transform.select import matches, nothing_fits, parted

_MOST_REMOVED = 0.99
_DIVISOR = ":divisor="
_WHAT = "channels that could be changed: those of its inputs, outputs and attention heads stay"


@change(
    "channels",
    values="0.5, 50%, 0.5@layer3.*, 0.5:divisor=8",
    caveat="the channels removed take accuracy with them; which ones are least needed is not looked at",
)
def channels(graph: Graph, text: str) -> Graph:
    """Remove this share of the channels of every group that changes together (structured pruning)."""
    value, divisor = _divisor("channels", text)
    share, pattern = parted("channels", value)
    removed = number_of("channels", share, low=0.0, high=_MOST_REMOVED)
    return _with_channels(graph, "channels", text, pattern, lambda count: kept_channels(count, removed, divisor))


@change(
    "width",
    values="0.75, 1.4, 2@layer*.conv2",
    caveat="the network must be trained again at that width",
)
def width(graph: Graph, text: str) -> Graph:
    """Multiply the channels of every group by this factor, to a multiple of 8 as MobileNets do."""
    factor, pattern = parted("width", text)
    alpha = number_of("width", factor, low=0.05, high=8.0)
    return _with_channels(graph, "width", text, pattern, lambda count: scaled_channels(count, alpha))


def _divisor(name: str, text: str) -> tuple[str, int]:
    """`VALUE[:divisor=N]` in two."""
    value, given, number = text.partition(_DIVISOR)
    if not given:
        return value, 1
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(f"{name}={text}: the divisor must be a whole number from 1, as in {name}=0.5:divisor=8")
    return value, int(number)


def _with_channels(graph: Graph, name: str, text: str, pattern: str, scaled: Callable[[int], int]) -> Graph:
    """The graph with groups of another size; groups of a convolution stay as many, each of another size."""
    found, ops = channel_groups(graph), {op.name: op for op in graph.ops}
    chosen = [group for group in found.groups if any(matches(ops[maker], pattern) for maker in group.makers)]
    if not chosen:
        raise nothing_fits(name, text, pattern, _WHAT, (maker for group in found.groups for maker in group.makers))
    sizes = {group.unknown: max(1, int(scaled(group.channels) / group.alike + 0.5)) for group in chosen}
    return resized(graph, found, sizes)
