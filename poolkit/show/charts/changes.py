"""What changed since the last review: each figure against its old one, with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from poolkit.records import Interval
from poolkit.review.compare import Comparison, Difference
from poolkit.show import words
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, row_axes
from poolkit.units import plural

_MEASURED = ("recommended_size", "plateau", "hold_time.at_one", "hold_time.at_recommended", "knee")
_FURTHEST = 2.5  # times the old figure: what is beyond it is drawn there


def changes_shown(comparison: Comparison) -> list[Difference]:
    """The differences that are numbers on both sides: those that can be set against each other."""
    return [
        d
        for d in comparison.differences
        if d.quantity in _MEASURED
        and isinstance(d.before, int | float)
        and isinstance(d.after, int | float)
        and d.before > 0
    ]


def changes_finding(comparison: Comparison) -> str:
    """The finding as a sentence: how many figures moved by more than noise, and which."""
    shown = changes_shown(comparison)
    moved = [d for d in shown if d.is_larger_than_noise]
    since = comparison.before[:10]
    if not shown:
        return f"Nothing can be set against the review of {since}"
    if not moved:
        return f"Nothing changed by more than noise since {since}"
    named = ", ".join(dict.fromkeys(d.target for d in moved))
    of = plural(len(shown), "figure")
    return f"{len(moved)} of {of} changed by more than noise since {since}: {named}"


def changes_alt(comparison: Comparison) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    rows = [
        f"{d.target}, {words.quantity(d)}: {words.then(d)} then, {words.now(d)} now, {_judged(d)}."
        for d in changes_shown(comparison)
    ]
    return " ".join([changes_finding(comparison) + ".", *rows])


def _judged(difference: Difference) -> str:
    if difference.before == difference.after:
        return "the same"
    if difference.is_larger_than_noise is None:
        return difference.note or "cannot be said"
    return "more than noise" if difference.is_larger_than_noise else "within noise"


def changes(comparison: Comparison, *, axes: Axes | None = None) -> Axes:
    """Draw each figure as a share of its old one; without `axes` a figure is made."""
    shown = changes_shown(comparison)
    then = [_shares(d, d.before, d.before_interval) for d in shown]
    now = [_shares(d, d.after, d.after_interval) for d in shown]
    firsts = {d.target: i for i, d in reversed(list(enumerate(shown)))}
    names = [
        (f"{d.target}  " if firsts[d.target] == i else "") + words.quantity(d)
        for i, d in enumerate(shown)
    ]
    below = "of the figure then (grey: then, coloured: now; with intervals)"
    with row_axes(axes, names, changes_finding(comparison), below, row=0.27) as axes:
        ends = [1.0, *itertools.chain(*then, *now)]
        low, high = min(ends), max(ends)
        air = 0.06 * (high - low) + 0.01
        axes.set_xlim(low - air, high + air)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.axvline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 3)), zorder=1)
        for row, d in enumerate(shown):
            _draw(axes, row, d, then[row], now[row])
    return axes


def _draw(
    axes: Axes, row: int, difference: Difference, then: Sequence[float], now: Sequence[float]
) -> None:
    moved = difference.is_larger_than_noise and difference.before != difference.after
    colour, marker = (style.VERMILION, "D") if moved else (style.BLUE, "o")
    grey: Any = {"color": style.FAINT, "lw": 4.5, "solid_capstyle": "butt", "zorder": 2}
    axes.plot(then[1:], [row + 0.16] * 2, **grey)
    axes.plot([1.0], [row + 0.16], "|", color=style.MUTED, ms=9, mew=1.6, zorder=3)
    axes.plot(now[1:], [row - 0.12] * 2, color=colour, lw=2.2, zorder=3)
    axes.plot(now[:1], [row - 0.12], marker, color=colour, ms=6, zorder=4)
    figures = words.now(difference)
    if difference.before != difference.after:
        before = words.then(difference).removesuffix(f" {figures.partition(' ')[2]}")
        figures = f"{before} → {figures}"
    kw: Any = {"xytext": (4, 0), "fontweight": "bold" if moved else "normal"}
    at, ink = (axes.get_xlim()[1], row), colour if moved else style.INK
    beside(axes, f"{figures}, {_judged(difference)}", at, ink, **kw)


def _shares(
    difference: Difference, value: float | str | None, interval: Interval | None
) -> list[float]:
    """A figure and the ends of its interval as shares of the old figure."""
    assert isinstance(value, int | float)
    assert isinstance(difference.before, int | float)
    ends = (value, *(interval or (value, value)))
    return [min(end / difference.before, _FURTHEST) for end in ends]
