"""Where to write: text that covers neither other text nor more of the picture than it must.

Greedy: each label tries its candidate places in order of taste and takes the cheapest that overlaps no text before it.
All arithmetic is in pixels of the figure's resolution; what is set on artists is in points, so any resolution will do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

Array = np.ndarray
Point = tuple[float, float]
Corner = Literal["upper left", "lower right", "upper right", "lower left"]

_PAD_PT: Final = 1.2  # free space around a label
_ACROSS: Final[tuple[Literal["left", "center", "right"], ...]] = ("left", "center", "right")
_UPWARDS: Final[tuple[Literal["bottom", "center", "top"], ...]] = ("bottom", "center", "top")
_STEP_PX: Final = 3.0  # lines are obstacles as dots this far apart
_ANGLES_DEG: Final = (0, 45, 135, 180, 315, 225, 90, 270, 22, 158, 338, 202)
_NEAR_PT: Final = 5.0  # a label within this distance needs no line to what it names
_REACH_PT: Final = (3.0, 8.0, 15.0, 24.0, 36.0, 50.0, 66.0, 90.0, 120.0)
_LINE_COST: Final = 0.05  # of hiding one dot of a faint line
_MARKER_COST: Final = 2.5
_LEADER_COST: Final = 0.5  # of one dot of the thin line of another label
_CORNERS: Final[tuple[Corner, ...]] = ("upper left", "lower right", "upper right", "lower left")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle turned about a pivot: its extents are relative to the pivot, before the turn."""

    pivot: Point
    left: float
    bottom: float
    right: float
    top: float
    angle_deg: float = 0.0

    @property
    def corners(self) -> Array:
        """The four corners, shape (4, 2)."""
        x, y = (
            np.array([self.left, self.right, self.right, self.left]),
            np.array([self.bottom, self.bottom, self.top, self.top]),
        )
        cos, sin = _turn(self.angle_deg)
        return np.stack([self.pivot[0] + x * cos - y * sin, self.pivot[1] + x * sin + y * cos], axis=1)

    def covered(self, dots: Array, radius: Array) -> Array:
        """Which of some discs, centres of shape (n, 2), this box touches."""
        cos, sin = _turn(self.angle_deg)
        dx, dy = dots[:, 0] - self.pivot[0], dots[:, 1] - self.pivot[1]
        x, y = dx * cos + dy * sin, dy * cos - dx * sin
        inside_x = (x > self.left - radius) & (x < self.right + radius)
        return np.asarray(inside_x & (y > self.bottom - radius) & (y < self.top + radius))

    def grown(self, pad: float) -> "Box":
        """The same with a margin."""
        return Box(self.pivot, self.left - pad, self.bottom - pad, self.right + pad, self.top + pad, self.angle_deg)


def _renderer(width_px: float, height_px: float, dpi: float) -> Any:
    """What measures text: one of its own, so that the figure keeps its canvas."""
    agg: Any = RendererAgg
    return agg(width_px, height_px, dpi)


def _turn(angle_deg: float) -> Point:
    return float(np.cos(np.deg2rad(angle_deg))), float(np.sin(np.deg2rad(angle_deg)))


def overlap(one: Box, other: Box) -> bool:
    """Whether two turned rectangles share area (separating axes)."""
    a, b = one.corners, other.corners
    for angle in (one.angle_deg, other.angle_deg):
        cos, sin = _turn(angle)
        for axis in ((cos, sin), (-sin, cos)):
            p, q = a @ np.array(axis), b @ np.array(axis)
            if p.max() <= q.min() or q.max() <= p.min():
                return False
    return True


@dataclass(frozen=True, slots=True)
class Spot:
    """A candidate place: offset from the anchor in pixels, alignment of the text there, and what it costs by taste."""

    anchor: Point
    offset: Point
    h_align: float  # 0 left, 0.5 centre, 1 right edge of the text at the place
    v_align: float  # 0 bottom, 0.5 middle, 1 top
    taste: float = 0.0
    angle_deg: float = 0.0
    leader: bool = False


@dataclass
class Placer:
    """Remembers what is taken. `dots` are discs that may be covered at a cost: x, y, radius, cost in columns."""

    ax: Axes
    taken: list[Box] = field(default_factory=list)
    dots: Array = field(default_factory=lambda: np.zeros((0, 4)))

    def __post_init__(self) -> None:
        figure = self.ax.figure
        width, height = figure.bbox.size
        self.renderer: Any = _renderer(width, height, figure.dpi)
        self.px_per_pt = figure.dpi / 72

    def to_px(self, xy: Array) -> Array:
        """Data coordinates → pixels, shape (n, 2)."""
        return np.asarray(self.ax.transData.transform(np.asarray(xy, np.float64).reshape(-1, 2)))

    def pixel(self, x: float, y: float) -> Point:
        """Data coordinates of one point → pixels."""
        ((px, py),) = self.to_px(np.array([x, y]))
        return float(px), float(py)

    def is_crowded(self, anchor: Point, radius_pt: float) -> bool:
        """Whether another marker is so near that it is not plain which one a label next to them means."""
        markers = self.dots[self.dots[:, 3] == _MARKER_COST]
        distance = np.hypot(markers[:, 0] - anchor[0], markers[:, 1] - anchor[1]) - markers[:, 2]
        near = distance < (radius_pt + _NEAR_PT) * self.px_per_pt
        return bool((near & (np.hypot(*(markers[:, :2] - anchor).T) > 1)).any())

    def avoid_markers(self, xy: Array, radius_pt: Array | float) -> None:
        """Markers at data coordinates are better left visible."""
        radius_px = np.broadcast_to(np.asarray(radius_pt) * self.px_per_pt, len(xy))
        distinct = np.unique(np.column_stack([self.to_px(xy), radius_px]).round(), axis=0)  # repeated layers coincide
        self._add(distinct[:, :2], distinct[:, 2], _MARKER_COST)

    def avoid_line(self, xy: Array, weight: float = 1.0) -> None:
        """So are lines between data coordinates, the more the higher their weight."""
        px = self.to_px(xy)
        for start, end in pairwise(px):
            count = max(2, int(np.hypot(*(end - start)) / _STEP_PX))
            self._add(np.linspace(start, end, count), np.full(count, self.px_per_pt), weight * _LINE_COST)

    def _add(self, dots: Array, radius: Array, cost: float) -> None:
        self.dots = np.vstack([self.dots, np.column_stack([dots, radius, np.full(len(dots), cost)])])

    def cost(self, box: Box) -> float:
        """What a box hides."""
        return float(self.dots[box.covered(self.dots[:, :2], self.dots[:, 2]), 3].sum())

    def size_px(self, text: str, font: FontProperties) -> Point:
        """Width and height of one line of text; every line is as high as one with an ascender and a descender."""
        width, height, _ = self.renderer.get_text_width_height_descent(text, font, ismath=False)
        _, line, _ = self.renderer.get_text_width_height_descent("lp", font, ismath=False)
        return width, max(height, line)

    def visible(self, xy: Array) -> tuple[Point, Point]:
        """The part of a straight line between data coordinates that is inside the axes, in pixels."""
        (x0, y0), (x1, y1) = self.to_px(xy)
        frame, t_low, t_high = self.ax.bbox, 0.0, 1.0
        for start, span, low, high in ((x0, x1 - x0, frame.x0, frame.x1), (y0, y1 - y0, frame.y0, frame.y1)):
            if span:
                t_near, t_far = sorted(((low - start) / span, (high - start) / span))
                t_low, t_high = max(t_low, t_near), min(t_high, t_far)
        return (x0 + t_low * (x1 - x0), y0 + t_low * (y1 - y0)), (x0 + t_high * (x1 - x0), y0 + t_high * (y1 - y0))

    def corners(self) -> list[Spot]:
        """The corners of the axes, those at the bottom first, then places between them."""
        inset = 3.0 * self.px_per_pt
        places = [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
        places += [(float(h), float(v)) for v in np.linspace(0, 1, 17) for h in (1.0, 0.5, 0.0) if 0 < v < 1 or h == 0.5]
        return [
            Spot(self._corner(h, v), (inset * (1 - 2 * h), inset * (1 - 2 * v)), h, round(2 * v) / 2, 0.1 * rank)
            for rank, (h, v) in enumerate(places)
        ]

    def _corner(self, h: float, v: float) -> Point:
        frame = self.ax.bbox
        return frame.x0 + h * frame.width, frame.y0 + v * frame.height

    def place_legend(self, legend: Legend) -> None:
        """The corner where it hides least."""
        hidden = []
        for corner in _CORNERS:
            legend.set_loc(corner)
            hidden.append(self.cost(self._window(legend)))
        legend.set_loc(_CORNERS[int(np.argmin(hidden))])
        self.taken.append(self._window(legend))

    def _window(self, legend: Legend) -> Box:
        extent = legend.get_window_extent(self.renderer)
        return Box((extent.x0, extent.y0), 0, 0, extent.width, extent.height)

    def write(
        self,
        text: str,
        spots: Iterable[Spot],
        *,
        size_pt: float,
        color: str,
        bold: bool = False,
        limit: float = np.inf,
    ) -> Annotation | None:
        """Write `text` at the cheapest spot that is free and inside the axes; without any, or none below `limit`: None.

        Without a limit a label is rather led to by a line across other text than left out.
        """
        font = FontProperties(size=size_pt, weight="bold" if bold else "normal")
        size = self.size_px(text, font)
        priced = sorted(((self._price(spot, _box(spot, size)), rank, spot) for rank, spot in enumerate(spots)))
        affordable = [spot for price, _, spot in priced if price <= limit]
        spot = next((s for s in affordable if self._is_free(_box(s, size)) and self._is_clear(s)), None)
        if spot is None and limit == np.inf:
            spot = next((s for s in affordable if self._is_free(_box(s, size))), None)
        if spot is None:
            return None
        self.taken.append(_box(spot, size))
        if spot.leader:
            end = np.add(spot.anchor, spot.offset)
            count = max(2, int(np.hypot(*spot.offset) / _STEP_PX))
            self._add(np.linspace(spot.anchor, end, count), np.ones(count), _LEADER_COST)
        return self._annotate(text, spot, font, color)

    def _is_free(self, box: Box) -> bool:
        frame = self.ax.bbox
        corners = box.corners
        inside = (corners >= (frame.x0, frame.y0)).all() and (corners <= (frame.x1, frame.y1)).all()
        padded = box.grown(_PAD_PT * self.px_per_pt)
        return bool(inside) and not any(overlap(padded, other) for other in self.taken)

    def _price(self, spot: Spot, box: Box) -> float:
        """What a label hides, with a share of what its thin line crosses, and how far from the ideal it is."""
        if not spot.leader:
            return spot.taste + self.cost(box)
        elsewhere = np.hypot(self.dots[:, 0] - spot.anchor[0], self.dots[:, 1] - spot.anchor[1]) > 2
        crossed = self.dots[_line_box(spot).covered(self.dots[:, :2], self.dots[:, 2]) & elsewhere, 3].sum()
        return spot.taste + self.cost(box) + 0.3 * float(crossed)

    def _is_clear(self, spot: Spot) -> bool:
        """Whether the thin line from the label to what it names crosses no text."""
        return not spot.leader or not any(overlap(_line_box(spot), other) for other in self.taken)

    def _annotate(self, text: str, spot: Spot, font: FontProperties, color: str) -> Annotation:
        x, y = self.ax.transData.inverted().transform(spot.anchor)
        arrow = {
            "arrowstyle": "-", "linewidth": 0.5, "color": color, "shrinkA": 0.5, "shrinkB": 0.0,
            "relpos": (spot.h_align, spot.v_align),
        }  # fmt: skip
        return self.ax.annotate(
            text, xy=(float(x), float(y)), xytext=(spot.offset[0] / self.px_per_pt, spot.offset[1] / self.px_per_pt),
            textcoords="offset points", rotation=spot.angle_deg, rotation_mode="anchor", fontproperties=font, color=color,
            ha=_ACROSS[int(2 * spot.h_align)], va=_UPWARDS[int(2 * spot.v_align)], annotation_clip=False, zorder=6,
            arrowprops=arrow if spot.leader else None,
            path_effects=[withStroke(linewidth=1.6, foreground="white", alpha=0.85)],
        )  # fmt: skip


def _line_box(spot: Spot) -> Box:
    """The thin line from what a label names to the label."""
    length, angle = float(np.hypot(*spot.offset)), float(np.rad2deg(np.arctan2(spot.offset[1], spot.offset[0])))
    return Box(spot.anchor, 0, -1, length, 1, angle)


def _box(spot: Spot, size: Point) -> Box:
    width, height = size
    pivot = (spot.anchor[0] + spot.offset[0], spot.anchor[1] + spot.offset[1])
    left, bottom = -spot.h_align * width, -spot.v_align * height
    return Box(pivot, left, bottom, left + width, bottom + height, spot.angle_deg)


def around(anchor: Point, radius_pt: float, px_per_pt: float, *, leader: bool = False, farthest_pt: float = np.inf) -> list[Spot]:
    """Places about a marker, the nearest first; with a thin line back to it from some distance on, or everywhere."""
    spots = []
    for reach in (r for r in _REACH_PT if r <= farthest_pt):
        for rank, angle in enumerate(_ANGLES_DEG):
            cos, sin = _turn(angle)
            distance = (radius_pt + reach) * px_per_pt
            h_align = 0.5 if abs(cos) < 0.3 else float(cos < 0)
            v_align = 0.5 if abs(sin) < 0.3 else float(sin < 0)
            taste = 0.03 * reach + 0.02 * rank
            offset = (distance * cos, distance * sin)
            spots.append(Spot(anchor, offset, h_align, v_align, taste, leader=leader or reach > _NEAR_PT))
    return spots


def along(start: Point, end: Point, gap_px: float, *, from_end: bool) -> list[Spot]:
    """Places on both sides of a line, turned with it; the near end first, the upper side before the lower one."""
    angle = float(np.rad2deg(np.arctan2(end[1] - start[1], end[0] - start[0])))
    cos, sin = _turn(angle)
    spots = []
    for step in np.linspace(0.0, 1.0, 41):
        t = 1.0 - step if from_end else step
        anchor = (start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1]))
        for side, taste in ((1.0, 0.0), (-1.0, 0.35)):
            offset = (-sin * gap_px * side, cos * gap_px * side)
            spots.append(Spot(anchor, offset, float(from_end), 0.0 if side > 0 else 1.0, taste + 0.8 * step, angle))
    return spots
