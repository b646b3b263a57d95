"""Title, limits, ticks and footnote of the throughput curve: what decides where its axes lie."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from poolkit.charts import style
from poolkit.charts.labels import renderer
from poolkit.charts.scene import CurveAxes, Scene
from poolkit.charts.words import finding, footnote
from poolkit.units import number

ROOM = 1.22  # of the highest thing drawn: room for the names of the regions
_IN_SIGHT = 2.5  # a target above this many plateaus is named at the edge, not drawn to scale


def draw_frame(axes: CurveAxes, scene: Scene, versions: str) -> None:
    """Set limits and ticks, write title and footnote; the axes get what is left."""
    upper, lower = axes
    sizes = scene.sizes or [1, 2]
    low, high = sizes[0], max(sizes[-1], scene.recommended or 1)
    upper.set_xscale("log", base=2)
    upper.set_xlim(low / 1.13, max(high, low * 1.5) * 1.13)
    upper.set_ylim(0, _top(scene) * ROOM)
    for each in axes:
        each.tick_params(length=3.5)
        each.patch.set_alpha(0.0)
    upper.tick_params(labelbottom=False)
    upper.yaxis.set_major_formatter(lambda value, _: number(value))
    upper.set_ylabel("throughput (calls/s)")
    lower.set_ylabel("time (ms)")
    lower.set_xlabel("pool size (connections)", loc="left")
    title = finding(scene.sizing, scene.recommendation, scene.trials, scene.pools)
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
    left = max(58 / width, _room_for_numbers(axes))
    right = 1 - 10 / width
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


def _room_for_numbers(axes: CurveAxes) -> float:
    """Share of the figure's width that the wider of the two vertical axes needs for its numbers."""
    made = renderer(axes.figure)
    boxes = [each.yaxis.get_tightbbox(made) for each in axes]
    widest = max((box.width for box in boxes if box is not None), default=0.0)
    return float((widest + 14) / axes.figure.bbox.width)


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
