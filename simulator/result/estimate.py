"""The estimate as users hold it: a prediction that can be written out."""

from typing import TYPE_CHECKING, Any, ClassVar

from simulator.result.document import to_dict, to_frame
from simulator.result.prediction import Prediction
from simulator.schedule.branches import branches_of
from simulator.schedule.overlap import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.schedule.timeline import Timeline


class Estimate(Prediction):
    """What one inference of the whole batch takes; see `Prediction` for its fields.

    `html` writes it for notebooks; the public surface sets it, for what a report looks like is not known here.
    """

    html: ClassVar["Callable[[Estimate], str] | None"] = None

    def _repr_html_(self) -> str | None:
        """A small table, in notebooks."""
        return None if Estimate.html is None else Estimate.html(self)

    def to_dict(self) -> dict[str, object]:
        """The JSON object of docs/json.md."""
        return to_dict(self)

    def to_frame(self) -> Any:
        """One row a kernel, as a pandas DataFrame (extra `pandas`)."""
        return to_frame(self)

    def terms(self) -> Terms:
        """What the overlap policy combines into the kernels' times."""
        return Terms.in_order(self.cost, self.prepared.occupancy.live_bytes, branches_of(self.prepared.kernels, self.engines))

    def timeline(self) -> "Timeline":
        """What happens when: events of engines, memories and launches, from 0 to the latency."""
        from simulator.schedule.timeline import timeline

        return timeline(self.cost, self.terms(), self.engines, self.overlap, self.latency_s, self.waiting_s)
