"""The throughput curve as a picture that follows a slider: what did not change is not drawn again.

    scene = charts.what_if(sizing, trials, size=14, target_rate=500, wait_p99=0.010)
    charts.live_png(scene, 900, 560, dark=False)      # PNG bytes, from any thread

Axes, ticks and everything that was measured are painted once and kept as pixels. For each picture
only what sliders move is painted over them: regions, target, size, predicted waits, title, and
the names, each where it covers no line.
"""

from __future__ import annotations

import textwrap
from collections import OrderedDict

from poolkit.show.charts import style
from poolkit.show.charts.live_names import name_all, regions
from poolkit.show.charts.live_sight import Sight
from poolkit.show.charts.live_stage import LEFT, RIGHT, Stage
from poolkit.show.charts.scene import Scene
from poolkit.show.charts.throughput import height_at
from poolkit.show.charts.times import predicted_series
from poolkit.show.words import finding

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
        stage.draw_lines()
        _target(stage, scene)
        _waits(stage, scene)
        _size(stage, scene)
        name_all(stage, scene)
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
    for left, right, colour, _ in regions(stage, scene):
        for plot in (stage.throughput, stage.times):
            stage.span(plot, left, right, colour, style.REGION_ALPHA)


def _target(stage: Stage, scene: Scene) -> None:
    target = scene.target
    if target is not None and target <= stage.sight.top:
        ends = stage.sight.limits
        stage.line(stage.throughput, ends, [target, target], style.VERMILION, lw=1.6)


def _waits(stage: Stage, scene: Scene) -> None:
    sight, plot = stage.sight, stage.times
    limit = scene.recommendation.wait_p99 if scene.recommendation else None
    if limit is not None and limit * 1000 <= sight.times_top:
        stage.line(plot, sight.limits, [limit * 1000] * 2, style.VERMILION, lw=1.2, ls=":")
    series = predicted_series(scene.sizing, scene.left, sight.limits)
    if series:
        xs, ys = zip(*series, strict=True)
        stage.line(plot, xs, ys, style.VERMILION, lw=1.4, ls="--")


def _size(stage: Stage, scene: Scene) -> None:
    size = scene.recommended
    if size is None:
        return
    sight = stage.sight
    for plot, top in ((stage.throughput, sight.top), (stage.times, sight.times_top)):
        stage.line(plot, [size, size], [-top, top], style.GREEN, lw=2.6)
    height = height_at(scene, size)
    stage.line(stage.throughput, [size], [height], style.GREEN, marker="D", ms=9)


def _title(stage: Stage, scene: Scene) -> None:
    words = finding(scene.sizing, scene.recommendation, scene.trials, scene.pools)
    room = stage.sight.width - LEFT - RIGHT
    lines = textwrap.wrap(words, int(room / _CHARACTER), max_lines=2, placeholder=" ...")
    stage.title("\n".join(lines))
