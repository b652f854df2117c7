"""Published accuracies of a network as a person reads them: at its parameters with their sources, and a table of the others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

METRICS: Final = {"top1_percent": ("top-1", " %"), "top5_percent": ("top-5", " %"), "auc": ("AUC", "")}


class Accuracy(Protocol):
    """What a table needs of a published accuracy."""

    @property
    def metric(self) -> str:
        """Key of `METRICS`."""

    @property
    def value(self) -> float:
        """As printed by the publisher."""

    @property
    def dataset(self) -> str:
        """Where it was found."""

    @property
    def precision(self) -> str:
        """Of the network that it was found with."""

    @property
    def weights(self) -> str:
        """The publisher's name of the trained weights."""

    @property
    def note(self) -> str:
        """What else there is to know."""

    @property
    def source(self) -> str:
        """Key of the source."""


def show_accuracies(
    here: Sequence[Accuracy], elsewhere: Mapping[str, Sequence[Accuracy]], sources: Mapping[str, str]
) -> list[RenderableType]:
    """The accuracies at the parameters shown, those at others by these, and what the sources are."""
    if not here and not elsewhere:
        return []
    parts: list[RenderableType] = [Text(), Text("published accuracy", style="dim")]
    parts += [Padding(_line(accuracy), (0, 0, 0, 2)) for accuracy in sorted(here, key=_rank)]
    if not here:
        parts.append(Padding(Text("none at these parameters"), (0, 0, 0, 2)))
    if elsewhere:
        parts += [Text(), _others(elsewhere)]
    cited = dict.fromkeys(a.source for a in (*here, *(a for some in elsewhere.values() for a in some)))
    return [*parts, Text(), *(Text(f"[{key}] {sources[key]}", style="dim") for key in cited)]


def accuracy_text(value: float, metric: str) -> str:
    """`70.9 %`, or `0.85` of an area under a curve: digits that line up."""
    return f"{value:.2f}" if METRICS[metric][1] == "" else f"{value:.1f}{METRICS[metric][1]}"


def _rank(accuracy: Accuracy) -> tuple[str, float]:
    return accuracy.precision, -accuracy.value


def _line(accuracy: Accuracy) -> Text:
    """`70.9 % top-1 on ImageNet-1k  fp32  IMAGENET1K_V1  [torchvision]`."""
    name, unit = METRICS[accuracy.metric]
    head = f"{accuracy.value:g}{unit} {name}, {accuracy.precision}"
    more = ", ".join(part for part in (accuracy.weights, accuracy.note) if part)
    return Text.assemble((head, "bold"), f", {accuracy.dataset}", f" ({more})" if more else "", (f" [{accuracy.source}]", "dim"))


def _others(elsewhere: Mapping[str, Sequence[Accuracy]]) -> Table:
    """One line a set of parameters, the best figure in each precision."""
    precisions = sorted({a.precision for some in elsewhere.values() for a in some})
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("  at other parameters", no_wrap=True)
    for precision in precisions:
        table.add_column(precision, justify="right", no_wrap=True)
    for at, some in elsewhere.items():
        table.add_row(f"  {at.replace(',', ', ')}", *_bests(some, precisions))
    return table


def _bests(some: Iterable[Accuracy], precisions: Sequence[str]) -> Iterator[str]:
    for precision in precisions:
        found = [a for a in some if a.precision == precision]
        best = max(found, key=lambda a: a.value) if found else None
        yield "–" if best is None else accuracy_text(best.value, best.metric)
