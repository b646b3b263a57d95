"""The throughput curve: throughput over pool size above, hold and wait time below.

Two axes of one figure hold one artist for each thing that a scene can show. `Picture.show` moves
them to a scene, so that a picture that follows a slider is drawn by the code that draws the
report's, on a figure that is built once.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter

from poolkit.records import Recommendation, Sizing, Trial
from poolkit.show.charts import curve_words, ranges, style
from poolkit.show.charts.by_state import StateMarks
from poolkit.show.charts.figures import (
    BOTTOM,
    LEFT,
    RIGHT,
    legend_beside,
    new_figure,
    set_margins,
    set_title,
    title_lines,
)
from poolkit.show.charts.points import name_points
from poolkit.show.charts.scene import CurveAxes, Points, Scene
from poolkit.show.words import beyond, verified_phrase
from poolkit.units import interval, milliseconds, number, plural, short_rate

Named = tuple[Artist, str]  # with what a legend calls it; nothing: it is not to be seen
OVERSIZED_FROM = 1.5  # times the recommended size: half as many again do nothing for any caller
_LONG = 1e5  # from here on a figure at the axis is told in thousands
_CHARACTER = 6.2  # px that a character of a region's name needs
_NOTE_CHARACTER, _NOTE_LINE = 6.3, 16  # px of the footnote
_REGIONS = (  # from small sizes to large ones, in full and in short
    ("undersized: callers\nwait in the pool", "undersized:\ncallers wait", "under-\nsized"),
    ("as fast: the queue is here\nor in the server", "as fast", "as\nfast"),
    ("right size", "right\nsize"),
    ("oversized:\nidle connections", "over-\nsized"),
)
_DASHED = (0, (4, 2.5))
_STEPS = 8  # parts in which the line between two sizes is drawn


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
    return scene_curve(scene, axes=axes, versions=versions)


def scene_curve(scene: Scene, *, axes: CurveAxes | None = None, versions: str = "") -> CurveAxes:
    """The same of a scene, whatever was asked of it: what moves and what is stored look alike."""
    title, note = scene.finding, _footnote(scene, versions)
    with style.house():
        is_own = axes is None
        if axes is None:
            axes = new_curve_axes()
            wide = axes.figure.bbox.width
            lines = title_lines(title, wide)
            notes = textwrap.wrap(note, int(wide / _NOTE_CHARACTER))
            set_margins(axes.figure, len(lines), bottom=BOTTOM + _NOTE_LINE * len(notes))
            title, note = "\n".join(lines), "\n".join(notes)
        picture = Picture(axes)
        picture.show(scene)
        picture.name_points(scene)
        set_title(axes.throughput, title, wrap=not is_own)
        if note:
            small: Any = {"fontsize": style.NOTE_SIZE, "color": style.MUTED, "wrap": not is_own}
            axes.figure.supxlabel(note, x=0.01, ha="left", **small)
    return axes


def new_curve_axes(size: tuple[float, float] = style.FIGURE_SIZE) -> CurveAxes:
    """The two axes, empty, of a new figure of `size` (inches)."""
    figure = new_figure(size, layout=None)
    return CurveAxes(*figure.subplots(2, 1, sharex=True, height_ratios=[2.1, 1.0]))


class Picture:
    """The artists of one curve; what `show` was given before leaves no trace.

    State: the artists, moved by each `show`; `frame`, what the ticks were made for; the artists
    that each legend names.
    """

    def __init__(self, axes: CurveAxes, *, dark: bool = False) -> None:
        self.axes = axes
        self._dark = dark
        self.frame: object = None
        self._named: dict[Axes, list[Artist]] = {}
        upper, lower = axes
        ink, muted, faint = map(self._colour, (style.INK, style.MUTED, style.FAINT))
        blue, green = self._colour(style.BLUE), self._colour(style.GREEN)
        vermilion, paper = self._colour(style.VERMILION), self._colour(style.PAPER)
        self._ink = ink

        def spans(colour: str, alpha: float, zorder: float) -> list[Rectangle]:
            kw: Any = {"color": colour, "alpha": alpha, "lw": 0, "zorder": zorder}
            return [each.axvspan(1, 2, **kw) for each in axes]

        def line(axes: Axes, colour: str, zorder: float, **kw: Any) -> Line2D:
            return axes.plot([], [], color=colour, zorder=zorder, **{"lw": 1.8, **kw})[0]

        marked: Any = {"mfc": blue, "mec": paper, "mew": 0.9}
        hollow: Any = {"mfc": paper, "mec": blue, "mew": 0.9}
        self._regions = [
            spans(colour, style.REGION_ALPHA * alpha, 0)
            for colour, alpha in (
                (style.UNDERSIZED, 1.0),
                (style.RIGHT_SIZE, 0.4),
                (style.RIGHT_SIZE, 1.0),
                (style.OVERSIZED, 1.0),
            )
        ]
        small: Any = {"fontsize": style.LABEL_SIZE - 0.5, "linespacing": 1.15}
        self._region_names = [
            upper.text(1, 0.985, "", transform=upper.get_xaxis_transform(), ha="center", va="top",
                       color=muted, **small)
            for _ in self._regions
        ]  # fmt: skip
        self._knee = spans(faint, 0.45, 1)
        self._alone = line(upper, muted, 2, lw=1.2, ls=(0, (1.5, 1.5)))
        self._plateau = line(upper, muted, 2, lw=1.1, ls=(0, (6, 3)))
        self._band = upper.fill_between([], [], [], color=blue, alpha=0.2, lw=0, zorder=3)
        self._target = line(upper, vermilion, 4, lw=1.6)
        self._curve = line(upper, blue, 6, marker="o", ms=6.5, **marked)
        self._repeats = line(upper, blue, 7, ls="", marker="o", ms=3.4, mfc="none", mew=0.7)
        self._unfit = line(upper, faint, 6, ls="", marker="x", ms=7, mew=1.8)
        self._size = [line(each, green, 4, lw=2.6, marker="", mec=paper, ms=8) for each in axes]
        self._as_fast = [line(each, green, 4, ls=(0, (5, 2)), marker="") for each in axes]
        self._now = line(upper, muted, 3, lw=1.4, ls=":")
        self._at_size = line(upper, green, 8, ls="", marker="D", mec=paper, ms=9)
        self._limit = line(lower, vermilion, 2, lw=1.2, ls=":")
        self._hold_p99 = line(lower, blue, 4, lw=1.2, ls=_DASHED, marker="s", ms=4.2, **hollow)
        self._hold_p50 = line(lower, blue, 5, marker="s", ms=5.2, **marked)
        self._predicted = line(lower, vermilion, 4, lw=1.4, ls=(0, (3, 1.5, 1, 1.5)))
        wait: Any = {"ls": "", "mew": 0.9}
        self._wait_p99 = line(lower, vermilion, 7, marker="^", ms=8.5, mec=paper, **wait)
        self._wait_p50 = line(lower, vermilion, 8, marker="v", ms=6, mfc=paper, **wait)
        self._states = StateMarks(axes, self._colour)
        self._dress()

    @property
    def artists(self) -> list[Artist]:
        """What `show` moves, in the order in which it is painted."""
        drawn = [
            artist
            for each in self.axes
            for artist in (*each.lines, *each.patches, *each.collections, *each.texts)
        ]
        legends = [legend for each in self.axes if (legend := each.get_legend()) is not None]
        return [*sorted(drawn, key=lambda artist: artist.get_zorder()), *legends]

    def _colour(self, light: str) -> str:
        return style.DARK.get(light, light) if self._dark else light

    def _dress(self) -> None:
        upper, lower = self.axes
        upper.set_xscale("log", base=2)
        upper.xaxis.set_minor_formatter(NullFormatter())
        for each, most in ((upper, 6), (lower, 3)):
            each.tick_params(length=3.5, colors=self._ink)
            each.tick_params(which="minor", length=2, colors=self._colour(style.MUTED))
            each.yaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
            each.yaxis.set_major_formatter(_figure_at_axis)
            each.yaxis.label.set_color(self._ink)
            for spine in each.spines.values():
                spine.set_edgecolor(self._colour(style.MUTED))
        upper.tick_params(labelbottom=False)
        upper.set_ylabel("throughput (calls/s)")
        lower.set_ylabel("time (ms)")

    def show(self, scene: Scene) -> None:
        """Move every artist to where this scene has it, or out of sight."""
        upper, lower = self.axes
        limits = ranges.sizes(scene)
        upper.set_xlim(limits)
        upper.set_ylim(0, ranges.throughput(scene))
        times_top = ranges.times(scene)
        lower.set_ylim(-0.03 * times_top, times_top)
        sizes = ranges.named(scene)
        below = "pool size (connections)"
        if scene.states or scene.vague_states:
            below = "connections: pool size, or in use at once"
            if scene.is_from_production and scene.left > 1:
                below = f"connections of all {scene.left} pools: their size, or in use at once"
        marked = None if scene.is_swept else scene.recommended
        frame = (sizes, limits, upper.get_ylim(), times_top, below, marked)
        if frame != self.frame:
            self.frame = frame
            lower.set_xlabel(below, color=self._ink)
            # Sizes that were measured are named, as many as stand clear.
            shown = ranges.named_sizes(sizes, limits, marked)
            lower.xaxis.set_ticks(shown, labels=[str(size) for size in shown])
            lower.xaxis.set_ticks([size for size in sizes if size not in shown], minor=True)
        self._colour_size(scene.is_doubted)
        self._show_regions(scene, limits)
        self._legend(upper, self._show_rates(scene, limits))
        self._legend(lower, self._show_times(scene, limits))

    def name_points(self, scene: Scene) -> None:
        """Say of each point what it is, for a page that shows it under the pointer."""
        for line, said in (
            (self._repeats, curve_words.trials(scene, usable=True)),
            (self._unfit, curve_words.trials(scene, usable=False)),
            (self._at_size, curve_words.size(scene)),
            (self._hold_p50, curve_words.times("hold p50", scene.hold("p50"))),
            (self._hold_p99, curve_words.times("hold p99", scene.hold("p99"))),
            (self._wait_p50, curve_words.times("wait p50 at the target rate", scene.wait("p50"))),
            (self._wait_p99, curve_words.times("wait p99 at the target rate", scene.wait("p99"))),
        ):
            name_points(line, said)
        self._states.name_points()

    def _colour_size(self, is_doubted: bool) -> None:
        """A size in doubt is amber and its mark hollow."""
        colour = self._colour(style.AMBER if is_doubted else style.GREEN)
        if colour == self._at_size.get_color():
            return
        for line in (*self._size, self._at_size):
            line.set_color(colour)
        paper = self._colour(style.PAPER)
        self._at_size.set(
            markerfacecolor=paper if is_doubted else colour,
            markeredgecolor=colour if is_doubted else paper,
            markeredgewidth=2.0 if is_doubted else 1.0,
        )
        self._named.clear()  # a legend takes its colours when it is made

    def _show_regions(self, scene: Scene, limits: tuple[float, float]) -> None:
        size, (low, high) = scene.recommended, limits
        wide = self.axes.figure.bbox.width - LEFT - RIGHT
        few, edges = scene.as_fast, (low, low, low, low, low)
        if size is not None:
            start = _half_way_down(size)
            first = start if few is None else _half_way_down(few)
            edges = (low, first, start, max(size * OVERSIZED_FROM, size + 1), high)
        for i, forms in enumerate(_REGIONS):
            left, right = max(edges[i], low), min(edges[i + 1], high)
            _span(self._regions[i], (left, right), limits)
            per_log = wide / math.log(high / low)  # px
            room = per_log * math.log(right / left) if right > left else 0.0
            name = _fitting(forms, room)
            if size is not None and per_log * abs(math.log(left * right / size**2)) < _width(name):
                # Else the line of the size would go through its middle.
                left = min(size, right)
                name = _fitting(forms, per_log * math.log(right / left))
            self._region_names[i].set_x(math.sqrt(left * right))
            self._region_names[i].set_text(name)
        for line, axes in zip(self._size, self.axes, strict=True):
            _put(line, [] if size is None else [(size, y) for y in axes.get_ylim()])
        for line, axes in zip(self._as_fast, self.axes, strict=True):
            _put(line, [] if few is None else [(few, y) for y in axes.get_ylim()])
        knee = scene.knee_band
        is_seen = knee is not None and low < knee[0] < high
        _span(self._knee, knee[1:] if knee and is_seen else None, limits)

    def _show_rates(self, scene: Scene, limits: tuple[float, float]) -> list[Named]:
        top = self.axes.throughput.get_ylim()[1]
        points = scene.sizing.points if scene.sizing else ()
        band = sorted((p.pool_size, *p.interval95) for p in points if p.interval95)
        low, high = (_joined([(row[0], row[i]) for row in band]) for i in (1, 2))
        xs, lows, highs = [x for x, _ in low], [y for _, y in low], [y for _, y in high]
        self._band.set_data(xs, lows, highs)
        self._curve.set_markevery(_STEPS)
        _put(self._repeats, scene.repeats)
        size, target, plateau, knee = scene.recommended, scene.target, scene.plateau, scene.knee
        hold = (scene.sizing.hold_at_one if scene.sizing and scene.is_swept else None) or 0.0
        # It ends below the names of the regions.
        xs = [limits[0] * (limits[1] / limits[0]) ** (i / 60) for i in range(61)]
        alone = [(x, x / hold) for x in xs if x <= top * 0.9 * hold]
        is_seen = target is not None and target <= top
        _put(self._target, _across(limits, target if is_seen else None))
        knee_words = ""
        if knee is not None and self._knee[0].get_visible():
            knee_words = f"{number(knee.size)} ({interval(knee.interval95)})"
            knee_words = f"Little's Law knee\n{knee_words}"
        slowed = scene.slowed != 1.0
        return [
            _put(
                self._at_size,
                [] if size is None else [(size, scene.height_at(size))],
                _recommended(scene),
            ),
            (
                self._as_fast[0],
                "" if scene.as_fast is None else f"{_few(scene)}: the same\nresponse time",
            ),
            (self._target, _limit_words(f"target {short_rate(target)}", target, top)),
            _put(
                self._plateau,
                _across(limits, plateau.throughput if plateau else None),
                f"plateau {short_rate(plateau.throughput if plateau else None)}",
            ),
            _put(self._alone, alone, "n / S(1): no call slowed\nby another"),
            (self._knee[0], knee_words),
            _put(
                self._curve,
                _joined(scene.line),
                "measured" + f",\ncalls {number(scene.slowed)} times as long" * slowed,
            ),
            *self._states.show_rates(scene),
            _put(self._now, _up(scene.now, top), f"now: {scene.now}"),
            _put(self._unfit, scene.unfit, "failed a check:\nnot fitted"),
        ]

    def _show_times(self, scene: Scene, limits: tuple[float, float]) -> list[Named]:
        top, limit = self.axes.times.get_ylim()[1], scene.wait_limit
        predicted = [(x, y) for x, y in scene.predicted if limits[0] <= x <= limits[1]]
        _put(self._limit, _across(limits, limit))
        named = [
            _put(self._hold_p99, scene.hold("p99"), "hold p99"),
            _put(self._hold_p50, scene.hold("p50"), "hold p50"),
            *self._states.show_holds(scene),
            _put(self._predicted, predicted, "wait p99, predicted"),
            (
                self._limit,
                _limit_words(f"wait target {milliseconds(limit and limit / 1000)}", limit, top),
            ),
        ]
        for line, quantile in ((self._wait_p99, "p99"), (self._wait_p50, "p50")):
            waits = scene.wait(quantile)
            at_size = _wait_at_size(scene, quantile, waits)
            words = f"wait at target: {quantile} {number(at_size, 2)} ms" if waits else ""
            named.append(_put(line, [(x, min(y, 0.95 * top)) for x, y in waits], words))
        return named

    def _legend(self, axes: Axes, lines: Sequence[Named]) -> None:
        """Say what each line, marker and band is; made anew only where it names other artists."""
        named = [(artist, words) for artist, words in lines if words]
        artists = [artist for artist, _ in named]
        legend = axes.get_legend()
        if legend is None or self._named.get(axes) != artists:
            self._named[axes] = artists
            legend = legend_beside(axes, named, self._ink)
            for artist, text in zip(artists, legend.get_texts(), strict=True):
                if artist is self._at_size:
                    text.set_fontweight("bold")
        for (_, words), text in zip(named, legend.get_texts(), strict=True):
            text.set_text(words)


def _joined(points: Points) -> Points:
    """The points, joined as cycle times n / X(n) that change evenly from one to the next.

    Straight on an axis of log2 n the line would run far above every upstream between sizes that lie
    far apart.
    """
    drawn = list(points[:1])
    for (a, low), (b, high) in itertools.pairwise(points):
        for step in range(1, _STEPS + 1):
            n = a * (b / a) ** (step / _STEPS)
            part = (n - a) / (b - a)
            flat = min(low, high) <= 0
            cycle = 0.0 if flat else (1 - part) * a / low + part * b / high
            drawn.append((n, low + part * (high - low) if flat else n / cycle))
    return drawn


def _put(line: Line2D, points: Points, words: str = "") -> Named:
    """Move a line; what the legend calls it, where there is something to be seen of it."""
    line.set_data([x for x, _ in points], [y for _, y in points])
    return line, words if points else ""


def _half_way_down(size: int) -> float:
    """Half way to the next smaller size, on the axis."""
    return size / math.sqrt(1 + 1 / size)


def _few(scene: Scene) -> str:
    """The smaller size as its pools hold it."""
    few = scene.recommendation.smallest_as_fast if scene.recommendation else None
    pools = scene.pools or scene.left
    return f"{few}" if pools == 1 else f"{few} in each pool"


def _wait_at_size(scene: Scene, quantile: str, waits: Points) -> float:
    """The wait (ms) at the recommended size, as it was verified; else that at the largest."""
    chosen = scene.recommendation
    seen = chosen.verification if chosen else None
    if quantile == "p99" and seen is not None and seen.wait_p99 is not None:
        return 1000 * seen.wait_p99
    here = [wait for size, wait in waits if size == scene.recommended]
    return (here or [wait for _, wait in waits] or [0.0])[-1]


def _across(limits: tuple[float, float], height: float | None) -> Points:
    return [] if height is None else [(x, height) for x in limits]


def _up(size: int | None, top: float) -> Points:
    return [] if size is None else [(size, 0.0), (size, 0.9 * top)]


def _limit_words(words: str, limit: float | None, top: float) -> str:
    if limit is None:
        return ""
    return words if limit <= top else f"{words}\nabove this chart ↑"


def _span(
    spans: Sequence[Rectangle], ends: Sequence[float] | None, limits: Sequence[float]
) -> None:
    """Cover the sizes between two ends as far as they are in sight; nothing for None."""
    left, right = ends or (limits[0], limits[0])
    left, right = max(left, limits[0]), min(right, limits[1])
    for span in spans:
        span.set(x=left, width=max(0.0, right - left), visible=right > left)


def _fitting(forms: Sequence[str], room: float) -> str:
    """The first form of a region's name for which there is room; empty where there is for none."""
    for said in forms:
        if _width(said) + 2 * _CHARACTER <= room:  # clear of its edges
            return said
    return ""


def _width(said: str) -> float:
    """Of a region's name, in px."""
    return max(map(len, said.split("\n"))) * _CHARACTER


def _recommended(scene: Scene) -> str:
    chosen, left = scene.recommendation, scene.left
    if chosen is None:
        return ""
    pools = scene.pools or left
    words = "⚠ " * scene.is_doubted + ("recommended" if chosen.verification else "predicted")
    words += f" {chosen.recommended_size}"
    if pools > 1:
        words += f"\nin each of {pools} pools"
    if left < pools:
        words += f",\nseen with {left} left\n({scene.recommended} in all)"
    return "\n".join([words, verified_phrase(chosen).replace(", ", ",\n")])


def _figure_at_axis(value: float, _: float) -> str:
    return f"{value / 1000:g}k" if value >= _LONG else number(value)


def _footnote(scene: Scene, versions: str) -> str:
    """Durations, repeats, seed and versions: what a reader needs to judge the figures."""
    curve, parts = scene.curve, []
    if scene.trials:
        parts.append(f"{scene.trials[0].target}, {scene.trials[0].driver}")
    if curve:
        windows = sorted(t.window for t in curve)
        span = number(windows[0], 2)
        if windows[-1] > windows[0] * 1.05:
            span += f"–{number(windows[-1], 2)}"
        repeats = max(Counter(t.pool_size for t in curve).values())
        parts.append(f"{plural(len(curve), 'trial')} of {span} s")
        parts.append(f"up to {plural(repeats, 'repeat')} a size")
        parts.append(f"seed {min(t.seed for t in curve)}")
    elif scene.is_from_production:
        load = scene.recommendation.seconds if scene.recommendation else 0.0
        sent = f"verified by {number(load)} s of load" if load else "no load"
        parts.append(f"from production metrics, {sent}")
        parts.append(beyond(scene.most_in_use))
    elif scene.trials:
        load = sum(t.warm_up + t.window for t in scene.trials)
        parts.append(f"{plural(len(scene.trials), 'trial')}, {number(load)} s of load")
        parts.append(f"seed {min(t.seed for t in scene.trials)}")
        parts.append(f"no sweep: {beyond(scene.most_in_use)}")
    if scene.sizing is not None and any(p.interval95 for p in scene.sizing.points):
        parts.append("band: 95 % interval")
    if scene.states:
        parts.append("thin bars: 95 % interval")
    return " · ".join([*parts, *([versions] if versions else [])])
