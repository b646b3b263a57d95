"""The throughput curve as a picture that follows a slider, on a figure that is kept.

scene = charts.what_if(sizing, trials, size=14, target_rate=500, wait_p99=0.010)
charts.live_png(scene, 900, 560, dark=False)      # PNG bytes, from any thread
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

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
    """A figure whose frame (ticks and labels of the axes) is painted anew only where it changes.

    State: the pixels of the frame and what they were painted for.
    """

    def __init__(self, picture: Picture, title: Text) -> None:
        self._picture = picture
        self._title = title
        self._canvas: Any = picture.axes.figure.canvas  # its methods have no types
        self._frame: object = None
        self._pixels: object = None

    @property
    def figure(self) -> Figure:
        """The figure that is kept."""
        return self._picture.axes.figure

    def png(self, scene: Scene, title: str) -> bytes:
        """The scene below its title."""
        self._picture.show(scene)
        self._title.set_text(title)
        moved = [*self._picture.artists, self._title]
        for artist in moved:
            artist.set_animated(True)  # left out of the frame
        if self._picture.frame != self._frame:
            self._canvas.draw()
            self._frame = self._picture.frame
            self._pixels = self._canvas.copy_from_bbox(self._canvas.figure.bbox)
        self._canvas.restore_region(self._pixels)
        for artist in moved:
            self._canvas.figure.draw_artist(artist)
        target = io.BytesIO()
        image = Image.fromarray(np.asarray(self._canvas.buffer_rgba())[:, :, :3])
        image.save(target, "png", compress_level=1)
        return target.getvalue()


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
