"""Changes of a network's structure; importing this registers all of them (`change.CHANGES`)."""

from simulator.transform.excited import squeeze_excite
from simulator.transform.factored import grouped, low_rank, separable
from simulator.transform.prune import channels, width

__all__ = ["channels", "grouped", "low_rank", "separable", "squeeze_excite", "width"]
