"""What stays still while sliders move: axes and measured curve, painted once and kept as pixels.

matplotlib paints lines and letters; the two pairs of axes are arithmetic here, because building
matplotlib's own takes longer than all of the painting.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
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

from poolkit.charts import style
from poolkit.charts.live_sight import Points, Sight
from poolkit.units import interval, number, short_rate

LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 66, 14, 54, 46, 16  # px around and between the two plots
_TICK = 4  # px
_TICK_ROOM = 34  # px between two named sizes
_KNEE_ROOM = 125  # px that the name of the knee needs


@dataclass(frozen=True, slots=True)
class Plot:
    """A pair of axes: a log scale of pool sizes, and a linear one from `low` to `top`."""

    box: tuple[float, float, float, float]  # px: left, bottom, right, top
    limits: tuple[float, float]
    low: float
    top: float

    def pixels(self, xs: Sequence[float], ys: Sequence[float]) -> NDArray[np.float64]:
        """Where points of the data lie, in px from the lower left corner of the picture."""
        left, bottom, right, top = self.box
        low, high = self.limits
        across = np.log(np.asarray(xs, dtype=float) / low) / math.log(high / low)
        up = (np.asarray(ys, dtype=float) - self.low) / (self.top - self.low)
        return np.column_stack((left + across * (right - left), bottom + up * (top - bottom)))


class Stage:
    """A painted background, and what paints over it; pixels are the whole state."""

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
        self._curve()
        self._names()
        self._pixels = self.canvas.copy_from_bbox(self.figure.bbox)

    def clear(self) -> None:
        """Back to the bare background."""
        self.canvas.restore_region(self._pixels)

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

    def text(
        self,
        plot: Plot,
        x: float,
        y: float,
        words: str,
        colour: str,
        off: tuple[float, float],
        *,
        ha: str = "left",
        va: str = "bottom",
        fontweight: str = "normal",
    ) -> None:
        """A name `off` px from a point of the data, on paper that covers the lines behind it."""
        across, up = plot.pixels([x], [y])[0] + off
        self._words(
            across,
            up,
            words,
            colour,
            ha=ha,
            va=va,
            fontsize=style.LABEL_SIZE - 0.5,
            fontweight=fontweight,
            bbox={"facecolor": self.paper, "alpha": 0.75, "pad": 1, "linewidth": 0},
        )

    def title(self, words: str) -> None:
        """The finding, at the top."""
        at = (LEFT, self.sight.height - 8)
        bold: Any = {"fontweight": "bold", "fontsize": style.TITLE_SIZE}
        self._words(*at, words, style.INK, va="top", linespacing=1.2, **bold)

    def png(self) -> bytes:
        """The picture as it is now.

        matplotlib's own writer looks for the best filter row by row and takes longer than painting;
        here each row is told as its difference from the one above, of which most is nothing.
        """
        seen = np.asarray(self.canvas.buffer_rgba())[:, :, :3]
        height, width = seen.shape[:2]
        rows = np.empty((height, 1 + 3 * width), dtype=np.uint8)
        rows[:, 0] = 2  # the filter "up" of the PNG specification
        rows[0, 1:] = seen[0].reshape(-1)
        rows[1:, 1:] = (seen[1:] - seen[:-1]).reshape(height - 1, -1)
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                _chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)),
                _chunk(b"IEND", b""),
            )
        )

    def _knee(self) -> None:
        if self.sight.knee is not None:
            for plot in (self.throughput, self.times):
                self.span(plot, *self.sight.knee[1:], style.FAINT, 0.4)

    def _axes(self) -> None:
        sizes = self._named_sizes()
        for plot, name, most in ((self.throughput, "calls/s", 6), (self.times, "time (ms)", 3)):
            left, bottom, right, top = plot.box
            self._strokes([(left, top), (left, bottom), (right, bottom)])
            for tick in _round_numbers(plot.top, most):
                y = float(plot.pixels([1.0], [tick])[0, 1])
                self._strokes([(left - _TICK, y), (left, y)])
                self._words(left - 7, y, number(tick), style.INK, ha="right", va="center")
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

    def _curve(self) -> None:
        sight, plot = self.sight, self.throughput
        low, high = sight.limits
        dashed: Any = {"lw": 1.1, "ls": (0, (5, 3))}
        if sight.hold_at_one:
            xs = [low * (high / low) ** (i / 80) for i in range(81)]
            self.line(plot, xs, [x / sight.hold_at_one for x in xs], style.MUTED, **dashed)
        if sight.plateau is not None:
            self.line(plot, [low, high], [sight.plateau] * 2, style.MUTED, **dashed)
        if len(sight.band) > 1:
            at, lows, highs = ([row[i] for row in sight.band] for i in range(3))
            around = plot.pixels([*at, *at[::-1]], [*lows, *highs[::-1]])
            self._paint(Polygon(around, color=sight.colour(style.BLUE), alpha=0.2, lw=0))
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

    def _names(self) -> None:
        """Every line that stays says what it is, beside it."""
        sight, upper = self.sight, self.throughput
        if sight.plateau is not None:
            words = f"plateau {short_rate(sight.plateau)}"
            self.text(upper, sight.limits[0], sight.plateau, words, style.MUTED, (6, 3))
        if sight.knee is not None:
            size, low, high = sight.knee
            words = f"Little's Law knee\n{number(size)} ({interval((low, high))})"
            right = self.x(high) + _KNEE_ROOM < sight.width - RIGHT
            at, off, align = (high, 5, "left") if right else (low, -5, "right")
            self.text(upper, at, 0, words, style.MUTED, (off, 5), ha=align)
        if sight.curve:
            words = "measured"
            if sight.slowed != 1.0:
                words += f",\ncalls {number(sight.slowed)} times as long"
            at_last = sight.curve[-1]
            self.text(upper, *at_last, words, style.BLUE, (4, -8), ha="right", va="top")
        for words, series, side, va in (
            ("hold p99", sight.hold_p99, 5, "bottom"),
            ("hold p50", sight.hold_p50, -9, "top"),
        ):
            seen = [(x, y) for x, y in series if y <= sight.times_top]
            if seen:
                self.text(self.times, *seen[-1], words, style.BLUE, (4, side), ha="right", va=va)

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


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _round_numbers(top: float, most: int) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten up to `top`, at most `most` above 0."""
    unit = 10.0 ** math.floor(math.log10(top / most))
    step = next(s * unit for s in (1, 2, 2.5, 5, 10) if top / (s * unit) <= most + 1e-9)
    return [i * step for i in range(int(top / step + 1e-9) + 1)]
