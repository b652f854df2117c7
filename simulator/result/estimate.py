"""The estimate as users hold it: a prediction that can be written out."""

from typing import Any

from simulator.result.document import to_dict, to_frame
from simulator.result.prediction import Prediction


class Estimate(Prediction):
    """What one inference of the whole batch takes; see `Prediction` for its fields."""

    def to_dict(self) -> dict[str, object]:
        """The JSON object of docs/json.md."""
        return to_dict(self)

    def to_frame(self) -> Any:
        """One row a kernel, as a pandas DataFrame (extra `pandas`)."""
        return to_frame(self)
