"""Placing labels so that none covers another, a line, a point, or leaves the axes.

The axes become a grid of pixels. What must stay readable is painted as taken; what may be crossed
at need (a band) costs a little. Each label takes the free place nearest to what it names, and is
tied to it by a thin line where that is not beside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from poolkit.charts import style

_PAD = 3  # px of air around a label
_STEP = 4  # px between the places tried
_BESIDE = 16  # px; nearer than this a label needs no line to what it names
_GAP = 5  # px between a label and what it names, where there is room
_TRIED = 300  # places looked at for one whose connecting line crosses no other label
_CROSSED = 60.0  # px of distance that covering a soft thing completely is worth

Point = tuple[float, float]


def renderer(figure: Figure) -> Any:
    """The renderer that text is measured with."""
    canvas: Any = figure.canvas
    if hasattr(canvas, "get_renderer"):
        return canvas.get_renderer()
    agg: Any = FigureCanvasAgg(figure)
    return agg.get_renderer()


class Placer:
    """The taken pixels of one pair of axes; limits and scales must be final before it is made."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        figure = axes.get_figure(root=True)
        assert figure is not None
        self.renderer = renderer(figure)
        box = axes.get_window_extent(self.renderer)
        self._origin = np.array([box.x0, box.y0])
        self._shape = (max(1, int(box.height)), max(1, int(box.width)))
        self._hard = np.zeros(self._shape, dtype=np.float64)
        self._soft = np.zeros(self._shape, dtype=np.float64)
        self._words = np.zeros(self._shape, dtype=np.float64)

    def pixels(self, x: float, y: float) -> Point:
        """Where a point of the data lies, in pixels from the lower left corner of the axes."""
        at = self.axes.transData.transform((x, y)) - self._origin
        return float(at[0]), float(at[1])

    def take_line(
        self, xs: Sequence[float], ys: Sequence[float], *, width: float = 3, soft: bool = False
    ) -> None:
        """Mark a line through points of the data as taken."""
        corners = [self.pixels(x, y) for x, y in zip(xs, ys, strict=True)]
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            steps = max(2, int(max(abs(x1 - x0), abs(y1 - y0)) / 2))
            for t in np.linspace(0.0, 1.0, min(steps, 4000)):
                self._take(x0 + t * (x1 - x0), y0 + t * (y1 - y0), width, width, soft)

    def take_points(self, xs: Sequence[float], ys: Sequence[float], *, size: float = 5) -> None:
        """Mark markers as taken."""
        for x, y in zip(xs, ys, strict=True):
            self._take(*self.pixels(x, y), size, size, soft=False)

    def take_band(self, x0: float, x1: float) -> None:
        """Mark a vertical band as better left free."""
        left, right = self.pixels(x0, 0)[0], self.pixels(x1, 0)[0]
        middle, half = (left + right) / 2, max(2.0, (right - left) / 2)
        self._take(middle, self._shape[0] / 2, half, self._shape[0] / 2, soft=True)

    def take_text(self, text: Text) -> None:
        """Mark a text that already stands as taken."""
        box = text.get_window_extent(self.renderer)
        x, y = (box.x0 + box.x1) / 2 - self._origin[0], (box.y0 + box.y1) / 2 - self._origin[1]
        self._take(x, y, box.width / 2 + _PAD, box.height / 2 + _PAD, soft=False)
        self._paint(self._words, x, y, box.width / 2, box.height / 2)

    def extent(self, text: Text) -> Bbox:
        """The box of a text, in pixels of the figure."""
        return text.get_window_extent(self.renderer)

    def put(
        self,
        words: str,
        at: Point,
        *,
        colour: str,
        side: Point = (0, 0),
        along: Literal["", "x", "y"] = "",
        **kw: object,
    ) -> Text:
        """Write `words` as near as possible to the data point `at`.

        `side` is where it should stand: (0, 1) above, (-1, 0) to the left. `along` says that `at`
        is only one point of a horizontal ("x") or vertical ("y") line, and any other would do.
        """
        arguments: dict[str, Any] = {"fontsize": style.LABEL_SIZE, "linespacing": 1.15, **kw}
        text = self.axes.text(
            0, 0, words, color=colour, ha="center", va="center", zorder=9, **arguments
        )
        box = text.get_window_extent(self.renderer)
        half = (box.width / 2 + _PAD, box.height / 2 + _PAD)
        anchor = self.pixels(*at)
        ideal = (
            anchor[0] + side[0] * (half[0] + _GAP),
            anchor[1] + side[1] * (half[1] + _GAP),
        )
        x, y = self._best(half, ideal, anchor, along)
        text.set_transform(self.axes.transAxes)
        text.set_position((x / self._shape[1], y / self._shape[0]))
        self._take(x, y, *half, soft=False)
        self._paint(self._words, x, y, half[0] - _PAD, half[1] - _PAD)
        self._tie((x, y), half, _nearest_on((x, y), anchor, along), colour)
        return text

    def _best(self, half: Point, ideal: Point, anchor: Point, along: str) -> Point:
        rows, columns = self._shape
        grid_x, grid_y = np.meshgrid(
            np.arange(half[0] + 1, max(half[0] + 2, columns - half[0] - 1), _STEP),
            np.arange(half[1] + 1, max(half[1] + 2, rows - half[1] - 1), _STEP),
        )
        xs, ys = grid_x.ravel(), grid_y.ravel()
        # Sliding along the line that it names costs a label little.
        cost = np.hypot(
            (xs - ideal[0]) * (0.1 if along == "x" else 1.0),
            (ys - ideal[1]) * (0.1 if along == "y" else 1.0),
        )
        cost += _CROSSED * _covered(self._soft, xs, ys, half) / (4 * half[0] * half[1])
        # Any taken pixel outweighs every distance, so the least bad place wins when none is free.
        cost += 1e5 * np.minimum(1.0, 0.05 * _covered(self._hard, xs, ys, half))
        for place in np.argsort(cost, kind="stable")[:_TRIED]:
            middle = (float(xs[place]), float(ys[place]))
            if not self._tie_crosses_words(middle, half, _nearest_on(middle, anchor, along)):
                return middle
        best = int(np.argmin(cost))
        return float(xs[best]), float(ys[best])

    def _tie_crosses_words(self, middle: Point, half: Point, anchor: Point) -> bool:
        start = _edge(middle, half, anchor)
        if math.dist(start, anchor) < _BESIDE:
            return False
        rows, columns = self._shape
        t = np.linspace(0.0, 1.0, 50)
        xs = np.clip(start[0] + t * (anchor[0] - start[0]), 0, columns - 1).astype(int)
        ys = np.clip(start[1] + t * (anchor[1] - start[1]), 0, rows - 1).astype(int)
        return bool(self._words[ys, xs].any())

    def _tie(self, middle: Point, half: Point, anchor: Point, colour: str) -> None:
        start = _edge(middle, half, anchor)
        if math.dist(start, anchor) < _BESIDE:
            return
        rows, columns = self._shape
        xs, ys = (start[0] / columns, anchor[0] / columns), (start[1] / rows, anchor[1] / rows)
        self.axes.plot(xs, ys, color=colour, linewidth=0.8, transform=self.axes.transAxes, zorder=8)
        for t in np.linspace(0.0, 1.0, 60):
            x, y = start[0] + t * (anchor[0] - start[0]), start[1] + t * (anchor[1] - start[1])
            self._take(x, y, 2, 2, soft=False)

    def _take(self, x: float, y: float, half_x: float, half_y: float, soft: bool) -> None:
        self._paint(self._soft if soft else self._hard, x, y, half_x, half_y)

    def _paint(
        self, grid: NDArray[np.float64], x: float, y: float, half_x: float, half_y: float
    ) -> None:
        rows, columns = self._shape
        top, bottom = int(min(rows, y + half_y + 1)), int(max(0, y - half_y))
        right, left = int(min(columns, x + half_x + 1)), int(max(0, x - half_x))
        if top > bottom and right > left:
            grid[bottom:top, left:right] = 1.0


def _edge(middle: Point, half: Point, anchor: Point) -> Point:
    """The point of a label's box that is nearest to `anchor`."""
    return (
        min(max(anchor[0], middle[0] - half[0]), middle[0] + half[0]),
        min(max(anchor[1], middle[1] - half[1]), middle[1] + half[1]),
    )


def _nearest_on(middle: Point, anchor: Point, along: str) -> Point:
    """The point of the named line that is nearest to a label."""
    if along == "x":
        return middle[0], anchor[1]
    if along == "y":
        return anchor[0], middle[1]
    return anchor


def _covered(
    taken: NDArray[np.float64], xs: NDArray[np.float64], ys: NDArray[np.float64], half: Point
) -> NDArray[np.float64]:
    """Taken pixels below a box around each (x, y), by a summed-area table."""
    sums = np.zeros((taken.shape[0] + 1, taken.shape[1] + 1))
    sums[1:, 1:] = taken.cumsum(axis=0).cumsum(axis=1)
    top = np.clip(ys + half[1], 0, taken.shape[0]).astype(int)
    bottom = np.clip(ys - half[1], 0, taken.shape[0]).astype(int)
    right = np.clip(xs + half[0], 0, taken.shape[1]).astype(int)
    left = np.clip(xs - half[0], 0, taken.shape[1]).astype(int)
    covered: NDArray[np.float64] = (
        sums[top, right] - sums[bottom, right] - sums[top, left] + sums[bottom, left]
    )
    return covered
