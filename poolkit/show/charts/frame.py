"""Title, limits, ticks and footnote: what decides where the axes of a chart lie."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.show.charts import style
from poolkit.show.charts.figures import new_figure
from poolkit.show.charts.labels import renderer
from poolkit.show.charts.scene import CurveAxes, Scene
from poolkit.show.charts.words import footnote
from poolkit.show.words import finding
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
    lay_out(axes.figure, axes, title, note)
    size_ticks(axes.times, sizes)
    upper.tick_params(which="minor", length=2)


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


def lay_out(
    figure: Figure, axes: Sequence[Axes], title: str, note: str = "", *, below: float = 40.0
) -> None:
    """Write title and footnote, wrapped to the width, and give the axes what is left.

    `below` is the height (points) that the lowest axes need for their ticks and label.
    """
    width, height = figure.get_size_inches() * 72  # points
    left = max(58 / width, _room_for_numbers(figure, axes))
    right = 1 - 10 / width
    title_lines = _wrapped(figure, title, style.TITLE_SIZE, right - left, weight="bold")
    note_lines = _wrapped(figure, note, style.NOTE_SIZE, right - left)
    note_height = (len(note_lines) * style.NOTE_SIZE * 1.3 + 6) / height if note else 0.0
    figure.subplots_adjust(
        left=left,
        right=right,
        top=1 - (len(title_lines) * style.TITLE_SIZE * 1.3 + 14) / height,
        bottom=below / height + note_height,
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


def single_axes(axes: Axes | None, height: float) -> Axes:
    """The axes that a caller gave, or those of a new figure of `height` (inches)."""
    if axes is None:
        axes = new_figure((style.FIGURE_SIZE[0], height)).subplots()
        axes.patch.set_alpha(0.0)  # the page's own paper, light or dark
    return axes


def entitle(
    axes: Axes, title: str, given: Axes | None, *, note: str = "", below: float = 40.0
) -> None:
    """Put the title where it belongs: over the whole of a new figure, over axes that were given."""
    if given is None:
        figure = axes.get_figure(root=True)
        assert figure is not None
        lay_out(figure, [axes], title, note, below=below)
    else:
        axes.set_title(title, loc="left", fontsize=style.TITLE_SIZE, fontweight="bold", wrap=True)


def size_ticks(axes: Axes, sizes: Sequence[int], *, minor: bool = True) -> None:
    """Name pool sizes on a log axis, powers of two first, as many as stand clear of each other."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    low, high = axes.get_xlim()
    span = axes.get_window_extent(renderer(figure)).width / math.log(high / low)
    powers = [s for s in sizes if s & (s - 1) == 0]
    shown: list[int] = []
    for size in [sizes[0], sizes[-1], *powers, *sizes]:
        if all(abs(math.log(size / other)) * span >= 30 for other in shown):
            shown.append(size)
    shown.sort()
    axes.set_xticks(shown, labels=[str(s) for s in shown], minor=False)
    others = list(dict.fromkeys(sizes)) if minor else []
    axes.set_xticks(others, labels=[""] * len(others), minor=True)
    axes.tick_params(which="minor", length=2)


def _room_for_numbers(figure: Figure, axes: Sequence[Axes]) -> float:
    """Share of the figure's width that the widest of the vertical axes needs for its numbers."""
    made = renderer(figure)
    boxes = [each.yaxis.get_tightbbox(made) for each in axes]
    widest = max((box.width for box in boxes if box is not None), default=0.0)
    return float((widest + 14) / figure.bbox.width)


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
