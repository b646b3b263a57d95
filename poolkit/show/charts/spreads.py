"""Times of several cases side by side: the median, 95 %, 99 % and the longest of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from poolkit.records import Distribution
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, log_times, row_axes
from poolkit.units import milliseconds

_LEAST = 1e-5  # s: a shorter time is drawn here, at the left edge


@dataclass(frozen=True, slots=True)
class Spread:
    """One row: a case and its times; `is_focus` the one that the title speaks of."""

    name: str
    times: Distribution
    is_focus: bool = False


def spreads_alt(rows: Sequence[Spread], title: str) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [
        f"{row.name}: half {milliseconds(row.times.p50)} or less, 99 % "
        f"{milliseconds(row.times.p99)} or less, the longest {milliseconds(row.times.longest)}."
        for row in rows
    ]
    return " ".join([f"{title}.", *said])


def spreads(rows: Sequence[Spread], title: str, what: str, *, axes: Axes | None = None) -> Axes:
    """Draw a line a case on a log axis of `what` (ms); without `axes` a figure is made.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("rows must be 1 or more, got 0")
    names = [row.name for row in rows]
    below = f"{what} (ms): median, 95 % (thick), 99 %, longest (mark)"
    with row_axes(axes, names, title, below, row=0.6) as axes:
        log_times(axes, [value for row in rows for value in points(row.times)])
        for position, row in enumerate(rows):
            half, most = milliseconds(row.times.p50), milliseconds(row.times.p99)
            longest = draw_spread(axes, position, row.times, row.is_focus)
            beside(axes, f"half ≤ {half}\n99 % ≤ {most}", (longest, position))
    return axes


def points(times: Distribution) -> tuple[float, float, float, float]:
    """Median, 95 %, 99 % and the longest (ms)."""
    p50, p95, p99, longest = (
        max(value or 0.0, _LEAST) * 1000
        for value in (times.p50, times.p95, times.p99, times.longest)
    )
    return p50, p95, p99, longest


def draw_spread(axes: Axes, row: int, times: Distribution, is_focus: bool) -> float:
    """Draw the times of one row; the longest (ms)."""
    p50, p95, p99, longest = points(times)
    colour, marker = (style.VERMILION, "^") if is_focus else (style.BLUE, "o")
    axes.plot([p50, longest], [row, row], color=colour, lw=1.4, zorder=3)
    axes.plot([p50, p95], [row, row], color=colour, lw=6, alpha=0.45, zorder=3)
    axes.plot([p50], [row], "|", color=colour, ms=14, mew=2.2, zorder=4)
    axes.plot([p99], [row], "|", color=colour, ms=10, mew=1.4, zorder=4)
    axes.plot([longest], [row], marker, color=colour, ms=7.0, zorder=5)
    return longest
