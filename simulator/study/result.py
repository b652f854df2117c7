"""What a sweep came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from simulator.errors import UsageError, did_you_mean
from simulator.result.quantities import TOTALS, Better
from simulator.study.axes import Axis
from simulator.study.recipe import Study
from simulator.study.records import html_of
from simulator.study.sweep import RESULTS, Columns, Tally

_SHOWN: Final = 20  # rows in a notebook


@dataclass(frozen=True)
class SweepResult:
    """The rows of a study: `columns` by name (all, or only the best of `tally.kept`), NaN without a value.

    `seconds` is how long it took, `notes` what estimates of it warn of.
    """

    study: Study
    axes: tuple[Axis, ...]
    columns: Columns
    tally: Tally
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Any:
        """A column by its name, its short name (`latency`) or the path of its axis."""
        return self.columns[self.key_of(name)]

    def key_of(self, name: str) -> str:
        """The column that a name means; UsageError with suggestions where none."""
        short = {**RESULTS, **{axis.name: axis.key for axis in self.axes}}
        key = short.get(name, name)
        if key not in self.columns:
            known = [*self.columns, *short]
            raise UsageError(f"no column '{name}'{did_you_mean(name, known)} (known: {', '.join(self.columns)})")
        return key

    def _repr_html_(self) -> str:
        """The first rows, in notebooks."""
        rows = [{name: values[row] for name, values in self.columns.items()} for row in range(min(len(self), _SHOWN))]
        reasons = [f"{count} points have no value: {reason}" for reason, count in self.tally.without.items()]
        more = [f"{len(self) - _SHOWN:,} more rows"] if len(self) > _SHOWN else []
        return html_of(rows, [*more, *reasons, *self.notes])

    def to_frame(self) -> Any:
        """A pandas DataFrame of the rows; the study is in its `attrs` (extra `pandas`)."""
        try:
            import pandas as pd  # type: ignore[import-untyped]
        except ImportError as error:
            raise UsageError("to_frame needs pandas: pip install 'nn-simulator[pandas]'") from error
        frame = pd.DataFrame(self.columns)
        frame.attrs["study"] = self.study.to_dict()
        return frame


@dataclass
class Best:
    """The best rows of a stream of blocks by one column."""

    key: str
    most: int
    better: Better = "less"
    columns: Columns = field(default_factory=dict)

    def add(self, columns: Columns, _: Tally) -> None:
        """Look at another block."""
        merged = {
            name: np.concatenate([self.columns[name], values]) if self.columns else values for name, values in columns.items()
        }
        values = merged[self.key]
        order = np.argsort(values if self.better == "less" else -values.astype(float), kind="stable")[: self.most]  # NaN last
        self.columns = {name: values[order] for name, values in merged.items()}


def better_of(key: str) -> Better:
    """Whether less or more of a column is better: as the totals say, more of accuracy and of fits, less of anything else."""
    if key in ("accuracy", "fits"):
        return "more"
    return next((total.better for total in TOTALS.values() if total.key == key), "less")


def joined(blocks: list[Columns], names: tuple[str, ...]) -> Columns:
    """Blocks of rows as one."""
    empty: Mapping[str, Any] = {name: np.empty(0) for name in names}
    return {name: np.concatenate([block[name] for block in blocks]) if blocks else empty[name] for name in names}
