"""The throughput curve: throughput over pool size above, wait and hold time below."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from poolkit.records import Recommendation, Sizing, Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import new_figure
from poolkit.show.charts.frame import ROOM, draw_frame
from poolkit.show.charts.labels import Placer
from poolkit.show.charts.scene import CurveAxes, Scene, means
from poolkit.show.charts.times import draw_times
from poolkit.show.words import verified_phrase
from poolkit.units import interval, number, short_rate

OVERSIZED_FROM = 1.5  # times the recommended size: half as many again do nothing for any caller


def throughput_curve(
    sizing: Sizing | None,
    trials: Sequence[Trial],
    recommendation: Recommendation | None,
    *,
    axes: CurveAxes | None = None,
    versions: str = "",
    pools: int | None = None,
) -> CurveAxes:
    """Draw the curve with what it means; without `axes` (two, sharing x) a figure is made.

    `pools` is how many pools the fleet has, by default as many as the size was tried with. What is
    not known yet (`sizing`, `recommendation`) is left out, so a running sweep can be drawn, too.
    """
    scene = Scene(sizing, tuple(trials), recommendation, pools)
    with style.house():
        axes = axes or _new_axes()
        draw_frame(axes, scene, versions)
        placer = Placer(axes.throughput)
        _regions(axes, scene, placer)
        _bend(axes, scene, placer)
        _asymptotes(axes.throughput, scene, placer)
        _measured(axes.throughput, scene, placer)
        _target(axes.throughput, scene, placer)
        _recommended(axes, scene, placer)
        _names(scene, placer)
        draw_times(axes.times, scene)
    return axes


def _new_axes() -> CurveAxes:
    figure = new_figure()
    upper, lower = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [2.1, 1.0], "hspace": 0.09}
    )
    return CurveAxes(upper, lower)


def _regions(axes: CurveAxes, scene: Scene, placer: Placer) -> None:
    size = scene.recommended
    if size is None:
        return
    low, high = axes.throughput.get_xlim()
    start = size / math.sqrt(1 + 1 / size)  # half way to the next smaller size, on a log axis
    end = max(size * OVERSIZED_FROM, size + 1)
    regions = [
        (low, start, style.UNDERSIZED, ("undersized:\ncallers wait", "under-\nsized")),
        (start, min(end, high), style.RIGHT_SIZE, ("right size", "right\nsize")),
        (end, high, style.OVERSIZED, ("oversized:\nidle connections", "over-\nsized")),
    ]
    for left, right, colour, names in regions:
        if right <= left or left >= high:
            continue
        for each in axes:
            each.axvspan(left, right, color=colour, alpha=style.REGION_ALPHA, lw=0, zorder=0)
        _region_name(axes.throughput, placer, left, right, names)


def _region_name(
    axes: Axes, placer: Placer, left: float, right: float, names: tuple[str, ...]
) -> None:
    room = placer.pixels(right, 0)[0] - placer.pixels(left, 0)[0]
    for words in names:
        text = axes.annotate(
            words,
            (math.sqrt(left * right), 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, -5),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=style.LABEL_SIZE - 0.5,
            color=style.MUTED,
            linespacing=1.15,
        )
        if placer.extent(text).width <= room - 4:
            placer.take_text(text)
            return
        text.remove()


def _bend(axes: CurveAxes, scene: Scene, placer: Placer) -> None:
    """The Little's Law knee as a vertical band, at least as wide as the eye needs."""
    bend = scene.knee
    low, high = axes.throughput.get_xlim()
    if bend is None or bend.size is None or not low < bend.size < high:
        return
    left, right = bend.interval95 or (bend.size, bend.size)
    left, right = max(low, min(left, bend.size / 1.006)), min(high, max(right, bend.size * 1.006))
    for each in axes:
        each.axvspan(left, right, color=style.FAINT, alpha=0.45, lw=0, zorder=1)
    placer.take_band(left, right)


def _asymptotes(axes: Axes, scene: Scene, placer: Placer) -> None:
    low, high = axes.get_xlim()
    top = axes.get_ylim()[1] / ROOM * 1.06  # below the names of the regions
    dashed: Any = {"color": style.MUTED, "linewidth": 1.1, "dashes": (5, 3), "zorder": 2}
    hold = scene.sizing.hold_at_one if scene.sizing else None
    if hold:
        xs = [low * (high / low) ** (i / 200) for i in range(201)]
        xs = [x for x in xs if x / hold <= top]
        axes.plot(xs, [x / hold for x in xs], **dashed)
        placer.take_line(xs, [x / hold for x in xs], width=2)
    if scene.plateau is not None:
        axes.axhline(scene.plateau.throughput, **dashed)
        placer.take_line([low, high], [scene.plateau.throughput] * 2, width=2)


def _measured(axes: Axes, scene: Scene, placer: Placer) -> None:
    """Repeats as small points, the pooled curve as a line with its band; failed trials grey."""
    good = [t for t in scene.curve if t.is_usable]
    bad = [t for t in scene.curve if not t.is_usable]
    points = sorted(scene.sizing.points, key=lambda p: p.pool_size) if scene.sizing else []
    line = [(p.pool_size, p.throughput) for p in points] or means(good)
    band = [(p.pool_size, *p.interval95) for p in points if p.interval95]
    if len(band) > 1:
        xs, lows, highs = ([row[i] for row in band] for i in range(3))
        axes.fill_between(xs, lows, highs, color=style.BLUE, alpha=0.2, lw=0, zorder=3)
    if line:
        xs, ys = [x for x, _ in line], [y for _, y in line]
        axes.plot(xs, ys, color=style.BLUE, linewidth=1.8, zorder=5)
        axes.plot(xs, ys, "o", color=style.BLUE, mec=style.PAPER, mew=0.9, ms=6.5, zorder=6)
        placer.take_line(xs, ys, width=4)
        placer.take_points(xs, ys, size=6)
    repeats = [(t.pool_size * t.pools, t.throughput) for t in good]
    if repeats:
        xs, ys = [x for x, _ in repeats], [y for _, y in repeats]
        axes.plot(xs, ys, "o", color=style.BLUE, mfc="none", mew=0.7, ms=3.4, ls="", zorder=7)
        placer.take_points(xs, ys, size=4)
    if bad:
        xs, ys = [t.pool_size * t.pools for t in bad], [t.throughput for t in bad]
        axes.plot(xs, ys, "x", color=style.FAINT, ms=7, mew=1.8, ls="", zorder=6)
        placer.take_points(xs, ys, size=7)


def _target(axes: Axes, scene: Scene, placer: Placer) -> None:
    if scene.target is None:
        return
    low, high = axes.get_xlim()
    if scene.target <= axes.get_ylim()[1]:
        axes.axhline(scene.target, color=style.VERMILION, linewidth=1.6, zorder=4)
        placer.take_line([low, high], [scene.target] * 2, width=2)


def _recommended(axes: CurveAxes, scene: Scene, placer: Placer) -> None:
    size = scene.recommended
    if size is None:
        return
    for each in axes:
        each.axvline(size, color=style.GREEN, linewidth=2.6, zorder=4)
    height = height_at(scene, size)
    axes.throughput.plot([size], [height], "D", color=style.GREEN, mec=style.PAPER, ms=9, zorder=7)
    placer.take_line([size, size], [0, axes.throughput.get_ylim()[1]], width=3)
    placer.take_points([size], [height], size=8)


def height_at(scene: Scene, size: int) -> float:
    """The curve at `size`, read between the points for the eye only."""
    line = [(p.pool_size, p.throughput) for p in scene.sizing.points] if scene.sizing else []
    line = sorted(line) or means([t for t in scene.curve if t.is_usable])
    for (x0, y0), (x1, y1) in itertools.pairwise(line):
        if x0 <= size <= x1:
            return y0 + (y1 - y0) * math.log(size / x0) / math.log(x1 / x0)
    return line[-1][1] if line else (scene.target or 0.0)


def _names(scene: Scene, placer: Placer) -> None:
    """Every line says what it is, beside it: no legend to look up and no colour to tell apart."""
    axes = placer.axes
    low, high = axes.get_xlim()
    top = axes.get_ylim()[1]
    at_left = low * (high / low) ** 0.1
    if scene.recommendation is not None and scene.recommended is not None:
        _name_recommendation(scene, scene.recommendation, placer)
    # The upper of the two lines is named above it, the lower below: no name between them.
    above = 1 if scene.plateau is None or scene.plateau.throughput < (scene.target or 0) else -1
    if scene.target is not None:
        words, at = f"target {short_rate(scene.target)}", (at_left, min(scene.target, top))
        if scene.target > top:
            words += "\nabove this chart ↑"
        placer.put(words, at, colour=style.VERMILION, side=(0, above), along="x")
    if scene.plateau is not None:
        words = f"plateau {short_rate(scene.plateau.throughput)}"
        at = (at_left, scene.plateau.throughput)
        placer.put(words, at, colour=style.MUTED, side=(0, -above), along="x")
    bend = scene.knee
    if bend is not None and bend.size is not None and low < bend.size < high:
        words = f"Little's Law knee\n{number(bend.size)} ({interval(bend.interval95)})"
        side = 1 if scene.recommended is not None and bend.size > scene.recommended else -1
        at = ((bend.interval95 or (bend.size, bend.size))[side > 0], top * 0.12)
        placer.put(words, at, colour=style.INK, side=(side, 0), along="y")
    hold = scene.sizing.hold_at_one if scene.sizing else None
    if hold:
        y = min(top * 0.6, high / hold * 0.6)
        if low < y * hold < high:
            placer.put("n / S(1)", (y * hold, y), colour=style.MUTED, side=(-1, 0.4))
    _name_points(scene, placer)


def _name_recommendation(scene: Scene, chosen: Recommendation, placer: Placer) -> None:
    size, left = scene.recommended or 0, scene.left
    pools = scene.pools or left
    words = f"recommended {chosen.recommended_size}"
    if pools > 1:
        words += f" in each of {pools} pools"
    if left < pools:
        words += f",\nseen with {left} left ({size} in all)"
    placer.put(
        f"{words}\n{verified_phrase(chosen)}",
        (size, placer.axes.get_ylim()[1] * 0.3),
        colour=style.GREEN,
        side=(1, 0),
        along="y",
        fontweight="bold",
    )


def _name_points(scene: Scene, placer: Placer) -> None:
    good = means([t for t in scene.curve if t.is_usable])
    if good:
        placer.put("measured", good[-1], colour=style.BLUE, side=(-0.4, -1))
    bad = [t for t in scene.curve if not t.is_usable]
    if bad:
        worst = max(bad, key=lambda t: t.pool_size)
        at = (worst.pool_size * worst.pools, worst.throughput)
        placer.put("failed a check:\nnot fitted", at, colour=style.MUTED, side=(0, -1))
