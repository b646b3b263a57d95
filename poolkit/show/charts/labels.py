"""Placing labels so that none covers another, a line, a point, or leaves the axes.

What is drawn on a pair of axes is marked in its `Room`. Each label takes the free place nearest to
what it names, and is tied to it by a thin line where that is not beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from poolkit.show.charts import style
from poolkit.show.charts.room import PAD, Along, Point, Room


def renderer(figure: Figure) -> Any:
    """The renderer that text is measured with."""
    canvas: Any = figure.canvas
    if hasattr(canvas, "get_renderer"):
        return canvas.get_renderer()
    agg: Any = FigureCanvasAgg(figure)
    return agg.get_renderer()


class Placer:
    """The room of one pair of axes; limits and scales must be final before it is made."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        figure = axes.get_figure(root=True)
        assert figure is not None
        self.renderer = renderer(figure)
        box = axes.get_window_extent(self.renderer)
        self._origin = np.array([box.x0, box.y0])
        self._room = Room(max(1, int(box.width)), max(1, int(box.height)))

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
                at = (x0 + t * (x1 - x0), y0 + t * (y1 - y0))
                self._room.take(at, (width, width), soft=soft)

    def take_points(self, xs: Sequence[float], ys: Sequence[float], *, size: float = 5) -> None:
        """Mark markers as taken."""
        for x, y in zip(xs, ys, strict=True):
            self._room.take(self.pixels(x, y), (size, size))

    def take_band(self, x0: float, x1: float) -> None:
        """Mark a vertical band as better left free."""
        left, right = self.pixels(x0, 0)[0], self.pixels(x1, 0)[0]
        half = self._room.shape[0] / 2
        self._room.take(((left + right) / 2, half), (max(2.0, (right - left) / 2), half), soft=True)

    def take_text(self, text: Text) -> None:
        """Mark a text that already stands as taken."""
        box = text.get_window_extent(self.renderer)
        x, y = (box.x0 + box.x1) / 2 - self._origin[0], (box.y0 + box.y1) / 2 - self._origin[1]
        self._room.take_words((x, y), (box.width / 2 + PAD, box.height / 2 + PAD))

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
        along: Along = "",
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
        half = (box.width / 2 + PAD, box.height / 2 + PAD)
        anchor = self.pixels(*at)
        middle = self._room.place(half, anchor, side, along)
        assert middle is not None, "without `within` there is always a place"
        rows, columns = self._room.shape
        text.set_transform(self.axes.transAxes)
        text.set_position((middle[0] / columns, middle[1] / rows))
        self._room.take_words(middle, half)
        tie = self._room.tie(middle, half, anchor, along)
        if tie is not None:
            (x0, y0), (x1, y1) = tie
            self.axes.plot(
                (x0 / columns, x1 / columns),
                (y0 / rows, y1 / rows),
                color=colour,
                linewidth=0.8,
                transform=self.axes.transAxes,
                zorder=8,
            )
            self._room.take_tie(*tie)
        return text
