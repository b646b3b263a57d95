"""What stays still while sliders move: axes and measured curve, painted once and kept as pixels.

Names are placed anew for each picture, where nothing painted lies: every pixel that a line changed
is taken, so no list of what was drawn can be wrong.

matplotlib paints lines and letters; the two pairs of axes are arithmetic here, because building
matplotlib's own takes longer than all of the painting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform
from numpy.typing import NDArray

from poolkit.show.charts import style
from poolkit.show.charts.live_pixels import Box, Plot, png, round_numbers
from poolkit.show.charts.live_sight import Points, Sight
from poolkit.show.charts.room import PAD, Along, Point, Room
from poolkit.units import number

LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 66, 14, 54, 46, 16  # px around and between the two plots
_TICK = 4  # px
_TICK_ROOM = 34  # px between two named sizes
_LONG = 1e5  # from here on a figure at the axis is told in thousands
_FAR = 50  # px; a name that may be left out is, where it would stand further off


class Stage:
    """A painted background, and what paints over it.

    State: the pixels; those of the bare background and which of them the curve changed; since
    `draw_lines` those before the lines; since `place_names` which pixels lines `taken`, rows from
    the lowest, what room is left, and the boxes (px: left, bottom, right, top) of what is `named`.
    """

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.paper = style.DARK[style.PAPER] if sight.dark else "#ffffff"
        size = (sight.width / style.DPI, sight.height / style.DPI)
        self.figure = Figure(figsize=size, dpi=style.DPI, facecolor=self.paper)
        canvas: Any = FigureCanvasAgg(self.figure)  # its methods have no types
        self.canvas = canvas
        right, top = sight.width - RIGHT, sight.height - TOP
        middle = BOTTOM + 0.3 * (top - BOTTOM - BETWEEN)
        self.times = Plot(
            (LEFT, BOTTOM, right, middle), sight.limits, -0.04 * sight.times_top, sight.times_top
        )
        self.throughput = Plot((LEFT, middle + BETWEEN, right, top), sight.limits, 0.0, sight.top)
        self.canvas.draw()
        self._knee()
        self._axes()
        self._band()
        self._before = self._seen()
        self._curve()
        self._measured = self._seen() != self._before
        self._pixels = self.canvas.copy_from_bbox(self.figure.bbox)
        self._rooms: dict[Plot, Room] = {}
        self.taken = self._measured[::-1]
        self.named: dict[str, Box] = {}

    def clear(self) -> None:
        """Back to the bare background, on which tints may be painted."""
        self.canvas.restore_region(self._pixels)

    def draw_lines(self) -> None:
        """From here on what is painted must not be covered by a name."""
        self._before = self._seen()

    def place_names(self) -> None:
        """From here on names are placed; all lines are there."""
        self.taken = (self._measured | (self._seen() != self._before))[::-1]
        self.named = {}
        for plot in (self.throughput, self.times):
            left, bottom, right, top = (round(edge) for edge in plot.box)
            rows = self.taken[bottom:top, left:right]
            self._rooms[plot] = room = Room(right - left, top - bottom, rows)
            if self.sight.knee is not None:
                x0, x1 = (self.x(size) - left for size in self._knee_ends())
                half = ((x1 - x0) / 2, (top - bottom) / 2)
                room.take(((x0 + x1) / 2, half[1]), half, soft=True)

    def _seen(self) -> NDArray[np.uint32]:
        """The picture as it is, a number for each pixel, rows from the top."""
        return np.asarray(self.canvas.buffer_rgba()).view(np.uint32)[:, :, 0].copy()

    def x(self, size: float) -> float:
        """Where a pool size lies, in px from the left."""
        return float(self.times.pixels([size], [0.0])[0, 0])

    def span(self, plot: Plot, left: float, right: float, colour: str, alpha: float) -> None:
        """Tint what stands between two pool sizes."""
        x0, x1 = self.x(left), self.x(right)
        _, bottom, _, top = plot.box
        corners = [(x0, bottom), (x0, top), (x1, top), (x1, bottom)]
        self._paint(Polygon(corners, color=self.sight.colour(colour), alpha=alpha, lw=0))

    def line(
        self, plot: Plot, xs: Sequence[float], ys: Sequence[float], colour: str, **kw: Any
    ) -> None:
        """A line, or markers, at points of the data."""
        at = plot.pixels(xs, ys)
        drawn = self.sight.colour(colour)
        line = Line2D(at[:, 0], at[:, 1], color=drawn, **{"mec": self.paper, **kw})
        if kw.get("ls", "-") and not kw.get("marker"):
            line.set_clip_box(Bbox.from_extents(*plot.box))
        self._paint(line)

    def name(
        self,
        plot: Plot,
        words: str,
        at: Point,
        colour: str,
        side: Point,
        *,
        along: Along = "",
        within: Point | None = None,
        is_needed: bool = True,
        is_tied: bool = True,
        fontweight: str = "normal",
    ) -> bool:
        """Write `words` beside a point of the data, where nothing lies; whether it was written.

        Args:
            at, side, along: as in `Room.place`, the point in the units of the data.
            within: pool sizes between which it must stay.
            is_needed: written over a line or far off where no place is free, rather than left out.
            is_tied: a thin line leads to what it names, where that is not beside it.
        """
        weight: Any = {"fontweight": fontweight, "linespacing": 1.15}
        text = Text(
            0,
            0,
            words,
            color=self.sight.colour(colour),
            fontsize=style.LABEL_SIZE - 0.5,
            ha="center",
            va="center",
            **weight,
        )
        text.set_figure(self.figure)
        box = text.get_window_extent(self.canvas.get_renderer())
        half = (box.width / 2 + PAD, box.height / 2 + PAD)
        left, bottom = plot.box[:2]
        across, up = plot.pixels([at[0]], [at[1]])[0]
        anchor = (float(across) - left, float(up) - bottom)
        limits = None if within is None else (self.x(within[0]) - left, self.x(within[1]) - left)
        room = self._rooms[plot]
        middle = room.place(half, anchor, side, along, limits)
        if middle is None:
            return False
        tie = room.tie(middle, half, anchor, along)
        is_free = room.is_free(middle, (half[0] - PAD, half[1] - PAD))
        is_far = is_tied and tie is not None and math.dist(*tie) > _FAR
        if not is_needed and (is_far or not is_free):
            return False
        if not is_free:
            text.set_bbox({"facecolor": self.paper, "alpha": 0.8, "pad": 1, "linewidth": 0})
        room.take_words(middle, half)
        if is_tied and tie is not None:
            (x0, y0), (x1, y1) = tie
            line = Line2D([left + x0, left + x1], [bottom + y0, bottom + y1], lw=0.8)
            line.set_color(self.sight.colour(colour))
            self._paint(line)
            room.take_tie(*tie)
        x, y = left + middle[0], bottom + middle[1]
        text.set_position((x, y))
        self._paint(text)
        half = (half[0] - PAD, half[1] - PAD)
        self.named[words] = (x - half[0], y - half[1], x + half[0], y + half[1])
        return True

    def title(self, words: str) -> None:
        """The finding, at the top."""
        at = (LEFT, self.sight.height - 8)
        bold: Any = {"fontweight": "bold", "fontsize": style.TITLE_SIZE}
        self._words(*at, words, style.INK, va="top", linespacing=1.2, **bold)

    def png(self) -> bytes:
        """The picture as it is now."""
        return png(np.asarray(self.canvas.buffer_rgba())[:, :, :3])

    def _knee(self) -> None:
        if self.sight.knee is not None:
            left, right = self._knee_ends()
            for plot in (self.throughput, self.times):
                self.span(plot, left, right, style.FAINT, 0.4)

    def _knee_ends(self) -> tuple[float, float]:
        """The knee's interval as far as it is in sight."""
        assert self.sight.knee is not None
        _, low, high = self.sight.knee
        return max(low, self.sight.limits[0]), min(high, self.sight.limits[1])

    def _axes(self) -> None:
        sizes = self._named_sizes()
        for plot, name, most in ((self.throughput, "calls/s", 6), (self.times, "time (ms)", 3)):
            left, bottom, right, top = plot.box
            self._strokes([(left, top), (left, bottom), (right, bottom)])
            for tick in round_numbers(plot.top, most):
                y = float(plot.pixels([1.0], [tick])[0, 1])
                self._strokes([(left - _TICK, y), (left, y)])
                words = f"{tick / 1000:g}k" if tick and plot.top >= _LONG else number(tick)
                self._words(left - 7, y, words, style.INK, ha="right", va="center")
            for size in sizes:
                x = self.x(size)
                self._strokes([(x, bottom - _TICK), (x, bottom)])
            middle = (bottom + top) / 2
            self._words(6, middle, name, style.INK, rotation=90, va="center")
        for size in sizes:
            self._words(self.x(size), BOTTOM - 8, str(size), style.INK, ha="center", va="top")
        self._words(LEFT, 5, "pool size (connections)", style.INK)

    def _named_sizes(self) -> list[int]:
        """Sizes that were measured, powers of two first, as many as stand clear of each other."""
        sight = self.sight
        last = int(sight.limits[1] / 1.13 + 0.5)
        powers = [s for s in (*sight.sizes, last) if s & (s - 1) == 0]
        shown: list[int] = []
        for size in [sight.sizes[0], last, *powers, *sight.sizes]:
            if all(abs(self.x(size) - self.x(other)) >= _TICK_ROOM for other in shown):
                shown.append(size)
        return sorted(shown)

    def _band(self) -> None:
        rows = self.sight.band
        if len(rows) > 1:
            at, lows, highs = ([row[i] for row in rows] for i in range(3))
            around = self.throughput.pixels([*at, *at[::-1]], [*lows, *highs[::-1]])
            self._paint(Polygon(around, color=self.sight.colour(style.BLUE), alpha=0.2, lw=0))

    def _curve(self) -> None:
        sight, plot = self.sight, self.throughput
        low, high = sight.limits
        dashed: Any = {"lw": 1.1, "ls": (0, (5, 3))}
        if sight.hold_at_one:
            xs = [low * (high / low) ** (i / 80) for i in range(81)]
            self.line(plot, xs, [x / sight.hold_at_one for x in xs], style.MUTED, **dashed)
        if sight.plateau is not None:
            self.line(plot, [low, high], [sight.plateau] * 2, style.MUTED, **dashed)
        self._series(plot, sight.curve, "o", 6.0)
        for points, marker, colour, size in (
            (sight.trials, "o", style.BLUE, 3.2),
            (sight.unfit, "x", style.FAINT, 7.0),
        ):
            if points:
                drawn: Any = {"mfc": "none", "mec": sight.colour(colour), "ms": size, "ls": ""}
                across, up = zip(*points, strict=True)
                self.line(plot, across, up, colour, marker=marker, **drawn)
        self._series(self.times, sight.hold_p99, "s", 4.2, dashed=True)
        self._series(self.times, sight.hold_p50, "s", 5.0)

    def _series(
        self, plot: Plot, points: Points, marker: str, size: float, *, dashed: bool = False
    ) -> None:
        seen = [(x, y) for x, y in points if y <= plot.top]
        if not seen:
            return
        blue = self.sight.colour(style.BLUE)
        drawn: Any = {"lw": 1.8, "mfc": blue, "mec": self.paper, "mew": 0.9}
        if dashed:
            drawn |= {"lw": 1.2, "ls": (0, (4, 2.5)), "mfc": self.paper, "mec": blue}
        xs, ys = zip(*seen, strict=True)
        self.line(plot, xs, ys, style.BLUE, marker=marker, ms=size, **drawn)

    def _strokes(self, corners: Sequence[tuple[float, float]]) -> None:
        """A thin line of an axis through these pixels."""
        xs, ys = zip(*corners, strict=True)
        self._paint(Line2D(xs, ys, color=self.sight.colour(style.MUTED), lw=0.9))

    def _words(self, x: float, y: float, words: str, colour: str, **kw: Any) -> None:
        self._paint(Text(x, y, words, color=self.sight.colour(colour), **kw))

    def _paint(self, artist: Artist) -> None:
        """Draw an artist whose coordinates are pixels, without keeping it."""
        artist.set_figure(self.figure)
        artist.set_transform(IdentityTransform())
        artist.draw(self.canvas.get_renderer())
