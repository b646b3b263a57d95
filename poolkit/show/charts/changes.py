"""What changed since the last review: each figure against its old one, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from poolkit.records import Interval
from poolkit.review.compare import Comparison, Difference
from poolkit.show import words
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, row_axes
from poolkit.units import plural

QUANTITIES = {
    "recommended_size": "size",
    "plateau": "plateau",
    "hold_time.at_one": "hold time alone",
    "hold_time.at_recommended": "hold time at the size",
    "knee": "Little's Law knee",
}
_ROW = 0.27  # inches
_FURTHEST = 2.5  # times the old figure: beyond it an arrow


def changes_shown(comparison: Comparison) -> list[Difference]:
    """The differences that are numbers on both sides: those that can be set against each other."""
    return [
        d
        for d in comparison.differences
        if d.quantity in QUANTITIES
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
    named = list(dict.fromkeys(d.target for d in moved))
    return (
        f"{len(moved)} of {plural(len(shown), 'figure')} changed by more than noise since {since}: "
        f"{', '.join(named)}"
    )


def changes_alt(comparison: Comparison) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    parts = [changes_finding(comparison) + "."]
    parts += [
        f"{d.target}, {QUANTITIES[d.quantity]}: {words.then(d)} then, "
        f"{words.now(d)} now, {_judged(d)}."
        for d in changes_shown(comparison)
    ]
    return " ".join(parts)


def _judged(difference: Difference) -> str:
    if difference.before == difference.after:
        return "the same"
    if difference.is_larger_than_noise is None:
        return difference.note or "cannot be said"
    return "more than noise" if difference.is_larger_than_noise else "within noise"


def changes(comparison: Comparison, *, axes: Axes | None = None) -> Axes:
    """Draw each figure as a share of its old one; without `axes` a figure is made."""
    shown = changes_shown(comparison)
    firsts = {d.target: i for i, d in reversed(list(enumerate(shown)))}
    names = [
        (f"{d.target}  " if firsts[d.target] == i else "") + QUANTITIES[d.quantity]
        for i, d in enumerate(shown)
    ]
    below = "of the figure then (grey: then, coloured: now; with intervals)"
    with row_axes(axes, names, changes_finding(comparison), below, row=_ROW) as axes:
        ends = [1.0, *(e for d in shown for e in (*_then(d), *_now(d)))]
        low, high = min(ends), min(max(ends), _FURTHEST)
        air = 0.06 * (high - low) + 0.01
        axes.set_xlim(low - air, high + air)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.axvline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 3)), zorder=1)
        for row, d in enumerate(shown):
            _row(axes, row, d, high + air)
    return axes


def _row(axes: Axes, row: int, difference: Difference, right: float) -> None:
    moved = difference.is_larger_than_noise and difference.before != difference.after
    colour, marker = (style.VERMILION, "D") if moved else (style.BLUE, "o")
    then: Any = {"color": style.FAINT, "lw": 4.5, "solid_capstyle": "butt", "zorder": 2}
    axes.plot(_then(difference), [row + 0.16] * 2, **then)
    axes.plot([1.0], [row + 0.16], "|", color=style.MUTED, ms=9, mew=1.6, zorder=3)
    axes.plot(_now(difference), [row - 0.12] * 2, color=colour, lw=2.2, zorder=3)
    middle = _ratio(difference, difference.after)
    axes.plot([min(middle, _FURTHEST)], [row - 0.12], marker, color=colour, ms=6, zorder=4)
    figures = words.now(difference)
    if difference.before != difference.after:
        then = words.then(difference).removesuffix(f" {figures.partition(' ')[2]}")
        figures = f"{then} → {figures}"
    weight = "bold" if moved else "normal"
    colour = colour if moved else style.INK
    beside(
        axes, f"{figures}, {_judged(difference)}", (right, row), colour, xytext=(4, 0),
        fontweight=weight,
    )  # fmt: skip


def _ratio(difference: Difference, value: float | str | None) -> float:
    assert isinstance(value, int | float)
    assert isinstance(difference.before, int | float)
    return float(value) / float(difference.before)


def _then(difference: Difference) -> Sequence[float]:
    return _around(difference, difference.before_interval, difference.before)


def _now(difference: Difference) -> Sequence[float]:
    return _around(difference, difference.after_interval, difference.after)


def _around(
    difference: Difference, interval: Interval | None, value: float | str | None
) -> Sequence[float]:
    """An interval as shares of the old figure, cut at what the chart shows."""
    middle = _ratio(difference, value)
    ends = (middle, middle) if interval is None else [_ratio(difference, v) for v in interval]
    return [min(end, _FURTHEST) for end in ends]
