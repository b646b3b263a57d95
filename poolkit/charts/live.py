"""The throughput curve as a picture that follows a slider: what did not change is not drawn again.

    scene = charts.what_if(sizing, trials, size=14, target_rate=500, wait_p99=0.010)
    charts.live_png(scene, 900, 560, dark=False)      # PNG bytes, from any thread

Axes, ticks and everything that was measured are painted once and kept as pixels. For each picture
only what sliders move is painted over them: regions, target, size, predicted waits and title.
"""

from __future__ import annotations

import math
import textwrap
from collections import OrderedDict

from poolkit.charts import style
from poolkit.charts.live_sight import Sight
from poolkit.charts.live_stage import LEFT, RIGHT, Stage
from poolkit.charts.scene import Scene
from poolkit.charts.throughput import OVERSIZED_FROM, height_at
from poolkit.charts.times import predicted_series
from poolkit.charts.words import finding
from poolkit.units import milliseconds, short_rate

_KEPT = 12  # backgrounds: a few scales of a few targets in two themes
_CHARACTER = 10.4  # px that a character of the title needs on average
_FEWEST = (400, 300)  # px
_stages: OrderedDict[Sight, Stage] = OrderedDict()  # guarded by style.house()


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
    if width_px < _FEWEST[0] or height_px < _FEWEST[1]:
        raise ValueError(
            f"a live chart needs {_FEWEST[0]} x {_FEWEST[1]} px or more, "
            f"got {width_px} x {height_px}"
        )
    with style.house():
        stage = _stage(Sight.of(scene, width_px, height_px, dark))
        stage.clear()
        _regions(stage, scene)
        _target(stage, scene)
        _waits(stage, scene)
        _size(stage, scene)
        _title(stage, scene)
        return stage.png()


def _stage(sight: Sight) -> Stage:
    stage = _stages.get(sight)
    if stage is None:
        stage = _stages[sight] = Stage(sight)
        while len(_stages) > _KEPT:
            _stages.popitem(last=False)
    _stages.move_to_end(sight)
    return stage


def _regions(stage: Stage, scene: Scene) -> None:
    size = scene.recommended
    if size is None:
        return
    low, high = stage.sight.limits
    start = size / math.sqrt(1 + 1 / size)  # half way to the next smaller size, on a log axis
    end = max(size * OVERSIZED_FROM, size + 1)
    for left, right, colour, words in (
        (low, start, style.UNDERSIZED, "undersized"),
        (start, min(end, high), style.RIGHT_SIZE, "right size"),
        (end, high, style.OVERSIZED, "oversized"),
    ):
        if right <= left:
            continue
        for axes in (stage.throughput, stage.times):
            stage.span(axes, left, right, colour, style.REGION_ALPHA)
        room = stage.x(right) - stage.x(left)
        if room > 8 * len(words):
            at = (math.sqrt(left * right), stage.sight.top)
            stage.text(stage.throughput, *at, words, style.MUTED, (0, -4), ha="center", va="top")


def _target(stage: Stage, scene: Scene) -> None:
    if scene.target is None:
        return
    sight, axes = stage.sight, stage.throughput
    low, high = sight.limits
    height = min(scene.target, sight.top)
    words = f"target {short_rate(scene.target)}"
    if scene.target > sight.top:
        words += ", above this chart ↑"
    else:
        stage.line(axes, [low, high], [height, height], style.VERMILION, lw=1.6)
    # Right of the plateau's name, and below its own line where that is near the plateau or the top.
    near = sight.plateau is not None and abs(height - sight.plateau) < 0.07 * sight.top
    below = height > 0.9 * sight.top or (near and height <= (sight.plateau or 0.0))
    at, off, va = low * (high / low) ** 0.2, (0.0, -4.0 if below else 3.0), "top" if below else ""
    stage.text(axes, at, height, words, style.VERMILION, off, va=va or "bottom")


def _waits(stage: Stage, scene: Scene) -> None:
    sight, axes = stage.sight, stage.times
    low, high = sight.limits
    limit = scene.recommendation.wait_p99 if scene.recommendation else None
    if limit is not None and limit * 1000 <= sight.times_top:
        stage.line(axes, [low, high], [limit * 1000] * 2, style.VERMILION, lw=1.2, ls=":")
        words = f"longest wait asked {milliseconds(limit)}"
        stage.text(axes, low, limit * 1000, words, style.VERMILION, (6, 2))
    series = predicted_series(scene.sizing, scene.left, sight.limits)
    if not series:
        return
    xs, ys = [x for x, _ in series], [y for _, y in series]
    stage.line(axes, xs, ys, style.VERMILION, lw=1.4, ls="--")
    seen = [(x, y) for x, y in series if y <= 0.9 * sight.times_top]
    if seen:
        words, off = "wait p99, predicted", (-8.0, 0.0)
        stage.text(axes, *seen[0], words, style.VERMILION, off, ha="right", va="center")


def _size(stage: Stage, scene: Scene) -> None:
    size, chosen = scene.recommended, scene.recommendation
    if size is None or chosen is None:
        return
    sight, axes = stage.sight, stage.throughput
    for each, top in ((axes, sight.top), (stage.times, sight.times_top)):
        stage.line(each, [size, size], [-top, top], style.GREEN, lw=2.6)
    stage.line(axes, [size], [height_at(scene, size)], style.GREEN, marker="D", ms=9)
    words = f"{'predicted' if chosen.verification is None else 'recommended'} "
    words += str(chosen.recommended_size)
    pools = scene.pools or scene.left
    if pools > 1:
        words += f" in each of {pools} pools"
    right = stage.x(size) < 0.6 * sight.width
    align, off = ("left", 8.0) if right else ("right", -8.0)
    height = 0.2 * sight.top
    stage.text(axes, size, height, words, style.GREEN, (off, 0), ha=align, fontweight="bold")


def _title(stage: Stage, scene: Scene) -> None:
    words = finding(scene.sizing, scene.recommendation, scene.trials, scene.pools)
    room = stage.sight.width - LEFT - RIGHT
    lines = textwrap.wrap(words, int(room / _CHARACTER), max_lines=2, placeholder=" ...")
    stage.title("\n".join(lines))
