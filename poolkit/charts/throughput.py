"""The throughput curve: throughput over pool size above, wait and hold time below."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.charts import style
from poolkit.charts.figures import new_figure
from poolkit.charts.labels import Placer, renderer
from poolkit.charts.times import draw_times
from poolkit.charts.words import (
    finding,
    footnote,
    knee,
    pool_phrase,
    pools_of,
    verified_phrase,
)
from poolkit.records import Knee, Plateau, Recommendation, Sizing, Trial
from poolkit.units import interval, number, short_rate

OVERSIZED_FROM = 1.5  # times the recommended size: half as many again do nothing for any caller
_ROOM = 1.22  # of the highest thing drawn: room for the names of the regions
_IN_SIGHT = 2.5  # a target above this many plateaus is named at the edge, not drawn to scale


class CurveAxes(NamedTuple):
    """The two axes of the chart: throughput above, times below."""

    throughput: Axes
    times: Axes

    @property
    def figure(self) -> Figure:
        """The figure that both are in."""
        figure = self.throughput.get_figure(root=True)
        assert figure is not None
        return figure


@dataclass(frozen=True)
class Scene:
    """What is drawn, gathered once; pool sizes are connections in all pools together."""

    sizing: Sizing | None
    trials: tuple[Trial, ...]
    recommendation: Recommendation | None

    @property
    def curve(self) -> list[Trial]:
        """The closed-loop trials, which make the curve."""
        return [t for t in self.trials if t.loop == "closed"]

    @property
    def sizes(self) -> list[int]:
        """Sizes measured, in order."""
        return sorted({t.pool_size * t.pools for t in self.trials})

    @property
    def plateau(self) -> Plateau | None:
        """The plateau, where one was seen."""
        if self.sizing is not None and self.sizing.plateau is not None:
            return self.sizing.plateau
        return self.recommendation.plateau if self.recommendation else None

    @property
    def knee(self) -> Knee | None:
        """The Little's Law knee, where one was seen."""
        return knee(self.sizing, self.recommendation)

    @property
    def recommended(self) -> int | None:
        """Connections recommended, all pools together."""
        size = self.recommendation.recommended_size if self.recommendation else None
        return None if size is None else size * pools_of(self.trials)

    @property
    def target(self) -> float | None:
        """The target rate (calls/s)."""
        return self.recommendation.target_rate if self.recommendation else None


def throughput_curve(
    sizing: Sizing | None,
    trials: Sequence[Trial],
    recommendation: Recommendation | None,
    *,
    axes: CurveAxes | None = None,
    versions: str = "",
) -> CurveAxes:
    """Draw the curve with what it means; without `axes` (two, sharing x) a figure is made.

    What is not known yet (`sizing`, `recommendation`) is left out, so a running sweep can be drawn.
    """
    scene = Scene(sizing, tuple(trials), recommendation)
    with mpl.rc_context(style.RC):
        axes = axes or _new_axes()
        _frame(axes, scene, versions)
        placer = Placer(axes.throughput)
        _regions(axes, scene, placer)
        _bend(axes, scene, placer)
        _asymptotes(axes.throughput, scene, placer)
        _measured(axes.throughput, scene, placer)
        _target(axes.throughput, scene, placer)
        _recommended(axes, scene, placer)
        _names(scene, placer)
        draw_times(axes.times, sizing, scene.trials, recommendation)
    return axes


def _new_axes() -> CurveAxes:
    figure = new_figure()
    upper, lower = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [2.1, 1.0], "hspace": 0.09}
    )
    return CurveAxes(upper, lower)


def _frame(axes: CurveAxes, scene: Scene, versions: str) -> None:
    """Title, limits, ticks and footnote: all that decides where the axes lie."""
    upper, lower = axes
    sizes = scene.sizes or [1, 2]
    low, high = sizes[0], max(sizes[-1], scene.recommended or 1)
    upper.set_xscale("log", base=2)
    upper.set_xlim(low / 1.13, max(high, low * 1.5) * 1.13)
    upper.set_ylim(0, _top(scene) * _ROOM)
    for each in axes:
        each.tick_params(length=3.5)
        each.patch.set_alpha(0.0)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel("throughput (calls/s)")
    lower.set_ylabel("time (ms)")
    lower.set_xlabel("pool size (connections)", loc="left")
    title = finding(scene.sizing, scene.recommendation, scene.trials)
    note = footnote(scene.sizing, scene.trials, versions)
    _margins(axes, title, note)
    _ticks(axes, sizes)


def _top(scene: Scene) -> float:
    heights = [t.throughput for t in scene.curve]
    if scene.sizing is not None:
        heights += [p.interval95[1] for p in scene.sizing.points if p.interval95]
    if scene.plateau is not None:
        heights.append(scene.plateau.throughput)
    top = max(heights, default=scene.target or 1.0)
    if scene.target is not None and scene.target <= _IN_SIGHT * top:
        top = max(top, scene.target)
    return top or 1.0


def _margins(axes: CurveAxes, title: str, note: str) -> None:
    """Write title and footnote, wrapped to the width, and give the axes what is left."""
    figure = axes.figure
    width, height = figure.get_size_inches() * 72  # points
    left, right = 58 / width, 1 - 10 / width
    title_lines = _wrapped(figure, title, style.TITLE_SIZE, right - left, weight="bold")
    note_lines = _wrapped(figure, note, style.NOTE_SIZE, right - left)
    note_height = (len(note_lines) * style.NOTE_SIZE * 1.3 + 6) / height if note else 0.0
    figure.subplots_adjust(
        left=left,
        right=right,
        top=1 - (len(title_lines) * style.TITLE_SIZE * 1.3 + 14) / height,
        bottom=40 / height + note_height,
    )
    figure.text(
        left,
        1 - 8 / height,
        "\n".join(title_lines),
        fontsize=style.TITLE_SIZE,
        fontweight="bold",
        va="top",
        linespacing=1.25,
        color=style.INK,
    )
    if note:
        figure.text(
            left,
            6 / height,
            "\n".join(note_lines),
            fontsize=style.NOTE_SIZE,
            va="bottom",
            linespacing=1.25,
            color=style.MUTED,
        )


def _wrapped(
    figure: Figure, words: str, size: float, share: float, weight: str = "normal"
) -> list[str]:
    """Lines of `words` that fit `share` of the figure's width, measured and not guessed."""
    room = 0.98 * share * figure.get_size_inches()[0] * figure.dpi
    probe = figure.text(0, 0, words, fontsize=size, fontweight=weight)
    wide = probe.get_window_extent(renderer(figure)).width
    lines = [words]
    characters = len(words)
    while wide > room and characters > 12:
        characters = min(characters - 1, int(characters * room / wide))
        lines = textwrap.wrap(words, characters)
        probe.set_text("\n".join(lines))
        wide = probe.get_window_extent(renderer(figure)).width
    probe.remove()
    return lines


def _ticks(axes: CurveAxes, sizes: Sequence[int]) -> None:
    """Sizes that were measured, powers of two first, as many as stand clear of each other."""
    low, high = axes.times.get_xlim()
    span = axes.times.get_window_extent(renderer(axes.figure)).width / math.log(high / low)
    powers = [s for s in sizes if s & (s - 1) == 0]
    shown: list[int] = []
    for size in [sizes[0], sizes[-1], *powers, *sizes]:
        if all(abs(math.log(size / other)) * span >= 30 for other in shown):
            shown.append(size)
    shown.sort()
    axes.times.set_xticks(shown, labels=[str(s) for s in shown], minor=False)
    axes.times.set_xticks(list(dict.fromkeys(sizes)), labels=[""] * len(sizes), minor=True)
    axes.times.tick_params(which="minor", length=2)
    axes.throughput.tick_params(which="minor", length=2)


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
    top = axes.get_ylim()[1] / _ROOM * 1.06  # below the names of the regions
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
    line = [(p.pool_size, p.throughput) for p in points] or _means(good)
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


def _means(trials: Sequence[Trial]) -> list[tuple[int, float]]:
    by_size: dict[int, list[float]] = {}
    for t in trials:
        by_size.setdefault(t.pool_size * t.pools, []).append(t.throughput)
    return [(size, sum(by_size[size]) / len(by_size[size])) for size in sorted(by_size)]


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
    height = _height_at(scene, size)
    axes.throughput.plot([size], [height], "D", color=style.GREEN, mec=style.PAPER, ms=9, zorder=7)
    placer.take_line([size, size], [0, axes.throughput.get_ylim()[1]], width=3)
    placer.take_points([size], [height], size=8)


def _height_at(scene: Scene, size: int) -> float:
    """The curve at `size`, read between the points for the eye only."""
    line = [(p.pool_size, p.throughput) for p in scene.sizing.points] if scene.sizing else []
    line = sorted(line) or _means([t for t in scene.curve if t.is_usable])
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
    size, pools = scene.recommended or 0, pools_of(scene.trials)
    each = pool_phrase(chosen.recommended_size or 0, pools)
    words = f"recommended {size}" if pools == 1 else f"recommended {size}:\n{each}"
    placer.put(
        f"{words}\n{verified_phrase(chosen)}",
        (size, placer.axes.get_ylim()[1] * 0.3),
        colour=style.GREEN,
        side=(1, 0),
        along="y",
        fontweight="bold",
    )


def _name_points(scene: Scene, placer: Placer) -> None:
    good = _means([t for t in scene.curve if t.is_usable])
    if good:
        placer.put("measured", good[-1], colour=style.BLUE, side=(-0.4, -1))
    bad = [t for t in scene.curve if not t.is_usable]
    if bad:
        worst = max(bad, key=lambda t: t.pool_size)
        at = (worst.pool_size * worst.pools, worst.throughput)
        placer.put("failed a check:\nnot fitted", at, colour=style.MUTED, side=(0, -1))
