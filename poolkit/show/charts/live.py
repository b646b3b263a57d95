"""The throughput curve as a picture that follows a slider, on a figure that is kept.

scene = charts.what_if(sizing, trials, size=14, target_rate=500, wait_p99=0.010)
charts.live_png(scene, 900, 560, dark=False)      # PNG bytes, from any thread
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.typing import NDArray

from poolkit.show.charts import style
from poolkit.show.charts.figures import LEFT, set_margins, title_lines
from poolkit.show.charts.scene import Scene
from poolkit.show.charts.throughput import Picture, new_curve_axes

_SMALLEST = (400, 300)  # px
_LINES = 2  # of the title


def live_png(scene: Scene, width_px: int = 900, height_px: int = 560, dark: bool = False) -> bytes:
    """The throughput curve of `scene` as a PNG of this many pixels; the same bytes each time.

    Args:
        scene: of a review (`Scene(sizing, trials, recommendation)`), of a running sweep
            (`Scene(None, trials, None)`), or of `what_if`.
        width_px, height_px: 400 by 300 or more.
        dark: on dark paper.

    Raises:
        ValueError: the picture would be too small to read.
    """
    if width_px < _SMALLEST[0] or height_px < _SMALLEST[1]:
        raise ValueError(
            f"a live chart needs {_SMALLEST[0]} x {_SMALLEST[1]} px or more, "
            f"got {width_px} x {height_px}"
        )
    title = title_lines(scene.finding, width_px, max_lines=_LINES, placeholder=" ...")
    with style.house():  # one thread at a time, so the kept figure is this call's alone
        return _kept(width_px, height_px, dark).png(scene, "\n".join(title))


class _Kept:
    """A figure of which only that is painted anew which changes from one scene to the next.

    The frame (ticks and labels of the axes) changes rarely, most names in the legends as rarely,
    and where in a legend they stand only with the number of its lines: to find that out, and to
    paint them all, costs as much as all the rest.

    State: pixels and what they were painted for, of the frame and of the frame with those names
    that stay; the names of the last picture; how each legend was laid out.
    """

    def __init__(self, picture: Picture, title: Text) -> None:
        self._picture = picture
        self._title = title
        self._canvas: Any = picture.axes.figure.canvas  # its methods have no types
        self._frame: object = None
        self._pixels: object = None
        self._staying: set[Artist] = set()
        self._with_names: object = None
        self._names: dict[Artist, str] = {}
        self._laid_out: dict[object, object] = {}

    @property
    def figure(self) -> Figure:
        """The figure that is kept."""
        return self._picture.axes.figure

    def png(self, scene: Scene, title: str) -> bytes:
        """The scene below its title."""
        self._picture.show(scene)
        self._title.set_text(title)
        artists = self._picture.artists
        legends = [artist for artist in artists if isinstance(artist, Legend)]
        moved = [*(artist for artist in artists if artist not in legends), self._title]
        for artist in (*moved, *legends):
            artist.set_animated(True)  # left out of the frame
        if self._picture.frame != self._frame:
            self._canvas.draw()
            self._frame = self._picture.frame
            self._pixels = self._with_names = self._copied()
            self._staying = set()
        names = self._named(legends)
        staying = {part for part, words in names.items() if self._names.get(part) == words}
        self._names = names
        if not self._staying or not self._staying <= staying:
            self._paint(self._pixels, staying)
            self._with_names, self._staying = self._copied(), staying
        self._paint(self._with_names, moved)
        self._paint(None, [part for part in names if part not in self._staying])
        return _png(np.asarray(self._canvas.buffer_rgba())[:, :, :3])

    def _named(self, legends: Sequence[Legend]) -> dict[Artist, str]:
        """What the legends consist of, where it stands, and what it says (a handle: nothing)."""
        names: dict[Artist, str] = {}
        for legend in legends:
            rows = [text.get_text().count("\n") for text in legend.get_texts()]
            if self._laid_out.get(legend.axes) != (legend, rows):
                self._laid_out[legend.axes] = (legend, rows)
                self._paint(None, [legend])  # which lays it out, and is painted over
                self._names = {}
            names |= dict.fromkeys(filter(None, legend.legend_handles), "")
            names |= {text: text.get_text() for text in legend.get_texts()}
        return names

    def _copied(self) -> object:
        return self._canvas.copy_from_bbox(self._canvas.figure.bbox)

    def _paint(self, on: object, artists: Iterable[Artist]) -> None:
        """Paint upon these pixels, or upon what is there."""
        if on is not None:
            self._canvas.restore_region(on)
        for artist in artists:
            self._canvas.figure.draw_artist(artist)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Rows, columns and RGB as PNG, in half the time of a writer that tries every filter on a row.

    Each row is written as its difference from the one above (filter 2 of ISO/IEC 15948).
    """
    height, width, _ = pixels.shape
    flat = pixels.reshape(height, 3 * width)
    rows = np.full((height, 1 + 3 * width), 2, np.uint8)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@functools.lru_cache(maxsize=4)
def _kept(width: int, height: int, dark: bool) -> _Kept:
    # The same places for every scene.
    axes = new_curve_axes((width / style.DPI, height / style.DPI))
    figure = axes.figure
    set_margins(figure, _LINES)
    figure.set_facecolor(style.DARK[style.PAPER] if dark else "#ffffff")
    ink = style.DARK[style.INK] if dark else style.INK
    title = figure.text(LEFT / width, 1 - 8 / height, "", color=ink, va="top", **style.TITLE)
    return _Kept(Picture(axes, dark=dark), title)
